//! The console: signing in and out, what keeps other sites and other keys out, and customers as its pages show and change them.

use roster_tests::app::create_key;
use roster_tests::client::{Caller, Request, encode};
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::program::{Program, launch, roster};
use roster_tests::{App, Database, Response, on_both_databases};
use serde_json::json;

on_both_databases! {
    a_visitor_signs_in_with_a_key_sees_its_customers_and_signs_out,
    a_wrong_key_does_not_sign_in,
    a_key_sees_only_its_environment,
    a_session_ends_with_its_key,
    a_session_ends_after_its_time,
    a_form_of_another_site_changes_nothing,
    every_response_has_the_headers_for_browsers,
    a_sign_in_leads_to_no_other_site,
    texts_of_customers_are_shown_as_texts,
    a_link_of_the_demo_signs_in_once,
    a_key_without_a_scope_sees_which_one_it_lacks,
    a_customer_is_created_changed_archived_and_deleted,
    a_change_of_a_customer_that_has_changed_shows_three_versions,
    a_form_of_the_largest_customer_is_read_and_a_larger_one_refused,
    what_the_api_refuses_is_shown_at_its_field,
    the_list_is_searched_filtered_and_read_page_by_page,
    a_sign_in_is_limited,
    changes_are_told_while_they_happen,
}

/// A browser without scripts: it keeps cookies and reads the tokens of forms.
pub(crate) struct Visitor {
    pub(crate) caller: Caller,
    cookies: Vec<(String, String)>,
}

impl Visitor {
    pub(crate) fn new(app: &App) -> Self {
        Self { caller: app.root(), cookies: Vec::new() }
    }

    /// A visitor who has signed in with this key.
    pub(crate) fn signed_in(app: &App, key: &str) -> Self {
        let mut visitor = Self::new(app);
        let environment = if key.starts_with("sk_live_") { "live" } else { "sandbox" };
        let answer = visitor.sign_in(&format!("environment={environment}"), key).expect(303);
        assert_eq!(answer.header("location"), Some(format!("/console/{environment}/customers").as_str()));
        visitor
    }

    pub(crate) fn send(&mut self, request: Request) -> Response {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = request.header("cookie", &cookies.join("; ")).send();
        for (_, cookie) in response.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = cookie.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie");
            self.cookies.retain(|(of, _)| of != name);
            if !cookie.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        response
    }

    pub(crate) fn get(&mut self, path: &str) -> Response {
        let caller = self.caller.clone();
        self.send(caller.request("GET", &format!("/console{path}")))
    }

    pub(crate) fn post(&mut self, path: &str, form: &str) -> Response {
        let caller = self.caller.clone();
        let request = caller.request("POST", &format!("/console{path}")).bytes(form.as_bytes().to_vec());
        self.send(request.header("content-type", "application/x-www-form-urlencoded"))
    }

    /// Opens the sign-in page, and sends its form.
    fn sign_in(&mut self, query: &str, key: &str) -> Response {
        let page = self.get(&format!("/sign-in?{query}")).expect(200);
        self.post("/sign-in", &Form::of(&page).with("key", key).encoded())
    }

    /// Opens a page, and sends its form after changes to its fields.
    fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        let page = self.get(path).expect(200);
        let form = fields.iter().fold(Form::of(&page), |form, (name, value)| form.with(name, value));
        self.post(path, &form.encoded())
    }
}

