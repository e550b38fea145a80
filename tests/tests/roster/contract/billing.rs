//! What the client libraries of billing.io read and send besides what the seed shows.

use roster_tests::{App, Database, Response, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    the_id_has_a_second_name,
    every_error_has_an_error_object,
    health_needs_no_key,
    a_change_in_plain_json_replaces_the_metadata,
    a_customer_is_archived_and_active_again,
    an_archived_customer_is_seen_and_keeps_its_identifiers_on_every_surface,
    a_wrong_status_is_refused_and_nothing_is_written,
    a_list_is_filtered_by_status,
    a_list_skips_as_many_customers_as_asked_for,
    a_list_that_cannot_be_given_is_refused,
}

fn the_id_has_a_second_name(database: Database) {
    let app = App::start(database);
    let created = app.native().post("/customers", json!({"email": "ada@example.com"})).expect(201);
    assert_eq!(created.text_at("/customer_id"), created.text_at("/id"));
    let listed = app.native().get("/customers").expect(200);
    assert_eq!(listed.text_at("/data/0/customer_id"), created.text_at("/id"));
}

fn every_error_has_an_error_object(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let ada = native.post("/customers", json!({"email": "ada@example.com", "external_id": "ada"})).expect(201);
    let path = path(&ada);
    let too_large = json!({"email": "b@example.com", "metadata": {"k": "x".repeat(70_000)}});
    let taken_id = json!({"email": "b@example.com", "external_id": "ada"});
    for (response, status, kind, code, param) in [
        (native.without_key().get(&path), 401, "authentication_error", "unauthorized", None),
        (native.get("/api_keys"), 403, "authentication_error", "missing_scope", None),
        (native.get("/customers/cus_x"), 404, "not_found", "customer_not_found", None),
        (native.get("/checkouts"), 404, "not_found", "unknown_path", None),
        (native.post(&path, json!({})), 405, "invalid_request", "method_not_allowed", None),
        (native.post("/customers", "{"), 400, "invalid_request", "invalid_json", None),
        (native.post("/customers", too_large), 413, "invalid_request", "body_too_large", None),
        (native.post("/customers", "[]"), 422, "invalid_request", "wrong_type", None),
        (native.post("/customers", json!({"name": "x"})), 422, "invalid_request", "required", Some("email")),
        (
            native.patch(&path, json!({"billing_address": {"country": "XX"}})),
            422,
            "invalid_request",
            "invalid_country",
            Some("billing_address/country"),
        ),
        (native.get("/customers?limit=0"), 422, "invalid_request", "invalid_parameter", Some("limit")),
        (native.get("/customers?x=0"), 422, "invalid_request", "unknown_parameter", Some("x")),
        (
            native.post("/customers", json!({"email": "ada@example.com"})),
            409,
            "invalid_request",
            "email_taken",
            Some("email"),
        ),
        (native.post("/customers", taken_id), 409, "invalid_request", "external_id_taken", Some("external_id")),
    ] {
        assert_eq!(response.status, status, "{response:?}");
        let error = &response.json()["error"];
        assert_eq!(error["type"], kind, "{response:?}");
        assert_eq!(error["code"], code, "{response:?}");
        assert_eq!(error["param"], param.map_or(Value::Null, Value::from), "{response:?}");
        assert!(error["message"].as_str().is_some_and(|text| text.len() > 8), "{response:?}");
    }
}

