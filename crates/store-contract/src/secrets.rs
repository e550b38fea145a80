//! Secrets: made once, and the same for all.

use std::sync::Arc;

use roster_application::ports::Store;

use crate::race::{Racer, race};

pub fn a_secret_is_made_once_and_kept(store: &Arc<dyn Store>) {
    assert_eq!(secret(store, "kept", 1), [1; 32]);
    assert_eq!(secret(store, "kept", 2), [1; 32]);
    assert_eq!(secret(store, "other", 3), [3; 32]);
}

pub fn all_callers_that_make_a_secret_at_once_get_the_same(store: &Arc<dyn Store>) {
    let racer = |byte: u8| -> Racer<[u8; 32]> { Box::new(move |store| secret(store, "raced", byte)) };
    let made = race(store, (0..16).map(racer).collect());
    assert!(made.iter().all(|one| *one == made[0]), "{made:?}");
    assert_eq!(secret(store, "raced", 99), made[0]);
}

fn secret(store: &Arc<dyn Store>, name: &str, byte: u8) -> [u8; 32] {
    store.direct(|uow| uow.secrets().get_or_insert(name, [byte; 32])).expect("a secret")
}
