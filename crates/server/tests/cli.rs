//! Commands that end without a signal: their results, messages and exit codes.
#![cfg(feature = "sqlite")]

mod program;

use program::Program;
use serde_json::{Value, json};

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_else(|| panic!("{field} is no text in {object}"))
}

fn merchant(program: &Program, name: &str) -> String {
    text(&program.run(&["merchants", "create", name, "--json"]).expect_json(), "id").to_owned()
}

#[test]
fn a_merchant_and_a_key_can_be_made_without_any_setting() {
    let program = Program::migrated();
    assert!(program.folder().join("data/roster.db").is_file());
    let merchant = merchant(&program, "Acme");
    let arguments = ["keys", "create", "--merchant", &merchant, "--environment", "live", "--json"];
    let key = program.run(&arguments).expect_json();
    assert!(text(&key, "key").starts_with("sk_live_"), "{key}");
    assert!(text(&key, "id").starts_with("key_"), "{key}");
}

#[test]
fn migrating_again_changes_nothing() {
    let program = Program::new();
    let first = program.run(&["migrate"]).expect_success();
    assert!(first.contains("applied ") && first.ends_with("up to date: SQLite data/roster.db\n"), "{first}");
    assert_eq!(program.run(&["migrate"]).expect_success(), "The schema is up to date: SQLite data/roster.db\n");
}

#[test]
fn only_serve_and_migrate_make_a_missing_file() {
    let program = Program::new();
    for arguments in [
        &["merchants", "list"][..],
        &["merchants", "create", "Acme"],
        &["keys", "list", "--merchant", "org_01kasf9sgre5psvqpgk4v6y7z0"],
        &["keys", "revoke", "key_01kasf9sgre5psvqpgk4v6y7z0"],
        &["keys", "rotate", "key_01kasf9sgre5psvqpgk4v6y7z0"],
    ] {
        let message = program.run(arguments).expect_failure(1);
        let expected = "roster: there is no file data/roster.db: `roster migrate` makes one there, or name another\n";
        assert_eq!(message, expected, "{arguments:?}");
    }
    assert_eq!(program.folder().read_dir().expect("a folder").count(), 0);
    program.run(&["migrate"]).expect_success();
    program.run(&["merchants", "list"]).expect_success();
}

#[test]
fn an_old_schema_is_refused_if_migrate_on_start_is_false() {
    let program = Program::new().with("ROSTER__DATABASE__MIGRATE_ON_START", "false");
    // A file without tables.
    std::fs::create_dir(program.folder().join("data")).expect("a folder");
    std::fs::write(program.folder().join("data/roster.db"), "").expect("a file");
    for arguments in [&["merchants", "list"][..], &["keys", "revoke", "key_01kasf9sgre5psvqpgk4v6y7z0"], &["serve"]] {
        let message = program.run(arguments).expect_failure(1);
        assert!(message.contains("the schema is behind: run `roster migrate` (it lacks "), "{message}");
    }
    program.run(&["migrate"]).expect_success();
    program.run(&["merchants", "list"]).expect_success();
}

#[test]
fn merchants_are_listed_oldest_first() {
    let program = Program::migrated();
    assert!(program.run(&["merchants", "list"]).expect_success().contains("There are no merchants."));
    assert_eq!(program.run(&["merchants", "list", "--json"]).expect_json(), json!({"data": []}));
    let ids = ["Acme", "Müller & Söhne"].map(|name| merchant(&program, name));
    let listed = program.run(&["merchants", "list", "--json"]).expect_json();
    let shown: Vec<_> =
        listed["data"].as_array().expect("a list").iter().map(|m| (text(m, "id"), text(m, "name"))).collect();
    assert_eq!(shown, [(ids[0].as_str(), "Acme"), (ids[1].as_str(), "Müller & Söhne")]);
    let table = program.run(&["merchants", "list"]).expect_success();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("ID ") && lines[1].starts_with(&ids[0]) && lines[2].ends_with("Müller & Söhne"));
}

#[test]
fn a_key_is_shown_once_and_listed_without_its_secret() {
    let program = Program::migrated();
    let merchant = merchant(&program, "Acme");
    let create = ["keys", "create", "--merchant", &merchant, "--environment", "sandbox", "--name", "worker"];
    let shown = program.run(&create).expect_success();
    let secret = shown.lines().map(str::trim).find(|line| line.starts_with("sk_test_")).expect("a key").to_owned();
    assert!(shown.contains("shown only this once"), "{shown}");
    for arguments in
        [&["keys", "list", "--merchant", &merchant][..], &["keys", "list", "--merchant", &merchant, "--json"]]
    {
        let listed = program.run(arguments).expect_success();
        assert!(listed.contains("worker") && listed.contains("sandbox") && !listed.contains(&secret), "{listed}");
    }
}

