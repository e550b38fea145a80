//! Imports and exports, where other writers are faster or calls fail.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use roster_application::ports::{CustomerFilter, Store, StoreError};
use roster_application::{
    Actor, BeginUploadError, BegunImport, Digest, Export, ExportError, Import, ImportBatch, ImportError, ImportRules,
    ImportedCustomer, ImportedMetadata, LeasedUpload, MAX_IMPORTS, MerchantChange, OnConflict, PartKind, Roster,
    RowRefusal, Upload, UploadError, UploadReport, UploadState,
};
use roster_domain::{Customer, CustomerEdit, CustomerId, Edit, Email, Name, Tenant};

use crate::service::{
    BY, Service, anonymous, by_external_id, by_id, change, email, external_id as external_id_of, name, with_email,
    with_external_id,
};

fn row(external_id: Option<&str>, address: Option<&str>, called: &str) -> ImportedCustomer {
    let edit = CustomerEdit {
        external_id: external_id.map_or(Edit::Keep, |id| Edit::Set(external_id_of(id))),
        email: address.map_or(Edit::Keep, |address| Edit::Set(email(address))),
        name: Edit::Set(name(called)),
        ..CustomerEdit::default()
    };
    ImportedCustomer { edit, metadata: ImportedMetadata::Absent, created_at: None }
}

fn batch(first: u64, rows: Vec<ImportedCustomer>, is_last: bool) -> ImportBatch {
    let rows: Vec<_> = (first..).zip(rows).collect();
    let last = rows.last().map_or(first, |(number, _)| *number);
    ImportBatch { rows, last, failed: 0, faults: 0, is_last }
}

fn begin(roster: &Roster, tenant: Tenant) -> Import {
    match roster.begin_import(tenant, Digest([1; 32]), "", false).expect("a store") {
        BegunImport::Open(import) => import,
        other => panic!("{other:?}"),
    }
}

fn rules(on_conflict: OnConflict) -> ImportRules {
    ImportRules { on_conflict, ..ImportRules::default() }
}

/// Imports a batch, and returns what was refused of it.
fn import(
    roster: &Roster,
    import: &Import,
    rules: ImportRules,
    batch: &ImportBatch,
) -> Result<(Import, Vec<(u64, RowRefusal)>), ImportError> {
    let mut refused = Vec::new();
    let mut report = |rows: &[(u64, RowRefusal)]| {
        refused = rows.to_vec();
        Ok(())
    };
    let import = roster.import_batch(import, rules, batch, &mut report)?;
    Ok((import, refused))
}

fn names(service: &Service) -> Vec<String> {
    let mut names = Vec::new();
    let export = Export { tenant: service.tenant, filter: CustomerFilter::default(), age: Duration::from_secs(1) };
    let called = |one: &Customer| one.profile().name.as_ref().map_or("", Name::as_str).to_owned();
    service
        .roster
        .export_customers(&export, &mut |part| {
            names.extend(part.customers.iter().map(called));
            ControlFlow::Continue(())
        })
        .expect("a store");
    names
}

#[test]
fn a_batch_that_was_imported_already_is_not_imported_again() {
    let service = Service::start();
    let begun = begin(&service.roster, service.tenant);
    let rows = batch(1, vec![row(None, None, "Ada"), row(None, None, "Eda")], false);
    let (moved, _) = import(&service.roster, &begun, ImportRules::default(), &rows).expect("a store");
    assert_eq!((moved.counts.rows, moved.counts.created, moved.finished_at), (2, 2, None));
    // A process that has not seen the first, or has lost its answer.
    let again = import(&service.roster, &begun, ImportRules::default(), &rows);
    assert!(matches!(again, Err(ImportError::GoneOn)), "{again:?}");
    assert_eq!(begin(&service.roster, service.tenant), moved, "it goes on behind them");
    let (done, _) =
        import(&service.roster, &moved, ImportRules::default(), &batch(3, vec![row(None, None, "Ida")], true))
            .expect("a store");
    assert!(done.finished_at.is_some());
    assert_eq!(names(&service), ["Ada", "Eda", "Ida"]);
    let found = service.roster.begin_import(service.tenant, Digest([1; 32]), "other", false).expect("a store");
    assert_eq!(found, BegunImport::Finished(done.clone()));
    let anew = service.roster.begin_import(service.tenant, Digest([1; 32]), "", true).expect("a store");
    assert!(matches!(anew, BegunImport::Open(anew) if anew.id != done.id && anew.counts.rows == 0));
}

