//! Which crate may depend on which, and which file on which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// What a crate of the workspace may depend on: in its program, and in its tests besides.
struct Rule {
    name: &'static str,
    may_know: &'static [&'static str],
    may_know_in_tests: &'static [&'static str],
    /// Crates from elsewhere that it must not know, not even in its tests.
    must_not_know: &'static [&'static str],
}

/// What reads and writes the outer world; the domain and the application know none of it.
const EDGES: &[&str] =
    &["diesel", "diesel_migrations", "actix-web", "tokio", "futures-util", "pq-sys", "libsqlite3-sys"];

const RULES: &[Rule] = &[
    Rule {
        name: "roster-domain",
        may_know: &[],
        may_know_in_tests: &[],
        must_not_know: &["serde", "serde_json", "diesel", "diesel_migrations", "actix-web", "tokio", "futures-util"],
    },
    Rule {
        name: "roster-application",
        may_know: &["roster-domain"],
        may_know_in_tests: &["roster-memory"],
        must_not_know: EDGES,
    },
    Rule {
        name: "roster-executor",
        may_know: &["roster-domain", "roster-application"],
        may_know_in_tests: &["roster-memory"],
        must_not_know: &["diesel", "diesel_migrations", "actix-web", "actix-rt", "pq-sys", "libsqlite3-sys"],
    },
    Rule {
        name: "roster-store-contract",
        // The contract also runs through the batching.
        may_know: &["roster-domain", "roster-application", "roster-executor"],
        may_know_in_tests: &[],
        must_not_know: &["diesel", "diesel_migrations", "actix-web", "pq-sys", "libsqlite3-sys"],
    },
    Rule {
        name: "roster-memory",
        may_know: &["roster-domain", "roster-application"],
        may_know_in_tests: &["roster-executor", "roster-store-contract"],
        must_not_know: EDGES,
    },
    Rule {
        name: "roster-sqlite",
        may_know: &["roster-domain", "roster-application"],
        may_know_in_tests: &["roster-executor", "roster-store-contract"],
        must_not_know: &["actix-web", "tokio", "pq-sys"],
    },
    Rule {
        name: "roster-postgres",
        may_know: &["roster-domain", "roster-application"],
        may_know_in_tests: &["roster-executor", "roster-store-contract", "roster-test-postgres"],
        must_not_know: &["actix-web", "tokio", "libsqlite3-sys"],
    },
    Rule {
        name: "roster-test-postgres",
        may_know: &[],
        may_know_in_tests: &[],
        must_not_know: &["actix-web", "tokio"],
    },
    Rule {
        name: "roster-http",
        may_know: &["roster-domain", "roster-application", "roster-executor", "roster-transfer"],
        may_know_in_tests: &["roster-memory"],
        must_not_know: &["diesel", "diesel_migrations", "pq-sys", "libsqlite3-sys"],
    },
    Rule {
        // It reaches the service as a client of its HTTP API does.
        name: "roster-console",
        may_know: &[],
        may_know_in_tests: &[],
        must_not_know: &["diesel", "diesel_migrations", "pq-sys", "libsqlite3-sys"],
    },
    Rule {
        name: "roster-jwt",
        may_know: &["roster-domain", "roster-application"],
        may_know_in_tests: &[],
        must_not_know: EDGES,
    },
    Rule {
        name: "roster-webhooks",
        may_know: &["roster-domain", "roster-application", "roster-executor"],
        may_know_in_tests: &["roster-memory"],
        must_not_know: &["diesel", "diesel_migrations", "actix-web", "pq-sys", "libsqlite3-sys"],
    },
    Rule {
        name: "roster-metrics",
        may_know: &["roster-application", "roster-executor", "roster-http"],
        may_know_in_tests: &["roster-memory"],
        must_not_know: &["diesel", "diesel_migrations", "tokio", "pq-sys", "libsqlite3-sys"],
    },
    Rule {
        name: "roster-transfer",
        may_know: &["roster-domain", "roster-application"],
        may_know_in_tests: &[],
        must_not_know: EDGES,
    },
    Rule {
        name: "roster-server",
        may_know: &[
            "roster-transfer",
            "roster-domain",
            "roster-application",
            "roster-executor",
            "roster-http",
            "roster-console",
            "roster-jwt",
            "roster-metrics",
            "roster-webhooks",
            "roster-sqlite",
            "roster-postgres",
        ],
        may_know_in_tests: &["roster-test-postgres"],
        must_not_know: &["diesel", "diesel_migrations", "actix-web"],
    },
    Rule {
        name: "roster-bench",
        // It fills databases, and has the stores add what it has filled to their indexes for searches.
        may_know: &["roster-domain", "roster-application", "roster-postgres", "roster-sqlite", "roster-test-postgres"],
        may_know_in_tests: &["roster-executor", "roster-http", "roster-memory", "roster-metrics"],
        must_not_know: &["actix-web", "diesel_migrations", "tokio"],
    },
    Rule { name: "roster-shards", may_know: &[], may_know_in_tests: &[], must_not_know: EDGES },
    Rule {
        name: "roster-tests",
        may_know: &["roster-test-postgres"],
        may_know_in_tests: &[],
        must_not_know: &["actix-web", "diesel_migrations", "tokio"],
    },
];

