//! Deliveries of events to webhook endpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roster_tests::client::{Surface, agent, encode};
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::process::Signal;
use roster_tests::program::Program;
use roster_tests::receiver::{Received, Receiver};
use roster_tests::{App, Caller, Database, on_both_databases};
use serde_json::{Value, json};

use crate::tokens::now;

on_both_databases! {
    an_event_is_delivered_as_the_log_shows_it_and_signed,
    an_endpoint_gets_the_types_that_it_wants_and_the_customer_if_it_wants_it,
    a_delivery_that_fails_is_made_again_and_other_customers_pass,
    retry_after_puts_the_next_attempt_off,
    an_endpoint_that_is_gone_is_disabled_and_enabled_it_gets_what_it_has_missed,
    a_slow_endpoint_slows_no_other,
    both_secrets_sign_for_a_while_after_a_rotation,
    events_are_sent_again_from_a_place_on_and_one_by_one,
    a_test_event_is_sent_at_once_and_logged,
    nothing_is_sent_to_addresses_that_are_not_public_unless_that_is_allowed,
    a_service_that_stops_records_what_it_has_delivered,
    no_event_is_lost_and_each_customer_keeps_its_order_when_services_are_killed,
    #[ignore = "slow: make faults"]
    no_event_is_lost_over_a_hundred_kills,
}

/// Settings of a service that delivers to receivers on this machine, and tries again soon.
const SETTINGS: [(&str, &str); 2] =
    [("ROSTER__WEBHOOKS__ALLOW_PRIVATE", "true"), ("ROSTER__WEBHOOKS__RETRY_SECONDS", "0,1,1,1,1,1,1,1,1,1")];

/// Settings with which a lease is over after 4 s.
const SHORT: [(&str, &str); 1] = [("ROSTER__WEBHOOKS__TIMEOUT_MS", "1000")];

fn start(database: Database) -> App {
    App::start_with(database, &SETTINGS)
}

/// Creates an endpoint for all events. Returns it with its secret.
fn create(native: &Caller, receiver: &Receiver) -> Value {
    native.post("/webhooks", json!({"url": receiver.url(), "events": ["*"]})).expect(201).json()
}

fn path(endpoint: &Value) -> String {
    format!("/webhooks/{}", endpoint["id"].as_str().expect("an id"))
}

fn customer(native: &Caller, name: &str) -> Value {
    native.post("/customers", json!({"email": format!("{name}@example.com"), "name": name})).expect(201).json()
}

fn rename(native: &Caller, customer: &Value, name: &str) {
    let id = customer["id"].as_str().expect("an id");
    native.patch(&format!("/customers/{id}"), json!({"name": name})).is(200);
}

/// The names of the customers of deliveries that were taken.
fn taken(received: &[Received]) -> Vec<(String, u64)> {
    let taken = received.iter().filter(|delivery| delivery.status < 300);
    taken.map(|delivery| id_and_version(&delivery.event())).collect()
}

fn id_and_version(event: &Value) -> (String, u64) {
    (event["customer_id"].as_str().expect("an id").to_owned(), event["version"].as_u64().expect("a version"))
}

/// The signature of Standard Webhooks that a holder of `secret` expects.
fn standard_signature(secret: &str, delivery: &Received) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("a secret")).expect("Base64");
    let (id, time) = (delivery.header("webhook-id"), delivery.header("webhook-timestamp"));
    let signed = format!("{id}.{time}.{}", delivery.body());
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes());
    format!("v1,{}", STANDARD.encode(tag))
}

