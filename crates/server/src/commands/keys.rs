//! `roster keys`

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use roster_application::ports::Clock as _;
use roster_application::{ApiKey, ApiKeyOrder, CreatedApiKey, Operation, PageSize, Roster, Scope, Scopes};
use roster_domain::{ApiKeyId, MerchantId, Name, Tenant};
use serde::Serialize;

use super::end_of;
use crate::cli::{Form, Keys};
use crate::clock::SystemClock;
use crate::compose::{self, Missing};
use crate::config::Config;
use crate::output::{self, List};

/// Makes, lists, rotates or revokes keys.
pub fn run(command: Keys, config: &Config) -> anyhow::Result<()> {
    let roster = compose::open_up_to_date(config, 0, Missing::Refuse)?.roster();
    match command {
        Keys::Create { merchant, environment, name, scopes, expires_in, form } => {
            let tenant = Tenant { merchant, environment };
            let scopes = if scopes.is_empty() { Scopes::DEFAULT } else { scopes.into_iter().collect() };
            let expires_at = expires_in.map(end_of).transpose()?;
            create(&roster, ApiKeyOrder { tenant, name, scopes, expires_at }, form)
        }
        Keys::List { merchant, form } => list(&roster, merchant, form),
        Keys::Rotate { id, overlap, form } => rotate(&roster, id, overlap, form),
        Keys::Revoke { id, form } => revoke(&roster, id, form),
    }
}

fn create(roster: &Roster, order: ApiKeyOrder, form: Form) -> anyhow::Result<()> {
    let merchant = order.tenant.merchant;
    let created = roster
        .create_api_key(order, &Operation::COMMAND_LINE)
        .with_context(|| format!("no key was made for {merchant}"))?;
    print_created(&created, form)
}

fn rotate(roster: &Roster, id: ApiKeyId, overlap: Duration, form: Form) -> anyhow::Result<()> {
    let tenant = tenant_of(roster, id)?;
    let created = roster
        .rotate_api_key(tenant, id, overlap, &Operation::COMMAND_LINE)
        .with_context(|| format!("no key was made in the place of {id}"))?;
    print_created(&created, form)
}

fn print_created(created: &CreatedApiKey, form: Form) -> anyhow::Result<()> {
    let view = KeyView::from(&created.key);
    if form.json {
        return output::print_json(&CreatedView { key: created.secret.reveal(), stored: view });
    }
    let expiry = view.expires_at.as_deref().map_or(String::new(), |end| format!(", valid until {end}"));
    output::print(&format!(
        "{id}  {environment} key of {merchant}{expiry}\n\n  {secret}\n\n\
         Keep it now: it is shown only this once and stored nowhere.\n",
        id = view.id,
        environment = view.environment,
        merchant = view.merchant_id,
        secret = created.secret.reveal(),
    ))
}

fn list(roster: &Roster, merchant: MerchantId, form: Form) -> anyhow::Result<()> {
    let keys = all(roster, merchant)?;
    if form.json {
        return output::print_json(&List { data: keys.iter().map(KeyView::from).collect() });
    }
    if keys.is_empty() {
        return output::print(&format!("{merchant} has no keys.\n"));
    }
    let now = SystemClock.now();
    let row = |key: &ApiKey| {
        [
            key.id.to_string(),
            key.tenant.environment.as_str().to_owned(),
            key.created_at.to_string(),
            super::state(key.revoked_at, key.expires_at, now),
            key.last_used_at.map_or("never".to_owned(), |time| time.to_string()),
            key.scopes.to_string(),
            key.name.as_ref().map_or(String::new(), |name| name.as_str().to_owned()),
        ]
    };
    let headings = ["ID", "ENVIRONMENT", "CREATED", "STATE", "LAST USED", "SCOPES", "NAME"];
    output::print(&output::table(headings, &keys.iter().map(row).collect::<Vec<_>>()))
}

fn revoke(roster: &Roster, id: ApiKeyId, form: Form) -> anyhow::Result<()> {
    let tenant = tenant_of(roster, id)?;
    let revoked = roster.revoke_api_key(tenant, id, &Operation::COMMAND_LINE)?;
    let key = revoked.ok_or_else(|| unknown(id))?;
    if form.json {
        return output::print_json(&KeyView::from(&key));
    }
    let since = key.revoked_at.map_or(String::new(), |time| format!(" since {time}"));
    output::print(&format!("{id} is revoked{since}.\n"))
}

fn tenant_of(roster: &Roster, id: ApiKeyId) -> anyhow::Result<Tenant> {
    roster.tenant_of_api_key(id)?.ok_or_else(|| unknown(id))
}

fn unknown(id: ApiKeyId) -> anyhow::Error {
    anyhow!("there is no key {id}")
}

/// The keys of both environments, the oldest first.
fn all(roster: &Roster, merchant: MerchantId) -> anyhow::Result<Vec<ApiKey>> {
    let mut all: Vec<ApiKey> = Vec::new();
    loop {
        let after = all.last().map(|key| key.id);
        let Some(page) = roster.list_merchant_api_keys(merchant, None, after, PageSize::BULK)? else { return Ok(all) };
        all.extend(page.items);
        if !page.has_more {
            return Ok(all);
        }
    }
}

/// A new key as JSON; the only view with the secret.
#[derive(Serialize)]
struct CreatedView<'a> {
    key: &'a str,
    #[serde(flatten)]
    stored: KeyView<'a>,
}

/// A stored key as JSON.
#[derive(Serialize)]
struct KeyView<'a> {
    id: String,
    merchant_id: String,
    environment: &'static str,
    name: Option<&'a str>,
    scopes: Vec<&'static str>,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    revoked_at: Option<String>,
}

impl<'a> From<&'a ApiKey> for KeyView<'a> {
    fn from(key: &'a ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            merchant_id: key.tenant.merchant.to_string(),
            environment: key.tenant.environment.as_str(),
            name: key.name.as_ref().map(Name::as_str),
            scopes: key.scopes.iter().map(Scope::as_str).collect(),
            created_at: key.created_at.to_string(),
            expires_at: key.expires_at.map(|time| time.to_string()),
            last_used_at: key.last_used_at.map(|time| time.to_string()),
            revoked_at: key.revoked_at.map(|time| time.to_string()),
        }
    }
}
