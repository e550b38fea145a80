//! What the program promises, tried from outside.

mod contract;
mod durability;
mod isolation;
mod outage;
mod process;
mod races;
mod robustness;
mod routes;
mod seeds;
mod streaming;
