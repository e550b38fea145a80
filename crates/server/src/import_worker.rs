//! Imports the files that were sent to the service, beside its requests.
//!
//! A thread leases one upload after the other, of all tenants, and imports its rows in small batches with rests between them.
//! Several processes do that on one database: an upload is leased by one of them at a time, and if that is killed, another goes on
//! behind the rows that it has done.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use roster_application::ports::StoreError;
use roster_application::{ImportError, LeasedUpload, PartKind, Roster, RowRefusal, Sweep, UnendedUploads};
use roster_domain::{Tenant, UploadId};
use roster_executor::Handles;
use roster_transfer::{BatchReader, FileError, ImportOptions, Mapping, Reader, RowError};

/// The rows of a batch: few, so that it holds up no other writer for long.
const BATCH_ROWS: usize = 100;

/// How long a rest is, as a multiple of the time that the batch before it took: at least, and at most.
const RESTS: RangeInclusive<f64> = 2.0..=30.0;

/// For each so many requests a second that the process serves meanwhile, a rest is longer by the time of one batch.
const REQUESTS_PER_REST: f64 = 200.0;

/// The shortest rest, and the longest.
const REST: RangeInclusive<Duration> = Duration::from_millis(2)..=Duration::from_secs(1);

/// How long an upload is imported while others wait: the next turn reads its file again up to there.
const TURN: Duration = Duration::from_secs(2);

/// The same while no other is known to wait.
const LONGEST_TURN: Duration = Duration::from_mins(1);

/// How long a lease lasts: after a process was killed, others go on with its uploads after so long.
const LEASE: Duration = Duration::from_secs(30);

/// How often uploads are looked for that this process has not been told of.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// How long it may take to notice that the process stops.
const STOP_INTERVAL: Duration = Duration::from_millis(100);

/// The most uploads that this process has been told of and not begun. Others are found when it looks for them.
const TOLD: usize = 64;

/// The thread that imports.
pub struct ImportWorker {
    tell: SyncSender<(Tenant, UploadId)>,
    stop: Arc<AtomicBool>,
    ended: Receiver<()>,
}

impl ImportWorker {
    /// Starts to import what is sent. The more requests `handles` serves meanwhile, the slower.
    pub fn start(roster: Roster, handles: Handles) -> anyhow::Result<Self> {
        let (tell, told) = sync_channel(TOLD);
        let (end, ended) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let served = served(&handles);
        let importer = Importer { roster, handles, served, stop: Arc::clone(&stop), told, waiting: VecDeque::new() };
        let work = move || {
            importer.run();
            // An error means that `stop` has not waited so long.
            let _ = end.send(());
        };
        thread::Builder::new().name("imports".to_owned()).spawn(work).context("imports cannot be started")?;
        Ok(Self { tell, stop, ended })
    }

    /// What tells this worker of an upload.
    pub fn begun(&self) -> Arc<dyn Fn(Tenant, UploadId) + Send + Sync> {
        let tell = self.tell.clone();
        // If it is told of too many, it finds the others.
        Arc::new(move |tenant, id| {
            let _ = tell.try_send((tenant, id));
        })
    }

    /// Begins no other batch, and gives the upload back to other processes. It waits for that no longer than `patience`.
    pub fn stop(self, patience: Duration) {
        self.stop.store(true, Ordering::SeqCst);
        drop(self.tell);
        if self.ended.recv_timeout(patience).is_err() {
            tracing::warn!("an import has not ended; another process goes on with it");
        }
    }
}

struct Importer {
    roster: Roster,
    handles: Handles,
    /// How many requests were served up to which time.
    served: (f64, Instant),
    stop: Arc<AtomicBool>,
    told: Receiver<(Tenant, UploadId)>,
    /// Uploads that had their turn.
    waiting: VecDeque<(Tenant, UploadId)>,
}

