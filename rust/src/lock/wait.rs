//! Waiting in the kernel's queue, with a deadline that the kernel does not offer.
//!
//! A helper thread blocks in `F_OFD_SETLKW` on a description of its own, which whoever waited for
//! it then keeps. It must be its own: a wait cannot be called back, and one that was given up would
//! some day take the lock for the session without its knowing. So such a wait goes on until it is
//! granted, and then lets go at once.
//!
//! The queue has two bytes. The first of those who wait holds the gate while it waits for the lock
//! itself, the others wait for the gate. So one can see that somebody waits: who asks next, above
//! all the one that has just released, queues as well once the first has waited for a while. With
//! the lock alone the kernel lets it overtake those that it has woken but that do not run yet.
//!
//! Waits that were given up do not pile up: the next wait of this process for the same lock takes
//! one over, with its place in the queue, and beyond `MAX_GIVEN_UP` new waits are refused.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::error::LockError;
use super::kind::Key;
use super::sys::{Descriptor, Mark, block_signals};
use super::table::LockTable;

/// How many waits of one table may have been given up and still be in a queue.
const MAX_GIVEN_UP: usize = 256;

/// A helper only calls `fcntl`; the C library takes thread-local storage from it too.
const STACK: usize = 128 * 1024;

/// A wait under way.
#[derive(Debug)]
pub struct Ticket {
    key: Key,
    mark: Mark,
    phase: Mutex<Phase>,
    changed: Condvar,
}

#[derive(Debug)]
enum Phase {
    Waiting,
    GivenUp,
    Granted(Descriptor),
    Failed(io::Error),
    Over,
}

impl Ticket {
    /// Spends a pause of `Session::acquire`, at the wait if there is one.
    pub fn rest(ticket: Option<&Self>, at_most: Duration) {
        match ticket {
            Some(ticket) => ticket.pause(at_most),
            None => thread::sleep(at_most),
        }
    }

    /// Waits until there is an outcome, but not longer than that.
    fn pause(&self, at_most: Duration) {
        let waiting = |phase: &mut Phase| matches!(phase, Phase::Waiting);
        drop(
            self.changed
                .wait_timeout_while(self.phase(), at_most, waiting),
        );
    }

    /// Takes the outcome, if there is one.
    pub(super) fn outcome(&self) -> Option<io::Result<Descriptor>> {
        let mut phase = self.phase();
        match std::mem::replace(&mut *phase, Phase::Over) {
            Phase::Granted(descriptor) => Some(Ok(descriptor)),
            Phase::Failed(error) => Some(Err(error)),
            other => {
                *phase = other;
                None
            }
        }
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The waits of one table that were given up.
#[derive(Debug, Default)]
pub(super) struct Waits {
    given_up: Mutex<Vec<Arc<Ticket>>>,
}

impl Waits {
    /// Joins the queue of a lock.
    pub(super) fn join(
        table: &Arc<LockTable>,
        key: Key,
        mark: Mark,
    ) -> Result<Arc<Ticket>, LockError> {
        if let Some(ticket) = table.waits.take_over(key, mark)? {
            return Ok(ticket);
        }
        let descriptor = table.open_file(key.file())?;
        let ticket = Arc::new(Ticket {
            key,
            mark,
            phase: Mutex::new(Phase::Waiting),
            changed: Condvar::new(),
        });
        let (table, shared) = (Arc::clone(table), Arc::clone(&ticket));
        thread::Builder::new()
            .name("podcore-lock".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                block_signals();
                let result = queue(&table, &shared, &descriptor);
                table.waits.end(&shared, descriptor, result);
            })
            .map_err(LockError::at("a thread that waits for a lock"))?;
        Ok(ticket)
    }

    /// Gives a wait up. If it has been granted in the meantime, the lock is free again.
    pub(super) fn give_up(&self, ticket: &Arc<Ticket>) {
        let mut given_up = self.given_up();
        let mut phase = ticket.phase();
        if matches!(*phase, Phase::Waiting) {
            *phase = Phase::GivenUp;
            given_up.push(Arc::clone(ticket));
        } else {
            *phase = Phase::Over;
        }
    }

    fn take_over(&self, key: Key, mark: Mark) -> Result<Option<Arc<Ticket>>, LockError> {
        let mut given_up = self.given_up();
        let Some(place) = given_up.iter().position(|t| t.key == key && t.mark == mark) else {
            let limit = MAX_GIVEN_UP;
            let full = given_up.len() >= limit;
            return if full {
                Err(LockError::TooManyWaits { limit })
            } else {
                Ok(None)
            };
        };
        let ticket = given_up.swap_remove(place);
        *ticket.phase() = Phase::Waiting;
        Ok(Some(ticket))
    }

    fn end(&self, ticket: &Arc<Ticket>, descriptor: Descriptor, result: io::Result<()>) {
        // Both locks, in the order of the others: nobody takes over a wait that has just ended.
        let mut given_up = self.given_up();
        let mut phase = ticket.phase();
        if matches!(*phase, Phase::GivenUp) {
            given_up.retain(|other| !Arc::ptr_eq(other, ticket));
            *phase = Phase::Over;
        } else {
            *phase = match result {
                Ok(()) => Phase::Granted(descriptor),
                Err(error) => Phase::Failed(error),
            };
            ticket.changed.notify_all();
        }
    }

    fn given_up(&self) -> MutexGuard<'_, Vec<Arc<Ticket>>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits behind the others, then for the lock.
fn queue(table: &LockTable, ticket: &Ticket, descriptor: &Descriptor) -> io::Result<()> {
    let (key, mark) = (ticket.key, ticket.mark);
    descriptor.wait(key.gate(), Mark::Exclusive)?;
    table.notes.begin_turn(key);
    let result = descriptor.wait(key.byte(), mark);
    table.notes.end_turn(key);
    descriptor.mark(key.gate(), Mark::Free)?;
    result
}
