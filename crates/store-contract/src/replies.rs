//! The replies to requests with idempotency keys, saved with writes and alone.

use std::collections::HashSet;
use std::sync::Arc;

use roster_application::Digest;
use roster_application::ports::{ReplyKey, SavedReply, Store, StoreError, Write, Written};
use roster_domain::{Customer, Tenant, Timestamp};

use crate::actions::{
    by_external_id, create, email_taken_by, external_id_taken_by, find, find_any, list, new_tenant, start,
    subscriptions_of, write_all, write_one,
};
use crate::race::{Racer, race};
use crate::samples::{
    at, change_of, creation, deletion, other_environment, renamed, report, subscription, with_external_id,
};
use crate::subject::Unbatched;

/// When the samples' replies expire, in milliseconds after they begin.
const LIFETIME: i64 = 86_400_000;

fn key(tenant: Tenant, name: &str) -> ReplyKey {
    ReplyKey { tenant, digest: Digest::of(name.as_bytes()) }
}

/// A reply that is made when the samples begin.
fn reply(tenant: Tenant, name: &str, outcome: &str) -> SavedReply {
    SavedReply {
        key: key(tenant, name),
        fingerprint: Digest::of(outcome.as_bytes()),
        customer: None,
        outcome: outcome.to_owned(),
        created_at: at(0),
        expires_at: at(LIFETIME),
    }
}

/// The same, made when it expires.
fn later(tenant: Tenant, name: &str, outcome: &str) -> SavedReply {
    SavedReply { created_at: at(LIFETIME), expires_at: at(2 * LIFETIME), ..reply(tenant, name, outcome) }
}

fn of_customer(customer: &Customer, name: &str) -> SavedReply {
    SavedReply { customer: Some(customer.id()), ..reply(customer.tenant(), name, &customer.id().to_string()) }
}

/// The creation of a customer with a reply.
fn keyed(customer: &Customer, name: &str) -> Write {
    creation(customer).replying(of_customer(customer, name))
}

fn find_replies(store: &Arc<dyn Store>, keys: &[ReplyKey], now: Timestamp) -> Vec<Option<SavedReply>> {
    let found = store.direct(|uow| uow.replies().find(keys, now)).expect("an answer");
    assert_eq!(found.len(), keys.len(), "one answer for each key");
    found
}

fn found(store: &Arc<dyn Store>, key: ReplyKey) -> Option<SavedReply> {
    find_replies(store, &[key], at(0)).remove(0)
}

fn save(store: &Arc<dyn Store>, replies: &[SavedReply]) -> Vec<bool> {
    store.direct(|uow| uow.replies().save(replies)).expect("an answer")
}

pub fn a_reply_is_saved_with_every_kind_of_write(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").build();
    let [named, moved] = [renamed(&ada, "Ada"), with_external_id(&renamed(&ada, "Ada"), "countess")];
    let writes = [
        creation(&ada),
        change_of(&ada, &named),
        change_of(&named, &moved),
        report(&moved, None, &subscription("s", at(0))),
        deletion(&moved),
    ];
    for (write, name) in writes.into_iter().zip(["create", "change", "claim", "record", "delete"]) {
        let reply = of_customer(&ada, name);
        assert_eq!(write_one(store, &write.replying(reply.clone())), Written::Done, "{name}");
        assert_eq!(found(store, reply.key), Some(reply), "{name}");
    }
}

pub fn a_reply_comes_back_as_it_was_saved(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).build();
    let outcome = format!("{{\"text\":\"'\\\"\\\\ \\u0000 ж 🦀 {}\"}}", "long ".repeat(20_000));
    let saved = [
        SavedReply { customer: Some(ada.id()), outcome, ..reply(tenant, "with a customer", "") },
        SavedReply { created_at: at(-1), expires_at: at(1), ..reply(tenant, "without", "[]") },
    ];
    assert_eq!(save(store, &saved), [true, true]);
    assert_eq!(find_replies(store, &saved.clone().map(|reply| reply.key), at(0)), saved.map(Some));
}

