//! The console's pages for developers: keys, webhooks, events, exports and imports.

use std::collections::BTreeSet;

use roster_tests::client::encode;
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::receiver::Receiver;
use roster_tests::{App, Database, Response, on_both_databases};
use serde_json::{Value, json};

use crate::console::{ATTACKS, Form, Visitor, escaped, location, unescaped};

on_both_databases! {
    a_key_is_created_rotated_and_revoked_and_its_secret_is_shown_once,
    revoking_the_key_of_the_session_signs_out,
    what_is_wrong_with_a_new_key_is_shown_at_its_field,
    a_webhook_is_created_changed_tested_and_deleted,
    events_are_sent_again_to_a_receiver,
    events_are_shown_and_filtered,
    customers_are_exported_as_a_file,
    an_import_is_followed_and_its_errors_are_shown,
    a_file_is_sent_with_a_form,
    a_form_with_a_file_that_is_refused_imports_nothing,
    imports_are_listed_with_their_progress,
    a_key_without_the_scope_of_a_page_sees_which_one_it_lacks,
    forms_without_the_token_of_the_session_change_nothing,
    texts_of_developers_are_shown_as_texts,
    the_choices_are_those_of_the_api,
    without_the_api_page_no_link_leads_to_it,
}

/// All scopes that the pages need, and no other.
const NEEDED: [&str; 5] = ["customers:read", "events:read", "keys:manage", "webhooks:manage", "imports:write"];

/// A service that may send to this machine, and a visitor with a live key that all pages accept.
fn start(database: Database) -> (App, Visitor) {
    let app = App::start_with(database, &[("ROSTER__WEBHOOKS__ALLOW_PRIVATE", "true")]);
    let visitor = Visitor::signed_in(&app, &app.live_key(&NEEDED));
    (app, visitor)
}

/// The token of the forms of the session.
fn token(visitor: &mut Visitor) -> String {
    Form::of_header(&visitor.get("/live/developers").expect(200).text())
}

/// Sends a form with the token of the session and these fields.
fn post(visitor: &mut Visitor, path: &str, fields: &[(&str, &str)]) -> Response {
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("&{name}={}", encode(value))).collect();
    let form = token(visitor) + &fields.concat();
    visitor.post(path, &form)
}

/// The text of the block with a secret.
fn secret(page: &Response) -> String {
    let text = page.text();
    let secret = text.split_once("<code>").expect("a block").1.split_once("</code>").expect("its end").0;
    unescaped(secret)
}

/// The identifiers behind a path that the links of a page have.
fn ids(page: &str, path: &str) -> Vec<String> {
    let links = page.split("href=\"").skip(1).filter_map(|link| link.strip_prefix(path));
    links.map(|link| link.split(['"', '?']).next().unwrap_or_default().to_owned()).collect()
}

const KEYS: &str = "/console/live/developers/keys/";

fn a_key_is_created_rotated_and_revoked_and_its_secret_is_shown_once(database: Database) {
    let (app, mut visitor) = start(database);
    let order =
        [("name", "Reports"), ("scopes", "customers:read"), ("scopes", "events:read"), ("expires_at", "2099-01-01")];
    let made = post(&mut visitor, "/live/developers/keys/new", &order).expect(201);
    let first = secret(&made);
    assert!(first.starts_with("sk_live_"), "{made:?}");
    app.native().with_key(&first).get("/customers").is(200);
    app.native().with_key(&first).post("/customers", json!({ "email": "ada@example.com" })).is(403);
    let list = visitor.get("/live/developers/keys").expect(200).text();
    assert!(
        list.contains("Reports") && list.contains("customers:read, events:read") && !list.contains(&first),
        "{list}"
    );
    // Only the key of the session is marked.
    assert_eq!(list.matches("You have signed in with this key").count(), 1, "{list}");
    let id = ids(&list, KEYS).into_iter().rfind(|id| id != "new").expect("a key");
    let page = visitor.get(&format!("/live/developers/keys/{id}")).expect(200).text();
    assert!(page.contains("Reports") && page.contains("2099-01-01") && !page.contains(&first), "{page}");
    let rotated = post(&mut visitor, &format!("/live/developers/keys/{id}/rotate"), &[("overlap_seconds", "3600")]);
    let second = secret(&rotated.expect(201));
    assert_ne!(first, second);
    for key in [&first, &second] {
        app.native().with_key(key).get("/customers").is(200);
    }
    let gone = post(&mut visitor, &format!("/live/developers/keys/{id}/revoke"), &[]).expect(303);
    assert_eq!(location(&gone), "/console/live/developers/keys?notice=revoked");
    app.native().with_key(&first).get("/customers").is(401);
    app.native().with_key(&second).get("/customers").is(200);
    let page = visitor.get(&format!("/live/developers/keys/{id}")).expect(200).text();
    assert!(page.contains("Revoked") && !page.contains("/revoke\""), "{page}");
    let log = app.logs().concat();
    assert!(!log.contains(&first) && !log.contains(&second));
    visitor.get("/live/developers/keys/key_nothing").is(404);
}

