//! Webhook endpoints, and what a worker does for them.

use std::time::Duration;

use roster_application::ports::{Attempt, AttemptOutcome, ListOrder};
use roster_application::{
    ATTEMPT_LIFETIME, CreateEndpointError, Delivery, DeliveryOutcome, EndpointCommand, EndpointError, EndpointTest,
    EventList, LeaseEnd, LeasedEndpoint, MAX_ATTEMPTS, MAX_ENDPOINTS, MAX_REPLAYS, PageSize, Repeatable, ReplayError,
    RotateEndpointSecretError, Sent, Sweep, TestEventError,
};
use roster_domain::{
    DisabledReason, Edit, Endpoint, EndpointDescription, EndpointEdit, EndpointId, EndpointSettings, EndpointStatus,
    EndpointUrl, EventId, EventType, EventTypes, PayloadForm, Tenant,
};
use uuid::Uuid;

use crate::idempotency::once;
use crate::service::{Service, anonymous, by_id, sandbox};

const LEASE: Duration = Duration::from_mins(1);

const DELIVERED: DeliveryOutcome = DeliveryOutcome::Delivered;

fn settings(types: &[&str]) -> EndpointSettings {
    EndpointSettings {
        url: EndpointUrl::parse("https://example.com/hooks", false).expect("a URL"),
        events: EventTypes::parse(types.iter().copied()).expect("types"),
        description: None,
        form: PayloadForm::Thin,
    }
}

impl Service {
    fn endpoint(&self) -> Endpoint {
        self.endpoint_for(&["*"])
    }

    fn endpoint_for(&self, types: &[&str]) -> Endpoint {
        self.roster.create_endpoint(self.tenant, settings(types)).expect("a new endpoint")
    }

    fn stored(&self, endpoint: &Endpoint) -> Endpoint {
        self.roster.find_endpoint(endpoint.tenant, endpoint.id).expect("an answer").expect("the endpoint")
    }

    fn lease(&self) -> Option<LeasedEndpoint> {
        self.roster.lease_endpoints(1, LEASE).expect("an answer").pop()
    }

    fn next(&self, leased: &mut LeasedEndpoint) -> Vec<Delivery> {
        let next = self.roster.next_deliveries(leased, 4).expect("an answer").expect("a lease that is held");
        next.into_iter().map(|next| next.delivery).collect()
    }

    fn sent(&self) -> Sent {
        let (at, duration) = (self.roster.now(), Duration::from_millis(20));
        Sent { at, duration, status: Some(200), answer: None, error: None }
    }

    fn finish(
        &self,
        leased: &mut LeasedEndpoint,
        results: impl IntoIterator<Item = (Delivery, DeliveryOutcome)>,
        end: LeaseEnd,
    ) -> bool {
        let results = results.into_iter().map(|(delivery, outcome)| (delivery, outcome, self.sent())).collect();
        self.roster.record_deliveries(leased, results, end).expect("an answer")
    }

    /// Leases the one endpoint and delivers to it until nothing is to be sent. Returns the places of the events.
    fn deliver(&self, outcome: DeliveryOutcome) -> Vec<i64> {
        let Some(mut leased) = self.lease() else { return Vec::new() };
        let mut seen = Vec::new();
        loop {
            let deliveries = self.next(&mut leased);
            if deliveries.is_empty() {
                assert!(!self.finish(&mut leased, [], LeaseEnd::GiveBack));
                return seen;
            }
            seen.extend(deliveries.iter().map(|delivery| delivery.event.seq));
            if !self.finish(&mut leased, deliveries.into_iter().map(|one| (one, outcome)), LeaseEnd::Keep) {
                return seen;
            }
        }
    }

    fn attempts(&self, endpoint: &Endpoint) -> Vec<Attempt> {
        let page = self.roster.list_attempts(endpoint.tenant, endpoint.id, None, PageSize::MAX);
        page.expect("an answer").expect("the endpoint").items
    }

    fn retry_in(&self, millis: u64) -> DeliveryOutcome {
        DeliveryOutcome::Failed { retry_at: Some(self.roster.now().plus(Duration::from_millis(millis))) }
    }

