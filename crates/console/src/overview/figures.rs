//! The figures of the charts.

use chrono::{DateTime, Duration, Utc};
use futures_util::future;
use serde_json::Value;

use crate::api::{Answer, text};
use crate::form::query;
use crate::refusal::Refusal;
use crate::visit::Visit;
use crate::{RequestStep, texts};

/// How many days a chart of days has. The API counts the changes of at most 90.
const DAYS: i64 = 30;

/// How many steps of ten seconds a minute has.
const STEPS_OF_A_MINUTE: usize = 6;

/// A chart of the overview.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chart {
    /// New customers per day.
    Customers,
    /// Changes of customers and subscriptions per day.
    Changes,
    /// Requests per second of this instance.
    Requests,
    /// How long requests take.
    Durations,
}

/// A bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Point {
    /// The day, or the minute.
    pub(crate) label: String,
    /// Customers, changes, sixtieths of a request per second, or microseconds.
    pub(crate) value: u64,
    /// Whether `value` is the least that it is.
    pub(crate) is_more: bool,
}

impl Chart {
    const ALL: [Self; 4] = [Self::Customers, Self::Changes, Self::Requests, Self::Durations];

    /// Its name in paths.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Changes => "changes",
            Self::Requests => "requests",
            Self::Durations => "durations",
        }
    }

    /// The one with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|chart| chart.as_str() == name)
    }

    /// Its title for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Customers => texts::NEW_CUSTOMERS_PER_DAY,
            Self::Changes => texts::CHANGES_PER_DAY,
            Self::Requests => texts::REQUESTS_PER_SECOND,
            Self::Durations => texts::DURATION_OF_REQUESTS,
        }
    }

    /// A value with its unit, for people.
    pub(crate) fn shown(self, point: &Point) -> String {
        let value = point.value;
        let more = if point.is_more { "+" } else { "" };
        match self {
            Self::Customers | Self::Changes => format!("{value}{more}"),
            Self::Requests => format!("{}.{}/s", value / 60, value % 60 * 10 / 60),
            Self::Durations => format!("{}.{} ms", value / 1000, value % 1000 / 100),
        }
    }

    /// Its bars, the oldest first.
    pub(crate) async fn points(self, visit: &Visit) -> Result<Vec<Point>, Refusal> {
        match self {
            Self::Customers => new_customers(visit).await,
            Self::Changes => changes(visit).await,
            Self::Requests | Self::Durations => Ok(self.minutes(visit)),
        }
    }

    fn minutes(self, visit: &Visit) -> Vec<Point> {
        let steps = (visit.place.worker.console.0.requests)();
        let minutes = steps.chunks(STEPS_OF_A_MINUTE);
        let (count, now) = (minutes.len(), now(visit));
        let point = |(place, steps): (usize, &[RequestStep])| {
            let back = i64::try_from(count - place).unwrap_or(0);
            let value = match self {
                Self::Durations => steps.iter().map(|step| step.p99_micros).max().unwrap_or(0),
                Self::Customers | Self::Changes | Self::Requests => steps.iter().map(|step| step.requests).sum(),
            };
            let label = (now - Duration::minutes(back)).format("%H:%M").to_string();
            Point { label, value, is_more: false }
        };
        minutes.enumerate().map(point).collect()
    }
}

fn now(visit: &Visit) -> DateTime<Utc> {
    DateTime::from_timestamp(visit.place.now(), 0).unwrap_or_default()
}

/// Customers that were created on each day, UTC, and are not deleted.
async fn new_customers(visit: &Visit) -> Result<Vec<Point>, Refusal> {
    let today = now(visit).date_naive();
    let days: Vec<_> = (0..DAYS).rev().map(|back| (today - Duration::days(back)).to_string()).collect();
    let count = |day: &String| {
        let parameters = [
            ("created_after", format!("{day}T00:00:00Z")),
            ("created_before", format!("{day}T23:59:59.999Z")),
            ("include", "total".to_owned()),
            ("limit", "1".to_owned()),
        ];
        let query = query(parameters.iter().map(|(name, value)| (*name, value.as_str())));
        visit.get(format!("/v1/customers{query}"))
    };
    let answers = future::join_all(days.iter().map(count)).await;
    let point = |(day, answer): (&String, Result<Answer, Refusal>)| -> Result<Point, Refusal> {
        let page = answer?.ok()?.body;
        let (value, is_more) = (page["total_count"].as_u64().unwrap_or(0), page["total_is_exact"] == false);
        Ok(Point { label: day.clone(), value, is_more })
    };
    days.iter().zip(answers).map(point).collect()
}

/// The events of each day, UTC, that are still kept.
async fn changes(visit: &Visit) -> Result<Vec<Point>, Refusal> {
    let days = visit.get(format!("/v1/events/days?days={DAYS}")).await?.ok()?.body;
    let point = |day: &Value| {
        let value = day["events"].as_u64().unwrap_or(0);
        Point { label: text(day, "date").to_owned(), value, is_more: false }
    };
    Ok(days["data"].as_array().into_iter().flatten().map(point).collect())
}
