//! Sessions: the key that a visitor signed in with, sealed in a cookie. The server keeps nothing.
//!
//! All instances of the service seal with the same keys, so a visitor may be answered by any of them. A session ends with its time,
//! with its key, or if the visitor's browser forgets the cookie.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// The longest that a session lasts, and the default.
pub const LONGEST_SESSION: Duration = Duration::from_hours(12);

/// The first byte of what is sealed. Another format has another number.
const FORMAT: u8 = 1;

/// The bytes of a session's identifier.
const ID_LEN: usize = 16;

/// The bytes in front of the key: the format, the time of the start, the identifier.
const HEAD_LEN: usize = 1 + 8 + ID_LEN;

/// The part of a merchant's data that a key sees, and a session with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Environment {
    Live,
    Sandbox,
}

impl Environment {
    pub(crate) const ALL: [Self; 2] = [Self::Live, Self::Sandbox];

    /// Its name, which is a part of the paths of its pages.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Sandbox => "sandbox",
        }
    }

    /// The environment with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|environment| environment.as_str() == name)
    }
}

/// The pages that a session opens. A key opens those of one area, and each area has a session and a cookie of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Area {
    /// Those of a merchant in one environment.
    Merchant(Environment),
    /// Those of operators.
    Operators,
}

impl Area {
    pub(crate) const ALL: [Self; 3] =
        [Self::Merchant(Environment::Live), Self::Merchant(Environment::Sandbox), Self::Operators];

    /// Its name, which is a part of the paths of its pages.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Merchant(environment) => environment.as_str(),
            Self::Operators => "operators",
        }
    }

    /// The area with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|area| area.as_str() == name)
    }

    /// What its keys begin with.
    pub(crate) const fn key_prefix(self) -> &'static str {
        match self {
            Self::Merchant(Environment::Live) => "sk_live_",
            Self::Merchant(Environment::Sandbox) => "sk_test_",
            Self::Operators => "sk_admin_",
        }
    }

    /// The area that a key opens, by its beginning.
    pub(crate) fn of_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|area| key.starts_with(area.key_prefix()))
    }

    /// The name of the cookie of its session.
    pub(crate) const fn cookie(self) -> &'static str {
        match self {
            Self::Merchant(Environment::Live) => "roster_console_live",
            Self::Merchant(Environment::Sandbox) => "roster_console_sandbox",
            Self::Operators => "roster_console_operator",
        }
    }
}

/// A visitor who has signed in.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Session {
    id: [u8; ID_LEN],
    started_at: i64,
    /// The API key, or the key of an operator.
    pub(crate) key: String,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("started_at", &self.started_at).finish_non_exhaustive()
    }
}

/// Why a cookie is no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionError {
    /// It was not sealed here, or for another area.
    Unknown,
    /// Its time is over.
    Expired,
}

/// Seals and opens sessions, and makes the tokens of forms.
pub(crate) struct Sessions {
    seal: RandomizedNonceKey,
    forms: hmac::Key,
    lifetime: i64,
}

impl Sessions {
    /// Keys made from the secret of the service.
    pub(crate) fn new(secret: &[u8; 32], lifetime: Duration) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        // A key of its own for each use, by a name of that use.
        let derive = |name: &str| hmac::sign(&secret, name.as_bytes());
        let seal = RandomizedNonceKey::new(&AES_256_GCM, derive("roster console sessions").as_ref());
        Self {
            seal: seal.expect("a key of 32 bytes"),
            forms: hmac::Key::new(hmac::HMAC_SHA256, derive("roster console forms").as_ref()),
            lifetime: i64::try_from(lifetime.min(LONGEST_SESSION).as_secs()).unwrap_or(0),
        }
    }

    /// How long a session lasts, in seconds.
    pub(crate) fn lifetime(&self) -> i64 {
        self.lifetime
    }

    /// A new session, sealed for a cookie. `None` if the system has no randomness.
    pub(crate) fn start(&self, area: Area, key: &str, now: i64) -> Option<String> {
        let mut text = Vec::with_capacity(HEAD_LEN + key.len() + 32);
        text.push(FORMAT);
        text.extend_from_slice(&now.to_be_bytes());
        text.extend_from_slice(&random::<ID_LEN>()?);
        text.extend_from_slice(key.as_bytes());
        let nonce = self.seal.seal_in_place_append_tag(Aad::from(area.cookie()), &mut text).ok()?;
        Some(BASE64_URL_SAFE_NO_PAD.encode([nonce.as_ref().as_slice(), &text].concat()))
    }

    /// The session of a cookie.
    pub(crate) fn open(&self, area: Area, cookie: &str, now: i64) -> Result<Session, SessionError> {
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(cookie).map_err(|_| SessionError::Unknown)?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(SessionError::Unknown)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SessionError::Unknown)?;
        let text = self.seal.open_in_place(nonce, Aad::from(area.cookie()), sealed);
        let session = text.ok().and_then(|text| Session::read(text)).ok_or(SessionError::Unknown)?;
        // A clock that was set back must not make a session longer.
        let age = now.saturating_sub(session.started_at);
        if (0..self.lifetime).contains(&age) { Ok(session) } else { Err(SessionError::Expired) }
    }

    /// When a session ends, in Unix seconds.
    pub(crate) fn end(&self, session: &Session) -> i64 {
        session.started_at.saturating_add(self.lifetime)
    }

    /// The token that the forms of a session have.
    pub(crate) fn token(&self, session: &Session) -> String {
        self.token_of(&session.id)
    }

    /// Whether a form of this session has sent the token. The comparison takes constant time.
    pub(crate) fn accepts(&self, session: &Session, token: &str) -> bool {
        self.accepts_of(&session.id, token)
    }

    /// The token that the sign-in form of a browser has: `browser` is the text of a cookie.
    pub(crate) fn sign_in_token(&self, browser: &str) -> String {
        self.token_of(format!("sign-in {browser}").as_bytes())
    }

    /// Whether the sign-in form of this browser has sent the token.
    pub(crate) fn accepts_sign_in(&self, browser: &str, token: &str) -> bool {
        self.accepts_of(format!("sign-in {browser}").as_bytes(), token)
    }

    fn token_of(&self, name: &[u8]) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&self.forms, name))
    }

    fn accepts_of(&self, name: &[u8], token: &str) -> bool {
        let token = BASE64_URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
        hmac::verify(&self.forms, name, &token).is_ok()
    }
}

