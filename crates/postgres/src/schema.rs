//! The tables that `migrations/postgres` creates. Each column is listed once.
//!
//! Tables of tenants are private to this file, so a query without its tenant does not compile: the public functions
//! filter by the tenant, except the two that find the tenant of a key. The compiler cannot check statements that are
//! written as SQL; `tests/tests/statements` checks those.

use chrono::{DateTime, Utc};
use diesel::dsl::{Eq, Filter, auto_type};
use diesel::prelude::*;
use diesel::query_builder::IncompleteInsertStatement;
use roster_application::{Digest, PartKind};
use roster_domain::{ApiKeyId, EndpointId, Tenant, UploadId};
use uuid::Uuid;

pub use tables::{
    ApiKeyRow, AttemptRow, AttemptRows, CustomerRow, CustomerRows, EndpointRow, EventRow, EventRows, ImportRow,
    LaneRow, LaneRows, LogEntryRow, MerchantRow, OperatorRow, ReplyRow, ReplyRows, SubscriptionRow, SubscriptionRows,
    UploadRow, merchants, operator_log, operators, secrets,
};

mod tables {
    use diesel::pg::Pg;
    use diesel::query_builder::AstPass;
    use diesel::sql_types::{Array, BigInt, Bool, Bytea, Json, Nullable, Text, Timestamptz};
    use roster_application::ports::{Attempt, Lane, SavedReply, StoreError, StoredEndpoint};
    use roster_application::records::{
        ApiKeyRecord, AttemptRecord, CustomerRecord, EndpointRecord, EventRecord, ImportRecord, LaneRecord,
        LogEntryRecord, MerchantRecord, OperatorRecord, ReplyRecord, SubscriptionRecord, UploadRecord,
    };
    use roster_application::{ApiKey, Event, Import, LogEntry, Operator, Upload};
    use roster_domain::{Customer, Merchant, Subscription};

    use super::{DateTime, Insertable, QueryResult, Queryable, Utc, Uuid};
    use crate::rows::{Column, JsonText, table};

    table! {
        merchants (id) as MerchantRow, MerchantRows from MerchantRecord to Merchant {
            id: Uuid => diesel::sql_types::Uuid,
            name: String => Text,
            created_at: DateTime<Utc> => Timestamptz,
            disabled_at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
        }
    }

    table! {
        operators (id) as OperatorRow, OperatorRows from OperatorRecord to Operator {
            id: Uuid => diesel::sql_types::Uuid,
            name: String => Text,
            role: String => Text,
            digest: Vec<u8> => Bytea,
            created_at: DateTime<Utc> => Timestamptz,
            expires_at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
            last_used_at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
            revoked_at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
        }
    }

    table! {
        operator_log (id) as LogEntryRow, LogEntryRows from LogEntryRecord to LogEntry {
            id: Uuid => diesel::sql_types::Uuid,
            operator_id: Option<Uuid> => Nullable<diesel::sql_types::Uuid>,
            action: String => Text,
            target: String => Text,
            request_id: Option<String> => Nullable<Text>,
            created_at: DateTime<Utc> => Timestamptz,
        }
    }

    diesel::table! {
        secrets (name) {
            name -> Text,
            value -> Bytea,
        }
    }

    table! {
        api_keys (merchant_id, id) as ApiKeyRow, ApiKeyRows from ApiKeyRecord to ApiKey {
            merchant_id: Uuid => diesel::sql_types::Uuid,
            id: Uuid => diesel::sql_types::Uuid,
            environment: String => Text,
            name: Option<String> => Nullable<Text>,
            scopes: String => Text,
            digest: Vec<u8> => Bytea,
            created_at: DateTime<Utc> => Timestamptz,
            expires_at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
            last_used_at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
            revoked_at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
            successor_id: Option<Uuid> => Nullable<diesel::sql_types::Uuid>,
        }
    }