fn revoking_the_key_of_the_session_signs_out(database: Database) {
    let (_app, mut visitor) = start(database);
    let list = visitor.get("/live/developers/keys").expect(200).text();
    let row = list.split("<tr>").find(|row| row.contains("You have signed in with this key")).expect("the key");
    let id = ids(row, KEYS).remove(0);
    let page = visitor.get(&format!("/live/developers/keys/{id}")).expect(200).text();
    assert!(page.contains("you will be signed out"), "{page}");
    post(&mut visitor, &format!("/live/developers/keys/{id}/revoke"), &[]).is(303);
    let ended = visitor.get("/live/developers/keys?notice=revoked").expect(303);
    assert!(location(&ended).contains("why=ended"), "{ended:?}");
}

fn what_is_wrong_with_a_new_key_is_shown_at_its_field(database: Database) {
    let (_app, mut visitor) = start(database);
    let long = "x".repeat(300);
    let refused = post(&mut visitor, "/live/developers/keys/new", &[("name", &long), ("expires_at", "tomorrow")]);
    let page = refused.expect(422).text();
    for expected in ["id=\"field-name-fault\"", "id=\"field-expires_at-fault\"", "role=\"alert\""] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    // A scope that the visitor's key lacks.
    let lacking = post(&mut visitor, "/live/developers/keys/new", &[("scopes", "customers:write")]);
    assert!((400..500).contains(&lacking.status), "{lacking:?}");
    assert!(lacking.text().contains("customers:write"), "{lacking:?}");
}

const WEBHOOKS: &str = "/console/live/developers/webhooks/";

/// Makes a webhook with a form, and returns its identifier and its secret.
fn create_webhook(visitor: &mut Visitor, url: &str, description: &str) -> (String, String) {
    let fields = [("url", url), ("events", "*"), ("payload", "thin"), ("description", description)];
    let made = post(visitor, "/live/developers/webhooks/new", &fields).expect(201);
    let id = ids(&made.text(), WEBHOOKS).into_iter().next().expect("a link to the webhook");
    (id, secret(&made))
}

fn a_webhook_is_created_changed_tested_and_deleted(database: Database) {
    let (app, mut visitor) = start(database);
    let receiver = Receiver::start();
    assert!(visitor.get("/live/developers/webhooks").expect(200).text().contains("No webhooks yet"));
    let (id, first) = create_webhook(&mut visitor, &receiver.url(), "Invoices");
    assert!(first.starts_with("whsec_"), "{first}");
    let here = format!("/live/developers/webhooks/{id}");
    for path in ["/live/developers/webhooks", &here] {
        let page = visitor.get(path).expect(200).text();
        assert!(
            page.contains("Invoices") && page.contains(&receiver.url()) && !page.contains(&first),
            "{path}: {page}"
        );
    }
    let tested = post(&mut visitor, &format!("{here}/test"), &[]).expect(303);
    assert!(location(&tested).ends_with("notice=test_delivered"), "{tested:?}");
    assert_eq!(receiver.wait_for(1)[0].event()["type"], "webhook.test");
    assert!(visitor.get(&here).expect(200).text().contains("Delivered"));
    let form = Form::of(&visitor.get(&format!("{here}/edit")).expect(200));
    let edit = form.with("description", "Orders").with("status", "disabled").with("events", "customer.deleted");
    assert!(location(&visitor.post(&format!("{here}/edit"), &edit.encoded()).expect(303)).ends_with("notice=saved"));
    let page = visitor.get(&here).expect(200).text();
    assert!(page.contains("Orders") && page.contains("on request") && page.contains("customer.deleted"), "{page}");
    let rotated = post(&mut visitor, &format!("{here}/rotate"), &[("overlap_seconds", "0")]).expect(201);
    assert_ne!(secret(&rotated), first);
    let wrong = edit.with("url", "nowhere").encoded();
    let page = visitor.post(&format!("{here}/edit"), &wrong).expect(422).text();
    assert!(page.contains("id=\"field-url-fault\""), "{page}");
    assert!(visitor.get(&format!("{here}/delete")).expect(200).text().contains("Orders"));
    post(&mut visitor, &format!("{here}/delete"), &[]).is(303);
    visitor.get(&here).is(404);
    assert!(!app.logs().concat().contains(&first));
}

