//! Creating, finding, changing and deleting customers, one write at a time.

use std::sync::Arc;

use roster_application::ports::{CustomerKey, CustomerRef, CustomerState, Store, Taken, Written};
use roster_domain::{Customer, CustomerEdit, CustomerParts, Edit, Tenant};

use crate::actions::{
    by_external_id, by_id, change, create, delete, email_taken_by, external_id_taken_by, find, find_all, find_any,
    find_in, ids, insert, insert_one, list, list_in, new_tenant, record, start, subscriptions_of, write_one,
};
use crate::samples::{
    activated, archived, at, change_of, changed, creation, deleted, deletion, email, name, other_environment, renamed,
    report, subscription, with_email, with_external_id, with_identifiers, with_shared_email, without_identifiers,
};

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

pub fn results_are_in_the_order_of_the_keys_and_missing_ones_are_none(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").build();
    let eda = samples.customer(tenant).external_id("eda").build();
    let missing = samples.customer(tenant).build();
    create(store, &[&ada, &eda]);
    let keys = [
        by_external_id(tenant, "eda"),
        by_id(&missing),
        by_id(&ada),
        by_external_id(tenant, "missing"),
        by_external_id(tenant, "ada"),
        by_id(&eda),
    ];
    let found = [Some(eda.clone()), None, Some(ada.clone()), None, Some(ada), Some(eda)];
    assert_eq!(find_all(store, &keys), found);
}

pub fn a_repeated_key_is_answered_each_time(store: &Arc<dyn Store>) {
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
    assert_eq!(insert(store, &customers), vec![Written::Done; 3]);
    let by_name = tenants.map(|tenant| by_external_id(tenant, "ada"));
    let crosswise = CustomerKey { tenant: tenants[0], customer: CustomerRef::Id(customers[1].id()) };
    let keys = [by_name.as_slice(), &customers.each_ref().map(by_id), &[crosswise]].concat();
    let all = customers.map(Some);
    assert_eq!(find_all(store, &keys), [all.as_slice(), &all, &[None]].concat());
}

pub fn no_keys_find_nothing(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    create(store, &[&samples.customer(tenant).build()]);
    for state in STATES {
        assert_eq!(find_in(store, state, &[]), []);
    }
}

pub fn three_hundred_keys_are_answered_at_once(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let customers: Vec<_> =
        (0..150).map(|n| samples.customer(tenant).external_id(&format!("customer {n}")).build()).collect();
    insert(store, &customers);
    let mut keys: Vec<_> = (0..150).map(|n| by_external_id(tenant, &format!("customer {n}"))).collect();
    keys.extend(customers.iter().map(by_id));
    for state in [CustomerState::Live, CustomerState::Any] {
        let found: Vec<_> = find_in(store, state, &keys).into_iter().flatten().collect();
        assert_eq!(ids(&found), ids(&[customers.as_slice(), &customers].concat()), "{state:?}");
    }
}

pub fn customers_are_found_in_the_requested_state_only(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let [live, gone, missing] = [(); 3].map(|()| samples.customer(tenant).build());
    create(store, &[&live, &gone]);
    delete(store, &gone);
    let keys = [by_id(&gone), by_id(&missing), by_id(&live), by_id(&gone)];
    let (live, gone) = (Some(live), Some(deleted(&gone)));
    assert_eq!(find_in(store, CustomerState::Live, &keys), [None, None, live.clone(), None]);
    assert_eq!(find_in(store, CustomerState::Deleted, &keys), [gone.clone(), None, None, gone.clone()]);
    assert_eq!(find_in(store, CustomerState::Any, &keys), [gone.clone(), None, live, gone]);
}