pub fn replies_are_found_in_the_order_of_the_keys_and_missing_ones_are_none(store: &Arc<dyn Store>) {
    let (_, tenant) = start(store);
    let [first, second] = ["first", "second"].map(|name| reply(tenant, name, name));
    assert_eq!(save(store, &[first.clone(), second.clone()]), [true, true]);
    let keys = [second.key, key(tenant, "missing"), first.key, second.key];
    assert_eq!(find_replies(store, &keys, at(0)), [Some(second.clone()), None, Some(first), Some(second)]);
    assert_eq!(find_replies(store, &[], at(0)), []);
    assert_eq!(save(store, &[]), [true; 0]);
}

pub fn three_hundred_replies_are_saved_and_found_at_once(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let customers = samples.customers(tenant, 300);
    let writes: Vec<_> = customers.iter().map(|customer| keyed(customer, &customer.id().to_string())).collect();
    assert!(write_all(store, &writes).iter().all(|written| *written == Written::Done));
    let replies: Vec<_> = writes.iter().map(|write| write.reply().expect("all have one").clone()).collect();
    let keys: Vec<_> = replies.iter().map(|reply| reply.key).collect();
    assert_eq!(find_replies(store, &keys, at(0)), replies.into_iter().map(Some).collect::<Vec<_>>());
}

pub fn a_write_whose_key_has_a_reply_is_stale_and_leaves_nothing(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let [first, second] = ["ada", "eda"].map(|id| samples.customer(tenant).external_id(id).build());
    assert_eq!(write_one(store, &keyed(&first, "k")), Written::Done);
    assert_eq!(write_one(store, &keyed(&second, "k")), Written::Stale);
    assert_eq!(find_any(store, &second), None);
    let change = change_of(&first, &renamed(&first, "Ada")).replying(of_customer(&first, "k"));
    let record = report(&first, None, &subscription("s", at(0))).replying(of_customer(&first, "k"));
    assert_eq!(write_all(store, &[change, record]), [Written::Stale, Written::Stale]);
    assert_eq!(find_any(store, &first), Some(first.clone()));
    assert_eq!(subscriptions_of(store, &first), []);
    assert_eq!(found(store, key(tenant, "k")), Some(of_customer(&first, "k")));
}

pub fn a_key_with_a_reply_is_reported_before_taken(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = || samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    assert_eq!(write_one(store, &keyed(&ada(), "k")), Written::Done);
    assert_eq!(write_one(store, &keyed(&ada(), "k")), Written::Stale);
    let eda = samples.customer(tenant).external_id("eda").build();
    create(store, &[&eda]);
    let claiming = change_of(&eda, &with_external_id(&eda, "ada"));
    assert_eq!(write_one(store, &claiming.replying(of_customer(&eda, "k"))), Written::Stale);
}

pub fn a_refused_write_saves_no_reply(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    create(store, &[&ada]);
    let taken = samples.customer(tenant).external_id("ada").build();
    assert_eq!(write_one(store, &keyed(&taken, "taken")), external_id_taken_by(&ada));
    let shared = samples.customer(tenant).email("ADA@example.com").build();
    let free = samples.customer(tenant).external_id("free").build();
    let results = [email_taken_by(&ada), Written::Done];
    assert_eq!(write_all(store, &[keyed(&shared, "shared"), keyed(&free, "free")]), results);
    let missing = samples.customer(tenant).build();
    let stale = change_of(&missing, &renamed(&missing, "Ada")).replying(of_customer(&missing, "stale"));
    assert_eq!(write_one(store, &stale), Written::Stale);
    let keys = ["taken", "shared", "free", "stale"].map(|name| key(tenant, name));
    let is_saved: Vec<_> = find_replies(store, &keys, at(0)).iter().map(Option::is_some).collect();
    assert_eq!(is_saved, [false, false, true, false]);
}

pub fn of_writes_with_one_key_in_a_batch_the_first_that_succeeds_is_done(Unbatched(store): Unbatched<'_>) {
    let (samples, tenant) = start(store);
    let holder = samples.customer(tenant).external_id("taken").build();
    create(store, &[&holder]);
    let refused = samples.customer(tenant).external_id("taken").build();
    let [first, second, other] = [(); 3].map(|()| samples.customer(tenant).build());
    let batch = [keyed(&refused, "k"), keyed(&first, "k"), keyed(&other, "other"), keyed(&second, "k")];
    let results = [external_id_taken_by(&holder), Written::Done, Written::Done, Written::Stale];
    assert_eq!(write_all(store, &batch), results);
    assert_eq!(found(store, key(tenant, "k")), Some(of_customer(&first, "k")));
    assert_eq!(find_any(store, &second), None);
}

