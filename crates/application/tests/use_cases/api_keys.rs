use std::sync::Arc;

use roster_application::ports::{Entropy, EntropyError};
use roster_application::{ApiKeyOrder, ApiKeySecret, CreateApiKeyError, PageSize, Roster};
use roster_domain::{Environment, MerchantId, Tenant};
use roster_memory::{CountingEntropy, CountingIds, FixedClock};
use uuid::Uuid;

use crate::service::{Service, name, sandbox, time};

fn order(tenant: Tenant) -> ApiKeyOrder {
    ApiKeyOrder { tenant, name: None, expires_at: None }
}

#[test]
fn a_key_is_stored_without_its_secret() {
    let service = Service::start();
    let end = time("2025-02-01T00:00:00Z");
    let order = ApiKeyOrder { name: Some(name("ci")), expires_at: Some(end), ..order(service.tenant) };
    let made = service.roster.create_api_key(order).expect("a new key");
    assert_eq!(made.key.digest, made.secret.digest());
    assert_eq!((made.key.tenant, made.key.name.clone()), (service.tenant, Some(name("ci"))));
    assert_eq!((made.key.expires_at, made.key.revoked_at), (Some(end), None));
    assert_eq!(made.key.created_at, time("2025-01-15T12:00:00Z"));
    let listed = service.roster.list_api_keys(service.tenant.merchant, None, PageSize::DEFAULT).expect("a page");
    assert_eq!(listed.items, [made.key]);
}

#[test]
fn a_key_says_which_environment_it_opens() {
    let service = Service::start();
    for (tenant, start) in [(service.tenant, "sk_live_"), (sandbox(service.tenant), "sk_test_")] {
        let made = service.roster.create_api_key(order(tenant)).expect("a new key");
        assert!(made.secret.reveal().starts_with(start));
    }
}

#[test]
fn an_order_of_an_unknown_merchant_makes_no_key() {
    let service = Service::start();
    let merchant = MerchantId::new(Uuid::from_u128(1));
    let refused = service.roster.create_api_key(order(Tenant { merchant, ..service.tenant }));
    assert!(matches!(refused, Err(CreateApiKeyError::UnknownMerchant)), "{refused:?}");
    let listed = service.roster.list_api_keys(merchant, None, PageSize::DEFAULT).expect("a page");
    assert_eq!(listed.items, []);
}

/// A system without randomness.
struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError)
    }
}

#[test]
fn without_randomness_there_is_no_key() {
    let Service { store, tenant, .. } = Service::start();
    let clock = Arc::new(FixedClock::default());
    let roster = Roster::new(store, clock, Arc::new(CountingIds::default()), Arc::new(NoEntropy));
    let refused = roster.create_api_key(order(tenant));
    assert!(matches!(refused, Err(CreateApiKeyError::Entropy(EntropyError))), "{refused:?}");
    assert_eq!(roster.list_api_keys(tenant.merchant, None, PageSize::DEFAULT).expect("a page").items, []);
}

#[test]
fn a_store_that_is_out_of_order_makes_no_key() {
    let service = Service::start();
    service.store.break_down();
    let refused = service.roster.create_api_key(order(service.tenant));
    assert!(matches!(refused, Err(CreateApiKeyError::Store(_))), "{refused:?}");
}

#[test]
fn pages_of_keys_stand_oldest_first() {
    let service = Service::start();
    let [a, b, c] = [service.tenant, sandbox(service.tenant), service.tenant]
        .map(|tenant| service.roster.create_api_key(order(tenant)).expect("a new key").key);
    let list = |after| {
        let two = PageSize::new(2).expect("1 to 100");
        service.roster.list_api_keys(service.tenant.merchant, after, two).expect("a page")
    };
    let (first, second) = (list(None), list(Some(b.id)));
    assert_eq!((first.items, first.has_more), (vec![a, b], true));
    assert_eq!((second.items, second.has_more), (vec![c], false));
}

#[test]
fn a_key_is_revoked_once() {
    let service = Service::start();
    let made = service.roster.create_api_key(order(service.tenant)).expect("a new key");
    service.clock.set(time("2025-01-16T00:00:00Z"));
    let first = service.roster.revoke_api_key(made.key.id).expect("an answer").expect("a key that is there");
    assert_eq!(first.revoked_at, Some(time("2025-01-16T00:00:00Z")));
    service.clock.set(time("2025-01-17T00:00:00Z"));
    assert_eq!(service.roster.revoke_api_key(made.key.id).expect("an answer"), Some(first));
}

#[test]
fn an_unknown_key_is_not_revoked() {
    let service = Service::start();
    let unknown = roster_domain::ApiKeyId::new(Uuid::from_u128(1));
    assert_eq!(service.roster.revoke_api_key(unknown).expect("an answer"), None);
}

fn secret(environment: Environment) -> ApiKeySecret {
    ApiKeySecret::generate(environment, &CountingEntropy::default()).expect("endless entropy")
}

#[test]
fn a_secret_has_the_documented_form() {
    // The bytes 0 to 29 are the first thirty digits of base62; behind them stands the CRC-32 of all before, in base62.
    assert_eq!(secret(Environment::Live).reveal(), "sk_live_0123456789ABCDEFGHIJKLMNOPQRST4KxuAM");
    assert_eq!(secret(Environment::Sandbox).reveal(), "sk_test_0123456789ABCDEFGHIJKLMNOPQRST06ImRt");
}

#[test]
fn no_character_of_a_secret_is_likelier_than_another() {
    // Of the 256 bytes, the last 8 are passed over, so that each digit stands for exactly four of the rest.
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
fn a_secret_reads_back_and_its_digest_is_the_sha_256_of_its_text() {
    let secret = secret(Environment::Sandbox);
    assert_eq!(ApiKeySecret::parse(secret.reveal()), Some(secret.clone()));
    let (left, right) =
        (0xc996_9e80_8dda_cb4a_3050_05e9_1932_7ba9_u128, 0xc17d_580c_222c_d07e_4e51_efe2_6447_9c8c_u128);
    assert_eq!(secret.digest().0, [left.to_be_bytes(), right.to_be_bytes()].concat().as_slice());
}

#[test]
fn every_single_typing_error_is_noticed() {
    let secret = secret(Environment::Live);
    for place in 0..secret.reveal().len() {
        let mut typed = secret.reveal().as_bytes().to_vec();
        typed[place] = if typed[place] == b'x' { b'y' } else { b'x' };
        let typed = String::from_utf8(typed).expect("ASCII");
        assert_eq!(ApiKeySecret::parse(&typed), None, "at {place}");
    }
}

#[test]
fn what_is_no_secret_is_refused() {
    for text in ["", "sk_live_", "Bearer x", "sk_test_é", &"sk_live_0".repeat(100)] {
        assert_eq!(ApiKeySecret::parse(text), None, "{text}");
    }
}

#[test]
fn a_secret_and_its_digest_are_never_printed() {
    let secret = secret(Environment::Live);
    assert_eq!(format!("{secret:?} {:?}", secret.digest()), "ApiKeySecret(…) Digest(…)");
}
