use super::StoreError;

/// The migrations of a database, as both sides know them.
#[derive(Debug, Clone, Default)]
pub struct MigrationState {
    /// The names of the migrations in this program, such as `00000000000001_initial`. The version is the part before `_`.
    pub known: Vec<String>,
    /// The versions that were applied to the database.
    pub applied: Vec<String>,
    /// Versions that say of themselves that programs which do not know them may use the database all the same.
    pub harmless: Vec<String>,
}

impl MigrationState {
    /// The names of the migrations that are missing, in order.
    ///
    /// # Errors
    /// [`StoreError::Internal`] with the version of a migration that this program does not know and that is not harmless:
    /// a newer program has changed the database, and this one could read or write it wrongly.
    pub fn missing(mut self) -> Result<Vec<String>, StoreError> {
        let is_known = |version: &String| self.known.iter().any(|name| version_of(name) == version);
        if let Some(version) =
            self.applied.iter().find(|version| !is_known(version) && !self.harmless.contains(version))
        {
            return Err(StoreError::internal(format!(
                "the database has the migration {version}, which this program does not know: use a newer program"
            )));
        }
        self.known.retain(|name| !self.applied.iter().any(|version| version == version_of(name)));
        self.known.sort_unstable();
        Ok(self.known)
    }
}

fn version_of(name: &str) -> &str {
    name.split_once('_').map_or(name, |(version, _)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(applied: &[&str], harmless: &[&str]) -> Result<Vec<String>, StoreError> {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let known = texts(&["02_more", "01_initial"]);
        MigrationState { known, applied: texts(applied), harmless: texts(harmless) }.missing()
    }

    #[test]
    fn what_was_not_applied_is_missing_in_order() {
        assert_eq!(missing(&[], &[]).expect("an old database"), ["01_initial", "02_more"]);
        assert_eq!(missing(&["01"], &[]).expect("an old database"), ["02_more"]);
    }

    #[test]
    fn a_database_of_a_newer_program_is_refused_unless_the_migration_is_harmless() {
        let refused = missing(&["01", "02", "03"], &[]).expect_err("a newer database");
        let StoreError::Internal { source } = refused else { panic!("{refused:?}") };
        assert!(source.to_string().contains("the migration 03"), "{source}");
        assert_eq!(missing(&["01", "02", "03"], &["03"]).expect("a harmless migration"), [""; 0]);
    }
}
