//! Requests with an `Idempotency-Key`, and their repeats.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;
use std::thread;

use roster_test_postgres::Cluster;
use roster_tests::app::create_key;
use roster_tests::client::{Request, Surface};
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::process::Signal;
use roster_tests::receiver::Receiver;
use roster_tests::rows::rows_in;
use roster_tests::{App, Caller, Database, Pair, Response, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_repeat_gets_the_same_answer_and_does_nothing,
    a_refusal_is_repeated_although_it_would_succeed_by_now,
    a_key_is_refused_for_another_method_path_or_body,
    a_malformed_key_is_a_400_that_names_the_header_and_the_rule,
    a_key_is_the_same_with_and_without_quotes,
    a_key_belongs_to_one_merchant_in_one_environment,
    what_is_no_answer_for_good_is_not_saved,
    a_customer_of_lava_is_repeated_with_its_subscription,
    an_api_key_is_shown_again_to_its_creator_only,
    each_request_for_a_webhook_is_done_once,
    a_webhook_is_tested_once,
    of_sixteen_callers_one_makes_a_webhook_and_all_get_it,
    a_read_ignores_the_key,
    of_sixteen_callers_of_two_instances_one_creates_and_all_get_its_answer,
    a_repeat_that_comes_while_the_first_runs_waits_for_it,
    of_sixteen_callers_one_makes_an_api_key_and_all_get_it,
    a_batch_is_repeated_as_a_whole_and_its_key_is_for_no_other,
    an_atomic_batch_that_was_refused_is_refused_again,
    of_sixteen_callers_with_one_batch_its_items_are_done_once,
    after_kills_repeats_make_one_customer_for_each_key,
    #[ignore = "slow: make faults"]
    after_a_thousand_cut_requests_there_is_one_customer_for_each_key,
    #[ignore = "slow: make faults"]
    a_key_is_free_again_after_its_time_and_its_reply_is_deleted,
}

/// Sends a request with a key.
fn keyed(caller: &Caller, method: &str, path: &str, body: Option<Value>, key: &str) -> Response {
    request(caller, method, path, body, key).send()
}

fn request<'a>(caller: &'a Caller, method: &str, path: &str, body: Option<Value>, key: &str) -> Request<'a> {
    let request = caller.request(method, path).header("idempotency-key", key);
    match body {
        Some(body) => request.json(body),
        None => request,
    }
}

fn is_replayed(response: &Response) -> bool {
    match response.header("idempotent-replayed") {
        None => false,
        Some("true") => true,
        Some(other) => panic!("Idempotent-Replayed: {other}"),
    }
}

/// What a repeat has in common with the first answer.
fn shown(response: &Response) -> (u16, String, Option<&str>, Option<&str>) {
    (response.status, response.text(), response.header("content-type"), response.header("location"))
}

/// Sends a request twice, and `between` in between. Returns the first answer.
fn twice(send: impl Fn() -> Response, between: impl FnOnce()) -> Response {
    let first = send();
    assert!(!is_replayed(&first), "{first:?}");
    between();
    let repeat = send();
    assert!(is_replayed(&repeat), "{repeat:?}");
    assert_eq!(shown(&repeat), shown(&first));
    first
}

fn count(app: &App) -> usize {
    app.lumen().get("/customers").expect(200).json()["customers"].as_array().expect("a list").len()
}

fn a_repeat_gets_the_same_answer_and_does_nothing(database: Database) {
    let app = App::start(database);
    let (native, lumen, lava) = (app.native(), app.lumen(), app.lava());
    let email = |name: &str| Some(json!({"email": format!("{name}@example.com"), "name": name}));
    let made = twice(|| keyed(&native, "POST", "/customers", email("ada"), "native create"), || ()).expect(201);
    let id = made.text_at("/id");
    let path = format!("/customers/{id}");
    let change = || drop(native.patch(&path, json!({"name": "Changed in between"})).expect(200));
    let made = twice(|| keyed(&native, "PATCH", &path, Some(json!({"name": "Ada"})), "native change"), change);
    assert_eq!(made.expect(200).text_at("/name"), "Ada");
    let merge = || {
        let request = request(&native, "PATCH", &path, Some(json!({"metadata": {"a": 1}})), "native merge");
        request.header("content-type", "application/merge-patch+json").send()
    };
    twice(merge, change).is(200);
    let report = || Some(json!({"status": "active", "plan_id": "pro"}));
    let subscription = format!("{path}/subscriptions/s");
    let again = || drop(native.put(&subscription, json!({"status": "paused"})).expect(200));
    twice(|| keyed(&native, "PUT", &subscription, report(), "native report"), again).is(201);
    twice(|| keyed(&native, "PUT", &subscription, report(), "second report"), again).is(200);
    twice(|| keyed(&native, "DELETE", &path, None, "native delete"), || ()).is(204);
    assert_eq!(count(&app), 0);

    let made = twice(|| keyed(&lumen, "POST", "/customers", email("eda"), "lumen create"), || ()).expect(201);
    let path = format!("/customers/{}", made.text_at("/customer/id"));
    let change = || drop(lumen.post(&path, json!({"name": "Changed in between"})).expect(200));
    twice(|| keyed(&lumen, "POST", &path, Some(json!({"name": "Eda"})), "lumen change"), change).is(200);
    twice(|| keyed(&lumen, "DELETE", &path, None, "lumen delete"), || ()).is(200);
    assert_eq!(count(&app), 0);

    let ida = || Some(json!({"reference_id": "ida"}));
    twice(|| keyed(&lava, "POST", "/customers", ida(), "lava create"), || ()).is(201);
    let change = || drop(lava.patch("/customers/ida", json!({"name": "Changed in between"})).expect(200));
    twice(|| keyed(&lava, "POST", "/customers", ida(), "lava create of the same"), change).is(200);
    twice(|| keyed(&lava, "PATCH", "/customers/ida", Some(json!({"name": "Ida"})), "lava change"), change).is(200);
    twice(|| keyed(&lava, "DELETE", "/customers/ida", None, "lava delete"), || ()).is(200);
    assert_eq!(count(&app), 0);
}