    fn register_some(&self, count: usize) {
        (0..count).for_each(|_| drop(self.register(anonymous(self.tenant))));
    }

    fn event(&self, seq: i64) -> EventId {
        let list = roster_application::EventList {
            tenant: self.tenant,
            customer: None,
            kind: None,
            order: roster_application::ports::ListOrder::Ascending,
            after: Some(seq - 1),
            limit: 1,
        };
        self.roster.list_events(&list).expect("an answer").events[0].id()
    }
}

fn active(is_active: bool) -> EndpointEdit {
    EndpointEdit { is_active: Some(is_active), ..EndpointEdit::default() }
}

#[test]
fn an_endpoint_is_sent_the_events_from_its_creation_on() {
    let service = Service::start();
    service.register_some(2);
    let endpoint = service.endpoint();
    assert_eq!(endpoint.secret.key().len(), 32);
    assert_eq!(service.stored(&endpoint), endpoint);
    assert_eq!(service.deliver(DELIVERED), [0; 0]);
    service.register_some(2);
    assert_eq!(service.deliver(DELIVERED), [3, 4]);
    assert_eq!(service.deliver(DELIVERED), [0; 0]);
}

#[test]
fn a_tenant_has_at_most_fifty_endpoints() {
    let service = Service::start();
    let made: Vec<Endpoint> = (0..MAX_ENDPOINTS).map(|_| service.endpoint()).collect();
    let create = |tenant: Tenant| service.roster.create_endpoint(tenant, settings(&["*"]));
    assert!(matches!(create(service.tenant), Err(CreateEndpointError::TooMany)));
    assert!(create(sandbox(service.tenant)).is_ok());
    assert!(service.roster.delete_endpoint(service.tenant, made[0].id).expect("an answer"));
    assert!(create(service.tenant).is_ok());
    let page = service.roster.list_endpoints(service.tenant, Some(made[47].id), PageSize::new(2).expect("a size"));
    let page = page.expect("a page");
    assert_eq!((page.items.as_slice(), page.has_more), (&made[48..], true));
}

#[test]
fn no_use_case_reaches_an_endpoint_of_another_tenant() {
    let service = Service::start();
    let endpoint = service.endpoint();
    service.register_some(1);
    let (roster, id) = (&service.roster, endpoint.id);
    for stranger in [service.another_tenant(), sandbox(service.tenant)] {
        assert_eq!(roster.find_endpoint(stranger, id).expect("an answer"), None);
        assert_eq!(roster.change_endpoint(stranger, id, &active(false)).expect("an answer"), None);
        assert!(!roster.delete_endpoint(stranger, id).expect("an answer"));
        let rotated = roster.rotate_endpoint_secret(stranger, id, Duration::ZERO);
        assert!(matches!(rotated, Err(RotateEndpointSecretError::NotFound)));
        assert!(matches!(roster.replay_events(stranger, id, 1), Err(ReplayError::NotFound)));
        assert!(matches!(roster.replay_event(stranger, id, service.event(1)), Err(ReplayError::NotFound)));
        assert!(matches!(roster.test_event(stranger, id), Err(TestEventError::NotFound)));
        assert_eq!(roster.list_attempts(stranger, id, None, PageSize::MAX).expect("an answer"), None);
        assert_eq!(roster.endpoint_backlog(stranger, id).expect("an answer"), None);
    }
    assert_eq!(service.stored(&endpoint), endpoint);
}

#[test]
fn only_events_of_wanted_types_are_sent() {
    let service = Service::start();
    service.endpoint_for(&["customer.deleted"]);
    let customer = service.register_named("ada");
    service.register_some(3);
    service.delete(by_id(&customer)).expect("a deletion");
    let mut leased = service.lease().expect("a lease");
    let deliveries = service.next(&mut leased);
    let kinds: Vec<EventType> = deliveries.iter().map(|delivery| delivery.event.kind).collect();
    assert_eq!(kinds, [EventType::CustomerDeleted]);
}

