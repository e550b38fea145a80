//! Inserting, finding, changing and deleting customers, one caller at a time.

use std::sync::Arc;

use roster_application::ports::{Claims, CustomerKey, CustomerRef, Inserted, Store, StoreError, Taken};
use roster_domain::{Customer, CustomerEdit, CustomerParts, Edit, EmailUse, Tenant};

use crate::actions::{
    by_external_id, by_id, create, delete, email_taken_by, external_id_taken_by, find, find_all, ids, insert,
    insert_one, list, lock, new_tenant, replace, start, taken,
};
use crate::samples::{changed, email, other_environment, renamed, with_email, with_external_id};

pub fn a_customer_is_found_by_its_id(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).build();
    create(store, &[&ada]);
    assert_eq!(find(store, by_id(&ada)), Some(ada));
}

pub fn a_customer_is_found_by_its_external_id(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").build();
    create(store, &[&ada]);
    assert_eq!(find(store, by_external_id(tenant, "ada")), Some(ada));
}

pub fn answers_stand_in_the_order_of_the_keys_and_missing_ones_are_none(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").build();
    let eda = samples.customer(tenant).external_id("eda").build();
    let nobody = samples.customer(tenant).build();
    create(store, &[&ada, &eda]);
    let keys = [
        by_external_id(tenant, "eda"),
        by_id(&nobody),
        by_id(&ada),
        by_external_id(tenant, "nobody"),
        by_external_id(tenant, "ada"),
        by_id(&eda),
    ];
    let found = [Some(eda.clone()), None, Some(ada.clone()), None, Some(ada), Some(eda)];
    assert_eq!(find_all(store, &keys), found);
}

pub fn a_key_that_stands_twice_is_answered_twice(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").build();
    create(store, &[&ada]);
    let by_name = by_external_id(tenant, "ada");
    let keys = [by_id(&ada), by_name.clone(), by_id(&ada), by_name];
    assert_eq!(find_all(store, &keys), vec![Some(ada); 4]);
}

pub fn keys_of_several_tenants_are_answered_together(store: &Arc<dyn Store>) {
    let (samples, one) = start(store);
    let tenants = [one, other_environment(one), new_tenant(store, &samples)];
    let customers = tenants.map(|tenant| samples.customer(tenant).external_id("ada").build());
    assert_eq!(insert(store, &customers), vec![Inserted::Created; 3]);
    let by_name = tenants.map(|tenant| by_external_id(tenant, "ada"));
    let crosswise = CustomerKey { tenant: tenants[0], customer: CustomerRef::Id(customers[1].id()) };
    let keys = [by_name.as_slice(), &customers.each_ref().map(by_id), &[crosswise]].concat();
    let all = customers.map(Some);
    assert_eq!(find_all(store, &keys), [all.as_slice(), &all, &[None]].concat());
}

pub fn no_keys_find_nobody(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    create(store, &[&samples.customer(tenant).build()]);
    assert_eq!(find_all(store, &[]), []);
}

pub fn three_hundred_keys_are_answered_at_once(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let customers: Vec<_> =
        (0..150).map(|n| samples.customer(tenant).external_id(&format!("customer {n}")).build()).collect();
    insert(store, &customers);
    let mut keys: Vec<_> = (0..150).map(|n| by_external_id(tenant, &format!("customer {n}"))).collect();
    keys.extend(customers.iter().map(by_id));
    let found: Vec<_> = find_all(store, &keys).into_iter().flatten().collect();
    assert_eq!(ids(&found), ids(&[customers.as_slice(), &customers].concat()));
}

pub fn another_tenant_never_sees_a_customer(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    create(store, &[&ada]);
    for stranger in [other_environment(tenant), new_tenant(store, &samples)] {
        let by_id = CustomerKey { tenant: stranger, customer: CustomerRef::Id(ada.id()) };
        let by_name = by_external_id(stranger, "ada");
        assert_eq!(find_all(store, &[by_id.clone(), by_name.clone()]), [None, None]);
        for key in [by_id, by_name] {
            assert_eq!(lock(store, &key), None);
        }
        assert_eq!(list(store, stranger, None, 10), []);
        let newcomer = samples.customer(stranger).external_id("ada").email("ada@example.com").build();
        assert_eq!(taken(store, &Claims::of_new(&newcomer)), Taken::default());
    }
}

