//! The console: a visitor signs in, looks for customers, changes them, and meets what others have done.

use std::{env, fs};

use roster_tests::client::encode;
use roster_tests::{App, Database, Kind, on_both_databases};
use serde_json::{Value, json};

use crate::driver::Browser;

on_both_databases! {
    #[ignore = "needs Chromium: make test-browser"]
    a_visitor_signs_in_finds_creates_changes_and_deletes_customers,
    #[ignore = "needs Chromium: make test-browser"]
    a_conflicting_change_shows_three_versions_and_saves_the_choice,
    #[ignore = "needs Chromium: make test-browser"]
    texts_of_customers_never_run,
    #[ignore = "needs Chromium: make test-browser"]
    a_form_of_another_site_changes_nothing,
    #[ignore = "needs Chromium: make test-browser"]
    the_keyboard_reaches_all_customers,
    #[ignore = "needs Chromium: make test-browser"]
    changes_of_others_appear_by_themselves,
    #[ignore = "needs Chromium: make test-browser"]
    a_session_that_has_ended_leads_to_the_sign_in_page,
}

/// A width that pages must be usable at, and one of a laptop.
pub(crate) const NARROW: u32 = 360;
pub(crate) const WIDE: u32 = 1280;

/// A browser on a running console, and the URL of the service.
pub(crate) struct Visit {
    pub(crate) browser: Browser,
    pub(crate) app: App,
}

impl Visit {
    pub(crate) fn start(database: Database) -> Self {
        Self { browser: Browser::start(), app: App::start(database) }
    }

    /// A browser whose visitor has signed in to the live environment.
    pub(crate) fn signed_in(database: Database) -> Self {
        let visit = Self::start(database);
        visit.sign_in();
        visit
    }

    pub(crate) fn sign_in(&self) {
        self.open("");
        self.browser.wait_for_path("/console/sign-in");
        self.browser.type_into("#key", &self.app.tenants().ours.live);
        self.browser.click("main button[type=submit]");
        self.browser.wait_for_path("/console/live/customers");
    }

    pub(crate) fn open(&self, path: &str) {
        self.browser.open(&format!("http://{}/console{path}", self.app.address()));
    }

    fn create(&self, body: Value) -> String {
        self.app.native().post("/customers", body).expect(201).text_at("/id")
    }

    fn stored(&self, id: &str) -> Value {
        self.app.native().get(&format!("/customers/{id}")).json()
    }

    /// Replaces what a field of a form has.
    pub(crate) fn write(&self, selector: &str, text: &str) {
        self.browser.wait_for(selector);
        self.browser.run("document.querySelector(arguments[0]).value = ''", &json!([selector]));
        self.browser.type_into(selector, text);
    }

    /// Asserts that every request stayed on this machine, and that the console of the browser has no error but answers with one of
    /// these statuses, which a page was meant to have.
    pub(crate) fn assert_quiet(&self, statuses: &[u16]) {
        let origin = format!("http://{}/", self.app.address());
        let requests = self.browser.requests();
        assert!(!requests.is_empty());
        let elsewhere: Vec<_> =
            requests.iter().filter(|url| !url.starts_with(&origin) && !url.starts_with("data:")).collect();
        assert_eq!(elsewhere, Vec::<&String>::new());
        let is_meant = |line: &String| statuses.iter().any(|status| line.contains(&format!("status of {status} ")));
        let complaints: Vec<_> = self.browser.complaints().into_iter().filter(|line| !is_meant(line)).collect();
        assert_eq!(complaints, Vec::<String>::new());
    }
}

