//! The API keys.

use std::sync::Arc;

use roster_application::ports::{ApiKeyUse, Store, StoreError};
use roster_application::{ApiKey, Digest, Scope, Scopes};
use roster_domain::{ApiKeyId, Tenant, Timestamp};

use crate::actions::{insert_api_key, new_tenant, start, walk};
use crate::race::{Racer, race};
use crate::samples::{at, name, other_environment};

const ROUNDS: usize = 10;
const RACERS: usize = 8;

pub fn a_key_comes_back_as_it_was_made(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let least = samples.api_key(tenant);
    let all_set = ApiKey {
        name: Some(name("Ada's \"key\" \\ 名前 😀")),
        scopes: Scope::ALL.into_iter().collect(),
        created_at: at(1),
        expires_at: Some(at(2)),
        last_used_at: Some(at(4)),
        revoked_at: Some(at(3)),
        successor: Some(samples.api_key(tenant).id),
        ..samples.api_key(other_environment(tenant))
    };
    let extreme = ApiKey {
        name: Some(name("")),
        scopes: Scopes::NONE,
        digest: Digest([0; 32]),
        created_at: Timestamp::parse("0000-01-01T00:00:00Z").expect("a time"),
        expires_at: Timestamp::parse("9999-12-31T23:59:59.999Z").ok(),
        ..samples.api_key(tenant)
    };
    for key in [least, all_set, extreme] {
        insert_api_key(store, &key).expect("a new key");
        assert_eq!(find(store, &[key.digest]), [Some(key)]);
    }
}

pub fn keys_are_found_in_the_order_of_the_digests_and_missing_ones_are_none(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let [a, b, missing] = [(); 3].map(|()| samples.api_key(tenant));
    for key in [&a, &b] {
        insert_api_key(store, key).expect("a new key");
    }
    let digests = [b.digest, missing.digest, a.digest, b.digest];
    assert_eq!(find(store, &digests), [Some(b.clone()), None, Some(a), Some(b)]);
    assert_eq!(find(store, &[]), []);
}

pub fn three_hundred_digests_are_answered_at_once(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let keys: Vec<_> = (0..300).map(|_| samples.api_key(tenant)).collect();
    for key in keys.iter().step_by(100) {
        insert_api_key(store, key).expect("a new key");
    }
    let digests: Vec<_> = keys.iter().map(|key| key.digest).collect();
    let found = find(store, &digests);
    assert_eq!(found.len(), 300);
    for (place, (found, key)) in found.iter().zip(&keys).enumerate() {
        assert_eq!(found.as_ref(), (place % 100 == 0).then_some(key), "at {place}");
    }
}

pub fn the_id_and_the_digest_of_a_key_are_unique(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let elsewhere = new_tenant(store, &samples);
    let first = samples.api_key(tenant);
    insert_api_key(store, &first).expect("a new key");
    let same_id = ApiKey { id: first.id, ..samples.api_key(tenant) };
    let same_digest = ApiKey { digest: first.digest, ..samples.api_key(elsewhere) };
    for second in [same_id, same_digest] {
        let refused = insert_api_key(store, &second);
        assert!(matches!(refused, Err(StoreError::Duplicate { .. })), "{refused:?}");
    }
    assert_eq!(find(store, &[first.digest]), [Some(first)]);
    assert_eq!(list(store, elsewhere, None, 10), []);
}

pub fn a_key_of_no_merchant_is_refused(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let key = samples.api_key(Tenant { merchant: samples.merchant().id, ..tenant });
    let refused = insert_api_key(store, &key);
    assert!(matches!(refused, Err(StoreError::Internal { .. })), "{refused:?}");
    assert_eq!(find(store, &[key.digest]), [None]);
}

pub fn pages_of_keys_are_oldest_first_and_make_up_a_tenant_s_list(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let elsewhere = new_tenant(store, &samples);
    let mut keys = Vec::new();
    for _ in 0..4 {
        keys.push(samples.api_key(tenant));
        keys.push(ApiKey { revoked_at: Some(at(1)), ..samples.api_key(tenant) });
        for other in [elsewhere, other_environment(tenant)] {
            insert_api_key(store, &samples.api_key(other)).expect("a new key");
        }
    }
    for key in keys.iter().rev() {
        insert_api_key(store, key).expect("a new key");
    }
    for limit in [1, 3, 8, 9] {
        let seen = walk(limit, |last: Option<&ApiKey>| list(store, tenant, last.map(|key| key.id), limit));
        assert_eq!(seen, keys, "limit {limit}");
    }
}

pub fn the_list_of_a_tenant_without_keys_is_empty(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let without = new_tenant(store, &samples);
    insert_api_key(store, &samples.api_key(tenant)).expect("a new key");
    let unknown = Tenant { merchant: samples.merchant().id, ..tenant };
    for tenant in [without, unknown, other_environment(tenant)] {
        assert_eq!(list(store, tenant, None, 10), []);
    }
}

pub fn the_tenant_of_a_key_is_found_by_its_id_alone(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let elsewhere = other_environment(new_tenant(store, &samples));
    for tenant in [tenant, elsewhere] {
        let key = samples.api_key(tenant);
        insert_api_key(store, &key).expect("a new key");
        assert_eq!(tenant_of(store, key.id), Some(tenant));
    }
    assert_eq!(tenant_of(store, samples.api_key(tenant).id), None);
}

