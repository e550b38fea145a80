//! The log of what happened, and its feed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;

use roster_tests::app::create_key;
use roster_tests::client::{Surface, agent, encode};
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::process::Signal;
use roster_tests::program::Program;
use roster_tests::program::roster;
use roster_tests::rows::age_events;
use roster_tests::{App, Caller, Database, on_both_databases, raw};
use serde_json::{Value, json};

on_both_databases! {
    an_event_says_what_changed_who_asked_for_it_and_why,
    a_consumer_reads_every_event_once_and_in_order,
    a_list_is_filtered_by_type_and_customer,
    a_reason_that_breaks_a_rule_is_refused_and_nothing_is_done,
    a_repeat_of_a_request_makes_no_event,
    a_request_waits_for_the_next_event,
    a_stream_has_the_events_that_are_there_and_then_those_that_happen,
    a_stream_goes_on_behind_the_last_event_of_the_client,
    a_stream_ends_when_its_key_is_revoked_and_when_the_service_stops,
    a_stream_ends_when_its_merchant_is_disabled,
    a_cursor_from_before_the_events_that_are_kept_is_gone,
    the_events_of_each_day_are_counted,
    parameters_that_do_not_fit_are_refused,
    the_log_agrees_with_the_customers_after_kills_of_two_processes,
}

/// The events of a page.
fn data(page: &Value) -> Vec<Value> {
    page["data"].as_array().expect("a list").clone()
}

/// All events in order, read page by page as a consumer does.
fn consume(native: &Caller, limit: usize) -> Vec<Value> {
    let (mut events, mut after) = (Vec::new(), String::new());
    loop {
        let page = native.get(&format!("/events?order=asc&limit={limit}{after}")).expect(200).json();
        events.extend(data(&page));
        let cursor = page["next_cursor"].as_str().expect("always a cursor");
        after = format!("&after={}", encode(cursor));
        if page["has_more"] == false {
            return events;
        }
    }
}

