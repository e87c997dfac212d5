//! One thread's locks: what it holds, and what it may ask for next.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::{Blocked, LockError};
use super::held::{Held, Taken};
use super::kind::{Key, Kind};
use super::notes::Author;
use super::sys::{Descriptor, Mark};
use super::table::LockTable;
use super::wait::{Ticket, Waits};

/// How long a wait goes on before the caller may look at signals.
const PAUSE: Duration = Duration::from_millis(50);

/// For how long those who ask may overtake the first that waits. Not at all would be fair too, but
/// each handing over costs a switch of processes, many times what short work under a lock takes.
const PATIENCE: Duration = Duration::from_micros(500);

/// After that long the first that waits may be a stopped process, while the lock is free.
const STUCK: Duration = Duration::from_millis(200);

/// For how long a lock file that was replaced is given to be left by those who waited in it: each
/// of them is granted the old lock once, finds it to be worth nothing and lets go.
const LEAVING: Duration = Duration::from_secs(1);

/// How often it is looked whether they have left.
const LOOK: Duration = Duration::from_millis(1);

/// One thread's work under locks. Dropping it releases all that it holds.
#[derive(Debug)]
pub struct Session {
    table: Arc<LockTable>,
    author: Author,
    /// The thread that has it, nought before the first lock.
    owner: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    closed: bool,
    waiting: bool,
    files: Box<[Option<File>; Kind::FILES]>,
    held: Held,
}

#[derive(Debug)]
struct File {
    descriptor: Descriptor,
    epoch: u64,
    /// Compared with its path since a lock in it was taken.
    proven: bool,
}

impl Session {
    /// Begins a session; `operation` is what others are told about its locks.
    pub fn new(table: Arc<LockTable>, operation: &str) -> Result<Self, LockError> {
        table.check_fork()?;
        let author = Author::new(std::process::id(), operation);
        let state = State {
            closed: false,
            waiting: false,
            files: Box::new([const { None }; Kind::FILES]),
            held: Held::default(),
        };
        Ok(Self {
            table,
            author,
            owner: AtomicU64::new(0),
            state: Mutex::new(state),
        })
    }

    /// Takes a lock; waits in the kernel's queue when it is not free.
    ///
    /// `pause` is called again and again with a time that it should spend, and with the wait to
    /// spend it at when there is one (see `Ticket::rest`); an error of it ends the wait. No timeout
    /// means to wait for ever, and zero not at all.
    pub fn acquire<E: From<Blocked>>(
        &self,
        key: Key,
        shared: bool,
        timeout: Option<Duration>,
        pause: impl FnMut(Option<&Ticket>, Duration) -> Result<(), E>,
    ) -> Result<Taken, E> {
        let mut state = self.enter(true).map_err(Blocked::from)?;
        let rude = timeout == Some(Duration::ZERO);
        match self.attempt(&mut state, key, shared, rude) {
            Ok(Some(taken)) => Ok(taken),
            Ok(None) if rude => Err(self.timed_out(key, Duration::ZERO).into()),
            // What this session has locks in itself nobody else can leave for it.
            Err(error) if rude || !error.may_pass() || state.held.uses(key.file()) => {
                Err(Blocked::from(error).into())
            }
            Ok(None) | Err(_) => {
                state.waiting = true;
                drop(state);
                let result = self.wait(key, shared, timeout, pause);
                self.state().waiting = false;
                result
            }
        }
    }

    /// Releases one acquisition.
    pub fn release(&self, taken: Taken) -> Result<(), LockError> {
        let mut state = self.enter(false)?;
        let Some(entry) = state.held.remove(taken) else {
            return Ok(());
        };
        let key = taken.key();
        self.table.notes.erase(key, &self.author);
        // A description of its own is closed, which releases; nobody else has it.
        if entry.own.is_none()
            && let Some(file) = &state.files[key.file()]
        {
            let freed = file.descriptor.mark(key.byte(), Mark::Free);
            freed.map_err(|error| LockError::at(self.table.path(key.file()))(error))?;
        }
        Ok(())
    }