pub fn only_its_own_tenant_locks_a_key(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let elsewhere = new_tenant(store, &samples);
    let key = samples.api_key(tenant);
    insert_api_key(store, &key).expect("a new key");
    assert_eq!(lock(store, tenant, key.id), Some(key.clone()));
    for other in [elsewhere, other_environment(tenant)] {
        assert_eq!(lock(store, other, key.id), None);
    }
    assert_eq!(lock(store, tenant, samples.api_key(tenant).id), None);
}

pub fn an_update_writes_expiry_revocation_and_successor_of_one_key_only(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let elsewhere = new_tenant(store, &samples);
    let key = ApiKey { name: Some(name("ci")), expires_at: Some(at(9)), ..samples.api_key(tenant) };
    let other = samples.api_key(tenant);
    for key in [&key, &other] {
        insert_api_key(store, key).expect("a new key");
    }
    let successor = Some(other.id);
    let ended = ApiKey { expires_at: Some(at(7)), revoked_at: Some(at(5)), successor, ..key.clone() };
    update(store, &ApiKey { name: None, scopes: Scopes::NONE, last_used_at: Some(at(1)), ..ended.clone() });
    assert_eq!(find(store, &[key.digest, other.digest]), [Some(ended.clone()), Some(other.clone())]);
    // Nothing happens to the key of another tenant.
    for stranger in [elsewhere, other_environment(tenant)] {
        update(
            store,
            &ApiKey { tenant: stranger, expires_at: None, revoked_at: None, successor: None, ..ended.clone() },
        );
    }
    assert_eq!(find(store, &[key.digest, other.digest]), [Some(ended), Some(other)]);
}

pub fn a_use_is_written_once_a_minute(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let elsewhere = other_environment(tenant);
    let [key, unused] = [(); 2].map(|()| samples.api_key(tenant));
    for key in [&key, &unused] {
        insert_api_key(store, key).expect("a new key");
    }
    let last_used = |millis| {
        let at = at(millis);
        let missing = ApiKeyUse { tenant, id: samples.api_key(tenant).id, at };
        let uses = [missing, ApiKeyUse { tenant, id: key.id, at }, ApiKeyUse { tenant: elsewhere, id: unused.id, at }];
        store.direct(|uow| uow.api_keys().record_uses(&uses)).expect("uses that are written");
        find(store, &[key.digest]).remove(0).expect("the key").last_used_at
    };
    for (millis, written) in [(5, 5), (6, 5), (60_004, 5), (60_005, 60_005), (7, 60_005), (999_999, 999_999)] {
        assert_eq!(last_used(millis), Some(at(written)), "used at {millis}");
    }
    assert_eq!(find(store, &[unused.digest]), [Some(unused)]);
}

/// Each transaction locks the key and gives it a successor if it has none, as a rotation does.
pub fn of_many_transactions_that_lock_a_key_one_finds_it_without_a_successor(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let key = samples.api_key(tenant);
        insert_api_key(store, &key).expect("a new key");
        let racers = (0..RACERS).map(|_| -> Racer<(ApiKeyId, bool)> {
            let (key, own) = (key.clone(), samples.api_key(tenant).id);
            Box::new(move |store| (own, succeed(store, &key, own)))
        });
        let won: Vec<_> = race(store, racers.collect()).into_iter().filter(|(_, won)| *won).collect();
        let stored = find(store, &[key.digest]).remove(0).expect("the key");
        assert_eq!(won.iter().map(|(own, _)| Some(*own)).collect::<Vec<_>>(), [stored.successor], "round {round}");
    }
}

/// Gives a key a successor, unless it has one.
fn succeed(store: &Arc<dyn Store>, key: &ApiKey, successor: ApiKeyId) -> bool {
    let succeeded: Result<bool, StoreError> = store.transaction(|uow| {
        let stored = uow.api_keys().lock(key.tenant, key.id)?.expect("the key");
        if stored.successor.is_some() {
            return Ok(false);
        }
        uow.api_keys().update(&ApiKey { successor: Some(successor), ..stored })?;
        Ok(true)
    });
    succeeded.expect("an answer")
}

fn find(store: &Arc<dyn Store>, digests: &[Digest]) -> Vec<Option<ApiKey>> {
    store.direct(|uow| uow.api_keys().find(digests)).expect("an answer")
}

fn list(store: &Arc<dyn Store>, tenant: Tenant, after: Option<ApiKeyId>, limit: usize) -> Vec<ApiKey> {
    store.direct(|uow| uow.api_keys().list(tenant, after, limit)).expect("a page")
}

fn tenant_of(store: &Arc<dyn Store>, id: ApiKeyId) -> Option<Tenant> {
    store.direct(|uow| uow.api_keys().tenant_of(id)).expect("an answer")
}

fn lock(store: &Arc<dyn Store>, tenant: Tenant, id: ApiKeyId) -> Option<ApiKey> {
    store.transaction(|uow| uow.api_keys().lock(tenant, id)).expect("an answer")
}

/// Locks a key and writes `key` in its place, as a revocation does.
fn update(store: &Arc<dyn Store>, key: &ApiKey) {
    let written = store.transaction(|uow| {
        uow.api_keys().lock(key.tenant, key.id)?;
        uow.api_keys().update(key)
    });
    written.expect("a key that is written");
}
