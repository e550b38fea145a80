//! The pictures of the console's pages that `docs/console.md` and `README.md` show. `make screenshots` writes them.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, fs};

use roster_tests::app::{SCOPES, create_key};
use roster_tests::client::Caller;
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::program::roster_json;
use roster_tests::receiver::Receiver;
use roster_tests::{App, Database, Kind};
use serde_json::{Value, json};

use crate::console::{Visit, WIDE, pages};
use crate::driver::Browser;

/// A picture is as high as its page, within these bounds in pixels.
const LOWEST: u64 = 420;
const HIGHEST: u64 = 1100;

/// The most bytes of a picture. One that has more shows the upper part of its page only.
const MAX_BYTES: usize = 150_000;

/// Where pictures are kept, and the visit that they are of.
struct Album {
    folder: PathBuf,
    visit: Visit,
}

impl Album {
    /// Opens a page and keeps a picture of it in each scheme.
    fn open(&self, name: &str, path: &str) {
        for scheme in ["light", "dark"] {
            // Images are drawn in the scheme that they were loaded in.
            self.visit.browser.show_as(scheme, WIDE, 400);
            self.visit.open(path);
            self.keep(name, scheme);
        }
    }

    /// Keeps pictures of the page that is open: it cannot be opened again.
    fn keep_both(&self, name: &str) {
        for scheme in ["light", "dark"] {
            self.keep(name, scheme);
        }
    }

    fn keep(&self, name: &str, scheme: &str) {
        let browser = &self.visit.browser;
        browser.show_as(scheme, WIDE, 400);
        browser.run("window.scrollTo(0, 0)", &json!([]));
        browser.wait_until("return [...document.images].every((image) => image.complete)", &json!([]));
        let needed = browser.run("return document.querySelector('main').getBoundingClientRect().bottom", &json!([]));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a height in pixels")]
        let mut height = (needed.as_f64().expect("a number") as u64).clamp(LOWEST, HIGHEST);
        let picture = loop {
            browser.show_as(scheme, WIDE, u32::try_from(height).expect("a height"));
            let picture = browser.screenshot();
            if picture.len() <= MAX_BYTES || height <= LOWEST {
                break picture;
            }
            height -= 40;
        };
        fs::write(self.folder.join(format!("{name}-{scheme}.png")), picture).expect("a file");
    }

    /// Signs in with a key.
    fn sign_in(&self, area: &str, key: &str) {
        self.visit.open(&format!("/sign-in?environment={area}"));
        self.visit.browser.type_into("#key", key);
        self.visit.browser.click("main button[type=submit]");
        self.visit.browser.wait_for_path(&format!("/console/{area}/"));
    }
}

#[test]
#[ignore = "needs Chromium: make screenshots"]
fn pictures() {
    let Some(folder) = env::var_os("ROSTER_SCREENSHOTS").map(PathBuf::from) else { return };
    fs::create_dir_all(&folder).expect("a folder");
    let database = Database::prepared(Kind::Sqlite).expect("SQLite");
    let app = App::start_with(database, &[("ROSTER__WEBHOOKS__ALLOW_PRIVATE", "true")]);
    let album = Album { folder, visit: Visit { browser: Browser::start(), app } };
    album.visit.browser.hide_scrollbars();
    let operator = operator(&album.visit.app);
    let key = album.visit.app.live_key(&SCOPES);
    let import = import(&album, &key);
    album.sign_in("live", &key);
    let receiver = unreliable_receiver();
    let webhook = webhook(&album.visit, &key, &receiver);
    for (name, path) in pages(&album.visit) {
        album.open(name, &path);
    }
    keys_of_developers(&album, &key);
    album.open("exports", "/live/developers");
    album.open("events", "/live/developers/events");
    album.open("webhooks", "/live/developers/webhooks");
    album.open("imports", "/live/developers/imports");
    album.open("new-import", "/live/developers/imports/new");
    album.open("import", &format!("/live/developers/imports/{import}"));
    album.visit.open(&format!("/live/developers/webhooks/{webhook}"));
    album.visit.browser.click("form[action$='/test'] button");
    album.visit.browser.wait_for(".note");
    album.open("webhook", &format!("/live/developers/webhooks/{webhook}"));
    overview(&album, &key);
    pages_of_operators(&album, &operator);
}

/// The key of an operator, after it has given the merchants other names.
fn operator(app: &App) -> String {
    let create = |name, role| {
        let made = roster_json(app.database().url(), &["operators", "create", name, "--role", role, "--json"]);
        made["key"].as_str().expect("a key").to_owned()
    };
    let (admin, _) = (create("Katherine Johnson", "admin"), create("Dashboard", "read"));
    let caller = app.root().with_key(&admin);
    for (merchant, name) in [(&app.tenants().ours, "Acme"), (&app.tenants().theirs, "Globex")] {
        caller.patch(&format!("/admin/v1/merchants/{}", merchant.id), json!({ "name": name })).is(200);
    }
    for name in ["Initech", "Umbrella"] {
        caller.post("/admin/v1/merchants", json!({ "name": name })).is(201);
    }
    caller.post(&format!("/admin/v1/merchants/{}/disable", app.tenants().theirs.id), json!({})).is(200);
    admin
}

