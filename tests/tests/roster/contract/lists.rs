//! Pages of customers.

use roster_tests::client::encode;
use roster_tests::{Answer, App, Caller, Database, on_both_databases};
use serde_json::json;

on_both_databases! {
    the_native_list_is_newest_first_and_25_long_unless_told_otherwise,
    the_last_native_page_says_so,
    a_native_limit_outside_1_to_100_is_refused,
    a_cursor_that_is_none_of_ours_is_refused,
    a_walk_survives_what_happens_meanwhile,
    the_lava_list_walks_to_its_end_and_leaves_the_last_cursor_out,
    a_cursor_of_another_tenant_shows_nothing_of_theirs,
}

fn the_native_list_is_newest_first_and_25_long_unless_told_otherwise(database: Database) {
    let app = App::start(database);
    let mut created = create(&app, 30);
    created.reverse();
    let first = app.native().get("/customers").expect(200);
    assert_eq!(ids(&first, "id"), created[..25]);
    assert_eq!(first.json()["has_more"], true);
    assert_eq!(walk(&app.native(), "", "id"), created);
    assert_eq!(walk(&app.native(), "limit=7", "id"), created);
    assert_eq!(walk(&app.native(), "limit=30", "id"), created);
    assert_eq!(ids(&app.native().get("/customers?limit=100").expect(200), "id"), created);
    assert_eq!(ids(&app.native().get("/customers?limit=1").expect(200), "id"), created[..1]);
}

fn the_last_native_page_says_so(database: Database) {
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
        let answer = app.native().get(&format!("/customers?limit={}", limit.replace(' ', "%20")));
        assert_eq!(answer.status, 422, "{limit:?}: {answer:?}");
    }
}

fn a_cursor_that_is_none_of_ours_is_refused(database: Database) {
    let app = App::start(database);
    create(&app, 3);
    let genuine = app.native().get("/customers?limit=1").json()["next_cursor"].as_str().map(str::to_owned);
    let genuine = genuine.expect("a cursor");
    let cursors = [
        "x".to_owned(),
        "%00".to_owned(),
        "%FF".to_owned(),
        "%".to_owned(),
        "null".to_owned(),
        format!("{}x", encode(&genuine)),
        encode(&genuine[..genuine.len() - 1]),
        encode(&"A".repeat(4096)),
    ];
    for cursor in cursors {
        for caller in [app.native(), app.lava()] {
            let answer = caller.get(&format!("/customers?cursor={cursor}"));
            assert!((400..500).contains(&answer.status), "{cursor}: {answer:?}");
        }
    }
}

fn a_walk_survives_what_happens_meanwhile(database: Database) {
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

fn the_lava_list_walks_to_its_end_and_leaves_the_last_cursor_out(database: Database) {
    let app = App::start(database);
    let mut expected: Vec<_> = create(&app, 12)
        .iter()
        .map(|id| id.replace("cus_", "con_live_"))
        .map(|id| format!("con_live_{}", id["con_live_".len()..].to_uppercase()))
        .collect();
    let mut walked = walk(&app.lava(), "limit=5", "customer_id");
    expected.sort_unstable();
    walked.sort_unstable();
    assert_eq!(walked, expected);
    let whole = app.lava().get("/customers").expect(200).json();
    assert_eq!(whole["has_more"], false);
    assert_eq!(whole.get("next_cursor"), None);
}

fn a_cursor_of_another_tenant_shows_nothing_of_theirs(database: Database) {
    let app = App::start(database);
    let theirs = app.native().with_key(&app.tenants().theirs.live);
    for number in 0..3 {
        theirs.post("/customers", json!({"email": format!("their{number}@example.com")})).is(201);
    }
    let cursor = theirs.get("/customers?limit=1").text_at("/next_cursor");
    let ours = create(&app, 1);
    let answer = app.native().get(&format!("/customers?cursor={}", encode(&cursor)));
    let seen = if answer.status == 200 { ids(&answer, "id") } else { Vec::new() };
    assert!(seen.iter().all(|id| ours.contains(id)), "{answer:?}");
}

/// Makes that many customers and returns their native identifiers, oldest first.
fn create(app: &App, count: usize) -> Vec<String> {
    let email = |number| format!("c{number}@example.com");
    let create = |number| app.native().post("/customers", json!({"email": email(number)})).expect(201).text_at("/id");
    (0..count).map(create).collect()
}

fn ids(page: &Answer, field: &str) -> Vec<String> {
    let data = page.json()["data"].as_array().cloned().unwrap_or_else(|| panic!("no list: {page:?}"));
    data.iter().map(|item| item[field].as_str().expect("an id").to_owned()).collect()
}

/// Follows the cursors to the end.
fn walk(caller: &Caller, query: &str, field: &str) -> Vec<String> {
    let mut walked = Vec::new();
    let mut path = format!("/customers?{query}");
    for _ in 0..100 {
        let page = caller.get(&path).expect(200);
        walked.extend(ids(&page, field));
        let json = page.json();
        let cursor = json["next_cursor"].as_str();
        assert_eq!(json["has_more"], cursor.is_some(), "{page:?}");
        let Some(cursor) = cursor else { return walked };
        path = format!("/customers?{query}&cursor={}", encode(cursor));
    }
    panic!("the walk has no end: {walked:?}");
}
