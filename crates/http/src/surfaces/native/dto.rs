//! The requests and responses of the native surface.

use std::time::Duration;

use actix_web::HttpRequest;
use roster_application::json::metadata_patch;
use roster_application::ports::{CustomerFilter, CustomerState, ListOrder, MetadataCondition, SubscriptionKey};
use roster_application::{ApiKeyOrder, Precondition, Registration, SubscriptionReport, Upsert};
use roster_domain::{
    Address, AddressEdit, AddressPart, BusinessName, Country, Currency, Customer, CustomerEdit, CustomerId,
    CustomerStatus, DetailsEdit, Edit, Email, EmailUse, Environment, ExternalId, Json, Locale, MerchantId, Metadata,
    MetadataEdit, Name, Phone, PlanId, PostalCode, Rule, SearchTerm, Subscription, SubscriptionId, SubscriptionStatus,
    TaxExemption, TaxId, Tenant, TimeZone, Timestamp,
};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Value, json};

use super::export::ExportFormat;
use crate::api_keys;
use crate::failure::{Failure, Fault};
use crate::openapi::schema::{Described, MetadataView, Shown, Text};
use crate::request::caller::CustomerList;
use crate::request::fields::Fields;
use crate::request::query::{self, MAX_OFFSET, PageQuery, set_email, set_filter, set_once};

/// A customer: billing.io's fields and our own. Absent values are `null`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Customer")]
pub(super) struct CustomerView<'a> {
    id: Shown<CustomerId>,
    /// The same as `id`, under the name that billing.io's clients read.
    customer_id: Shown<CustomerId>,
    org_id: Shown<MerchantId>,
    environment: Text<Environment>,
    status: Text<CustomerStatus>,
    /// `null` only for a customer that was created without one on another surface.
    email: Option<Text<&'a Email>>,
    name: Option<Text<&'a Name>>,
    external_id: Option<Text<&'a ExternalId>>,
    phone: Option<Text<&'a Phone>>,
    billing_address: Option<AddressView<'a>>,
    tax_id: Option<Text<&'a TaxId>>,
    business_name: Option<Text<&'a BusinessName>>,
    tax_exempt: Option<Text<TaxExemption>>,
    locale: Option<Text<&'a Locale>>,
    timezone: Option<Text<&'a TimeZone>>,
    currency: Option<Text<&'a Currency>>,
    metadata: MetadataView<'a>,
    created_at: Shown<Timestamp>,
    updated_at: Shown<Timestamp>,
    /// Counts the changes, from 1.
    #[schemars(range(min = 1))]
    version: i64,
}

/// Where to bill the customer. At least one part is known.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BillingAddress")]
struct AddressView<'a> {
    line1: Option<Text<&'a AddressPart>>,
    line2: Option<Text<&'a AddressPart>>,
    city: Option<Text<&'a AddressPart>>,
    state: Option<Text<&'a AddressPart>>,
    postal_code: Option<Text<&'a PostalCode>>,
    country: Option<Text<&'a Country>>,
}

impl<'a> From<&'a Customer> for CustomerView<'a> {
    fn from(customer: &'a Customer) -> Self {
        let profile = customer.profile();
        let details = &profile.details;
        Self {
            id: Shown(customer.id()),
            customer_id: Shown(customer.id()),
            org_id: Shown(customer.tenant().merchant),
            environment: Text(customer.tenant().environment),
            status: Text(customer.status()),
            email: profile.email.as_ref().map(Text),
            name: profile.name.as_ref().map(Text),
            external_id: profile.external_id.as_ref().map(Text),
            phone: profile.phone.as_ref().map(Text),
            billing_address: (!profile.address.is_empty()).then(|| AddressView::from(&profile.address)),
            tax_id: profile.tax_id.as_ref().map(Text),
            business_name: details.business_name.as_ref().map(Text),
            tax_exempt: details.tax_exempt.map(Text),
            locale: details.locale.as_ref().map(Text),
            timezone: details.timezone.as_ref().map(Text),
            currency: details.currency.as_ref().map(Text),
            metadata: MetadataView(&profile.metadata),
            created_at: Shown(customer.created_at()),
            updated_at: Shown(customer.updated_at()),
            version: customer.version(),
        }
    }
}

