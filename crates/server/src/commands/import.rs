//! `roster import`

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use roster_application::{
    BegunImport, Digest, ImportCounts, ImportError, ImportRules, MAX_REHEARSED, Rehearsal, Roster, RowRefusal,
};
use roster_domain::{Tenant, Timestamp};
use roster_transfer::{BatchReader, FileError, ImportOptions, Mapping, ReadBatch, Reader, RowError};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::errors_file::ErrorsFile;
use super::progress::{Progress, grouped, rate};
use super::require_merchant;
use crate::cli::{Form, Import};
use crate::compose::{self, Missing};
use crate::config::Config;
use crate::{output, signals};

/// The most rows that one transaction imports. With more, an import is faster, and holds the write lock of a SQLite file longer: a
/// service on the file waits for it, for 1 s at most.
const BATCH_ROWS: usize = 1000;

/// The most errors that are shown if they are not written to a file.
const SHOWN: usize = 20;

/// How often a batch may use up the deadline of the database: each attempt may.
const ATTEMPTS: u32 = 8;

/// Makes customers of the rows of a file.
///
/// One thread reads the rows, one writes them, and this one shows how far they have come, and does not wait for ever.
pub fn run(arguments: &Import, config: &Config) -> anyhow::Result<()> {
    let stop = signals::request().context("signals cannot be caught")?;
    let name = arguments.file.display().to_string();
    let mapping = mapping(&arguments.from)?;
    let source = Source::open(&arguments.file).with_context(|| format!("{name} cannot be read"))?;
    let tenant: Tenant = arguments.of.into();
    let database = compose::open_up_to_date(config, 0, Missing::Refuse)?;
    let roster = database.roster();
    require_merchant(&roster, tenant)?;

    let options = ImportOptions {
        from: arguments.from.clone(),
        format: arguments.format.0,
        unknown: arguments.unknown,
        on_conflict: arguments.on_conflict,
        allow_duplicate_emails: arguments.allow_duplicate_emails,
        max_errors: arguments.max_errors,
    };
    let rules = options.import_rules();
    let options = options.rules(mapping.digest.as_deref());
    let run = if arguments.dry_run {
        Run::Dry(roster.rehearse_import(tenant, source.digest))
    } else {
        match roster.begin_import(tenant, source.digest, &options, arguments.again)? {
            BegunImport::Open(import) => Run::Real(import),
            BegunImport::Finished(import) => return Summary::of(&import, true, false).print(arguments.form),
            BegunImport::OpenWithOthers(import) => bail!(
                "{} of this file has not come to its end, and has other options: {}; give these again, or --again to begin anew",
                import.id,
                import.options
            ),
        }
    };
    let import = run.import().clone();
    if import.counts.rows > 0 {
        eprintln!("{} goes on behind row {}", import.id, grouped(import.counts.rows));
    }
    let errors = arguments.errors.as_deref().map(|path| ErrorsFile::open(path, import.counts.faults)).transpose()?;
    let (size, done) = (source.size, import.counts.rows);
    let reader = Reader::open(source.file, arguments.format.0, mapping.mapping, arguments.unknown, roster.now())
        .map_err(|error| anyhow!("{name}: {error}"))?;

    let (batches, parsed) = sync_channel(1);
    let (told, tells) = sync_channel(1);
    let reader = BatchReader::new(reader, done, BATCH_ROWS);
    let parse = move || parse(reader, &batches);
    let writing = Writing { roster, rules, run, max_errors: arguments.max_errors, errors, stop };
    spawn("import-read", parse)?;
    let writer = spawn("import-write", move || writing.run(&parsed, &told))?;

    let import = watch(&tells, import, size, arguments.errors.is_none(), ATTEMPTS * config.database.deadline)?;
    let ended = writer.join().map_err(|_| anyhow!("the writing thread has panicked"))?;
    Summary::of(&import, false, arguments.dry_run).print(arguments.form)?;
    if arguments.dry_run && import.counts.created > MAX_REHEARSED / 2 {
        eprintln!("it has too many rows to compare all of them: the import may refuse more of the last ones");
    }
    match ended {
        Ok(()) if import.counts.failed == 0 => Ok(()),
        Ok(()) => bail!("{} rows were refused", grouped(import.counts.failed)),
        Err(error) if arguments.dry_run => Err(error.context(name)),
        Err(error) => Err(error.context(format!(
            "{name} is imported up to row {}; the same command goes on from there",
            grouped(import.counts.rows)
        ))),
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<thread::JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(work).context("no thread can be started")
}

/// A mapping, and the digest of its text if it is not one of the program.
struct NamedMapping {
    mapping: Mapping,
    digest: Option<String>,
}

/// The mapping of a source, or the one in a file.
fn mapping(from: &str) -> anyhow::Result<NamedMapping> {
    if let Some(text) = Mapping::text_of(from) {
        return Ok(NamedMapping { mapping: Mapping::parse(text)?, digest: None });
    }
    let names = || Mapping::names().collect::<Vec<_>>().join(", ");
    let text = std::fs::read_to_string(from)
        .with_context(|| format!("--from {from} is none of {}, and cannot be read as a mapping", names()))?;
    let mapping = Mapping::parse(&text).map_err(|error| anyhow!("{from}: {error}"))?;
    Ok(NamedMapping { mapping, digest: Some(format!("{:x}", Digest::of(text.as_bytes()))) })
}

/// A file that can be read from its beginning, with its digest and its size.
struct Source {
    file: File,
    digest: Digest,
    size: u64,
}

impl Source {
    /// Opens a file. What is no file, such as standard input, is copied into a nameless temporary one: the digest of all of it
    /// decides whether it was imported before.
    fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Self::copied(io::stdin().lock());
        }
        let mut file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Self::copied(file);
        }
        let (digest, size) = copy(&mut file, &mut io::sink())?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Self { file, digest, size })
    }

    fn copied(mut input: impl Read) -> io::Result<Self> {
        let mut file = tempfile::tempfile()?;
        let (digest, size) = copy(&mut input, &mut file)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Self { file, digest, size })
    }
}

