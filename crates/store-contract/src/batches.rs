//! Several writes in one call: they behave as if made one after the other.

use std::sync::Arc;

use roster_application::ports::{Origins, Store, StoreError, SubscriptionWrite, Taken, Write, Written};
use roster_domain::{Customer, CustomerParts, EmailUse, Profile, Subscription, Tenant};

use crate::actions::{
    by_external_id, by_id, create, email_taken_by, external_id_taken_by, find, find_all, find_any, insert, list,
    new_tenant, start, subscriptions_of, write_all, write_one,
};
use crate::samples::{
    Samples, at, change_of, creation, deleted, deletion, other_environment, renamed, renamed_subscription, report,
    subscription, with_email, with_external_id, with_identifiers, with_shared_email, without_identifiers,
};
use crate::subject::Unbatched;

pub fn an_empty_batch_has_no_results(store: &Arc<dyn Store>) {
    assert_eq!(write_all(store, &[]), []);
}

pub fn a_refused_write_does_not_affect_the_others_of_its_batch(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").build();
    let eda = samples.customer(tenant).email("eda@example.com").build();
    create(store, &[&ada, &eda]);
    let batch = [
        samples.customer(tenant).external_id("new").build(),
        samples.customer(tenant).external_id("ada").build(),
        samples.customer(tenant).email("new@example.com").build(),
        samples.customer(tenant).email("eda@example.com").build(),
        samples.customer(tenant).build(),
    ];
    let results = [Written::Done, external_id_taken_by(&ada), Written::Done, email_taken_by(&eda), Written::Done];
    assert_eq!(insert(store, &batch), results);
    let is_stored: Vec<_> = batch.iter().map(|customer| find_any(store, customer).is_some()).collect();
    assert_eq!(is_stored, [true, false, true, false, true]);
}

pub fn results_are_in_the_order_of_the_batch_whatever_its_keys(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let holder = samples.customer(tenant).external_id("m").build();
    create(store, &[&holder]);
    let other = new_tenant(store, &samples);
    let batch = [
        samples.customer(other).external_id("z").email("a@example.com").build(),
        samples.customer(tenant).external_id("m").email("z@example.com").build(),
        samples.customer(other_environment(tenant)).external_id("m").build(),
        samples.customer(tenant).external_id("a").email("m@example.com").build(),
    ];
    let results = [Written::Done, external_id_taken_by(&holder), Written::Done, Written::Done];
    assert_eq!(insert(store, &batch), results);
}

pub fn claims_within_a_batch_are_decided_one_after_the_other(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let batch = [
        samples.customer(tenant).external_id("ada").email("ada@example.com").build(),
        samples.customer(tenant).external_id("ada").build(),
        samples.customer(tenant).email("ADA@example.com").build(),
        samples.customer(tenant).external_id("eda").email("ada@example.com").build(),
        samples.customer(tenant).external_id("eda").build(),
        samples.customer(other_environment(tenant)).external_id("ada").build(),
    ];
    let results = [
        Written::Done,
        external_id_taken_by(&batch[0]),
        email_taken_by(&batch[0]),
        email_taken_by(&batch[0]),
        // The one before it was refused, so its external identifier is free.
        Written::Done,
        Written::Done,
    ];
    assert_eq!(insert(store, &batch), results);
}

pub fn shared_addresses_within_a_batch_depend_on_its_order(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let exclusive = |address| samples.customer(tenant).email(address).build();
    let shared = |address| samples.customer(tenant).email(address).shared().build();
    let batch = [
        shared("ada@example.com"),
        exclusive("ada@example.com"),
        shared("ada@example.com"),
        exclusive("eda@example.com"),
        shared("eda@example.com"),
    ];
    let results = [Written::Done, email_taken_by(&batch[0]), Written::Done, Written::Done, Written::Done];
    assert_eq!(insert(store, &batch), results);
}

