//! One use case per file, each a method of [`Roster`](crate::Roster).

pub(crate) mod authenticate;
pub(crate) mod change_customer;
pub(crate) mod check_store;
pub(crate) mod create_api_key;
pub(crate) mod create_merchant;
pub(crate) mod current_subscriptions;
pub(crate) mod delete_customer;
pub(crate) mod find_customers;
pub(crate) mod list_api_keys;
pub(crate) mod list_customers;
pub(crate) mod list_merchants;
pub(crate) mod list_subscriptions;
pub(crate) mod record_api_key_uses;
pub(crate) mod record_subscription;
pub(crate) mod register_customers;
pub(crate) mod revoke_api_key;
pub(crate) mod rotate_api_key;