pub fn an_archived_customer_is_found_and_keeps_its_identifiers(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    let twin = samples.customer(tenant).external_id("twin").email("ada@example.com").build();
    let namesake = samples.customer(tenant).external_id("ada").build();
    create(store, &[&ada]);
    let archived = archived(&ada);
    assert_eq!(change(store, &ada, &archived), Written::Done);
    let keys = [by_id(&ada), by_external_id(tenant, "ada")];
    for (state, is_found) in STATES.into_iter().zip([true, false, true, false, true]) {
        let expected = is_found.then(|| archived.clone());
        assert_eq!(find_in(store, state, &keys), [expected.clone(), expected], "{state:?}");
    }
    assert_eq!(insert_one(store, &twin), email_taken_by(&archived));
    assert_eq!(insert_one(store, &namesake), external_id_taken_by(&archived));
    let active = activated(&archived);
    assert_eq!(change(store, &archived, &active), Written::Done);
    assert_eq!(find_in(store, CustomerState::Active, &keys), [Some(active.clone()), Some(active)]);
    assert_eq!(find_in(store, CustomerState::Archived, &keys), [None, None]);
}

pub fn only_live_customers_are_found_by_external_id_in_any_state(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let gone = samples.customer(tenant).external_id("ada").build();
    create(store, &[&gone]);
    delete(store, &gone);
    let key = [by_external_id(tenant, "ada")];
    for state in STATES {
        assert_eq!(find_in(store, state, &key), [None], "{state:?}");
    }
    let successor = samples.customer(tenant).external_id("ada").build();
    create(store, &[&successor]);
    assert_eq!(find_in(store, CustomerState::Live, &key), [Some(successor.clone())]);
    assert_eq!(find_in(store, CustomerState::Any, &key), [Some(successor)]);
    assert_eq!(find_in(store, CustomerState::Deleted, &key), [None]);
}

pub fn another_tenant_never_sees_a_customer(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    let gone = samples.customer(tenant).build();
    create(store, &[&ada, &gone]);
    delete(store, &gone);
    for stranger in [other_environment(tenant), new_tenant(store, &samples)] {
        let by_id = |customer: &Customer| CustomerKey { tenant: stranger, customer: CustomerRef::Id(customer.id()) };
        let keys = [by_id(&ada), by_external_id(stranger, "ada"), by_id(&gone)];
        for state in STATES {
            assert_eq!(find_in(store, state, &keys), [None, None, None], "{state:?}");
            assert_eq!(list_in(store, stranger, state, None, 10), [], "{state:?}");
        }
        create(store, &[&samples.customer(stranger).external_id("ada").email("ada@example.com").build()]);
    }
}