fn a_refusal_is_repeated_although_it_would_succeed_by_now(database: Database) {
    let app = App::start(database);
    for surface in Surface::ALL {
        let caller = app.surface(surface);
        let (field, name) = match surface {
            Surface::Native => ("external_id", "native"),
            Surface::Lumen => ("userId", "lumen"),
            Surface::Lava => ("reference_id", "lava"),
        };
        let body = |email: &str, id: &str| json!({"email": format!("{email}.{name}@example.com"), field: id});
        let id = |response: Response| match surface {
            Surface::Native => response.expect(201).text_at("/id"),
            Surface::Lumen => response.expect(201).text_at("/customer/id"),
            Surface::Lava => response.expect(201).text_at("/customer_id"),
        };
        let taken = format!("taken {name}");
        let holder = id(caller.post("/customers", body("holder", &taken)));
        let other = id(caller.post("/customers", body("other", &format!("other {name}"))));
        let delete = || drop(caller.delete(&format!("/customers/{holder}")));
        let refused = || match surface {
            Surface::Native | Surface::Lumen => keyed(&caller, "POST", "/customers", Some(body("new", &taken)), &taken),
            // There, a creation is not refused.
            Surface::Lava => {
                keyed(&caller, "PATCH", &format!("/customers/{other}"), Some(json!({field: taken})), &taken)
            }
        };
        twice(refused, delete).is(409);
        let gone = format!("/customers/{holder}");
        let missing = || keyed(&caller, "DELETE", &gone, None, &format!("missing {name}"));
        twice(missing, || ()).is(404);
    }
}

