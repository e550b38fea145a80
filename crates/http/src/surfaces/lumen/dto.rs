//! The requests and responses of the Lumen surface.

use std::fmt;

use actix_web::HttpRequest;
use roster_application::Registration;
use roster_application::ports::CustomerFilter;
use roster_domain::{
    AddressEdit, AddressPart, BusinessName, Country, Currency, Customer, CustomerEdit, CustomerId, DetailsEdit, Edit,
    Email, EmailUse, ExternalId, Json, Locale, MerchantId, Metadata, MetadataEdit, Name, Phone, PlanId, PostalCode,
    Subscription, TaxExemption, TaxId, Tenant, TimeZone, Timestamp,
};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::{Failure, Fault, Place};
use crate::openapi::schema::{self, Described, MetadataView, Shown, Text};
use crate::request::fields::Fields;
use crate::request::query::{read_parameters, set_email, set_filter};

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
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CustomerEnvelope")]
pub(super) struct Envelope<'a> {
    pub(super) customer: CustomerView<'a>,
}

/// All customers in their envelope. It is streamed, and never made as a whole.
#[derive(JsonSchema)]
#[schemars(rename = "CustomersEnvelope")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct Envelopes<'a> {
    customers: Vec<CustomerView<'a>>,
}

/// The response to a deletion.
#[derive(Serialize, JsonSchema)]
pub(super) struct Success {
    #[schemars(extend("const" = true))]
    pub(super) success: bool,
}

/// A customer's identifier, as this surface writes it.
struct Id(CustomerId);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{CUSTOMER_PREFIX}{}", self.0.suffix())
    }
}

impl Described for Id {
    const NAME: &'static str = "CustomerId";

    fn schema(_: &mut SchemaGenerator) -> Value {
        let about = "Unique identifier, stable throughout the customer's lifecycle: `cust_` and 26 characters of lower-case \
                     Crockford base32, which are the same on every surface.";
        schema::id(CUSTOMER_PREFIX, about, "01h2xcejqtf2nbrexx3vqjhp41")
    }
}

/// A customer's identifier as this surface reads it: with either of its prefixes.
pub(super) struct AnyId;

impl Described for AnyId {
    const NAME: &'static str = "CustomerIdInPath";

    fn schema(_: &mut SchemaGenerator) -> Value {
        let about = "The customer's identifier. It may begin with `cus_` instead of `cust_`.";
        let mut schema = schema::id(&format!("({})", CUSTOMER_PREFIXES.join("|")), about, "");
        schema["examples"] = json!([format!("{CUSTOMER_PREFIX}01h2xcejqtf2nbrexx3vqjhp41")]);
        schema
    }
}

/// The merchant's identifier, as this surface writes it.
struct OwnerId(MerchantId);

impl fmt::Display for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MERCHANT_PREFIX}{}", self.0.suffix())
    }
}

impl Described for OwnerId {
    const NAME: &'static str = "MerchantId";

    fn schema(_: &mut SchemaGenerator) -> Value {
        schema::id(MERCHANT_PREFIX, "The authenticated merchant.", "01h2xcejqtf2nbrexx3vqjhp42")
    }
}

/// A customer: the fields of the vendor's page in its order, then those of its later documentation. Absent values are
/// `null`.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Customer")]
pub(super) struct CustomerView<'a> {
    id: Shown<Id>,
    /// `null` only for a customer that was created without one.
    email: Option<Text<&'a Email>>,
    name: Option<Text<&'a Name>>,
    user_id: Option<Text<&'a ExternalId>>,
    #[serde(rename = "billingAddressLine1")]
    line1: Option<Text<&'a AddressPart>>,
    #[serde(rename = "billingAddressLine2")]
    line2: Option<Text<&'a AddressPart>>,
    billing_city: Option<Text<&'a AddressPart>>,
    billing_postal_code: Option<Text<&'a PostalCode>>,
    billing_country: Option<Text<&'a Country>>,
    tax_id: Option<Text<&'a TaxId>>,
    merchant_id: Shown<OwnerId>,
    created_at: Shown<Timestamp>,
    updated_at: Shown<Timestamp>,
    /// When the customer was deleted. Deleted customers are in no answer, so that it is always `null`.
    deleted_at: Option<Shown<Timestamp>>,
    /// The later name of `userId`.
    external_customer_id: Option<Text<&'a ExternalId>>,
    phone_number: Option<Text<&'a Phone>>,
    billing_state_province: Option<Text<&'a AddressPart>>,
    business_name: Option<Text<&'a BusinessName>>,
    /// Whether no taxes are charged: because the customer is exempt, or under the reverse charge. `null` if that is not
    /// known.
    tax_exempt: Option<bool>,
    preferred_language: Option<Text<&'a Locale>>,
    timezone: Option<Text<&'a TimeZone>>,
    preferred_currency: Option<Text<&'a Currency>>,
    metadata: MetadataView<'a>,
}

