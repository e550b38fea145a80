//! Many callers at one time, on real threads. Which of them meet is left to chance, so each race is run many times.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use roster_application::ports::{CustomerKey, CustomerState, Store, StoreError, Taken, Write, Written};
use roster_domain::{Customer, CustomerId};

use crate::actions::{
    by_external_id, by_id, change, create, delete, email_taken_by, external_id_taken_by, find, find_all, find_any,
    find_in, insert, insert_one, list, new_tenant, record, start, subscriptions_of, write_all, write_one,
};
use crate::race::{Racer, race};
use crate::samples::{
    CustomerSample, Samples, at, change_of, creation, deleted, deletion, name, renamed, renamed_subscription,
    subscription, with_email, with_external_id,
};

const ROUNDS: usize = 25;
const RACERS: usize = 16;

pub fn one_external_id_goes_to_exactly_one_of_many_callers(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let id = format!("round {round}");
        let customers: Vec<_> = (0..RACERS).map(|_| samples.customer(tenant).external_id(&id).build()).collect();
        let winner = only_winner(&customers, &race_to_insert(store, &customers), external_id_taken_by);
        assert_eq!(find(store, by_external_id(tenant, &id)), Some(winner));
    }
}

pub fn one_email_address_in_many_spellings_goes_to_exactly_one_caller(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let customers: Vec<_> = (0..RACERS)
            .map(|racer| samples.customer(tenant).email(&spelling(&format!("ada{round}@example.com"), racer)).build())
            .collect();
        only_winner(&customers, &race_to_insert(store, &customers), email_taken_by);
    }
}

pub fn one_external_id_goes_to_exactly_one_of_many_transactions(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let id = format!("round {round}");
        let customers: Vec<_> = (0..RACERS).map(|_| samples.customer(tenant).external_id(&id).build()).collect();
        let racers = customers.iter().map(creation).map(|write| -> Racer<Written> {
            Box::new(move |store| {
                let batch = std::slice::from_ref(&write);
                let written: Result<_, StoreError> = store.transaction(|uow| uow.customers().write(batch));
                written.expect("a race that is run again").remove(0)
            })
        });
        let winner = only_winner(&customers, &race(store, racers.collect()), external_id_taken_by);
        assert_eq!(find(store, by_external_id(tenant, &id)), Some(winner));
    }
}

pub fn one_external_id_in_many_tenants_goes_to_one_of_each(store: &Arc<dyn Store>) {
    let samples = Samples::default();
    let tenants: Vec<_> = (0..4).map(|_| new_tenant(store, &samples)).collect();
    for round in 0..ROUNDS {
        let id = format!("round {round}");
        let customers: Vec<_> =
            (0..RACERS).map(|racer| samples.customer(tenants[racer % 4]).external_id(&id).build()).collect();
        let results = race_to_insert(store, &customers);
        for tenant in &tenants {
            let (customers, results): (Vec<_>, Vec<_>) = customers
                .iter()
                .cloned()
                .zip(results.iter().cloned())
                .filter(|(customer, _)| customer.tenant() == *tenant)
                .unzip();
            only_winner(&customers, &results, external_id_taken_by);
        }
    }
}

pub fn an_address_is_not_taken_exclusively_once_it_is_shared(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let address = format!("ada{round}@example.com");
        let is_shared = Arc::new(AtomicBool::new(false));
        let racers = (0..RACERS).map(|racer| -> Racer<Vec<CustomerId>> {
            let tries: Vec<_> = (0..3).map(|_| samples.customer(tenant).email(&spelling(&address, racer))).collect();
            let is_shared = Arc::clone(&is_shared);
            // A few share, so that the others meet every state of the address: free, exclusive and shared.
            if racer % 4 == 3 {
                let tries: Vec<_> = tries.into_iter().map(|sample| sample.shared().build()).collect();
                Box::new(move |store| share(store, &tries, &is_shared))
            } else {
                let tries: Vec<_> = tries.into_iter().map(CustomerSample::build).collect();
                Box::new(move |store| take_exclusively(store, &tries, &is_shared))
            }
        });
        let holders = race(store, racers.collect()).concat();
        assert!(holders.len() <= 1, "round {round}: {holders:?} all have the address exclusively");
    }
}

