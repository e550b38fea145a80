//! Where the events of a merchant are sent to.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use super::public_address::non_public_kind;
use crate::Rule;

/// The URL of a webhook endpoint, as it was given.
///
/// It is an `https://` URL at a public host, of at most 2,048 characters, without a user name, password or fragment.
/// For development, private addresses and `http://` can be allowed, too.
///
/// Its text may be a secret, as many services put a key into the path: `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EndpointUrl(String);

/// Why the URL of an endpoint was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointUrlError {
    /// No text.
    #[error("must not be empty")]
    Empty,
    /// Longer than [`EndpointUrl::MAX`], counted in Unicode characters.
    #[error("must be at most 2,048 characters long")]
    TooLong,
    /// White space or a control character, which a parser of URLs would remove silently.
    #[error("must not contain white space or control characters")]
    WhiteSpace,
    /// Another scheme than `https`, or none.
    #[error("must be an https:// address")]
    NotHttps,
    /// Another scheme than `https` and `http`, or none, where private addresses are allowed.
    #[error("must be an https:// or http:// address")]
    NotHttp,
    /// Not a URL with a valid host and port.
    #[error("must be a valid address, such as https://example.com/webhooks")]
    Invalid,
    /// A user name or a password.
    #[error("must not contain a user name or a password")]
    UserInfo,
    /// A fragment, which is not part of a request.
    #[error("must not contain a fragment (#)")]
    Fragment,
    /// The port 0.
    #[error("must not have the port 0")]
    PortZero,
    /// A host that is not on the public internet.
    #[error("must be a public address: this one is {kind}")]
    NotPublic {
        /// What the host is instead, such as `loopback`.
        kind: &'static str,
    },
}

impl Rule for EndpointUrlError {
    fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::WhiteSpace => "control_character",
            Self::NotHttps => "not_https",
            Self::NotPublic { .. } => "not_public",
            Self::NotHttp | Self::Invalid | Self::UserInfo | Self::Fragment | Self::PortZero => "invalid_url",
        }
    }
}

impl EndpointUrl {
    /// The most characters it may have.
    pub const MAX: usize = 2048;

    /// Checks `text` and takes it unchanged. `allow_private` allows private addresses and `http://`, too.
    ///
    /// A host name is not looked up: where it leads to may change, so that is checked before each request.
    ///
    /// # Errors
    /// [`EndpointUrlError`], the rule that it breaks.
    pub fn parse(text: impl Into<String>, allow_private: bool) -> Result<Self, EndpointUrlError> {
        let url = Self(text.into());
        url.check(allow_private)?;
        Ok(url)
    }

    /// Restores the text of a row that this service wrote, without checking it again.
    #[must_use]
    pub fn restore(text: String) -> Self {
        Self(text)
    }

    /// The text as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks it by the rules of [`EndpointUrl::parse`], and parses it for a request.
    ///
    /// A restored URL may have been checked by other rules, such as before private addresses were forbidden.
    ///
    /// # Errors
    /// [`EndpointUrlError`], the rule that it breaks.
    pub fn check(&self, allow_private: bool) -> Result<Url, EndpointUrlError> {
        let text = self.as_str();
        if text.is_empty() {
            return Err(EndpointUrlError::Empty);
        }
        // A text never has more characters than bytes, so for most texts the first comparison is enough.
        if text.len() > Self::MAX && text.chars().count() > Self::MAX {
            return Err(EndpointUrlError::TooLong);
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(EndpointUrlError::WhiteSpace);
        }
        // The parser would also accept `https:example.com` and `https:\example.com`.
        match (has_scheme(text, "https://"), has_scheme(text, "http://"), allow_private) {
            (true, _, _) | (_, true, true) => {}
            (_, _, false) => return Err(EndpointUrlError::NotHttps),
            (_, _, true) => return Err(EndpointUrlError::NotHttp),
        }
        let url = Url::parse(text).map_err(|_| EndpointUrlError::Invalid)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointUrlError::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(EndpointUrlError::Fragment);
        }
        if url.port() == Some(0) {
            return Err(EndpointUrlError::PortZero);
        }
        let kind = match url.host() {
            None => return Err(EndpointUrlError::Invalid),
            // The parser reads every spelling of an address, such as 0x7f.1 and 2130706433.
            Some(Host::Ipv4(address)) => non_public_kind(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => non_public_kind(IpAddr::V6(address)),
            Some(Host::Domain(name)) => is_localhost(name).then_some("loopback"),
        };
        match kind {
            Some(kind) if !allow_private => Err(EndpointUrlError::NotPublic { kind }),
            _ => Ok(url),
        }
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointUrl(…)")
    }
}