impl<'a> From<&'a Address> for AddressView<'a> {
    fn from(address: &'a Address) -> Self {
        Self {
            line1: address.line1.as_ref().map(Text),
            line2: address.line2.as_ref().map(Text),
            city: address.city.as_ref().map(Text),
            state: address.state.as_ref().map(Text),
            postal_code: address.postal_code.as_ref().map(Text),
            country: address.country.as_ref().map(Text),
        }
    }
}

/// A subscription, as the billing engine reported it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Subscription")]
pub(super) struct SubscriptionView<'a> {
    id: Text<&'a SubscriptionId>,
    customer_id: Shown<CustomerId>,
    plan_id: Option<Text<&'a PlanId>>,
    name: Option<Text<&'a Name>>,
    status: Text<SubscriptionStatus>,
    started_at: Shown<Timestamp>,
    cancelled_at: Option<Shown<Timestamp>>,
    /// What else the billing engine reported. The Lava surface shows parts of it.
    details: Option<MetadataView<'a>>,
    created_at: Shown<Timestamp>,
    updated_at: Shown<Timestamp>,
    /// Counts the changes, from 1.
    #[schemars(range(min = 1))]
    version: i64,
}

impl<'a> SubscriptionView<'a> {
    pub(super) fn of(customer: CustomerId, subscription: &'a Subscription) -> Self {
        Self {
            id: Text(&subscription.id),
            customer_id: Shown(customer),
            plan_id: subscription.plan_id.as_ref().map(Text),
            name: subscription.name.as_ref().map(Text),
            status: Text(subscription.status),
            started_at: Shown(subscription.started_at),
            cancelled_at: subscription.cancelled_at.map(Shown),
            details: subscription.details.as_ref().map(MetadataView),
            created_at: Shown(subscription.created_at),
            updated_at: Shown(subscription.updated_at),
            version: subscription.version,
        }
    }
}

/// The answer of `GET /v1/health`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Health")]
pub(super) struct HealthView {
    #[schemars(extend("const" = "healthy"))]
    pub(super) status: &'static str,
    /// The version of the service.
    pub(super) version: &'static str,
}

/// What a creation does if a customer has its identifiers already, other than to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnConflict {
    /// It returns that customer as it is.
    ReturnExisting,
}

/// Not a way to treat a conflict.
#[derive(Debug, thiserror::Error)]
#[error("must be return_existing, or left out")]
pub(super) struct OnConflictError;

impl Rule for OnConflictError {
    fn code(&self) -> &'static str {
        "invalid_on_conflict"
    }
}

impl OnConflict {
    const RETURN_EXISTING: &str = "return_existing";

    fn parse(text: &str) -> Result<Self, OnConflictError> {
        if text == Self::RETURN_EXISTING { Ok(Self::ReturnExisting) } else { Err(OnConflictError) }
    }
}

impl Described for OnConflict {
    const NAME: &'static str = "OnConflict";

    fn schema(_: &mut SchemaGenerator) -> Value {
        json!({
            "description": "`return_existing`: a live customer with the same `external_id` is returned as it is, with 200; \
                            without an `external_id`, one that has the e-mail address and shares it with no other. \
                            Otherwise, and if the e-mail address belongs to a customer with another `external_id`, a \
                            conflict is 409.",
            "type": "string",
            "enum": [Self::RETURN_EXISTING],
        })
    }
}

/// Reads the body of `POST /v1/customers`.
pub(super) fn read_registration(tenant: Tenant, body: Json) -> Result<(Registration, Option<OnConflict>), Failure> {
    let (edit, on_conflict) = Fields::read(body, new_customer)?;
    Ok((Registration::new(tenant, edit)?, on_conflict))
}

