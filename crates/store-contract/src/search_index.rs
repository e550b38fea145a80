//! What stores with an index for searches promise about customers that it lacks. These cases need two stores on one database, so
//! that an adapter calls them in tests of its own.

use std::sync::Arc;

use roster_application::ports::{CustomerFilter, CustomerQuery, Store, Written};
use roster_domain::{Customer, CustomerEdit, Edit, SearchTerm, Tenant};

use crate::actions::{change, create, delete, list_by, list_part, start};
use crate::filters::walk;
use crate::samples::{at, name, other_environment};

/// Customers that were written without the index are found at once, and added to it in batches.
///
/// # Panics
/// If they are not. Both stores are on one database: `indexed` with the index, `without` without it.
pub fn customers_that_the_index_lacks_are_found_and_added(indexed: &Arc<dyn Store>, without: &Arc<dyn Store>) {
    let (samples, tenant) = start(indexed);
    let customers: Vec<_> =
        (0..4).map(|n| samples.customer(tenant).email(&format!("ada{n}@example.com")).build()).collect();
    let [a, b, c, d] = &customers[..] else { panic!("four customers") };
    create(without, &[a, b, c]);
    create(indexed, &[d]);
    let newest_first = [d.clone(), c.clone(), b.clone(), a.clone()];
    assert_eq!(find(indexed, tenant, "da@", 4), []);
    assert_eq!(find(indexed, tenant, "@EXAMPLE", 5), newest_first);
    assert_eq!(find(indexed, tenant, "ad", 5), newest_first);
    // It lacks more than are looked at for a page: the list is walked, and goes on.
    let bounded = search(tenant, "@example", 2);
    assert!(list_part(indexed, &bounded).stopped_at.is_some());
    assert_eq!(walk(indexed, &bounded), newest_first);
    for added in [2, 1, 0] {
        assert_eq!(add(indexed, tenant), added);
        assert_eq!(find(indexed, tenant, "@example", 5), newest_first);
    }
    // Now the index names more than may be looked at.
    assert_eq!(walk(indexed, &bounded), newest_first);
    let renamed = rename(without, d, "Bea Byron");
    assert_eq!(find(indexed, tenant, "byron", 4), std::slice::from_ref(&renamed));
    assert_eq!(add(indexed, tenant), 1);
    let renamed_again = rename(indexed, &renamed, "Eda");
    assert_eq!(
        (find(indexed, tenant, "byron", 4), find(indexed, tenant, "eda", 4)),
        (vec![], vec![renamed_again.clone()])
    );
    delete(without, &renamed_again);
    assert_eq!((add(indexed, tenant), find(indexed, tenant, "eda", 4)), (0, vec![]));
}

/// A customer that a program changed which does not know the index is found by its new texts, and added again.
///
/// # Panics
/// If it is not. `change_name` changes the name of the only customer, and its version, as that program does.
pub fn a_customer_that_an_older_program_changed_is_found_and_added(store: &Arc<dyn Store>, change_name: impl Fn(&str)) {
    let (samples, tenant) = start(store);
    create(store, &[&samples.customer(tenant).email("ada@example.com").build()]);
    change_name("Bea Byron");
    assert_eq!(find(store, tenant, "bea byr", 1).len(), 1);
    assert_eq!((add(store, tenant), add(store, tenant)), (1, 0));
    assert_eq!(find(store, tenant, "bea byr", 1).len(), 1);
}

fn search(tenant: Tenant, term: &str, max_rows: usize) -> CustomerQuery {
    let filter = CustomerFilter { search: SearchTerm::parse(term).ok(), ..CustomerFilter::default() };
    CustomerQuery { filter, max_rows, ..CustomerQuery::newest(tenant, 10) }
}

/// All that are found, of which `most` may be looked at.
fn find(store: &Arc<dyn Store>, tenant: Tenant, term: &str, most: usize) -> Vec<Customer> {
    list_by(store, &search(tenant, term, most))
}

/// Adds customers to the index, two at most.
fn add(store: &Arc<dyn Store>, tenant: Tenant) -> usize {
    let tenants = [other_environment(tenant), tenant];
    store.direct(|uow| uow.customers().index_for_search(&tenants, 2)).expect("an answer")
}

fn rename(store: &Arc<dyn Store>, customer: &Customer, text: &str) -> Customer {
    let edit = CustomerEdit { name: Edit::Set(name(text)), ..CustomerEdit::default() };
    let after = customer.changed(edit, at(1)).expect("no metadata");
    assert_eq!(change(store, customer, &after), Written::Done);
    after
}
