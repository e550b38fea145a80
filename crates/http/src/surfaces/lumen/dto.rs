//! The requests and responses of the Lumen surface.

use roster_application::Registration;
use roster_domain::{
    AddressEdit, AddressPart, Country, Customer, CustomerEdit, CustomerId, Edit, Email, EmailUse, ExternalId, Json,
    Name, PostalCode, TaxId, Tenant,
};
use serde::Serialize;

use crate::failure::Failure;
use crate::request::fields::Fields;

/// The prefix of a customer's identifier, before its 26 characters.
const CUSTOMER_PREFIX: &str = "cust_";

/// The prefix of a merchant's identifier, before its 26 characters.
const MERCHANT_PREFIX: &str = "merchant_";

/// Parses the identifier of a customer.
pub(super) fn parse_customer_id(text: &str) -> Option<CustomerId> {
    CustomerId::from_suffix(text.strip_prefix(CUSTOMER_PREFIX)?)
}

/// One customer in its envelope.
#[derive(Serialize)]
pub(super) struct Envelope<'a> {
    pub(super) customer: CustomerView<'a>,
}

/// The response to a deletion.
#[derive(Serialize)]
pub(super) struct Success {
    pub(super) success: bool,
}

/// A customer in a response, with its fields in the order of the vendor's page. Absent values are `null`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CustomerView<'a> {
    id: String,
    email: Option<&'a str>,
    name: Option<&'a str>,
    user_id: Option<&'a str>,
    #[serde(rename = "billingAddressLine1")]
    line1: Option<&'a str>,
    #[serde(rename = "billingAddressLine2")]
    line2: Option<&'a str>,
    billing_city: Option<&'a str>,
    billing_postal_code: Option<&'a str>,
    billing_country: Option<&'a str>,
    tax_id: Option<&'a str>,
    merchant_id: String,
    created_at: String,
    updated_at: String,
    deleted_at: Option<String>,
}

impl<'a> From<&'a Customer> for CustomerView<'a> {
    fn from(customer: &'a Customer) -> Self {
        let profile = customer.profile();
        let address = &profile.address;
        Self {
            id: format!("{CUSTOMER_PREFIX}{}", customer.id().suffix()),
            email: profile.email.as_ref().map(Email::as_str),
            name: profile.name.as_ref().map(Name::as_str),
            user_id: profile.external_id.as_ref().map(ExternalId::as_str),
            line1: address.line1.as_ref().map(AddressPart::as_str),
            line2: address.line2.as_ref().map(AddressPart::as_str),
            billing_city: address.city.as_ref().map(AddressPart::as_str),
            billing_postal_code: address.postal_code.as_ref().map(PostalCode::as_str),
            billing_country: address.country.as_ref().map(Country::as_str),
            tax_id: profile.tax_id.as_ref().map(TaxId::as_str),
            merchant_id: format!("{MERCHANT_PREFIX}{}", customer.tenant().merchant.suffix()),
            created_at: customer.created_at().to_string(),
            updated_at: customer.updated_at().to_string(),
            deleted_at: customer.deleted_at().map(|time| time.to_string()),
        }
    }
}

/// Reads the body of `POST /api/customers`.
pub(super) fn read_registration(tenant: Tenant, body: Json) -> Result<Registration, Failure> {
    let mut fields = Fields::of_body(body)?;
    let edit = read_customer(&mut fields);
    if !matches!(edit.email, Edit::Set(_)) {
        fields.require("email");
    }
    Ok(Registration::new(tenant, fields.finish(edit)?)?)
}

/// Reads the body of `POST /api/customers/{id}`: a missing field is kept, `null` clears a field.
pub(super) fn read_edit(body: Json) -> Result<CustomerEdit, Failure> {
    let mut fields = Fields::of_body(body)?;
    let edit = read_customer(&mut fields);
    if edit.email == Edit::Clear {
        fields.require("email");
    }
    fields.finish(edit)
}

/// Reads the fields of this vendor and ignores all others.
fn read_customer(fields: &mut Fields) -> CustomerEdit {
    let email_use = if fields.flag("dangerouslyAllowSameEmailForDifferentCustomers") {
        EmailUse::Shared
    } else {
        EmailUse::Exclusive
    };
    CustomerEdit {
        email: fields.text("email", |text| Email::parse(&text)),
        email_use,
        external_id: fields.text("userId", ExternalId::parse),
        name: fields.text("name", Name::parse),
        address: AddressEdit {
            line1: fields.text("billingAddressLine1", AddressPart::parse),
            line2: fields.text("billingAddressLine2", AddressPart::parse),
            city: fields.text("billingCity", AddressPart::parse),
            postal_code: fields.text("billingPostalCode", PostalCode::parse),
            country: fields.text("billingCountry", |text| Country::parse(&text)),
            ..AddressEdit::default()
        },
        tax_id: fields.text("taxId", TaxId::parse),
        ..CustomerEdit::default()
    }
}