#[test]
fn a_disabled_endpoint_is_sent_what_it_has_missed_once_it_is_enabled() {
    let service = Service::start();
    let endpoint = service.endpoint();
    let change = |edit: EndpointEdit| {
        let changed = service.roster.change_endpoint(service.tenant, endpoint.id, &edit).expect("an answer");
        changed.expect("the endpoint")
    };
    service.clock.advance(5);
    let disabled = change(active(false));
    let status = EndpointStatus::Disabled { at: service.roster.now(), reason: DisabledReason::Requested };
    assert_eq!((disabled.status, service.stored(&endpoint)), (status, disabled.clone()));
    service.register_some(2);
    assert_eq!(service.deliver(DELIVERED), [0; 0]);
    let text = EndpointDescription::parse("billing").expect("a description");
    let described = change(EndpointEdit { description: Edit::Set(text), ..active(true) });
    assert!(described.is_active() && described.settings.description.is_some());
    assert_eq!(service.deliver(DELIVERED), [1, 2]);
}

#[test]
fn a_worker_stops_and_notices_changes_between_deliveries() {
    let service = Service::start();
    let endpoint = service.endpoint();
    let customer = service.register_named("ada");
    service.delete(by_id(&customer)).expect("a deletion");
    let mut leased = service.lease().expect("a lease");
    let first = service.next(&mut leased);
    assert_eq!(first.len(), 1, "one of each customer");
    let url = EndpointUrl::parse("https://example.org", false).expect("a URL");
    let edit = EndpointEdit { url: Some(url.clone()), ..EndpointEdit::default() };
    service.roster.change_endpoint(service.tenant, endpoint.id, &edit).expect("an answer");
    assert!(service.finish(&mut leased, first.into_iter().map(|one| (one, DELIVERED)), LeaseEnd::Keep));
    let second = service.next(&mut leased);
    assert_eq!((second[0].event.seq, &leased.endpoint().settings.url), (2, &url));
    service.roster.change_endpoint(service.tenant, endpoint.id, &active(false)).expect("an answer");
    assert!(service.roster.next_deliveries(&mut leased, 4).expect("an answer").is_none());
    // What has been sent is recorded nevertheless.
    let results = second.into_iter().map(|one| (one, DELIVERED));
    assert!(!service.finish(&mut leased, results, LeaseEnd::GiveBack));
    service.roster.change_endpoint(service.tenant, endpoint.id, &active(true)).expect("an answer");
    assert_eq!(service.deliver(DELIVERED), [0; 0]);
}

#[test]
fn a_rotation_signs_with_both_secrets_until_the_overlap_is_over() {
    let service = Service::start();
    let endpoint = service.endpoint();
    let rotate = |overlap| service.roster.rotate_endpoint_secret(service.tenant, endpoint.id, overlap);
    let rotated = rotate(Duration::from_hours(1)).expect("a rotation");
    assert_eq!(service.stored(&endpoint), rotated);
    assert_ne!(rotated.secret, endpoint.secret);
    let now = service.roster.now();
    assert_eq!(rotated.secrets(now).collect::<Vec<_>>(), [&rotated.secret, &endpoint.secret]);
    assert_eq!(rotated.secrets(now.plus(Duration::from_hours(1))).count(), 1);
    let again = rotate(Duration::ZERO).expect("a rotation");
    assert_eq!(again.secrets(now).collect::<Vec<_>>(), [&again.secret]);
}

#[test]
fn an_event_whose_delivery_was_not_recorded_comes_again() {
    let service = Service::start();
    service.endpoint();
    service.register_some(2);
    let mut lost = service.lease().expect("a lease");
    assert_eq!(service.next(&mut lost).len(), 2);
    assert!(service.lease().is_none(), "another worker has it");
    // The worker is gone.
    service.clock.advance(i64::try_from(LEASE.as_millis()).expect("a minute"));
    assert_eq!(service.deliver(DELIVERED), [1, 2]);
}