pub fn an_update_reaches_no_other_tenant(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").build();
    create(store, &[&ada]);
    for stranger in [other_environment(tenant), new_tenant(store, &samples)] {
        let moved = Customer::restore(CustomerParts { tenant: stranger, ..renamed(&ada, "Mallory").parts().clone() });
        assert_lost_race(&replace(store, &moved, &moved));
        assert_eq!(find(store, by_id(&ada)), Some(ada.clone()));
    }
}

pub fn an_external_id_may_hold_anything_and_is_compared_byte_by_byte(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let longest = "😀".repeat(256);
    let all = [
        "gid://app/Customer/1234",
        "a/b",
        "a%2Fb",
        "%",
        "_",
        "a:b",
        "a?b#c&d=e+f",
        "ada",
        "ADA",
        "ada ",
        " ada",
        "it's \"quoted\" \\ and {braced, NULL}",
        "кириллица",
        "é",
        "e\u{301}",
        "İ",
        "i",
        "ſ",
        "名前",
        "\u{feff}ada",
        "\u{10ffff}",
        &longest,
    ];
    let customers: Vec<_> = all.iter().map(|id| samples.customer(tenant).external_id(id).build()).collect();
    assert_eq!(insert(store, &customers), vec![Inserted::Created; all.len()]);
    for (id, customer) in all.iter().zip(&customers) {
        assert_eq!(find(store, by_external_id(tenant, id)).as_ref(), Some(customer), "{id}");
    }
}

pub fn an_external_id_belongs_to_one_live_customer_of_a_tenant(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let first = samples.customer(tenant).external_id("ada").build();
    let second = samples.customer(tenant).external_id("ada").build();
    create(store, &[&first]);
    assert_eq!(insert_one(store, &second), external_id_taken_by(&first));
    assert_eq!(find(store, by_id(&second)), None);
}

pub fn an_email_address_belongs_to_one_live_customer_of_a_tenant_in_any_spelling(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let first = samples.customer(tenant).email("Ada@Example.com").build();
    let second = samples.customer(tenant).email("ada@example.COM").build();
    create(store, &[&first]);
    assert_eq!(insert_one(store, &second), email_taken_by(&first));
    assert_eq!(find(store, by_id(&second)), None);
}

pub fn identifiers_are_free_again_once_their_customer_is_deleted(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let new = || samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    // More than once: rows of the dead must not stand in each other's way either.
    for _ in 0..3 {
        let ada = new();
        create(store, &[&ada]);
        assert_eq!(find(store, by_external_id(tenant, "ada")), Some(ada.clone()));
        delete(store, &ada);
        assert_eq!(find(store, by_external_id(tenant, "ada")), None);
    }
    create(store, &[&new()]);
}

pub fn identifiers_are_free_in_every_other_tenant(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let other = new_tenant(store, &samples);
    for tenant in [tenant, other_environment(tenant), other, other_environment(other)] {
        create(store, &[&samples.customer(tenant).external_id("ada").email("ada@example.com").build()]);
    }
}

pub fn customers_with_no_identifiers_are_never_in_the_way(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let customers = samples.customers(tenant, 3);
    assert_eq!(insert(store, &customers), vec![Inserted::Created; 3]);
    assert_eq!(list(store, tenant, None, 10).len(), 3);
}

pub fn a_shared_email_address_is_taken_whoever_has_it(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let alone = samples.customer(tenant).email("ada@example.com").build();
    let shared = samples.customer(tenant).email("ada@example.com").shared().build();
    let shared_too = samples.customer(tenant).email("ADA@example.com").shared().build();
    create(store, &[&alone, &shared, &shared_too]);
    assert_eq!(find(store, by_id(&shared_too)), Some(shared_too));
}

pub fn a_shared_email_address_cannot_be_taken_for_oneself(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let shared = samples.customer(tenant).email("ada@example.com").shared().build();
    let alone = samples.customer(tenant).email("ada@example.com").build();
    create(store, &[&shared]);
    assert_eq!(insert_one(store, &alone), email_taken_by(&shared));
    delete(store, &shared);
    create(store, &[&alone]);
}

