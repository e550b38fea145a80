//! Checks the connection string of a deployment and adds default settings to it.

use std::time::Duration;

/// A valid connection string for libpq, with our defaults for the settings that it did not have.
///
/// It may contain a password, so it is never printed: it has no `Debug` and no `Display`.
#[derive(Clone)]
pub struct Conninfo(String);

/// The text is not a usable connection string. The error does not repeat the text, which may contain a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConninfoError {
    /// Neither of the two forms that libpq accepts.
    #[error("must be a URL, postgresql://user:password@host:port/database, or a list of key=value")]
    Form,
    /// An unescaped character that libpq would read as the end of a part of the URL.
    #[error("the characters @ / ? # in the user or the password of a database URL must be percent-encoded")]
    Unescaped,
    /// An IPv6 address without its brackets.
    #[error("an IPv6 address in a database URL must stand in brackets, such as [::1]:5432")]
    Host,
    /// The port is not a number.
    #[error("the port in a database URL must be a number from 1 to 65535")]
    Port,
    /// A part of the query is not `key=value`.
    #[error("what follows the ? in a database URL must be key=value, separated by &")]
    Query,
    /// A `%` is not followed by two hexadecimal digits, or is followed by `00`, which is NUL.
    #[error("a % in a database URL must be followed by two hexadecimal digits, not 00")]
    Percent,
    /// A NUL, which libpq would read as the end of the string.
    #[error("must not contain NUL")]
    Nul,
}

impl Conninfo {
    /// Checks `text` and adds the settings that it does not have: the timeout for connecting, the timeouts after which
    /// a peer that does not answer on the network is given up, and the application's name.
    ///
    /// # Errors
    /// [`ConninfoError`] if libpq would refuse or misread it.
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

    /// The same string for each of its hosts, with this host alone, if it is a URL that names several and says which kind of
    /// server it wants. Otherwise the string itself: libpq gives the order of the hosts a meaning then.
    pub fn hosts(&self) -> Vec<Self> {
        const KINDS: [&str; 4] = ["read-write", "read-only", "primary", "standby"];
        let url = self.0.split_once("://").and_then(|(scheme, rest)| {
            let (location, query) = rest.split_once('?')?;
            let (authority, path) = location.split_once('/').unwrap_or((location, ""));
            let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
            let is_of = |pair: &str| KINDS.iter().any(|kind| pair.strip_prefix("target_session_attrs=") == Some(kind));
            // Hosts may be given in the query instead, and win over those before it.
            let has_hosts = query.split('&').any(|pair| pair.starts_with("host"));
            (query.split('&').any(is_of) && !has_hosts).then_some((scheme, user, hosts, path, query))
        });
        let Some((scheme, user, hosts, path, query)) = url else { return vec![self.clone()] };
        let at = if user.is_empty() { "" } else { "@" };
        let alone = |host: &str| Self(format!("{scheme}://{user}{at}{host}/{path}?{query}"));
        hosts.split(',').map(alone).collect()
    }

