use crate::Roster;
use crate::ports::StoreError;

impl Roster {
    /// Asks the store for a sign of life.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it gives none.
    pub fn check_store(&self) -> Result<(), StoreError> {
        self.store.ping()
    }
}
