//! What a gateway asks of the fleet's ledger for one account, and what it is answered.
//!
//! Owns the messages and the trait. Promises that an ask may be repeated: it carries a number that grows, and the
//! ledger answers the same number again without effect.

use std::future::Future;

use crate::domain::id::{GatewayId, KeyId};
use crate::domain::limit::Window;
use crate::limits::quota::Span;

/// The ledger did not do what was asked; it may have been carried out all the same. The text is for operators.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SliceError(pub String);

/// The part of an ask that is about one quota. All numbers count from the start of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaPart {
    /// The kind of window.
    pub window: Window,
    /// The window by the calendar of the key's organization.
    pub span: Span,
    /// The quota.
    pub limit: u64,
    /// What is granted to this gateway. Believed only of a first ask: then it is a declaration.
    pub held: u64,
    /// What this gateway used of it.
    pub used: u64,
    /// What it wishes to be granted in total: more to grow, less to give back.
    pub want: u64,
}

/// The part of an ask that is about the rate: a bucket that all gateways draw tokens from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RatePart {
    /// Time units that one token takes.
    pub interval: u64,
    /// Time units in a microsecond: 1,000, or 1 where a bucket takes so long that nanoseconds would not fit 53 bits.
    pub per_us: u64,
    /// Tokens in a full bucket.
    pub burst: u64,
    /// Tokens in this gateway's hand.
    pub held: u64,
    /// No token was spent for so many microseconds, at least.
    pub quiet_us: u64,
    /// Tokens that it let flow in by itself while the ledger was away, since its last ask.
    pub refilled: u64,
    /// Tokens that it puts back into the bucket, unspent; no longer in its hand.
    pub returned: u64,
    /// Tokens that it wishes to have in hand.
    pub want: u64,
}

/// The part of an ask that is about places for requests in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacesPart {
    /// Requests in flight at most, over all gateways.
    pub limit: u32,
    /// Places that this gateway has. Believed only of a first ask.
    pub held: u32,
    /// Places that it wishes to have, never fewer than are taken.
    pub want: u32,
}

/// A wish about one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceAsk {
    /// The account.
    pub key: KeyId,
    /// Who asks.
    pub gateway: GatewayId,
    /// Grows from ask to ask of this gateway for this account. A repeated ask carries the same and the same contents.
    pub number: u64,
    /// The lineage of the ledger that this gateway knows.
    pub epoch: u64,
    /// Set where the gateway's hands are empty as far as this lineage knows: nothing is granted to it yet, and what it
    /// says that it holds is a declaration of what an earlier lineage granted.
    pub first: bool,
    /// Of a first ask: requests admitted here that SQL may not have yet.
    pub unrecorded: u64,
    /// Places and tokens of this gateway lapse when it has not asked for so long, in milliseconds.
    pub lapse_ms: u64,
    /// Gateways of the fleet, this one included.
    pub gateways: u32,
    /// Those of them that are silent, and let a bucket's share flow in by themselves.
    pub silent: u32,
    /// At most one for each window, the shortest first.
    pub quotas: Vec<QuotaPart>,
    /// The rate, where there is one.
    pub rate: Option<RatePart>,
    /// The concurrency, where there is one.
    pub places: Option<PlacesPart>,
}

/// The answer about one quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaAnswer {
    /// The window that is counted: the asked one, or another that goes on or has begun.
    pub span: Span,
    /// Granted to this gateway.
    pub own: u64,
    /// Granted to all, and used before the ledger knew.
    pub total: u64,
    /// What other gateways hold of it and have not used, as far as they said, and may give back.
    pub others_idle: u64,
}

/// The answer about the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateAnswer {
    /// Tokens in this gateway's hand when it asked, and those granted.
    pub own: u64,
    /// Tokens left in the bucket.
    pub left: u64,
    /// After so many microseconds one more token will be there; 0 where one is.
    pub wait_us: u64,
}

/// The answer about places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacesAnswer {
    /// Places of this gateway.
    pub own: u32,
    /// Places of all gateways.
    pub total: u32,
}

/// What became of an ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SliceAnswer {
    /// Carried out, now or when this number first came.
    Granted {
        /// One for each that was asked, in its order.
        quotas: Vec<QuotaAnswer>,
        /// Where it was asked.
        rate: Option<RateAnswer>,
        /// Where it was asked.
        places: Option<PlacesAnswer>,
        /// Nothing more is granted before a console says what SQL has counted; see [`Floor`].
        needs_floor: bool,
    },
    /// The ledger knows nothing of this gateway, which has been silent for too long: what it had is gone. It begins anew
    /// with a first ask.
    Forgotten,
    /// A later ask came before. Without effect.
    Late,
    /// The ledger is at another lineage. Without effect.
    OtherEpoch(u64),
}

/// What SQL has counted of a key, from which an account of a new lineage goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floor {
    /// The key.
    pub key: KeyId,
    /// For each window that is limited, its span and what was admitted in it. Read after the ledger was opened.
    pub quotas: Vec<(Window, Span, u64)>,
    /// Admitted in the time in which the key's bucket fills, at least; 0 where it has no rate.
    pub recent: u64,
}

/// The fleet's ledger.
pub trait SliceLedger: Send + Sync + 'static {
    /// Carries asks out, each by itself, and answers in their order. All are of one lane, and of different accounts.
    ///
    /// # Errors
    /// No answer for any of them, in the time that the implementation allows; any of them may have been carried out.
    fn exchange(
        &self,
        asks: &[SliceAsk],
    ) -> impl Future<Output = Result<Vec<SliceAnswer>, SliceError>> + Send;

    /// The lane of an account, below [`SliceLedger::lanes`]: lanes fail and are slow independently.
    fn lane(&self, key: KeyId) -> usize {
        let _ = key;
        0
    }

    /// How many lanes there are, at least 1.
    fn lanes(&self) -> usize {
        1
    }
}

/// What consoles ask of the ledger, which hold no account themselves.
pub trait SliceBooks: Send + Sync + 'static {
    /// Accounts that wait for a floor, up to `most`.
    fn wanted(&self, most: usize) -> impl Future<Output = Result<Vec<KeyId>, SliceError>> + Send;

    /// Delivers floors of `epoch`. One that is known already changes nothing, so this may be repeated. Gives how many
    /// accounts resumed from theirs.
    fn put_floors(
        &self,
        epoch: u64,
        floors: &[Floor],
    ) -> impl Future<Output = Result<u64, SliceError>> + Send;

    /// Says that every key that SQL has counted anything of has its floor: accounts without one begin at 0.
    fn complete_floors(&self, epoch: u64) -> impl Future<Output = Result<(), SliceError>> + Send;

    /// The account of `key`, as far as gateways have told, with the ledger's clock in microseconds since 1970.
    fn account(
        &self,
        key: KeyId,
    ) -> impl Future<Output = Result<Option<(super::AccountRecord, u64)>, SliceError>> + Send;
}
