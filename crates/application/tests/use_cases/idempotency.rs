//! Requests with idempotency keys, and their repeats.

use std::sync::Arc;
use std::time::Duration;

use roster_application::ports::{CustomerRepository, ReplyKey, SavedReply, Store, StoreError, Taken, Write, Written};
use roster_application::{
    Answer, ApiKeyOrder, CreateApiKeyError, CustomerCommand, DEFAULT_REPLY_LIFETIME, Digest, Idempotency, Once,
    Registration, RepeatError, Revision, RevokeApiKeyError, RotateApiKeyError, Scopes, Seed, Sweep, View, WriteError,
    WriteRequest,
};
use roster_domain::{
    ApiKeyId, Customer, CustomerEdit, CustomerId, Edit, EmailUse, Json, Metadata, MetadataEdit, Object, Profile,
    Subscription, Tenant,
};
use uuid::Uuid;

use crate::changing::to_name;
use crate::service::{
    BY, Service, anonymous, by_external_id, by_id, change, delete, sandbox, with_email, with_external_id,
};
use crate::subscriptions::report;

/// How long a reply is kept by default, in milliseconds.
const LIFETIME: i64 = 86_400_000;

fn key(name: &str) -> Idempotency {
    let digest = Digest::of(name.as_bytes());
    Idempotency { key: digest, fingerprint: digest, view: View::Customer }
}

fn shown(name: &str) -> Idempotency {
    Idempotency { view: View::Subscriber, ..key(name) }
}

fn with_key(command: CustomerCommand, idempotency: Idempotency) -> WriteRequest {
    WriteRequest { command, idempotency: Some(idempotency), attribution: None }
}

fn register(registration: Registration) -> CustomerCommand {
    CustomerCommand::Register(registration)
}

fn answer_all(service: &Service, requests: Vec<WriteRequest>) -> Vec<Answer> {
    let count = requests.len();
    let answers = service.roster.write_customers(requests);
    assert_eq!(answers.len(), count, "one answer for each request");
    answers
}

fn answer(service: &Service, command: CustomerCommand, idempotency: Idempotency) -> Answer {
    answer_all(service, vec![with_key(command, idempotency)]).remove(0)
}

/// What a caller is shown of an answer.
#[derive(Debug, PartialEq)]
enum Seen {
    Written {
        customer: Box<Customer>,
        is_new: bool,
        recorded: Option<Box<(Subscription, bool)>>,
        shown: Option<Box<Subscription>>,
    },
    NotFound,
    Taken(Taken, Option<Box<Subscription>>),
    PreconditionFailed(Option<Revision>),
    Metadata(String),
    KeyReused,
}

fn seen(answer: &Answer) -> Seen {
    let shown = answer.subscription.clone().map(Box::new);
    match &answer.result {
        Ok(write) => Seen::Written {
            customer: Box::new(write.after().clone()),
            is_new: write.before().is_none(),
            recorded: write.subscription().map(|write| Box::new((write.after.clone(), write.before.is_none()))),
            shown,
        },
        Err(WriteError::NotFound) => Seen::NotFound,
        Err(WriteError::Taken(taken)) => Seen::Taken(taken.clone(), shown),
        Err(WriteError::PreconditionFailed(current)) => Seen::PreconditionFailed(*current),
        Err(WriteError::Metadata(error)) => Seen::Metadata(error.to_string()),
        Err(WriteError::KeyReused) => Seen::KeyReused,
        Err(WriteError::Store(error)) => panic!("{error}"),
    }
}

/// Sends a request twice, with changes in between, and gives what the answers to both show, which must be the same.
fn repeated(service: &Service, request: &WriteRequest, between: impl FnOnce()) -> Seen {
    let first = answer_all(service, vec![request.clone()]).remove(0);
    assert!(!first.is_replayed, "{first:?}");
    between();
    let writes = service.store.interceptor.writes();
    let repeat = answer_all(service, vec![request.clone()]).remove(0);
    assert!(repeat.is_replayed, "{repeat:?}");
    assert_eq!(seen(&repeat), seen(&first));
    assert_eq!(service.store.interceptor.writes(), writes, "a repeat writes nothing");
    seen(&first)
}

