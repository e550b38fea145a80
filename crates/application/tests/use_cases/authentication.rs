use std::sync::Arc;
use std::time::Duration;

use roster_application::ports::{TokenClaims, TokenError, TokenFault, TokenHolder, TokenRefusal, TokenVerifier};
use roster_application::{
    ApiKeyOrder, ApiKeySecret, AuthenticateError, CreatedApiKey, MerchantChange, PageSize, Presented, Principal,
    Recognition, Roster, Scope, Scopes,
};
use roster_domain::{ApiKeyId, Environment, MerchantId, Tenant, Timestamp};
use roster_memory::CountingEntropy;
use uuid::Uuid;

use crate::service::{BY, Service, sandbox, time};

fn key(service: &Service, tenant: Tenant, expires_at: Option<Timestamp>) -> CreatedApiKey {
    let order = ApiKeyOrder { tenant, name: None, scopes: Scopes::DEFAULT, expires_at };
    service.roster.create_api_key(order, BY).expect("a new key")
}

/// Authenticates a credential the way a surface does.
fn authenticate(roster: &Roster, credential: &str) -> Result<Principal, AuthenticateError> {
    match roster.recognise(credential) {
        Recognition::Principal(principal) => Ok(principal),
        Recognition::LookUp(presented) => roster.authenticate(&[presented]).pop().expect("one result for one"),
        Recognition::FetchKeys(refusal) => Err(AuthenticateError::Refused(Some(refusal))),
        Recognition::Refused(refusal) => Err(AuthenticateError::Refused(refusal)),
    }
}

fn is_refused(service: &Service, credential: &str) -> bool {
    matches!(authenticate(&service.roster, credential), Err(AuthenticateError::Refused(None)))
}

#[test]
fn a_key_gives_access_to_the_tenant_it_was_created_for() {
    let service = Service::start();
    for tenant in [service.tenant, sandbox(service.tenant), service.another_tenant()] {
        let made = key(&service, tenant, None);
        let principal = authenticate(&service.roster, made.secret.reveal()).expect("a good key");
        let scopes = Scopes::DEFAULT;
        let expected = Principal { tenant, scopes, expires_at: None, api_key: Some(made.key.id), token: None };
        assert_eq!(principal, expected);
    }
}

#[test]
fn an_unknown_key_is_refused_and_looked_up_each_time() {
    let service = Service::start();
    let unknown = ApiKeySecret::generate(Environment::Live, &CountingEntropy::default()).expect("endless entropy");
    let before = service.store.interceptor.runs();
    for count in 1..4 {
        assert!(is_refused(&service, unknown.reveal()));
        assert_eq!(service.store.interceptor.runs(), before + count);
    }
}

#[test]
fn a_malformed_key_is_refused_without_a_look_up() {
    let service = Service::start();
    let good = key(&service, service.tenant, None).secret;
    let mistyped = good.reveal().replace("sk_live_0", "sk_live_1");
    let elsewhere = good.reveal().replace("sk_live_", "sk_test_");
    let before = service.store.interceptor.runs();
    for malformed in ["", "x", "sk_live_", &mistyped, &elsewhere, &format!("{} ", good.reveal()), &good.reveal()[1..]] {
        assert_eq!(service.roster.recognise(malformed), Recognition::Refused(None), "{malformed:?}");
    }
    assert_eq!(service.store.interceptor.runs(), before);
    assert!(!is_refused(&service, good.reveal()));
    assert_eq!(service.store.interceptor.runs(), before + 1);
}

#[test]
fn a_key_that_was_looked_up_is_cached_unless_the_lifetime_is_zero() {
    let service = Service::start();
    let made = key(&service, service.tenant, None);
    let credential = made.secret.reveal();
    assert_eq!(service.roster.recognise(credential), Recognition::LookUp(Presented::ApiKey(made.key.digest)));
    let principal = authenticate(&service.roster, credential).expect("a good key");
    let before = service.store.interceptor.runs();
    assert_eq!(service.roster.recognise(credential), Recognition::Principal(principal.clone()));
    assert_eq!(service.store.interceptor.runs(), before);
    let uncached = service.roster.clone().with_key_lifetime(Duration::ZERO, Duration::ZERO);
    for _ in 0..2 {
        assert_eq!(uncached.recognise(credential), Recognition::LookUp(Presented::ApiKey(made.key.digest)));
        assert_eq!(authenticate(&uncached, credential).ok().as_ref(), Some(&principal));
    }
}

