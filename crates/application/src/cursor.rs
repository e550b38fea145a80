//! Cursors: where a list goes on, as a text that only this service can make.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use roster_domain::{CustomerId, Tenant, Timestamp};
use sha2::Sha256;
use uuid::Uuid;

use crate::ports::{CustomerFilter, CustomerState, ListOrder, Place};

/// The key that authenticates cursors. All instances of a service have the same.
#[derive(Clone)]
pub struct CursorKey(Hmac<Sha256>);

impl fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CursorKey")
    }
}

/// The list that a cursor belongs to: its tenant, its filters and its order. A cursor opens for no other list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorScope(Vec<u8>);

/// The first byte of each cursor, so that another format can be told apart later.
const FORMAT: u8 = 1;

/// The length of the tag, in bytes: half of the HMAC, which may be cut to that (RFC 2104 §5).
const TAG: usize = 16;

impl CursorKey {
    /// The key from 32 random bytes.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        // A key of HMAC is filled up with zeros to a block.
        let mut block = [0; 64];
        block[..secret.len()].copy_from_slice(secret);
        Self(Hmac::new(&block.into()))
    }

    /// The cursor for `place` of the list of `scope`: its format, the place, and a tag over both and the scope, in URL-safe
    /// Base64.
    #[must_use]
    pub fn seal(&self, scope: &CursorScope, place: &[u8]) -> String {
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(place);
        let tag = self.mac(scope, &bytes).finalize().into_bytes();
        bytes.extend_from_slice(&tag[..TAG]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place of a cursor that was sealed for the same list. `None` for any other text.
    #[must_use]
    pub fn open(&self, scope: &CursorScope, cursor: &str) -> Option<Vec<u8>> {
        let mut bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let tag = bytes.split_off(bytes.len().checked_sub(TAG)?);
        // In constant time, so that no caller can find a tag byte by byte.
        self.mac(scope, &bytes).verify_truncated_left(&tag).ok()?;
        (bytes.first() == Some(&FORMAT)).then(|| bytes.split_off(1))
    }

    fn mac(&self, scope: &CursorScope, bytes: &[u8]) -> Hmac<Sha256> {
        self.0.clone().chain_update((scope.0.len() as u64).to_be_bytes()).chain_update(&scope.0).chain_update(bytes)
    }
}

impl CursorScope {
    /// The list called `name` of `tenant`.
    #[must_use]
    pub fn new(name: &str, tenant: Tenant) -> Self {
        let scope = Self(Vec::new()).with("list", name);
        scope.with("merchant", &tenant.merchant.to_string()).with("environment", tenant.environment.as_str())
    }

    /// The list called `name` of operators, which belongs to no tenant.
    #[must_use]
    pub fn of_operators(name: &str) -> Self {
        Self(Vec::new()).with("operators", name)
    }

    /// The list with a condition more.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        // With their lengths: no two lists of conditions have the same bytes.
        for text in [name, value] {
            self.0.extend_from_slice(&(text.len() as u64).to_be_bytes());
            self.0.extend_from_slice(text.as_bytes());
        }
        self
    }

    fn with_some(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, &value.to_string()),
            None => self,
        }
    }

    /// The list of the customers of `tenant` that `filter` includes, in `order`.
    #[must_use]
    pub fn of_customers(tenant: Tenant, filter: &CustomerFilter, order: ListOrder) -> Self {
        let CustomerFilter {
            state,
            email_key,
            external_id,
            created_after,
            created_before,
            updated_after,
            metadata,
            search,
        } = filter;
        let order = match order {
            ListOrder::Ascending => "ascending",
            ListOrder::Descending => "descending",
        };
        let state = match state {
            CustomerState::Live => "live",
            CustomerState::Active => "active",
            CustomerState::Archived => "archived",
            CustomerState::Deleted => "deleted",
            CustomerState::Any => "any",
        };
        let scope = Self::new("customers", tenant)
            .with("order", order)
            .with("state", state)
            .with_some("email", email_key.as_ref())
            .with_some("external_id", external_id.as_ref().map(roster_domain::ExternalId::as_str))
            .with_some("created_after", created_after.map(Timestamp::as_millis))
            .with_some("created_before", created_before.map(Timestamp::as_millis))
            .with_some("updated_after", updated_after.map(Timestamp::as_millis))
            .with_some("search", search.as_ref().map(roster_domain::SearchTerm::as_str));
        // All must hold, so that their order makes no other list.
        let mut metadata: Vec<_> = metadata.iter().collect();
        metadata.sort_unstable();
        metadata.into_iter().fold(scope, |scope, condition| {
            scope.with("metadata key", &condition.key).with("metadata value", &condition.value)
        })
    }
}

