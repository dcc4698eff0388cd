//! The access log: one JSON line a request, to a file or to standard output.
//!
//! Owns the one thread that writes. Promises that a worker never waits for a disk: lines gather in its own buffer,
//! full buffers go through a bounded queue, and when that is full they are dropped and counted. Never stops serving
//! because a disk is full, and never loses silently.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::json_line::LineFormat;
use super::metrics::{InvalidMetric, Metrics};
use super::redaction::Redaction;
use super::settled::Settled;
use crate::domain::clock::Clock;
use crate::domain::secret::SecretFormat;

mod writer;

/// A worker's buffer goes to the writer when it holds this much.
const BUFFER_BYTES: usize = 64 * 1024;
/// Full buffers that wait for the writer: 8 MiB in all, what a disk should take in a moment.
const QUEUE_BUFFERS_MAX: usize = 128;
/// Requests to reopen or flush that wait for the writer.
const QUEUE_ORDERS_MAX: usize = 16;
/// How long [`AccessLog::flush`] waits for a disk that does not answer.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// Who may read the log: the owner and the group, since it tells who did what.
const FILE_MODE: u32 = 0o640;

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// Appended to this file.
    File(PathBuf),
}

/// The access log cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be opened for appending.
    #[error("cannot open the access log `{}`: check access_log.file, its folder and permissions", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard output is closed.
    #[error("cannot write the access log to standard output")]
    Stdout(#[source] io::Error),
    /// The operating system gave no thread to write it.
    #[error("cannot start the thread that writes the access log")]
    Thread(#[source] io::Error),
}

/// The access log of the process. Clones share it.
#[derive(Debug, Clone)]
pub struct AccessLog(Option<Arc<Shared>>);

/// What workers and the writer share.
#[derive(Debug)]
struct Shared {
    full: SyncSender<Message>,
    orders: SyncSender<Order>,
    redaction: Redaction,
    counts: Arc<Counts>,
    buffers: Arc<Buffers>,
}

/// Every worker's buffer. A lock for each, and one for the list of them: each is taken by its worker to add a line
/// and ten times a second by the writer to take what there is, and no more than moving a pointer happens then.
type Buffers = Mutex<Vec<Arc<Mutex<Buffer>>>>;

/// Lines that wait.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    lines: u64,
}

/// What was lost.
#[derive(Debug, Default)]
struct Counts {
    dropped_lines: AtomicU64,
    write_failures: AtomicU64,
}

/// What a worker sends the writer.
enum Message {
    Full(Buffer),
    /// There is an order to look at.
    Wake,
}

/// What the process asks of the writer.
enum Order {
    Reopen,
    Flush(SyncSender<()>),
}

impl AccessLog {
    /// Opens the log and starts its writer. Secrets of `key_format` and management tokens are redacted from it.
    ///
    /// # Errors
    /// Where the file or standard output cannot be written to, or no thread can be had.
    pub fn open(
        destination: &Destination,
        key_format: &SecretFormat,
        clock: Clock,
    ) -> Result<AccessLog, OpenError> {
        let (file, path) = match destination {
            Destination::Off => return Ok(AccessLog(None)),
            Destination::Stdout => (stdout().map_err(OpenError::Stdout)?, None),
            Destination::File(path) => {
                let opened = append_to(path);
                let file = opened.map_err(|source| OpenError::File { path: path.clone(), source })?;
                (file, Some(path.clone()))
            }
        };
        let (shared, parts) = Shared::new(key_format);
        let writer = writer::Writer::new(file, path, parts, clock);
        std::thread::Builder::new()
            .name(String::from("access-log"))
            .spawn(move || writer.run())
            .map_err(OpenError::Thread)?;
        Ok(AccessLog(Some(Arc::new(shared))))
    }

    /// A worker's end of the log.
    pub fn writer(&self) -> AccessLogWriter {
        AccessLogWriter(self.0.as_ref().map(|shared| {
            let buffer = Arc::new(Mutex::new(Buffer::default()));
            lock(&shared.buffers).push(Arc::clone(&buffer));
            let format = Mutex::new(LineFormat::new(shared.redaction.clone()));
            Worker { format, buffer, shared: Arc::clone(shared) }
        }))
    }

    /// Opens the file anew under its name, as after it was rotated. The old file is kept where the new one cannot be
    /// opened; that is said in the process's log. Does nothing for standard output.
    pub fn reopen(&self) {
        if let Some(shared) = &self.0 {
            shared.order(Order::Reopen);
        }
    }