pub fn a_released_identifier_goes_to_at_most_one_of_many_callers(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let id = format!("round {round}");
        let new = || samples.customer(tenant).external_id(&id).email(&format!("ada{round}@example.com")).build();
        let old = new();
        create(store, &[&old]);
        let customers: Vec<_> = (1..RACERS).map(|_| new()).collect();
        // A claim may be stale when the old holder has just been deleted.
        let mut racers: Vec<Racer<Written>> =
            customers.iter().map(|customer| until_decided(creation(customer))).collect();
        let deletion = deletion(&old);
        racers.push(Box::new(move |store| write_one(store, &deletion)));
        let mut results = race(store, racers);
        assert_eq!(results.pop(), Some(Written::Done), "round {round}: the deletion has no rival");
        let winners: Vec<_> = winners(&customers, &results);
        assert!(winners.len() <= 1, "round {round}: {} have one identifier", winners.len());
        let holders = [&[old.id()], winners.iter().map(|winner| winner.id()).collect::<Vec<_>>().as_slice()].concat();
        for result in &results {
            let Written::Taken(Taken { email, external_id }) = result else { continue };
            for named in email.iter().copied().chain(external_id.iter().map(|holder| holder.id())) {
                assert!(holders.contains(&named), "round {round}: {named} never had it");
            }
        }
        // A later caller finds it free unless one of the racers has it.
        assert_eq!(insert_one(store, &new()) == Written::Done, winners.is_empty());
    }
}

pub fn identifiers_of_a_deleted_customer_go_to_exactly_one_caller(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let mut last = samples.customer(tenant).external_id("ada").build();
    create(store, &[&last]);
    for _ in 0..ROUNDS {
        delete(store, &last);
        let customers: Vec<_> = (0..RACERS).map(|_| samples.customer(tenant).external_id("ada").build()).collect();
        last = only_winner(&customers, &race_to_insert(store, &customers), external_id_taken_by);
        assert_eq!(find(store, by_external_id(tenant, "ada")).as_ref(), Some(&last));
    }
}

pub fn a_customer_is_deleted_by_exactly_one_of_many_callers(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let customer = samples.customer(tenant).external_id("ada").build();
        create(store, &[&customer]);
        let results = race(store, (0..RACERS).map(|_| writing(deletion(&customer))).collect());
        assert_one_done_and_others_stale(&results, round);
        assert_eq!(find_any(store, &customer), Some(deleted(&customer)));
    }
}

pub fn a_version_is_changed_by_exactly_one_of_many_callers(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let mut before = samples.customer(tenant).build();
    create(store, &[&before]);
    for round in 0..ROUNDS {
        let changes: Vec<_> = (0..RACERS).map(|racer| renamed(&before, &format!("{round} {racer}"))).collect();
        let results = race(store, changes.iter().map(|after| writing(change_of(&before, after))).collect());
        assert_one_done_and_others_stale(&results, round);
        let winner = winners(&changes, &results)[0].clone();
        assert_eq!(find(store, by_id(&before)).as_ref(), Some(&winner));
        before = winner;
    }
}

pub fn sixteen_changes_of_one_customer_at_once_all_happen(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for _ in 0..ROUNDS {
        let customer = samples.customer(tenant).build();
        create(store, &[&customer]);
        let racers = (0..16).map(|racer| -> Racer<Customer> {
            let key = by_id(&customer);
            Box::new(move |store| update(store, &key, |before| with_letter(before, racer)))
        });
        let changes = race(store, racers.collect());
        let last = assert_gapless(&customer, changes);
        assert_eq!(last.version(), 17);
        assert_eq!(find(store, by_id(&customer)), Some(last));
    }
}