#[test]
fn a_repeat_of_a_registration_shows_the_customer_as_it_was() {
    let service = Service::start();
    let registration = with_email(with_external_id(anonymous(service.tenant), "ada"), "ada@example.com");
    let ada = by_external_id(service.tenant, "ada");
    let rename = || drop(service.change(ada.clone(), to_name("Renamed")).expect("a live customer"));
    let seen = repeated(&service, &with_key(register(registration), key("k")), rename);
    assert!(matches!(seen, Seen::Written { is_new: true, .. }), "{seen:?}");
    assert_eq!(service.list(service.tenant, None, 25).customers.len(), 1);
}

#[test]
fn repeats_of_changes_reports_and_deletions_show_what_they_led_to() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let rename = || drop(service.change(by_id(&ada), to_name("Again")).expect("a live customer"));
    let seen = repeated(&service, &with_key(change(by_id(&ada), to_name("Ada")), key("change")), rename);
    assert!(matches!(&seen, Seen::Written { customer, is_new: false, .. } if customer.version() == 2), "{seen:?}");
    let unchanged = with_key(change(by_id(&ada), to_name("Again")), key("unchanged"));
    let seen = repeated(&service, &unchanged, || drop(service.change(by_id(&ada), to_name("Ada"))));
    assert!(matches!(&seen, Seen::Written { customer, .. } if customer.version() == 3), "{seen:?}");
    let record = CustomerCommand::Record(report(by_id(&ada), "s"));
    for (name, is_first) in [("first report", true), ("second report", false)] {
        let again = || drop(service.record(report(by_id(&ada), "s")).expect("a live customer"));
        let seen = repeated(&service, &with_key(record.clone(), key(name)), again);
        assert!(matches!(&seen, Seen::Written { recorded: Some(recorded), .. } if recorded.1 == is_first), "{seen:?}");
    }
    let seen = repeated(&service, &with_key(delete(by_id(&ada)), key("delete")), || ());
    assert!(matches!(&seen, Seen::Written { customer, .. } if !customer.is_live()), "{seen:?}");
    assert_eq!(self::seen(&answer(&service, delete(by_id(&ada)), key("another delete"))), Seen::NotFound);
}

#[test]
fn a_refusal_is_repeated_although_it_would_succeed_by_now() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let missing = with_key(change(by_external_id(service.tenant, "eda"), to_name("Eda")), key("missing"));
    let seen = repeated(&service, &missing, || drop(service.register_named("eda")));
    assert_eq!(seen, Seen::NotFound);
    let taken = with_email(with_external_id(anonymous(service.tenant), "ada"), "eda@example.com");
    let eda = service.find_by(by_external_id(service.tenant, "eda")).expect("registered above");
    let seen = repeated(&service, &with_key(register(taken), key("taken")), || {
        service.delete(by_id(&ada)).expect("a live customer");
        service.delete(by_id(&eda)).expect("a live customer");
    });
    assert_eq!(seen, Seen::Taken(Taken { email: Some(eda.id()), external_id: Some(Box::new(ada)) }, None));
}

#[test]
fn a_broken_limit_of_merged_metadata_is_repeated() {
    let service = Service::start();
    let member = |name: &str| {
        let member = (name.to_owned(), Json::String("x".repeat(Metadata::MAX_BYTES / 2)));
        Object::try_from(vec![member]).expect("one key")
    };
    let metadata = Metadata::new(&member("a")).expect("half of the limit");
    let profile = Profile { metadata, ..Profile::default() };
    let ada = service.register(Registration { tenant: service.tenant, profile, email_use: EmailUse::Exclusive });
    let merge = MetadataEdit::Merge(roster_application::json::metadata_patch(member("b")));
    let edit = CustomerEdit { metadata: merge, ..CustomerEdit::default() };
    let clear = CustomerEdit { metadata: MetadataEdit::Replace(Metadata::default()), ..CustomerEdit::default() };
    let seen = repeated(&service, &with_key(change(by_id(&ada), edit), key("k")), || {
        service.change(by_id(&ada), clear).expect("a live customer");
    });
    assert_eq!(seen, Seen::Metadata("must be at most 16384 bytes of JSON".to_owned()));
}