fn an_event_is_delivered_as_the_log_shows_it_and_signed(database: Database) {
    let app = start(database);
    let native = app.native();
    let receiver = Receiver::start();
    let endpoint = create(&native, &receiver);
    customer(&native, "ada");
    let delivery = receiver.wait_for(1).remove(0);
    let logged = native.get("/events?order=asc").expect(200).json();
    assert_eq!(delivery.event(), logged["data"][0]);
    assert_eq!(delivery.header("webhook-id"), logged["data"][0]["id"].as_str().expect("an id"));
    assert_eq!(delivery.header("content-type"), "application/json");
    let time: u64 = delivery.header("webhook-timestamp").parse().expect("seconds");
    assert!(time.abs_diff(now()) < 60, "{time}");
    let secret = endpoint["secret"].as_str().expect("a secret");
    assert_eq!(delivery.header("webhook-signature"), standard_signature(secret, &delivery));
    let tag = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
        format!("{time}.{}", delivery.body()).as_bytes(),
    );
    let digits = tag.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    let digits: String = digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
    assert_eq!(delivery.header("x-billing-signature"), format!("t={time},v1={digits}"));

    let attempts = until("an attempt is logged", TIMEOUT, || {
        let page = native.get(&format!("{}/attempts", path(&endpoint))).expect(200).json();
        page["data"].as_array().filter(|attempts| !attempts.is_empty()).cloned()
    });
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    let expected = [("event_id", logged["data"][0]["id"].clone()), ("status", json!(200)), ("answer", json!("ok"))];
    for (field, value) in expected {
        assert_eq!(attempts[0][field], value, "{field} of {attempts:?}");
    }
    assert_nothing_is_behind(&native, &endpoint);
}

fn assert_nothing_is_behind(native: &Caller, endpoint: &Value) {
    until("everything is delivered", TIMEOUT, || {
        let shown = native.get(&path(endpoint)).expect(200).json();
        (shown["backlog"]["events"] == 0 && shown["backlog"]["oldest_seconds"] == 0).then_some(())
    });
}

fn an_endpoint_gets_the_types_that_it_wants_and_the_customer_if_it_wants_it(database: Database) {
    let app = start(database);
    let native = app.native();
    let receiver = Receiver::start();
    let wanted =
        json!({"url": receiver.url(), "events": ["customer.updated", "customer.deleted"], "payload": "with_customer"});
    native.post("/webhooks", wanted).is(201);
    let ada = customer(&native, "ada");
    rename(&native, &ada, "Ada");
    let updated = receiver.wait_for(1)[0].event();
    let id = ada["id"].as_str().expect("an id");
    assert_eq!(updated["type"], "customer.updated");
    assert_eq!(updated["customer"], native.get(&format!("/customers/{id}")).expect(200).json());
    native.delete(&format!("/customers/{id}")).is(204);
    let deleted = receiver.wait_for(2)[1].event();
    assert_eq!((&deleted["type"], deleted.get("customer")), (&json!("customer.deleted"), Some(&Value::Null)));
}

fn a_delivery_that_fails_is_made_again_and_other_customers_pass(database: Database) {
    let app = start(database);
    let native = app.native();
    let is_broken = Arc::new(AtomicBool::new(true));
    let breaks = Arc::clone(&is_broken);
    // What has the word is refused at first.
    let receiver = Receiver::answering(move |delivery| {
        let fails = breaks.load(Ordering::SeqCst) && delivery.body().contains("stubborn");
        (if fails { 500 } else { 200 }, "")
    });
    let endpoint = create(&native, &receiver);
    let stubborn = customer(&native, "stubborn");
    let stubborn_id = stubborn["id"].as_str().expect("an id").to_owned();
    rename(&native, &stubborn, "still stubborn");
    rename(&native, &stubborn, "well");
    let other = customer(&native, "other");
    until("the other customer passes", TIMEOUT, || {
        taken(&receiver.received())
            .contains(&id_and_version(&json!({"customer_id": other["id"], "version": 1})))
            .then_some(())
    });
    // Both customers have their turn at the same time, so the first failure may come later.
    let failed: BTreeSet<_> = until("a delivery fails", TIMEOUT, || {
        let all = receiver.received();
        let failed = all.iter().filter(|delivery| delivery.status == 500);
        Some(failed.map(|delivery| delivery.header("webhook-id").to_owned()).collect())
            .filter(|ids: &BTreeSet<_>| !ids.is_empty())
    });
    assert_eq!(failed.len(), 1, "later events of the customer do not wait: {failed:?}");
    is_broken.store(false, Ordering::SeqCst);
    let all = until("everything is taken", TIMEOUT, || Some(taken(&receiver.received())).filter(|all| all.len() >= 4));
    let of_stubborn: Vec<_> = all.iter().filter(|(id, _)| *id == stubborn_id).map(|(_, version)| *version).collect();
    assert_eq!(of_stubborn, [1, 2, 3]);
    assert_nothing_is_behind(&native, &endpoint);
}

