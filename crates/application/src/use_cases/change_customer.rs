use roster_domain::metadata::MetadataError;
use roster_domain::{Customer, CustomerEdit};

use crate::Roster;
use crate::ports::{Claims, CustomerKey, StoreError, Taken};

/// Why a customer was not changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ChangeError {
    /// No live customer of the tenant has that identifier.
    #[error("there is no such customer")]
    NotFound,
    /// Other live customers of the tenant have its new e-mail address or its new external identifier.
    #[error("its new e-mail address or external identifier is in use")]
    Taken(Taken),
    /// The merged metadata breaks a limit.
    #[error("its merged metadata breaks a limit")]
    Metadata(#[source] MetadataError),
    /// The store failed.
    #[error("the customer could not be changed")]
    Store(#[from] StoreError),
}

impl Roster {
    /// Changes a live customer and returns it as it stands then. An edit that changes nothing writes nothing.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing has changed then.
    pub fn change_customer(&self, key: &CustomerKey, edit: &CustomerEdit) -> Result<Customer, ChangeError> {
        let now = self.clock.now();
        self.store.transaction(|uow| {
            let customers = uow.customers();
            let before = customers.lock(key)?.ok_or(ChangeError::NotFound)?;
            let after = before.changed(edit.clone(), now).map_err(ChangeError::Metadata)?;
            if after == before {
                return Ok(after);
            }
            let claims = Claims::of_change(&before, &after);
            let taken = customers.taken(&claims)?;
            if !taken.is_empty() {
                return Err(ChangeError::Taken(taken));
            }
            // Whoever takes what is claimed between the look and the write makes this a lost race, which runs again.
            customers.update(&after, &claims)?;
            Ok(after)
        })
    }
}