fn a_visitor_signs_in_finds_creates_changes_and_deletes_customers(database: Database) {
    let visit = Visit::signed_in(database);
    let browser = &visit.browser;
    for number in 0..30 {
        visit.create(json!({ "email": format!("c{number}@example.com"), "name": format!("Customer {number:02}") }));
    }
    visit.open("/live/customers");
    let rows = "return document.querySelectorAll('a[data-row]').length === arguments[0]";
    browser.wait_until(rows, &json!([25]));
    browser.run("window.sameDocument = true", &json!([]));
    browser.type_into("#search", "customer 07");
    browser.wait_until(rows, &json!([1]));
    // The page was not loaded again, and can be kept as a bookmark all the same.
    assert_eq!(browser.run("return window.sameDocument && location.search", &json!([])), "?search=customer+07");
    let told = browser.run("return document.querySelector('#status').textContent", &json!([]));
    assert_eq!(told, "1 customer on this page");
    let choices = "return [...document.querySelector('[name=status]').options].map((one) => one.value)";
    assert_eq!(browser.run(choices, &json!([])), json!(["", "active", "archived"]));
    browser.click("main a[data-key=n]");
    browser.wait_for_path("/console/live/customers/new");
    browser.type_into("[name=email]", "ada@example.com");
    browser.type_into("[name=metadata]", "{");
    browser.wait_until("return document.querySelector('#field-metadata-live').textContent !== ''", &json!([]));
    browser.type_into("[name='billing_address/country']", "Nowhere");
    browser.click(".sheet button[type=submit]");
    browser.wait_for("#field-metadata-fault");
    visit.write("[name=metadata]", r#"{"plan": "pro"}"#);
    browser.click(".sheet button[type=submit]");
    browser.wait_for("#field-billing_address-country-fault");
    visit.write("[name='billing_address/country']", "GB");
    browser.click(".sheet button[type=submit]");
    browser.wait_for_path("/console/live/customers/cus_");
    assert!(browser.text("main").contains("The customer was created."));
    let id = browser.run("return document.querySelector('[data-customer]').dataset.customer", &json!([]));
    let id = id.as_str().expect("an identifier");
    assert_eq!(visit.stored(id)["metadata"], json!({ "plan": "pro" }));
    browser.click("main a[href$='/edit']");
    visit.write("[name=name]", "Ada Lovelace");
    browser.click(".sheet button[type=submit]");
    browser.wait_until("return document.querySelector('h1')?.textContent.startsWith('Ada Lovelace')", &json!([]));
    browser.click("main a[href$='/delete']");
    browser.click("main button.danger");
    browser.wait_for_path("/console/live/customers?notice=deleted");
    visit.app.native().get(&format!("/customers/{id}")).is(404);
    visit.assert_quiet(&[422]);
}

fn a_conflicting_change_shows_three_versions_and_saves_the_choice(database: Database) {
    let visit = Visit::signed_in(database);
    let browser = &visit.browser;
    let id = visit.create(json!({ "email": "ada@example.com", "name": "Opened" }));
    visit.open(&format!("/live/customers/{id}/edit"));
    visit.write("[name=name]", "Mine");
    visit.app.native().patch(&format!("/customers/{id}"), json!({ "name": "Stored" })).is(200);
    browser.click(".sheet button[type=submit]");
    let versions = browser.text(".versions tbody");
    assert!(["Opened", "Mine", "Stored"].iter().all(|version| versions.contains(version)), "{versions}");
    assert_accessible(&visit);
    browser.click("input[type=radio][value=Mine]");
    browser.click(".sheet button[type=submit]");
    browser.wait_until("return document.querySelector('h1')?.textContent.startsWith('Mine')", &json!([]));
    assert_eq!(visit.stored(&id)["name"], "Mine");
    visit.assert_quiet(&[409]);
}

/// Texts that a page which does not escape them would run.
pub(crate) const ATTACKS: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'-alert(1)-'",
    "</textarea><svg onload=alert(1)>",
    "javascript:alert(1)",
    "</code></pre><iframe srcdoc='<script>parent.alert(1)</script>'>",
];

fn texts_of_customers_never_run(database: Database) {
    let visit = Visit::signed_in(database);
    for (number, attack) in ATTACKS.into_iter().enumerate() {
        let start = &attack[..attack.len().min(32)];
        let id = visit.create(json!({
            "email": format!("x{number}@example.com"), "name": attack, "external_id": attack, "tax_id": start,
            "business_name": attack, "metadata": { attack: attack },
            "billing_address": { "line1": attack, "line2": attack, "city": attack, "state": attack, "postal_code": start },
        }));
        let subscription = json!({ "status": "active", "name": attack, "started_at": "2026-01-01T00:00:00Z" });
        visit.app.native().put(&format!("/customers/{id}/subscriptions/s"), subscription).is(201);
        let here = format!("/live/customers/{id}");
        let search = format!("/live/customers?search={0}&metadata_key={0}&metadata_value={0}", encode(attack));
        for path in [here.clone(), format!("{here}/edit"), format!("{here}/delete"), search] {
            // The driver fails at the first command if a dialog is open.
            visit.open(&path);
            let strange = "return document.querySelectorAll('main img, main svg, main iframe, main script').length";
            assert_eq!(visit.browser.run(strange, &json!([])), 0, "{path}");
        }
        assert!(visit.browser.text("body").contains(start), "{attack}");
    }
    visit.assert_quiet(&[422]);
}

