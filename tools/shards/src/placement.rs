//! Merchants of very different sizes on shards, and shards on workers.

use crate::random::Random;
use crate::{percent, to_f64};

/// All customers.
pub const CUSTOMERS: u64 = 1_000_000_000;

/// All merchants.
const MERCHANTS: usize = 100_000;

/// The customers of the largest merchant.
const HOT: u64 = 100_000_000;

/// The number of customers of each merchant, the largest first.
///
/// The other merchants share what the largest leaves by Zipf's law: the one at rank *r* has in proportion to 1/*r*.
pub struct Merchants(Vec<u64>);

impl Merchants {
    pub fn largest_first() -> Self {
        let weights: Vec<f64> = (2..=MERCHANTS).map(|rank| 1.0 / to_f64(rank)).collect();
        let sum: f64 = weights.iter().sum();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let rest = (CUSTOMERS - HOT) as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of customers")]
        let mut sizes: Vec<u64> = weights.iter().map(|weight| (rest * weight / sum) as u64).collect();
        // What rounding has left out.
        sizes[0] += CUSTOMERS - HOT - sizes.iter().sum::<u64>();
        sizes.insert(0, HOT);
        Self(sizes)
    }

    /// The sizes, in one line.
    pub fn describe(&self) -> String {
        let share = |customers: u64| percent(share(customers));
        let hundred = self.0[1..=100].iter().sum();
        let (second, middle) = (self.0[1], self.0[MERCHANTS / 2]);
        format!(
            "{} merchants, {CUSTOMERS} customers: the largest has {}, the second {} ({second}), the 100 behind the largest \
             {}, the one in the middle {middle} customers",
            self.0.len(),
            share(self.0[0]),
            share(second),
            share(hundred),
        )
    }
}

/// The customers on each shard.
pub struct Placement {
    shards: Vec<u64>,
    /// The hot merchant, if it has a shard of its own.
    isolated: Option<u64>,
}

impl Placement {
    /// Each merchant is on the shard of its hash, which is any with the same probability.
    pub fn by_hash(merchants: &Merchants, shards: usize, random: &mut Random) -> Self {
        Self { shards: spread(&merchants.0, shards, random), isolated: None }
    }

    /// The same, with the largest merchant on a shard of its own.
    pub fn with_hot_isolated(merchants: &Merchants, shards: usize, random: &mut Random) -> Self {
        Self { shards: spread(&merchants.0[1..], shards, random), isolated: Some(merchants.0[0]) }
    }

    /// All customers.
    #[cfg(test)]
    pub fn customers(&self) -> u64 {
        self.all().sum()
    }

    /// The share of all customers that the largest shard has.
    pub fn largest_shard(&self) -> f64 {
        share(self.all().max().unwrap_or_default())
    }

    /// The same, of the shards that are shared.
    pub fn largest_shared(&self) -> f64 {
        share(self.shards.iter().copied().max().unwrap_or_default())
    }

    /// The share of the worker that has the most customers, if workers take shards in turn. A shard of its own stays where the
    /// hot merchant was, on the first worker.
    pub fn heaviest_worker_in_turn(&self, workers: usize) -> f64 {
        let mut loads = vec![0; workers];
        for (number, customers) in self.shards.iter().enumerate() {
            loads[number % workers] += customers;
        }
        loads[0] += self.isolated.unwrap_or_default();
        share(loads.into_iter().max().unwrap_or_default())
    }

    /// The same, if each shard, the largest first, goes to the worker that has the fewest customers so far.
    pub fn heaviest_worker_by_size(&self, workers: usize) -> f64 {
        let mut shards: Vec<u64> = self.all().collect();
        shards.sort_unstable_by(|one, other| other.cmp(one));
        let mut loads = vec![0; workers];
        for customers in shards {
            if let Some(least) = loads.iter_mut().min() {
                *least += customers;
            }
        }
        share(loads.into_iter().max().unwrap_or_default())
    }

    fn all(&self) -> impl Iterator<Item = u64> {
        self.shards.iter().copied().chain(self.isolated)
    }
}

fn spread(merchants: &[u64], shards: usize, random: &mut Random) -> Vec<u64> {
    let mut spread = vec![0; shards];
    for customers in merchants {
        spread[random.below(shards)] += customers;
    }
    spread
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn share(customers: u64) -> f64 {
    customers as f64 / CUSTOMERS as f64
}
