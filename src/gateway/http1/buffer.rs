//! Read buffers, lent by a free list of the worker's thread.
//!
//! Promises that a connection which waits for nothing holds no buffer, so that idle connections cost their task and
//! their socket only. Never grows past the bound that its user names.

use std::cell::RefCell;

/// Holds the heads of nearly all requests; what is larger grows.
pub(crate) const SMALL_BYTES: usize = 8 * 1024;
/// Large bodies move in pieces of this size: below 64 KiB the system calls dominate, above nothing is gained.
pub(crate) const LARGE_BYTES: usize = 128 * 1024;
/// Idle buffers kept per worker and class; the rest goes back to the allocator.
const SPARE_SMALL_MAX: usize = 256;
const SPARE_LARGE_MAX: usize = 32;

/// Spare buffers by class.
#[derive(Default)]
struct Spare {
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
}

thread_local! {
    static SPARE: RefCell<Spare> = const { RefCell::new(Spare { small: Vec::new(), large: Vec::new() }) };
}

/// Bytes read and not yet used.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    /// Always initialised to its whole length.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub(crate) fn small() -> Buffer {
        let bytes = SPARE.with_borrow_mut(|spare| spare.small.pop());
        Buffer { bytes: bytes.unwrap_or_else(|| vec![0; SMALL_BYTES]), start: 0, end: 0 }
    }

    pub(crate) fn large() -> Buffer {
        let bytes = SPARE.with_borrow_mut(|spare| spare.large.pop());
        Buffer { bytes: bytes.unwrap_or_else(|| vec![0; LARGE_BYTES]), start: 0, end: 0 }
    }

    /// What was read and not consumed.
    pub(crate) fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Marks the first `count` unread bytes as used.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Room to read into; empty when full.
    pub(crate) fn spare(&mut self) -> &mut [u8] {
        let end = self.end;
        self.bytes.get_mut(end..).unwrap_or_default()
    }

    /// Says that `count` bytes of [`Buffer::spare`] were filled.
    pub(crate) fn filled(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.bytes.len());
    }

    /// Makes room: moves what is unread to the front, and grows up to `bytes_max` where that is not enough. False
    /// when the buffer is full at its bound.
    pub(crate) fn make_room(&mut self, bytes_max: usize) -> bool {
        if self.end < self.bytes.len() {
            return true;
        }
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            return true;
        }
        if self.bytes.len() >= bytes_max {
            return false;
        }
        let larger = self.bytes.len().saturating_mul(2).clamp(1, bytes_max.max(1));
        self.bytes.resize(larger, 0);
        true
    }

    /// Appends bytes that were read elsewhere, growing as needed.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        let needed = self.end + bytes.len();
        if needed > self.bytes.len() {
            self.bytes.resize(needed, 0);
        }
        if let Some(room) = self.bytes.get_mut(self.end..needed) {
            room.copy_from_slice(bytes);
            self.end = needed;
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        // At the thread's end the list is gone already: then the buffer just drops.
        let _ = SPARE.try_with(|spare| {
            let Ok(mut spare) = spare.try_borrow_mut() else { return };
            match bytes.len() {
                SMALL_BYTES if spare.small.len() < SPARE_SMALL_MAX => spare.small.push(bytes),
                LARGE_BYTES if spare.large.len() < SPARE_LARGE_MAX => spare.large.push(bytes),
                _ => {}
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_grows_to_its_bound_and_no_further() {
        let mut buffer = Buffer::small();
        while buffer.make_room(20_000) {
            let room = buffer.spare().len();
            buffer.filled(room);
        }
        assert_eq!(buffer.unread().len(), 20_000);
        buffer.consume(19_999);
        assert!(buffer.make_room(20_000), "consumed bytes make room again");
        assert_eq!(buffer.unread().len(), 1);
    }
}
