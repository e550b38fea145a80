//! Layers of configuration, where a later layer overrides an earlier one, and the list of all faults in them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use config::{File, FileFormat, Map, Source as _, Value, ValueKind};

use crate::database_url::DatabaseUrl;

/// The prefix of this program's environment variables.
const PREFIX: &str = "ROSTER__";

/// The conventional name of `database.url`.
const DATABASE_URL: &str = "DATABASE_URL";

/// Keys whose values may contain a password or a secret.
const SECRET: [&str; 4] = ["auth.issuers", "database.replica_url", "database.url", "webhooks.signing_key"];

/// The largest edit distance at which an unknown key counts as a misspelling of a known one.
const MAX_TYPO_DISTANCE: usize = 3;

/// The defaults, the values that override them, and the faults found so far.
pub struct Layers {
    defaults: BTreeMap<String, Value>,
    given: BTreeMap<String, Given>,
    faults: Vec<String>,
}

/// A value that overrides a default.
struct Given {
    value: Value,
    origin: Origin,
}

/// Where a value came from.
enum Origin {
    File(PathBuf),
    Variable(String),
}

/// All faults of the configuration, one message each.
#[derive(Debug)]
pub struct Faults(Vec<String>);

impl Layers {
    /// Starts with the defaults, which also define the known keys.
    ///
    /// # Panics
    /// If the defaults are not TOML; they are part of the program.
    pub fn over(defaults: &str) -> Self {
        let defaults = read(defaults).expect("the built-in defaults are TOML");
        Self { defaults: leaves(defaults), given: BTreeMap::new(), faults: Vec::new() }
    }

    /// All known keys, sorted.
    #[cfg(all(test, feature = "sqlite"))]
    pub fn keys(&self) -> Vec<&str> {
        self.defaults.keys().map(String::as_str).collect()
    }

    /// Adds the values of a file, which override all earlier ones.
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

    /// Adds the values of this program's environment variables, and then that of `DATABASE_URL`.
    ///
    /// Each overrides all earlier ones; other variables are ignored.
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

    /// Reads a key with `parse`, whose error is the rule that the value breaks.
    ///
    /// A wrong value is noted as a fault, and the default is returned, so that the other keys are checked as well.
    ///
    /// # Panics
    /// If the defaults lack the key or break its rule; they are part of the program.
    pub fn read<T>(&mut self, key: &str, parse: impl Fn(&Value) -> Result<T, String>) -> T {
        match self.given.get(key).map(|given| parse(&given.value)) {
            Some(Ok(value)) => return value,
            Some(Err(rule)) => self.refuse(key, &rule),
            None => {}
        }
        parse(&self.defaults[key]).expect("the built-in defaults keep every rule")
    }

    /// The values that count, by their keys, without those that may contain a secret. A text of the environment is shown as what it
    /// says where the default is no text.
    pub fn settings(&self) -> serde_json::Map<String, serde_json::Value> {
        let keys = self.defaults.iter().filter(|(key, _)| !SECRET.contains(&key.as_str()));
        let setting = |(key, default): (&String, &Value)| {
            let value = self.given.get(key).map_or(default, |given| &given.value);
            (key.clone(), as_json(value, default))
        };
        keys.map(setting).collect()
    }

    /// Notes as a fault that the value of a known key breaks `rule`.
    pub fn refuse(&mut self, key: &str, rule: &str) {
        let (value, origin) = match self.given.get(key) {
            Some(given) => (&given.value, given.origin.to_string()),
            None => (&self.defaults[key], "the default".to_owned()),
        };
        self.faults.push(format!("{key} = {} (from {origin}): {rule}", shown(key, value)));
    }

    /// Returns `config` if there are no faults.
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

    /// The message for an unknown key, with the known key that it resembles.
    ///
    /// The value is not in it: under an unknown key it may be a secret.
    fn unknown(&self, key: &str, origin: &Origin) -> String {
        let written = origin.written(key);
        let distance = |known: &&String| strsim::damerau_levenshtein(known, &key.to_lowercase());
        match self.defaults.keys().min_by_key(distance).filter(|known| distance(known) <= MAX_TYPO_DISTANCE) {
            Some(known) => format!("{written} (from {origin}): no such key; {} is one", origin.written(known)),
            None if self.defaults.keys().any(|known| known.starts_with(&format!("{key}."))) => {
                format!("{written} (from {origin}): a section, and no value")
            }
            None => format!("{written} (from {origin}): no such key"),
        }
    }
}

impl Faults {
    /// One fault, found only when the value was used, not when it was parsed.
    pub fn of(key: &str, rule: impl fmt::Display) -> Self {
        Self(vec![format!("{key}: {rule}")])
    }
}

impl Origin {
    /// A key as this origin spells it.
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

/// Reads one TOML value, for variables whose value is not a text.
///
/// `None` if it is not TOML. There is no reason with it: the library's message repeats part of the value.
pub fn value(toml: &str) -> Option<Value> {
    let mut table = read(&format!("value = {toml}")).ok()?;
    table.remove("value").filter(|_| table.is_empty())
}

/// A value for a message, or a placeholder if it may contain a password or a secret.
fn shown(key: &str, value: &Value) -> String {
    match &value.kind {
        ValueKind::String(text) if ["database.url", "database.replica_url"].contains(&key) => DatabaseUrl::shown(text),
        _ if SECRET.contains(&key) => "(not shown)".to_owned(),
        ValueKind::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

/// A value as JSON; a text as what it says if `default` is no text.
fn as_json(value: &Value, default: &Value) -> serde_json::Value {
    let read = |text: &str| match &default.kind {
        ValueKind::Boolean(_) => text.parse().ok().map(serde_json::Value::Bool),
        ValueKind::I64(_) => text.parse::<i64>().ok().map(Into::into),
        ValueKind::Array(_) => {
            Some(text.split(',').map(str::trim).filter(|one| !one.is_empty()).collect::<Vec<_>>().into())
        }
        _ => None,
    };
    match &value.kind {
        ValueKind::Boolean(flag) => (*flag).into(),
        ValueKind::I64(number) => (*number).into(),
        ValueKind::Array(elements) => {
            let element = |element: &Value| as_json(element, element);
            elements.iter().map(element).collect::<Vec<_>>().into()
        }
        ValueKind::String(text) => read(text).unwrap_or_else(|| text.as_str().into()),
        other => other.to_string().into(),
    }
}

fn read_file(path: &Path) -> Result<Map<String, Value>, String> {
    read(&std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?)
}

/// Reads TOML. The error is only the first line of the library's message, which has the position.
///
/// The other lines repeat a line of the file, which may contain a password.
fn read(text: &str) -> Result<Map<String, Value>, String> {
    File::from_str(text, FileFormat::Toml)
        .collect()
        .map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())
}

/// The values of a table and of its inner tables, by their full keys, such as `http.bind`.
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
