//! One connection: how it is opened and set up, and when it must not be used again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use diesel::connection::{CacheSize, SimpleConnection as _};
use diesel::dsl::sql;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::r2d2::{ManageConnection, R2D2Connection as _};
use diesel::result::Error;
use diesel::sql_types::{Bool, Text};
use roster_application::ports::StoreError;
use tracing::{info, warn};

use crate::citus::{self, Layout};
use crate::conninfo::Conninfo;
use crate::error::{Doubt, ErrorMessage, Fault, connection_message, doubt, message_of, store_error};
use crate::hosts::Hosts;
use crate::position::Server;

/// How long a connection may be idle before it is tested when a caller takes it.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// The least time between two retirements of all connections, and between two connections that are closed because their
/// server is read-only: an error that stays must not make every connection anew for every request.
const RETIRE_INTERVAL: Duration = Duration::from_secs(1);

/// The settings of every connection, besides the timeouts.
///
/// Each statement is planned once, without the values of its parameters (`force_generic_plan`). By default PostgreSQL
/// would plan the query for a page again each time, because an unknown limit makes the generic plan look expensive;
/// that planning takes longer than reading the page.
///
/// A generic plan is kept while a table grows from no rows to millions, and is made from statistics that may be
/// missing, as after a restored dump. So all plan types that look good on a small table and are slow on a large one are
/// off: every statement here looks rows up by an index, in the order of the index, in nested loops. A plan that has to sort
/// a few rows all the same then counts as so expensive that PostgreSQL would compile it (`jit`), at every execution, which
/// takes about a second.
const SETTINGS: [(&str, &str); 8] = [
    ("default_transaction_isolation", "read committed"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_sort", "off"),
    ("jit", "off"),
];

/// Whether the server takes no writes: it is a standby, or was set to read-only.
pub const IS_READ_ONLY: &str = "current_setting('transaction_read_only')::boolean";

/// Opens connections.
pub struct Connector {
    conninfo: Conninfo,
    hosts: Hosts,
    deadline: Duration,
    generations: Arc<Generations>,
    /// Whether the last attempt failed, so that the log has one line for many failed attempts.
    failing: AtomicBool,
}

/// One connection.
///
/// When one connection is lost, the server has most likely stopped, and all other connections are lost too. A lost
/// connection therefore ends its generation: connections of earlier generations are discarded without a test.
pub struct Session {
    connection: PgConnection,
    layout: Layout,
    generation: u64,
    generations: Arc<Generations>,
    /// Whether an error has shown that it must not be used again.
    is_lost: bool,
    used_at: Instant,
    /// What is known of its server.
    pub server: Server,
}

/// Counts how often all connections were retired.
#[derive(Default)]
pub struct Generations {
    current: AtomicU64,
    times: Mutex<Times>,
}

#[derive(Default)]
struct Times {
    /// When all connections were retired last.
    retired: Option<Instant>,
    /// When a connection was lost last. Those that were used before are tested before they are used again.
    lost: Option<Instant>,
    /// When a connection was closed last because its server is read-only, to look for another server.
    looked_for_primary: Option<Instant>,
}

/// What a server was when a connection to it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It takes writes.
    Primary,
    /// It takes none: it is a standby, or was set to read-only.
    ReadOnly,
}

/// Why a connection cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// It could not be opened.
    #[error("{0}")]
    Connect(ErrorMessage),
    /// It was not there in time.
    #[error("PostgreSQL does not answer a new connection")]
    Silent,
    /// It does not answer.
    #[error("the connection is gone")]
    Gone,
    /// Another connection of the same generation was lost.
    #[error("the connection was made before the database went away")]
    Stale,
}

impl Connector {
    /// Opens connections with `conninfo`, on which a unit of work may take `deadline`.
    pub fn new(conninfo: Conninfo, deadline: Duration) -> Self {
        let hosts = Hosts::new(&conninfo, deadline);
        Self { conninfo, hosts, deadline, generations: Arc::default(), failing: AtomicBool::new(false) }
    }

    /// Opens connections of the same generations, for another pool: a connection that is lost ends those of both.
    pub fn sibling(&self) -> Self {
        Self { generations: self.generations(), ..Self::new(self.conninfo.clone(), self.deadline) }
    }

    /// How long a unit of work may take.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The generations of its connections.
    pub fn generations(&self) -> Arc<Generations> {
        Arc::clone(&self.generations)
    }

    /// Opens one connection outside any pool, and sets nothing on it but the language of errors.
    ///
    /// It prepares no statement under a name: behind a pooler, the name may be taken by another client that had the same
    /// connection to the server before.
    ///
    /// # Errors
    /// [`SessionError::Connect`] with a message that names the host, but contains neither the password nor values of
    /// rows.
    pub fn connect(&self) -> Result<PgConnection, SessionError> {
        let mut connection = self.connect_as_it_is()?;
        connection.set_prepared_statement_cache_size(CacheSize::Disabled);
        set_language(&mut connection).map_err(|error| SessionError::Connect(message_of(&error)))?;
        Ok(connection)
    }