    table! {
        customers (merchant_id, environment, id) as CustomerRow, CustomerRows from CustomerRecord to Customer {
            merchant_id: Uuid => diesel::sql_types::Uuid,
            environment: String => Text,
            id: Uuid => diesel::sql_types::Uuid,
            email: Option<String> => Nullable<Text>,
            email_key: Option<String> => Nullable<Text>,
            email_exclusive: bool => Bool,
            external_id: Option<String> => Nullable<Text>,
            name: Option<String> => Nullable<Text>,
            phone: Option<String> => Nullable<Text>,
            address_line1: Option<String> => Nullable<Text>,
            address_line2: Option<String> => Nullable<Text>,
            address_city: Option<String> => Nullable<Text>,
            address_state: Option<String> => Nullable<Text>,
            address_postal_code: Option<String> => Nullable<Text>,
            address_country: Option<String> => Nullable<Text>,
            tax_id: Option<String> => Nullable<Text>,
            business_name: Option<String> => Nullable<Text>,
            tax_exempt: Option<String> => Nullable<Text>,
            locale: Option<String> => Nullable<Text>,
            timezone: Option<String> => Nullable<Text>,
            currency: Option<String> => Nullable<Text>,
            metadata: JsonText => Json,
            version: i64 => BigInt,
            created_at: DateTime<Utc> => Timestamptz,
            updated_at: DateTime<Utc> => Timestamptz,
            deleted_at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
            archived_at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
        }
    }

    table! {
        subscriptions (merchant_id, environment, customer_id, id)
            as SubscriptionRow, SubscriptionRows from SubscriptionRecord to Subscription
        {
            merchant_id: Uuid => diesel::sql_types::Uuid,
            environment: String => Text,
            customer_id: Uuid => diesel::sql_types::Uuid,
            id: String => Text,
            plan_id: Option<String> => Nullable<Text>,
            name: Option<String> => Nullable<Text>,
            status: String => Text,
            started_at: DateTime<Utc> => Timestamptz,
            cancelled_at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
            created_at: DateTime<Utc> => Timestamptz,
            updated_at: DateTime<Utc> => Timestamptz,
            version: i64 => BigInt,
            details: Option<JsonText> => Nullable<Json>,
        }
    }

    table! {
        replies (merchant_id, environment, key_digest) as ReplyRow, ReplyRows from ReplyRecord to SavedReply {
            merchant_id: Uuid => diesel::sql_types::Uuid,
            environment: String => Text,
            key_digest: Vec<u8> => Bytea,
            fingerprint: Vec<u8> => Bytea,
            customer_id: Option<Uuid> => Nullable<diesel::sql_types::Uuid>,
            outcome: String => Text,
            created_at: DateTime<Utc> => Timestamptz,
            expires_at: DateTime<Utc> => Timestamptz,
        }
    }
    table! {
        events (merchant_id, environment, seq) as EventRow, EventRows from EventRecord to Event {
            merchant_id: Uuid => diesel::sql_types::Uuid,
            environment: String => Text,
            seq: i64 => BigInt,
            customer_id: Uuid => diesel::sql_types::Uuid,
            subscription_id: Option<String> => Nullable<Text>,
            version: i64 => BigInt,
            event_type: String => Text,
            changes: String => Text,
            actor_type: String => Text,
            actor_id: Option<String> => Nullable<Text>,
            actor_issuer: Option<String> => Nullable<Text>,
            request_id: Option<String> => Nullable<Text>,
            reason: Option<String> => Nullable<Text>,
            created_at: DateTime<Utc> => Timestamptz,
        }
    }

