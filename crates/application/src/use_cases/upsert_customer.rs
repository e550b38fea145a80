use roster_domain::{Customer, CustomerId, ExternalId, Tenant, Timestamp};

use super::register_customer::Registration;
use super::write_customers::WriteError;
use crate::ports::{CustomerKey, CustomerRef, Ids, StoreError, Taken, Write};
use crate::{Precondition, Revision};

/// A customer as it shall be, whether it is there or not. Its external identifier says which customer that is.
#[derive(Debug, Clone)]
pub struct Upsert {
    registration: Registration,
    precondition: Precondition,
}

impl Upsert {
    /// An upsert of the customer with `external_id`: what `registration` leaves out is cleared, its external identifier
    /// is ignored.
    #[must_use]
    pub fn new(external_id: ExternalId, mut registration: Registration, precondition: Precondition) -> Self {
        registration.profile.external_id = Some(external_id);
        Self { registration, precondition }
    }

    /// The customer as it shall be.
    #[must_use]
    pub fn registration(&self) -> &Registration {
        &self.registration
    }
}

/// Sees to it that a customer exists: one that is there already is read first, and decided on.
pub(super) struct Ensure {
    new: Customer,
    /// The customer by the external identifier of the new one. `None` if it has none: then there is nothing to read.
    key: Option<CustomerKey>,
    existing: Existing,
}

/// What becomes of a customer that is there already.
enum Existing {
    /// It gets the profile of the new one.
    Replace(Precondition),
    /// It is returned as it is.
    Return,
}

impl Ensure {
    /// Begins an upsert.
    pub(super) fn upsert(upsert: Upsert, ids: &dyn Ids, now: Timestamp) -> Self {
        let Upsert { registration, precondition } = upsert;
        Self::new(registration, Existing::Replace(precondition), ids, now)
    }

    /// Begins a registration that returns the customer with its identifiers if there is one.
    pub(super) fn get_or_register(registration: Registration, ids: &dyn Ids, now: Timestamp) -> Self {
        Self::new(registration, Existing::Return, ids, now)
    }

    fn new(registration: Registration, existing: Existing, ids: &dyn Ids, now: Timestamp) -> Self {
        let new = registration.register(ids, now);
        let external_id = new.profile().external_id.clone().map(CustomerRef::ExternalId);
        let key = external_id.map(|customer| CustomerKey { tenant: new.tenant(), customer });
        Self { new, key, existing }
    }

    pub(super) fn tenant(&self) -> Tenant {
        self.new.tenant()
    }

    /// Whether it may come to return a customer that it has not read.
    pub(super) fn may_return_a_holder(&self) -> bool {
        self.key.is_none() && matches!(self.existing, Existing::Return)
    }

    pub(super) fn key(&self) -> Option<&CustomerKey> {
        self.key.as_ref()
    }

    pub(super) fn decide(&self, stored: Option<Customer>, now: Timestamp) -> Result<Write, WriteError> {
        if let Existing::Replace(precondition) = &self.existing {
            precondition.check(stored.as_ref().map(Revision::from))?;
        }
        Ok(match (&self.existing, stored) {
            (_, None) => Write::create(self.new.clone()),
            (Existing::Return, Some(stored)) => Write::unchanged(stored),
            (Existing::Replace(_), Some(before)) => {
                let after = before.replaced(self.new.profile().clone(), self.new.parts().email_use, now);
                Write::change(before, after)
            }
        })
    }

    /// The result after `write` was refused because of what is `taken`: `None` if it is to be decided anew, because
    /// another writer has registered the customer meanwhile. `find` finds a live customer.
    pub(super) fn refused(
        &self,
        write: &Write,
        taken: Taken,
        find: impl FnOnce(&CustomerKey) -> Result<Option<Customer>, StoreError>,
    ) -> Option<Result<Write, WriteError>> {
        if write.before().is_some() {
            return Some(Err(WriteError::Taken(taken)));
        }
        match taken {
            Taken { external_id: Some(_), .. } => None,
            // With an external identifier, it is another customer of the merchant who has the address.
            Taken { email: Some(holder), .. } if self.key.is_none() => find(&self.by_id(holder))
                .map_or_else(|error| Some(Err(error.into())), |found| self.held_by(found, taken)),
            taken => Some(Err(WriteError::Taken(taken))),
        }
    }

    /// The result if the e-mail address of the new customer was found with `holder`.
    fn held_by(&self, holder: Option<Customer>, taken: Taken) -> Option<Result<Write, WriteError>> {
        let holder = holder.filter(|holder| holder.email_key() == self.new.email_key())?;
        // If several customers share the address, none of them is the one that is meant.
        let is_only_one = holder.exclusive_email_key().is_some();
        Some(if is_only_one { Ok(Write::unchanged(holder)) } else { Err(WriteError::Taken(taken)) })
    }

    fn by_id(&self, id: CustomerId) -> CustomerKey {
        CustomerKey { tenant: self.tenant(), customer: CustomerRef::Id(id) }
    }
}
