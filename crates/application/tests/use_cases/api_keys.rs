use std::sync::Arc;
use std::time::Duration;

use roster_application::ports::{Entropy, EntropyError};
use roster_application::{
    ApiKeyOrder, ApiKeySecret, CreateApiKeyError, Grant, MAX_OVERLAP, PageSize, Roster, RotateApiKeyError, Scope,
    Scopes,
};
use roster_domain::{Environment, MerchantId, Tenant};
use roster_memory::{CountingEntropy, CountingIds, FixedClock};
use uuid::Uuid;

use crate::service::{BY, Service, name, sandbox, time};

/// The scopes of the command line.
const ALL: Scopes = Scopes::ALL;

const HOUR: Duration = Duration::from_hours(1);

fn order(tenant: Tenant) -> ApiKeyOrder {
    ApiKeyOrder { tenant, name: None, scopes: Scopes::DEFAULT, expires_at: None }
}

#[test]
fn a_key_is_stored_without_its_secret() {
    let service = Service::start();
    let end = time("2025-02-01T00:00:00Z");
    let order = ApiKeyOrder { name: Some(name("ci")), expires_at: Some(end), ..order(service.tenant) };
    let made = service.roster.create_api_key(order, BY).expect("a new key");
    assert_eq!(made.key.digest, made.secret.digest());
    assert_eq!((made.key.tenant, made.key.name.clone()), (service.tenant, Some(name("ci"))));
    assert_eq!((made.key.expires_at, made.key.revoked_at), (Some(end), None));
    assert_eq!(made.key.created_at, time("2025-01-15T12:00:00Z"));
    let listed = service.roster.list_api_keys(service.tenant, None, PageSize::DEFAULT).expect("a page");
    assert_eq!(listed.items, [made.key]);
}

#[test]
fn a_key_starts_with_the_prefix_of_its_environment() {
    let service = Service::start();
    for (tenant, start) in [(service.tenant, "sk_live_"), (sandbox(service.tenant), "sk_test_")] {
        let made = service.roster.create_api_key(order(tenant), BY).expect("a new key");
        assert!(made.secret.reveal().starts_with(start));
    }
}

#[test]
fn no_key_is_created_for_an_unknown_merchant() {
    let service = Service::start();
    let merchant = MerchantId::new(Uuid::from_u128(1));
    let refused = service.roster.create_api_key(order(Tenant { merchant, ..service.tenant }), BY);
    assert!(matches!(refused, Err(CreateApiKeyError::UnknownMerchant)), "{refused:?}");
    let listed =
        service.roster.list_api_keys(Tenant { merchant, ..service.tenant }, None, PageSize::DEFAULT).expect("a page");
    assert_eq!(listed.items, []);
}

#[test]
fn a_key_that_would_have_expired_is_not_created() {
    let service = Service::start();
    for past in ["2025-01-15T12:00:00Z", "2025-01-15T11:59:59.999Z"] {
        let order = ApiKeyOrder { expires_at: Some(time(past)), ..order(service.tenant) };
        let refused = service.roster.create_api_key(order, BY);
        assert!(matches!(refused, Err(CreateApiKeyError::Expired)), "{refused:?}");
    }
}

/// A system without random bytes.
struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError)
    }
}

#[test]
fn without_random_bytes_no_key_is_created() {
    let Service { store, tenant, .. } = Service::start();
    let clock = Arc::new(FixedClock::default());
    let roster = Roster::new(store, clock, Arc::new(CountingIds::default()), Arc::new(NoEntropy));
    let refused = roster.create_api_key(order(tenant), BY);
    assert!(matches!(refused, Err(CreateApiKeyError::Entropy(EntropyError))), "{refused:?}");
    assert_eq!(roster.list_api_keys(tenant, None, PageSize::DEFAULT).expect("a page").items, []);
}

#[test]
fn a_broken_store_is_reported_when_a_key_is_created() {
    let service = Service::start();
    service.store.interceptor.break_down();
    let refused = service.roster.create_api_key(order(service.tenant), BY);
    assert!(matches!(refused, Err(CreateApiKeyError::Store(_))), "{refused:?}");
}