    table! {
        webhook_endpoints (merchant_id, environment, id)
            as EndpointRow, EndpointRows from EndpointRecord to StoredEndpoint
        {
            merchant_id: Uuid => diesel::sql_types::Uuid,
            environment: String => Text,
            id: Uuid => diesel::sql_types::Uuid,
            url: String => Text,
            event_types: String => Text,
            description: Option<String> => Nullable<Text>,
            with_customer: bool => Bool,
            status: String => Text,
            disabled_at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
            disabled_reason: Option<String> => Nullable<Text>,
            secret: String => Text,
            former_secret: Option<String> => Nullable<Text>,
            former_until: Option<DateTime<Utc>> => Nullable<Timestamptz>,
            failing_since: Option<DateTime<Utc>> => Nullable<Timestamptz>,
            created_at: DateTime<Utc> => Timestamptz,
            updated_at: DateTime<Utc> => Timestamptz,
            cursor_seq: i64 => BigInt,
            fence: i64 => BigInt,
            due_at: DateTime<Utc> => Timestamptz,
        }
    }

    table! {
        webhook_lanes (merchant_id, environment, endpoint_id, customer_id, replayed_seq)
            as LaneRow, LaneRows from LaneRecord to Lane
        {
            merchant_id: Uuid => diesel::sql_types::Uuid,
            environment: String => Text,
            endpoint_id: Uuid => diesel::sql_types::Uuid,
            customer_id: Uuid => diesel::sql_types::Uuid,
            replayed_seq: i64 => BigInt,
            next_seq: i64 => BigInt,
            attempts: i64 => BigInt,
            due_at: DateTime<Utc> => Timestamptz,
        }
    }

    table! {
        webhook_attempts (merchant_id, environment, endpoint_id, id)
            as AttemptRow, AttemptRows from AttemptRecord to Attempt
        {
            merchant_id: Uuid => diesel::sql_types::Uuid,
            environment: String => Text,
            endpoint_id: Uuid => diesel::sql_types::Uuid,
            id: Uuid => diesel::sql_types::Uuid,
            event_id: Uuid => diesel::sql_types::Uuid,
            customer_id: Option<Uuid> => Nullable<diesel::sql_types::Uuid>,
            number: i64 => BigInt,
            outcome: String => Text,
            status: Option<i64> => Nullable<BigInt>,
            duration_ms: i64 => BigInt,
            answer: Option<String> => Nullable<Text>,
            error: Option<String> => Nullable<Text>,
            created_at: DateTime<Utc> => Timestamptz,
        }
    }

    table! {
        imports (merchant_id, environment, id) as ImportRow, ImportRows from ImportRecord to Import {
            merchant_id: Uuid => diesel::sql_types::Uuid,
            environment: String => Text,
            id: Uuid => diesel::sql_types::Uuid,
            digest: Vec<u8> => Bytea,
            options: String => Text,
            rows_read: i64 => BigInt,
            rows_created: i64 => BigInt,
            rows_updated: i64 => BigInt,
            rows_unchanged: i64 => BigInt,
            rows_skipped: i64 => BigInt,
            rows_failed: i64 => BigInt,
            faults: i64 => BigInt,
            created_at: DateTime<Utc> => Timestamptz,
            updated_at: DateTime<Utc> => Timestamptz,
            finished_at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
        }
    }

    table! {
        uploads (merchant_id, environment, id) as UploadRow, UploadRows from UploadRecord to Upload {
            merchant_id: Uuid => diesel::sql_types::Uuid,
            environment: String => Text,
            id: Uuid => diesel::sql_types::Uuid,
            state: String => Text,
            options: String => Text,
            actor_type: String => Text,
            actor_id: Option<String> => Nullable<Text>,
            actor_issuer: Option<String> => Nullable<Text>,
            import_id: Option<Uuid> => Nullable<diesel::sql_types::Uuid>,
            digest: Option<Vec<u8>> => Nullable<Bytea>,
            size: i64 => BigInt,
            parts: i64 => BigInt,
            error_parts: i64 => BigInt,
            failure: Option<String> => Nullable<Text>,
            fence: i64 => BigInt,
            lease_until: Option<DateTime<Utc>> => Nullable<Timestamptz>,
            created_at: DateTime<Utc> => Timestamptz,
            updated_at: DateTime<Utc> => Timestamptz,
            ended_at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
        }
    }

