//! Many callers at one time, on real threads. Chance decides who meets whom, so each race is run many times.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use roster_application::ports::{Claims, Inserted, Store, StoreError, Taken};
use roster_domain::{Customer, CustomerId, Tenant};

use crate::actions::{
    by_external_id, by_id, create, delete, external_id_taken_by, find, find_all, insert, insert_merchant, insert_one,
    list, replace, start,
};
use crate::race::{Racer, race};
use crate::samples::{Samples, deleted, live, name, renamed, with_email, with_external_id};

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

pub fn one_email_address_in_many_spellings_goes_to_exactly_one_of_many_callers(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let customers: Vec<_> = (0..RACERS)
            .map(|racer| samples.customer(tenant).email(&spelling(&format!("ada{round}@example.com"), racer)).build())
            .collect();
        let holder = |winner: &Customer| Inserted::Taken(Taken { email: Some(winner.id()), external_id: None });
        only_winner(&customers, &race_to_insert(store, &customers), holder);
    }
}

pub fn one_external_id_goes_to_exactly_one_of_many_transactions(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let id = format!("round {round}");
        let customers: Vec<_> = (0..RACERS).map(|_| samples.customer(tenant).external_id(&id).build()).collect();
        let racers = customers.iter().cloned().map(|customer| -> Racer<Inserted> {
            Box::new(move |store| {
                let batch = std::slice::from_ref(&customer);
                let inserted: Result<_, StoreError> = store.transaction(|uow| uow.customers().insert(batch));
                inserted.expect("a race that is run again").remove(0)
            })
        });
        let winner = only_winner(&customers, &race(store, racers.collect()), external_id_taken_by);
        assert_eq!(find(store, by_external_id(tenant, &id)), Some(winner));
    }
}

pub fn one_external_id_in_many_tenants_goes_to_one_of_each(store: &Arc<dyn Store>) {
    let samples = Samples::default();
    let tenants: Vec<_> = (0..4).map(|_| new_live_tenant(store, &samples)).collect();
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

pub fn nobody_has_an_address_alone_once_somebody_shares_it(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let address = format!("ada{round}@example.com");
        let is_shared = Arc::new(AtomicBool::new(false));
        let racers = (0..RACERS).map(|racer| -> Racer<Vec<CustomerId>> {
            let tries: Vec<_> = (0..3).map(|_| samples.customer(tenant).email(&spelling(&address, racer))).collect();
            let is_shared = Arc::clone(&is_shared);
            // A few share, so that the rest meet every state: nobody has it, one has it alone, it is shared.
            if racer % 4 == 3 {
                let tries: Vec<_> = tries.into_iter().map(|sample| sample.shared().build()).collect();
                Box::new(move |store| share(store, &tries, &is_shared))
            } else {
                let tries: Vec<_> = tries.into_iter().map(crate::samples::CustomerSample::build).collect();
                Box::new(move |store| take_alone(store, &tries, &is_shared))
            }
        });
        let alone = race(store, racers.collect()).concat();
        assert!(alone.len() <= 1, "round {round}: {alone:?} all have the address alone");
    }
}

pub fn an_identifier_that_is_given_up_goes_to_at_most_one_of_many_callers(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let id = format!("round {round}");
        let new = || samples.customer(tenant).external_id(&id).email(&format!("ada{round}@example.com")).build();
        let goes = new();
        create(store, &[&goes]);
        let customers: Vec<_> = (1..RACERS).map(|_| new()).collect();
        let mut racers: Vec<Racer<Inserted>> = customers.iter().map(inserting).collect();
        let going = goes.clone();
        racers.push(Box::new(move |store| {
            delete(store, &going);
            Inserted::Created
        }));
        let mut results = race(store, racers);
        results.pop();
        let winners: Vec<_> = winners(&customers, &results);
        assert!(winners.len() <= 1, "round {round}: {} have one identifier", winners.len());
        let holders = [&[goes.id()], winners.iter().map(|winner| winner.id()).collect::<Vec<_>>().as_slice()].concat();
        for result in &results {
            let Inserted::Taken(Taken { email, external_id }) = result else { continue };
            let named = email.iter().copied().chain(external_id.iter().map(|namesake| namesake.id()));
            for named in named {
                assert!(holders.contains(&named), "round {round}: {named} never had it");
            }
        }
        assert!(!results.contains(&Inserted::Contended), "round {round}: it was given up only once");
        // Whoever comes now finds it free, unless somebody has it.
        let late = new();
        assert_eq!(insert_one(store, &late) == Inserted::Created, winners.is_empty());
    }
}

