use roster_domain::{
    Address, AddressPart, Country, Customer, CustomerId, CustomerParts, Email, EmailUse, Environment, ExternalId, Json,
    MerchantId, Metadata, Name, Phone, PostalCode, Profile, TaxId, Tenant, Timestamp,
};
use uuid::Uuid;

use super::StoreError;
use super::store::TRIES;
use crate::json;

/// Names one live customer of a tenant, by either of its identifiers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CustomerRef {
    /// By our own identifier.
    Id(CustomerId),
    /// By the merchant's.
    ExternalId(ExternalId),
}

/// Names one live customer among all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CustomerKey {
    /// Whose it is.
    pub tenant: Tenant,
    /// Which it is.
    pub customer: CustomerRef,
}

/// What a customer lays claim to, so that no other live customer of its tenant may have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims<'a> {
    /// Whose customer it is.
    pub tenant: Tenant,
    /// The customer itself, which does not stand in its own way.
    pub customer: CustomerId,
    /// The e-mail key that must be free.
    pub email_key: Option<&'a str>,
    /// The external identifier that must be free.
    pub external_id: Option<&'a ExternalId>,
}

impl<'a> Claims<'a> {
    /// What a new customer claims.
    #[must_use]
    pub fn of_new(customer: &'a Customer) -> Self {
        Self {
            tenant: customer.tenant(),
            customer: customer.id(),
            email_key: customer.exclusive_email_key(),
            external_id: customer.profile().external_id.as_ref(),
        }
    }

    /// What a customer claims that it did not have `before`.
    #[must_use]
    pub fn of_change(before: &Customer, after: &'a Customer) -> Self {
        let all = Self::of_new(after);
        Self {
            email_key: all.email_key.filter(|_| before.email_key() != after.email_key()),
            external_id: all.external_id.filter(|_| before.profile().external_id != after.profile().external_id),
            ..all
        }
    }
}

/// Who stands in the way of [`Claims`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// A live customer with the e-mail key, however it came by it.
    pub email: Option<CustomerId>,
    /// The live customer with the external identifier.
    pub external_id: Option<Box<Customer>>,
}

impl Taken {
    /// Whether nobody stands in the way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.email.is_none() && self.external_id.is_none()
    }
}

/// What became of one customer of a batch that was inserted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inserted {
    /// It is there.
    Created,
    /// Others have what it claims; at least one of the two is named.
    Taken(Taken),
    /// Each time it was refused, those in its way were gone a moment later. Trying again later may help.
    Contended,
}

/// The customers. Deleted ones are never found.
pub trait CustomerRepository {
    /// Inserts each customer whose claims are free, one after the other, and says who stands in the way of the rest.
    ///
    /// Race-free: of any number of callers that claim the same at the same time, in any number of processes, exactly
    /// one is told [`Inserted::Created`]. The results stand in the order of the customers.
    ///
    /// # Errors
    /// [`StoreError`] if the whole batch failed.
    fn insert(&mut self, customers: &[Customer]) -> Result<Vec<Inserted>, StoreError> {
        let mut results = Vec::with_capacity(customers.len());
        for run in split_at_shared_keys(customers) {
            results.append(&mut insert_run(self, run)?);
        }
        Ok(results)
    }

    /// One atomic statement: inserts those whose claims are free as it starts and stay free as it ends, and says of
    /// each whether it is there now. No two of `customers` share an e-mail key or an external identifier.
    ///
    /// # Errors
    /// [`StoreError`] if the whole batch failed.
    fn insert_free(&mut self, customers: &[&Customer]) -> Result<Vec<bool>, StoreError>;

