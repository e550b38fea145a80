//! The requests and responses of the Lava surface.

use actix_web::HttpRequest;
use roster_application::Registration;
use roster_application::ports::{CustomerFilter, CustomerRef, ListOrder};
use roster_domain::external_id::ExternalIdError;
use roster_domain::{
    Customer, CustomerEdit, CustomerId, Edit, Email, EmailUse, Environment, ExternalId, Json, Metadata, MetadataEdit,
    Name, Phone, PlanId, Subscription, SubscriptionStatus, Tenant, TextError, text,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::failure::Failure;
use crate::request::caller::CustomerList;
use crate::request::fields::Fields;
use crate::request::query::{PageQuery, set_filter};
use crate::respond;

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

/// A customer in a response. Absent values are `null`.
#[derive(Serialize)]
pub(super) struct CustomerView<'a> {
    customer_id: String,
    reference_id: Option<&'a str>,
    contact: Contact<'a>,
    subscription: Option<SubscriptionView<'a>>,
    #[serde(serialize_with = "respond::metadata")]
    metadata: &'a Metadata,
    created_at: String,
}

#[derive(Serialize)]
struct Contact<'a> {
    phone: Option<&'a str>,
    email: Option<&'a str>,
    first_name: Option<&'a str>,
    last_name: Option<&'a str>,
}

/// The customer's active or trialing subscription that started last. What the billing engine did not report is `null`.
#[derive(Serialize)]
pub(super) struct SubscriptionView<'a> {
    subscription_id: &'a str,
    plan_id: Option<&'a str>,
    name: Option<&'a str>,
    status: &'static str,
    started_at: String,
    cancelled_at: Option<String>,
    cycle_start_at: Option<&'a RawValue>,
    cycle_end_at: Option<&'a RawValue>,
    auto_top_up_bundle_id: Option<&'a RawValue>,
    pending_change: Option<&'a RawValue>,
    plan: PlanView<'a>,
    credits: Credits<'a>,
}

#[derive(Serialize)]
struct PlanView<'a> {
    name: Option<PlanName<'a>>,
    period_amount: Option<&'a RawValue>,
    included_credit: Option<&'a RawValue>,
    billing_interval: Option<&'a RawValue>,
    rollover_type: Option<&'a RawValue>,
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

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the names are the vendor's")]
struct Credits<'a> {
    #[serde(borrow)]
    total_remaining: Option<&'a RawValue>,
    #[serde(borrow)]
    cycle_remaining: Option<&'a RawValue>,
    #[serde(borrow)]
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
            customer_id: customer_id(customer),
            reference_id: profile.external_id.as_ref().map(ExternalId::as_str),
            contact: Contact {
                phone: profile.phone.as_ref().map(Phone::as_str),
                email: profile.email.as_ref().map(Email::as_str),
                first_name,
                last_name,
            },
            subscription: subscription.map(SubscriptionView::from),
            metadata: &profile.metadata,
            created_at: customer.created_at().to_string(),
        }
    }
}

impl<'a> From<&'a Subscription> for SubscriptionView<'a> {
    fn from(subscription: &'a Subscription) -> Self {
        let name = subscription.name.as_ref().map(Name::as_str);
        let details: Details<'a> = fields_of(subscription.details.as_ref().map(Metadata::as_str));
        Self {
            subscription_id: subscription.id.as_str(),
            plan_id: subscription.plan_id.as_ref().map(PlanId::as_str),
            name,
            status: status(subscription.status),
            started_at: subscription.started_at.to_string(),
            cancelled_at: subscription.cancelled_at.map(|time| time.to_string()),
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

fn customer_id(customer: &Customer) -> String {
    format!("{}{}", prefix(customer.tenant().environment), customer.id().suffix().to_ascii_uppercase())
}

/// The first word of a name, and the rest.
fn first_and_last(name: &str) -> (Option<&str>, Option<&str>) {
    let name = name.trim();
    let (first, last) = name.split_once(char::is_whitespace).unwrap_or((name, ""));
    let is_present = |part: &&str| !part.is_empty();
    (Some(first).filter(is_present), Some(last.trim_start()).filter(is_present))
}

/// A page of customers.
#[derive(Serialize)]
pub(super) struct PageView<'a> {
    pub(super) data: Vec<CustomerView<'a>>,
    pub(super) has_more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_cursor: Option<String>,
}

/// The response to `GET …/subscription`.
#[derive(Serialize)]
pub(super) struct SubscriptionEnvelope<'a> {
    pub(super) subscription: Option<SubscriptionView<'a>>,
}

/// The response to a deletion.
#[derive(Serialize)]
pub(super) struct Success {
    pub(super) success: bool,
}

/// Reads the query of `GET /lava/v1/customers`: a page, and filters that customers match exactly.
pub(super) fn read_list(request: &HttpRequest) -> Result<CustomerList, Failure> {
    let mut filter = CustomerFilter::default();
    let PageQuery { size, cursor } = PageQuery::read_with(request, |name, value| {
        Some(match name {
            "reference_id" => set_filter("reference_id", &mut filter.external_id, ExternalId::parse(value)),
            "email" => {
                let key = Email::parse(value).map(|email| email.key().to_owned());
                set_filter("email", &mut filter.email_key, key)
            }
            _ => return None,
        })
    })?;
    let order = ListOrder::default();
    Ok(CustomerList { filter, order, cursor, offset: 0, limit: size.get(), with_total: false })
}

/// Reads the body of `POST /lava/v1/customers`, in which every field is optional.
pub(super) fn read_registration(tenant: Tenant, email_use: EmailUse, body: Json) -> Result<Registration, Failure> {
    let mut fields = Fields::of_body(body)?;
    let edit = read_customer(&mut fields, email_use);
    Ok(Registration::new(tenant, fields.finish(edit)?)?)
}

/// Reads the body of `PATCH /lava/v1/customers/{customer_id}`: a missing field is kept, `null` clears a field, and
/// metadata is replaced as a whole.
pub(super) fn read_edit(email_use: EmailUse, body: Json) -> Result<CustomerEdit, Failure> {
    let mut fields = Fields::of_body(body)?;
    let edit = read_customer(&mut fields, email_use);
    fields.finish(edit)
}

/// Reads the fields of this vendor and ignores all others.
///
/// On this surface customers share e-mail addresses without asking for it, if the key has the scope for that.
fn read_customer(fields: &mut Fields, email_use: EmailUse) -> CustomerEdit {
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
