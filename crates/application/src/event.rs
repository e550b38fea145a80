//! Events: what a write did, field by field, and who asked for it.

use std::fmt::Write as _;
use std::sync::Arc;

use roster_domain::{
    Address, AddressPart, ApiKeyId, ChangeReason, Customer, CustomerId, CustomerStatus, EventId, EventType, Metadata,
    Subscription, SubscriptionId, Tenant, Timestamp,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::ports::{TokenHolder, Write};

/// Who asked for a write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Actor {
    /// The holder of an API key.
    ApiKey(ApiKeyId),
    /// The holder of a token.
    Token(Arc<TokenHolder>),
    /// An operator of the service, on its command line.
    Operator,
    /// The service itself.
    #[default]
    System,
}

impl Actor {
    /// The name of its kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ApiKey(_) => "api_key",
            Self::Token(_) => "token",
            Self::Operator => "operator",
            Self::System => "system",
        }
    }

    /// What identifies it among those of its kind: the key, or the subject of the token.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        match self {
            Self::ApiKey(id) => Some(id.to_string()),
            Self::Token(holder) => holder.subject.clone(),
            Self::Operator | Self::System => None,
        }
    }

    /// The issuer of the token.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        match self {
            Self::Token(holder) => Some(&holder.issuer),
            Self::ApiKey(_) | Self::Operator | Self::System => None,
        }
    }
}

/// Who asked for a write, in which request, and why. The default is the service itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attribution {
    /// Who.
    pub actor: Actor,
    /// The identifier of the request, by which it is found in the log of requests.
    pub request_id: Option<String>,
    /// Why, as the caller says.
    pub reason: Option<ChangeReason>,
}

/// The record of one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The tenant.
    pub tenant: Tenant,
    /// Its place among the events of the tenant, from 1, without gaps, in the order in which they were committed.
    pub seq: i64,
    /// The customer that was written, or whose subscription was.
    pub customer: CustomerId,
    /// The subscription that was written.
    pub subscription: Option<SubscriptionId>,
    /// The version of the customer, or of the subscription, after it.
    pub version: i64,
    /// What happened.
    pub kind: EventType,
    /// The fields that changed, as [`changes_of`] writes them.
    pub changes: String,
    /// Who asked for it, and why.
    pub attribution: Attribution,
    /// When the write was made: the customer's, or the subscription's, `updated_at`.
    pub created_at: Timestamp,
}

impl Event {
    /// The event of `write` at `seq`. `None` if nothing is stored.
    #[must_use]
    pub fn of(write: &Write, seq: i64) -> Option<Self> {
        let after = write.after();
        let (version, created_at) = match write.subscription() {
            Some(subscription) => (subscription.after.version, subscription.after.updated_at),
            None => (after.version(), after.updated_at()),
        };
        Some(Self {
            tenant: after.tenant(),
            seq,
            customer: after.id(),
            subscription: write.subscription().map(|subscription| subscription.after.id.clone()),
            version,
            kind: kind_of(write)?,
            changes: changes_of(write),
            attribution: write.attribution().clone(),
            created_at,
        })
    }

    /// Its identifier. It follows from what never changes of the event, so that it needs neither a column nor an index; and
    /// an event that takes the place of another after a restored backup has another identifier.
    #[must_use]
    pub fn id(&self) -> EventId {
        let mut hash = Sha256::new();
        hash.update(self.tenant.merchant.uuid());
        hash.update(self.tenant.environment.as_str());
        hash.update(self.customer.uuid());
        hash.update(self.version.to_be_bytes());
        hash.update(self.created_at.as_millis().to_be_bytes());
        hash.update(self.kind.as_str());
        let mut digest = [0; 8];
        digest.copy_from_slice(&hash.finalize()[..8]);
        EventId::at(self.seq, digest)
    }
}

/// What a write does. `None` if it stores nothing.
fn kind_of(write: &Write) -> Option<EventType> {
    let after = write.after();
    if let Some(subscription) = write.subscription() {
        let is_new = subscription.before.is_none();
        return Some(if is_new { EventType::SubscriptionCreated } else { EventType::SubscriptionUpdated });
    }
    let Some(before) = write.before() else { return Some(EventType::CustomerCreated) };
    if !write.changes_customer() {
        return None;
    }
    let is_archived = |customer: &Customer| customer.status() == CustomerStatus::Archived;
    Some(match (before.is_live(), after.is_live()) {
        (true, false) => EventType::CustomerDeleted,
        (false, true) => EventType::CustomerRestored,
        _ if is_archived(after) && !is_archived(before) => EventType::CustomerArchived,
        _ => EventType::CustomerUpdated,
    })
}

