//! A strict JSON reader: it refuses what could not be stored exactly.

use std::fmt;

use roster_domain::{Json, MetadataPatch, Number, Object};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Why a JSON text was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It breaks the grammar of RFC 8259, or contains half of a surrogate pair.
    #[error("not valid JSON, at line {line}, column {column}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// An object has the same key twice.
    #[error("a key stands twice in one object")]
    DuplicateKey {
        /// Where the object is, as a JSON pointer (RFC 6901), with the key.
        pointer: Pointer,
    },
    /// More than [`MAX_LEVELS`] levels of objects and arrays.
    #[error("more than {MAX_LEVELS} levels deep")]
    TooDeep,
}

/// The most levels of objects and arrays in a text: 32.
pub const MAX_LEVELS: usize = 32;

/// A place in a JSON document (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pointer(String);

impl Pointer {
    /// The place of `key` in the object to which this points.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self(format!("{}/{}", self.0, key.replace('~', "~0").replace('/', "~1")))
    }

    /// The place of the item `index` in the array to which this points.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}/{index}", self.0))
    }

    /// Whether `place` is this place or one inside it.
    #[must_use]
    pub fn contains(&self, place: &Self) -> bool {
        place.0.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads one JSON value.
///
/// Numbers keep all their digits, and an object with a duplicate key is refused: `serde_json` alone would round the
/// numbers and drop one of the two values.
///
/// # Errors
/// [`JsonError`], with the reason and the place.
pub fn read(text: &[u8]) -> Result<Json, JsonError> {
    // Checks the whole text before anything is built. The library does that without recursion, so a deeply nested text
    // cannot overflow the stack.
    let raw: &RawValue = serde_json::from_slice(text).map_err(|e| syntax(&e))?;
    read_raw(raw, &At::Whole, 0)
}

/// A metadata patch, with the parser for the stored metadata.
#[must_use]
pub fn metadata_patch(patch: Object) -> MetadataPatch {
    let parse = |text: &str| match read(text.as_bytes()) {
        Ok(Json::Object(object)) => Some(object),
        Ok(_) | Err(_) => None,
    };
    MetadataPatch { patch, parse }
}

/// The reader's position. It is turned into a [`Pointer`] only for an error, so valid texts need no allocation for it.
enum At<'a> {
    Whole,
    Key(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

impl At<'_> {
    fn pointer(&self) -> Pointer {
        match self {
            Self::Whole => Pointer::default(),
            Self::Key(object, key) => object.pointer().key(key),
            Self::Index(array, index) => array.pointer().index(*index),
        }
    }
}

fn syntax(error: &serde_json::Error) -> JsonError {
    JsonError::Syntax { line: error.line(), column: error.column() }
}

fn read_raw(raw: &RawValue, at: &At<'_>, level: usize) -> Result<Json, JsonError> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'n') => Ok(Json::Null),
        Some(b't') => Ok(Json::Bool(true)),
        Some(b'f') => Ok(Json::Bool(false)),
        Some(b'"') => serde_json::from_str(text).map(Json::String).map_err(|e| syntax(&e)),
        Some(b'[' | b'{') if level == MAX_LEVELS => Err(JsonError::TooDeep),
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|e| syntax(&e))?;
            let read = |(index, item)| read_raw(item, &At::Index(at, index), level + 1);
            Ok(Json::Array(items.into_iter().enumerate().map(read).collect::<Result<_, _>>()?))
        }
        Some(b'{') => {
            let Pairs(pairs) = serde_json::from_str(text).map_err(|e| syntax(&e))?;
            let read = |(key, raw): (String, &RawValue)| {
                let value = read_raw(raw, &At::Key(at, &key), level + 1)?;
                Ok((key, value))
            };
            let pairs: Vec<_> = pairs.into_iter().map(read).collect::<Result<_, _>>()?;
            Object::try_from(pairs)
                .map(Json::Object)
                .map_err(|duplicate| JsonError::DuplicateKey { pointer: At::Key(at, &duplicate.0).pointer() })
        }
        _ => Number::parse(text).map(Json::Number).ok_or(JsonError::Syntax { line: 1, column: 1 }),
    }
}

