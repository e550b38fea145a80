//! `roster export`

use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use roster_application::ports::{CustomerFilter, CustomerState};
use roster_application::{ExportPart, Roster};
use roster_domain::CustomerStatus;
use roster_http::ExportWriter;

use super::require_merchant;
use crate::cli::Export;
use crate::compose::{self, Missing};
use crate::config::Config;

/// How many parts are in memory besides the one that is read and the one that is written.
const PARTS: usize = 2;

/// How long to wait before trying again to hand over a part.
const PAUSE: Duration = Duration::from_millis(1);

/// Writes all customers of a tenant to standard output.
///
/// One thread reads while this one writes: what reads the output may be slow, and a database may not answer.
pub fn run(arguments: &Export, config: &Config) -> anyhow::Result<()> {
    let database = compose::open_up_to_date(config, 0, Missing::Refuse)?;
    let (parts, written) = sync_channel::<Vec<u8>>(PARTS);
    let (roster, export) = (database.roster(), export(arguments));
    require_merchant(&roster, export.tenant)?;
    let mut writer = ExportWriter::new(arguments.format);
    let reader =
        thread::Builder::new().name("export".to_owned()).spawn(move || read(&roster, &export, &mut writer, &parts));
    let reader = reader.context("no thread can be started")?;
    // A page is read within the deadline, after a connection was made.
    let patience = 2 * config.database.deadline;
    let mut out = io::stdout().lock();
    loop {
        match written.recv_timeout(patience) {
            Ok(part) => out.write_all(&part).context("the customers cannot be written")?,
            // The reader has ended, and says how.
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => bail!("the export is not complete: the database does not answer"),
        }
    }
    out.flush().context("the customers cannot be written")?;
    let count = reader.join().map_err(|_| anyhow!("the reading thread has panicked"))??;
    // Standard output has the customers.
    eprintln!("{count} customers");
    Ok(())
}

fn export(arguments: &Export) -> roster_application::Export {
    let state = match arguments.status {
        None => CustomerState::Live,
        Some(CustomerStatus::Active) => CustomerState::Active,
        Some(CustomerStatus::Archived) => CustomerState::Archived,
    };
    let filter = CustomerFilter::from(state);
    roster_application::Export { tenant: arguments.of.into(), filter, age: arguments.max_age }
}

/// Reads the customers, and returns how many there are.
fn read(
    roster: &Roster,
    export: &roster_application::Export,
    writer: &mut ExportWriter,
    parts: &SyncSender<Vec<u8>>,
) -> anyhow::Result<u64> {
    let end = Instant::now() + export.age;
    let (mut count, mut failure) = (0, None);
    let read = roster.export_customers(export, &mut |part: ExportPart| {
        count += part.customers.len() as u64;
        let given = writer.write(&part.customers, part.is_last).map_err(anyhow::Error::from);
        match given.and_then(|bytes| give(parts, bytes, end)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    match failure {
        Some(error) => Err(error),
        None => read.map(|()| count).map_err(anyhow::Error::from),
    }
    .context("the export is not complete")
}

/// Hands a part over until `end`: the snapshot must not be kept for a reader that does not read.
fn give(parts: &SyncSender<Vec<u8>>, mut bytes: Vec<u8>, end: Instant) -> anyhow::Result<()> {
    loop {
        match parts.try_send(bytes) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(_)) if Instant::now() >= end => bail!("its output was not read in time (--max-age)"),
            Err(TrySendError::Full(back)) => bytes = back,
            Err(TrySendError::Disconnected(_)) => bail!("its output is closed"),
        }
        thread::sleep(PAUSE);
    }
}