pub fn a_write_with_a_used_key_does_not_affect_the_others_of_its_batch(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").build();
    assert_eq!(write_one(store, &keyed(&ada, "used")), Written::Done);
    let [repeat, keyed_one, plain] = [(); 3].map(|()| samples.customer(tenant).build());
    let named = renamed(&ada, "Ada");
    let batch = [
        keyed(&repeat, "used"),
        keyed(&keyed_one, "free"),
        creation(&plain),
        change_of(&ada, &named).replying(of_customer(&ada, "change")),
    ];
    assert_eq!(write_all(store, &batch), [Written::Stale, Written::Done, Written::Done, Written::Done]);
    assert_eq!(find_any(store, &repeat), None);
    assert_eq!(find(store, by_external_id(tenant, "ada")), Some(named));
    let keys = ["free", "change"].map(|name| key(tenant, name));
    assert!(find_replies(store, &keys, at(0)).iter().all(Option::is_some));
}

pub fn a_later_write_sees_that_one_with_a_used_key_was_not_made(Unbatched(store): Unbatched<'_>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).build();
    create(store, &[&ada]);
    assert_eq!(save(store, &[reply(tenant, "used", "")]), [true]);
    let named = renamed(&ada, "Ada");
    let batch =
        [change_of(&ada, &named).replying(of_customer(&ada, "used")), change_of(&named, &renamed(&named, "Eda"))];
    assert_eq!(write_all(store, &batch), [Written::Stale, Written::Stale]);
    assert_eq!(find_any(store, &ada), Some(ada));
}

pub fn a_reply_is_saved_alone_unless_its_key_has_one(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let first = reply(tenant, "k", "first");
    assert_eq!(save(store, std::slice::from_ref(&first)), [true]);
    assert_eq!(save(store, &[reply(tenant, "k", "second"), reply(tenant, "other", "")]), [false, true]);
    assert_eq!(save(store, &[reply(tenant, "twice", "first"), reply(tenant, "twice", "second")]), [true, false]);
    assert_eq!(found(store, first.key), Some(first));
    assert_eq!(found(store, key(tenant, "twice")), Some(reply(tenant, "twice", "first")));
    let ada = samples.customer(tenant).build();
    assert_eq!(write_one(store, &keyed(&ada, "k")), Written::Stale);
}

pub fn a_reply_that_has_expired_counts_as_absent(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let [first, second] = [(); 2].map(|()| samples.customer(tenant).build());
    assert_eq!(save(store, &["write", "alone", "batch"].map(|name| reply(tenant, name, "old"))), [true; 3]);
    let keys = ["write", "alone", "batch"].map(|name| key(tenant, name));
    assert!(find_replies(store, &keys, at(LIFETIME - 1)).iter().all(Option::is_some));
    assert_eq!(find_replies(store, &keys, at(LIFETIME)), [None, None, None]);
    assert_eq!(write_one(store, &creation(&first).replying(later(tenant, "write", "new"))), Written::Done);
    assert_eq!(save(store, &[later(tenant, "alone", "new")]), [true]);
    let third = samples.customer(tenant).build();
    let batch = [creation(&second).replying(later(tenant, "batch", "new")), creation(&third)];
    assert_eq!(write_all(store, &batch), [Written::Done, Written::Done]);
    let new = ["write", "alone", "batch"].map(|name| Some(later(tenant, name, "new")));
    assert_eq!(find_replies(store, &keys, at(LIFETIME)), new);
}

pub fn a_refused_write_with_an_expired_key_leaves_none(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").build();
    create(store, &[&ada]);
    assert_eq!(save(store, &[reply(tenant, "k", "old")]), [true]);
    let taken = samples.customer(tenant).external_id("ada").build();
    let write = creation(&taken).replying(later(tenant, "k", "new"));
    assert_eq!(write_one(store, &write), external_id_taken_by(&ada));
    assert_eq!(find_replies(store, &[key(tenant, "k")], at(LIFETIME)), [None]);
}

