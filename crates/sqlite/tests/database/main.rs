//! What the contract of all stores does not cover on SQLite.

mod closing;
mod migrations;
mod opening;
mod processes;
mod replacing;
mod rows;
mod samples;
mod schema;
mod search;