fn events_are_sent_again_to_a_receiver(database: Database) {
    let (app, mut visitor) = start(database);
    let receiver = Receiver::start();
    app.native().post("/customers", json!({ "email": "ada@example.com" })).is(201);
    let (id, _) = create_webhook(&mut visitor, &receiver.url(), "");
    let here = format!("/live/developers/webhooks/{id}");
    let page = post(&mut visitor, &format!("{here}/replay"), &[("from_seq", "one")]).expect(422).text();
    assert!(page.contains("id=\"field-from_seq-fault\""), "{page}");
    let sent = post(&mut visitor, &format!("{here}/replay"), &[("from_seq", "1")]).expect(303);
    assert!(location(&sent).ends_with("notice=replay"), "{sent:?}");
    let event = receiver.wait_for(1)[0].event();
    assert_eq!((&event["type"], &event["seq"]), (&json!("customer.created"), &json!(1)));
    until("the attempt is listed", TIMEOUT, || {
        visitor.get(&here).expect(200).text().contains(event["id"].as_str()?).then_some(())
    });
    let event_id = event["id"].as_str().expect("an identifier").to_owned();
    post(&mut visitor, &format!("{here}/replay"), &[("event_id", &event_id)]).is(303);
    assert_eq!(receiver.wait_for(2)[1].event()["id"], event["id"]);
}

fn events_are_shown_and_filtered(database: Database) {
    let (app, mut visitor) = start(database);
    let create = |email: &str| app.native().post("/customers", json!({ "email": email })).expect(201).text_at("/id");
    let (ada, grace) = (create("ada@example.com"), create("grace@example.com"));
    app.native().delete(&format!("/customers/{ada}")).is(204);
    let of = |visitor: &mut Visitor, query: &str| {
        let page = visitor.get(&format!("/live/developers/events{query}")).expect(200).text();
        ids(&page, "/console/live/customers/")
    };
    assert_eq!(of(&mut visitor, ""), [&ada, &grace, &ada].map(String::clone));
    assert_eq!(of(&mut visitor, "?type=customer.deleted"), std::slice::from_ref(&ada));
    assert_eq!(of(&mut visitor, &format!("?customer_id={grace}")), [grace]);
    let page = visitor.get("/live/developers/events").expect(200).text();
    assert!(
        page.contains("data-updates=\"/console/live/updates?after=") && !page.contains("ada@example.com"),
        "{page}"
    );
    let wrong = visitor.get("/live/developers/events?customer_id=x").expect(422).text();
    assert!(wrong.contains("id=\"field-customer_id-fault\""), "{wrong}");
}

fn customers_are_exported_as_a_file(database: Database) {
    let (app, mut visitor) = start(database);
    for number in 0..250 {
        app.native().post("/customers", json!({ "email": format!("c{number}@example.com") })).is(201);
    }
    for format in ["csv", "ndjson"] {
        let file = visitor.get(&format!("/live/developers/exports/{format}")).expect(200);
        let exported = app.native().get(&format!("/customers/export?format={format}")).expect(200);
        assert_eq!(file.body, exported.body);
        for name in ["content-type", "content-disposition"] {
            assert_eq!(file.header(name), exported.header(name), "{name}");
        }
        assert!(file.text().contains("c249@example.com"));
    }
    visitor.get("/live/developers/exports/json").is(404);
}

fn an_import_is_followed_and_its_errors_are_shown(database: Database) {
    let (app, mut visitor) = start(database);
    let id = import(&app, "email\nada@example.com\nnowhere\n");
    let found = visitor.get(&format!("/live/developers/imports?id={id}")).expect(303);
    assert_eq!(location(&found), format!("/console/live/developers/imports/{id}"));
    let page = until("the import ends", TIMEOUT, || {
        let page = visitor.get(&format!("/live/developers/imports/{id}")).expect(200).text();
        (!page.contains("/cancel\"")).then_some(page)
    });
    assert!(page.contains("First errors") && page.contains("<th scope=\"row\">2</th>"), "{page}");
    let errors = visitor.get(&format!("/live/developers/imports/{id}/errors")).expect(200);
    assert_eq!(serde_json::from_slice::<Value>(&errors.body).expect("a line")["row"], 2);
    let over = post(&mut visitor, &format!("/live/developers/imports/{id}/cancel"), &[]);
    assert!([303, 409].contains(&over.status), "{over:?}");
}