#[test]
fn a_worker_that_comes_back_after_its_lease_records_nothing() {
    let service = Service::start();
    let endpoint = service.endpoint();
    service.register_some(1);
    let mut first = service.lease().expect("a lease");
    let sent = service.next(&mut first);
    service.clock.advance(60_000);
    let mut second = service.lease().expect("a lease");
    let again = service.next(&mut second);
    assert_eq!(again, sent);
    assert!(!service.finish(&mut first, sent.into_iter().map(|one| (one, DELIVERED)), LeaseEnd::Keep));
    assert!(service.roster.next_deliveries(&mut first, 4).expect("an answer").is_none());
    assert_eq!(service.attempts(&endpoint), []);
    assert!(service.finish(&mut second, again.into_iter().map(|one| (one, DELIVERED)), LeaseEnd::Keep));
    assert_eq!(service.attempts(&endpoint).len(), 1);
}

#[test]
fn a_lease_is_extended_while_deliveries_are_being_made() {
    let service = Service::start();
    service.endpoint();
    service.register_some(1);
    let mut leased = service.lease().expect("a lease");
    assert_eq!(service.next(&mut leased).len(), 1);
    for _ in 0..3 {
        service.clock.advance(31_000);
        assert_eq!(service.next(&mut leased).len(), 0);
        assert_eq!(leased.until(), service.roster.now().plus(LEASE));
        assert!(service.lease().is_none());
    }
    // It is not given back while a delivery is being made.
    assert!(!leased.is_idle());
    assert!(service.finish(&mut leased, [], LeaseEnd::GiveBack));
    assert!(service.lease().is_none());
}

#[test]
fn a_failed_delivery_is_made_again_when_it_is_due_and_holds_up_no_other_customer() {
    let service = Service::start();
    let endpoint = service.endpoint();
    service.register_some(2);
    let mut leased = service.lease().expect("a lease");
    let [failing, other] = <[Delivery; 2]>::try_from(service.next(&mut leased)).expect("two");
    let results = [(failing, service.retry_in(5000)), (other, DELIVERED)];
    assert!(!service.finish(&mut leased, results, LeaseEnd::GiveBack));
    service.clock.advance(4999);
    service.register_some(1);
    assert_eq!(service.deliver(DELIVERED), [3]);
    service.clock.advance(1);
    assert_eq!(service.deliver(DeliveryOutcome::Failed { retry_at: None }), [1]);
    service.clock.advance(1_000_000);
    assert_eq!(service.deliver(DELIVERED), [0; 0]);
    let logged: Vec<_> =
        service.attempts(&endpoint).iter().map(|one| (one.event.seq(), one.number, one.outcome.as_str())).collect();
    assert_eq!(logged, [(1, 2, "given_up"), (3, 1, "delivered"), (2, 1, "delivered"), (1, 1, "failed")]);
    assert_eq!(service.stored(&endpoint).failing_since, None);
}

#[test]
fn an_endpoint_that_is_gone_is_disabled() {
    let service = Service::start();
    let endpoint = service.endpoint();
    service.register_some(1);
    assert_eq!(service.deliver(DeliveryOutcome::Gone), [1]);
    let status = EndpointStatus::Disabled { at: service.roster.now(), reason: DisabledReason::Gone };
    assert_eq!(service.stored(&endpoint).status, status);
    service.clock.advance(1_000_000);
    assert_eq!(service.deliver(DELIVERED), [0; 0]);
    service.roster.change_endpoint(service.tenant, endpoint.id, &active(true)).expect("an answer");
    assert_eq!(service.deliver(DELIVERED), [1]);
}

#[test]
fn an_endpoint_is_disabled_after_five_days_of_failures() {
    let service = Service::start();
    let endpoint = service.endpoint();
    service.register_some(1);
    for _ in 0..5 {
        assert_eq!(service.deliver(service.retry_in(1)), [1]);
        assert!(service.stored(&endpoint).is_active());
        service.clock.advance(24 * 3_600_000);
    }
    assert_eq!(service.deliver(service.retry_in(1)), [1]);
    let status = EndpointStatus::Disabled { at: service.roster.now(), reason: DisabledReason::Failing };
    assert_eq!(service.stored(&endpoint).status, status);
}

