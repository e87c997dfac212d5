//! What can go wrong with a lock.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::kind::{Key, Kind};
use super::notes::Holder;

/// Why a lock, a session or a table could not do what it was asked for.
#[derive(Debug)]
pub enum LockError {
    /// A system call on a file of the lock directory failed.
    Io { path: PathBuf, source: io::Error },
    /// The lock directory, or a file in it, could be changed by someone else.
    Insecure { path: PathBuf, what: &'static str },
    /// The lock directory is on a file system whose locks are not the kernel's own.
    Remote { path: PathBuf, name: &'static str },
    /// Asked for out of order.
    Order { asked: Key, held: Key },
    /// Made before a fork, used in the child.
    Forked,
    /// The session belongs to another thread.
    OtherThread,
    /// The session is closed.
    Closed,
    /// A signal handler asked the session that it interrupted in a wait.
    Busy,
    /// A lock file was deleted or replaced while locks were held in it.
    Replaced { path: PathBuf },
    /// Too many waits of this process have been given up but not yet come to their turn.
    TooManyWaits { limit: usize },
}

impl LockError {
    /// Returns a function that says which file an `io::Error` is about.
    pub(super) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// Says whether it may be over in a moment, without anybody's doing.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Replaced { .. })
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, source } => write!(f, "`{}`: {source}", path.display()),
            Self::Insecure { path, what } => write!(
                f,
                "`{0}` can't hold locks: it {what}\nhint: remove it, podcore makes it anew, or \
                 choose another run directory",
                path.display()
            ),
            Self::Remote { path, name } => write!(
                f,
                "`{}` is on {name}, where locks can be lost or are not seen by others\nhint: choose \
                 a run directory on a local file system (`PODCORE_RUNROOT`)",
                path.display()
            ),
            Self::Order { asked, held } if asked == held => {
                write!(f, "the lock of {asked} is already held by this session")
            }
            Self::Order { asked, held } => write!(
                f,
                "the lock of {asked} was asked for while that of {held} is held; the order is {}, \
                 and ascending numbers",
                Kind::listed()
            ),
            Self::Forked => write!(
                f,
                "this object was made before a fork and can't be used in the child\nhint: make a \
                 new one after the fork, or use the spawn method of multiprocessing"
            ),
            Self::OtherThread => {
                write!(
                    f,
                    "this session belongs to another thread\nhint: give each thread its own"
                )
            }
            Self::Closed => write!(f, "this session is closed"),
            Self::Busy => write!(f, "this session is already waiting for a lock"),
            Self::Replaced { path } => write!(
                f,
                "`{}` was deleted or replaced while locks were held in it\nhint: wait for the \
                 podcore processes that run, or end them",
                path.display()
            ),
            Self::TooManyWaits { limit } => write!(
                f,
                "{limit} waits for locks were given up and none of those locks became free since\n\
                 hint: see who holds them"
            ),
        }
    }
}

impl std::error::Error for LockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// How an acquisition can fail: for a fault, or because its time was up.
#[derive(Debug)]
pub enum Blocked {
    /// It could not be tried, or not be waited for.
    Fault(LockError),
    /// Somebody else held the lock all the time.
    Timeout {
        key: Key,
        waited: Duration,
        holder: Option<Holder>,
    },
}

impl From<LockError> for Blocked {
    fn from(error: LockError) -> Self {
        Self::Fault(error)
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(error) => error.fmt(f),
            Self::Timeout {
                key,
                waited,
                holder,
            } => {
                write!(
                    f,
                    "the lock of {key} was not free within {:.3} s; ",
                    waited.as_secs_f64()
                )?;
                match holder {
                    Some(Holder {
                        pid,
                        operation,
                        since,
                    }) => {
                        write!(
                            f,
                            "process {pid} (`{operation}`) says that it holds it since "
                        )?;
                        write_time(f, *since)?;
                        write!(f, "\nhint: wait for process {pid}, or end it")
                    }
                    None => write!(f, "its holder is not known"),
                }
            }
        }
    }
}

impl std::error::Error for Blocked {}

/// Writes a time as RFC 3339 in UTC, to the second.
fn write_time(f: &mut fmt::Formatter<'_>, time: SystemTime) -> fmt::Result {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to a civil date: years begin in March, so that the leap day comes last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    write!(
        f,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeout(seconds: u64) -> String {
        let since = UNIX_EPOCH + Duration::from_secs(seconds);
        let holder = Some(Holder {
            pid: 42,
            operation: "stop".to_owned(),
            since,
        });
        let key = Key::new(Kind::Container, 7).expect("a small number");
        Blocked::Timeout {
            key,
            waited: Duration::from_millis(1500),
            holder,
        }
        .to_string()
    }

    #[test]
    fn a_timeout_names_lock_wait_and_holder() {
        let text = timeout(0);
        for part in [
            "container 7",
            "1.500 s",
            "process 42",
            "`stop`",
            "1970-01-01T00:00:00Z",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn times_are_civil_dates() {
        for (seconds, date) in [
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert!(timeout(seconds).contains(date), "{}", timeout(seconds));
        }
    }
}