fn health_needs_no_key(database: Database) {
    let app = App::start(database);
    let wrong = app.native().with_key("sk_live_wrong");
    for caller in [app.native(), app.native().without_key(), wrong] {
        let health = caller.get("/health").expect(200);
        assert_eq!(health.text(), format!(r#"{{"status":"healthy","version":"{}"}}"#, env!("CARGO_PKG_VERSION")));
    }
}

fn a_change_in_plain_json_replaces_the_metadata(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let body = json!({"email": "ada@example.com", "metadata": {"a": 1, "b": {"c": 2}}});
    let created = native.post("/customers", body).expect(201);
    let change = |content_type: &str, body: Value| {
        let request = native.request("PATCH", &path(&created)).json(body).header("content-type", content_type);
        request.send().expect(200).json()["metadata"].clone()
    };
    let new = json!({"b": {"d": null}, "e": null});
    assert_eq!(change("application/json", json!({"metadata": new})), new);
    assert_eq!(change("Application/JSON; charset=utf-8", json!({"metadata": {"a": 1}})), json!({"a": 1}));
    assert_eq!(change("application/json", json!({"name": "Ada"})), json!({"a": 1}));
    assert_eq!(
        change("application/merge-patch+json; charset=utf-8", json!({"metadata": {"a": null, "b": 2}})),
        json!({"b": 2})
    );
    assert_eq!(change("application/json", json!({"metadata": {}})), json!({}));
    // A refused change writes nothing.
    let before = native.get(&path(&created)).body;
    let nested = format!(r#"{{"name":"x","metadata":{}}}"#, "{\"k\":".repeat(9) + "1" + &"}".repeat(9));
    assert_eq!(native.patch(&path(&created), nested).expect(422).text_at("/error/param"), "metadata");
    assert_eq!(native.get(&path(&created)).body, before);
}

fn a_customer_is_archived_and_active_again(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let created = native.post("/customers", json!({"email": "ada@example.com"})).expect(201);
    assert_eq!(created.text_at("/status"), "active");
    let archived = native.patch(&path(&created), json!({"status": "archived"})).expect(200);
    let mut expected = created.json();
    expected["status"] = json!("archived");
    expected["updated_at"] = archived.json()["updated_at"].clone();
    expected["version"] = json!(2);
    assert_eq!(archived.json(), expected);
    assert_eq!(native.patch(&path(&created), json!({"status": "archived"})).expect(200).body, archived.body);
    let renamed = native.patch(&path(&created), json!({"name": "Ada"})).expect(200);
    assert_eq!((renamed.text_at("/status"), renamed.text_at("/name")), ("archived".to_owned(), "Ada".to_owned()));
    assert_eq!(native.get(&path(&created)).body, renamed.body);
    let active = native.patch(&path(&created), json!({"status": "active"})).expect(200);
    assert_eq!(active.text_at("/status"), "active");
    native.delete(&path(&created)).is(204);
}

fn an_archived_customer_is_seen_and_keeps_its_identifiers_on_every_surface(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let body = json!({"email": "ada@example.com", "external_id": "ada"});
    let created = native.post("/customers", body.clone()).expect(201);
    let everywhere = || {
        [
            app.lumen().get(&path(&created).replace("cus_", "cust_")).expect(200).json(),
            app.lumen().get("/customers").expect(200).json(),
            app.lava().get("/customers/ada").expect(200).json(),
            app.lava().get("/customers").expect(200).json(),
        ]
        .map(|answer| answer.to_string().replace(&created.text_at("/updated_at"), "<time>"))
    };
    let before = everywhere();
    let archived = native.patch(&path(&created), json!({"status": "archived"})).expect(200);
    let after = everywhere().map(|answer| answer.replace(&archived.text_at("/updated_at"), "<time>"));
    assert_eq!(after, before);
    assert_eq!(native.get("/customers/external/ada").expect(200).body, archived.body);
    let taken = native.post("/customers", body).expect(409);
    assert_eq!(taken.text_at("/customer_id"), created.text_at("/id"));
    // A change on another surface leaves the status as it is.
    app.lava().patch("/customers/ada", json!({"name": "Ada"})).is(200);
    assert_eq!(native.get(&path(&created)).expect(200).text_at("/status"), "archived");
    native.delete(&path(&created)).is(204);
    app.lava().get("/customers/ada").is(404);
    assert_eq!(native.get("/customers?status=archived").expect(200).json()["data"], json!([]));
}

fn a_wrong_status_is_refused_and_nothing_is_written(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let created = native.post("/customers", json!({"email": "ada@example.com"})).expect(201);
    for status in [json!("deleted"), json!("Active"), json!(""), json!(null), json!(1), json!({})] {
        let refused = native.patch(&path(&created), json!({"name": "Ada", "status": status})).expect(422);
        assert_eq!(refused.text_at("/errors/0/pointer"), "/status");
        assert_eq!(refused.text_at("/error/param"), "status");
        assert_eq!(native.get(&path(&created)).body, created.body);
    }
    native.post("/customers", json!({"email": "b@example.com", "status": "archived"})).is(422);
}

/// Seven customers, the newest first. Every second one is archived, the newest is not.
fn seven(app: &App) -> Vec<String> {
    let mut ids: Vec<_> = (0..7)
        .map(|number| {
            let body = json!({"email": format!("customer{number}@example.com")});
            let created = app.native().post("/customers", body).expect(201);
            if number % 2 == 1 {
                app.native().patch(&path(&created), json!({"status": "archived"})).is(200);
            }
            created.text_at("/id")
        })
        .collect();
    ids.reverse();
    ids
}

fn listed(page: &Response) -> Vec<String> {
    let data = page.json()["data"].as_array().cloned().expect("a list");
    data.iter().map(|customer| customer["id"].as_str().expect("an id").to_owned()).collect()
}

fn a_list_is_filtered_by_status(database: Database) {
    let app = App::start(database);
    let ids = seven(&app);
    let every_second = |first: usize| ids.iter().skip(first).step_by(2).cloned().collect::<Vec<_>>();
    for (query, expected) in
        [("", ids.clone()), ("&status=active", every_second(0)), ("&status=archived", every_second(1))]
    {
        for limit in [1, 2, 3, 100] {
            let mut all = Vec::new();
            let mut cursor = String::new();
            loop {
                let page = app.native().get(&format!("/customers?limit={limit}{query}{cursor}")).expect(200);
                all.extend(listed(&page));
                match page.json()["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(all, expected, "{query}, limit {limit}");
        }
    }
    let strangers = app.native().with_key(&app.tenants().theirs.live);
    assert_eq!(listed(&strangers.get("/customers?status=archived").expect(200)), [""; 0]);
}

fn a_list_skips_as_many_customers_as_asked_for(database: Database) {
    let app = App::start(database);
    let ids = seven(&app);
    let get = |query: &str| app.native().get(&format!("/customers?{query}")).expect(200);
    assert_eq!(listed(&get("offset=0")), ids);
    let page = get("limit=2&offset=3");
    assert_eq!((listed(&page), &page.json()["has_more"]), (ids[3..5].to_vec(), &json!(true)));
    let next = page.text_at("/next_cursor");
    assert_eq!(listed(&get(&format!("cursor={next}"))), ids[5..]);
    assert_eq!(listed(&get(&format!("cursor={next}&offset=1"))), ids[6..]);
    let last = get("limit=2&offset=5");
    assert_eq!((listed(&last), &last.json()["has_more"]), (ids[5..].to_vec(), &json!(false)));
    assert_eq!(listed(&get("offset=10000")), [""; 0]);
    assert_eq!(listed(&get("status=archived&offset=1&limit=1")), [ids[3].clone()]);
}

fn a_list_that_cannot_be_given_is_refused(database: Database) {
    let app = App::start(database);
    for (query, param, words) in [
        ("status=deleted", "status", "active or archived"),
        ("status=", "status", "active or archived"),
        ("offset=-1", "offset", "0 to 10000"),
        ("offset=10001", "offset", "0 to 10000"),
        ("offset=x", "offset", "0 to 10000"),
        ("offset=1.0", "offset", "0 to 10000"),
        ("search=", "search", "must not be empty"),
        ("search=a%00b", "search", "control characters"),
        ("search=ada&search=eda", "search", "twice"),
    ] {
        let refused = app.native().get(&format!("/customers?{query}")).expect(422);
        assert_eq!(refused.text_at("/error/param"), param, "{query}");
        assert_eq!(refused.text_at("/errors/0/parameter"), param, "{query}");
        assert!(refused.text_at("/error/message").contains(words), "{refused:?}");
    }
}

fn path(created: &Response) -> String {
    format!("/customers/{}", created.text_at("/id"))
}
