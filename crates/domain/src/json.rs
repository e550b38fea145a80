//! JSON values as this service keeps them: exact numbers, objects in their order, no duplicate keys.
//!
//! `roster-application` reads JSON text, because that needs a library. Writing is here, because the limit of metadata
//! counts written bytes.

use std::collections::HashMap;
use std::fmt::{self, Write as _};

/// A JSON value (RFC 8259).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, exact to the last digit.
    Number(Number),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Object),
}

/// A number as its literal: neither rounded nor limited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number(String);

impl Number {
    /// Parses a number literal of RFC 8259 §6. `None` for anything else.
    #[must_use]
    pub fn parse(literal: &str) -> Option<Self> {
        let unsigned = literal.strip_prefix('-').unwrap_or(literal);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let valid = digits(whole)
            && (whole == "0" || !whole.starts_with('0'))
            && fraction.is_none_or(digits)
            && exponent.is_none_or(|text| digits(text.strip_prefix(['+', '-']).unwrap_or(text)));
        valid.then(|| Self(literal.to_owned()))
    }

    /// The literal.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An object: pairs in their original order, without duplicate keys.
#[derive(Debug, Clone, Default)]
pub struct Object(Vec<(String, Json)>);

impl PartialEq for Object {
    /// Objects are equal as JSON: the order of their keys makes no difference.
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().all(|(key, value)| other.get(key) == Some(value))
    }
}

impl Eq for Object {}

impl Object {
    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    /// Removes `key` and returns its value.
    pub fn take(&mut self, key: &str) -> Option<Json> {
        let index = self.0.iter().position(|(k, _)| k == key)?;
        Some(self.0.remove(index).1)
    }

    /// Whether it has no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pairs in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Merges `patch` into this object by RFC 7396: `null` removes a key, objects are merged, any other value replaces.
    ///
    /// A known key keeps its position, new ones are added at the end. The time is that of reading both objects once: a
    /// caller may send thousands of keys.
    pub fn merge(&mut self, patch: Object) {
        let mut patch: HashMap<String, (usize, Json)> =
            patch.0.into_iter().enumerate().map(|(place, (key, value))| (key, (place, value))).collect();
        self.0.retain_mut(|(key, value)| match patch.remove(key) {
            Some((_, change)) => value.merge(change),
            None => true,
        });
        let mut new: Vec<_> = patch.into_iter().map(|(key, (place, value))| (place, key, value)).collect();
        new.sort_unstable_by_key(|(place, ..)| *place);
        for (_, key, change) in new {
            let mut value = Json::Null;
            if value.merge(change) {
                self.0.push((key, value));
            }
        }
    }
}

impl Json {
    /// Merges `change` into this value. Returns whether there is still a value.
    fn merge(&mut self, change: Self) -> bool {
        match (change, &mut *self) {
            (Self::Null, _) => return false,
            (Self::Object(patch), Self::Object(object)) => object.merge(patch),
            (Self::Object(patch), other) => {
                let mut object = Object::default();
                object.merge(patch);
                *other = Self::Object(object);
            }
            (replacement, _) => *self = replacement,
        }
        true
    }
}

impl TryFrom<Vec<(String, Json)>> for Object {
    type Error = DuplicateKey;

    /// # Errors
    /// [`DuplicateKey`] if two pairs have the same key.
    fn try_from(pairs: Vec<(String, Json)>) -> Result<Self, DuplicateKey> {
        let mut keys: Vec<&str> = pairs.iter().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        if let Some(twice) = keys.windows(2).find(|two| two[0] == two[1]) {
            return Err(DuplicateKey(twice[0].to_owned()));
        }
        Ok(Self(pairs))
    }
}

/// Two pairs of one object have the same key. It is refused because the caller's intent is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key stands twice in one object")]
pub struct DuplicateKey(pub String);