#[test]
fn results_are_recorded_once_the_store_is_back() {
    let service = Service::start();
    let endpoint = service.endpoint();
    service.register_some(1);
    let mut leased = service.lease().expect("a lease");
    let delivery = service.next(&mut leased).remove(0);
    service.store.interceptor.break_down();
    let result = vec![(delivery, DELIVERED, service.sent())];
    assert!(service.roster.record_deliveries(&mut leased, result, LeaseEnd::Keep).is_err());
    service.store.interceptor.recover();
    assert!(service.finish(&mut leased, [], LeaseEnd::Keep));
    assert_eq!(service.attempts(&endpoint).len(), 1);
    assert!(!service.finish(&mut leased, [], LeaseEnd::GiveBack));
    assert_eq!((service.attempts(&endpoint).len(), service.deliver(DELIVERED)), (1, vec![]));
}

#[test]
fn a_delivery_has_the_customer_as_it_is_if_the_endpoint_wants_it() {
    let service = Service::start();
    let endpoint = service.endpoint();
    let edit = EndpointEdit { form: Some(PayloadForm::WithCustomer), ..EndpointEdit::default() };
    service.roster.change_endpoint(service.tenant, endpoint.id, &edit).expect("an answer");
    let ada = service.register_named("ada");
    let deleted = service.delete(by_id(&ada)).expect("a deletion");
    let mut leased = service.lease().expect("a lease");
    let next = service.roster.next_deliveries(&mut leased, 4).expect("an answer").expect("a lease");
    assert_eq!((next.len(), next[0].delivery.event.seq, next[0].customer.as_ref()), (1, 1, Some(&deleted)));
}

#[test]
fn all_events_are_sent_again_from_a_place_on() {
    let service = Service::start();
    let endpoint = service.endpoint();
    service.register_some(4);
    assert_eq!(service.deliver(DELIVERED), [1, 2, 3, 4]);
    let replay = |from| service.roster.replay_events(service.tenant, endpoint.id, from).expect("an answer");
    replay(3);
    assert_eq!(service.deliver(DELIVERED), [3, 4]);
    replay(5);
    replay(99);
    assert_eq!(service.deliver(DELIVERED), [0; 0]);
    replay(i64::MIN);
    assert_eq!(service.deliver(DELIVERED), [1, 2, 3, 4]);
}

#[test]
fn a_replay_ends_the_lease_of_a_worker_and_begins_when_its_time_is_over() {
    let service = Service::start();
    let endpoint = service.endpoint();
    service.register_some(2);
    let mut leased = service.lease().expect("a lease");
    let sent = service.next(&mut leased);
    assert!(service.finish(&mut leased, sent.into_iter().map(|one| (one, DELIVERED)), LeaseEnd::Keep));
    service.roster.replay_events(service.tenant, endpoint.id, 1).expect("an answer");
    assert!(!service.finish(&mut leased, [], LeaseEnd::Keep));
    assert_eq!(service.deliver(DELIVERED), [0; 0]);
    service.clock.advance(60_000);
    assert_eq!(service.deliver(DELIVERED), [1, 2]);
}

#[test]
fn one_event_is_sent_again_also_while_a_worker_is_busy() {
    let service = Service::start();
    let endpoint = service.endpoint();
    service.register_some(3);
    let replay = |event| service.roster.replay_event(service.tenant, endpoint.id, event);
    assert_eq!(service.deliver(DELIVERED), [1, 2, 3]);
    replay(service.event(2)).expect("an answer");
    assert_eq!(service.deliver(DELIVERED), [2]);
    assert_eq!(service.deliver(DELIVERED), [0; 0]);
    service.register_some(1);
    let mut leased = service.lease().expect("a lease");
    let busy = service.next(&mut leased);
    replay(service.event(1)).expect("an answer");
    let again = service.next(&mut leased);
    assert_eq!((busy[0].event.seq, again[0].event.seq, again[0].number), (4, 1, 1));
    let results = busy.into_iter().chain(again).map(|one| (one, DELIVERED));
    assert!(!service.finish(&mut leased, results, LeaseEnd::GiveBack));
    assert_eq!(service.deliver(DELIVERED), [0; 0]);
    let unknown = [EventId::new(Uuid::nil()), EventId::at(1, [0; 8]), EventId::at(9, [0; 8])];
    for event in unknown {
        assert!(matches!(replay(event), Err(ReplayError::UnknownEvent)));
    }
}

