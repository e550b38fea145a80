//! Metadata: JSON data that a merchant stores with a customer. The details of a subscription keep the same limits.

use crate::{Json, Object, Rule};

/// A JSON object of at most 16 KiB as compact JSON text, and at most 8 levels deep.
///
/// Two are equal if their texts are equal: the order of keys counts, because callers get it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata(Box<str>);

/// Why metadata was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// More than 16,384 bytes as compact JSON.
    #[error("must be at most 16384 bytes of JSON")]
    TooLarge,
    /// More than 8 levels of objects and arrays, counting the metadata object itself.
    #[error("must be at most 8 levels deep")]
    TooDeep,
    /// A NUL in a value, which PostgreSQL cannot store.
    #[error("must not contain NUL characters")]
    Nul,
    /// A control character in a key.
    #[error("must not have control characters in its keys")]
    ControlCharacterInKey,
    /// The stored text, into which a patch is merged, is not a JSON object.
    #[error("cannot be merged: what is stored is not a JSON object")]
    Unreadable,
}

impl MetadataError {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::TooLarge, Self::TooDeep, Self::Nul, Self::ControlCharacterInKey, Self::Unreadable];
}

impl Rule for MetadataError {
    fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::TooDeep => "too_deep",
            Self::Nul | Self::ControlCharacterInKey => "control_character",
            Self::Unreadable => "unreadable",
        }
    }
}

impl Metadata {
    /// The most bytes it may have as compact JSON.
    pub const MAX_BYTES: usize = 16_384;
    /// The most levels of objects and arrays, counting the metadata object itself.
    pub const MAX_LEVELS: usize = 8;

    /// Checks the limits of `object`.
    ///
    /// # Errors
    /// [`MetadataError`], the limit that it exceeds.
    pub fn new(object: &Object) -> Result<Self, MetadataError> {
        check_object(object, 1)?;
        let text = object.to_string();
        if text.len() > Self::MAX_BYTES {
            return Err(MetadataError::TooLarge);
        }
        Ok(Self(text.into()))
    }

    /// Takes the text of a row that this service wrote, without parsing it. The database checks that it is a JSON
    /// object.
    #[must_use]
    pub fn restore(text: String) -> Self {
        Self(text.into())
    }

    /// The object as compact JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Metadata {
    /// An empty object.
    fn default() -> Self {
        Self("{}".into())
    }
}

fn check_object(object: &Object, level: usize) -> Result<(), MetadataError> {
    for (key, value) in object.iter() {
        if key.chars().any(char::is_control) {
            return Err(MetadataError::ControlCharacterInKey);
        }
        check_value(value, level)?;
    }
    Ok(())
}

fn check_value(value: &Json, level: usize) -> Result<(), MetadataError> {
    match value {
        Json::String(text) if text.contains('\0') => Err(MetadataError::Nul),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Ok(()),
        Json::Array(_) | Json::Object(_) if level == Metadata::MAX_LEVELS => Err(MetadataError::TooDeep),
        Json::Array(items) => items.iter().try_for_each(|item| check_value(item, level + 1)),
        Json::Object(object) => check_object(object, level + 1),
    }
}

/// A change of a customer's metadata.
#[derive(Debug, Clone, Default)]
pub enum MetadataEdit {
    /// Leave it as it is.
    #[default]
    Keep,
    /// Replace it with this.
    Replace(Metadata),
    /// Merge this into it, key by key (RFC 7396).
    Merge(MetadataPatch),
}

/// A patch, and a parser for the stored text into which it is merged.
#[derive(Debug, Clone)]
pub struct MetadataPatch {
    /// The keys to set, and to remove where the value is `null`.
    pub patch: Object,
    /// Parses JSON text; `None` if it is not an object. It is passed in because parsing needs a library.
    pub parse: fn(&str) -> Option<Object>,
}

impl MetadataEdit {
    pub(crate) fn apply(self, metadata: &mut Metadata) -> Result<(), MetadataError> {
        match self {
            Self::Keep => {}
            Self::Replace(new) => *metadata = new,
            Self::Merge(MetadataPatch { patch, parse }) => {
                let mut merged = parse(metadata.as_str()).ok_or(MetadataError::Unreadable)?;
                merged.merge(patch);
                *metadata = Metadata::new(&merged)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: Json) -> Object {
        Object::try_from(vec![("k".to_owned(), value)]).expect("one key")
    }

    fn nested(levels: usize) -> Object {
        (1..levels).fold(Object::default(), |inner, _| one(Json::Object(inner)))
    }

    #[test]
    fn eight_levels_are_allowed_and_nine_are_not() {
        assert!(Metadata::new(&nested(8)).is_ok());
        assert_eq!(Metadata::new(&nested(9)), Err(MetadataError::TooDeep));
        let array = (1..9).fold(Json::Array(vec![]), |inner, _| Json::Array(vec![inner]));
        assert_eq!(Metadata::new(&one(array)), Err(MetadataError::TooDeep));
    }

    #[test]
    fn sixteen_kibibytes_are_allowed_and_one_more_byte_is_not() {
        let frame = r#"{"k":""}"#.len();
        let fits = Json::String("x".repeat(Metadata::MAX_BYTES - frame));
        let exceeds = Json::String("x".repeat(Metadata::MAX_BYTES - frame + 1));
        assert!(Metadata::new(&one(fits)).is_ok());
        assert_eq!(Metadata::new(&one(exceeds)), Err(MetadataError::TooLarge));
    }

    #[test]
    fn control_characters_are_allowed_in_values_only_and_nul_nowhere() {
        let object = |key: &str, value: &str| {
            Object::try_from(vec![(key.to_owned(), Json::String(value.to_owned()))]).expect("one key")
        };
        assert!(Metadata::new(&object("k", "a\tb\n")).is_ok());
        assert_eq!(Metadata::new(&object("k", "a\0")), Err(MetadataError::Nul));
        assert_eq!(Metadata::new(&object("k\n", "a")), Err(MetadataError::ControlCharacterInKey));
    }

    #[test]
    fn the_limits_apply_to_merged_metadata() {
        fn half() -> Json {
            Json::String("x".repeat(Metadata::MAX_BYTES / 2))
        }
        let mut metadata = Metadata::new(&one(half())).expect("small enough");
        let before = metadata.clone();
        let patch = Object::try_from(vec![("l".to_owned(), half())]).expect("one key");
        let edit = MetadataEdit::Merge(MetadataPatch { patch, parse: |_| Some(one(half())) });
        assert_eq!(edit.apply(&mut metadata), Err(MetadataError::TooLarge));
        assert_eq!(metadata, before);
    }

    #[test]
    fn merging_into_stored_text_that_is_no_object_is_refused() {
        let mut metadata = Metadata::restore("[]".to_owned());
        let edit = MetadataEdit::Merge(MetadataPatch { patch: Object::default(), parse: |_| None });
        assert_eq!(edit.apply(&mut metadata), Err(MetadataError::Unreadable));
    }
}