#[test]
fn pages_list_keys_oldest_first() {
    let service = Service::start();
    let [a, _, b, c] = [service.tenant, sandbox(service.tenant), service.tenant, service.tenant]
        .map(|tenant| service.roster.create_api_key(order(tenant), BY).expect("a new key").key);
    let list = |after| {
        let two = PageSize::new(2).expect("1 to 100");
        service.roster.list_api_keys(service.tenant, after, two).expect("a page")
    };
    let (first, second) = (list(None), list(Some(b.id)));
    assert_eq!((first.items, first.has_more), (vec![a, b], true));
    assert_eq!((second.items, second.has_more), (vec![c], false));
}

#[test]
fn revoking_a_key_again_changes_nothing() {
    let service = Service::start();
    let made = service.roster.create_api_key(order(service.tenant), BY).expect("a new key");
    service.clock.set(time("2025-01-16T00:00:00Z"));
    let first = service
        .roster
        .revoke_api_key(service.tenant, made.key.id, BY)
        .expect("an answer")
        .expect("a key that is there");
    assert_eq!(first.revoked_at, Some(time("2025-01-16T00:00:00Z")));
    service.clock.set(time("2025-01-17T00:00:00Z"));
    assert_eq!(service.roster.revoke_api_key(service.tenant, made.key.id, BY).expect("an answer"), Some(first));
}

#[test]
fn an_unknown_key_is_not_revoked() {
    let service = Service::start();
    let unknown = roster_domain::ApiKeyId::new(Uuid::from_u128(1));
    assert_eq!(service.roster.revoke_api_key(service.tenant, unknown, BY).expect("an answer"), None);
}

#[test]
fn a_key_of_another_tenant_cannot_be_revoked_or_rotated() {
    let service = Service::start();
    let made = service.roster.create_api_key(order(service.tenant), BY).expect("a new key");
    for stranger in [sandbox(service.tenant), service.another_tenant()] {
        assert_eq!(service.roster.revoke_api_key(stranger, made.key.id, BY).expect("an answer"), None);
        let refused = service.roster.rotate_api_key(stranger, made.key.id, HOUR, BY);
        assert!(matches!(refused, Err(RotateApiKeyError::NotFound)), "{refused:?}");
    }
    let listed = service.roster.list_api_keys(service.tenant, None, PageSize::DEFAULT).expect("a page");
    let id = made.key.id;
    assert_eq!(listed.items, [made.key]);
    assert_eq!(service.roster.tenant_of_api_key(id).expect("an answer"), Some(service.tenant));
}

#[test]
fn a_caller_cannot_grant_a_scope_that_it_lacks() {
    let service = Service::start();
    let granted: Scopes = [Scope::ReadCustomers, Scope::ManageKeys].into_iter().collect();
    let refused = service.roster.create_api_key_once(order(service.tenant), granted.into(), None).result;
    assert!(matches!(refused, Err(CreateApiKeyError::BeyondScope(Scope::WriteCustomers))), "{refused:?}");
    let stronger = service.roster.create_api_key(order(service.tenant), BY).expect("a new key").key;
    let refused = service.roster.rotate_api_key_once(service.tenant, stronger.id, HOUR, granted.into(), None).result;
    assert!(matches!(refused, Err(RotateApiKeyError::BeyondScope(Scope::WriteCustomers))), "{refused:?}");
    let weaker = ApiKeyOrder { scopes: granted, ..order(service.tenant) };
    let weaker = service.roster.create_api_key_once(weaker, granted.into(), None).result.expect("a new key").key;
    assert!(service.roster.rotate_api_key_once(service.tenant, weaker.id, HOUR, granted.into(), None).result.is_ok());
    let listed = service.roster.list_api_keys(service.tenant, None, PageSize::DEFAULT).expect("a page");
    assert_eq!((listed.items.len(), &listed.items[0]), (3, &stronger));
}