#[test]
fn every_crate_has_a_rule_and_every_rule_a_crate() {
    let crates: BTreeSet<_> = metadata().workspace_packages().iter().map(|package| package.name.to_string()).collect();
    let rules = RULES.iter().map(|rule| rule.name.to_owned()).collect();
    assert_eq!(crates, rules, "a new crate needs a line in this table, and a reason that a folder cannot serve");
}

#[test]
fn no_crate_knows_a_neighbour_that_it_must_not() {
    let metadata = metadata();
    let members: BTreeSet<_> = RULES.iter().map(|rule| rule.name).collect();
    let mut broken = Vec::new();
    for (package, rule) in ruled(&metadata) {
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let in_tests = dependency.kind == DependencyKind::Development;
            let allowed = rule.may_know.contains(&name) || (in_tests && rule.may_know_in_tests.contains(&name));
            if members.contains(name) && !allowed {
                broken.push(format!("{} knows {name}", rule.name));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn no_crate_knows_a_library_that_it_must_not() {
    let metadata = metadata();
    let mut broken = Vec::new();
    for (package, rule) in ruled(&metadata) {
        for dependency in &package.dependencies {
            if rule.must_not_know.contains(&dependency.name.as_str()) {
                broken.push(format!("{} knows {}", rule.name, dependency.name));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

const SURFACES: [&str; 4] = ["native", "lumen", "lava", "admin"];

#[test]
fn no_surface_knows_another() {
    let mut read = 0;
    let mut broken = Vec::new();
    for surface in SURFACES {
        for file in rust_files(&root().join("crates/http/src/surfaces").join(surface)) {
            let source = fs::read_to_string(&file).expect("a source file");
            read += 1;
            for other in SURFACES.into_iter().filter(|other| *other != surface) {
                if names_in(&source).any(|name| name == other) {
                    broken.push(format!("{} names {other}", file.display()));
                }
            }
        }
    }
    assert!(read >= 20, "a surface has lost its files: {read}");
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn what_surfaces_share_knows_no_surface() {
    let sources = root().join("crates/http/src");
    let mut broken = Vec::new();
    for file in rust_files(&sources).iter().filter(|file| !file.starts_with(sources.join("surfaces"))) {
        let source = fs::read_to_string(file).expect("a source file");
        for surface in SURFACES.into_iter().filter(|surface| names_in(&source).any(|name| name == *surface)) {
            broken.push(format!("{} names {surface}", file.display()));
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn the_surfaces_have_files_of_the_same_names() {
    let names = |surface: &str| -> BTreeSet<_> {
        let folder = root().join("crates/http/src/surfaces").join(surface);
        rust_files(&folder).iter().map(|file| file.strip_prefix(&folder).expect("inside").to_owned()).collect()
    };
    assert_eq!(names("lava"), names("lumen"));
    assert_eq!(names("admin"), names("lumen"));
    // The native surface has more than the vendors have.
    assert!(names("native").is_superset(&names("lumen")));
}

#[test]
fn no_path_is_served_that_is_not_in_the_routing_table() {
    let mut read = 0;
    let mut broken = Vec::new();
    // Tests may serve what they like.
    let is_program = |file: &&PathBuf| !file.ends_with("routing.rs") && !file.ends_with("openapi_tests.rs");
    for file in rust_files(&root().join("crates/http/src")).iter().filter(is_program) {
        let source = fs::read_to_string(file).expect("a source file");
        let program = source.split("#[cfg(test)]").next().unwrap_or_default();
        read += program.matches("surfaces::configure").count();
        for way in ["web::resource(", "web::scope(", ".service(", ".route(", ".default_service("] {
            if program.contains(way) {
                broken.push(format!("{} says {way}", file.display()));
            }
        }
    }
    assert_eq!(read, 1, "the table is served once");
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn every_path_in_the_documents_for_contributors_exists() {
    for document in ["docs/ARCHITECTURE.md", "docs/adding.md", "docs/SECURITY.md", "CONTRIBUTING.md"] {
        assert_paths_exist(document);
    }
}

fn assert_paths_exist(document: &str) {
    let text = fs::read_to_string(root().join(document)).expect(document);
    let top: BTreeSet<String> = fs::read_dir(root())
        .expect("the workspace")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    let mut named = 0;
    let mut gone = Vec::new();
    for code in text.split('`').skip(1).step_by(2) {
        // A path starts with something at the top of the workspace, or says by its end that it is a folder or a source.
        let is_path = !code.contains([' ', '\n', '*', '{', '<', '(', '…', '"', '=', '$'])
            && !code.starts_with('/')
            // Built, not checked in.
            && !code.starts_with("target/")
            && code.split_once('/').is_some_and(|(first, rest)| {
                top.contains(first)
                    || first == "crates"
                    || Path::new(rest).extension().is_some_and(|extension| extension == "rs")
                    || rest.is_empty()
            });
        if is_path {
            named += 1;
            if !["", "crates", "crates/http/src/surfaces/native", "tests/tests/roster"]
                .iter()
                .any(|base| root().join(base).join(code).exists())
            {
                gone.push(code.to_owned());
            }
        }
    }
    assert!(named >= 2, "{document} names hardly any path: {named}");
    assert_eq!(gone, Vec::<String>::new(), "{document}");
}

#[test]
fn the_architecture_document_names_every_crate() {
    let text = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).expect("docs/ARCHITECTURE.md");
    let unnamed: Vec<_> = RULES
        .iter()
        .map(|rule| rule.name.trim_start_matches("roster-").trim_start_matches("test-"))
        .filter(|name| !text.contains(&format!("`{name}`")) && !text.contains(&format!("/{name}`")))
        .collect();
    assert_eq!(unnamed, Vec::<&str>::new());
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().expect("cargo metadata")
}

/// Each crate of the workspace with its rule.
fn ruled(metadata: &Metadata) -> Vec<(&Package, &'static Rule)> {
    let rules: BTreeMap<_, _> = RULES.iter().map(|rule| (rule.name, rule)).collect();
    let packages = metadata.packages.iter();
    packages.filter_map(|package| rules.get(package.name.as_str()).map(|rule| (package, *rule))).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// All names in a source, comments and strings left out.
fn names_in(source: &str) -> impl Iterator<Item = &str> {
    source.lines().flat_map(|line| {
        let code = line.split("//").next().unwrap_or_default();
        code.split('"').step_by(2).flat_map(|piece| piece.split(|c: char| !c.is_alphanumeric() && c != '_'))
    })
}
