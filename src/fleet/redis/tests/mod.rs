//! The hub against real servers.

mod ledger;
