diesel::table! {
    merchants (id) {
        id -> Binary,
        name -> Text,
        created_at -> BigInt,
    }
}

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
