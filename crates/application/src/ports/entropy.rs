/// Provides unpredictable random bytes.
pub trait Entropy: Send + Sync {
    /// Fills `bytes` with random bytes.
    ///
    /// # Errors
    /// [`EntropyError`] if the system has no random bytes; `bytes` must not be used then.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError>;
}

/// The system has no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct EntropyError;
