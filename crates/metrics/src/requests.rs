//! What is counted of requests.

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use roster_http::{Answered, ObserveRequests};

use crate::recent::{Recent, RecentStep};

/// The upper bounds of durations, in seconds.
pub const DURATIONS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

const TOO_MANY_REQUESTS: u16 = 429;

const SURFACES: [&str; 4] = ["native", "lumen", "lava", "admin"];

/// Counts requests.
pub struct Requests {
    answered: IntCounterVec,
    durations: HistogramVec,
    limited: IntCounterVec,
    recent: Recent,
}

impl Requests {
    pub fn new(registry: &Registry) -> Self {
        let answered =
            Opts::new("roster_http_requests_total", "Requests that were answered, by the class of the status");
        let durations = HistogramOpts::new(
            "roster_http_request_duration_seconds",
            "How long requests took until the head of their answer was there",
        );
        let limited = Opts::new("roster_http_rate_limited_total", "Requests that were refused with 429");
        let requests = Self {
            answered: IntCounterVec::new(answered, &["surface", "route", "method", "status"]).expect("valid names"),
            durations: HistogramVec::new(durations.buckets(DURATIONS.to_vec()), &["surface", "route", "method"])
                .expect("valid names"),
            limited: IntCounterVec::new(limited, &["surface"]).expect("valid names"),
            recent: Recent::new(),
        };
        registry.register(Box::new(requests.answered.clone())).expect("this name is of no other metric");
        registry.register(Box::new(requests.durations.clone())).expect("this name is of no other metric");
        registry.register(Box::new(requests.limited.clone())).expect("this name is of no other metric");
        // There from the beginning: an alert on what was never counted would have no data.
        for surface in SURFACES {
            requests.limited.with_label_values(&[surface]);
        }
        requests
    }

    pub fn recent(&self) -> Vec<RecentStep> {
        self.recent.steps()
    }
}

impl ObserveRequests for Requests {
    fn answered(&self, request: &Answered<'_>) {
        let Answered { surface, route, method, status, duration } = *request;
        self.answered.with_label_values(&[surface, route, method, class(status)]).inc();
        self.durations.with_label_values(&[surface, route, method]).observe(duration.as_secs_f64());
        // A page of the console is no request of a program, and neither is a check of the health.
        if SURFACES.contains(&surface) {
            self.recent.record(duration);
        }
        if status == TOO_MANY_REQUESTS {
            self.limited.with_label_values(&[surface]).inc();
        }
    }
}

const fn class(status: u16) -> &'static str {
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_a_class() {
        assert_eq!([101, 204, 304, 429, 503].map(class), ["1xx", "2xx", "3xx", "4xx", "5xx"]);
    }
}
