//! Lists of customers that are filtered and ordered, their numbers, and cursors that belong to one list.

use roster_tests::app::create_key;
use roster_tests::client::{Surface, agent, encode};
use roster_tests::program::Program;
use roster_tests::{App, Caller, Database, Response, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    each_filter_of_the_native_list_finds_what_it_names,
    all_filters_of_a_list_must_match,
    a_period_has_both_of_its_ends,
    a_filter_that_cannot_be_is_refused,
    a_filtered_list_skips_as_many_customers_as_asked_for,
    an_offset_that_is_not_found_among_the_rows_looked_at_is_refused,
    a_list_is_followed_by_its_links_in_either_order,
    the_number_of_all_customers_of_a_list_is_given_if_asked_for,
    a_customer_is_searched_for_by_part_of_what_it_is_called,
    a_search_sees_every_write_that_was_acknowledged,
    a_cursor_of_another_list_is_refused_and_named,
    a_cursor_that_was_changed_is_refused_on_each_list,
    a_cursor_works_on_every_instance_and_after_a_restart,
}

fn each_filter_of_the_native_list_finds_what_it_names(database: Database) {
    let app = App::start(database);
    let [ada, eda, _] = three(&app);
    for (query, found) in [
        ("email=Ada@EXAMPLE.com".to_owned(), vec![&ada]),
        ("email=none@example.com".to_owned(), vec![]),
        ("external_id=eda%2F1".to_owned(), vec![&eda]),
        ("external_id=Eda%2F1".to_owned(), vec![]),
        ("metadata[tier]=gold".to_owned(), vec![&eda, &ada]),
        ("metadata%5Bseats%5D=5".to_owned(), vec![&eda, &ada]),
        ("metadata[vip]=true".to_owned(), vec![&ada]),
        ("metadata[a[b]]=%C3%BC%22x".to_owned(), vec![&eda]),
        ("metadata[tier]=go".to_owned(), vec![]),
    ] {
        assert_eq!(ids(&list(&app, &query)), ids_of(&found), "{query}");
    }
}

fn all_filters_of_a_list_must_match(database: Database) {
    let app = App::start(database);
    let [ada, eda, ida] = three(&app);
    app.native().patch(&path(&ada), json!({"status": "archived"})).is(200);
    for (query, found) in [
        ("email=ada@example.com&status=archived&metadata[tier]=gold&metadata[seats]=5", vec![&ada]),
        ("email=ada@example.com&status=active", vec![]),
        ("email=ada@example.com&external_id=eda%2F1", vec![]),
        ("status=archived&metadata[tier]=gold", vec![&ada]),
        ("status=active&metadata[tier]=gold", vec![&eda]),
        ("metadata[tier]=gold&metadata[tier]=gold&metadata[vip]=true", vec![&ada]),
        ("created_after=2000-01-01T00:00:00Z&order=asc", vec![&ada, &eda, &ida]),
        ("created_after=2000-01-01T00:00:00Z&created_before=2001-01-01T00:00:00Z", vec![]),
        ("updated_after=2999-01-01T00:00:00Z", vec![]),
    ] {
        assert_eq!(ids(&list(&app, query)), ids_of(&found), "{query}");
    }
}

fn a_period_has_both_of_its_ends(database: Database) {
    let app = App::start(database);
    let [ada, eda, ida] = three(&app);
    let changed = app.native().patch(&path(&eda), json!({"name": "Eda"})).expect(200);
    let listed = |query: String| ids(&list(&app, &query));
    let at = |customer: &Response, name: &str| encode(&customer.text_at(name));
    let first = at(&ada, "/created_at");
    assert!(listed(format!("created_before={first}")).contains(&ada.text_at("/id")));
    assert_eq!(listed(format!("created_after={first}")), ids_of(&[&ida, &eda, &ada]));
    assert!(listed(format!("created_after={}", at(&ida, "/created_at"))).contains(&ida.text_at("/id")));
    assert!(listed(format!("updated_after={}", at(&changed, "/updated_at"))).contains(&eda.text_at("/id")));
    // The same moment in another zone.
    let moment = ida.text_at("/created_at").replace('Z', "+00:00");
    assert!(listed(format!("created_after={}", encode(&moment))).contains(&ida.text_at("/id")));
}

