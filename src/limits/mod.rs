//! Limits: rates, concurrency and calendar quotas, decided in memory and recorded behind the requests' backs.
//!
//! Owns the account of a key, admission, and the keeper that renews leases and records use through the `Ledger`
//! trait. Promises that limits are exact though no request waits for a store: a grant is on record before it can be
//! spent, and only a key's first request in a window waits for that. Never speaks SQL and never routes.

mod account;
mod admit;
mod calendar;
mod decide;
mod effective;
mod fields;
mod gathered;
mod keeper;
mod ledger;
mod paths;
mod plan;
mod quota;
mod rate;
mod renewal;
mod returning;
mod settlement;
pub mod slices;
mod snapshot;
#[cfg(test)]
pub(crate) mod tests;

pub use account::{Account, Outcome, Totals};
pub use admit::{Admission, LeaseWait, Limiter, Permit, Refusal};
pub use effective::EffectiveLimits;
pub use keeper::Keeper;
pub use ledger::{
    Asks, Boot, Grants, Held, Ledger, LedgerError, MeterGrant, PathCount, QuotaAsk, QuotaGrant, RateAsk,
    RateGrant, Returns, UsageBook, UsageDelta,
};
pub use paths::{Path, PathTally};
pub use quota::Span;
pub use slices::{FleetKeeper, FleetStanding, FleetView, Seat};
pub use snapshot::{LimitKind, LimitUse};