#[test]
fn a_key_expires_after_the_given_duration() {
    let program = Program::migrated();
    let merchant = merchant(&program, "Acme");
    let create = ["keys", "create", "--merchant", &merchant, "--environment", "live", "--json", "--expires-in", "90d"];
    let key = program.run(&create).expect_json();
    let time = |field| roster_domain::Timestamp::parse(text(&key, field)).expect("a time").as_millis();
    let validity = time("expires_at") - time("created_at");
    // The program computes `expires_at` a moment before `created_at`.
    assert!((90 * 86_400_000 - 60_000..=90 * 86_400_000).contains(&validity), "{key}");
    assert_eq!(key["merchant_id"], json!(merchant));
}

#[test]
fn revoking_a_key_again_keeps_the_first_time() {
    let program = Program::migrated();
    let merchant = merchant(&program, "Acme");
    let create = ["keys", "create", "--merchant", &merchant, "--environment", "live", "--json"];
    let key = program.run(&create).expect_json();
    assert_eq!(key["revoked_at"], Value::Null);
    let revoke = ["keys", "revoke", text(&key, "id"), "--json"];
    let revoked = program.run(&revoke).expect_json();
    assert_eq!((text(&revoked, "id"), revoked.get("key")), (text(&key, "id"), None));
    assert!(revoked["revoked_at"].is_string(), "{revoked}");
    assert_eq!(program.run(&revoke).expect_json(), revoked);
    let listed = program.run(&["keys", "list", "--merchant", &merchant]).expect_success();
    assert!(listed.contains(&format!("revoked {}", text(&revoked, "revoked_at"))), "{listed}");
}

#[test]
fn a_key_has_the_requested_scopes_or_all_but_keys_manage() {
    let program = Program::migrated();
    let merchant = merchant(&program, "Acme");
    let create = |more: &[&str]| {
        let create = ["keys", "create", "--merchant", &merchant, "--environment", "live", "--json"];
        program.run(&[&create, more].concat()).expect_json()["scopes"].clone()
    };
    let default = [
        "customers:read",
        "customers:write",
        "customers:allow_duplicate_email",
        "subscriptions:write",
        "events:read",
        "webhooks:manage",
        "imports:write",
    ];
    assert_eq!(create(&[]), json!(default));
    let asked_for = ["--scope", "keys:manage", "--scope", "customers:read", "--scope", "customers:read"];
    assert_eq!(create(&asked_for), json!(["customers:read", "keys:manage"]));
    let listed = program.run(&["keys", "list", "--merchant", &merchant]).expect_success();
    assert!(listed.contains("  never      customers:read keys:manage"), "{listed}");
}

#[test]
fn a_rotated_key_stays_valid_for_the_overlap() {
    let program = Program::migrated();
    let merchant = merchant(&program, "Acme");
    let create = ["keys", "create", "--merchant", &merchant, "--environment", "sandbox", "--name", "ci", "--json"];
    let old = program.run(&[&create[..], &["--scope", "customers:read"]].concat()).expect_json();
    let new = program.run(&["keys", "rotate", text(&old, "id"), "--overlap", "2h", "--json"]).expect_json();
    assert_ne!(new["key"], old["key"]);
    for field in ["merchant_id", "environment", "name", "scopes", "expires_at"] {
        assert_eq!(new[field], old[field], "{field}");
    }
    let listed = program.run(&["keys", "list", "--merchant", &merchant, "--json"]).expect_json();
    let time = |text: &Value| roster_domain::Timestamp::parse(text.as_str().expect("a time")).expect("a time");
    let overlap = time(&listed["data"][0]["expires_at"]).since(time(&new["created_at"]));
    assert_eq!(overlap, std::time::Duration::from_hours(2));
    assert!(program.run(&["keys", "rotate", text(&new, "id")]).expect_success().contains("sk_test_"));
    program.run(&["keys", "revoke", text(&old, "id")]).expect_success();
    let message = program.run(&["keys", "rotate", text(&old, "id")]).expect_failure(1);
    let (id, new) = (text(&old, "id"), text(&new, "id"));
    let reason = format!("the key was rotated before: {new} has come into its place");
    assert_eq!(message, format!("roster: no key was made in the place of {id}: {reason}\n"));
    let lone = program.run(&create).expect_json();
    let id = text(&lone, "id");
    program.run(&["keys", "revoke", id]).expect_success();
    let message = program.run(&["keys", "rotate", id]).expect_failure(1);
    assert_eq!(message, format!("roster: no key was made in the place of {id}: the key is revoked or has expired\n"));
}