#[test]
fn a_number_of_single_events_may_wait_to_be_sent_again() {
    let service = Service::start();
    let endpoint = service.endpoint();
    let most = i64::try_from(MAX_REPLAYS).expect("a small number");
    service.register_some(MAX_REPLAYS + 1);
    let replay = |seq| service.roster.replay_event(service.tenant, endpoint.id, service.event(seq));
    (1..=most).for_each(|seq| replay(seq).expect("room"));
    assert!(matches!(replay(most + 1), Err(ReplayError::TooMany)));
    // The same event again is no further one.
    replay(most).expect("room");
}

#[test]
fn a_test_event_is_in_no_log_but_in_that_of_attempts() {
    let service = Service::start();
    let endpoint = service.endpoint();
    let [test, other] = [(); 2].map(|()| service.roster.test_event(service.tenant, endpoint.id).expect("a test"));
    assert_eq!((&test.endpoint, test.id.seq()), (&endpoint, 0));
    assert_ne!(test.id, other.id);
    assert_eq!(service.roster.find_event(service.tenant, test.id).expect("an answer"), None);
    let logged = service.roster.log_test(&test, service.sent(), AttemptOutcome::Failed).expect("an attempt");
    assert_eq!((logged.event, logged.customer, logged.number), (test.id, None, 1));
    assert_eq!(service.attempts(&endpoint), [logged]);
    assert_eq!((service.stored(&endpoint), service.deliver(DELIVERED)), (endpoint.clone(), vec![]));
    service.roster.delete_endpoint(service.tenant, endpoint.id).expect("an answer");
    let logged = service.roster.log_test(&test, service.sent(), AttemptOutcome::Delivered);
    assert!(matches!(logged, Err(TestEventError::NotFound)));
}

fn write(
    service: &Service,
    name: &str,
    command: &EndpointCommand,
) -> Repeatable<Result<Option<Endpoint>, EndpointError>> {
    service.roster.write_endpoint(service.tenant, command, Some(&once(name, "sk_live_a")))
}

/// Does `command` twice. Returns what both requests are answered.
fn twice(service: &Service, name: &str, command: &EndpointCommand) -> Result<Option<Endpoint>, EndpointError> {
    let [first, repeat] = [(); 2].map(|()| write(service, name, command));
    assert_eq!((first.is_replayed, repeat.is_replayed), (false, true), "{command:?}");
    assert_eq!(format!("{:?}", first.result), format!("{:?}", repeat.result));
    if let (Ok(Some(first)), Ok(repeat)) = (&first.result, &repeat.result) {
        // `Debug` hides secrets.
        assert_eq!(Some(first), repeat.as_ref());
    }
    repeat.result
}

#[test]
fn each_command_with_a_key_is_done_once_and_repeated_with_its_secret() {
    let service = Service::start();
    let made = twice(&service, "create", &EndpointCommand::Create(settings(&["*"]))).expect("a new one").expect("it");
    let rotate = EndpointCommand::Rotate(made.id, Duration::from_hours(1));
    let rotated = twice(&service, "rotate", &rotate).expect("a new secret").expect("the endpoint");
    assert_eq!(service.stored(&made), rotated);
    let edit = EndpointEdit { is_active: Some(false), ..EndpointEdit::default() };
    let changed = twice(&service, "change", &EndpointCommand::Change(made.id, edit)).expect("a change");
    assert_eq!(changed, Some(service.stored(&made)));
    service.register_some(1);
    for (name, replay) in [
        ("from", EndpointCommand::ReplayFrom(made.id, 1)),
        ("one", EndpointCommand::ReplayOne(made.id, service.event(1))),
    ] {
        assert_eq!(twice(&service, name, &replay).expect("a replay"), None);
    }
    assert_eq!(twice(&service, "delete", &EndpointCommand::Delete(made.id)).expect("a deletion"), None);
    let deleted = twice(&service, "delete again", &EndpointCommand::Delete(made.id));
    assert!(matches!(deleted, Err(EndpointError::NotFound)), "{deleted:?}");
    assert_eq!(service.roster.find_endpoint(service.tenant, made.id).expect("an answer"), None);
    assert!(write(&service, "create", &EndpointCommand::Create(settings(&["*"]))).is_replayed);
}