pub fn a_transaction_that_has_found_a_customer_always_changes_it(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let customer = samples.customer(tenant).external_id("ada").build();
    create(store, &[&customer]);
    for round in (1..).take(ROUNDS) {
        let racers = (0..RACERS).map(|racer| -> Racer<bool> {
            let key = [by_id(&customer), by_external_id(tenant, "ada")][racer % 2].clone();
            Box::new(move |store| change_in_one_transaction(store, &[key]))
        });
        assert_eq!(race(store, racers.collect()), [true; RACERS]);
        let version = find(store, by_id(&customer)).map(|customer| customer.version());
        assert_eq!(version, i64::try_from(1 + RACERS * round).ok());
    }
}

pub fn changes_of_one_customer_are_made_one_after_the_other(store: &Arc<dyn Store>) {
    const WRITERS: usize = 8;
    const CHANGES: usize = 10;
    let (samples, tenant) = start(store);
    let customer = samples.customer(tenant).external_id("ada").build();
    create(store, &[&customer]);
    let racers = (0..WRITERS).map(|writer| -> Racer<Vec<Customer>> {
        let keys = [by_id(&customer), by_external_id(tenant, "ada")];
        Box::new(move |store| {
            (0..CHANGES).map(|n| update(store, &keys[n % 2], |before| with_letter(before, writer))).collect()
        })
    });
    let changes = race(store, racers.collect()).concat();
    let last = assert_gapless(&customer, changes);
    assert_eq!(i64::try_from(1 + WRITERS * CHANGES), Ok(last.version()));
    assert_eq!(find(store, by_id(&customer)), Some(last));
}

pub fn changes_of_different_fields_at_once_lose_nothing(store: &Arc<dyn Store>) {
    const CHANGES: usize = 50;
    let (samples, tenant) = start(store);
    let customer = samples.customer(tenant).external_id("0").build();
    create(store, &[&renamed(&customer, "0")]);
    let key = by_id(&customer);
    let names: Racer<()> = {
        let key = key.clone();
        Box::new(move |store| {
            for n in 1..=CHANGES {
                update(store, &key, |before| {
                    assert_eq!(before.profile().name, Some(name(&(n - 1).to_string())), "a name was lost");
                    renamed(before, &n.to_string())
                });
            }
        })
    };
    let external_ids: Racer<()> = Box::new(move |store| {
        for n in 1..=CHANGES {
            update(store, &key, |before| {
                let stored = before.profile().external_id.as_ref().map(|id| id.as_str().to_owned());
                assert_eq!(stored, Some((n - 1).to_string()), "an external identifier was lost");
                with_external_id(before, &n.to_string())
            });
        }
    });
    race(store, vec![names, external_ids]);
    let last = find(store, by_external_id(tenant, &CHANGES.to_string())).expect("a live customer");
    assert_eq!(last.profile().name, Some(name(&CHANGES.to_string())));
    assert_eq!(i64::try_from(2 + 2 * CHANGES), Ok(last.version()));
}

pub fn a_change_that_races_a_deletion_comes_before_it_or_is_stale(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let customer = samples.customer(tenant).external_id(&format!("round {round}")).build();
        create(store, &[&customer]);
        let mut racers: Vec<Racer<Vec<Customer>>> = (0..3)
            .map(|racer| -> Racer<Vec<Customer>> {
                let customer = customer.clone();
                Box::new(move |store| change_until_deleted(store, &customer, racer))
            })
            .collect();
        let key = by_id(&customer);
        racers.push(Box::new(move |store| vec![update(store, &key, deleted)]));
        let mut results = race(store, racers);
        let deletion = results.pop().expect("four results").remove(0);
        let changes = results.concat();
        let last = assert_gapless(&customer, changes);
        assert_eq!(deletion, deleted(&last), "round {round}: the deletion comes after all changes");
        assert_eq!(find_any(store, &customer).as_ref(), Some(&deletion));
        assert_eq!(
            find_all(store, &[by_id(&customer), by_external_id(tenant, &format!("round {round}"))]),
            [None, None]
        );
        assert_eq!(change(store, &last, &renamed(&last, "late")), Written::Stale);
    }
}

