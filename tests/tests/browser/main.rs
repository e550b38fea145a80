//! The API page and the console in a real browser.
//!
//! `make test-browser` installs Chromium, its driver and axe-core, and runs this. With `ROSTER_SCREENSHOT=FILE` it keeps a picture of
//! the API page: a reader pastes a key, tries a call of each API and sees the answer. `make screenshots` keeps pictures of the console.

mod console;
mod developers;
mod driver;
mod operators;
mod pictures;

use std::ffi::OsString;
use std::{env, fs};

use roster_tests::{App, Database, Kind};
use serde_json::json;

use driver::Browser;

/// The APIs as the page calls them, each with a call that lists customers, and where it goes.
const APIS: [(&str, &str, &str); 3] = [
    ("Native", "operations-Customers-listCustomers", "/v1/customers"),
    ("Lumen", "operations-Customers-listCustomers", "/api/customers"),
    ("Lava", "operations-Customers-listCustomers", "/lava/v1/customers"),
];

#[test]
#[ignore = "needs Chromium: make test-browser"]
fn a_reader_pastes_a_key_tries_a_call_of_each_api_and_sees_the_answer() {
    let app = App::start(Database::prepared(Kind::Sqlite).expect("SQLite"));
    let key = &app.tenants().ours.sandbox;
    app.native()
        .with_key(key)
        .post("/customers", json!({ "email": "ada@example.com", "name": "Ada Lovelace" }))
        .is(201);
    let browser = Browser::start();
    for (name, operation, path) in APIS {
        browser.open(&format!("http://{}/docs", app.address()));
        choose(&browser, name);
        authorize(&browser, key);
        call(&browser, operation);
        let answer = browser.text(&format!("#{operation} .live-responses-table .response"));
        assert!(answer.contains("200") && answer.contains("ada@example.com"), "{name}: {answer}");
        let called = browser.text(&format!("#{operation} .request-url"));
        assert!(called.contains(path), "{name}: {called}");
        if let (Some(file), "Native") = (screenshot(), name) {
            fs::write(file, browser.screenshot()).expect("the picture is kept");
        }
    }
    assert_eq!(browser.complaints(), Vec::<String>::new(), "a file is missing, or the policy forbids something");
}

#[test]
#[ignore = "needs Chromium: make test-browser"]
fn the_answer_to_a_wrong_key_is_shown_with_its_problem() {
    let app = App::start(Database::prepared(Kind::Sqlite).expect("SQLite"));
    let browser = Browser::start();
    browser.open(&format!("http://{}/docs", app.address()));
    choose(&browser, "Native");
    authorize(&browser, "sk_live_wrong");
    call(&browser, "operations-Customers-listCustomers");
    let answer = browser.text("#operations-Customers-listCustomers .live-responses-table .response");
    assert!(answer.contains("401") && answer.contains("/v1/problems/unauthorized"), "{answer}");
}

/// Chooses an API in the bar on top, and waits until its document is shown.
fn choose(browser: &Browser, name: &str) {
    let select = "const select = document.querySelector('#select'); const option = [...select.options].find(one => one.text \
                  === arguments[0]); Object.getOwnPropertyDescriptor(HTMLSelectElement.prototype, \
                  'value').set.call(select, option.value); select.dispatchEvent(new Event('change', { bubbles: true }));";
    browser.wait_for("#select");
    browser.run(select, &json!([name]));
    browser.wait_until(
        "return document.querySelector('.info .title')?.textContent.includes(arguments[0] === 'Native' ? 'native' : \
         arguments[0])",
        &json!([name]),
    );
}

/// Pastes a key into the dialog for credentials.
fn authorize(browser: &Browser, key: &str) {
    browser.click(".auth-wrapper .btn.authorize");
    browser.type_into(".auth-container input", key);
    browser.click(".auth-btn-wrapper .authorize");
    browser.click(".auth-btn-wrapper .btn-done");
}

/// Unfolds an operation, sends its request and waits for the answer.
fn call(browser: &Browser, operation: &str) {
    browser.click(&format!("#{operation} .opblock-summary-control"));
    browser.click(&format!("#{operation} .btn.execute"));
    browser.wait_for(&format!("#{operation} .live-responses-table .response"));
}

/// Where to keep a picture, if one is wanted.
fn screenshot() -> Option<OsString> {
    env::var_os("ROSTER_SCREENSHOT").filter(|file| !file.is_empty())
}