fn a_file_is_sent_with_a_form(database: Database) {
    let app = App::start(database);
    let scopes = ["imports:write", "customers:write", "customers:read"];
    let mut visitor = Visitor::signed_in(&app, &app.live_key(&scopes));
    let page = visitor.get(NEW_IMPORT).expect(200).text();
    assert!(page.contains("--data-binary @customers.csv") && page.contains("/v1/imports?format=csv"), "{page}");
    // More than what is read of other bodies.
    let row = |number: usize| format!("ada{number}@example.com,{}\n", "x".repeat(200));
    let file = format!("email,notes\n{}", (0..20_000).map(row).collect::<String>());
    let sent = send_file(&mut visitor, &[("unknown", "metadata"), ("on_conflict", "skip")], &file).expect(303);
    let id = location(&sent).split(['/', '?']).nth(5).expect("an identifier").to_owned();
    assert_eq!(location(&sent), format!("/console/live/developers/imports/{id}?notice=sent"));
    let import = until("the import ends", TIMEOUT, || {
        let import = app.native().with_key(&app.live_key(&scopes)).get(&format!("/imports/{id}")).expect(200).json();
        import["ended_at"].is_string().then_some(import)
    });
    assert_eq!(
        [&import["state"], &import["created"], &import["bytes"]],
        [&json!("finished"), &json!(20_000), &json!(file.len())]
    );
    // What the API refuses is shown above the form, which keeps what was chosen.
    let refused = send_file(&mut visitor, &[("from", "somewhere"), ("again", "true")], "email\n").expect(422).text();
    assert!(refused.contains("must be roster, stripe") && refused.contains("value=\"true\" checked"), "{refused}");
}

fn a_form_with_a_file_that_is_refused_imports_nothing(database: Database) {
    let app = App::start_with(database, &[("ROSTER__IMPORTS__MAX_MIB", "1")]);
    let mut visitor = Visitor::signed_in(&app, &app.live_key(&["imports:write", "customers:write"]));
    let large = "x".repeat(3 << 20);
    let refused = send_file(&mut visitor, &[], &large).expect(413).text();
    assert!(refused.contains("more than 1048576 bytes"), "{refused}");
    let token = token(&mut visitor).replacen("form_token=", "", 1);
    for (fields, file, status, text) in [
        (vec![], Some("email\na@example.com\n"), 403, "Nothing was changed"),
        (vec![("form_token", "x")], Some(large.as_str()), 403, "Nothing was changed"),
        (vec![("form_token", token.as_str())], None, 400, "must have a file"),
        (vec![("form_token", token.as_str()), ("from", &large[..9000])], Some("email\n"), 400, "must have a file"),
    ] {
        let refused = post_file(&mut visitor, &fields, file).expect(status).text();
        assert!(refused.contains(text), "{refused}");
    }
    let form = visitor.post(NEW_IMPORT, &format!("form_token={token}")).expect(400).text();
    assert!(form.contains("must have a file"), "{form}");
    assert!(visitor.get("/live/developers/imports").expect(200).text().contains("No file was sent yet."));
    // A session that has ended leads to the sign-in page, also while a file is being sent.
    let mut stranger = Visitor::new(&app);
    let sent = post_file(&mut stranger, &[], Some(&large)).expect(303);
    assert!(location(&sent).starts_with("/console/sign-in"), "{sent:?}");
}

/// The page with the form for a file.
const NEW_IMPORT: &str = "/live/developers/imports/new";

/// Sends the form for a file with the token of the session.
fn send_file(visitor: &mut Visitor, fields: &[(&str, &str)], file: &str) -> Response {
    let token = token(visitor).replacen("form_token=", "", 1);
    post_file(visitor, &[&[("form_token", token.as_str())], fields].concat(), Some(file))
}