pub fn an_external_id_is_never_shared(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let sample = || samples.customer(tenant).external_id("ada").email("ada@example.com").shared().build();
    let first = sample();
    create(store, &[&first]);
    assert_eq!(insert_one(store, &sample()), external_id_taken_by(&first));
}

pub fn all_who_stand_in_the_way_are_named(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let namesake = samples.customer(tenant).external_id("ada").build();
    let holder = samples.customer(tenant).email("ada@example.com").build();
    create(store, &[&namesake, &holder]);
    let newcomer = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    let both = Taken { email: Some(holder.id()), external_id: Some(Box::new(namesake)) };
    assert_eq!(taken(store, &Claims::of_new(&newcomer)), both);
    assert_eq!(insert_one(store, &newcomer), Inserted::Taken(both));
}

pub fn one_customer_may_stand_in_the_way_twice(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let sample = || samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    let ada = sample();
    create(store, &[&ada]);
    let both = Taken { email: Some(ada.id()), external_id: Some(Box::new(ada)) };
    assert_eq!(insert_one(store, &sample()), Inserted::Taken(both));
}

pub fn an_empty_batch_has_no_results(store: &Arc<dyn Store>) {
    assert_eq!(insert(store, &[]), []);
}

pub fn one_refused_customer_of_a_batch_does_not_hurt_the_others(store: &Arc<dyn Store>) {
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
    let results =
        [Inserted::Created, external_id_taken_by(&ada), Inserted::Created, email_taken_by(&eda), Inserted::Created];
    assert_eq!(insert(store, &batch), results);
    let there = find_all(store, &batch.each_ref().map(by_id)).iter().map(Option::is_some).collect::<Vec<_>>();
    assert_eq!(there, [true, false, true, false, true]);
}

pub fn results_stand_in_the_order_of_the_batch_whatever_the_order_of_its_keys(store: &Arc<dyn Store>) {
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
    let results = [Inserted::Created, external_id_taken_by(&holder), Inserted::Created, Inserted::Created];
    assert_eq!(insert(store, &batch), results);
}

pub fn namesakes_within_a_batch_fare_as_if_inserted_one_after_the_other(store: &Arc<dyn Store>) {
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
        Inserted::Created,
        external_id_taken_by(&batch[0]),
        email_taken_by(&batch[0]),
        email_taken_by(&batch[0]),
        // The one before it was refused, so its external identifier is free.
        Inserted::Created,
        Inserted::Created,
    ];
    assert_eq!(insert(store, &batch), results);
}

pub fn sharing_within_a_batch_goes_by_the_order_of_the_batch(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let alone = |address| samples.customer(tenant).email(address).build();
    let shared = |address| samples.customer(tenant).email(address).shared().build();
    let batch = [
        shared("ada@example.com"),
        alone("ada@example.com"),
        shared("ada@example.com"),
        alone("eda@example.com"),
        shared("eda@example.com"),
    ];
    let refused = insert(store, &batch);
    let Inserted::Taken(Taken { email: Some(holder), external_id: None }) = &refused[1] else {
        panic!("exclusive behind shared: {refused:?}");
    };
    assert_eq!(*holder, batch[0].id());
    for place in [0, 2, 3, 4] {
        assert_eq!(refused[place], Inserted::Created, "at {place}");
    }
}

pub fn five_hundred_customers_fit_in_one_batch(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let batch: Vec<_> = (0..500)
        .map(|n| {
            let address = format!("customer{n}@example.com");
            samples.customer(tenant).external_id(&format!("customer {n}")).email(&address).build()
        })
        .collect();
    assert_eq!(insert(store, &batch), vec![Inserted::Created; 500]);
    let keys: Vec<_> = batch.iter().map(by_id).collect();
    assert!(find_all(store, &keys).into_iter().eq(batch.into_iter().map(Some)), "all as they were inserted");
}