pub fn five_hundred_customers_fit_in_one_batch(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let batch: Vec<_> = (0..500)
        .map(|n| {
            let address = format!("customer{n}@example.com");
            samples.customer(tenant).external_id(&format!("customer {n}")).email(&address).build()
        })
        .collect();
    assert_eq!(insert(store, &batch), vec![Written::Done; 500]);
    let keys: Vec<_> = batch.iter().map(by_id).collect();
    assert!(find_all(store, &keys).into_iter().eq(batch.into_iter().map(Some)), "all as they were inserted");
}

/// On the store itself: the batching serves each write of a failed batch by itself.
pub fn a_customer_of_no_merchant_fails_its_whole_batch(Unbatched(store): Unbatched<'_>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").build();
    let eda = samples.customer(tenant).external_id("eda").build();
    create(store, &[&ada, &eda]);
    let of_no_merchant = Tenant { merchant: samples.merchant().id, ..tenant };
    let bad = samples.customer(of_no_merchant).build();
    let new = [(); 2].map(|()| samples.customer(tenant).build());
    let batch = [
        creation(&new[0]),
        change_of(&ada, &renamed(&ada, "Ada")),
        report(&eda, None, &subscription("s", at(1))),
        creation(&bad),
        deletion(&eda),
        creation(&new[1]),
    ];
    let refused: Result<_, StoreError> = store.direct(|uow| uow.customers().write(&batch));
    assert!(matches!(refused, Err(StoreError::Internal { .. })), "{refused:?}");
    assert_eq!(list(store, tenant, None, 10), [eda.clone(), ada]);
    assert_eq!(subscriptions_of(store, &eda), []);
    assert_eq!(find_any(store, &bad), None);
}

pub fn several_writes_to_one_customer_fit_in_one_batch(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let first = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    let second = renamed(&first, "second");
    let third = with_identifiers(&second, "eda", "eda@example.com");
    let steps = [creation(&first), change_of(&first, &second), change_of(&second, &third)];
    assert_eq!(write_all(store, &steps), vec![Written::Done; 3]);
    assert_eq!(find(store, by_external_id(tenant, "eda")), Some(third.clone()));
    assert_eq!(find(store, by_external_id(tenant, "ada")), None);

    let first = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    let second = renamed(&first, "second");
    let third = with_external_id(&second, "oda");
    let steps = [creation(&first), change_of(&first, &second), change_of(&second, &third), deletion(&third)];
    assert_eq!(write_all(store, &steps), vec![Written::Done; 4]);
    assert_eq!(find_any(store, &first), Some(deleted(&third)));
    create(store, &[&samples.customer(tenant).external_id("oda").email("ada@example.com").build()]);
}

pub fn of_several_changes_of_one_version_in_a_batch_the_first_is_done(Unbatched(store): Unbatched<'_>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).build();
    let [first, second] = ["first", "second"].map(|name| renamed(&ada, name));
    let batch = [creation(&ada), creation(&ada), change_of(&ada, &first), change_of(&ada, &second), deletion(&ada)];
    let results = [Written::Done, Written::Stale, Written::Done, Written::Stale, Written::Stale];
    assert_eq!(write_all(store, &batch), results);
    assert_eq!(find(store, by_id(&ada)), Some(first));
}

pub fn a_write_after_a_refused_one_of_its_customer_is_stale(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let holder = samples.customer(tenant).external_id("holder").build();
    let ada = samples.customer(tenant).build();
    create(store, &[&holder, &ada]);
    let refused = with_external_id(&ada, "holder");
    let after_refused = renamed(&refused, "refused");
    let done = renamed(&ada, "done");
    let new = samples.customer(tenant).external_id("holder").build();
    let batch = [
        change_of(&ada, &refused),
        change_of(&refused, &after_refused),
        deletion(&after_refused),
        // What it was decided from is still stored.
        change_of(&ada, &done),
        creation(&new),
        change_of(&new, &without_identifiers(&new)),
        report(&new, None, &subscription("s", at(1))),
    ];
    let taken = external_id_taken_by(&holder);
    let stale = Written::Stale;
    let results = [taken.clone(), stale.clone(), stale.clone(), Written::Done, taken, stale.clone(), stale];
    assert_eq!(write_all(store, &batch), results);
    assert_eq!(find(store, by_id(&ada)), Some(done));
    assert_eq!(find_any(store, &new), None);
}