#[test]
fn an_unknown_merchant_or_key_is_an_error_that_names_it() {
    let program = Program::migrated();
    let unknown = "org_01kasf9sgre5psvqpgk4v6y7z0";
    let message = program.run(&["keys", "create", "--merchant", unknown, "--environment", "live"]).expect_failure(1);
    assert_eq!(message, format!("roster: no key was made for {unknown}: there is no such merchant\n"));
    let message = program.run(&["keys", "revoke", "key_01kasf9sgre5psvqpgk4v6y7z0"]).expect_failure(1);
    assert_eq!(message, "roster: there is no key key_01kasf9sgre5psvqpgk4v6y7z0\n");
}

#[test]
fn an_operator_is_created_listed_and_revoked() {
    let program = Program::migrated();
    let none = program.run(&["operators", "list"]).expect_success();
    assert!(none.contains("roster operators create NAME"), "{none}");
    let shown = program.run(&["operators", "create", "Ada Lovelace"]).expect_success();
    let secret = shown.lines().map(str::trim).find(|line| line.starts_with("sk_admin_")).expect("a key").to_owned();
    assert!(shown.contains("shown only this once") && shown.contains("the role admin"), "{shown}");
    let create = ["operators", "create", "dashboard", "--role", "read", "--expires-in", "90d", "--json"];
    let reader = program.run(&create).expect_json();
    assert_eq!((text(&reader, "role"), text(&reader, "name")), ("read", "dashboard"));
    assert!(reader["expires_at"].is_string() && text(&reader, "key").starts_with("sk_admin_"), "{reader}");
    let revoke = ["operators", "revoke", text(&reader, "id"), "--json"];
    let revoked = program.run(&revoke).expect_json();
    assert!(revoked["revoked_at"].is_string() && revoked.get("key").is_none(), "{revoked}");
    assert_eq!(program.run(&revoke).expect_json(), revoked);
    for arguments in [&["operators", "list"][..], &["operators", "list", "--json"]] {
        let listed = program.run(arguments).expect_success();
        assert!(listed.contains("Ada Lovelace") && listed.contains("dashboard"), "{listed}");
        assert!(!listed.contains(&secret) && !listed.contains(text(&reader, "key")), "{listed}");
    }
    let table = program.run(&["operators", "list"]).expect_success();
    assert!(table.contains(&format!("revoked {}", text(&revoked, "revoked_at"))), "{table}");
    let log = program.run(&["operators", "log", "--json"]).expect_json();
    let actions: Vec<_> = log["data"].as_array().expect("a list").iter().map(|entry| text(entry, "action")).collect();
    assert_eq!(actions, ["operator.revoked", "operator.created", "operator.created"]);
    let message = program.run(&["operators", "revoke", "op_01kasf9sgre5psvqpgk4v6y7z0"]).expect_failure(1);
    assert_eq!(message, "roster: there is no operator op_01kasf9sgre5psvqpgk4v6y7z0\n");
}

#[test]
fn a_wrong_command_line_exits_with_2_and_touches_nothing() {
    let program = Program::new();
    let id = "org_01kasf9sgre5psvqpgk4v6y7z0";
    for arguments in [
        &["serv"][..],
        &["merchants", "create"],
        &["merchants", "create", ""],
        &["keys", "list", "--merchant", "acme"],
        &["keys", "create", "--merchant", id],
        &["keys", "create", "--merchant", id, "--environment", "prod"],
        &["keys", "create", "--merchant", id, "--environment", "live", "--expires-in", "90"],
        &["keys", "create", "--merchant", id, "--environment", "live", "--scope", "customers"],
        &["keys", "rotate", "key_01kasf9sgre5psvqpgk4v6y7z0", "--overlap", "31d"],
        &["keys", "rotate", id],
        &["keys", "revoke", id],
        &["operators", "create"],
        &["operators", "create", ""],
        &["operators", "create", "Ada", "--role", "owner"],
        &["operators", "revoke", id],
        &["operators", "log", "--last", "101"],
    ] {
        program.run(arguments).expect_failure(2);
    }
    assert!(!program.folder().join("data").exists());
}