#[test]
fn a_key_is_refused_for_another_request() {
    let service = Service::start();
    let first = answer(&service, register(anonymous(service.tenant)), key("k"));
    let other = Idempotency { fingerprint: Digest::of(b"other"), ..key("k") };
    let refused = answer(&service, register(anonymous(service.tenant)), other);
    assert_eq!((seen(&refused), refused.is_replayed), (Seen::KeyReused, false));
    let repeat = answer(&service, register(anonymous(service.tenant)), key("k"));
    assert_eq!(seen(&repeat), seen(&first), "the refusal has not changed what is saved");
    assert_eq!(service.list(service.tenant, None, 25).customers.len(), 1);
}

#[test]
fn a_key_belongs_to_one_tenant() {
    let service = Service::start();
    let tenants = [service.tenant, sandbox(service.tenant), service.another_tenant()];
    let requests = tenants.map(|tenant| with_key(register(anonymous(tenant)), key("k"))).into();
    let answers = answer_all(&service, requests);
    assert!(answers.iter().all(|answer| !answer.is_replayed && answer.result.is_ok()), "{answers:?}");
    assert!(tenants.iter().all(|tenant| service.list(*tenant, None, 25).customers.len() == 1));
}

#[test]
fn a_key_is_free_again_once_its_reply_has_expired() {
    let service = Service::start();
    let register = || answer(&service, register(anonymous(service.tenant)), key("k"));
    let first = register();
    service.clock.advance(LIFETIME - 1);
    assert_eq!(seen(&register()), seen(&first));
    service.clock.advance(1);
    let second = register();
    assert!(!second.is_replayed);
    assert_ne!(seen(&second), seen(&first));
    assert_eq!(seen(&register()), seen(&second));
}

#[test]
fn a_failure_of_the_store_is_not_saved() {
    let service = Service::start();
    let (ada, eda) = (service.register_named("ada"), service.register_named("eda"));
    service.store.interceptor.corrupt(&ada);
    let requests = || {
        vec![
            with_key(change(by_id(&ada), to_name("Ada")), key("ada")),
            with_key(change(by_id(&eda), to_name("Eda")), key("eda")),
        ]
    };
    for is_repeat in [false, true] {
        let answers = answer_all(&service, requests());
        assert!(matches!(answers[0].result, Err(WriteError::Store(StoreError::Corrupt { .. }))), "{answers:?}");
        assert_eq!((answers[0].is_replayed, answers[1].is_replayed), (false, is_repeat));
    }
    service.store.interceptor.break_down();
    let answers = answer_all(&service, requests());
    assert!(answers.iter().all(|answer| matches!(answer.result, Err(WriteError::Store(_)))), "{answers:?}");
}

#[test]
fn repeats_within_a_batch_wait_for_the_first_and_keep_the_order_of_the_others() {
    let service = Service::start();
    let ada = service.register_named("ada");
    let name = |name, idempotency| with_key(change(by_id(&ada), to_name(name)), idempotency);
    let other = Idempotency { fingerprint: Digest::of(b"other"), ..key("first") };
    let answers = answer_all(
        &service,
        vec![
            name("First", key("first")),
            name("First", key("first")),
            name("Second", key("second")),
            name("First", key("first")),
            name("Other", other),
            change(by_id(&ada), to_name("Third")).into(),
        ],
    );
    let is_replayed: Vec<_> = answers.iter().map(|answer| answer.is_replayed).collect();
    assert_eq!(is_replayed, [false, true, false, true, false, false]);
    let first = seen(&answers[0]);
    assert!([1, 3].iter().all(|place| seen(&answers[*place]) == first), "{answers:?}");
    assert_eq!(seen(&answers[4]), Seen::KeyReused);
    let versions = [0, 2, 5].map(|place| answers[place].result.as_ref().expect("a change").after().version());
    assert_eq!(versions, [2, 3, 4]);
}

/// What another process has written with the key `k`.
fn elsewhere(tenant: Tenant, id: u128) -> (Write, SavedReply) {
    let service = Service::start();
    let customer = Customer::register(
        tenant,
        CustomerId::new(Uuid::from_u128(id)),
        with_external_id(anonymous(tenant), "ada").profile,
        EmailUse::Exclusive,
        service.roster.now(),
    );
    let (write, reply) = (Write::create(customer.clone()), saved_elsewhere(&customer));
    (write.replying(reply.clone()), reply)
}

