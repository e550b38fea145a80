//! The requests and responses of the native surface.

use std::time::Duration;

use actix_web::HttpRequest;
use roster_application::json::metadata_patch;
use roster_application::ports::{Count, CustomerFilter, CustomerState, ListOrder, MetadataCondition, SubscriptionKey};
use roster_application::{
    ApiKey, ApiKeyOrder, CreatedApiKey, DEFAULT_OVERLAP, MAX_OVERLAP, Precondition, Registration, Scope, Scopes,
    SubscriptionReport, Upsert,
};
use roster_domain::{
    Address, AddressEdit, AddressPart, ApiKeyId, BusinessName, Country, Currency, Customer, CustomerEdit, CustomerId,
    CustomerStatus, DetailsEdit, Edit, Email, EmailUse, ExternalId, Json, Locale, Metadata, MetadataEdit, Name, Phone,
    PlanId, PostalCode, Rule, SearchTerm, Subscription, SubscriptionStatus, TaxExemption, TaxId, Tenant, TimeZone,
    Timestamp,
};
use serde::Serialize;

use crate::failure::{Failure, Fault};
use crate::request::caller::CustomerList;
use crate::request::fields::Fields;
use crate::request::query::{self, MAX_OFFSET, PageQuery, set_filter, set_once};
use crate::respond;

/// A customer in a response: billing.io's fields and our own. Absent values are `null`.
#[derive(Serialize)]
pub(super) struct CustomerView<'a> {
    #[serde(serialize_with = "respond::text")]
    id: CustomerId,
    /// The same value, under the name that billing.io's clients read.
    #[serde(serialize_with = "respond::text")]
    customer_id: CustomerId,
    #[serde(serialize_with = "respond::text")]
    org_id: roster_domain::MerchantId,
    environment: &'static str,
    status: &'static str,
    email: Option<&'a str>,
    name: Option<&'a str>,
    external_id: Option<&'a str>,
    phone: Option<&'a str>,
    billing_address: Option<AddressView<'a>>,
    tax_id: Option<&'a str>,
    business_name: Option<&'a str>,
    tax_exempt: Option<&'static str>,
    locale: Option<&'a str>,
    timezone: Option<&'a str>,
    currency: Option<&'a str>,
    #[serde(serialize_with = "respond::metadata")]
    metadata: &'a Metadata,
    #[serde(serialize_with = "respond::text")]
    created_at: Timestamp,
    #[serde(serialize_with = "respond::text")]
    updated_at: Timestamp,
    version: i64,
}

#[derive(Serialize)]
struct AddressView<'a> {
    line1: Option<&'a str>,
    line2: Option<&'a str>,
    city: Option<&'a str>,
    state: Option<&'a str>,
    postal_code: Option<&'a str>,
    country: Option<&'a str>,
}

impl<'a> From<&'a Customer> for CustomerView<'a> {
    fn from(customer: &'a Customer) -> Self {
        let profile = customer.profile();
        Self {
            id: customer.id(),
            customer_id: customer.id(),
            org_id: customer.tenant().merchant,
            environment: customer.tenant().environment.as_str(),
            status: customer.status().as_str(),
            email: profile.email.as_ref().map(Email::as_str),
            name: profile.name.as_ref().map(Name::as_str),
            external_id: profile.external_id.as_ref().map(ExternalId::as_str),
            phone: profile.phone.as_ref().map(Phone::as_str),
            billing_address: (!profile.address.is_empty()).then(|| AddressView::from(&profile.address)),
            tax_id: profile.tax_id.as_ref().map(TaxId::as_str),
            business_name: profile.details.business_name.as_ref().map(BusinessName::as_str),
            tax_exempt: profile.details.tax_exempt.map(TaxExemption::as_str),
            locale: profile.details.locale.as_ref().map(Locale::as_str),
            timezone: profile.details.timezone.as_ref().map(TimeZone::as_str),
            currency: profile.details.currency.as_ref().map(Currency::as_str),
            metadata: &profile.metadata,
            created_at: customer.created_at(),
            updated_at: customer.updated_at(),
            version: customer.version(),
        }
    }
}

impl<'a> From<&'a Address> for AddressView<'a> {
    fn from(address: &'a Address) -> Self {
        Self {
            line1: address.line1.as_ref().map(AddressPart::as_str),
            line2: address.line2.as_ref().map(AddressPart::as_str),
            city: address.city.as_ref().map(AddressPart::as_str),
            state: address.state.as_ref().map(AddressPart::as_str),
            postal_code: address.postal_code.as_ref().map(PostalCode::as_str),
            country: address.country.as_ref().map(Country::as_str),
        }
    }
}

