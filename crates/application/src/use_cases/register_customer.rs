use roster_domain::{Customer, CustomerEdit, CustomerId, EmailUse, Profile, Tenant, Timestamp};

use super::write_customers::WriteError;
use crate::ports::Ids;

/// A customer to be registered.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The tenant it will belong to.
    pub tenant: Tenant,
    /// What is known about it.
    pub profile: Profile,
    /// Whether other customers may have its e-mail address.
    pub email_use: EmailUse,
}

impl Registration {
    /// A registration of a customer with what `edit` sets.
    ///
    /// # Errors
    /// [`WriteError::Metadata`] if the metadata breaks a limit.
    pub fn new(tenant: Tenant, edit: CustomerEdit) -> Result<Self, WriteError> {
        let email_use = edit.email_use;
        Ok(Self { tenant, profile: edit.into_profile().map_err(WriteError::Metadata)?, email_use })
    }

    /// The new customer. Its identifier is made once, so that a registration that is tried again is not stored twice.
    pub(super) fn register(self, ids: &dyn Ids, now: Timestamp) -> Customer {
        let Self { tenant, profile, email_use } = self;
        Customer::register(tenant, CustomerId::new(ids.next(now)), profile, email_use, now)
    }
}