    /// The string with its password. Pass it to libpq only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

fn defaults(connect_timeout: Duration) -> Vec<(&'static str, String)> {
    // libpq counts whole seconds, and 0 means no timeout.
    let seconds = connect_timeout.as_millis().div_ceil(1000).max(1);
    vec![
        ("connect_timeout", seconds.to_string()),
        // Milliseconds that sent data may stay unacknowledged.
        ("tcp_user_timeout", "5000".to_owned()),
        // Nothing is sent while a client waits for a response, so keepalives detect a lost peer: after 5 + 3 × 2
        // seconds.
        ("keepalives_idle", "5".to_owned()),
        ("keepalives_interval", "2".to_owned()),
        ("keepalives_count", "3".to_owned()),
        ("application_name", "roster".to_owned()),
    ]
}

fn complete_url(url: &str, rest: &str, defaults: &[(&str, String)]) -> Result<String, ConninfoError> {
    check_percent(rest)?;
    let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = location.split_once('/').unwrap_or((location, ""));
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

/// Refuses a URL of which libpq would repeat a password in an error.
///
/// libpq ends user and password at the first `@`, reads the rest as a host, and names a host that it cannot find: with
/// an unescaped `@` in the password, that name is a part of the password.
fn check_authority(authority: &str) -> Result<(), ConninfoError> {
    let hosts = match authority.split_once('@') {
        Some((_, hosts)) => hosts,
        None => authority,
    };
    if hosts.contains('@') || authority.contains('#') {
        return Err(ConninfoError::Unescaped);
    }
    for host in hosts.split(',') {
        // An IPv6 address is in brackets and contains colons.
        let after_address = host.rsplit_once(']').map_or(host, |(_, after)| after);
        // libpq repeats the whole URL if a bracket is missing, or if anything but a port follows it.
        if host.starts_with('[') && (!host.contains(']') || host.starts_with("[]"))
            || after_address.len() < host.len() && !(after_address.is_empty() || after_address.starts_with(':'))
        {
            return Err(ConninfoError::Host);
        }
        if let Some((_, port)) = after_address.split_once(':')
            && !port.is_empty()
            && port.parse::<u16>().ok().is_none_or(|port| port == 0)
        {
            return Err(ConninfoError::Port);
        }
    }
    Ok(())
}

fn check_percent(text: &str) -> Result<(), ConninfoError> {
    // libpq refuses an encoded NUL, with an error that repeats the text around it, such as a password.
    let encoded =
        |part: &str| part.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2 && !part.starts_with("00");
    if text.split('%').skip(1).all(encoded) { Ok(()) } else { Err(ConninfoError::Percent) }
}

/// Completes the form `key=value key='a value'`, in which `\` escapes the next character of a value.
fn complete_list(list: &str, defaults: &[(&str, String)]) -> Result<String, ConninfoError> {
    let given = keys(list).ok_or(ConninfoError::Form)?;
    if given.is_empty() {
        return Err(ConninfoError::Form);
    }
    let missing = defaults.iter().filter(|(key, _)| !given.iter().any(|given| given == key));
    let added: Vec<String> = missing.map(|(key, value)| format!(" {key}={value}")).collect();
    Ok(format!("{list}{}", added.concat()))
}

/// The keys of a list. `None` if the text is not a list.
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
        rest = after_value(value.trim_start())?.trim_start();
    }
    Some(keys)
}

/// The text after the value that `text` starts with. `None` if the value's closing quote is missing.
fn after_value(text: &str) -> Option<&str> {
    let quoted = text.starts_with('\'');
    let mut characters = text.char_indices().skip(usize::from(quoted));
    while let Some((index, character)) = characters.next() {
        match character {
            '\\' => {
                characters.next();
            }
            '\'' if quoted => return Some(&text[index + 1..]),
            c if !quoted && c.is_whitespace() => return Some(&text[index..]),
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
    fn missing_settings_are_added_to_a_url() {
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
    fn missing_settings_are_added_to_a_list() {
        let added = ADDED.join(" ");
        for list in ["host=/run/postgresql", "host = db password='a b\\' application_name=x' user=\\ x"] {
            assert_eq!(parse(list), Ok(format!("{list} {added}")));
        }
    }

    #[test]
    fn given_settings_are_kept() {
        let url = parse("postgres://h/db?application_name=mine&connect_timeout=9").expect("a URL");
        assert_eq!(url.matches("application_name").count() + url.matches("connect_timeout").count(), 2);
        let list = parse("application_name='m' keepalives_idle = 1 tcp_user_timeout=1").expect("a list");
        assert_eq!(list.matches("keepalives_idle").count() + list.matches("tcp_user_timeout").count(), 2);
    }

    #[test]
    fn a_url_with_several_hosts_is_one_for_each_if_it_wants_a_kind_of_server() {
        let hosts = |text: &str| {
            let conninfo = Conninfo::parse(text, Duration::from_secs(1)).expect("a connection string");
            let added = conninfo.0.strip_prefix(text).expect("what was given").to_owned();
            let hosts = conninfo.hosts().into_iter();
            hosts.map(|host| host.0.strip_suffix(&added).expect("the same settings").to_owned()).collect::<Vec<_>>()
        };
        let kind = "target_session_attrs=read-write";
        let both = format!("postgres://u:p%40@a:5433,[::1]:5434/db?sslmode=require&{kind}");
        let each = [
            format!("postgres://u:p%40@a:5433/db?sslmode=require&{kind}"),
            format!("postgres://u:p%40@[::1]:5434/db?sslmode=require&{kind}"),
        ];
        assert_eq!(hosts(&both), each);
        assert_eq!(
            hosts(&format!("postgres://a,b?{kind}")),
            [format!("postgres://a/?{kind}"), format!("postgres://b/?{kind}")]
        );
        for whole in [
            "postgres://a,b/db",
            "postgres://a,b/db?target_session_attrs=prefer-standby",
            "postgres://a/db?target_session_attrs=read-write",
            "postgres:///db?host=a,b&target_session_attrs=read-write",
            "host=a,b target_session_attrs=read-write",
        ] {
            assert_eq!(hosts(whole), [whole]);
        }
    }

    #[test]
    fn a_string_that_libpq_would_misread_is_refused() {
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
