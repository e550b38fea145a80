//! The console's pages for developers and its overview in a browser.

use roster_tests::app::SCOPES;
use roster_tests::receiver::Receiver;
use roster_tests::{App, Database, Kind, on_both_databases};
use serde_json::json;

use crate::console::{NARROW, Visit, WIDE, assert_accessible};
use crate::driver::Browser;

on_both_databases! {
    #[ignore = "needs Chromium: make test-browser"]
    a_key_is_made_rotated_and_revoked,
    #[ignore = "needs Chromium: make test-browser"]
    a_webhook_is_made_and_is_sent_events_again,
    #[ignore = "needs Chromium: make test-browser"]
    a_file_is_imported_with_a_form,
    #[ignore = "needs Chromium: make test-browser"]
    events_appear_by_themselves,
}

/// A browser whose visitor has signed in with a key that all pages accept.
fn start(database: Database) -> Visit {
    let app = App::start_with(database, &[("ROSTER__WEBHOOKS__ALLOW_PRIVATE", "true")]);
    let visit = Visit { browser: Browser::start(), app };
    let key = visit.app.live_key(&SCOPES);
    visit.open("/sign-in");
    visit.browser.type_into("#key", &key);
    visit.browser.click("main button[type=submit]");
    visit.browser.wait_for_path("/console/live/customers");
    visit
}

fn a_key_is_made_rotated_and_revoked(database: Database) {
    let visit = start(database);
    let browser = &visit.browser;
    visit.open("/live/developers/keys/new");
    browser.type_into("[name=name]", "<script>alert(1)</script>");
    browser.click("[name=scopes][value='customers:read']");
    browser.click(".sheet button[type=submit]");
    browser.wait_until("return document.querySelector('h1')?.textContent === 'The key was created'", &json!([]));
    let secret = browser.text(".code code");
    visit.app.native().with_key(&secret).get("/customers").is(200);
    assert_accessible(&visit);
    visit.open("/live/developers/keys");
    assert!(browser.text("main").contains("<script>alert(1)</script>") && !browser.text("main").contains(&secret));
    browser.run("[...document.querySelectorAll('a[data-row]')].at(-1).click()", &json!([]));
    browser.wait_for("form[action$='/rotate']");
    assert_accessible(&visit);
    browser.click("form[action$='/rotate'] button");
    browser.wait_until("return document.querySelector('h1')?.textContent.startsWith('Another key')", &json!([]));
    assert_ne!(browser.text(".code code"), secret);
    visit.open("/live/developers/keys");
    browser.run("[...document.querySelectorAll('a[data-row]')].at(-2).click()", &json!([]));
    browser.click("form[action$='/revoke'] button");
    browser.wait_for_path("/console/live/developers/keys?notice=revoked");
    visit.app.native().with_key(&secret).get("/customers").is(401);
    visit.assert_quiet(&[]);
}

fn a_webhook_is_made_and_is_sent_events_again(database: Database) {
    let visit = start(database);
    let (browser, receiver) = (&visit.browser, Receiver::start());
    visit.app.native().post("/customers", json!({ "email": "ada@example.com" })).is(201);
    visit.open("/live/developers/webhooks/new");
    browser.type_into("[name=url]", &receiver.url());
    browser.click(".sheet button[type=submit]");
    browser.wait_for(".code code");
    browser.click("main .narrow a.button");
    browser.click("form[action$='/test'] button");
    browser.wait_until("return document.querySelector('main')?.textContent.includes('was delivered')", &json!([]));
    browser.type_into("[name=from_seq]", "1");
    browser.click("form[action$='/replay'] button");
    browser.wait_until("return document.querySelector('main')?.textContent.includes('sent again')", &json!([]));
    assert_eq!(receiver.wait_for(2)[1].event()["seq"], 1);
    assert_accessible(&visit);
    browser.click("main a[href$='/delete']");
    browser.click("main button.danger");
    browser.wait_for_path("/console/live/developers/webhooks?notice=webhook_deleted");
    visit.assert_quiet(&[]);
}

fn a_file_is_imported_with_a_form(database: Database) {
    let visit = start(database);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("customers.csv");
    std::fs::write(&file, "email\nada@example.com\ngrace@example.com\n").expect("a file");
    visit.open("/live/developers/imports");
    visit.browser.click("main a[href$='/imports/new']");
    visit.browser.type_into("[type=file]", file.to_str().expect("a path"));
    visit.browser.click(".sheet button[type=submit]");
    visit.browser.wait_until("return document.querySelector('#import')?.innerText.includes('Finished')", &json!([]));
    assert_eq!(visit.app.native().get("/customers").expect(200).json()["data"].as_array().map(Vec::len), Some(2));
    visit.assert_quiet(&[]);
}

fn events_appear_by_themselves(database: Database) {
    let visit = start(database);
    visit.open("/live/developers/events");
    // The stream may not have begun: one of the customers that are created is told of.
    let shown = (0..100).any(|number| {
        visit.app.native().post("/customers", json!({ "email": format!("c{number}@example.com") })).is(201);
        std::thread::sleep(std::time::Duration::from_millis(400));
        let rows = "return document.querySelectorAll('#results tbody tr').length > 0";
        visit.browser.run(rows, &json!([])) == json!(true)
    });
    assert!(shown, "{:?}", visit.browser.complaints());
    visit.assert_quiet(&[]);
}

#[test]
#[ignore = "needs Chromium: make test-browser"]
fn each_page_for_developers_is_accessible_and_fits_a_narrow_screen() {
    let visit = start(Database::prepared(Kind::Sqlite).expect("SQLite"));
    let native = visit.app.native();
    native.post("/customers", json!({ "email": "ada@example.com" })).is(201);
    let key = visit.app.live_key(&SCOPES);
    let endpoint = json!({ "url": "http://127.0.0.1:1/hooks", "events": ["*"], "description": "Invoices" });
    let webhook = native.with_key(&key).post("/webhooks", endpoint).expect(201).text_at("/id");
    for path in [
        "",
        "/charts/customers",
        "/charts/changes",
        "/developers",
        "/developers/keys",
        "/developers/keys/new",
        "/developers/webhooks",
        "/developers/webhooks/new",
        format!("/developers/webhooks/{webhook}").as_str(),
        format!("/developers/webhooks/{webhook}/edit").as_str(),
        format!("/developers/webhooks/{webhook}/delete").as_str(),
        "/developers/events",
        "/developers/imports",
        "/developers/imports/new",
    ] {
        for (scheme, width) in [("light", WIDE), ("dark", WIDE), ("light", NARROW), ("dark", NARROW)] {
            visit.browser.show_as(scheme, width, 900);
            visit.open(&format!("/live{path}"));
            visit.browser.wait_until("return [...document.images].every((image) => image.complete)", &json!([]));
            let broken = "return [...document.images].filter((image) => image.naturalWidth === 0).length";
            assert_eq!(visit.browser.run(broken, &json!([])), 0, "{path}");
            let needed = visit.browser.run("return document.documentElement.scrollWidth", &json!([]));
            assert!(needed.as_u64().is_some_and(|needed| needed <= width.into()), "{path} needs {needed} of {width}");
            println!("{path}, {scheme}, {width}");
            assert_accessible(&visit);
        }
    }
    visit.assert_quiet(&[]);
}
