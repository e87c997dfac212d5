//! A table from where objects are in memory to node numbers.

use std::ptr;

use crate::graph::NumberTable;

/// What every look-up says of an object that has not been entered.
pub(super) const NOT_FOUND: u32 = u32::MAX;

/// Numbers of objects by address.
///
/// A table that is not there finds nothing, and an object that shares its place with a later one
/// is not found: what is not found here is looked up by content.
#[derive(Debug, Default)]
pub(super) struct AddressTable {
    /// Where the objects are close together there is a place for every granule of memory, so that
    /// objects made one after the other are looked up one beside the other, and in one step.
    ///
    /// The number plus one, and in which part of the granule the object begins; 0 where none does.
    places: Vec<u32>,
    /// The address of the first place.
    base: usize,
    /// Where they are not, objects are hashed.
    hashed: NumberTable,
    scattered: bool,
}

impl AddressTable {
    /// Bytes of a granule, as a power of 2. No str is as small, so none is in another's place.
    const GRANULE: u32 = 5;
    /// How finely addresses in a granule are told apart, in bytes, as a power of 2.
    const ALIGNMENT: u32 = 3;
    const PARTS: u32 = 1 << (Self::GRANULE - Self::ALIGNMENT);
    /// How much memory an object may take on average to be among those that are close together.
    const GRANULES: usize = 8;
    /// Tables of up to so many places are emptied place by place, and so are always allowed.
    const SMALL: usize = 1 << 16;
    /// For how few objects.
    const FEW: usize = 1 << 11;

    /// Empties the table and makes it one for some objects; memory is used again.
    pub(super) fn reset<T>(&mut self, objects: &[*const T]) {
        let (mut first, mut last) = (usize::MAX, 0);
        for object in objects {
            first = first.min(object.addr());
            last = last.max(object.addr());
        }
        let first = first.min(last) >> Self::GRANULE << Self::GRANULE;
        let count = ((last - first) >> Self::GRANULE) + 1;
        let few = objects.len() <= Self::FEW;
        self.scattered = count > objects.len().saturating_mul(Self::GRANULES)
            && !(few && count <= Self::SMALL)
            || objects.len() >= (NOT_FOUND / Self::PARTS) as usize;
        self.base = first;
        if self.scattered {
            self.hashed.reset(objects.len());
        } else if few {
            // `forget` has left nothing but zeros.
            if self.places.len() < count {
                self.places.resize(count, 0);
            }
        } else if self.places.capacity() < count {
            // Fresh zeroed pages cost less than old ones cleared by hand.
            self.places = vec![0; count];
        } else {
            self.places.clear();
            self.places.resize(count, 0);
        }
    }

    /// Empties the table after use for the objects that were entered.
    pub(super) fn forget<T>(&mut self, objects: &[*const T]) {
        if self.scattered {
            return;
        }
        if objects.len() > Self::FEW {
            self.places.clear();
            return;
        }
        for &object in objects {
            let place = self.place(object);
            if let Some(place) = self.places.get_mut(place) {
                *place = 0;
            }
        }
    }

    /// Returns how many bytes the table holds on to.
    pub(super) fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<u32>() + self.hashed.bytes()
    }

    /// Returns what a look-up reads first, to have it fetched early.
    #[inline]
    pub(super) fn early<T>(&self, object: *const T) -> *const u8 {
        if self.scattered {
            ptr::from_ref(self.hashed.slot(self.tag(object).into())).cast()
        } else {
            self.places.as_ptr().wrapping_add(self.place(object)).cast()
        }
    }

    /// Enters objects, the first of which has a certain number.
    #[inline]
    pub(super) fn insert<T>(&mut self, objects: &[*const T], first: u32) {
        for (number, &object) in (first..).zip(objects) {
            if self.scattered {
                let tag = self.tag(object);
                if tag != 0 {
                    self.hashed.insert(tag.into(), tag, number);
                }
            } else if object.addr().trailing_zeros() >= Self::ALIGNMENT {
                let place = self.place(object);
                self.places[place] = (number + 1) * Self::PARTS + Self::part(object);
            }
        }
    }

    /// Appends the numbers of some objects; `NOT_FOUND` for those that are not there.
    #[inline]
    pub(super) fn find<T>(&self, objects: &[*const T], found: &mut Vec<u32>) {
        if self.scattered {
            return self
                .hashed
                .find_tags(objects.iter().map(|&object| self.tag(object)), found);
        }
        let (places, base) = (self.places.as_slice(), self.base);
        found.extend(objects.iter().map(|&object| {
            let distance = object.addr().wrapping_sub(base);
            let entry = places
                .get(distance >> Self::GRANULE)
                .map_or(0, |&entry| entry);
            // An empty place says number 0 less one, which is `NOT_FOUND`.
            let number = (entry / Self::PARTS).wrapping_sub(1);
            let same = distance & ((1 << Self::GRANULE) - 1)
                == ((entry % Self::PARTS) << Self::ALIGNMENT) as usize;
            if same { number } else { NOT_FOUND }
        }));
    }

    #[inline]
    fn place<T>(&self, object: *const T) -> usize {
        object.addr().wrapping_sub(self.base) >> Self::GRANULE
    }

    /// Returns in which part of its granule an object begins.
    #[inline]
    fn part<T>(object: *const T) -> u32 {
        (object.addr() >> Self::ALIGNMENT) as u32 % Self::PARTS
    }

    /// Returns what stands for an object among those hashed: which 16 bytes of 64 GiB it begins in.
    ///
    /// Objects outside the part of memory that tags can tell apart have tag 0, which is never
    /// entered, and so have those that are not aligned.
    #[inline]
    fn tag<T>(&self, object: *const T) -> u32 {
        let distance = object
            .addr()
            .wrapping_sub(self.base.wrapping_sub(16))
            .rotate_right(4);
        u32::try_from(distance).unwrap_or(0)
    }
}
