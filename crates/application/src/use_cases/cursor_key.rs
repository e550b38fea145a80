use super::SecretError;
use crate::Roster;
use crate::cursor::CursorKey;

impl Roster {
    /// The key that authenticates cursors: made once, kept in the store, and read once by each instance.
    ///
    /// # Errors
    /// [`SecretError`]
    pub fn cursor_key(&self) -> Result<CursorKey, SecretError> {
        if let Some(key) = self.cursor_key.get() {
            return Ok(key.clone());
        }
        let secret = self.shared_secret("cursors")?;
        Ok(self.cursor_key.get_or_init(|| CursorKey::new(&secret)).clone())
    }
}