#[test]
fn a_rotated_key_ends_after_the_overlap_and_the_new_one_inherits_its_end() {
    let service = Service::start();
    let ends = Some(time("2025-01-25T12:00:00Z"));
    let scopes: Scopes = [Scope::ReadCustomers].into_iter().collect();
    let lasting = ApiKeyOrder { name: Some(name("ci")), scopes, expires_at: ends, ..order(service.tenant) };
    let old = service.roster.create_api_key(lasting, BY).expect("a new key").key;
    service.clock.set(time("2025-01-16T00:00:00Z"));
    let new = service.roster.rotate_api_key(service.tenant, old.id, 24 * HOUR, BY).expect("a new key");
    assert_ne!((new.key.id, new.key.digest), (old.id, old.digest));
    assert_eq!((new.key.name.clone(), new.key.scopes, new.key.tenant), (Some(name("ci")), scopes, service.tenant));
    assert_eq!(new.key.created_at, time("2025-01-16T00:00:00Z"));
    assert_eq!((new.key.expires_at, new.key.successor), (ends, None));
    assert_eq!(new.secret.digest(), new.key.digest);
    let listed = service.roster.list_api_keys(service.tenant, None, PageSize::DEFAULT).expect("a page").items;
    let (overlap_ends, successor) = (Some(time("2025-01-17T00:00:00Z")), Some(new.key.id));
    let old = roster_application::ApiKey { expires_at: overlap_ends, successor, ..old };
    assert_eq!(listed, [old, new.key]);
}

#[test]
fn an_overlap_ends_with_the_old_key_or_after_30_days() {
    let service = Service::start();
    let rotated = |expires_at, overlap| {
        let old = ApiKeyOrder { expires_at, ..order(service.tenant) };
        let old = service.roster.create_api_key(old, BY).expect("a new key").key;
        service.roster.rotate_api_key(service.tenant, old.id, overlap, BY).expect("a new key");
        let listed = service.roster.list_api_keys(service.tenant, None, PageSize::DEFAULT).expect("a page").items;
        listed.into_iter().find(|key| key.id == old.id).and_then(|key| key.expires_at)
    };
    let soon = Some(time("2025-01-15T12:30:00Z"));
    assert_eq!(rotated(soon, HOUR), soon);
    assert_eq!(rotated(None, MAX_OVERLAP + HOUR), Some(time("2025-02-14T12:00:00Z")));
}

#[test]
fn a_key_that_is_rotated_without_overlap_is_revoked_whatever_the_clocks_say() {
    let service = Service::start();
    let end = Some(time("2025-02-01T00:00:00Z"));
    let old = ApiKeyOrder { expires_at: end, ..order(service.tenant) };
    let old = service.roster.create_api_key(old, BY).expect("a new key").key;
    service.clock.set(time("2025-01-15T12:02:00Z"));
    let new = service.roster.rotate_api_key(service.tenant, old.id, Duration::ZERO, BY).expect("a new key").key;
    assert_eq!(new.expires_at, end);
    let listed = service.roster.list_api_keys(service.tenant, None, PageSize::DEFAULT).expect("a page").items;
    assert_eq!((listed[0].expires_at, listed[0].revoked_at), (end, Some(time("2025-01-15T12:02:00Z"))));
    // On an instance whose clock is behind that of the one that rotated it.
    assert!(!listed[0].is_usable(time("2025-01-15T12:00:00Z")));
}

#[test]
fn a_key_is_rotated_once_and_a_repetition_learns_its_successor() {
    let service = Service::start();
    for overlap in [Duration::ZERO, HOUR] {
        let old = service.roster.create_api_key(order(service.tenant), BY).expect("a new key").key;
        let new = service.roster.rotate_api_key(service.tenant, old.id, overlap, BY).expect("a new key").key;
        for again in [overlap, Duration::ZERO, HOUR] {
            let refused = service.roster.rotate_api_key(service.tenant, old.id, again, BY);
            assert!(matches!(refused, Err(RotateApiKeyError::HasSuccessor(id)) if id == new.id), "{refused:?}");
        }
        // What a caller does whose answer was lost, and the secret with it.
        let newer = service.roster.rotate_api_key(service.tenant, new.id, Duration::ZERO, BY).expect("a new key").key;
        assert_eq!((newer.expires_at, newer.scopes), (old.expires_at, old.scopes));
    }
}

