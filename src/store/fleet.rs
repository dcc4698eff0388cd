//! What a fleet keeps in SQL: who publishes, under which numbers, which gateways were seen, and the outbox read back.
//!
//! Promises that terms and epochs only grow, and that changes come in the order of their commits. Whether a gateway may
//! still admit something is not decided here: the hub and its readers decide by it.

use super::change::Action;
use super::column::{count, parse};
use super::database::Database;
use super::engine::query;
use super::error::StoreError;
use super::keys::hash;
use super::server::SessionLock;
use crate::domain::clock::UnixMillis;
use crate::domain::id::{GatewayId, OrganizationId};
use crate::domain::secret::SecretHash;

/// Gateways that gave no sign for so long are not waited for: far above every `serve_for`, in milliseconds.
const KNOWN_FOR_MS: u64 = 30 * 86_400_000;

/// The right to be the one that publishes. Gone when dropped, and when the process ends.
#[derive(Debug)]
pub struct PublisherLock {
    /// None where one process serves the database alone.
    session: Option<SessionLock>,
}

impl PublisherLock {
    /// Whether the right is still there, as far as the database says now. To be asked every few seconds: a server gives
    /// the right of whoever does not ask for 15 s to another, so that a frozen process keeps nobody from publishing.
    pub async fn is_held(&mut self) -> bool {
        match &mut self.session {
            Some(session) => session.is_held().await,
            None => true,
        }
    }
}

/// A change as the outbox tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeNote {
    /// Its number.
    pub seq: u64,
    /// What was done.
    pub action: Action,
    /// The id of the record.
    pub subject: String,
    /// Whose record it is; none where no organization owns it, and in notes of versions that did not write it down.
    pub organization: Option<OrganizationId>,
    /// The hash of a key that was deleted.
    pub key_hash: Option<SecretHash>,
}

/// A life of a gateway that a publisher has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenGateway {
    /// Its id.
    pub gateway: GatewayId,
    /// What people call it.
    pub name: String,
    /// Of the program.
    pub version: String,
    /// Where programs reach it.
    pub address: String,
    /// How long it may go on admitting after its last sign, in milliseconds.
    pub goes_on_ms: u64,
    /// When it was seen first, by the clock of a console.
    pub first_seen: UnixMillis,
    /// When it was seen last, by the clock of a console.
    pub last_seen: UnixMillis,
}

type NoteColumns = (i64, String, String, Option<String>, Option<Vec<u8>>);
type GatewayColumns = (String, String, String, String, i64, i64, i64);

const CHANGES_AFTER: &str = "SELECT seq, kind, subject, organization_id, key_hash FROM changes
     WHERE seq > $1 ORDER BY seq LIMIT $2";
// A sign that was seen before another and is written after it leaves the later time. Whoever is registered again after it
// was given up is waited for again.
const SEEN: &str = "INSERT INTO fleet_gateways (gateway_id, name, version, address, goes_on_ms, first_seen, last_seen)
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (gateway_id) DO UPDATE SET
     name = excluded.name, version = excluded.version, address = excluded.address, goes_on_ms = excluded.goes_on_ms,
     last_seen = CASE WHEN fleet_gateways.last_seen > excluded.last_seen THEN fleet_gateways.last_seen
     ELSE excluded.last_seen END, left_at = NULL";
// Takes the lock that whoever begins an epoch needs, and changes nothing.
const SAME_EPOCH: &str = "UPDATE fleet SET epoch = epoch WHERE id = 1 AND epoch = $1";
const KNOWN: &str = "SELECT gateway_id, name, version, address, goes_on_ms, first_seen, last_seen
     FROM fleet_gateways WHERE left_at IS NULL AND last_seen >= $1 ORDER BY gateway_id";

impl Database {
    /// The right to publish; `None` where another console has it. One process serves a file, so there it is always had.
    pub async fn publisher_lock(&self) -> Result<Option<PublisherLock>, StoreError> {
        let Some(server) = self.server() else { return Ok(Some(PublisherLock { session: None })) };
        let session = SessionLock::publish(server).await?;
        Ok(session.map(|session| PublisherLock { session: Some(session) }))
    }

    /// A term that no publisher had before.
    pub async fn next_term(&self) -> Result<u64, StoreError> {
        let next = query("UPDATE fleet SET term = term + 1 WHERE id = 1 RETURNING term");
        Ok(count(next.fetch_number(self.writer()).await?))
    }

    /// The epoch that was given out last; 0 before the first.
    pub async fn fleet_epoch(&self) -> Result<u64, StoreError> {
        let epoch = query("SELECT epoch FROM fleet WHERE id = 1");
        Ok(count(epoch.fetch_number(self.readers()).await?))
    }

