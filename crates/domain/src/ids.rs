//! Identifiers: one UUIDv7 each, written as a prefix and 26 characters of [`base32`].

use std::fmt;

use uuid::Uuid;

use crate::{Rule, base32};

/// Not an identifier of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an identifier: {prefix} and 26 characters of lower-case Crockford base32")]
pub struct IdError {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

impl Rule for IdError {
    fn code(&self) -> &'static str {
        "invalid_id"
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The prefix before the 26 characters, except on surfaces that have their own.
            pub const PREFIX: &str = $prefix;

            /// Makes the identifier from its 128 bits.
            #[must_use]
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// Its 128 bits.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// Parses the prefix and the 26 characters.
            ///
            /// # Errors
            /// [`IdError`] for anything else.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(Self::PREFIX)
                    .and_then(Self::from_suffix)
                    .ok_or(IdError { prefix: Self::PREFIX })
            }

            /// The 26 characters in lower case, the same on every surface.
            #[must_use]
            pub fn suffix(self) -> base32::Encoded {
                base32::encode(self.0.as_u128())
            }

            /// Parses the 26 characters in lower case. `None` for anything else.
            #[must_use]
            pub fn from_suffix(suffix: &str) -> Option<Self> {
                base32::decode(suffix).map(|bits| Self(Uuid::from_u128(bits)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Self::PREFIX)?;
                f.write_str(&self.suffix())
            }
        }
    };
}

id!(
    /// Identifies one customer. A version 7 UUID, so that sorting by id sorts by creation.
    CustomerId, "cus_"
);
impl CustomerId {
    /// The identifier of the customer that row `number` of an import makes. Rows of one import have identifiers in their order,
    /// and the same each time; those of two imports differ.
    ///
    /// A version 7 UUID: the time of the import, the number, and 34 random bits of the identifier of the import.
    #[must_use]
    pub const fn of_row(import: ImportId, number: u64) -> Self {
        let import = import.uuid().as_u128();
        let (number, time) = (number as u128 & ((1 << 40) - 1), import & !((1 << 80) - 1));
        let random = import & ((1 << 34) - 1);
        // 12 bits of the number are before the variant, 28 behind it.
        Self(Uuid::from_u128(
            time | 7 << 76 | (number >> 28) << 64 | 0b10 << 62 | (number & ((1 << 28) - 1)) << 34 | random,
        ))
    }
}

id!(
    /// Identifies one import of customers. A version 7 UUID, so that sorting by id sorts by time.
    ImportId, "imp_"
);
id!(
    /// Identifies one upload of a file to be imported. A version 7 UUID, so that sorting by id sorts by time.
    UploadId, "upl_"
);
id!(
    /// Identifies one merchant.
    MerchantId, "org_"
);
id!(
    /// Identifies one event. Not a UUID: the place of the event in the log of its tenant, and a digest that tells it apart
    /// from the event of any other log at that place.
    EventId, "evt_"
);

impl EventId {
    /// The identifier of the event at `seq`.
    #[must_use]
    pub const fn at(seq: i64, digest: [u8; 8]) -> Self {
        Self::new(Uuid::from_u64_pair(seq.cast_unsigned(), u64::from_be_bytes(digest)))
    }

    /// The place of the event in the log of its tenant.
    #[must_use]
    pub const fn seq(self) -> i64 {
        self.uuid().as_u64_pair().0.cast_signed()
    }
}

id!(
    /// Identifies one API key; it is not secret.
    ApiKeyId, "key_"
);
id!(
    /// Identifies one operator; it is not secret. A version 7 UUID.
    OperatorId, "op_"
);
id!(
    /// Identifies one entry of the operator log. A version 7 UUID, so that sorting by id sorts by time.
    LogEntryId, "log_"
);
id!(
    /// Identifies one webhook endpoint. A version 7 UUID.
    EndpointId, "we_"
);
id!(
    /// Identifies one attempt to deliver to a webhook endpoint. A version 7 UUID, so that sorting by id sorts by time.
    AttemptId, "att_"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_an_import_have_ascending_identifiers_of_version_7() {
        let import = ImportId::new(Uuid::from_u128(0x0188_bac7_4afa_78aa_bc3b_bd1e_ef28_d881));
        let other = ImportId::new(Uuid::from_u128(0x0188_bac7_4afa_78aa_bc3b_bd1e_ef28_d882));
        let numbers = [1, 2, 3, (1 << 28) - 1, 1 << 28, (1 << 28) + 1, (1 << 40) - 1];
        let ids = numbers.map(|number| CustomerId::of_row(import, number).uuid());
        assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
        for (number, id) in numbers.into_iter().zip(ids) {
            assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
            assert_eq!(id.as_u128() >> 80, import.uuid().as_u128() >> 80);
            assert_ne!(CustomerId::of_row(other, number).uuid(), id);
        }
    }
}