/// The fields of the main form of a page.
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    pub(crate) fn of(page: &Response) -> Self {
        let text = page.text();
        let main = text.split_once("<main").expect("a page").1;
        let form = main.split_once("<form").expect("a form").1;
        let form = form.split_once("</form>").expect("its end").0;
        let mut fields = Vec::new();
        for input in form.split("<input").skip(1) {
            let tag = input.split_once('>').expect("its end").0;
            let is_unset = tag.contains("type=\"radio\"") || tag.contains("type=\"checkbox\"");
            if let Some(name) = attribute(tag, "name").filter(|_| !is_unset || tag.contains(" checked")) {
                fields.push((name, attribute(tag, "value").unwrap_or_default()));
            }
        }
        for area in form.split("<textarea").skip(1) {
            let (tag, rest) = area.split_once('>').expect("its end");
            let value = rest.split_once("</textarea>").expect("its end").0.trim_start_matches('\n');
            fields.push((attribute(tag, "name").expect("a name"), unescaped(value)));
        }
        for select in form.split("<select").skip(1) {
            let (tag, rest) = select.split_once('>').expect("its end");
            let options = rest.split_once("</select>").expect("its end").0;
            let chosen = options.split("<option").find(|option| option.contains(" selected"));
            let value = chosen.and_then(|option| attribute(option, "value")).unwrap_or_default();
            fields.push((attribute(tag, "name").expect("a name"), value));
        }
        Self(fields)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.0.retain(|(of, _)| of != name);
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str()).expect("a field")
    }

    pub(crate) fn encoded(&self) -> String {
        let pair = |(name, value): &(String, String)| format!("{}={}", encode(name), encode(value));
        self.0.iter().map(pair).collect::<Vec<_>>().join("&")
    }
}

/// The value of the first attribute of that name.
fn attribute(html: &str, name: &str) -> Option<String> {
    let value = html.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0;
    Some(unescaped(value))
}

