//! Files that were sent to be imported, in parts.

use std::sync::Arc;
use std::thread;

use roster_application::ports::{Store, StoreError};
use roster_application::{Actor, Digest, PartKind, Upload, UploadState};
use roster_domain::{ApiKeyId, ImportId, Tenant, UploadId};

use crate::actions::start;
use crate::samples::{Samples, at, other_environment};

fn upload(samples: &Samples, tenant: Tenant) -> Upload {
    Upload {
        tenant,
        id: UploadId::new(samples.uuid()),
        state: UploadState::Receiving,
        options: "{}".to_owned(),
        actor: Actor::Operator,
        import: None,
        digest: None,
        size: 0,
        parts: 0,
        error_parts: 0,
        failure: None,
        fence: 0,
        lease_until: None,
        created_at: at(1),
        updated_at: at(2),
        ended_at: None,
    }
}

fn ended(samples: &Samples, tenant: Tenant) -> Upload {
    Upload { state: UploadState::Finished, ended_at: Some(at(9)), ..upload(samples, tenant) }
}

fn insert(store: &Arc<dyn Store>, upload: &Upload) -> Result<(), StoreError> {
    store.direct(|uow| uow.uploads().insert(upload))
}

fn uploads(store: &Arc<dyn Store>, tenant: Tenant) -> Vec<Upload> {
    page(store, tenant, None, 10)
}

fn page(store: &Arc<dyn Store>, tenant: Tenant, before: Option<UploadId>, limit: usize) -> Vec<Upload> {
    let found: Result<_, StoreError> = store.direct(|uow| uow.uploads().list(tenant, before, limit));
    found.expect("an answer")
}

fn add(store: &Arc<dyn Store>, upload: &Upload, kind: PartKind, number: u32, bytes: &[u8]) -> Result<(), StoreError> {
    store.direct(|uow| uow.uploads().add_part(upload.tenant, upload.id, kind, number, bytes))
}

fn part(store: &Arc<dyn Store>, tenant: Tenant, id: UploadId, kind: PartKind, number: u32) -> Option<Vec<u8>> {
    let found: Result<_, StoreError> = store.direct(|uow| uow.uploads().part(tenant, id, kind, number));
    found.expect("an answer")
}

pub fn an_upload_comes_back_as_it_was_written(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let begun = Upload { actor: Actor::ApiKey(ApiKeyId::new(samples.uuid())), ..upload(&samples, tenant) };
    insert(store, &begun).expect("a new upload");
    let found: Result<_, StoreError> = store.direct(|uow| uow.uploads().find(tenant, begun.id));
    assert_eq!(found.expect("an answer"), Some(begun.clone()));
    let done = Upload {
        state: UploadState::Failed,
        import: Some(ImportId::new(samples.uuid())),
        digest: Some(Digest([8; 32])),
        size: 1 << 40,
        parts: 7,
        error_parts: u32::MAX,
        failure: Some("too_many_errors".to_owned()),
        fence: 3,
        lease_until: Some(at(5)),
        updated_at: at(6),
        ended_at: Some(at(7)),
        ..begun.clone()
    };
    let written: Result<_, StoreError> = store.transaction(|uow| {
        assert_eq!(uow.uploads().lock(tenant, begun.id)?, Some(begun.clone()));
        uow.uploads().update(&done)
    });
    written.expect("an upload that is there");
    assert_eq!(uploads(store, tenant), [done]);
}

pub fn a_tenant_has_one_upload_that_has_not_ended(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let (first, second) = (upload(&samples, tenant), upload(&samples, tenant));
    insert(store, &ended(&samples, tenant)).expect("one that has ended");
    insert(store, &first).expect("a new upload");
    assert!(matches!(insert(store, &second), Err(StoreError::Duplicate { .. })));
    insert(store, &upload(&samples, other_environment(tenant))).expect("that of another tenant");
    let unended = |tenants: &[Tenant]| -> Vec<(Tenant, UploadId)> {
        let found: Result<_, StoreError> = store.direct(|uow| uow.uploads().unended(tenants));
        found.expect("an answer")
    };
    assert_eq!(unended(&[tenant]), [(tenant, first.id)]);
    assert_eq!(unended(&[tenant, other_environment(tenant)]).len(), 2);
    assert_eq!(unended(&[]), []);
    let end = Upload { state: UploadState::Cancelled, ended_at: Some(at(3)), ..first };
    let _: Result<(), StoreError> = store.direct(|uow| uow.uploads().update(&end));
    assert_eq!(unended(&[tenant]), []);
    insert(store, &second).expect("the first has ended");
}

