//! The configuration: read once, found without problems or refused as a whole.
//!
//! Owns the way from a YAML file to [`Config`]: a tree that knows its places, the settings as written, the settings
//! as used. Promises that every problem of a file is told at once, with file, line, column and what was expected.
//! Never starts anything, and never shows what an environment variable holds.

mod address;
mod conceal;
mod file;
mod fleet;
mod leaf;
mod postgres;
mod problem;
mod redis_url;
pub mod reload;
mod resolve;
mod resolved;
mod schema;
mod secret;
mod setting;
mod substitute;
mod syntax;
mod tree;
mod units;

#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::Path;

pub use problem::Problems;
pub use resolved::{
    AccessLog, Config, Console, DatabaseUrl, Fleet, Gateway, Guard, Metrics, OpenId, Ops, PostgresTls,
    PostgresUrl, RedisUrl, SecretText, Sessions, Topology,
};
pub use schema::schema;

use problem::Place;
use setting::{Reader, Setting};
use tree::Kind;

/// Largest file, in bytes: thousands of routes fit in.
const FILE_BYTES_MAX: usize = 1 << 20;

/// Reads the configuration file at `path`, with variables from the environment of the process.
///
/// # Errors
/// Every problem of the file, or why it cannot be read.
pub fn load(path: &Path) -> Result<Config, Problems> {
    let label = path.display().to_string();
    let mut bytes = Vec::new();
    // One byte more than allowed shows that there is too much, however large the file or endless the device.
    let opened = std::fs::File::open(path);
    let read = opened.and_then(|file| file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        let message = format!("cannot be read: {error}");
        return refused(&label, message, "expected a configuration file that this user may read");
    }
    load_bytes(&bytes, &label, &|name| std::env::var(name).ok())
}

/// Reads a configuration from `text`; problems call it `file_label`.
///
/// # Errors
/// Every problem of the text.
pub fn load_str(
    text: &str,
    file_label: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, Problems> {
    load_bytes(text.as_bytes(), file_label, environment)
}

fn load_bytes(
    bytes: &[u8],
    label: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, Problems> {
    if bytes.len() > FILE_BYTES_MAX {
        return refused(label, "too large", "expected at most 1MiB: is this the configuration?");
    }
    let source = match std::str::from_utf8(bytes) {
        Ok(source) => source,
        Err(error) => return Err(not_utf8(bytes, error.valid_up_to(), label)),
    };
    let mut reader = Reader::default();
    let root = tree::read(source, environment, &mut reader.findings);
    let empty = root.as_ref().is_none_or(|root| matches!(root.kind, Kind::Null));
    if empty && reader.findings.count() == 0 {
        let expected = "expected at least `upstreams` and `routes`; config/minimal.yaml is an example";
        return refused(label, "an empty configuration", expected);
    }
    let file = root.and_then(|root| file::File::read(&root, &mut reader)).unwrap_or_default();
    let mut findings = reader.findings;
    let config = resolve::resolve(file, &mut findings);
    match findings.into_problems(label, source) {
        Some(problems) => Err(problems),
        None => Ok(config),
    }
}

fn not_utf8(bytes: &[u8], at: usize, label: &str) -> Problems {
    let shown = String::from_utf8_lossy(bytes);
    let before = String::from_utf8_lossy(bytes.get(..at).unwrap_or_default()).into_owned();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    let place = Place { line, column, width: 1 };
    Problems::single(label, &shown, Some(place), "not UTF-8", "expected the file to be saved as UTF-8")
}

fn refused<T>(label: &str, message: impl Into<String>, expected: &str) -> Result<T, Problems> {
    Err(Problems::single(label, "", None, message, expected))
}
