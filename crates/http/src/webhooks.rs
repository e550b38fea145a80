//! What the surface of webhooks needs from outside.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, web};
use roster_application::ports::AttemptOutcome;
use roster_application::{Sent, TestEvent};

use crate::failure::Failure;

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
