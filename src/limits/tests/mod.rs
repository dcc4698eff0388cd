//! Limits as a whole: limiter, keeper and a ledger in memory that can fail and be left by a process that dies.

mod admission;
mod fleet;
mod keeping;
mod lapse;
mod outage;
pub(crate) mod scene;
pub(crate) mod slices;
pub(crate) mod support;
mod uses;
