//! Webhooks, the sending side: one signed HTTP request to one endpoint, and when to try again.
//!
//! [`Sender`] sends a [`Delivery`] and reports the [`Attempt`]: start reading there. [`signing`] makes the headers by
//! which the endpoint knows who has sent it, [`Schedule`] says how long to wait before the next attempt, and `guard`
//! looks host names up and keeps requests off addresses that are not public.
//!
//! Which URLs are allowed is a rule of the domain: [`EndpointUrl`](roster_domain::EndpointUrl).
//!
//! This crate must not know where endpoints and events are stored, what an event looks like, or when an endpoint's turn
//! comes: it gets a body and sends it.

mod guard;
pub mod schedule;
pub mod sender;
pub mod signing;

pub use schedule::{Schedule, ScheduleError};
pub use sender::{Attempt, Delivery, Options, Outcome, Sender, StartError};
pub use signing::{Ed25519Key, KeyError, Secret, SigningKeys};
