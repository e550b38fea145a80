use crate::Roster;
use crate::ports::{Position, Standing, StoreError};

/// Why the replica is not read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReplicaError {
    /// It takes writes.
    #[error("it takes writes: it was promoted, or is no standby")]
    TakesWrites,
    /// It follows another database than that of the store.
    #[error("it is a standby of another server than that of the database: their system identifiers differ")]
    OtherDatabase,
    /// The replica, or the store, failed.
    #[error("it cannot be asked: {0}")]
    Store(#[from] StoreError),
}

impl Roster {
    /// Checks that the replica follows the database of the store. Returns what it includes.
    ///
    /// # Errors
    /// [`ReplicaError`]
    pub fn check_replica(&self) -> Result<Position, ReplicaError> {
        let replica = self.replica.as_ref().ok_or_else(|| StoreError::internal("there is no replica"))?;
        let position = match replica.look()? {
            Standing::Follows(position) => position,
            Standing::TakesWrites => return Err(ReplicaError::TakesWrites),
        };
        if position.database == self.replicated_database()? { Ok(position) } else { Err(ReplicaError::OtherDatabase) }
    }

    /// The database of the store: asked for once, so that the replica can be checked while the store does not answer.
    fn replicated_database(&self) -> Result<u64, StoreError> {
        if let Some(database) = self.replicated.get() {
            return Ok(*database);
        }
        let position = self.store.position()?;
        let position = position.ok_or_else(|| StoreError::internal("the store has no positions"))?;
        Ok(*self.replicated.get_or_init(|| position.database))
    }

    /// A position that includes all that was committed before, and all that was read. `None` if the store has no positions.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn position(&self) -> Result<Option<Position>, StoreError> {
        self.store.position()
    }
}
