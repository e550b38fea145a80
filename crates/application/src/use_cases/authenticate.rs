use std::collections::HashMap;
use std::time::Instant;

use roster_domain::{MerchantId, Timestamp};

use crate::batch::serve_together;
use crate::ports::{StoreError, TokenClaims, TokenError};
use crate::{ApiKey, ApiKeySecret, Digest, Principal, Roster};

/// What is known of a credential without asking anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recognition {
    /// Who shows it.
    Principal(Principal),
    /// It is in order, and [`Roster::authenticate`] finds out whose it is.
    LookUp(Presented),
    /// It is a token that names a key which is not known yet; once [`Roster::fetch_token_keys`] has asked for it, it may be.
    FetchKeys,
    /// It opens nothing.
    Refused,
}

/// A credential that is in order, as far as can be seen from itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented {
    /// A key, by what is stored of it.
    ApiKey(Digest),
    /// A token that its issuer has signed.
    Token(TokenClaims),
}

/// Why a credential opened nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthenticateError {
    /// It is unknown, revoked or expired; which of them is nobody's business.
    #[error("the credential is not valid")]
    Refused,
    /// The store could not be asked.
    #[error("the credential could not be looked up")]
    Store(#[from] StoreError),
}

impl Roster {
    /// Says what is known of a credential, an API key or a token, and asks nobody: a mistyped key costs nothing, and one
    /// that was looked up a moment ago no more.
    #[must_use]
    pub fn recognise(&self, credential: &str) -> Recognition {
        let now = self.clock.now();
        if let Some(key) = ApiKeySecret::parse(credential) {
            let digest = key.digest();
            let known = self.known.principal(&digest, now);
            return known.map_or(Recognition::LookUp(Presented::ApiKey(digest)), Recognition::Principal);
        }
        match self.tokens.as_ref().map(|tokens| tokens.verify(credential, now)) {
            Some(Ok(claims)) if self.known.knows_merchant(claims.tenant.merchant) => {
                Recognition::Principal(principal_of(claims))
            }
            Some(Ok(claims)) => Recognition::LookUp(Presented::Token(claims)),
            Some(Err(TokenError::UnknownKey)) => Recognition::FetchKeys,
            Some(Err(TokenError::Refused)) | None => Recognition::Refused,
        }
    }

    /// Asks the issuer of a token for its keys, unless that was done a moment ago. It takes a bounded time.
    pub fn fetch_token_keys(&self, token: &str) {
        if let Some(tokens) = &self.tokens {
            tokens.fetch_keys(token);
        }
    }

    /// Finds out who shows each of the credentials; the results stand in their order.
    #[must_use]
    pub fn authenticate(&self, presented: &[Presented]) -> Vec<Result<Principal, AuthenticateError>> {
        let (now, looked_up) = (self.clock.now(), Instant::now());
        let mut keys = self.find_keys(presented);
        let merchants = self.find_merchants(presented, looked_up);
        let authenticate = |presented: &Presented| match presented {
            Presented::ApiKey(_) => self.principal_of_key(keys.next(), looked_up, now),
            Presented::Token(claims) => match merchants.get(&claims.tenant.merchant).cloned() {
                Some(Ok(true)) => Ok(principal_of(*claims)),
                Some(Ok(false)) | None => Err(AuthenticateError::Refused),
                Some(Err(error)) => Err(error.into()),
            },
        };
        presented.iter().map(authenticate).collect()
    }

    /// The keys that were shown, in their order.
    fn find_keys(&self, presented: &[Presented]) -> impl Iterator<Item = Result<Option<ApiKey>, StoreError>> {
        let digest = |presented: &Presented| match presented {
            Presented::ApiKey(digest) => Some(*digest),
            Presented::Token(_) => None,
        };
        let digests: Vec<Digest> = presented.iter().filter_map(digest).collect();
        let find = |digests: &[Digest]| self.store.direct(|uow| uow.api_keys().find(digests));
        let found = if digests.is_empty() { Vec::new() } else { serve_together(&digests, find) };
        found.into_iter()
    }

    fn principal_of_key(
        &self,
        found: Option<Result<Option<ApiKey>, StoreError>>,
        looked_up: Instant,
        now: Timestamp,
    ) -> Result<Principal, AuthenticateError> {
        let key = found.transpose()?.flatten().filter(|key| key.is_usable(now)).ok_or(AuthenticateError::Refused)?;
        Ok(self.known.remember_key(&key, looked_up, now))
    }

    /// Which of the merchants that tokens name there are.
    fn find_merchants(
        &self,
        presented: &[Presented],
        looked_up: Instant,
    ) -> HashMap<MerchantId, Result<bool, StoreError>> {
        let mut found = HashMap::new();
        for presented in presented {
            if let Presented::Token(claims) = presented {
                let merchant = claims.tenant.merchant;
                found.entry(merchant).or_insert_with(|| self.find_merchant(merchant, looked_up));
            }
        }
        found
    }

    fn find_merchant(&self, merchant: MerchantId, looked_up: Instant) -> Result<bool, StoreError> {
        let found = self.store.direct(|uow| uow.merchants().find(merchant))?;
        if found.is_some() {
            self.known.remember_merchant(merchant, looked_up);
        }
        Ok(found.is_some())
    }
}

fn principal_of(claims: TokenClaims) -> Principal {
    Principal { tenant: claims.tenant, scopes: claims.scopes, api_key: None }
}
