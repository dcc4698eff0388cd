//! What gateways and consoles of a fleet ask of the hub between them, which is Redis.
//!
//! Owns the messages and the trait; `redis/` implements it, and tests run the same code over a simulated network.
//! Promises that every call may be repeated: whoever got no answer asks again and does no harm. Never waits for ever:
//! each call ends within the time that its implementation allows.
//!
//! # Words
//!
//! - *Epoch*: one lineage of the hub's contents. The publisher takes a new one from SQL whenever it cannot vouch for what
//!   the hub holds (flushed, restarted, failed over, restored) and writes everything anew under it.
//! - *Sequence*: the number of a change in SQL's outbox, gapless. A table *at* a sequence contains all changes up to it.
//! - *Vouched*: the publisher has stamped the contents with the identity of the very server process that answers
//!   (`run_id`). After a restart or a failover another process answers, the stamp does not fit, and nobody trusts the
//!   contents until a publisher has seen to them.
//! - *Term*: which publisher; a later one shuts earlier ones out, however late their calls arrive.

use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::clock::UnixMillis;
use crate::domain::id::{AgentId, GatewayId, KeyId, OrganizationId};
use crate::domain::limit::Limits;
use crate::domain::scope::Access;

/// Why the hub did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HubError {
    /// No answer in time, no connection, or the breaker is open. It may have been carried out all the same.
    #[error("Redis does not answer ({0})")]
    Unreachable(String),
    /// It answered with a refusal: permissions, read-only, out of memory, cluster down.
    #[error("Redis refuses ({0})")]
    Refused(String),
    /// Its contents are there and not vouched for, or not there at all.
    #[error("what Redis holds is not vouched for by a console yet")]
    Unvouched,
    /// Another publisher or another epoch has taken over.
    #[error("another console has taken over publishing")]
    Superseded,
    /// A change was to be applied that does not follow the last one; the hub is at this sequence.
    #[error("the feed is at change {at}")]
    OutOfOrder {
        /// The last change that the hub has.
        at: u64,
    },
    /// The hub holds something that this version does not understand.
    #[error("Redis holds something that this version does not understand: {0}")]
    Foreign(String),
}

/// A point in the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The lineage.
    pub epoch: u64,
    /// The last change contained.
    pub seq: u64,
}

/// An organization as the hub keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganizationRecord {
    /// Its id.
    pub id: OrganizationId,
    /// Its name in addresses.
    pub slug: String,
    /// IANA name of its time zone.
    pub zone: String,
    /// Its default limits for keys.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// Its agents: slug and id.
    pub agents: Vec<(String, AgentId)>,
}

/// A key as the hub keeps it. Holds the hash, never the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its id.
    pub id: KeyId,
    /// The organization that owns it.
    pub organization: OrganizationId,
    /// BLAKE3 of its secret, 64 lower-case hexadecimal digits.
    pub hash: String,
    /// The agent that it opens; all of the organization's where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// Which methods it may use.
    pub access: Access,
    /// From when on it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixMillis>,
    /// Refused until enabled again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// Its own limits.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
}

/// One thing of the table, or the news that it is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// An organization is there, like this.
    Organization(OrganizationRecord),
    /// An organization is gone.
    OrganizationGone(OrganizationId),
    /// A key is there, like this.
    Key(KeyRecord),
    /// A key is gone.
    KeyGone {
        /// Its id.
        id: KeyId,
        /// Its hash, as in [`KeyRecord::hash`].
        hash: String,
    },
}

/// One change of the feed: what it touched, as it is at or after that change; nothing where it concerns no gateway. Applying entries in order leads to the
/// table at the last one, from whatever later table one began with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number.
    pub seq: u64,
    /// What it touched: several where one change made several records anew; organizations before their keys.
    pub records: Vec<Record>,
}

/// How far a gateway is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Has no table yet and serves nobody. It follows a sync that it begins after the load before it serves.
    Loading,
    /// Follows the feed.
    Following,
    /// Loads anew while it serves from the table that it has.
    Reloading,
}

