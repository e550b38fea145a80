use roster_domain::{Merchant, MerchantId};

use super::StoreError;

/// The stored merchants.
pub trait MerchantRepository {
    /// Adds a merchant.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] if its id exists already; other [`StoreError`]s.
    fn insert(&mut self, merchant: &Merchant) -> Result<(), StoreError>;

    /// Finds a merchant.
    ///
    /// # Errors
    /// [`StoreError`]
    fn find(&mut self, id: MerchantId) -> Result<Option<Merchant>, StoreError>;

    /// At most `limit` merchants that follow `after`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    fn list(&mut self, after: Option<MerchantId>, limit: usize) -> Result<Vec<Merchant>, StoreError>;
}
