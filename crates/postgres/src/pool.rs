//! The connection pool. When one connection is lost, all older ones are discarded with it.
//!
//! A read of libpq never ends by itself, and the kernel of a frozen server still acknowledges what it is sent. So a
//! connection that a caller holds for longer than a unit of work may take is given up: it no longer counts, and another
//! one may be opened in its place. Its thread stays in libpq until the server or the network ends the connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::pg::PgConnection;
use diesel::r2d2::{NopErrorHandler, PooledConnection};
use roster_application::ports::{Connections, Position, StoreError};

use crate::citus::Layout;
use crate::error::Fault;
use crate::loans::{Loan, Loans};
use crate::position::Place;
use crate::session::{Connector, Generations};

/// The longest pause between two attempts to connect.
///
/// The pool (r2d2) pauses at most half of its `connection_timeout`, so that is set to at most twice this.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The most connections that are given up and still open. Beyond that, callers are refused until some have ended.
const MAX_GIVEN_UP: u32 = 32;

/// The connections that all callers share.
pub struct Pool {
    connections: diesel::r2d2::Pool<Connector>,
    generations: Arc<Generations>,
    loans: Arc<Loans>,
    wait: Duration,
}

/// A connection that one caller has taken from the pool.
pub struct Borrowed {
    // Dropped in this order: the connection is back before the next caller is told that there is one.
    session: PooledConnection<Connector>,
    loan: Loan,
}

impl Pool {
    /// Makes a pool of at most `connections`, which are opened when they are needed. A caller waits at most `wait` for
    /// one.
    ///
    /// # Errors
    /// [`StoreError::Internal`] if `connections` or `wait` is zero.
    pub fn new(connector: Connector, connections: u32, wait: Duration) -> Result<Self, StoreError> {
        Self::lending_for(connector.deadline(), connector, connections, wait)
    }

    /// Makes a pool whose callers may use a connection for `term`, although one statement may take only as long as for any other.
    ///
    /// # Errors
    /// As [`Pool::new`].
    pub fn lending_for(
        term: Duration,
        connector: Connector,
        connections: u32,
        wait: Duration,
    ) -> Result<Self, StoreError> {
        if connections == 0 || wait.is_zero() {
            return Err(StoreError::internal("a pool needs a connection, and time to get one"));
        }
        let generations = connector.generations();
        let loans = Arc::new(Loans::new(connections, term));
        let connections = diesel::r2d2::Pool::builder()
            .max_size(connections.saturating_add(MAX_GIVEN_UP))
            .min_idle(Some(0))
            .connection_timeout(wait.min(2 * LONGEST_PAUSE))
            .error_handler(Box::new(NopErrorHandler))
            .build_unchecked(connector);
        Ok(Self { connections, generations, loans, wait })
    }

    /// The connections that callers hold.
    pub fn usage(&self) -> Connections {
        let (held, most) = self.loans.held();
        let number = |number| u64::try_from(number).unwrap_or(u64::MAX);
        Connections { in_use: number(held), most: number(most) }
    }

    /// Takes a connection that was tested or used a moment ago.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if there is none in time.
    pub fn get(&self) -> Result<Borrowed, StoreError> {
        let end = Instant::now() + self.wait;
        // The server that made one connection silent has most likely made all of them so.
        let retire = |generation| self.generations.retire(generation);
        let loan = self.loans.take(self.generations.current(), end, retire)?;
        loop {
            // Asks again after each pause: the pool opens a connection only when a caller asks, not while it waits. If
            // all connections broke while callers wait, no new one would be opened for them.
            let left = end.saturating_duration_since(Instant::now());
            match self.connections.get_timeout(left.min(LONGEST_PAUSE)) {
                Ok(session) => {
                    loan.restart(session.generation());
                    return Ok(Borrowed { session, loan });
                }
                Err(error) if left <= LONGEST_PAUSE => return Err(StoreError::unavailable(error.to_string())),
                Err(_) => {}
            }
        }
    }
}

impl Borrowed {
    /// How the tables are stored.
    pub fn layout(&self) -> Layout {
        self.session.layout()
    }

    /// What the standby that it leads to has applied at least, as far as it was asked. It only grows.
    pub fn applied(&self) -> Option<Position> {
        self.session.server.applied
    }

    /// Asks where the server is that it leads to.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn place(&mut self) -> Result<Place, StoreError> {
        let mut server = self.session.server;
        let place = self.run(|connection| server.read(connection))?;
        self.session.server = server;
        Ok(place)
    }

    /// Runs `statements`. After an error that ends the connection, no connection of its generation is used again.
    ///
    /// # Errors
    /// The error of `statements`, as an error of the port. [`StoreError::Unavailable`], without running them, if the
    /// connection was given up: the requests that it served were answered long ago.
    pub fn run<T>(&mut self, statements: impl FnOnce(&mut PgConnection) -> Result<T, Fault>) -> Result<T, StoreError> {
        if self.loan.is_overdue() {
            return Err(StoreError::unavailable("the unit of work took longer than its deadline"));
        }
        self.session.run(statements)
    }
}