fn a_key_is_refused_for_another_method_path_or_body(database: Database) {
    let app = App::start(database);
    for surface in Surface::ALL {
        let caller = app.surface(surface);
        let key = format!("key of {surface:?}");
        let body = json!({"email": format!("{surface:?}@example.com"), "metadata": {"a": [1, 2.0], "b": "c"}});
        let made = keyed(&caller, "POST", "/customers", Some(body), &key).expect(201);
        let same = format!(r#" {{ "metadata": {{"b":"\u0063", "a": [1,2.0]}}, "email": "{surface:?}@example.com" }} "#);
        let repeat = caller.request("POST", "/customers").header("idempotency-key", &key).json(same).send();
        assert_eq!((shown(&repeat), is_replayed(&repeat)), (shown(&made), true));
        let pointer = match surface {
            Surface::Native => "/id",
            Surface::Lumen => "/customer/id",
            Surface::Lava => "/customer_id",
        };
        let path = format!("/customers/{}", made.text_at(pointer));
        let method = if surface == Surface::Lumen { "POST" } else { "PATCH" };
        for (method, path, body) in [
            ("POST", "/customers", Some(json!({"email": "another@example.com"}))),
            (
                "POST",
                "/customers",
                Some(json!({"email": format!("{surface:?}@example.com"), "metadata": {"a": [1, 2], "b": "c"}})),
            ),
            (method, &path, Some(json!({"name": "Ada"}))),
            ("DELETE", &path, None),
        ] {
            let refused = keyed(&caller, method, path, body, &key).expect(409);
            assert!(!is_replayed(&refused), "{refused:?}");
            assert_eq!(refused.header("content-type"), Some(surface.error_type()), "{refused:?}");
            if surface == Surface::Native {
                assert_eq!(refused.text_at("/code"), "idempotency_key_reused");
                let error = &refused.json()["error"];
                assert_eq!(
                    (&error["type"], &error["code"]),
                    (&json!("idempotency_conflict"), &json!("idempotency_key_reused"))
                );
            } else {
                assert_eq!(refused.text_at("/error"), "This Idempotency-Key was used for another request");
            }
        }
        caller.get(&path).is(200);
    }
    // One key for all surfaces: their paths differ.
    keyed(&app.lava(), "POST", "/customers", Some(json!({})), "key of Native").is(409);
    assert_eq!(count(&app), 3);
}

fn a_malformed_key_is_a_400_that_names_the_header_and_the_rule(database: Database) {
    let app = App::start(database);
    let long = "k".repeat(256);
    for surface in Surface::ALL {
        let caller = app.surface(surface);
        let error = |response: &Response| match surface {
            Surface::Native => response.text_at("/detail"),
            Surface::Lumen | Surface::Lava => response.text_at("/error"),
        };
        for (key, rule) in [
            ("", "1 to 255 characters"),
            (&long, "1 to 255 characters"),
            ("\"\"", "1 to 255 characters"),
            ("\"k", "quote"),
            ("\"k\";a=1", "quote"),
            ("ключ", "printable ASCII"),
        ] {
            let refused =
                keyed(&caller, "POST", "/customers", Some(json!({"email": "a@example.com"})), key).expect(400);
            assert!(error(&refused).contains("Idempotency-Key") && error(&refused).contains(rule), "{refused:?}");
            if surface == Surface::Native {
                assert_eq!(refused.text_at("/code"), "invalid_idempotency_key");
                assert_eq!(refused.text_at("/error/param"), "Idempotency-Key");
            }
        }
        let two = request(&caller, "POST", "/customers", Some(json!({"email": "a@example.com"})), "k");
        let refused = two.header("idempotency-key", "k").send().expect(400);
        assert!(error(&refused).contains("sent once"), "{refused:?}");
        caller.without_key().request("POST", "/customers").header("idempotency-key", "").json("{}").send().is(401);
    }
    assert_eq!(count(&app), 0);
}

fn a_key_is_the_same_with_and_without_quotes(database: Database) {
    let app = App::start(database);
    let create = |key: &str| keyed(&app.native(), "POST", "/customers", Some(json!({"email": "ada@example.com"})), key);
    let made = create("a key").expect(201);
    for same in ["\"a key\"", " a key "] {
        let repeat = create(same);
        assert_eq!((shown(&repeat), is_replayed(&repeat)), (shown(&made), true), "{same}");
    }
    create("\"a key \"").is(409);
}

fn a_key_belongs_to_one_merchant_in_one_environment(database: Database) {
    let app = App::start(database);
    let tenants = app.tenants();
    let keys = [&tenants.ours.live, &tenants.ours.sandbox, &tenants.theirs.live, &tenants.theirs.sandbox];
    let create = |credential: &str| {
        keyed(&app.native().with_key(credential), "POST", "/customers", Some(json!({"email": "ada@example.com"})), "k")
    };
    let ids: BTreeSet<_> = keys.iter().map(|key| twice(|| create(key), || ()).expect(201).text_at("/id")).collect();
    assert_eq!(ids.len(), 4);
    let other = create_key(app.database().url(), &tenants.ours.id, "live", &[]);
    assert!(is_replayed(&create(&other.key)), "any credential of the tenant gets the answer");
}

fn what_is_no_answer_for_good_is_not_saved(database: Database) {
    let app = App::start(database);
    let (native, url) = (app.native(), app.database().url());
    let body = || Some(json!({"email": "ada@example.com"}));
    keyed(&native, "POST", "/customers", Some(json!({"email": "ada"})), "k").is(422);
    native.request("POST", "/customers").header("idempotency-key", "k").json("{").send().is(400);
    keyed(&native.with_key("sk_live_unknown"), "POST", "/customers", body(), "k").is(401);
    let reader = create_key(url, &app.tenants().ours.id, "live", &["--scope", "customers:read"]);
    keyed(&native.with_key(&reader.key), "POST", "/customers", body(), "k").is(403);
    let made = keyed(&native, "POST", "/customers", body(), "k").expect(201);
    assert!(!is_replayed(&made), "{made:?}");
    // Without the scope to share addresses, a taken one is a 403 on Lava.
    let writer =
        create_key(url, &app.tenants().ours.id, "live", &["--scope", "customers:read", "--scope", "customers:write"]);
    let lava = app.lava();
    keyed(&lava.with_key(&writer.key), "POST", "/customers", body(), "lava").is(403);
    let made = keyed(&lava, "POST", "/customers", body(), "lava").expect(201);
    assert!(!is_replayed(&made), "{made:?}");
}

fn a_customer_of_lava_is_repeated_with_its_subscription(database: Database) {
    let app = App::start(database);
    let (native, lava) = (app.native(), app.lava());
    let body = || Some(json!({"reference_id": "ada"}));
    keyed(&lava, "POST", "/customers", body(), "create").is(201);
    let id = native.get("/customers/external/ada").expect(200).text_at("/id");
    let report = |subscription: &str, status: &str| {
        let path = format!("/customers/{id}/subscriptions/{subscription}");
        assert!([200, 201].contains(&native.put(&path, json!({"status": status, "name": subscription})).status));
    };
    report("first", "active");
    let change = || keyed(&lava, "PATCH", "/customers/ada", Some(json!({"name": "Ada"})), "change");
    let create = || keyed(&lava, "POST", "/customers", body(), "create again");
    let name = |response: &Response| response.json()["subscription"]["name"].clone();
    let changed = twice(change, || report("first", "cancelled")).expect(200);
    assert_eq!(name(&changed), "first", "{changed:?}");
    report("second", "active");
    let made = twice(create, || report("second", "cancelled")).expect(200);
    assert_eq!(name(&made), "second", "{made:?}");
    let first = keyed(&lava, "POST", "/customers", body(), "create");
    assert_eq!((first.status, name(&first), is_replayed(&first)), (201, Value::Null, true));
}

fn an_api_key_is_shown_again_to_its_creator_only(database: Database) {
    let app = App::start(database);
    let url = app.database().url();
    let scopes = ["--scope", "keys:manage", "--scope", "customers:read"];
    let manager = || create_key(url, &app.tenants().ours.id, "live", &scopes);
    let (manager, other) = (manager(), manager());
    let (caller, other) = (app.native().with_key(&manager.key), app.native().with_key(&other.key));
    let order = || Some(json!({"name": "ci", "scopes": ["customers:read"]}));
    let made = twice(|| keyed(&caller, "POST", "/api_keys", order(), "create"), || ()).expect(201);
    let (id, secret) = (made.text_at("/id"), made.text_at("/key"));
    app.native().with_key(&secret).get("/customers").is(200);
    let refused = keyed(&other, "POST", "/api_keys", order(), "create").expect(409);
    assert_eq!(refused.text_at("/code"), "idempotency_credential_changed");
    assert_eq!(refused.text_at("/error/type"), "idempotency_conflict");

    let rotate = format!("/api_keys/{id}/rotate");
    let rotated = twice(|| keyed(&caller, "POST", &rotate, Some(json!({"overlap_seconds": 0})), "rotate"), || ());
    let (new_id, new_secret) = (rotated.expect(201).text_at("/id"), rotated_secret(&caller, &rotate));
    app.native().with_key(&new_secret).get("/customers").is(200);
    assert_eq!(
        twice(|| keyed(&caller, "POST", &rotate, None, "again"), || ()).expect(409).text_at("/successor_id"),
        new_id
    );

    let revoke = format!("/api_keys/{new_id}");
    twice(|| keyed(&caller, "DELETE", &revoke, None, "revoke"), || ()).is(204);
    assert!(is_replayed(&keyed(&other, "DELETE", &revoke, None, "revoke")), "a revocation has no secret");
    app.native().with_key(&new_secret).get("/customers").is(401);
    let missing = "/api_keys/key_01h2xcejqtf2nbrexx3vqjhp41";
    twice(|| keyed(&caller, "DELETE", missing, None, "missing"), || ()).is(404);
    // The first key, its successor and the two managers; and those of the two merchants.
    let listed = caller.get("/api_keys?limit=100").expect(200).json();
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(5), "{listed}");
    assert_no_file_has(&app, &[&secret, &new_secret]);
}

