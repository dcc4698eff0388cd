//! What happened in a run: all of it as a number by which two runs are compared, and the last of it as text.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

const LINES_KEPT: usize = 400;

/// The time of a run and what happened in it. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    now_ms: AtomicU64,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    hash: Hash,
    lines: VecDeque<String>,
    events: u64,
}

/// FNV-1a.
#[derive(Debug)]
struct Hash(u64);

impl Default for Hash {
    fn default() -> Hash {
        Hash(0xcbf2_9ce4_8422_2325)
    }
}

impl Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

impl Trace {
    pub(crate) fn now_ms(&self) -> u64 {
        self.0.now_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn set_now_ms(&self, now_ms: u64) {
        self.0.now_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Notes what goes on all the time: only in the number.
    pub(crate) fn hum(&self, text: fmt::Arguments<'_>) {
        let mut told = self.0.told.lock().unwrap();
        let now_ms = self.now_ms();
        told.events += 1;
        writeln!(told.hash, "{now_ms} {text}").unwrap();
    }

    /// Notes what somebody who looks for the reason of a failure wants to read.
    pub(crate) fn tell(&self, text: fmt::Arguments<'_>) {
        self.hum(text);
        let mut told = self.0.told.lock().unwrap();
        if told.lines.len() == LINES_KEPT {
            told.lines.pop_front();
        }
        told.lines.push_back(format!("{:>8.3} {text}", self.now_ms() as f64 / 1_000.0));
    }

    /// A number that two runs have in common only if the same happened in both.
    pub(crate) fn hash(&self) -> u64 {
        self.0.told.lock().unwrap().hash.0
    }

    pub(crate) fn events(&self) -> u64 {
        self.0.told.lock().unwrap().events
    }

    pub(crate) fn text(&self) -> String {
        let told = self.0.told.lock().unwrap();
        told.lines.iter().fold(String::new(), |text, line| text + line + "\n")
    }
}
