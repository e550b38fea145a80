//! Many writes with one request, each for itself or all or nothing.

use roster_tests::app::create_key;
use roster_tests::client::Surface;
use roster_tests::rows::rows_in;
use roster_tests::{App, Caller, Database, Response, on_both_databases};
use serde_json::{Value, json};

use crate::routes::assert_error;

on_both_databases! {
    the_items_of_a_batch_are_answered_as_requests_of_their_own,
    each_item_sees_what_those_before_it_did,
    a_bad_item_fails_alone,
    the_faults_of_an_item_are_named_from_its_body_on,
    an_atomic_batch_is_done_as_a_whole,
    an_atomic_batch_with_a_bad_item_stores_nothing,
    a_batch_has_at_most_five_hundred_items_and_one_mebibyte,
    five_hundred_items_are_done_in_their_order,
    a_batch_that_is_none_is_refused,
    an_item_that_shares_an_address_needs_its_scope,
    customers_of_other_tenants_do_not_exist_for_a_batch,
    ten_items_count_as_one_request,
}

fn send(native: &Caller, items: &Value) -> Response {
    native.post("/customers/batch", json!({ "items": items }))
}

fn send_atomic(native: &Caller, items: &Value) -> Response {
    native.post("/customers/batch", json!({ "items": items, "atomic": true }))
}

fn results(response: Response) -> Vec<Value> {
    response.expect(200).json()["results"].as_array().cloned().expect("results")
}

fn statuses(results: &[Value]) -> Vec<u64> {
    results.iter().map(|result| result["status"].as_u64().expect("a status")).collect()
}

fn codes(results: &[Value]) -> Vec<&str> {
    results.iter().map(|result| result["body"]["code"].as_str().unwrap_or_default()).collect()
}

fn customers(app: &App) -> usize {
    rows_in(app.database(), "customers").len()
}