/// A subscription in a response.
#[derive(Serialize)]
pub(super) struct SubscriptionView<'a> {
    id: &'a str,
    #[serde(serialize_with = "respond::text")]
    customer_id: CustomerId,
    plan_id: Option<&'a str>,
    name: Option<&'a str>,
    status: &'static str,
    started_at: String,
    cancelled_at: Option<String>,
    details: Option<DetailsView<'a>>,
    created_at: String,
    updated_at: String,
    version: i64,
}

#[derive(Serialize)]
struct DetailsView<'a>(#[serde(serialize_with = "respond::metadata")] &'a Metadata);

impl<'a> SubscriptionView<'a> {
    pub(super) fn of(customer: CustomerId, subscription: &'a Subscription) -> Self {
        Self {
            id: subscription.id.as_str(),
            customer_id: customer,
            plan_id: subscription.plan_id.as_ref().map(PlanId::as_str),
            name: subscription.name.as_ref().map(Name::as_str),
            status: subscription.status.as_str(),
            started_at: subscription.started_at.to_string(),
            cancelled_at: subscription.cancelled_at.map(|time| time.to_string()),
            details: subscription.details.as_ref().map(DetailsView),
            created_at: subscription.created_at.to_string(),
            updated_at: subscription.updated_at.to_string(),
            version: subscription.version,
        }
    }
}

/// An API key in a response. Only the response that creates it has the secret.
#[derive(Serialize)]
pub(super) struct ApiKeyView<'a> {
    #[serde(serialize_with = "respond::text")]
    id: ApiKeyId,
    #[serde(serialize_with = "respond::text")]
    org_id: roster_domain::MerchantId,
    environment: &'static str,
    name: Option<&'a str>,
    scopes: Vec<&'static str>,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    revoked_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

impl<'a> From<&'a ApiKey> for ApiKeyView<'a> {
    fn from(key: &'a ApiKey) -> Self {
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        Self {
            id: key.id,
            org_id: key.tenant.merchant,
            environment: key.tenant.environment.as_str(),
            name: key.name.as_ref().map(Name::as_str),
            scopes: key.scopes.iter().map(Scope::as_str).collect(),
            created_at: key.created_at.to_string(),
            expires_at: time(key.expires_at),
            last_used_at: time(key.last_used_at),
            revoked_at: time(key.revoked_at),
            key: None,
        }
    }
}

impl<'a> From<&'a CreatedApiKey> for ApiKeyView<'a> {
    fn from(created: &'a CreatedApiKey) -> Self {
        Self { key: Some(created.secret.reveal()), ..Self::from(&created.key) }
    }
}

/// The answer of `GET /v1/health`.
#[derive(Serialize)]
pub(super) struct HealthView {
    pub(super) status: &'static str,
    pub(super) version: &'static str,
}

/// A page of a list.
#[derive(Serialize)]
pub(super) struct PageView<'a, T> {
    data: Vec<T>,
    has_more: bool,
    next_cursor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_is_exact: Option<bool>,
}

impl<'a, T> PageView<'a, T> {
    pub(super) fn new(data: Vec<T>, next: Option<&'a str>, total: Option<Count>) -> Self {
        Self {
            data,
            has_more: next.is_some(),
            next_cursor: next,
            total_count: total.map(|total| total.number),
            total_is_exact: total.map(|total| total.is_exact),
        }
    }
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
    fn parse(text: &str) -> Result<Self, OnConflictError> {
        if text == "return_existing" { Ok(Self::ReturnExisting) } else { Err(OnConflictError) }
    }
}

/// Reads the body of `POST /v1/customers`.
pub(super) fn read_registration(tenant: Tenant, body: Json) -> Result<(Registration, Option<OnConflict>), Failure> {
    let mut fields = Fields::of_body(body)?;
    let edit = read_new(&mut fields);
    let on_conflict = fields.text("on_conflict", |text| OnConflict::parse(&text)).into_option();
    fields.refuse_the_rest();
    Ok((Registration::new(tenant, fields.finish(edit)?)?, on_conflict))
}

