//! How many requests a key, and a merchant, may make in a second.
//!
//! Whoever sends more is answered 429 until a part of the second has passed. Only requests with a good credential are
//! counted: others cost nothing worth counting, and would fill a memory that has no bound.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use actix_web::HttpMessage as _;
use actix_web::body::MessageBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{HeaderName, HeaderValue};
use governor::clock::DefaultClock;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use roster_application::Principal;
use roster_domain::{ApiKeyId, Environment, MerchantId};

use crate::native;

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// After so many requests, those are forgotten who have not called for a second.
const SWEEP_EVERY: u32 = 65_536;

/// Requests a second in one environment. Those of a whole second may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// With one API key.
    pub key: NonZeroU32,
    /// Of one merchant, with all keys and tokens.
    pub merchant: NonZeroU32,
}

/// Counts the requests of both environments.
pub(crate) struct RateLimits {
    live: Limits,
    sandbox: Limits,
    since_sweep: AtomicU32,
}

/// Counts the requests of one environment.
struct Limits {
    keys: Limiter<ApiKeyId>,
    merchants: Limiter<MerchantId>,
    policy: HeaderValue,
}

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// What a limit was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// That of the API key.
    Key,
    /// That of the merchant.
    Merchant,
}

/// What is left of the limits, to be shown with the answer.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    policy: HeaderValue,
    key: Option<u32>,
    merchant: u32,
}

impl Limit {
    /// Its name in headers and messages.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Merchant => "merchant",
        }
    }
}

impl RateLimits {
    /// Starts with nothing counted.
    pub(crate) fn new(live: Quotas, sandbox: Quotas) -> Self {
        Self { live: Limits::new(live), sandbox: Limits::new(sandbox), since_sweep: AtomicU32::new(0) }
    }

    /// Counts a request, and says what is left, and whether a limit refuses it. One that its key's limit refuses is not
    /// counted for the merchant, so that one key does not use up what is there for the others.
    pub(crate) fn count(&self, principal: &Principal) -> (Allowance, Result<(), Limit>) {
        if self.since_sweep.fetch_add(1, Ordering::Relaxed) >= SWEEP_EVERY {
            self.since_sweep.store(0, Ordering::Relaxed);
            self.live.sweep();
            self.sandbox.sweep();
        }
        match principal.tenant.environment {
            Environment::Live => self.live.count(principal),
            Environment::Sandbox => self.sandbox.count(principal),
        }
    }
}

impl Limits {
    fn new(quotas: Quotas) -> Self {
        let policy = format!(r#""key";q={};w=1, "merchant";q={};w=1"#, quotas.key, quotas.merchant);
        Self {
            keys: limiter(quotas.key),
            merchants: limiter(quotas.merchant),
            policy: HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("")),
        }
    }

    fn count(&self, principal: &Principal) -> (Allowance, Result<(), Limit>) {
        let mut allowance = Allowance { policy: self.policy.clone(), key: None, merchant: 0 };
        if let Some(key) = principal.api_key {
            let left = left_of(&self.keys, &key);
            allowance.key = Some(left.unwrap_or(0));
            if left.is_none() {
                return (allowance, Err(Limit::Key));
            }
        }
        let left = left_of(&self.merchants, &principal.tenant.merchant);
        allowance.merchant = left.unwrap_or(0);
        (allowance, left.map(drop).ok_or(Limit::Merchant))
    }

    fn sweep(&self) {
        self.keys.retain_recent();
        self.merchants.retain_recent();
    }
}

fn limiter<K: Hash + Eq + Clone>(per_second: NonZeroU32) -> Limiter<K> {
    Limiter::new(Quota::per_second(per_second), HashMapStateStore::default(), DefaultClock::default())
}

/// How many more requests may come at once; `None` if not even this one.
fn left_of<K: Hash + Eq + Clone>(limiter: &Limiter<K>, who: &K) -> Option<u32> {
    limiter.check_key(who).ok().map(|state| state.remaining_burst_capacity())
}