fn retry_after_puts_the_next_attempt_off(database: Database) {
    let app = start(database);
    let native = app.native();
    let count = AtomicUsize::new(0);
    let receiver = Receiver::answering(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => (503, "Retry-After: 4\r\n"),
        _ => (200, ""),
    });
    create(&native, &receiver);
    customer(&native, "ada");
    let deliveries = receiver.wait_for(2);
    let time = |delivery: &Received| delivery.header("webhook-timestamp").parse::<u64>().expect("seconds");
    let waited = time(&deliveries[1]) - time(&deliveries[0]);
    // Of whole seconds; without the header it would be one or two.
    assert!(waited >= 3, "{waited}");
    assert_eq!(deliveries[0].header("webhook-id"), deliveries[1].header("webhook-id"));
}

fn an_endpoint_that_is_gone_is_disabled_and_enabled_it_gets_what_it_has_missed(database: Database) {
    let app = start(database);
    let native = app.native();
    let is_gone = Arc::new(AtomicBool::new(true));
    let gone = Arc::clone(&is_gone);
    let receiver = Receiver::answering(move |_| (if gone.load(Ordering::SeqCst) { 410 } else { 200 }, ""));
    let endpoint = create(&native, &receiver);
    customer(&native, "ada");
    let disabled = until("the endpoint is disabled", TIMEOUT, || {
        Some(native.get(&path(&endpoint)).expect(200).json()).filter(|shown| shown["status"] == "disabled")
    });
    assert_eq!(disabled["disabled_reason"], "gone");
    customer(&native, "eda");
    is_gone.store(false, Ordering::SeqCst);
    native.patch(&path(&endpoint), json!({"status": "active"})).is(200);
    let all =
        until("both customers are taken", TIMEOUT, || Some(taken(&receiver.received())).filter(|all| all.len() >= 2));
    assert_eq!(all.len(), 2);
    assert_eq!(receiver.received().iter().filter(|delivery| delivery.status == 410).count(), 1);
}

fn a_slow_endpoint_slows_no_other(database: Database) {
    let app = start(database);
    let native = app.native();
    let slow = Receiver::answering(|_| {
        thread::sleep(Duration::from_secs(30));
        (200, "")
    });
    let fast = Receiver::start();
    create(&native, &slow);
    create(&native, &fast);
    for number in 0..100 {
        customer(&native, &format!("c{number}"));
    }
    let deliveries = fast.wait_for(100);
    assert_eq!(deliveries.len(), 100);
    assert!(slow.received().is_empty());
}

fn both_secrets_sign_for_a_while_after_a_rotation(database: Database) {
    let app = start(database);
    let native = app.native();
    let receiver = Receiver::start();
    let endpoint = create(&native, &receiver);
    let rotate = format!("{}/rotate_secret", path(&endpoint));
    let rotated = native.post(&rotate, json!({"overlap_seconds": 3600})).expect(200).json();
    assert_ne!(rotated["secret"], endpoint["secret"]);
    customer(&native, "ada");
    let delivery = receiver.wait_for(1).remove(0);
    let signatures =
        [&rotated, &endpoint].map(|of| standard_signature(of["secret"].as_str().expect("a secret"), &delivery));
    assert_eq!(delivery.header("webhook-signature"), signatures.join(" "));
}