#[test]
fn identifiers_follow_from_the_import_and_the_row() {
    let service = Service::start();
    let begun = begin(&service.roster, service.tenant);
    import(&service.roster, &begun, ImportRules::default(), &batch(7, vec![row(Some("u"), None, "Ada")], true))
        .expect("a store");
    let found = service.find_by(by_external_id(service.tenant, "u")).expect("a customer");
    assert_eq!(found.id(), CustomerId::of_row(begun.id, 7));
}

#[test]
fn a_batch_whose_errors_cannot_be_reported_is_not_kept() {
    let service = Service::start();
    let begun = begin(&service.roster, service.tenant);
    let rows = batch(1, vec![row(None, None, "Ada")], true);
    let mut report = |_: &[(u64, RowRefusal)]| Err(std::io::Error::other("a full disk"));
    let failed = service.roster.import_batch(&begun, ImportRules::default(), &rows, &mut report);
    assert!(matches!(failed, Err(ImportError::Report(_))), "{failed:?}");
    assert_eq!((names(&service), begin(&service.roster, service.tenant)), (vec![], begun));
}

#[test]
fn a_row_that_loses_a_race_is_decided_anew() {
    let service = Service::start();
    let begun = begin(&service.roster, service.tenant);
    let other = service.register(with_external_id(anonymous(service.tenant), "u1"));
    let (roster, key) = (service.roster.clone(), by_id(&other));
    service.store.interceptor.after_next_read(move || {
        let edit = CustomerEdit { name: Edit::Set(name("Other")), ..CustomerEdit::default() };
        roster.write_customers(vec![change(key, edit)]).remove(0).result.expect("a change");
    });
    let rows = batch(1, vec![row(Some("u1"), Some("ada@example.com"), "Ada")], true);
    let (done, refused) = import(&service.roster, &begun, rules(OnConflict::Update), &rows).expect("a store");
    assert_eq!((done.counts.updated, refused), (1, vec![]));
    let found = service.find_by(by_external_id(service.tenant, "u1")).expect("the customer");
    assert_eq!((found.version(), found.profile().name.as_ref().map(Name::as_str)), (3, Some("Ada")));
}

#[test]
fn rows_of_one_customer_in_a_batch_are_done_in_their_order() {
    let service = Service::start();
    let begun = begin(&service.roster, service.tenant);
    let rows = vec![
        row(Some("u1"), Some("a@example.com"), "One"),
        row(Some("u1"), Some("b@example.com"), "Two"),
        row(None, Some("b@example.com"), "Three"),
        row(Some("u2"), Some("a@example.com"), "Four"),
    ];
    let (done, refused) =
        import(&service.roster, &begun, rules(OnConflict::Update), &batch(1, rows, true)).expect("a store");
    let counts = done.counts;
    assert_eq!((counts.created, counts.updated, counts.failed, refused), (2, 2, 0, vec![]));
    let found = service.find_by(by_external_id(service.tenant, "u1")).expect("a customer");
    let profile = found.profile();
    assert_eq!(profile.email.as_ref().map(Email::as_str), Some("b@example.com"));
    assert_eq!(names(&service), ["Three", "Four"]);
}