pub fn of_two_first_reports_of_a_subscription_exactly_one_is_done(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let customer = samples.customer(tenant).build();
        create(store, &[&customer]);
        let reports = [1, 2].map(|millis| subscription("s", at(millis)));
        let racers = reports.clone().map(|reported| -> Racer<Written> {
            let customer = customer.clone();
            Box::new(move |store| record(store, &customer, None, &reported))
        });
        let results = race(store, racers.into());
        assert_one_done_and_others_stale(&results, round);
        let winner = usize::from(results[1] == Written::Done);
        assert_eq!(subscriptions_of(store, &customer), std::slice::from_ref(&reports[winner]));
    }
}

pub fn a_report_that_races_a_change_comes_before_it_or_is_stale(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let customer = samples.customer(tenant).build();
        create(store, &[&customer]);
        let first = subscription("s", at(1));
        assert_eq!(record(store, &customer, None, &first), Written::Done);
        let second = renamed_subscription(&first, "second");
        let after = if round % 2 == 0 { deleted(&customer) } else { renamed(&customer, "Ada") };
        let reporter: Racer<Written> = {
            let (customer, first, second) = (customer.clone(), first.clone(), second.clone());
            Box::new(move |store| record(store, &customer, Some(&first), &second))
        };
        let results = race(store, vec![reporter, writing(change_of(&customer, &after))]);
        // A report does not change the version of its customer.
        assert_eq!(results[1], Written::Done, "round {round}");
        let stored = match results[0] {
            Written::Done => second,
            Written::Stale => first,
            Written::Taken(_) => panic!("a report claims nothing"),
        };
        assert_eq!(subscriptions_of(store, &customer), [stored]);
        assert_eq!(find_any(store, &customer), Some(after));
    }
}

pub fn an_address_that_many_customers_change_to_goes_to_exactly_one(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let customers = samples.customers(tenant, 4);
        insert(store, &customers);
        let address = format!("ada{round}@example.com");
        let changed: Vec<_> = (0..4).map(|racer| with_email(&customers[racer], &spelling(&address, racer))).collect();
        let racers = customers.iter().zip(&changed).map(|(before, after)| until_decided(change_of(before, after)));
        only_winner(&changed, &race(store, racers.collect()), email_taken_by);
        let holders =
            list(store, tenant, None, 501).into_iter().filter(|one| one.email_key() == Some(&address)).count();
        assert_eq!(holders, 1, "round {round}");
    }
}

pub fn an_external_id_of_changes_and_creations_goes_to_exactly_one(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let id = format!("round {round}");
        let there = samples.customers(tenant, 4);
        insert(store, &there);
        let mut after: Vec<_> = there.iter().map(|before| with_external_id(before, &id)).collect();
        after.extend((0..4).map(|_| samples.customer(tenant).external_id(&id).build()));
        let mut writes: Vec<_> = there.iter().zip(&after).map(|(before, after)| change_of(before, after)).collect();
        writes.extend(after[4..].iter().map(creation));
        let results = race(store, writes.into_iter().map(until_decided).collect());
        let winner = only_winner(&after, &results, external_id_taken_by);
        assert_eq!(find(store, by_external_id(tenant, &id)), Some(winner));
    }
}

pub fn batches_in_opposite_orders_do_not_block_each_other(store: &Arc<dyn Store>) {
    const BATCH: usize = 40;
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let batch = || -> Vec<_> {
            (0..BATCH).map(|n| samples.customer(tenant).external_id(&format!("round {round}, {n}")).build()).collect()
        };
        let (one, mut other) = (batch(), batch());
        other.reverse();
        let racers = [one.clone(), other.clone()]
            .map(|batch| -> Racer<Vec<Written>> { Box::new(move |store| insert(store, &batch)) });
        let [of_one, mut of_other] = <[_; 2]>::try_from(race(store, racers.into())).expect("two results");
        of_other.reverse();
        other.reverse();
        for (place, pair) in of_one.iter().zip(&of_other).enumerate() {
            match pair {
                (Written::Done, refused) => assert_eq!(*refused, external_id_taken_by(&one[place])),
                (refused, Written::Done) => assert_eq!(*refused, external_id_taken_by(&other[place])),
                neither => panic!("round {round}, {place}: {neither:?}"),
            }
        }
    }
}

