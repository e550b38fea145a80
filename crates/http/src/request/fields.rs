//! Reads the fields of a body one by one and collects every rule that they break.

use std::ops::RangeInclusive;

use roster_application::json::Pointer;
use roster_domain::{Edit, Json, Object, Rule};

use crate::failure::{Failure, Fault, Faults, Place};

/// The unread fields of one object of a body, and the faults found so far.
#[derive(Debug)]
pub(crate) struct Fields {
    at: Pointer,
    object: Object,
    faults: Faults,
}

impl Fields {
    /// The fields of a body, which must be an object.
    pub(crate) fn of_body(body: Json) -> Result<Self, Failure> {
        let at = Pointer::default();
        match body {
            Json::Object(object) => Ok(Self { at, object, faults: Faults::default() }),
            _ => Err(wrong_type(at, "an object").into()),
        }
    }

    /// A text field, parsed by `parse`.
    pub(crate) fn text<T, E: Rule>(&mut self, key: &str, parse: impl FnOnce(String) -> Result<T, E>) -> Edit<T> {
        match self.object.take(key) {
            None => Edit::Keep,
            Some(Json::Null) => Edit::Clear,
            Some(Json::String(text)) => match parse(text) {
                Ok(value) => Edit::Set(value),
                Err(rule) => self.broken(key, &rule),
            },
            Some(_) => self.mistyped(key, "a string"),
        }
    }

    /// A field that is a text, parsed by `parse`, or `true` or `false`, for which `of_flag` has the value.
    pub(crate) fn text_or_flag<T, E: Rule>(
        &mut self,
        key: &str,
        parse: impl FnOnce(String) -> Result<T, E>,
        of_flag: impl FnOnce(bool) -> T,
    ) -> Edit<T> {
        match self.object.take(key) {
            None => Edit::Keep,
            Some(Json::Null) => Edit::Clear,
            Some(Json::Bool(flag)) => Edit::Set(of_flag(flag)),
            Some(Json::String(text)) => match parse(text) {
                Ok(value) => Edit::Set(value),
                Err(rule) => self.broken(key, &rule),
            },
            Some(_) => self.mistyped(key, "true, false or a string"),
        }
    }

    /// An object field, parsed by `parse`.
    pub(crate) fn object<T, E: Rule>(&mut self, key: &str, parse: impl FnOnce(Object) -> Result<T, E>) -> Edit<T> {
        match self.object.take(key) {
            None => Edit::Keep,
            Some(Json::Null) => Edit::Clear,
            Some(Json::Object(object)) => match parse(object) {
                Ok(value) => Edit::Set(value),
                Err(rule) => self.broken(key, &rule),
            },
            Some(_) => self.mistyped(key, "an object"),
        }
    }