    diesel::table! {
        upload_parts (merchant_id, environment, upload_id, kind, number) {
            merchant_id -> Uuid,
            environment -> Text,
            upload_id -> Uuid,
            kind -> Text,
            number -> BigInt,
            bytes -> Bytea,
        }
    }

    diesel::table! {
        feed_floors (merchant_id, environment) {
            merchant_id -> Uuid,
            environment -> Text,
            seq -> BigInt,
        }
    }

    diesel::table! {
        feed_heads (merchant_id, environment) {
            merchant_id -> Uuid,
            environment -> Text,
            seq -> BigInt,
        }
    }
}

/// The columns of a key.
pub mod api_keys {
    pub use super::tables::api_keys::{SqlType, all_columns, columns::*};

    /// The table as a type, for rows to be inserted. A type alone cannot start a query.
    #[expect(non_camel_case_types, reason = "the library's derives look for this name")]
    pub type table = super::tables::api_keys::table;
}

/// The columns of a customer.
pub mod customers {
    pub use super::tables::customers::{SqlType, all_columns, columns::*};
}

/// The columns of a subscription.
pub mod subscriptions {
    pub use super::tables::subscriptions::{SqlType, all_columns, columns::*};
}

/// The columns of a saved reply.
pub mod replies {
    pub use super::tables::replies::{SqlType, all_columns, columns::*};
}

/// The columns of an event.
pub mod events {
    pub use super::tables::events::columns::*;
}

/// The columns of the first number of a log that is left, less one.
pub mod feed_floors {
    pub use super::tables::feed_floors::columns::*;

    /// The table as a type, for rows to be inserted. A type alone cannot start a query.
    #[expect(non_camel_case_types, reason = "the library's derives look for this name")]
    pub type table = super::tables::feed_floors::table;
}

/// The columns of the last number of a log.
pub mod feed_heads {
    pub use super::tables::feed_heads::columns::*;

    /// The table as a type, for rows to be inserted. A type alone cannot start a query.
    #[expect(non_camel_case_types, reason = "the library's derives look for this name")]
    pub type table = super::tables::feed_heads::table;
}

/// The columns of a webhook endpoint.
pub mod webhook_endpoints {
    pub use super::tables::webhook_endpoints::{SqlType, all_columns, columns::*};

    /// The table as a type, for rows to be inserted. A type alone cannot start a query.
    #[expect(non_camel_case_types, reason = "the library's derives look for this name")]
    pub type table = super::tables::webhook_endpoints::table;
}

/// The columns of a lane of a webhook endpoint.
pub mod webhook_lanes {
    pub use super::tables::webhook_lanes::columns::*;
}

/// The columns of an attempt to deliver to a webhook endpoint.
pub mod webhook_attempts {
    pub use super::tables::webhook_attempts::columns::*;
}

/// The columns of an import.
pub mod imports {
    pub use super::tables::imports::columns::*;

    /// The table as a type, for rows to be inserted. A type alone cannot start a query.
    #[expect(non_camel_case_types, reason = "the library's derives look for this name")]
    pub type table = super::tables::imports::table;
}

/// The columns of an upload.
pub mod uploads {
    pub use super::tables::uploads::columns::*;

    /// The table as a type, for rows to be inserted. A type alone cannot start a query.
    #[expect(non_camel_case_types, reason = "the library's derives look for this name")]
    pub type table = super::tables::uploads::table;
}

/// The columns of a part of an upload.
pub mod upload_parts {
    pub use super::tables::upload_parts::columns::*;

    /// The table as a type, for rows to be inserted. A type alone cannot start a query.
    #[expect(non_camel_case_types, reason = "the library's derives look for this name")]
    pub type table = super::tables::upload_parts::table;
}

