//! The requests and responses of the Lava surface.

use std::fmt;

use actix_web::HttpRequest;
use roster_application::ports::{CustomerFilter, CustomerRef, ListOrder};
use roster_application::{PageSize, Registration};
use roster_domain::external_id::ExternalIdError;
use roster_domain::{
    Customer, CustomerEdit, CustomerId, Edit, Email, EmailUse, Environment, ExternalId, Json, Metadata, MetadataEdit,
    Name, Phone, PlanId, Subscription, SubscriptionId, SubscriptionStatus, Tenant, TextError, Timestamp, text,
};
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::openapi::schema::{Described, MetadataView, Of, Shown, Text};
use crate::request::caller::CustomerList;
use crate::request::fields::Fields;
use crate::request::query::{PageQuery, set_email, set_filter};

/// The most characters of a `name` and of a `reference_id` on this surface, one fewer than on the others.
pub(crate) const MAX_CHARACTERS: usize = 255;

/// The prefix of a customer's identifier, before its 26 characters.
fn prefix(environment: Environment) -> &'static str {
    match environment {
        Environment::Live => "con_live_",
        Environment::Sandbox => "con_test_",
    }
}

/// Parses the customer in a path: its identifier, with its 26 characters in any case, or the merchant's external
/// identifier. `None` for an identifier of the other environment or of another kind.
pub(super) fn parse_customer_ref(tenant: Tenant, text: String) -> Option<CustomerRef> {
    if !text.starts_with(ExternalId::RESERVED_PREFIX) {
        return ExternalId::parse(text).ok().map(CustomerRef::ExternalId);
    }
    let suffix = text.strip_prefix(prefix(tenant.environment))?.to_ascii_lowercase();
    CustomerId::from_suffix(&suffix).map(CustomerRef::Id)
}

/// A customer. Absent values are `null`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Customer")]
pub(super) struct CustomerView<'a> {
    customer_id: Shown<Id>,
    /// Merchant's external identifier for this customer. Used for idempotent creation. One that was set on another surface
    /// may have 256 characters.
    reference_id: Option<Text<&'a ExternalId>>,
    contact: Contact<'a>,
    /// The active or trialing subscription that started last, or `null` if none.
    subscription: Option<SubscriptionView<'a>>,
    metadata: MetadataView<'a>,
    created_at: Shown<Timestamp>,
}

/// A customer's identifier, as this surface writes it.
struct Id(Environment, CustomerId);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(environment, id) = self;
        write!(f, "{}{}", prefix(*environment), id.suffix().to_ascii_uppercase())
    }
}

impl Described for Id {
    const NAME: &'static str = "CustomerId";

    fn schema(_: &mut SchemaGenerator) -> Value {
        json!({
            "description": "Unique identifier for the customer: `con_live_` or `con_test_` and 26 characters of upper-case \
                            Crockford base32, which are the same on every surface but for their case.",
            "type": "string",
            "pattern": format!("^({})[0-7][0-9A-HJKMNP-TV-Z]{{25}}$", Environment::ALL.map(prefix).join("|")),
            "examples": ["con_test_01H2XCEJQTF2NBREXX3VQJHP41"],
        })
    }
}

/// How to reach the customer. The first word of `name` is the first name and the rest the last.
#[derive(Serialize, JsonSchema)]
struct Contact<'a> {
    phone: Option<Text<&'a Phone>>,
    email: Option<Text<&'a Email>>,
    #[schemars(example = &"Jane")]
    first_name: Option<&'a str>,
    #[schemars(example = &"Smith")]
    last_name: Option<&'a str>,
}

/// The customer's active or trialing subscription that started last. What the billing engine did not report is `null`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Subscription")]
pub(super) struct SubscriptionView<'a> {
    subscription_id: Text<&'a SubscriptionId>,
    plan_id: Option<Text<&'a PlanId>>,
    name: Option<&'a str>,
    /// One that is trialing is active here.
    #[schemars(extend("enum" = ["active"]))]
    status: &'static str,
    started_at: Shown<Timestamp>,
    cancelled_at: Option<Shown<Timestamp>>,
    #[schemars(with = "Of<Reported>")]
    cycle_start_at: Option<&'a RawValue>,
    #[schemars(with = "Of<Reported>")]
    cycle_end_at: Option<&'a RawValue>,
    #[schemars(with = "Of<Reported>")]
    auto_top_up_bundle_id: Option<&'a RawValue>,
    #[schemars(with = "Of<Reported>")]
    pending_change: Option<&'a RawValue>,
    plan: PlanView<'a>,
    credits: Credits<'a>,
}

/// A part of the details of a subscription.
struct Reported;

