//! Logging to standard error, pretty or JSON, also for dependencies.

use std::io::{self, IsTerminal as _};

use anyhow::{Context as _, anyhow};
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};
use crate::json_lines::{JsonLines, JsonPairs};
use crate::log_buffer::{LogBuffer, LogGuard};

/// The levels, the quietest first.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Dependencies whose `info` lines are noise. They log from `warn` up, unless the filter names them.
const NOISY: [&str; 4] = ["actix_server", "actix_http", "mio", "r2d2"];

/// What reads requests logs nothing, unless the filter names it: for it, a client that sends no HTTP is an error, and so is
/// a list that is broken off, which this service logs itself.
const SILENT: &str = "actix_http::h1::dispatcher";

/// Sends all log lines of the process to standard error, until the guard is dropped.
///
/// # Errors
/// If logging was started before, or the thread of the log cannot be started.
pub fn start(log: &Log) -> anyhow::Result<LogGuard> {
    let terminal = io::stderr().is_terminal();
    let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (buffer, guard) = LogBuffer::start(io::stderr()).context("the log cannot be started")?;
    let builder = tracing_subscriber::fmt().with_writer(buffer).with_env_filter(filter(&log.level));
    let started = match log.format {
        LogFormat::Auto if !terminal => builder.fmt_fields(JsonPairs).event_format(JsonLines).try_init(),
        LogFormat::Json => builder.fmt_fields(JsonPairs).event_format(JsonLines).try_init(),
        LogFormat::Auto | LogFormat::Pretty => builder.with_ansi(colours).try_init(),
    };
    started.map_err(|error| anyhow!(error).context("the log cannot be started"))?;
    Ok(guard)
}

/// Checks a level or a filter. The error is the rule that it breaks.
pub fn check_level(level: &str) -> Result<(), String> {
    let rule = || format!("must be {}, or a filter such as \"info,roster::request=off\"", LEVELS.join(", "));
    // A filter accepts any single word as the name of a module, so the typo `inof` would silently turn logging off.
    if level.bytes().all(|b| b.is_ascii_alphanumeric()) && !LEVELS.contains(&level) {
        return Err(rule());
    }
    EnvFilter::try_new(level).map(drop).map_err(|error| format!("{}: {error}", rule()))
}

/// Makes the filter of a checked level. What the level says about a dependency overrides [`NOISY`] and [`SILENT`].
fn filter(level: &str) -> EnvFilter {
    if LEVELS[..3].contains(&level) {
        return EnvFilter::new(format!("{SILENT}=off,{level}"));
    }
    let held = NOISY.map(|target| format!("{target}=warn")).join(",");
    EnvFilter::new(format!("{held},{SILENT}=off,{level}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_or_a_filter_is_accepted() {
        for level in ["off", "error", "warn", "info", "debug", "trace", "info,roster::request=off", "roster_http=debug"]
        {
            assert_eq!(check_level(level), Ok(()), "{level}");
        }
    }

    #[test]
    fn a_mistyped_level_is_refused() {
        for level in ["", "inof", "INFO2", "info,roster=lots", "info,,=,"] {
            assert!(check_level(level).is_err(), "{level}");
        }
    }

    #[test]
    fn dependencies_log_from_warn_up_unless_the_filter_names_them() {
        assert!(filter("debug").to_string().contains("actix_server=warn"));
        assert!(filter("debug,actix_server=trace").to_string().contains("actix_server=trace"));
        assert!(filter("debug,actix_http::h1::dispatcher=error").to_string().contains("dispatcher=error"));
        for level in LEVELS {
            assert!(filter(level).to_string().contains("actix_http::h1::dispatcher=off"), "{level}");
        }
        assert!(!filter("error").to_string().contains("warn"));
    }
}
