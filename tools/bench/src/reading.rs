//! The result of a measurement, and statistics of several results.

/// The largest share of all processors that other processes may use: a measurement with a larger one is not trusted.
pub const TOLERATED: f64 = 0.05;

/// The result of one measurement. Times are in microseconds; a value that the load generator does not report is NaN.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// Requests per second.
    pub per_second: f64,
    /// Rows per second; NaN if rows are not counted.
    pub rows_per_second: f64,
    /// The mean latency.
    pub mean: f64,
    /// The median of the latency.
    pub p50: f64,
    /// The 99th percentile of the latency.
    pub p99: f64,
    /// The 99.9th percentile of the latency.
    pub p999: f64,
    /// The number of requests that were refused or not answered.
    pub failed: f64,
    /// CPU time of the service per request.
    pub service_cpu: f64,
    /// CPU time of the database server per request.
    pub database_cpu: f64,
    /// The share of all processors that neither service nor database nor load generator used.
    pub others: f64,
}

/// Several results of the same measurement.
#[derive(Debug, Clone, Default)]
pub struct Series(Vec<Reading>);

impl Series {
    /// Adds a result.
    pub fn push(&mut self, reading: Reading) {
        self.0.push(reading);
    }

    /// The median of a value.
    pub fn median(&self, figure: impl Fn(&Reading) -> f64) -> f64 {
        let figures = self.sorted(figure);
        match figures.len() {
            0 => f64::NAN,
            odd if !odd.is_multiple_of(2) => figures[odd / 2],
            even => f64::midpoint(figures[even / 2 - 1], figures[even / 2]),
        }
    }

    /// The smallest and the largest of a value.
    pub fn range(&self, figure: impl Fn(&Reading) -> f64) -> (f64, f64) {
        let figures = self.sorted(figure);
        (figures.first().copied().unwrap_or(f64::NAN), figures.last().copied().unwrap_or(f64::NAN))
    }

    /// The sum of a value.
    pub fn sum(&self, figure: impl Fn(&Reading) -> f64) -> f64 {
        self.0.iter().map(figure).sum()
    }

    /// Whether one of the results is not trusted because of other processes.
    pub fn is_disturbed(&self) -> bool {
        self.0.iter().any(|reading| reading.others > TOLERATED)
    }

    fn sorted(&self, figure: impl Fn(&Reading) -> f64) -> Vec<f64> {
        let mut figures: Vec<f64> = self.0.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(rates: &[f64]) -> Series {
        let reading = |per_second: &f64| Reading {
            per_second: *per_second,
            rows_per_second: f64::NAN,
            mean: 0.0,
            p50: 0.0,
            p99: 0.0,
            p999: 0.0,
            failed: 1.0,
            service_cpu: 0.0,
            database_cpu: 0.0,
            others: per_second / 100.0,
        };
        Series(rates.iter().map(reading).collect())
    }

    #[test]
    fn the_median_is_in_the_middle() {
        let median = |rates: &[f64]| series(rates).median(|reading| reading.per_second).to_string();
        assert_eq!([median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0]), median(&[])], ["2", "2.5", "NaN"]);
    }

    #[test]
    fn one_disturbed_measurement_disturbs_the_series() {
        let all = series(&[1.0, 9.0, 2.0]);
        assert!(all.is_disturbed());
        assert!(!series(&[1.0, 2.0]).is_disturbed());
        assert_eq!((all.range(|reading| reading.per_second), all.sum(|reading| reading.failed)), ((1.0, 9.0), 3.0));
    }
}