pub(crate) fn unescaped(text: &str) -> String {
    text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// Where a response leads.
pub(crate) fn location(response: &Response) -> String {
    response.header("location").unwrap_or_else(|| panic!("no location: {response:?}")).to_owned()
}

fn create(app: &App, body: serde_json::Value) -> String {
    app.native().post("/customers", body).expect(201).text_at("/id")
}

fn a_visitor_signs_in_with_a_key_sees_its_customers_and_signs_out(database: Database) {
    let app = App::start(database);
    create(&app, json!({ "email": "ada@example.com", "name": "Ada Lovelace" }));
    let mut visitor = Visitor::new(&app);
    assert_eq!(location(&visitor.get("").expect(303)), "/console/sign-in");
    let key = app.tenants().ours.live.clone();
    let answer = visitor.sign_in("", &key).expect(303);
    assert_eq!(location(&answer), "/console/live/customers");
    let cookie = answer.header("set-cookie").expect("a cookie").to_owned();
    for attribute in ["Path=/console", "Max-Age=129600", "HttpOnly", "SameSite=Strict"] {
        assert!(cookie.split("; ").any(|one| one == attribute), "{cookie}");
    }
    assert!(!cookie.contains(&key) && !cookie.contains("Secure"), "{cookie}");
    assert_eq!(location(&visitor.get("").expect(303)), "/console/live/customers");
    let page = visitor.get("/live/customers").expect(200).text();
    assert!(page.contains("Ada Lovelace") && page.contains("ada@example.com"), "{page}");
    let signed_out = visitor.post("/live/sign-out", &Form::of_header(&page)).expect(303);
    assert_eq!(location(&signed_out), "/console/sign-in?environment=live&why=signed_out");
    assert_eq!(
        visitor.get("/live/customers").expect(303).header("location"),
        Some("/console/sign-in?environment=live&next=%2Fconsole%2Flive%2Fcustomers")
    );
    let is_logged = |line: &str| line.contains("/console/{environment}/sign-out").then_some(());
    app.find_in_logs(TIMEOUT, is_logged).expect("a line of the access log");
    let log = app.logs().concat();
    assert!(log.contains("/console/{environment}/customers"), "{log}");
    assert!(!log.contains("ada@example.com") && !log.contains(&key), "{log}");
}

impl Form {
    /// The token of a page, as a form.
    pub(crate) fn of_header(page: &str) -> String {
        let token = page.split_once("name=\"form_token\" value=\"").expect("a token").1;
        format!("form_token={}", token.split_once('"').expect("its end").0)
    }
}

fn a_wrong_key_does_not_sign_in(database: Database) {
    let app = App::start(database);
    let mut visitor = Visitor::new(&app);
    let good = app.tenants().ours.live.clone();
    let (unknown, mistyped) = (format!("{}x", &good[..good.len() - 1]), good[..20].to_owned());
    for (key, status, text) in [
        (unknown.as_str(), 401, "not accepted"),
        (mistyped.as_str(), 401, "not accepted"),
        ("", 422, "no API key"),
        ("password", 422, "no API key"),
        ("sk_live_\u{e4}", 422, "no API key"),
    ] {
        let answer = visitor.sign_in("", key).expect(status);
        assert!(answer.text().contains(text), "{key}: {answer:?}");
        visitor.get("/live/customers").is(303);
    }
    visitor.sign_in("", &format!("  {good}\r\n")).is(303);
    visitor.get("/live/customers").is(200);
}

fn a_key_sees_only_its_environment(database: Database) {
    let app = App::start(database);
    let theirs = app.native().with_key(&app.tenants().theirs.live);
    let stranger = theirs.post("/customers", json!({ "email": "eve@example.com" })).expect(201).text_at("/id");
    let id = create(&app, json!({ "email": "ada@example.com" }));
    let mut visitor = Visitor::signed_in(&app, &app.tenants().ours.sandbox.clone());
    assert!(!visitor.get("/sandbox/customers").expect(200).text().contains("ada@example.com"));
    visitor.get(&format!("/sandbox/customers/{id}")).is(404);
    assert!(location(&visitor.get(&format!("/live/customers/{id}")).expect(303)).contains("/console/sign-in"));
    // The cookie of one environment is none of the other.
    let sandbox =
        visitor.cookies.iter().find(|(name, _)| name == "roster_console_sandbox").expect("a session").1.clone();
    visitor.cookies.push(("roster_console_live".to_owned(), sandbox));
    visitor.get("/live/customers").is(303);
    let mut visitor = Visitor::signed_in(&app, &app.tenants().ours.live.clone());
    visitor.get(&format!("/live/customers/{id}")).is(200);
    let unknown = visitor.get("/live/customers/cus_01kb6y0m2ze1hr5x0m6v8wq3ta").expect(404);
    let strange = visitor.get(&format!("/live/customers/{stranger}")).expect(404);
    assert_eq!(unknown.body, strange.body);
    visitor.get("/elsewhere/customers").is(404);
}

fn a_session_ends_with_its_key(database: Database) {
    let app = App::start(database);
    let manager = ["--scope", "keys:manage", "--scope", "customers:read"];
    let manager = create_key(app.database().url(), &app.tenants().ours.id, "live", &manager).key;
    let manager = app.native().with_key(&manager);
    let made = manager.post("/api_keys", json!({ "scopes": ["customers:read"] })).expect(201);
    let mut visitor = Visitor::signed_in(&app, &made.text_at("/key"));
    visitor.get("/live/customers").is(200);
    manager.delete(&format!("/api_keys/{}", made.text_at("/id"))).is(204);
    let ended = visitor.get("/live/customers").expect(303);
    assert!(location(&ended).contains("why=ended"), "{ended:?}");
    assert!(ended.header("set-cookie").is_some_and(|cookie| cookie.contains("Max-Age=0")), "{ended:?}");
    let page = visitor.get("/sign-in?environment=live&why=ended").expect(200).text();
    assert!(page.contains("its key was revoked or has expired"), "{page}");
}

fn a_session_ends_after_its_time(database: Database) {
    let app = App::start_with(database, &[("ROSTER__CONSOLE__SESSION_SECONDS", "1")]);
    let mut visitor = Visitor::signed_in(&app, &app.tenants().ours.live.clone());
    let kept = visitor.cookies.clone();
    let ended = until("the session ends", TIMEOUT, || {
        // A copy of the cookie, which no browser has forgotten.
        visitor.cookies.clone_from(&kept);
        Some(visitor.get("/live/customers")).filter(|response| response.status == 303)
    });
    assert!(location(&ended).contains("why=expired"), "{ended:?}");
}

fn a_form_of_another_site_changes_nothing(database: Database) {
    let app = App::start(database);
    let mut visitor = Visitor::signed_in(&app, &app.tenants().ours.live.clone());
    let mut other = Visitor::signed_in(&app, &app.tenants().ours.live.clone());
    let path = "/live/customers/new";
    let form = Form::of(&visitor.get(path).expect(200)).with("email", "ada@example.com");
    let stolen = Form::of(&other.get(path).expect(200)).with("email", "ada@example.com");
    for refused in [
        form.encoded().replace("form_token", "x"),
        Form::of(&visitor.get(path)).with("email", "ada@example.com").with("form_token", "").encoded(),
        stolen.encoded(),
        String::new(),
    ] {
        let answer = visitor.post(path, &refused).expect(403);
        assert!(answer.text().contains("Nothing was changed"), "{answer:?}");
    }
    let host = app.address().to_string();
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let caller = visitor.caller.clone();
        let request = caller.request("POST", &format!("/console{path}")).bytes(form.encoded().into_bytes());
        visitor.send(request.header(name, value)).is(403);
    }
    assert_eq!(app.native().get("/customers").json()["data"], json!([]));
    let caller = visitor.caller.clone();
    let request = caller.request("POST", &format!("/console{path}")).bytes(form.encoded().into_bytes());
    visitor.send(request.header("origin", &format!("http://{host}"))).is(303);
    // Nor does it sign a visitor in, with the key of an attacker.
    let mut visitor = Visitor::new(&app);
    let form = Form::of(&visitor.get("/sign-in")).with("key", &app.tenants().theirs.live);
    visitor.cookies.clear();
    visitor.post("/sign-in", &form.encoded()).is(403);
}