pub fn pages_of_uploads_are_newest_first_and_make_up_the_whole_list(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let mut all = vec![upload(&samples, other_environment(tenant))];
    all.extend((0..7).map(|_| ended(&samples, tenant)));
    all.push(upload(&samples, tenant));
    for one in &all {
        insert(store, one).expect("a new upload");
    }
    let expected: Vec<Upload> = all.into_iter().filter(|one| one.tenant == tenant).rev().collect();
    for limit in [1, 3, 8, 9] {
        let (mut listed, mut before) = (Vec::new(), None);
        loop {
            let page = page(store, tenant, before, limit);
            assert!(page.len() <= limit, "{limit}");
            before = page.last().map(|last| last.id);
            listed.extend(page);
            if before.is_none() {
                break;
            }
        }
        assert_eq!(listed, expected, "{limit}");
    }
}

pub fn of_many_callers_one_inserts_an_upload(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let rivals: Vec<Upload> = (0..8).map(|_| upload(&samples, tenant)).collect();
    let wins: usize = thread::scope(|scope| {
        let threads: Vec<_> =
            rivals.iter().map(|rival| scope.spawn(move || usize::from(insert(store, rival).is_ok()))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!((wins, uploads(store, tenant).len()), (1, 1));
}

pub fn uploads_are_their_tenants_alone(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let other = other_environment(tenant);
    let ours = upload(&samples, tenant);
    insert(store, &ours).expect("a new upload");
    add(store, &ours, PartKind::File, 0, b"ours").expect("a new part");
    assert_eq!(uploads(store, other), []);
    assert_eq!(part(store, other, ours.id, PartKind::File, 0), None);
    let undone: Result<_, StoreError> = store.direct(|uow| {
        assert_eq!(uow.uploads().find(other, ours.id)?, None);
        assert_eq!(uow.uploads().lock(other, ours.id)?, None);
        uow.uploads().update(&Upload { tenant: other, size: 9, ..ours.clone() })?;
        uow.uploads().delete_parts(other, ours.id, PartKind::File)?;
        uow.uploads().delete(other, ours.id)
    });
    undone.expect("nothing to change");
    assert_eq!(uploads(store, tenant), std::slice::from_ref(&ours));
    assert_eq!(part(store, tenant, ours.id, PartKind::File, 0), Some(b"ours".to_vec()));
    assert!(add(store, &Upload { tenant: other, ..ours }, PartKind::File, 1, b"theirs").is_err());
}

pub fn parts_come_back_and_go_with_their_kind_or_their_upload(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let begun = upload(&samples, tenant);
    insert(store, &begun).expect("a new upload");
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    add(store, &begun, PartKind::File, 0, &bytes).expect("a new part");
    add(store, &begun, PartKind::File, 1, b"rest").expect("a new part");
    add(store, &begun, PartKind::Errors, 0, b"{}\n").expect("a new part");
    assert!(add(store, &begun, PartKind::File, 1, b"again").is_err(), "there is one with this number");
    assert_eq!(part(store, tenant, begun.id, PartKind::File, 0), Some(bytes));
    assert_eq!(part(store, tenant, begun.id, PartKind::File, 1), Some(b"rest".to_vec()));
    assert_eq!(part(store, tenant, begun.id, PartKind::File, 2), None);
    let deleted: Result<(), StoreError> =
        store.direct(|uow| uow.uploads().delete_parts(tenant, begun.id, PartKind::File));
    deleted.expect("parts");
    assert_eq!(part(store, tenant, begun.id, PartKind::File, 0), None);
    assert_eq!(part(store, tenant, begun.id, PartKind::Errors, 0), Some(b"{}\n".to_vec()));
    let deleted: Result<(), StoreError> = store.direct(|uow| uow.uploads().delete(tenant, begun.id));
    deleted.expect("an upload");
    assert_eq!(uploads(store, tenant), []);
    assert_eq!(part(store, tenant, begun.id, PartKind::Errors, 0), None);
}

pub fn older_uploads_that_have_ended_are_forgotten(store: &Arc<dyn Store>) {
    let (samples, tenant) = start(store);
    let running = upload(&samples, tenant);
    let [first, last] = [ended(&samples, tenant), ended(&samples, tenant)];
    let foreign = ended(&samples, other_environment(tenant));
    for one in [&running, &first, &last, &foreign] {
        insert(store, one).expect("a new upload");
    }
    add(store, &first, PartKind::Errors, 0, b"{}\n").expect("a new part");
    let forgotten: Result<(), StoreError> = store.direct(|uow| uow.uploads().forget_before(tenant, last.id));
    forgotten.expect("uploads");
    assert_eq!(uploads(store, tenant), [last, running]);
    assert_eq!(part(store, tenant, first.id, PartKind::Errors, 0), None);
    assert_eq!(uploads(store, foreign.tenant), [foreign]);
}