/// Reads the fields of a new customer.
pub(super) fn new_customer(fields: &mut Fields) -> (CustomerEdit, Option<OnConflict>) {
    let edit = read_new(fields);
    let on_conflict = fields.text("on_conflict", |text| OnConflict::parse(&text)).into_option();
    fields.refuse_the_rest();
    (edit, on_conflict)
}

/// Reads the body of `PUT /v1/customers/external/{external_id}`.
pub(super) fn read_upsert(
    tenant: Tenant,
    external_id: ExternalId,
    precondition: Precondition,
    body: Json,
) -> Result<Upsert, Failure> {
    let edit = Fields::read(body, |fields| named_customer(fields, Some(&external_id)))?;
    Ok(Upsert::new(external_id, Registration::new(tenant, edit)?, precondition))
}

/// Reads the fields of a customer that its path names. `None`: it is not known yet which one.
pub(super) fn named_customer(fields: &mut Fields, external_id: Option<&ExternalId>) -> CustomerEdit {
    let edit = read_new(fields);
    let is_another = match &edit.external_id {
        Edit::Keep => false,
        Edit::Clear => true,
        Edit::Set(other) => Some(other) != external_id,
    };
    if is_another {
        let detail = "must be the one that names the customer, or left out".to_owned();
        fields.refuse("external_id", |place| Fault { place, code: "external_id_mismatch", detail });
    }
    fields.refuse_the_rest();
    edit
}

/// The profile of a new customer, or one that replaces another.
fn read_new(fields: &mut Fields) -> CustomerEdit {
    let mut edit = read_profile(fields);
    if let Edit::Set(metadata) = fields.object("metadata", |object| Metadata::new(&object)) {
        edit.metadata = MetadataEdit::Replace(metadata);
    }
    let may_have_no_email = fields.flag("allow_missing_email");
    if !may_have_no_email {
        fields.require("email", &edit.email);
    }
    edit
}

/// What a change does to the metadata that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnMetadata {
    /// Merges into it, key by key: `application/merge-patch+json` (RFC 7396).
    Merge,
    /// Replaces all of it: `application/json`, which billing.io's clients send.
    Replace,
}

/// Reads the body of `PATCH /v1/customers/{id}`.
pub(super) fn read_edit(body: Json, on_metadata: OnMetadata) -> Result<CustomerEdit, Failure> {
    Fields::read(body, |fields| customer_edit(fields, on_metadata))
}

/// Reads the fields of a change.
pub(super) fn customer_edit(fields: &mut Fields, on_metadata: OnMetadata) -> CustomerEdit {
    let mut edit = read_profile(fields);
    let read = |object| match on_metadata {
        OnMetadata::Merge => Ok(MetadataEdit::Merge(metadata_patch(object))),
        OnMetadata::Replace => Metadata::new(&object).map(MetadataEdit::Replace),
    };
    edit.metadata = match fields.object("metadata", read) {
        Edit::Keep => MetadataEdit::Keep,
        Edit::Clear => MetadataEdit::Replace(Metadata::default()),
        Edit::Set(edit) => edit,
    };
    let status = fields.text("status", |text| CustomerStatus::parse(&text));
    fields.refuse_null("status", &status);
    fields.refuse_null("email", &edit.email);
    fields.refuse_the_rest();
    edit.status = status.into_option();
    edit
}

fn read_profile(fields: &mut Fields) -> CustomerEdit {
    CustomerEdit {
        email: fields.text("email", |text| Email::parse(&text)),
        name: fields.text("name", Name::parse),
        external_id: fields.text("external_id", ExternalId::parse),
        phone: fields.text("phone", Phone::parse),
        address: match fields.nested("billing_address", read_address) {
            Edit::Keep => AddressEdit::default(),
            Edit::Clear => AddressEdit::clear(),
            Edit::Set(edit) => edit,
        },
        tax_id: fields.text("tax_id", TaxId::parse),
        details: DetailsEdit {
            business_name: fields.text("business_name", BusinessName::parse),
            tax_exempt: fields.text("tax_exempt", |text| TaxExemption::parse(&text)),
            locale: fields.text("locale", |text| Locale::parse(&text)),
            timezone: fields.text("timezone", |text| TimeZone::parse(&text)),
            currency: fields.text("currency", |text| Currency::parse(&text)),
        },
        email_use: if fields.flag("allow_duplicate_email") { EmailUse::Shared } else { EmailUse::Exclusive },
        metadata: MetadataEdit::Keep,
        status: None,
    }
}