/// The reply that the service itself would have saved.
fn saved_elsewhere(customer: &Customer) -> SavedReply {
    let parts = customer.parts();
    let outcome = format!(
        r#"{{"v":1,"outcome":{{"written":{{"customer":{{"merchant_id":"{}","environment":"{}","id":"{}","email_exclusive":true,"external_id":"ada","metadata":"{{}}","version":1,"created_at":{at},"updated_at":{at}}},"is_new":true}}}}}}"#,
        parts.tenant.merchant.uuid(),
        parts.tenant.environment.as_str(),
        parts.id.uuid(),
        at = parts.created_at.as_millis(),
    );
    SavedReply {
        key: ReplyKey { tenant: parts.tenant, digest: key("k").key },
        fingerprint: key("k").fingerprint,
        customer: Some(parts.id),
        outcome,
        created_at: parts.created_at,
        expires_at: parts.created_at.plus(DEFAULT_REPLY_LIFETIME),
    }
}

fn save(store: &dyn Store, reply: &SavedReply) {
    let saved: Result<_, StoreError> = store.direct(|uow| uow.replies().save(std::slice::from_ref(reply)));
    assert_eq!(saved.expect("an answer"), [true]);
}

/// Has another process make a write before the next batch of writes.
fn race_once(service: &Service, write: Write) {
    let mut write = Some(write);
    service.store.interceptor.race(move |customers: &mut dyn CustomerRepository| {
        if let Some(write) = write.take() {
            assert_eq!(customers.write(&[write]).expect("an answer"), [Written::Done]);
        }
    });
}

#[test]
fn a_request_that_another_process_is_faster_with_is_answered_as_there() {
    for registration in [anonymous as fn(Tenant) -> Registration, |tenant| with_external_id(anonymous(tenant), "ada")] {
        let service = Service::start();
        let (write, _) = elsewhere(service.tenant, 77);
        race_once(&service, write.clone());
        let answer = answer(&service, register(registration(service.tenant)), key("k"));
        assert!(answer.is_replayed, "{answer:?}");
        assert_eq!(answer.result.expect("a customer").after(), write.after());
        assert_eq!(service.list(service.tenant, None, 25).customers, [write.after().clone()]);
    }
}

#[test]
fn a_refusal_that_another_process_is_faster_than_is_not_given() {
    let service = Service::start();
    let (write, reply) = elsewhere(service.tenant, 77);
    let store = Arc::clone(&service.store);
    // After this one has looked for a reply.
    service.store.interceptor.after_next_read(move || save(&*store, &reply));
    let missing = by_external_id(service.tenant, "missing");
    let answer = answer(&service, change(missing, to_name("Ada")), key("k"));
    assert!(answer.is_replayed, "{answer:?}");
    assert_eq!(answer.result.expect("what the other process has saved").after(), write.after());
}

#[test]
fn a_change_that_loses_every_race_is_saved_as_well() {
    let service = Service::start();
    let ada = service.register_named("ada");
    crate::writing::lose_races(&service, &ada, 3);
    let edit = CustomerEdit { phone: Edit::Clear, ..to_name("Ada") };
    let request = with_key(change(by_id(&ada), edit), key("k"));
    let seen = repeated(&service, &request, || ());
    assert!(matches!(&seen, Seen::Written { customer, .. } if customer.version() == 5), "{seen:?}");
}

#[test]
fn a_customer_is_shown_with_the_subscription_of_the_first_answer() {
    let service = Service::start();
    let ada = service.register_named("ada");
    service.record(report(by_id(&ada), "s")).expect("a live customer");
    let again = || drop(service.record(report(by_id(&ada), "t")).expect("a live customer"));
    let seen = repeated(&service, &with_key(change(by_id(&ada), to_name("Ada")), shown("change")), again);
    let Seen::Written { shown: Some(subscription), .. } = seen else { panic!("{seen:?}") };
    assert_eq!(subscription.id.as_str(), "s");
    let taken = register(with_external_id(anonymous(service.tenant), "ada"));
    let seen = repeated(&service, &with_key(taken, shown("taken")), || drop(service.delete(by_id(&ada))));
    let Seen::Taken(Taken { external_id: Some(holder), .. }, Some(subscription)) = seen else { panic!("{seen:?}") };
    assert_eq!((holder.id(), subscription.id.as_str()), (ada.id(), "t"));
}