    /// Releases everything and ends the session; also in a forked child, where it held nothing.
    pub fn close(&self) -> Result<(), LockError> {
        // The child has nothing to close, and a thread that it does not have may be in `state`.
        if self.table.is_forked() {
            return Ok(());
        }
        self.check_thread(false)?;
        let mut state = self.state();
        if state.waiting {
            return Err(LockError::Busy);
        }
        state.closed = true;
        let_go(&mut state, &self.table, &self.author);
        Ok(())
    }

    /// Says whether the session has been closed, as it is in a forked child.
    pub fn is_closed(&self) -> bool {
        self.table.is_forked() || self.state().closed
    }

    /// Refuses a session that is closed, or was made before a fork.
    pub fn check(&self) -> Result<(), LockError> {
        self.enter(false).map(drop)
    }

    /// Returns what is held, in order, and whether it is shared.
    pub fn held(&self) -> Result<Vec<(Key, bool)>, LockError> {
        self.table.check_fork()?;
        Ok(self
            .state()
            .held
            .iter()
            .map(|entry| (entry.taken.key(), entry.shared))
            .collect())
    }

    fn wait<E: From<Blocked>>(
        &self,
        key: Key,
        shared: bool,
        timeout: Option<Duration>,
        mut pause: impl FnMut(Option<&Ticket>, Duration) -> Result<(), E>,
    ) -> Result<Taken, E> {
        let began = Instant::now();
        let file = key.file();
        let patience = timeout.map_or(LEAVING, |all| all.min(LEAVING));
        let may_pass = |error: &LockError| error.may_pass() && began.elapsed() < patience;
        loop {
            let ticket = match Waits::join(&self.table, key, mark(shared)) {
                Err(error) if may_pass(&error) => {
                    pause(None, LOOK)?;
                    continue;
                }
                other => other.map_err(Blocked::from)?,
            };
            let waiting = Waiting {
                table: &self.table,
                ticket: &ticket,
            };
            let own = loop {
                let left = timeout.map(|all| all.saturating_sub(began.elapsed()));
                let paused = pause(Some(&ticket), left.map_or(PAUSE, |left| left.min(PAUSE)));
                // Before the outcome: an interrupt must not be lost because the lock came as well.
                paused?;
                if let Some(outcome) = ticket.outcome() {
                    break outcome;
                }
                let last = left == Some(Duration::ZERO);
                if last || self.table.notes.turn(key).is_none_or(|turn| turn > STUCK) {
                    let taken = self.attempt(&mut self.state(), key, shared, true);
                    match taken {
                        Ok(Some(taken)) => return Ok(taken),
                        Ok(None) => {}
                        Err(error) if may_pass(&error) => {}
                        Err(error) => return Err(Blocked::from(error).into()),
                    }
                }
                if last {
                    return Err(self.timed_out(key, began.elapsed()).into());
                }
            };
            drop(waiting);
            let own = own
                .map_err(LockError::at(self.table.path(file)))
                .map_err(Blocked::from)?;
            // The file may have been replaced meanwhile: then this lock is worth nothing.
            if self.table.is_current(file, &own).map_err(Blocked::from)? {
                return Ok(self.note(&mut self.state(), key, shared, Some(own)));
            }
        }
    }

