//! The connection pool. When one connection is lost, all older ones are discarded with it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::r2d2::{ManageConnection, NopErrorHandler, PooledConnection, R2D2Connection as _};
use diesel::sql_types::Text;
use roster_application::ports::StoreError;
use tracing::{info, warn};

use crate::conninfo::Conninfo;
use crate::error::{ErrorMessage, Fault, connection_message, ends_connection, message_of, store_error};

/// How long a connection may be idle before it is tested when a caller takes it.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// The longest pause between two attempts to connect.
///
/// The pool (r2d2) pauses at most half of its `connection_timeout`, so that is set to at most twice this.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The settings of every connection.
///
/// The timeouts are a last resort against statements and transactions that would never end.
///
/// Each statement is planned once, without the values of its parameters (`force_generic_plan`). By default PostgreSQL
/// would plan the query for a page again each time, because an unknown limit makes the generic plan look expensive;
/// that planning takes longer than reading the page.
///
/// A generic plan is kept while a table grows from no rows to millions, and is made from statistics that may be
/// missing, as after a restored dump. So all plan types that look good on a small table and are slow on a large one are
/// off: every statement here looks rows up by an index, in the order of the index, in nested loops.
const SETTINGS: &str = "
    SET default_transaction_isolation = 'read committed';
    SET statement_timeout = '30s';
    SET lock_timeout = '5s';
    SET idle_in_transaction_session_timeout = '10s';
    SET plan_cache_mode = force_generic_plan;
    SET enable_seqscan = off;
    SET enable_bitmapscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
    SET enable_sort = off;
";

/// The connections that all callers share.
pub struct Pool {
    connections: diesel::r2d2::Pool<Connector>,
    wait: Duration,
}

/// A connection that one caller has taken from the pool.
pub type Borrowed = PooledConnection<Connector>;

impl Pool {
    /// Makes a pool of at most `connections`, which are opened when they are needed. A caller waits at most `wait` for
    /// one.
    ///
    /// # Errors
    /// [`StoreError::Internal`] if `connections` or `wait` is zero.
    pub fn new(connector: Connector, connections: u32, wait: Duration) -> Result<Self, StoreError> {
        if connections == 0 || wait.is_zero() {
            return Err(StoreError::internal("a pool needs a connection, and time to get one"));
        }
        let connections = diesel::r2d2::Pool::builder()
            .max_size(connections)
            .min_idle(Some(0))
            .connection_timeout(wait.min(2 * LONGEST_PAUSE))
            .error_handler(Box::new(NopErrorHandler))
            .build_unchecked(connector);
        Ok(Self { connections, wait })
    }

    /// Takes a connection that was tested or used within the last [`TRUSTED_IDLE`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if there is none in time.
    pub fn get(&self) -> Result<Borrowed, StoreError> {
        let end = Instant::now() + self.wait;
        loop {
            // Asks again after each pause: the pool opens a connection only when a caller asks, not while it waits. If
            // all connections broke while callers wait, no new one would be opened for them.
            let left = end.saturating_duration_since(Instant::now());
            match self.connections.get_timeout(left.min(LONGEST_PAUSE)) {
                Ok(session) => return Ok(session),
                Err(error) if left <= LONGEST_PAUSE => return Err(StoreError::unavailable(error.to_string())),
                Err(_) => {}
            }
        }
    }
}

/// Opens connections.
pub struct Connector {
    conninfo: Conninfo,
    generation: Arc<AtomicU64>,
    /// Whether the last attempt failed, so that the log has one line for many failed attempts.
    failing: AtomicBool,
}

/// One connection.
///
/// When one connection is lost, the server has most likely stopped, and all other connections are lost too. A lost
/// connection therefore ends its generation: connections of earlier generations are discarded without a test.
pub struct Session {
    connection: PgConnection,
    generation: u64,
    current_generation: Arc<AtomicU64>,
    used_at: Instant,
}

/// Why a connection cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// It could not be opened.
    #[error("{0}")]
    Connect(ErrorMessage),
    /// It does not answer.
    #[error("the connection is gone")]
    Gone,
    /// Another connection of the same generation was lost.
    #[error("the connection was made before the database went away")]
    Stale,
}

impl Connector {
    /// Opens connections with `conninfo`.
    pub fn new(conninfo: Conninfo) -> Self {
        Self { conninfo, generation: Arc::default(), failing: AtomicBool::new(false) }
    }

    /// Opens one connection, outside any pool.
    ///
    /// # Errors
    /// The message of PostgreSQL or libpq. It names the host, but contains neither the password nor values of rows.
    pub fn establish(&self) -> Result<PgConnection, ErrorMessage> {
        let mut connection =
            PgConnection::establish(self.conninfo.reveal()).map_err(|error| connection_message(&error))?;
        set_up(&mut connection).map_err(|error| message_of(&error))?;
        Ok(connection)
    }

    /// Logs the first failed attempt to connect and the first success after it, not the attempts in between.
    fn log_change(&self, error: Option<&ErrorMessage>) {
        let failed_before = self.failing.swap(error.is_some(), Ordering::Relaxed);
        match error {
            Some(error) if !failed_before => warn!(%error, "no connection to PostgreSQL can be made"),
            None if failed_before => info!("PostgreSQL can be reached again"),
            _ => {}
        }
    }
}

fn set_up(connection: &mut PgConnection) -> QueryResult<()> {
    connection.batch_execute(SETTINGS)?;
    let language = diesel::select(sql::<Text>("current_setting('lc_messages')")).get_result::<String>(connection)?;
    let is_english = ["C", "POSIX", "en_"].iter().any(|english| language.starts_with(english));
    if !is_english && connection.batch_execute("SET lc_messages = 'C'").is_err() {
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

impl ManageConnection for Connector {
    type Connection = Session;
    type Error = SessionError;

    fn connect(&self) -> Result<Session, SessionError> {
        // Read before connecting: if the generation ends meanwhile, this connection may be to the server that stopped.
        let generation = self.generation.load(Ordering::SeqCst);
        let connected = self.establish();
        self.log_change(connected.as_ref().err());
        Ok(Session {
            connection: connected.map_err(SessionError::Connect)?,
            generation,
            current_generation: Arc::clone(&self.generation),
            used_at: Instant::now(),
        })
    }

    fn is_valid(&self, session: &mut Session) -> Result<(), SessionError> {
        if session.is_stale() {
            return Err(SessionError::Stale);
        }
        if session.used_at.elapsed() > TRUSTED_IDLE && session.connection.ping().is_err() {
            session.retire_generation();
            return Err(SessionError::Gone);
        }
        Ok(())
    }

    fn has_broken(&self, session: &mut Session) -> bool {
        session.used_at = Instant::now();
        // Broken here also means an open transaction, which work that panicked has left.
        session.is_stale() || session.connection.is_broken()
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
                if ends_connection(&error) {
                    self.retire_generation();
                }
                store_error(&error)
            }
        })
    }

    fn is_stale(&self) -> bool {
        self.generation != self.current_generation.load(Ordering::SeqCst)
    }

    /// Ends the generation of this connection, unless it has ended already: a connection that is found to be lost later
    /// must not end the next generation.
    fn retire_generation(&self) {
        let next = self.generation + 1;
        let retired =
            self.current_generation.compare_exchange(self.generation, next, Ordering::SeqCst, Ordering::SeqCst);
        if retired.is_ok() {
            warn!("a connection to PostgreSQL was lost; all are made anew");
        }
    }
}
