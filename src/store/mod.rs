//! (written next)
pub mod ledger;
