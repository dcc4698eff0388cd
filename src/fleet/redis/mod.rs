//! The hub in Redis.
//!
//! Owns names, scripts and connections. Promises what [`Hub`](super::hub::Hub) promises, on one server, with Sentinels
//! and in a cluster. Every change is a script that may run twice; whatever is read is vouched for in the same step.

mod answer;
mod breaker;
mod connection;
mod counters;
mod hub;
mod ledger;
mod link;
mod names;
mod reading;
mod refusal;
mod register;
mod script;
mod scripts;
mod server;
mod slice;
mod usage;
mod writing;

#[cfg(test)]
mod tests;

pub use counters::{Calls, RedisCounters};
pub use hub::RedisHub;
pub use ledger::RedisLedger;
