//! What a merchant wants kept with a customer.

use crate::{Json, Object, Rule};

/// Any JSON object of at most 16 KiB, serialised, and 8 levels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata(Object);

/// Why metadata was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// More than 16,384 bytes as compact JSON.
    #[error("must be at most 16384 bytes of JSON")]
    TooLarge,
    /// More than 8 objects and arrays inside each other, the metadata object itself counted.
    #[error("must be at most 8 levels deep")]
    TooDeep,
    /// A NUL in a value, which PostgreSQL cannot keep.
    #[error("must not contain NUL characters")]
    Nul,
    /// A control character in a key.
    #[error("must not have control characters in its keys")]
    ControlCharacterInKey,
}

impl Rule for MetadataError {
    fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::TooDeep => "too_deep",
            Self::Nul | Self::ControlCharacterInKey => "control_character",
        }
    }
}

impl Metadata {
    /// The most bytes it may have as compact JSON.
    pub const MAX_BYTES: usize = 16_384;
    /// The most objects and arrays inside each other, the metadata object itself counted.
    pub const MAX_LEVELS: usize = 8;

    /// Takes an object that keeps the limits.
    ///
    /// # Errors
    /// [`MetadataError`], saying the limit.
    pub fn new(object: Object) -> Result<Self, MetadataError> {
        check_object(&object, 1)?;
        if object.to_string().len() > Self::MAX_BYTES {
            return Err(MetadataError::TooLarge);
        }
        Ok(Self(object))
    }

    /// Takes what [`Metadata::new`] once let pass, without judging it again.
    #[must_use]
    pub fn restore(object: Object) -> Self {
        Self(object)
    }

    /// The object.
    #[must_use]
    pub fn as_object(&self) -> &Object {
        &self.0
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

/// What to do with a customer's metadata.
#[derive(Debug, Clone, Default)]
pub enum MetadataEdit {
    /// Leave it as it is.
    #[default]
    Keep,
    /// Put this in its place.
    Replace(Metadata),
    /// Merge this into it, key by key (RFC 7396).
    Merge(Object),
}

impl MetadataEdit {
    pub(crate) fn apply(self, metadata: &mut Metadata) -> Result<(), MetadataError> {
        match self {
            Self::Keep => {}
            Self::Replace(new) => *metadata = new,
            Self::Merge(patch) => {
                let mut merged = metadata.0.clone();
                merged.merge(patch);
                *metadata = Metadata::new(merged)?;
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
        assert!(Metadata::new(nested(8)).is_ok());
        assert_eq!(Metadata::new(nested(9)), Err(MetadataError::TooDeep));
        let array = (1..9).fold(Json::Array(vec![]), |inner, _| Json::Array(vec![inner]));
        assert_eq!(Metadata::new(one(array)), Err(MetadataError::TooDeep));
    }

    #[test]
    fn sixteen_kibibytes_are_allowed_and_one_more_byte_is_not() {
        let frame = r#"{"k":""}"#.len();
        let fits = Json::String("x".repeat(Metadata::MAX_BYTES - frame));
        let exceeds = Json::String("x".repeat(Metadata::MAX_BYTES - frame + 1));
        assert!(Metadata::new(one(fits)).is_ok());
        assert_eq!(Metadata::new(one(exceeds)), Err(MetadataError::TooLarge));
    }

    #[test]
    fn control_characters_are_for_values_only_and_nul_for_none() {
        let object = |key: &str, value: &str| {
            Object::try_from(vec![(key.to_owned(), Json::String(value.to_owned()))]).expect("one key")
        };
        assert!(Metadata::new(object("k", "a\tb\n")).is_ok());
        assert_eq!(Metadata::new(object("k", "a\0")), Err(MetadataError::Nul));
        assert_eq!(Metadata::new(object("k\n", "a")), Err(MetadataError::ControlCharacterInKey));
    }

    #[test]
    fn what_a_merge_makes_keeps_the_limits_too() {
        let half = Json::String("x".repeat(Metadata::MAX_BYTES / 2));
        let mut metadata = Metadata::new(one(half.clone())).expect("small enough");
        let before = metadata.clone();
        let patch = Object::try_from(vec![("l".to_owned(), half)]).expect("one key");
        assert_eq!(MetadataEdit::Merge(patch).apply(&mut metadata), Err(MetadataError::TooLarge));
        assert_eq!(metadata, before);
    }
}
