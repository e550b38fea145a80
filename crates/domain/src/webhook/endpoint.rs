use std::time::Duration;

use super::{EndpointSecret, EndpointUrl, EventTypes, FormerSecret};
use crate::{Edit, EndpointId, Rule, Tenant, Timestamp, text::text};

text!(
    /// What its owner says an endpoint is for, at most 256 characters.
    EndpointDescription, 0..=256
);

/// What a delivery has of the customer of its event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PayloadForm {
    /// The event alone.
    #[default]
    Thin,
    /// The customer as well, as it is when the delivery is sent.
    WithCustomer,
}

/// Not a form of payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be thin or with_customer")]
pub struct PayloadFormError;

impl Rule for PayloadFormError {
    fn code(&self) -> &'static str {
        "invalid_payload"
    }
}

impl PayloadForm {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Thin, Self::WithCustomer];

    /// `thin` or `with_customer`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Thin => "thin",
            Self::WithCustomer => "with_customer",
        }
    }

    /// Parses the text that [`PayloadForm::as_str`] returns.
    ///
    /// # Errors
    /// [`PayloadFormError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, PayloadFormError> {
        Self::ALL.into_iter().find(|form| form.as_str() == text).ok_or(PayloadFormError)
    }
}

impl AsRef<str> for PayloadForm {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// Why nothing is sent to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledReason {
    /// Its owner has disabled it.
    Requested,
    /// It has answered 410 Gone.
    Gone,
    /// Every delivery has failed for [`Endpoint::MAX_FAILING`].
    Failing,
}

/// Not a reason for which an endpoint is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be requested, gone or failing")]
pub struct DisabledReasonError;

impl Rule for DisabledReasonError {
    fn code(&self) -> &'static str {
        "invalid_disabled_reason"
    }
}

impl DisabledReason {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Requested, Self::Gone, Self::Failing];

    /// `requested`, `gone` or `failing`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }

    /// Parses the text that [`DisabledReason::as_str`] returns.
    ///
    /// # Errors
    /// [`DisabledReasonError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, DisabledReasonError> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or(DisabledReasonError)
    }
}

/// Whether events are sent to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointStatus {
    /// They are.
    Active,
    /// They are not. They are sent once it is active again.
    Disabled {
        /// Since when.
        at: Timestamp,
        /// Why.
        reason: DisabledReason,
    },
}

impl EndpointStatus {
    /// The text of an active one.
    pub const ACTIVE: &str = "active";
    /// The text of a disabled one.
    pub const DISABLED: &str = "disabled";

    /// `active` or `disabled`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => Self::ACTIVE,
            Self::Disabled { .. } => Self::DISABLED,
        }
    }
}

/// What the owner of an endpoint chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSettings {
    /// Where deliveries are sent to.
    pub url: EndpointUrl,
    /// Which events are sent.
    pub events: EventTypes,
    /// What it is for.
    pub description: Option<EndpointDescription>,
    /// What a delivery has of the customer.
    pub form: PayloadForm,
}

/// A change of an endpoint by its owner. The default changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointEdit {
    /// The new URL.
    pub url: Option<EndpointUrl>,
    /// The new types of events.
    pub events: Option<EventTypes>,
    /// The new description.
    pub description: Edit<EndpointDescription>,
    /// The new form of payloads.
    pub form: Option<PayloadForm>,
    /// Whether it is to be active.
    pub is_active: Option<bool>,
}

/// Where a tenant wants events to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The tenant.
    pub tenant: Tenant,
    /// Its identifier.
    pub id: EndpointId,
    /// What its owner has chosen.
    pub settings: EndpointSettings,
    /// Whether events are sent.
    pub status: EndpointStatus,
    /// What deliveries are signed with.
    pub secret: EndpointSecret,
    /// What deliveries are signed with as well, for some time after a rotation.
    pub former_secret: Option<FormerSecret>,
    /// The first failure since the last success.
    pub failing_since: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its owner, or a disabling, changed it last.
    pub updated_at: Timestamp,
}

impl Endpoint {
    /// How long every delivery may fail before the endpoint is disabled: 5 days.
    pub const MAX_FAILING: Duration = Duration::from_hours(5 * 24);

    /// The longest time for which deliveries are signed with the former secret as well: 7 days.
    pub const MAX_OVERLAP: Duration = Duration::from_hours(7 * 24);

    /// The same time if its owner gives none: a day.
    pub const DEFAULT_OVERLAP: Duration = Duration::from_hours(24);

    /// A new endpoint, which is active.
    #[must_use]
    pub fn create(
        tenant: Tenant,
        id: EndpointId,
        settings: EndpointSettings,
        secret: EndpointSecret,
        now: Timestamp,
    ) -> Self {
        let status = EndpointStatus::Active;
        let (former_secret, failing_since) = (None, None);
        Self { tenant, id, settings, status, secret, former_secret, failing_since, created_at: now, updated_at: now }
    }

