//! Reading JSON strictly: what cannot be kept exactly as it came is refused.

use std::fmt;

use roster_domain::{Json, Number, Object};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Text that is no JSON this service takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It breaks the grammar of RFC 8259, or holds half of a surrogate pair.
    #[error("not valid JSON, at line {line}, column {column}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// A key stands twice in one object.
    #[error("a key stands twice in one object")]
    DuplicateKey {
        /// Where the object is, as a JSON pointer (RFC 6901), with the key.
        pointer: Pointer,
    },
    /// More objects and arrays inside each other than [`MAX_LEVELS`].
    #[error("more than {MAX_LEVELS} levels deep")]
    TooDeep,
}

/// The most objects and arrays inside each other that are read at all.
pub const MAX_LEVELS: usize = 32;

/// A place in a JSON document (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pointer(String);

impl Pointer {
    /// The place of `key` in the object at this place.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self(format!("{}/{}", self.0, key.replace('~', "~0").replace('/', "~1")))
    }

    /// The place of the item with `index` in the array at this place.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}/{index}", self.0))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads one JSON value.
///
/// Numbers keep all their digits, and no key may stand twice in an object: `serde_json` alone would round the first and
/// drop one of the second.
///
/// # Errors
/// [`JsonError`], saying what is wrong and where.
pub fn read(text: &[u8]) -> Result<Json, JsonError> {
    // The whole text is checked before anything is built; the library does that without recursion, whatever the depth.
    let raw: &RawValue = serde_json::from_slice(text).map_err(|e| syntax(&e))?;
    read_raw(raw, &At::Whole, 0)
}

/// Where the reading is. It becomes a [`Pointer`] only when there is something to say of the place.
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
            let read = |(place, item)| read_raw(item, &At::Index(at, place), level + 1);
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
                .map_err(|twice| JsonError::DuplicateKey { pointer: At::Key(at, &twice.0).pointer() })
        }
        _ => Number::parse(text).map(Json::Number).ok_or(JsonError::Syntax { line: 1, column: 1 }),
    }
}

/// The pairs of an object in their order, twice the same key included.
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
    fn what_is_read_is_written_back_without_a_digit_lost() {
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
    fn what_is_no_json_is_refused() {
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
    fn a_key_that_stands_twice_is_refused_wherever_it_stands() {
        let twice = |json: &str| match read(json.as_bytes()) {
            Err(JsonError::DuplicateKey { pointer }) => pointer.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(twice(r#"{"a":1,"a":1}"#), "/a");
        assert_eq!(twice(r#"{"a":[{},{"b/c":{"x":1,"\u0078":2}}]}"#), "/a/1/b~1c/x");
    }

    #[test]
    fn depth_is_bounded_and_no_depth_overflows_the_stack() {
        let nested = |levels: usize| [b"[".repeat(levels), b"]".repeat(levels)].concat();
        assert!(read(&nested(MAX_LEVELS)).is_ok());
        assert_eq!(read(&nested(MAX_LEVELS + 1)), Err(JsonError::TooDeep));
        assert_eq!(read(&nested(60_000)), Err(JsonError::TooDeep));
        assert!(matches!(read(&b"[".repeat(60_000)), Err(JsonError::Syntax { .. })));
    }

    proptest! {
        #[test]
        fn the_library_agrees_on_what_is_json(text in "[\\[\\]{}:,\"a\\\\u0-9.eE+-]{0,24}") {
            let library = serde_json::from_str::<serde_json::Value>(&text);
            match (read(text.as_bytes()), library) {
                (Ok(value), Ok(library)) => {
                    let again: serde_json::Value = serde_json::from_str(&value.to_string()).expect("our own JSON");
                    prop_assert_eq!(library, again);
                }
                // It refuses numbers that no float can hold, and takes the last of two keys.
                (Ok(_), Err(refused)) => prop_assert!(refused.to_string().starts_with("number out of range")),
                (Err(JsonError::Syntax { .. }), library) => prop_assert!(library.is_err()),
                (Err(JsonError::DuplicateKey { .. } | JsonError::TooDeep), _) => {}
            }
        }

        #[test]
        fn a_string_comes_back(string: String) {
            let json = Json::String(string.clone()).to_string();
            prop_assert_eq!(serde_json::from_str::<String>(&json).expect("our own JSON"), string);
            prop_assert_eq!(text(json.as_bytes()), Ok(json));
        }
    }
}
