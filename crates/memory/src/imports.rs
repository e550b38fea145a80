//! The imports of files.

use roster_application::Import;
use roster_application::ports::{ImportRepository, StoreError};
use roster_domain::{ImportId, Tenant};

use crate::unit_of_work::MemoryUnitOfWork;

impl ImportRepository for MemoryUnitOfWork<'_> {
    fn insert(&mut self, import: &Import) -> Result<(), StoreError> {
        self.call(|rows| {
            rows.require_merchant(import.tenant.merchant)?;
            let key = (import.tenant, import.id);
            if rows.imports.contains_key(&key) {
                return Err(StoreError::Duplicate { index: "imports (id)".to_owned() });
            }
            rows.imports.insert(key, import.clone());
            Ok(())
        })
    }

    fn list(&mut self, tenant: Tenant, limit: usize) -> Result<Vec<Import>, StoreError> {
        self.call(|rows| {
            let newest = rows.imports.values().rev().filter(|import| import.tenant == tenant);
            Ok(newest.take(limit).cloned().collect())
        })
    }

    fn lock(&mut self, tenant: Tenant, id: ImportId) -> Result<Option<Import>, StoreError> {
        self.call(|rows| Ok(rows.imports.get(&(tenant, id)).cloned()))
    }

    fn update(&mut self, import: &Import) -> Result<(), StoreError> {
        self.call(|rows| {
            if let Some(stored) = rows.imports.get_mut(&(import.tenant, import.id)) {
                *stored = import.clone();
            }
            Ok(())
        })
    }

    fn forget_before(&mut self, tenant: Tenant, oldest: ImportId) -> Result<(), StoreError> {
        self.call(|rows| {
            rows.imports.retain(|(of, id), _| *of != tenant || *id >= oldest);
            Ok(())
        })
    }
}
