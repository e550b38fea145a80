use crate::Roster;
use crate::ports::StoreError;

impl Roster {
    /// Checks that the store answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it does not.
    pub fn check_store(&self) -> Result<(), StoreError> {
        self.store.ping()
    }
}
