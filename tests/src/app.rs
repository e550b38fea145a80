//! One running service, and its two merchants.

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
    /// The merchant whose keys a test calls with.
    pub ours: Merchant,
    /// Another one, to whom nothing of ours may be known.
    pub theirs: Merchant,
}

/// A merchant and a key for each of its environments.
#[derive(Debug, Clone)]
pub struct Merchant {
    /// What it is called.
    pub name: String,
    /// Its identifier, `org_…`.
    pub id: String,
    /// A key that opens its live customers.
    pub live: String,
    /// A key that opens its sandbox customers.
    pub sandbox: String,
}

impl Tenants {
    /// Migrates the database with `url` and makes both merchants, by the program's own commands.
    #[must_use]
    pub fn create(url: &str) -> Self {
        migrate(url);
        Self { ours: Merchant::create(url, "Ours"), theirs: Merchant::create(url, "Theirs") }
    }
}

impl Merchant {
    /// Makes a merchant with two keys.
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

/// A key as it was made.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its identifier, which is no secret.
    pub id: String,
    /// The key in the clear.
    pub key: String,
}

/// Makes a key of `merchant` by the program's own command.
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

/// A running service on a database of its own.
#[derive(Debug)]
pub struct App {
    database: Database,
    settings: Vec<(&'static str, &'static str)>,
    program: Program,
    agent: ureq::Agent,
}

impl App {
    /// Starts the service with its default settings.
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

    /// The database it runs on.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Its merchants.
    #[must_use]
    pub fn tenants(&self) -> &Tenants {
        self.database.tenants()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.program.address()
    }

    /// A caller of one surface with our live key.
    #[must_use]
    pub fn surface(&self, surface: Surface) -> Caller {
        Caller::new(self.agent.clone(), self.address(), surface.base()).with_key(&self.tenants().ours.live)
    }

    /// A caller of the native surface with our live key.
    #[must_use]
    pub fn native(&self) -> Caller {
        self.surface(Surface::Native)
    }

    /// A caller of the Lumen surface with our live key.
    #[must_use]
    pub fn lumen(&self) -> Caller {
        self.surface(Surface::Lumen)
    }

    /// A caller of the Lava surface with our live key.
    #[must_use]
    pub fn lava(&self) -> Caller {
        self.surface(Surface::Lava)
    }

    /// A caller of paths that belong to no surface, with no credential.
    #[must_use]
    pub fn root(&self) -> Caller {
        Caller::new(self.agent.clone(), self.address(), "")
    }

    /// What it logged so far.
    #[must_use]
    pub fn logs(&self) -> Vec<String> {
        self.program.lines().all()
    }

    /// The first thing that `find` finds in a line of its log, if one comes within `deadline`.
    pub fn find_in_logs<T>(&self, deadline: Duration, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.program.lines().find(deadline, find)
    }

    /// Its memory.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.program.memory()
    }

    /// How many sockets it has open.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.program.sockets()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.program.signal(signal);
    }

    /// Waits until it has ended.
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        self.program.wait(deadline)
    }

    /// Starts it again on the same database. The one before is killed if it still runs.
    pub fn restart(&mut self) {
        self.program = Program::serve(self.database.url(), &self.settings);
        self.agent = agent();
    }
}