fn an_event_says_what_changed_who_asked_for_it_and_why(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let ada = native.post("/customers", json!({"email": "ada@example.com", "metadata": {"a": 1.0}})).expect(201);
    let id = ada.text_at("/id");
    let path = format!("/customers/{id}");
    let change = native.request("PATCH", &path).header("X-Change-Reason", "married, née Byron");
    let changed = change.header("X-Request-Id", "r-1").json(json!({"name": "Ada", "metadata": {}})).send().expect(200);
    let lumen = app.lumen();
    let lumen_path = format!("/customers/cust_{}", id.strip_prefix("cus_").expect("an id"));
    lumen
        .request("POST", &lumen_path)
        .header("X-Change-Reason", "on Lumen")
        .json(json!({"name": "Eda"}))
        .send()
        .is(200);
    native.put(&format!("{path}/subscriptions/sub_1"), json!({"status": "active"})).is(201);
    native.patch(&path, json!({"status": "archived"})).is(200);
    let archived = native.get(&path).expect(200).json();
    let with_customer = native.get("/events?limit=1&include=customer").expect(200).json();
    assert_eq!(with_customer["data"][0]["customer"], archived);
    native.delete(&path).is(204);
    let with_customer = native.get("/events?limit=1&include=customer").expect(200).json();
    assert_eq!(with_customer["data"][0]["customer"], Value::Null);

    let events = consume(&native, 1000);
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().expect("a type")).collect();
    let expected = [
        "customer.created",
        "customer.updated",
        "customer.updated",
        "subscription.created",
        "customer.archived",
        "customer.deleted",
    ];
    assert_eq!(kinds, expected);
    for (event, seq) in events.iter().zip(1..) {
        assert_eq!((&event["seq"], &event["customer_id"]), (&json!(seq), &json!(id)), "{event}");
        assert_eq!(event["event_id"], event["id"]);
        assert_eq!(event["actor"]["type"], "api_key", "{event}");
        let shown = native.get(&format!("/events/{}", event["id"].as_str().expect("an id"))).expect(200).json();
        assert_eq!(shown, *event);
    }
    let created = &events[0]["changes"];
    assert_eq!(created["email"], json!({"to": "ada@example.com"}));
    assert!(native.get("/events?order=asc&limit=1").text().contains(r#""metadata":{"to":{"a":1.0}}"#));
    let mut renamed = events[1].clone();
    let actor = renamed["actor"].take();
    assert!(actor["id"].as_str().is_some_and(|id| id.starts_with("key_")), "{actor}");
    let expected = json!({
        "id": renamed["id"],
        "event_id": renamed["id"],
        "seq": 2,
        "type": "customer.updated",
        "created_at": changed.json()["updated_at"],
        "customer_id": id,
        "version": 2,
        "changes": {"name": {"to": "Ada"}, "metadata": {"from": {"a": 1.0}, "to": {}}},
        "actor": null,
        "request_id": "r-1",
        "reason": "married, née Byron",
    });
    assert_eq!(renamed, expected);
    assert_eq!(events[2]["changes"], json!({"name": {"from": "Ada", "to": "Eda"}}));
    assert_eq!(events[2]["reason"], "on Lumen");
    assert_eq!((&events[3]["subscription_id"], &events[3]["version"]), (&json!("sub_1"), &json!(1)));
    assert_eq!(events[4]["changes"], json!({"status": {"from": "active", "to": "archived"}}));
    // Newest first, as audit reads it; also of a customer that is gone.
    let history = data(&native.get(&format!("{path}/events")).expect(200).json());
    let reversed: Vec<_> = events.iter().rev().cloned().collect();
    assert_eq!(history, reversed);
    assert_eq!(data(&native.get("/events").expect(200).json()), reversed);
}

fn a_consumer_reads_every_event_once_and_in_order(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let empty = native.get("/events?order=asc").expect(200).json();
    assert_eq!((data(&empty), &empty["has_more"]), (vec![], &json!(false)));
    let from_beginning = empty["next_cursor"].as_str().expect("a cursor").to_owned();
    for number in 0..7 {
        native.post("/customers", json!({"email": format!("c{number}@example.com")})).is(201);
    }
    for limit in [1, 2, 3, 7, 1000] {
        let seqs: Vec<_> = consume(&native, limit).iter().map(|event| event["seq"].clone()).collect();
        assert_eq!(json!(seqs), json!([1, 2, 3, 4, 5, 6, 7]), "{limit}");
    }
    // A cursor from before the first event, and one from a list of the newest, are places in the same log.
    let page = native.get(&format!("/events?order=asc&after={}", encode(&from_beginning))).expect(200).json();
    assert_eq!(page["data"].as_array().map(Vec::len), Some(7));
    let newest = native.get("/events?limit=3").expect(200).json();
    let cursor = encode(newest["next_cursor"].as_str().expect("a cursor"));
    let older = native.get(&format!("/events?cursor={cursor}")).expect(200).json();
    assert_eq!(older["data"].as_array().map(Vec::len), Some(4));
    assert_eq!((&older["has_more"], &older["next_cursor"]), (&json!(false), &Value::Null));
    let newer = native.get(&format!("/events?order=asc&after={cursor}")).expect(200).json();
    assert_eq!(data(&newer).iter().map(|event| event["seq"].clone()).collect::<Vec<_>>(), [json!(6), json!(7)]);
    // The end has a cursor, too, which finds what comes later.
    let end = encode(newer["next_cursor"].as_str().expect("a cursor"));
    native.post("/customers", json!({"email": "late@example.com"})).is(201);
    let late = native.get(&format!("/events?order=asc&after={end}")).expect(200).json();
    assert_eq!(data(&late).iter().map(|event| event["seq"].clone()).collect::<Vec<_>>(), [json!(8)]);
}

fn a_list_is_filtered_by_type_and_customer(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let ids = ["a", "b"].map(|name| {
        let body = json!({"email": format!("{name}@example.com")});
        let id = native.post("/customers", body).expect(201).text_at("/id");
        native.patch(&format!("/customers/{id}"), json!({"name": name})).is(200);
        id
    });
    let seqs = |query: &str| {
        let page = native.get(&format!("/events?{query}")).expect(200).json();
        data(&page).iter().map(|event| event["seq"].as_i64().expect("a number")).collect::<Vec<_>>()
    };
    assert_eq!(seqs("type=customer.updated"), [4, 2]);
    assert_eq!(seqs("type=customer.updated&order=asc&limit=1"), [2]);
    assert_eq!(seqs(&format!("customer_id={}", ids[1])), [4, 3]);
    assert_eq!(seqs(&format!("customer_id={}&type=customer.created&order=asc", ids[1])), [3]);
    assert_eq!(seqs("type=customer.deleted"), [0; 0]);
}

fn a_reason_that_breaks_a_rule_is_refused_and_nothing_is_done(database: Database) {
    let app = App::start(database);
    for surface in Surface::ALL {
        let caller = app.surface(surface);
        let request = caller.request("POST", "/customers").header("X-Change-Reason", &"x".repeat(257));
        let refused = request.json(json!({"email": "ada@example.com"})).send().expect(400);
        if surface == Surface::Native {
            assert_eq!(refused.json()["error"]["param"], "X-Change-Reason", "{refused:?}");
        }
    }
    assert_eq!(consume(&app.native(), 10), [Value::Null; 0]);
    assert_eq!(data(&app.native().get("/customers").expect(200).json()), [Value::Null; 0]);
}

fn a_repeat_of_a_request_makes_no_event(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let create = || {
        let request = native.request("POST", "/customers").header("Idempotency-Key", "k");
        request.json(json!({"email": "ada@example.com"})).send().expect(201)
    };
    let id = create().text_at("/id");
    create();
    native.patch(&format!("/customers/{id}"), json!({})).is(200);
    native.post("/customers", json!({"email": "ada@example.com"})).is(409);
    assert_eq!(consume(&native, 10).len(), 1);
    let items = json!([
        {"op": "create", "body": {"email": "eda@example.com"}},
        {"op": "update", "id": id, "body": {"name": "Ada"}},
    ]);
    for _ in 0..2 {
        let batch = native.request("POST", "/customers/batch").header("Idempotency-Key", "b");
        batch.json(json!({"items": items, "atomic": true})).send().is(200);
        let events = consume(&native, 10);
        assert_eq!(events.len(), 3, "{events:?}");
        assert!(events.iter().all(|event| event["actor"]["type"] == "api_key"), "{events:?}");
    }
}

fn a_request_waits_for_the_next_event(database: Database) {
    let app = App::start(database);
    let native = app.native();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| native.get("/events?order=asc&wait=60").expect(200).json());
        // Nothing says that the other request waits already; if it does not, it finds the event at once.
        native.post("/customers", json!({"email": "ada@example.com"})).is(201);
        let page = waiting.join().expect("an answer");
        assert_eq!(page["data"].as_array().map(Vec::len), Some(1), "{page}");
    });
}