    /// Who stands in the way of `claims`, as committed before this call.
    ///
    /// # Errors
    /// [`StoreError`]
    fn taken(&mut self, claims: &Claims<'_>) -> Result<Taken, StoreError>;

    /// Finds live customers; the results stand in the order of the keys.
    ///
    /// # Errors
    /// [`StoreError`] if the whole batch failed.
    fn find(&mut self, keys: &[CustomerKey]) -> Result<Vec<Option<Customer>>, StoreError>;

    /// Finds a live customer and keeps every other writer from it until the transaction ends.
    ///
    /// # Errors
    /// [`StoreError`]
    fn lock(&mut self, key: &CustomerKey) -> Result<Option<Customer>, StoreError>;

    /// Writes a live customer that was [locked](CustomerRepository::lock) in this transaction, if `claims` are free.
    ///
    /// # Errors
    /// A [lost race](StoreError::is_lost_race) if they are not, or the customer is not there; other [`StoreError`]s.
    fn update(&mut self, customer: &Customer, claims: &Claims<'_>) -> Result<(), StoreError>;

    /// At most `limit` live customers of `tenant`, newest first, registered before `before`.
    ///
    /// # Errors
    /// [`StoreError`]
    fn list(&mut self, tenant: Tenant, before: Option<CustomerId>, limit: usize) -> Result<Vec<Customer>, StoreError>;
}

/// Cuts a batch before each customer that shares an e-mail key or an external identifier with an earlier one of its
/// run, so that one sees the other.
pub(crate) fn split_at_shared_keys(customers: &[Customer]) -> Vec<&[Customer]> {
    let mut runs = Vec::new();
    let mut start = 0;
    let mut seen = std::collections::HashSet::new();
    for (place, customer) in customers.iter().enumerate() {
        let tenant = customer.tenant();
        let keys: Vec<_> = [
            customer.email_key().map(|key| (tenant, "email", key)),
            customer.profile().external_id.as_ref().map(|id| (tenant, "external_id", id.as_str())),
        ]
        .into_iter()
        .flatten()
        .collect();
        if keys.iter().any(|key| seen.contains(key)) {
            runs.push(&customers[start..place]);
            start = place;
            seen.clear();
        }
        seen.extend(keys);
    }
    runs.push(&customers[start..]);
    runs
}

/// Inserts, then looks again in a new statement at whatever was refused: only a statement that starts after the refusal
/// is sure to see who caused it. Who was seen by the first but not by the second was deleted in between, so that the
/// insert has a chance again.
fn insert_run<R>(repository: &mut R, customers: &[Customer]) -> Result<Vec<Inserted>, StoreError>
where
    R: CustomerRepository + ?Sized,
{
    let mut results = vec![Inserted::Contended; customers.len()];
    let mut open: Vec<usize> = (0..customers.len()).collect();
    for _ in 0..TRIES {
        if open.is_empty() {
            break;
        }
        let batch: Vec<&Customer> = open.iter().map(|&place| &customers[place]).collect();
        let inserted = repository.insert_free(&batch)?;
        let mut refused = Vec::new();
        for (place, inserted) in open.into_iter().zip(inserted) {
            if inserted {
                results[place] = Inserted::Created;
                continue;
            }
            let taken = repository.taken(&Claims::of_new(&customers[place]))?;
            if taken.is_empty() {
                refused.push(place);
            } else {
                results[place] = Inserted::Taken(taken);
            }
        }
        open = refused;
    }
    Ok(results)
}

/// A customer as the columns of a row, in types that every database has.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "they are the columns, named as what they hold")]
pub struct CustomerRecord {
    pub merchant_id: Uuid,
    pub environment: String,
    pub id: Uuid,
    pub email: Option<String>,
    pub email_key: Option<String>,
    pub email_exclusive: bool,
    pub external_id: Option<String>,
    pub name: Option<String>,
    pub phone: Option<String>,
    pub address_line1: Option<String>,
    pub address_line2: Option<String>,
    pub address_city: Option<String>,
    pub address_state: Option<String>,
    pub address_postal_code: Option<String>,
    pub address_country: Option<String>,
    pub tax_id: Option<String>,
    /// Compact JSON.
    pub metadata: String,
    pub version: i64,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970.
    pub updated_at: i64,
    /// Milliseconds since 1970.
    pub deleted_at: Option<i64>,
}

impl From<&Customer> for CustomerRecord {
    fn from(customer: &Customer) -> Self {
        let CustomerParts { tenant, id, profile, email_use, version, created_at, updated_at, deleted_at } =
            customer.parts();
        let Profile { email, external_id, name, phone, address, tax_id, metadata } = profile;
        let part = |part: &Option<AddressPart>| part.as_ref().map(|part| part.as_str().to_owned());
        Self {
            merchant_id: tenant.merchant.uuid(),
            environment: tenant.environment.as_str().to_owned(),
            id: id.uuid(),
            email: email.as_ref().map(|email| email.as_str().to_owned()),
            email_key: email.as_ref().map(|email| email.key().to_owned()),
            email_exclusive: *email_use == EmailUse::Exclusive,
            external_id: external_id.as_ref().map(|id| id.as_str().to_owned()),
            name: name.as_ref().map(|name| name.as_str().to_owned()),
            phone: phone.as_ref().map(|phone| phone.as_str().to_owned()),
            address_line1: part(&address.line1),
            address_line2: part(&address.line2),
            address_city: part(&address.city),
            address_state: part(&address.state),
            address_postal_code: address.postal_code.as_ref().map(|code| code.as_str().to_owned()),
            address_country: address.country.as_ref().map(|country| country.as_str().to_owned()),
            tax_id: tax_id.as_ref().map(|id| id.as_str().to_owned()),
            metadata: metadata.as_object().to_string(),
            version: *version,
            created_at: created_at.as_millis(),
            updated_at: updated_at.as_millis(),
            deleted_at: deleted_at.map(Timestamp::as_millis),
        }
    }
}

impl TryFrom<CustomerRecord> for Customer {
    type Error = StoreError;

    /// # Errors
    /// [`StoreError::Corrupt`], naming the column, if the row was not written by this service.
    fn try_from(record: CustomerRecord) -> Result<Self, StoreError> {
        let id = record.id;
        let corrupt = |column| StoreError::Corrupt { table: "customers", column, id };
        let part = |text: Option<String>, column| text.map(AddressPart::parse).transpose().map_err(|_| corrupt(column));
        let time = |millis, column| Timestamp::from_millis(millis).map_err(|_| corrupt(column));
        let email = match (record.email, record.email_key) {
            (Some(address), Some(key)) => Some(Email::restore(address, key)),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(corrupt("email_key")),
        };
        let Ok(Json::Object(metadata)) = json::read(record.metadata.as_bytes()) else {
            return Err(corrupt("metadata"));
        };
        let profile = Profile {
            email,
            external_id: record.external_id.map(ExternalId::parse).transpose().map_err(|_| corrupt("external_id"))?,
            name: record.name.map(Name::parse).transpose().map_err(|_| corrupt("name"))?,
            phone: record.phone.map(Phone::parse).transpose().map_err(|_| corrupt("phone"))?,
            address: Address {
                line1: part(record.address_line1, "address_line1")?,
                line2: part(record.address_line2, "address_line2")?,
                city: part(record.address_city, "address_city")?,
                state: part(record.address_state, "address_state")?,
                postal_code: record
                    .address_postal_code
                    .map(PostalCode::parse)
                    .transpose()
                    .map_err(|_| corrupt("address_postal_code"))?,
                country: record
                    .address_country
                    .map(|code| Country::parse(&code))
                    .transpose()
                    .map_err(|_| corrupt("address_country"))?,
            },
            tax_id: record.tax_id.map(TaxId::parse).transpose().map_err(|_| corrupt("tax_id"))?,
            metadata: Metadata::restore(metadata),
        };
        Ok(Self::restore(CustomerParts {
            tenant: Tenant {
                merchant: MerchantId::new(record.merchant_id),
                environment: Environment::parse(&record.environment).map_err(|_| corrupt("environment"))?,
            },
            id: CustomerId::new(id),
            profile,
            email_use: if record.email_exclusive { EmailUse::Exclusive } else { EmailUse::Shared },
            version: record.version,
            created_at: time(record.created_at, "created_at")?,
            updated_at: time(record.updated_at, "updated_at")?,
            deleted_at: record.deleted_at.map(|millis| time(millis, "deleted_at")).transpose()?,
        }))
    }
}
