//! The console's pages for operators: merchants, their API keys, the operator log and the service.

use std::collections::BTreeSet;

use roster_tests::app::create_key;
use roster_tests::client::{Caller, Surface, agent, encode};
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::program::roster_json;
use roster_tests::{App, Database, Response, on_both_databases};
use serde_json::{Value, json};

use crate::admin::{Operator, address_for_operators, at};
use crate::console::{ATTACKS, Form, Visitor, escaped, location};
use crate::operators::assert_disabled;

on_both_databases! {
    an_operator_signs_in_sees_no_customers_and_signs_out,
    before_there_is_an_operator_the_sign_in_says_so,
    operators_with_an_address_of_their_own_sign_in_there_only,
    an_operator_with_the_role_read_sees_no_forms_and_changes_nothing,
    merchants_are_created_found_renamed_disabled_and_enabled,
    the_list_of_merchants_is_read_page_by_page,
    a_key_is_shown_once_rotated_and_revoked,
    a_key_that_has_expired_is_marked,
    the_log_shows_who_did_it_with_the_request,
    the_service_is_shown,
    a_revoked_operator_is_signed_out,
    a_key_opens_the_pages_of_its_own_area_only,
    a_form_of_another_site_changes_nothing_for_operators,
    names_of_merchants_and_keys_are_shown_as_texts,
    each_page_of_operators_has_the_headers_for_browsers,
    what_the_api_refuses_is_shown_with_the_form,
    the_scopes_are_those_of_the_api,
}

/// Opens the sign-in page for operators, and sends its form.
fn sign_in(visitor: &mut Visitor, key: &str) -> Response {
    let page = visitor.get("/sign-in?environment=operators").expect(200);
    visitor.post("/sign-in", &Form::of(&page).with("key", key).encoded())
}

/// A visitor with the key of a new operator, who is the first that the service hears of.
fn signed_in(app: &App, role: &str) -> Visitor {
    visitor_of(app, &Operator::create(app, role))
}

fn visitor_of(app: &App, operator: &Operator) -> Visitor {
    let mut visitor = Visitor::new(app);
    assert_eq!(location(&sign_in(&mut visitor, &operator.key).expect(303)), "/console/operators/merchants");
    visitor
}

/// Opens a page, and sends its form after changes to its fields.
fn submit(visitor: &mut Visitor, path: &str, fields: &[(&str, &str)]) -> Response {
    let page = visitor.get(path).expect(200);
    let form = fields.iter().fold(Form::of(&page), |form, (name, value)| form.with(name, value));
    visitor.post(path, &form.encoded())
}

/// The path below the console that a response leads to, without its query.
fn led_to(response: &Response) -> String {
    let path = location(response);
    let path = path.split('?').next().unwrap_or_default();
    path.strip_prefix("/console").expect("a page").to_owned()
}