/// The keys of `tenant`.
#[auto_type]
pub fn api_keys_of(tenant: Tenant) -> _ {
    let merchant: Uuid = tenant.merchant.uuid();
    let environment: &'static str = tenant.environment.as_str();
    tables::api_keys::table.filter(api_keys::merchant_id.eq(merchant)).filter(api_keys::environment.eq(environment))
}

/// The customers of `tenant`, deleted or not.
#[auto_type]
pub fn customers_of(tenant: Tenant) -> _ {
    let merchant: Uuid = tenant.merchant.uuid();
    let environment: &'static str = tenant.environment.as_str();
    tables::customers::table.filter(customers::merchant_id.eq(merchant)).filter(customers::environment.eq(environment))
}

/// The subscriptions of the customers of `tenant`.
#[auto_type]
pub fn subscriptions_of(tenant: Tenant) -> _ {
    let merchant: Uuid = tenant.merchant.uuid();
    let environment: &'static str = tenant.environment.as_str();
    tables::subscriptions::table
        .filter(subscriptions::merchant_id.eq(merchant))
        .filter(subscriptions::environment.eq(environment))
}

/// The replies to requests of `tenant`.
#[auto_type]
pub fn replies_of(tenant: Tenant) -> _ {
    let merchant: Uuid = tenant.merchant.uuid();
    let environment: &'static str = tenant.environment.as_str();
    tables::replies::table.filter(replies::merchant_id.eq(merchant)).filter(replies::environment.eq(environment))
}

/// The log of `tenant`.
#[auto_type]
pub fn events_of(tenant: Tenant) -> _ {
    let merchant: Uuid = tenant.merchant.uuid();
    let environment: &'static str = tenant.environment.as_str();
    tables::events::table.filter(events::merchant_id.eq(merchant)).filter(events::environment.eq(environment))
}

/// The last number that is gone from the log of `tenant`.
#[auto_type]
pub fn feed_floor_of(tenant: Tenant) -> _ {
    let merchant: Uuid = tenant.merchant.uuid();
    let environment: &'static str = tenant.environment.as_str();
    tables::feed_floors::table
        .filter(feed_floors::merchant_id.eq(merchant))
        .filter(feed_floors::environment.eq(environment))
        .select(feed_floors::seq)
}

/// The last number of the log of `tenant`.
#[auto_type]
pub fn feed_head_of(tenant: Tenant) -> _ {
    let merchant: Uuid = tenant.merchant.uuid();
    let environment: &'static str = tenant.environment.as_str();
    tables::feed_heads::table
        .filter(feed_heads::merchant_id.eq(merchant))
        .filter(feed_heads::environment.eq(environment))
        .select(feed_heads::seq)
}

/// The webhook endpoints of `tenant`.
#[auto_type]
pub fn endpoints_of(tenant: Tenant) -> _ {
    let merchant: Uuid = tenant.merchant.uuid();
    let environment: &'static str = tenant.environment.as_str();
    tables::webhook_endpoints::table
        .filter(webhook_endpoints::merchant_id.eq(merchant))
        .filter(webhook_endpoints::environment.eq(environment))
}

/// The lanes of an endpoint of `tenant`.
#[auto_type]
pub fn lanes_of(tenant: Tenant, endpoint: EndpointId) -> _ {
    let merchant: Uuid = tenant.merchant.uuid();
    let environment: &'static str = tenant.environment.as_str();
    let endpoint: Uuid = endpoint.uuid();
    tables::webhook_lanes::table
        .filter(webhook_lanes::merchant_id.eq(merchant))
        .filter(webhook_lanes::environment.eq(environment))
        .filter(webhook_lanes::endpoint_id.eq(endpoint))
}

/// The attempts to deliver to an endpoint of `tenant`.
#[auto_type]
pub fn attempts_of(tenant: Tenant, endpoint: EndpointId) -> _ {
    let merchant: Uuid = tenant.merchant.uuid();
    let environment: &'static str = tenant.environment.as_str();
    let endpoint: Uuid = endpoint.uuid();
    tables::webhook_attempts::table
        .filter(webhook_attempts::merchant_id.eq(merchant))
        .filter(webhook_attempts::environment.eq(environment))
        .filter(webhook_attempts::endpoint_id.eq(endpoint))
}

