//! Builds the crate anew when a migration is added, which the macro that embeds them does not see.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations/postgres");
}
