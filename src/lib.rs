//! Keystile: an API-key gateway for agent backends. The code map is in `README.md`, section Architecture.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail loudly"))]

pub mod app;
pub mod cli;
pub mod config;
pub mod console;
pub mod domain;
pub mod gateway;
pub mod keytable;
pub mod limits;
pub mod shutdown;
pub mod store;
pub mod telemetry;
