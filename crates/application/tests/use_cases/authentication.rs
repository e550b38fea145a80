use roster_application::ports::Entropy;
use roster_application::{ApiKeyOrder, ApiKeySecret, AuthenticateError, CreatedApiKey, Principal};
use roster_domain::{Environment, Tenant, Timestamp};
use roster_memory::CountingEntropy;

use crate::service::{Service, sandbox, time};

fn key(service: &Service, tenant: Tenant, expires_at: Option<Timestamp>) -> CreatedApiKey {
    service.roster.create_api_key(ApiKeyOrder { tenant, name: None, expires_at }).expect("a new key")
}

fn authenticate(service: &Service, presented: &str) -> Result<Principal, AuthenticateError> {
    let secret = ApiKeySecret::parse(presented).ok_or(AuthenticateError::Refused)?;
    service.roster.authenticate(&[secret]).pop().expect("one result for one")
}

fn is_refused(service: &Service, presented: &str) -> bool {
    matches!(authenticate(service, presented), Err(AuthenticateError::Refused))
}

#[test]
fn a_key_opens_the_tenant_it_was_made_for() {
    let service = Service::start();
    for tenant in [service.tenant, sandbox(service.tenant), service.another_tenant()] {
        let made = key(&service, tenant, None);
        let principal = authenticate(&service, made.secret.reveal()).expect("a good key");
        assert_eq!(principal, Principal { tenant, api_key: made.key.id });
    }
}

#[test]
fn a_key_that_nobody_made_is_refused() {
    let service = Service::start();
    let entropy = CountingEntropy::default();
    entropy.fill(&mut [0; 99]).expect("endless entropy");
    let unknown = ApiKeySecret::generate(Environment::Live, &entropy).expect("endless entropy");
    assert!(is_refused(&service, unknown.reveal()));
}

#[test]
fn a_malformed_key_is_refused_without_asking_the_store() {
    let service = Service::start();
    let good = key(&service, service.tenant, None).secret;
    let mistyped = good.reveal().replace("sk_live_0", "sk_live_1");
    let elsewhere = good.reveal().replace("sk_live_", "sk_test_");
    let before = service.store.runs();
    for malformed in ["", "x", "sk_live_", &mistyped, &elsewhere, &format!("{} ", good.reveal()), &good.reveal()[1..]] {
        assert!(is_refused(&service, malformed), "{malformed:?}");
    }
    assert_eq!(service.store.runs(), before);
    assert!(!is_refused(&service, good.reveal()));
    assert_eq!(service.store.runs(), before + 1);
}

#[test]
fn a_revoked_key_is_refused_from_that_moment_on() {
    let service = Service::start();
    let [revoked, other] = [(); 2].map(|()| key(&service, service.tenant, None));
    assert!(!is_refused(&service, revoked.secret.reveal()));
    service.roster.revoke_api_key(revoked.key.id).expect("an answer").expect("a key that is there");
    assert!(is_refused(&service, revoked.secret.reveal()));
    assert!(!is_refused(&service, other.secret.reveal()));
}

#[test]
fn a_key_is_refused_from_the_very_moment_it_expires_at() {
    let service = Service::start();
    let end = time("2025-02-01T00:00:00Z");
    let made = key(&service, service.tenant, Some(end));
    service.clock.set(time("2025-01-31T23:59:59.999Z"));
    assert!(!is_refused(&service, made.secret.reveal()));
    service.clock.set(end);
    assert!(is_refused(&service, made.secret.reveal()));
}

#[test]
fn a_store_that_is_out_of_order_is_no_refusal() {
    let service = Service::start();
    let made = key(&service, service.tenant, None);
    service.store.break_down();
    let result = authenticate(&service, made.secret.reveal());
    assert!(matches!(result, Err(AuthenticateError::Store(_))), "{result:?}");
}
