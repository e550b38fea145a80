//! Webhooks, the sending side: signed HTTP requests to the endpoints of all tenants.
//!
//! [`Worker`] leases endpoints, sends what is due, and records what came of it: start reading there. [`Sender`] sends one
//! [`Delivery`] and reports the [`Attempt`], [`signing`] makes the headers by which the endpoint knows who has sent it,
//! [`Schedule`] says how long to wait before the next attempt, and `guard` looks host names up and keeps requests off
//! addresses that are not public.
//!
//! Which URLs are allowed is a rule of the domain: [`EndpointUrl`](roster_domain::EndpointUrl).
//!
//! This crate must not know which database there is, or what the body of an event looks like. It calls use cases through
//! `roster-executor`. Which events may be sent now is decided by
//! [`Progress`](roster_application::progress::Progress).

mod guard;
pub mod schedule;
pub mod sender;
pub mod signing;
pub mod worker;

pub use schedule::{Schedule, ScheduleError};
pub use sender::{Attempt, Delivery, Options, Outcome, Sender, StartError};
pub use signing::{Ed25519Key, KeyError, Secret, SigningKeys};
pub use worker::{Courier, Settings, Worker, WriteBody};