fn the_events_of_each_day_are_counted(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let counts = |query: &str| data(&native.get(&format!("/events/days{query}")).expect(200).json());
    assert!(counts("").len() == 30 && counts("").iter().all(|day| day["events"] == 0));
    for name in ["a", "b", "c", "d", "e", "f"] {
        create_named(&native, name);
    }
    // As if the first two were five days old and the next two two days.
    age_events(app.database(), 4, 2);
    age_events(app.database(), 2, 3);
    let events = data(&native.get("/events").expect(200).json());
    let days = counts("?days=90");
    let dates: Vec<&str> = days.iter().map(|day| day["date"].as_str().expect("a date")).collect();
    assert!(dates.len() == 90 && dates.is_sorted(), "{dates:?}");
    let is_of = |date: &str, event: &Value| event["created_at"].as_str().is_some_and(|time| time.starts_with(date));
    for (day, date) in days.iter().zip(&dates) {
        let of_day = events.iter().filter(|event| is_of(date, event)).count();
        assert_eq!(*day, json!({"date": date, "events": of_day}));
    }
    assert_eq!(days.iter().filter_map(|day| day["events"].as_u64()).sum::<u64>(), 6);
    // Another environment has no events.
    let sandbox = native.with_key(&app.tenants().ours.sandbox).get("/events/days?days=90").expect(200).json();
    assert!(data(&sandbox).iter().all(|day| day["events"] == 0), "{sandbox}");
    for query in ["days=0", "days=91", "days=x", "days=1&days=2", "day=1"] {
        let refused = native.get(&format!("/events/days?{query}")).expect(422).json();
        let (name, _) = query.split_once('=').expect("a name");
        assert_eq!(refused["errors"][0]["parameter"], name, "{refused}");
    }
}

fn parameters_that_do_not_fit_are_refused(database: Database) {
    let app = App::start(database);
    let native = app.native();
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("order=up", "order"),
        ("after=x", "after"),
        ("order=asc&cursor=x", "cursor"),
        ("wait=1", "wait"),
        ("order=asc&wait=61", "wait"),
        ("type=customer.lost", "type"),
        ("customer_id=7", "customer_id"),
        ("include=all", "include"),
        ("seq=1", "seq"),
    ] {
        let refused = native.get(&format!("/events?{query}")).expect(422);
        assert!(refused.text().contains(parameter), "{query}: {refused:?}");
    }
    native.get("/events?order=asc&after=x").is(400);
    native.get("/events/evt_7").is(404);
}

