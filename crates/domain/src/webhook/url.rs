use std::fmt;

use crate::Rule;

/// The URL that deliveries are sent to, as its owner wrote it.
///
/// It is checked as text. Where its host name leads to is checked when a delivery is sent, as that can change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EndpointUrl(String);

/// The rule that a URL broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointUrlError {
    /// It does not begin with a scheme that is allowed.
    #[error("must begin with https://")]
    Scheme,
    /// It has more than [`EndpointUrl::MAX`] characters.
    #[error("must be at most {} characters long", EndpointUrl::MAX)]
    TooLong,
    /// It has a character that a URL must encode.
    #[error("must have only the ASCII characters of a URL; write others as %XX, and host names in Punycode")]
    Character,
    /// It has a user name or a password.
    #[error("must not have a user name or a password")]
    UserInfo,
    /// It has a fragment, which is never sent.
    #[error("must not have a fragment (#…)")]
    Fragment,
    /// It has no host, or one that is malformed.
    #[error("must have a host name or an address")]
    Host,
    /// Its port is not a number from 1 to 65535.
    #[error("must have a port from 1 to 65535, or none")]
    Port,
}

impl Rule for EndpointUrlError {
    fn code(&self) -> &'static str {
        match self {
            Self::Scheme => "invalid_scheme",
            Self::TooLong => "too_long",
            Self::Character => "invalid_character",
            Self::UserInfo => "user_info",
            Self::Fragment => "fragment",
            Self::Host => "invalid_host",
            Self::Port => "invalid_port",
        }
    }
}

impl EndpointUrl {
    /// The most characters: 2,048.
    pub const MAX: usize = 2048;

    /// Checks `text` and takes it unchanged. With `allow_http` its scheme may be http, too: for receivers in a private network.
    ///
    /// # Errors
    /// [`EndpointUrlError`], the first rule that it breaks.
    pub fn parse(text: impl Into<String>, allow_http: bool) -> Result<Self, EndpointUrlError> {
        let text = text.into();
        if text.chars().count() > Self::MAX {
            return Err(EndpointUrlError::TooLong);
        }
        let rest = strip_scheme(&text, "https://").or_else(|| strip_scheme(&text, "http://").filter(|_| allow_http));
        let rest = rest.ok_or(EndpointUrlError::Scheme)?;
        if rest.contains('#') {
            return Err(EndpointUrlError::Fragment);
        }
        // A backslash is a slash to some clients and not to others, so that they would see different hosts.
        if !rest.bytes().all(|byte| byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte)) {
            return Err(EndpointUrlError::Character);
        }
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(EndpointUrlError::UserInfo);
        }
        check_authority(authority)?;
        Ok(Self(text))
    }

    /// Takes the URL of a row that this service wrote, without checking it again.
    #[must_use]
    pub fn restore(text: String) -> Self {
        Self(text)
    }

    /// The URL as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The rest of a text that begins with `scheme` in any case.
fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Checks a host, and the port behind it if there is one.
fn check_authority(authority: &str) -> Result<(), EndpointUrlError> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or(EndpointUrlError::Host)?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| EndpointUrlError::Host)?;
            let port = if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(EndpointUrlError::Host)?) };
            (None, port)
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(authority), None),
        },
    };
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if host.is_some_and(|host| host.is_empty() || host.starts_with('.') || !host.bytes().all(is_of_name)) {
        return Err(EndpointUrlError::Host);
    }
    let is_number =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|n| n > 0);
    if port.is_none_or(is_number) { Ok(()) } else { Err(EndpointUrlError::Port) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_as_it_was_written() {
        for text in [
            "https://example.com",
            "HTTPS://Example.com/Hooks?tenant=1&x=%20",
            "https://example.com:8443/a",
            "https://127.0.0.1",
            "https://[2001:db8::1]:443/",
            "https://my_host.example?x",
        ] {
            assert_eq!(EndpointUrl::parse(text, false).map(|url| url.to_string()), Ok(text.to_owned()));
        }
        assert!(EndpointUrl::parse("http://10.0.0.1/hook", true).is_ok());
    }

    #[test]
    fn each_broken_rule_is_named() {
        use EndpointUrlError::{Character, Fragment, Host, Port, Scheme, TooLong, UserInfo};
        for (text, rule) in [
            ("", Scheme),
            ("http://example.com", Scheme),
            ("ftp://example.com", Scheme),
            ("https:/example.com", Scheme),
            ("https:é", Scheme),
            ("https://", Host),
            ("https:///path", Host),
            ("https://:443", Host),
            ("https://.example.com", Host),
            ("https://exa%6dple.com", Host),
            ("https://[::1", Host),
            ("https://[fe80::1%25eth0]", Host),
            ("https://[::1]x", Host),
            ("https://example.com:0", Port),
            ("https://example.com:65536", Port),
            ("https://example.com:+80", Port),
            ("https://example.com:", Port),
            ("https://example.com:80:80", Port),
            ("https://user@example.com", UserInfo),
            ("https://user:secret@example.com", UserInfo),
            ("https://example.com/#top", Fragment),
            ("https://example.com\\@10.0.0.1", Character),
            ("https://example.com/a b", Character),
            ("https://bücher.example", Character),
            ("https://example.com/\n", Character),
        ] {
            assert_eq!(EndpointUrl::parse(text, false), Err(rule), "{text}");
        }
        let longest = format!("https://example.com/{}", "a".repeat(EndpointUrl::MAX - 20));
        assert!(EndpointUrl::parse(longest.clone(), false).is_ok());
        assert_eq!(EndpointUrl::parse(longest + "a", false), Err(TooLong));
    }
}
