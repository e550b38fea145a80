//! Connection strings: what is added to the one that a deployment gives.

use std::time::Duration;

/// A connection string that libpq will understand, with our own settings where it left them open.
///
/// It holds a password: it is never printed.
#[derive(Clone)]
pub struct Conninfo(String);

/// Not a connection string. What was given is not repeated, as it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConninfoError {
    /// Neither form that libpq knows.
    #[error("must be a URL, postgresql://user:password@host:port/database, or a list of key=value")]
    Form,
    /// A character that would be taken for the end of a part.
    #[error("the characters @ / ? # in the user or the password of a database URL must be percent-encoded")]
    Unescaped,
    /// An IPv6 address without its brackets.
    #[error("an IPv6 address in a database URL must stand in brackets, such as [::1]:5432")]
    Host,
    /// The port is not a number.
    #[error("the port in a database URL must be a number from 1 to 65535")]
    Port,
    /// Something in the query is not `key=value`.
    #[error("what follows the ? in a database URL must be key=value, separated by &")]
    Query,
    /// A `%` is not followed by two hexadecimal digits, or by those of NUL.
    #[error("a % in a database URL must be followed by two hexadecimal digits, not 00")]
    Percent,
    /// A NUL, which libpq would take for the end.
    #[error("must not contain NUL")]
    Nul,
}

impl Conninfo {
    /// Reads `text` and adds what it leaves open: how long to try to connect, and how long a peer that does not
    /// answer on the network is believed to be there.
    ///
    /// # Errors
    /// [`ConninfoError`] if libpq would not understand it, or misunderstand it.
    pub fn parse(text: &str, connect_timeout: Duration) -> Result<Self, ConninfoError> {
        if text.contains('\0') {
            return Err(ConninfoError::Nul);
        }
        let defaults = defaults(connect_timeout);
        let parsed = match text.split_once("://") {
            Some(("postgres" | "postgresql", rest)) => complete_url(text, rest, &defaults)?,
            _ => complete_list(text, &defaults)?,
        };
        Ok(Self(parsed))
    }

    /// The string, for libpq alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

fn defaults(connect_timeout: Duration) -> Vec<(&'static str, String)> {
    // libpq counts whole seconds, and takes 0 for ever.
    let seconds = connect_timeout.as_millis().div_ceil(1000).max(1);
    vec![
        ("connect_timeout", seconds.to_string()),
        // Milliseconds that what was sent may stay unacknowledged.
        ("tcp_user_timeout", "5000".to_owned()),
        // While an answer is awaited nothing is sent, so a peer is given up after 5 + 3 × 2 seconds of silence.
        ("keepalives_idle", "5".to_owned()),
        ("keepalives_interval", "2".to_owned()),
        ("keepalives_count", "3".to_owned()),
        ("application_name", "roster".to_owned()),
    ]
}

fn complete_url(url: &str, rest: &str, defaults: &[(&str, String)]) -> Result<String, ConninfoError> {
    check_percent(rest)?;
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = place.split_once('/').unwrap_or((place, ""));
    check_authority(authority)?;
    if path.contains('@') {
        return Err(ConninfoError::Unescaped);
    }
    let mut given = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, _) = pair.split_once('=').ok_or(ConninfoError::Query)?;
        given.push(key);
    }
    let missing = defaults.iter().filter(|(key, _)| !given.contains(key));
    let added: Vec<String> = missing.map(|(key, value)| format!("{key}={value}")).collect();
    let separator = match rest.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    Ok(format!("{url}{separator}{}", added.join("&")))
}

/// libpq ends the user at the first `@` and takes the rest for a host; a host it cannot find, it repeats in its error.
fn check_authority(authority: &str) -> Result<(), ConninfoError> {
    let hosts = match authority.split_once('@') {
        Some((_, hosts)) => hosts,
        None => authority,
    };
    if hosts.contains('@') || authority.contains('#') {
        return Err(ConninfoError::Unescaped);
    }
    for host in hosts.split(',') {
        // An IPv6 address stands in brackets and has colons of its own.
        let behind = host.rsplit_once(']').map_or(host, |(_, behind)| behind);
        // libpq repeats the whole URL where a bracket is missing, or where anything but a port follows.
        if host.starts_with('[') && (!host.contains(']') || host.starts_with("[]"))
            || behind.len() < host.len() && !(behind.is_empty() || behind.starts_with(':'))
        {
            return Err(ConninfoError::Host);
        }
        if let Some((_, port)) = behind.split_once(':')
            && !port.is_empty()
            && port.parse::<u16>().ok().is_none_or(|port| port == 0)
        {
            return Err(ConninfoError::Port);
        }
    }
    Ok(())
}

