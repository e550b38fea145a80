use diesel::pg::PgConnection;
use roster_application::Event;
use roster_application::ports::{FirstError, StoreError, Verdict, rerun_lost_races};

use crate::citus::Layout;
use crate::error::Fault;
use crate::pool::Borrowed;
use crate::writes;

/// One connection, in a transaction or not. After the first error every call fails.
pub struct PostgresUnitOfWork<'a> {
    session: &'a mut Borrowed,
    in_transaction: bool,
    has_search_index: bool,
    /// The events of the writes of the transaction, which are numbered at its end.
    events: Vec<Event>,
    first_error: FirstError,
}

impl<'a> PostgresUnitOfWork<'a> {
    /// Uses `session`, which is in a transaction, and the index for searches.
    pub fn in_transaction(session: &'a mut Borrowed) -> Self {
        Self {
            session,
            in_transaction: true,
            has_search_index: true,
            events: Vec::new(),
            first_error: FirstError::default(),
        }
    }

    /// Uses `session` without a transaction, and the index for searches.
    pub fn direct(session: &'a mut Borrowed) -> Self {
        Self { in_transaction: false, ..Self::in_transaction(session) }
    }

    /// The same, with or without the index for searches.
    pub fn with_search_index(self, has_search_index: bool) -> Self {
        Self { has_search_index, ..self }
    }

    /// Whether searches use their index, and writes keep it up to date.
    pub fn has_search_index(&self) -> bool {
        self.has_search_index
    }

    /// How the tables are stored, on which the form of a statement depends.
    pub fn layout(&self) -> Layout {
        self.session.layout()
    }

    /// Whether the calls run in a transaction.
    pub fn is_in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Keeps the events of writes until the end of the transaction.
    pub fn keep_events(&mut self, events: Vec<Event>) {
        self.events.extend(events);
    }

    /// Ends the unit of work; before a commit, with the events of its writes.
    ///
    /// # Errors
    /// The first error of a call.
    pub fn finish(mut self, verdict: Verdict) -> Result<(), StoreError> {
        let events = std::mem::take(&mut self.events);
        if verdict == Verdict::Commit && !events.is_empty() {
            // An error is that of the unit of work, too.
            let layout = self.layout();
            let _ = self.run(|connection| writes::append(connection, layout, events));
        }
        self.first_error.into_result()
    }

    /// Runs `statements`, unless an earlier call has failed.
    pub fn run<T>(&mut self, statements: impl FnOnce(&mut PgConnection) -> Result<T, Fault>) -> Result<T, StoreError> {
        self.first_error.guard(|| self.session.run(statements))
    }

    /// Runs statements that together write all or nothing.
    ///
    /// After a lost race they have written nothing. Outside a transaction they run again here; inside one, the
    /// transaction has failed and its caller runs it again as a whole.
    pub fn run_write<T>(
        &mut self,
        mut statements: impl FnMut(&mut PgConnection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        if self.in_transaction {
            return self.run(statements);
        }
        self.first_error.guard(|| {
            let mut value = None;
            rerun_lost_races(|| {
                value = Some(self.session.run(&mut statements)?);
                Ok(())
            })?;
            value.ok_or_else(|| StoreError::internal("the statements were not run"))
        })
    }
}