/// What a gateway says of itself, with every sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// What people call it: its host's name unless configured.
    pub name: String,
    /// Of the program.
    pub version: String,
    /// Where programs reach it.
    pub address: String,
    /// The generation of the configuration that it runs.
    pub generation: u64,
    /// How long it may go on admitting after the start of its last sync, in milliseconds: trust and `serve_for`.
    pub goes_on_ms: u64,
    /// How far it is.
    pub phase: Phase,
    /// The latest epoch that it has seen vouched for; 0 before the first. It never goes back to an earlier one, so whoever
    /// reads this knows that what an earlier server may still tell it means nothing to it.
    pub epoch: u64,
    /// The point up to which it has applied the feed and begun to cut what was revoked.
    pub applied: Option<Position>,
    /// The latest epoch whose ledger it has told of everything that it holds; 0 before the first.
    #[serde(default)]
    pub declared: u64,
    /// Requests granted to it by the ledger and not spent: what its death would strand at most.
    pub outstanding: u64,
    /// SQL has everything that it counted before, by its own wall clock. For people.
    #[serde(default)]
    pub counted: UnixMillis,
}

/// A gateway's sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// This life of the gateway; another start is another id.
    pub gateway: GatewayId,
    /// Counts up: one that arrives after a later one changes nothing.
    pub number: u64,
    /// What it says of itself.
    pub presence: Presence,
}

/// The hub's answer to a beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synced {
    /// Where the feed is.
    pub head: Position,
    /// The number of this gateway's last batch of usage that SQL has.
    pub usage_recorded: u64,
    /// Gateways that are registered, this one included.
    pub gateways: u32,
    /// Those of them that have given no sign for [`SILENT_AFTER`].
    pub silent: u32,
    /// Whether the ledger may grant in this epoch: every gateway that may hold grants has said so, or cannot go on.
    pub ledger_open: bool,
    /// Whether a console has noted that SQL knows this gateway. Until then it serves nobody: whoever revokes after the hub
    /// has lost its register could not know whom to wait for.
    pub remembered: bool,
}

/// After so long without a sign a gateway counts as silent in [`Synced::silent`].
pub const SILENT_AFTER: Duration = Duration::from_secs(1);

/// A registered gateway, as a console sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// This life of the gateway.
    pub gateway: GatewayId,
    /// The number of its last beat.
    pub beat: u64,
    /// How long ago that came, by the hub's clock, in milliseconds. For people: nothing is decided by it.
    pub silent_ms: u64,
    /// Whether a console has noted that SQL knows it.
    pub remembered: bool,
    /// What it says of itself.
    pub presence: Presence,
}

/// The register and the feed at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// Where the feed is; `None` where it is not vouched for, or not there.
    pub head: Option<Position>,
    /// Who is registered.
    pub gateways: Vec<Registered>,
}

/// Where the hub is, vouched for or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubState {
    /// Where its feed is.
    pub head: Position,
    /// The term of the publisher that wrote last.
    pub term: u64,
    /// Whether the stamps of feed and of every part of the table fit the processes that answer.
    pub vouched: bool,
}

/// The right to write as publisher: a term and the epoch that it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Which publisher.
    pub term: u64,
    /// Which lineage.
    pub epoch: u64,
}

/// A part of the table that is read by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// All organizations.
    Organizations,
    /// The keys of one shard, from 0.
    Keys(u16),
}

/// A page of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Organizations or keys; one may come twice.
    pub records: Vec<Record>,
    /// Where to go on; `None` where the part is at its end.
    pub next: Option<u64>,
}

