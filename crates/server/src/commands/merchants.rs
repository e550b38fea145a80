//! `roster merchants`

use anyhow::anyhow;
use roster_application::{MerchantChange, Operation, PageSize, Roster};
use roster_domain::{Merchant, MerchantId, MerchantName};
use serde::Serialize;

use crate::cli::{Form, Merchants};
use crate::compose::{self, Missing};
use crate::config::Config;
use crate::output::{self, List};

/// Makes, lists or changes merchants.
pub fn run(command: Merchants, config: &Config) -> anyhow::Result<()> {
    let roster = compose::open_up_to_date(config, 0, Missing::Refuse)?.roster();
    match command {
        Merchants::Create { name, form } => create(&roster, name, form),
        Merchants::List { search, form } => list(&roster, search.as_deref(), form),
        Merchants::Rename { id, name, form } => change(&roster, id, &MerchantChange::Rename(name), form),
        Merchants::Disable { id, form } => change(&roster, id, &MerchantChange::Disable, form),
        Merchants::Enable { id, form } => change(&roster, id, &MerchantChange::Enable, form),
    }
}

fn create(roster: &Roster, name: MerchantName, form: Form) -> anyhow::Result<()> {
    let merchant = roster.create_merchant(name, &Operation::COMMAND_LINE)?;
    if form.json {
        return output::print_json(&MerchantView::from(&merchant));
    }
    output::print(&format!(
        "{id}  {name}\n\nNext, a key for it:\n\n  roster keys create --merchant {id} --environment sandbox\n",
        id = merchant.id,
        name = merchant.name.as_str(),
    ))
}

fn change(roster: &Roster, id: MerchantId, change: &MerchantChange, form: Form) -> anyhow::Result<()> {
    let changed = roster.change_merchant(id, change, &Operation::COMMAND_LINE)?;
    let merchant = changed.ok_or_else(|| anyhow!("there is no merchant {id}"))?;
    if form.json {
        return output::print_json(&MerchantView::from(&merchant));
    }
    output::print(&format!("{id}  {name}  {state}\n", name = merchant.name.as_str(), state = state(&merchant)))
}

fn list(roster: &Roster, search: Option<&str>, form: Form) -> anyhow::Result<()> {
    let merchants = all(roster, search)?;
    if form.json {
        return output::print_json(&List { data: merchants.iter().map(MerchantView::from).collect() });
    }
    if merchants.is_empty() {
        return output::print(match search {
            None => "There are no merchants. Make one:\n\n  roster merchants create NAME\n",
            Some(_) => "No merchant has this text in its name.\n",
        });
    }
    let row = |merchant: &Merchant| {
        let name = merchant.name.as_str().to_owned();
        [merchant.id.to_string(), merchant.created_at.to_string(), state(merchant), name]
    };
    output::print(&output::table(["ID", "CREATED", "STATE", "NAME"], &merchants.iter().map(row).collect::<Vec<_>>()))
}

fn state(merchant: &Merchant) -> String {
    merchant.disabled_at.map_or("enabled".to_owned(), |time| format!("disabled {time}"))
}

fn all(roster: &Roster, search: Option<&str>) -> anyhow::Result<Vec<Merchant>> {
    let mut all: Vec<Merchant> = Vec::new();
    loop {
        let after = all.last().map(|merchant| merchant.id);
        let page = match search {
            None => roster.list_merchants(after, PageSize::BULK)?,
            Some(text) => roster.search_merchants(text, after, PageSize::BULK)?,
        };
        all.extend(page.items);
        if !page.has_more {
            return Ok(all);
        }
    }
}

/// A merchant as JSON.
#[derive(Serialize)]
struct MerchantView<'a> {
    id: String,
    name: &'a str,
    created_at: String,
    disabled_at: Option<String>,
}

impl<'a> From<&'a Merchant> for MerchantView<'a> {
    fn from(merchant: &'a Merchant) -> Self {
        Self {
            id: merchant.id.to_string(),
            name: merchant.name.as_str(),
            created_at: merchant.created_at.to_string(),
            disabled_at: merchant.disabled_at.map(|time| time.to_string()),
        }
    }
}
