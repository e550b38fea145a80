//! Fields of forms, each with its label, its hint, and what is wrong with it.

use maud::{Markup, html};
use serde_json::json;

use crate::api::Problem;
use crate::form::Form;
use crate::refusal::Refusal;
use crate::session::random_text;
use crate::texts;

/// A field of one line.
#[derive(Default)]
pub(crate) struct Line<'a> {
    /// Its name in the form and in the API.
    pub(crate) name: &'a str,
    /// Its name for people.
    pub(crate) label: &'a str,
    /// The type of its input.
    pub(crate) kind: &'a str,
    /// What is to be written there; empty: nothing is said.
    pub(crate) hint: &'a str,
    pub(crate) value: &'a str,
    pub(crate) is_required: bool,
}

/// A field with its label, its hint and its faults.
pub(crate) fn line(line: &Line<'_>, problem: Option<&Problem>) -> Markup {
    let Line { name, label, kind, hint, value, is_required } = *line;
    let about = About { name, label, hint, is_required, is_wide: false };
    about.field(problem, |id, invalid, described| {
        html! {
            input id=(id) type=(kind) name=(name) value=(value) required[is_required] autocomplete="off" spellcheck="false"
                aria-invalid=[invalid] aria-describedby=[described];
        }
    })
}

/// A field with one of several values, each with its name.
pub(crate) fn choice(name: &str, label: &str, value: &str, choices: &[(&str, &str)]) -> Markup {
    let about = About { name, label, ..About::default() };
    about.field(None, |id, _, _| select(id, name, value, choices, None, None))
}

/// The element of a field with one of several values.
pub(crate) fn select(
    id: &str,
    name: &str,
    value: &str,
    choices: &[(&str, &str)],
    invalid: Option<&str>,
    described: Option<&str>,
) -> Markup {
    html! {
        select id=(id) name=(name) aria-invalid=[invalid] aria-describedby=[described] {
            @for (of, text) in choices { option value=(of) selected[*of == value] { (text) } }
        }
    }
}

/// What is around the element that a field is written in.
#[derive(Default)]
pub(crate) struct About<'a> {
    pub(crate) name: &'a str,
    pub(crate) label: &'a str,
    pub(crate) hint: &'a str,
    pub(crate) is_required: bool,
    /// Whether it takes a whole row of the form.
    pub(crate) is_wide: bool,
}

impl About<'_> {
    /// The field. `element` gets the values of its attributes `id`, `aria-invalid` and `aria-describedby`.
    pub(crate) fn field(
        &self,
        problem: Option<&Problem>,
        element: impl FnOnce(&str, Option<&str>, Option<&str>) -> Markup,
    ) -> Markup {
        let Self { name, label, hint, is_required, is_wide } = *self;
        let faults = faults(name, problem);
        let id = id(name);
        let (hint_id, fault_id) = (format!("{id}-hint"), format!("{id}-fault"));
        let described =
            [(!faults.is_empty()).then_some(fault_id.as_str()), (!hint.is_empty()).then_some(hint_id.as_str())];
        let described = described.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let described = Some(described.as_str()).filter(|ids| !ids.is_empty());
        html! {
            div.field.wide[is_wide] {
                label for=(id) {
                    (label)
                    @if is_required { " " span.hint { "(" (texts::REQUIRED) ")" } }
                }
                (element(&id, (!faults.is_empty()).then_some("true"), described))
                (list(&fault_id, &faults))
                @if !hint.is_empty() { p.hint id=(hint_id) { (hint) } }
            }
        }
    }
}

/// A field with any of several values, each with what it means.
pub(crate) fn checks(
    name: &str,
    label: &str,
    chosen: &[&str],
    choices: &[(&str, &str)],
    problem: Option<&Problem>,
) -> Markup {
    let faults = faults(name, problem);
    let id = id(name);
    let fault_id = format!("{id}-fault");
    html! {
        fieldset id=(id) aria-describedby=[(!faults.is_empty()).then_some(fault_id.as_str())] {
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
pub(crate) fn summary(problem: Option<&Problem>) -> Markup {
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

/// A hidden field: a form that is sent twice is done once ([`crate::api::Request::once`]).
pub(crate) fn once() -> Result<Markup, Refusal> {
    let request = random_text().ok_or(Refusal::Broken)?;
    Ok(html! { input type="hidden" name=(ONCE) value=(request); })
}

/// The name of the field of [`once`].
pub(crate) const ONCE: &str = "request";

/// How long a key or a secret that is replaced stays valid.
pub(crate) fn overlap() -> Markup {
    choice(OVERLAP, texts::OVERLAP, texts::DEFAULT_OVERLAP, &texts::OVERLAPS)
}

/// The body of a request that replaces a key or a secret. A form whose overlap is no number gets the default of the API.
pub(crate) fn overlap_body(form: &Form) -> String {
    json!({ OVERLAP: form.get(OVERLAP).parse::<u64>().ok() }).to_string()
}

const OVERLAP: &str = "overlap_seconds";

/// The value of the attribute `id` of a field's element.
pub(crate) fn id(name: &str) -> String {
    format!("field-{}", name.replace('/', "-"))
}

fn list(id: &str, faults: &[&str]) -> Markup {
    html! { @if !faults.is_empty() { p.fault id=(id) { @for fault in faults { (fault) " " } } } }
}

/// The faults of a field, or of a part of what is in it.
fn faults<'a>(name: &str, problem: Option<&'a Problem>) -> Vec<&'a str> {
    let all = problem.into_iter().flat_map(|problem| &problem.faults);
    all.filter(|fault| fault.is_of(name)).map(|fault| fault.detail.as_str()).collect()
}