/// The fields that a write changes, as JSON: under the name that the native API shows it by, each has `from` and `to`, of
/// which one is left out where the field is absent.
#[must_use]
pub fn changes_of(write: &Write) -> String {
    let mut changes = Changes(String::from("{"));
    match write.subscription() {
        Some(subscription) => changes.of_subscription(subscription.before.as_ref(), &subscription.after),
        None => changes.of_customer(write.before(), write.after()),
    }
    changes.0.push('}');
    changes.0
}

/// The text of changes that is being written.
struct Changes(String);

impl Changes {
    fn of_customer(&mut self, before: Option<&Customer>, after: &Customer) {
        macro_rules! fields {
            ($($name:literal: |$customer:ident| $value:expr,)+) => {$(
                let value = |$customer: &'_ Customer| $value;
                self.field($name, before.and_then(value), value(after), text);
            )+};
        }
        fields! {
            "status": |customer| Some(customer.status().as_str().to_owned()),
            "email": |customer| customer.profile().email.as_ref().map(|email| email.as_str().to_owned()),
            "name": |customer| owned(customer.profile().name.as_ref()),
            "external_id": |customer| owned(customer.profile().external_id.as_ref()),
            "phone": |customer| owned(customer.profile().phone.as_ref()),
        }
        let address = |customer: &Customer| Some(customer.profile().address.clone()).filter(|one| !one.is_empty());
        self.field("billing_address", before.and_then(address), address(after), address_text);
        fields! {
            "tax_id": |customer| owned(customer.profile().tax_id.as_ref()),
            "business_name": |customer| owned(customer.profile().details.business_name.as_ref()),
            "tax_exempt": |customer| customer.profile().details.tax_exempt.map(|one| one.as_str().to_owned()),
            "locale": |customer| owned(customer.profile().details.locale.as_ref()),
            "timezone": |customer| owned(customer.profile().details.timezone.as_ref()),
            "currency": |customer| owned(customer.profile().details.currency.as_ref()),
        }
        let metadata = |customer: &Customer| Some(customer.profile().metadata.as_str().to_owned());
        self.field("metadata", before.and_then(metadata), metadata(after), String::clone);
        fields! {
            "deleted_at": |customer| customer.deleted_at().map(|time| time.to_string()),
        }
    }

    fn of_subscription(&mut self, before: Option<&Subscription>, after: &Subscription) {
        macro_rules! fields {
            ($($name:literal: |$one:ident| $value:expr,)+) => {$(
                let value = |$one: &'_ Subscription| $value;
                self.field($name, before.and_then(value), value(after), text);
            )+};
        }
        fields! {
            "id": |one| Some(one.id.as_str().to_owned()),
            "plan_id": |one| owned(one.plan_id.as_ref()),
            "name": |one| owned(one.name.as_ref()),
            "status": |one| Some(one.status.as_str().to_owned()),
            "started_at": |one| Some(one.started_at.to_string()),
            "cancelled_at": |one| one.cancelled_at.map(|time| time.to_string()),
        }
        let details = |one: &Subscription| one.details.as_ref().map(|details: &Metadata| details.as_str().to_owned());
        self.field("details", before.and_then(details), details(after), String::clone);
    }

    /// Writes a field if it changes. `json` writes a value of it.
    fn field<T: PartialEq>(&mut self, name: &str, from: Option<T>, to: Option<T>, json: impl Fn(&T) -> String) {
        if from == to {
            return;
        }
        let side = |name: &str, value: Option<T>| value.map(|value| format!("\"{name}\":{}", json(&value)));
        let sides: Vec<String> = [side("from", from), side("to", to)].into_iter().flatten().collect();
        let comma = if self.0.len() > 1 { "," } else { "" };
        // Writing to a `String` cannot fail.
        let _ = write!(self.0, "{comma}\"{name}\":{{{}}}", sides.join(","));
    }
}

fn owned(value: Option<&impl AsRef<str>>) -> Option<String> {
    value.map(|value| value.as_ref().to_owned())
}

/// A text as JSON.
fn text(value: &impl AsRef<str>) -> String {
    serde_json::Value::from(value.as_ref()).to_string()
}