pub fn a_deletion_frees_identifiers_for_later_writes_of_its_batch(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let sample = || samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    let ada = sample();
    create(store, &[&ada]);
    let [early, late, later] = [(); 3].map(|()| sample());
    let both = |holder: &Customer| {
        Written::Taken(Taken { email: Some(holder.id()), external_id: Some(Box::new(holder.clone())) })
    };
    let batch = [creation(&early), deletion(&ada), creation(&late), creation(&later)];
    assert_eq!(write_all(store, &batch), [both(&ada), Written::Done, Written::Done, both(&late)]);
    assert_eq!(list(store, tenant, None, 10), [late]);
}

pub fn a_change_frees_identifiers_for_later_writes_of_its_batch(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    let eda = samples.customer(tenant).external_id("eda").build();
    let shared = samples.customer(tenant).email("shared@example.com").shared().build();
    create(store, &[&ada, &eda, &shared]);
    let without = without_identifiers(&ada);
    let successor = with_external_id(&eda, "ada");
    let new = samples.customer(tenant).external_id("eda").email("ada@example.com").build();
    let exclusive = samples.customer(tenant).email("shared@example.com").build();
    let batch = [
        change_of(&eda, &successor),
        change_of(&ada, &without),
        change_of(&eda, &successor),
        creation(&new),
        creation(&exclusive),
        change_of(&shared, &with_shared_email(&shared, "other@example.com")),
        creation(&exclusive),
        // It cannot have back what another customer has taken.
        change_of(&without, &with_email(&without, "ada@example.com")),
    ];
    let results = [
        external_id_taken_by(&ada),
        Written::Done,
        Written::Done,
        Written::Done,
        email_taken_by(&shared),
        Written::Done,
        Written::Done,
        email_taken_by(&new),
    ];
    assert_eq!(write_all(store, &batch), results);
    let found = find_all(store, &[by_external_id(tenant, "ada"), by_external_id(tenant, "eda"), by_id(&ada)]);
    assert_eq!(found, [Some(successor), Some(new), Some(without)]);
}

pub fn two_customers_may_swap_identifiers_in_one_batch(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let [ada, eda] = ["ada", "eda"].map(|id| samples.customer(tenant).external_id(id).build());
    create(store, &[&ada, &eda]);
    let aside = with_external_id(&ada, "aside");
    let (ada_after, eda_after) = (with_external_id(&aside, "eda"), with_external_id(&eda, "ada"));
    let batch = [change_of(&ada, &aside), change_of(&eda, &eda_after), change_of(&aside, &ada_after)];
    assert_eq!(write_all(store, &batch), vec![Written::Done; 3]);
    let keys = ["ada", "eda", "aside"].map(|id| by_external_id(tenant, id));
    assert_eq!(find_all(store, &keys), [Some(eda_after), Some(ada_after), None]);
}

pub fn a_holder_is_named_beside_changes_that_keep_its_identifiers(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").build();
    create(store, &[&ada]);
    let renamed = renamed(&ada, "Ada");
    let [early, late] = [(); 2].map(|()| samples.customer(tenant).external_id("ada").build());
    let batch = [creation(&early), change_of(&ada, &renamed), creation(&late)];
    let written = write_all(store, &batch);
    assert_eq!(written[1], Written::Done);
    for refused in [&written[0], &written[2]] {
        let either = [external_id_taken_by(&ada), external_id_taken_by(&renamed)];
        assert!(either.contains(refused), "{refused:?}");
    }
}

