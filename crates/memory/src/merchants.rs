//! The merchants.

use std::ops::Bound;

use roster_application::ports::{MerchantRepository, StoreError};
use roster_domain::{Merchant, MerchantId};

use crate::store::Rows;
use crate::unit_of_work::MemoryUnitOfWork;

impl MerchantRepository for MemoryUnitOfWork<'_> {
    fn insert(&mut self, merchant: &Merchant) -> Result<(), StoreError> {
        self.call(|rows| {
            if rows.merchants.contains_key(&merchant.id) {
                return Err(StoreError::Duplicate { index: "merchants (id)".to_owned() });
            }
            rows.merchants.insert(merchant.id, merchant.clone());
            Ok(())
        })
    }

    fn find(&mut self, id: MerchantId) -> Result<Option<Merchant>, StoreError> {
        self.call(|rows| Ok(rows.merchants.get(&id).cloned()))
    }

    fn list(&mut self, after: Option<MerchantId>, limit: usize) -> Result<Vec<Merchant>, StoreError> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.call(|rows| {
            Ok(rows.merchants.range((start, Bound::Unbounded)).take(limit).map(|(_, m)| m.clone()).collect())
        })
    }

    fn search(&mut self, text: &str, after: Option<MerchantId>, limit: usize) -> Result<Vec<Merchant>, StoreError> {
        let (start, text) = (after.map_or(Bound::Unbounded, Bound::Excluded), text.to_ascii_lowercase());
        self.call(|rows| {
            let merchants = rows.merchants.range((start, Bound::Unbounded)).map(|(_, merchant)| merchant);
            let found = merchants.filter(|merchant| merchant.name.as_str().to_ascii_lowercase().contains(&text));
            Ok(found.take(limit).cloned().collect())
        })
    }

    fn disabled(&mut self, ids: &[MerchantId]) -> Result<Vec<MerchantId>, StoreError> {
        self.call(|rows| {
            let is_disabled =
                |id: &MerchantId| rows.merchants.get(id).is_some_and(|merchant| merchant.disabled_at.is_some());
            Ok(ids.iter().copied().filter(is_disabled).collect())
        })
    }

    fn lock(&mut self, id: MerchantId) -> Result<Option<Merchant>, StoreError> {
        self.call(|rows| Ok(rows.merchants.get(&id).cloned()))
    }

    fn update(&mut self, merchant: &Merchant) -> Result<(), StoreError> {
        self.call(|rows| {
            if let Some(stored) = rows.merchants.get_mut(&merchant.id) {
                (stored.name, stored.disabled_at) = (merchant.name.clone(), merchant.disabled_at);
            }
            Ok(())
        })
    }
}

impl Rows {
    /// Fails like a foreign key if the merchant does not exist.
    pub(crate) fn require_merchant(&self, id: MerchantId) -> Result<(), StoreError> {
        if self.merchants.contains_key(&id) { Ok(()) } else { Err(StoreError::internal("a row of no merchant")) }
    }
}
