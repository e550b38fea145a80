//! Simulates a billion customers of a hundred thousand merchants on the shards of a Citus cluster, and the writers of the
//! largest merchant in front of its feed head. `docs/scale.md` quotes what it prints; its tests hold the claims made there.
//!
//! It knows nothing of the service: sizes follow a power law, a shard is a range of hashes, and all random numbers follow
//! from a seed, so that each run prints the same.

mod head;
mod placement;
mod random;

use head::{Head, Load};
use placement::{Merchants, Placement};
use random::Random;

/// How often merchants are placed anew, each time with other hashes.
const ROUNDS: u64 = 200;

/// The numbers of shards that are compared. 32 is what Citus takes if it is not told.
const SHARDS: [usize; 4] = [32, 64, 128, 256];

/// The workers of the cluster.
const WORKERS: usize = 8;

fn main() {
    let merchants = Merchants::largest_first();
    println!("{}", merchants.describe());
    print_shards(&merchants);
    print_workers(&merchants);
    print_head();
}

fn print_shards(merchants: &Merchants) {
    println!("\n| shards | mean share | largest shard | × mean | largest shard, the hot merchant isolated | × mean |");
    println!("|---:|---:|---:|---:|---:|---:|");
    for shards in SHARDS {
        let together = Spread::of(ROUNDS, |random| Placement::by_hash(merchants, shards, random).largest_shard());
        let isolated =
            Spread::of(ROUNDS, |random| Placement::with_hot_isolated(merchants, shards, random).largest_shared());
        let mean = 1.0 / to_f64(shards);
        println!(
            "| {shards} | {} | {together} | {:.1} | {isolated} | {:.1} |",
            percent(mean),
            together.median / mean,
            isolated.median / mean
        );
    }
}

fn print_workers(merchants: &Merchants) {
    println!(
        "\n| shards | heaviest of {WORKERS} workers, shards in turn | hot merchant isolated | and shards placed by size |"
    );
    println!("|---:|---:|---:|---:|");
    for shards in SHARDS {
        let spread = |heaviest: fn(&Merchants, usize, &mut Random) -> f64| {
            Spread::of(ROUNDS, |random| heaviest(merchants, shards, random))
        };
        let in_turn = spread(|merchants, shards, random| {
            Placement::by_hash(merchants, shards, random).heaviest_worker_in_turn(WORKERS)
        });
        let isolated = spread(|merchants, shards, random| {
            Placement::with_hot_isolated(merchants, shards, random).heaviest_worker_in_turn(WORKERS)
        });
        let by_size = spread(|merchants, shards, random| {
            Placement::with_hot_isolated(merchants, shards, random).heaviest_worker_by_size(WORKERS)
        });
        println!("| {shards} | {in_turn} | {isolated} | {by_size} |");
    }
}

fn print_head() {
    println!("\n| commit | processes | writes a second at most | of it | p50 | p99 | writes of a batch, mean |");
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    for commit_ms in [0.5, 1.0, 2.0, 5.0, 10.0] {
        for processes in [1, 4] {
            let head = Head { processes, commit_ms };
            let most = head.most_per_second();
            for part in [0.5, 0.8] {
                let outcome = head.run(Load { per_second: most * part, writes: 50_000 }, &mut Random::new(1));
                println!(
                    "| {commit_ms} ms | {processes} | {most:.0} | {} | {:.1} ms | {:.1} ms | {:.1} |",
                    percent(part),
                    outcome.p50_ms,
                    outcome.p99_ms,
                    outcome.mean_batch
                );
            }
        }
    }
}

/// A figure of many rounds.
struct Spread {
    median: f64,
    /// 95 of 100 rounds are no worse.
    p95: f64,
}

impl Spread {
    fn of(rounds: u64, mut figure: impl FnMut(&mut Random) -> f64) -> Self {
        let mut figures: Vec<f64> = (0..rounds).map(|round| figure(&mut Random::new(round))).collect();
        figures.sort_by(f64::total_cmp);
        let at = |part: f64| figures[index(part, figures.len())];
        Self { median: at(0.5), p95: at(0.95) }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", percent(self.median), percent(self.p95))
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// The place of a part, such as 0.95, in a sorted list of this length.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a length is an index")]
fn index(part: f64, length: usize) -> usize {
    ((to_f64(length) * part) as usize).min(length.saturating_sub(1))
}

#[expect(clippy::cast_precision_loss, reason = "all numbers here are far below 2^52")]
fn to_f64(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Enough for a median, in a build without optimisation.
    const FEW: u64 = 15;

    fn median(figure: impl FnMut(&mut Random) -> f64) -> f64 {
        Spread::of(FEW, figure).median
    }

    #[test]
    fn the_largest_shard_is_the_hot_merchant_whatever_the_number_of_shards() {
        let merchants = Merchants::largest_first();
        for shards in SHARDS {
            let largest = median(|random| Placement::by_hash(&merchants, shards, random).largest_shard());
            assert!((0.10..0.14).contains(&largest), "{shards} shards: {largest}");
        }
    }

    #[test]
    fn isolating_the_hot_merchant_halves_the_largest_shard_and_more_shards_go_on() {
        let merchants = Merchants::largest_first();
        let largest = SHARDS
            .map(|shards| median(|random| Placement::with_hot_isolated(&merchants, shards, random).largest_shared()));
        assert!(largest[0] < 0.08, "{largest:?}");
        // The second largest merchant has 4 %: no number of shards makes its shard smaller.
        assert!((0.04..0.055).contains(&largest[3]), "{largest:?}");
        assert!(largest.is_sorted_by(|more, fewer| more >= fewer), "{largest:?}");
    }

    #[test]
    fn isolated_and_placed_by_size_the_workers_are_within_a_tenth_of_each_other() {
        let merchants = Merchants::largest_first();
        let mean = 1.0 / to_f64(WORKERS);
        for shards in [64, 128, 256] {
            let heaviest = median(|random| {
                Placement::with_hot_isolated(&merchants, shards, random).heaviest_worker_by_size(WORKERS)
            });
            assert!(heaviest < 1.1 * mean, "{shards} shards: {heaviest}");
        }
    }

    #[test]
    fn each_customer_is_on_one_shard() {
        let merchants = Merchants::largest_first();
        for shards in SHARDS {
            let random = &mut Random::new(3);
            assert_eq!(Placement::by_hash(&merchants, shards, random).customers(), placement::CUSTOMERS);
            assert_eq!(Placement::with_hot_isolated(&merchants, shards, random).customers(), placement::CUSTOMERS);
        }
    }
}