/// Copies all bytes; returns their digest and their number.
fn copy(input: &mut impl Read, output: &mut impl io::Write) -> io::Result<(Digest, u64)> {
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut input = BufReader::with_capacity(64 << 10, input);
    loop {
        let bytes = io::BufRead::fill_buf(&mut input)?;
        if bytes.is_empty() {
            return Ok((Digest(hash.finalize().into()), size));
        }
        hash.update(bytes);
        output.write_all(bytes)?;
        let read = bytes.len();
        size += read as u64;
        io::BufRead::consume(&mut input, read);
    }
}

/// Reads the rows of a file behind the first `done`, batch by batch.
fn parse(mut reader: BatchReader<File>, batches: &SyncSender<Result<ReadBatch, FileError>>) {
    loop {
        let batch = reader.next_batch();
        let goes_on = batch.as_ref().is_ok_and(|read| !read.batch.is_last);
        // An error means that the writer has stopped.
        if batches.send(batch).is_err() || !goes_on {
            return;
        }
    }
}

/// What the writer says of a batch that was done.
struct Told {
    import: roster_application::Import,
    errors: Vec<RowError>,
    /// How far the file was read, in bytes.
    place: u64,
}

/// An import, or a dry run of it.
enum Run {
    Real(roster_application::Import),
    Dry(Rehearsal),
}

impl Run {
    /// How far it has come.
    fn import(&self) -> &roster_application::Import {
        match self {
            Self::Real(import) | Self::Dry(Rehearsal { import, .. }) => import,
        }
    }
}

/// What the writing thread needs.
struct Writing {
    roster: Roster,
    rules: ImportRules,
    run: Run,
    max_errors: u64,
    errors: Option<ErrorsFile>,
    stop: Arc<AtomicBool>,
}