/// The secret of a key that was made by a rotation, as a repeat shows it.
fn rotated_secret(caller: &Caller, rotate: &str) -> String {
    keyed(caller, "POST", rotate, Some(json!({"overlap_seconds": 0})), "rotate").expect(201).text_at("/key")
}

/// Asserts that no secret is in the files of a SQLite database.
fn assert_no_file_has(app: &App, secrets: &[&str]) {
    let Some(path) = app.database().url().strip_prefix("sqlite://") else { return };
    let folder = std::path::Path::new(path).parent().expect("a folder");
    for file in std::fs::read_dir(folder).expect("a folder") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("a file");
        for secret in secrets {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "a secret is stored");
        }
    }
}

fn each_request_for_a_webhook_is_done_once(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let hook = || Some(json!({"url": "https://example.com/hooks", "events": ["customer.created"]}));
    let made = twice(|| keyed(&native, "POST", "/webhooks", hook(), "create"), || ()).expect(201);
    assert!(made.text_at("/secret").starts_with("whsec_"), "{made:?}");
    let path = format!("/webhooks/{}", made.text_at("/id"));
    let describe = || drop(native.patch(&path, json!({"description": "Changed in between"})).expect(200));
    let rotate = format!("{path}/rotate_secret");
    let order = || Some(json!({"overlap_seconds": 3600}));
    let rotated = twice(|| keyed(&native, "POST", &rotate, order(), "rotate"), describe).expect(200);
    assert_ne!(rotated.text_at("/secret"), made.text_at("/secret"));
    let until = rotated.text_at("/former_secret_until");
    assert_eq!(native.get(&path).expect(200).text_at("/former_secret_until"), until, "it is rotated once");
    let edit = || Some(json!({"status": "disabled", "description": "Invoices"}));
    let changed = twice(|| keyed(&native, "PATCH", &path, edit(), "change"), describe).expect(200);
    assert_eq!(changed.text_at("/description"), "Invoices");
    let replay = format!("{path}/replay");
    twice(|| keyed(&native, "POST", &replay, Some(json!({"from_seq": 1})), "replay"), || ()).is(202);
    twice(|| keyed(&native, "DELETE", &path, None, "delete"), || ()).is(204);
    twice(|| keyed(&native, "DELETE", &path, None, "missing"), || ()).is(404);
    twice(|| keyed(&native, "POST", &format!("{path}/test"), None, "missing test"), || ()).is(404);
    // The endpoint as it stood, although it is gone.
    assert_eq!(shown(&keyed(&native, "POST", "/webhooks", hook(), "create")), shown(&made));
    for (method, path, body) in [
        ("POST", "/webhooks", Some(json!({"url": "https://example.com/others", "events": ["*"]}))),
        ("POST", &rotate, order()),
        ("DELETE", &path, None),
    ] {
        let refused = keyed(&native, method, path, body, "create").expect(409);
        assert_eq!(refused.text_at("/code"), "idempotency_key_reused");
    }
    assert_eq!(native.get("/webhooks").expect(200).json()["data"], json!([]));
    // What is decided by a limit is kept, too.
    for number in 0..50 {
        keyed(&native, "POST", "/webhooks", hook(), &format!("one of fifty: {number}")).is(201);
    }
    let first = native.get("/webhooks?limit=1").expect(200).text_at("/data/0/id");
    let make_room = || native.delete(&format!("/webhooks/{first}")).is(204);
    let refused = twice(|| keyed(&native, "POST", "/webhooks", hook(), "too many"), make_room).expect(409);
    assert_eq!(refused.text_at("/code"), "too_many_webhooks");
}