impl Session {
    fn read(text: &[u8]) -> Option<Self> {
        let (head, key) = text.split_at_checked(HEAD_LEN)?;
        let (format, rest) = head.split_first()?;
        let (started_at, id) = rest.split_at_checked(8)?;
        let key = String::from_utf8(key.to_vec()).ok()?;
        let session =
            Self { id: id.try_into().ok()?, started_at: i64::from_be_bytes(started_at.try_into().ok()?), key };
        (*format == FORMAT).then_some(session)
    }
}

/// Random bytes. `None` if the system has none.
pub(crate) fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).ok()?;
    Some(bytes)
}

/// A random text for a URL or a cookie. `None` if the system has no randomness.
pub(crate) fn random_text() -> Option<String> {
    random::<24>().map(|bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;
    const LIVE: Area = Area::Merchant(Environment::Live);
    const KEY: &str = "sk_live_0123456789";

    fn sessions() -> Sessions {
        Sessions::new(&[7; 32], LONGEST_SESSION)
    }

    #[test]
    fn a_session_is_opened_by_every_instance_with_the_same_secret_and_by_no_other() {
        let cookie = sessions().start(LIVE, KEY, NOW).expect("randomness");
        let opened = sessions().open(LIVE, &cookie, NOW + 1).expect("a session");
        assert_eq!(opened.key, KEY);
        let other = Sessions::new(&[8; 32], LONGEST_SESSION);
        assert_eq!(other.open(LIVE, &cookie, NOW), Err(SessionError::Unknown));
        for other in [Area::Merchant(Environment::Sandbox), Area::Operators] {
            assert_eq!(sessions().open(other, &cookie, NOW), Err(SessionError::Unknown));
        }
        assert!(!cookie.contains("sk_live"), "the key is not readable");
    }

    #[test]
    fn a_session_ends_after_its_lifetime_and_does_not_begin_in_the_future() {
        let sessions = sessions();
        let cookie = sessions.start(LIVE, KEY, NOW).expect("randomness");
        let at = |seconds: i64| sessions.open(LIVE, &cookie, NOW + seconds).map(|session| session.key);
        assert_eq!(at(43_199).as_deref(), Ok(KEY));
        assert_eq!(at(43_200), Err(SessionError::Expired));
        assert_eq!(at(-1), Err(SessionError::Expired));
    }

    #[test]
    fn a_cookie_with_any_byte_changed_is_no_session() {
        let sessions = sessions();
        let cookie = sessions.start(LIVE, KEY, NOW).expect("randomness");
        for place in 0..cookie.len() {
            let mut bytes = cookie.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert_eq!(sessions.open(LIVE, &changed, NOW), Err(SessionError::Unknown), "{place}");
        }
        for text in ["", "A", "AAAAAAAAAAAAAAAA", "ä", "====", &cookie[..cookie.len() - 4]] {
            assert_eq!(sessions.open(LIVE, text, NOW), Err(SessionError::Unknown), "{text}");
        }
    }

    #[test]
    fn a_token_is_that_of_one_session() {
        let sessions = sessions();
        let [one, other] = [(); 2].map(|()| {
            let cookie = sessions.start(LIVE, KEY, NOW).expect("randomness");
            sessions.open(LIVE, &cookie, NOW).expect("a session")
        });
        assert!(sessions.accepts(&one, &sessions.token(&one)));
        for token in [sessions.token(&other), String::new(), "AAAA".to_owned(), sessions.sign_in_token("x")] {
            assert!(!sessions.accepts(&one, &token));
        }
        assert!(sessions.accepts_sign_in("x", &sessions.sign_in_token("x")));
        assert!(!sessions.accepts_sign_in("y", &sessions.sign_in_token("x")));
    }
}
