//! Fields of the forms of operators, with what is wrong with them.

use maud::{Markup, html};

use crate::api::{Fault, Problem};
use crate::texts;

/// A field of one line.
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

/// A field of one line with its faults.
pub(super) fn line(line: &Line<'_>, problem: Option<&Problem>) -> Markup {
    let Line { name, label, kind, hint, value, is_required } = *line;
    let faults = about(name, problem);
    let [hint_id, fault_id] = ["hint", "fault"].map(|end| format!("field-{name}-{end}"));
    let described = [(!hint.is_empty()).then_some(&hint_id), (!faults.is_empty()).then_some(&fault_id)];
    let described: Vec<_> = described.into_iter().flatten().map(String::as_str).collect();
    html! {
        div.field {
            label for={ "field-" (name) } { (label) }
            input id={ "field-" (name) } type=(kind) name=(name) value=(value) required[is_required] autocomplete="off"
                spellcheck="false" aria-invalid=[(!faults.is_empty()).then_some("true")]
                aria-describedby=[(!described.is_empty()).then(|| described.join(" "))];
            @if !hint.is_empty() { p.hint id=(hint_id) { (hint) } }
            @if !faults.is_empty() { p.fault id=(fault_id) { (faults.join(" ")) } }
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
                    @for fault in &problem.faults { li { (fault.detail) } }
                    @if problem.faults.is_empty() { li { (problem.detail) } }
                }
            }
        }
    }
}

fn about<'a>(name: &str, problem: Option<&'a Problem>) -> Vec<&'a str> {
    let all = problem.into_iter().flat_map(|problem| &problem.faults);
    all.filter(|Fault { place, .. }| place == name).map(|fault| fault.detail.as_str()).collect()
}
