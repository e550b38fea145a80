use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;

use roster_application::ports::{TokenClaims, TokenError, TokenFault, TokenRefusal, TokenVerifier};
use roster_domain::Timestamp;

use crate::issuer::{Issuer, Keys};
use crate::key::Key;
use crate::published_keys::{FetchError, FetchPolicy, PublishedKeys};
use crate::token::Token;

/// Checks the tokens of configured issuers.
///
/// For each issuer with a `jwks_url`, a thread fetches the keys at intervals until this is dropped.
pub struct Tokens(Vec<Trusted>);

/// A trusted issuer with its keys.
struct Trusted {
    issuer: Issuer,
    keys: KeySource,
}

/// The keys of an issuer. Dropping `_refresh` ends the thread that refreshes published keys.
enum KeySource {
    One { key: Key, id: Option<String> },
    Published { keys: Arc<PublishedKeys>, _refresh: Option<Sender<Infallible>> },
}

/// Why [`Tokens::start`] failed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file with an issuer's keys cannot be used.
    #[error("the keys of {issuer}: {reason}")]
    Keys {
        /// The issuer's name.
        issuer: String,
        /// What is wrong.
        reason: String,
    },
    /// The thread that fetches an issuer's keys cannot be started.
    #[error("a thread cannot be started")]
    Thread(#[source] io::Error),
}

impl Tokens {
    /// Reads the keys in files, and starts to fetch the keys on servers.
    ///
    /// # Errors
    /// [`StartError`] if a file cannot be used or a thread cannot be started. A server that does not answer is no
    /// error: it may answer later.
    pub fn start(issuers: Vec<Issuer>) -> Result<Self, StartError> {
        issuers.into_iter().map(Trusted::start).collect::<Result<_, _>>().map(Self)
    }

    fn issuer_of(&self, token: &Token<'_>) -> Option<&Trusted> {
        let name = token.issuer()?;
        self.0.iter().find(|trusted| &*trusted.issuer.name == name)
    }
}

impl TokenVerifier for Tokens {
    fn verify(&self, token: &str, now: Timestamp) -> Result<TokenClaims, TokenError> {
        let nameless = |reason| TokenError::Refused(TokenRefusal { reason, issuer: None });
        let token = Token::read(token).ok_or(nameless(TokenFault::NotAToken))?;
        let trusted = self.issuer_of(&token).ok_or(nameless(TokenFault::UnknownIssuer))?;
        // Claims before the signature: a token that is refused anyway must not cause a fetch of keys.
        let claims = token.claims_of(&trusted.issuer, now).map_err(|reason| trusted.refuse(reason))?;
        trusted.check_signature(&token)?;
        Ok(claims)
    }

    fn fetch_keys(&self, token: &str) {
        let token = Token::read(token);
        if let Some(KeySource::Published { keys, .. }) = token.and_then(|token| Some(&self.issuer_of(&token)?.keys)) {
            keys.fetch_or_wait();
        }
    }
}

impl Trusted {
    fn start(issuer: Issuer) -> Result<Self, StartError> {
        let keys = match &issuer.keys {
            Keys::One { key, id } => KeySource::One { key: key.clone(), id: id.clone() },
            Keys::File(path) => {
                let unusable =
                    |error: FetchError| StartError::Keys { issuer: issuer.name.to_string(), reason: error.to_string() };
                let keys = PublishedKeys::open(&issuer.name, path, FetchPolicy::USUAL).map_err(unusable)?;
                KeySource::Published { keys: Arc::new(keys), _refresh: None }
            }
            Keys::Url(url) => {
                let keys = Arc::new(PublishedKeys::at(&issuer.name, url, FetchPolicy::USUAL));
                let (refresh, end) = mpsc::channel();
                let refreshed = Arc::clone(&keys);
                let thread = thread::Builder::new().name("issuer-keys".to_owned());
                thread.spawn(move || refreshed.refresh_until(&end)).map_err(StartError::Thread)?;
                KeySource::Published { keys, _refresh: Some(refresh) }
            }
        };
        Ok(Self { issuer, keys })
    }

    fn refuse(&self, reason: TokenFault) -> TokenError {
        TokenError::Refused(self.refusal(reason))
    }

    fn refusal(&self, reason: TokenFault) -> TokenRefusal {
        TokenRefusal { reason, issuer: Some(Arc::clone(&self.issuer.name)) }
    }

    /// Checks that the token has the signature of this issuer.
    fn check_signature(&self, token: &Token<'_>) -> Result<(), TokenError> {
        if !self.issuer.algorithms.contains(&token.algorithm) {
            return Err(self.refuse(TokenFault::Algorithm));
        }
        let by = |key: &Key| key.has_signed(token.message, token.signature, token.algorithm);
        let signed = match (&self.keys, token.key_id.as_deref()) {
            (KeySource::One { key, id }, named) => {
                named.is_none_or(|named| id.as_deref() == Some(named)).then(|| by(key))
            }
            (KeySource::Published { .. }, None) => None,
            (KeySource::Published { keys, .. }, Some(named)) => {
                let check =
                    || keys.with(|keys| keys.has(named).then(|| keys.key(named, token.algorithm).is_some_and(by)));
                match check() {
                    None if keys.fetch_may_help() => {
                        return Err(TokenError::UnknownKey(self.refusal(TokenFault::UnknownKey)));
                    }
                    // Another thread may have fetched the key between the lookup and `fetch_may_help`.
                    None => check(),
                    signed => signed,
                }
            }
        };
        match signed {
            Some(true) => Ok(()),
            Some(false) => Err(self.refuse(TokenFault::Signature)),
            None => Err(self.refuse(TokenFault::UnknownKey)),
        }
    }
}
