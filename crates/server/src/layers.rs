//! Layers of configuration, one over the other, and everything that is wrong with them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use config::{File, FileFormat, Map, Source as _, Value, ValueKind};

use crate::database_url::DatabaseUrl;

/// What the variables of the environment start with.
const PREFIX: &str = "ROSTER__";

/// The conventional name of `database.url`.
const DATABASE_URL: &str = "DATABASE_URL";

/// As many single-letter changes make a mistyped key of a known one.
const NEAR: usize = 3;

/// The defaults, what was laid over them, and the faults found so far.
pub struct Layers {
    defaults: BTreeMap<String, Value>,
    given: BTreeMap<String, Given>,
    faults: Vec<String>,
}

/// A value that was laid over a default.
struct Given {
    value: Value,
    origin: Origin,
}

/// Where a value came from.
enum Origin {
    File(PathBuf),
    Variable(String),
}

/// Everything that is wrong with the configuration.
#[derive(Debug)]
pub struct Faults(Vec<String>);

impl Layers {
    /// Starts with the defaults, which also say which keys there are.
    ///
    /// # Panics
    /// If the defaults are no TOML; they are part of the program.
    pub fn over(defaults: &str) -> Self {
        let defaults = read(defaults).expect("the built-in defaults are TOML");
        Self { defaults: leaves(defaults), given: BTreeMap::new(), faults: Vec::new() }
    }

    /// Every key there is, in order.
    #[cfg(all(test, feature = "sqlite"))]
    pub fn keys(&self) -> Vec<&str> {
        self.defaults.keys().map(String::as_str).collect()
    }

    /// Lays a file over what is there.
    pub fn add_file(&mut self, path: &Path) {
        match read_file(path) {
            Ok(table) => {
                for (key, value) in leaves(table) {
                    self.add(&key, value, Origin::File(path.to_owned()));
                }
            }
            Err(problem) => self.faults.push(format!("{}: {problem}", path.display())),
        }
    }

    /// Lays the variables that are meant for this program over what is there, and `DATABASE_URL` over all.
    pub fn add_variables(&mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) {
        let ours = variables.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let ours: BTreeMap<String, OsString> =
            ours.filter(|(name, _)| name.starts_with(PREFIX) || name == DATABASE_URL).collect();
        let prefixed = ours.range(PREFIX.to_owned()..);
        for (name, value) in prefixed.chain(ours.get_key_value(DATABASE_URL)) {
            match value.to_str() {
                Some(value) => self.add(&key_of(name), Value::from(value), Origin::Variable(name.clone())),
                None => self.faults.push(format!("{name}: must be UTF-8")),
            }
        }
    }

    /// Reads a key with `parse`, whose error is the rule that the value broke. A value that broke it is noted as a
    /// fault, and the default stands in for it so that the other keys are read as well.
    ///
    /// # Panics
    /// If the defaults have no such key or break its rule; they are part of the program.
    pub fn read<T>(&mut self, key: &str, parse: impl Fn(&Value) -> Result<T, String>) -> T {
        match self.given.get(key).map(|given| parse(&given.value)) {
            Some(Ok(value)) => return value,
            Some(Err(rule)) => self.refuse(key, &rule),
            None => {}
        }
        parse(&self.defaults[key]).expect("the built-in defaults keep every rule")
    }

    /// Notes that the value of a known key breaks `rule`.
    pub fn refuse(&mut self, key: &str, rule: &str) {
        let (value, origin) = match self.given.get(key) {
            Some(given) => (&given.value, given.origin.to_string()),
            None => (&self.defaults[key], "the default".to_owned()),
        };
        self.faults.push(format!("{key} = {} (from {origin}): {rule}", shown(key, value)));
    }

    /// Gives `config` out if nothing was wrong.
    pub fn finish<T>(self, config: T) -> Result<T, Faults> {
        if self.faults.is_empty() { Ok(config) } else { Err(Faults(self.faults)) }
    }

    fn add(&mut self, key: &str, value: Value, origin: Origin) {
        if self.defaults.contains_key(key) {
            self.given.insert(key.to_owned(), Given { value, origin });
        } else {
            let fault = self.unknown(key, &origin);
            self.faults.push(fault);
        }
    }

    /// Says that there is no such key, and which was probably meant. The value is not shown: nobody knows what it is.
    fn unknown(&self, key: &str, origin: &Origin) -> String {
        let written = origin.written(key);
        let distance = |known: &&String| strsim::damerau_levenshtein(known, &key.to_lowercase());
        match self.defaults.keys().min_by_key(distance).filter(|known| distance(known) <= NEAR) {
            Some(known) => format!("{written} (from {origin}): no such key; {} is one", origin.written(known)),
            None if self.defaults.keys().any(|known| known.starts_with(&format!("{key}."))) => {
                format!("{written} (from {origin}): a section, and no value")
            }
            None => format!("{written} (from {origin}): no such key"),
        }
    }
}

impl Faults {
    /// The one fault of a value that only its user could judge.
    pub fn of(key: &str, rule: impl fmt::Display) -> Self {
        Self(vec![format!("{key}: {rule}")])
    }
}

impl Origin {
    /// A key in the form that this origin writes it in.
    fn written(&self, key: &str) -> String {
        match self {
            Self::File(_) => key.to_owned(),
            Self::Variable(_) => variable_of(key),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is wrong")?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faults {}

fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

fn key_of(variable: &str) -> String {
    match variable.strip_prefix(PREFIX) {
        Some(rest) => rest.replace("__", ".").to_lowercase(),
        None => "database.url".to_owned(),
    }
}

/// Reads one value in TOML, as a variable holds what is no text. `None` if it is none: what is wrong with it could not be
/// told without a piece of it.
pub fn value(toml: &str) -> Option<Value> {
    let mut table = read(&format!("value = {toml}")).ok()?;
    table.remove("value").filter(|_| table.is_empty())
}

/// A value for a message; what may hold a password or a secret is not shown.
fn shown(key: &str, value: &Value) -> String {
    match &value.kind {
        ValueKind::String(text) if key == "database.url" => DatabaseUrl::shown(text),
        _ if matches!(key, "database.url" | "auth.issuers") => "(not shown)".to_owned(),
        ValueKind::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

fn read_file(path: &Path) -> Result<Map<String, Value>, String> {
    read(&std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?)
}

/// Reads TOML. Of the library's error only the first line is told, which says where; the others repeat a line of the
/// file, which may hold a password.
fn read(text: &str) -> Result<Map<String, Value>, String> {
    File::from_str(text, FileFormat::Toml)
        .collect()
        .map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())
}

/// The values of a table and of the tables in it, by their full keys.
fn leaves(table: Map<String, Value>) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for (name, value) in table {
        match value.kind {
            ValueKind::Table(inner) => {
                all.extend(leaves(inner).into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
            }
            _ => {
                all.insert(name, value);
            }
        }
    }
    all
}