fn a_filter_that_cannot_be_is_refused(database: Database) {
    let app = App::start(database);
    let many: Vec<String> = (0..6).map(|number| format!("metadata[k{number}]=v")).collect();
    for (query, param, words) in [
        ("email=ada", "email", "exactly one @"),
        ("external_id=", "external_id", "must not be empty"),
        ("created_after=yesterday", "created_after", "RFC 3339"),
        ("created_before=2025-01-15", "created_before", "RFC 3339"),
        ("updated_after=", "updated_after", "RFC 3339"),
        ("updated_after=2025-01-15T12:00:00Z&updated_after=2026-01-15T12:00:00Z", "updated_after", "twice"),
        ("order=newest", "order", "asc or desc"),
        ("order=asc&order=desc", "order", "twice"),
        ("include=everything", "include", "must be total"),
        ("metadata[k]=a&metadata[k]=b", "metadata", "twice"),
        (&many.join("&"), "metadata", "at most 5"),
        ("metadata=a", "metadata", "is not a parameter"),
        ("metadata[k=a", "metadata[k", "is not a parameter"),
    ] {
        let refused = app.native().get(&format!("/customers?{query}")).expect(422);
        assert_eq!(refused.text_at("/errors/0/parameter"), param, "{query}");
        assert!(refused.text_at("/error/message").contains(words), "{query}: {refused:?}");
    }
}

fn a_filtered_list_skips_as_many_customers_as_asked_for(database: Database) {
    let app = App::start(database);
    let mut newest_first = create(&app.native(), 7);
    newest_first.sort_unstable_by(|one, other| other.cmp(one));
    three(&app);
    for filter in ["metadata[k]=v", "search=c", "metadata[k]=v&updated_after=2000-01-01T00:00:00Z"] {
        let page = list(&app, &format!("{filter}&limit=2&offset=3&include=total"));
        assert_eq!(ids(&page), newest_first[3..5], "{filter}");
        assert_eq!((&page.json()["has_more"], &page.json()["total_count"]), (&json!(true), &json!(7)), "{filter}");
        let next = page.text_at("/next_cursor");
        assert_eq!(ids(&list(&app, &format!("{filter}&cursor={next}&offset=1"))), newest_first[6..], "{filter}");
        let last = list(&app, &format!("{filter}&offset=5"));
        assert_eq!((ids(&last), &last.json()["has_more"]), (newest_first[5..].to_vec(), &json!(false)), "{filter}");
        assert_eq!(ids(&list(&app, &format!("{filter}&offset=10000"))), [""; 0], "{filter}");
    }
}

fn an_offset_that_is_not_found_among_the_rows_looked_at_is_refused(database: Database) {
    roster_tests::bulk::load_customers(&database, 10_001);
    let app = App::start(database);
    assert_eq!(ids(&list(&app, "metadata[plan]=pro&offset=9990&limit=100")).len(), 10);
    let refused = app.native().get("/customers?metadata[plan]=free&offset=1").expect(422);
    assert_eq!(refused.text_at("/errors/0/parameter"), "offset");
    assert!(refused.text_at("/errors/0/detail").contains("follow next_cursor"), "{refused:?}");
}

fn a_list_is_followed_by_its_links_in_either_order(database: Database) {
    let app = App::start(database);
    let mut created = create(&app.native(), 7);
    for (query, is_first_oldest) in [
        ("limit=3&order=asc", true),
        ("limit=2&created_after=2000-01-01T00:00:00Z&order=asc", true),
        ("limit=3&order=desc", false),
        ("limit=2&updated_after=2000-01-01T00:00:00Z", false),
        ("limit=5&metadata%5Bk%5D=v&status=active", false),
    ] {
        created.sort_unstable();
        if !is_first_oldest {
            created.reverse();
        }
        let mut listed = Vec::new();
        let mut next = Some(format!("/customers?{query}"));
        while let Some(path) = next {
            assert!(listed.len() < created.len(), "{query}: {listed:?}");
            let page = app.native().get(&path).expect(200);
            listed.extend(ids(&page));
            next = page.header("link").map(target);
            let cursor = page.json()["next_cursor"].as_str().map(encode);
            assert_eq!(next.as_ref().map(|next| next.rsplit('=').next().map(str::to_owned)), cursor.map(Some));
        }
        assert_eq!(listed, created, "{query}");
    }
}