impl Place {
    /// The place in the bytes of a cursor.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        [self.created_at.as_millis().to_be_bytes().as_slice(), self.id.uuid().as_bytes()].concat()
    }

    /// The place that [`Place::to_bytes`] has written.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (millis, id) = bytes.split_first_chunk()?;
        let created_at = Timestamp::from_millis(i64::from_be_bytes(*millis)).ok()?;
        Some(Self { created_at, id: CustomerId::new(Uuid::from_slice(id).ok()?) })
    }
}

#[cfg(test)]
mod tests {
    use roster_domain::{Environment, ExternalId, MerchantId, SearchTerm};

    use super::*;
    use crate::ports::MetadataCondition;

    fn tenant(number: u128, environment: Environment) -> Tenant {
        Tenant { merchant: MerchantId::new(Uuid::from_u128(number)), environment }
    }

    fn place() -> Place {
        let created_at = Timestamp::from_millis(-1).expect("a time");
        Place { created_at, id: CustomerId::new(Uuid::from_u128(7)) }
    }

    /// Scopes that all differ.
    fn scopes() -> Vec<CursorScope> {
        let time = |millis| Timestamp::from_millis(millis).ok();
        let condition = |key: &str, value: &str| MetadataCondition { key: key.to_owned(), value: value.to_owned() };
        let plain = CustomerFilter::default();
        let filters = vec![
            plain.clone(),
            CustomerState::Active.into(),
            CustomerState::Archived.into(),
            CustomerState::Deleted.into(),
            CustomerState::Any.into(),
            CustomerFilter { email_key: Some("a@example.com".to_owned()), ..plain.clone() },
            CustomerFilter { email_key: Some("b@example.com".to_owned()), ..plain.clone() },
            CustomerFilter { external_id: ExternalId::parse("a@example.com").ok(), ..plain.clone() },
            CustomerFilter { created_after: time(1), ..plain.clone() },
            CustomerFilter { created_before: time(1), ..plain.clone() },
            CustomerFilter { updated_after: time(1), ..plain.clone() },
            CustomerFilter { updated_after: time(2), ..plain.clone() },
            CustomerFilter { search: SearchTerm::parse("a@example.com").ok(), ..plain.clone() },
            CustomerFilter { metadata: vec![condition("k", "v")], ..plain.clone() },
            CustomerFilter { metadata: vec![condition("kv", "")], ..plain.clone() },
            CustomerFilter { metadata: vec![condition("k", "v"), condition("k", "v")], ..plain },
        ];
        let tenants = [tenant(1, Environment::Live), tenant(1, Environment::Sandbox), tenant(2, Environment::Live)];
        let orders = [ListOrder::Ascending, ListOrder::Descending];
        let of = |tenant, order| filters.iter().map(move |filter| CursorScope::of_customers(tenant, filter, order));
        let all = tenants.into_iter().flat_map(|tenant| orders.into_iter().flat_map(move |order| of(tenant, order)));
        all.chain([CursorScope::new("keys", tenant(1, Environment::Live))]).collect()
    }

    #[test]
    fn a_cursor_opens_for_its_own_list_and_no_other() {
        let key = CursorKey::new(&[7; 32]);
        let scopes = scopes();
        for (sealed_for, scope) in scopes.iter().enumerate() {
            let cursor = key.seal(scope, &place().to_bytes());
            for (opened_for, scope) in scopes.iter().enumerate() {
                let opened = key.open(scope, &cursor).and_then(|bytes| Place::from_bytes(&bytes));
                assert_eq!(opened, (sealed_for == opened_for).then(place), "{sealed_for} for {opened_for}");
            }
        }
    }

    #[test]
    fn the_order_of_metadata_conditions_makes_no_other_list() {
        let condition = |key: &str| MetadataCondition { key: key.to_owned(), value: String::new() };
        let scope = |keys: [&str; 2]| {
            let filter = CustomerFilter { metadata: keys.map(condition).to_vec(), ..CustomerFilter::default() };
            CursorScope::of_customers(tenant(1, Environment::Live), &filter, ListOrder::Ascending)
        };
        assert_eq!(scope(["a", "b"]), scope(["b", "a"]));
    }

    #[test]
    fn a_cursor_with_any_bit_changed_or_cut_or_of_another_key_does_not_open() {
        let (key, scope) = (CursorKey::new(&[7; 32]), CursorScope::new("list", tenant(1, Environment::Live)));
        let cursor = key.seal(&scope, &place().to_bytes());
        assert!(key.open(&scope, &cursor).is_some());
        let bytes = URL_SAFE_NO_PAD.decode(&cursor).expect("Base64");
        for bit in 0..8 * bytes.len() {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(&scope, &URL_SAFE_NO_PAD.encode(changed)), None, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(key.open(&scope, &URL_SAFE_NO_PAD.encode(&bytes[..length])), None, "{length} bytes");
        }
        assert_eq!(CursorKey::new(&[8; 32]).open(&scope, &cursor), None);
        for text in ["", "x", "é", "01h2xcejqtf2nbrexx3vqjhp41"] {
            assert_eq!(key.open(&scope, text), None, "{text}");
        }
    }
}