/// An address as the native API shows it.
fn address_text(address: &Address) -> String {
    #[derive(Serialize)]
    struct Shown<'a> {
        line1: Option<&'a str>,
        line2: Option<&'a str>,
        city: Option<&'a str>,
        state: Option<&'a str>,
        postal_code: Option<&'a str>,
        country: Option<&'a str>,
    }
    let Address { line1, line2, city, state, postal_code, country } = address;
    let [line1, line2, city, state] = [line1, line2, city, state].map(|part| part.as_ref().map(AddressPart::as_str));
    let postal_code = postal_code.as_ref().map(AsRef::as_ref);
    let shown = Shown { line1, line2, city, state, postal_code, country: country.as_ref().map(AsRef::as_ref) };
    // Texts only: they always have a form.
    serde_json::to_string(&shown).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use roster_domain::{
        Country, CustomerEdit, Edit, Email, EmailUse, Environment, MerchantId, Name, Profile, SubscriptionStatus,
    };
    use uuid::Uuid;

    use super::*;
    use crate::ports::SubscriptionWrite;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).expect("a time")
    }

    fn customer() -> Customer {
        let tenant = Tenant { merchant: MerchantId::new(Uuid::from_u128(1)), environment: Environment::Live };
        let address = Address { country: Country::parse("DE").ok(), ..Address::default() };
        let profile = Profile { email: Email::parse("ada@example.com").ok(), address, ..Profile::default() };
        Customer::register(tenant, CustomerId::new(Uuid::from_u128(2)), profile, EmailUse::Exclusive, at(0))
    }

    fn named(before: &Customer, name: Edit<Name>) -> Customer {
        before.changed(CustomerEdit { name, ..CustomerEdit::default() }, at(7)).expect("no metadata")
    }

    fn ada() -> Edit<Name> {
        Edit::Set(Name::parse("\"Ada\" \\ ж").expect("a name"))
    }

    #[test]
    fn the_changes_of_a_creation_are_all_fields_that_are_there() {
        let address = r#"{"line1":null,"line2":null,"city":null,"state":null,"postal_code":null,"country":"DE"}"#;
        let expected = format!(
            r#"{{"status":{{"to":"active"}},"email":{{"to":"ada@example.com"}},"billing_address":{{"to":{address}}},"metadata":{{"to":{{}}}}}}"#
        );
        assert_eq!(changes_of(&Write::create(customer())), expected);
    }

    #[test]
    fn a_change_has_what_was_before_it_and_what_is_after_it() {
        let (before, after) = (customer(), named(&customer(), ada()));
        let set = changes_of(&Write::change(before.clone(), after.clone()));
        assert_eq!(set, r#"{"name":{"to":"\"Ada\" \\ ж"}}"#);
        let cleared = changes_of(&Write::change(after.clone(), named(&after, Edit::Clear)));
        assert_eq!(cleared, r#"{"name":{"from":"\"Ada\" \\ ж"}}"#);
    }

    #[test]
    fn a_write_that_stores_nothing_has_no_event() {
        assert_eq!(Event::of(&Write::unchanged(customer()), 1), None);
    }

    #[test]
    fn a_deletion_and_its_undoing_are_told_apart_from_changes() {
        let (live, deleted) = (customer(), customer().deleted(at(9)));
        let kind = |before: &Customer, after: &Customer| {
            Event::of(&Write::change(before.clone(), after.clone()), 1).map(|event| event.kind)
        };
        assert_eq!(kind(&live, &deleted), Some(EventType::CustomerDeleted));
        assert_eq!(kind(&deleted, &live), Some(EventType::CustomerRestored));
    }

    #[test]
    fn an_event_of_a_subscription_has_its_version_and_time() {
        let after = Subscription {
            id: SubscriptionId::parse("s").expect("an id"),
            plan_id: None,
            name: None,
            status: SubscriptionStatus::PastDue,
            started_at: at(0),
            cancelled_at: None,
            details: None,
            version: 4,
            created_at: at(0),
            updated_at: at(8),
        };
        let before = Subscription { status: SubscriptionStatus::Active, version: 3, ..after.clone() };
        let write = Write::record(customer(), SubscriptionWrite { before: Some(before), after });
        let event = Event::of(&write, 5).expect("an event");
        assert_eq!((event.kind, event.version, event.created_at), (EventType::SubscriptionUpdated, 4, at(8)));
        assert_eq!(event.changes, r#"{"status":{"from":"active","to":"past_due"}}"#);
    }

    #[test]
    fn an_identifier_has_the_place_and_differs_for_every_other_event() {
        let event = Event::of(&Write::create(customer()), 5).expect("an event");
        assert_eq!(event.id().seq(), 5);
        let sandbox = Tenant { environment: Environment::Sandbox, ..event.tenant };
        let others = [
            Event { seq: 6, ..event.clone() },
            Event { tenant: sandbox, ..event.clone() },
            Event { customer: CustomerId::new(Uuid::from_u128(3)), ..event.clone() },
            Event { version: 2, ..event.clone() },
            Event { created_at: at(1), ..event.clone() },
            Event { kind: EventType::CustomerUpdated, ..event.clone() },
        ];
        assert!(others.iter().all(|other| other.id() != event.id()));
        // What an erasure empties is no part of it.
        assert_eq!(Event { changes: "{}".to_owned(), ..event.clone() }.id(), event.id());
    }
}