/// An event of a stream: the cursor behind it, its type, and itself.
#[derive(Debug)]
struct Sent {
    id: String,
    kind: String,
    event: Value,
}

/// A client that reads a stream of events.
struct Listener {
    connection: raw::Connection,
    text: String,
}

impl Listener {
    /// Asks for a stream, and reads the head of the answer.
    fn open(address: SocketAddr, key: &str, query: &str, headers: &[(&str, &str)]) -> Self {
        let bearer = format!("Bearer {key}");
        let mut all = vec![("Accept", "text/event-stream"), ("Authorization", bearer.as_str())];
        all.extend(headers);
        let mut connection = raw::Connection::open(address).expect("a connection");
        connection.send(&raw::request("GET", &format!("/v1/events{query}"), &all, b"")).expect("it is taken");
        let head = connection.head().expect("an answer").expect("an answer");
        assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")), "{head:?}");
        Self { connection, text: String::new() }
    }

    /// The next event; `None` at the end of the stream.
    fn next(&mut self) -> Option<Sent> {
        loop {
            while let Some((block, rest)) =
                self.text.split_once("\n\n").map(|(one, two)| (one.to_owned(), two.to_owned()))
            {
                self.text = rest;
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                if let (Some(id), Some(kind), Some(data)) = (field("id: "), field("event: "), field("data: ")) {
                    return Some(Sent { id, kind, event: serde_json::from_str(&data).expect("JSON") });
                }
            }
            let chunk = self.connection.chunk().ok().flatten()?;
            self.text.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        }
    }

    fn seq(&mut self) -> i64 {
        self.next().and_then(|sent| sent.event["seq"].as_i64()).expect("an event")
    }
}

fn create_named(native: &Caller, name: &str) -> String {
    native.post("/customers", json!({"email": format!("{name}@example.com")})).expect(201).text_at("/id")
}

fn a_stream_has_the_events_that_are_there_and_then_those_that_happen(database: Database) {
    let app = App::start(database);
    let (native, key) = (app.native(), app.tenants().ours.live.clone());
    let ids: Vec<String> = (0..120).map(|number| create_named(&native, &format!("c{number}"))).collect();
    let mut all = Listener::open(app.address(), &key, "", &[]);
    let mut deleted = Listener::open(app.address(), &key, "?type=customer.deleted&include=customer&order=asc", &[]);
    let shown = native.get("/events?order=asc&limit=1000").expect(200).json();
    for (event, id) in data(&shown).iter().zip(&ids) {
        let sent = all.next().expect("an event");
        assert_eq!(
            (&sent.event, sent.kind.as_str(), &sent.event["customer_id"]),
            (event, "customer.created", &json!(id))
        );
    }
    // The other surfaces and environments have logs, too; only this tenant's are in the stream.
    let sandbox = native.with_key(&app.tenants().ours.sandbox);
    create_named(&sandbox, "sandbox");
    let theirs = native.with_key(&app.tenants().theirs.live);
    create_named(&theirs, "theirs");
    app.lava().post("/customers", json!({"reference_id": "lava"})).is(201);
    assert_eq!(all.seq(), 121);
    native.delete(&format!("/customers/{}", ids[0])).is(204);
    let gone = deleted.next().expect("an event");
    assert_eq!((&gone.event["seq"], &gone.event["customer"]), (&json!(122), &Value::Null));
    assert_eq!(all.seq(), 122);
}

fn a_stream_goes_on_behind_the_last_event_of_the_client(database: Database) {
    let app = App::start(database);
    let (native, key) = (app.native(), app.tenants().ours.live.clone());
    for name in ["a", "b", "c"] {
        create_named(&native, name);
    }
    let mut listener = Listener::open(app.address(), &key, "", &[]);
    let ids = [(); 3].map(|()| listener.next().expect("an event").id);
    let again = |query: &str, headers: &[(&str, &str)]| Listener::open(app.address(), &key, query, headers).seq();
    assert_eq!(again("", &[("Last-Event-ID", &ids[0])]), 2);
    assert_eq!(again(&format!("?after={}", encode(&ids[1])), &[]), 3);
    // What a browser sends when it connects again is newer than the address that it was given.
    assert_eq!(again(&format!("?after={}", encode(&ids[0])), &[("Last-Event-ID", &ids[1])]), 3);
    // It is a cursor of the list, too.
    let page = native.get(&format!("/events?order=asc&after={}", encode(&ids[1]))).expect(200).json();
    assert_eq!(data(&page)[0]["seq"], 3);
    let refused = |query: &str, last: &str| {
        let request = native.request("GET", &format!("/events{query}")).header("Accept", "text/event-stream");
        request.header("Last-Event-ID", last).send().status
    };
    assert_eq!((refused("", "x"), refused("?wait=1", ""), refused("?order=desc", "")), (400, 422, 422));
    assert_eq!((refused("?limit=1", ""), refused(&format!("?cursor={}", encode(&ids[0])), "")), (422, 422));
}

