//! Keystile: an API-key gateway for agent backends. The code map.
//!
//! Two planes share a vocabulary ([`domain`]) and meet in two places: the key table, which the control plane writes
//! and the data plane reads, and the limits, which the data plane spends and a background task records.
//!
//! ```text
//! domain ← config ← limits ← keytable ← store ← fleet ← telemetry ← gateway | console ← shutdown ← app ← cli ← main
//! ```
//!
//! A module imports from its left only, and [`gateway`] and [`console`] never import each other; `tests/tidy.rs` holds
//! this.
//!
//! | to see | begin at |
//! |---|---|
//! | a request's way | `gateway/handle.rs`: all phases on one screen, one file a phase beside it |
//! | what is accepted as HTTP | `gateway/http1/request.rs`, `gateway/normalize.rs` |
//! | a key's life | `console/operations/keys.rs`, then `keytable/` |
//! | how limits are decided and kept | `limits/admit.rs`, then `limits/keeper.rs` and `store/ledger` |
//! | what operators can set | `config/file.rs`, then `config/resolve/` |
//! | why something is refused | `domain/denial.rs` |
//! | the process from start to end | `app.rs` |
//!
//! `README.md`, section Architecture, has the lives of a request, a key and a configuration, and what is promised by
//! absence; `docs/guarantees.md` what is promised to users, with the tests that show it.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail loudly"))]

pub mod app;
pub mod cli;
pub mod config;
pub mod console;
pub mod domain;
pub mod fleet;
pub mod gateway;
pub mod keytable;
pub mod limits;
pub mod shutdown;
pub mod store;
pub mod telemetry;