    /// A field that is a list of texts, each parsed by `parse`.
    pub(crate) fn texts<T, E: Rule>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, E>) -> Edit<Vec<T>> {
        let items = match self.object.take(key) {
            None => return Edit::Keep,
            Some(Json::Null) => return Edit::Clear,
            Some(Json::Array(items)) => items,
            Some(_) => return self.mistyped(key, "a list of strings"),
        };
        let mut read = Vec::new();
        for (place, item) in items.into_iter().enumerate() {
            let at = || self.at.key(key).index(place);
            match item {
                Json::String(text) => match parse(&text) {
                    Ok(value) => read.push(value),
                    Err(rule) => self.faults.add(|| Fault::new(Place::Body(at()), &rule)),
                },
                _ => self.faults.add(|| wrong_type(at(), "a string")),
            }
        }
        Edit::Set(read)
    }

    /// A field that is a whole number within `bounds`.
    pub(crate) fn number(&mut self, key: &str, bounds: RangeInclusive<u64>) -> Edit<u64> {
        let number = match self.object.take(key) {
            None => return Edit::Keep,
            Some(Json::Null) => return Edit::Clear,
            Some(Json::Number(number)) => number,
            Some(_) => return self.mistyped(key, "a number"),
        };
        if let Some(number) = number.as_str().parse().ok().filter(|number| bounds.contains(number)) {
            return Edit::Set(number);
        }
        let detail = format!("must be a whole number from {} to {}", bounds.start(), bounds.end());
        self.faults.add(|| Fault { place: Place::Body(self.at.key(key)), code: "out_of_range", detail });
        Edit::Keep
    }

    /// An object field; `read` reads the fields of the object.
    pub(crate) fn nested<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> T) -> Edit<T> {
        match self.object.take(key) {
            None => Edit::Keep,
            Some(Json::Null) => Edit::Clear,
            Some(Json::Object(object)) => {
                let mut inner = Self { at: self.at.key(key), object, faults: Faults::default() };
                let value = read(&mut inner);
                self.faults.append(inner.faults);
                Edit::Set(value)
            }
            Some(_) => self.mistyped(key, "an object"),
        }
    }

    /// A field that is `true` or `false`; a missing field or `null` is `false`.
    pub(crate) fn flag(&mut self, key: &str) -> bool {
        match self.object.take(key) {
            None | Some(Json::Null | Json::Bool(false)) => false,
            Some(Json::Bool(true)) => true,
            Some(_) => {
                let _keep: Edit<()> = self.mistyped(key, "true or false");
                false
            }
        }
    }

    /// Adds the fault that `key` is missing, unless `key` has a fault already.
    pub(crate) fn require(&mut self, key: &str) {
        let at = self.at.key(key);
        let known = self.faults.listed().iter().any(|fault| matches!(&fault.place, Place::Body(place) if *place == at));
        if !known {
            self.faults.add(|| Fault { place: Place::Body(at), code: "required", detail: "is required".to_owned() });
        }
    }

    /// Adds the fault that `fault` makes for the place of `key`.
    pub(crate) fn refuse(&mut self, key: &str, fault: impl FnOnce(Place) -> Fault) {
        self.faults.add(|| fault(Place::Body(self.at.key(key))));
    }

    /// Adds a fault for every field that was not read.
    pub(crate) fn refuse_the_rest(&mut self) {
        for (key, _) in std::mem::take(&mut self.object) {
            self.faults.add(|| Fault {
                place: Place::Body(self.at.key(&key)),
                code: "unknown_field",
                detail: "is not a field of this request".to_owned(),
            });
        }
    }

    /// `value`, if no rule was broken.
    pub(crate) fn finish<T>(self, value: T) -> Result<T, Failure> {
        self.faults.check().map(|()| value)
    }

    fn broken<T>(&mut self, key: &str, rule: &dyn Rule) -> Edit<T> {
        self.faults.add(|| Fault::new(Place::Body(self.at.key(key)), rule));
        Edit::Keep
    }

    fn mistyped<T>(&mut self, key: &str, wanted: &str) -> Edit<T> {
        self.faults.add(|| wrong_type(self.at.key(key), wanted));
        Edit::Keep
    }
}

fn wrong_type(at: Pointer, wanted: &str) -> Fault {
    Fault { place: Place::Body(at), code: "wrong_type", detail: format!("must be {wanted}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roster_application::json;
    use roster_domain::{Name, Phone};

    fn fields(body: &str) -> Fields {
        Fields::of_body(json::read(body.as_bytes()).expect("JSON")).expect("an object")
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
        let _faulty = (fields.texts("c", parse), fields.texts("d", parse));
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
        let _name = fields.text("name", Name::parse);
        fields.flag("flag");
        let _inner = fields.nested("inner", |inner| {
            let _name = inner.text("name", Name::parse);
            inner.refuse_the_rest();
        });
        fields.require("email");
        fields.require("name");
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
            let result = Fields::of_body(json::read(body.as_bytes()).expect("JSON"));
            assert_eq!(faults(result), [("body".to_owned(), "wrong_type")]);
        }
    }
}
