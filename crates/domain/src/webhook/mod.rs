//! Webhook endpoints: where a tenant wants events to be sent, which ones, and how they are signed.

mod endpoint;
mod event_types;
mod excerpt;
mod public_address;
mod secret;
mod url;

pub use endpoint::{
    DisabledReason, DisabledReasonError, Endpoint, EndpointDescription, EndpointEdit, EndpointSettings, EndpointStatus,
    PayloadForm,
};
pub use event_types::{EventTypes, EventTypesError};
pub use excerpt::Excerpt;
pub use public_address::non_public_kind;
pub use secret::{EndpointSecret, FormerSecret};
pub use url::{EndpointUrl, EndpointUrlError};
