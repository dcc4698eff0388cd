//! SQL: the truth about organizations, agents, keys, people, changes and usage.
//!
//! Owns every query and every migration; no other module knows a table. Promises that a change is one transaction with
//! its audit row and its outbox row, and that a database it cannot vouch for is refused untouched. Never keeps a
//! secret, only its hash.

mod change;
mod column;
#[cfg(test)]
mod contract;
mod database;
mod error;
mod keys;
mod ledger;
mod load;
mod opening;
mod operators;
mod organizations;
mod usage;

pub use change::Action;
pub(crate) use change::Change;
pub use database::Database;
pub use error::StoreError;
pub use ledger::LocalLedger;
pub use opening::OpenError;
pub(crate) use usage::UsageCounts;