#[test]
fn a_key_that_another_process_revoked_is_refused_after_its_cache_lifetime() {
    let service = Service::start();
    let made = key(&service, service.tenant, None);
    let lifetime = Duration::from_millis(50);
    let here = service.roster.clone().with_key_lifetime(lifetime, Duration::ZERO);
    assert!(authenticate(&here, made.secret.reveal()).is_ok());
    service.roster.revoke_api_key(service.tenant, made.key.id, BY).expect("an answer").expect("a key that is there");
    let revoked = std::time::Instant::now();
    while authenticate(&here, made.secret.reveal()).is_ok() {
        assert!(revoked.elapsed() < lifetime + Duration::from_secs(20), "it is known for ever");
        std::thread::yield_now();
    }
}

#[test]
fn a_key_that_was_valid_a_while_ago_is_told_from_one_that_never_was() {
    let service = Service::start();
    let roster = service.roster.clone().with_key_lifetime(Duration::ZERO, Duration::ZERO);
    let [used, unused, revoked] = [(); 3].map(|()| key(&service, service.tenant, None));
    assert!(authenticate(&roster, used.secret.reveal()).is_ok());
    assert!(authenticate(&roster, revoked.secret.reveal()).is_ok());
    service.roster.revoke_api_key(service.tenant, revoked.key.id, BY).expect("an answer").expect("a key that is there");
    assert!(authenticate(&roster, revoked.secret.reveal()).is_err());
    let is_likely = |created: &CreatedApiKey| roster.is_likely_valid(&Presented::ApiKey(created.key.digest));
    assert_eq!([&used, &unused, &revoked].map(is_likely), [true, false, false]);
}

#[test]
fn a_key_may_be_accepted_for_a_grace_that_is_none_by_default() {
    let service = Service::start();
    let end = time("2025-02-01T00:00:00Z");
    let made = key(&service, service.tenant, Some(end));
    let presented = Presented::ApiKey(made.key.digest);
    let graceless = service.roster.clone().with_key_lifetime(Duration::ZERO, Duration::ZERO);
    let gracious = service.roster.clone().with_key_lifetime(Duration::ZERO, Duration::from_hours(1));
    for roster in [&graceless, &gracious] {
        assert_eq!(roster.principal_in_grace(&presented), None, "it was never looked up");
        assert!(authenticate(roster, made.secret.reveal()).is_ok());
    }
    assert_eq!(graceless.principal_in_grace(&presented), None);
    assert!(gracious.principal_in_grace(&presented).is_some());
    service.clock.set(end);
    assert_eq!(gracious.principal_in_grace(&presented), None, "it has expired");
}

#[test]
fn a_flood_of_unknown_keys_evicts_no_valid_key() {
    let service = Service::start();
    let made = key(&service, service.tenant, None);
    // Longer than the flood takes.
    let roster = service.roster.clone().with_key_lifetime(Duration::from_hours(1), Duration::ZERO);
    assert!(authenticate(&roster, made.secret.reveal()).is_ok());
    let entropy = CountingEntropy::default();
    for _ in 0..20_000 {
        let unknown = ApiKeySecret::generate(Environment::Live, &entropy).expect("endless entropy");
        if unknown != made.secret {
            assert!(authenticate(&roster, unknown.reveal()).is_err());
        }
    }
    assert!(matches!(roster.recognise(made.secret.reveal()), Recognition::Principal(_)));
}

#[test]
fn a_revoked_key_is_refused_at_once() {
    let service = Service::start();
    let [revoked, other] = [(); 2].map(|()| key(&service, service.tenant, None));
    assert!(!is_refused(&service, revoked.secret.reveal()));
    service.roster.revoke_api_key(service.tenant, revoked.key.id, BY).expect("an answer").expect("a key that is there");
    assert!(is_refused(&service, revoked.secret.reveal()));
    assert!(!is_refused(&service, other.secret.reveal()));
}

#[test]
fn a_look_up_that_read_a_key_before_its_revocation_is_not_remembered_after_it() {
    for end in [revoke, rotate_at_once] {
        let service = Service::start();
        let ended = key(&service, service.tenant, None);
        let credential = ended.secret.reveal();
        let Recognition::LookUp(presented) = service.roster.recognise(credential) else { panic!("it is not cached") };
        let roster = service.roster.clone();
        let (tenant, id) = (service.tenant, ended.key.id);
        service.store.interceptor.after_next_read(move || end(&roster, tenant, id));
        let answered = service.roster.authenticate(&[presented]).remove(0);
        assert!(answered.is_ok(), "it was valid when it was looked up: {answered:?}");
        let refused = authenticate(&service.roster, credential);
        assert!(matches!(refused, Err(AuthenticateError::Refused(None))), "{refused:?}");
    }
}