fn the_number_of_all_customers_of_a_list_is_given_if_asked_for(database: Database) {
    let app = App::start(database);
    create(&app.native(), 5);
    three(&app);
    let first = list(&app, "limit=2&include=total");
    let second = list(&app, &format!("limit=2&include=total&cursor={}", first.text_at("/next_cursor")));
    for (page, number) in [
        (&first, 8),
        (&second, 8),
        (&list(&app, "include=total&metadata[tier]=gold"), 2),
        (&list(&app, "include=total&status=archived"), 0),
        (&list(&app, "include=total&email=ada@example.com"), 1),
        (&list(&app, "include=total&limit=1&created_after=2000-01-01T00:00:00Z"), 8),
    ] {
        let page = page.json();
        assert_eq!((&page["total_count"], &page["total_is_exact"]), (&json!(number), &json!(true)), "{page}");
    }
    assert_eq!(list(&app, "").json().get("total_count"), None);
}

fn a_customer_is_searched_for_by_part_of_what_it_is_called(database: Database) {
    let app = App::start(database);
    let ada = json!({"email": "Ada.Byron@example.com", "name": "Ada Lovelace", "business_name": "Ｅngines Ltd", "external_id": "USR-42"});
    let eda = json!({"email": "eda@example.com", "name": "JOSÉ Straße"});
    let [ada, eda] = [ada, eda].map(|body| app.native().post("/customers", body).expect(201));
    let theirs = app.native().with_key(&app.tenants().theirs.live);
    theirs.post("/customers", json!({"email": "ada.byron@example.com"})).is(201);
    for (search, found) in [
        ("BYRON", vec![&ada]),
        ("a love", vec![&ada]),
        ("engines", vec![&ada]),
        ("r-42", vec![&ada]),
        ("example.com", vec![&eda, &ada]),
        ("strasse", vec![&eda]),
        ("jose\u{301}", vec![&eda]),
        ("u", vec![&ada]),
        ("ED", vec![&eda]),
        ("da", vec![]),
        ("babbage", vec![]),
    ] {
        let page = list(&app, &format!("include=total&search={}", encode(search)));
        assert_eq!(ids(&page), ids_of(&found), "{search}");
        assert_eq!(page.json()["total_count"], found.len(), "{search}");
    }
    assert_eq!(ids(&list(&app, "search=example.com&email=eda@example.com&order=asc")), ids_of(&[&eda]));
    app.native().patch(&path(&ada), json!({"status": "archived"})).is(200);
    assert_eq!(ids(&list(&app, "search=example.com&status=archived")), ids_of(&[&ada]));
}

fn a_search_sees_every_write_that_was_acknowledged(database: Database) {
    let app = App::start(database);
    let found = |search: &str| ids(&list(&app, &format!("search={search}")));
    for number in 0..20 {
        let body = json!({"email": format!("first{number}@example.com"), "name": format!("Before{number}x")});
        let customer = app.native().post("/customers", body).expect(201);
        assert_eq!(found(&format!("before{number}x")), ids_of(&[&customer]));
        app.native().patch(&path(&customer), json!({"name": format!("After{number}x")})).is(200);
        assert_eq!(
            (found(&format!("before{number}x")).len(), found(&format!("after{number}x"))),
            (0, ids_of(&[&customer]))
        );
        app.native().delete(&path(&customer)).is(204);
        assert_eq!(found(&format!("after{number}x")), [""; 0]);
    }
}

fn a_cursor_of_another_list_is_refused_and_named(database: Database) {
    let app = App::start(database);
    let theirs = app.native().with_key(&app.tenants().theirs.live);
    let sandbox = app.native().with_key(&app.tenants().ours.sandbox);
    for caller in [&app.native(), &theirs, &sandbox] {
        create(caller, 3);
    }
    let of = |caller: &Caller, query: &str| caller.get(&format!("/customers?limit=1{query}")).text_at("/next_cursor");
    let plain = of(&app.native(), "");
    let others = [
        of(&theirs, ""),
        of(&sandbox, ""),
        of(&app.native(), "&order=asc"),
        of(&app.native(), "&status=active"),
        of(&app.native(), "&metadata[k]=v"),
        of(&app.native(), "&search=example"),
        of(&app.native(), "&updated_after=2000-01-01T00:00:00Z"),
        of(&app.native(), "&created_after=2000-01-01T00:00:00Z"),
    ];
    for cursor in &others {
        let refused = app.native().get(&format!("/customers?cursor={cursor}"));
        assert_refused(&refused);
        assert_eq!(app.lava().get(&format!("/customers?cursor={cursor}")).status, 400, "{refused:?}");
    }
    for query in ["order=asc", "status=active", "metadata[k]=v", "email=c0@example.com"] {
        assert_refused(&app.native().get(&format!("/customers?{query}&cursor={plain}")));
    }
    // The number of items, the number of all and the spelling of a filter make no other list.
    app.native().get(&format!("/customers?limit=2&include=total&order=desc&cursor={plain}")).is(200);
}