#[test]
fn a_subscription_is_shown_of_the_customer_that_an_earlier_request_of_the_batch_moved_an_id_to() {
    let service = Service::start();
    let [ada, eda] = ["ada", "eda"].map(|id| service.register_named(id));
    service.record(report(by_id(&ada), "of ada")).expect("a live customer");
    service.record(report(by_id(&eda), "of eda")).expect("a live customer");
    let answers = answer_all(
        &service,
        vec![
            delete(by_id(&ada)).into(),
            change(by_id(&eda), crate::changing::to_external_id("ada")).into(),
            with_key(change(by_external_id(service.tenant, "ada"), to_name("Eda")), shown("k")),
        ],
    );
    let Seen::Written { customer, shown: Some(subscription), .. } = seen(&answers[2]) else { panic!("{answers:?}") };
    assert_eq!((customer.id(), subscription.id.as_str()), (eda.id(), "of eda"));
}

#[test]
fn a_taken_address_is_saved_only_where_it_is_an_answer_for_good() {
    let service = Service::start();
    service.register_named("ada");
    let taken = || register(with_email(anonymous(service.tenant), "ada@example.com"));
    for (idempotency, is_saved) in [(key("conflict"), true), (shown("missing scope"), false)] {
        answer(&service, taken(), idempotency);
        assert_eq!(answer(&service, taken(), idempotency).is_replayed, is_saved);
    }
}

#[test]
fn a_batch_of_requests_with_keys_costs_one_more_read() {
    let service = Service::start();
    let before = service.store.interceptor.runs();
    let request = |number: u32| with_key(register(anonymous(service.tenant)), key(&number.to_string()));
    let answers = answer_all(&service, (0..20).map(request).collect());
    assert!(answers.iter().all(|answer| answer.result.is_ok()), "{answers:?}");
    assert_eq!(service.store.interceptor.runs() - before, 2);
}

