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

    /// At most `limit` merchants that follow `after` and have `text` in their names, oldest first. ASCII letters are compared
    /// in any case, all other characters as they are.
    ///
    /// It reads all merchants until the page is full: for operators.
    ///
    /// # Errors
    /// [`StoreError`]
    fn search(&mut self, text: &str, after: Option<MerchantId>, limit: usize) -> Result<Vec<Merchant>, StoreError>;

    /// Those of `ids` that are disabled.
    ///
    /// # Errors
    /// [`StoreError`]
    fn disabled(&mut self, ids: &[MerchantId]) -> Result<Vec<MerchantId>, StoreError>;

    /// Finds a merchant, and locks it against other writers until the transaction ends.
    ///
    /// # Errors
    /// [`StoreError`]
    fn lock(&mut self, id: MerchantId) -> Result<Option<Merchant>, StoreError>;

    /// Writes `name` and `disabled_at` of a merchant that was [locked](MerchantRepository::lock) in this transaction.
    ///
    /// # Errors
    /// [`StoreError`]
    fn update(&mut self, merchant: &Merchant) -> Result<(), StoreError>;
}