pub fn an_id_that_is_there_is_never_overwritten(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).build();
    create(store, &[&ada]);
    assert_eq!(insert_one(store, &renamed(&ada, "Mallory")), Inserted::Contended);
    assert_eq!(find(store, by_id(&ada)), Some(ada.clone()));
    delete(store, &ada);
    assert_eq!(insert_one(store, &ada), Inserted::Contended);
    assert_eq!(find(store, by_id(&ada)), None);
}

pub fn a_free_insert_says_of_each_whether_it_is_there_now(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").build();
    create(store, &[&ada]);
    let free = samples.customer(tenant).external_id("eda").build();
    let namesake = samples.customer(tenant).external_id("ada").build();
    let inserted: Result<_, StoreError> = store.direct(|uow| uow.customers().insert_free(&[&namesake, &free]));
    assert_eq!(inserted.expect("an answer"), [false, true]);
    let none: Result<_, StoreError> = store.direct(|uow| uow.customers().insert_free(&[]));
    assert!(none.expect("an answer").is_empty());
}

pub fn a_customer_of_no_merchant_is_refused(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let nobody_s = Tenant { merchant: samples.merchant().id, ..tenant };
    let batch = [&samples.customer(tenant).build(), &samples.customer(nobody_s).build()];
    let refused: Result<_, StoreError> = store.direct(|uow| uow.customers().insert_free(&batch));
    assert!(matches!(refused, Err(StoreError::Internal { .. })), "{refused:?}");
    assert_eq!(list(store, tenant, None, 10), [], "one statement inserts all of a batch or nothing");
}

pub fn nobody_stands_in_their_own_way(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    create(store, &[&ada]);
    assert_eq!(taken(store, &Claims::of_new(&ada)), Taken::default());
    let twin = samples.customer(tenant).email("ada@example.com").shared().build();
    create(store, &[&twin]);
    let taken = taken(store, &Claims::of_new(&ada));
    assert_eq!(taken, Taken { email: Some(twin.id()), external_id: None }, "but whoever shares the address does");
}

pub fn who_claims_nothing_is_in_nobody_s_way(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    create(store, &[&ada]);
    let other = samples.customer(tenant).build();
    let email_key = ada.email_key();
    let external_id = ada.profile().external_id.as_ref();
    let nothing = Claims { tenant, customer: other.id(), email_key: None, external_id: None };
    assert_eq!(taken(store, &nothing), Taken::default());
    assert_eq!(taken(store, &Claims { email_key, ..nothing }), Taken { email: Some(ada.id()), external_id: None });
    assert_eq!(
        taken(store, &Claims { external_id, ..nothing }),
        Taken { email: None, external_id: Some(Box::new(ada.clone())) }
    );
}

pub fn a_deleted_customer_is_nowhere(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    create(store, &[&ada]);
    delete(store, &ada);
    for key in [by_id(&ada), by_external_id(tenant, "ada")] {
        assert_eq!(find(store, key.clone()), None);
        assert_eq!(lock(store, &key), None);
    }
    assert_eq!(list(store, tenant, None, 10), []);
    let newcomer = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    assert_eq!(taken(store, &Claims::of_new(&newcomer)), Taken::default());
}

pub fn a_live_customer_is_locked_by_either_key(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").build();
    create(store, &[&ada]);
    let keys = [by_id(&ada), by_external_id(tenant, "ada"), by_external_id(tenant, "eda")];
    assert_eq!(keys.map(|key| lock(store, &key)), [Some(ada.clone()), Some(ada), None]);
}

pub fn a_change_is_there_and_touches_nobody_else(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let [ada, eda] = ["ada", "eda"].map(|id| samples.customer(tenant).external_id(id).build());
    create(store, &[&ada, &eda]);
    let after = renamed(&ada, "Ada Lovelace");
    replace(store, &ada, &after).expect("a change that claims nothing");
    assert_eq!(find_all(store, &[by_id(&ada), by_id(&eda)]), [Some(after), Some(eda)]);
}

pub fn a_change_may_claim_what_is_free(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let before = samples.customer(tenant).external_id("old").email("old@example.com").build();
    create(store, &[&before]);
    let after = with_external_id(&with_email(&before, "new@example.com"), "new");
    replace(store, &before, &after).expect("free claims");
    assert_eq!(find(store, by_external_id(tenant, "new")), Some(after.clone()));
    assert_eq!(find(store, by_external_id(tenant, "old")), None);
    let rival = samples.customer(tenant).email("new@example.com").build();
    assert_eq!(insert_one(store, &rival), email_taken_by(&after));
}