    /// Waits until all lines that were settled before are written, at most five seconds. Blocks: call it where
    /// blocking is allowed. False where it gave up.
    pub fn flush(&self) -> bool {
        let Some(shared) = &self.0 else { return true };
        let (done, wait) = sync_channel(1);
        shared.order(Order::Flush(done)) && wait.recv_timeout(FLUSH_TIMEOUT).is_ok()
    }

    /// Lines that were lost, because the disk was too slow or refused them.
    pub fn dropped_lines(&self) -> u64 {
        self.0.as_ref().map_or(0, |shared| shared.counts.dropped_lines.load(Ordering::Relaxed))
    }

    /// Writes that failed.
    pub fn write_failures(&self) -> u64 {
        self.0.as_ref().map_or(0, |shared| shared.counts.write_failures.load(Ordering::Relaxed))
    }

    /// Shows in `metrics` what the log lost.
    ///
    /// # Errors
    /// Where it was registered before.
    pub fn register(&self, metrics: &Metrics) -> Result<(), InvalidMetric> {
        let log = self.clone();
        metrics.register_counter(
            "keystile_access_log_dropped_lines_total",
            "Lines of the access log that were lost because its disk was too slow or refused them.",
            move || log.dropped_lines() as f64,
        )?;
        let log = self.clone();
        metrics.register_counter(
            "keystile_access_log_write_failures_total",
            "Writes of the access log that the operating system refused, such as on a full disk.",
            move || log.write_failures() as f64,
        )
    }
}

impl Shared {
    fn new(key_format: &SecretFormat) -> (Shared, Parts) {
        let (full, full_buffers) = sync_channel(QUEUE_BUFFERS_MAX);
        let (orders, order_queue) = sync_channel(QUEUE_ORDERS_MAX);
        let redaction = Redaction::of_all(key_format);
        let (counts, buffers) = (Arc::<Counts>::default(), Arc::<Buffers>::default());
        let parts = Parts {
            full: full_buffers,
            orders: order_queue,
            counts: Arc::clone(&counts),
            buffers: Arc::clone(&buffers),
        };
        (Shared { full, orders, redaction, counts, buffers }, parts)
    }

    fn order(&self, order: Order) -> bool {
        let taken = self.orders.try_send(order).is_ok();
        // Where the queue is full the writer is awake anyway.
        drop(self.full.try_send(Message::Wake));
        taken
    }
}

/// The writer's ends of what is shared.
struct Parts {
    full: Receiver<Message>,
    orders: Receiver<Order>,
    counts: Arc<Counts>,
    buffers: Arc<Buffers>,
}

/// One worker's end of the access log.
#[derive(Debug)]
pub struct AccessLogWriter(Option<Worker>);

#[derive(Debug)]
struct Worker {
    // A lock that only this worker takes: it makes the writer shareable, which the workers' types ask for.
    format: Mutex<LineFormat>,
    buffer: Arc<Mutex<Buffer>>,
    shared: Arc<Shared>,
}

impl AccessLogWriter {
    /// Adds the line of a request that is over.
    pub fn write(&self, settled: &Settled<'_>) {
        let Some(worker) = &self.0 else { return };
        let mut buffer = lock(&worker.buffer);
        lock(&worker.format).write(settled, &mut buffer.bytes);
        buffer.lines += 1;
        if buffer.bytes.len() < BUFFER_BYTES {
            return;
        }
        // A worker that filled one buffer will fill the next: no growing from nothing.
        let next = Buffer { bytes: Vec::with_capacity(BUFFER_BYTES + BUFFER_BYTES / 8), lines: 0 };
        let full = std::mem::replace(&mut *buffer, next);
        drop(buffer);
        let lines = full.lines;
        if worker.shared.full.try_send(Message::Full(full)).is_err() {
            worker.shared.counts.dropped_lines.fetch_add(lines, Ordering::Relaxed);
        }
    }
}

impl Buffer {
    /// What there is, leaving an empty buffer.
    fn take(&mut self) -> Buffer {
        std::mem::take(self)
    }
}

/// Opens `path` to append to it, making it where it is not there.
fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(path)
}

/// Standard output as a file, around the buffer that the standard library keeps.
fn stdout() -> io::Result<File> {
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
