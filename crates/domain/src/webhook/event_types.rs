use std::collections::BTreeSet;
use std::fmt;

use crate::{EventType, Rule, event::EventTypeError};

/// Which events are sent to an endpoint: those of some types, or all, those of types that are added later among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTypes(Option<BTreeSet<EventType>>);

/// The rule that a list of types broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventTypesError {
    /// It names no type.
    #[error("must name at least one type of event, or be [\"*\"]")]
    Empty,
    /// It names types beside `*`.
    #[error("must be [\"*\"] alone, or name types of events")]
    AllAndOthers,
    /// It names something that is no type.
    #[error(transparent)]
    Unknown(#[from] EventTypeError),
}

impl Rule for EventTypesError {
    fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::AllAndOthers => "all_and_others",
            Self::Unknown(unknown) => unknown.code(),
        }
    }
}

impl EventTypes {
    /// Events of every type.
    pub const ALL: Self = Self(None);

    /// The name that stands for all types.
    pub const WILDCARD: &str = "*";

    /// Reads the names of types, or `*` alone. A type may be named more than once.
    ///
    /// # Errors
    /// [`EventTypesError`]
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, EventTypesError> {
        let names: Vec<&str> = names.into_iter().collect();
        match names.as_slice() {
            [] => Err(EventTypesError::Empty),
            [Self::WILDCARD] => Ok(Self::ALL),
            names if names.contains(&Self::WILDCARD) => Err(EventTypesError::AllAndOthers),
            names => Ok(Self(Some(names.iter().map(|name| EventType::parse(name)).collect::<Result<_, _>>()?))),
        }
    }

    /// Reads what [`Display`](fmt::Display) writes.
    ///
    /// # Errors
    /// [`EventTypesError`] for anything else.
    pub fn restore(text: &str) -> Result<Self, EventTypesError> {
        Self::parse(text.split(' '))
    }

    /// Whether events of this type are sent.
    #[must_use]
    pub fn contain(&self, kind: EventType) -> bool {
        self.0.as_ref().is_none_or(|types| types.contains(&kind))
    }

    /// The names of the types, or `*`.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        match &self.0 {
            None => vec![Self::WILDCARD],
            Some(types) => types.iter().map(|kind| kind.as_str()).collect(),
        }
    }
}

impl fmt::Display for EventTypes {
    /// Writes the names with a space between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_types_or_all_are_read_and_written() {
        let some = EventTypes::parse(["customer.deleted", "customer.created", "customer.deleted"]).expect("types");
        assert_eq!(some.names(), ["customer.created", "customer.deleted"]);
        assert!(some.contain(EventType::CustomerDeleted) && !some.contain(EventType::CustomerUpdated));
        let all = EventTypes::parse(["*"]).expect("all");
        assert!(EventType::ALL.into_iter().all(|kind| all.contain(kind)));
        for types in [some, all] {
            assert_eq!(EventTypes::restore(&types.to_string()), Ok(types));
        }
    }

    #[test]
    fn each_broken_rule_is_named() {
        assert_eq!(EventTypes::parse([]), Err(EventTypesError::Empty));
        assert_eq!(EventTypes::parse(["*", "customer.created"]), Err(EventTypesError::AllAndOthers));
        for name in ["", "customer.*", "webhook.test"] {
            assert_eq!(EventTypes::parse([name]), Err(EventTypesError::Unknown(EventTypeError)), "{name}");
        }
    }
}
