//! The tables, as `migrations/sqlite` makes them.
//!
//! Those of tenants are known in this file alone, so that a query which forgot its tenant does not compile: all that is
//! handed out of them begins with one, but for what finds out whose a key is. A statement that is written as SQL goes by
//! the compiler; `statements.rs` judges it.

use diesel::dsl::{Eq, Filter, auto_type};
use diesel::prelude::*;
use diesel::query_builder::IncompleteInsertStatement;
use roster_application::Digest;
use roster_domain::{ApiKeyId, Tenant};

use crate::rows::Id;

diesel::table! {
    merchants (id) {
        id -> Binary,
        name -> Text,
        created_at -> BigInt,
    }
}

mod tables {
    diesel::table! {
        api_keys (merchant_id, id) {
            merchant_id -> Binary,
            id -> Binary,
            environment -> Text,
            name -> Nullable<Text>,
            scopes -> Text,
            digest -> Binary,
            created_at -> BigInt,
            expires_at -> Nullable<BigInt>,
            last_used_at -> Nullable<BigInt>,
            revoked_at -> Nullable<BigInt>,
        }
    }

    diesel::table! {
        customers (merchant_id, environment, id) {
            merchant_id -> Binary,
            environment -> Text,
            id -> Binary,
            email -> Nullable<Text>,
            email_key -> Nullable<Text>,
            email_exclusive -> Bool,
            external_id -> Nullable<Text>,
            name -> Nullable<Text>,
            phone -> Nullable<Text>,
            address_line1 -> Nullable<Text>,
            address_line2 -> Nullable<Text>,
            address_city -> Nullable<Text>,
            address_state -> Nullable<Text>,
            address_postal_code -> Nullable<Text>,
            address_country -> Nullable<Text>,
            tax_id -> Nullable<Text>,
            metadata -> Text,
            version -> BigInt,
            created_at -> BigInt,
            updated_at -> BigInt,
            deleted_at -> Nullable<BigInt>,
        }
    }

    diesel::table! {
        subscriptions (merchant_id, environment, customer_id, id) {
            merchant_id -> Binary,
            environment -> Text,
            customer_id -> Binary,
            id -> Text,
            plan_id -> Nullable<Text>,
            name -> Nullable<Text>,
            status -> Text,
            started_at -> BigInt,
            cancelled_at -> Nullable<BigInt>,
            created_at -> BigInt,
            updated_at -> BigInt,
        }
    }
}

/// The columns of a key.
pub mod api_keys {
    pub use super::tables::api_keys::columns::*;

    /// What the type of a row to be written names. It is no value that a query could be made from.
    #[expect(non_camel_case_types, reason = "the library's derives look for this name")]
    pub type table = super::tables::api_keys::table;
}

/// The columns of a customer.
pub mod customers {
    pub use super::tables::customers::columns::*;
}

/// The columns of a subscription.
pub mod subscriptions {
    pub use super::tables::subscriptions::columns::*;

    /// What the type of a row to be written names. It is no value that a query could be made from.
    #[expect(non_camel_case_types, reason = "the library's derives look for this name")]
    pub type table = super::tables::subscriptions::table;
}

/// The keys of `tenant`.
#[auto_type]
pub fn api_keys_of(tenant: Tenant) -> _ {
    let merchant: Id = Id(tenant.merchant.uuid());
    let environment: &'static str = tenant.environment.as_str();
    tables::api_keys::table.filter(api_keys::merchant_id.eq(merchant)).filter(api_keys::environment.eq(environment))
}

/// The customers of `tenant`, deleted or not.
#[auto_type]
pub fn customers_of(tenant: Tenant) -> _ {
    let merchant: Id = Id(tenant.merchant.uuid());
    let environment: &'static str = tenant.environment.as_str();
    tables::customers::table.filter(customers::merchant_id.eq(merchant)).filter(customers::environment.eq(environment))
}

/// The subscriptions of the customers of `tenant`.
#[auto_type]
pub fn subscriptions_of(tenant: Tenant) -> _ {
    let merchant: Id = Id(tenant.merchant.uuid());
    let environment: &'static str = tenant.environment.as_str();
    tables::subscriptions::table
        .filter(subscriptions::merchant_id.eq(merchant))
        .filter(subscriptions::environment.eq(environment))
}

/// The key with this digest, whosever it is: whoever shows a key has not said yet.
pub fn api_key_by_digest(digest: &Digest) -> Filter<api_keys::table, Eq<api_keys::digest, &[u8]>> {
    tables::api_keys::table.filter(api_keys::digest.eq(digest.0.as_slice()))
}

/// Whose key that is, and nothing more about it.
#[auto_type]
pub fn tenant_of_api_key(id: ApiKeyId) -> _ {
    let id: Id = Id(id.uuid());
    tables::api_keys::table.filter(api_keys::id.eq(id)).select((api_keys::merchant_id, api_keys::environment))
}

/// Adds a key. The database refuses a row that has no tenant.
pub fn insert_into_api_keys() -> IncompleteInsertStatement<api_keys::table> {
    diesel::insert_into(tables::api_keys::table)
}

/// Adds a subscription. The database refuses a row that has no tenant.
pub fn insert_into_subscriptions() -> IncompleteInsertStatement<subscriptions::table> {
    diesel::insert_into(tables::subscriptions::table)
}