impl Described for Reported {
    const NAME: &'static str = "Reported";

    fn schema(_: &mut SchemaGenerator) -> Value {
        json!({
            "description": "As the billing engine reported it in `details` on the native surface, else `null`. A plan without \
                            a name has that of the subscription. `pending_change` is an object, all others are strings, if \
                            the billing engine reports them as this vendor does.",
        })
    }
}

/// The plan of a subscription.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Plan")]
struct PlanView<'a> {
    #[schemars(with = "Of<Reported>")]
    name: Option<PlanName<'a>>,
    #[schemars(with = "Of<Reported>")]
    period_amount: Option<&'a RawValue>,
    #[schemars(with = "Of<Reported>")]
    included_credit: Option<&'a RawValue>,
    #[schemars(with = "Of<Reported>")]
    billing_interval: Option<&'a RawValue>,
    #[schemars(with = "Of<Reported>")]
    rollover_type: Option<&'a RawValue>,
    #[schemars(with = "Of<Reported>")]
    bundle_rollover_type: Option<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum PlanName<'a> {
    Reported(&'a RawValue),
    OfSubscription(&'a str),
}

/// What this surface shows of a subscription's details. They are any JSON object: what is not named here is left out, and
/// each value is shown as it was reported.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Details<'a> {
    #[serde(borrow)]
    cycle_start_at: Option<&'a RawValue>,
    #[serde(borrow)]
    cycle_end_at: Option<&'a RawValue>,
    #[serde(borrow)]
    auto_top_up_bundle_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pending_change: Option<&'a RawValue>,
    #[serde(borrow)]
    plan: Option<&'a RawValue>,
    #[serde(borrow)]
    credits: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Plan<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    period_amount: Option<&'a RawValue>,
    #[serde(borrow)]
    included_credit: Option<&'a RawValue>,
    #[serde(borrow)]
    billing_interval: Option<&'a RawValue>,
    #[serde(borrow)]
    rollover_type: Option<&'a RawValue>,
    #[serde(borrow)]
    bundle_rollover_type: Option<&'a RawValue>,
}

/// What is left of the credit of a subscription.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the names are the vendor's")]
struct Credits<'a> {
    #[serde(borrow)]
    #[schemars(with = "Of<Reported>", required)]
    total_remaining: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schemars(with = "Of<Reported>", required)]
    cycle_remaining: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schemars(with = "Of<Reported>", required)]
    bundle_remaining: Option<&'a RawValue>,
}

/// The fields of an object as JSON text. Of anything else, none.
fn fields_of<'a, T: Default + Deserialize<'a>>(object: Option<&'a str>) -> T {
    object.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

impl<'a> CustomerView<'a> {
    pub(super) fn of(customer: &'a Customer, subscription: Option<&'a Subscription>) -> Self {
        let profile = customer.profile();
        let (first_name, last_name) = first_and_last(profile.name.as_ref().map_or("", Name::as_str));
        Self {
            customer_id: Shown(Id(customer.tenant().environment, customer.id())),
            reference_id: profile.external_id.as_ref().map(Text),
            contact: Contact {
                phone: profile.phone.as_ref().map(Text),
                email: profile.email.as_ref().map(Text),
                first_name,
                last_name,
            },
            subscription: subscription.map(SubscriptionView::from),
            metadata: MetadataView(&profile.metadata),
            created_at: Shown(customer.created_at()),
        }
    }
}

impl<'a> From<&'a Subscription> for SubscriptionView<'a> {
    fn from(subscription: &'a Subscription) -> Self {
        let name = subscription.name.as_ref().map(Name::as_str);
        let details: Details<'a> = fields_of(subscription.details.as_ref().map(Metadata::as_str));
        Self {
            subscription_id: Text(&subscription.id),
            plan_id: subscription.plan_id.as_ref().map(Text),
            name,
            status: status(subscription.status),
            started_at: Shown(subscription.started_at),
            cancelled_at: subscription.cancelled_at.map(Shown),
            cycle_start_at: details.cycle_start_at,
            cycle_end_at: details.cycle_end_at,
            auto_top_up_bundle_id: details.auto_top_up_bundle_id,
            pending_change: details.pending_change,
            plan: PlanView::of(&fields_of(details.plan.map(RawValue::get)), name),
            credits: fields_of(details.credits.map(RawValue::get)),
        }
    }
}

impl<'a> PlanView<'a> {
    fn of(plan: &Plan<'a>, name_of_subscription: Option<&'a str>) -> Self {
        Self {
            name: plan.name.map(PlanName::Reported).or(name_of_subscription.map(PlanName::OfSubscription)),
            period_amount: plan.period_amount,
            included_credit: plan.included_credit,
            billing_interval: plan.billing_interval,
            rollover_type: plan.rollover_type,
            bundle_rollover_type: plan.bundle_rollover_type,
        }
    }
}