pub fn a_batch_may_mix_writes_of_several_tenants(store: &Arc<dyn Store>) {
    let (samples, one) = start(store);
    let tenants = [one, other_environment(one), new_tenant(store, &samples)];
    let [deletes, changes, keeps] = tenants.map(|tenant| samples.customer(tenant).external_id("ada").build());
    create(store, &[&deletes, &changes, &keeps]);
    let new = tenants.map(|tenant| samples.customer(tenant).external_id("ada").build());
    let renamed_customer = with_external_id(&changes, "eda");
    let batch = [
        creation(&new[2]),
        deletion(&deletes),
        creation(&new[1]),
        change_of(&changes, &renamed_customer),
        creation(&new[0]),
        report(&keeps, None, &subscription("s", at(1))),
        creation(&new[1]),
        change_of(&deletes, &renamed(&deletes, "late")),
    ];
    let results = [
        external_id_taken_by(&keeps),
        Written::Done,
        external_id_taken_by(&changes),
        Written::Done,
        Written::Done,
        Written::Done,
        Written::Done,
        Written::Stale,
    ];
    assert_eq!(write_all(store, &batch), results);
    let [first, second, third] = tenants.map(|tenant| list(store, tenant, None, 10));
    assert_eq!(
        (first, second, third),
        (vec![new[0].clone()], vec![new[1].clone(), renamed_customer], vec![keeps.clone()])
    );
    assert_eq!(subscriptions_of(store, &keeps), [subscription("s", at(1))]);
}

pub fn three_hundred_mixed_writes_fit_in_one_batch(store: &Arc<dyn Store>) {
    let (samples, one) = start(store);
    let tenants = [one, new_tenant(store, &samples)];
    let sample = |n: usize| samples.customer(tenants[n % 2]).external_id(&format!("customer {n}"));
    let there: Vec<_> = (0..100).map(|n| sample(n).build()).collect();
    insert(store, &there);
    let changed: Vec<_> = there.iter().map(|before| renamed(before, "changed")).collect();
    let new: Vec<_> = (0..100).map(|n| sample(n).build()).collect();
    let reported = subscription("s", at(1));
    let batch: Vec<_> = (0..100)
        .flat_map(|n| {
            let change = change_of(&there[n], &changed[n]);
            let third = if n < 50 { deletion(&changed[n]) } else { report(&changed[n], None, &reported) };
            [change, third, creation(&new[n])]
        })
        .collect();
    for (n, written) in write_all(store, &batch).chunks(3).enumerate() {
        assert_eq!(written[..2], [Written::Done, Written::Done], "customer {n}");
        let refused = [&there[n], &changed[n]].map(external_id_taken_by);
        let is_expected = if n < 50 { written[2] == Written::Done } else { refused.contains(&written[2]) };
        assert!(is_expected, "customer {n}: {:?}", written[2]);
    }
    for n in 0..100 {
        let holder = find(store, by_external_id(tenants[n % 2], &format!("customer {n}")));
        let (expected, subscriptions) =
            if n < 50 { (&new[n], &[][..]) } else { (&changed[n], std::slice::from_ref(&reported)) };
        assert_eq!(holder.as_ref(), Some(expected), "customer {n}");
        assert_eq!(subscriptions_of(store, &there[n]), subscriptions, "customer {n}");
    }
}

/// Writes the same, drawn at random, in batches to one tenant and one by one to another, and compares.
pub fn a_batch_does_what_its_writes_do_one_by_one(Unbatched(store): Unbatched<'_>) {
    let (samples, tenant) = start(store);
    let other = other_environment(tenant);
    let mut draft = Draft { samples, tenant, customers: Vec::new(), numbers: 1 };
    let mut results = Vec::new();
    for round in 0..30 {
        let batch: Vec<_> = (0..40).map(|_| draft.next_write()).collect();
        let together: Vec<_> = write_all(store, &batch).into_iter().map(|result| moved_result(result, other)).collect();
        let mut one_by_one: Vec<Written> = Vec::new();
        let origins = Origins::of(&batch);
        for (place, write) in batch.iter().enumerate() {
            // A caller that was refused does not go on from what it would have written.
            let goes_on = origins.are_made(place, &one_by_one);
            let write = || moved_result(write_one(store, &moved_write(write, other)), other);
            one_by_one.push(if goes_on { write() } else { Written::Stale });
        }
        assert_eq!(together, one_by_one, "round {round}");
        // The next round begins with what is stored, like callers that have read it again.
        let customers = std::mem::take(&mut draft.customers);
        for (customer, _) in customers {
            let (stored, elsewhere) = (find_any(store, &customer), moved(&customer, other));
            let subscriptions = subscriptions_of(store, &customer);
            assert_eq!(stored.as_ref().map(|one| moved(one, other)), find_any(store, &elsewhere), "round {round}");
            assert_eq!(subscriptions, subscriptions_of(store, &elsewhere), "round {round}");
            draft.customers.extend(stored.map(|stored| (stored, subscriptions.into_iter().next())));
        }
        results.extend(together);
    }
    let count = |of: fn(&Written) -> bool| results.iter().filter(|result| of(result)).count();
    let counts = [
        count(|result| matches!(result, Written::Done)),
        count(|result| matches!(result, Written::Taken(_))),
        count(|result| matches!(result, Written::Stale)),
    ];
    assert!(counts.iter().all(|count| *count > 100), "{counts:?} are done, taken and stale: too few of one kind");
}

