//! Work that is done one by one, and what is asked for one customer in the order in which it came.
//!
//! Two changes of one customer must not overtake each other, which two threads would let them do. So only the first of
//! them stands in line. The others stand behind it, and the thread that has done it puts the next of them at the end of
//! the line, so that whoever writes to one customer again and again keeps nobody else waiting.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use roster_application::Roster;
use roster_application::ports::CustomerKey;

use super::line::{Full, Line};

/// Work for one of the threads, and how long somebody waits for it.
pub(super) struct Job {
    pub(super) work: Box<dyn FnOnce(&Roster) + Send>,
    pub(super) until: Instant,
    /// The customer who is written to. Who is named in the same way is the same.
    pub(super) customer: Option<CustomerKey>,
}

/// Jobs that wait for a thread.
pub(super) struct Jobs {
    line: Line<Job>,
    behind: Mutex<Behind>,
    bound: usize,
}

#[derive(Default)]
struct Behind {
    /// The customers who have a job in the line or at work, and the jobs that wait for its end.
    customers: HashMap<CustomerKey, VecDeque<Job>>,
    /// How many jobs wait so.
    count: usize,
}

impl Jobs {
    /// At most `bound` wait in the line, and as many behind others for the same customer.
    pub(super) fn new(bound: usize) -> Self {
        Self { line: Line::new(bound), behind: Mutex::default(), bound }
    }

    /// Has a job done after all that came before it for the same customer.
    ///
    /// # Errors
    /// [`Full`] if too many wait already, or if it would have to stand in line and nobody is let in any more.
    pub(super) fn join(&self, job: Job) -> Result<(), Full> {
        let Some(customer) = job.customer.clone() else { return self.line.join(job) };
        let mut behind = self.lock();
        let behind = &mut *behind;
        if let Some(waiting) = behind.customers.get_mut(&customer) {
            if behind.count >= self.bound {
                return Err(Full);
            }
            waiting.push_back(job);
            behind.count += 1;
            return Ok(());
        }
        self.line.join(job)?;
        behind.customers.insert(customer, VecDeque::new());
        Ok(())
    }

    /// What a thread does until nobody is let in any more and nobody waits.
    pub(super) fn serve(&self, roster: &Roster) {
        while let Some(taken) = self.line.take(1) {
            for job in taken {
                if Instant::now() < job.until {
                    (job.work)(roster);
                }
                if let Some(next) = job.customer.and_then(|customer| self.next(&customer)) {
                    self.line.join_next(next);
                }
            }
        }
    }

    /// Takes the job that waits for the end of the one just done for a customer.
    fn next(&self, customer: &CustomerKey) -> Option<Job> {
        let mut behind = self.lock();
        let next = behind.customers.get_mut(customer).and_then(VecDeque::pop_front);
        match next {
            Some(_) => behind.count -= 1,
            None => drop(behind.customers.remove(customer)),
        }
        next
    }

    /// Lets nobody in any more, and its threads end once nobody waits.
    pub(super) fn close(&self) {
        self.line.close();
    }

    /// Nothing that can panic is done under the lock, so it cannot be poisoned.
    fn lock(&self) -> MutexGuard<'_, Behind> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
