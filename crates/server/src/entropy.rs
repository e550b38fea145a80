//! Randomness from the operating system.

use roster_application::ports::{Entropy, EntropyError};

/// Gives random bytes from the operating system.
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        #[expect(clippy::disallowed_methods, reason = "this is the adapter behind the port")]
        getrandom::fill(bytes).map_err(|_| EntropyError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_fills_differ() {
        let mut twice = [[0; 32]; 2];
        for bytes in &mut twice {
            SystemEntropy.fill(bytes).expect("randomness");
        }
        assert_ne!(twice[0], twice[1]);
        assert!(!twice.contains(&[0; 32]));
    }
}
