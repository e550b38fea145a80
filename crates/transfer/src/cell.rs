use roster_domain::Json;

use crate::fields::Refused;

/// What a file has in one place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// A cell of a CSV file.
    Text(String),
    /// A value of a JSON object.
    Json(Json),
}

impl Cell {
    /// Its text. `None` if it is absent; a JSON text that is empty is not.
    pub(crate) fn into_text(self) -> Result<Option<String>, Refused> {
        match self {
            Self::Text(text) | Self::Json(Json::String(text)) => Ok(Some(text)),
            Self::Json(Json::Null) => Ok(None),
            Self::Json(Json::Number(number)) => Ok(Some(number.as_str().to_owned())),
            Self::Json(Json::Bool(value)) => Ok(Some(value.to_string())),
            Self::Json(Json::Array(_) | Json::Object(_)) => {
                Err(Refused::new("not_a_text", "must be a text, a number or a boolean"))
            }
        }
    }

    /// Its value in metadata. `None` if it is absent.
    pub(crate) fn into_json(self) -> Option<Json> {
        match self {
            Self::Text(text) => Some(Json::String(text)),
            Self::Json(Json::Null) => None,
            Self::Json(json) => Some(json),
        }
    }
}