fn every_response_has_the_headers_for_browsers(database: Database) {
    let app = App::start(database);
    let id = create(&app, json!({ "email": "ada@example.com" }));
    let mut visitor = Visitor::signed_in(&app, &app.tenants().ours.live.clone());
    let page = visitor.get("/live/customers").expect(200).text();
    let assets: Vec<String> = page
        .split('"')
        .filter_map(|text| text.strip_prefix("/console/assets/"))
        .map(|rest| format!("/assets/{rest}"))
        .collect();
    assert_eq!(assets.len(), 3, "{page}");
    for (path, status) in [
        ("", 303),
        ("/sign-in", 200),
        ("/live", 200),
        ("/live/charts/customers", 200),
        ("/live/charts/changes", 200),
        ("/live/developers", 200),
        ("/live/developers/events", 200),
        ("/live/developers/imports", 200),
        ("/live/developers/keys", 403),
        ("/live/developers/webhooks", 200),
        ("/live/developers/webhooks/new", 200),
        ("/live/customers", 200),
        ("/live/customers?status=x", 422),
        ("/live/customers/new", 200),
        (format!("/live/customers/{id}").as_str(), 200),
        (format!("/live/customers/{id}/edit").as_str(), 200),
        (format!("/live/customers/{id}/delete").as_str(), 200),
        ("/live/customers/nothing", 404),
        ("/sandbox/customers", 303),
        ("/nothing/at/all", 404),
    ] {
        let response = visitor.get(path).expect(status);
        let header = |name| response.header(name).unwrap_or_default();
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(header("content-security-policy").split("; ").any(|one| one == rule), "{path}: {response:?}");
        }
        assert_eq!(header("cache-control"), "no-store", "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        assert!(!header("x-request-id").is_empty(), "{path}");
        assert!(response.body.len() < 100 * 1024, "{path}");
        let page = response.text();
        assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains("<script>"), "{path}: {page}");
    }
    for asset in assets {
        let response = visitor.get(&asset).expect(200);
        assert!(response.header("cache-control").is_some_and(|value| value.contains("immutable")), "{response:?}");
        visitor.get(&asset.replace("/assets/", "/assets/0")).is(404);
    }
}

fn a_sign_in_leads_to_no_other_site(database: Database) {
    let app = App::start(database);
    let key = app.tenants().ours.live.clone();
    for (next, expected) in [
        ("https://evil.example/", "/console/live/customers"),
        ("//evil.example/console/live/x", "/console/live/customers"),
        ("/console/live/\\evil.example", "/console/live/customers"),
        ("/console/live//evil.example", "/console/live/customers"),
        ("javascript:alert(1)", "/console/live/customers"),
        ("/v1/customers", "/console/live/customers"),
        ("/console/live/customers?status=active", "/console/live/customers?status=active"),
    ] {
        let answer = Visitor::new(&app).sign_in(&format!("environment=live&next={}", encode(next)), &key).expect(303);
        assert_eq!(location(&answer), expected, "{next}");
        let mut visitor = Visitor::new(&app);
        let form = Form::of(&visitor.get("/sign-in?environment=live")).with("next", next).with("key", &key);
        assert_eq!(location(&visitor.post("/sign-in", &form.encoded()).expect(303)), expected, "{next}");
    }
}