fn a_webhook_is_tested_once(database: Database) {
    let app = App::start_with(database, &[("ROSTER__WEBHOOKS__ALLOW_PRIVATE", "true")]);
    let native = app.native();
    let receiver = Receiver::answering(|_| (418, ""));
    let hook = json!({"url": receiver.url(), "events": ["*"]});
    let path = format!("/webhooks/{}", native.post("/webhooks", hook).expect(201).text_at("/id"));
    let test = |key: &str| keyed(&native, "POST", &format!("{path}/test"), Some(json!({})), key);
    let attempt = twice(|| test("k"), || ()).expect(200);
    assert_eq!((&attempt.json()["status"], attempt.text_at("/outcome")), (&json!(418), "failed".to_owned()));
    assert_eq!(receiver.received().len(), 1);
    let attempts = || native.get(&format!("{path}/attempts")).expect(200).json()["data"].clone();
    assert_eq!(attempts(), json!([attempt.json()]));
    test("another").is(200);
    assert_eq!(receiver.received().len(), 2);
    // At the same time each caller may send one, and all get the answer of the first.
    let answers: Vec<Response> = thread::scope(|scope| {
        let callers: Vec<_> = (0..8).map(|_| scope.spawn(|| test("together"))).collect();
        callers.into_iter().map(|caller| caller.join().expect("an answer").expect(200)).collect()
    });
    assert!(answers.iter().all(|answer| answer.text() == answers[0].text()), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| !is_replayed(answer)).count(), 1, "{answers:?}");
    assert_eq!(attempts().as_array().map(Vec::len), Some(3));
    native.delete(&path).is(204);
    assert_eq!(shown(&test("k")), shown(&attempt));
}

fn of_sixteen_callers_one_makes_a_webhook_and_all_get_it(database: Database) {
    let pair = Pair::start(database);
    let callers = pair.callers(Surface::Native);
    for round in 0..10 {
        let hook = json!({"url": format!("https://example.com/{round}"), "events": ["*"]});
        let create = |caller: &Caller| keyed(caller, "POST", "/webhooks", Some(hook.clone()), &format!("make {round}"));
        let answers = race(&callers, create);
        assert!(answers.iter().all(|answer| answer.status == 201 && answer.text() == answers[0].text()), "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| !is_replayed(answer)).count(), 1, "{answers:?}");
        let rotate = format!("/webhooks/{}/rotate_secret", answers[0].text_at("/id"));
        let answers = race(&callers, |caller| keyed(caller, "POST", &rotate, None, &format!("rotate {round}")));
        assert!(answers.iter().all(|answer| answer.status == 200 && answer.text() == answers[0].text()), "{answers:?}");
    }
    let listed = pair.app.native().get("/webhooks?limit=100").expect(200).json();
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(10), "{listed}");
}

fn send_batch(native: &Caller, is_atomic: bool, items: &[Value], key: &str) -> Response {
    keyed(native, "POST", "/customers/batch", Some(json!({ "items": items, "atomic": is_atomic })), key)
}