fn a_stream_ends_when_its_key_is_revoked_and_when_the_service_stops(database: Database) {
    let mut app = App::start_with(database, &[("ROSTER__AUTH__KEY_CACHE_MS", "0")]);
    let (native, key) = (app.native(), app.tenants().ours.live.clone());
    let made = create_key(app.database().url(), &app.tenants().ours.id, "live", &[]);
    let mut of_made = Listener::open(app.address(), &made.key, "", &[]);
    let mut of_ours = Listener::open(app.address(), &key, "", &[]);
    create_named(&native, "ada");
    assert_eq!((of_made.seq(), of_ours.seq()), (1, 1));
    assert!(roster(app.database().url(), &[], &["keys", "revoke", &made.id]).status.success());
    create_named(&native, "eda");
    assert!(of_made.next().is_none(), "an event for a key that is revoked");
    assert_eq!(of_ours.seq(), 2);
    app.signal(Signal::Terminate);
    assert!(of_ours.next().is_none(), "an event of a service that has stopped");
    assert!(app.wait(TIMEOUT).success());
}

fn a_stream_ends_when_its_merchant_is_disabled(database: Database) {
    let app = App::start_with(database, &[("ROSTER__AUTH__KEY_CACHE_MS", "0")]);
    let ours = &app.tenants().ours;
    // It still accepts the key after the merchant was disabled, so that there is an event.
    let other = Program::serve(app.database().url(), &[("ROSTER__AUTH__KEY_CACHE_MS", "60000")]);
    let there = Caller::new(agent(), other.address(), "/v1").with_key(&ours.live);
    let mut listener = Listener::open(app.address(), &ours.live, "", &[]);
    create_named(&there, "ada");
    assert_eq!(listener.seq(), 1);
    assert!(roster(app.database().url(), &[], &["merchants", "disable", &ours.id]).status.success());
    create_named(&there, "eda");
    assert!(listener.next().is_none(), "an event for a merchant that is disabled");
}

fn a_cursor_from_before_the_events_that_are_kept_is_gone(database: Database) {
    let app = App::start(database);
    let native = app.native();
    for name in ["a", "b", "c", "d"] {
        create_named(&native, name);
    }
    let cursor = |query: &str| {
        let page = native.get(&format!("/events?{query}")).expect(200).json();
        encode(page["next_cursor"].as_str().expect("a cursor"))
    };
    let (second, third) = (cursor("order=asc&limit=2"), cursor("order=asc&limit=3"));
    let newest = cursor("limit=1");
    let id =
        data(&native.get("/events?order=asc&limit=1").expect(200).json())[0]["id"].as_str().expect("an id").to_owned();
    // As if the first three were eight days old.
    age_events(app.database(), 3, 8);
    let kept = Program::serve(app.database().url(), &[("ROSTER__EVENTS__RETENTION_DAYS", "7")]);
    let native = Caller::new(agent(), kept.address(), Surface::Native.base()).with_key(&app.tenants().ours.live);
    let gone = until("the old events are deleted", TIMEOUT, || {
        let response = native.get(&format!("/events?order=asc&after={second}"));
        (response.status != 200).then_some(response)
    });
    let problem = gone.expect(410).json();
    assert_eq!((&problem["code"], &problem["floor"]), (&json!("events_pruned"), &json!(3)));
    let seqs = |query: &str| {
        let page = native.get(&format!("/events?{query}")).expect(200).json();
        (data(&page).iter().map(|event| event["seq"].clone()).collect::<Vec<_>>(), page["has_more"].clone())
    };
    assert_eq!(seqs("order=asc"), (vec![json!(4)], json!(false)));
    assert_eq!(seqs(&format!("order=asc&after={third}")), (vec![json!(4)], json!(false)));
    assert_eq!(seqs("limit=1"), (vec![json!(4)], json!(false)));
    assert_eq!(seqs(&format!("cursor={newest}")), (vec![], json!(false)));
    native.get(&format!("/events/{id}")).is(404);
    let stream = native.request("GET", &format!("/events?after={second}")).header("Accept", "text/event-stream");
    stream.send().is(410);
    create_named(&native, "e");
    assert_eq!(seqs("order=asc"), (vec![json!(4), json!(5)], json!(false)));
}