    /// Opens one connection outside any pool, and sets nothing on it.
    ///
    /// # Errors
    /// As [`Connector::connect`].
    pub fn connect_as_it_is(&self) -> Result<PgConnection, SessionError> {
        connect(&self.conninfo)
    }

    /// Logs the first failed attempt to connect and the first success after it, not the attempts in between.
    fn log_change(&self, error: Option<&SessionError>) {
        let failed_before = self.failing.swap(error.is_some(), Ordering::Relaxed);
        match error {
            Some(error) if !failed_before => warn!(%error, "no connection to PostgreSQL can be made"),
            None if failed_before => info!("PostgreSQL can be reached again"),
            _ => {}
        }
    }
}

/// Opens a connection with libpq, and sets nothing on it.
///
/// # Errors
/// [`SessionError::Connect`] with the message of PostgreSQL or libpq, which names the host, but contains neither the password
/// nor values of rows.
pub fn connect(conninfo: &Conninfo) -> Result<PgConnection, SessionError> {
    PgConnection::establish(conninfo.reveal()).map_err(|error| SessionError::Connect(connection_message(&error)))
}

/// A connection as it was opened, and what it leads to.
pub struct Opened {
    /// The connection, with all settings.
    pub connection: PgConnection,
    /// What the server is.
    pub role: Role,
    /// How the tables are stored.
    pub layout: Layout,
}

/// Sets up a connection of the pool.
///
/// # Errors
/// As [`connect`].
pub fn set_up(mut connection: PgConnection, deadline: Duration) -> Result<Opened, SessionError> {
    let set = set_settings(&mut connection, deadline);
    let (role, layout) = set.map_err(|error| SessionError::Connect(message_of(&error)))?;
    Ok(Opened { connection, role, layout })
}

fn set_settings(connection: &mut PgConnection, deadline: Duration) -> QueryResult<(Role, Layout)> {
    // Those that the role has already are not set again: behind a pooler in transaction mode, a setting would stay on the
    // connection of another client.
    connection.batch_execute(&format!("SELECT set_config(name, value, false) FROM {}", lacking(deadline)))?;
    set_language(connection)?;
    let is_read_only = diesel::select(sql::<Bool>(IS_READ_ONLY)).get_result(connection)?;
    let layout = Layout::read(connection)?;
    if layout == Layout::Citus {
        connection.batch_execute(&citus::settings(deadline))?;
    }
    Ok((if is_read_only { Role::ReadOnly } else { Role::Primary }, layout))
}

/// Whether the server answers: with an error, too, as in a transaction that has failed.
fn answers(connection: &mut PgConnection) -> bool {
    connection.batch_execute("SELECT 1").err().is_none_or(|error| doubt(&error) != Doubt::Connection)
}

/// Sets the language of errors: diesel knows some of them by their English text.
fn set_language(connection: &mut PgConnection) -> QueryResult<()> {
    let language = diesel::select(sql::<Text>(LANGUAGE)).get_result::<String>(connection)?;
    if !is_english(&language) && connection.batch_execute("SET lc_messages = 'C'").is_err() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            warn!(
                lc_messages = language,
                "PostgreSQL reports errors in a language that is not understood: set lc_messages to C"
            );
        });
    }
    Ok(())
}

/// The locale of the errors of the server.
const LANGUAGE: &str = "current_setting('lc_messages')";

fn is_english(language: &str) -> bool {
    ["C", "POSIX", "en_"].iter().any(|english| language.starts_with(english))
}

/// The settings that connections with this deadline need, and that this connection does not have, each as
/// `name = 'value'`. It sets none of them.
pub fn lacking_settings(connection: &mut PgConnection, deadline: Duration) -> QueryResult<Vec<String>> {
    let assignments = format!("SELECT name || ' = ' || quote_literal(value) FROM {}", lacking(deadline));
    let mut lacking: Vec<String> = sql::<Text>(&assignments).load(connection)?;
    let language = diesel::select(sql::<Text>(LANGUAGE)).get_result::<String>(connection)?;
    if !is_english(&language) {
        lacking.push("lc_messages = 'C'".to_owned());
    }
    Ok(lacking)
}

/// The rows `(name, value)` of the settings that a connection with this deadline needs and does not have, as a part of a
/// statement.
fn lacking(deadline: Duration) -> String {
    let rows = |settings: &[(&str, &str)]| {
        settings.iter().map(|(name, value)| format!("('{name}', '{value}')")).collect::<Vec<_>>().join(", ")
    };
    let timeouts = timeouts(deadline);
    let timeouts = timeouts.each_ref().map(|(name, value)| (*name, value.as_str()));
    // A timeout is shown in the largest unit that fits, such as 2s for 2000ms.
    format!(
        "(SELECT name, value FROM (VALUES {settings}) AS settings (name, value) WHERE current_setting(name) <> value \
         UNION ALL SELECT name, value FROM (VALUES {timeouts}) AS timeouts (name, value) \
         WHERE current_setting(name)::interval <> value::interval) AS lacking",
        settings = rows(&SETTINGS),
        timeouts = rows(&timeouts)
    )
}

