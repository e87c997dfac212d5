//! A hash table from whatever can be hashed to node numbers, made for reading ahead.

/// Spreads the bits of a hash, as Fibonacci hashing does.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Small tables are filled to a quarter at most: a second step is rare, and seldom mispredicted.
const SPARSE_ENTRIES: usize = 1 << 14;

/// Numbers by hash: open addressing, at most half full, eight bytes a slot.
///
/// A slot has 32 bits of its key beside the number, so that a look-up touches nothing else until
/// these agree. The caller says what the 32 bits are; where they say everything about a key, it
/// need not compare further.
#[derive(Debug, Default)]
pub struct NumberTable {
    /// The tag in the upper half, the number plus one in the lower; 0 is an empty slot.
    slots: Vec<u64>,
    shift: u32,
}

impl NumberTable {
    /// Empties the table and makes room for a number of entries; memory is used again.
    pub fn reset(&mut self, entries: usize) {
        let room = if entries <= SPARSE_ENTRIES { 4 } else { 2 };
        let size = (entries.max(1) * room).next_power_of_two();
        if self.slots.capacity() < size {
            // Fresh zeroed pages cost less than old ones cleared by hand.
            self.slots = vec![0; size];
        } else {
            self.slots.clear();
            self.slots.resize(size, 0);
        }
        self.shift = 64 - size.trailing_zeros();
    }

    /// Returns how many bytes the table holds on to.
    pub fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<u64>()
    }

    /// Returns the first slot that a look-up reads, to have it fetched early.
    #[inline]
    pub fn slot(&self, hash: u64) -> &u64 {
        &self.slots[self.position(hash)]
    }

    /// Adds an entry; the caller keeps to the number of entries that there is room for.
    #[inline]
    pub fn insert(&mut self, hash: u64, tag: u32, number: u32) {
        let mask = self.slots.len() - 1;
        let mut position = self.position(hash);
        while self.slots[position] != 0 {
            position = (position + 1) & mask;
        }
        self.slots[position] = (u64::from(tag) << 32) | (u64::from(number) + 1);
    }

    /// Returns the number whose tag fits and that `is_it` agrees to.
    #[inline]
    pub fn find(&self, hash: u64, tag: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut position = self.position(hash);
        loop {
            let slot = self.slots[position];
            if slot == 0 {
                return None;
            }
            if (slot >> 32) as u32 == tag {
                let number = slot as u32 - 1;
                if is_it(number) {
                    return Some(number);
                }
            }
            position = (position + 1) & mask;
        }
    }

    /// Appends the numbers of keys whose tags are their hashes and say everything about them;
    /// `u32::MAX` for those that are not there, and for tag 0.
    #[inline]
    pub fn find_tags(&self, tags: impl Iterator<Item = u32>, found: &mut Vec<u32>) {
        let (slots, shift) = (self.slots.as_slice(), self.shift);
        found.extend(tags.map(|tag| {
            let mut position = (u64::from(tag).wrapping_mul(SPREAD) >> shift) as usize;
            loop {
                let slot = slots[position];
                // An empty slot has tag 0, and number 0 less one.
                if (slot >> 32) as u32 == tag {
                    return (slot as u32).wrapping_sub(1);
                }
                if slot == 0 {
                    return u32::MAX;
                }
                position = (position + 1) & (slots.len() - 1);
            }
        }));
    }

    #[inline]
    fn position(&self, hash: u64) -> usize {
        (hash.wrapping_mul(SPREAD) >> self.shift) as usize
    }
}