fn a_cursor_that_was_changed_is_refused_on_each_list(database: Database) {
    let app = App::start(database);
    let customer = format!("/customers/{}", create(&app.native(), 3).remove(0));
    for number in 0..3 {
        app.native().put(&format!("{customer}/subscriptions/s{number}"), json!({"status": "active"})).is(201);
    }
    let ours = &app.tenants().ours;
    let manager_key = create_key(app.database().url(), &ours.id, "live", &["--scope", "keys:manage"]).key;
    let manager = app.native().with_key(&manager_key);
    manager.post("/api_keys", json!({"scopes": ["keys:manage"]})).is(201);
    let lists = [
        (app.native(), "/customers".to_owned()),
        (app.lava(), "/customers".to_owned()),
        (app.native(), format!("{customer}/subscriptions")),
        (manager, "/api_keys".to_owned()),
    ];
    for (caller, list) in lists {
        let cursor = caller.get(&format!("{list}?limit=1")).expect(200).text_at("/next_cursor");
        caller.get(&format!("{list}?limit=1&cursor={cursor}")).is(200);
        for place in [0, cursor.len() / 2, cursor.len() - 1] {
            let mut changed = cursor.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'Q' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert_eq!(caller.get(&format!("{list}?limit=1&cursor={changed}")).status, 400, "{list}: {cursor}");
        }
    }
}

fn a_cursor_works_on_every_instance_and_after_a_restart(database: Database) {
    let mut app = App::start(database);
    let created = create(&app.native(), 3);
    let path = format!("/customers?cursor={}", list(&app, "limit=2").text_at("/next_cursor"));
    let other = Program::serve(app.database().url(), &[]);
    let on_other = Caller::new(agent(), other.address(), Surface::Native.base()).with_key(&app.tenants().ours.live);
    let on_other = on_other.get(&path).expect(200);
    assert_eq!(ids(&on_other), created[..1]);
    app.restart();
    assert_eq!(ids(&app.native().get(&path).expect(200)), created[..1]);
}

/// Three customers, the oldest first.
fn three(app: &App) -> [Response; 3] {
    [
        json!({"email": "ada@example.com", "metadata": {"tier": "gold", "seats": 5, "vip": true}}),
        json!({"email": "eda@example.com", "external_id": "eda/1",
               "metadata": {"seats": "5", "tier": "gold", "a[b]": "ü\"x", "vip": "yes"}}),
        json!({"email": "ida@example.com", "metadata": {"tier": "golden", "seats": 5.5, "in": {"tier": "gold"}}}),
    ]
    .map(|body| app.native().post("/customers", body).expect(201))
}

fn list(app: &App, query: &str) -> Response {
    app.native().get(&format!("/customers?{query}")).expect(200)
}

fn create(caller: &Caller, count: usize) -> Vec<String> {
    let body = |number| json!({"email": format!("c{number}@example.com"), "metadata": {"k": "v"}});
    (0..count).map(|number| caller.post("/customers", body(number)).expect(201).text_at("/id")).collect()
}

fn ids(page: &Response) -> Vec<String> {
    let data = page.json()["data"].as_array().cloned().unwrap_or_else(|| panic!("no list: {page:?}"));
    data.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

fn ids_of(customers: &[&Response]) -> Vec<String> {
    customers.iter().map(|customer| customer.text_at("/id")).collect()
}

fn path(customer: &Response) -> String {
    format!("/customers/{}", customer.text_at("/id"))
}

/// The path of a link to the next page, below that of the surface.
fn target(link: &str) -> String {
    let target = link.strip_prefix("</v1").and_then(|link| link.strip_suffix(">; rel=\"next\""));
    target.unwrap_or_else(|| panic!("another link: {link}")).to_owned()
}

fn assert_refused(refused: &Response) {
    let problem: Value = refused.json();
    assert_eq!(refused.status, 400, "{refused:?}");
    assert_eq!(problem["code"], "invalid_cursor", "{refused:?}");
    assert_eq!((&problem["errors"][0]["parameter"], &problem["error"]["param"]), (&json!("cursor"), &json!("cursor")));
}