impl IntoIterator for Object {
    type Item = (String, Json);
    type IntoIter = std::vec::IntoIter<(String, Json)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Json {
    /// Writes compact JSON: no white space, and only the escapes that RFC 8259 §7 requires.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(number) => f.write_str(number.as_str()),
            Self::String(text) => write_string(f, text),
            Self::Array(items) => {
                f.write_char('[')?;
                for (place, item) in items.iter().enumerate() {
                    if place > 0 {
                        f.write_char(',')?;
                    }
                    item.fmt(f)?;
                }
                f.write_char(']')
            }
            Self::Object(object) => object.fmt(f),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('{')?;
        for (place, (key, value)) in self.iter().enumerate() {
            if place > 0 {
                f.write_char(',')?;
            }
            write_string(f, key)?;
            f.write_char(':')?;
            value.fmt(f)?;
        }
        f.write_char('}')
    }
}

fn write_string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    let mut rest = text;
    while let Some(place) = rest.find(|c: char| matches!(c, '"' | '\\' | '\0'..='\x1f')) {
        let (plain, special) = rest.split_at(place);
        f.write_str(plain)?;
        match special.as_bytes()[0] {
            b'"' => f.write_str("\\\"")?,
            b'\\' => f.write_str("\\\\")?,
            b'\n' => f.write_str("\\n")?,
            b'\r' => f.write_str("\\r")?,
            b'\t' => f.write_str("\\t")?,
            control => write!(f, "\\u{control:04x}")?,
        }
        rest = &special[1..];
    }
    f.write_str(rest)?;
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_rfc_8259() {
        for literal in ["0", "-0", "10", "1.5", "-0.1e+5", "1E400", "123456789012345678901234567890"] {
            assert!(Number::parse(literal).is_some(), "{literal}");
        }
        for literal in ["", "-", "01", "+1", "1.", ".5", "1e", "NaN", "0x1", " 1", "1e+-5", "٣"] {
            assert!(Number::parse(literal).is_none(), "{literal}");
        }
    }

    fn object(pairs: &[(&str, Json)]) -> Object {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect::<Vec<_>>()
            .try_into()
            .expect("no key twice")
    }

    #[test]
    fn a_duplicate_key_is_refused() {
        let pairs =
            vec![("a".to_owned(), Json::Null), ("b".to_owned(), Json::Null), ("a".to_owned(), Json::Bool(true))];
        assert_eq!(Object::try_from(pairs), Err(DuplicateKey("a".to_owned())));
    }

    #[test]
    fn merging_follows_rfc_7396() {
        let text = |value: &str| Json::String(value.to_owned());
        let mut target =
            object(&[("a", text("b")), ("c", Json::Object(object(&[("d", text("e")), ("f", text("g"))])))]);
        target.merge(object(&[
            ("a", text("z")),
            ("c", Json::Object(object(&[("f", Json::Null)]))),
            ("n", Json::Object(object(&[("x", Json::Null), ("y", Json::Array(vec![Json::Null]))]))),
        ]));
        assert_eq!(target.to_string(), r#"{"a":"z","c":{"d":"e"},"n":{"y":[null]}}"#);
    }

    #[test]
    fn a_merge_keeps_the_order_of_keys_and_adds_new_ones_in_the_order_of_the_patch() {
        let number = |number: usize| Json::Number(Number::parse(&number.to_string()).expect("digits"));
        let keys = |keys: &[usize]| Object(keys.iter().map(|key| (format!("k{key}"), number(*key))).collect());
        let mut target = keys(&[3, 1, 2]);
        target.merge(keys(&[9, 2, 7, 8, 3]));
        assert_eq!(target, keys(&[3, 1, 2, 9, 7, 8]));
        let order: Vec<_> = target.iter().map(|(key, _)| key).collect();
        assert_eq!(order, ["k3", "k1", "k2", "k9", "k7", "k8"]);
        // As many keys as fit into a body: with the square of their number this test would take seconds.
        let many: Vec<_> = (0..20_000).collect();
        let mut target = keys(&many);
        target.merge(keys(&many.iter().rev().copied().collect::<Vec<_>>()));
        assert_eq!(target.to_string(), keys(&many).to_string());
    }

    #[test]
    fn strings_are_escaped_where_they_must_be() {
        assert_eq!(Json::String("a\"\\\n\u{1}\u{7f}é".to_owned()).to_string(), "\"a\\\"\\\\\\n\\u0001\u{7f}é\"");
    }
}