    /// An epoch that no lineage had before.
    pub async fn next_epoch(&self) -> Result<u64, StoreError> {
        let next = query("UPDATE fleet SET epoch = epoch + 1 WHERE id = 1 RETURNING epoch");
        Ok(count(next.fetch_number(self.writer()).await?))
    }

    /// The number of the last change that is committed; 0 before the first.
    pub async fn last_change(&self) -> Result<u64, StoreError> {
        let last = query("SELECT last FROM change_sequence WHERE id = 1");
        Ok(count(last.fetch_number(self.readers()).await?))
    }

    /// Up to `limit` changes behind `seq`, in order, without gaps among them. Where `seq` is below what
    /// [`Database::prune_changes`] has left, the first of them does not follow it.
    pub async fn changes_after(&self, seq: u64, limit: u32) -> Result<Vec<ChangeNote>, StoreError> {
        let rows: Vec<NoteColumns> = query(CHANGES_AFTER)
            .bind(i64::try_from(seq).unwrap_or(i64::MAX))
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await?;
        rows.into_iter().map(note).collect()
    }

    /// Forgets changes before `seq`, up to 5,000 at a time. Says how many.
    pub async fn prune_changes(&self, before_seq: u64) -> Result<u64, StoreError> {
        const PRUNE: &str = "DELETE FROM changes WHERE seq IN
             (SELECT seq FROM changes WHERE seq < $1 ORDER BY seq LIMIT 5000)";
        let pruned = query(PRUNE).bind(i64::try_from(before_seq).unwrap_or(i64::MAX));
        Ok(pruned.execute(self.writer()).await?)
    }

    /// Writes down which gateways were seen, unless another epoch than `epoch` was begun. Says whether it did.
    pub async fn remember_gateways(&self, seen: &[SeenGateway], epoch: u64) -> Result<bool, StoreError> {
        let mut transaction = self.writer().begin().await?;
        let same = query(SAME_EPOCH).bind(i64::try_from(epoch).unwrap_or(i64::MAX));
        if same.execute(&mut transaction).await? == 0 {
            return Ok(false);
        }
        for one in seen {
            query(SEEN)
                .bind(one.gateway.to_string())
                .bind(&one.name)
                .bind(&one.version)
                .bind(&one.address)
                .bind(i64::try_from(one.goes_on_ms).unwrap_or(i64::MAX))
                .bind(one.first_seen.as_i64())
                .bind(one.last_seen.as_i64())
                .execute(&mut transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Gateways that have not left and were seen within 30 days.
    pub async fn known_gateways(&self) -> Result<Vec<SeenGateway>, StoreError> {
        let since = UnixMillis(self.clock().now().unix.0.saturating_sub(KNOWN_FOR_MS));
        let rows: Vec<GatewayColumns> = query(KNOWN).bind(since.as_i64()).fetch_all(self.readers()).await?;
        rows.into_iter().map(seen).collect()
    }

    /// Writes down that a life of a gateway is over: it admits nothing any more.
    pub async fn gateway_left(&self, gateway: GatewayId) -> Result<(), StoreError> {
        query("UPDATE fleet_gateways SET left_at = $2 WHERE gateway_id = $1 AND left_at IS NULL")
            .bind(gateway.to_string())
            .bind(self.clock().now().unix.as_i64())
            .execute(self.writer())
            .await?;
        Ok(())
    }
}

fn note((seq, kind, subject, organization, key_hash): NoteColumns) -> Result<ChangeNote, StoreError> {
    let record = format!("change {seq}");
    let action = Action::ALL.into_iter().find(|action| action.as_str() == kind);
    let action = action.ok_or_else(|| StoreError::Damaged {
        record: record.clone(),
        detail: "kind: none that this version knows".to_owned(),
    })?;
    Ok(ChangeNote {
        seq: count(seq),
        action,
        subject,
        organization: organization.as_deref().map(|id| parse(&record, "organization_id", id)).transpose()?,
        key_hash: key_hash.as_deref().map(|bytes| hash(&record, bytes)).transpose()?,
    })
}

fn seen(columns: GatewayColumns) -> Result<SeenGateway, StoreError> {
    let (id, name, version, address, goes_on_ms, first_seen, last_seen) = columns;
    Ok(SeenGateway {
        gateway: parse("gateway", "gateway_id", &id)?,
        name,
        version,
        address,
        goes_on_ms: count(goes_on_ms),
        first_seen: UnixMillis::from_i64(first_seen),
        last_seen: UnixMillis::from_i64(last_seen),
    })
}