fn check_percent(text: &str) -> Result<(), ConninfoError> {
    // libpq refuses an encoded NUL, and repeats what it stands in.
    let encoded =
        |part: &str| part.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2 && !part.starts_with("00");
    if text.split('%').skip(1).all(encoded) { Ok(()) } else { Err(ConninfoError::Percent) }
}

/// The form `key=value key='a value'`, where `\` makes the next character one of the value.
fn complete_list(list: &str, defaults: &[(&str, String)]) -> Result<String, ConninfoError> {
    let given = keys(list).ok_or(ConninfoError::Form)?;
    if given.is_empty() {
        return Err(ConninfoError::Form);
    }
    let missing = defaults.iter().filter(|(key, _)| !given.iter().any(|given| given == key));
    let added: Vec<String> = missing.map(|(key, value)| format!(" {key}={value}")).collect();
    Ok(format!("{list}{}", added.concat()))
}

/// The keys of a list. `None` if it is none.
fn keys(list: &str) -> Option<Vec<&str>> {
    let mut keys = Vec::new();
    let mut rest = list.trim_start();
    while !rest.is_empty() {
        let (key, value) = rest.split_once('=')?;
        let key = key.trim_end();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return None;
        }
        keys.push(key);
        rest = behind_value(value.trim_start())?.trim_start();
    }
    Some(keys)
}

/// What stands behind the value that `text` starts with. `None` if the value does not end.
fn behind_value(text: &str) -> Option<&str> {
    let quoted = text.starts_with('\'');
    let mut characters = text.char_indices().skip(usize::from(quoted));
    while let Some((place, character)) = characters.next() {
        match character {
            '\\' => {
                characters.next();
            }
            '\'' if quoted => return Some(&text[place + 1..]),
            c if !quoted && c.is_whitespace() => return Some(&text[place..]),
            _ => {}
        }
    }
    (!quoted).then_some("")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDED: [&str; 6] = [
        "connect_timeout=2",
        "tcp_user_timeout=5000",
        "keepalives_idle=5",
        "keepalives_interval=2",
        "keepalives_count=3",
        "application_name=roster",
    ];

    fn parse(text: &str) -> Result<String, ConninfoError> {
        Conninfo::parse(text, Duration::from_millis(1500)).map(|conninfo| conninfo.0)
    }

    #[test]
    fn a_url_gets_what_it_leaves_open() {
        let added = ADDED.join("&");
        for (url, separator) in [
            ("postgres://ada:secret@db.example.com:5432/roster", "?"),
            ("postgresql:///roster?host=/run/postgresql&user=postgres", "&"),
            ("postgresql://[::1]:5432,other/roster?", ""),
            ("postgres://", "?"),
        ] {
            assert_eq!(parse(url), Ok(format!("{url}{separator}{added}")));
        }
    }

    #[test]
    fn a_list_gets_what_it_leaves_open() {
        let added = ADDED.join(" ");
        for list in ["host=/run/postgresql", "host = db password='a b\\' application_name=x' user=\\ x"] {
            assert_eq!(parse(list), Ok(format!("{list} {added}")));
        }
    }

    #[test]
    fn what_is_given_is_kept() {
        let url = parse("postgres://h/db?application_name=mine&connect_timeout=9").expect("a URL");
        assert_eq!(url.matches("application_name").count() + url.matches("connect_timeout").count(), 2);
        let list = parse("application_name='m' keepalives_idle = 1 tcp_user_timeout=1").expect("a list");
        assert_eq!(list.matches("keepalives_idle").count() + list.matches("tcp_user_timeout").count(), 2);
    }

    #[test]
    fn what_libpq_would_misunderstand_is_refused() {
        for (text, error) in [
            ("", ConninfoError::Form),
            ("roster", ConninfoError::Form),
            ("mysql://h/db", ConninfoError::Form),
            ("host=h password='open", ConninfoError::Form),
            ("host=h pass word=x", ConninfoError::Form),
            ("postgres://u:p@ss@h/db", ConninfoError::Unescaped),
            ("postgres://u:1/p@h/db", ConninfoError::Unescaped),
            ("postgres://u:p/w@h/db", ConninfoError::Port),
            ("postgres://h:70000/db", ConninfoError::Port),
            ("postgres://u:p?w@h/db", ConninfoError::Port),
            ("postgres://h/db?sslmode", ConninfoError::Query),
            ("postgres://u:100%@h/db", ConninfoError::Percent),
            ("postgres://u:p%00@h/db", ConninfoError::Percent),
            ("postgres://u:p@[::1/db", ConninfoError::Host),
            ("postgres://u:p@[]/db", ConninfoError::Host),
            ("postgres://u:p@h,[::1]x/db", ConninfoError::Host),
            ("postgres://h/db\0", ConninfoError::Nul),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }
}
