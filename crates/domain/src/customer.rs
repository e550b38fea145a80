//! The customer, which is registered, changed and deleted.

use crate::metadata::MetadataError;
use crate::{
    Address, AddressEdit, CustomerId, Details, DetailsEdit, Edit, Email, ExternalId, Metadata, MetadataEdit, Name,
    Phone, Rule, TaxId, Tenant, Timestamp,
};

/// Whether other customers may have a customer's e-mail address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EmailUse {
    /// No other live customer of the tenant may have it, now or while this customer has it.
    #[default]
    Exclusive,
    /// Allowed even if another customer has this address.
    Shared,
}

/// Whether a merchant still works with a customer. An archived customer keeps its identifiers and can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CustomerStatus {
    /// It is in use.
    Active,
    /// It was put aside.
    Archived,
}

/// Not a status of a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be active or archived")]
pub struct CustomerStatusError;

impl Rule for CustomerStatusError {
    fn code(&self) -> &'static str {
        "invalid_status"
    }
}

impl CustomerStatus {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Active, Self::Archived];

    /// Parses a name.
    ///
    /// # Errors
    /// [`CustomerStatusError`]
    pub fn parse(name: &str) -> Result<Self, CustomerStatusError> {
        Self::ALL.into_iter().find(|status| status.as_str() == name).ok_or(CustomerStatusError)
    }

    /// Its name, which [`CustomerStatus::parse`] reads.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Archived => "archived",
        }
    }
}

/// The data of a customer. Every field may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// Their e-mail address.
    pub email: Option<Email>,
    /// Their identifier in the merchant's own system.
    pub external_id: Option<ExternalId>,
    /// Their display name.
    pub name: Option<Name>,
    /// Their telephone number.
    pub phone: Option<Phone>,
    /// Their billing address.
    pub address: Address,
    /// Their tax identification number.
    pub tax_id: Option<TaxId>,
    /// What their bills and messages to them depend on.
    pub details: Details,
    /// Data of the merchant, in any structure.
    pub metadata: Metadata,
}

/// All fields of a stored customer, for the adapters that write and read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerParts {
    /// The tenant it belongs to.
    pub tenant: Tenant,
    /// Its identifier.
    pub id: CustomerId,
    /// Its data.
    pub profile: Profile,
    /// Whether other customers may have its e-mail address.
    pub email_use: EmailUse,
    /// Counts its changes, from 1.
    pub version: i64,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// When it was archived; `None` if it is active.
    pub archived_at: Option<Timestamp>,
}

/// A customer of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer(CustomerParts);

/// Where an imported customer belongs, and what it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The tenant it belongs to.
    pub tenant: Tenant,
    /// When it was created.
    pub created_at: Timestamp,
    /// Whether it was in use.
    pub status: CustomerStatus,
}

/// A change of a customer, field by field. The default changes nothing.
#[derive(Debug, Clone, Default)]
pub struct CustomerEdit {
    /// The e-mail address.
    pub email: Edit<Email>,
    /// Whether other customers may have the new e-mail address. Ignored if the address stays the same.
    pub email_use: EmailUse,
    /// The identifier in the merchant's own system.
    pub external_id: Edit<ExternalId>,
    /// The name.
    pub name: Edit<Name>,
    /// The telephone number.
    pub phone: Edit<Phone>,
    /// The billing address, field by field.
    pub address: AddressEdit,
    /// The tax identification number.
    pub tax_id: Edit<TaxId>,
    /// The details, one by one.
    pub details: DetailsEdit,
    /// The metadata.
    pub metadata: MetadataEdit,
    /// The new status; `None` leaves it as it is.
    pub status: Option<CustomerStatus>,
}

impl CustomerEdit {
    /// The profile of a new customer: what the edit sets, and nothing else.
    ///
    /// # Errors
    /// [`MetadataError`] if the metadata breaks a limit.
    pub fn into_profile(self) -> Result<Profile, MetadataError> {
        let mut profile = Profile::default();
        self.apply(&mut profile)?;
        Ok(profile)
    }

    fn apply(self, profile: &mut Profile) -> Result<(), MetadataError> {
        self.email.apply(&mut profile.email);
        self.external_id.apply(&mut profile.external_id);
        self.name.apply(&mut profile.name);
        self.phone.apply(&mut profile.phone);
        self.address.apply(&mut profile.address);
        self.tax_id.apply(&mut profile.tax_id);
        self.details.apply(&mut profile.details);
        self.metadata.apply(&mut profile.metadata)
    }
}

impl Customer {
    /// Makes a new customer of `tenant`, at version 1.
    #[must_use]
    pub fn register(tenant: Tenant, id: CustomerId, profile: Profile, email_use: EmailUse, now: Timestamp) -> Self {
        Self(CustomerParts {
            tenant,
            id,
            profile,
            email_use,
            version: 1,
            created_at: now,
            updated_at: now,
            deleted_at: None,
            archived_at: None,
        })
    }