pub fn identifiers_of_a_deleted_customer_go_to_exactly_one_of_many_callers(store: &Arc<dyn Store>) {
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
        let racers = (0..8).map(|_| -> Racer<bool> {
            let key = by_id(&customer);
            Box::new(move |store| {
                let was_there: Result<_, StoreError> = store.transaction(|uow| {
                    let customers = uow.customers();
                    let Some(before) = customers.lock(&key)? else { return Ok(false) };
                    let after = deleted(&before);
                    customers.update(&after, &Claims::of_change(&before, &after))?;
                    Ok(true)
                });
                was_there.expect("a race that is run again")
            })
        });
        let deleters = race(store, racers.collect()).into_iter().filter(|deleted| *deleted).count();
        assert_eq!(deleters, 1, "round {round}");
    }
}

pub fn changes_of_one_customer_are_made_one_after_the_other(store: &Arc<dyn Store>) {
    const WRITERS: usize = 8;
    const CHANGES: usize = 10;
    let (samples, tenant) = start(store);
    let customer = samples.customer(tenant).external_id("ada").build();
    create(store, &[&customer]);
    let racers = (0..WRITERS).map(|writer| -> Racer<()> {
        let keys = [by_id(&customer), by_external_id(tenant, "ada")];
        Box::new(move |store| {
            for change in 0..CHANGES {
                let changed: Result<(), StoreError> = store.transaction(|uow| {
                    let customers = uow.customers();
                    let before = customers.lock(&keys[change % 2])?.expect("a live customer");
                    let after = renamed(&before, &format!("{writer} {change}"));
                    customers.update(&after, &Claims::of_change(&before, &after))
                });
                changed.expect("a customer that waits to be unlocked");
            }
        })
    });
    race(store, racers.collect());
    let version = find(store, by_id(&customer)).map(|customer| customer.parts().version);
    assert_eq!(version, i64::try_from(1 + WRITERS * CHANGES).ok());
}

pub fn an_address_that_many_customers_change_to_goes_to_exactly_one(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let customers = samples.customers(tenant, 4);
        insert(store, &customers);
        let address = format!("ada{round}@example.com");
        let racers = customers.iter().enumerate().map(|(racer, before)| {
            let after = with_email(before, &spelling(&address, racer));
            changing(before, after)
        });
        let changed = race(store, racers.collect()).into_iter().filter(|changed| *changed).count();
        assert_eq!(changed, 1, "round {round}");
        let holders =
            list(store, tenant, None, 501).into_iter().filter(|one| one.email_key() == Some(&address)).count();
        assert_eq!(holders, 1, "round {round}");
    }
}

pub fn an_external_id_that_some_change_to_and_others_register_goes_to_exactly_one(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let id = format!("round {round}");
        let there = samples.customers(tenant, 4);
        insert(store, &there);
        let mut racers: Vec<Racer<bool>> =
            there.iter().map(|before| changing(before, with_external_id(before, &id))).collect();
        for _ in 0..4 {
            let customer = samples.customer(tenant).external_id(&id).build();
            racers.push(Box::new(move |store| insert_one(store, &customer) == Inserted::Created));
        }
        let holders = race(store, racers).into_iter().filter(|won| *won).count();
        assert_eq!(holders, 1, "round {round}");
    }
}

