//! The requests and responses of the Lumen surface.

use actix_web::HttpRequest;
use roster_application::Registration;
use roster_application::ports::CustomerFilter;
use roster_domain::{
    AddressEdit, AddressPart, BusinessName, Country, Currency, Customer, CustomerEdit, CustomerId, DetailsEdit, Edit,
    Email, EmailUse, ExternalId, Json, Locale, Metadata, MetadataEdit, Name, Phone, PlanId, PostalCode, Subscription,
    TaxExemption, TaxId, Tenant, TimeZone,
};
use serde::Serialize;

use crate::failure::{Failure, Fault, Place};
use crate::request::fields::Fields;
use crate::request::query::{read_parameters, set_filter};
use crate::respond;

/// The prefix of a customer's identifier, before its 26 characters.
const CUSTOMER_PREFIX: &str = "cust_";

/// The prefixes that are read: the vendor's page has the first, its later documentation the second.
const CUSTOMER_PREFIXES: [&str; 2] = [CUSTOMER_PREFIX, CustomerId::PREFIX];

/// The prefix of a merchant's identifier, before its 26 characters.
const MERCHANT_PREFIX: &str = "merchant_";

/// Parses the identifier of a customer.
pub(super) fn parse_customer_id(text: &str) -> Option<CustomerId> {
    CUSTOMER_PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)).and_then(CustomerId::from_suffix)
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

/// A customer in a response: the fields of the vendor's page in its order, then those of its later documentation. Absent
/// values are `null`.
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
    /// The later name of `userId`.
    external_customer_id: Option<&'a str>,
    phone_number: Option<&'a str>,
    billing_state_province: Option<&'a str>,
    business_name: Option<&'a str>,
    tax_exempt: Option<bool>,
    preferred_language: Option<&'a str>,
    timezone: Option<&'a str>,
    preferred_currency: Option<&'a str>,
    #[serde(serialize_with = "respond::metadata")]
    metadata: &'a Metadata,
}

impl<'a> From<&'a Customer> for CustomerView<'a> {
    fn from(customer: &'a Customer) -> Self {
        let profile = customer.profile();
        let (address, details) = (&profile.address, &profile.details);
        let external_id = profile.external_id.as_ref().map(ExternalId::as_str);
        Self {
            id: format!("{CUSTOMER_PREFIX}{}", customer.id().suffix()),
            email: profile.email.as_ref().map(Email::as_str),
            name: profile.name.as_ref().map(Name::as_str),
            user_id: external_id,
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
            external_customer_id: external_id,
            phone_number: profile.phone.as_ref().map(Phone::as_str),
            billing_state_province: address.state.as_ref().map(AddressPart::as_str),
            business_name: details.business_name.as_ref().map(BusinessName::as_str),
            tax_exempt: details.tax_exempt.map(|exemption| exemption != TaxExemption::None),
            preferred_language: details.locale.as_ref().map(Locale::as_str),
            timezone: details.timezone.as_ref().map(TimeZone::as_str),
            preferred_currency: details.currency.as_ref().map(Currency::as_str),
            metadata: &profile.metadata,
        }
    }
}

/// The response to the question whether a customer has an active subscription.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusView<'a> {
    customer: CustomerView<'a>,
    has_active_subscription: bool,
    subscription: Option<SubscriptionView<'a>>,
}

/// A subscription as the vendor's components read it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionView<'a> {
    id: &'a str,
    plan_id: Option<&'a str>,
    plan_name: Option<&'a str>,
    status: &'static str,
}

impl<'a> StatusView<'a> {
    /// `current`: the active subscription that started last.
    pub(super) fn of(customer: &'a Customer, current: Option<&'a Subscription>) -> Self {
        let subscription = current.map(|subscription| SubscriptionView {
            id: subscription.id.as_str(),
            plan_id: subscription.plan_id.as_ref().map(PlanId::as_str),
            plan_name: subscription.name.as_ref().map(Name::as_str),
            status: subscription.status.as_str(),
        });
        Self { customer: customer.into(), has_active_subscription: subscription.is_some(), subscription }
    }
}

/// Parameters of queries that the vendor's clients send and that mean nothing here: this service has no payments, and
/// knows by its name what an identifier is.
const IGNORED_PARAMETERS: &[&str] = &["includePaymentData", "isExtCustId"];

