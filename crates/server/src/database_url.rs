//! The URL that names the database and its place.

use std::fmt;
use std::path::PathBuf;

/// The URL of a database.
///
/// It may contain a password, so neither `Debug` nor any message of this module shows it.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file, relative to the working folder unless its path is absolute.
    Sqlite(PathBuf),
    /// A PostgreSQL URL, as libpq reads it.
    Postgres(String),
}

/// The allowed forms of a URL, for messages.
const FORMS: &str = "must be sqlite://relative.db, sqlite:///absolute.db, postgres://… or postgresql://…";

impl DatabaseUrl {
    /// Reads a URL. The error is the rule that it breaks, without any part of the URL.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            Some(("sqlite", path)) => sqlite_path(path).map(Self::Sqlite),
            // The driver checks the rest when the store is opened.
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(text.to_owned())),
            _ => Err(FORMS.to_owned()),
        }
    }

    /// The name of the database product.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// Fails if this binary was built without the database; the error says how to build one with it.
    pub fn check_built_in(&self) -> Result<(), String> {
        let (feature, built_in) = match self {
            Self::Sqlite(_) => ("sqlite", cfg!(feature = "sqlite")),
            Self::Postgres(_) => ("postgres", cfg!(feature = "postgres")),
        };
        if built_in {
            return Ok(());
        }
        let kind = self.kind();
        Err(format!(
            "this binary was built without {kind}; build one with it: cargo build --release --features {feature}"
        ))
    }

    /// The part of a malformed URL that cannot contain a password, for messages.
    pub fn shown(text: &str) -> String {
        match text.split_once("://") {
            Some(("sqlite", _)) => format!("{text:?}"),
            Some((scheme, _)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+') => {
                format!("\"{scheme}://…\"")
            }
            _ => "(not shown, as it may hold a password)".to_owned(),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({})", self.kind())
    }
}

impl fmt::Display for DatabaseUrl {
    /// Shows the product and, for a file, its path; never a user, a password or a host.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "SQLite {}", path.display()),
            Self::Postgres(_) => f.write_str("PostgreSQL"),
        }
    }
}

/// Takes the path as it is written, but refuses names that SQLite does not read as a file.
///
/// With `:memory:`, for one, each connection would open an empty database of its own.
fn sqlite_path(path: &str) -> Result<PathBuf, String> {
    if path.is_empty() || path.ends_with('/') {
        return Err(format!("{FORMS}: it names no file"));
    }
    if path.starts_with(':') || path.starts_with("file:") {
        return Err(format!("{FORMS}: only files, no databases in memory"));
    }
    if path.contains(['?', '\0']) {
        return Err(format!("{FORMS}: a file takes no parameters"));
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read_as_its_database() {
        assert_eq!(DatabaseUrl::parse("sqlite://data/roster.db"), Ok(DatabaseUrl::Sqlite("data/roster.db".into())));
        assert_eq!(DatabaseUrl::parse("sqlite:///var/lib/a.db"), Ok(DatabaseUrl::Sqlite("/var/lib/a.db".into())));
        for url in [
            "postgres://roster:s3cret@db.example:5432/roster",
            "postgresql://roster@[::1]/roster?sslmode=verify-full&application_name=roster",
            "postgres:///roster?host=/run/postgresql&user=postgres",
            "postgres://u:p%40%2F%3F@a:1,b:2/roster",
        ] {
            assert_eq!(DatabaseUrl::parse(url), Ok(DatabaseUrl::Postgres(url.to_owned())), "{url}");
        }
    }

    #[test]
    fn anything_but_a_database_url_is_refused() {
        for text in [
            "",
            "roster.db",
            "sqlite:roster.db",
            "sqlite://",
            "sqlite:///var/lib/",
            "sqlite://:memory:",
            "sqlite://file:x?mode=memory",
            "sqlite://roster.db?mode=ro",
            "mysql://localhost/roster",
            "POSTGRES://localhost/roster",
        ] {
            assert!(DatabaseUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_shown_part_of_a_url_has_no_password() {
        for text in ["postgres:roster:hunter@db", "hunter", "roster:hunter://db", "mysql://roster:hunter@db"] {
            assert!(!DatabaseUrl::shown(text).contains("hunter"), "{text}");
        }
        assert_eq!(DatabaseUrl::shown("postgres://roster:hunter@db"), "\"postgres://…\"");
        assert_eq!(DatabaseUrl::shown("sqlite://a.db?b"), "\"sqlite://a.db?b\"");
    }

    #[test]
    fn neither_debug_nor_display_shows_a_password() {
        let url = DatabaseUrl::parse("postgres://roster:hunter@db/roster").expect("a URL");
        assert_eq!(format!("{url:?}; {url}"), "DatabaseUrl(PostgreSQL); PostgreSQL");
    }
}
