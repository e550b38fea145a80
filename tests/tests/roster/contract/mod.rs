//! What each surface promises beyond the vendors' examples.

mod bodies;
mod identity;
mod lava;
mod limits;
mod lists;
mod lumen;
mod metadata;
mod native;
mod request_id;
mod subscriptions;