#[test]
fn a_holder_of_both_identifiers_is_named_once() {
    let service = Service::start();
    let begun = begin(&service.roster, service.tenant);
    let ada = service.register(with_email(with_external_id(anonymous(service.tenant), "u1"), "ada@example.com"));
    let rows =
        batch(1, vec![row(Some("u1"), Some("ada@example.com"), "x"), row(None, Some("ADA@example.com"), "y")], true);
    let (done, refused) = import(&service.roster, &begun, ImportRules::default(), &rows).expect("a store");
    assert_eq!(refused, [(1, RowRefusal::ExternalIdTaken(ada.id())), (2, RowRefusal::EmailTaken(ada.id()))]);
    assert_eq!((done.counts.failed, done.counts.faults), (2, 2));
}

#[test]
fn the_newest_imports_of_a_tenant_are_remembered() {
    let service = Service::start();
    let begin = |number: usize| {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&(number as u64).to_be_bytes());
        service.roster.begin_import(service.tenant, Digest(digest), "", false).expect("a store")
    };
    for number in 0..MAX_IMPORTS + 5 {
        begin(number);
    }
    let store: Arc<dyn Store> = service.store.clone();
    let list = || {
        let imports: Result<_, StoreError> = store.direct(|uow| uow.imports().list(service.tenant, 1000));
        imports.expect("a store").len()
    };
    assert_eq!(list(), MAX_IMPORTS);
    begin(MAX_IMPORTS + 4);
    assert_eq!(list(), MAX_IMPORTS, "the last is still there");
}

#[test]
fn an_export_ends_when_its_reader_does_or_when_it_takes_too_long() {
    let service = Service::start();
    for _ in 0..200 {
        service.register(anonymous(service.tenant));
    }
    let export = |age| Export { tenant: service.tenant, filter: CustomerFilter::default(), age };
    let mut parts = 0;
    let stopped = service.roster.export_customers(&export(Duration::from_secs(1)), &mut |_| {
        parts += 1;
        ControlFlow::Break(())
    });
    assert!(matches!(stopped, Err(ExportError::Stopped)), "{stopped:?}");
    assert_eq!(parts, 1);
    let slow = service.roster.export_customers(&export(Duration::from_secs(1)), &mut |_| {
        service.clock.advance(2000);
        ControlFlow::Continue(())
    });
    assert!(matches!(slow, Err(ExportError::TooSlow(_))), "{slow:?}");
}

fn upload(roster: &Roster, tenant: Tenant) -> Upload {
    roster.begin_upload(tenant, "{}", &Actor::Operator).expect("no other upload")
}

#[test]
fn a_worker_whose_lease_is_over_imports_nothing() {
    let service = Service::start();
    let (roster, tenant) = (&service.roster, service.tenant);
    let sent = roster.add_upload_part(&upload(roster, tenant), b"email").expect("a part");
    let (whole, _) = roster.complete_upload(&sent, Digest([3; 32]), "", false).expect("a file");
    let length = Duration::from_secs(30);
    let lease = || roster.lease_upload(tenant, whole.id, length).expect("a store");
    let mut first = lease().expect("no other worker has it");
    assert!(lease().is_none(), "it is leased");
    service.clock.advance(60_000);
    let mut second = lease().expect("the lease is over");
    let rows = batch(1, vec![row(Some("ada"), None, "Ada")], false);
    let mut report = |_: &[(u64, RowRefusal)]| b"{}\n".to_vec();
    let done = |leased: &mut LeasedUpload, report: &mut UploadReport<'_>| {
        roster.import_upload_batch(leased, rules(OnConflict::Fail), &rows, report)
    };
    assert!(matches!(done(&mut first, &mut report), Err(ImportError::GoneOn)));
    done(&mut second, &mut report).expect("its own lease");
    let errors = roster.upload_part(tenant, whole.id, PartKind::Errors, 0).expect("a store");
    assert_eq!(errors, Some(b"{}\n".to_vec()), "those of one worker");
    roster.release_upload(&first, Some("late")).expect("a store");
    let (stored, import) = roster.find_upload(tenant, whole.id).expect("a store").expect("an upload");
    assert_eq!((stored.state, import.map(|import| import.counts.created)), (UploadState::Running, Some(1)));
    roster.cancel_upload(tenant, whole.id).expect("a store").expect("an upload");
    let more = batch(2, vec![row(Some("eda"), None, "Eda")], true);
    let late = roster.import_upload_batch(&mut second, rules(OnConflict::Fail), &more, &mut report);
    assert!(matches!(late, Err(ImportError::GoneOn)), "it is cancelled");
    assert_eq!(roster.upload_part(tenant, whole.id, PartKind::File, 0).expect("a store"), None);
}