impl Importer {
    fn run(mut self) {
        let mut looked = None;
        while !self.is_stopped() {
            if looked.is_none_or(|at: Instant| at.elapsed() >= LOOK_INTERVAL) {
                if let Err(error) = self.look() {
                    tracing::warn!(%error, "imports that wait are not found");
                }
                looked = Some(Instant::now());
            }
            let next = match self.waiting.pop_front() {
                Some(next) => next,
                None => match self.told.recv_timeout(STOP_INTERVAL) {
                    Ok(told) => told,
                    Err(RecvTimeoutError::Timeout) => continue,
                    // The process stops.
                    Err(RecvTimeoutError::Disconnected) => return,
                },
            };
            if let Err(error) = self.take_turn(next) {
                tracing::warn!(%error, "an import is interrupted, and goes on later");
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Finds the uploads of all merchants that wait, such as those of a process that was killed.
    fn look(&mut self) -> Result<(), StoreError> {
        let mut from = Some(Sweep::default());
        while let Some(place) = from.filter(|_| !self.is_stopped()) {
            let UnendedUploads { found, next } = self.roster.unended_uploads(place)?;
            for one in found {
                if !self.waiting.contains(&one) {
                    self.waiting.push_back(one);
                }
            }
            from = next;
        }
        Ok(())
    }

    /// Imports rows of an upload for a while, unless another process has it.
    fn take_turn(&mut self, (tenant, id): (Tenant, UploadId)) -> Result<(), StoreError> {
        let Some(mut leased) = self.roster.lease_upload(tenant, id, LEASE)? else { return Ok(()) };
        match self.import(&mut leased) {
            Ok(Turn::Ended) => Ok(()),
            Ok(Turn::Over) => {
                self.waiting.push_back((tenant, id));
                self.roster.release_upload(&leased, None)
            }
            Err(Stopped::Failed(why)) => self.roster.release_upload(&leased, Some(&why)),
            // If the store is out of reach, the lease ends by itself.
            Err(Stopped::Store(error)) => Err(error),
        }
    }

    fn is_turn_over(&mut self, begun: Instant) -> bool {
        self.waiting.extend(self.told.try_iter());
        begun.elapsed() >= if self.waiting.is_empty() { LONGEST_TURN } else { TURN }
    }

    fn import(&mut self, leased: &mut LeasedUpload) -> Result<Turn, Stopped> {
        let options: ImportOptions = serde_json::from_str(&leased.upload.options)
            .map_err(|error| Stopped::Failed(format!("its options cannot be read: {error}")))?;
        let mapping = Mapping::text_of(&options.from).and_then(|text| Mapping::parse(text).ok());
        let mapping = mapping.ok_or_else(|| Stopped::Failed(format!("there is no mapping {}", options.from)))?;
        let file = Parts::of(&self.roster, leased);
        let reader = Reader::open(file, options.format, mapping, options.unknown, self.roster.now());
        let reader = reader.map_err(Stopped::from)?;
        let mut batches = BatchReader::new(reader, leased.import.counts.rows, BATCH_ROWS);
        let begun = Instant::now();
        loop {
            let start = Instant::now();
            let read = batches.next_batch().map_err(Stopped::from)?;
            let mut report = |refused: &[(u64, RowRefusal)]| lines_of(&read.errors(refused));
            match self.roster.import_upload_batch(leased, options.import_rules(), &read.batch, &mut report) {
                Ok(()) => {}
                // It was ended, or another process has it.
                Err(ImportError::GoneOn) => return Ok(Turn::Ended),
                Err(ImportError::Store(error)) => return Err(Stopped::Store(error)),
                Err(error @ ImportError::MerchantDisabled) => return Err(Stopped::Failed(error.to_string())),
                Err(ImportError::Report(error)) => return Err(Stopped::Failed(error.to_string())),
            }
            if read.batch.is_last {
                return Ok(Turn::Ended);
            }
            let failed = leased.import.counts.failed;
            if failed > options.max_errors {
                let most = options.max_errors;
                return Err(Stopped::Failed(format!("{failed} rows were refused, more than max_errors={most} allows")));
            }
            if self.is_stopped() || self.is_turn_over(begun) {
                return Ok(Turn::Over);
            }
            thread::sleep(self.rest(start.elapsed()));
        }
    }

    /// How long to rest after a batch that took so long. It is the requests of others that an import must not slow down: where
    /// there are few, it need not rest for long.
    fn rest(&mut self, took: Duration) -> Duration {
        let (requests, now) = served(&self.handles);
        let (before, since) = std::mem::replace(&mut self.served, (requests, now));
        rest(took, (requests - before) / now.duration_since(since).as_secs_f64().max(1e-3))
    }
}

/// How many requests of all operations have been served up to now.
fn served(handles: &Handles) -> (f64, Instant) {
    (handles.figures().iter().map(|figures| figures.sizes.sum).sum(), Instant::now())
}

fn rest(took: Duration, requests_per_second: f64) -> Duration {
    let times = (RESTS.start() + requests_per_second / REQUESTS_PER_REST).min(*RESTS.end());
    took.mul_f64(times).clamp(*REST.start(), *REST.end())
}

/// How a turn ends.
enum Turn {
    /// Nothing more is to be done.
    Ended,
    /// Others have their turn.
    Over,
}

/// Why a turn ends early.
enum Stopped {
    /// The import does not go on.
    Failed(String),
    Store(StoreError),
}

impl From<FileError> for Stopped {
    fn from(error: FileError) -> Self {
        match error {
            // The store did not give the next part.
            FileError::Io(error) => Self::Store(StoreError::unavailable(error)),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Errors as lines of NDJSON.
fn lines_of(errors: &[RowError]) -> Vec<u8> {
    let mut lines = Vec::new();
    for error in errors {
        // A value of texts and numbers is always JSON.
        if let Ok(line) = serde_json::to_string(error) {
            lines.extend_from_slice(line.as_bytes());
            lines.push(b'\n');
        }
    }
    lines
}

/// The file of an upload, read part by part.
struct Parts {
    roster: Roster,
    tenant: Tenant,
    id: UploadId,
    count: u32,
    next: u32,
    part: io::Cursor<Vec<u8>>,
}

impl Parts {
    fn of(roster: &Roster, leased: &LeasedUpload) -> Self {
        let upload = &leased.upload;
        let (tenant, id, count) = (upload.tenant, upload.id, upload.parts);
        Self { roster: roster.clone(), tenant, id, count, next: 0, part: io::Cursor::default() }
    }
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.part.read(buffer)?;
            if read > 0 || buffer.is_empty() || self.next == self.count {
                return Ok(read);
            }
            let part = self.roster.upload_part(self.tenant, self.id, PartKind::File, self.next);
            let part = part.map_err(io::Error::other)?;
            self.part = io::Cursor::new(part.ok_or_else(|| io::Error::other("a part of the file is missing"))?);
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_with_the_requests_that_are_served() {
        let rest = |millis, requests| rest(Duration::from_millis(millis), requests).as_millis();
        assert_eq!([rest(10, 0.0), rest(10, 1000.0), rest(10, 1e6)], [20, 70, 300]);
        assert_eq!([rest(0, 0.0), rest(100, 1e6)], [2, 1000]);
    }
}
