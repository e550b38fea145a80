//! The fields of a customer that a form has: one list for creating, showing, editing and comparing them.

use maud::{Markup, html};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use crate::api::{Fault, Problem};
use crate::form::Form;
use crate::input::{self, About, Line};
use crate::texts;

/// A field of a customer.
pub(crate) struct Field {
    /// Where it is in the API's customer: the name of the field, or `billing_address/…`. Forms and faults name it so, too.
    pub(crate) name: &'static str,
    /// Its name for people.
    pub(crate) label: &'static str,
    pub(crate) kind: Kind,
    /// What is to be written there; empty: nothing is said.
    hint: &'static str,
}

/// How a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One line; the type of its input.
    Line(&'static str),
    /// One of these values, each with its name.
    Choice(&'static [(&'static str, &'static str)]),
    /// JSON, on many lines.
    Json,
}

/// The fields, in groups, each with a title.
pub(crate) const GROUPS: [(&str, &[Field]); 4] = [
    (
        texts::IDENTITY,
        &[
            line("email", texts::EMAIL, "email", ""),
            line("name", "Name", "text", ""),
            line("external_id", texts::EXTERNAL_ID, "text", texts::EXTERNAL_ID_HINT),
            line("phone", "Phone", "tel", texts::PHONE_HINT),
        ],
    ),
    (
        texts::ADDRESS,
        &[
            line("billing_address/line1", "Line 1", "text", ""),
            line("billing_address/line2", "Line 2", "text", ""),
            line("billing_address/city", "City", "text", ""),
            line("billing_address/state", "State", "text", ""),
            line("billing_address/postal_code", "Postal code", "text", ""),
            line("billing_address/country", "Country", "text", texts::COUNTRY_HINT),
        ],
    ),
    (
        texts::TAX_AND_BILLING,
        &[
            line("tax_id", "Tax identifier", "text", ""),
            Field { name: "tax_exempt", label: "Taxes", kind: Kind::Choice(TAXES), hint: "" },
            line("business_name", "Business name", "text", ""),
            line("locale", "Language", "text", texts::LOCALE_HINT),
            line("timezone", "Time zone", "text", texts::TIMEZONE_HINT),
            line("currency", "Currency", "text", texts::CURRENCY_HINT),
        ],
    ),
    (
        texts::METADATA,
        &[Field { name: METADATA, label: texts::METADATA, kind: Kind::Json, hint: texts::METADATA_HINT }],
    ),
];

/// The one field that is JSON.
pub(crate) const METADATA: &str = "metadata";

const TAXES: &[(&str, &str)] = &[("none", "Pays taxes"), ("exempt", "Exempt"), ("reverse", "Reverse charge")];

const fn line(name: &'static str, label: &'static str, input: &'static str, hint: &'static str) -> Field {
    Field { name, label, kind: Kind::Line(input), hint }
}

/// All fields.
pub(crate) fn all() -> impl Iterator<Item = &'static Field> {
    GROUPS.iter().flat_map(|(_, fields)| fields.iter())
}

impl Field {
    /// Its value as a form has it; empty if the customer has none.
    pub(crate) fn of(&self, customer: &Value) -> String {
        match customer.pointer(&format!("/{}", self.name)) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Object(object)) if object.is_empty() => String::new(),
            Some(value) => serde_json::to_string_pretty(value).unwrap_or_default(),
        }
    }

    /// A value of it for people.
    pub(crate) fn shown<'a>(&self, value: &'a str) -> &'a str {
        let Kind::Choice(choices) = self.kind else { return value };
        choices.iter().find(|(of, _)| *of == value).map_or(value, |(_, name)| name)
    }
}

