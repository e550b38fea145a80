//! Operators, what they do to merchants and keys, and the log of it.

use std::time::Duration;

use roster_application::{
    Action, ApiKeyOrder, CreateOperatorError, CreatedOperator, LogEntry, MerchantChange, OPERATOR_LOG_LIFETIME,
    Operation, OperatorError, OperatorOrder, PageSize, Role, Scopes, Sweep, Target,
};
use roster_domain::{MerchantId, MerchantName, OperatorId, Timestamp};
use uuid::Uuid;

use crate::service::{Service, name, time};

fn operator(service: &Service, expires_at: Option<Timestamp>) -> Result<CreatedOperator, CreateOperatorError> {
    let order = OperatorOrder { name: name("Ada"), role: Role::Admin, expires_at };
    service.roster.create_operator(order, &Operation::COMMAND_LINE)
}

fn is_accepted(service: &Service, credential: &str) -> bool {
    match service.roster.authenticate_operator(credential) {
        Ok(_) => true,
        Err(OperatorError::Refused) => false,
        Err(error) => panic!("{error}"),
    }
}

fn log(service: &Service) -> Vec<LogEntry> {
    service.roster.list_operator_log(None, PageSize::MAX).expect("a page").items
}

#[test]
fn an_operator_is_known_by_its_key_until_it_is_revoked() {
    let service = Service::start();
    let made = operator(&service, None).expect("an operator");
    assert!(made.secret.reveal().starts_with("sk_admin_"), "{}", made.secret.reveal());
    let known = service.roster.authenticate_operator(made.secret.reveal()).expect("its key");
    assert_eq!(known, made.operator);
    let listed = || service.roster.list_operators(None, PageSize::DEFAULT).expect("a page").items;
    assert_eq!(listed()[0].last_used_at, Some(service.roster.now()));
    let id = made.operator.id;
    let revoked = service.roster.revoke_operator(id, &Operation::COMMAND_LINE).expect("an answer");
    assert_eq!(revoked.map(|operator| operator.revoked_at), Some(Some(service.roster.now())));
    assert!(!is_accepted(&service, made.secret.reveal()));
    let unknown = OperatorId::new(Uuid::from_u128(7));
    assert_eq!(service.roster.revoke_operator(unknown, &Operation::COMMAND_LINE).expect("an answer"), None);
    let actions: Vec<_> = log(&service).into_iter().map(|entry| (entry.action, entry.target)).collect();
    assert_eq!(actions[..2], [Action::OperatorRevoked, Action::OperatorCreated].map(|a| (a, Target::Operator(id))));
}

#[test]
fn the_key_of_an_operator_ends_when_it_was_said_to() {
    let service = Service::start();
    let made = operator(&service, Some(time("2025-01-15T12:00:01Z"))).expect("an operator");
    service.clock.advance(999);
    assert!(is_accepted(&service, made.secret.reveal()));
    service.clock.advance(1);
    assert!(!is_accepted(&service, made.secret.reveal()));
    let refused = operator(&service, Some(time("2025-01-15T12:00:01Z")));
    assert!(matches!(refused, Err(CreateOperatorError::Expired)), "{refused:?}");
}

#[test]
fn keys_of_operators_and_of_merchants_are_not_taken_for_each_other() {
    let service = Service::start();
    let made = operator(&service, None).expect("an operator");
    let order = ApiKeyOrder { tenant: service.tenant, name: None, scopes: Scopes::ALL, expires_at: None };
    let key = service.roster.create_api_key_by(order, &Operation::COMMAND_LINE).expect("a key");
    let refused = roster_application::Recognition::Refused(None);
    assert_eq!(service.roster.recognise(made.secret.reveal()), refused);
    let before = service.store.interceptor.runs();
    assert!(!is_accepted(&service, key.secret.reveal()));
    let mut mistyped = made.secret.reveal().to_owned();
    mistyped.pop();
    for bad in ["", "sk_admin_", &mistyped, &format!("{mistyped}!")] {
        assert!(!is_accepted(&service, bad), "{bad}");
    }
    assert_eq!(service.store.interceptor.runs(), before, "nothing was looked up");
}