pub fn a_write_reaches_no_other_tenant(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").build();
    create(store, &[&ada]);
    for stranger in [other_environment(tenant), new_tenant(store, &samples)] {
        let moved =
            |customer: &Customer| Customer::restore(CustomerParts { tenant: stranger, ..customer.parts().clone() });
        let of_stranger = moved(&ada);
        for write in [
            change_of(&of_stranger, &moved(&renamed(&ada, "Mallory"))),
            deletion(&of_stranger),
            report(&of_stranger, None, &subscription("s", at(1))),
        ] {
            assert_eq!(write_one(store, &write), Written::Stale);
        }
        // An id names a customer of its tenant only.
        create(store, &[&of_stranger]);
        assert_eq!(change(store, &of_stranger, &moved(&renamed(&ada, "Mallory"))), Written::Done);
        assert_eq!(find(store, by_id(&ada)), Some(ada.clone()));
        assert_eq!(subscriptions_of(store, &ada), []);
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
    assert_eq!(insert(store, &customers), vec![Written::Done; all.len()]);
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
    assert_eq!(find_any(store, &second), None);
}

pub fn an_email_address_in_any_spelling_belongs_to_one_live_customer(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let first = samples.customer(tenant).email("Ada@Example.com").build();
    let second = samples.customer(tenant).email("ada@example.COM").build();
    create(store, &[&first]);
    assert_eq!(insert_one(store, &second), email_taken_by(&first));
    assert_eq!(find_any(store, &second), None);
}

pub fn identifiers_are_free_again_once_their_customer_is_deleted(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let new = || samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    // More than once: the rows of deleted customers must not conflict with each other either.
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

pub fn customers_without_identifiers_never_conflict(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    create(store, &[&samples.customer(tenant).external_id("ada").email("ada@example.com").build()]);
    let customers = samples.customers(tenant, 3);
    assert_eq!(insert(store, &customers), vec![Written::Done; 3]);
    assert_eq!(list(store, tenant, None, 10).len(), 4);
}

pub fn a_shared_email_address_may_be_in_use_already(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let exclusive = samples.customer(tenant).email("ada@example.com").build();
    let shared = samples.customer(tenant).email("ada@example.com").shared().build();
    let shared_too = samples.customer(tenant).email("ADA@example.com").shared().build();
    create(store, &[&exclusive, &shared, &shared_too]);
    assert_eq!(find(store, by_id(&shared_too)), Some(shared_too));
}

pub fn a_shared_email_address_cannot_be_claimed_exclusively(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let shared = samples.customer(tenant).email("ada@example.com").shared().build();
    let exclusive = samples.customer(tenant).email("ada@example.com").build();
    create(store, &[&shared]);
    assert_eq!(insert_one(store, &exclusive), email_taken_by(&shared));
    delete(store, &shared);
    create(store, &[&exclusive]);
}

pub fn of_several_holders_the_exclusive_or_else_the_oldest_one_is_named(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let address = "ada@example.com";
    let [oldest, exclusive, newest, claimant] = [(); 4].map(|()| samples.customer(tenant).email(address));
    let (oldest, exclusive, newest) = (oldest.shared().build(), exclusive.build(), newest.shared().build());
    let claimant = claimant.build();
    // In another order than that of their ids.
    create(store, &[&exclusive, &newest, &oldest]);
    assert_eq!(insert_one(store, &claimant), email_taken_by(&exclusive));
    delete(store, &exclusive);
    assert_eq!(insert_one(store, &claimant), email_taken_by(&oldest));
    delete(store, &oldest);
    assert_eq!(insert_one(store, &claimant), email_taken_by(&newest));
}

pub fn an_external_id_is_never_shared(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let sample = || samples.customer(tenant).external_id("ada").email("ada@example.com").shared().build();
    let first = sample();
    create(store, &[&first]);
    assert_eq!(insert_one(store, &sample()), external_id_taken_by(&first));
}

pub fn both_holders_of_claimed_identifiers_are_named(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let namesake = samples.customer(tenant).external_id("ada").build();
    let holder = samples.customer(tenant).email("ada@example.com").build();
    let other = samples.customer(tenant).build();
    create(store, &[&namesake, &holder, &other]);
    let both = Written::Taken(Taken { email: Some(holder.id()), external_id: Some(Box::new(namesake)) });
    let newcomer = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    assert_eq!(insert_one(store, &newcomer), both);
    assert_eq!(change(store, &other, &with_identifiers(&other, "ada", "ada@example.com")), both);
}

pub fn one_customer_may_hold_both_claimed_identifiers(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let sample = || samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    let ada = sample();
    create(store, &[&ada]);
    let both = Taken { email: Some(ada.id()), external_id: Some(Box::new(ada)) };
    assert_eq!(insert_one(store, &sample()), Written::Taken(both));
}

pub fn only_what_is_claimed_is_reported_as_taken(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    let other = samples.customer(tenant).external_id("other").email("other@example.com").build();
    create(store, &[&ada, &other]);
    create(store, &[&samples.customer(tenant).build()]);
    let by_email = samples.customer(tenant).external_id("free").email("ada@example.com").build();
    assert_eq!(insert_one(store, &by_email), email_taken_by(&ada));
    let by_external_id = samples.customer(tenant).external_id("ada").email("free@example.com").build();
    assert_eq!(insert_one(store, &by_external_id), external_id_taken_by(&ada));
    assert_eq!(change(store, &other, &with_email(&other, "ada@example.com")), email_taken_by(&ada));
    assert_eq!(change(store, &other, &with_external_id(&other, "ada")), external_id_taken_by(&ada));
    assert_eq!(find(store, by_id(&other)), Some(other));
}

pub fn a_customer_never_conflicts_with_itself(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    let twin = samples.customer(tenant).email("ada@example.com").shared().build();
    create(store, &[&ada, &twin]);
    let renamed = renamed(&ada, "Ada");
    assert_eq!(change(store, &ada, &renamed), Written::Done);
    // It keeps the address that the other one shares, in another spelling.
    let respelled = with_identifiers(&renamed, "eda", "ADA@example.com");
    assert_eq!(change(store, &renamed, &respelled), Written::Done);
    let back = with_external_id(&respelled, "ada");
    assert_eq!(change(store, &respelled, &back), Written::Done);
    // Once it has given the address up, the other one has it.
    let without = without_identifiers(&back);
    assert_eq!(change(store, &back, &without), Written::Done);
    assert_eq!(change(store, &without, &with_email(&without, "ada@example.com")), email_taken_by(&twin));
}

pub fn an_id_that_exists_is_never_overwritten(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).build();
    create(store, &[&ada]);
    assert_eq!(insert_one(store, &renamed(&ada, "Mallory")), Written::Stale);
    assert_eq!(find(store, by_id(&ada)), Some(ada.clone()));
    delete(store, &ada);
    assert_eq!(insert_one(store, &ada), Written::Stale);
    assert_eq!(find_any(store, &ada), Some(deleted(&ada)));
}

pub fn a_deleted_customer_is_not_found_and_claims_nothing(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    create(store, &[&ada]);
    delete(store, &ada);
    assert_eq!(find_all(store, &[by_id(&ada), by_external_id(tenant, "ada")]), [None, None]);
    assert_eq!(list(store, tenant, None, 10), []);
    create(store, &[&samples.customer(tenant).external_id("ada").email("ada@example.com").build()]);
}

pub fn a_change_is_stored_and_affects_no_other_customer(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let [ada, eda] = ["ada", "eda"].map(|id| samples.customer(tenant).external_id(id).build());
    create(store, &[&ada, &eda]);
    let after = renamed(&ada, "Ada Lovelace");
    assert_eq!(change(store, &ada, &after), Written::Done);
    assert_eq!(find_all(store, &[by_id(&ada), by_id(&eda)]), [Some(after), Some(eda)]);
}

pub fn a_change_may_claim_what_is_free(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let before = samples.customer(tenant).external_id("old").email("old@example.com").build();
    create(store, &[&before]);
    let after = with_identifiers(&before, "new", "new@example.com");
    assert_eq!(change(store, &before, &after), Written::Done);
    assert_eq!(find(store, by_external_id(tenant, "new")), Some(after.clone()));
    assert_eq!(find(store, by_external_id(tenant, "old")), None);
    let rival = samples.customer(tenant).email("new@example.com").build();
    assert_eq!(insert_one(store, &rival), email_taken_by(&after));
}

pub fn a_change_frees_what_it_gives_up(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let before = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    create(store, &[&before]);
    assert_eq!(change(store, &before, &without_identifiers(&before)), Written::Done);
    create(store, &[&samples.customer(tenant).external_id("ada").email("ada@example.com").build()]);
}

pub fn a_change_that_claims_what_is_in_use_is_refused(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let before = samples.customer(tenant).build();
    let exclusive = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    let shared = samples.customer(tenant).email("shared@example.com").shared().build();
    create(store, &[&before, &exclusive, &shared]);
    for (after, refused) in [
        (with_external_id(&before, "ada"), external_id_taken_by(&exclusive)),
        (with_email(&before, "Ada@example.com"), email_taken_by(&exclusive)),
        (with_email(&before, "Shared@example.com"), email_taken_by(&shared)),
    ] {
        assert_eq!(change(store, &before, &after), refused);
        assert_eq!(find(store, by_id(&before)).as_ref(), Some(&before));
    }
}

pub fn a_change_may_share_an_address_that_others_have(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let before = samples.customer(tenant).build();
    let exclusive = samples.customer(tenant).email("ada@example.com").build();
    create(store, &[&before, &exclusive]);
    let after = with_shared_email(&before, "ada@example.com");
    assert_eq!(change(store, &before, &after), Written::Done);
    assert_eq!(find(store, by_id(&before)), Some(after));
}

pub fn a_change_that_keeps_an_address_keeps_how_it_is_used(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let exclusive = samples.customer(tenant).email("ada@example.com").build();
    let shared = samples.customer(tenant).email("ada@example.com").shared().build();
    create(store, &[&exclusive, &shared]);
    for before in [&exclusive, &shared] {
        let edit = CustomerEdit {
            email: Edit::Set(email("ADA@example.com")),
            name: Edit::Set(name("Ada")),
            ..CustomerEdit::default()
        };
        let after = changed(before, edit);
        assert_eq!(after.parts().email_use, before.parts().email_use);
        assert_eq!(change(store, before, &after), Written::Done);
        assert_eq!(find(store, by_id(before)), Some(after));
    }
}

pub fn an_exclusive_address_stays_exclusive_after_a_change(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let before = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    create(store, &[&before]);
    let after = renamed(&before, "Ada");
    assert_eq!(change(store, &before, &after), Written::Done);
    let rival = samples.customer(tenant).email("ada@example.com").build();
    assert_eq!(insert_one(store, &rival), email_taken_by(&before));
    let rival = samples.customer(tenant).external_id("ada").build();
    assert_eq!(insert_one(store, &rival), external_id_taken_by(&after));
}

pub fn a_write_to_a_missing_customer_is_stale(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let of_no_merchant = Tenant { merchant: samples.merchant().id, ..tenant };
    for tenant in [tenant, of_no_merchant] {
        let missing = samples.customer(tenant).build();
        assert_eq!(change(store, &missing, &renamed(&missing, "Ada")), Written::Stale);
        assert_eq!(write_one(store, &deletion(&missing)), Written::Stale);
        assert_eq!(record(store, &missing, None, &subscription("s", at(1))), Written::Stale);
        assert_eq!(find_any(store, &missing), None);
    }
}

pub fn a_write_to_a_deleted_customer_is_stale(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).build();
    create(store, &[&ada]);
    delete(store, &ada);
    assert_eq!(change(store, &ada, &renamed(&ada, "Ada")), Written::Stale);
    assert_eq!(write_one(store, &deletion(&ada)), Written::Stale);
    assert_eq!(find_any(store, &ada), Some(deleted(&ada)));
}

