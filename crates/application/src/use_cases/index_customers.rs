use super::Sweep;
use crate::Roster;
use crate::ports::StoreError;

/// Customers that one step indexes at most.
const CUSTOMERS: usize = 250;

impl Roster {
    /// Adds customers to the index for searches that it lacks, of 100 merchants behind `from` and at most 250: a step that holds
    /// up no other writer for long. Returns where to go on; `None` if all merchants were looked through.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn index_customers(&self, from: Sweep) -> Result<Option<Sweep>, StoreError> {
        let index = |tenants: &[_]| self.store.direct(|uow| uow.customers().index_for_search(tenants, CUSTOMERS));
        self.sweep(from, CUSTOMERS, index)
    }

    /// Does what writes have left to do for the index for searches. Returns whether there was anything.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn flush_search_index(&self) -> Result<bool, StoreError> {
        self.store.flush_search_index()
    }
}
