//! What a session holds, in order.

use std::collections::VecDeque;

use super::kind::Key;
use super::sys::Descriptor;

/// One acquisition: releasing it twice, or after the session has closed, does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    key: Key,
    serial: u64,
}

impl Taken {
    /// Returns which lock it is.
    pub fn key(self) -> Key {
        self.key
    }
}

/// A lock that is held.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) taken: Taken,
    pub(super) shared: bool,
    /// The description in which the lock was waited for; nothing when it is the session's.
    pub(super) own: Option<Descriptor>,
}

/// Locks in ascending order, which is the order in which they come.
#[derive(Debug, Default)]
pub(super) struct Held {
    entries: VecDeque<Entry>,
    serial: u64,
}

impl Held {
    /// Adds a lock that comes after all the others.
    pub(super) fn push(&mut self, key: Key, shared: bool, own: Option<Descriptor>) -> Taken {
        debug_assert!(self.last().is_none_or(|last| last < key));
        self.serial += 1;
        let taken = Taken {
            key,
            serial: self.serial,
        };
        self.entries.push_back(Entry { taken, shared, own });
        taken
    }

    /// Removes one acquisition, unless that has been done.
    pub(super) fn remove(&mut self, taken: Taken) -> Option<Entry> {
        let place = self.find(taken.key)?;
        self.entries[place].taken.eq(&taken).then_some(())?;
        self.entries.remove(place)
    }

    /// Returns the one that comes last in the order.
    pub(super) fn last(&self) -> Option<Key> {
        self.entries.back().map(|entry| entry.taken.key)
    }

    /// Says whether a lock is among them.
    pub(super) fn contains(&self, key: Key) -> bool {
        self.find(key).is_some()
    }

    /// Says whether any of them is in a lock file.
    pub(super) fn uses(&self, file: usize) -> bool {
        self.iter().any(|entry| entry.taken.key.file() == file)
    }

    /// Returns all, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Forgets all; closes the descriptions that belong to single locks.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    fn find(&self, key: Key) -> Option<usize> {
        self.entries
            .binary_search_by_key(&key, |entry| entry.taken.key)
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Kind;

    fn key(number: u64) -> Key {
        Key::new(Kind::Pod, number).expect("a small number")
    }

    fn numbers(held: &Held) -> Vec<u64> {
        held.iter().map(|entry| entry.taken.key.number()).collect()
    }

    #[test]
    fn any_one_can_go_and_goes_once() {
        let mut held = Held::default();
        let taken: Vec<Taken> = (0..5).map(|n| held.push(key(n), false, None)).collect();
        assert!(held.remove(taken[2]).is_some());
        assert!(held.remove(taken[2]).is_none());
        assert!(held.remove(taken[0]).is_some());
        assert!(held.remove(taken[4]).is_some());
        assert_eq!(numbers(&held), [1, 3]);
        assert_eq!(held.last(), Some(key(3)));
        assert!(held.contains(key(1)) && !held.contains(key(2)));
    }

    #[test]
    fn an_old_acquisition_is_not_the_new_one() {
        let mut held = Held::default();
        let old = held.push(key(1), false, None);
        held.remove(old);
        held.push(key(1), false, None);
        assert!(held.remove(old).is_none());
        assert_eq!(numbers(&held), [1]);
    }
}
