use roster_domain::{
    Address, AddressPart, BusinessName, Country, Currency, Customer, CustomerId, CustomerParts, Details, Email,
    EmailUse, Environment, ExternalId, Locale, MerchantId, Metadata, Name, Phone, PostalCode, Profile, TaxExemption,
    TaxId, Tenant, TimeZone, Timestamp,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ports::StoreError;

/// The row of a customer, in types that every database has.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "fields are the columns")]
pub struct CustomerRecord {
    pub merchant_id: Uuid,
    pub environment: String,
    pub id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_key: Option<String>,
    pub email_exclusive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_line1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_line2: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_city: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_postal_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_country: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_exempt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Compact JSON.
    pub metadata: String,
    pub version: i64,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970.
    pub updated_at: i64,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<i64>,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<i64>,
}

impl From<&Customer> for CustomerRecord {
    fn from(customer: &Customer) -> Self {
        let CustomerParts { tenant, id, profile, email_use, version, created_at, updated_at, deleted_at, archived_at } =
            customer.parts();
        let Profile { email, external_id, name, phone, address, tax_id, details, metadata } = profile;
        let Details { business_name, tax_exempt, locale, timezone, currency } = details;
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
            business_name: business_name.as_ref().map(|name| name.as_str().to_owned()),
            tax_exempt: tax_exempt.map(|exemption| exemption.as_str().to_owned()),
            locale: locale.as_ref().map(|locale| locale.as_str().to_owned()),
            timezone: timezone.as_ref().map(|zone| zone.as_str().to_owned()),
            currency: currency.as_ref().map(|currency| currency.as_str().to_owned()),
            metadata: metadata.as_str().to_owned(),
            version: *version,
            created_at: created_at.as_millis(),
            updated_at: updated_at.as_millis(),
            deleted_at: deleted_at.map(Timestamp::as_millis),
            archived_at: archived_at.map(Timestamp::as_millis),
        }
    }
}

impl TryFrom<CustomerRecord> for Customer {
    type Error = StoreError;

    /// # Errors
    /// [`StoreError::Corrupt`], naming the column, if a value does not decode.
    fn try_from(record: CustomerRecord) -> Result<Self, StoreError> {
        let id = record.id;
        let corrupt = |column| StoreError::Corrupt { table: "customers", column, id };
        let time = |millis, column| Timestamp::from_millis(millis).map_err(|_| corrupt(column));
        let email = match (record.email, record.email_key) {
            (Some(address), Some(key)) => Some(Email::restore(address, key)),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(corrupt("email_key")),
        };
        let country = |code: String| Country::restore(&code).ok_or_else(|| corrupt("address_country"));
        let tax_exempt = |name: String| TaxExemption::parse(&name).map_err(|_| corrupt("tax_exempt"));
        let profile = Profile {
            email,
            external_id: record.external_id.map(ExternalId::restore),
            name: record.name.map(Name::restore),
            phone: record.phone.map(Phone::restore),
            address: Address {
                line1: record.address_line1.map(AddressPart::restore),
                line2: record.address_line2.map(AddressPart::restore),
                city: record.address_city.map(AddressPart::restore),
                state: record.address_state.map(AddressPart::restore),
                postal_code: record.address_postal_code.map(PostalCode::restore),
                country: record.address_country.map(country).transpose()?,
            },
            tax_id: record.tax_id.map(TaxId::restore),
            details: Details {
                business_name: record.business_name.map(BusinessName::restore),
                tax_exempt: record.tax_exempt.map(tax_exempt).transpose()?,
                locale: record.locale.map(Locale::restore),
                timezone: record.timezone.map(TimeZone::restore),
                currency: record.currency.map(Currency::restore),
            },
            metadata: Metadata::restore(record.metadata),
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
            archived_at: record.archived_at.map(|millis| time(millis, "archived_at")).transpose()?,
        }))
    }
}
