use super::StoreError;

/// Random values that all instances of the service share.
pub trait SecretRepository {
    /// The secret called `name`, which is `candidate` if there is none yet: of any number of instances that call this at the
    /// same time, all get the same.
    ///
    /// # Errors
    /// [`StoreError`]
    fn get_or_insert(&mut self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32], StoreError>;
}
