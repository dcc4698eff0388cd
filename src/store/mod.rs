//! SQL: the truth about organizations, agents, keys, people, changes and usage.
//!
//! Owns every query and every migration; no other module knows a table. Promises that a change is one transaction with
//! its audit row and its outbox row, and that a database it cannot vouch for is refused untouched. Never keeps a
//! secret, only its hash.

mod audit;
mod carry;
mod change;
mod column;
#[cfg(test)]
mod contract;
mod database;
mod engine;
mod error;
mod fleet;
mod keys;
mod ledger;
mod load;
mod members;
mod opening;
mod organizations;
mod people;
mod schema;
mod server;
mod sessions;
mod tokens;
mod usage;

pub use audit::FieldChange;
pub(crate) use audit::{AuditLine, AuditQuery};
pub use carry::{CarryError, carry_over};
pub use change::Action;
pub(crate) use change::{Actor, Change};
pub use database::Database;
pub use error::StoreError;
pub use fleet::{ChangeNote, PublisherLock, SeenGateway};
pub use ledger::LocalLedger;
pub use opening::OpenError;
pub(crate) use people::{Credentials, Place};
pub use server::ServerError;
pub(crate) use sessions::Session;
pub use tokens::ManagementToken;
pub(crate) use usage::UsageCounts;
