//! A thread that looks at the file each second, so that a service without writes notices, too, that it has gone.

use std::convert::Infallible;
use std::error::Error as _;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use roster_application::ports::StoreError;

use crate::pool::Pool;

/// How often the thread looks at the file.
const INTERVAL: Duration = Duration::from_secs(1);

/// The thread. It has ended when this is dropped.
pub struct Watch {
    /// Dropped to end the thread.
    end: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the system starts none.
    pub fn start(pool: Arc<Pool>) -> Result<Self, StoreError> {
        let (end, ended) = mpsc::channel();
        let thread = thread::Builder::new().name("sqlite-file".to_owned());
        let thread = thread.spawn(move || watch(&pool, &ended)).map_err(StoreError::unavailable)?;
        Ok(Self { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end = None;
        // An error is a panic, which the panic hook has logged.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn watch(pool: &Pool, end: &Receiver<Infallible>) {
    let mut has_emptied_wal = false;
    loop {
        let ended = end.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Disconnected);
        if pool.check_file().is_ok() {
            has_emptied_wal = false;
        } else if !has_emptied_wal {
            has_emptied_wal = empty_wal(pool);
        }
        if ended {
            return;
        }
    }
}

/// Whether it worked. If it did not, the next try is a second later.
fn empty_wal(pool: &Pool) -> bool {
    let emptied = pool.writer().empty_wal();
    if let Err(error) = &emptied {
        let reason = error.source().unwrap_or(error);
        tracing::warn!(%reason, "the WAL of the database file that was deleted or replaced is not empty yet");
    }
    emptied.is_ok()
}
