use std::sync::atomic::{AtomicU64, Ordering};

use roster_application::ports::{Entropy, EntropyError};

/// Returns the bytes 0, 1, 2, …, 255, 0, …: the same in every run, and therefore not secret.
#[derive(Debug, Default)]
pub struct CountingEntropy(AtomicU64);

impl Entropy for CountingEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        for byte in bytes {
            let [.., low] = self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes();
            *byte = low;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_continues_from_call_to_call() {
        let entropy = CountingEntropy::default();
        let mut bytes = [9; 3];
        entropy.fill(&mut bytes).expect("endless entropy");
        assert_eq!(bytes, [0, 1, 2]);
        entropy.fill(&mut bytes).expect("endless entropy");
        assert_eq!(bytes, [3, 4, 5]);
    }
}
