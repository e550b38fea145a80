//! Fields of the forms of this section, each with what is wrong with it.

use maud::{Markup, html};

use crate::api::{Fault, Problem};
use crate::texts;

/// A field of one line.
#[derive(Default)]
pub(super) struct Line<'a> {
    /// Its name in the form and in the API.
    pub(super) name: &'a str,
    /// Its name for people.
    pub(super) label: &'a str,
    /// The type of its input.
    pub(super) kind: &'a str,
    /// What is to be written there; empty: nothing is said.
    pub(super) hint: &'a str,
    pub(super) value: &'a str,
    pub(super) is_required: bool,
}

/// A field with its label, its hint and its faults.
pub(super) fn line(line: &Line<'_>, problem: Option<&Problem>) -> Markup {
    let Line { name, label, kind, hint, value, is_required } = *line;
    let faults = faults(name, problem);
    let [id, hint_id, fault_id] = ["", "-hint", "-fault"].map(|end| format!("field-{name}{end}"));
    let described = [(!hint.is_empty()).then_some(hint_id.as_str()), (!faults.is_empty()).then_some(fault_id.as_str())];
    let described = described.into_iter().flatten().collect::<Vec<_>>().join(" ");
    html! {
        div.field {
            label for=(id) {
                (label)
                @if is_required { " " span.hint { "(" (texts::REQUIRED) ")" } }
            }
            input id=(id) type=(kind) name=(name) value=(value) required[is_required] autocomplete="off" spellcheck="false"
                aria-invalid=[(!faults.is_empty()).then_some("true")]
                aria-describedby=[Some(described).filter(|ids| !ids.is_empty())];
            @if !hint.is_empty() { p.hint id=(hint_id) { (hint) } }
            (list(&fault_id, &faults))
        }
    }
}

/// A field with one of several values, each with its name.
pub(super) fn choice(name: &str, label: &str, value: &str, choices: &[(&str, &str)]) -> Markup {
    let id = format!("field-{name}");
    html! {
        div.field {
            label for=(id) { (label) }
            select id=(id) name=(name) {
                @for (of, text) in choices { option value=(of) selected[*of == value] { (text) } }
            }
        }
    }
}

/// A field with any of several values, each with what it means.
pub(super) fn checks(
    name: &str,
    label: &str,
    chosen: &[&str],
    choices: &[(&str, &str)],
    problem: Option<&Problem>,
) -> Markup {
    let faults = faults(name, problem);
    let fault_id = format!("field-{name}-fault");
    html! {
        fieldset aria-describedby=[(!faults.is_empty()).then_some(fault_id.as_str())] {
            legend { (label) }
            (list(&fault_id, &faults))
            div.checks {
                @for (value, meaning) in choices {
                    label {
                        input type="checkbox" name=(name) value=(value) checked[chosen.contains(value)];
                        " " code { (value) } " " span.hint { (meaning) }
                    }
                }
            }
        }
    }
}

/// What is wrong with a form that was sent, above it. The script moves the focus there.
pub(super) fn summary(problem: Option<&Problem>) -> Markup {
    html! {
        @if let Some(problem) = problem {
            div.fault.summary role="alert" tabindex="-1" {
                p { strong { (texts::FAULTS_TITLE) } }
                ul {
                    @for fault in &problem.faults { li { (fault.place) ": " (fault.detail) } }
                    @if problem.faults.is_empty() { li { (problem.detail) } }
                }
            }
        }
    }
}

fn list(id: &str, faults: &[&str]) -> Markup {
    html! { @if !faults.is_empty() { p.fault id=(id) { @for fault in faults { (fault) " " } } } }
}

/// The faults of a field, or of a part of what is in it.
fn faults<'a>(name: &str, problem: Option<&'a Problem>) -> Vec<&'a str> {
    let is_here = |place: &str| place == name || place.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
    let all = problem.into_iter().flat_map(|problem| &problem.faults);
    all.filter(|Fault { place, .. }| is_here(place)).map(|fault| fault.detail.as_str()).collect()
}
