//! Reads the fields of a body one by one and collects every rule that they break.
//!
//! What reads a body also describes it: run by [`Fields::sketch`], a reader draws the schema of the bodies that it reads.

use std::ops::RangeInclusive;

use roster_application::json::Pointer;
use roster_domain::{Edit, Json, Metadata, Object, Rule};
use schemars::SchemaGenerator;
use serde_json::json;

use crate::failure::{Failure, Fault, Faults, Place};
use crate::given::{self, Given};
use crate::openapi::schema::{Described, Of, schema_of};
use crate::openapi::sketch::{MakeSchema, Sketch};

/// The unread fields of one object of a body, and the faults found so far.
pub(crate) struct Fields {
    at: Pointer,
    object: Object,
    faults: Faults,
    /// Draws the reader, if there is no body.
    sketch: Option<Sketch>,
}

impl Fields {
    /// Reads a body, which must be an object, with `reader`.
    pub(crate) fn read<T>(body: Json, reader: impl FnOnce(&mut Self) -> T) -> Result<T, Failure> {
        let mut fields = Self::of_body(body)?;
        let value = reader(&mut fields);
        fields.finish(value)
    }

    /// The fields that `reader` asks for. It must ask for all of them, whatever their values.
    pub(crate) fn sketch<T>(reader: impl FnOnce(&mut Self) -> T) -> Sketch {
        let sketch = Some(Sketch::default());
        let mut fields = Self { at: Pointer::default(), object: Object::default(), faults: Faults::default(), sketch };
        reader(&mut fields);
        fields.sketch.unwrap_or_default()
    }

    fn of_body(body: Json) -> Result<Self, Failure> {
        let at = Pointer::default();
        match body {
            Json::Object(object) => Ok(Self { at, object, faults: Faults::default(), sketch: None }),
            other => Err(wrong_type(at, "an object", &other).into()),
        }
    }

