//! Where objects are in memory, as keys of a table.

/// Numbers for the objects of a part of memory.
///
/// Objects outside the part of memory that tags can tell apart have tag 0, which is never entered;
/// such strings are found by content.
#[derive(Clone, Copy)]
pub(super) struct Addresses {
    base: usize,
}

impl Addresses {
    /// How objects of the interpreter are aligned on 64-bit machines, in bytes, as a power of 2.
    const ALIGNMENT: u32 = 4;

    /// Returns a numbering of the memory around an object, 32 GiB on either side.
    pub(super) fn around<T>(object: *const T) -> Self {
        let reach = 1_usize.checked_shl(31 + Self::ALIGNMENT).unwrap_or(0);
        Self {
            base: (object.addr() >> Self::ALIGNMENT << Self::ALIGNMENT).wrapping_sub(reach),
        }
    }

    #[inline]
    /// Returns what stands for an object.
    pub(super) fn tag<T>(self, object: *const T) -> u32 {
        // What is not aligned ends up beyond the reach of 32 bits, as what is too far away does.
        let distance = object
            .addr()
            .wrapping_sub(self.base)
            .rotate_right(Self::ALIGNMENT);
        u32::try_from(distance).unwrap_or(0)
    }
}