#[test]
fn a_reply_that_this_program_cannot_read_is_an_error() {
    let service = Service::start();
    let (_, reply) = elsewhere(service.tenant, 77);
    for (number, outcome) in ["", "{}", r#"{"v":2,"outcome":{"not_found":{}}}"#, r#"{"v":1,"outcome":{"unknown":{}}}"#]
        .into_iter()
        .enumerate()
    {
        let digest = Digest::of(&[u8::try_from(number).expect("a small number")]);
        let reply = SavedReply { key: ReplyKey { digest, ..reply.key }, outcome: outcome.to_owned(), ..reply.clone() };
        save(&*service.store, &reply);
        let answer = answer(&service, register(anonymous(service.tenant)), Idempotency { key: digest, ..key("k") });
        let corrupt = matches!(answer.result, Err(WriteError::Store(StoreError::Corrupt { table: "replies", .. })));
        assert!(corrupt, "{outcome}: {answer:?}");
    }
}

#[test]
fn replies_that_have_expired_are_swept_in_steps() {
    let service = Service::start();
    let tenants = [service.tenant, sandbox(service.tenant), service.another_tenant()];
    let requests = |name: &str| -> Vec<WriteRequest> {
        let of = |number: usize| with_key(register(anonymous(tenants[number % 3])), key(&format!("{name} {number}")));
        (0..600).map(of).collect()
    };
    answer_all(&service, requests("old"));
    service.clock.advance(LIFETIME);
    answer_all(&service, requests("new"));
    let mut next = Some(Sweep::default());
    let mut steps = 0;
    while let Some(from) = next {
        next = service.roster.sweep_replies(from).expect("an answer");
        steps += 1;
    }
    assert_eq!(steps, 3, "250, 250 and 100 of them");
    let saved: Vec<_> = answer_all(&service, requests("new"));
    assert!(saved.iter().all(|answer| answer.is_replayed));
    let store: &dyn Store = &*service.store;
    let expired: Result<_, StoreError> = store.direct(|uow| uow.replies().expired(&tenants, service.roster.now(), 1));
    assert_eq!(expired.expect("an answer"), []);
}

pub(crate) fn once(name: &str, credential: &str) -> Once {
    Once { idempotency: key(name), seed: Seed::new(credential, name) }
}

fn order(tenant: Tenant) -> ApiKeyOrder {
    ApiKeyOrder { tenant, name: None, scopes: Scopes::DEFAULT, expires_at: None }
}

/// The outcomes of all replies to `keys`.
fn outcomes(service: &Service, names: &[&str]) -> String {
    let keys: Vec<_> = names.iter().map(|name| ReplyKey { tenant: service.tenant, digest: key(name).key }).collect();
    let store: &dyn Store = &*service.store;
    let found: Result<_, StoreError> = store.direct(|uow| uow.replies().find(&keys, service.roster.now()));
    let found: Vec<SavedReply> = found.expect("an answer").into_iter().flatten().collect();
    assert_eq!(found.len(), names.len());
    found.into_iter().map(|reply| reply.outcome).collect()
}

#[test]
fn a_repeat_with_the_same_credential_gets_the_created_key_in_the_clear() {
    let service = Service::start();
    let create = |credential: &str, name: &str| {
        let once = once(name, credential);
        service.roster.create_api_key_once(order(service.tenant), Scopes::ALL.into(), Some(&once))
    };
    let first = create("sk_live_a", "k");
    let repeat = create("sk_live_a", "k");
    assert_eq!((first.is_replayed, repeat.is_replayed), (false, true));
    let [first, repeat] = [first, repeat].map(|made| made.result.expect("a key"));
    assert!(first.key == repeat.key && first.secret == repeat.secret);
    assert_eq!(first.secret.digest(), first.key.digest);
    let refused = create("sk_live_b", "k").result.expect_err("another credential");
    assert!(matches!(refused, CreateApiKeyError::Repeat(RepeatError::OtherCredential)), "{refused:?}");
    let another = create("sk_live_a", "another").result.expect("a key");
    assert!(another.key.id != first.key.id && another.secret != first.secret);
    let saved = outcomes(&service, &["k", "another"]);
    assert!(!saved.contains(first.secret.reveal()) && !saved.contains("sk_live"), "{saved}");
}

#[test]
fn a_secret_depends_on_the_credential_on_the_key_and_on_the_salt() {
    let secrets: std::collections::BTreeSet<String> = [("a", "bc"), ("ab", "c"), ("a", "bd")]
        .into_iter()
        .flat_map(|(credential, name)| {
            let service = Service::start();
            let once = Once { seed: Seed::new(credential, name), ..once("k", "") };
            // The entropy of tests counts, so that each service has the same salts.
            (0..2).map(move |_| {
                let made = service.roster.create_api_key_once(order(service.tenant), Scopes::ALL.into(), Some(&once));
                service.clock.advance(LIFETIME);
                made.result.expect("a key").secret.reveal().to_owned()
            })
        })
        .collect();
    assert_eq!(secrets.len(), 6);
}

#[test]
fn a_rotation_and_a_revocation_are_done_once() {
    let service = Service::start();
    let roster = &service.roster;
    let old = roster.create_api_key(order(service.tenant), BY).expect("a key").key;
    let rotate = |name: &str| {
        let once = once(name, "sk_live_a");
        roster.rotate_api_key_once(service.tenant, old.id, Duration::ZERO, Scopes::ALL.into(), Some(&once))
    };
    let [first, repeat] = [rotate("k"), rotate("k")].map(|made| made.result.expect("a key"));
    assert!(first.key == repeat.key && first.secret == repeat.secret);
    for is_replayed in [false, true] {
        let refused = rotate("another");
        assert!(
            matches!(refused.result, Err(RotateApiKeyError::HasSuccessor(id)) if id == first.key.id),
            "{refused:?}"
        );
        assert_eq!(refused.is_replayed, is_replayed);
    }
    let revoke = |id, name| roster.revoke_api_key_once(service.tenant, id, Some(&once(name, "sk_live_b")));
    let reused = revoke(first.key.id, "k");
    assert!(reused.result.is_err(), "its reply is that of a rotation: {reused:?}");
    for is_replayed in [false, true] {
        let revoked = revoke(first.key.id, "revoke");
        assert!(revoked.result.is_ok() && revoked.is_replayed == is_replayed, "{revoked:?}");
        let missing = revoke(ApiKeyId::new(Uuid::nil()), "missing");
        assert!(matches!(missing.result, Err(RevokeApiKeyError::NotFound)), "{missing:?}");
        assert_eq!(missing.is_replayed, is_replayed);
    }
}
