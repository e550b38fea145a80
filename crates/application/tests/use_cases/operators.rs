//! Operators, what they do to merchants and keys, and the log of it.

use std::time::Duration;

use roster_application::{
    Action, ApiKeyOrder, CreateOperatorError, CreatedOperator, LogEntry, MerchantChange, OPERATOR_LOG_LIFETIME,
    Operation, OperatorError, OperatorOrder, OperatorPrincipal, OperatorRecognition, OperatorSecret, PageSize, Role,
    Scopes, Sweep, Target,
};
use roster_domain::{Environment, MerchantId, MerchantName, OperatorId, Tenant, Timestamp};
use uuid::Uuid;

use crate::service::{Service, name, time};

fn operator(service: &Service, expires_at: Option<Timestamp>) -> Result<CreatedOperator, CreateOperatorError> {
    let order = OperatorOrder { name: name("Ada"), role: Role::Admin, expires_at };
    service.roster.create_operator(order, &Operation::COMMAND_LINE)
}

/// The operator of a key that is looked up.
fn look_up(service: &Service, credential: &str) -> Option<OperatorPrincipal> {
    let digest = OperatorSecret::parse(credential)?.digest();
    match service.roster.authenticate_operator(&digest) {
        Ok(operator) => Some(operator),
        Err(OperatorError::Refused) => None,
        Err(error) => panic!("{error}"),
    }
}

fn is_accepted(service: &Service, credential: &str) -> bool {
    look_up(service, credential).is_some()
}

fn log(service: &Service) -> Vec<LogEntry> {
    service.roster.list_operator_log(None, PageSize::MAX).expect("a page").items
}

#[test]
fn an_operator_is_known_by_its_key_until_it_is_revoked() {
    let service = Service::start();
    let made = operator(&service, None).expect("an operator");
    assert!(made.secret.reveal().starts_with("sk_admin_"), "{}", made.secret.reveal());
    let known = look_up(&service, made.secret.reveal()).expect("its key");
    assert_eq!((known.id, known.role), (made.operator.id, Role::Admin));
    let listed = || service.roster.list_operators(None, PageSize::DEFAULT).expect("a page").items;
    assert_eq!(listed()[0].last_used_at, Some(service.roster.now()));
    let id = made.operator.id;
    // The second time, at the same moment, is not logged.
    for _ in 0..2 {
        let revoked = service.roster.revoke_operator(id, &Operation::COMMAND_LINE).expect("an answer");
        assert_eq!(revoked.map(|operator| operator.revoked_at), Some(Some(service.roster.now())));
    }
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
    let key = service.roster.create_api_key(order, &Operation::COMMAND_LINE).expect("a key");
    let refused = roster_application::Recognition::Refused(None);
    assert_eq!(service.roster.recognise(made.secret.reveal()), refused);
    let before = service.store.interceptor.runs();
    let recognised = service.roster.recognise_operator(key.secret.reveal());
    assert_eq!(recognised, OperatorRecognition::Refused);
    let mut mistyped = made.secret.reveal().to_owned();
    mistyped.pop();
    for bad in ["", "sk_admin_", &mistyped, &format!("{mistyped}!")] {
        assert_eq!(service.roster.recognise_operator(bad), OperatorRecognition::Refused, "{bad}");
    }
    assert_eq!(service.store.interceptor.runs(), before, "nothing was looked up");
}

#[test]
fn an_operator_is_cached_until_its_key_expires() {
    let service = Service::start();
    let made = operator(&service, Some(time("2025-01-15T12:00:01Z"))).expect("an operator");
    let recognise = || service.roster.recognise_operator(made.secret.reveal());
    let digest = made.operator.digest;
    assert_eq!(recognise(), OperatorRecognition::LookUp(digest));
    let found = look_up(&service, made.secret.reveal()).expect("its key");
    assert_eq!(recognise(), OperatorRecognition::Operator(found));
    service.clock.advance(1000);
    assert_eq!(recognise(), OperatorRecognition::LookUp(digest));
    assert_eq!(service.roster.operator_in_grace(&digest), None);
}

#[test]
fn without_a_cache_each_request_of_an_operator_is_looked_up() {
    let service = Service::start();
    let roster = service.roster.clone().with_key_lifetime(Duration::ZERO, Duration::from_mins(1));
    let made = operator(&service, None).expect("an operator");
    let found = roster.authenticate_operator(&made.operator.digest).expect("its key");
    assert_eq!(roster.recognise_operator(made.secret.reveal()), OperatorRecognition::LookUp(made.operator.digest));
    // But it is accepted while the store does not answer.
    assert_eq!(roster.operator_in_grace(&made.operator.digest), Some(found));
    service.roster.revoke_operator(made.operator.id, &Operation::COMMAND_LINE).expect("an answer");
    assert!(roster.authenticate_operator(&made.operator.digest).is_err());
    assert_eq!(roster.operator_in_grace(&made.operator.digest), None);
}

#[test]
fn a_merchant_s_keys_of_both_environments_are_in_one_list() {
    let service = Service::start();
    let merchant = service.tenant.merchant;
    let mut made = Vec::new();
    for environment in [Environment::Live, Environment::Sandbox, Environment::Live, Environment::Sandbox] {
        let tenant = Tenant { merchant, environment };
        let order = ApiKeyOrder { tenant, name: None, scopes: Scopes::ALL, expires_at: None };
        made.push(service.roster.create_api_key(order, &Operation::COMMAND_LINE).expect("a key").key.id);
    }
    let list = |environment, after, size| {
        let size = PageSize::new(size).expect("a size");
        let page = service.roster.list_merchant_api_keys(merchant, environment, after, size).expect("an answer");
        let page = page.expect("a merchant");
        (page.items.iter().map(|key| key.id).collect::<Vec<_>>(), page.has_more)
    };
    assert_eq!(list(None, None, 3), (made[..3].to_vec(), true));
    assert_eq!(list(None, Some(made[2]), 3), (made[3..].to_vec(), false));
    assert_eq!(list(Some(Environment::Sandbox), None, 3), (vec![made[1], made[3]], false));
    let unknown = MerchantId::new(Uuid::from_u128(7));
    let none = service.roster.list_merchant_api_keys(unknown, None, None, PageSize::DEFAULT).expect("an answer");
    assert_eq!(none.map(|page| page.items.len()), None);
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
    let old = service.roster.create_api_key(order, &by).expect("a key").key;
    let new = service.roster.rotate_api_key(service.tenant, old.id, Duration::ZERO, &by).expect("a key").key;
    assert!(service.roster.rotate_api_key(service.tenant, old.id, Duration::ZERO, &by).is_err());
    service.roster.revoke_api_key(service.tenant, new.id, &by).expect("an answer").expect("a key");
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
