//! `auth.issuers`: the issuers whose tokens are accepted.

use std::path::PathBuf;

use config::{Map, Value, ValueKind};
use roster_jwt::{Fault, Issuer, Settings};

use crate::layers;

/// Reads an array of tables, or a text with that array in TOML, as in an environment variable.
///
/// Errors name the number of the issuer and the field, never the value, which may be a secret.
pub fn parse(value: &Value) -> Result<Vec<Issuer>, String> {
    let rule = "must be an array of tables, each an issuer, in TOML";
    let tables = tables(value).ok_or(rule)?;
    let (mut issuers, mut faults) = (Vec::<Issuer>::new(), Vec::new());
    for (number, table) in (1..).zip(tables) {
        match issuer(table) {
            Ok(issuer) if issuers.iter().any(|other| other.name() == issuer.name()) => {
                faults.push(format!("issuer {number}, issuer: another one has this name"));
            }
            Ok(issuer) => issuers.push(issuer),
            Err(wrong) => faults.extend(wrong.into_iter().map(|fault| format!("issuer {number}, {fault}"))),
        }
    }
    if faults.is_empty() { Ok(issuers) } else { Err(faults.join("; ")) }
}

fn tables(value: &Value) -> Option<Vec<Map<String, Value>>> {
    let items = match &value.kind {
        ValueKind::String(toml) => layers::value(toml)?.into_array(),
        _ => value.clone().into_array(),
    };
    let table = |item: Value| match item.kind {
        ValueKind::Table(table) => Some(table),
        _ => None,
    };
    items.ok()?.into_iter().map(table).collect()
}

/// Reads one issuer. The error lists all fields that break a rule.
fn issuer(table: Map<String, Value>) -> Result<Issuer, Vec<String>> {
    let mut fields = Fields { unread: table, faults: Vec::new() };
    let settings = Settings {
        issuer: fields.text("issuer"),
        audience: fields.texts("audience"),
        algorithms: fields.texts("algorithms"),
        secret: fields.text("secret"),
        public_key: fields.text("public_key"),
        key_id: fields.text("key_id"),
        jwks_file: fields.text("jwks_file").map(PathBuf::from),
        jwks_url: fields.text("jwks_url"),
        merchant_claim: fields.text("merchant_claim"),
        environment_claim: fields.text("environment_claim"),
        scope_claim: fields.text("scope_claim"),
        leeway_seconds: fields.number("leeway_seconds"),
    };
    fields.finish()?;
    let message = |Fault { field, rule }| format!("{field}: {rule}");
    Issuer::parse(settings).map_err(|faults| faults.into_iter().map(message).collect())
}

/// The fields of one issuer that are not read yet, and the faults of those that are.
struct Fields {
    unread: Map<String, Value>,
    faults: Vec<String>,
}

impl Fields {
    fn text(&mut self, name: &str) -> Option<String> {
        self.read(name, "must be a text", text)
    }

    /// Reads a text, or an array of texts.
    fn texts(&mut self, name: &str) -> Vec<String> {
        let texts = |value: Value| match value.kind {
            ValueKind::Array(items) => items.into_iter().map(text).collect(),
            _ => text(value).map(|text| vec![text]),
        };
        self.read(name, "must be a text or an array of texts", texts).unwrap_or_default()
    }

    fn number(&mut self, name: &str) -> Option<i64> {
        let number = |value: Value| match value.kind {
            ValueKind::I64(number) => Some(number),
            _ => None,
        };
        self.read(name, "must be a whole number", number)
    }

    fn read<T>(&mut self, name: &str, rule: &str, read: impl Fn(Value) -> Option<T>) -> Option<T> {
        let value = self.unread.remove(name)?;
        let read = read(value);
        if read.is_none() {
            self.faults.push(format!("{name}: {rule}"));
        }
        read
    }

    /// Returns all faults. A field that is left unread is unknown, and a fault.
    fn finish(mut self) -> Result<(), Vec<String>> {
        let mut unknown: Vec<_> = self.unread.into_keys().map(|name| format!("{name}: no such field")).collect();
        unknown.sort_unstable();
        self.faults.append(&mut unknown);
        if self.faults.is_empty() { Ok(()) } else { Err(self.faults) }
    }
}

fn text(value: Value) -> Option<String> {
    match value.kind {
        ValueKind::String(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The faults of an array of issuers in TOML.
    fn faults(toml: &str) -> String {
        parse(&Value::from(toml)).expect_err("a fault")
    }

    const GOOD: &str =
        "issuer = 'i', audience = 'a', algorithms = 'HS256', secret = 'a secret of thirty-two bytes, no less'";

    #[test]
    fn an_issuer_may_have_every_field() {
        let key = "-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\\n-----END PUBLIC KEY-----";
        let issuers = parse(&Value::from(format!(
            "[{{ {GOOD}, key_id = '1', merchant_claim = 'm', environment_claim = 'e', scope_claim = 's' }}, \
             {{ issuer = 'j', audience = ['a', 'b'], algorithms = ['EdDSA'], public_key = \"{key}\", leeway_seconds = 0 }}, \
             {{ issuer = 'k', audience = ['a'], algorithms = ['RS256', 'ES256'], jwks_file = 'keys.json' }}, \
             {{ issuer = 'l', audience = ['a'], algorithms = ['RS256'], jwks_url = 'https://l.example/keys' }}]"
        )));
        let names = issuers.map(|issuers| issuers.iter().map(|issuer| issuer.name().to_owned()).collect::<Vec<_>>());
        assert_eq!(names, Ok(["i", "j", "k", "l"].map(str::to_owned).into()));
        assert_eq!(parse(&Value::from("[]")), Ok(Vec::new()));
    }

    #[test]
    fn a_fault_names_the_issuer_the_field_and_the_rule() {
        assert_eq!(
            faults(&format!("[{{ {GOOD} }}, {{ {GOOD}, leeway_seconds = 31 }}]")),
            "issuer 2, leeway_seconds: must be a whole number from 0 to 30"
        );
        assert_eq!(
            faults("[{ issuer = 1, audience = [1], algorithms = {}, secret = true, leeway_seconds = '1', iss = 'i' }]"),
            "issuer 1, issuer: must be a text; issuer 1, audience: must be a text or an array of texts; \
             issuer 1, algorithms: must be a text or an array of texts; issuer 1, secret: must be a text; \
             issuer 1, leeway_seconds: must be a whole number; issuer 1, iss: no such field"
        );
        assert!(faults("[{}]").starts_with("issuer 1, algorithms: must be one or more of HS256"));
    }

    #[test]
    fn a_second_issuer_with_the_same_name_is_refused() {
        assert_eq!(faults(&format!("[{{ {GOOD} }}, {{ {GOOD} }}]")), "issuer 2, issuer: another one has this name");
    }

    #[test]
    fn anything_but_an_array_of_tables_is_refused() {
        for toml in ["", "i", "1", "{}", "[1]", "[[]]", "[{}", "[]\nother = 1", "[] # none\n[table]"] {
            assert_eq!(faults(toml), "must be an array of tables, each an issuer, in TOML", "{toml}");
        }
    }
}