pub fn batches_in_opposite_orders_do_not_stop_each_other(store: &Arc<dyn Store>) {
    const BATCH: usize = 40;
    let (samples, tenant) = start(store);
    for round in 0..ROUNDS {
        let batch = || -> Vec<_> {
            (0..BATCH).map(|n| samples.customer(tenant).external_id(&format!("round {round}, {n}")).build()).collect()
        };
        let (one, mut other) = (batch(), batch());
        other.reverse();
        let racers = [one.clone(), other.clone()]
            .map(|batch| -> Racer<Vec<Inserted>> { Box::new(move |store| insert(store, &batch)) });
        let [of_one, mut of_other] = <[_; 2]>::try_from(race(store, racers.into())).expect("two results");
        of_other.reverse();
        other.reverse();
        for (place, pair) in of_one.iter().zip(&of_other).enumerate() {
            match pair {
                (Inserted::Created, refused) => assert_eq!(*refused, external_id_taken_by(&one[place])),
                (refused, Inserted::Created) => assert_eq!(*refused, external_id_taken_by(&other[place])),
                neither => panic!("round {round}, {place}: {neither:?}"),
            }
        }
    }
}

pub fn batches_whose_two_identifiers_stand_in_opposite_orders_do_not_stop_each_other(store: &Arc<dyn Store>) {
    const BATCH: usize = 20;
    let (samples, tenant) = start(store);
    // Fewer rounds: a database may take a second to notice what it must break.
    for round in 0..5 {
        let batch = |shift: usize| -> Vec<_> {
            (0..BATCH)
                .map(|n| {
                    let address = format!("{round}.{}@example.com", (BATCH - n + shift) % BATCH);
                    samples.customer(tenant).external_id(&format!("round {round}, {n}")).email(&address).build()
                })
                .collect()
        };
        let racers = [batch(0), batch(7)].map(|batch| -> Racer<Vec<Inserted>> {
            Box::new(move |store| {
                let inserted: Result<_, StoreError> = store.transaction(|uow| uow.customers().insert(&batch));
                inserted.expect("a race that is run again")
            })
        });
        let [of_one, of_other] = <[_; 2]>::try_from(race(store, racers.into())).expect("two results");
        for (n, pair) in of_one.iter().zip(&of_other).enumerate() {
            let created = [pair.0, pair.1].into_iter().filter(|one| **one == Inserted::Created).count();
            let refused = [pair.0, pair.1].into_iter().filter(|one| matches!(one, Inserted::Taken(_))).count();
            assert!(created <= 1 && created + refused == 2, "round {round}, {n}: {pair:?}");
            let holder = find(store, by_external_id(tenant, &format!("round {round}, {n}")));
            assert_eq!(holder.is_some(), created == 1, "round {round}, {n}");
        }
    }
}

pub fn transactions_that_lock_in_opposite_orders_both_succeed(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let customers = samples.customers(tenant, 2);
    insert(store, &customers);
    // Fewer rounds: a database may take a second to notice what it must break.
    for _ in 0..5 {
        let racers = [[0, 1], [1, 0]].map(|order| -> Racer<()> {
            let keys = order.map(|place| by_id(&customers[place]));
            Box::new(move |store| {
                let changed: Result<(), StoreError> = store.transaction(|uow| {
                    keys.iter().try_for_each(|key| {
                        let before = uow.customers().lock(key)?.expect("a live customer");
                        let after = renamed(&before, &format!("version {}", before.parts().version));
                        uow.customers().update(&after, &Claims::of_change(&before, &after))
                    })
                });
                changed.expect("a race that is run again");
            })
        });
        race(store, racers.into());
    }
    let versions: Vec<_> = list(store, tenant, None, 10).iter().map(|customer| customer.parts().version).collect();
    assert_eq!(versions, [11, 11]);
}

