//! The console for operators: one signs in, makes a merchant and its keys, and sees in the log what was done.

use roster_tests::program::roster_json;
use roster_tests::{Database, Kind, on_both_databases};
use serde_json::json;

use crate::console::{ATTACKS, NARROW, Visit, WIDE, assert_accessible};

on_both_databases! {
    #[ignore = "needs Chromium: make test-browser"]
    an_operator_makes_a_merchant_and_a_key_and_sees_it_in_the_log,
    #[ignore = "needs Chromium: make test-browser"]
    the_keyboard_reaches_all_merchants,
    #[ignore = "needs Chromium: make test-browser"]
    names_of_merchants_never_run,
}

/// A browser whose visitor has signed in as a new operator with the role admin.
fn signed_in(database: Database) -> Visit {
    let visit = Visit::start(database);
    let made = roster_json(visit.app.database().url(), &["operators", "create", "Ada", "--role", "admin", "--json"]);
    visit.open("/operators");
    visit.browser.wait_for_path("/console/sign-in");
    visit.browser.type_into("#key", made["key"].as_str().expect("a key"));
    visit.browser.click("main button[type=submit]");
    visit.browser.wait_for_path("/console/operators/merchants");
    visit
}

/// Creates a merchant by its form: the path of its page below the console.
fn create(visit: &Visit, name: &str) -> String {
    visit.open("/operators/merchants/new");
    visit.write("[name=name]", name);
    visit.browser.click(".sheet button[type=submit]");
    visit.browser.wait_for_path("/console/operators/merchants/org_");
    let path = visit.browser.run("return location.pathname", &json!([]));
    path.as_str().and_then(|path| path.strip_prefix("/console")).expect("a page").to_owned()
}

fn an_operator_makes_a_merchant_and_a_key_and_sees_it_in_the_log(database: Database) {
    let visit = signed_in(database);
    let browser = &visit.browser;
    let merchant = create(&visit, "Acme");
    visit.open("/operators/merchants");
    browser.run("window.sameDocument = true", &json!([]));
    browser.type_into("#search", "acme");
    browser.wait_until("return document.querySelectorAll('a[data-row]').length === 1", &json!([]));
    assert_eq!(browser.run("return window.sameDocument && location.search", &json!([])), "?search=acme");
    browser.click("a[data-row]");
    browser.wait_for_path(&format!("/console{merchant}"));
    browser.click("main a[data-key=n]");
    browser.wait_for_path(&format!("/console{merchant}/keys/new"));
    visit.write("[name=name]", "checkout");
    browser.click(".sheet button[type=submit]");
    browser.wait_for("[data-copy] button");
    assert!(browser.text("[data-copy] code").starts_with("sk_test_"));
    assert_accessible(&visit);
    visit.open(&merchant);
    assert!(browser.text("main table").contains("checkout") && !browser.text("main").contains("sk_test_"));
    browser.click("main a[href$='/rotate']");
    browser.wait_for("[name=overlap_seconds]");
    browser.click(".sheet button[type=submit]");
    browser.wait_for("[data-copy] button");
    visit.open(&merchant);
    browser.click("main a[href$='/revoke']");
    browser.wait_for("main button.danger");
    browser.click("main button.danger");
    browser.wait_for_path(&format!("/console{merchant}?notice=revoked"));
    browser.click("main a[href$='/disable']");
    browser.wait_for("main button.danger");
    browser.click("main button.danger");
    browser.wait_for_path(&format!("/console{merchant}?notice=disabled"));
    visit.open("/operators/log");
    let log = browser.text("main");
    for done in [
        "Merchant created",
        "API key created",
        "API key rotated",
        "API key revoked",
        "Merchant disabled",
        "Command line",
    ] {
        assert!(log.contains(done), "{done}: {log}");
    }
    visit.assert_quiet(&[]);
}

fn the_keyboard_reaches_all_merchants(database: Database) {
    let visit = signed_in(database);
    let browser = &visit.browser;
    visit.open("/operators/merchants");
    let focused = || browser.run("return document.activeElement.textContent", &json!([]));
    for (key, expected) in [("j", "Ours"), ("j", "Theirs"), ("j", "Theirs"), ("k", "Ours")] {
        browser.press(key);
        assert_eq!(focused(), expected, "{key}");
    }
    browser.press("\u{e007}");
    browser.wait_until("return document.querySelector('h1')?.textContent.startsWith('Ours')", &json!([]));
    browser.press("?");
    assert_eq!(browser.run("return document.querySelector('#help').open", &json!([])), true);
    // Escape.
    browser.press("\u{e00c}");
    visit.open("/operators/merchants");
    browser.press("/");
    assert_eq!(browser.run("return document.activeElement.id", &json!([])), "search");
    visit.open("/operators/merchants");
    browser.press("n");
    browser.wait_for_path("/console/operators/merchants/new");
    visit.assert_quiet(&[]);
}

fn names_of_merchants_never_run(database: Database) {
    let visit = signed_in(database);
    for attack in ATTACKS {
        let merchant = create(&visit, attack);
        for path in ["", "/rename", "/disable", "/keys/new"] {
            // The driver fails at the first command if a dialog is open.
            visit.open(&format!("{merchant}{path}"));
            let strange = "return document.querySelectorAll('main img, main svg, main iframe, main script').length";
            assert_eq!(visit.browser.run(strange, &json!([])), 0, "{path}");
        }
        visit.open(&merchant);
        assert!(visit.browser.text("h1").contains(attack), "{attack}");
    }
    visit.assert_quiet(&[]);
}

#[test]
#[ignore = "needs Chromium: make test-browser"]
fn each_page_of_operators_is_accessible_and_fits_a_narrow_screen() {
    let visit = signed_in(Database::prepared(Kind::Sqlite).expect("SQLite"));
    let ours = format!("/operators/merchants/{}", visit.app.tenants().ours.id);
    visit.open(&ours);
    let href = "return document.querySelector(\"main a[href$='/rotate']\").getAttribute('href')";
    let rotate = visit.browser.run(href, &json!([]));
    let rotate = rotate.as_str().and_then(|path| path.strip_prefix("/console")).expect("a page").to_owned();
    let paths = [
        "/operators/merchants".to_owned(),
        "/operators/merchants?search=nothing-like-this".to_owned(),
        "/operators/merchants/new".to_owned(),
        ours.clone(),
        format!("{ours}/rename"),
        format!("{ours}/disable"),
        format!("{ours}/enable"),
        format!("{ours}/keys/new"),
        rotate.replace("/rotate", "/revoke"),
        rotate,
        "/operators/log".to_owned(),
        "/operators/service".to_owned(),
        "/operators/merchants/org_1".to_owned(),
        "/sign-in?environment=operators&why=ended".to_owned(),
    ];
    for path in paths {
        for (scheme, width) in [("light", WIDE), ("dark", WIDE), ("light", NARROW), ("dark", NARROW)] {
            visit.browser.show_as(scheme, width, 900);
            visit.open(&path);
            let needed = visit.browser.run("return document.documentElement.scrollWidth", &json!([]));
            assert!(needed.as_u64().is_some_and(|needed| needed <= width.into()), "{path} needs {needed} of {width}");
            println!("{path}, {scheme}, {width}");
            assert_accessible(&visit);
        }
    }
    visit.assert_quiet(&[404]);
}