/// The hub.
pub trait Hub: Clone + Send + Sync + 'static {
    /// A gateway's sign of life, its registration and its acknowledgement in one step, and where the feed is.
    ///
    /// # Errors
    /// [`HubError::Unvouched`] where the contents are not vouched for; the beat is registered all the same.
    fn sync(&self, beat: &Beat) -> impl Future<Output = Result<Synced, HubError>> + Send;

    /// Takes a gateway off the register: it admits nothing any more.
    fn leave(&self, gateway: GatewayId) -> impl Future<Output = Result<(), HubError>> + Send;

    /// Takes a gateway off the register that can admit nothing any more, unless it has given a sign after beat number
    /// `beat`. Says whether it was taken off. It may come back, and then registers anew.
    fn expel(&self, gateway: GatewayId, beat: u64) -> impl Future<Output = Result<bool, HubError>> + Send;

    /// The changes behind `after`, in order, waiting up to `wait` for the first of them. Empty where none came.
    ///
    /// # Errors
    /// [`HubError::Unvouched`] may be given where the epoch is gone.
    fn changes(
        &self,
        after: Position,
        wait: Duration,
    ) -> impl Future<Output = Result<Vec<Entry>, HubError>> + Send;

    /// The parts that a table has.
    fn parts(&self) -> Vec<Part>;

    /// A page of one part of the table of `epoch`, from `cursor` (0 at first).
    ///
    /// # Errors
    /// [`HubError::Unvouched`] where the part is not vouched for, or the epoch is gone.
    fn table(
        &self,
        epoch: u64,
        part: Part,
        cursor: u64,
    ) -> impl Future<Output = Result<Page, HubError>> + Send;

    /// Where the hub is; `None` where it holds nothing of ours.
    fn state(&self) -> impl Future<Output = Result<Option<HubState>, HubError>> + Send;

    /// Begins to write the table of a new epoch: what may be left of an earlier try under that number is removed.
    fn begin(&self, lease: Lease) -> impl Future<Output = Result<(), HubError>> + Send;

    /// Writes records into the table of an epoch that is not open yet. May be called again with the same records.
    fn fill(&self, lease: Lease, records: &[Record]) -> impl Future<Output = Result<(), HubError>> + Send;

    /// Makes the table that was filled the one that all gateways follow, at sequence `seq`, and stamps all of it.
    /// Registered gateways stay registered. Earlier epochs are removed.
    fn open(&self, lease: Lease, seq: u64) -> impl Future<Output = Result<(), HubError>> + Send;

    /// Applies changes to table and feed. Those that are applied already are passed over. Gives the sequence that the
    /// feed is at afterwards.
    ///
    /// # Errors
    /// [`HubError::OutOfOrder`] where the first one does not follow, [`HubError::Superseded`] where another term or epoch
    /// has begun, [`HubError::Unvouched`] where the server is another than the one that was stamped.
    fn publish(&self, lease: Lease, entries: &[Entry]) -> impl Future<Output = Result<u64, HubError>> + Send;

    /// Lets the ledger of this epoch grant; see [`Synced::ledger_open`].
    fn open_ledger(&self, lease: Lease) -> impl Future<Output = Result<(), HubError>> + Send;

    /// Who is registered and where the feed is, as of one instant.
    fn registry(&self) -> impl Future<Output = Result<Registry, HubError>> + Send;

    /// Notes that SQL knows gateways; see [`Synced::remembered`].
    fn mark(&self, gateways: &[GatewayId]) -> impl Future<Output = Result<(), HubError>> + Send;
}

/// A gateway's batch of counts, as it lies in the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageBatch {
    /// By which it is dropped.
    pub id: String,
    /// Whose it is.
    pub gateway: GatewayId,
    /// Its number among those of the gateway.
    pub number: u64,
    /// What it holds.
    pub payload: Vec<u8>,
}

/// The way of counts from gateways to whoever records them. Not a part of any epoch: what the hub loses is sent again.
pub trait UsageWay: Clone + Send + Sync + 'static {
    /// Takes batch `number` of a gateway, which knows that SQL has those up to `recorded`. One that is there already is
    /// passed over.
    ///
    /// # Errors
    /// [`HubError::OutOfOrder`] with the last number that is there or recorded, where this is not the next;
    /// [`HubError::Refused`] where too many batches wait.
    fn push_usage(
        &self,
        gateway: GatewayId,
        number: u64,
        recorded: u64,
        payload: &[u8],
    ) -> impl Future<Output = Result<(), HubError>> + Send;

    /// Up to `count` batches, the oldest first. They stay.
    fn take_usage(&self, count: usize) -> impl Future<Output = Result<Vec<UsageBatch>, HubError>> + Send;

    /// Lets go of batches, and notes for gateways which number SQL has.
    fn drop_usage(
        &self,
        ids: &[String],
        recorded: &[(GatewayId, u64)],
    ) -> impl Future<Output = Result<(), HubError>> + Send;
}