fn read_address(fields: &mut Fields) -> AddressEdit {
    let edit = AddressEdit {
        line1: fields.text("line1", AddressPart::parse),
        line2: fields.text("line2", AddressPart::parse),
        city: fields.text("city", AddressPart::parse),
        state: fields.text("state", AddressPart::parse),
        postal_code: fields.text("postal_code", PostalCode::parse),
        country: fields.text("country", |text| Country::parse(&text)),
    };
    fields.refuse_the_rest();
    edit
}

/// Reads the query of `GET /v1/customers`.
pub(super) fn read_list(request: &HttpRequest) -> Result<CustomerList, Failure> {
    let mut list = ListParameters::default();
    let PageQuery { size, cursor } = PageQuery::read_with(request, |name, value| list.read(name, value))?;
    let ListParameters { status, mut filter, order, offset, with_total } = list;
    filter.state = status.map_or(CustomerState::Live, state_of);
    Ok(CustomerList { filter, order: order.unwrap_or_default(), cursor, offset, limit: size.get(), with_total })
}

/// What `GET /v1/customers/export` asks for.
#[derive(Debug)]
pub(super) struct ExportQuery {
    pub(super) filter: CustomerFilter,
    pub(super) format: ExportFormat,
    pub(super) is_compressed: bool,
    /// Whether the place in the log is told.
    pub(super) follows: bool,
}

/// Reads the query of `GET /v1/customers/export`.
pub(super) fn read_export(request: &HttpRequest) -> Result<ExportQuery, Failure> {
    let mut list = ListParameters::default();
    let (mut format, mut is_compressed, mut follows) = (None, None, None);
    query::read_parameters(request, |name, value| match name {
        "format" => Some(match ExportFormat::named(value) {
            Some(named) => set_once("format", &mut format, named),
            None => Err(query::fault("format", "must be ndjson, csv or json")),
        }),
        "gzip" => Some(match value {
            "1" => set_once("gzip", &mut is_compressed, true),
            "0" => set_once("gzip", &mut is_compressed, false),
            _ => Err(query::fault("gzip", "must be 0 or 1")),
        }),
        "follow" => Some(match value {
            "true" => set_once("follow", &mut follows, true),
            "false" => set_once("follow", &mut follows, false),
            _ => Err(query::fault("follow", "must be true or false")),
        }),
        // What a part of a list has, an export does not.
        "order" | "offset" | "include" => None,
        _ => list.read(name, value),
    })?;
    let ListParameters { status, mut filter, .. } = list;
    filter.state = status.map_or(CustomerState::Live, state_of);
    Ok(ExportQuery {
        filter,
        format: format.unwrap_or(ExportFormat::Ndjson),
        is_compressed: is_compressed.unwrap_or(false),
        follows: follows.unwrap_or(false),
    })
}

/// The parameters of the list of customers, besides those that all lists have.
#[derive(Default)]
struct ListParameters {
    status: Option<CustomerStatus>,
    filter: CustomerFilter,
    order: Option<ListOrder>,
    offset: usize,
    with_total: bool,
}