fn revoke(roster: &Roster, tenant: Tenant, id: ApiKeyId) {
    roster.revoke_api_key(tenant, id, BY).expect("an answer").expect("a key that is there");
}

fn rotate_at_once(roster: &Roster, tenant: Tenant, id: ApiKeyId) {
    roster.rotate_api_key(tenant, id, Duration::ZERO, BY).expect("a new key");
}

#[test]
fn a_key_is_refused_from_the_moment_it_expires() {
    let service = Service::start();
    let end = time("2025-02-01T00:00:00Z");
    let made = key(&service, service.tenant, Some(end));
    service.clock.set(time("2025-01-31T23:59:59.999Z"));
    assert!(!is_refused(&service, made.secret.reveal()));
    // It is cached by now and must be refused all the same.
    service.clock.set(end);
    assert!(is_refused(&service, made.secret.reveal()));
}

#[test]
fn a_key_that_was_rotated_without_overlap_is_refused_at_once() {
    let service = Service::start();
    let old = key(&service, service.tenant, None);
    assert!(!is_refused(&service, old.secret.reveal()));
    let rotated = service.roster.rotate_api_key(service.tenant, old.key.id, Duration::ZERO, BY);
    assert!(is_refused(&service, old.secret.reveal()));
    assert!(!is_refused(&service, rotated.expect("a new key").secret.reveal()));
}

#[test]
fn a_key_use_is_written_once_a_minute_and_not_by_the_request() {
    let service = Service::start();
    let made = key(&service, service.tenant, None);
    let last_used = || {
        service.roster.record_api_key_uses().expect("uses that are written");
        let listed = service.roster.list_api_keys(service.tenant, None, PageSize::DEFAULT).expect("a page");
        listed.items[0].last_used_at.map(|time| time.to_string())
    };
    assert_eq!(last_used(), None);
    for (now, written) in [
        ("2025-01-15T12:00:01.000Z", "2025-01-15T12:00:01.000Z"),
        ("2025-01-15T12:01:00.999Z", "2025-01-15T12:00:01.000Z"),
        ("2025-01-15T12:01:01.000Z", "2025-01-15T12:01:01.000Z"),
    ] {
        service.clock.set(time(now));
        assert!(!is_refused(&service, made.secret.reveal()));
        assert_eq!(last_used().as_deref(), Some(written), "at {now}");
    }
    let before = service.store.interceptor.runs();
    assert!(!is_refused(&service, made.secret.reveal()));
    service.roster.record_api_key_uses().expect("nothing to write");
    assert_eq!(service.store.interceptor.runs(), before);
}

#[test]
fn a_broken_store_is_not_reported_as_a_refusal() {
    let service = Service::start();
    let made = key(&service, service.tenant, None);
    service.store.interceptor.break_down();
    let result = authenticate(&service.roster, made.secret.reveal());
    assert!(matches!(result, Err(AuthenticateError::Store(_))), "{result:?}");
}

fn holder() -> Arc<TokenHolder> {
    Arc::new(TokenHolder { issuer: "issuer".into(), subject: Some("worker".to_owned()) })
}

fn refusal(reason: TokenFault) -> TokenRefusal {
    TokenRefusal { reason, issuer: Some("issuer".into()) }
}

/// Accepts a merchant's identifier as a token; the token `unknown key` names an unknown signing key.
struct NamedMerchant;

impl TokenVerifier for NamedMerchant {
    fn verify(&self, token: &str, _: Timestamp) -> Result<TokenClaims, TokenError> {
        if token == "unknown key" {
            return Err(TokenError::UnknownKey(refusal(TokenFault::UnknownKey)));
        }
        let merchant = MerchantId::parse(token).map_err(|_| TokenError::Refused(refusal(TokenFault::Merchant)))?;
        let scopes = [Scope::ReadCustomers].into_iter().collect();
        Ok(TokenClaims { tenant: Tenant { merchant, environment: Environment::Sandbox }, scopes, holder: holder() })
    }

    fn fetch_keys(&self, _: &str) {}
}

