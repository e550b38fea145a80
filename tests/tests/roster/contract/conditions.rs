//! Conditional requests of the native surface: entity tags, `If-Match` and `If-None-Match`.

use roster_tests::client::{Request, Surface};
use roster_tests::{App, Caller, Database, Response, on_both_databases};
use serde_json::{Value, json};

use crate::routes::assert_error;

on_both_databases! {
    every_answer_that_shows_one_customer_has_its_tag_and_version,
    a_read_of_what_the_client_has_is_304,
    a_write_with_an_outdated_tag_is_412_and_does_nothing,
    a_write_with_the_current_tag_is_done,
    a_star_means_that_the_customer_must_exist,
    a_list_of_tags_is_met_by_one_of_them,
    a_tag_of_another_customer_with_the_same_external_id_is_outdated,
    a_report_of_a_subscription_takes_the_tag_of_the_subscription,
    a_malformed_condition_is_400_and_names_the_header,
    the_other_surfaces_ignore_conditions,
}

fn create(native: &Caller, name: &str) -> Response {
    let body = json!({"email": format!("{name}@example.com"), "external_id": name});
    native.post("/customers", body).expect(201)
}

fn path(customer: &Response) -> String {
    format!("/customers/{}", customer.text_at("/id"))
}

fn tag(response: &Response) -> String {
    response.header("etag").unwrap_or_else(|| panic!("no tag: {response:?}")).to_owned()
}

/// A request that changes, replaces or deletes a customer, on one condition.
fn change<'a>(native: &'a Caller, path: &str, condition: (&str, &str)) -> Request<'a> {
    native.request("PATCH", path).header(condition.0, condition.1).json(json!({"name": "Changed"}))
}

fn remove<'a>(native: &'a Caller, path: &str, condition: (&str, &str)) -> Request<'a> {
    native.request("DELETE", path).header(condition.0, condition.1)
}

fn read(native: &Caller, path: &str, condition: (&str, &str)) -> Response {
    native.request("GET", path).header(condition.0, condition.1).send()
}

/// Asserts that `response` says that `current` is stored.
fn assert_outdated(response: &Response, current: &Response) {
    assert_error(Surface::Native, response, 412);
    let problem = response.json();
    assert_eq!(
        (&problem["code"], &problem["current_version"]),
        (&json!("version_mismatch"), &current.json()["version"])
    );
    assert_eq!(tag(response), tag(current));
}

fn every_answer_that_shows_one_customer_has_its_tag_and_version(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let created = create(&native, "ada");
    let first = tag(&created);
    assert!(first.starts_with('"') && first.ends_with('"'), "a strong tag: {first}");
    assert_eq!(created.json()["version"], 1);
    let by_external_id = native.get("/customers/external/ada").expect(200);
    assert_eq!([tag(&native.get(&path(&created))), tag(&by_external_id)], [first.as_str(); 2]);
    let changed = native.patch(&path(&created), json!({"name": "Ada"})).expect(200);
    assert_eq!(changed.json()["version"], 2);
    assert_ne!(tag(&changed), first);
    assert_eq!(tag(&native.get(&path(&created))), tag(&changed));
    let unchanged = native.patch(&path(&created), json!({"name": "Ada"})).expect(200);
    assert_eq!(tag(&unchanged), tag(&changed));
    assert_eq!(native.get("/customers").json()["data"][0]["version"], 2);
    assert_ne!(tag(&create(&native, "eda")), first, "two customers have two tags at one version");
}

fn a_read_of_what_the_client_has_is_304(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let created = create(&native, "ada");
    let current = tag(&created);
    for path in [path(&created), "/customers/external/ada".to_owned()] {
        let met = [current.clone(), format!("W/{current}"), format!("\"x\", {current}"), "*".to_owned()];
        for condition in &met {
            let response = read(&native, &path, ("if-none-match", condition)).expect(304);
            assert_eq!((response.body.len(), tag(&response)), (0, current.clone()), "{condition}");
        }
        for condition in ["\"x\"", "W/\"x\", \"y\""] {
            assert_eq!(read(&native, &path, ("if-none-match", condition)).expect(200).body, created.body);
        }
        read(&native, &path, ("if-match", &current)).is(200);
        assert_outdated(&read(&native, &path, ("if-match", "\"x\"")), &created);
    }
    native.patch(&path(&created), json!({"name": "Ada"})).is(200);
    read(&native, &path(&created), ("if-none-match", &current)).is(200);
    read(&native, "/customers/external/unknown", ("if-none-match", "*")).is(404);
}

fn a_write_with_an_outdated_tag_is_412_and_does_nothing(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let created = create(&native, "ada");
    let path = path(&created);
    let outdated = tag(&created);
    let current = native.patch(&path, json!({"name": "Ada"})).expect(200);
    // A weak tag equals none.
    let weak = format!("W/{}", tag(&current));
    for tag in [outdated.as_str(), &weak, "\"x\""] {
        assert_outdated(&change(&native, &path, ("if-match", tag)).send(), &current);
        assert_outdated(&remove(&native, &path, ("if-match", tag)).send(), &current);
    }
    for excluded in [tag(&current), weak, "*".to_owned()] {
        assert_outdated(&change(&native, &path, ("if-none-match", &excluded)).send(), &current);
        assert_outdated(&remove(&native, &path, ("if-none-match", &excluded)).send(), &current);
    }
    assert_eq!(native.get(&path).expect(200).body, current.body);
    // What would fail without the condition fails as it does without it.
    let invalid = native.request("PATCH", &path).header("if-match", &outdated).json(json!({"name": 1}));
    invalid.send().is(422);
    native.delete(&path).is(204);
    change(&native, &path, ("if-match", &outdated)).send().is(404);
    remove(&native, &path, ("if-match", &outdated)).send().is(404);
}