/// The pairs of an object in their order, including duplicate keys.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Collect).map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(json: &[u8]) -> Result<String, JsonError> {
        read(json).map(|value| value.to_string())
    }

    #[test]
    fn a_value_is_written_exactly_as_it_was_read() {
        for json in [
            "null",
            "[]",
            r#"{"a":[1,{"b":"é"}],"":true}"#,
            "123456789012345678901234567890.1000",
            "1e400",
            r#"{"z":1,"a":2}"#,
            r#"{"$serde_json::private::Number":"x"}"#,
        ] {
            assert_eq!(text(json.as_bytes()).as_deref(), Ok(json));
        }
    }

    #[test]
    fn a_place_contains_itself_and_what_is_inside_it() {
        let [a, ab] = ["a", "ab"].map(|key| Pointer::default().key(key));
        assert!(a.contains(&a) && a.contains(&a.index(0)) && Pointer::default().contains(&a));
        assert!(!a.contains(&ab) && !a.index(0).contains(&a));
    }

    #[test]
    fn invalid_json_is_refused() {
        let broken: [&[u8]; 13] = [
            b"",
            b" ",
            b"{",
            b"{]",
            b"nul",
            b"01",
            b"1.",
            b"\"\x01\"",
            b"\"\\ud800\"",
            b"{\"\\udc00\":1}",
            b"\"\xff\"",
            b"1 2",
            b"{'a':1}",
        ];
        for json in broken {
            assert!(matches!(read(json), Err(JsonError::Syntax { .. })), "{json:?}");
        }
    }

    #[test]
    fn a_duplicate_key_is_refused_at_any_depth() {
        let twice = |json: &str| match read(json.as_bytes()) {
            Err(JsonError::DuplicateKey { pointer }) => pointer.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(twice(r#"{"a":1,"a":1}"#), "/a");
        assert_eq!(twice(r#"{"a":[{},{"b/c":{"x":1,"\u0078":2}}]}"#), "/a/1/b~1c/x");
    }

    #[test]
    fn depth_is_limited_and_deep_texts_do_not_overflow_the_stack() {
        let nested = |levels: usize| [b"[".repeat(levels), b"]".repeat(levels)].concat();
        assert!(read(&nested(MAX_LEVELS)).is_ok());
        assert_eq!(read(&nested(MAX_LEVELS + 1)), Err(JsonError::TooDeep));
        assert_eq!(read(&nested(60_000)), Err(JsonError::TooDeep));
        assert!(matches!(read(&b"[".repeat(60_000)), Err(JsonError::Syntax { .. })));
    }

    proptest! {
        #[test]
        fn the_reader_agrees_with_serde_json(text in "[\\[\\]{}:,\"a\\\\u0-9.eE+-]{0,24}") {
            let library = serde_json::from_str::<serde_json::Value>(&text);
            match (read(text.as_bytes()), library) {
                (Ok(value), Ok(library)) => {
                    let again: serde_json::Value = serde_json::from_str(&value.to_string()).expect("our own JSON");
                    prop_assert_eq!(library, again);
                }
                // The library refuses numbers beyond the range of `f64`, and keeps the last of two equal keys.
                (Ok(_), Err(refused)) => prop_assert!(refused.to_string().starts_with("number out of range")),
                (Err(JsonError::Syntax { .. }), library) => prop_assert!(library.is_err()),
                (Err(JsonError::DuplicateKey { .. } | JsonError::TooDeep), _) => {}
            }
        }

        #[test]
        fn every_string_survives_a_round_trip(string: String) {
            let json = Json::String(string.clone()).to_string();
            prop_assert_eq!(serde_json::from_str::<String>(&json).expect("our own JSON"), string);
            prop_assert_eq!(text(json.as_bytes()), Ok(json));
        }
    }
}
