//! The secrets.

use roster_application::ports::{SecretRepository, StoreError};

use crate::unit_of_work::MemoryUnitOfWork;

impl SecretRepository for MemoryUnitOfWork<'_> {
    fn get_or_insert(&mut self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32], StoreError> {
        self.call(|rows| Ok(*rows.secrets.entry(name.to_owned()).or_insert(candidate)))
    }
}
