//! The hub in Redis.
//!
//! Owns names, scripts and connections. Promises what [`Hub`](super::hub::Hub) promises, on one server, with Sentinels
//! and in a cluster. Every change is a script that may run twice; whatever is read is vouched for in the same step.

mod breaker;
mod connection;
mod counters;
mod link;
mod names;
mod refusal;
mod script;
mod server;

pub use counters::{Calls, RedisCounters};
