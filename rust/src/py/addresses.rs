//! A table from where objects are in memory to node numbers.

use std::ptr;

use crate::graph::NumberTable;

/// What every look-up says of an object that has not been entered.
pub(super) const NOT_FOUND: u32 = u32::MAX;

/// Numbers of objects by address.
///
/// Memory is divided into stretches, and these into granules. Each stretch in which an object
/// begins has a page in this table, with a place for every granule, so that objects made one after
/// the other are looked up one beside the other, and in one step. Objects for which that would
/// take too much room are hashed.
///
/// A table that is not there finds nothing, and an object that shares its place with a later one
/// is not found: what is not found here is looked up by content.
#[derive(Debug, Default)]
pub(super) struct AddressTable {
    /// The places of all pages. The first page stands for every stretch without objects.
    ///
    /// In a place: the number plus one, and in which part of the granule the object begins; 0
    /// where none does.
    places: Vec<u32>,
    /// For each stretch where its page begins.
    pages: Vec<u32>,
    /// The address of the first stretch.
    base: usize,
    hashed: NumberTable,
    scattered: bool,
}

impl AddressTable {
    /// Bytes of a granule, as a power of 2: of a str of eight characters or more, with which no
    /// other shares it. Shorter ones may have to be looked up by content.
    const GRANULE: u32 = 6;
    /// How finely addresses in a granule are told apart, in bytes, as a power of 2: as the
    /// allocators of Python align them.
    const ALIGNMENT: u32 = 4;
    const PART_BITS: u32 = Self::GRANULE - Self::ALIGNMENT;
    /// More objects than this are hashed. A power of 2.
    const MOST: u32 = 1 << (u32::BITS - Self::PART_BITS - 1);
    /// Bytes of a stretch of memory, as a power of 2.
    const STRETCH: u32 = 16;
    const PAGE: usize = 1 << (Self::STRETCH - Self::GRANULE);
    /// How many places there may be for an object on average, and in any case.
    const PLACES: usize = 8;
    const FEW_PLACES: usize = 1 << 15;
    /// How many stretches there may be in any case.
    const FEW_STRETCHES: usize = 1 << 12;

    /// Fills the table with some objects and nothing else; memory is used again.
    ///
    /// `first` and `last` are the least and the greatest of their addresses.
    pub(super) fn fill<T>(
        &mut self,
        objects: impl ExactSizeIterator<Item = *const T> + Clone,
        first: usize,
        last: usize,
    ) {
        let count = objects.len();
        self.base = first >> Self::STRETCH << Self::STRETCH;
        let stretches = (last.saturating_sub(self.base) >> Self::STRETCH) + 1;
        self.scattered = stretches > count.max(Self::FEW_STRETCHES)
            || count >= Self::MOST as usize
            || !self.enter(objects.clone(), stretches);
        if self.scattered {
            self.base = first;
            self.hashed.reset(count);
            for (number, object) in (0..).zip(objects) {
                let tag = self.tag(object);
                if tag != 0 {
                    self.hashed.insert(tag.into(), tag, number);
                }
            }
        }
    }

    /// Enters objects by stretch; returns false when that would take too much room.
    fn enter<T>(
        &mut self,
        objects: impl ExactSizeIterator<Item = *const T>,
        stretches: usize,
    ) -> bool {
        let most = (objects.len() * Self::PLACES).max(Self::FEW_PLACES);
        self.pages.clear();
        self.pages.resize(stretches, 0);
        self.places.clear();
        self.places.resize(Self::PAGE, 0);
        for (number, object) in (1..).zip(objects) {
            let units = self.units(object);
            // An object that is not aligned is in none.
            let Some(page) = self.pages.get_mut(Self::stretch(units)) else {
                continue;
            };
            if *page == 0 {
                let begin = self.places.len();
                if begin >= most {
                    return false;
                }
                *page = begin as u32;
                self.places.resize(begin + Self::PAGE, 0);
            }
            self.places[*page as usize + Self::place_in_page(units)] =
                (number << Self::PART_BITS) + Self::part(units);
        }
        true
    }

    /// Returns how many bytes the table holds on to.
    pub(super) fn bytes(&self) -> usize {
        (self.places.capacity() + self.pages.capacity()) * size_of::<u32>() + self.hashed.bytes()
    }

    /// Returns what a look-up reads first, to have it fetched early.
    #[inline]
    pub(super) fn early<T>(&self, object: *const T) -> *const u8 {
        if self.scattered {
            return ptr::from_ref(self.hashed.slot(self.tag(object).into())).cast();
        }
        let units = self.units(object);
        let place = self.page(units) + Self::place_in_page(units);
        self.places.as_ptr().wrapping_add(place).cast()
    }

    /// Appends the numbers of some objects; `NOT_FOUND` for those that are not there. Returns
    /// whether all are.
    #[inline]
    pub(super) fn find<T>(&self, objects: &[*const T], found: &mut Vec<u32>) -> bool {
        let begin = found.len();
        if self.scattered {
            self.hashed
                .find_tags(objects.iter().map(|&object| self.tag(object)), found);
            return !found[begin..].contains(&NOT_FOUND);
        }
        found.extend(objects.iter().map(|&object| {
            let units = self.units(object);
            let place = self.page(units) + Self::place_in_page(units);
            let entry = self.places.get(place).map_or(0, |&entry| entry);
            // Where the parts differ, the difference becomes the greatest bits; an empty place
            // says number 0 less one. Either is more than there are objects.
            (entry ^ Self::part(units))
                .rotate_right(Self::PART_BITS)
                .wrapping_sub(1)
        }));
        let found = &mut found[begin..];
        let all = found.iter().fold(0, |bits, number| bits | number) < Self::MOST;
        if !all {
            for number in found {
                if *number >= Self::MOST {
                    *number = NOT_FOUND;
                }
            }
        }
        all
    }

    /// Returns how far an object is from the base, in units of its alignment; further than all
    /// stretches when it is not aligned.
    #[inline]
    fn units<T>(&self, object: *const T) -> usize {
        object
            .addr()
            .wrapping_sub(self.base)
            .rotate_right(Self::ALIGNMENT)
    }

    #[inline]
    fn stretch(units: usize) -> usize {
        units >> (Self::STRETCH - Self::ALIGNMENT)
    }

    /// Returns where the page begins for what is so far from the base.
    #[inline]
    fn page(&self, units: usize) -> usize {
        self.pages.get(Self::stretch(units)).map_or(0, |&page| page) as usize
    }

    #[inline]
    fn place_in_page(units: usize) -> usize {
        (units >> Self::PART_BITS) % Self::PAGE
    }

    /// Returns in which part of its granule an object begins.
    #[inline]
    fn part(units: usize) -> u32 {
        units as u32 % (1 << Self::PART_BITS)
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
