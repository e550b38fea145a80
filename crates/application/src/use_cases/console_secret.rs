use super::SecretError;
use crate::Roster;

impl Roster {
    /// The secret that the sessions of the console are sealed with: made once, kept in the store, and read by each instance when it
    /// starts.
    ///
    /// # Errors
    /// [`SecretError`]
    pub fn console_secret(&self) -> Result<[u8; 32], SecretError> {
        self.shared_secret("console")
    }
}