fn a_batch_is_repeated_as_a_whole_and_its_key_is_for_no_other(database: Database) {
    let app = App::start(database);
    let native = app.native();
    for (is_atomic, key) in [(false, "each"), (true, "all")] {
        let id = |name: &str| format!("{name}-{key}");
        let mut items = vec![
            json!({"op": "create", "body": {"email": format!("ada@{key}.example"), "external_id": id("ada")}}),
            json!({"op": "upsert", "external_id": id("eda"), "body": {"name": "Eda", "allow_missing_email": true}}),
            json!({"op": "update", "external_id": id("ada"), "body": {"name": "Ada"}}),
            json!({"op": "upsert", "external_id": id("eda"), "body": {"name": "Eda", "allow_missing_email": true}}),
            json!({"op": "create", "body": {"email": format!("ida@{key}.example"), "external_id": id("ida")}}),
            json!({"op": "delete", "external_id": id("ida")}),
        ];
        if !is_atomic {
            items.push(json!({"op": "create", "body": {"email": format!("ada@{key}.example")}}));
            items.push(json!({"op": "create", "body": {"email": "none"}}));
            items.push(json!({"op": "delete", "external_id": "unknown"}));
        }
        let send = |items: &[Value]| send_batch(&native, is_atomic, items, key);
        let first = send(&items).expect(200);
        assert!(!is_replayed(&first), "{first:?}");
        let statuses: Vec<_> =
            first.json()["results"].as_array().expect("results").iter().map(|one| one["status"].clone()).collect();
        assert_eq!(statuses[..6], [201, 201, 200, 200, 201, 204].map(Value::from), "{first:?}");
        // Done anew, each of these would be answered otherwise.
        native.patch(&format!("/customers/{}", first.text_at("/results/0/body/id")), json!({"name": "Later"})).is(200);
        native.delete(&format!("/customers/{}", first.text_at("/results/1/body/id"))).is(204);
        let before = rows_in(app.database(), "customers");
        let repeat = send(&items).expect(200);
        assert!(is_replayed(&repeat), "{repeat:?}");
        assert_eq!(shown(&repeat), shown(&first));
        for other in [&items[..1], &[], &[items.clone(), items.clone()].concat()] {
            let refused = send(other).expect(409);
            assert_eq!(refused.text_at("/code"), "idempotency_key_reused", "{is_atomic}");
        }
        assert_eq!(rows_in(app.database(), "customers"), before);
    }
}

fn an_atomic_batch_that_was_refused_is_refused_again(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let holder = native.post("/customers", json!({"email": "ada@example.com"})).expect(201);
    let items = ["eda", "ada"].map(|name| json!({"op": "create", "body": {"email": format!("{name}@example.com")}}));
    let send = |key: &str| send_batch(&native, true, &items, key).expect(200);
    let first = send("k");
    assert_eq!(first.text_at("/results/1/body/code"), "email_taken");
    native.delete(&format!("/customers/{}", holder.text_at("/id"))).is(204);
    let repeat = send("k");
    assert!(is_replayed(&repeat) && !is_replayed(&first));
    assert_eq!(shown(&repeat), shown(&first));
    assert_eq!(send("another").json()["results"][1]["status"], 201);
}

fn of_sixteen_callers_with_one_batch_its_items_are_done_once(database: Database) {
    let pair = Pair::start(database);
    let callers = pair.callers(Surface::Native);
    let customers = || rows_in(pair.app.database(), "customers").len();
    for (is_atomic, key) in [(false, "each"), (true, "all")] {
        let before = customers();
        let items: Vec<_> = (0..30)
            .map(|number| json!({"op": "create", "body": {"email": format!("{number}@{key}.example")}}))
            .collect();
        let answers: Vec<Response> = thread::scope(|scope| {
            let callers = (0..16).map(|number| {
                let (native, items) = (&callers[number % 2], &items);
                scope.spawn(move || send_batch(native, is_atomic, items, key).expect(200))
            });
            let callers: Vec<_> = callers.collect();
            callers.into_iter().map(|caller| caller.join().expect("an answer")).collect()
        });
        for answer in &answers {
            assert_eq!(answer.json(), answers[0].json());
        }
        assert_eq!(customers(), before + items.len());
    }
}

fn a_read_ignores_the_key(database: Database) {
    let app = App::start(database);
    for key in ["k", "", "\"k"] {
        for surface in Surface::ALL {
            let listed = keyed(&app.surface(surface), "GET", "/customers", None, key).expect(200);
            assert!(!is_replayed(&listed), "{listed:?}");
        }
    }
}

const RACERS: usize = 16;
const ROUNDS: usize = 50;

