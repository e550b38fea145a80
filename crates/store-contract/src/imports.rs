//! Imports, and how far they have come.

use std::slice;
use std::sync::Arc;
use std::thread;

use roster_application::ports::{Store, StoreError, Written};
use roster_application::{Digest, Import, ImportCounts};
use roster_domain::{ImportId, Tenant};

use crate::actions::{list, start};
use crate::samples::{Samples, at, creation, live, other_environment};

fn import(samples: &Samples, tenant: Tenant) -> Import {
    Import {
        tenant,
        id: ImportId::new(samples.uuid()),
        digest: Digest([7; 32]),
        options: "from stripe".to_owned(),
        counts: ImportCounts::default(),
        created_at: at(1),
        updated_at: at(2),
        finished_at: None,
    }
}

fn insert(store: &Arc<dyn Store>, import: &Import) -> Result<(), StoreError> {
    store.direct(|uow| uow.imports().insert(import))
}

fn imports(store: &Arc<dyn Store>, tenant: Tenant, limit: usize) -> Vec<Import> {
    store.direct(|uow| uow.imports().list(tenant, limit)).unwrap_or_else(|error: StoreError| panic!("{error}"))
}

pub fn an_import_comes_back_as_it_was_written(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let begun = import(&samples, tenant);
    insert(store, &begun).expect("a new import");
    assert_eq!(imports(store, tenant, 10), slice::from_ref(&begun));
    let counts = ImportCounts {
        rows: 7,
        created: 1,
        updated: 2,
        unchanged: 3,
        skipped: 4,
        failed: 5,
        faults: u64::from(u32::MAX),
    };
    let done = Import { counts, updated_at: at(3), finished_at: Some(at(4)), ..begun.clone() };
    let written: Result<_, StoreError> = store.transaction(|uow| {
        assert_eq!(uow.imports().lock(tenant, begun.id)?, Some(begun.clone()));
        uow.imports().update(&done)
    });
    written.expect("an import that is there");
    assert_eq!(imports(store, tenant, 10), [done]);
    assert!(insert(store, &begun).is_err(), "its identifier is in use");
}

pub fn imports_are_listed_newest_first_and_are_their_tenants_alone(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let other = other_environment(tenant);
    let mut made: Vec<Import> = (0..3).map(|_| import(&samples, tenant)).collect();
    let foreign = Import { tenant: other, ..import(&samples, tenant) };
    for one in made.iter().chain([&foreign]) {
        insert(store, one).expect("a new import");
    }
    made.reverse();
    assert_eq!(imports(store, tenant, 10), made);
    assert_eq!(imports(store, tenant, 2), made[..2]);
    assert_eq!(imports(store, other, 10), slice::from_ref(&foreign));
    let locked: Result<_, StoreError> = store.transaction(|uow| uow.imports().lock(other, made[0].id));
    assert_eq!(locked.expect("an answer"), None);
    let moved =
        Import { tenant: other, counts: ImportCounts { rows: 9, ..ImportCounts::default() }, ..made[0].clone() };
    let _: Result<(), StoreError> = store.direct(|uow| uow.imports().update(&moved));
    assert_eq!(imports(store, tenant, 10), made);
}

pub fn older_imports_are_forgotten(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let made: Vec<Import> = (0..3).map(|_| import(&samples, tenant)).collect();
    let foreign = Import { tenant: other_environment(tenant), ..made[0].clone() };
    for one in made.iter().chain([&foreign]) {
        insert(store, one).expect("a new import");
    }
    let forgotten: Result<(), StoreError> = store.direct(|uow| uow.imports().forget_before(tenant, made[2].id));
    forgotten.expect("imports");
    assert_eq!(imports(store, tenant, 10), [made[2].clone()]);
    assert_eq!(imports(store, foreign.tenant, 10), [foreign]);
}

pub fn an_import_without_a_merchant_is_refused(store: &Arc<dyn Store>) {
    let samples = Samples::default();
    let stray = import(&samples, live(&samples.merchant()));
    assert!(insert(store, &stray).is_err());
}

pub fn an_import_is_undone_with_its_transaction(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let (begun, ada) = (import(&samples, tenant), samples.customer(tenant).build());
    insert(store, &begun).expect("a new import");
    let undone: Result<(), StoreError> = store.transaction(|uow| {
        uow.customers().write(&[creation(&ada)])?;
        let counts = ImportCounts { rows: 1, ..ImportCounts::default() };
        uow.imports().update(&Import { counts, ..begun.clone() })?;
        Err(StoreError::spent())
    });
    undone.expect_err("on purpose");
    assert_eq!((imports(store, tenant, 10), list(store, tenant, None, 10)), (vec![begun], vec![]));
}

pub fn of_two_processes_at_one_batch_the_second_sees_what_the_first_did(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let begun = import(&samples, tenant);
    insert(store, &begun).expect("a new import");
    let row = |_: usize| (begun.clone(), samples.customer(tenant).build());
    let rows: Vec<_> = (0..4).map(row).collect();
    let wins: usize = thread::scope(|scope| {
        let import_row = |(begun, customer)| {
            let done: Result<bool, StoreError> = store.transaction(|uow| {
                let begun: &Import = begun;
                if uow.imports().lock(tenant, begun.id)?.as_ref() != Some(begun) {
                    return Ok(false);
                }
                assert_eq!(uow.customers().write(&[creation(customer)])?, [Written::Done]);
                let counts = ImportCounts { rows: 1, created: 1, ..ImportCounts::default() };
                uow.imports().update(&Import { counts, ..begun.clone() })?;
                Ok(true)
            });
            usize::from(done.expect("a turn"))
        };
        let threads: Vec<_> =
            rows.iter().map(|(begun, customer)| scope.spawn(move || import_row((begun, customer)))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!((wins, list(store, tenant, None, 10).len()), (1, 1));
}
