//! Logs: to standard error, pretty or JSON. What dependencies log goes the same way.

use std::io::{self, IsTerminal as _};

use anyhow::{Context as _, anyhow};
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};
use crate::json_lines::{JsonLines, JsonPairs};
use crate::log_buffer::{LogBuffer, LogGuard};

/// The levels, least first.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Dependencies whose `info` is of no use here; they are held at `warn`, unless the filter names them.
const NOISY: [&str; 4] = ["actix_server", "actix_http", "mio", "r2d2"];

/// Sends every log line of the process to standard error from now on, until the guard is dropped.
///
/// # Errors
/// If it was done before.
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

/// Checks a level or a filter; the error is the rule that it broke.
pub fn check_level(level: &str) -> Result<(), String> {
    let rule = || format!("must be {}, or a filter such as \"info,roster::request=off\"", LEVELS.join(", "));
    // To the filter's syntax a single word may also be the name of a module, which `inof` is not meant to be.
    if level.bytes().all(|b| b.is_ascii_alphanumeric()) && !LEVELS.contains(&level) {
        return Err(rule());
    }
    EnvFilter::try_new(level).map(drop).map_err(|error| format!("{}: {error}", rule()))
}

/// The filter of a level that was checked. What it says of a dependency wins over what is said here.
fn filter(level: &str) -> EnvFilter {
    if LEVELS[..3].contains(&level) {
        return EnvFilter::new(level);
    }
    let held = NOISY.map(|target| format!("{target}=warn")).join(",");
    EnvFilter::new(format!("{held},{level}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_or_a_filter_is_taken() {
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
    fn dependencies_are_held_at_warn_unless_the_filter_names_them() {
        assert!(filter("debug").to_string().contains("actix_server=warn"));
        assert!(filter("debug,actix_server=trace").to_string().contains("actix_server=trace"));
        assert_eq!(filter("error").to_string(), "error");
    }
}