/// Two processes write to one tenant, and each is killed while it does, and started again.
fn the_log_agrees_with_the_customers_after_kills_of_two_processes(database: Database) {
    const KILLS: usize = 4;
    let url = database.url().to_owned();
    let key = database.tenants().ours.live.clone();
    let caller = |program: &Program| Caller::new(agent(), program.address(), Surface::Native.base()).with_key(&key);
    thread::scope(|scope| {
        for process in 0..2 {
            let (url, caller) = (&url, &caller);
            scope.spawn(move || {
                for round in 0..KILLS {
                    let mut program = Program::serve(url, &[]);
                    let native = caller(&program);
                    thread::scope(|writers| {
                        for writer in 0..4 {
                            let native = &native;
                            writers.spawn(move || write_until_cut(native, &format!("{process}-{round}-{writer}")));
                        }
                        // Some of the writes are acknowledged, and others are under way.
                        until("some customers", TIMEOUT, || {
                            let path = format!("/customers?limit=100&search=p{process}-{round}-");
                            let page = native.request("GET", &path).try_send().ok()?.json();
                            (page["data"].as_array()?.len() >= 10).then_some(())
                        });
                        program.signal(Signal::Kill);
                    });
                    program.wait(TIMEOUT);
                }
            });
        }
    });
    let program = Program::serve(&url, &[]);
    let native = caller(&program);
    let events = consume(&native, 500);
    for (event, seq) in events.iter().zip(1..) {
        assert_eq!(event["seq"], seq, "no gap");
    }
    assert_eq!(replayed(&events), stored(&native));
    drop(database);
}

/// Creates customers, and changes and deletes some, until the service does not answer.
fn write_until_cut(native: &Caller, name: &str) {
    for number in 0.. {
        let body = json!({"email": format!("p{name}-{number}@example.com"), "name": name});
        let Ok(created) = native.request("POST", "/customers").json(body).try_send() else { return };
        if created.status != 201 {
            continue;
        }
        let path = format!("/customers/{}", created.text_at("/id"));
        let renamed = native.request("PATCH", &path).json(json!({"name": null, "metadata": {"n": number}})).try_send();
        let deleted = (number % 3 == 0).then(|| native.request("DELETE", &path).try_send());
        if renamed.is_err() || deleted.is_some_and(|deleted| deleted.is_err()) {
            return;
        }
    }
}

/// What the events leave: the version and some fields of each live customer.
fn replayed(events: &[Value]) -> BTreeMap<String, Value> {
    let mut customers: BTreeMap<String, Value> = BTreeMap::new();
    for event in events {
        let id = event["customer_id"].as_str().expect("an id").to_owned();
        let customer = customers.entry(id).or_insert_with(|| json!({"version": 0}));
        let next = customer["version"].as_i64().map(|version| version + 1);
        assert_eq!(event["version"].as_i64(), next, "one event for each version: {event}");
        customer["version"] = event["version"].clone();
        for (field, change) in event["changes"].as_object().expect("changes") {
            assert_eq!(customer[field.as_str()], change["from"], "{event}");
            customer[field.as_str()] = change["to"].clone();
        }
    }
    customers.retain(|_, customer| customer["deleted_at"].is_null());
    let shown =
        |customer: &Value| json!([customer["version"], customer["email"], customer["name"], customer["metadata"]]);
    customers.iter().map(|(id, customer)| (id.clone(), shown(customer))).collect()
}

/// The same of the customers that the service lists.
fn stored(native: &Caller) -> BTreeMap<String, Value> {
    let (mut customers, mut cursor) = (BTreeMap::new(), String::new());
    loop {
        let page = native.get(&format!("/customers?limit=100{cursor}")).expect(200).json();
        for customer in data(&page) {
            let id = customer["id"].as_str().expect("an id").to_owned();
            let shown = json!([customer["version"], customer["email"], customer["name"], customer["metadata"]]);
            customers.insert(id, shown);
        }
        let Some(next) = page["next_cursor"].as_str() else { return customers };
        cursor = format!("&cursor={}", encode(next));
    }
}
