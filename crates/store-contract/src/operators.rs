//! The operators, and the log of what they did.

use std::sync::Arc;

use roster_application::ports::{RevokedOperator, Store, StoreError};
use roster_application::{Action, Digest, LogEntry, Operation, Operator, Role, Target};
use roster_domain::{ApiKeyId, LogEntryId, MerchantId, OperatorId};

use crate::actions::walk;
use crate::samples::{Samples, at, name};

pub fn an_operator_comes_back_as_it_was_made(store: &Arc<dyn Store>) {
    let samples = Samples::default();
    let plain = operator(&samples);
    let full = Operator {
        name: name("Ada & 名前"),
        role: Role::Read,
        expires_at: Some(at(1)),
        last_used_at: Some(at(2)),
        revoked_at: Some(at(3)),
        ..operator(&samples)
    };
    for operator in [&plain, &full] {
        assert_eq!(find(store, operator), None);
        insert(store, operator).expect("a new operator");
        assert_eq!(find(store, operator).as_ref(), Some(operator));
    }
    store.direct(|uow| uow.operators().record_use(plain.id, at(9))).expect("an answer");
    assert_eq!(list(store, None, 10), [Operator { last_used_at: Some(at(9)), ..plain }, full]);
}

pub fn the_id_and_the_digest_of_an_operator_are_unique(store: &Arc<dyn Store>) {
    let samples = Samples::default();
    let first = operator(&samples);
    insert(store, &first).expect("a new operator");
    for second in
        [Operator { id: first.id, ..operator(&samples) }, Operator { digest: first.digest, ..operator(&samples) }]
    {
        let refused = insert(store, &second);
        assert!(matches!(refused, Err(StoreError::Duplicate { .. })), "{refused:?}");
    }
    assert_eq!(list(store, None, 10), [first]);
}

pub fn pages_of_operators_are_oldest_first_and_make_up_the_whole_list(store: &Arc<dyn Store>) {
    let samples = Samples::default();
    let operators: Vec<_> = (0..5).map(|_| operator(&samples)).collect();
    for operator in operators.iter().rev() {
        insert(store, operator).expect("a new operator");
    }
    for limit in [1, 2, 5, 6] {
        let seen = walk(limit, |last: Option<&Operator>| list(store, last.map(|operator| operator.id), limit));
        assert_eq!(seen, operators, "limit {limit}");
    }
}

pub fn an_operator_is_revoked_once(store: &Arc<dyn Store>) {
    let samples = Samples::default();
    let (one, other) = (operator(&samples), operator(&samples));
    for operator in [&one, &other] {
        insert(store, operator).expect("a new operator");
    }
    let revoke = |id, time| store.direct(|uow| uow.operators().revoke(id, at(time))).expect("an answer");
    let revoked = Operator { revoked_at: Some(at(5)), ..one.clone() };
    // The second time may be the same, too.
    for (time, is_new) in [(5, true), (5, false), (6, false)] {
        assert_eq!(revoke(one.id, time), Some(RevokedOperator { operator: revoked.clone(), is_new }));
    }
    assert_eq!(revoke(OperatorId::new(samples.uuid()), 7), None);
    assert_eq!(list(store, None, 10), [revoked, other]);
}

pub fn an_entry_of_the_log_comes_back_as_it_was_made(store: &Arc<dyn Store>) {
    let samples = Samples::default();
    let targets = [
        Target::Merchant(MerchantId::new(samples.uuid())),
        Target::ApiKey(ApiKeyId::new(samples.uuid())),
        Target::Operator(OperatorId::new(samples.uuid())),
    ];
    let mut entries = Vec::new();
    for (action, target) in Action::ALL.into_iter().zip(targets.into_iter().cycle()) {
        let operation =
            Operation { operator: Some(OperatorId::new(samples.uuid())), request_id: Some("r-1".to_owned()) };
        let by_command = LogEntry { action, target, ..entry(&samples) };
        entries.extend([LogEntry { operation, id: LogEntryId::new(samples.uuid()), ..by_command.clone() }, by_command]);
    }
    for entry in &entries {
        store.direct(|uow| uow.operators().log(entry)).expect("a new entry");
    }
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.id));
    assert_eq!(log(store, None, 100), entries);
}

pub fn pages_of_the_log_are_newest_first_and_make_up_the_whole_log(store: &Arc<dyn Store>) {
    let samples = Samples::default();
    let mut entries: Vec<_> = (0..5).map(|_| entry(&samples)).collect();
    for entry in &entries {
        store.direct(|uow| uow.operators().log(entry)).expect("a new entry");
    }
    entries.reverse();
    for limit in [1, 2, 5, 6] {
        let seen = walk(limit, |last: Option<&LogEntry>| log(store, last.map(|entry| entry.id), limit));
        assert_eq!(seen, entries, "limit {limit}");
    }
}

pub fn old_entries_are_deleted_oldest_first_and_at_most_so_many(store: &Arc<dyn Store>) {
    let samples = Samples::default();
    let entries: Vec<_> = (0..5).map(|_| entry(&samples)).collect();
    for entry in &entries {
        store.direct(|uow| uow.operators().log(entry)).expect("a new entry");
    }
    let delete = |limit| store.direct(|uow| uow.operators().delete_entries(entries[3].id, limit)).expect("an answer");
    assert_eq!((delete(2), log(store, None, 10).len()), (2, 3));
    assert_eq!((delete(2), delete(2)), (1, 0));
    assert_eq!(log(store, None, 10), [entries[4].clone(), entries[3].clone()]);
}

fn operator(samples: &Samples) -> Operator {
    let id = OperatorId::new(samples.uuid());
    Operator {
        id,
        name: name("Ada"),
        role: Role::Admin,
        digest: Digest::of(id.uuid().as_bytes()),
        created_at: at(0),
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
    }
}

fn entry(samples: &Samples) -> LogEntry {
    LogEntry {
        id: LogEntryId::new(samples.uuid()),
        operation: Operation::COMMAND_LINE,
        action: Action::MerchantCreated,
        target: Target::Merchant(MerchantId::new(samples.uuid())),
        created_at: at(0),
    }
}

fn insert(store: &Arc<dyn Store>, operator: &Operator) -> Result<(), StoreError> {
    store.direct(|uow| uow.operators().insert(operator))
}

fn find(store: &Arc<dyn Store>, operator: &Operator) -> Option<Operator> {
    store.direct(|uow| uow.operators().find(&operator.digest)).expect("an answer")
}

fn list(store: &Arc<dyn Store>, after: Option<OperatorId>, limit: usize) -> Vec<Operator> {
    store.direct(|uow| uow.operators().list(after, limit)).expect("a page")
}

fn log(store: &Arc<dyn Store>, before: Option<LogEntryId>, limit: usize) -> Vec<LogEntry> {
    store.direct(|uow| uow.operators().entries(before, limit)).expect("a page")
}