/// Sends fields and a file as a browser does (RFC 7578).
fn post_file(visitor: &mut Visitor, fields: &[(&str, &str)], file: Option<&str>) -> Response {
    let part = |disposition: &str, value: &str| {
        format!("--limit\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n")
    };
    let mut form: String = fields.iter().map(|(name, value)| part(&format!("name=\"{name}\""), value)).collect();
    form.extend(file.map(|file| part("name=\"file\"; filename=\"customers.csv\"", file)));
    form.push_str("--limit--\r\n");
    let caller = visitor.caller.clone();
    let request = caller.request("POST", &format!("/console{NEW_IMPORT}")).bytes(form.into_bytes());
    visitor.send(request.header("content-type", "multipart/form-data; boundary=limit"))
}

fn imports_are_listed_with_their_progress(database: Database) {
    let (app, mut visitor) = start(database);
    assert!(visitor.get("/live/developers/imports").expect(200).text().contains("No file was sent yet."));
    let sent: Vec<String> =
        (0..26).map(|number| import_whole(&app, &format!("email\nada{number}@example.com\nnowhere\n"))).collect();
    let page = visitor.get("/live/developers/imports").expect(200).text();
    let newest_first: Vec<&String> = sent.iter().rev().take(25).collect();
    let places = newest_first.iter().map(|id| page.find(&format!("/developers/imports/{id}\"")));
    assert!(places.clone().all(|place| place.is_some()) && places.is_sorted(), "{page}");
    for cell in ["Finished", "<td data-label=\"Rows\">2</td>", "<td data-label=\"Rows refused\">1</td>"] {
        assert!(page.contains(cell), "{cell}: {page}");
    }
    assert!(!page.contains(&sent[0]) && !page.contains("data-goes-on"), "{page}");
    let next = page.split("href=\"").filter_map(|rest| rest.split('"').next()).find(|path| path.contains("cursor="));
    let next = next.and_then(|path| path.strip_prefix("/console")).expect("a link to the next page");
    let last = visitor.get(next).expect(200).text();
    assert!(last.contains(&sent[0]) && !last.contains(&sent[1]), "{last}");
}

/// The same as [`import`], of an import that has ended.
fn import_whole(app: &App, file: &str) -> String {
    let id = import(app, file);
    let reader = app.native().with_key(&app.live_key(&["imports:write"]));
    until("the import ends", TIMEOUT, || {
        reader.get(&format!("/imports/{id}")).expect(200).json()["ended_at"].is_string().then_some(())
    });
    id
}

/// Sends a file with a key that may import, and returns the identifier of the import.
fn import(app: &App, file: &str) -> String {
    let sender = app.native().with_key(&app.live_key(&["imports:write", "customers:write"]));
    let request = sender.request("POST", "/imports?format=csv").bytes(file.as_bytes().to_vec());
    request.header("content-type", "text/csv").send().expect(202).text_at("/id")
}

fn a_key_without_the_scope_of_a_page_sees_which_one_it_lacks(database: Database) {
    let app = App::start(database);
    let key = app.live_key(&["subscriptions:write"]);
    let mut visitor = Visitor::signed_in(&app, &key);
    for (path, scope) in [
        ("/live/developers/keys", "keys:manage"),
        ("/live/developers/webhooks", "webhooks:manage"),
        ("/live/developers/events", "events:read"),
        ("/live/developers/imports", "imports:write"),
        ("/live/developers/imports/imp_1", "imports:write"),
        ("/live/developers/exports/csv", "customers:read"),
    ] {
        let page = visitor.get(path).expect(403).text();
        assert!(page.contains("This key may not do that") && page.contains(scope), "{path}: {page}");
    }
}

fn forms_without_the_token_of_the_session_change_nothing(database: Database) {
    let (app, mut visitor) = start(database);
    let (id, _) = create_webhook(&mut visitor, "http://127.0.0.1:1/hooks", "");
    let list = visitor.get("/live/developers/keys").expect(200).text();
    let key = ids(&list, KEYS).into_iter().find(|id| id != "new").expect("a key");
    let import = import(&app, "email\nada@example.com\n");
    let counts = |visitor: &mut Visitor| {
        ["keys", "webhooks"].map(|part| visitor.get(&format!("/live/developers/{part}")).text().matches("<tr>").count())
    };
    let before = counts(&mut visitor);
    for path in [
        "keys/new".to_owned(),
        format!("keys/{key}/rotate"),
        format!("keys/{key}/revoke"),
        "webhooks/new".to_owned(),
        format!("webhooks/{id}/edit"),
        format!("webhooks/{id}/rotate"),
        format!("webhooks/{id}/test"),
        format!("webhooks/{id}/replay"),
        format!("webhooks/{id}/delete"),
        format!("imports/{import}/cancel"),
    ] {
        let path = format!("/live/developers/{path}");
        let form = "name=x&url=https%3A%2F%2Fexample.com&events=*&payload=thin&from_seq=1&overlap_seconds=0";
        for token in ["", "&form_token=x"] {
            let refused = visitor.post(&path, &format!("{form}{token}")).expect(403);
            assert!(refused.text().contains("Nothing was changed"), "{path}: {refused:?}");
        }
        // With the token, but sent by another site.
        let form = format!("{form}&{}", token(&mut visitor));
        let caller = visitor.caller.clone();
        let request = caller.request("POST", &format!("/console{path}")).bytes(form.into_bytes());
        visitor.send(request.header("sec-fetch-site", "cross-site")).is(403);
    }
    assert_eq!(counts(&mut visitor), before);
}