/// The key that a page shows.
fn shown_key(page: &Response, prefix: &str) -> String {
    let text = page.text();
    let start = text.find(prefix).unwrap_or_else(|| panic!("no key: {text}"));
    text[start..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

fn of_merchant(app: &App) -> String {
    format!("/operators/merchants/{}", app.tenants().ours.id)
}

/// Each form that changes something, with a page that shows it.
fn forms(app: &App, key: &str) -> Vec<String> {
    let merchant = of_merchant(app);
    vec![
        "/operators/merchants/new".to_owned(),
        format!("{merchant}/rename"),
        format!("{merchant}/disable"),
        format!("{merchant}/enable"),
        format!("{merchant}/keys/new"),
        format!("{merchant}/keys/{key}/rotate"),
        format!("{merchant}/keys/{key}/revoke"),
    ]
}

/// All pages.
fn pages(app: &App, key: &str) -> Vec<String> {
    let more = ["/operators/merchants", "/operators/log", "/operators/service"].map(str::to_owned);
    forms(app, key).into_iter().chain(more).chain([of_merchant(app)]).collect()
}

fn logged(app: &App, operator: &Operator) -> Value {
    at(app.address()).with_key(&operator.key).get("/log").expect(200).json()
}

fn an_operator_signs_in_sees_no_customers_and_signs_out(database: Database) {
    let app = App::start(database);
    let customer = json!({ "email": "ada@example.com", "name": "Ada Lovelace" });
    let customer = app.native().post("/customers", customer).expect(201).text_at("/id");
    let operator = Operator::create(&app, "admin");
    let mut visitor = Visitor::new(&app);
    assert_eq!(
        location(&visitor.get("/operators/log").expect(303)),
        "/console/sign-in?environment=operators&next=%2Fconsole%2Foperators%2Flog"
    );
    let page = visitor.get("/sign-in?environment=operators&next=%2Fconsole%2Foperators%2Flog").expect(200);
    assert!(page.text().contains("sk_admin_") && page.text().contains("roster operators create"), "{page:?}");
    let answer = visitor.post("/sign-in", &Form::of(&page).with("key", &operator.key).encoded()).expect(303);
    assert_eq!(location(&answer), "/console/operators/log");
    let cookie = answer.header("set-cookie").expect("a cookie").to_owned();
    assert!(cookie.starts_with("roster_console_operator=") && !cookie.contains(&operator.key), "{cookie}");
    for attribute in ["Path=/console", "Max-Age=129600", "HttpOnly", "SameSite=Strict"] {
        assert!(cookie.split("; ").any(|one| one == attribute), "{cookie}");
    }
    assert_eq!(location(&visitor.get("").expect(303)), "/console/operators/merchants");
    assert_eq!(location(&visitor.get("/operators").expect(303)), "/console/operators/merchants");
    let key = create_key(app.database().url(), &app.tenants().ours.id, "live", &[]);
    for path in pages(&app, &key.id) {
        let page = visitor.get(&path).expect(200).text();
        for secret in ["Ada Lovelace", "ada@example.com", &customer, &key.key] {
            assert!(!page.contains(secret), "{path}: {page}");
        }
    }
    for path in ["/customers", &format!("/customers/{customer}"), "/updates"] {
        visitor.get(&format!("/operators{path}")).is(404);
    }
    let page = visitor.get("/operators/merchants").expect(200).text();
    assert!(page.contains("Ours") && page.contains("Theirs"), "{page}");
    let signed_out = visitor.post("/operators/sign-out", &Form::of_header(&page)).expect(303);
    assert_eq!(location(&signed_out), "/console/sign-in?environment=operators&why=signed_out");
    visitor.get("/operators/merchants").is(303);
    let is_logged = |line: &str| line.contains("/console/operators/sign-out").then_some(());
    app.find_in_logs(TIMEOUT, is_logged).expect("a line of the access log");
    assert!(!app.logs().concat().contains(&operator.key));
}

fn before_there_is_an_operator_the_sign_in_says_so(database: Database) {
    let app = App::start(database);
    let mut visitor = Visitor::new(&app);
    let made_up = "sk_admin_000000000000000000000000000000000000";
    let refused = sign_in(&mut visitor, made_up).expect(404).text();
    assert!(refused.contains("the service has no operator yet"), "{refused}");
    visitor.get("/operators/merchants").is(303);
    drop(Operator::create(&app, "read"));
    // The service looks for operators once a second.
    until("the service knows of the operator", TIMEOUT, || {
        Some(at(app.address()).get("/merchants")).filter(|answer| answer.status == 401)
    });
    assert!(sign_in(&mut visitor, made_up).expect(401).text().contains("not accepted"));
}

fn operators_with_an_address_of_their_own_sign_in_there_only(database: Database) {
    let app = App::start_with(database, &[("ROSTER__ADMIN__BIND", "127.0.0.1:0")]);
    let address = address_for_operators(&app);
    let operator = Operator::create(&app, "admin");
    let elsewhere = Caller::new(agent(), address, "");
    let mut visitor = Visitor::new(&app);
    let refused = sign_in(&mut visitor, &operator.key).expect(404).text();
    assert!(refused.contains("an address of their own"), "{refused}");
    let main = std::mem::replace(&mut visitor.caller, elsewhere);
    sign_in(&mut visitor, &operator.key).is(303);
    visitor.get("/operators/merchants").is(200);
    let refused = sign_in(&mut visitor, &app.tenants().ours.live).expect(404).text();
    assert!(refused.contains("Only operators sign in at this address"), "{refused}");
    // Browsers send a cookie to all ports of a host. At the other address its session opens nothing, and is kept.
    visitor.caller = main;
    let answer = visitor.get("/operators/merchants").expect(303);
    assert!(location(&answer).contains("why=elsewhere") && answer.header("set-cookie").is_none(), "{answer:?}");
    visitor.get("/sign-in?environment=operators&why=elsewhere").is(200);
    let mut merchant = Visitor::signed_in(&app, &app.tenants().ours.live);
    merchant.get("/live/customers").is(200);
    merchant.caller = Caller::new(agent(), address, "");
    assert!(location(&merchant.get("/live/customers").expect(303)).contains("why=elsewhere"));
}

fn an_operator_with_the_role_read_sees_no_forms_and_changes_nothing(database: Database) {
    let app = App::start(database);
    let key = create_key(app.database().url(), &app.tenants().ours.id, "live", &[]);
    let operator = Operator::create(&app, "read");
    let mut visitor = visitor_of(&app, &operator);
    let forms = forms(&app, &key.id);
    for path in pages(&app, &key.id).iter().filter(|path| !forms.contains(path)) {
        let page = visitor.get(path).expect(200).text();
        assert!(page.contains("Ada") && page.contains("read"), "who has signed in: {path}: {page}");
        let main = page.split_once("<main").expect("a page").1;
        assert!(!main.contains("method=\"post\""), "{path}: {page}");
        for form in &forms {
            assert!(!main.contains(&format!("/console{form}\"")), "{path}: {form}: {page}");
        }
    }
    let before = logged(&app, &operator);
    let token = Form::of_header(&visitor.get("/operators/merchants").expect(200).text());
    for path in &forms {
        let sent = visitor.post(path, &format!("{token}&name=New&environment=live"));
        for refused in [visitor.get(path), sent] {
            let refused = refused.expect(403).text();
            assert!(
                refused.contains("This key may not do that") && refused.contains("the role admin"),
                "{path}: {refused}"
            );
            assert!(refused.contains("/console/operators/merchants"), "it leads back: {refused}");
        }
    }
    assert_eq!(logged(&app, &operator), before, "nothing was done");
}

fn merchants_are_created_found_renamed_disabled_and_enabled(database: Database) {
    let app = App::start_with(database, &[("ROSTER__AUTH__KEY_CACHE_MS", "0")]);
    let mut visitor = signed_in(&app, "admin");
    let made = submit(&mut visitor, "/operators/merchants/new", &[("name", "Acme")]).expect(303);
    assert!(location(&made).ends_with("?notice=created"), "{made:?}");
    let page = visitor.get(&led_to(&made)).expect(200).text();
    assert!(page.contains("Acme") && page.contains("Enabled") && page.contains("has no API keys"), "{page}");
    let renamed = submit(&mut visitor, &format!("{}/rename", led_to(&made)), &[("name", "Acme Ltd.")]).expect(303);
    assert_eq!(led_to(&renamed), led_to(&made));
    let found = visitor.get("/operators/merchants?search=acme").expect(200).text();
    assert!(found.contains("Acme Ltd.") && !found.contains("Ours"), "{found}");
    let nothing = visitor.get("/operators/merchants?search=nothing").expect(200).text();
    assert!(nothing.contains("No merchant matches"), "{nothing}");
    let merchant = of_merchant(&app);
    let question = visitor.get(&format!("{merchant}/disable")).expect(200).text();
    assert!(question.contains("Disable this merchant?") && question.contains("Ours"), "{question}");
    app.native().get("/customers").is(200);
    let disabled = submit(&mut visitor, &format!("{merchant}/disable"), &[]).expect(303);
    assert!(location(&disabled).ends_with("?notice=disabled"), "{disabled:?}");
    let page = visitor.get(&merchant).expect(200).text();
    assert!(page.contains("Disabled since") && page.contains(&format!("{merchant}/enable")), "{page}");
    assert_disabled(Surface::Native, &app.native().get("/customers"));
    submit(&mut visitor, &format!("{merchant}/enable"), &[]).is(303);
    app.native().get("/customers").is(200);
    for unknown in ["org_01h2xcejqtf2nbrexx3vqjhp41", "nothing", "no-identifier"] {
        visitor.get(&format!("/operators/merchants/{unknown}")).is(404);
    }
}

fn the_list_of_merchants_is_read_page_by_page(database: Database) {
    let app = App::start(database);
    let operator = Operator::create(&app, "admin");
    let caller = at(app.address()).with_key(&operator.key);
    for number in 0..30 {
        caller.post("/merchants", json!({ "name": format!("Merchant {number:02}") })).is(201);
    }
    let mut visitor = visitor_of(&app, &operator);
    let mut seen = BTreeSet::new();
    let mut path = Some("/operators/merchants?search=merchant".to_owned());
    while let Some(here) = path {
        let page = visitor.get(&here).expect(200).text();
        let names: Vec<_> = (0..30).map(|number| format!("Merchant {number:02}")).collect();
        seen.extend(names.into_iter().filter(|name| page.contains(name)));
        let next = page.split("<a ").find(|link| link.contains("rel=\"next\""));
        let next = next.and_then(|link| link.split_once("href=\"/console")?.1.split_once('"'));
        path = next.map(|(path, _)| path.replace("&amp;", "&"));
    }
    assert_eq!(seen.len(), 30, "{seen:?}");
}

fn a_key_is_shown_once_rotated_and_revoked(database: Database) {
    let app = App::start_with(database, &[("ROSTER__AUTH__KEY_CACHE_MS", "0")]);
    let mut visitor = signed_in(&app, "admin");
    let merchant = of_merchant(&app);
    let opens = |key: &str| app.native().with_key(key).get("/customers").status;
    let fields =
        [("environment", "live"), ("name", "checkout"), ("scopes", "customers:read"), ("expires_at", "2099-01-01")];
    let made = submit(&mut visitor, &format!("{merchant}/keys/new"), &fields).expect(201);
    let key = shown_key(&made, "sk_live_");
    assert!(made.text().contains("never again") && made.text().contains("data-copy"), "{made:?}");
    assert_eq!((opens(&key), made.text().matches(&key).count()), (200, 1));
    let page = visitor.get(&merchant).expect(200).text();
    assert!(page.contains("checkout") && page.contains("2099-01-01") && !page.contains(&key), "{page}");
    let row = page.split("<tr>").find(|row| row.contains("checkout")).expect("a row").to_owned();
    assert!(row.contains("customers:read") && !row.contains("customers:write"), "{row}");
    let id = row.split_once("/keys/").expect("an identifier").1.split_once('/').expect("an action").0.to_owned();
    let rotate = format!("{merchant}/keys/{id}/rotate");
    let form = Form::of(&visitor.get(&rotate).expect(200)).with("overlap_seconds", "3600");
    let rotated = visitor.post(&rotate, &form.encoded()).expect(201);
    let new = shown_key(&rotated, "sk_live_");
    assert!(new != key);
    assert_eq!((opens(&key), opens(&new)), (200, 200), "both, until the overlap has passed");
    let again = visitor.post(&rotate, &form.encoded()).expect(409).text();
    assert!(!again.contains("sk_live_"), "a key is rotated once: {again}");
    let revoke = format!("{merchant}/keys/{id}/revoke");
    let question = visitor.get(&revoke).expect(200).text();
    assert!(question.contains("Revoke this key?") && question.contains(&id), "{question}");
    assert_eq!(opens(&key), 200, "it was asked first");
    assert!(location(&submit(&mut visitor, &revoke, &[]).expect(303)).ends_with("?notice=revoked"));
    assert_eq!((opens(&key), opens(&new)), (401, 200));
    assert!(visitor.get(&merchant).expect(200).text().contains("Revoked"));
    // A key of another merchant is none of this one.
    let theirs = create_key(app.database().url(), &app.tenants().theirs.id, "live", &[]);
    let path = format!("{merchant}/keys/{}/revoke", theirs.id);
    submit(&mut visitor, &path, &[]).is(404);
    assert_eq!(opens(&theirs.key), 200);
    let logs = app.logs().concat();
    assert!(!logs.contains(&key) && !logs.contains(&new));
}

fn a_key_that_has_expired_is_marked(database: Database) {
    let app = App::start(database);
    let mut visitor = signed_in(&app, "read");
    let brief = create_key(app.database().url(), &app.tenants().ours.id, "live", &["--expires-in", "1s"]);
    until("the key is marked", TIMEOUT, || {
        let page = visitor.get(&of_merchant(&app)).expect(200).text();
        let row = page.split("<tr>").find(|row| row.contains(&brief.id)).expect("a row").to_owned();
        row.contains("Expired").then_some(())
    });
}

fn the_log_shows_who_did_it_with_the_request(database: Database) {
    let app = App::start(database);
    let operator = Operator::create(&app, "admin");
    let mut visitor = visitor_of(&app, &operator);
    let made = submit(&mut visitor, "/operators/merchants/new", &[("name", "Acme")]).expect(303);
    // As a whole: one identifier may be the beginning of another.
    let request = format!("<code>{}</code>", made.header("x-request-id").expect("an identifier"));
    let merchant = led_to(&made).rsplit_once('/').expect("a merchant").1.to_owned();
    let page = visitor.get("/operators/log").expect(200).text();
    let row = page.split("<tr>").find(|row| row.contains(&request)).unwrap_or_else(|| panic!("{page}"));
    assert!(row.contains("Merchant created") && row.contains(&operator.id) && row.contains(&merchant), "{row}");
    assert!(page.contains("Command line") && page.contains("Operator created"), "{page}");
    for number in 0..30 {
        let name = format!("Acme {number}");
        submit(&mut visitor, &format!("{}/rename", led_to(&made)), &[("name", &name)]).is(303);
    }
    let first = visitor.get("/operators/log").expect(200).text();
    assert!(first.contains("rel=\"next\"") && !first.contains(&request), "{first}");
}

fn the_service_is_shown(database: Database) {
    let app = App::start_with(database, &[("ROSTER__HTTP__MAX_CONNECTIONS", "321")]);
    let mut visitor = signed_in(&app, "read");
    let page = visitor.get("/operators/service").expect(200).text();
    for shown in ["http.max_connections", "321", "Version", "Running for"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    assert!(page.contains("SQLite") || page.contains("PostgreSQL"), "{page}");
    assert!(!page.contains(app.database().url()), "{page}");
}

fn a_revoked_operator_is_signed_out(database: Database) {
    let app = App::start_with(database, &[("ROSTER__AUTH__KEY_CACHE_MS", "300")]);
    let operator = Operator::create(&app, "admin");
    let mut visitor = visitor_of(&app, &operator);
    visitor.get("/operators/merchants").is(200);
    drop(roster_json(app.database().url(), &["operators", "revoke", &operator.id, "--json"]));
    let ended = until("the session ends", TIMEOUT, || {
        Some(visitor.get("/operators/merchants")).filter(|answer| answer.status == 303)
    });
    assert!(location(&ended).contains("environment=operators&why=ended"), "{ended:?}");
    assert!(ended.header("set-cookie").is_some_and(|cookie| cookie.contains("Max-Age=0")), "{ended:?}");
    assert!(sign_in(&mut visitor, &operator.key).expect(401).text().contains("not accepted"));
}

fn a_key_opens_the_pages_of_its_own_area_only(database: Database) {
    let app = App::start(database);
    let operator = Operator::create(&app, "admin");
    let cookie_of = |key: &str| {
        let answer = sign_in(&mut Visitor::new(&app), key).expect(303);
        let cookie = answer.header("set-cookie").expect("a cookie").to_owned();
        cookie.split(';').next().and_then(|pair| pair.split_once('=')).expect("a value").1.to_owned()
    };
    let (of_operator, of_merchant) = (cookie_of(&operator.key), cookie_of(&app.tenants().ours.live));
    let open = |name: &str, value: &str, path: &str| {
        let caller = app.root();
        caller.request("GET", &format!("/console{path}")).header("cookie", &format!("{name}={value}")).send()
    };
    open("roster_console_operator", &of_operator, "/operators/merchants").is(200);
    open("roster_console_live", &of_merchant, "/live/customers").is(200);
    for (name, value, path) in [
        ("roster_console_operator", &of_operator, "/live/customers"),
        ("roster_console_live", &of_operator, "/live/customers"),
        ("roster_console_sandbox", &of_operator, "/sandbox/customers"),
        ("roster_console_live", &of_merchant, "/operators/merchants"),
        ("roster_console_operator", &of_merchant, "/operators/merchants"),
        ("roster_console_operator", &of_merchant, "/operators/log"),
    ] {
        let answer = open(name, value, path).expect(303);
        assert!(location(&answer).starts_with("/console/sign-in"), "{name} {path}: {answer:?}");
    }
}

fn a_form_of_another_site_changes_nothing_for_operators(database: Database) {
    let app = App::start(database);
    let key = create_key(app.database().url(), &app.tenants().ours.id, "live", &[]);
    let operator = Operator::create(&app, "admin");
    let (mut visitor, mut other) = (visitor_of(&app, &operator), visitor_of(&app, &operator));
    let before = logged(&app, &operator);
    let paths = forms(&app, &key.id).into_iter().chain(["/operators/sign-out".to_owned()]);
    for path in paths {
        let shown = if path.ends_with("sign-out") { "/operators/service" } else { &path };
        let own = Form::of_header(&visitor.get(shown).expect(200).text());
        let stolen = Form::of_header(&other.get(shown).expect(200).text());
        for sent in ["name=x&environment=live", "form_token=&name=x", &format!("{stolen}&name=x&environment=live")] {
            let refused = visitor.post(&path, sent).expect(403).text();
            assert!(refused.contains("Nothing was changed"), "{path}: {refused}");
        }
        for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
            let caller = visitor.caller.clone();
            let request = caller.request("POST", &format!("/console{path}"));
            let request = request.bytes(format!("{own}&name=x&environment=live").into_bytes()).header(name, value);
            visitor.send(request).is(403);
        }
    }
    assert_eq!(logged(&app, &operator), before, "nothing was done");
}

fn names_of_merchants_and_keys_are_shown_as_texts(database: Database) {
    let app = App::start(database);
    let mut visitor = signed_in(&app, "admin");
    for attack in ATTACKS {
        let made = submit(&mut visitor, "/operators/merchants/new", &[("name", attack)]).expect(303);
        let merchant = led_to(&made);
        submit(&mut visitor, &format!("{merchant}/keys/new"), &[("name", attack)]).is(201);
        let page = visitor.get(&merchant).expect(200).text();
        assert!(page.matches(&escaped(attack)).count() >= 2, "the name of the merchant and that of the key: {page}");
        let id = page.split_once("/keys/key_").expect("a key").1.split_once('/').expect("an action").0.to_owned();
        let search = format!("/operators/merchants?search={}", encode(attack));
        for path in [
            merchant.clone(),
            format!("{merchant}/rename"),
            format!("{merchant}/disable"),
            format!("{merchant}/enable"),
            format!("{merchant}/keys/new"),
            format!("{merchant}/keys/key_{id}/rotate"),
            format!("{merchant}/keys/key_{id}/revoke"),
            search,
        ] {
            let page = visitor.get(&path).expect(200).text();
            assert!(page.contains(&escaped(attack)), "{path}: {page}");
            for raw in ["<script>alert", "<img", "<svg"] {
                assert!(!page.contains(raw), "{path}: {raw}: {page}");
            }
        }
        // A form that is refused shows again what was sent.
        let long = attack.repeat(100);
        let refused = submit(&mut visitor, "/operators/merchants/new", &[("name", &long)]).expect(422).text();
        assert!(!refused.contains("<script>alert") && !refused.contains("<img"), "{refused}");
    }
}

fn each_page_of_operators_has_the_headers_for_browsers(database: Database) {
    let app = App::start(database);
    let key = create_key(app.database().url(), &app.tenants().ours.id, "live", &[]);
    let mut visitor = signed_in(&app, "admin");
    for path in pages(&app, &key.id).into_iter().chain(["/operators".to_owned(), "/operators/nothing".to_owned()]) {
        let response = visitor.get(&path);
        let header = |name| response.header(name).unwrap_or_default();
        for rule in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"] {
            assert!(header("content-security-policy").split("; ").any(|one| one == rule), "{path}: {response:?}");
        }
        assert_eq!((header("cache-control"), header("referrer-policy")), ("no-store", "no-referrer"), "{path}");
        assert!(response.body.len() < 100 * 1024, "{path}");
        let page = response.text();
        assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains("<script>"), "{path}: {page}");
    }
}