impl<'a> From<&'a Customer> for CustomerView<'a> {
    fn from(customer: &'a Customer) -> Self {
        let profile = customer.profile();
        let (address, details) = (&profile.address, &profile.details);
        let external_id = profile.external_id.as_ref().map(Text);
        Self {
            id: Shown(Id(customer.id())),
            email: profile.email.as_ref().map(Text),
            name: profile.name.as_ref().map(Text),
            user_id: external_id,
            line1: address.line1.as_ref().map(Text),
            line2: address.line2.as_ref().map(Text),
            billing_city: address.city.as_ref().map(Text),
            billing_postal_code: address.postal_code.as_ref().map(Text),
            billing_country: address.country.as_ref().map(Text),
            tax_id: profile.tax_id.as_ref().map(Text),
            merchant_id: Shown(OwnerId(customer.tenant().merchant)),
            created_at: Shown(customer.created_at()),
            updated_at: Shown(customer.updated_at()),
            deleted_at: customer.deleted_at().map(Shown),
            external_customer_id: external_id,
            phone_number: profile.phone.as_ref().map(Text),
            billing_state_province: address.state.as_ref().map(Text),
            business_name: details.business_name.as_ref().map(Text),
            tax_exempt: details.tax_exempt.map(|exemption| exemption != TaxExemption::None),
            preferred_language: details.locale.as_ref().map(Text),
            timezone: details.timezone.as_ref().map(Text),
            preferred_currency: details.currency.as_ref().map(Text),
            metadata: MetadataView(&profile.metadata),
        }
    }
}

/// The response to the question whether a customer has an active subscription.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SubscriptionStatus")]
pub(super) struct StatusView<'a> {
    customer: CustomerView<'a>,
    has_active_subscription: bool,
    /// The active subscription that started last.
    subscription: Option<SubscriptionView<'a>>,
}

/// A subscription as the billing engine reported it on the native surface.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Subscription")]
struct SubscriptionView<'a> {
    /// The billing engine's own identifier.
    id: &'a str,
    plan_id: Option<&'a str>,
    /// The name of the subscription.
    plan_name: Option<&'a str>,
    #[schemars(example = &"active")]
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
        "email" => Some(set_email(&mut filter.email_key, value)),
        _ => read_external_id_parameter(&mut filter.external_id, name, value),
    })?;
    Ok(filter)
}

/// Reads the query of `GET /api/customers/subscription-status`: the external identifier.
pub(super) fn read_whose_status(request: &HttpRequest) -> Result<ExternalId, Failure> {
    let mut external_id = None;
    read_parameters(request, |name, value| read_external_id_parameter(&mut external_id, name, value))?;
    external_id.ok_or_else(|| {
        let detail = "is required, under this name or as userId".to_owned();
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
    Ok(Registration::new(tenant, Fields::read(body, new_customer)?)?)
}

/// Reads the fields of a new customer.
pub(super) fn new_customer(fields: &mut Fields) -> CustomerEdit {
    let edit = read_customer(fields);
    let may_lack_email = fields.flag("dangerouslyAllowCustomerWithoutEmail");
    if !may_lack_email {
        fields.require("email", &edit.email);
    }
    edit
}

/// Reads the body of `POST /api/customers/{id}`: a missing field is kept, `null` clears a field.
pub(super) fn read_edit(body: Json) -> Result<CustomerEdit, Failure> {
    Fields::read(body, customer_edit)
}

/// Reads the fields of a change.
pub(super) fn customer_edit(fields: &mut Fields) -> CustomerEdit {
    let edit = read_customer(fields);
    fields.refuse_null("email", &edit.email);
    edit
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