impl Writing {
    fn run(mut self, batches: &Receiver<Result<ReadBatch, FileError>>, told: &SyncSender<Told>) -> anyhow::Result<()> {
        loop {
            if self.stop.load(Ordering::SeqCst) {
                bail!("stopped by a signal");
            }
            let Ok(parsed) = batches.recv() else { bail!("the reading thread has ended") };
            let parsed = parsed.map_err(|error| anyhow!("{error}"))?;
            let mut errors = Vec::new();
            let mut report = |refused: &[(u64, RowRefusal)]| {
                errors = parsed.errors(refused);
                self.errors.as_mut().map_or(Ok(()), |file| file.write(&errors))
            };
            match &mut self.run {
                Run::Real(import) => {
                    *import =
                        self.roster.import_batch(import, self.rules, &parsed.batch, &mut report).map_err(explained)?;
                }
                Run::Dry(rehearsal) => {
                    self.roster.rehearse_batch(rehearsal, self.rules, &parsed.batch, &mut report).map_err(explained)?;
                }
            }
            if let Some(file) = &mut self.errors {
                file.keep();
            }
            let import = self.run.import();
            let failed = import.counts.failed;
            // An error means that nothing more is shown.
            let _ = told.send(Told { import: import.clone(), errors, place: parsed.place });
            if parsed.batch.is_last {
                return Ok(());
            }
            if failed > self.max_errors {
                bail!("{} rows were refused, more than --max-errors {} allows", grouped(failed), self.max_errors);
            }
        }
    }
}

fn explained(error: ImportError) -> anyhow::Error {
    match error {
        ImportError::GoneOn => anyhow!("another process imports the same file"),
        other => anyhow::Error::from(other),
    }
}

/// Shows how far the import of a file of `size` bytes has come until the writer ends. Returns how far it came.
fn watch(
    tells: &Receiver<Told>,
    mut import: roster_application::Import,
    size: u64,
    lists_errors: bool,
    patience: Duration,
) -> anyhow::Result<roster_application::Import> {
    let rows_before = import.counts.rows;
    let mut progress = if rows_before > 0 { Progress::resumed() } else { Progress::new() };
    let mut shown = 0;
    loop {
        match tells.recv_timeout(patience) {
            Ok(told) => {
                let errors = told.errors.iter().filter(|_| lists_errors);
                for error in errors {
                    if shown < SHOWN {
                        progress.line(&error.to_string());
                    } else if shown == SHOWN {
                        progress.line("more errors are not shown: --errors FILE keeps all");
                    }
                    shown += 1;
                }
                let ImportCounts { rows, failed, .. } = told.import.counts;
                progress.show(told.place, size, |elapsed| {
                    format!("{} rows, {}, {} errors", grouped(rows), rate(rows - rows_before, elapsed), grouped(failed))
                });
                import = told.import;
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Ok(import);
            }
            Err(RecvTimeoutError::Timeout) => bail!(
                "the database does not answer; {} rows are imported, and the same command goes on from there",
                grouped(import.counts.rows)
            ),
        }
    }
}

/// What an import has done.
#[derive(Serialize)]
struct Summary {
    /// None: nothing was kept.
    id: Option<String>,
    rows: u64,
    created: u64,
    updated: u64,
    unchanged: u64,
    skipped: u64,
    failed: u64,
    is_complete: bool,
    /// Whether it was complete before.
    was_complete: bool,
    is_dry_run: bool,
    #[serde(skip)]
    finished_at: Option<Timestamp>,
}

impl Summary {
    fn of(import: &roster_application::Import, was_complete: bool, is_dry_run: bool) -> Self {
        let ImportCounts { rows, created, updated, unchanged, skipped, failed, faults: _ } = import.counts;
        Self {
            id: (!is_dry_run).then(|| import.id.to_string()),
            rows,
            created,
            updated,
            unchanged,
            skipped,
            failed,
            is_complete: import.finished_at.is_some(),
            was_complete,
            is_dry_run,
            finished_at: import.finished_at,
        }
    }

    fn print(&self, form: Form) -> anyhow::Result<()> {
        if form.json {
            return output::print_json(self);
        }
        let [rows, created, updated, unchanged, skipped, failed] =
            [self.rows, self.created, self.updated, self.unchanged, self.skipped, self.failed].map(grouped);
        let counts = format!(
            "{rows} rows: {created} created, {updated} updated, {unchanged} unchanged, {skipped} skipped, {failed} refused"
        );
        output::print(&match (&self.id, self.finished_at) {
            (None, _) => format!("dry run, nothing was written: {counts}\n"),
            (Some(id), Some(time)) if self.was_complete => format!(
                "{id} imported this file at {time}. {counts}.\nNothing was done now: --again imports it once more.\n"
            ),
            (Some(id), _) => format!("{id}  {counts}\n"),
        })
    }
}