pub fn one_key_of_several_tenants_is_a_key_of_each(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let tenants = [tenant, other_environment(tenant), new_tenant(store, &samples)];
    let customers = tenants.map(|tenant| samples.customer(tenant).build());
    let writes: Vec<_> = customers.iter().map(|customer| keyed(customer, "k")).collect();
    assert_eq!(write_all(store, &writes), [Written::Done, Written::Done, Written::Done]);
    let replies = customers.map(|customer| Some(of_customer(&customer, "k")));
    assert_eq!(find_replies(store, &tenants.map(|tenant| key(tenant, "k")), at(0)), replies);
    assert_eq!(found(store, key(other_environment(tenants[2]), "k")), None);
}

pub fn a_reply_is_undone_with_its_transaction(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).build();
    let undone: Result<(), StoreError> = store.transaction(|uow| {
        assert_eq!(uow.customers().write(&[keyed(&ada, "write")])?, [Written::Done]);
        assert_eq!(uow.replies().save(&[reply(tenant, "alone", "")])?, [true]);
        assert!(uow.replies().find(&[key(tenant, "alone")], at(0))?[0].is_some(), "it sees what it saved");
        Err(StoreError::internal("on purpose"))
    });
    undone.expect_err("it is rolled back");
    assert_eq!(find_replies(store, &["write", "alone"].map(|name| key(tenant, name)), at(0)), [None, None]);
    let kept: Result<(), StoreError> = store.transaction(|uow| {
        assert_eq!(
            uow.customers().write(&[keyed(&ada, "write"), keyed(&ada, "write")])?,
            [Written::Done, Written::Stale]
        );
        Ok(())
    });
    kept.expect("no other caller");
    assert_eq!(found(store, key(tenant, "write")), Some(of_customer(&ada, "write")));
}

pub fn expired_replies_of_some_tenants_are_found_and_deleted(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let others = [other_environment(tenant), new_tenant(store, &samples)];
    let names: Vec<_> = (0..5).map(|number| number.to_string()).collect();
    let expired: Vec<_> = names.iter().map(|name| reply(tenant, name, "")).collect();
    let of_others = others.map(|other| reply(other, "k", ""));
    assert!(save(store, &[&expired[..], &of_others, &[later(tenant, "kept", "")]].concat()).iter().all(|saved| *saved));
    let expired_at = |tenants: &[Tenant], now, limit| {
        store.direct(|uow| uow.replies().expired(tenants, now, limit)).expect("an answer")
    };
    let delete =
        |keys: &[ReplyKey], now| store.direct(|uow| uow.replies().delete_expired(keys, now)).expect("no fault");
    assert_eq!(expired_at(&[tenant, others[0]], at(LIFETIME - 1), 100), []);
    assert_eq!(expired_at(&[], at(LIFETIME), 100), []);
    assert_eq!(expired_at(&[tenant, others[0]], at(LIFETIME), 4).len(), 4);
    let found: HashSet<_> = expired_at(&[tenant, others[0]], at(LIFETIME), 100).into_iter().collect();
    assert_eq!(found, expired.iter().chain([&of_others[0]]).map(|reply| reply.key).collect());
    let mut keys: Vec<_> = found.into_iter().collect();
    delete(&keys, at(LIFETIME - 1));
    assert_eq!(expired_at(&[tenant, others[0]], at(LIFETIME), 100).len(), 6);
    keys.push(key(tenant, "kept"));
    delete(&keys, at(LIFETIME));
    assert_eq!(expired_at(&[tenant, others[0]], at(LIFETIME), 100), []);
    assert_eq!(expired_at(&others, at(LIFETIME), 100), [of_others[1].key]);
    assert_eq!(found_at(store, key(tenant, "kept"), at(LIFETIME)), Some(later(tenant, "kept", "")));
}

pub fn the_replies_of_a_customer_are_listed_page_by_page(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let [ada, eda] = ["ada", "eda"].map(|id| samples.customer(tenant).external_id(id).build());
    let foreign = samples.customer(other_environment(tenant)).build();
    let mut of_ada: Vec<_> = (0..5).map(|number| of_customer(&ada, &number.to_string())).collect();
    let others = [of_customer(&eda, "eda"), reply(tenant, "none", ""), of_customer(&foreign, "foreign")];
    assert!(save(store, &[&of_ada[..], &others].concat()).iter().all(|saved| *saved));
    of_ada.sort_by_key(|reply| reply.key);
    let page = |after: Option<&SavedReply>, limit| {
        let after = after.map(|reply| reply.key.digest);
        store.direct(|uow| uow.replies().of_customer(tenant, Some(ada.id()), after, limit)).expect("an answer")
    };
    assert_eq!(page(None, 10), of_ada);
    assert_eq!(page(None, 2), of_ada[..2]);
    assert_eq!(page(Some(&of_ada[1]), 10), of_ada[2..]);
    assert_eq!(page(of_ada.last(), 10), []);
    let of_none = store.direct(|uow| uow.replies().of_customer(tenant, None, None, 10)).expect("an answer");
    assert_eq!(of_none, [reply(tenant, "none", "")]);
}