pub fn a_change_frees_what_it_gives_up(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let before = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    create(store, &[&before]);
    let edit = CustomerEdit { external_id: Edit::Clear, email: Edit::Clear, ..CustomerEdit::default() };
    replace(store, &before, &changed(&before, edit)).expect("a change that claims nothing");
    create(store, &[&samples.customer(tenant).external_id("ada").email("ada@example.com").build()]);
}

pub fn a_change_that_claims_what_others_have_is_a_lost_race(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let before = samples.customer(tenant).build();
    let alone = samples.customer(tenant).external_id("alone").email("alone@example.com").build();
    let shared = samples.customer(tenant).email("shared@example.com").shared().build();
    create(store, &[&before, &alone, &shared]);
    for after in [
        with_external_id(&before, "alone"),
        with_email(&before, "Alone@example.com"),
        with_email(&before, "Shared@example.com"),
    ] {
        assert_lost_race(&replace(store, &before, &after));
    }
    assert_eq!(find(store, by_id(&before)), Some(before), "nothing is written then");
}

pub fn a_change_may_share_an_address_that_others_have(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let before = samples.customer(tenant).build();
    let alone = samples.customer(tenant).email("ada@example.com").build();
    create(store, &[&before, &alone]);
    let edit = CustomerEdit {
        email: Edit::Set(email("ada@example.com")),
        email_use: EmailUse::Shared,
        ..CustomerEdit::default()
    };
    let after = changed(&before, edit);
    replace(store, &before, &after).expect("a change that claims nothing");
    assert_eq!(find(store, by_id(&before)), Some(after));
}

pub fn whoever_keeps_an_address_keeps_how_it_is_used(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let alone = samples.customer(tenant).email("ada@example.com").build();
    let shared = samples.customer(tenant).email("ada@example.com").shared().build();
    create(store, &[&alone, &shared]);
    for before in [&alone, &shared] {
        let after = renamed(&with_email(before, "ADA@example.com"), "Ada");
        replace(store, before, &after).expect("a change that claims nothing");
        assert_eq!(find(store, by_id(before)), Some(after));
    }
}

pub fn who_held_an_address_alone_keeps_others_off_after_a_change(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let before = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    create(store, &[&before]);
    let after = renamed(&before, "Ada");
    replace(store, &before, &after).expect("a change that claims nothing");
    let rival = samples.customer(tenant).email("ada@example.com").build();
    assert_eq!(insert_one(store, &rival), email_taken_by(&before));
    let rival = samples.customer(tenant).external_id("ada").build();
    assert_eq!(insert_one(store, &rival), external_id_taken_by(&after));
}

pub fn a_change_of_a_customer_that_is_not_there_is_a_lost_race(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let nobody = samples.customer(tenant).build();
    assert_lost_race(&replace(store, &nobody, &renamed(&nobody, "Nobody")));
    let ada = samples.customer(tenant).build();
    create(store, &[&ada]);
    delete(store, &ada);
    assert_lost_race(&replace(store, &ada, &renamed(&ada, "Ada")));
    assert_eq!(find_all(store, &[by_id(&nobody), by_id(&ada)]), [None, None]);
}

pub fn claims_in_a_change_are_those_of_its_tenant(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let elsewhere = samples.customer(other_environment(tenant)).external_id("ada").email("ada@example.com").build();
    let before = samples.customer(tenant).build();
    create(store, &[&elsewhere, &before]);
    let after = with_external_id(&with_email(&before, "ada@example.com"), "ada");
    replace(store, &before, &after).expect("what another tenant has is free");
    let keys = [by_external_id(tenant, "ada"), by_external_id(elsewhere.tenant(), "ada")];
    assert_eq!(find_all(store, &keys), [Some(after), Some(elsewhere)]);
}

fn assert_lost_race(result: &Result<(), StoreError>) {
    assert!(result.as_ref().is_err_and(StoreError::is_lost_race), "{result:?}");
}
