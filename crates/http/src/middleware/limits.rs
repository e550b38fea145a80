//! Rate limits: how many requests a second a key, a merchant and an operator may send.
//!
//! A caller that sends more gets 429 until a part of the second has passed. Only requests with a valid credential are
//! counted: the others are cheap, and counting them would need memory without a bound.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use actix_web::body::MessageBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpMessage as _, web};
use governor::clock::DefaultClock;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use roster_application::Principal;
use roster_domain::{ApiKeyId, Environment, MerchantId, OperatorId};
use roster_executor::Handle;

use crate::routing;

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static X_RATE_LIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
static X_RATE_LIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
static X_RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Keys and merchants that were idle for a second are evicted every this many requests.
const SWEEP_EVERY: u32 = 65_536;

/// Requests a second in one environment. The requests of a whole second may arrive at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Of one API key.
    pub key: NonZeroU32,
    /// Of one merchant, with all keys and tokens.
    pub merchant: NonZeroU32,
}

/// Counts the requests of both environments.
pub(crate) struct RateLimits {
    live: Limits,
    sandbox: Limits,
    /// Operators have the limit of a live key.
    operators: Limiter<OperatorId>,
    since_sweep: AtomicU32,
}

/// Counts the requests of one environment.
struct Limits {
    keys: Limiter<ApiKeyId>,
    merchants: Limiter<MerchantId>,
    quotas: Quotas,
    policy: HeaderValue,
}

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// The limit that refused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The limit of the API key.
    Key,
    /// The limit of the merchant.
    Merchant,
}

