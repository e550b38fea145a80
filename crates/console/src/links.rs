//! Links that sign in once, for the person who has started the service.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};

use crate::session::random_text;

/// How long a link can be used, in seconds.
const LIFETIME: i64 = 600;

/// The most links at a time. A new one is not made beyond that until one has been used, or its time is over.
const MAX_LINKS: usize = 16;

/// The links that can be used.
#[derive(Default)]
pub(crate) struct Links(Mutex<HashMap<Vec<u8>, Link>>);

struct Link {
    key: String,
    ends_at: i64,
}

impl Links {
    /// A new link for this key: the random text in it.
    pub(crate) fn add(&self, key: &str, now: i64) -> String {
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|_, link| link.ends_at > now);
        let Some(token) = random_text().filter(|_| links.len() < MAX_LINKS) else { return String::new() };
        links.insert(digest_of(&token), Link { key: key.to_owned(), ends_at: now + LIFETIME });
        token
    }

    /// The key of a link, which cannot be used again.
    pub(crate) fn take(&self, token: &str, now: i64) -> Option<String> {
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let link = links.remove(&digest_of(token))?;
        (link.ends_at > now).then_some(link.key)
    }
}

/// Links are found by a digest, so that the time of a search says nothing of their texts.
fn digest_of(token: &str) -> Vec<u8> {
    digest(&SHA256, token.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_used_once_and_within_ten_minutes() {
        let links = Links::default();
        let [one, late] = [links.add("one", 100), links.add("late", 100)];
        assert_eq!(links.take("", 100), None);
        assert_eq!(links.take(&one, 699).as_deref(), Some("one"));
        assert_eq!(links.take(&one, 699), None);
        assert_eq!(links.take(&late, 700), None);
    }

    #[test]
    fn links_are_bounded_and_those_that_have_ended_make_room() {
        let links = Links::default();
        let made = (0..=MAX_LINKS).map(|_| links.add("key", 0)).filter(|token| !token.is_empty()).count();
        assert_eq!(made, MAX_LINKS);
        assert!(!links.add("key", LIFETIME).is_empty());
    }
}