fn a_form_of_another_site_changes_nothing(database: Database) {
    let visit = Visit::signed_in(database);
    let target = format!("http://{}/console/live/customers/new", visit.app.address());
    visit.browser.open("data:text/html,<title>elsewhere</title>");
    let send = "const form = document.createElement('form'); form.method = 'post'; form.action = arguments[0]; \
                const email = document.createElement('input'); email.name = 'email'; email.value = 'eve@example.com'; \
                form.append(email); document.body.append(form); form.submit();";
    visit.browser.run(send, &json!([target]));
    // The browser keeps the cookie back, so there is no session.
    visit.browser.wait_for_path("/console/");
    // With the cookie, but without the token: as if the browser knew nothing of sites.
    visit.open("/live/customers/new");
    visit.browser.type_into("[name=email]", "eve@example.com");
    visit
        .browser
        .run("document.querySelectorAll('[name=form_token]').forEach((one) => { one.value = 'x'; })", &json!([]));
    visit.browser.click(".sheet button[type=submit]");
    visit.browser.wait_until("return document.querySelector('h1')?.textContent === 'Nothing was changed'", &json!([]));
    assert_eq!(visit.app.native().get("/customers").json()["data"], json!([]));
}

fn the_keyboard_reaches_all_customers(database: Database) {
    let visit = Visit::signed_in(database);
    let browser = &visit.browser;
    for name in ["One", "Two", "Three"] {
        visit.create(json!({ "email": format!("{name}@example.com"), "name": name }));
    }
    visit.open("/live/customers");
    let focused = || browser.run("return document.activeElement.textContent", &json!([]));
    for (key, expected) in [("j", "Three"), ("j", "Two"), ("j", "One"), ("j", "One"), ("k", "Two")] {
        browser.press(key);
        assert_eq!(focused(), expected, "{key}");
    }
    browser.press("\u{e007}");
    browser.wait_until("return document.querySelector('h1')?.textContent.startsWith('Two')", &json!([]));
    browser.press("?");
    assert_eq!(browser.run("return document.querySelector('#help').open", &json!([])), true);
    // Escape.
    browser.press("\u{e00c}");
    visit.open("/live/customers");
    browser.press("/");
    assert_eq!(browser.run("return document.activeElement.id", &json!([])), "search");
    browser.press("n");
    assert_eq!(browser.run("return document.activeElement.value", &json!([])), "n");
    visit.open("/live/customers");
    browser.press("n");
    browser.wait_for_path("/console/live/customers/new");
    visit.assert_quiet(&[]);
}

fn changes_of_others_appear_by_themselves(database: Database) {
    let visit = Visit::signed_in(database);
    let text = "return document.querySelector('main').textContent.includes(arguments[0])";
    visit.open("/live/customers");
    visit.browser.wait_until(text, &json!(["No customers yet"]));
    // The stream may not have begun: one of the customers that are created is told of.
    let shown = (0..100).any(|number| {
        visit.create(json!({ "email": format!("c{number}@example.com") }));
        std::thread::sleep(std::time::Duration::from_millis(100));
        visit.browser.run(text, &json!(["@example.com"])) == json!(true)
    });
    assert!(shown, "{:?}", visit.browser.complaints());
    let id = visit.create(json!({ "email": "ada@example.com", "name": "Before" }));
    visit.open(&format!("/live/customers/{id}"));
    let shown = (0..100).any(|number| {
        visit.app.native().patch(&format!("/customers/{id}"), json!({ "name": format!("After {number}") })).is(200);
        std::thread::sleep(std::time::Duration::from_millis(100));
        visit.browser.run(text, &json!(["After"])) == json!(true)
    });
    assert!(shown, "{:?}", visit.browser.complaints());
    visit.assert_quiet(&[]);
}

fn a_session_that_has_ended_leads_to_the_sign_in_page(database: Database) {
    let visit = Visit {
        browser: Browser::start(),
        app: App::start_with(database, &[("ROSTER__CONSOLE__SESSION_SECONDS", "3")]),
    };
    visit.open("/sign-in");
    visit.browser.type_into("#key", &visit.app.tenants().ours.live);
    visit.browser.click("main button[type=submit]");
    // What the visitor types is looked for until the session is over.
    let text = "return document.querySelector('main')?.textContent.includes('The session has lasted') === true";
    let ended = (0..100).any(|number| {
        let is_over = visit.browser.run(text, &json!([])) == json!(true);
        if !is_over {
            visit.browser.run(
                "const search = document.querySelector('#search'); if (search) { search.value = arguments[0]; \
                 search.dispatchEvent(new Event('input', { bubbles: true })); }",
                &json!([number.to_string()]),
            );
            // Longer than the pause after which the page searches.
            std::thread::sleep(std::time::Duration::from_millis(400));
        }
        is_over
    });
    assert!(ended, "{}", visit.browser.text("main"));
}