fn texts_of_developers_are_shown_as_texts(database: Database) {
    let (app, mut visitor) = start(database);
    for attack in ATTACKS {
        let (id, _) = create_webhook(&mut visitor, "http://127.0.0.1:1/hooks", attack);
        let made = post(&mut visitor, "/live/developers/keys/new", &[("name", attack), ("scopes", "events:read")]);
        made.is(201);
        let list = visitor.get("/live/developers/keys").expect(200).text();
        let key = ids(&list, KEYS).into_iter().rfind(|id| id != "new").expect("a key");
        let quoted = attack.replace('"', "\"\"");
        let import = import(&app, &format!("email\n\"{quoted}\"\n"));
        let query = encode(attack);
        for (path, has_text) in [
            ("keys".to_owned(), true),
            (format!("keys/{key}"), true),
            ("webhooks".to_owned(), true),
            (format!("webhooks/{id}"), true),
            (format!("webhooks/{id}/edit"), true),
            (format!("webhooks/{id}/delete"), true),
            (format!("webhooks/{id}?attempts={query}"), false),
            (format!("events?type={query}&customer_id={query}"), true),
            (format!("imports?id={query}"), true),
            (format!("imports/{import}"), false),
        ] {
            let page = visitor.get(&format!("/live/developers/{path}")).text();
            for raw in ["<script>alert", "<img", "<svg"] {
                assert!(!page.contains(raw), "{path}: {raw}: {page}");
            }
            assert!(!has_text || page.contains(&escaped(attack)), "{path}: {attack}: {page}");
        }
    }
}

fn the_choices_are_those_of_the_api(database: Database) {
    let (app, mut visitor) = start(database);
    let document = app.root().get("/v1/openapi.json").expect(200).json();
    let schemas = &document["components"]["schemas"];
    let named = |name: &str| -> BTreeSet<String> {
        let names = schemas[name]["enum"].as_array().unwrap_or_else(|| panic!("no {name}"));
        names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    for (path, field, schema) in [("keys", "scopes", "Scope"), ("webhooks", "events", "WebhookEvent")] {
        let page = visitor.get(&format!("/live/developers/{path}/new")).expect(200).text();
        let start = format!("name=\"{field}\" value=\"");
        let offered = page.split(&start).skip(1).filter_map(|rest| rest.split('"').next());
        assert_eq!(offered.map(str::to_owned).collect::<BTreeSet<_>>(), named(schema), "{path}");
    }
    let page = visitor.get(NEW_IMPORT).expect(200).text();
    let parameters = document["paths"]["/imports"]["post"]["parameters"].as_array().expect("parameters");
    for field in ["from", "on_conflict", "unknown"] {
        let select = page.split_once(&format!("name=\"{field}\"")).expect("a field").1;
        let select = select.split_once("</select>").expect("its end").0;
        let offered: Vec<&str> =
            select.split("<option value=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let parameter = parameters.iter().find(|parameter| parameter["name"] == field).expect("a parameter");
        assert_eq!(json!(offered), parameter["schema"]["enum"], "{field}");
        // The browser sends the first one unless another is chosen.
        assert_eq!(json!(offered[0]), parameter["schema"]["default"], "{field}");
    }
}

fn without_the_api_page_no_link_leads_to_it(database: Database) {
    let app = App::start_with(database, &[("ROSTER__HTTP__API_PAGE", "false")]);
    let mut visitor = Visitor::signed_in(&app, &app.tenants().ours.live);
    let page = visitor.get("/live/developers").expect(200).text();
    app.root().get("/docs").is(404);
    assert!(!page.contains("\"/docs\"") && page.contains("/v1/openapi.json"), "{page}");
}