#[test]
fn a_key_that_expires_makes_no_key_that_outlives_it() {
    let service = Service::start();
    let end = time("2025-02-01T00:00:00Z");
    let granted = Grant { scopes: ALL, until: Some(end) };
    let later = time("2025-02-01T00:00:00.001Z");
    for expires_at in [None, Some(later)] {
        let order = ApiKeyOrder { expires_at, ..order(service.tenant) };
        let refused = service.roster.create_api_key_once(order.clone(), granted, None).result;
        assert!(matches!(refused, Err(CreateApiKeyError::Outlives(time)) if time == end), "{refused:?}");
        let lasting = service.roster.create_api_key(order, BY).expect("a new key").key;
        let refused = service.roster.rotate_api_key_once(service.tenant, lasting.id, HOUR, granted, None).result;
        assert!(matches!(refused, Err(RotateApiKeyError::Outlives(time)) if time == end), "{refused:?}");
    }
    let short = ApiKeyOrder { expires_at: Some(end), ..order(service.tenant) };
    let short = service.roster.create_api_key_once(short, granted, None).result.expect("a new key").key;
    assert!(service.roster.rotate_api_key_once(service.tenant, short.id, HOUR, granted, None).result.is_ok());
}

#[test]
fn a_revoked_or_expired_key_cannot_be_rotated() {
    let service = Service::start();
    let expired = ApiKeyOrder { expires_at: Some(time("2025-01-15T12:00:01Z")), ..order(service.tenant) };
    let expired = service.roster.create_api_key(expired, BY).expect("a new key").key;
    let revoked = service.roster.create_api_key(order(service.tenant), BY).expect("a new key").key;
    service.roster.revoke_api_key(service.tenant, revoked.id, BY).expect("an answer").expect("a key that is there");
    service.clock.set(time("2025-01-15T12:00:01Z"));
    for ended in [expired.id, revoked.id] {
        let refused = service.roster.rotate_api_key(service.tenant, ended, HOUR, BY);
        assert!(matches!(refused, Err(RotateApiKeyError::Ended)), "{refused:?}");
    }
}

fn secret(environment: Environment) -> ApiKeySecret {
    ApiKeySecret::generate(environment, &CountingEntropy::default()).expect("endless entropy")
}

#[test]
fn a_secret_has_the_documented_form() {
    // The bytes 0 to 29 are the first thirty digits of base62; the CRC-32 of all characters before follows in base62.
    assert_eq!(secret(Environment::Live).reveal(), "sk_live_0123456789ABCDEFGHIJKLMNOPQRST4KxuAM");
    assert_eq!(secret(Environment::Sandbox).reveal(), "sk_test_0123456789ABCDEFGHIJKLMNOPQRST06ImRt");
}

#[test]
fn no_character_of_a_secret_is_likelier_than_another() {
    // Of the 256 bytes, the last 8 are skipped, so that each digit comes from exactly four of the rest.
    let entropy = CountingEntropy::default();
    let mut random = String::new();
    for _ in 0..10 {
        let secret = ApiKeySecret::generate(Environment::Live, &entropy).expect("endless entropy");
        random.push_str(&secret.reveal()["sk_live_".len()..][..30]);
    }
    let digits = ('0'..='9').chain('A'..='Z').chain('a'..='z');
    assert_eq!(random, digits.cycle().take(300).collect::<String>());
}

#[test]
fn a_secret_parses_again_and_its_digest_is_the_sha_256_of_its_text() {
    let secret = secret(Environment::Sandbox);
    assert_eq!(ApiKeySecret::parse(secret.reveal()), Some(secret.clone()));
    let (left, right) =
        (0xc996_9e80_8dda_cb4a_3050_05e9_1932_7ba9_u128, 0xc17d_580c_222c_d07e_4e51_efe2_6447_9c8c_u128);
    assert_eq!(secret.digest().0, [left.to_be_bytes(), right.to_be_bytes()].concat().as_slice());
}

#[test]
fn every_single_typing_error_is_detected() {
    let secret = secret(Environment::Live);
    for place in 0..secret.reveal().len() {
        let mut typed = secret.reveal().as_bytes().to_vec();
        typed[place] = if typed[place] == b'x' { b'y' } else { b'x' };
        let typed = String::from_utf8(typed).expect("ASCII");
        assert_eq!(ApiKeySecret::parse(&typed), None, "at {place}");
    }
}

#[test]
fn a_malformed_secret_is_refused() {
    for text in ["", "sk_live_", "Bearer x", "sk_test_é", &"sk_live_0".repeat(100)] {
        assert_eq!(ApiKeySecret::parse(text), None, "{text}");
    }
}

#[test]
fn a_secret_and_its_digest_are_never_printed() {
    let secret = secret(Environment::Live);
    assert_eq!(format!("{secret:?} {:?}", secret.digest()), "ApiKeySecret(…) Digest(…)");
}
