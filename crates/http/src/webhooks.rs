//! What the surface of webhooks needs from outside, and the bodies of deliveries.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, web};
use roster_application::ports::AttemptOutcome;
use roster_application::{Event, Sent, TestEvent};
use roster_domain::Customer;

use crate::failure::Failure;
use crate::respond;
use crate::surfaces::native::{EventView, TestView};

/// Sends test events of webhooks.
pub trait SendTests: Send + Sync {
    /// Sends a test event once, and returns what came of it. `body` is what it says.
    fn send(&self, test: TestEvent, body: String) -> Pin<Box<dyn Future<Output = (AttemptOutcome, Sent)> + '_>>;
}

/// How webhooks are managed.
#[derive(Clone)]
pub struct WebhookSettings {
    /// Whether endpoints may have `http://` and addresses that are not public.
    pub allow_private: bool,
    /// The longest that a test event may take.
    pub timeout: Duration,
    /// What sends test events.
    pub tests: Arc<dyn SendTests>,
}

impl fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { allow_private, timeout, .. } = self;
        f.debug_struct("WebhookSettings").field("allow_private", allow_private).field("timeout", timeout).finish()
    }
}

impl WebhookSettings {
    pub(crate) fn of(request: &HttpRequest) -> Result<&Self, Failure> {
        request.app_data::<web::Data<Self>>().map(|settings| settings.as_ref()).ok_or(Failure::Internal)
    }
}

/// The body of a delivery: the event as the native surface shows it, with the customer if `shows_customer`; no customer is one
/// that is deleted.
#[must_use]
pub fn event_body(event: &Event, shows_customer: bool, customer: Option<&Customer>) -> String {
    // It fails only if the store has an event that is no JSON.
    EventView::with(event, shows_customer, customer).and_then(|view| respond::text(&view)).unwrap_or_default()
}

/// The body of a test event.
#[must_use]
pub fn test_body(test: &TestEvent) -> String {
    respond::text(&TestView::from(test)).unwrap_or_default()
}