/// Reads the body of `PUT /v1/customers/external/{external_id}`.
pub(super) fn read_upsert(
    tenant: Tenant,
    external_id: ExternalId,
    precondition: Precondition,
    body: Json,
) -> Result<Upsert, Failure> {
    let mut fields = Fields::of_body(body)?;
    let edit = read_new(&mut fields);
    let is_another = match &edit.external_id {
        Edit::Keep => false,
        Edit::Clear => true,
        Edit::Set(other) => *other != external_id,
    };
    if is_another {
        let detail = "must be the one that names the customer, or left out".to_owned();
        fields.refuse("external_id", |place| Fault { place, code: "external_id_mismatch", detail });
    }
    fields.refuse_the_rest();
    Ok(Upsert::new(external_id, Registration::new(tenant, fields.finish(edit)?)?, precondition))
}

/// The profile of a new customer, or one that replaces another.
fn read_new(fields: &mut Fields) -> CustomerEdit {
    let mut edit = read_profile(fields);
    if let Edit::Set(metadata) = fields.object("metadata", |object| Metadata::new(&object)) {
        edit.metadata = MetadataEdit::Replace(metadata);
    }
    let may_have_no_email = fields.flag("allow_missing_email");
    if !may_have_no_email && !matches!(edit.email, Edit::Set(_)) {
        fields.require("email");
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
    let mut fields = Fields::of_body(body)?;
    let mut edit = read_profile(&mut fields);
    let read = |object| match on_metadata {
        OnMetadata::Merge => Ok(MetadataEdit::Merge(metadata_patch(object))),
        OnMetadata::Replace => Metadata::new(&object).map(MetadataEdit::Replace),
    };
    edit.metadata = match fields.object("metadata", read) {
        Edit::Keep => MetadataEdit::Keep,
        Edit::Clear => MetadataEdit::Replace(Metadata::default()),
        Edit::Set(edit) => edit,
    };
    edit.status = match fields.text("status", |text| CustomerStatus::parse(&text)) {
        Edit::Keep => None,
        Edit::Clear => {
            fields.require("status");
            None
        }
        Edit::Set(status) => Some(status),
    };
    if edit.email == Edit::Clear {
        fields.require("email");
    }
    fields.refuse_the_rest();
    fields.finish(edit)
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
    if offset > 0 && filter.is_walked() {
        let detail = "cannot be combined with these filters: follow next_cursor";
        return Err(query::fault("offset", detail).into());
    }
    Ok(CustomerList { filter, order: order.unwrap_or_default(), cursor, offset, limit: size.get(), with_total })
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
            "email" => {
                let key = Email::parse(value).map(|email| email.key().to_owned());
                set_filter("email", &mut self.filter.email_key, key)
            }
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
    let mut fields = Fields::of_body(body)?;
    let plan_id = fields.text("plan_id", PlanId::parse).into_option();
    let name = fields.text("name", Name::parse).into_option();
    let status = fields.text("status", |text| SubscriptionStatus::parse(&text)).into_option();
    let started_at = fields.text("started_at", |text| Timestamp::parse(&text)).into_option();
    let cancelled_at = fields.text("cancelled_at", |text| Timestamp::parse(&text)).into_option();
    let details = fields.object("details", |object| Metadata::new(&object)).into_option();
    if status.is_none() {
        fields.require("status");
    }
    fields.refuse_the_rest();
    let status = status.unwrap_or(SubscriptionStatus::Active);
    fields.finish(SubscriptionReport { key, plan_id, name, status, started_at, cancelled_at, details, precondition })
}

/// Reads the body of `POST /v1/api_keys`.
pub(super) fn read_api_key_order(tenant: Tenant, body: Json) -> Result<ApiKeyOrder, Failure> {
    let mut fields = Fields::of_body(body)?;
    let name = fields.text("name", Name::parse).into_option();
    let scopes = fields.texts("scopes", Scope::parse).into_option();
    let expires_at = fields.text("expires_at", |text| Timestamp::parse(&text)).into_option();
    fields.refuse_the_rest();
    let scopes = scopes.map_or(Scopes::DEFAULT, |scopes| scopes.into_iter().collect());
    fields.finish(ApiKeyOrder { tenant, name, scopes, expires_at })
}

/// Reads the body of `POST /v1/api_keys/{id}/rotate`: how long the old key stays valid.
pub(super) fn read_overlap(body: Json) -> Result<Duration, Failure> {
    let mut fields = Fields::of_body(body)?;
    let seconds = fields.number("overlap_seconds", 0..=MAX_OVERLAP.as_secs()).into_option();
    fields.refuse_the_rest();
    fields.finish(seconds.map_or(DEFAULT_OVERLAP, Duration::from_secs))
}
