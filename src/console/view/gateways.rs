//! Gateways as they are shown.

use serde::Serialize;
use utoipa::ToSchema;

use super::Instant;
use crate::domain::id::GatewayId;

/// The gateways, as this console sees them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Gateways)]
pub struct GatewaysView {
    /// When they were looked at.
    pub as_of: Instant,
    /// The version of this console.
    pub version: String,
    /// The feed of changes that they follow; null without a fleet, where keys change in the memory of the one process.
    #[schema(required)]
    pub feed: Option<FeedView>,
    /// Gateways that admit requests or may.
    pub gateways: u32,
    /// Of these, how many are known to have applied every change of the feed.
    pub serving: u32,
    /// Each gateway, by name.
    pub items: Vec<GatewayView>,
}

/// The feed of changes, which consoles write and gateways follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Feed)]
pub struct FeedView {
    /// How it stands.
    pub state: FeedState,
    /// Its lineage: one more each time that a console had to write all of it anew. Null where it is not known.
    #[schema(required)]
    pub epoch: Option<u64>,
    /// The number of its last change. Null where it is not known.
    #[schema(required)]
    pub sequence: Option<u64>,
}

/// How the feed stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FeedState {
    /// It holds what the records say.
    Current,
    /// What Redis holds is not vouched for: a console has to write it anew, and does so where one runs.
    Renewing,
    /// Redis does not answer this console, or refuses it.
    Unreachable,
}

/// A gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Gateway)]
pub struct GatewayView {
    /// The id of this life of it: another start is another. Null for the one in the console's own process.
    #[schema(required)]
    pub id: Option<GatewayId>,
    /// What it calls itself: its host's name unless configured.
    pub name: String,
    /// Where programs reach it, as it says. Null for the one in the console's own process.
    #[schema(required)]
    pub address: Option<String>,
    /// Of the program.
    pub version: String,
    /// How it stands.
    pub state: GatewayState,
    /// Its last sign of life.
    pub seen_at: Instant,
    /// The number of the last change that it has applied. Null where it has no table, or where that is not known.
    #[schema(required)]
    pub applied: Option<u64>,
    /// How many changes it has yet to apply. Null where that is not known, as under another epoch of the feed.
    #[schema(required)]
    pub lag: Option<u64>,
    /// Whether it knows itself up to date. Null where that cannot be told from here.
    #[schema(required)]
    pub trust: Option<TrustView>,
    /// The generation of the configuration that it runs: 1 at its start, one more with each reload. Null where it is not
    /// known.
    #[schema(required)]
    pub generation: Option<u64>,
    /// Requests of limits that are granted to it and not spent: what its death would strand at most. Null where it is
    /// not known, and without a fleet, where none are granted ahead.
    #[schema(required)]
    pub outstanding: Option<u64>,
    /// How long it may go on admitting after its last sync, in milliseconds. Null without a fleet, where it need not ask.
    #[schema(required)]
    pub goes_on_ms: Option<u64>,
    /// From when on it admits nothing unless it gives another sign. Null for one that is in touch, or has no table.
    #[schema(required)]
    pub may_admit_until: Option<Instant>,
}

/// How a gateway stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GatewayState {
    /// It has applied every change of the feed.
    Serving,
    /// It has no table yet and admits nothing.
    Loading,
    /// It serves, and has not applied the last changes of the feed, or not loaded its present epoch; or the feed is
    /// being written anew.
    Behind,
    /// It gave no sign for longer than two of its beats. It may go on until `mayAdmitUntil`.
    Silent,
    /// It is on record and not on Redis' register, or Redis does not answer. It may go on until `mayAdmitUntil`.
    Missing,
    /// It gave no sign for as long as it may go on: it admits nothing.
    Over,
}

/// Whether a gateway knows itself up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TrustView {
    /// Its table is what the records say: a key that is not in it does not exist.
    Fresh,
    /// It cannot know of the last changes. It serves the keys that it has, as long as its configuration lets it.
    OutOfTouch,
}
