//! Tables and sessions against a real directory.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::{Blocked, Key, Kind, LockError, LockTable, Session, Taken, Ticket};

/// A guard against hangs, not an expectation.
const LONG: Duration = Duration::from_secs(30);

/// A directory that goes with the test.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("podcore-locks-{}-{next}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn table(&self) -> Arc<LockTable> {
        Arc::new(LockTable::open(self.0.clone()).expect("a new directory"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("made by the test");
    }
}

fn session(table: &Arc<LockTable>) -> Session {
    Session::new(Arc::clone(table), "test").expect("no fork")
}

fn pod(number: u64) -> Key {
    Key::new(Kind::Pod, number).expect("a small number")
}

#[expect(clippy::unnecessary_wraps, reason = "what `acquire` calls may fail")]
fn pause(ticket: Option<&Ticket>, at_most: Duration) -> Result<(), Blocked> {
    Ticket::rest(ticket, at_most);
    Ok(())
}

fn take(session: &Session, key: Key, timeout: Duration) -> Result<Taken, Blocked> {
    session.acquire(key, false, Some(timeout), pause)
}

#[test]
fn a_release_hands_over_to_the_one_that_waits() {
    let place = Place::new();
    let table = place.table();
    let holder = session(&table);
    let taken = take(&holder, pod(1), Duration::ZERO).expect("free");

    let (send, receive) = mpsc::channel();
    let other = Arc::clone(&table);
    let waiter = thread::spawn(move || {
        let session = session(&other);
        let taken = session.acquire(pod(1), false, None, |ticket, at_most| {
            // The first pause says that the wait is on.
            let _ = send.send(());
            pause(ticket, at_most)
        });
        taken.map(Taken::key)
    });
    receive.recv_timeout(LONG).expect("the thread waits");
    assert!(table.is_locked(pod(1)).expect("readable"));
    holder.release(taken).expect("held");
    assert_eq!(waiter.join().expect("no panic").expect("granted"), pod(1));
}

#[test]
fn a_timeout_says_who_holds_the_lock() {
    let place = Place::new();
    let table = place.table();
    let (holder, other) = (session(&table), session(&table));
    take(&holder, pod(1), Duration::ZERO).expect("free");

    let began = Instant::now();
    let timeout = Duration::from_millis(20);
    match take(&other, pod(1), timeout) {
        Err(Blocked::Timeout {
            key,
            waited,
            holder,
        }) => {
            assert_eq!(key, pod(1));
            assert!(waited >= timeout && waited <= began.elapsed());
            let holder = holder.expect("noted");
            assert_eq!(
                (holder.pid, holder.operation.as_str()),
                (std::process::id(), "test")
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_error_of_the_pause_ends_the_wait_without_the_lock() {
    let place = Place::new();
    let table = place.table();
    let (holder, other) = (session(&table), session(&table));
    let taken = take(&holder, pod(1), Duration::ZERO).expect("free");

    let result = other.acquire(pod(1), false, None, |_, _| {
        Err(Blocked::Fault(LockError::Busy))
    });
    assert!(matches!(result, Err(Blocked::Fault(LockError::Busy))));

    holder.release(taken).expect("held");
    take(&other, pod(1), LONG).expect("free, once the wait that was given up is over");
    assert_eq!(other.held().expect("no fork"), [(pod(1), false)]);
}

#[test]
fn an_interrupt_is_not_lost_when_the_lock_comes_at_the_same_time() {
    let place = Place::new();
    let table = place.table();
    let (holder, other) = (session(&table), session(&table));
    let taken = take(&holder, pod(1), Duration::ZERO).expect("free");

    let result = other.acquire(pod(1), false, None, |ticket, _| {
        holder.release(taken).expect("held");
        Ticket::rest(ticket, LONG);
        Err(Blocked::Fault(LockError::Busy))
    });
    assert!(matches!(result, Err(Blocked::Fault(LockError::Busy))));
    assert!(!table.is_locked(pod(1)).expect("readable"));
}

#[test]
fn a_session_refuses_what_comes_earlier_in_the_order() {
    let place = Place::new();
    let session = session(&place.table());
    take(&session, pod(2), Duration::ZERO).expect("free");
    for asked in [pod(2), pod(1), Key::of(Kind::Init)] {
        let refused = take(&session, asked, Duration::ZERO);
        assert!(
            matches!(refused, Err(Blocked::Fault(LockError::Order { .. }))),
            "{refused:?}"
        );
    }
}

#[test]
fn a_closed_session_has_let_go_and_takes_nothing() {
    let place = Place::new();
    let table = place.table();
    let session = session(&table);
    take(&session, pod(1), Duration::ZERO).expect("free");
    session.close().expect("its own thread");
    assert!(!table.is_locked(pod(1)).expect("readable"));
    let refused = take(&session, pod(1), Duration::ZERO);
    assert!(matches!(refused, Err(Blocked::Fault(LockError::Closed))));
}

#[test]
fn nobody_waits_for_itself_to_leave_a_file_that_went() {
    let place = Place::new();
    let table = place.table();
    let holder = session(&table);
    take(&holder, pod(1), Duration::ZERO).expect("free");
    std::fs::remove_file(table.path(pod(1).file())).expect("made for the lock");
    let seen = take(&session(&table), pod(1), Duration::ZERO);
    assert!(matches!(
        seen,
        Err(Blocked::Fault(LockError::Replaced { .. }))
    ));

    let asked = holder.acquire(pod(2), false, None, |_, _| -> Result<(), Blocked> {
        panic!("there is nothing to wait for")
    });
    assert!(matches!(
        asked,
        Err(Blocked::Fault(LockError::Replaced { .. }))
    ));
}
