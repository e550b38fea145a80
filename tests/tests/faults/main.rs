//! What a fault of one thing does to everything else. The whole program on a PostgreSQL server that freezes, is replaced,
//! refuses writes, is restored from a dump, or is locked by another client; and under floods of requests.
//!
//! Those that take longer than about ten seconds are ignored here, and run by `make faults`.

mod failover;
mod floods;
mod imports;
mod locks;
mod migrations;
mod overload;
mod pooler;
mod proxy;
mod read_only;
mod replica;
mod restored;
mod silence;
mod standby;
mod traffic;
mod writers;
