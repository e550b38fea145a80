//! Rows, one file per table, in types that every database has.
//!
//! An adapter copies a row into a record; here a record becomes a domain type, and back. Values are restored, not parsed
//! again: this service checked them before it wrote them. What does not decode is [`StoreError::Corrupt`].
//!
//! [`StoreError::Corrupt`]: crate::ports::StoreError::Corrupt

mod api_key;
mod customer;
mod event;
mod import;
mod log_entry;
mod merchant;
mod operator;
mod reply;
mod subscription;
mod upload;
mod webhook;

pub use api_key::{ApiKeyRecord, tenant_of};
pub use customer::CustomerRecord;
pub use event::EventRecord;
pub use import::ImportRecord;
pub use log_entry::LogEntryRecord;
pub use merchant::MerchantRecord;
pub use operator::OperatorRecord;
pub(crate) use reply::corrupt_reply;
pub use reply::{ReplyRecord, reply_key};
pub use subscription::SubscriptionRecord;
pub use upload::UploadRecord;
pub use webhook::{AttemptRecord, EndpointRecord, LaneRecord};