#[test]
fn a_limit_that_was_reached_is_repeated_although_there_is_room_by_now() {
    let service = Service::start();
    let endpoints: Vec<_> = (0..MAX_ENDPOINTS).map(|_| service.endpoint()).collect();
    let create = EndpointCommand::Create(settings(&["*"]));
    for is_replayed in [false, true] {
        let refused = write(&service, "create", &create);
        assert!(matches!(refused.result, Err(EndpointError::Create(CreateEndpointError::TooMany))), "{refused:?}");
        assert_eq!(refused.is_replayed, is_replayed);
        service.roster.delete_endpoint(service.tenant, endpoints[1].id).expect("an answer");
    }
    assert!(write(&service, "another", &create).result.is_ok());

    let of = endpoints[0].id;
    service.register_some(MAX_REPLAYS + 1);
    let most = i64::try_from(MAX_REPLAYS).expect("a small number");
    for seq in 1..=most {
        service.roster.replay_event(service.tenant, of, service.event(seq)).expect("room");
    }
    let replay = EndpointCommand::ReplayOne(of, service.event(most + 1));
    let refused = twice(&service, "replay", &replay);
    assert!(matches!(refused, Err(EndpointError::Replay(ReplayError::TooMany))), "{refused:?}");
}

#[test]
fn a_test_with_a_key_is_sent_once_and_repeated_as_it_was_logged() {
    let service = Service::start();
    let endpoint = service.endpoint();
    let test = |name: &str| {
        let once = once(name, "sk_live_a");
        service.roster.test_event_once(service.tenant, endpoint.id, Some(&once))
    };
    let log = |name: &str, test: &EndpointTest, outcome| {
        let EndpointTest::New(test) = test else { panic!("it was logged: {test:?}") };
        let once = once(name, "sk_live_a");
        service.roster.log_test_once(test, service.sent(), outcome, Some(&once))
    };
    // Both arrive before one is logged.
    let [first, second] = [test("k"), test("k")].map(|test| {
        assert!(!test.is_replayed, "{test:?}");
        test.result.expect("a test")
    });
    let logged = log("k", &first, AttemptOutcome::Failed);
    assert!(!logged.is_replayed);
    let logged = logged.result.expect("an attempt");
    let late = log("k", &second, AttemptOutcome::Delivered);
    assert_eq!((late.is_replayed, late.result.expect("an attempt")), (true, logged.clone()));
    let repeat = test("k");
    assert_eq!((repeat.is_replayed, repeat.result.expect("it")), (true, EndpointTest::Logged(logged.clone())));
    assert_eq!(service.attempts(&endpoint), [logged]);

    let sent = test("another").result.expect("a test");
    service.roster.delete_endpoint(service.tenant, endpoint.id).expect("an answer");
    for is_replayed in [false, true] {
        let gone = log("another", &sent, AttemptOutcome::Delivered);
        assert!(matches!(gone.result, Err(TestEventError::NotFound)) && gone.is_replayed == is_replayed, "{gone:?}");
        let missing = test("missing");
        assert!(matches!(missing.result, Err(TestEventError::NotFound)), "{missing:?}");
        assert_eq!(missing.is_replayed, is_replayed);
    }
}

