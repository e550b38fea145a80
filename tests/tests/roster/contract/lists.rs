//! Pages of customers.

use roster_tests::client::encode;
use roster_tests::{App, Caller, Database, Response, on_both_databases};
use serde_json::json;

on_both_databases! {
    a_native_page_has_25_customers_by_default_newest_first,
    the_last_native_page_has_no_cursor,
    a_native_limit_outside_1_to_100_is_refused,
    a_malformed_cursor_is_refused,
    paging_continues_after_customers_are_created_and_deleted,
    the_last_lava_page_leaves_the_cursor_out,
    a_cursor_of_another_tenant_shows_none_of_its_customers,
}

fn a_native_page_has_25_customers_by_default_newest_first(database: Database) {
    let app = App::start(database);
    let mut created = create(&app, 30);
    created.reverse();
    let first = app.native().get("/customers").expect(200);
    assert_eq!(ids(&first, "id"), created[..25]);
    assert_eq!(first.json()["has_more"], true);
    assert_eq!(all_pages(&app.native(), "", "id"), created);
    assert_eq!(all_pages(&app.native(), "limit=7", "id"), created);
    assert_eq!(all_pages(&app.native(), "limit=30", "id"), created);
    assert_eq!(ids(&app.native().get("/customers?limit=100").expect(200), "id"), created);
    assert_eq!(ids(&app.native().get("/customers?limit=1").expect(200), "id"), created[..1]);
}

fn the_last_native_page_has_no_cursor(database: Database) {
    let app = App::start(database);
    let empty = app.native().get("/customers").expect(200);
    assert_eq!(empty.text(), r#"{"data":[],"has_more":false,"next_cursor":null}"#);
    create(&app, 2);
    let whole = app.native().get("/customers?limit=2").expect(200).json();
    assert_eq!((&whole["has_more"], &whole["next_cursor"]), (&json!(false), &json!(null)));
}

fn a_native_limit_outside_1_to_100_is_refused(database: Database) {
    let app = App::start(database);
    for limit in ["0", "101", "-1", "1.5", "ten", "", "99999999999999999999999", "1%00", "+5", " 5"] {
        let response = app.native().get(&format!("/customers?limit={}", limit.replace(' ', "%20")));
        assert_eq!(response.status, 422, "{limit:?}: {response:?}");
    }
}

fn a_malformed_cursor_is_refused(database: Database) {
    let app = App::start(database);
    create(&app, 3);
    let valid = app.native().get("/customers?limit=1").json()["next_cursor"].as_str().map(str::to_owned);
    let valid = valid.expect("a cursor");
    let cursors = [
        "x".to_owned(),
        "%00".to_owned(),
        "%FF".to_owned(),
        "%".to_owned(),
        "null".to_owned(),
        format!("{}x", encode(&valid)),
        encode(&valid[..valid.len() - 1]),
        encode(&"A".repeat(4096)),
    ];
    for cursor in cursors {
        for caller in [app.native(), app.lava()] {
            let response = caller.get(&format!("/customers?cursor={cursor}"));
            assert!((400..500).contains(&response.status), "{cursor}: {response:?}");
        }
    }
}

fn paging_continues_after_customers_are_created_and_deleted(database: Database) {
    let app = App::start(database);
    let mut created = create(&app, 6);
    created.reverse();
    let page = app.native().get("/customers?limit=3").expect(200);
    let cursor = page.text_at("/next_cursor");
    app.native().delete(&format!("/customers/{}", created[2])).is(204);
    app.native().post("/customers", json!({"email": "new@example.com"})).is(201);
    let rest = app.native().get(&format!("/customers?limit=3&cursor={}", encode(&cursor))).expect(200);
    assert_eq!(ids(&rest, "id"), created[3..]);
}

fn the_last_lava_page_leaves_the_cursor_out(database: Database) {
    let app = App::start(database);
    let mut expected: Vec<_> = create(&app, 12)
        .iter()
        .map(|id| id.replace("cus_", "con_live_"))
        .map(|id| format!("con_live_{}", id["con_live_".len()..].to_uppercase()))
        .collect();
    let mut listed = all_pages(&app.lava(), "limit=5", "customer_id");
    expected.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, expected);
    let whole = app.lava().get("/customers").expect(200).json();
    assert_eq!(whole["has_more"], false);
    assert_eq!(whole.get("next_cursor"), None);
}

fn a_cursor_of_another_tenant_shows_none_of_its_customers(database: Database) {
    let app = App::start(database);
    let theirs = app.native().with_key(&app.tenants().theirs.live);
    for number in 0..3 {
        theirs.post("/customers", json!({"email": format!("their{number}@example.com")})).is(201);
    }
    let cursor = theirs.get("/customers?limit=1").text_at("/next_cursor");
    let ours = create(&app, 1);
    let response = app.native().get(&format!("/customers?cursor={}", encode(&cursor)));
    let seen = if response.status == 200 { ids(&response, "id") } else { Vec::new() };
    assert!(seen.iter().all(|id| ours.contains(id)), "{response:?}");
}

/// Creates `count` customers and returns their native ids, oldest first.
fn create(app: &App, count: usize) -> Vec<String> {
    let email = |number| format!("c{number}@example.com");
    let create = |number| app.native().post("/customers", json!({"email": email(number)})).expect(201).text_at("/id");
    (0..count).map(create).collect()
}

fn ids(page: &Response, field: &str) -> Vec<String> {
    let data = page.json()["data"].as_array().cloned().unwrap_or_else(|| panic!("no list: {page:?}"));
    data.iter().map(|item| item[field].as_str().expect("an id").to_owned()).collect()
}

/// Follows the cursors to the last page and returns the ids of all pages.
fn all_pages(caller: &Caller, query: &str, field: &str) -> Vec<String> {
    let mut listed = Vec::new();
    let mut path = format!("/customers?{query}");
    for _ in 0..100 {
        let page = caller.get(&path).expect(200);
        listed.extend(ids(&page, field));
        let json = page.json();
        let cursor = json["next_cursor"].as_str();
        assert_eq!(json["has_more"], cursor.is_some(), "{page:?}");
        let Some(cursor) = cursor else { return listed };
        path = format!("/customers?{query}&cursor={}", encode(cursor));
    }
    panic!("the pages do not end: {listed:?}");
}
