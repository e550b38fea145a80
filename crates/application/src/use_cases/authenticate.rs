use std::collections::HashMap;
use std::time::Instant;

use roster_domain::{MerchantId, Timestamp};

use crate::batch::serve_together;
use crate::ports::{StoreError, TokenClaims, TokenError};
use crate::{ApiKey, ApiKeySecret, Digest, Principal, Roster};

/// What can be found out about a credential without a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recognition {
    /// It is valid, and this is the caller.
    Principal(Principal),
    /// It may be valid; [`Roster::authenticate`] must look it up.
    LookUp(Presented),
    /// It is a token that names an unknown signing key; [`Roster::fetch_token_keys`] may find that key.
    FetchKeys,
    /// It is not valid.
    Refused,
}

/// A credential that must be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented {
    /// A well-formed key, by its digest.
    ApiKey(Digest),
    /// A token with a valid signature and valid claims.
    Token(TokenClaims),
}

/// Why a credential was not accepted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthenticateError {
    /// It is unknown, revoked or expired; which of these is kept from the caller.
    #[error("the credential is not valid")]
    Refused,
    /// The store failed.
    #[error("the credential could not be looked up")]
    Store(#[from] StoreError),
}

impl Roster {
    /// Checks an API key or a token without a look-up in the store.
    ///
    /// A mistyped key is refused here, and a key that was looked up a moment ago is accepted from the cache.
    #[must_use]
    pub fn recognise(&self, credential: &str) -> Recognition {
        let now = self.clock.now();
        if let Some(key) = ApiKeySecret::parse(credential) {
            let digest = key.digest();
            let known = self.known.principal(&digest, now);
            return known.map_or(Recognition::LookUp(Presented::ApiKey(digest)), Recognition::Principal);
        }
        match self.tokens.as_ref().map(|tokens| tokens.verify(credential, now)) {
            Some(Ok(claims)) if self.known.has_merchant(claims.tenant.merchant) => {
                Recognition::Principal(principal_of(claims))
            }
            Some(Ok(claims)) => Recognition::LookUp(Presented::Token(claims)),
            Some(Err(TokenError::UnknownKey)) => Recognition::FetchKeys,
            Some(Err(TokenError::Refused)) | None => Recognition::Refused,
        }
    }

    /// Fetches the keys of a token's issuer, unless that was done a moment ago. It blocks for a bounded time.
    pub fn fetch_token_keys(&self, token: &str) {
        if let Some(tokens) = &self.tokens {
            tokens.fetch_keys(token);
        }
    }

    /// Looks up credentials and returns their principals, in the order of `presented`.
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

    /// Looks up the keys among `presented`, in their order.
    fn find_keys(&self, presented: &[Presented]) -> impl Iterator<Item = Result<Option<ApiKey>, StoreError>> {
        let digest = |presented: &Presented| match presented {
            Presented::ApiKey(digest) => Some(*digest),
            Presented::Token(_) => None,
        };
        let digests: Vec<Digest> = presented.iter().filter_map(digest).collect();
        let find = |digests: &[Digest]| self.store.direct(|uow| uow.api_keys().find(digests));
        serve_together(&digests, find).into_iter()
    }

    fn principal_of_key(
        &self,
        found: Option<Result<Option<ApiKey>, StoreError>>,
        looked_up: Instant,
        now: Timestamp,
    ) -> Result<Principal, AuthenticateError> {
        let key = found.transpose()?.flatten().filter(|key| key.is_usable(now)).ok_or(AuthenticateError::Refused)?;
        Ok(self.known.cache_key(&key, looked_up, now))
    }

    /// Looks up which of the merchants that tokens name exist.
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
            self.known.cache_merchant(merchant, looked_up);
        }
        Ok(found.is_some())
    }
}

fn principal_of(claims: TokenClaims) -> Principal {
    Principal { tenant: claims.tenant, scopes: claims.scopes, api_key: None }
}