#[test]
fn it_is_known_whether_there_are_operators() {
    let service = Service::start();
    assert!(!service.roster.has_operators().expect("an answer"));
    let before = service.store.interceptor.runs();
    assert!(!service.roster.has_operators().expect("an answer"));
    assert_eq!(service.store.interceptor.runs(), before, "it was asked a moment ago");
    let service = Service::start();
    operator(&service, None).expect("an operator");
    assert!(service.roster.has_operators().expect("an answer"));
}

#[test]
fn what_is_done_to_merchants_and_keys_is_in_the_log() {
    let service = Service::start();
    let by = Operation { operator: Some(OperatorId::new(Uuid::from_u128(1))), request_id: Some("r-1".to_owned()) };
    let merchant = service.tenant.merchant;
    let renamed = MerchantChange::Rename(MerchantName::parse("New").expect("a name"));
    for change in [renamed, MerchantChange::Disable, MerchantChange::Enable] {
        service.roster.change_merchant(merchant, &change, &by).expect("an answer").expect("a merchant");
    }
    let order = ApiKeyOrder { tenant: service.tenant, name: None, scopes: Scopes::ALL, expires_at: None };
    let old = service.roster.create_api_key_by(order, &by).expect("a key").key;
    let new = service.roster.rotate_api_key_by(service.tenant, old.id, Duration::ZERO, &by).expect("a key").key;
    assert!(service.roster.rotate_api_key_by(service.tenant, old.id, Duration::ZERO, &by).is_err());
    service.roster.revoke_api_key_by(service.tenant, new.id, &by).expect("an answer").expect("a key");
    let mut log = log(&service);
    log.reverse();
    let done: Vec<_> = log.iter().map(|entry| (entry.action, entry.target)).collect();
    let of_merchant = |action| (action, Target::Merchant(merchant));
    let expected = [
        of_merchant(Action::MerchantCreated),
        of_merchant(Action::MerchantRenamed),
        of_merchant(Action::MerchantDisabled),
        of_merchant(Action::MerchantEnabled),
        (Action::ApiKeyCreated, Target::ApiKey(old.id)),
        (Action::ApiKeyRotated, Target::ApiKey(new.id)),
        (Action::ApiKeyRevoked, Target::ApiKey(new.id)),
    ];
    assert_eq!(done, expected);
    assert_eq!(log[0].operation, Operation::COMMAND_LINE);
    assert!(log[1..].iter().all(|entry| entry.operation == by), "{log:?}");
}

#[test]
fn a_merchant_is_disabled_since_the_first_time() {
    let service = Service::start();
    let by = Operation::COMMAND_LINE;
    let change = |change| service.roster.change_merchant(service.tenant.merchant, &change, &by).expect("an answer");
    let first = change(MerchantChange::Disable).expect("a merchant");
    assert_eq!(first.disabled_at, Some(service.roster.now()));
    service.clock.advance(5000);
    assert_eq!(change(MerchantChange::Disable), Some(first));
    assert_eq!(change(MerchantChange::Enable).and_then(|merchant| merchant.disabled_at), None);
    let unknown = MerchantId::new(Uuid::from_u128(7));
    let before = log(&service);
    assert_eq!(service.roster.change_merchant(unknown, &MerchantChange::Enable, &by).expect("an answer"), None);
    assert_eq!(log(&service), before);
}

#[test]
fn old_entries_of_the_log_are_deleted() {
    let service = Service::start();
    let sweep = || service.roster.sweep_operator_log(Sweep::default()).expect("an answer");
    assert_eq!((sweep(), log(&service).len()), (None, 1));
    service.clock.advance(i64::try_from(OPERATOR_LOG_LIFETIME.as_millis()).expect("a number") + 1);
    operator(&service, None).expect("an operator");
    assert_eq!(sweep(), None);
    let left: Vec<_> = log(&service).into_iter().map(|entry| entry.action).collect();
    assert_eq!(left, [Action::OperatorCreated]);
}
