//! What is promised of a SQLite file beyond what every store promises.

mod closing;
mod migrations;
mod opening;
mod processes;
mod rows;
mod samples;
mod schema;
