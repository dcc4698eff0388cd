//! What the access log promises: lines arrive in order, none is lost without being counted, serving never waits.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use super::writer::Writer;
use super::*;
use crate::telemetry::samples::settled;

fn open(path: &Path) -> AccessLog {
    AccessLog::open(&Destination::File(path.to_owned()), &SecretFormat::keys(), Clock::system()).unwrap()
}

/// The request ids of the lines in `path`, in order.
fn written(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(request_id).collect()
}

fn request_id(line: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    value["requestId"].as_str().unwrap().to_owned()
}

fn write(writer: &AccessLogWriter, request_id: &str) {
    writer.write(&Settled { request_id, ..settled() });
}

#[test]
fn what_was_settled_before_a_flush_is_in_the_file_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = open(&path);
    let (one, two) = (log.writer(), log.writer());
    write(&one, "1");
    write(&two, "2");
    assert!(log.flush());
    assert_eq!(written(&path), ["1", "2"]);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o137, 0, "others may not read it");
}

#[test]
fn a_workers_lines_keep_their_order_over_many_buffers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = open(&path);
    let writer = log.writer();
    // Some 350 bytes a line: a dozen full buffers.
    let expected: Vec<String> = (0..2_000).map(|number| number.to_string()).collect();
    expected.iter().for_each(|id| write(&writer, id));
    drop(writer);
    assert!(log.flush());
    assert_eq!(log.dropped_lines(), 0);
    assert_eq!(written(&path), expected);
}

#[test]
fn a_file_that_was_moved_away_is_opened_anew_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (path, rotated) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let log = open(&path);
    let writer = log.writer();
    write(&writer, "1");
    assert!(log.flush());
    std::fs::rename(&path, &rotated).unwrap();
    write(&writer, "2");
    log.reopen();
    assert!(log.flush());
    write(&writer, "3");
    assert!(log.flush());
    assert_eq!(written(&rotated), ["1", "2"]);
    assert_eq!(written(&path), ["3"]);
}

#[test]
fn lines_are_appended_to_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    for id in ["1", "2"] {
        let log = open(&path);
        write(&log.writer(), id);
        assert!(log.flush());
    }
    assert_eq!(written(&path), ["1", "2"]);
}

#[test]
fn a_file_that_cannot_be_had_fails_at_once_and_says_which() {
    let destination = Destination::File(PathBuf::from("/nonexistent/access.log"));
    let error = AccessLog::open(&destination, &SecretFormat::keys(), Clock::system()).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/access.log"), "{error}");
    assert!(error.to_string().contains("access_log.file"), "{error}");
}

#[test]
fn nothing_is_written_where_it_is_off() {
    let log = AccessLog::open(&Destination::Off, &SecretFormat::keys(), Clock::system()).unwrap();
    let writer = log.writer();
    write(&writer, "1");
    assert!(log.flush());
    assert_eq!(log.dropped_lines(), 0);
}

#[test]
fn buffers_that_the_queue_has_no_room_for_are_dropped_and_their_lines_counted() {
    // No writer takes anything: the queue stays full.
    let (shared, parts) = Shared::new(&SecretFormat::keys());
    let log = AccessLog(Some(Arc::new(shared)));
    let writer = log.writer();
    let lines_in = |buffer: &Buffer| buffer.lines;
    let mut settled_lines = 0_u64;
    while log.dropped_lines() == 0 {
        write(&writer, "1");
        settled_lines += 1;
    }
    let mut queued = 0;
    while let Ok(Message::Full(buffer)) = parts.full.try_recv() {
        queued += lines_in(&buffer);
    }
    assert_eq!(queued + log.dropped_lines(), settled_lines);
    assert!(queued > 0);
}

#[test]
fn a_full_disk_loses_lines_that_are_counted_and_writing_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let (shared, parts) = Shared::new(&SecretFormat::keys());
    let full_disk = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let clock = Clock::manual(crate::domain::clock::UnixMillis(0));
    let writer_thread = Writer::new(full_disk, Some(path.clone()), parts, clock);
    let thread = std::thread::spawn(move || writer_thread.run());
    let log = AccessLog(Some(Arc::new(shared)));
    let writer = log.writer();
    write(&writer, "1");
    write(&writer, "2");
    assert!(log.flush());
    assert_eq!(log.dropped_lines(), 2);
    assert!(log.write_failures() > 0);
    log.reopen();
    assert!(log.flush());
    write(&writer, "3");
    assert!(log.flush());
    assert_eq!(written(&path), ["3"]);
    assert_eq!(log.dropped_lines(), 2);
    drop((writer, log));
    thread.join().unwrap();
}

#[test]
fn a_writer_that_is_left_alone_writes_what_there_is_and_ends() {
    let (reading, writing) = io::pipe().unwrap();
    let (shared, parts) = Shared::new(&SecretFormat::keys());
    let file = File::from(std::os::fd::OwnedFd::from(writing));
    let writer_thread = Writer::new(file, None, parts, Clock::system());
    let thread = std::thread::spawn(move || writer_thread.run());
    let log = AccessLog(Some(Arc::new(shared)));
    let writer = log.writer();
    write(&writer, "last");
    drop((writer, log));
    thread.join().unwrap();
    let mut text = String::new();
    let mut reading = reading;
    reading.read_to_string(&mut text).unwrap();
    assert_eq!(text.lines().map(request_id).collect::<Vec<_>>(), ["last"]);
}

#[test]
fn what_is_lost_shows_in_the_metrics() {
    struct NoKeys;
    impl crate::telemetry::KeyCounters for NoKeys {
        fn visit(&self, _: &mut dyn FnMut(crate::domain::id::KeyId, crate::telemetry::KeyTotals)) {}
        fn key_count(&self) -> usize {
            0
        }
    }
    let metrics = Metrics::new(Arc::new(NoKeys), 1, crate::telemetry::Readiness::starting());
    let (shared, _parts) = Shared::new(&SecretFormat::keys());
    let log = AccessLog(Some(Arc::new(shared)));
    log.register(&metrics).unwrap();
    if let Some(shared) = &log.0 {
        shared.counts.dropped_lines.fetch_add(4, Ordering::Relaxed);
    }
    assert!(metrics.render().contains("\nkeystile_access_log_dropped_lines_total 4\n"));
}