#[test]
fn no_row_of_a_disabled_merchant_is_imported_by_the_service() {
    let service = Service::start();
    let (roster, tenant) = (&service.roster, service.tenant);
    let sent = roster.add_upload_part(&upload(roster, tenant), b"email").expect("a part");
    let (whole, _) = roster.complete_upload(&sent, Digest([3; 32]), "", false).expect("a file");
    let mut leased = roster.lease_upload(tenant, whole.id, Duration::from_secs(30)).expect("a store").expect("a lease");
    let mut done = |number: u64, called: &str, is_last: bool| {
        let rows = batch(number, vec![row(None, None, called)], is_last);
        roster.import_upload_batch(&mut leased, rules(OnConflict::Fail), &rows, &mut |_| Vec::new())
    };
    let change = |change| roster.change_merchant(tenant.merchant, &change, BY).expect("a store").expect("a merchant");
    done(1, "Ada", false).expect("an import");
    change(MerchantChange::Disable);
    let refused = done(2, "Eda", true);
    assert!(matches!(refused, Err(ImportError::MerchantDisabled)), "{refused:?}");
    assert_eq!(names(&service), ["Ada"]);
    change(MerchantChange::Enable);
    done(2, "Eda", true).expect("an import");
    assert_eq!(names(&service), ["Ada", "Eda"]);
}

#[test]
fn an_upload_that_nothing_comes_of_makes_way_after_a_minute() {
    let service = Service::start();
    let (roster, tenant) = (&service.roster, service.tenant);
    let left = upload(roster, tenant);
    let refused = roster.begin_upload(tenant, "{}", &Actor::Operator);
    assert!(matches!(refused, Err(BeginUploadError::Unended(id)) if id == left.id));
    service.clock.advance(61_000);
    upload(roster, tenant);
    assert!(matches!(roster.add_upload_part(&left, b"late"), Err(UploadError::Ended)));
}

#[test]
fn an_upload_that_nothing_comes_of_is_forgotten_after_a_day() {
    let service = Service::start();
    let (roster, tenant) = (&service.roster, service.tenant);
    let left = roster.add_upload_part(&upload(roster, tenant), b"some").expect("a part");
    let lease = || roster.lease_upload(tenant, left.id, Duration::from_secs(30)).expect("a store");
    service.clock.advance(86_400_000);
    assert!(lease().is_none(), "its file is not there");
    assert_eq!(roster.find_upload(tenant, left.id).expect("a store").map(|(upload, _)| upload), Some(left.clone()));
    service.clock.advance(1);
    assert!(lease().is_none(), "it is forgotten");
    assert_eq!(roster.find_upload(tenant, left.id).expect("a store"), None);
    assert_eq!(roster.upload_part(tenant, left.id, PartKind::File, 0).expect("a store"), None);
}

#[test]
fn an_upload_that_is_abandoned_makes_way_at_once() {
    let service = Service::start();
    let (roster, tenant) = (&service.roster, service.tenant);
    let begun = upload(roster, tenant);
    roster.add_upload_part(&begun, b"some").expect("a part");
    roster.abandon_upload(tenant, begun.id).expect("a store");
    assert_eq!(roster.find_upload(tenant, begun.id).expect("a store"), None);
    let next = upload(roster, tenant);
    let (whole, _) = roster.complete_upload(&next, Digest([4; 32]), "", false).expect("a file");
    roster.abandon_upload(tenant, whole.id).expect("a store");
    assert!(roster.find_upload(tenant, whole.id).expect("a store").is_some(), "it is whole");
}