/// Shows on the native surface what is left of the limits, if they were looked at, as the draft of the IETF has it
/// (draft-ietf-httpapi-ratelimit-headers-10). Every window is a second. No vendor's contract has such headers.
pub(crate) fn show<B: MessageBody>(response: &mut ServiceResponse<B>) {
    if !response.request().path().starts_with(native::BASE) {
        return;
    }
    let Some(allowance) = response.request().extensions_mut().remove::<Allowance>() else { return };
    let Allowance { policy, key, merchant } = allowance;
    let left = match key {
        Some(key) => format!(r#""key";r={key};t=1, "merchant";r={merchant};t=1"#),
        None => format!(r#""merchant";r={merchant};t=1"#),
    };
    if let Ok(left) = HeaderValue::try_from(left) {
        response.headers_mut().insert(RATE_LIMIT.clone(), left);
    }
    response.headers_mut().insert(RATE_LIMIT_POLICY.clone(), policy);
}

#[cfg(test)]
mod tests {
    use super::*;
    use roster_application::Scopes;
    use roster_domain::Tenant;
    use uuid::Uuid;

    const QUOTAS: Quotas = quotas(2, 3);

    const fn quotas(key: u32, merchant: u32) -> Quotas {
        Quotas { key: NonZeroU32::new(key).expect("not zero"), merchant: NonZeroU32::new(merchant).expect("not zero") }
    }

    fn principal(merchant: u128, environment: Environment, key: Option<u128>) -> Principal {
        let tenant = Tenant { merchant: MerchantId::new(Uuid::from_u128(merchant)), environment };
        Principal { tenant, scopes: Scopes::NONE, api_key: key.map(|key| ApiKeyId::new(Uuid::from_u128(key))) }
    }

    /// Counts until a limit refuses, and says which and after how many; a busy machine may let one more through.
    fn until_refused(limits: &RateLimits, principal: &Principal) -> (u32, Limit) {
        (0..1000)
            .find_map(|count| limits.count(principal).1.err().map(|limit| (count, limit)))
            .expect("there is a limit")
    }

    #[test]
    fn a_key_has_its_limit_and_its_merchant_another() {
        let limits = RateLimits::new(QUOTAS, quotas(1000, 1000));
        let (count, limit) = until_refused(&limits, &principal(1, Environment::Live, Some(1)));
        assert!(count >= 2 && limit == Limit::Key, "{count} {limit:?}");
        let (_, limit) = until_refused(&limits, &principal(1, Environment::Live, None));
        assert_eq!(limit, Limit::Merchant);
        // Neither another merchant nor the other environment has to do with it.
        for free in [principal(2, Environment::Live, Some(2)), principal(1, Environment::Sandbox, Some(1))] {
            assert_eq!(limits.count(&free).1, Ok(()));
        }
    }

    #[test]
    fn what_is_left_is_told() {
        let limits = RateLimits::new(QUOTAS, QUOTAS);
        let (allowance, verdict) = limits.count(&principal(1, Environment::Live, Some(1)));
        assert_eq!((allowance.key, allowance.merchant, verdict), (Some(1), 2, Ok(())));
        assert_eq!(allowance.policy, r#""key";q=2;w=1, "merchant";q=3;w=1"#);
        let (allowance, _) = limits.count(&principal(2, Environment::Live, None));
        assert_eq!((allowance.key, allowance.merchant), (None, 2));
    }

    #[test]
    fn those_who_have_left_are_forgotten() {
        let limits = RateLimits::new(quotas(1_000_000, 1_000_000), QUOTAS);
        for number in 0..3 * u128::from(SWEEP_EVERY) {
            assert_eq!(limits.count(&principal(number, Environment::Live, Some(number))).1, Ok(()));
        }
        let remembered = limits.live.keys.len().max(limits.live.merchants.len());
        assert!(remembered <= 2 * SWEEP_EVERY as usize, "{remembered}");
    }
}