fn the_items_of_a_batch_are_answered_as_requests_of_their_own(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let existing = native.post("/customers", json!({"email": "ada@example.com", "external_id": "ada"})).expect(201);
    let id = existing.text_at("/id");
    let done = results(send(
        &native,
        &json!([
            {"op": "create", "body": {"email": "eda@example.com", "metadata": {"a": [1.50]}}},
            {"op": "create", "body": {"email": "ada@example.com", "on_conflict": "return_existing"}},
            {"op": "upsert", "external_id": "ida", "body": {"phone": "+4930123456", "allow_missing_email": true}},
            {"op": "upsert", "body": {"email": "oda@example.com", "external_id": "oda"}, "id": null},
            {"op": "update", "id": id, "body": {"name": "Ada"}},
            {"op": "update", "external_id": "ida", "body": {"name": "Ida"}},
            {"op": "delete", "external_id": "ida"},
        ]),
    ));
    assert_eq!(statuses(&done), [201, 200, 201, 201, 200, 200, 204]);
    assert_eq!(done[1]["body"], existing.json());
    assert_eq!(done[6]["body"], Value::Null);
    for (place, path) in [(0, ""), (3, "external/oda"), (4, "external/ada")] {
        let id = done[place]["body"]["id"].as_str().expect("an id");
        let path = if path.is_empty() { id } else { path };
        assert_eq!(native.get(&format!("/customers/{path}")).expect(200).json(), done[place]["body"]);
    }
    assert_eq!((&done[5]["body"]["name"], &done[5]["body"]["version"]), (&json!("Ida"), &json!(2)));
    native.get("/customers/external/ida").is(404);
    assert_eq!(send(&native, &json!([])).expect(200).text(), r#"{"results":[]}"#);
}

fn each_item_sees_what_those_before_it_did(database: Database) {
    let app = App::start(database);
    let items = json!([
        {"op": "upsert", "external_id": "ada", "body": {"email": "ada@example.com"}},
        {"op": "upsert", "external_id": "ada", "body": {"email": "ada@example.com"}},
        {"op": "create", "body": {"email": "ada@example.com", "on_conflict": "return_existing"}},
        {"op": "update", "external_id": "ada", "body": {"external_id": "eda"}},
        {"op": "upsert", "external_id": "ada", "body": {"email": "ada2@example.com"}},
        {"op": "delete", "external_id": "eda"},
        {"op": "create", "body": {"email": "ada@example.com", "external_id": "eda"}},
    ]);
    for send in [send, send_atomic] {
        let done = results(send(&app.native(), &items));
        assert_eq!(statuses(&done), [201, 200, 200, 200, 201, 204, 201], "{done:?}");
        let id = |place: usize| done[place]["body"]["id"].as_str().expect("an id");
        assert!([1, 2, 3].into_iter().all(|place| id(place) == id(0)), "{done:?}");
        assert_eq!(done[2]["body"]["version"], 1);
        assert!(id(4) != id(0) && id(6) != id(0), "{done:?}");
        let rest = json!([{"op": "delete", "id": id(4)}, {"op": "delete", "external_id": "eda"}]);
        assert_eq!(statuses(&results(send(&app.native(), &rest))), [204, 204]);
    }
}

fn a_bad_item_fails_alone(database: Database) {
    let app = App::start(database);
    let native = app.native();
    native.post("/customers", json!({"email": "ada@example.com"})).is(201);
    let done = results(send(
        &native,
        &json!([
            {"op": "create", "body": {"email": "a@example.com"}},
            {"op": "create", "body": {"email": "ada@example.com"}},
            {"op": "create", "body": {"email": "not an address"}},
            {"op": "update", "external_id": "unknown", "body": {}},
            {"op": "update", "id": "malformed", "body": {}},
            {"op": "delete", "external_id": "con_malformed"},
            {"op": "paint", "body": {}},
            5,
            {"op": "create", "body": {"email": "b@example.com"}},
        ]),
    ));
    assert_eq!(statuses(&done), [201, 409, 422, 404, 404, 404, 422, 422, 201]);
    let expected = ["", "email_taken", "invalid_request", "customer_not_found"];
    assert_eq!(codes(&done)[..4], expected);
    // A problem is the one that a request of its own is answered.
    let alone = native.post("/customers", json!({"email": "ada@example.com"})).expect(409);
    assert_eq!(done[1]["body"], alone.json());
    assert_eq!(customers(&app), 3);
}

fn the_faults_of_an_item_are_named_from_its_body_on(database: Database) {
    let app = App::start(database);
    let done = results(send(
        &app.native(),
        &json!([
            {"op": "create", "body": {"email": 1, "billing_address": {"country": "XX"}, "version": 2}},
            {"op": "upsert", "external_id": "ada", "body": {"email": "a@example.com", "external_id": "eda"}},
            {"op": "update", "external_id": "ada", "body": []},
            {"op": "create"},
            {"op": "create", "id": "cus_x", "external_id": "ada", "body": {}, "colour": "red"},
            {"op": "upsert", "body": {"email": "a@example.com"}},
            {"op": "upsert", "external_id": "con_x", "body": {"email": "a@example.com"}},
            {"op": "update", "body": {}},
            {"op": "update", "id": "cus_x", "external_id": "ada", "body": {}},
            {"op": "delete", "external_id": "ada", "body": {}},
            {"op": 1},
            {"op": "delete", "id": 1},
            {"op": "upsert", "external_id": "ada", "body": {"email": "a@example.com", "on_conflict": "return_existing"}},
        ]),
    ));
    assert_eq!(statuses(&done), [422; 13]);
    let places = |result: &Value| -> Vec<String> {
        let faults = result["body"]["errors"].as_array().expect("faults").iter();
        faults
            .map(|fault| fault["pointer"].as_str().or(fault["parameter"].as_str()).unwrap_or("?").to_owned())
            .collect()
    };
    let expected: [&[&str]; 13] = [
        &["/email", "/billing_address/country", "/version"],
        &["/external_id"],
        &[""],
        &["body"],
        &["id", "external_id", "external_id", "colour"],
        &["external_id"],
        &["external_id"],
        &["id"],
        &["external_id"],
        &["body"],
        &["op"],
        &["id"],
        &["/on_conflict"],
    ];
    for (result, expected) in done.iter().zip(expected) {
        assert_eq!(places(result), expected, "{result}");
    }
    assert_eq!(customers(&app), 0);
}

fn an_atomic_batch_is_done_as_a_whole(database: Database) {
    let app = App::start(database);
    let native = app.native();
    native.post("/customers", json!({"email": "ada@example.com", "external_id": "ada"})).is(201);
    let mut items = vec![
        json!({"op": "update", "external_id": "ada", "body": {"email": "free@example.com"}}),
        json!({"op": "create", "body": {"email": "ada@example.com"}}),
    ];
    items.extend((0..498).map(|number| {
        json!({"op": "upsert", "external_id": format!("{number}"), "body": {"email": format!("{number}@example.com")}})
    }));
    let done = results(send_atomic(&native, &json!(items)));
    assert_eq!(statuses(&done)[..2], [200, 201]);
    assert!(statuses(&done)[2..].iter().all(|status| *status == 201), "{done:?}");
    assert_eq!(customers(&app), 500);
    let again = results(send_atomic(&native, &json!(items[2..])));
    assert!(again.iter().zip(&done[2..]).all(|(again, first)| again["body"] == first["body"]), "{again:?}");
}

fn an_atomic_batch_with_a_bad_item_stores_nothing(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let ada = native.post("/customers", json!({"email": "ada@example.com", "external_id": "ada"})).expect(201);
    let good =
        |name: &str| json!({"op": "upsert", "external_id": name, "body": {"email": format!("{name}@example.com")}});
    let change = json!({"op": "update", "external_id": "ada", "body": {"name": "Ada"}});
    for (status, code, bad) in [
        (409, "email_taken", json!({"op": "create", "body": {"email": "ada@example.com"}})),
        (409, "email_taken", json!({"op": "create", "body": {"email": "a@example.com"}})),
        (404, "customer_not_found", json!({"op": "delete", "external_id": "unknown"})),
        (422, "invalid_request", json!({"op": "create", "body": {"email": "x"}})),
        (422, "invalid_request", json!({"op": "paint"})),
    ] {
        let done = results(send_atomic(&native, &json!([good("a"), change, bad, good("b")])));
        assert_eq!(statuses(&done), [424, 424, status, 424], "{done:?}");
        assert_eq!(codes(&done), ["batch_undone", "batch_undone", code, "batch_undone"]);
        assert_eq!(customers(&app), 1);
        assert_eq!(native.get("/customers/external/ada").expect(200).body, ada.body);
    }
}

fn a_batch_has_at_most_five_hundred_items_and_one_mebibyte(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let refused = send(&native, &json!(vec![json!({"op": "delete", "external_id": "x"}); 501]));
    assert_error(Surface::Native, &refused, 422);
    assert_eq!(refused.json()["errors"][0]["pointer"], "/items");
    assert_eq!(refused.json()["errors"][0]["code"], "too_many");
    let of_bytes = |bytes: usize| {
        let body = r#"{"items":[{"op":"delete","external_id":"x"}]}"#;
        native.post("/customers/batch", format!("{body}{}", " ".repeat(bytes - body.len())))
    };
    assert_eq!(statuses(&results(of_bytes(1 << 20))), [404]);
    let too_large = of_bytes((1 << 20) + 1);
    assert_error(Surface::Native, &too_large, 413);
    assert!(too_large.text_at("/detail").contains("1048576"), "{too_large:?}");
}

fn five_hundred_items_are_done_in_their_order(database: Database) {
    let app = App::start(database);
    let items: Vec<_> = (0..500)
        .map(|number| match number % 5 {
            0 => json!({"op": "upsert", "external_id": "ada", "body": {"email": "ada@example.com", "name": format!("{number}")}}),
            _ => json!({"op": "create", "body": {"email": format!("{number}@example.com")}}),
        })
        .collect();
    let done = results(send(&app.native(), &json!(items)));
    for (number, result) in done.iter().enumerate() {
        let is_first = number == 0 || number % 5 != 0;
        assert_eq!(result["status"], if is_first { 201 } else { 200 }, "{number}: {result}");
        if number % 5 == 0 {
            assert_eq!(result["body"]["version"], number / 5 + 1, "{number}");
        } else {
            assert_eq!(result["body"]["email"], format!("{number}@example.com"));
        }
    }
    assert_eq!(app.native().get("/customers/external/ada").text_at("/name"), "495");
}

fn a_batch_that_is_none_is_refused(database: Database) {
    let app = App::start(database);
    let native = app.native();
    for (body, place) in [
        (json!({}), "/items"),
        (json!({"items": null}), "/items"),
        (json!({"items": {}}), "/items"),
        (json!({"items": [], "atomic": "yes"}), "/atomic"),
        (json!({"items": [], "dry_run": true}), "/dry_run"),
        (json!([]), ""),
    ] {
        let refused = native.post("/customers/batch", body);
        assert_error(Surface::Native, &refused, 422);
        assert_eq!(refused.json()["errors"][0]["pointer"], place);
    }
    native.post("/customers/batch", r#"{"items":[{"op":"delete","op":"create"}]}"#).is(400);
    native.get("/customers/batch").is(405);
}

fn an_item_that_shares_an_address_needs_its_scope(database: Database) {
    let app = App::start(database);
    let key = create_key(app.database().url(), &app.tenants().ours.id, "live", &["--scope", "customers:write"]).key;
    let writer = app.native().with_key(&key);
    let shared = json!({"email": "ada@example.com", "allow_duplicate_email": true});
    let items = json!([
        {"op": "create", "body": {"email": "ada@example.com", "external_id": "ada"}},
        {"op": "create", "body": shared},
        {"op": "upsert", "external_id": "eda", "body": shared},
        {"op": "update", "external_id": "ada", "body": shared},
        {"op": "create", "body": {"on_conflict": "return_existing", "email": "x@example.com", "allow_duplicate_email": true}},
    ]);
    let done = results(send(&writer, &items));
    assert_eq!(statuses(&done), [201, 403, 403, 403, 403]);
    assert_eq!(codes(&done)[1..], ["missing_scope"; 4]);
    assert_eq!(done[1]["body"]["scope"], "customers:allow_duplicate_email");
    assert_eq!(statuses(&results(send_atomic(&writer, &items))), [424, 403, 403, 403, 403]);
    assert_eq!(customers(&app), 1);
}

fn customers_of_other_tenants_do_not_exist_for_a_batch(database: Database) {
    let app = App::start(database);
    let ada = app.native().post("/customers", json!({"email": "ada@example.com", "external_id": "ada"})).expect(201);
    let id = ada.text_at("/id");
    let unknown = format!("{}{}", &id[..id.len() - 1], if id.ends_with('0') { '1' } else { '0' });
    let items = |id: &str, external_id: &str| {
        json!([
            {"op": "update", "id": id, "body": {"name": "x"}},
            {"op": "delete", "id": id},
            {"op": "update", "external_id": external_id, "body": {"name": "x"}},
            {"op": "delete", "external_id": external_id},
        ])
    };
    let tenants = app.tenants().clone();
    for key in [&tenants.ours.sandbox, &tenants.theirs.live, &tenants.theirs.sandbox] {
        let stranger = app.native().with_key(key);
        for send in [send, send_atomic] {
            let answer = send(&stranger, &items(&id, "ada")).expect(200);
            assert_eq!(answer.body, send(&stranger, &items(&unknown, "eda")).body);
            assert!(!answer.text().contains("\"status\":2"), "{answer:?}");
        }
        let upsert = json!([{"op": "upsert", "external_id": "ada", "body": {"email": "ada@example.com"}}]);
        let own = results(send(&stranger, &upsert));
        assert_eq!(own[0]["status"], 201);
        assert_ne!(own[0]["body"]["id"], json!(id));
    }
    assert_eq!(app.native().get("/customers/external/ada").expect(200).body, ada.body);
}

fn ten_items_count_as_one_request(database: Database) {
    let app = App::start_with(database, &[("ROSTER__LIMITS__LIVE_KEY_PER_SECOND", "1000")]);
    let native = app.native();
    let left = |response: &Response| -> u32 {
        let left = response.header("ratelimit").expect("a header").strip_prefix("\"key\";r=").expect("a key");
        left.split(';').next().expect("a number").parse().expect("a number")
    };
    let items = |count: usize| json!(vec![json!({"op": "delete", "external_id": "x"}); count]);
    // On a busy machine a part of the second is over between two counts: what is left is never less than this.
    for (count, requests) in [(0, 1), (10, 1), (11, 2), (500, 50)] {
        let key = create_key(app.database().url(), &app.tenants().ours.id, "live", &[]).key;
        let response = send(&native.with_key(&key), &items(count));
        assert!((1000 - requests..=1000 - requests / 2).contains(&left(&response)), "{count}: {response:?}");
    }
}