    /// Makes a customer of `tenant` that was created elsewhere at `created_at`, at version 1. It came here, and was archived here
    /// if it is, at `now`.
    #[must_use]
    pub fn import(origin: Origin, id: CustomerId, profile: Profile, email_use: EmailUse, now: Timestamp) -> Self {
        let Origin { tenant, created_at, status } = origin;
        let customer = Self::register(tenant, id, profile, email_use, now);
        let archived_at = (status == CustomerStatus::Archived).then_some(now);
        Self(CustomerParts { created_at, archived_at, ..customer.0 })
    }

    /// Rebuilds a customer from its stored fields.
    #[must_use]
    pub fn restore(parts: CustomerParts) -> Self {
        Self(parts)
    }

    /// All its fields.
    #[must_use]
    pub fn parts(&self) -> &CustomerParts {
        &self.0
    }

    /// The tenant it belongs to.
    #[must_use]
    pub fn tenant(&self) -> Tenant {
        self.0.tenant
    }

    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> CustomerId {
        self.0.id
    }

    /// Its data.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.0.profile
    }

    /// When it was registered.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.0.created_at
    }

    /// When it last changed.
    #[must_use]
    pub fn updated_at(&self) -> Timestamp {
        self.0.updated_at
    }

    /// Counts its changes, from 1.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.0.version
    }

    /// Whether it is not deleted.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.0.deleted_at.is_none()
    }

    /// When it was deleted; `None` if it is live.
    #[must_use]
    pub fn deleted_at(&self) -> Option<Timestamp> {
        self.0.deleted_at
    }

    /// Whether the merchant still works with it.
    #[must_use]
    pub fn status(&self) -> CustomerStatus {
        if self.0.archived_at.is_some() { CustomerStatus::Archived } else { CustomerStatus::Active }
    }

    /// The key by which its e-mail address is compared.
    #[must_use]
    pub fn email_key(&self) -> Option<&str> {
        self.0.profile.email.as_ref().map(Email::key)
    }

    /// The key that no other live customer of the tenant may have; `None` if its address is shared or absent.
    #[must_use]
    pub fn exclusive_email_key(&self) -> Option<&str> {
        self.email_key().filter(|_| self.0.email_use == EmailUse::Exclusive)
    }

    /// The customer after `edit`; equal to this one if the edit changes nothing.
    ///
    /// If the e-mail address stays the same or changes in its spelling only, its [`EmailUse`] stays the same too.
    ///
    /// # Errors
    /// [`MetadataError`] if the merged metadata breaks a limit.
    pub fn changed(&self, edit: CustomerEdit, now: Timestamp) -> Result<Self, MetadataError> {
        let mut after = self.clone();
        let (email_use, status) = (edit.email_use, edit.status);
        edit.apply(&mut after.0.profile)?;
        if let Some(status) = status.filter(|status| *status != self.status()) {
            after.0.archived_at = match status {
                CustomerStatus::Active => None,
                CustomerStatus::Archived => Some(now.max(self.0.updated_at)),
            };
        }
        Ok(after.following(self, email_use, now))
    }

    /// The customer with `profile` in place of its own; equal to this one if they are the same. Its status stays.
    ///
    /// Its [`EmailUse`] is that of [`Customer::changed`].
    #[must_use]
    pub fn replaced(&self, profile: Profile, email_use: EmailUse, now: Timestamp) -> Self {
        let after = Self(CustomerParts { profile, ..self.0.clone() });
        after.following(self, email_use, now)
    }

    /// This customer as the next state of `before`, with whose address it keeps the use of the address.
    fn following(mut self, before: &Self, email_use: EmailUse, now: Timestamp) -> Self {
        if self.email_key() != before.email_key() {
            self.0.email_use = email_use;
        }
        if self != *before {
            self.touch(now);
        }
        self
    }

    /// The customer after its deletion: its identifiers are free again, its row is kept.
    #[must_use]
    pub fn deleted(&self, now: Timestamp) -> Self {
        let mut after = self.clone();
        after.touch(now);
        after.0.deleted_at = Some(after.0.updated_at);
        after
    }

    /// Counts a change at `now`. If the clock was set back, `updated_at` stays, so that it never decreases.
    fn touch(&mut self, now: Timestamp) {
        self.0.version += 1;
        self.0.updated_at = now.max(self.0.updated_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Environment, Json, MerchantId, MetadataPatch, Object};
    use uuid::Uuid;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).expect("a small number")
    }

    fn email(text: &str) -> Email {
        Email::parse(text).expect("an address")
    }

    fn customer(email_use: EmailUse) -> Customer {
        let tenant = Tenant { merchant: MerchantId::new(Uuid::from_u128(1)), environment: Environment::Live };
        let profile =
            Profile { email: Some(email("ada@example.com")), name: Name::parse("Ada").ok(), ..Profile::default() };
        Customer::register(tenant, CustomerId::new(Uuid::from_u128(2)), profile, email_use, at(1000))
    }

    #[test]
    fn an_edit_that_changes_nothing_leaves_the_same_customer() {
        let before = customer(EmailUse::Exclusive);
        assert_eq!(before.changed(CustomerEdit::default(), at(2000)), Ok(before.clone()));
        let same_name =
            CustomerEdit { name: Edit::Set(Name::parse("Ada").expect("a name")), ..CustomerEdit::default() };
        assert_eq!(before.changed(same_name, at(2000)), Ok(before));
    }

    #[test]
    fn a_change_increments_the_version_and_sets_the_time() {
        let before = customer(EmailUse::Exclusive);
        let after = before
            .changed(CustomerEdit { name: Edit::Clear, ..CustomerEdit::default() }, at(2000))
            .expect("no metadata");
        assert_eq!((after.profile().name.as_ref(), after.parts().version, after.updated_at()), (None, 2, at(2000)));
        assert_eq!(after.created_at(), at(1000));
        let clock_set_back = before.changed(CustomerEdit { name: Edit::Clear, ..CustomerEdit::default() }, at(500));
        assert_eq!(clock_set_back.expect("no metadata").updated_at(), at(1000));
    }

    #[test]
    fn another_spelling_of_the_same_address_keeps_its_email_use() {
        let edit = CustomerEdit { email: Edit::Set(email("ADA@example.com")), ..CustomerEdit::default() };
        let after = customer(EmailUse::Shared).changed(edit, at(2000)).expect("no metadata");
        assert_eq!(
            (after.profile().email.as_ref().map(Email::as_str), after.parts().email_use),
            (Some("ADA@example.com"), EmailUse::Shared)
        );
    }

    #[test]
    fn a_new_address_gets_the_email_use_of_the_edit() {
        let edit = |email_use| CustomerEdit {
            email: Edit::Set(email("eda@example.com")),
            email_use,
            ..CustomerEdit::default()
        };
        let shared = customer(EmailUse::Exclusive).changed(edit(EmailUse::Shared), at(2000)).expect("no metadata");
        assert_eq!(shared.exclusive_email_key(), None);
        let exclusive = customer(EmailUse::Shared).changed(edit(EmailUse::Exclusive), at(2000)).expect("no metadata");
        assert_eq!(exclusive.exclusive_email_key(), Some("eda@example.com"));
    }

    #[test]
    fn a_customer_is_archived_once_and_active_again() {
        let to = |status| CustomerEdit { status: Some(status), ..CustomerEdit::default() };
        let before = customer(EmailUse::Exclusive);
        assert_eq!(before.changed(to(CustomerStatus::Active), at(2000)), Ok(before.clone()));
        let archived = before.changed(to(CustomerStatus::Archived), at(2000)).expect("no metadata");
        assert_eq!((archived.status(), archived.parts().archived_at), (CustomerStatus::Archived, Some(at(2000))));
        assert_eq!(archived.exclusive_email_key(), before.exclusive_email_key());
        assert_eq!(archived.changed(to(CustomerStatus::Archived), at(3000)), Ok(archived.clone()));
        let active = archived.changed(to(CustomerStatus::Active), at(3000)).expect("no metadata");
        assert_eq!((active.status(), active.updated_at(), active.version()), (CustomerStatus::Active, at(3000), 3));
    }

    #[test]
    fn a_replacement_clears_what_it_leaves_out_and_keeps_the_status() {
        let to_archive = CustomerEdit { status: Some(CustomerStatus::Archived), ..CustomerEdit::default() };
        let before = customer(EmailUse::Shared).changed(to_archive, at(1500)).expect("no metadata");
        let same = before.replaced(before.profile().clone(), EmailUse::Exclusive, at(2000));
        assert_eq!(same, before);
        let profile = Profile { email: Some(email("ADA@example.com")), ..Profile::default() };
        let after = before.replaced(profile.clone(), EmailUse::Exclusive, at(2000));
        assert_eq!((after.profile(), after.version(), after.updated_at()), (&profile, 3, at(2000)));
        assert_eq!(
            (after.id(), after.status(), after.parts().email_use),
            (before.id(), before.status(), EmailUse::Shared)
        );
    }

    #[test]
    fn a_merge_that_breaks_a_limit_is_an_error() {
        let patch = Object::try_from(vec![("k".to_owned(), Json::String("\0".to_owned()))]).expect("one key");
        let patch = MetadataPatch { patch, parse: |_| Some(Object::default()) };
        let edit = CustomerEdit { metadata: MetadataEdit::Merge(patch), ..CustomerEdit::default() };
        assert_eq!(customer(EmailUse::Exclusive).changed(edit, at(2000)), Err(MetadataError::Nul));
    }

    #[test]
    fn a_deleted_customer_keeps_its_profile() {
        let before = customer(EmailUse::Exclusive);
        let after = before.deleted(at(3000));
        assert_eq!((after.deleted_at(), after.updated_at(), after.parts().version), (Some(at(3000)), at(3000), 2));
        assert_eq!(after.profile(), before.profile());
    }
}