/// What a form has of a customer's fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Values(Vec<(&'static Field, String)>);

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Field {}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Values {
    /// Those of a customer of the API.
    pub(crate) fn of_customer(customer: &Value) -> Self {
        Self(all().map(|field| (field, field.of(customer))).collect())
    }

    /// Those that a form has sent.
    pub(crate) fn of_form(form: &Form) -> Self {
        let value = |field: &Field| match field.kind {
            Kind::Json => form.get(field.name).trim().to_owned(),
            Kind::Line(_) | Kind::Choice(_) => form.get(field.name).to_owned(),
        };
        Self(all().map(|field| (field, value(field))).collect())
    }

    /// Those that [`Values::to_text`] has written. What it lacks is empty.
    pub(crate) fn of_text(text: &str) -> Self {
        let saved: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
        let value = |field: &Field| saved.get(field.name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self(all().map(|field| (field, value(field))).collect())
    }

    /// As one text, for a form that carries what it began with.
    pub(crate) fn to_text(&self) -> String {
        let value = |(field, value): &(&Field, String)| (field.name.to_owned(), Value::from(value.as_str()));
        Value::Object(self.0.iter().map(value).collect()).to_string()
    }

    /// The value of a field.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field.name == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// Each field with its value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static Field, &str)> {
        self.0.iter().map(|(field, value)| (*field, value.as_str()))
    }

    /// The body of a request that changes what is `before` into these. `None` if nothing is changed.
    ///
    /// # Errors
    /// The fault if the metadata is not JSON: the API could not say where in the body it is wrong.
    pub(crate) fn body(&self, before: &Self, more: &[(&str, bool)]) -> Result<Option<String>, Problem> {
        let mut body = Value::Object(Map::new());
        let mut metadata = None;
        for (field, value) in self.iter().filter(|(field, value)| *value != before.get(field.name)) {
            let json = if value.is_empty() { Value::Null } else { Value::from(value) };
            match field.name.split_once('/') {
                _ if field.kind == Kind::Json => metadata = Some(raw(field, value)?),
                Some((object, part)) => body[object][part] = json,
                None => body[field.name] = json,
            }
        }
        let Value::Object(mut body) = body else { return Ok(None) };
        if body.is_empty() && metadata.is_none() {
            return Ok(None);
        }
        body.extend(more.iter().map(|(name, flag)| ((*name).to_owned(), Value::from(*flag))));
        Ok(Some(with_metadata(&body, metadata.as_deref())))
    }
}

/// The text of a field that is JSON, unchanged: read as numbers, it might lose digits.
fn raw(field: &Field, value: &str) -> Result<Box<RawValue>, Problem> {
    if value.is_empty() {
        return to_raw_value(&Map::new()).map_err(|_| Problem::default());
    }
    serde_json::from_str(value).map_err(|error| {
        let detail = format!("{} {} ({error})", field.name, texts::NOT_JSON);
        Problem { status: 422, faults: vec![Fault { place: field.name.to_owned(), detail }], ..Problem::default() }
    })
}

fn with_metadata(body: &Map<String, Value>, metadata: Option<&RawValue>) -> String {
    let fields = body.iter().map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())));
    let metadata = metadata.map(|raw| format!("\"{METADATA}\":{raw}"));
    format!("{{{}}}", fields.chain(metadata).collect::<Vec<_>>().join(","))
}

/// All fields as inputs, each with the faults that are about it, and all faults above them.
pub(crate) fn inputs(values: &Values, problem: Option<&Problem>, requires_email: bool) -> Markup {
    html! {
        @if let Some(problem) = problem { (summary(problem)) }
        @for (title, fields) in &GROUPS {
            fieldset {
                legend { (title) }
                div.fields {
                    @for field in *fields {
                        @let is_required = requires_email && field.name == "email";
                        (input(field, values.get(field.name), problem, is_required))
                    }
                }
            }
        }
    }
}

