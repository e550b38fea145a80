//! Requests for API keys with an idempotency key.
//!
//! A repeat of a request that created a key is answered with the same key in the clear, which is stored nowhere. It is
//! derived (HKDF, RFC 5869) from the caller's own credential and the idempotency key, of which the store has digests only,
//! and from a salt that is saved with the reply. A repeat derives it again, and the stored digest of the created key shows
//! whether it is the same: with another credential it is not.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use hkdf::Hkdf;
use roster_domain::{Environment, Tenant};
use sha2::Sha256;
use uuid::Uuid;

use super::idempotency::{Idempotency, Saved, is_saved};
use crate::outcome::Outcome;
use crate::ports::{Entropy, EntropyError, StoreError, UnitOfWork};
use crate::{ApiKeySecret, Roster};

/// What only the caller has: its credential and the idempotency key that it sent.
#[derive(Clone)]
pub struct Seed(Vec<u8>);

impl Seed {
    /// The seed of a caller's requests with one key.
    #[must_use]
    pub fn new(credential: &str, idempotency_key: &str) -> Self {
        let mut seed = credential.len().to_be_bytes().to_vec();
        seed.extend_from_slice(credential.as_bytes());
        seed.extend_from_slice(idempotency_key.as_bytes());
        Self(seed)
    }

    /// The key in the clear that is derived with `salt`.
    pub(super) fn secret(&self, environment: Environment, salt: Uuid) -> Result<ApiKeySecret, EntropyError> {
        let mut bytes = [0; 255];
        let derived = Hkdf::<Sha256>::new(Some(salt.as_bytes()), &self.0).expand(b"roster API key", &mut bytes);
        derived.map_err(|_| EntropyError)?;
        ApiKeySecret::generate(environment, &Derived { bytes, used: AtomicUsize::new(0) })
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(…)")
    }
}

/// Derived bytes in the place of random ones. A key takes some 31 of them.
struct Derived {
    bytes: [u8; 255],
    used: AtomicUsize,
}

impl Entropy for Derived {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        let from = self.used.fetch_add(bytes.len(), Ordering::Relaxed);
        let next = self.bytes.get(from..).and_then(|rest| rest.get(..bytes.len())).ok_or(EntropyError)?;
        bytes.copy_from_slice(next);
        Ok(())
    }
}

/// How repeats of a request for API keys are recognised and answered.
#[derive(Debug, Clone)]
pub struct Once {
    /// How they are recognised.
    pub idempotency: Idempotency,
    /// What the created key is derived from.
    pub seed: Seed,
}

/// The result of a request that may be a repeat.
#[derive(Debug)]
pub struct Repeatable<T> {
    /// The result.
    pub result: T,
    /// Whether it was saved for an earlier request.
    pub is_replayed: bool,
}

impl<T, E> Repeatable<Result<T, E>> {
    fn first(value: T) -> Self {
        Self { result: Ok(value), is_replayed: false }
    }
}

/// Why a transaction is rolled back.
enum Failed<E> {
    /// Another request with the same key was faster.
    Lost,
    Error(E),
}

impl<E: From<StoreError>> From<StoreError> for Failed<E> {
    fn from(error: StoreError) -> Self {
        Self::Error(error.into())
    }
}

impl<E: From<StoreError>> Failed<E> {
    fn into_error(self) -> E {
        match self {
            Self::Lost => StoreError::lost_race("other requests with the same idempotency key were faster").into(),
            Self::Error(error) => error,
        }
    }
}

/// Why a request is not answered as the first one with its idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RepeatError {
    /// Another request has had the same idempotency key.
    #[error("another request has had the same idempotency key")]
    KeyReused,
    /// The first request came with another credential, from which the created key is derived.
    #[error("the first request with this idempotency key came with another credential")]
    OtherCredential,
}

impl Roster {
    /// Does `work` in a transaction, once for its idempotency key if it has one. `outcome` says what is saved of a result;
    /// a refusal of which something is saved has written nothing. `restore` makes the result of a repeat.
    pub(super) fn do_once<T, E>(
        &self,
        tenant: Tenant,
        once: Option<&Once>,
        mut work: impl FnMut(&mut dyn UnitOfWork) -> Result<T, E>,
        outcome: impl Fn(&Result<T, E>) -> Option<Outcome>,
        restore: impl Fn(Outcome) -> Result<T, E>,
    ) -> Repeatable<Result<T, E>>
    where
        E: From<StoreError> + From<RepeatError>,
    {
        let now = self.clock.now();
        let mut attempt = |uow: &mut dyn UnitOfWork| {
            let Some(Once { idempotency, .. }) = once else {
                return work(uow).map(Repeatable::first).map_err(Failed::Error);
            };
            match idempotency.find_saved(uow, tenant, now)? {
                None => {}
                Some(Saved::ForAnother) => return Err(Failed::Error(RepeatError::KeyReused.into())),
                Some(Saved::Outcome(outcome)) => {
                    return Ok(Repeatable { result: restore(outcome), is_replayed: true });
                }
            }
            let result = work(uow);
            let Some(outcome) = outcome(&result) else {
                return result.map(Repeatable::first).map_err(Failed::Error);
            };
            let reply = idempotency.reply(tenant, &outcome, now, self.reply_lifetime)?;
            if !is_saved(uow, reply)? {
                return Err(Failed::Lost);
            }
            Ok(Repeatable { result, is_replayed: false })
        };
        // The second time, the reply of the request that was faster is there.
        let done = match self.store.transaction(&mut attempt) {
            Err(Failed::Lost) => self.store.transaction(&mut attempt),
            done => done,
        };
        done.unwrap_or_else(|failed| Repeatable { result: Err(failed.into_error()), is_replayed: false })
    }
}