/// Imports customers of the last 30 days, and rows that are refused: the identifier of the import.
fn import(album: &Album, key: &str) -> String {
    let caller = album.visit.app.native().with_key(key);
    let day = "return new Date(Date.now() - arguments[0] * 86400000).toISOString()";
    let mut file = "email,name,created_at\n".to_owned();
    for back in 1..30 {
        let day = album.visit.browser.run(day, &json!([back]));
        // More and more, and fewer each seventh day.
        for number in 0..(34 - back) / (1 + u64::from(back % 7 < 2)) {
            let day = day.as_str().expect("a day");
            // Writing to a `String` cannot fail.
            let _ = writeln!(file, "c{back}.{number}@example.com,Customer {back}.{number},{day}");
        }
    }
    file += "nowhere,Without an address,\nalan@example,Alan Turing,\n";
    let request = caller.request("POST", "/imports?format=csv").bytes(file.into_bytes());
    let id = request.header("content-type", "text/csv").send().expect(202).text_at("/id");
    until("the import ends", TIMEOUT, || {
        let import = caller.get(&format!("/imports/{id}")).expect(200).json();
        (import["state"] == "finished").then_some(())
    });
    id
}

/// A receiver that fails once.
fn unreliable_receiver() -> Receiver {
    let has_failed = AtomicBool::default();
    Receiver::answering(move |_| if has_failed.swap(true, Ordering::Relaxed) { (200, "") } else { (503, "") })
}

/// Creates two webhooks: the identifier of the first.
fn webhook(visit: &Visit, key: &str, receiver: &Receiver) -> String {
    let caller = visit.app.native().with_key(key);
    let create = |body: Value| caller.post("/webhooks", body).expect(201).text_at("/id");
    let id = create(json!({ "url": receiver.url(), "events": ["*"], "description": "Invoices" }));
    let orders =
        json!({ "url": "https://example.com/orders", "events": ["customer.created"], "description": "Orders" });
    caller.patch(&format!("/webhooks/{}", create(orders)), json!({ "status": "disabled" })).is(200);
    id
}

/// Keys in each state, the form of a new one, and the page that shows one once.
fn keys_of_developers(album: &Album, key: &str) {
    let (app, browser) = (&album.visit.app, &album.visit.browser);
    let caller = app.native().with_key(key);
    let create = |body: Value| caller.post("/api_keys", body).expect(201).text_at("/id");
    create(json!({ "name": "Checkout", "scopes": ["customers:read", "customers:write"] }));
    create(json!({ "name": "Audit", "scopes": ["events:read"], "expires_at": "2099-01-01T00:00:00Z" }));
    let revoked = create(json!({ "name": "Old shop", "scopes": ["customers:read"] }));
    caller.delete(&format!("/api_keys/{revoked}")).is(204);
    let fill = || {
        album.visit.open("/live/developers/keys/new");
        album.visit.write("[name=name]", "Nightly reports");
        for scope in ["customers:read", "events:read"] {
            browser.click(&format!("[name=scopes][value='{scope}']"));
        }
    };
    fill();
    album.keep_both("new-key");
    browser.click(".sheet button[type=submit]");
    browser.wait_for(".code code");
    album.keep_both("key");
    album.open("keys", "/live/developers/keys");
}

/// The overview, once its charts have figures: a step of ten seconds is shown when it is over.
fn overview(album: &Album, key: &str) {
    let caller: Caller = album.visit.app.native().with_key(key);
    let has_figures = "return [...document.querySelectorAll('td')].some((cell) => !cell.textContent.startsWith('0.0'))";
    until("the requests are shown", TIMEOUT, || {
        caller.get("/customers").is(200);
        album.visit.open("/live/charts/requests");
        (album.visit.browser.run(has_figures, &json!([])) == json!(true)).then_some(())
    });
    album.open("overview", "/live");
}

fn pages_of_operators(album: &Album, operator: &str) {
    let app = &album.visit.app;
    let ours = &app.tenants().ours.id;
    let _brief = create_key(app.database().url(), ours, "sandbox", &["--name", "Trial", "--expires-in", "1s"]);
    album.sign_in("operators", operator);
    album.open("merchants", "/operators/merchants");
    album.open("merchant", &format!("/operators/merchants/{ours}"));
    album.open("operators-new-key", &format!("/operators/merchants/{ours}/keys/new"));
    album.open("log", "/operators/log");
    album.open("service", "/operators/service");
}