/// Texts that a page which does not escape them would run.
pub(crate) const ATTACKS: [&str; 5] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'-alert(1)-'",
    "</textarea><svg/onload=alert(1)>",
    "javascript:alert(1)//{{7*7}}",
];

fn texts_of_customers_are_shown_as_texts(database: Database) {
    let app = App::start(database);
    let mut visitor = Visitor::signed_in(&app, &app.tenants().ours.live.clone());
    for (number, attack) in ATTACKS.into_iter().enumerate() {
        let id = create(
            &app,
            json!({
                "email": format!("x{number}@example.com"), "name": attack, "external_id": attack, "tax_id": attack,
                "business_name": attack, "metadata": { attack: attack },
                "billing_address": { "line1": attack, "line2": attack, "city": attack, "state": attack,
                                     "postal_code": &attack[..attack.len().min(32)] },
            }),
        );
        let subscription = json!({ "status": "active", "name": attack, "plan_id": attack,
                                   "started_at": "2026-01-01T00:00:00Z" });
        app.native().put(&format!("/customers/{id}/subscriptions/s"), subscription).is(201);
        let reason = app.native();
        let reason = reason.request("PATCH", &format!("/customers/{id}")).header("x-change-reason", attack);
        reason.json(json!({ "name": attack, "phone": "+14155552671" })).send().is(200);
        let here = format!("/live/customers/{id}");
        let search = format!("/live/customers?search={0}&metadata_key={0}&metadata_value={0}", encode(attack));
        for path in
            [here.clone(), format!("{here}/edit"), format!("{here}/delete"), search, "/live/customers".to_owned()]
        {
            let page = visitor.get(&path).text();
            for raw in ["<script>alert", "<img", "<svg"] {
                assert!(!page.contains(raw), "{path}: {raw}: {page}");
            }
            assert!(page.contains(&escaped(attack)) || path.ends_with("customers"), "{path}: {attack}: {page}");
        }
        // A form sends back what it was given.
        let form = Form::of(&visitor.get(&format!("{here}/edit")).expect(200));
        assert_eq!((form.get("name"), form.get("tax_id")), (attack, attack));
        let unchanged = visitor.post(&format!("{here}/edit"), &form.encoded()).expect(303);
        assert!(location(&unchanged).ends_with("notice=unchanged"), "{unchanged:?}");
    }
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn a_link_of_the_demo_signs_in_once(database: Database) {
    let database = database.into_empty();
    assert!(roster(database.url(), &[], &["migrate"]).status.success());
    let process = launch(database.url(), &[], &["serve", "--demo"]);
    let program = Program::listening(process);
    let link = |line: &str| line.split_once("/console/sign-in?link=").map(|(_, token)| token.trim().to_owned());
    let token = program.lines().find(TIMEOUT, link).expect("a link");
    let caller = Caller::new(roster_tests::client::agent(), program.address(), "");
    let mut visitor = Visitor { caller, cookies: Vec::new() };
    let path = format!("/sign-in?link={token}");
    assert_eq!(location(&visitor.get(&path).expect(303)), "/console/sandbox/customers");
    visitor.get("/sandbox/customers").is(200);
    visitor.cookies.clear();
    assert!(location(&visitor.get(&path).expect(303)).contains("why=link"));
    visitor.get("/sandbox/customers").is(303);
    visitor.get("/sign-in?link=x").is(303);
}

fn a_key_without_a_scope_sees_which_one_it_lacks(database: Database) {
    let app = App::start(database);
    let id = create(&app, json!({ "email": "ada@example.com" }));
    let key = |scopes: &[&str]| create_key(app.database().url(), &app.tenants().ours.id, "live", scopes).key;
    let mut visitor = Visitor::signed_in(&app, &key(&["--scope", "events:read"]));
    let page = visitor.get("/live/customers").expect(403).text();
    assert!(page.contains("This key may not do that") && page.contains("customers:read"), "{page}");
    let mut visitor = Visitor::signed_in(&app, &key(&["--scope", "customers:read"]));
    let page = visitor.get(&format!("/live/customers/{id}")).expect(200).text();
    assert!(page.contains("ada@example.com") && page.contains("lacks the scope events:read"), "{page}");
    let page = visitor.submit("/live/customers/new", &[("email", "grace@example.com")]).expect(403).text();
    assert!(page.contains("customers:write"), "{page}");
}

fn a_customer_is_created_changed_archived_and_deleted(database: Database) {
    let app = App::start(database);
    let mut visitor = Visitor::signed_in(&app, &app.tenants().ours.live.clone());
    let page = visitor.get("/live/customers/new").expect(200);
    let form = Form::of(&page)
        .with("email", "ada@example.com")
        .with("name", "Ada")
        .with("billing_address/city", "London")
        .with("billing_address/country", "gb")
        .with("tax_exempt", "reverse")
        .with("metadata", r#"{"plan": "pro", "n": 12345678901}"#);
    let created = location(&visitor.post("/live/customers/new", &form.encoded()).expect(303));
    // The same form, sent twice, creates one customer.
    assert_eq!(location(&visitor.post("/live/customers/new", &form.encoded()).expect(303)), created);
    let id = created.split_once("/customers/").expect("a customer").1.split_once('?').expect("a notice").0.to_owned();
    let here = format!("/live/customers/{id}");
    let stored = || app.native().get(&format!("/customers/{id}")).json();
    let customer = stored();
    assert_eq!(customer["billing_address"]["country"], "GB");
    assert_eq!(customer["metadata"], json!({ "plan": "pro", "n": 12_345_678_901_i64 }));
    let page = visitor.get(&here).expect(200).text();
    let digits = id.trim_start_matches("cus_");
    for shown in [
        "Ada",
        "London",
        "Reverse charge",
        "No subscription was reported.",
        "Created",
        &format!("curl http://{}/v1/customers/{id}", app.address()),
        &format!("/api/customers/cust_{digits}"),
        &format!("/lava/v1/customers/con_live_{}", digits.to_uppercase()),
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let edit = format!("{here}/edit");
    let saved = visitor.submit(&edit, &[("name", "Ada Lovelace"), ("billing_address/city", "")]).expect(303);
    assert!(location(&saved).ends_with("notice=saved"), "{saved:?}");
    let customer = stored();
    assert_eq!((&customer["name"], &customer["billing_address"]["city"]), (&json!("Ada Lovelace"), &json!(null)));
    assert_eq!(customer["metadata"]["plan"], "pro");
    let page = visitor.get(&here).expect(200).text();
    assert!(page.contains("London") && page.contains("Ada Lovelace"), "the timeline has both: {page}");
    let token = Form::of_header(&page);
    let etag = encode(Form::of(&visitor.get(&edit)).get("etag"));
    let archived = visitor.post(&format!("{here}/status"), &format!("{token}&etag={etag}&status=archived")).expect(303);
    assert!(location(&archived).ends_with("notice=archived"), "{archived:?}");
    assert_eq!(stored()["status"], "archived");
    let stale = visitor.post(&format!("{here}/status"), &format!("{token}&etag={etag}&status=active")).expect(303);
    assert!(location(&stale).ends_with("notice=stale"), "{stale:?}");
    let delete = format!("{here}/delete");
    let form = Form::of(&visitor.get(&delete).expect(200));
    app.native().patch(&format!("/customers/{id}"), json!({ "name": "Countess" })).is(200);
    assert!(visitor.post(&delete, &form.encoded()).expect(409).text().contains("Countess"));
    assert_eq!(location(&visitor.submit(&delete, &[]).expect(303)), "/console/live/customers?notice=deleted");
    app.native().get(&format!("/customers/{id}")).is(404);
    visitor.get(&here).is(404);
}

fn a_change_of_a_customer_that_has_changed_shows_three_versions(database: Database) {
    let app = App::start(database);
    let id =
        create(&app, json!({ "email": "ada@example.com", "name": "Opened", "phone": "+14155550001", "tax_id": "T" }));
    let mut visitor = Visitor::signed_in(&app, &app.tenants().ours.live.clone());
    let edit = format!("/live/customers/{id}/edit");
    let form = Form::of(&visitor.get(&edit).expect(200)).with("name", "Mine").with("tax_id", "T2");
    let other = json!({ "name": "Stored", "phone": "+14155550002" });
    app.native().patch(&format!("/customers/{id}"), other).is(200);
    let conflict = visitor.post(&edit, &form.encoded()).expect(409);
    let page = conflict.text();
    for version in ["Opened", "Mine", "Stored", "+14155550001", "+14155550002", "T2"] {
        assert!(page.contains(version), "{version}: {page}");
    }
    assert_eq!(app.native().get(&format!("/customers/{id}")).json()["name"], "Stored");
    let choice = Form::of(&conflict);
    // What only one of the two has changed is chosen; the name, which both have, is not.
    assert_eq!((choice.get("phone"), choice.get("tax_id")), ("+14155550002", "T2"));
    assert!(!choice.0.iter().any(|(name, _)| name == "name"));
    visitor.post(&edit, &choice.with("name", "Mine").encoded()).is(303);
    let customer = app.native().get(&format!("/customers/{id}")).json();
    assert_eq!(
        (&customer["name"], &customer["phone"], &customer["tax_id"], &customer["email"]),
        (&json!("Mine"), &json!("+14155550002"), &json!("T2"), &json!("ada@example.com"))
    );
}

fn a_form_of_the_largest_customer_is_read_and_a_larger_one_refused(database: Database) {
    let app = App::start(database);
    let id = create(&app, json!({ "email": "ada@example.com", "metadata": { "text": "\u{e9}".repeat(8_000) } }));
    let mut visitor = Visitor::signed_in(&app, &app.tenants().ours.live.clone());
    let edit = format!("/live/customers/{id}/edit");
    let form = Form::of(&visitor.get(&edit).expect(200)).with("name", "Ada");
    assert!(form.encoded().len() > 65_536, "more than a body of the API");
    assert!(location(&visitor.post(&edit, &form.encoded()).expect(303)).ends_with("notice=saved"));
    let form = Form::of(&visitor.get(&edit).expect(200)).with("name", &"x".repeat(300_000));
    assert!(visitor.post(&edit, &form.encoded()).expect(403).text().contains("is not complete"));
    assert_eq!(app.native().get(&format!("/customers/{id}")).json()["name"], "Ada");
}

fn what_the_api_refuses_is_shown_at_its_field(database: Database) {
    let app = App::start(database);
    let first = create(&app, json!({ "email": "ada@example.com", "external_id": "a" }));
    let mut visitor = Visitor::signed_in(&app, &app.tenants().ours.live.clone());
    let path = "/live/customers/new";
    let wrong = [("email", "x"), ("billing_address/country", "XX"), ("phone", "1"), ("name", "Grace")];
    let answer = visitor.submit(path, &wrong).expect(422);
    let page = answer.text();
    for field in ["email", "billing_address-country", "phone"] {
        assert!(page.contains(&format!("id=\"field-{field}-fault\"")), "{field}: {page}");
    }
    // What was written stays.
    assert_eq!(Form::of(&answer).get("name"), "Grace");
    let metadata = visitor.submit(path, &[("email", "b@example.com"), ("metadata", "{")]).expect(422).text();
    assert!(metadata.contains("must be JSON"), "{metadata}");
    assert!(
        visitor
            .submit(path, &[("email", "b@example.com"), ("metadata", "[1]")])
            .expect(422)
            .text()
            .contains("metadata")
    );
    let taken = visitor.submit(path, &[("email", "ada@example.com")]).expect(409);
    assert!(taken.text().contains(&format!("/console/live/customers/{first}")), "{taken:?}");
    let shared = Form::of(&taken).with("allow_duplicate_email", "yes");
    visitor.post(path, &shared.encoded()).is(303);
    assert_eq!(app.native().get("/customers?email=ada@example.com").json()["data"].as_array().map(Vec::len), Some(2));
}

fn the_list_is_searched_filtered_and_read_page_by_page(database: Database) {
    let app = App::start(database);
    let mut visitor = Visitor::signed_in(&app, &app.tenants().ours.live.clone());
    assert!(visitor.get("/live/customers").expect(200).text().contains("No customers yet"));
    for number in 0..30 {
        let plan = if number == 7 { "pro" } else { "free" };
        let body = json!({ "email": format!("c{number}@example.com"), "name": format!("Customer {number:02}"),
                           "metadata": { "plan": plan } });
        create(&app, body);
    }
    let names = |page: &Response| page.text().matches("data-row").count();
    let first = visitor.get("/live/customers").expect(200);
    assert_eq!(names(&first), 25);
    let text = first.text();
    let next = text.split("<a ").find(|link| link.contains("rel=\"next\"")).expect("a next page");
    let next = unescaped(next.split_once("href=\"/console").expect("a path").1.split_once('"').expect("its end").0);
    let second = visitor.get(&next).expect(200);
    assert_eq!(names(&second), 5);
    assert!(second.text().contains("First page") && second.text().contains("Customer 00"));
    for (query, expected) in [
        ("search=customer+07", 1),
        ("search=nothing-like-this", 0),
        ("metadata_key=plan&metadata_value=pro", 1),
        ("status=archived", 0),
        ("status=active&order=asc", 25),
        ("created_from=2000-01-01&created_to=2000-01-02", 0),
        ("created_from=2000-01-01", 25),
    ] {
        let page = visitor.get(&format!("/live/customers?{query}")).expect(200);
        assert_eq!(names(&page), expected, "{query}");
        assert!(expected > 0 || page.text().contains("No customer matches"), "{query}");
    }
    let wrong = visitor.get("/live/customers?created_from=yesterday").expect(422).text();
    assert!(wrong.contains("id=\"created_from-fault\"") && wrong.contains("created_after"), "{wrong}");
    assert!(visitor.get("/live/customers?cursor=x").expect(422).text().contains("The list cannot be shown"));
}

fn a_sign_in_is_limited(database: Database) {
    let app = App::start(database);
    let mut visitor = Visitor::new(&app);
    let form = Form::of(&visitor.get("/sign-in")).with("key", "sk_live_x").encoded();
    let refused = (0..200).map(|_| visitor.post("/sign-in", &form)).find(|answer| answer.status == 429);
    assert!(refused.expect("a limit").text().contains("Too many attempts"));
}

fn changes_are_told_while_they_happen(database: Database) {
    use std::io::{BufRead as _, BufReader, Write as _};
    let app = App::start(database);
    create(&app, json!({ "email": "before@example.com" }));
    create(&app, json!({ "email": "too@example.com" }));
    let mut visitor = Visitor::signed_in(&app, &app.tenants().ours.live.clone());
    let page = visitor.get("/live/customers").expect(200).text();
    let updates = attribute(&page, "data-updates").expect("an address");
    // After the page was read, and before its browser listens.
    let between = create(&app, json!({ "email": "between@example.com" }));
    let (name, value) = visitor.cookies.iter().find(|(name, _)| name == "roster_console_live").expect("a session");
    let mut stream = std::net::TcpStream::connect(app.address()).expect("a connection");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
    let head = format!("GET {updates} HTTP/1.1\r\nHost: x\r\nCookie: {name}={value}\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("a request");
    let mut lines = BufReader::new(stream).lines().map(|line| line.expect("a line"));
    assert_eq!(lines.next().as_deref(), Some("HTTP/1.1 200 OK"));
    lines.by_ref().find(String::is_empty).expect("the end of the head");
    // Without a session there is no stream, and no page either.
    let stranger = app.root();
    let stranger = stranger.request("GET", "/console/live/updates").header("accept", "text/event-stream");
    stranger.send().is(204);
    let id = create(&app, json!({ "email": "ada@example.com" }));
    for expected in [between, id] {
        let told = lines.find(|line| line.starts_with("data:")).expect("an event");
        assert_eq!(told, format!("data: {}", json!({ "customer_id": expected })));
    }
}

#[test]
fn the_console_is_off_where_other_machines_can_connect() {
    let database = Database::prepared(roster_tests::Kind::Sqlite).expect("SQLite");
    let app = App::start_with(database, &[("ROSTER__CONSOLE__ENABLED", "false")]);
    for path in ["/console", "/console/sign-in", "/console/live/customers"] {
        let answer = app.root().get(path).expect(404);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
}