/// Sends one request from sixteen threads to two instances at the same time.
fn race(callers: &[Caller; 2], send: impl Fn(&Caller) -> Response + Sync) -> Vec<Response> {
    let start = std::sync::Barrier::new(RACERS);
    thread::scope(|scope| {
        let racers: Vec<_> = (0..RACERS)
            .map(|place| {
                let (start, send) = (&start, &send);
                scope.spawn(move || {
                    start.wait();
                    send(&callers[place % 2])
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().expect("an answer")).collect()
    })
}

fn of_sixteen_callers_of_two_instances_one_creates_and_all_get_its_answer(database: Database) {
    let pair = Pair::start(database);
    for (surface, status) in [(Surface::Native, 201), (Surface::Lava, 201)] {
        let callers = pair.callers(surface);
        for round in 0..ROUNDS {
            let key = format!("{surface:?} {round}");
            // On Lava nothing but the key keeps the customers from being made sixteen times.
            let body = match surface {
                Surface::Native => json!({"email": format!("c{round}@example.com")}),
                Surface::Lumen | Surface::Lava => json!({"name": key}),
            };
            let answers = race(&callers, |caller| keyed(caller, "POST", "/customers", Some(body.clone()), &key));
            let distinct: BTreeSet<_> = answers.iter().map(Response::text).collect();
            assert_eq!(distinct.len(), 1, "{distinct:?}");
            assert!(answers.iter().all(|answer| answer.status == status), "{answers:?}");
            assert_eq!(answers.iter().filter(|answer| !is_replayed(answer)).count(), 1, "{answers:?}");
        }
    }
    assert_eq!(count(&pair.app), 2 * ROUNDS);
}

fn a_repeat_that_comes_while_the_first_runs_waits_for_it(database: Database) {
    let pair = Pair::start(database);
    let [first, _] = pair.callers(Surface::Native);
    let id = first.post("/customers", json!({"email": "ada@example.com"})).expect(201).text_at("/id");
    let path = format!("/customers/{id}");
    for round in 0..ROUNDS {
        let body = json!({"metadata": {"round": round}});
        let answers = race(&pair.callers(Surface::Native), |caller| {
            keyed(caller, "PATCH", &path, Some(body.clone()), &format!("round {round}"))
        });
        let distinct: BTreeSet<_> = answers.iter().map(|answer| (answer.status, answer.text())).collect();
        assert_eq!(distinct.len(), 1, "{distinct:?}");
        assert_eq!(answers.iter().filter(|answer| !is_replayed(answer)).count(), 1, "{answers:?}");
    }
}

fn of_sixteen_callers_one_makes_an_api_key_and_all_get_it(database: Database) {
    let pair = Pair::start(database);
    let manager =
        create_key(pair.app.database().url(), &pair.app.tenants().ours.id, "live", &["--scope", "keys:manage"]);
    let callers = pair.callers(Surface::Native).map(|caller| caller.with_key(&manager.key));
    for round in 0..10 {
        let order = json!({"name": format!("{round}"), "scopes": ["keys:manage"]});
        let create =
            |caller: &Caller| keyed(caller, "POST", "/api_keys", Some(order.clone()), &format!("make {round}"));
        let answers = race(&callers, create);
        assert!(answers.iter().all(|answer| answer.status == 201 && answer.text() == answers[0].text()), "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| !is_replayed(answer)).count(), 1, "{answers:?}");
        let rotate = format!("/api_keys/{}/rotate", answers[0].text_at("/id"));
        let answers = race(&callers, |caller| keyed(caller, "POST", &rotate, None, &format!("rotate {round}")));
        assert!(answers.iter().all(|answer| answer.status == 201 && answer.text() == answers[0].text()), "{answers:?}");
    }
}

/// Customers that are created with a key each, and have nothing else that could be unique. Their name is the key.
#[derive(Default)]
struct Created {
    /// The customer of each key.
    customers: BTreeMap<String, String>,
    /// Requests that were cut.
    cut: usize,
    /// Of these, the number that had been done.
    done: usize,
}

fn create<'a>(lava: &'a Caller, key: &str) -> Request<'a> {
    request(lava, "POST", "/customers", Some(json!({"name": key})), key)
}

impl Created {
    /// Creates customers from so many threads, and calls `cut` after `enough` of them. Each thread ends with its first
    /// request that is not answered 201. Returns the keys of those requests.
    fn until_cut(&mut self, app: &App, round: usize, callers: usize, enough: usize, cut: impl FnOnce()) -> Vec<String> {
        let (answer, answers) = mpsc::channel();
        let mut unanswered = Vec::new();
        thread::scope(|scope| {
            for caller in 0..callers {
                let (lava, answer) = (app.lava(), answer.clone());
                scope.spawn(move || {
                    for number in 0.. {
                        let key = format!("{round}-{caller}-{number}");
                        let response = create(&lava, &key).try_send().ok().filter(|response| response.status == 201);
                        let is_last = response.is_none();
                        let _test_has_failed =
                            answer.send((key, response.map(|response| response.text_at("/customer_id"))));
                        if is_last {
                            return;
                        }
                    }
                });
            }
            drop(answer);
            for _ in 0..enough {
                let (key, id) = answers.recv_timeout(TIMEOUT).expect("an answer");
                self.customers.insert(key, id.expect("nothing has been cut yet"));
            }
            cut();
            for (key, id) in answers {
                match id {
                    Some(id) => drop(self.customers.insert(key, id)),
                    None => unanswered.push(key),
                }
            }
        });
        self.cut += unanswered.len();
        unanswered
    }

    /// Repeats requests that were not answered.
    fn repeat(&mut self, app: &App, unanswered: &[String]) {
        let lava = app.lava();
        for key in unanswered {
            let repeat = create(&lava, key).send().expect(201);
            self.done += usize::from(is_replayed(&repeat));
            self.customers.insert(key.clone(), repeat.text_at("/customer_id"));
            let again = create(&lava, key).send();
            assert_eq!((shown(&again), is_replayed(&again)), (shown(&repeat), true));
        }
    }

    /// Asserts that there is one customer for each key, the one that was answered.
    fn assert_each_is_there_once(&self, app: &App) {
        let listed = app.lumen().get("/customers").expect(200).json();
        let mut stored = BTreeMap::new();
        for customer in listed["customers"].as_array().expect("a list") {
            let text = |field: &str| customer[field].as_str().expect("a text").to_owned();
            let twice = stored.insert(text("name"), suffix(&text("id")));
            assert_eq!(twice, None, "{} is there twice", text("name"));
        }
        let answered = self.customers.iter().map(|(key, id)| (key.clone(), suffix(id))).collect();
        assert_eq!(stored, answered);
    }
}

/// What an id has in common on all surfaces.
fn suffix(id: &str) -> String {
    id.rsplit('_').next().unwrap_or_default().to_ascii_lowercase()
}

fn after_kills_repeats_make_one_customer_for_each_key(database: Database) {
    kill_until(database, 8, |round, _| round < 8);
}

fn after_a_thousand_cut_requests_there_is_one_customer_for_each_key(database: Database) {
    let created = kill_until(database, 32, |_, cut| cut < 1000);
    assert!(created.done > 0 && created.done < created.cut, "{} of {} had been done", created.done, created.cut);
}

fn kill_until(database: Database, callers: usize, goes_on: impl Fn(usize, usize) -> bool) -> Created {
    let mut app = App::start(database);
    let mut created = Created::default();
    let mut round = 0;
    while goes_on(round, created.cut) {
        let unanswered = created.until_cut(&app, round, callers, 1 + 5 * (round % 20), || app.signal(Signal::Kill));
        app.wait(TIMEOUT);
        app.restart();
        created.repeat(&app, &unanswered);
        round += 1;
    }
    created.assert_each_is_there_once(&app);
    println!("{} requests were cut by {round} kills, of which {} had been done", created.cut, created.done);
    created
}

/// Kills the database instead of the service, which goes on.
fn crash_until(callers: usize, goes_on: impl Fn(usize, usize) -> bool) {
    let Some((database, cluster)) = Database::on_own_server() else { return };
    let app = App::start_with(database, &[("ROSTER__DATABASE__DEADLINE_MS", "5000")]);
    let mut created = Created::default();
    let mut round = 0;
    while goes_on(round, created.cut) {
        let unanswered = created.until_cut(&app, round, callers, 1 + 5 * (round % 20), || cluster.crash());
        restart(&cluster, &app);
        created.repeat(&app, &unanswered);
        round += 1;
    }
    created.assert_each_is_there_once(&app);
    println!("{} requests were cut by {round} crashes, of which {} had been done", created.cut, created.done);
}

fn restart(cluster: &Cluster, app: &App) {
    cluster.start();
    until("the service reaches its database", TIMEOUT, || (app.root().get("/readyz").status == 200).then_some(()));
    until("it writes", TIMEOUT, || (app.native().get("/customers?limit=1").status == 200).then_some(()));
}

#[test]
fn after_crashes_of_postgres_repeats_make_one_customer_for_each_key() {
    crash_until(8, |round, _| round < 3);
}

#[test]
#[ignore = "slow: make faults"]
fn after_crashes_of_postgres_under_a_thousand_requests_there_is_one_customer_for_each_key() {
    crash_until(32, |_, cut| cut < 1000);
}

fn a_key_is_free_again_after_its_time_and_its_reply_is_deleted(database: Database) {
    let app = App::start_with(database, &[("ROSTER__IDEMPOTENCY__KEEP_SECONDS", "60")]);
    let lava = app.lava();
    let first = create(&lava, "k").send().expect(201);
    create(&lava, "swept").send().is(201);
    let second = until("the key is free", 2 * TIMEOUT, || {
        let response = create(&lava, "k").send().expect(201);
        if is_replayed(&response) {
            assert_eq!(shown(&response), shown(&first));
            return None;
        }
        Some(response)
    });
    assert_ne!(second.text(), first.text());
    until("the other reply is deleted", TIMEOUT, || (rows_in(app.database(), "replies").len() == 1).then_some(()));
    assert!(is_replayed(&create(&lava, "k").send()));
}