/// The vendor's name for a status. It has `active` and `cancelled`: to its clients, a trial is an active subscription.
fn status(status: SubscriptionStatus) -> &'static str {
    if status.is_in_use() { "active" } else { "cancelled" }
}

/// The first word of a name, and the rest.
fn first_and_last(name: &str) -> (Option<&str>, Option<&str>) {
    let name = name.trim();
    let (first, last) = name.split_once(char::is_whitespace).unwrap_or((name, ""));
    let is_present = |part: &&str| !part.is_empty();
    (Some(first).filter(is_present), Some(last.trim_start()).filter(is_present))
}

/// A page of customers.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CustomerPage")]
pub(super) struct PageView<'a> {
    #[schemars(length(max = PageSize::MAX.get()))]
    pub(super) data: Vec<CustomerView<'a>>,
    /// Whether the list goes on behind this page.
    pub(super) has_more: bool,
    /// Where it goes on, to be sent as `cursor`; left out if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) next_cursor: Option<String>,
}

/// The response to `GET …/subscription`.
#[derive(Serialize, JsonSchema)]
pub(super) struct SubscriptionEnvelope<'a> {
    /// The active subscription, or `null` if none.
    pub(super) subscription: Option<SubscriptionView<'a>>,
}

/// The response to a deletion.
#[derive(Serialize, JsonSchema)]
pub(super) struct Success {
    #[schemars(extend("const" = true))]
    pub(super) success: bool,
}

/// Reads the query of `GET /lava/v1/customers`: a page, and filters that customers match exactly.
pub(super) fn read_list(request: &HttpRequest) -> Result<CustomerList, Failure> {
    let mut filter = CustomerFilter::default();
    let PageQuery { size, cursor } = PageQuery::read_with(request, |name, value| {
        Some(match name {
            "reference_id" => set_filter("reference_id", &mut filter.external_id, ExternalId::parse(value)),
            "email" => set_email(&mut filter.email_key, value),
            _ => return None,
        })
    })?;
    let order = ListOrder::default();
    Ok(CustomerList { filter, order, cursor, offset: 0, limit: size.get(), with_total: false })
}

/// Reads the body of `POST /lava/v1/customers`, in which every field is optional.
pub(super) fn read_registration(tenant: Tenant, email_use: EmailUse, body: Json) -> Result<Registration, Failure> {
    Ok(Registration::new(tenant, Fields::read(body, |fields| read_customer(fields, email_use))?)?)
}

/// Reads the body of `PATCH /lava/v1/customers/{customer_id}`: a missing field is kept, `null` clears a field, and
/// metadata is replaced as a whole.
pub(super) fn read_edit(email_use: EmailUse, body: Json) -> Result<CustomerEdit, Failure> {
    Fields::read(body, |fields| read_customer(fields, email_use))
}

/// Reads the fields of this vendor and ignores all others.
///
/// On this surface customers share e-mail addresses without asking for it, if the key has the scope for that.
pub(super) fn read_customer(fields: &mut Fields, email_use: EmailUse) -> CustomerEdit {
    CustomerEdit {
        external_id: fields.text("reference_id", |text| {
            at_most(&text).map_err(ExternalIdError::from)?;
            ExternalId::parse(text)
        }),
        name: fields.text("name", |text| {
            at_most(&text)?;
            Name::parse(text)
        }),
        email: fields.text("email", |text| Email::parse(&text)),
        email_use,
        phone: fields.text("phone", Phone::parse),
        metadata: match fields.object("metadata", |object| Metadata::new(&object)) {
            Edit::Keep => MetadataEdit::Keep,
            Edit::Clear => MetadataEdit::Replace(Metadata::default()),
            Edit::Set(metadata) => MetadataEdit::Replace(metadata),
        },
        ..CustomerEdit::default()
    }
}

fn at_most(text: &str) -> Result<(), TextError> {
    text::check(text, MAX_CHARACTERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_is_the_first_name_and_the_rest_the_last() {
        for (name, parts) in [
            ("Jane Smith", (Some("Jane"), Some("Smith"))),
            ("Jane", (Some("Jane"), None)),
            ("Jane van der Berg", (Some("Jane"), Some("van der Berg"))),
            ("  Jane   Smith ", (Some("Jane"), Some("Smith"))),
            ("", (None, None)),
            ("  ", (None, None)),
        ] {
            assert_eq!(first_and_last(name), parts, "{name:?}");
        }
    }
}