    /// Whether events are sent to it.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status == EndpointStatus::Active
    }

    /// The endpoint after a change by its owner.
    #[must_use]
    pub fn changed(&self, edit: EndpointEdit, now: Timestamp) -> Self {
        let EndpointEdit { url, events, description, form, is_active } = edit;
        let mut settings = self.settings.clone();
        settings.url = url.unwrap_or(settings.url);
        settings.events = events.unwrap_or(settings.events);
        description.apply(&mut settings.description);
        settings.form = form.unwrap_or(settings.form);
        let changed = Self { settings, ..self.clone() };
        let changed = match is_active {
            Some(true) => changed.enabled(),
            Some(false) => changed.disabled(DisabledReason::Requested, now),
            None => changed,
        };
        if changed == *self { changed } else { Self { updated_at: now, ..changed } }
    }

    /// The endpoint, active. Its failures are counted anew.
    #[must_use]
    fn enabled(self) -> Self {
        if self.is_active() {
            return self;
        }
        Self { status: EndpointStatus::Active, failing_since: None, ..self }
    }

    /// The endpoint, disabled. If it was before, it keeps the time and the reason.
    #[must_use]
    pub fn disabled(self, reason: DisabledReason, now: Timestamp) -> Self {
        if !self.is_active() {
            return self;
        }
        Self { status: EndpointStatus::Disabled { at: now, reason }, updated_at: now, ..self }
    }

    /// The endpoint with a new secret. The present one becomes the former one, for `overlap`, at most
    /// [`Endpoint::MAX_OVERLAP`]; with no overlap it is gone at once. An older one is gone in any case.
    #[must_use]
    pub fn rotated(self, secret: EndpointSecret, overlap: Duration, now: Timestamp) -> Self {
        let until = now.plus(overlap.min(Self::MAX_OVERLAP));
        let former = FormerSecret { secret: self.secret, until };
        Self { secret, former_secret: Some(former).filter(|former| former.until > now), updated_at: now, ..self }
    }

    /// The secrets that a delivery at `now` is signed with, the newest first.
    pub fn secrets(&self, now: Timestamp) -> impl Iterator<Item = &EndpointSecret> {
        let former = self.former_secret.as_ref().filter(move |former| former.until > now);
        std::iter::once(&self.secret).chain(former.map(|former| &former.secret))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{Environment, MerchantId};

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).expect("a time")
    }

    fn endpoint() -> Endpoint {
        let tenant = Tenant { merchant: MerchantId::new(Uuid::nil()), environment: Environment::Live };
        let settings = EndpointSettings {
            url: EndpointUrl::parse("https://example.com", false).expect("a URL"),
            events: EventTypes::ALL,
            description: EndpointDescription::parse("billing").ok(),
            form: PayloadForm::Thin,
        };
        Endpoint::create(tenant, EndpointId::new(Uuid::nil()), settings, EndpointSecret::new(&[1; 32]), at(0))
    }

    #[test]
    fn a_change_that_changes_nothing_leaves_the_time_of_the_last_change() {
        assert_eq!(endpoint().changed(EndpointEdit::default(), at(9)), endpoint());
        let same = EndpointEdit { is_active: Some(true), form: Some(PayloadForm::Thin), ..EndpointEdit::default() };
        assert_eq!(endpoint().changed(same, at(9)), endpoint());
    }

    #[test]
    fn a_change_replaces_what_it_names() {
        let edit = EndpointEdit {
            url: EndpointUrl::parse("https://example.org", false).ok(),
            events: EventTypes::parse(["customer.created"]).ok(),
            description: Edit::Clear,
            form: Some(PayloadForm::WithCustomer),
            is_active: None,
        };
        let changed = endpoint().changed(edit, at(9));
        assert_eq!(changed.settings.url.as_str(), "https://example.org");
        assert_eq!(changed.settings.events.names(), ["customer.created"]);
        assert_eq!((changed.settings.description, changed.settings.form), (None, PayloadForm::WithCustomer));
        assert_eq!((changed.status, changed.updated_at), (EndpointStatus::Active, at(9)));
    }

    #[test]
    fn a_disabled_endpoint_keeps_its_first_reason_and_starts_afresh() {
        let failing = Endpoint { failing_since: Some(at(1)), ..endpoint() };
        let disabled = failing.disabled(DisabledReason::Gone, at(5));
        assert_eq!(disabled.status, EndpointStatus::Disabled { at: at(5), reason: DisabledReason::Gone });
        assert_eq!(disabled.clone().disabled(DisabledReason::Failing, at(6)), disabled);
        let off = EndpointEdit { is_active: Some(false), ..EndpointEdit::default() };
        assert_eq!(disabled.changed(off, at(7)), disabled);
        let on = EndpointEdit { is_active: Some(true), ..EndpointEdit::default() };
        let enabled = disabled.changed(on, at(8));
        assert_eq!((enabled.is_active(), enabled.failing_since, enabled.updated_at), (true, None, at(8)));
    }

    #[test]
    fn two_secrets_sign_until_the_overlap_is_over() {
        let [first, second, third] = [1, 2, 3].map(|byte| EndpointSecret::new(&[byte; 32]));
        let rotated = endpoint().rotated(second.clone(), Duration::from_millis(10), at(0));
        assert_eq!(rotated.secrets(at(9)).collect::<Vec<_>>(), [&second, &first]);
        assert_eq!(rotated.secrets(at(10)).collect::<Vec<_>>(), [&second]);
        let again = rotated.clone().rotated(third.clone(), Duration::from_hours(1000), at(5));
        assert_eq!(again.secrets(at(6)).collect::<Vec<_>>(), [&third, &second]);
        assert_eq!(again.former_secret.map(|former| former.until), Some(at(5).plus(Endpoint::MAX_OVERLAP)));
        assert_eq!(rotated.rotated(third, Duration::ZERO, at(5)).former_secret, None);
    }
}