pub fn batches_of_changes_in_opposite_orders_do_not_block_each_other(store: &Arc<dyn Store>) {
    const BATCH: usize = 40;
    let (samples, tenant) = start(store);
    let customers = samples.customers(tenant, BATCH);
    insert(store, &customers);
    let mut before = customers;
    for round in 0..ROUNDS {
        let changes = |by: &str| -> Vec<Write> {
            before.iter().map(|before| change_of(before, &renamed(before, &format!("{by} {round}")))).collect()
        };
        let (one, mut other) = (changes("one"), changes("other"));
        other.reverse();
        let racers =
            [one, other].map(|batch| -> Racer<Vec<Written>> { Box::new(move |store| write_all(store, &batch)) });
        let [of_one, mut of_other] = <[_; 2]>::try_from(race(store, racers.into())).expect("two results");
        of_other.reverse();
        let keys: Vec<_> = before.iter().map(by_id).collect();
        let stored: Vec<_> = find_all(store, &keys).into_iter().flatten().collect();
        for (place, pair) in of_one.iter().zip(&of_other).enumerate() {
            let winner = match pair {
                (Written::Done, Written::Stale) => "one",
                (Written::Stale, Written::Done) => "other",
                neither => panic!("round {round}, {place}: {neither:?}"),
            };
            assert_eq!(stored[place], renamed(&before[place], &format!("{winner} {round}")));
        }
        before = stored;
    }
}

pub fn batches_with_identifiers_in_opposite_orders_both_succeed(store: &Arc<dyn Store>) {
    const BATCH: usize = 20;
    let (samples, tenant) = start(store);
    // Fewer rounds: a database may take a second to notice a deadlock that it must break.
    for round in 0..5 {
        let batch = |shift: usize| -> Vec<_> {
            (0..BATCH)
                .map(|n| {
                    let address = format!("{round}.{}@example.com", (BATCH - n + shift) % BATCH);
                    creation(
                        &samples.customer(tenant).external_id(&format!("round {round}, {n}")).email(&address).build(),
                    )
                })
                .collect()
        };
        let racers = [batch(0), batch(7)].map(|batch: Vec<Write>| -> Racer<Vec<Written>> {
            Box::new(move |store| {
                let written: Result<_, StoreError> = store.transaction(|uow| uow.customers().write(&batch));
                written.expect("a race that is run again")
            })
        });
        let [of_one, of_other] = <[_; 2]>::try_from(race(store, racers.into())).expect("two results");
        for (n, pair) in of_one.iter().zip(&of_other).enumerate() {
            let done = [pair.0, pair.1].into_iter().filter(|one| **one == Written::Done).count();
            let refused = [pair.0, pair.1].into_iter().filter(|one| matches!(one, Written::Taken(_))).count();
            assert!(done <= 1 && done + refused == 2, "round {round}, {n}: {pair:?}");
            let holder = find(store, by_external_id(tenant, &format!("round {round}, {n}")));
            assert_eq!(holder.is_some(), done == 1, "round {round}, {n}");
        }
    }
}

pub fn transactions_that_write_in_opposite_orders_both_succeed(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let customers = samples.customers(tenant, 2);
    insert(store, &customers);
    // Fewer rounds: a database may take a second to notice a deadlock that it must break.
    for _ in 0..5 {
        let racers = [[0, 1], [1, 0]].map(|order| -> Racer<()> {
            let keys = order.map(|place| by_id(&customers[place]));
            Box::new(move |store| while !change_in_one_transaction(store, &keys) {})
        });
        race(store, racers.into());
    }
    let versions: Vec<_> = list(store, tenant, None, 10).iter().map(Customer::version).collect();
    assert_eq!(versions, [11, 11]);
}