fn what_the_api_refuses_is_shown_with_the_form(database: Database) {
    let app = App::start(database);
    let mut visitor = signed_in(&app, "admin");
    let merchant = of_merchant(&app);
    for (path, fields, field) in [
        ("/operators/merchants/new".to_owned(), vec![("name", "")], "name"),
        (format!("{merchant}/rename"), vec![("name", "")], "name"),
        (format!("{merchant}/keys/new"), vec![("name", "checkout"), ("expires_at", "2001-01-01")], "expires_at"),
    ] {
        let refused = submit(&mut visitor, &path, &fields).expect(422);
        assert!(refused.text().contains(&format!("id=\"field-{field}-fault\"")), "{path}: {refused:?}");
    }
    let long = format!("/operators/merchants?search={}", "x".repeat(1000));
    assert!(visitor.get(&long).expect(422).text().contains("The list cannot be shown"));
    assert!(visitor.get("/operators/merchants?cursor=x").expect(422).text().contains("The list cannot be shown"));
    visitor.get("/operators/log?cursor=x").is(400);
}

fn the_scopes_are_those_of_the_api(database: Database) {
    let app = App::start(database);
    let mut visitor = signed_in(&app, "admin");
    let document = at(app.address()).get("/openapi.json").expect(200).json();
    let names = document["components"]["schemas"]["Scope"]["enum"].as_array().expect("scopes").clone();
    let names: BTreeSet<_> = names.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let page = visitor.get(&format!("{}/keys/new", of_merchant(&app))).expect(200);
    let text = page.text();
    let offered = text.split("name=\"scopes\" value=\"").skip(1).filter_map(|rest| rest.split('"').next());
    assert_eq!(offered.map(str::to_owned).collect::<BTreeSet<_>>(), names);
    // What is chosen at first is what a key has whose scopes are left out.
    let made = visitor.post(&format!("{}/keys/new", of_merchant(&app)), &Form::of(&page).encoded()).expect(201);
    let of_form = app.native().with_key(&shown_key(&made, "sk_test_")).get("/customers");
    of_form.is(200);
    let keys = at(app.address()).with_key(&Operator::create(&app, "read").key);
    let list = keys.get(&format!("/merchants/{}/api_keys", app.tenants().ours.id)).expect(200).json();
    let scopes: Vec<_> = list["data"].as_array().expect("keys").iter().map(|key| key["scopes"].clone()).collect();
    assert_eq!(scopes.last(), scopes.first(), "as of a key that a command made");
}
