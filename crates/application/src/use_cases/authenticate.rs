use std::collections::HashMap;
use std::sync::Arc;

use roster_domain::{Merchant, MerchantId, Timestamp};

use crate::batch::serve_together;
use crate::known_credentials::LookUp;
use crate::ports::{StoreError, TokenClaims, TokenError, TokenFault, TokenRefusal};
use crate::{ApiKey, ApiKeySecret, Digest, Principal, Roster};

/// What can be found out about a credential without a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recognition {
    /// It is valid, and this is the caller.
    Principal(Principal),
    /// It may be valid; [`Roster::authenticate`] must look it up.
    LookUp(Presented),
    /// It is a token that names an unknown signing key; [`Roster::fetch_token_keys`] may find that key. If it does not,
    /// the token is refused for this.
    FetchKeys(TokenRefusal),
    /// It is not valid. For a token, why.
    Refused(Option<TokenRefusal>),
}

/// A credential that must be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presented {
    /// A well-formed key, by its digest.
    ApiKey(Digest),
    /// A token with a valid signature and valid claims.
    Token(TokenClaims),
}

/// Why a credential was not accepted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthenticateError {
    /// It is unknown, revoked or expired; which of these is kept from the caller. For a token, why.
    #[error("the credential is not valid")]
    Refused(Option<TokenRefusal>),
    /// Its merchant is disabled.
    #[error("the merchant is disabled")]
    MerchantDisabled,
    /// The store failed.
    #[error("the credential could not be looked up")]
    Store(#[from] StoreError),
}

/// A key, and whether its merchant is disabled.
type FoundKey = (bool, ApiKey);

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
                Recognition::Principal(principal_of(&claims))
            }
            Some(Ok(claims)) => Recognition::LookUp(Presented::Token(claims)),
            Some(Err(TokenError::UnknownKey(refusal))) => Recognition::FetchKeys(refusal),
            Some(Err(TokenError::Refused(refusal))) => Recognition::Refused(Some(refusal)),
            None => Recognition::Refused(None),
        }
    }

    /// Fetches the keys of a token's issuer, unless that was done a moment ago. It blocks for a bounded time.
    pub fn fetch_token_keys(&self, token: &str) {
        if let Some(tokens) = &self.tokens {
            tokens.fetch_keys(token);
        }
    }

    /// Whether there is reason to believe that a credential is valid: it was a while ago, or an issuer has signed it.
    ///
    /// Such credentials must not wait behind those that anyone can make up.
    #[must_use]
    pub fn is_likely_valid(&self, presented: &Presented) -> bool {
        match presented {
            Presented::ApiKey(digest) => self.known.remembers(digest),
            Presented::Token(_) => true,
        }
    }

    /// The principal of a key that cannot be looked up, if it was valid not too long ago (see
    /// [`Roster::with_key_lifetime`]).
    #[must_use]
    pub fn principal_in_grace(&self, presented: &Presented) -> Option<Principal> {
        match presented {
            Presented::ApiKey(digest) => self.known.in_grace(digest, self.clock.now()),
            Presented::Token(_) => None,
        }
    }

    /// Looks up credentials and returns their principals, in the order of `presented`.
    #[must_use]
    pub fn authenticate(&self, presented: &[Presented]) -> Vec<Result<Principal, AuthenticateError>> {
        let (now, look_up) = (self.clock.now(), self.known.begin_look_up());
        let mut keys = self.find_keys(presented);
        let merchants = self.find_merchants(presented, look_up);
        let authenticate = |presented: &Presented| match presented {
            Presented::ApiKey(digest) => {
                let principal = self.principal_of_key(keys.next(), look_up, now);
                if matches!(principal, Err(AuthenticateError::Refused(_) | AuthenticateError::MerchantDisabled)) {
                    self.known.forget(digest);
                }
                principal
            }
            Presented::Token(claims) => match merchants.get(&claims.tenant.merchant).cloned() {
                Some(Ok(Some(merchant))) if merchant.disabled_at.is_some() => Err(AuthenticateError::MerchantDisabled),
                Some(Ok(Some(_))) => Ok(principal_of(claims)),
                Some(Ok(None)) | None => Err(unknown_merchant(claims)),
                Some(Err(error)) => Err(error.into()),
            },
        };
        presented.iter().map(authenticate).collect()
    }

    /// Looks up the keys among `presented`, in their order, and whether the merchant of each is disabled.
    fn find_keys(&self, presented: &[Presented]) -> impl Iterator<Item = Result<Option<FoundKey>, StoreError>> {
        let digest = |presented: &Presented| match presented {
            Presented::ApiKey(digest) => Some(*digest),
            Presented::Token(_) => None,
        };
        let digests: Vec<Digest> = presented.iter().filter_map(digest).collect();
        let find = |digests: &[Digest]| {
            self.store.direct(|uow| {
                let keys = uow.api_keys().find(digests)?;
                let mut merchants: Vec<MerchantId> = keys.iter().flatten().map(|key| key.tenant.merchant).collect();
                merchants.sort_unstable();
                merchants.dedup();
                let disabled = if merchants.is_empty() { merchants } else { uow.merchants().disabled(&merchants)? };
                let found = |key: ApiKey| (disabled.contains(&key.tenant.merchant), key);
                Ok::<_, StoreError>(keys.into_iter().map(|key| key.map(found)).collect())
            })
        };
        serve_together(&digests, find).into_iter()
    }

    fn principal_of_key(
        &self,
        found: Option<Result<Option<FoundKey>, StoreError>>,
        look_up: LookUp,
        now: Timestamp,
    ) -> Result<Principal, AuthenticateError> {
        let usable = found.transpose()?.flatten().filter(|(_, key)| key.is_usable(now));
        let (is_disabled, key) = usable.ok_or(AuthenticateError::Refused(None))?;
        if is_disabled {
            return Err(AuthenticateError::MerchantDisabled);
        }
        Ok(self.known.cache_key(&key, look_up, now))
    }

    /// Looks up the merchants that tokens name.
    fn find_merchants(
        &self,
        presented: &[Presented],
        look_up: LookUp,
    ) -> HashMap<MerchantId, Result<Option<Merchant>, StoreError>> {
        let mut found = HashMap::new();
        for presented in presented {
            if let Presented::Token(claims) = presented {
                let merchant = claims.tenant.merchant;
                found.entry(merchant).or_insert_with(|| self.find_merchant_of_token(merchant, look_up));
            }
        }
        found
    }

    fn find_merchant_of_token(&self, id: MerchantId, look_up: LookUp) -> Result<Option<Merchant>, StoreError> {
        let found = self.find_merchant(id)?;
        if found.as_ref().is_some_and(|merchant| merchant.disabled_at.is_none()) {
            self.known.cache_merchant(id, look_up);
        }
        Ok(found)
    }
}

fn principal_of(claims: &TokenClaims) -> Principal {
    let TokenClaims { tenant, scopes, holder } = claims;
    Principal { tenant: *tenant, scopes: *scopes, expires_at: None, api_key: None, token: Some(Arc::clone(holder)) }
}

fn unknown_merchant(claims: &TokenClaims) -> AuthenticateError {
    let issuer = Some(Arc::clone(&claims.holder.issuer));
    AuthenticateError::Refused(Some(TokenRefusal { reason: TokenFault::UnknownMerchant, issuer }))
}
