//! Dry runs of imports: what would become of the rows of a file.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use roster_domain::{Edit, ImportId, Tenant};

use super::import_customers::{ImportBatch, ImportError, ImportRules, Keep, Report, RowRefusal, external_id};
use crate::import::{Import, ImportCounts, ImportedCustomer, OnConflict};
use crate::ports::Identifier;
use crate::{Digest, Roster};

/// How many identifiers of rows a dry run remembers: those of 1.7 million rows with two each. They take 57 MiB at most.
pub const MAX_REHEARSED: u64 = 3_500_000;

/// A dry run, and what its rows have claimed so far.
#[derive(Debug)]
pub struct Rehearsal {
    /// How far it has come.
    pub import: Import,
    /// The hashes of identifiers: they are compared with those of later rows, which no transaction sees any more.
    claimed: HashSet<u64>,
}

impl Rehearsal {
    fn has(&self, identifier: Identifier<'_>) -> bool {
        self.claimed.contains(&hash(identifier))
    }

    fn claim(&mut self, row: &ImportedCustomer) {
        for identifier in [email(row), id(row)].into_iter().flatten() {
            if (self.claimed.len() as u64) < MAX_REHEARSED {
                self.claimed.insert(hash(identifier));
            }
        }
    }

    /// What becomes of a row that an earlier batch has the identifiers of. `None`: none has.
    fn verdict(&self, row: &ImportedCustomer, rules: ImportRules) -> Option<Verdict> {
        let repeats_id = id(row).is_some_and(|id| self.has(id));
        let repeats_email = email(row).is_some_and(|email| self.has(email));
        let has_id = id(row).is_some();
        match (repeats_id, repeats_email, rules.on_conflict) {
            (false, false, _) => None,
            (true, _, OnConflict::Update) => Some(Verdict::Updates),
            (false, true, OnConflict::Update) if !has_id => Some(Verdict::Updates),
            (false, true, _) if rules.shares_emails => None,
            (_, _, OnConflict::Skip) => Some(Verdict::Skipped),
            (true, _, OnConflict::Fail) => Some(Verdict::Refused(RowRefusal::ExternalIdRepeated)),
            (false, true, _) => Some(Verdict::Refused(RowRefusal::EmailRepeated)),
        }
    }
}

enum Verdict {
    Updates,
    Skipped,
    Refused(RowRefusal),
}

impl Roster {
    /// Begins a dry run: nothing of it is kept.
    #[must_use]
    pub fn rehearse_import(&self, tenant: Tenant, digest: Digest) -> Rehearsal {
        let now = self.now();
        let import = Import {
            tenant,
            id: ImportId::new(self.ids.next(now)),
            digest,
            options: String::new(),
            counts: ImportCounts::default(),
            created_at: now,
            updated_at: now,
            finished_at: None,
        };
        Rehearsal { import, claimed: HashSet::new() }
    }

    /// Finds out what would become of the rows of a batch after those of the batches before it.
    ///
    /// # Errors
    /// [`ImportError`]
    pub fn rehearse_batch(
        &self,
        rehearsal: &mut Rehearsal,
        rules: ImportRules,
        batch: &ImportBatch,
        report: &mut Report<'_>,
    ) -> Result<(), ImportError> {
        let (mut repeated, mut more) = (Vec::new(), ImportCounts::default());
        let mut others = ImportBatch { rows: Vec::with_capacity(batch.rows.len()), ..*batch };
        for (number, row) in &batch.rows {
            match rehearsal.verdict(row, rules) {
                None => others.rows.push((*number, row.clone())),
                Some(Verdict::Updates) => {
                    more.updated += 1;
                    rehearsal.claim(row);
                }
                Some(Verdict::Skipped) => more.skipped += 1,
                Some(Verdict::Refused(refusal)) => repeated.push((*number, refusal)),
            }
        }
        let mut refused = HashSet::new();
        let mut report_all = |of_store: &[(u64, RowRefusal)]| {
            refused = of_store.iter().map(|(number, _)| *number).collect();
            let mut all = [of_store, &repeated].concat();
            all.sort_by_key(|(number, _)| *number);
            report(&all)
        };
        let mut import = self.try_batch(&rehearsal.import, rules, Keep::Nothing, &others, &mut report_all)?;
        let counts = &mut import.counts;
        counts.updated += more.updated;
        counts.skipped += more.skipped;
        counts.failed += repeated.len() as u64;
        counts.faults += repeated.len() as u64;
        rehearsal.import = import;
        for (_, row) in others.rows.iter().filter(|(number, _)| !refused.contains(number)) {
            rehearsal.claim(row);
        }
        Ok(())
    }
}

fn email(row: &ImportedCustomer) -> Option<Identifier<'_>> {
    match &row.edit.email {
        Edit::Set(email) => Some(Identifier::EmailKey(email.key())),
        Edit::Keep | Edit::Clear => None,
    }
}

fn id(row: &ImportedCustomer) -> Option<Identifier<'_>> {
    external_id(row).map(|id| Identifier::ExternalId(id.as_str()))
}

fn hash(identifier: Identifier<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    identifier.hash(&mut hasher);
    hasher.finish()
}