pub fn a_transaction_is_seen_whole_or_not_at_all(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let done = Arc::new(AtomicBool::new(false));
    let pairs: Vec<_> = (0..ROUNDS).map(|_| samples.customers(tenant, 2)).collect();
    let writer: Racer<()> = {
        let done = Arc::clone(&done);
        Box::new(move |store| {
            // Set even if this panics, or the reader would not end.
            let _done = SetAtTheEnd(done);
            for pair in &pairs {
                let written: Result<_, StoreError> = store.transaction(|uow| {
                    let customers = uow.customers();
                    Ok([customers.write(&[creation(&pair[0])])?, customers.write(&[creation(&pair[1])])?].concat())
                });
                assert_eq!(written.expect("customers that claim nothing"), vec![Written::Done; 2]);
            }
        })
    };
    let reader: Racer<()> = Box::new(move |store| {
        while !done.load(Ordering::SeqCst) {
            let seen = list(store, tenant, None, 501).len();
            assert!(seen.is_multiple_of(2), "half of a transaction was seen");
        }
    });
    race(store, vec![writer, reader]);
    assert_eq!(list(store, tenant, None, 501).len(), 2 * ROUNDS);
}

pub fn an_acknowledged_write_is_seen_by_every_caller(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let racers = (0..RACERS).map(|racer| -> Racer<Vec<Customer>> {
        let customers: Vec<_> =
            (0..10).map(|n| samples.customer(tenant).external_id(&format!("{racer} {n}")).build()).collect();
        Box::new(move |store| {
            for before in &customers {
                create(store, &[before]);
                assert_eq!(find(store, by_id(before)).as_ref(), Some(before));
                let after = renamed(before, "Changed");
                assert_eq!(change(store, before, &after), Written::Done);
                assert_eq!(find(store, by_id(before)), Some(after));
            }
            customers
        })
    });
    let all = race(store, racers.collect()).concat();
    let keys: Vec<_> = all.iter().map(by_id).collect();
    assert!(find_all(store, &keys).iter().all(Option::is_some));
    assert_eq!(list(store, tenant, None, 501).len(), all.len());
}

/// Sets a flag when it is dropped.
struct SetAtTheEnd(Arc<AtomicBool>);

impl Drop for SetAtTheEnd {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// An address with other letters in upper case for each number.
fn spelling(address: &str, number: usize) -> String {
    let upper = |(place, letter): (usize, char)| {
        if number >> (place % 4) & 1 == 1 { letter.to_ascii_uppercase() } else { letter }
    };
    address.chars().enumerate().map(upper).collect()
}

fn writing(write: Write) -> Racer<Written> {
    Box::new(move |store| write_one(store, &write))
}

/// Writes again while the result is stale. `before` stays the same: the customer itself has no other writer.
fn until_decided(write: Write) -> Racer<Written> {
    Box::new(move |store| {
        loop {
            match write_one(store, &write) {
                Written::Stale => {}
                decided => return decided,
            }
        }
    })
}

/// Changes a live customer as a caller does: reads, decides and writes, again while another writer is faster.
fn update(store: &Arc<dyn Store>, key: &CustomerKey, edit: impl Fn(&Customer) -> Customer) -> Customer {
    loop {
        let before = find(store, key.clone()).expect("a live customer");
        let after = edit(&before);
        match change(store, &before, &after) {
            Written::Done => return after,
            Written::Stale => {}
            Written::Taken(taken) => panic!("nothing else claims what this change claims: {taken:?}"),
        }
    }
}

/// Changes a customer until it is deleted, at most ten times, and gives what was stored.
fn change_until_deleted(store: &Arc<dyn Store>, customer: &Customer, racer: usize) -> Vec<Customer> {
    let mut changes = Vec::new();
    while changes.len() < 10 {
        let Some(before) = find(store, by_id(customer)) else { break };
        let after = with_letter(&before, racer);
        match change(store, &before, &after) {
            Written::Done => changes.push(after),
            Written::Stale => {
                let stored =
                    find_in(store, CustomerState::Any, &[by_id(customer)]).remove(0).expect("a stored customer");
                assert!(stored.version() > before.version(), "stale, but nothing else was written");
            }
            Written::Taken(taken) => panic!("a name is never taken: {taken:?}"),
        }
    }
    changes
}

/// A customer whose name has one more letter, a different one for each number.
fn with_letter(before: &Customer, number: usize) -> Customer {
    let old = before.profile().name.as_ref().map_or("", |name| name.as_str());
    let letter = ('a'..='z').nth(number).expect("a small number");
    renamed(before, &format!("{old}{letter}"))
}

/// Asserts that each of the changes, which [`with_letter`] made, was decided from the one before it, and gives the last.
fn assert_gapless(first: &Customer, mut changes: Vec<Customer>) -> Customer {
    changes.sort_by_key(Customer::version);
    let mut last = first.clone();
    for change in changes {
        let letters = change.profile().name.as_ref().map(|name| name.as_str().to_owned()).expect("a name");
        let before = last.profile().name.as_ref().map_or("", |name| name.as_str());
        let letter = letters.strip_prefix(before).and_then(|rest| rest.chars().next()).expect("one more letter");
        assert_eq!(change, renamed(&last, &format!("{before}{letter}")), "a change was lost");
        last = change;
    }
    last
}

fn assert_one_done_and_others_stale(results: &[Written], round: usize) {
    let done = results.iter().filter(|result| **result == Written::Done).count();
    let stale = results.iter().filter(|result| **result == Written::Stale).count();
    assert_eq!((done, stale), (1, results.len() - 1), "round {round}: {results:?}");
}

fn race_to_insert(store: &Arc<dyn Store>, customers: &[Customer]) -> Vec<Written> {
    race(store, customers.iter().map(|customer| writing(creation(customer))).collect())
}

fn winners<'a>(customers: &'a [Customer], results: &[Written]) -> Vec<&'a Customer> {
    customers.iter().zip(results).filter(|(_, result)| **result == Written::Done).map(|(one, _)| one).collect()
}