fn found_at(store: &Arc<dyn Store>, key: ReplyKey, now: Timestamp) -> Option<SavedReply> {
    find_replies(store, &[key], now).remove(0)
}

const ROUNDS: usize = 25;
const RACERS: usize = 16;

/// Whether a write of one of many callers with one key was made.
fn race_with_one_key(store: &Arc<dyn Store>, customers: &[Customer], name: &str) -> Vec<bool> {
    let racers = customers.iter().map(|customer| -> Racer<bool> {
        let write = keyed(customer, name);
        Box::new(move |store| match write_one(store, &write) {
            Written::Done => true,
            Written::Stale => false,
            Written::Taken(taken) => panic!("a repeat is stale, whatever it claims: {taken:?}"),
        })
    });
    race(store, racers.collect())
}

fn assert_one_is_stored(store: &Arc<dyn Store>, customers: &[Customer], done: &[bool], name: &str) {
    let winners: Vec<_> = customers.iter().zip(done).filter(|(_, done)| **done).map(|(one, _)| one).collect();
    let [winner] = winners[..] else { panic!("{} of them were done", winners.len()) };
    let stored = list(store, winner.tenant(), None, 1000);
    assert_eq!(customers.iter().filter(|one| stored.contains(one)).collect::<Vec<_>>(), [winner]);
    assert_eq!(found(store, key(winner.tenant(), name)), Some(of_customer(winner, name)));
}

pub fn one_key_goes_to_exactly_one_of_many_callers(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let name = format!("round {round}");
        let anonymous = samples.customers(tenant, RACERS);
        let done = race_with_one_key(store, &anonymous, &name);
        assert_one_is_stored(store, &anonymous, &done, &name);
    }
}

pub fn one_key_and_one_external_id_go_to_exactly_one_of_many_callers(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let name = format!("round {round}");
        let customers: Vec<_> = (0..RACERS).map(|_| samples.customer(tenant).external_id(&name).build()).collect();
        let done = race_with_one_key(store, &customers, &name);
        assert_one_is_stored(store, &customers, &done, &name);
        assert!(find(store, by_external_id(tenant, &name)).is_some());
    }
}

pub fn one_key_goes_to_a_write_or_to_a_reply_alone(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let name = format!("round {round}");
        let customers = samples.customers(tenant, RACERS);
        let racers = customers.iter().enumerate().map(|(place, customer)| -> Racer<bool> {
            let (write, alone) = (keyed(customer, &name), reply(tenant, &name, "alone"));
            if place % 2 == 0 {
                Box::new(move |store| write_one(store, &write) == Written::Done)
            } else {
                Box::new(move |store| save(store, std::slice::from_ref(&alone)) == [true])
            }
        });
        let won = race(store, racers.collect());
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        let stored = list(store, tenant, None, 1000);
        let is_stored = |customer| stored.contains(customer);
        assert_eq!(
            customers.iter().filter(|one| is_stored(one)).count(),
            usize::from(won.iter().step_by(2).any(|won| *won))
        );
    }
}

pub fn batches_with_keys_in_opposite_orders_do_not_block_each_other(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let names: Vec<_> = (0..20).map(|number| format!("{round} {number}")).collect();
        let batch = |names: Vec<&String>| -> Vec<Write> {
            names.into_iter().map(|name| keyed(&samples.customer(tenant).build(), name)).collect()
        };
        let batches = [batch(names.iter().collect()), batch(names.iter().rev().collect())];
        let racers = batches.map(|batch| -> Racer<usize> {
            Box::new(move |store| write_all(store, &batch).iter().filter(|written| **written == Written::Done).count())
        });
        assert_eq!(race(store, racers.into()).iter().sum::<usize>(), names.len());
    }
}