/// Draws writes to a few customers with few identifiers, so that most of them depend on each other.
struct Draft {
    samples: Samples,
    tenant: Tenant,
    /// The customers and their subscriptions as they would be if every write was done.
    customers: Vec<(Customer, Option<Subscription>)>,
    numbers: u64,
}

impl Draft {
    /// A number below `bound`, the same one in every run.
    fn number(&mut self, bound: usize) -> usize {
        self.numbers = self.numbers.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.numbers >> 33).expect("31 bits") % bound
    }

    fn next_write(&mut self) -> Write {
        let (id, address) = (format!("id {}", self.number(4)), format!("{}@example.com", self.number(3)));
        let live: Vec<_> = (0..self.customers.len()).filter(|&place| self.customers[place].0.is_live()).collect();
        if live.len() < 3 || (live.len() < 12 && self.number(5) == 0) {
            let sample = self.samples.customer(self.tenant);
            let customer = match self.number(3) {
                0 => sample.external_id(&id),
                1 => sample.email(&address),
                _ => sample.email(&address).shared(),
            };
            let customer = customer.build();
            self.customers.push((customer.clone(), None));
            return creation(&customer);
        }
        let place = live[self.number(live.len())];
        let (before, subscription) = self.customers[place].clone();
        let after = match self.number(7) {
            0 => with_external_id(&before, &id),
            1 => with_email(&before, &address),
            2 => with_shared_email(&before, &address),
            3 => without_identifiers(&before),
            4 => deleted(&before),
            5 => before.clone(),
            _ => {
                let next = match &subscription {
                    Some(before) => renamed_subscription(before, &format!("name {}", self.numbers)),
                    None => self::subscription("s", at(1)),
                };
                self.customers[place].1 = Some(next.clone());
                return report(&before, subscription.as_ref(), &next);
            }
        };
        let after = if after == before { renamed(&before, &format!("name {}", self.numbers)) } else { after };
        // Now and then another write decides from the same version.
        if self.number(8) > 0 {
            self.customers[place].0 = after.clone();
        }
        change_of(&before, &after)
    }
}

fn moved(customer: &Customer, tenant: Tenant) -> Customer {
    Customer::restore(CustomerParts { tenant, ..customer.parts().clone() })
}

fn moved_write(write: &Write, tenant: Tenant) -> Write {
    let after = moved(write.after(), tenant);
    match (write.before(), write.subscription()) {
        (_, Some(SubscriptionWrite { before, after: subscription })) => report(&after, before.as_ref(), subscription),
        (Some(before), None) => change_of(&moved(before, tenant), &after),
        (None, None) => creation(&after),
    }
}

/// The result with the holder of an external identifier in its first version: in which version it is named within a batch
/// is not promised.
fn moved_result(result: Written, tenant: Tenant) -> Written {
    match result {
        Written::Taken(Taken { email, external_id }) => {
            let first = |holder: &Customer| {
                Customer::register(tenant, holder.id(), Profile::default(), EmailUse::default(), holder.created_at())
            };
            Written::Taken(Taken { email, external_id: external_id.map(|holder| Box::new(first(&holder))) })
        }
        other => other,
    }
}