/// What is wrong with a form that was sent. Each fault leads to its field.
fn summary(problem: &Problem) -> Markup {
    html! {
        div.fault.summary role="alert" tabindex="-1" {
            p { strong { (texts::FAULTS_TITLE) } }
            ul {
                @for fault in &problem.faults {
                    li {
                        @match all().find(|field| fault.is_of(field.name)) {
                            Some(field) => a href={ "#" (input::id(field.name)) } { (fault.detail) },
                            None => (fault.detail),
                        }
                    }
                }
                @if problem.faults.is_empty() { li { (problem.detail) } }
            }
        }
    }
}

fn input(field: &Field, value: &str, problem: Option<&Problem>, is_required: bool) -> Markup {
    let Field { name, label, kind, hint } = *field;
    let about = About { name, label, hint, is_required, is_wide: kind == Kind::Json };
    match kind {
        Kind::Line(kind) => input::line(&Line { name, label, kind, hint, value, is_required }, problem),
        Kind::Choice(choices) => about.field(problem, |id, invalid, described| {
            let choices = [&[("", texts::NOT_SET)], choices].concat();
            input::select(id, name, value, &choices, invalid, described)
        }),
        Kind::Json => about.field(problem, |id, invalid, described| {
            html! {
                textarea id=(id) name=(name) rows="8" spellcheck="false" data-json=(texts::NOT_JSON) aria-invalid=[invalid]
                    aria-describedby=[described] { "\n" (value) }
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn customer() -> Value {
        json!({
            "email": "ada@example.com", "name": null, "external_id": "a", "metadata": { "n": 1 },
            "billing_address": { "line1": "1 Road", "city": null },
        })
    }

    #[test]
    fn a_form_carries_all_that_it_began_with() {
        let values = Values::of_customer(&customer());
        assert_eq!(values.get("billing_address/line1"), "1 Road");
        assert_eq!(values.get("name"), "");
        assert_eq!(Values::of_text(&values.to_text()), values);
    }

    #[test]
    fn a_request_has_only_what_was_changed() {
        let before = Values::of_customer(&customer());
        assert_eq!(before.body(&before, &[("allow_duplicate_email", true)]).expect("JSON"), None);
        let form = "email=ada%40example.com&name=Ada&external_id=&billing_address/line1=1+Road&billing_address/city=Paris\
                    &metadata=%7B%22n%22%3A+1e400%7D";
        let after = Values::of_form(&Form::parse(form.as_bytes()));
        let body = after.body(&before, &[("allow_duplicate_email", true)]).expect("JSON").expect("a change");
        let expected = concat!(
            r#"{"name":"Ada","external_id":null,"billing_address":{"city":"Paris"},"#,
            r#""allow_duplicate_email":true,"metadata":{"n": 1e400}}"#
        );
        assert_eq!(body, expected);
    }

    #[test]
    fn metadata_that_is_no_json_is_a_fault_of_its_field_and_empty_metadata_is_an_empty_object() {
        let before = Values::of_customer(&customer());
        let fault = Values::of_form(&Form::parse(b"metadata=%7B")).body(&before, &[]).expect_err("no JSON");
        assert_eq!(fault.faults[0].place, "metadata");
        let emptied = Values::of_form(&Form::parse(b"metadata=+")).body(&before, &[]).expect("JSON").expect("a change");
        assert!(emptied.ends_with(r#""metadata":{}}"#), "{emptied}");
    }

    #[test]
    fn a_fault_is_shown_at_its_field_and_leads_there() {
        let fault = |place: &str| Fault { place: place.to_owned(), detail: format!("{place} is wrong") };
        let problem = Problem {
            faults: vec![fault("billing_address/country"), fault("metadata/a"), fault("x")],
            ..Problem::default()
        };
        let text = inputs(&Values::of_customer(&customer()), Some(&problem), true).into_string();
        for expected in [
            r##"<a href="#field-billing_address-country">billing_address/country is wrong</a>"##,
            r##"<a href="#field-metadata">metadata/a is wrong</a>"##,
            "<li>x is wrong</li>",
            r#"<p class="fault" id="field-billing_address-country-fault">"#,
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert_eq!(text.matches("aria-invalid").count(), 2);
    }
}
