//! `roster merchants`

use roster_application::{PageSize, Roster};
use roster_domain::{Merchant, MerchantName};
use serde::Serialize;

use crate::cli::{Form, Merchants};
use crate::compose::{self, Missing};
use crate::config::Config;
use crate::output::{self, List};

/// Makes or lists merchants.
pub fn run(command: Merchants, config: &Config) -> anyhow::Result<()> {
    let roster = compose::open_up_to_date(config, 0, Missing::Refuse)?.roster();
    match command {
        Merchants::Create { name, form } => create(&roster, name, form),
        Merchants::List { form } => list(&roster, form),
    }
}

fn create(roster: &Roster, name: MerchantName, form: Form) -> anyhow::Result<()> {
    let merchant = roster.create_merchant(name)?;
    if form.json {
        return output::print_json(&MerchantView::from(&merchant));
    }
    output::print(&format!(
        "{id}  {name}\n\nNext, a key for it:\n\n  roster keys create --merchant {id} --environment sandbox\n",
        id = merchant.id,
        name = merchant.name.as_str(),
    ))
}

fn list(roster: &Roster, form: Form) -> anyhow::Result<()> {
    let merchants = all(roster)?;
    if form.json {
        return output::print_json(&List { data: merchants.iter().map(MerchantView::from).collect() });
    }
    if merchants.is_empty() {
        return output::print("There are no merchants. Make one:\n\n  roster merchants create NAME\n");
    }
    let row = |merchant: &Merchant| {
        [merchant.id.to_string(), merchant.created_at.to_string(), merchant.name.as_str().to_owned()]
    };
    output::print(&output::table(["ID", "CREATED", "NAME"], &merchants.iter().map(row).collect::<Vec<_>>()))
}

fn all(roster: &Roster) -> anyhow::Result<Vec<Merchant>> {
    let mut all: Vec<Merchant> = Vec::new();
    loop {
        let page = roster.list_merchants(all.last().map(|merchant| merchant.id), PageSize::BULK)?;
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
}

impl<'a> From<&'a Merchant> for MerchantView<'a> {
    fn from(merchant: &'a Merchant) -> Self {
        Self { id: merchant.id.to_string(), name: merchant.name.as_str(), created_at: merchant.created_at.to_string() }
    }
}