#[test]
fn a_token_is_accepted_if_its_merchant_exists() {
    let service = Service::start();
    let roster = service.roster.clone().with_tokens(Arc::new(NamedMerchant));
    let token = service.tenant.merchant.to_string();
    let scopes = [Scope::ReadCustomers].into_iter().collect();
    let tenant = sandbox(service.tenant);
    let principal = Principal { tenant, scopes, expires_at: None, api_key: None, token: Some(holder()) };
    assert!(matches!(roster.recognise(&token), Recognition::LookUp(Presented::Token(_))));
    assert_eq!(authenticate(&roster, &token).ok(), Some(principal.clone()));
    assert_eq!(roster.recognise(&token), Recognition::Principal(principal));
    let unknown = MerchantId::new(Uuid::from_u128(7)).to_string();
    let refused = authenticate(&roster, &unknown).expect_err("a merchant that does not exist");
    let AuthenticateError::Refused(reason) = refused else { panic!("{refused:?}") };
    assert_eq!(reason, Some(refusal(TokenFault::UnknownMerchant)));
    assert_eq!(roster.recognise("x"), Recognition::Refused(Some(refusal(TokenFault::Merchant))));
    assert_eq!(roster.recognise("unknown key"), Recognition::FetchKeys(refusal(TokenFault::UnknownKey)));
}

#[test]
fn keys_and_tokens_of_one_batch_get_their_own_results() {
    let service = Service::start();
    let roster = service.roster.clone().with_tokens(Arc::new(NamedMerchant));
    let made = key(&service, service.tenant, None);
    let unknown = ApiKeySecret::generate(Environment::Sandbox, &CountingEntropy::default()).expect("endless entropy");
    let credentials = [
        service.tenant.merchant.to_string(),
        made.secret.reveal().to_owned(),
        MerchantId::new(Uuid::from_u128(7)).to_string(),
        unknown.reveal().to_owned(),
        service.another_tenant().merchant.to_string(),
    ];
    let presented = credentials.map(|credential| match roster.recognise(&credential) {
        Recognition::LookUp(presented) => presented,
        other => panic!("{other:?}"),
    });
    let keys: Vec<_> = roster.authenticate(&presented).into_iter().map(|found| found.ok().map(|p| p.api_key)).collect();
    assert_eq!(keys, [Some(None), Some(Some(made.key.id)), None, None, Some(None)]);
}

#[test]
fn without_an_issuer_a_token_is_refused_without_a_look_up() {
    let service = Service::start();
    let before = service.store.interceptor.runs();
    assert_eq!(service.roster.recognise(&service.tenant.merchant.to_string()), Recognition::Refused(None));
    assert_eq!(service.store.interceptor.runs(), before);
}

#[test]
fn keys_and_tokens_of_a_disabled_merchant_are_refused_until_it_is_enabled() {
    let service = Service::start();
    let roster =
        service.roster.clone().with_tokens(Arc::new(NamedMerchant)).with_key_lifetime(Duration::ZERO, Duration::ZERO);
    let made = key(&service, service.tenant, None);
    let other = service.another_tenant();
    let of_other = key(&service, other, None);
    let credentials = [made.secret.reveal().to_owned(), service.tenant.merchant.to_string()];
    let others = [of_other.secret.reveal().to_owned(), other.merchant.to_string()];
    let change = |change| {
        let changed = roster.change_merchant(service.tenant.merchant, &change, BY);
        changed.expect("an answer").expect("a merchant");
    };
    let accepted = |credential: &String| authenticate(&roster, credential).is_ok();
    assert!(credentials.iter().chain(&others).all(accepted));
    change(MerchantChange::Disable);
    for credential in &credentials {
        let refused = authenticate(&roster, credential);
        assert!(matches!(refused, Err(AuthenticateError::MerchantDisabled)), "{refused:?}");
    }
    assert!(others.iter().all(accepted));
    // A key that is refused anyway does not tell whether its merchant is disabled.
    service.roster.revoke_api_key(service.tenant, made.key.id, BY).expect("an answer").expect("a key that is there");
    assert!(matches!(authenticate(&roster, &credentials[0]), Err(AuthenticateError::Refused(None))));
    change(MerchantChange::Enable);
    assert!(accepted(&credentials[1]));
}

#[test]
fn a_key_of_a_merchant_that_was_disabled_is_accepted_for_its_time_in_the_cache_at_most() {
    let service = Service::start();
    let grace = Duration::from_hours(1);
    let roster = service.roster.clone().with_key_lifetime(Duration::from_millis(50), grace);
    let made = key(&service, service.tenant, None);
    let credential = made.secret.reveal();
    assert!(authenticate(&roster, credential).is_ok());
    let disabled = roster.change_merchant(service.tenant.merchant, &MerchantChange::Disable, BY);
    disabled.expect("an answer").expect("a merchant");
    let begun = std::time::Instant::now();
    while authenticate(&roster, credential).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is still accepted");
        std::thread::yield_now();
    }
    // Nor is it while the store does not answer.
    assert_eq!(roster.principal_in_grace(&Presented::ApiKey(made.key.digest)), None);
}
