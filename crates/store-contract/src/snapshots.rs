//! Snapshots: reading many pages that are all of one moment.

use std::sync::Arc;
use std::time::Duration;

use roster_application::ports::{CustomerQuery, Store, StoreError, UnitOfWork};
use roster_domain::{Customer, Tenant};

use crate::actions::{change, create, delete, list, start};
use crate::samples::{creation, renamed};

const AGE: Duration = Duration::from_mins(1);

pub fn a_snapshot_shows_what_was_stored_when_it_began(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let [ada, eda, ida] = ["ada", "eda", "ida"].map(|id| samples.customer(tenant).external_id(id).build());
    create(store, &[&ada, &eda]);
    let read: Result<(), StoreError> = store.snapshot(AGE, |uow| {
        let before = (uow.events().extents(&[tenant])?, listed(uow, tenant)?);
        assert_eq!(before.1, [eda.clone(), ada.clone()]);
        change(store, &ada, &renamed(&ada, "Ada"));
        delete(store, &eda);
        create(store, &[&ida]);
        assert_eq!((uow.events().extents(&[tenant])?, listed(uow, tenant)?), before);
        Ok(())
    });
    read.expect("a snapshot");
    assert_eq!(list(store, tenant, None, 10), [ida, renamed(&ada, "Ada")]);
}

pub fn what_a_snapshot_writes_is_not_kept(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let ada = samples.customer(tenant).build();
    // A database refuses it; a copy in memory is thrown away.
    let _: Result<(), StoreError> = store.snapshot(AGE, |uow| uow.customers().write(&[creation(&ada)]).map(drop));
    assert_eq!(list(store, tenant, None, 10), []);
    create(store, &[&ada]);
}

pub fn an_error_in_a_snapshot_is_returned_and_the_next_works(store: &Arc<dyn Store>) {
    let (_, tenant) = start(store);
    for _ in 0..10 {
        let failed: Result<(), StoreError> = store.snapshot(AGE, |_| Err(StoreError::spent()));
        assert!(matches!(failed, Err(StoreError::Internal { .. })), "{failed:?}");
    }
    let read: Result<_, StoreError> = store.snapshot(AGE, |uow| listed(uow, tenant));
    assert_eq!(read.expect("a snapshot"), []);
}

fn listed(uow: &mut dyn UnitOfWork, tenant: Tenant) -> Result<Vec<Customer>, StoreError> {
    Ok(uow.customers().list(&CustomerQuery::newest(tenant, 10))?.customers)
}