pub fn a_transaction_is_seen_whole_or_not_at_all(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let done = Arc::new(AtomicBool::new(false));
    let pairs: Vec<_> = (0..ROUNDS).map(|_| samples.customers(tenant, 2)).collect();
    let writer: Racer<()> = {
        let done = Arc::clone(&done);
        Box::new(move |store| {
            // Says so however it ends, or the reader would wait for good.
            let _done = SetAtTheEnd(done);
            for pair in &pairs {
                let written: Result<(), StoreError> = store.transaction(|uow| {
                    uow.customers().insert(&pair[..1])?;
                    uow.customers().insert(&pair[1..])?;
                    Ok(())
                });
                written.expect("customers in whose way nobody stands");
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

pub fn what_was_acknowledged_is_seen_by_everybody(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let racers = (0..RACERS).map(|racer| -> Racer<Vec<Customer>> {
        let customers: Vec<_> =
            (0..10).map(|n| samples.customer(tenant).external_id(&format!("{racer} {n}")).build()).collect();
        Box::new(move |store| {
            for before in &customers {
                create(store, &[before]);
                assert_eq!(find(store, by_id(before)).as_ref(), Some(before));
                let after = renamed(before, "Changed");
                replace(store, before, &after).expect("a customer of nobody else");
                assert_eq!(
                    find(store, by_id(before)).map(|found| found.profile().name.clone()),
                    Some(Some(name("Changed")))
                );
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

fn new_live_tenant(store: &Arc<dyn Store>, samples: &Samples) -> Tenant {
    let merchant = samples.merchant();
    insert_merchant(store, &merchant).expect("a new merchant");
    live(&merchant)
}

/// An address with other letters in upper case for each number.
fn spelling(address: &str, number: usize) -> String {
    let upper = |(place, letter): (usize, char)| {
        if number >> (place % 4) & 1 == 1 { letter.to_ascii_uppercase() } else { letter }
    };
    address.chars().enumerate().map(upper).collect()
}

fn inserting(customer: &Customer) -> Racer<Inserted> {
    let customer = customer.clone();
    Box::new(move |store| insert_one(store, &customer))
}

fn race_to_insert(store: &Arc<dyn Store>, customers: &[Customer]) -> Vec<Inserted> {
    race(store, customers.iter().map(inserting).collect())
}

fn winners<'a>(customers: &'a [Customer], results: &[Inserted]) -> Vec<&'a Customer> {
    customers.iter().zip(results).filter(|(_, result)| **result == Inserted::Created).map(|(one, _)| one).collect()
}

/// The one that was created, where all others must have been `refused` because of it.
fn only_winner(customers: &[Customer], results: &[Inserted], refused: impl Fn(&Customer) -> Inserted) -> Customer {
    let winners = winners(customers, results);
    let [winner] = winners.as_slice() else { panic!("{} of {} won", winners.len(), results.len()) };
    let refused = refused(winner);
    for result in results {
        assert!(*result == Inserted::Created || *result == refused, "{result:?} is not {refused:?}");
    }
    (*winner).clone()
}

/// Inserts customers that share their address, which nobody may refuse, and tells so once the first is there.
fn share(store: &Arc<dyn Store>, customers: &[Customer], is_shared: &AtomicBool) -> Vec<CustomerId> {
    for customer in customers {
        create(store, &[customer]);
        is_shared.store(true, Ordering::SeqCst);
    }
    vec![]
}

/// Inserts customers that want the address alone, and says which of them have it.
fn take_alone(store: &Arc<dyn Store>, customers: &[Customer], is_shared: &AtomicBool) -> Vec<CustomerId> {
    let mut alone = Vec::new();
    for customer in customers {
        let too_late = is_shared.load(Ordering::SeqCst);
        match insert_one(store, customer) {
            Inserted::Created => {
                assert!(!too_late, "an address that was shared already was taken");
                alone.push(customer.id());
            }
            Inserted::Taken(Taken { email: Some(_), external_id: None }) => {}
            other => panic!("{other:?}"),
        }
    }
    alone
}

/// Changes a customer as a caller does, who looks before writing, and says whether it was changed.
fn changing(before: &Customer, after: Customer) -> Racer<bool> {
    let before = before.clone();
    Box::new(move |store| {
        let changed: Result<_, StoreError> = store.transaction(|uow| {
            let customers = uow.customers();
            customers.lock(&by_id(&before))?;
            let claims = Claims::of_change(&before, &after);
            if !customers.taken(&claims)?.is_empty() {
                return Ok(false);
            }
            customers.update(&after, &claims)?;
            Ok(true)
        });
        changed.expect("a race that is run again")
    })
}