/// Reads the query of `GET /api/customers`.
pub(super) fn read_filter(request: &HttpRequest) -> Result<CustomerFilter, Failure> {
    let mut filter = CustomerFilter::default();
    read_parameters(request, |name, value| match name {
        "email" => {
            let key = Email::parse(value).map(|email| email.key().to_owned());
            Some(set_filter("email", &mut filter.email_key, key))
        }
        _ => read_external_id_parameter(&mut filter.external_id, name, value),
    })?;
    Ok(filter)
}

/// Reads the query of `GET /api/customers/subscription-status`: the external identifier.
pub(super) fn read_whose_status(request: &HttpRequest) -> Result<ExternalId, Failure> {
    let mut external_id = None;
    read_parameters(request, |name, value| read_external_id_parameter(&mut external_id, name, value))?;
    external_id.ok_or_else(|| {
        let detail = "is required".to_owned();
        Fault { place: Place::Parameter(EXTERNAL_ID_NAMES[1]), code: "required", detail }.into()
    })
}

/// Reads a parameter that every query may have: the external identifier under either of its names, or one that is ignored.
fn read_external_id_parameter(
    external_id: &mut Option<ExternalId>,
    name: &str,
    value: &str,
) -> Option<Result<(), Fault>> {
    match EXTERNAL_ID_NAMES.into_iter().find(|known| *known == name) {
        Some(name) => Some(set_filter(name, external_id, ExternalId::parse(value))),
        None => IGNORED_PARAMETERS.contains(&name).then_some(Ok(())),
    }
}

/// The names of the external identifier: that of the vendor's page, and that of its later documentation.
const EXTERNAL_ID_NAMES: [&str; 2] = ["userId", "externalCustomerId"];

fn disagreement(place: Place) -> Fault {
    Fault { place, code: "disagreement", detail: "must be the same as userId".to_owned() }
}

/// Reads the body of `POST /api/customers`.
pub(super) fn read_registration(tenant: Tenant, body: Json) -> Result<Registration, Failure> {
    let mut fields = Fields::of_body(body)?;
    let edit = read_customer(&mut fields);
    let may_lack_email = fields.flag("dangerouslyAllowCustomerWithoutEmail");
    if !may_lack_email && !matches!(edit.email, Edit::Set(_)) {
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
        external_id: read_external_id(fields),
        name: fields.text("name", Name::parse),
        address: AddressEdit {
            line1: fields.text("billingAddressLine1", AddressPart::parse),
            line2: fields.text("billingAddressLine2", AddressPart::parse),
            city: fields.text("billingCity", AddressPart::parse),
            postal_code: fields.text("billingPostalCode", PostalCode::parse),
            country: fields.text("billingCountry", |text| Country::parse(&text)),
            state: fields.text("billingStateProvince", AddressPart::parse),
        },
        tax_id: fields.text("taxId", TaxId::parse),
        phone: fields.text("phoneNumber", Phone::parse),
        details: DetailsEdit {
            business_name: fields.text("businessName", BusinessName::parse),
            // The vendor has a yes or no. A customer under the reverse charge is not charged taxes either.
            tax_exempt: fields.text_or_flag(
                "taxExempt",
                |text| TaxExemption::parse(&text),
                |is_exempt| if is_exempt { TaxExemption::Exempt } else { TaxExemption::None },
            ),
            locale: fields.text("preferredLanguage", |text| Locale::parse(&text)),
            timezone: fields.text("timezone", |text| TimeZone::parse(&text)),
            currency: fields.text("preferredCurrency", |text| Currency::parse(&text)),
        },
        metadata: match fields.object("metadata", |object| Metadata::new(&object)) {
            Edit::Keep => MetadataEdit::Keep,
            Edit::Clear => MetadataEdit::Replace(Metadata::default()),
            Edit::Set(metadata) => MetadataEdit::Replace(metadata),
        },
        status: None,
    }
}

/// Reads the external identifier under either of its names.
fn read_external_id(fields: &mut Fields) -> Edit<ExternalId> {
    let [first, second] = EXTERNAL_ID_NAMES.map(|name| fields.text(name, ExternalId::parse));
    match (first, second) {
        (only, Edit::Keep) | (Edit::Keep, only) => only,
        (first, second) => {
            if first != second {
                fields.refuse(EXTERNAL_ID_NAMES[1], disagreement);
            }
            first
        }
    }
}
