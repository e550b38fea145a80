//! The requests and responses of the surface of operators.

use std::time::Duration;

use actix_web::HttpRequest;
use roster_application::{Action, ApiKeyOrder, LogEntry, OperatorPrincipal, Role};
use roster_domain::{
    Environment, Json, LogEntryId, Merchant, MerchantId, MerchantName, Name, OperatorId, Tenant, Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::api_keys;
use crate::failure::Failure;
use crate::openapi::schema::{Shown, Text};
use crate::request::fields::Fields;
use crate::request::query::{self, PageQuery, set_filter, set_once};

/// The most characters of a search: those of a name.
pub(super) const MAX_SEARCH: usize = MerchantName::MAX;

/// A merchant.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Merchant")]
pub(super) struct MerchantView<'a> {
    id: Shown<MerchantId>,
    name: Text<&'a MerchantName>,
    created_at: Shown<Timestamp>,
    /// Since when its credentials are refused; `null`: they are accepted.
    disabled_at: Option<Shown<Timestamp>>,
}

impl<'a> From<&'a Merchant> for MerchantView<'a> {
    fn from(merchant: &'a Merchant) -> Self {
        Self {
            id: Shown(merchant.id),
            name: Text(&merchant.name),
            created_at: Shown(merchant.created_at),
            disabled_at: merchant.disabled_at.map(Shown),
        }
    }
}

/// An entry of the operator log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LogEntry")]
pub(super) struct LogEntryView<'a> {
    id: Shown<LogEntryId>,
    /// Who did it; `null`: the command line.
    operator_id: Option<Shown<OperatorId>>,
    action: Text<Action>,
    /// What it was done to: the identifier of a merchant, of an API key or of an operator. For a rotation the new key.
    #[schemars(example = &"org_01h2xcejqtf2nbrexx3vqjhp42")]
    target: String,
    /// The request that did it, by which it is found in the service's log; `null`: a command did it.
    request_id: Option<&'a str>,
    created_at: Shown<Timestamp>,
}

impl<'a> From<&'a LogEntry> for LogEntryView<'a> {
    fn from(entry: &'a LogEntry) -> Self {
        Self {
            id: Shown(entry.id),
            operator_id: entry.operation.operator.map(Shown),
            action: Text(entry.action),
            target: entry.target.to_string(),
            request_id: entry.operation.request_id.as_deref(),
            created_at: Shown(entry.created_at),
        }
    }
}

/// What operators may know of a running instance besides its version.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceInformation {
    /// The kind of its database: `SQLite` or `PostgreSQL`.
    pub database: &'static str,
    /// When it started.
    pub started_at: Timestamp,
    /// Its settings by their keys, such as `http.bind`, without those that are secret.
    pub settings: Map<String, Value>,
}

/// The operator who asks.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Operator")]
struct OperatorView<'a> {
    id: Shown<OperatorId>,
    name: Text<&'a Name>,
    role: Text<Role>,
    /// From this time on its key is refused; `null`: never.
    expires_at: Option<Shown<Timestamp>>,
}

/// The instance that answers.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Service")]
pub(super) struct ServiceView<'a> {
    /// The version of the service.
    version: &'static str,
    /// The kind of its database.
    #[schemars(extend("enum" = ["SQLite", "PostgreSQL"]))]
    database: &'static str,
    started_at: Shown<Timestamp>,
    /// For how many seconds it has been running.
    uptime_seconds: u64,
    /// The operator of the credential.
    operator: OperatorView<'a>,
    /// The settings of this instance by their keys, as `config/default.toml` has them, without those that are secret.
    settings: &'a Map<String, Value>,
}

impl<'a> ServiceView<'a> {
    pub(super) fn of(service: &'a ServiceInformation, operator: &'a OperatorPrincipal, now: Timestamp) -> Self {
        let OperatorPrincipal { id, name, role, expires_at } = operator;
        let operator =
            OperatorView { id: Shown(*id), name: Text(name), role: Text(*role), expires_at: expires_at.map(Shown) };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            database: service.database,
            started_at: Shown(service.started_at),
            uptime_seconds: now.since(service.started_at).as_secs(),
            operator,
            settings: &service.settings,
        }
    }
}

/// Reads the query of `GET /admin/v1/merchants`.
pub(super) fn read_merchant_list(request: &HttpRequest) -> Result<(Option<String>, PageQuery), Failure> {
    let mut search = None;
    let page = PageQuery::read_with(request, |name, value| match name {
        "search" if (1..=MAX_SEARCH).contains(&value.chars().count()) => {
            Some(set_once("search", &mut search, value.to_owned()))
        }
        "search" => Some(Err(query::fault("search", &format!("must have 1 to {MAX_SEARCH} characters")))),
        _ => None,
    })?;
    Ok((search, page))
}

/// Reads the query of `GET /admin/v1/merchants/{id}/api_keys`.
pub(super) fn read_key_list(request: &HttpRequest) -> Result<(Option<Environment>, PageQuery), Failure> {
    let mut environment = None;
    let page = PageQuery::read_with(request, |name, value| match name {
        "environment" => Some(set_filter("environment", &mut environment, Environment::parse(value))),
        _ => None,
    })?;
    Ok((environment, page))
}

/// Reads the body of a request that gives a merchant its name.
pub(super) fn read_name(body: Json) -> Result<MerchantName, Failure> {
    let name = Fields::read(body, merchant_name)?;
    // The reader has refused a body without a name.
    name.ok_or(Failure::Internal)
}

/// Reads the fields of a merchant. A body without a name is refused.
pub(super) fn merchant_name(fields: &mut Fields) -> Option<MerchantName> {
    let name = fields.text("name", MerchantName::parse);
    fields.require("name", &name);
    fields.refuse_the_rest();
    name.into_option()
}

/// Reads the body of `POST /admin/v1/merchants/{id}/api_keys`.
pub(super) fn read_api_key_order(merchant: MerchantId, body: Json) -> Result<ApiKeyOrder, Failure> {
    Fields::read(body, api_key_order)?(merchant).ok_or(Failure::Internal)
}

/// Reads the fields of a new key, which is complete once its merchant is known. A body without an environment is refused.
pub(super) fn api_key_order(fields: &mut Fields) -> impl FnOnce(MerchantId) -> Option<ApiKeyOrder> + use<> {
    let environment = fields.text("environment", |text| Environment::parse(&text));
    fields.require("environment", &environment);
    let order = api_keys::order(fields);
    move |merchant| environment.into_option().map(|environment| order(Tenant { merchant, environment }))
}

/// Reads the body of a rotation: how long the old key stays valid.
pub(super) fn read_overlap(body: Json) -> Result<Duration, Failure> {
    Fields::read(body, api_keys::overlap)
}
