//! The tables, as `migrations/postgres` makes them.

diesel::table! {
    merchants (id) {
        id -> Uuid,
        name -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    api_keys (merchant_id, id) {
        merchant_id -> Uuid,
        id -> Uuid,
        environment -> Text,
        name -> Nullable<Text>,
        scopes -> Text,
        digest -> Bytea,
        created_at -> Timestamptz,
        expires_at -> Nullable<Timestamptz>,
        last_used_at -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    customers (merchant_id, environment, id) {
        merchant_id -> Uuid,
        environment -> Text,
        id -> Uuid,
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
        metadata -> Json,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    subscriptions (merchant_id, environment, customer_id, id) {
        merchant_id -> Uuid,
        environment -> Text,
        customer_id -> Uuid,
        id -> Text,
        plan_id -> Nullable<Text>,
        name -> Nullable<Text>,
        status -> Text,
        started_at -> Timestamptz,
        cancelled_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}