/// The imports of `tenant`.
#[auto_type]
pub fn imports_of(tenant: Tenant) -> _ {
    let merchant: Uuid = tenant.merchant.uuid();
    let environment: &'static str = tenant.environment.as_str();
    tables::imports::table.filter(imports::merchant_id.eq(merchant)).filter(imports::environment.eq(environment))
}

/// The uploads of `tenant`.
#[auto_type]
pub fn uploads_of(tenant: Tenant) -> _ {
    let merchant: Uuid = tenant.merchant.uuid();
    let environment: &'static str = tenant.environment.as_str();
    tables::uploads::table.filter(uploads::merchant_id.eq(merchant)).filter(uploads::environment.eq(environment))
}

/// The parts of one kind of an upload of `tenant`.
#[auto_type]
pub fn upload_parts_of(tenant: Tenant, upload: UploadId, kind: PartKind) -> _ {
    let merchant: Uuid = tenant.merchant.uuid();
    let environment: &'static str = tenant.environment.as_str();
    let upload: Uuid = upload.uuid();
    let kind: &'static str = kind.as_str();
    tables::upload_parts::table
        .filter(upload_parts::merchant_id.eq(merchant))
        .filter(upload_parts::environment.eq(environment))
        .filter(upload_parts::upload_id.eq(upload))
        .filter(upload_parts::kind.eq(kind))
}

/// The key with this digest, of any tenant: the tenant of a caller is known only after its key is found.
pub fn api_key_by_digest(digest: &Digest) -> Filter<api_keys::table, Eq<api_keys::digest, &[u8]>> {
    tables::api_keys::table.filter(api_keys::digest.eq(digest.0.as_slice()))
}

/// The tenant of a key, and no other column.
#[auto_type]
pub fn tenant_of_api_key(id: ApiKeyId) -> _ {
    let id: Uuid = id.uuid();
    tables::api_keys::table.filter(api_keys::id.eq(id)).select((api_keys::merchant_id, api_keys::environment))
}

/// Inserts a key. It needs no tenant here: the database refuses a row without one.
pub fn insert_into_api_keys() -> IncompleteInsertStatement<api_keys::table> {
    diesel::insert_into(tables::api_keys::table)
}

/// Inserts a webhook endpoint. It needs no tenant here: the database refuses a row without one.
pub fn insert_into_webhook_endpoints() -> IncompleteInsertStatement<webhook_endpoints::table> {
    diesel::insert_into(tables::webhook_endpoints::table)
}

/// Inserts where a log begins. It needs no tenant here: the database refuses a row without one.
pub fn insert_into_feed_floors() -> IncompleteInsertStatement<feed_floors::table> {
    diesel::insert_into(tables::feed_floors::table)
}

/// Inserts where a log ends. It needs no tenant here: the database refuses a row without one.
pub fn insert_into_feed_heads() -> IncompleteInsertStatement<feed_heads::table> {
    diesel::insert_into(tables::feed_heads::table)
}

/// Inserts an import. It needs no tenant here: the database refuses a row without one.
pub fn insert_into_imports() -> IncompleteInsertStatement<imports::table> {
    diesel::insert_into(tables::imports::table)
}

/// Inserts an upload. It needs no tenant here: the database refuses a row without one.
pub fn insert_into_uploads() -> IncompleteInsertStatement<uploads::table> {
    diesel::insert_into(tables::uploads::table)
}

/// Inserts a part of an upload. It needs no tenant here: the database refuses a row without one.
pub fn insert_into_upload_parts() -> IncompleteInsertStatement<upload_parts::table> {
    diesel::insert_into(tables::upload_parts::table)
}
