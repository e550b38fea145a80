//! The use cases, on the memory store, which passes the same contract as the databases.

mod api_keys;
mod authentication;
mod changing;
mod counting;
mod deleting;
mod finding;
mod idempotency;
mod importing;
mod merchants;
mod model;
mod operators;
mod preconditions;
mod registering;
mod replicas;
mod service;
mod subscriptions;
mod upserting;
mod watched_store;
mod webhooks;
mod writing;
