//! What can be locked, in the one global order, and where its byte is.

use std::fmt;

/// The kinds of lock; their order of declaration is the order in which they may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Set-up, migration and repair of a whole engine.
    Init,
    /// A pod's membership.
    Pod,
    /// What the containers of a pod live in together.
    Namespaces,
    /// One container.
    Container,
    /// The one writer of the state store.
    Store,
}

/// Neighbouring numbers share a file: the containers of a pod are mostly created one after the
/// other, so that a session opens one file or two for all of them, and the kernel joins adjacent
/// ranges of one description. Its list of ranges is linear, hence the files are several.
const RUN: u64 = 64;

// All kinds together, with the standard streams, stay below 64 descriptors.
/// One file each for init, store and namespaces.
const SINGLE_FILES: u64 = 3;
const POD_FILES: u64 = 4;
const CONTAINER_FILES: u64 = 53;

impl Kind {
    /// Every kind, in order.
    pub const ALL: [Self; 5] = [
        Self::Init,
        Self::Pod,
        Self::Namespaces,
        Self::Container,
        Self::Store,
    ];

    /// The number of lock files of all kinds.
    pub(super) const FILES: usize = (SINGLE_FILES + POD_FILES + CONTAINER_FILES) as usize;

    /// Returns the names of all kinds, in order, for messages.
    pub fn listed() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// Returns the kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "init" => Some(Self::Init),
            "pod" => Some(Self::Pod),
            "namespaces" => Some(Self::Namespaces),
            "container" => Some(Self::Container),
            "store" => Some(Self::Store),
            _ => None,
        }
    }

    /// Returns the name that `parse` understands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Pod => "pod",
            Self::Namespaces => "namespaces",
            Self::Container => "container",
            Self::Store => "store",
        }
    }
}

/// One lock: a kind and a number. Keys compare in the order in which locks may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    kind: Kind,
    number: u64,
}

impl Key {
    /// Numbers end here: the bytes above are those of the queues.
    pub const MAX_NUMBER: u64 = (1 << 61) - 1;

    /// Returns the key, or nothing when the number is too large.
    pub fn new(kind: Kind, number: u64) -> Option<Self> {
        (number <= Self::MAX_NUMBER).then_some(Self { kind, number })
    }

    /// Returns the key of a kind that has one lock, or the first of the others.
    pub fn of(kind: Kind) -> Self {
        Self { kind, number: 0 }
    }

    /// Returns what is locked.
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// Returns which one of its kind.
    pub fn number(self) -> u64 {
        self.number
    }

    /// Returns the byte that is locked.
    ///
    /// Backwards, because numbers are taken in ascending order and the kernel's list of a holder's
    /// ranges is sorted by offset: the next lock then comes before all the others, and is placed
    /// and found again without a walk past them.
    pub(super) fn byte(self) -> u64 {
        Self::MAX_NUMBER - self.number
    }

    /// Returns the byte that the first of those who wait holds.
    pub(super) fn gate(self) -> u64 {
        self.number + Self::MAX_NUMBER + 1
    }

    /// Returns the index of its lock file among all of them.
    pub(super) fn file(self) -> usize {
        let run = self.number / RUN;
        let index = match self.kind {
            Kind::Init => 0,
            Kind::Store => 1,
            Kind::Namespaces => 2,
            Kind::Pod => SINGLE_FILES + run % POD_FILES,
            Kind::Container => SINGLE_FILES + POD_FILES + run % CONTAINER_FILES,
        };
        index as usize
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Init | Kind::Store if self.number == 0 => write!(f, "{}", self.kind.name()),
            _ => write!(f, "{} {}", self.kind.name(), self.number),
        }
    }
}

/// Returns the name of a lock file.
pub(super) fn file_name(index: usize) -> String {
    let pods = SINGLE_FILES as usize;
    let containers = pods + POD_FILES as usize;
    match index {
        0 => "init".to_owned(),
        1 => "store".to_owned(),
        2 => "namespaces".to_owned(),
        _ if index < containers => format!("pod.{:02}", index - pods),
        _ => format!("container.{:02}", index - containers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn key(kind: Kind, number: u64) -> Key {
        Key::new(kind, number).expect("a small number")
    }

    #[test]
    fn kinds_rank_before_numbers() {
        assert!(key(Kind::Init, 9) < key(Kind::Pod, 1));
        assert!(key(Kind::Pod, 9) < key(Kind::Namespaces, 1));
        assert!(key(Kind::Namespaces, 9) < key(Kind::Container, 1));
        assert!(key(Kind::Container, 1) < key(Kind::Container, 2));
        assert!(key(Kind::Container, 9) < key(Kind::Store, 0));
    }

    #[test]
    fn names_come_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.name()), Some(kind));
        }
        assert_eq!(Kind::parse("volume"), None);
    }

    #[test]
    fn every_file_has_its_own_name_and_is_used() {
        let names: BTreeSet<String> = (0..Kind::FILES).map(file_name).collect();
        assert_eq!(names.len(), Kind::FILES);

        let used: BTreeSet<usize> = Kind::ALL
            .into_iter()
            .flat_map(|kind| (0..RUN * CONTAINER_FILES).map(move |n| key(kind, n).file()))
            .collect();
        assert_eq!(used, (0..Kind::FILES).collect());
    }

    #[test]
    fn numbers_beyond_the_last_byte_are_refused() {
        assert!(Key::new(Kind::Pod, Key::MAX_NUMBER).is_some());
        assert!(Key::new(Kind::Pod, Key::MAX_NUMBER + 1).is_none());
    }
}
