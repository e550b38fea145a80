//! `roster check`

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use roster_application::{Checked, Finding, Invariant};
use serde::Serialize;

use crate::cli::Form;
use crate::compose::{Database, Missing};
use crate::config::Config;
use crate::output;

/// The most findings that are printed; all are counted.
const MOST: usize = 1000;

/// Compares all that is stored with the rules that it keeps. Fails if something breaks one.
pub fn run(config: &Config, form: Form) -> anyhow::Result<()> {
    // Without migrating it: a check writes nothing.
    let database = Database::open(config, 0, Missing::Refuse)?;
    database.require_up_to_date()?;
    let mut report = Report::default();
    let checked = database.roster().check_data(&mut |finding| report.add(finding, form));
    let checked = checked.context("not all was checked")?;
    if form.json {
        output::print_json(&report.view(checked))?;
    } else {
        output::print(&report.text(checked))?;
    }
    match report.total() {
        0 => Ok(()),
        found => bail!("{found} findings"),
    }
}

#[derive(Default)]
struct Report {
    counts: BTreeMap<Invariant, u64>,
    findings: Vec<FindingView>,
}

impl Report {
    fn add(&mut self, finding: Finding, form: Form) {
        *self.counts.entry(finding.invariant).or_default() += 1;
        if self.findings.len() < MOST {
            let finding = FindingView::from(finding);
            if !form.json {
                // At once: a check may take minutes. If it cannot be written, neither can the report, which says so.
                let _ = output::print(&finding.line());
            }
            self.findings.push(finding);
        }
    }

    fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    fn text(&self, checked: Checked) -> String {
        let Checked { tenants, customers, events } = checked;
        let mut text = format!("Checked {customers} customers and {events} events of {tenants} tenants.\n");
        for (invariant, count) in &self.counts {
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "{}: {count}", invariant.as_str());
        }
        text.push_str(if self.counts.is_empty() { "Nothing was found.\n" } else { "" });
        text
    }

    fn view(&self, Checked { tenants, customers, events }: Checked) -> ReportView<'_> {
        let count = |invariant: Invariant| self.counts.get(&invariant).copied().unwrap_or(0);
        ReportView {
            tenants,
            customers,
            events,
            counts: Invariant::ALL.into_iter().map(|invariant| (invariant.as_str(), count(invariant))).collect(),
            findings: &self.findings,
        }
    }
}

/// The result as JSON.
#[derive(Serialize)]
struct ReportView<'a> {
    tenants: u64,
    customers: u64,
    events: u64,
    /// How many findings there are of each kind.
    counts: BTreeMap<&'static str, u64>,
    /// The first of them.
    findings: &'a [FindingView],
}

#[derive(Serialize)]
struct FindingView {
    invariant: &'static str,
    merchant: Option<String>,
    environment: Option<&'static str>,
    detail: String,
}

impl FindingView {
    fn line(&self) -> String {
        let Self { invariant, merchant, environment, detail } = self;
        match (merchant, environment) {
            (Some(merchant), Some(environment)) => format!("{invariant}  {merchant}  {environment}  {detail}\n"),
            _ => format!("{invariant}  {detail}\n"),
        }
    }
}

impl From<Finding> for FindingView {
    fn from(finding: Finding) -> Self {
        Self {
            invariant: finding.invariant.as_str(),
            merchant: finding.tenant.map(|tenant| tenant.merchant.to_string()),
            environment: finding.tenant.map(|tenant| tenant.environment.as_str()),
            detail: finding.detail,
        }
    }
}