pub fn a_write_with_a_stale_version_stores_nothing(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let first = samples.customer(tenant).external_id("ada").email("ada@example.com").build();
    create(store, &[&first]);
    let second = renamed(&first, "second");
    assert_eq!(change(store, &first, &second), Written::Done);
    let never_stored = renamed(&second, "third");
    for write in [
        change_of(&first, &renamed(&first, "late")),
        change_of(&first, &with_identifiers(&first, "new", "new@example.com")),
        change_of(&first, &without_identifiers(&first)),
        deletion(&first),
        change_of(&never_stored, &renamed(&never_stored, "early")),
        deletion(&never_stored),
    ] {
        assert_eq!(write_one(store, &write), Written::Stale, "{write:?}");
        assert_eq!(find_any(store, &first).as_ref(), Some(&second), "{write:?}");
    }
    // It has kept its identifiers, and has claimed no others.
    let rival = samples.customer(tenant).external_id("ada").build();
    assert_eq!(insert_one(store, &rival), external_id_taken_by(&second));
    create(store, &[&samples.customer(tenant).external_id("new").email("new@example.com").build()]);
}

pub fn stale_is_reported_before_taken(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let holder = samples.customer(tenant).external_id("holder").email("holder@example.com").build();
    let first = samples.customer(tenant).build();
    create(store, &[&holder, &first]);
    let claiming = with_identifiers(&first, "holder", "holder@example.com");
    let second = renamed(&first, "second");
    assert_eq!(change(store, &first, &second), Written::Done);
    for write in [change_of(&first, &claiming), creation(&claiming)] {
        assert_eq!(write_one(store, &write), Written::Stale);
    }
    delete(store, &second);
    assert_eq!(write_one(store, &creation(&claiming)), Written::Stale);
}

pub fn claims_of_a_change_are_those_of_its_tenant(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let elsewhere = samples.customer(other_environment(tenant)).external_id("ada").email("ada@example.com").build();
    let before = samples.customer(tenant).build();
    create(store, &[&elsewhere, &before]);
    let after = with_identifiers(&before, "ada", "ada@example.com");
    assert_eq!(change(store, &before, &after), Written::Done);
    let keys = [by_external_id(tenant, "ada"), by_external_id(elsewhere.tenant(), "ada")];
    assert_eq!(find_all(store, &keys), [Some(after), Some(elsewhere)]);
}

const STATES: [CustomerState; 5] =
    [CustomerState::Live, CustomerState::Active, CustomerState::Archived, CustomerState::Deleted, CustomerState::Any];