/// The timeouts of a connection on which a unit of work may take `deadline`.
///
/// No statement may outlive the requests that it serves. A lock that another program holds is waited for a quarter as
/// long, so that the requests of a batch can still be served one by one.
fn timeouts(deadline: Duration) -> [(&'static str, String); 3] {
    let deadline = deadline.as_millis().max(4);
    let milliseconds = |timeout: u128| format!("{timeout}ms");
    [
        ("statement_timeout", milliseconds(deadline)),
        ("lock_timeout", milliseconds(deadline / 4)),
        ("idle_in_transaction_session_timeout", milliseconds(deadline)),
    ]
}

impl ManageConnection for Connector {
    type Connection = Session;
    type Error = SessionError;

    fn connect(&self) -> Result<Session, SessionError> {
        // Read before connecting: if the generation ends meanwhile, this connection may be to the server that stopped.
        let generation = self.generations.current();
        let connected = self.hosts.establish();
        self.log_change(connected.as_ref().err());
        let Opened { connection, role, layout } = connected?;
        let generation = match role {
            Role::Primary => self.generations.with_primary(generation),
            Role::ReadOnly => generation,
        };
        let generations = Arc::clone(&self.generations);
        Ok(Session {
            connection,
            layout,
            generation,
            generations,
            is_lost: false,
            used_at: Instant::now(),
            server: Server::default(),
        })
    }

    fn is_valid(&self, session: &mut Session) -> Result<(), SessionError> {
        if session.is_stale() {
            return Err(SessionError::Stale);
        }
        let in_doubt = session.used_at.elapsed() > TRUSTED_IDLE || session.generations.lost_since(session.used_at);
        if in_doubt && session.connection.ping().is_err() {
            session.retire();
            return Err(SessionError::Gone);
        }
        Ok(())
    }

    fn has_broken(&self, session: &mut Session) -> bool {
        session.used_at = Instant::now();
        // Broken here also means an open transaction, which work that panicked has left.
        session.is_lost || session.is_stale() || session.connection.is_broken()
    }
}

impl Session {
    /// Runs `statements`. After an error that ends the connection, no connection of its generation is used again.
    ///
    /// # Errors
    /// The error of `statements`, as an error of the port.
    pub fn run<T>(&mut self, statements: impl FnOnce(&mut PgConnection) -> Result<T, Fault>) -> Result<T, StoreError> {
        statements(&mut self.connection).map_err(|fault| match fault {
            Fault::Store(error) => error,
            Fault::Query(error) => {
                match self.doubt(&error) {
                    Doubt::None => {}
                    Doubt::Server => self.is_lost |= self.generations.may_look_for_primary(),
                    Doubt::Connection => {
                        self.is_lost = true;
                        self.retire();
                    }
                }
                store_error(&error)
            }
        })
    }

    /// What an error casts doubt on. A coordinator of Citus passes on the errors of its own connections to workers, which look as if
    /// this connection was lost: if it still answers, it was not.
    fn doubt(&mut self, error: &Error) -> Doubt {
        match doubt(error) {
            Doubt::Connection if self.layout == Layout::Citus && answers(&mut self.connection) => Doubt::None,
            doubt => doubt,
        }
    }

    /// How the tables are stored.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// How many times all connections had been retired when it was made.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    fn is_stale(&self) -> bool {
        self.generation != self.generations.current()
    }

    fn retire(&self) {
        self.generations.retire(self.generation);
    }
}

impl Generations {
    /// The generation of the connections that are made now.
    pub fn current(&self) -> u64 {
        self.current.load(Ordering::SeqCst)
    }

    /// Ends `generation`, unless it has ended already, or another has a moment ago: a connection that is found to be lost
    /// later must not end the next generation.
    pub fn retire(&self, generation: u64) {
        let mut times = self.times();
        let now = Instant::now();
        times.lost = Some(now);
        let is_too_soon = times.retired.is_some_and(|retired| now.duration_since(retired) < RETIRE_INTERVAL);
        if generation == self.current() && !is_too_soon {
            times.retired = Some(now);
            self.current.store(generation + 1, Ordering::SeqCst);
            warn!("a connection to PostgreSQL was lost or is in doubt; all are made anew");
        }
    }

    /// Whether a connection to a read-only server should be closed, so that a new one can find the new primary.
    fn may_look_for_primary(&self) -> bool {
        let mut times = self.times();
        let now = Instant::now();
        let may = times.looked_for_primary.is_none_or(|looked| now.duration_since(looked) >= RETIRE_INTERVAL);
        if may {
            times.looked_for_primary = Some(now);
        }
        may
    }

    /// The generation of a new connection that takes writes. If such a connection was looked for, those to the read-only
    /// server are retired.
    fn with_primary(&self, generation: u64) -> u64 {
        let was_looked_for = self.times().looked_for_primary.take().is_some();
        if !was_looked_for {
            return generation;
        }
        self.retire(generation);
        self.current()
    }

    /// Whether a connection was lost after this time.
    fn lost_since(&self, time: Instant) -> bool {
        self.times().lost.is_some_and(|lost| time < lost)
    }

    /// Ignores lock poisoning: nothing that can panic is done under the lock.
    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
