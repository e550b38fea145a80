//! Connections: made, kept, and thrown away together when the database has gone.

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
use crate::error::{Fault, Said, ends_connection, said, said_connecting, store_error};

/// How long a connection may lie idle before it is asked whether it is still there.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// The longest pause between two attempts to connect. The pool waits half of what it believes to be its time limit.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// What every connection is set to.
///
/// The time limits are a last resort against what would never end. Reading a table whole is turned off: every statement
/// here looks rows up by an index, and a plan that was made, and kept, while a table was small must not read it whole
/// when it has grown.
const SETTINGS: &str = "
    SET default_transaction_isolation = 'read committed';
    SET statement_timeout = '30s';
    SET lock_timeout = '5s';
    SET idle_in_transaction_session_timeout = '10s';
    SET enable_seqscan = off;
";

/// Some connections, shared by all callers.
pub struct Pool {
    connections: diesel::r2d2::Pool<Connector>,
    wait: Duration,
}

/// A connection that a caller has for itself.
pub type Borrowed = PooledConnection<Connector>;

impl Pool {
    /// Makes a pool of at most `connections`, which are made when they are needed. A caller waits at most `wait` for
    /// one.
    ///
    /// # Errors
    /// [`StoreError::Internal`] if either is nothing.
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

    /// Takes a connection that was there a moment ago.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if none is to be had in time.
    pub fn get(&self) -> Result<Borrowed, StoreError> {
        let end = Instant::now() + self.wait;
        loop {
            // Asked again and again, as the pool makes a connection for those who ask, not for those who wait: if all
            // connections broke meanwhile, nobody would make the one that is waited for.
            let left = end.saturating_duration_since(Instant::now());
            match self.connections.get_timeout(left.min(LONGEST_PAUSE)) {
                Ok(session) => return Ok(session),
                Err(error) if left <= LONGEST_PAUSE => return Err(StoreError::unavailable(error.to_string())),
                Err(_) => {}
            }
        }
    }
}

/// Makes connections.
pub struct Connector {
    conninfo: Conninfo,
    generation: Arc<AtomicU64>,
    /// Whether the last attempt failed, so that the log has one line for many.
    failing: AtomicBool,
}

/// One connection.
///
/// When one is found to be gone, the server most likely is, and with it all that were made before: they are of an
/// earlier generation and are thrown away unasked.
pub struct Session {
    connection: PgConnection,
    generation: u64,
    current_generation: Arc<AtomicU64>,
    used_at: Instant,
}

/// Why a connection is not used.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// It could not be made.
    #[error("{0}")]
    Connect(Said),
    /// It does not answer any more.
    #[error("the connection is gone")]
    Gone,
    /// Another one was found to be gone.
    #[error("the connection was made before the database went away")]
    Stale,
}

impl Connector {
    /// Makes connections with `conninfo`.
    pub fn new(conninfo: Conninfo) -> Self {
        Self { conninfo, generation: Arc::default(), failing: AtomicBool::new(false) }
    }

    /// Makes one connection, outside any pool.
    ///
    /// # Errors
    /// What PostgreSQL or libpq says, which names the host, but neither the password nor a row.
    pub fn establish(&self) -> Result<PgConnection, Said> {
        let mut connection =
            PgConnection::establish(self.conninfo.reveal()).map_err(|error| said_connecting(&error))?;
        set_up(&mut connection).map_err(|error| said(&error))?;
        Ok(connection)
    }

    /// Logs that the database went away, and that it came back; not each attempt in between.
    fn note(&self, error: Option<&Said>) {
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
        // Read before connecting: a server that goes away meanwhile may be the one that was connected to.
        let generation = self.generation.load(Ordering::SeqCst);
        let connected = self.establish();
        self.note(connected.as_ref().err());
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
        // An open transaction was left by work that panicked.
        session.is_stale() || session.connection.is_broken()
    }
}

impl Session {
    /// Runs statements; after an error that ends the connection, it and all that are as old are not used again.
    ///
    /// # Errors
    /// What `statements` met, in the words of the port.
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

    /// Only the first of a generation that is found to be gone ends it: the others must not end the next one.
    fn retire_generation(&self) {
        let next = self.generation + 1;
        let retired =
            self.current_generation.compare_exchange(self.generation, next, Ordering::SeqCst, Ordering::SeqCst);
        if retired.is_ok() {
            warn!("a connection to PostgreSQL was lost; all are made anew");
        }
    }
}