/// The one that was stored, where all others must have been `refused` because of it.
fn only_winner(customers: &[Customer], results: &[Written], refused: impl Fn(&Customer) -> Written) -> Customer {
    let winners = winners(customers, results);
    let [winner] = winners.as_slice() else { panic!("{} of {} won", winners.len(), results.len()) };
    let refused = refused(winner);
    for result in results {
        assert!(*result == Written::Done || *result == refused, "{result:?} is not {refused:?}");
    }
    (*winner).clone()
}

/// Creates customers that share their address, which must succeed, and sets the flag once the first is stored.
fn share(store: &Arc<dyn Store>, customers: &[Customer], is_shared: &AtomicBool) -> Vec<CustomerId> {
    for customer in customers {
        create(store, &[customer]);
        is_shared.store(true, Ordering::SeqCst);
    }
    vec![]
}

/// Creates customers that claim the address exclusively, and gives those that have it.
fn take_exclusively(store: &Arc<dyn Store>, customers: &[Customer], is_shared: &AtomicBool) -> Vec<CustomerId> {
    let mut holders = Vec::new();
    for customer in customers {
        let too_late = is_shared.load(Ordering::SeqCst);
        match insert_one(store, customer) {
            Written::Done => {
                assert!(!too_late, "an address that was shared already was taken");
                holders.push(customer.id());
            }
            Written::Taken(Taken { email: Some(_), external_id: None }) => {}
            other => panic!("{other:?}"),
        }
    }
    holders
}

/// Changes customers in one transaction, all or none. False if another writer was faster.
fn change_in_one_transaction(store: &Arc<dyn Store>, keys: &[CustomerKey]) -> bool {
    let changed = store.transaction(|uow| {
        for key in keys {
            let found = uow.customers().find(CustomerState::Live, std::slice::from_ref(key))?.remove(0);
            let before = found.expect("a live customer");
            let after = renamed(&before, &format!("version {}", before.version() + 1));
            match uow.customers().write(&[change_of(&before, &after)])?.remove(0) {
                Written::Done => {}
                Written::Stale => return Err(NotChanged::Stale),
                Written::Taken(taken) => panic!("a name is never taken: {taken:?}"),
            }
        }
        Ok(())
    });
    match changed {
        Ok(()) => true,
        Err(NotChanged::Stale) => false,
        Err(NotChanged::Failed(error)) => panic!("a race that is run again: {error:?}"),
    }
}

enum NotChanged {
    Stale,
    Failed(StoreError),
}

impl From<StoreError> for NotChanged {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}