#[test]
fn a_wrong_configuration_exits_with_2_and_touches_nothing() {
    let program = Program::new().with("ROSTER__HTTP__WORKERS", "many").with("ROSTER__HTTP__PORT", "80");
    std::fs::write(program.folder().join("roster.toml"), "[log]\nlevel = \"loud\"\n").expect("a file");
    for command in [&["serve"][..], &["migrate"], &["merchants", "list"]] {
        let message = program.run(&[&["--config", "roster.toml"], command].concat()).expect_failure(2);
        for part in ["http.workers = \"many\" (from ROSTER__HTTP__WORKERS)", "ROSTER__HTTP__PORT", "(from roster.toml)"]
        {
            assert!(message.contains(part), "{part} in {message}");
        }
    }
    assert!(!program.folder().join("data").exists());
}

#[test]
fn the_file_or_database_url_selects_the_database() {
    let program = Program::new();
    std::fs::write(program.folder().join("roster.toml"), "[database]\nurl = \"sqlite://by-file.db\"\n")
        .expect("a file");
    program.run(&["--config", "roster.toml", "migrate"]).expect_success();
    let absolute = program.folder().join("deep/er/by-url.db");
    let program = program.with("DATABASE_URL", &format!("sqlite://{}", absolute.display()));
    program.run(&["--config", "roster.toml", "migrate"]).expect_success();
    assert!(program.folder().join("by-file.db").is_file() && absolute.is_file());
}

#[test]
fn a_database_that_cannot_be_opened_is_an_error_that_names_it() {
    let program = Program::new().with("DATABASE_URL", "sqlite://a-file/roster.db");
    std::fs::write(program.folder().join("a-file"), "").expect("a file");
    let message = program.run(&["migrate"]).expect_failure(1);
    assert!(message.starts_with("roster: SQLite a-file/roster.db cannot be opened: "), "{message}");
}

#[cfg(feature = "postgres")]
#[test]
fn no_message_contains_the_password_of_a_database_url() {
    for (url, code) in [
        ("postgres://roster:hunter@127.0.0.1:1/roster", 1),
        ("postgres://roster:hun/hunter@127.0.0.1/roster", 2),
        ("postgres://roster:hun@hunter@127.0.0.1/roster", 2),
        ("postgres://roster:hun%hunter@127.0.0.1/roster", 2),
        ("postgres://roster:hunter%00@127.0.0.1/roster", 2),
        ("postgres://roster:hunter@[::1/roster", 2),
        ("postgres://roster:hunter@[::1]x/roster", 2),
        ("postgres://roster:hunter@127.0.0.1:70000/roster", 2),
        ("postgres://roster:hunter@127.0.0.1:1/roster?x", 2),
        ("mysql://roster:hunter@127.0.0.1/roster", 2),
    ] {
        for command in [&["migrate"][..], &["serve"]] {
            let message = Program::new().with("DATABASE_URL", url).run(command).expect_failure(code);
            assert!(!message.contains("hunter"), "{message}");
            assert!(code == 1 || message.contains("database.url"), "{message}");
        }
    }
}

#[test]
fn every_command_has_help() {
    let program = Program::new();
    for command in [
        &[][..],
        &["serve"],
        &["migrate"],
        &["merchants"],
        &["merchants", "create"],
        &["merchants", "list"],
        &["keys"],
        &["keys", "create"],
        &["keys", "list"],
        &["keys", "rotate"],
        &["keys", "revoke"],
        &["operators"],
        &["operators", "create"],
        &["operators", "list"],
        &["operators", "revoke"],
        &["operators", "log"],
    ] {
        let help = program.run(&[command, &["--help"]].concat()).expect_success();
        assert!(help.contains("Usage: roster") && help.contains("--config <FILE>"), "{help}");
    }
    assert_eq!(program.run(&["--version"]).expect_success(), format!("roster {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_document_of_each_api_is_printed_without_a_database() {
    let program = Program::new();
    for (api, base) in [("native", "/v1"), ("lumen", "/api"), ("lava", "/lava/v1"), ("admin", "/admin/v1")] {
        let document: Value = serde_json::from_str(&program.run(&["openapi", api]).expect_success()).expect("JSON");
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["servers"][0]["url"], base);
    }
    assert_eq!(program.folder().read_dir().expect("a folder").count(), 0);
    program.run(&["openapi", "soap"]).expect_failure(2);
}
