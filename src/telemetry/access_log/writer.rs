//! The thread that writes the access log.
//!
//! Owns the file. Promises to look into the workers' buffers ten times a second, and to go on when a write fails:
//! the loss is counted and said once, until a write succeeds again. Never leaves half a line joined to the next.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::{Buffer, Message, Order, Parts, append_to, lock};
use crate::domain::clock::Clock;

/// How often the workers' buffers are looked into: the longest that a line waits.
const SWEEP_EVERY: Duration = Duration::from_millis(100);

pub(super) struct Writer {
    file: File,
    path: Option<PathBuf>,
    parts: Parts,
    clock: Clock,
    swept_at_ns: u64,
    /// The last write failed: it was said, and half a line may stand at the end.
    is_failing: bool,
    ends_in_half_a_line: bool,
}

impl Writer {
    pub(super) fn new(file: File, path: Option<PathBuf>, parts: Parts, clock: Clock) -> Writer {
        let swept_at_ns = clock.mono_ns();
        Writer { file, path, parts, clock, swept_at_ns, is_failing: false, ends_in_half_a_line: false }
    }

    /// Writes until the last worker and the last handle are gone.
    pub(super) fn run(mut self) {
        loop {
            match self.parts.full.recv_timeout(SWEEP_EVERY) {
                Ok(Message::Full(buffer)) => {
                    self.write(&buffer);
                    let waited = self.clock.mono_ns().saturating_sub(self.swept_at_ns);
                    if u128::from(waited) >= SWEEP_EVERY.as_nanos() {
                        self.sweep();
                    }
                }
                Ok(Message::Wake) => {}
                Err(RecvTimeoutError::Timeout) => self.sweep(),
                Err(RecvTimeoutError::Disconnected) => {
                    self.sweep();
                    return;
                }
            }
            while let Ok(order) = self.parts.orders.try_recv() {
                self.follow(order);
            }
        }
    }

    fn follow(&mut self, order: Order) {
        self.sweep();
        match order {
            Order::Reopen => self.reopen(),
            // Nobody waits any more where this fails.
            Order::Flush(done) => drop(done.try_send(())),
        }
    }

    /// Writes what is queued, then what the workers' buffers hold: so a worker's lines keep their order.
    fn sweep(&mut self) {
        while let Ok(message) = self.parts.full.try_recv() {
            match message {
                Message::Full(buffer) => self.write(&buffer),
                Message::Wake => {}
            }
        }
        self.swept_at_ns = self.clock.mono_ns();
        let buffers = lock(&self.parts.buffers).clone();
        for buffer in &buffers {
            let waiting = lock(buffer).take();
            self.write(&waiting);
        }
        drop(buffers);
        // A buffer that only the list holds belongs to a worker that is gone.
        lock(&self.parts.buffers).retain(|buffer| Arc::strong_count(buffer) > 1 || lock(buffer).lines > 0);
    }

    fn write(&mut self, buffer: &Buffer) {
        if buffer.bytes.is_empty() {
            return;
        }
        if self.ends_in_half_a_line && self.file.write_all(b"\n").is_ok() {
            self.ends_in_half_a_line = false;
        }
        let mut rest = buffer.bytes.as_slice();
        let failure = loop {
            match self.file.write(rest) {
                Ok(0) => break Some(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = rest.get(written..).unwrap_or_default();
                    if rest.is_empty() {
                        break None;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Some(error),
            }
        };
        match failure {
            None if self.is_failing => {
                self.is_failing = false;
                tracing::info!("the access log is written again");
            }
            None => {}
            Some(error) => self.lost(&buffer.bytes, rest, &error),
        }
    }

    /// Counts what a failed write lost: every line of which a part is in `rest`.
    fn lost(&mut self, all: &[u8], rest: &[u8], error: &std::io::Error) {
        let lines = memchr::memchr_iter(b'\n', rest).count();
        self.parts
            .counts
            .dropped_lines
            .fetch_add(u64::try_from(lines).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.parts.counts.write_failures.fetch_add(1, Ordering::Relaxed);
        let written = all.get(..all.len().saturating_sub(rest.len())).unwrap_or_default();
        self.ends_in_half_a_line |= written.last().is_some_and(|byte| *byte != b'\n');
        if !self.is_failing {
            self.is_failing = true;
            tracing::error!(%error, "the access log cannot be written; lines are dropped and counted");
        }
    }

    fn reopen(&mut self) {
        let Some(path) = &self.path else { return };
        match append_to(path) {
            Ok(file) => {
                self.file = file;
                self.ends_in_half_a_line = false;
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the access log cannot be reopened; the old file is kept");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Shared;
    use super::*;
    use crate::domain::secret::SecretFormat;

    #[test]
    fn after_a_line_that_was_written_in_half_the_next_starts_on_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let (_shared, parts) = Shared::new(&SecretFormat::keys());
        let counts = Arc::clone(&parts.counts);
        let mut writer = Writer::new(append_to(&path).unwrap(), None, parts, Clock::system());
        let buffer = |text: &[u8]| Buffer { bytes: text.to_vec(), lines: 0 };
        // As a disk leaves it that became full within the second of three lines.
        writer.write(&buffer(b"{\"a\":1}\n{\"a\""));
        let all = b"{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n";
        writer.lost(all, &all[12..], &ErrorKind::StorageFull.into());
        writer.write(&buffer(b"{\"a\":4}\n"));
        assert_eq!(std::fs::read(&path).unwrap(), b"{\"a\":1}\n{\"a\"\n{\"a\":4}\n");
        assert_eq!(counts.dropped_lines.load(Ordering::Relaxed), 2);
        assert!(!writer.is_failing);
    }
}