    /// Takes a lock that is free; a rude attempt looks at no queue.
    fn attempt(
        &self,
        state: &mut State,
        key: Key,
        shared: bool,
        rude: bool,
    ) -> Result<Option<Taken>, LockError> {
        if let Some(last) = state.held.last()
            && key <= last
        {
            let held = if state.held.contains(key) { key } else { last };
            return Err(LockError::Order { asked: key, held });
        }
        let index = key.file();
        let at = |error: io::Error| LockError::at(self.table.path(index))(error);
        loop {
            let file = self.file(state, index)?;
            if !rude
                && self
                    .table
                    .notes
                    .turn(key)
                    .is_some_and(|turn| turn > PATIENCE)
            {
                if file.descriptor.is_marked(key.gate()).map_err(at)? {
                    return Ok(None);
                }
                // Whoever was first has been killed in the meantime.
                self.table.notes.end_turn(key);
            }
            if !file.descriptor.mark(key.byte(), mark(shared)).map_err(at)? {
                return Ok(None);
            }
            if file.epoch != self.table.notes.epoch() {
                // Some lock file has been replaced just now: begin anew, with a closer look.
                file.descriptor.mark(key.byte(), Mark::Free).map_err(at)?;
                continue;
            }
            if file.proven || self.table.is_current(index, &file.descriptor)? {
                file.proven = true;
                break;
            }
            // This one was, between its opening and the lock.
            state.files[index] = None;
        }
        Ok(Some(self.note(state, key, shared, None)))
    }

    /// Returns the session's description of a lock file, opened at its first use.
    fn file<'s>(&self, state: &'s mut State, index: usize) -> Result<&'s mut File, LockError> {
        let epoch = self.table.notes.epoch();
        if let Some(file) = &mut state.files[index]
            && file.epoch != epoch
        {
            // Some lock file was replaced since; perhaps this one.
            if self.table.is_current(index, &file.descriptor)? {
                file.epoch = epoch;
            } else {
                let mut held = state.held.iter();
                if held.any(|entry| entry.taken.key().file() == index && entry.own.is_none()) {
                    let path = self.table.path(index);
                    return Err(LockError::Replaced { path });
                }
                state.files[index] = None;
            }
        }
        if state.files[index].is_none() {
            let descriptor = self.table.open_file(index)?;
            // As it is after the opening, which may have found a replacement itself.
            let epoch = self.table.notes.epoch();
            state.files[index] = Some(File {
                descriptor,
                epoch,
                proven: false,
            });
        }
        Ok(state.files[index].as_mut().expect("opened above"))
    }

    fn note(&self, state: &mut State, key: Key, shared: bool, own: Option<Descriptor>) -> Taken {
        self.table.notes.write(key, &self.author);
        state.held.push(key, shared, own)
    }

    fn timed_out(&self, key: Key, waited: Duration) -> Blocked {
        Blocked::Timeout {
            key,
            waited,
            holder: self.table.notes.read(key),
        }
    }

    /// Lets the session's thread in, or the first one.
    fn enter(&self, to_stay: bool) -> Result<MutexGuard<'_, State>, LockError> {
        self.table.check_fork()?;
        self.check_thread(to_stay)?;
        let state = self.state();
        if state.closed && to_stay {
            return Err(LockError::Closed);
        }
        if state.waiting && to_stay {
            return Err(LockError::Busy);
        }
        Ok(state)
    }

    fn check_thread(&self, to_stay: bool) -> Result<(), LockError> {
        let me = this_thread();
        let owner = match self.owner.load(Ordering::Relaxed) {
            0 if to_stay => self
                .owner
                .compare_exchange(0, me, Ordering::Relaxed, Ordering::Relaxed)
                .map_or_else(|other| other, |_| me),
            0 => me,
            owner => owner,
        };
        if owner == me {
            Ok(())
        } else {
            Err(LockError::OtherThread)
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let_go(state, &self.table, &self.author);
    }
}

/// Closes the descriptions, which frees what they have locked.
fn let_go(state: &mut State, table: &LockTable, author: &Author) {
    if !table.is_forked() {
        for entry in state.held.iter() {
            table.notes.erase(entry.taken.key(), author);
        }
    }
    state.held.clear();
    state.files.fill_with(|| None);
}

/// A wait that is given up when its caller leaves without the lock.
struct Waiting<'a> {
    table: &'a LockTable,
    ticket: &'a Arc<Ticket>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.table.waits.give_up(self.ticket);
    }
}

fn mark(shared: bool) -> Mark {
    if shared {
        Mark::Shared
    } else {
        Mark::Exclusive
    }
}

fn this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local!(static ID: u64 = NEXT.fetch_add(1, Ordering::Relaxed));
    ID.with(|id| *id)
}