#[test]
fn the_backlog_is_what_is_behind_the_cursor_and_the_age_counts_lanes_too() {
    let service = Service::start();
    let endpoint = service.endpoint();
    let backlog = || {
        let backlog = service.roster.endpoint_backlog(service.tenant, endpoint.id).expect("an answer");
        backlog.map(|backlog| (backlog.events, backlog.age.as_millis()))
    };
    assert_eq!(backlog(), Some((0, 0)));
    for _ in 0..3 {
        service.register_some(1);
        service.clock.advance(10);
    }
    assert_eq!(backlog(), Some((3, 30)));
    let mut leased = service.lease().expect("a lease");
    let deliveries = service.next(&mut leased);
    let failed = |delivery: Delivery| {
        let outcome = if delivery.event.seq == 2 { service.retry_in(5) } else { DELIVERED };
        (delivery, outcome)
    };
    service.finish(&mut leased, deliveries.into_iter().map(failed), LeaseEnd::GiveBack);
    assert_eq!(backlog(), Some((0, 20)));
    service.clock.advance(5);
    service.deliver(DELIVERED);
    assert_eq!(backlog(), Some((0, 0)));
}

#[test]
fn old_attempts_and_those_beyond_a_thousand_are_swept() {
    let service = Service::start();
    let endpoint = service.endpoint();
    let log = |count: usize| {
        let test = service.roster.test_event(service.tenant, endpoint.id).expect("a test");
        for _ in 0..count {
            service.roster.log_test(&test, service.sent(), AttemptOutcome::Delivered).expect("an attempt");
        }
    };
    let sweep = || {
        let mut from = Some(Sweep::default());
        while let Some(next) = from {
            from = service.roster.sweep_attempts(next).expect("a step");
        }
    };
    let count = || {
        let mut before = None;
        let mut count = 0;
        loop {
            let page = service.roster.list_attempts(service.tenant, endpoint.id, before, PageSize::BULK);
            let page = page.expect("an answer").expect("the endpoint");
            count += page.items.len();
            before = page.items.last().map(|last| last.id);
            if !page.has_more {
                return count;
            }
        }
    };
    log(MAX_ATTEMPTS + 300);
    sweep();
    assert_eq!(count(), MAX_ATTEMPTS);
    service.clock.advance(i64::try_from(ATTEMPT_LIFETIME.as_millis()).expect("a month") + 1);
    log(2);
    sweep();
    assert_eq!(count(), 2);
}

#[test]
fn an_unknown_endpoint_is_not_found() {
    let service = Service::start();
    let id = EndpointId::new(Uuid::nil());
    assert_eq!(service.roster.find_endpoint(service.tenant, id).expect("an answer"), None);
    assert!(service.lease().is_none());
}

#[test]
fn events_that_are_not_delivered_are_kept_longer() {
    let mut service = Service::start();
    service.roster = service.roster.with_event_retention(Some(Duration::from_secs(1)));
    let endpoint = service.endpoint();
    let disabled = service.endpoint();
    let off = EndpointEdit { is_active: Some(false), ..EndpointEdit::default() };
    service.roster.change_endpoint(service.tenant, disabled.id, &off).expect("an answer");
    for name in ["a", "b", "c"] {
        service.register_named(name);
    }
    service.clock.advance(2000);
    let kept = || {
        service.roster.prune_events(Sweep::default()).expect("an answer");
        let order = ListOrder::Ascending;
        let (tenant, customer, kind, after, limit) = (service.tenant, None, None, None, 10);
        let all = EventList { tenant, customer, kind, order, after, limit };
        service.roster.list_events(&all).expect("a page").events.first().map(|event| event.seq)
    };
    assert_eq!(kept(), Some(1));
    let mut leased = service.lease().expect("a lease");
    let mut deliveries = service.next(&mut leased);
    assert_eq!(deliveries.len(), 3);
    // The second one fails: it is in a lane, and the others are done.
    let second = deliveries.remove(1);
    let later = DeliveryOutcome::Failed { retry_at: Some(service.roster.now().plus(Duration::from_secs(9))) };
    let results = deliveries.into_iter().map(|one| (one, DELIVERED)).chain([(second, later)]);
    service.finish(&mut leased, results, LeaseEnd::GiveBack);
    assert_eq!(kept(), Some(2));
    assert!(service.roster.delete_endpoint(service.tenant, endpoint.id).expect("an answer"));
    assert_eq!(kept(), None);
}
