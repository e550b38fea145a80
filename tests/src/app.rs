//! A running service and its two merchants.

use std::net::SocketAddr;
use std::process::ExitStatus;
use std::time::Duration;

use crate::client::{Caller, Surface, agent};
use crate::database::{Database, migrate};
use crate::process::Signal;
use crate::program::{Memory, Program, roster_json};

/// The two merchants of every prepared database.
#[derive(Debug, Clone)]
pub struct Tenants {
    /// The merchant whose keys the callers of a test have by default.
    pub ours: Merchant,
    /// Another merchant, which must not see any data of `ours`.
    pub theirs: Merchant,
}

/// A merchant, with a key for each of its environments.
#[derive(Debug, Clone)]
pub struct Merchant {
    /// The name.
    pub name: String,
    /// The id, `org_…`.
    pub id: String,
    /// A key for its live environment.
    pub live: String,
    /// A key for its sandbox environment.
    pub sandbox: String,
}

impl Tenants {
    /// Migrates the database with `url` and creates both merchants, with commands of the program.
    #[must_use]
    pub fn create(url: &str) -> Self {
        migrate(url);
        Self { ours: Merchant::create(url, "Ours"), theirs: Merchant::create(url, "Theirs") }
    }
}

impl Merchant {
    /// Creates a merchant with two keys.
    ///
    /// # Panics
    /// If the program does not print them.
    #[must_use]
    pub fn create(url: &str, name: &str) -> Self {
        let merchant = roster_json(url, &["merchants", "create", name, "--json"]);
        let id = merchant["id"].as_str().expect("the id of a merchant").to_owned();
        let key = |environment| create_key(url, &id, environment, &[]).key;
        Self { live: key("live"), sandbox: key("sandbox"), name: name.to_owned(), id }
    }
}

/// Every scope of an API key.
pub const SCOPES: [&str; 8] = [
    "customers:read",
    "customers:write",
    "customers:allow_duplicate_email",
    "subscriptions:write",
    "keys:manage",
    "events:read",
    "webhooks:manage",
    "imports:write",
];

/// A new key.
#[derive(Debug, Clone)]
pub struct Key {
    /// The id, which is not secret.
    pub id: String,
    /// The key itself, in plain text.
    pub key: String,
}

/// Creates a key of `merchant` with a command of the program.
///
/// # Panics
/// If the command fails or prints no key.
#[must_use]
pub fn create_key(url: &str, merchant: &str, environment: &str, more: &[&str]) -> Key {
    let arguments = ["keys", "create", "--merchant", merchant, "--environment", environment, "--json"];
    let made = roster_json(url, &[&arguments, more].concat());
    let text = |field: &str| made[field].as_str().unwrap_or_else(|| panic!("no {field} in {made}")).to_owned();
    Key { id: text("id"), key: text("key") }
}

/// Creates a key of `merchant` with these scopes only.
#[must_use]
pub fn key_with(url: &str, merchant: &str, environment: &str, scopes: &[&str]) -> Key {
    let scopes: Vec<_> = scopes.iter().flat_map(|scope| ["--scope", *scope]).collect();
    create_key(url, merchant, environment, &scopes)
}

/// A running service and its database.
#[derive(Debug)]
pub struct App {
    database: Database,
    settings: Vec<(&'static str, &'static str)>,
    program: Program,
    agent: ureq::Agent,
}

impl App {
    /// Starts the service with its default settings, except for a longer deadline of the database.
    #[must_use]
    pub fn start(database: Database) -> Self {
        Self::start_with(database, &[])
    }

    /// Starts the service with `settings` in its environment.
    #[must_use]
    pub fn start_with(database: Database, settings: &[(&'static str, &'static str)]) -> Self {
        let program = Program::serve(database.url(), settings);
        Self { database, settings: settings.to_vec(), program, agent: agent() }
    }

    /// Its database.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Its merchants.
    #[must_use]
    pub fn tenants(&self) -> &Tenants {
        self.database.tenants()
    }

    /// Creates a live key of `ours` with these scopes only.
    #[must_use]
    pub fn live_key(&self, scopes: &[&str]) -> String {
        key_with(self.database().url(), &self.tenants().ours.id, "live", scopes).key
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.program.address()
    }

    /// A caller of a surface with the live key of `ours`.
    #[must_use]
    pub fn surface(&self, surface: Surface) -> Caller {
        Caller::new(self.agent.clone(), self.address(), surface.base()).with_key(&self.tenants().ours.live)
    }

    /// A caller of the native surface with the live key of `ours`.
    #[must_use]
    pub fn native(&self) -> Caller {
        self.surface(Surface::Native)
    }

    /// A caller of the Lumen surface with the live key of `ours`.
    #[must_use]
    pub fn lumen(&self) -> Caller {
        self.surface(Surface::Lumen)
    }

    /// A caller of the Lava surface with the live key of `ours`.
    #[must_use]
    pub fn lava(&self) -> Caller {
        self.surface(Surface::Lava)
    }

    /// A caller of the paths that belong to no surface, without a credential.
    #[must_use]
    pub fn root(&self) -> Caller {
        Caller::new(self.agent.clone(), self.address(), "")
    }

    /// The lines that it has logged so far.
    #[must_use]
    pub fn logs(&self) -> Vec<String> {
        self.program.lines().all()
    }

    /// Calls `find` with each line of the log, those of the past and those to come, and returns its first result.
    /// `None` if there is none within `timeout`.
    pub fn find_in_logs<T>(&self, timeout: Duration, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.program.lines().find(timeout, find)
    }

    /// Its memory.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.program.memory()
    }

    /// The number of its open sockets.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.program.sockets()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.program.signal(signal);
    }

    /// Waits until it has ended and all its output has been read.
    pub fn wait(&mut self, timeout: Duration) -> ExitStatus {
        self.program.wait(timeout)
    }

    /// Starts it again on the same database. If the previous process still runs, it is killed.
    pub fn restart(&mut self) {
        self.program = Program::serve(self.database.url(), &self.settings);
        self.agent = agent();
    }
}
