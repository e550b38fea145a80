//! The promises of the program, tested from outside.

mod browsers;
mod contract;
mod durability;
mod events;
mod exports;
mod guide;
mod idempotency;
mod isolation;
mod keys;
mod mass_assignment;
mod outage;
mod process;
mod protocol;
mod races;
mod rates;
mod replaced_file;
mod robustness;
mod routes;
mod scopes;
mod seeds;
mod slow_clients;
mod stopping;
mod streaming;
mod tls;
mod tokens;
mod transfer;
