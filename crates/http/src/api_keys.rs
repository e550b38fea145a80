//! API keys in requests, responses and documents, as every surface that manages them reads and writes them.

use std::time::Duration;

use roster_application::{ApiKey, ApiKeyOrder, CreatedApiKey, DEFAULT_OVERLAP, MAX_OVERLAP, Scope, Scopes};
use roster_domain::{ApiKeyId, Environment, MerchantId, Name, Tenant, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::openapi::operation::{Parameter, Request};
use crate::openapi::schema::{Of, Shown, Text, time};
use crate::request::fields::Fields;

/// An API key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ApiKey")]
pub(crate) struct ApiKeyView<'a> {
    id: Shown<ApiKeyId>,
    org_id: Shown<MerchantId>,
    environment: Text<Environment>,
    name: Option<Text<&'a Name>>,
    /// What it allows its holder to do.
    #[schemars(extend("uniqueItems" = true))]
    scopes: Vec<Text<Scope>>,
    created_at: Shown<Timestamp>,
    /// From when on it is refused; `null`: never.
    expires_at: Option<Shown<Timestamp>>,
    /// When it was last used, to about a minute.
    last_used_at: Option<Shown<Timestamp>>,
    /// When it was revoked.
    revoked_at: Option<Shown<Timestamp>>,
    /// Whether it is the key that this request was sent with.
    is_current: bool,
}

/// An API key, and its secret: only the response that creates it has it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewApiKey")]
pub(crate) struct NewApiKeyView<'a> {
    #[serde(flatten)]
    about: ApiKeyView<'a>,
    /// The secret: what `Authorization: Bearer` takes. It is shown here and never again.
    #[schemars(regex(pattern = r"^sk_(live|test)_[0-9A-Za-z]{36}$"))]
    key: &'a str,
}

impl<'a> ApiKeyView<'a> {
    /// The view of a key for a caller with the key `current`, if it has one.
    pub(crate) fn of(key: &'a ApiKey, current: Option<ApiKeyId>) -> Self {
        Self {
            id: Shown(key.id),
            org_id: Shown(key.tenant.merchant),
            environment: Text(key.tenant.environment),
            name: key.name.as_ref().map(Text),
            scopes: key.scopes.iter().map(Text).collect(),
            created_at: Shown(key.created_at),
            expires_at: key.expires_at.map(Shown),
            last_used_at: key.last_used_at.map(Shown),
            revoked_at: key.revoked_at.map(Shown),
            is_current: current == Some(key.id),
        }
    }
}

impl<'a> From<&'a CreatedApiKey> for NewApiKeyView<'a> {
    fn from(created: &'a CreatedApiKey) -> Self {
        // A key that was just made has sent nothing.
        Self { about: ApiKeyView::of(&created.key, None), key: created.secret.reveal() }
    }
}

/// Reads the fields of a new key, which is complete once its tenant is known.
pub(crate) fn order(fields: &mut Fields) -> impl FnOnce(Tenant) -> ApiKeyOrder + use<> {
    let name = fields.text("name", Name::parse).into_option();
    let scopes = fields.texts("scopes", Scope::parse).into_option();
    let expires_at = fields.text("expires_at", |text| Timestamp::parse(&text)).into_option();
    fields.refuse_the_rest();
    let scopes = scopes.map_or(Scopes::DEFAULT, |scopes| scopes.into_iter().collect());
    move |tenant| ApiKeyOrder { tenant, name, scopes, expires_at }
}

/// Reads the fields of a rotation: how long the old key stays valid.
pub(crate) fn overlap(fields: &mut Fields) -> Duration {
    let seconds = fields.number("overlap_seconds", 0..=MAX_OVERLAP.as_secs()).into_option();
    fields.refuse_the_rest();
    seconds.map_or(DEFAULT_OVERLAP, Duration::from_secs)
}

/// The body of a new key, as `reader` reads it.
pub(crate) fn creation<T>(reader: impl FnOnce(&mut Fields) -> T) -> Request {
    let expires = "From when on it is refused, in any offset and in the future. Left out or `null`: never, which a \
                   credential that expires itself may not ask for.";
    let scopes = "What it allows its holder to do. Left out or `null`: everything but `keys:manage`.";
    Request::json("CreateApiKey", reader)
        .field("scopes", json!({ "description": scopes }))
        .field("expires_at", time(expires, &json!("2099-01-01T00:00:00Z")))
}

/// The body of a rotation.
pub(crate) fn rotation() -> Request {
    let seconds = "For how many seconds the old key stays valid; 0 revokes it. Left out or `null`: a day. Written in digits \
                   alone: `3600`, not `3600.0` or `3.6e3`, which JSON Schema counts as integers too.";
    Request::json("RotateApiKey", overlap)
        .optional()
        .field("overlap_seconds", json!({ "description": seconds, "examples": [86_400] }))
        .example("an_hour", json!({ "overlap_seconds": 3600 }))
}

/// The segment of a path that names a key.
pub(crate) fn id_parameter(name: &'static str) -> Parameter {
    let about = "The key's identifier. What can never be one is answered as one that no key has.";
    Parameter::path::<Of<ApiKeyId>>(name, about)
}