    /// A text field, parsed by `parse`.
    pub(crate) fn text<T: Described + 'static, E: Rule>(
        &mut self,
        key: &str,
        parse: impl FnOnce(String) -> Result<T, E>,
    ) -> Edit<T> {
        match self.take(key, named::<T>) {
            None => Edit::Keep,
            Some(Json::Null) => Edit::Clear,
            Some(Json::String(text)) => self.parsed(key, text, parse),
            Some(other) => self.mistyped(key, "a string", &other),
        }
    }

    /// A field that is a text, parsed by `parse`, or `true` or `false`, for which `of_flag` has the value.
    pub(crate) fn text_or_flag<T: Described + 'static, E: Rule>(
        &mut self,
        key: &str,
        parse: impl FnOnce(String) -> Result<T, E>,
        of_flag: impl FnOnce(bool) -> T,
    ) -> Edit<T> {
        let schema = || -> MakeSchema {
            Box::new(|generator| {
                let text = generator.subschema_for::<Of<T>>();
                schema_of(json!({ "anyOf": [{ "type": "boolean" }, text] }))
            })
        };
        match self.take(key, schema) {
            None => Edit::Keep,
            Some(Json::Null) => Edit::Clear,
            Some(Json::Bool(flag)) => Edit::Set(of_flag(flag)),
            Some(Json::String(text)) => self.parsed(key, text, parse),
            Some(other) => self.mistyped(key, "true, false or a string", &other),
        }
    }

    /// A field that is an object with any keys, parsed by `parse`.
    pub(crate) fn object<T, E: Rule>(&mut self, key: &str, parse: impl FnOnce(Object) -> Result<T, E>) -> Edit<T> {
        match self.take(key, named::<Metadata>) {
            None => Edit::Keep,
            Some(Json::Null) => Edit::Clear,
            Some(Json::Object(object)) => match parse(object) {
                Ok(value) => Edit::Set(value),
                Err(rule) => {
                    self.faults.add(|| Fault::new(Place::Body(self.at.key(key)), &rule));
                    Edit::Keep
                }
            },
            Some(other) => self.mistyped(key, "an object", &other),
        }
    }

    /// A field that is a list of texts, each parsed by `parse`. If one has a fault, the list counts as left out.
    pub(crate) fn texts<T: Described + 'static, E: Rule>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Edit<Vec<T>> {
        let schema = || -> MakeSchema {
            Box::new(|generator| schema_of(json!({ "type": "array", "items": generator.subschema_for::<Of<T>>() })))
        };
        let items = match self.take(key, schema) {
            None => return Edit::Keep,
            Some(Json::Null) => return Edit::Clear,
            Some(Json::Array(items)) => items,
            Some(other) => return self.mistyped(key, "a list of strings", &other),
        };
        let (mut read, count) = (Vec::new(), items.len());
        for (place, item) in items.into_iter().enumerate() {
            let at = || self.at.key(key).index(place);
            match item {
                Json::String(text) => match parse(&text) {
                    Ok(value) => read.push(value),
                    Err(rule) => self.faults.add(|| Fault::new(Place::Body(at()), &rule).given(&Given::of(&text))),
                },
                other => self.faults.add(|| wrong_type(at(), "a string", &other)),
            }
        }
        if read.len() == count { Edit::Set(read) } else { Edit::Keep }
    }

    /// A field that is a list of at most so many values, which are not looked at.
    pub(crate) fn list(&mut self, key: &str, most: usize) -> Edit<Vec<Json>> {
        let schema = || -> MakeSchema { Box::new(move |_| schema_of(json!({ "type": "array", "maxItems": most }))) };
        let items = match self.take(key, schema) {
            None => return Edit::Keep,
            Some(Json::Null) => return Edit::Clear,
            Some(Json::Array(items)) => items,
            Some(other) => return self.mistyped(key, "a list", &other),
        };
        if items.len() > most {
            let detail = format!("must have at most {most} items; given: {}", items.len());
            self.faults.add(|| Fault { place: Place::Body(self.at.key(key)), code: "too_many", detail });
            return Edit::Keep;
        }
        Edit::Set(items)
    }

    /// A field that is a whole number within `bounds`.
    pub(crate) fn number(&mut self, key: &str, bounds: RangeInclusive<u64>) -> Edit<u64> {
        let (least, most) = (*bounds.start(), *bounds.end());
        let schema = || -> MakeSchema {
            Box::new(move |_| schema_of(json!({ "type": "integer", "minimum": least, "maximum": most })))
        };
        let number = match self.take(key, schema) {
            None => return Edit::Keep,
            Some(Json::Null) => return Edit::Clear,
            Some(Json::Number(number)) => number,
            Some(other) => return self.mistyped(key, "a number", &other),
        };
        if let Some(number) = number.as_str().parse().ok().filter(|number| bounds.contains(number)) {
            return Edit::Set(number);
        }
        let detail = format!("must be a whole number from {least} to {most}, in digits alone");
        let fault = Fault { place: Place::Body(self.at.key(key)), code: "out_of_range", detail };
        self.faults.add(|| fault.given(&Given::of(number.as_str())));
        Edit::Keep
    }

    /// An object field; `read` reads the fields of the object.
    pub(crate) fn nested<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> T) -> Edit<T> {
        if let Some(sketch) = &mut self.sketch {
            let inner = Self::sketch(read);
            sketch.add(key, Box::new(move |generator| inner.schema(generator)));
            return Edit::Keep;
        }
        match self.object.take(key) {
            None => Edit::Keep,
            Some(Json::Null) => Edit::Clear,
            Some(Json::Object(object)) => {
                let mut inner = Self { at: self.at.key(key), object, faults: Faults::default(), sketch: None };
                let value = read(&mut inner);
                self.faults.append(inner.faults);
                Edit::Set(value)
            }
            Some(other) => self.mistyped(key, "an object", &other),
        }
    }

    /// A field that is `true` or `false`; a missing field or `null` is `false`.
    pub(crate) fn flag(&mut self, key: &str) -> bool {
        let schema = || -> MakeSchema { Box::new(|_| schema_of(json!({ "type": "boolean", "default": false }))) };
        match self.take(key, schema) {
            None | Some(Json::Null | Json::Bool(false)) => false,
            Some(Json::Bool(true)) => true,
            Some(other) => {
                let _keep: Edit<()> = self.mistyped(key, "true or false", &other);
                false
            }
        }
    }

    /// Adds the fault that `key` is missing or `null`, unless it or something in it has a fault already. `read` is what was read of it.
    pub(crate) fn require<T>(&mut self, key: &str, read: &Edit<T>) {
        if let Some(sketch) = &mut self.sketch {
            sketch.restrict(key, true);
        }
        match read {
            Edit::Keep => self.lacks(key, "is required"),
            Edit::Clear => self.lacks(key, "is required and must not be null"),
            Edit::Set(_) => {}
        }
    }

    /// Adds the fault that `key` is `null`. `read` is what was read of it.
    pub(crate) fn refuse_null<T>(&mut self, key: &str, read: &Edit<T>) {
        if let Some(sketch) = &mut self.sketch {
            sketch.restrict(key, false);
        }
        if matches!(read, Edit::Clear) {
            self.lacks(key, "is required and must not be null: leave it out to keep what it is");
        }
    }

    fn lacks(&mut self, key: &str, detail: &str) {
        let at = self.at.key(key);
        let known =
            self.faults.listed().iter().any(|fault| matches!(&fault.place, Place::Body(place) if at.contains(place)));
        if !known {
            self.faults.add(|| Fault { place: Place::Body(at), code: "required", detail: detail.to_owned() });
        }
    }

    /// Adds the fault that `fault` makes for the place of `key`.
    pub(crate) fn refuse(&mut self, key: &str, fault: impl FnOnce(Place) -> Fault) {
        self.faults.add(|| fault(Place::Body(self.at.key(key))));
    }

    /// Adds the fault that fields do not fit together, for the place of `key`. Not if a field has a fault of its own, which may be the
    /// cause.
    pub(crate) fn refuse_combination(&mut self, key: &str, detail: &str) {
        if self.sketch.is_none() && self.faults.listed().is_empty() {
            self.refuse(key, |place| Fault { place, code: "required", detail: detail.to_owned() });
        }
    }

    /// Adds a fault for every field that was not read.
    pub(crate) fn refuse_the_rest(&mut self) {
        if let Some(sketch) = &mut self.sketch {
            sketch.close();
        }
        for (key, _) in std::mem::take(&mut self.object) {
            self.faults.add(|| Fault {
                place: Place::Body(self.at.key(&key)),
                code: "unknown_field",
                detail: "is not a field of this request: leave it out".to_owned(),
            });
        }
    }

    fn finish<T>(self, value: T) -> Result<T, Failure> {
        self.faults.check().map(|()| value)
    }

    /// What a field was given, unless there is no body, but a sketch of its reader to draw.
    fn take(&mut self, key: &str, schema: impl FnOnce() -> MakeSchema) -> Option<Json> {
        if let Some(sketch) = &mut self.sketch {
            sketch.add(key, schema());
        }
        self.object.take(key)
    }

    fn parsed<T, E: Rule>(&mut self, key: &str, text: String, parse: impl FnOnce(String) -> Result<T, E>) -> Edit<T> {
        let given = Given::of(&text);
        match parse(text) {
            Ok(value) => Edit::Set(value),
            Err(rule) => {
                self.faults.add(|| Fault::new(Place::Body(self.at.key(key)), &rule).given(&given));
                Edit::Keep
            }
        }
    }

    fn mistyped<T>(&mut self, key: &str, wanted: &str, found: &Json) -> Edit<T> {
        self.faults.add(|| wrong_type(self.at.key(key), wanted, found));
        Edit::Keep
    }
}