/// Whether `text` starts with `scheme`, in any case.
fn has_scheme(text: &str, scheme: &str) -> bool {
    text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

/// Whether `name` always is the machine itself (RFC 6761 §6.3).
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str, allow_private: bool) -> Option<EndpointUrlError> {
        EndpointUrl::parse(text, allow_private).err()
    }

    #[test]
    fn a_public_https_url_is_taken_as_it_is() {
        for text in [
            "https://example.com",
            "https://example.com/",
            "HTTPS://Example.com/Hooks?key=a%20b&c=d",
            "https://example.com:8443/hooks",
            "https://example.com./hooks",
            "https://bücher.example/ü",
            "https://93.184.216.34/hooks",
            "https://[2606:4700:4700::1111]:443/hooks",
            "https://localhost.example.com/",
            "https://example.com/a@b:c",
        ] {
            for allow_private in [false, true] {
                let url = EndpointUrl::parse(text, allow_private).expect(text);
                assert_eq!(url.as_str(), text);
            }
        }
    }

    #[test]
    fn each_rule_has_its_error() {
        use EndpointUrlError::{Empty, Fragment, Invalid, NotHttps, PortZero, UserInfo, WhiteSpace};
        for (text, error) in [
            ("", Empty),
            (" https://example.com", WhiteSpace),
            ("https://example.com/\n", WhiteSpace),
            ("https://exa\tmple.com/", WhiteSpace),
            ("https://example.com/a b", WhiteSpace),
            ("https://example.com/\0", WhiteSpace),
            ("http://example.com/", NotHttps),
            ("ftp://example.com/", NotHttps),
            ("javascript:alert(1)", NotHttps),
            ("file:///etc/passwd", NotHttps),
            ("example.com/hooks", NotHttps),
            ("//example.com/hooks", NotHttps),
            ("https:example.com", NotHttps),
            ("https:\\\\example.com", NotHttps),
            ("ℎttps://example.com", NotHttps),
            ("https://", Invalid),
            ("https://?key=a", Invalid),
            ("https://:443/", Invalid),
            ("https://example.com:65536/", Invalid),
            ("https://exa<mple.com/", Invalid),
            ("https://1.2.3.4.5/", Invalid),
            ("https://[fe80::1%25eth0]/", Invalid),
            ("https://ada@example.com/", UserInfo),
            ("https://ada:secret@example.com/", UserInfo),
            ("https://:secret@example.com/", UserInfo),
            ("https://example.com/#", Fragment),
            ("https://example.com/#hooks", Fragment),
            ("https://example.com:0/", PortZero),
        ] {
            assert_eq!(refusal(text, false), Some(error), "{text:?}");
        }
    }

    #[test]
    fn a_url_has_at_most_2_048_characters() {
        let long = |length: usize| format!("https://example.com/{}", "ü".repeat(length - "https://example.com/".len()));
        assert_eq!(refusal(&long(2048), false), None);
        assert_eq!(refusal(&long(2049), false), Some(EndpointUrlError::TooLong));
    }

    #[test]
    fn an_address_that_is_not_public_is_refused_in_every_spelling() {
        for (host, kind) in [
            ("127.0.0.1", "loopback"),
            ("127.0.0.1.", "loopback"),
            ("127.1", "loopback"),
            ("0x7f.1", "loopback"),
            ("0x7f000001", "loopback"),
            ("0177.0.0.1", "loopback"),
            ("017700000001", "loopback"),
            ("2130706433", "loopback"),
            ("%31%32%37.0.0.1", "loopback"),
            ("１２７。0。0。1", "loopback"),
            ("0", "unspecified"),
            ("10.0.0.1", "private"),
            ("169.254.169.254", "link-local"),
            ("0xa9fea9fe", "link-local"),
            ("[::1]", "loopback"),
            ("[0:0:0:0:0:0:0:1]", "loopback"),
            ("[::ffff:127.0.0.1]", "IPv4-mapped"),
            ("[::ffff:7f00:1]", "IPv4-mapped"),
            ("[::127.0.0.1]", "IPv4-compatible"),
            ("[64:ff9b::a9fe:a9fe]", "NAT64"),
            ("[fd00:ec2::254]", "private"),
            ("localhost", "loopback"),
            ("LOCALHOST.", "loopback"),
            ("api.localhost", "loopback"),
        ] {
            for text in [format!("https://{host}"), format!("https://{host}:8443/hooks")] {
                assert_eq!(refusal(&text, false), Some(EndpointUrlError::NotPublic { kind }), "{text}");
                assert_eq!(refusal(&text, true), None, "{text}");
            }
        }
    }

    #[test]
    fn private_addresses_and_http_can_be_allowed() {
        for text in ["http://127.0.0.1:8080/hooks", "http://localhost/", "HTTP://example.com"] {
            assert_eq!(refusal(text, true), None, "{text}");
            assert_eq!(refusal(text, false), Some(EndpointUrlError::NotHttps), "{text}");
        }
        assert_eq!(refusal("ftp://localhost/", true), Some(EndpointUrlError::NotHttp));
        assert_eq!(refusal("http://localhost:0/", true), Some(EndpointUrlError::PortZero));
        assert_eq!(refusal("http://ada@localhost/", true), Some(EndpointUrlError::UserInfo));
    }

    #[test]
    fn a_restored_url_is_checked_by_the_rules_of_today() {
        let url = EndpointUrl::restore("http://127.0.0.1/hooks".to_owned());
        assert_eq!(url.check(true).map(String::from), Ok("http://127.0.0.1/hooks".to_owned()));
        assert_eq!(url.check(false), Err(EndpointUrlError::NotHttps));
    }

    #[test]
    fn debug_does_not_show_the_url() {
        let url = EndpointUrl::parse("https://example.com/key/8e03978e", false).expect("a URL");
        assert_eq!(format!("{url:?}"), "EndpointUrl(…)");
    }
}
