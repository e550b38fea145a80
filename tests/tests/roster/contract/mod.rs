//! The promises of each surface that go beyond the examples of the vendors.

mod batches;
mod billing;
mod bodies;
mod conditions;
mod filters;
mod identity;
mod lava;
mod limits;
mod lists;
mod lumen;
mod metadata;
mod native;
mod request_id;
mod subscriptions;
mod upserts;
