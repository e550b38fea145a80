//! One use case per file, each a method of [`Roster`](crate::Roster) or a command of
//! [`Roster::write_customers`](crate::Roster::write_customers).

mod authenticate;
mod change_customer;
mod check_store;
mod create_api_key;
mod create_merchant;
mod current_subscriptions;
mod cursor_key;
mod delete_customer;
mod find_customers;
mod idempotency;
mod index_customers;
mod list_api_keys;
mod list_customers;
mod list_events;
mod list_merchants;
mod list_subscriptions;
mod once;
mod record_api_key_uses;
mod record_subscription;
mod register_customer;
mod revoke_api_key;
mod rotate_api_key;
mod sweep;
mod sweep_replies;
mod upsert_customer;
mod write_atomically;
mod write_customers;

pub use authenticate::{AuthenticateError, Presented, Recognition};
pub use change_customer::CustomerChange;
pub use create_api_key::{ApiKeyOrder, CreateApiKeyError, CreatedApiKey};
pub use cursor_key::CursorKeyError;
pub use delete_customer::CustomerDeletion;
pub use idempotency::{Answer, DEFAULT_REPLY_LIFETIME, Idempotency, View, WriteRequest};
pub use list_customers::{CustomerPage, ListError};
pub use list_events::{EventList, EventPage};
pub use list_subscriptions::ListSubscriptionsError;
pub use once::{Once, RepeatError, Repeatable, Seed};
pub use record_subscription::SubscriptionReport;
pub use register_customer::Registration;
pub use revoke_api_key::RevokeApiKeyError;
pub use rotate_api_key::{DEFAULT_OVERLAP, MAX_OVERLAP, RotateApiKeyError};
pub use sweep::Sweep;
pub use upsert_customer::Upsert;
pub use write_atomically::AtomicError;
pub use write_customers::{CustomerCommand, WriteError};