impl ListParameters {
    fn read(&mut self, name: &str, value: &str) -> Option<Result<(), Fault>> {
        let time = || Timestamp::parse(value);
        Some(match name {
            "status" => set_filter("status", &mut self.status, CustomerStatus::parse(value)),
            "email" => set_email(&mut self.filter.email_key, value),
            "external_id" => set_filter("external_id", &mut self.filter.external_id, ExternalId::parse(value)),
            "created_after" => set_filter("created_after", &mut self.filter.created_after, time()),
            "created_before" => set_filter("created_before", &mut self.filter.created_before, time()),
            "updated_after" => set_filter("updated_after", &mut self.filter.updated_after, time()),
            "order" => match value {
                "asc" => set_once("order", &mut self.order, ListOrder::Ascending),
                "desc" => set_once("order", &mut self.order, ListOrder::Descending),
                _ => Err(query::fault("order", "must be asc or desc")),
            },
            "offset" => match value.parse().ok().filter(|offset| *offset <= MAX_OFFSET) {
                Some(skipped) => {
                    self.offset = skipped;
                    Ok(())
                }
                None => Err(query::fault("offset", &format!("must be a number from 0 to {MAX_OFFSET}"))),
            },
            "include" if value == "total" => {
                self.with_total = true;
                Ok(())
            }
            "include" => Err(query::fault("include", "must be total")),
            "search" => set_filter("search", &mut self.filter.search, SearchTerm::parse(value)),
            _ => {
                let key = name.strip_prefix("metadata[")?.strip_suffix(']')?;
                self.add_condition(MetadataCondition { key: key.to_owned(), value: value.to_owned() })
            }
        })
    }

    fn add_condition(&mut self, condition: MetadataCondition) -> Result<(), Fault> {
        let conditions = &mut self.filter.metadata;
        match conditions.iter().find(|other| other.key == condition.key) {
            Some(other) if *other != condition => {
                Err(query::fault("metadata", "must not have a key twice with different values"))
            }
            Some(_) => Ok(()),
            None if conditions.len() == MetadataCondition::MAX => {
                Err(query::fault("metadata", &format!("must have at most {} keys", MetadataCondition::MAX)))
            }
            None => {
                conditions.push(condition);
                Ok(())
            }
        }
    }
}

fn state_of(status: CustomerStatus) -> CustomerState {
    match status {
        CustomerStatus::Active => CustomerState::Active,
        CustomerStatus::Archived => CustomerState::Archived,
    }
}

/// Reads the body of `PUT /v1/customers/{id}/subscriptions/{subscription_id}`.
pub(super) fn read_report(
    key: SubscriptionKey,
    precondition: Precondition,
    body: Json,
) -> Result<SubscriptionReport, Failure> {
    Ok(Fields::read(body, reported)?(key, precondition))
}

/// Reads the fields of a report, which is complete once it is known what it is about.
pub(super) fn reported(
    fields: &mut Fields,
) -> impl FnOnce(SubscriptionKey, Precondition) -> SubscriptionReport + use<> {
    let plan_id = fields.text("plan_id", PlanId::parse).into_option();
    let name = fields.text("name", Name::parse).into_option();
    let status = fields.text("status", |text| SubscriptionStatus::parse(&text));
    let started_at = fields.text("started_at", |text| Timestamp::parse(&text)).into_option();
    let cancelled_at = fields.text("cancelled_at", |text| Timestamp::parse(&text)).into_option();
    let details = fields.object("details", |object| Metadata::new(&object)).into_option();
    fields.require("status", &status);
    fields.refuse_the_rest();
    let status = status.into_option().unwrap_or(SubscriptionStatus::Active);
    move |key, precondition| SubscriptionReport {
        key,
        plan_id,
        name,
        status,
        started_at,
        cancelled_at,
        details,
        precondition,
    }
}

/// Reads the body of `POST /v1/api_keys`.
pub(super) fn read_api_key_order(tenant: Tenant, body: Json) -> Result<ApiKeyOrder, Failure> {
    Ok(Fields::read(body, api_keys::order)?(tenant))
}

/// Reads the body of `POST /v1/api_keys/{id}/rotate`: how long the old key stays valid.
pub(super) fn read_overlap(body: Json) -> Result<Duration, Failure> {
    Fields::read(body, api_keys::overlap)
}