/// Each page of the console with a name for its picture.
pub(crate) fn pages(visit: &Visit) -> Vec<(&'static str, String)> {
    let people = [
        ("Ada Lovelace", "ada@example.com", "usr_1815"),
        ("Grace Hopper", "grace@example.com", "usr_1906"),
        ("Alan Turing", "alan@example.com", "usr_1912"),
        ("Edsger Dijkstra", "edsger@example.com", "usr_1930"),
        ("Barbara Liskov", "barbara@example.com", "usr_1939"),
    ];
    let ids: Vec<_> = people
        .iter()
        .map(|(name, email, external_id)| {
            visit.create(
                json!({ "name": name, "email": email, "external_id": external_id, "metadata": { "plan": "pro" } }),
            )
        })
        .collect();
    let (first, archived) = (&ids[0], &ids[2]);
    let native = visit.app.native();
    native.patch(&format!("/customers/{archived}"), json!({ "status": "archived" })).is(200);
    let address =
        json!({ "line1": "12 St James's Square", "city": "London", "postal_code": "SW1Y 4LB", "country": "GB" });
    let change =
        json!({ "billing_address": address, "phone": "+442079460000", "tax_id": "GB123456789", "currency": "GBP" });
    let change =
        native.request("PATCH", &format!("/customers/{first}")).header("x-change-reason", "moved").json(change);
    change.send().is(200);
    let subscription =
        json!({ "status": "active", "name": "Engine", "plan_id": "pro", "started_at": "2026-01-01T00:00:00Z" });
    native.put(&format!("/customers/{first}/subscriptions/sub_1"), subscription).is(201);
    vec![
        ("customers", "/live/customers".to_owned()),
        ("filters", "/live/customers?status=active&search=example&metadata_key=plan&metadata_value=pro".to_owned()),
        ("customer", format!("/live/customers/{first}")),
        ("edit", format!("/live/customers/{first}/edit")),
        ("delete", format!("/live/customers/{first}/delete")),
        ("new", "/live/customers/new".to_owned()),
        ("nothing", "/live/customers?search=nothing-like-this".to_owned()),
        ("wrong", "/live/customers?created_from=yesterday".to_owned()),
        ("not-found", "/live/customers/cus_1".to_owned()),
        ("sign-in", "/sign-in?environment=sandbox&why=expired".to_owned()),
    ]
}

#[test]
#[ignore = "needs Chromium: make test-browser"]
fn each_page_is_accessible_and_fits_a_narrow_screen() {
    let visit = Visit::signed_in(Database::prepared(Kind::Sqlite).expect("SQLite"));
    for (name, path) in pages(&visit) {
        for (scheme, width) in [("light", WIDE), ("dark", WIDE), ("light", NARROW), ("dark", NARROW)] {
            visit.browser.show_as(scheme, width, 900);
            visit.open(&path);
            visit
                .browser
                .run("document.querySelectorAll('details').forEach((one) => { one.open = true; })", &json!([]));
            let needed = visit.browser.run("return document.documentElement.scrollWidth", &json!([]));
            assert!(needed.as_u64().is_some_and(|needed| needed <= width.into()), "{name} needs {needed} of {width}");
            println!("{name}, {scheme}, {width}");
            assert_accessible(&visit);
        }
    }
    visit.assert_quiet(&[404, 422]);
}

/// Asserts that axe-core finds nothing against the rules of WCAG 2.2 AA on the page.
pub(crate) fn assert_accessible(visit: &Visit) {
    let file = env::var_os("ROSTER_AXE").expect("ROSTER_AXE names axe.min.js: make test-browser");
    let axe = fs::read_to_string(file).expect("axe-core is installed: make test-browser");
    visit.browser.run(&axe, &json!([]));
    let check = "const done = arguments[0]; const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']; \
                 window.axe.run(document, { runOnly: { type: 'tag', values: tags } }).then((found) => done(found.violations.map(\
                 (one) => one.id + ': ' + one.help + ': ' + one.nodes.map((node) => node.html).join(' | '))));";
    assert_eq!(visit.browser.run_to_end(check, &json!([])), json!([]));
}