fn named<T: Described + 'static>() -> MakeSchema {
    Box::new(SchemaGenerator::subschema_for::<Of<T>>)
}

fn wrong_type(at: Pointer, wanted: &str, found: &Json) -> Fault {
    let detail = format!("must be {wanted}; given: {}", given::kind(found));
    Fault { place: Place::Body(at), code: "wrong_type", detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roster_application::json as json_text;
    use roster_domain::{Name, Phone};

    fn fields(body: &str) -> Fields {
        Fields::of_body(json_text::read(body.as_bytes()).expect("JSON")).unwrap_or_else(|failure| panic!("{failure:?}"))
    }

    fn faults<T: std::fmt::Debug>(result: Result<T, Failure>) -> Vec<(String, &'static str)> {
        match result {
            Err(Failure::Invalid(faults)) => {
                faults.listed().iter().map(|fault| (fault.place.to_string(), fault.code)).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_item_of_a_list_is_parsed_and_each_fault_has_its_place() {
        let mut fields = fields(r#"{"b":null,"c":["Ada",1,"\u0000"],"d":"Ada","e":[]}"#);
        let parse = |text: &str| Name::parse(text);
        assert_eq!(fields.texts("a", parse), Edit::Keep);
        assert_eq!(fields.texts("b", parse), Edit::Clear);
        assert_eq!(fields.texts("e", parse), Edit::Set(Vec::new()));
        for key in ["c", "d"] {
            let faulty = fields.texts(key, parse);
            assert_eq!(faulty, Edit::Keep);
            // Its own faults are enough.
            fields.require(key, &faulty);
        }
        let found: Vec<_> = faults(fields.finish(())).into_iter().map(|(place, _)| place).collect();
        assert_eq!(found, ["c/1", "c/2", "d"]);
    }

    #[test]
    fn a_number_is_whole_and_within_its_bounds() {
        let mut fields = fields(r#"{"b":null,"c":7,"d":8,"e":-1,"f":1.5,"g":1e0,"h":"7","i":99999999999999999999}"#);
        assert_eq!(fields.number("a", 0..=7), Edit::Keep);
        assert_eq!(fields.number("b", 0..=7), Edit::Clear);
        assert_eq!(fields.number("c", 0..=7), Edit::Set(7));
        for key in ["d", "e", "f", "g", "h", "i"] {
            assert_eq!(fields.number(key, 0..=7), Edit::Keep);
        }
        let codes: Vec<_> = faults(fields.finish(())).into_iter().map(|(_, code)| code).collect();
        let mut expected = vec!["out_of_range"; 6];
        expected[4] = "wrong_type";
        assert_eq!(codes, expected);
    }

    #[test]
    fn a_missing_key_a_null_and_a_value_are_distinguished() {
        let mut fields = fields(r#"{"b":null,"c":"Ada"}"#);
        assert_eq!(fields.text("a", Name::parse), Edit::Keep);
        assert_eq!(fields.text("b", Name::parse), Edit::Clear);
        assert_eq!(fields.text("c", Name::parse), Name::parse("Ada").map(Edit::Set).expect("a name"));
        assert!(fields.finish(()).is_ok());
    }

    #[test]
    fn all_faults_are_reported_together_with_their_places() {
        let mut fields = fields(r#"{"phone":"1","name":5,"flag":"yes","inner":{"name":[],"x/y":1},"z":0}"#);
        let _phone = fields.text("phone", Phone::parse);
        let name = fields.text("name", Name::parse);
        fields.flag("flag");
        let _inner = fields.nested("inner", |inner| {
            let _name = inner.text("name", Name::parse);
            inner.refuse_the_rest();
        });
        fields.require("email", &Edit::<()>::Keep);
        fields.require("name", &name);
        fields.refuse_the_rest();
        let expected = [
            ("phone", "invalid_phone"),
            ("name", "wrong_type"),
            ("flag", "wrong_type"),
            ("inner/name", "wrong_type"),
            ("inner/x~1y", "unknown_field"),
            ("email", "required"),
            ("z", "unknown_field"),
        ];
        assert_eq!(faults(fields.finish(())), expected.map(|(place, code)| (place.to_owned(), code)));
    }

    #[test]
    fn a_body_that_is_not_an_object_is_refused() {
        for body in ["[]", "null", "\"x\"", "1"] {
            let result = Fields::read(json_text::read(body.as_bytes()).expect("JSON"), |_| ());
            assert_eq!(faults(result), [("body".to_owned(), "wrong_type")]);
        }
    }

    #[test]
    fn a_fault_repeats_what_its_own_field_was_given_and_nothing_else() {
        let mut fields = fields(r#"{"phone":"030 secret","name":["hidden"],"n":8,"l":["Ada\u0000"],"x":"hidden"}"#);
        let _read = (fields.text("phone", Phone::parse), fields.text("name", Name::parse), fields.number("n", 0..=7));
        let _list = fields.texts("l", |text| Name::parse(text));
        fields.refuse_the_rest();
        let Err(Failure::Invalid(faults)) = fields.finish(()) else { panic!("five faults") };
        let given = faults.listed().iter().map(|fault| fault.detail.split_once("; given: ").map(|(_, given)| given));
        let expected = [Some(r#""030 secret""#), Some("a list"), Some(r#""8""#), Some(r#""Ada\0""#), None];
        assert!(given.eq(expected), "{faults:?}");
        assert!(faults.listed().iter().all(|fault| !fault.detail.contains("hidden")), "{faults:?}");
    }

    #[test]
    fn a_reader_draws_the_fields_that_it_reads() {
        let sketch = Fields::sketch(|fields| {
            let name = fields.text("name", Name::parse);
            fields.require("name", &name);
            let phone = fields.text("phone", Phone::parse);
            fields.refuse_null("phone", &phone);
            fields.nested("inner", |inner| {
                inner.flag("flag");
                inner.number("n", 1..=7);
            });
            fields.refuse_the_rest();
        });
        let schema = sketch.schema(&mut SchemaGenerator::default());
        let inner = json!({ "type": ["object", "null"], "properties": {
            "flag": { "type": ["boolean", "null"], "default": false },
            "n": { "type": ["integer", "null"], "minimum": 1, "maximum": 7 },
        } });
        assert_eq!(
            schema.to_value(),
            json!({
                "type": "object",
                "additionalProperties": false,
                "required": ["name"],
                "properties": {
                    "name": { "$ref": "#/$defs/Name" },
                    "phone": { "$ref": "#/$defs/Phone" },
                    "inner": inner,
                },
            })
        );
    }
}