fn events_are_sent_again_from_a_place_on_and_one_by_one(database: Database) {
    // If deliveries are being made, a replay begins when the lease is over.
    let app = App::start_with(database, &[&SETTINGS[..], &SHORT].concat());
    let native = app.native();
    let receiver = Receiver::start();
    let endpoint = create(&native, &receiver);
    for name in ["a", "b", "c"] {
        customer(&native, name);
    }
    let first = receiver.wait_for(3);
    assert_nothing_is_behind(&native, &endpoint);
    let event = first[0].event();
    native.post(&format!("{}/replay", path(&endpoint)), json!({"event_id": event["id"]})).is(202);
    let again = receiver.wait_for(4);
    assert_eq!(again[3].event(), event);
    // What is sent and not recorded yet when a replay ends the lease is sent again.
    until("the delivery is recorded", TIMEOUT, || {
        let page = native.get(&format!("{}/attempts", path(&endpoint))).expect(200).json();
        page["data"].as_array().filter(|attempts| attempts.len() == 4).map(drop)
    });
    native.post(&format!("{}/replay", path(&endpoint)), json!({"from_seq": 2})).is(202);
    let all = receiver.wait_for(6);
    let seqs: BTreeSet<_> = all[4..].iter().map(|delivery| delivery.event()["seq"].as_i64().expect("a seq")).collect();
    assert_eq!(seqs, BTreeSet::from([2, 3]));
}

fn a_test_event_is_sent_at_once_and_logged(database: Database) {
    let app = start(database);
    let native = app.native();
    let receiver = Receiver::answering(|_| (418, ""));
    let endpoint = create(&native, &receiver);
    let attempt = native.post(&format!("{}/test", path(&endpoint)), json!({})).expect(200).json();
    assert_eq!(
        (&attempt["status"], &attempt["outcome"], &attempt["answer"]),
        (&json!(418), &json!("failed"), &json!("ok"))
    );
    let delivery = receiver.wait_for(1).remove(0);
    assert_eq!(delivery.event()["type"], "webhook.test");
    assert_eq!(
        delivery.header("webhook-signature"),
        standard_signature(endpoint["secret"].as_str().expect("it"), &delivery)
    );
    let logged = native.get(&format!("{}/attempts", path(&endpoint))).expect(200).json();
    assert_eq!(logged["data"], json!([attempt]));
    assert_eq!(native.get(&path(&endpoint)).expect(200).json()["failing_since"], Value::Null);
}

fn nothing_is_sent_to_addresses_that_are_not_public_unless_that_is_allowed(database: Database) {
    let app = start(database);
    let native = app.native();
    let receiver = Receiver::start();
    let endpoint = create(&native, &receiver);
    // What was allowed when the endpoint was made is checked again.
    let app = restart_with(app, &[("ROSTER__WEBHOOKS__RETRY_SECONDS", "0")]);
    let native = app.native();
    let refused = native.post("/webhooks", json!({"url": receiver.url(), "events": ["*"]})).expect(422);
    assert_eq!(refused.json()["errors"][0]["pointer"], "/url");
    customer(&native, "ada");
    let attempts = until("an attempt is logged", TIMEOUT, || {
        let page = native.get(&format!("{}/attempts", path(&endpoint))).expect(200).json();
        page["data"].as_array().filter(|attempts| !attempts.is_empty()).cloned()
    });
    assert_eq!((&attempts[0]["status"], &attempts[0]["outcome"]), (&Value::Null, &json!("given_up")));
    let error = attempts[0]["error"].as_str().expect("an error");
    assert!(error.starts_with("address refused: "), "{error}");
    assert!(receiver.received().is_empty());
}

fn restart_with(mut app: App, settings: &[(&'static str, &'static str)]) -> App {
    app.signal(Signal::Terminate);
    assert!(app.wait(TIMEOUT).success());
    let database = app.database().reached_by(app.database().url().to_owned());
    // The database lives as long as the first app.
    std::mem::forget(app);
    App::start_with(database, settings)
}

fn a_service_that_stops_records_what_it_has_delivered(database: Database) {
    let mut app = start(database);
    let native = app.native();
    let receiver = Receiver::answering(|_| {
        thread::sleep(Duration::from_millis(300));
        (200, "")
    });
    let endpoint = create(&native, &receiver);
    for number in 0..20 {
        customer(&native, &format!("c{number}"));
    }
    until("deliveries have begun", TIMEOUT, || (!receiver.received().is_empty()).then_some(()));
    app.signal(Signal::Terminate);
    assert!(app.wait(TIMEOUT).success());
    app.restart();
    assert_nothing_is_behind(&app.native(), &endpoint);
    assert_eq!(receiver.received().len(), 20, "none is sent twice");
}

