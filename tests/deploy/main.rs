//! The first deployment, as a stranger takes it from `deploy/`: every file of it read, checked by the program that will
//! read it, or run.
//!
//! Promises to end every process that it starts, and to touch nothing outside folders of its own.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "documents of others have kinds that these tests do not ask for"
)]

#[cfg(test)]
mod alarms;
#[cfg(test)]
mod compose;
#[cfg(test)]
mod configurations;
#[cfg(test)]
mod container;
#[cfg(test)]
mod dashboard;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod files;
#[cfg(test)]
mod prometheus;
#[cfg(test)]
mod redis;
#[cfg(test)]
mod supervised;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod systemd;
#[cfg(test)]
mod yaml;