/// The remaining requests of a caller, for the headers of the response.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    policy: HeaderValue,
    key: Option<u32>,
    merchant: Option<u32>,
    /// The requests a second that the limit which refused this one allows.
    refused_beyond: Option<NonZeroU32>,
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
    /// Starts with no requests counted.
    pub(crate) fn new(live: Quotas, sandbox: Quotas) -> Self {
        Self {
            live: Limits::new(live),
            sandbox: Limits::new(sandbox),
            operators: limiter(live.key),
            since_sweep: AtomicU32::new(0),
        }
    }

    /// Counts a request; returns the remaining requests, and the limit that refuses this one, if one does.
    ///
    /// A request that its key's limit refuses is not counted for the merchant: otherwise one key could use up the
    /// merchant's limit for all its other keys.
    pub(crate) fn count(&self, principal: &Principal) -> (Allowance, Result<(), Limit>) {
        if self.since_sweep.fetch_add(1, Ordering::Relaxed) >= SWEEP_EVERY {
            self.since_sweep.store(0, Ordering::Relaxed);
            self.live.sweep();
            self.sandbox.sweep();
        }
        self.of(principal).count(principal, NonZeroU32::MIN)
    }

    /// Counts a request that has been counted once as so many more. If that is more than ever fits, as all that does.
    pub(crate) fn count_more(&self, principal: &Principal, requests: NonZeroU32) -> (Allowance, Result<(), Limit>) {
        self.of(principal).count(principal, requests)
    }

    /// Counts a request of an operator. Operators are few and never evicted.
    pub(crate) fn count_operator(&self, operator: OperatorId) -> (Allowance, Result<(), Limit>) {
        let quota = self.live.quotas.key;
        let left = remaining(&self.operators, &operator, NonZeroU32::MIN, quota);
        let policy = HeaderValue::try_from(format!(r#""key";q={quota};w=1"#)).unwrap_or(HeaderValue::from_static(""));
        let refused_beyond = left.is_none().then_some(quota);
        let allowance = Allowance { policy, key: Some(left.unwrap_or(0)), merchant: None, refused_beyond };
        (allowance, left.map(drop).ok_or(Limit::Key))
    }

    fn of(&self, principal: &Principal) -> &Limits {
        match principal.tenant.environment {
            Environment::Live => &self.live,
            Environment::Sandbox => &self.sandbox,
        }
    }
}

impl Limits {
    fn new(quotas: Quotas) -> Self {
        let policy = format!(r#""key";q={};w=1, "merchant";q={};w=1"#, quotas.key, quotas.merchant);
        Self {
            keys: limiter(quotas.key),
            merchants: limiter(quotas.merchant),
            quotas,
            policy: HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("")),
        }
    }

    fn count(&self, principal: &Principal, requests: NonZeroU32) -> (Allowance, Result<(), Limit>) {
        let mut allowance =
            Allowance { policy: self.policy.clone(), key: None, merchant: Some(0), refused_beyond: None };
        if let Some(key) = principal.api_key {
            let left = remaining(&self.keys, &key, requests, self.quotas.key);
            allowance.key = Some(left.unwrap_or(0));
            if left.is_none() {
                allowance.refused_beyond = Some(self.quotas.key);
                return (allowance, Err(Limit::Key));
            }
        }
        let left = remaining(&self.merchants, &principal.tenant.merchant, requests, self.quotas.merchant);
        allowance.merchant = Some(left.unwrap_or(0));
        if left.is_none() {
            allowance.refused_beyond = Some(self.quotas.merchant);
        }
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

/// Counts so many requests of `key`; returns how many more may come at once, or `None` if these are refused.
///
/// What counts as more than a second allows takes all that is left of it after one request: it is not refused for ever.
fn remaining<K: Hash + Eq + Clone>(
    limiter: &Limiter<K>,
    key: &K,
    requests: NonZeroU32,
    quota: NonZeroU32,
) -> Option<u32> {
    if requests == NonZeroU32::MIN {
        return limiter.check_key(key).ok().map(|state| state.remaining_burst_capacity());
    }
    let Some(requests) = NonZeroU32::new(requests.get().min(quota.get() - 1)) else { return Some(0) };
    limiter.check_key_n(key, requests).ok()?.ok().map(|state| state.remaining_burst_capacity())
}

/// Adds the rate limit headers to the response, if the request was counted and its surface shows them.
///
/// The format is that of draft-ietf-httpapi-ratelimit-headers-10. Every window is a second. A refusal has the headers of
/// billing.io too, which its clients read.
pub(crate) fn show<B: MessageBody>(response: &mut ServiceResponse<B>) {
    if !routing::shows_limits(response.request()) {
        return;
    }
    let Some(allowance) = response.request().extensions_mut().remove::<Allowance>() else { return };
    let Allowance { policy, key, merchant, refused_beyond } = allowance;
    if let Some(limit) = refused_beyond {
        show_refusal(response, limit);
    }
    let left = [("key", key), ("merchant", merchant)];
    let left = left.into_iter().filter_map(|(name, left)| Some(format!(r#""{name}";r={};t=1"#, left?)));
    if let Ok(left) = HeaderValue::try_from(left.collect::<Vec<_>>().join(", ")) {
        response.headers_mut().insert(RATE_LIMIT.clone(), left);
    }
    response.headers_mut().insert(RATE_LIMIT_POLICY.clone(), policy);
}

/// The limit, what is left of it, and when all of it is there again: in Unix seconds, rounded up.
fn show_refusal<B: MessageBody>(response: &mut ServiceResponse<B>, limit: NonZeroU32) {
    let now = response.request().app_data::<web::Data<Handle>>().map(|handle| handle.now().as_millis());
    let headers = response.headers_mut();
    headers.insert(X_RATE_LIMIT_LIMIT.clone(), HeaderValue::from(limit.get()));
    headers.insert(X_RATE_LIMIT_REMAINING.clone(), HeaderValue::from(0));
    if let Some(now) = now {
        headers.insert(X_RATE_LIMIT_RESET.clone(), HeaderValue::from((now + 1999).div_euclid(1000)));
    }
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
        let api_key = key.map(|key| ApiKeyId::new(Uuid::from_u128(key)));
        Principal { tenant, scopes: Scopes::NONE, expires_at: None, api_key, token: None }
    }

    /// Counts requests until a limit refuses one; returns how many passed, and the limit.
    ///
    /// On a busy machine one more may pass, because a part of the second is over.
    fn until_refused(limits: &RateLimits, principal: &Principal) -> (u32, Limit) {
        (0..1000)
            .find_map(|count| limits.count(principal).1.err().map(|limit| (count, limit)))
            .expect("there is a limit")
    }

    #[test]
    fn a_key_and_its_merchant_have_separate_limits() {
        let limits = RateLimits::new(QUOTAS, quotas(1000, 1000));
        let (count, limit) = until_refused(&limits, &principal(1, Environment::Live, Some(1)));
        assert!(count >= 2 && limit == Limit::Key, "{count} {limit:?}");
        let (_, limit) = until_refused(&limits, &principal(1, Environment::Live, None));
        assert_eq!(limit, Limit::Merchant);
        // Neither another merchant nor the other environment is affected.
        for free in [principal(2, Environment::Live, Some(2)), principal(1, Environment::Sandbox, Some(1))] {
            assert_eq!(limits.count(&free).1, Ok(()));
        }
    }

    #[test]
    fn a_request_may_count_as_several_but_not_as_more_than_a_second_allows() {
        let limits = RateLimits::new(quotas(20, 1000), quotas(1, 1));
        let more = |count, principal| limits.count_more(principal, NonZeroU32::new(count).expect("not zero")).1;
        let [one, all] = [1, 2].map(|key| principal(1, Environment::Live, Some(key)));
        assert_eq!([limits.count(&one).1, more(9, &one)], [Ok(()); 2]);
        // On a busy machine a part of what was counted is free again, but hardly half of a second's.
        assert_eq!(more(19, &one), Err(Limit::Key));
        assert_eq!([limits.count(&all).1, more(500, &all)], [Ok(()); 2]);
        assert_eq!(more(19, &all), Err(Limit::Key));
        let smallest = principal(1, Environment::Sandbox, Some(1));
        assert_eq!([limits.count(&smallest).1, more(500, &smallest)], [Ok(()); 2]);
    }

    #[test]
    fn the_remaining_requests_are_returned() {
        let limits = RateLimits::new(QUOTAS, QUOTAS);
        let (allowance, verdict) = limits.count(&principal(1, Environment::Live, Some(1)));
        assert_eq!((allowance.key, allowance.merchant, verdict), (Some(1), Some(2), Ok(())));
        assert_eq!(allowance.policy, r#""key";q=2;w=1, "merchant";q=3;w=1"#);
        let (allowance, _) = limits.count(&principal(2, Environment::Live, None));
        assert_eq!((allowance.key, allowance.merchant), (None, Some(2)));
        let operator = OperatorId::new(Uuid::from_u128(1));
        let (allowance, verdict) = limits.count_operator(operator);
        assert_eq!((allowance.key, allowance.merchant, verdict), (Some(1), None, Ok(())));
        assert!((0..1000).any(|_| limits.count_operator(operator).1 == Err(Limit::Key)), "there is a limit");
    }

    #[test]
    fn idle_keys_and_merchants_are_evicted() {
        let limits = RateLimits::new(quotas(1_000_000, 1_000_000), QUOTAS);
        for number in 0..3 * u128::from(SWEEP_EVERY) {
            assert_eq!(limits.count(&principal(number, Environment::Live, Some(number))).1, Ok(()));
        }
        let kept = limits.live.keys.len().max(limits.live.merchants.len());
        assert!(kept <= 2 * SWEEP_EVERY as usize, "{kept}");
    }
}