fn no_event_is_lost_and_each_customer_keeps_its_order_when_services_are_killed(database: Database) {
    killed_services_deliver_all(database, 3);
}

fn no_event_is_lost_over_a_hundred_kills(database: Database) {
    killed_services_deliver_all(database, 50);
}

/// Two services on one database deliver to four endpoints while each of them is killed `kills` times.
fn killed_services_deliver_all(database: Database, kills: usize) {
    // The lease of a service that was killed ends after four times the longest attempt.
    let settings = [&SETTINGS[..], &SHORT].concat();
    let (url, key) = (database.url().to_owned(), database.tenants().ours.live.clone());
    let caller = |program: &Program| Caller::new(agent(), program.address(), Surface::Native.base()).with_key(&key);
    let receivers: Vec<_> = (0..4).map(|_| Receiver::start()).collect();
    let program = Program::serve(&url, &settings);
    for receiver in &receivers {
        create(&caller(&program), receiver);
    }
    drop(program);
    thread::scope(|scope| {
        for process in 0..2 {
            let (url, settings, caller) = (&url, &settings, &caller);
            scope.spawn(move || {
                for round in 0..kills {
                    let mut program = Program::serve(url, settings);
                    let native = caller(&program);
                    thread::scope(|writers| {
                        let (acknowledge, acknowledged) = mpsc::channel();
                        for writer in 0..2 {
                            let (native, acknowledge) = (&native, acknowledge.clone());
                            let name = format!("p{process}-{round}-{writer}");
                            writers.spawn(move || write_until_cut(native, &name, &acknowledge));
                        }
                        for _ in 0..10 + 3 * (round % 10) {
                            acknowledged.recv_timeout(TIMEOUT).expect("a customer");
                        }
                        program.signal(Signal::Kill);
                    });
                    program.wait(TIMEOUT);
                }
            });
        }
    });
    let program = Program::serve(&url, &settings);
    let logged = logged(&caller(&program));
    for receiver in &receivers {
        until("every event is delivered", 2 * TIMEOUT, || {
            let got: BTreeSet<_> =
                receiver.received().iter().map(|delivery| delivery.header("webhook-id").to_owned()).collect();
            (got.len() >= logged.len()).then(|| assert_eq!(got, logged))
        });
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for (id, version) in taken(&receiver.received()) {
            let last = last.entry(id.clone()).or_default();
            assert!(version <= *last + 1, "{id}: {version} after {last}");
            *last = version.max(*last);
        }
    }
    drop(database);
}

/// Creates customers, and changes each twice, until the service does not answer.
fn write_until_cut(native: &Caller, name: &str, acknowledge: &mpsc::Sender<()>) {
    for number in 0.. {
        let body = json!({"email": format!("{name}-{number}@example.com")});
        let Ok(created) = native.request("POST", "/customers").json(body).try_send() else { return };
        if created.status != 201 {
            continue;
        }
        let path = format!("/customers/{}", created.text_at("/id"));
        for name in ["one", "two"] {
            if native.request("PATCH", &path).json(json!({"name": name})).try_send().is_err() {
                return;
            }
        }
        // The test may have counted enough.
        let _ = acknowledge.send(());
    }
}

/// The identifiers of all events.
fn logged(native: &Caller) -> BTreeSet<String> {
    let (mut ids, mut after) = (BTreeSet::new(), String::new());
    loop {
        let page = native.get(&format!("/events?order=asc&limit=1000{after}")).expect(200).json();
        let events = page["data"].as_array().expect("a list");
        ids.extend(events.iter().map(|event| event["id"].as_str().expect("an id").to_owned()));
        if page["has_more"] == false {
            return ids;
        }
        after = format!("&after={}", encode(page["next_cursor"].as_str().expect("a cursor")));
    }
}
