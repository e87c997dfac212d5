//! Compressed rows of 32-bit node numbers.

use std::mem::take;

use super::spare;
use crate::error::TooLarge;

/// For each node a row of other nodes, all rows in one array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// Row `i` is `targets[offsets[i]..offsets[i + 1]]`; one entry more than there are rows.
    offsets: Vec<u32>,
    targets: Vec<u32>,
}

impl Default for Rows {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            targets: Vec::new(),
        }
    }
}

impl Rows {
    /// Returns no rows yet, with room for some; for targets there will be when there are rows.
    pub fn with_capacity(rows: usize) -> Self {
        let mut offsets = spare::take(rows + 1);
        offsets.push(0);
        Self {
            offsets,
            targets: Vec::new(),
        }
    }

    /// Returns rows of which is known already where they begin, and all targets.
    ///
    /// # Panics
    ///
    /// When the last offset is not the number of targets.
    pub fn copied(offsets: &[u32], targets: &[u32]) -> Self {
        assert_eq!(offsets.last().map(|&end| end as usize), Some(targets.len()));
        Self {
            offsets: offsets.to_vec(),
            targets: targets.to_vec(),
        }
    }

    /// Appends a target to the row that is being written.
    #[inline]
    pub fn push(&mut self, target: u32) {
        self.targets.push(target);
    }

    /// Returns what the row that is being written has so far.
    #[inline]
    pub fn unfinished(&self) -> &[u32] {
        &self.targets[self.offsets[self.offsets.len() - 1] as usize..]
    }

    /// Ends the row that is being written.
    #[inline]
    pub fn end_row(&mut self) -> Result<(), TooLarge> {
        self.offsets
            .push(u32::try_from(self.targets.len()).map_err(|_| TooLarge)?);
        Ok(())
    }

    /// Appends whole rows: the targets of all, and where in these each row ends.
    #[inline]
    pub fn extend(&mut self, targets: &[u32], ends: &[usize]) -> Result<(), TooLarge> {
        let begin = self.targets.len();
        u32::try_from(begin + targets.len()).map_err(|_| TooLarge)?;
        if self.targets.capacity() - begin < targets.len() {
            self.grow(targets.len(), ends.len());
        }
        self.targets.extend_from_slice(targets);
        self.offsets
            .extend(ends.iter().map(|end| (begin + end) as u32));
        Ok(())
    }

    /// Makes room for some rows, and for as many targets in the others as all have on average.
    #[cold]
    fn grow(&mut self, targets: usize, rows: usize) {
        let expected = self.offsets.capacity() - 1;
        let present = self.len() + rows;
        let average = (self.targets.len() + targets).div_ceil(present.max(1));
        let more = targets + average * expected.saturating_sub(present);
        if self.targets.is_empty() {
            self.targets = spare::take(more);
        } else {
            self.targets.reserve_exact(more);
        }
    }

    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub fn row(&self, node: u32) -> &[u32] {
        let node = node as usize;
        &self.targets[self.offsets[node] as usize..self.offsets[node + 1] as usize]
    }

    /// Asks for the memory that says where a row is.
    #[inline]
    pub(super) fn prefetch_offset(&self, node: u32, prefetch: impl Fn(&u32)) {
        prefetch(&self.offsets[node as usize]);
    }

    /// Asks for the memory of a row.
    #[inline]
    pub(super) fn prefetch_row(&self, node: u32, prefetch: impl Fn(&u32)) {
        if let Some(first) = self.targets.get(self.offsets[node as usize] as usize) {
            prefetch(first);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        self.offsets
            .windows(2)
            .map(|ends| &self.targets[ends[0] as usize..ends[1] as usize])
    }

    /// Returns the rows of the reversed edges; each of them is in ascending order.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let mut offsets = spare::take_zeros(self.len() + 1);
        for &target in &self.targets {
            offsets[target as usize] += 1;
        }
        // Each entry becomes the end of its row, and is moved to its begin while the row fills
        // from behind; so no second array of positions is needed.
        let mut end = 0;
        for offset in &mut offsets {
            end += *offset;
            *offset = end;
        }
        let mut targets = spare::take_zeros(self.targets.len());
        for (source, ends) in self.offsets.windows(2).enumerate().rev() {
            for &target in &self.targets[ends[0] as usize..ends[1] as usize] {
                let place = &mut offsets[target as usize];
                *place -= 1;
                targets[*place as usize] = source as u32;
            }
        }
        Self { offsets, targets }
    }

    /// Returns the same rows, each in ascending order.
    #[must_use]
    pub fn sorted(&self) -> Self {
        let mut rows = self.clone();
        for ends in rows.offsets.windows(2) {
            rows.targets[ends[0] as usize..ends[1] as usize].sort_unstable();
        }
        rows
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        spare::give(take(&mut self.offsets));
        spare::give(take(&mut self.targets));
    }
}