fn a_write_with_the_current_tag_is_done(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let created = create(&native, "ada");
    let path = path(&created);
    let changed = change(&native, &path, ("if-match", &tag(&created))).send().expect(200);
    assert_eq!(changed.json()["version"], 2);
    change(&native, &path, ("if-none-match", &tag(&created))).send().is(200);
    remove(&native, &path, ("if-match", &tag(&changed))).send().is(204);
    native.get(&path).is(404);
}

fn a_star_means_that_the_customer_must_exist(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let path = path(&create(&native, "ada"));
    change(&native, &path, ("if-match", "*")).send().is(200);
    remove(&native, &path, ("if-match", "*")).send().is(204);
    // Without the condition the answer is 404: RFC 9110 §13.2.1 has the condition ignored.
    change(&native, &path, ("if-match", "*")).send().is(404);
    remove(&native, &path, ("if-match", "*")).send().is(404);
}

fn a_list_of_tags_is_met_by_one_of_them(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let [ada, eda] = ["ada", "eda"].map(|name| create(&native, name));
    let list = format!("\"x\" ,, W/\"y\", {},{}", tag(&eda), tag(&ada));
    for customer in [&ada, &eda] {
        change(&native, &path(customer), ("if-match", &list)).send().is(200);
    }
    let request = change(&native, &path(&ada), ("if-match", "\"x\""));
    request.header("if-match", &tag(&native.get(&path(&ada)))).send().is(200);
}

fn a_tag_of_another_customer_with_the_same_external_id_is_outdated(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let first = create(&native, "ada");
    native.delete(&path(&first)).is(204);
    let second = create(&native, "ada");
    assert_eq!(first.json()["version"], second.json()["version"]);
    let shown = read(&native, "/customers/external/ada", ("if-none-match", &tag(&first))).expect(200);
    assert_eq!(shown.body, second.body);
    assert_outdated(&change(&native, &path(&second), ("if-match", &tag(&first))).send(), &second);
}

fn a_report_of_a_subscription_takes_the_tag_of_the_subscription(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let created = create(&native, "ada");
    let path = format!("{}/subscriptions/sub_1", path(&created));
    let report = |condition: (&str, &str)| {
        native.request("PUT", &path).header(condition.0, condition.1).json(json!({"status": "active"})).send()
    };
    let missing = report(("if-match", "*"));
    assert_error(Surface::Native, &missing, 412);
    assert_eq!((missing.text_at("/code"), missing.header("etag")), ("precondition_failed".to_owned(), None));
    let first = report(("if-none-match", "*")).expect(201);
    assert_eq!(first.json()["version"], 1);
    assert_outdated(&report(("if-none-match", "*")), &first);
    let second = report(("if-match", &tag(&first))).expect(200);
    assert_outdated(&report(("if-match", &tag(&first))), &second);
    assert_eq!(native.get(&path.replace("/sub_1", "")).json()["data"], json!([second.json()]));
}

fn a_malformed_condition_is_400_and_names_the_header(database: Database) {
    let app = App::start(database);
    let native = app.native();
    let created = create(&native, "ada");
    let path = path(&created);
    let unquoted = tag(&created).replace('"', "");
    for (header, name) in [("if-match", "If-Match"), ("if-none-match", "If-None-Match")] {
        for value in [unquoted.as_str(), "", "*, *", "\"x"] {
            let condition = (header, value);
            let answers = [
                read(&native, &path, condition),
                change(&native, &path, condition).send(),
                remove(&native, &path, condition).send(),
            ];
            for answer in answers {
                assert_error(Surface::Native, &answer, 400);
                let problem = answer.json();
                assert_eq!((&problem["code"], &problem["error"]["param"]), (&json!("malformed_header"), &json!(name)));
            }
        }
    }
    assert_eq!(native.get(&path).expect(200).body, created.body);
}

fn the_other_surfaces_ignore_conditions(database: Database) {
    let app = App::start(database);
    let id = create(&app.native(), "ada").text_at("/id");
    for (surface, method, path) in [
        (Surface::Lumen, "POST", format!("/customers/{}", id.replace("cus_", "cust_"))),
        (Surface::Lava, "PATCH", "/customers/ada".to_owned()),
    ] {
        let caller = app.surface(surface);
        for condition in [("if-match", "\"x\""), ("if-match", "x"), ("if-none-match", "*")] {
            let shown = read(&caller, &path, condition).expect(200);
            assert_eq!(shown.header("etag"), None);
            let request = caller.request(method, &path).header(condition.0, condition.1);
            assert_ne!(request.json(json!({"name": "Ada"})).send().expect(200).json(), Value::Null);
        }
        let last = caller.request("DELETE", &path).header("if-match", "\"x\"");
        if surface == Surface::Lava {
            last.send().is(200);
        }
    }
}
