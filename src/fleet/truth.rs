//! Where the fleet's truth is, as the console's half asks for it: SQL, or what a simulation has in its place.
//!
//! Owns the trait and what of it is the database's. Promises that an entry shows a record as it is at or after its
//! change, never before.

use std::future::Future;

use super::hub::{Entry, Record, Registered};
use super::record::hash_text;
use crate::domain::clock::UnixMillis;
use crate::domain::id::{GatewayId, KeyId, OrganizationId};
use crate::store::{Action, ChangeNote, Database, PublisherLock, SeenGateway, StoreError};

/// The truth did not answer, or cannot tell what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TruthError {
    /// The database failed.
    #[error("{0}")]
    Unavailable(String),
    /// Changes are missing that would have to be told one by one: everything has to be written anew.
    #[error("the outbox does not reach back to change {0}")]
    TooOld(u64),
}

impl From<StoreError> for TruthError {
    fn from(error: StoreError) -> TruthError {
        TruthError::Unavailable(error.to_string())
    }
}

/// Where a walk over all records is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// Among the organizations, which come first; behind this one.
    Organizations(Option<OrganizationId>),
    /// Among the keys, behind this one.
    Keys(Option<KeyId>),
}

/// A gateway that is known to have lived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownGateway {
    /// This life of it.
    pub gateway: GatewayId,
    /// What people call it.
    pub name: String,
    /// How long it may go on after its last sync, in milliseconds.
    pub goes_on_ms: u64,
}

/// The truth.
pub trait Truth: Clone + Send + Sync + 'static {
    /// The right to publish, which goes when it is dropped.
    type Lock: Send;

    /// Takes the right to publish; `None` where another console has it.
    fn lock(&self) -> impl Future<Output = Result<Option<Self::Lock>, TruthError>> + Send;

    /// Whether the right is still there.
    fn holds(&self, lock: &mut Self::Lock) -> impl Future<Output = bool> + Send;

    /// A term that is larger than every one before.
    fn next_term(&self) -> impl Future<Output = Result<u64, TruthError>> + Send;

    /// The epoch that was taken last.
    fn epoch(&self) -> impl Future<Output = Result<u64, TruthError>> + Send;

    /// An epoch that is larger than every one before.
    fn next_epoch(&self) -> impl Future<Output = Result<u64, TruthError>> + Send;

    /// The number of the last change.
    fn last_change(&self) -> impl Future<Output = Result<u64, TruthError>> + Send;

    /// The changes behind `seq`, in order and without gaps, each with the records that it touched.
    fn entries_after(
        &self,
        seq: u64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Entry>, TruthError>> + Send;

    /// Some records behind `cursor`, and where to go on.
    fn records(
        &self,
        cursor: Cursor,
        limit: u32,
    ) -> impl Future<Output = Result<(Vec<Record>, Option<Cursor>), TruthError>> + Send;

    /// Forgets changes before `seq`, which nobody will ask for.
    fn forget_changes(&self, seq: u64) -> impl Future<Output = Result<(), TruthError>> + Send;

    /// Remembers gateways that were registered under `epoch`, unless another epoch was taken meanwhile: then the register
    /// that was read may be that of a server which is not the one any more. Says whether they are remembered.
    fn remember(
        &self,
        gateways: &[Registered],
        epoch: u64,
    ) -> impl Future<Output = Result<bool, TruthError>> + Send;

    /// Forgets gateways whose life is over.
    fn forget(&self, gateways: &[GatewayId]) -> impl Future<Output = Result<(), TruthError>> + Send;

    /// All gateways that are remembered.
    fn known(&self) -> impl Future<Output = Result<Vec<KnownGateway>, TruthError>> + Send;
}

impl Truth for Database {
    type Lock = PublisherLock;

    async fn lock(&self) -> Result<Option<PublisherLock>, TruthError> {
        Ok(self.publisher_lock().await?)
    }

    async fn holds(&self, lock: &mut PublisherLock) -> bool {
        lock.is_held().await
    }

    async fn next_term(&self) -> Result<u64, TruthError> {
        Ok(Database::next_term(self).await?)
    }

    async fn epoch(&self) -> Result<u64, TruthError> {
        Ok(self.fleet_epoch().await?)
    }

    async fn next_epoch(&self) -> Result<u64, TruthError> {
        Ok(Database::next_epoch(self).await?)
    }

    async fn last_change(&self) -> Result<u64, TruthError> {
        Ok(Database::last_change(self).await?)
    }

    async fn entries_after(&self, seq: u64, limit: u32) -> Result<Vec<Entry>, TruthError> {
        let notes = self.changes_after(seq, limit).await?;
        let mut entries = Vec::with_capacity(notes.len());
        for (expected, note) in (seq + 1..).zip(notes) {
            if note.seq != expected {
                return Err(TruthError::TooOld(expected));
            }
            entries.push(Entry { seq: note.seq, records: touched(self, &note).await? });
        }
        if entries.is_empty() && self.last_change().await? > seq {
            return Err(TruthError::TooOld(seq + 1));
        }
        Ok(entries)
    }

    async fn records(&self, cursor: Cursor, limit: u32) -> Result<(Vec<Record>, Option<Cursor>), TruthError> {
        match cursor {
            Cursor::Organizations(after) => {
                let page = self.organization_facts_page(after, limit).await?;
                let next = page.last().map(|last| last.id);
                let records = page.iter().map(|facts| Record::Organization(facts.into())).collect();
                let next = next.map_or(Cursor::Keys(None), |last| Cursor::Organizations(Some(last)));
                Ok((records, Some(next)))
            }
            Cursor::Keys(after) => {
                let page = self.key_facts_page(after, limit).await?;
                let next = page.last().map(|last| Cursor::Keys(Some(last.id)));
                Ok((page.iter().map(|facts| Record::Key(facts.into())).collect(), next))
            }
        }
    }

    async fn forget_changes(&self, seq: u64) -> Result<(), TruthError> {
        self.prune_changes(seq).await?;
        Ok(())
    }

    async fn remember(&self, gateways: &[Registered], epoch: u64) -> Result<bool, TruthError> {
        let now = self.now();
        let seen = |registered: &Registered| SeenGateway {
            gateway: registered.gateway,
            name: registered.presence.name.clone(),
            version: registered.presence.version.clone(),
            address: registered.presence.address.clone(),
            goes_on_ms: registered.presence.goes_on_ms,
            first_seen: now,
            last_seen: now,
        };
        Ok(self.remember_gateways(&gateways.iter().map(seen).collect::<Vec<_>>(), epoch).await?)
    }

    async fn forget(&self, gateways: &[GatewayId]) -> Result<(), TruthError> {
        for gateway in gateways {
            self.gateway_left(*gateway).await?;
        }
        Ok(())
    }

    async fn known(&self) -> Result<Vec<KnownGateway>, TruthError> {
        let known = self.known_gateways().await?;
        let known = known.into_iter().map(|seen| KnownGateway {
            gateway: seen.gateway,
            name: seen.name,
            goes_on_ms: seen.goes_on_ms,
        });
        Ok(known.collect())
    }
}

/// The records that a change touched, as they are now: a later change may have touched them again, and tells so itself.
async fn touched(database: &Database, note: &ChangeNote) -> Result<Vec<Record>, TruthError> {
    let damaged = || TruthError::Unavailable(format!("change {}: its subject is no id", note.seq));
    match note.action {
        Action::OrganizationCreated
        | Action::OrganizationChanged
        | Action::AgentCreated
        | Action::AgentChanged
        | Action::AgentDeleted => {
            let Some(id) = note.organization.or_else(|| note.subject.parse().ok()) else {
                return Err(damaged());
            };
            let Some(facts) = database.organization_facts(id).await? else { return Ok(Vec::new()) };
            let mut records = vec![Record::Organization((&facts).into())];
            if note.action == Action::OrganizationChanged {
                // Keys hold limits and windows ready to use, so all of them are told anew.
                let keys = database.keys_of(id).await?;
                records.extend(keys.iter().map(|facts| Record::Key(facts.into())));
            }
            Ok(records)
        }
        Action::OrganizationDeleted => {
            Ok(vec![Record::OrganizationGone(note.subject.parse().map_err(|_| damaged())?)])
        }
        Action::KeyCreated | Action::KeyChanged => {
            let id: KeyId = note.subject.parse().map_err(|_| damaged())?;
            // None: it was deleted since, which is a change of its own.
            let facts = database.key_facts(id).await?;
            Ok(facts.iter().map(|facts| Record::Key(facts.into())).collect())
        }
        Action::KeyDeleted => {
            let id = note.subject.parse().map_err(|_| damaged())?;
            // Without the hash nobody could be told which key is gone.
            let hash = note.key_hash.as_ref().ok_or(TruthError::TooOld(note.seq))?;
            Ok(vec![Record::KeyGone { id, hash: hash_text(hash) }])
        }
        Action::OperatorCreated
        | Action::TokenCreated
        | Action::TokenRevoked
        | Action::MemberInvited
        | Action::InvitationRenewed
        | Action::MemberJoined
        | Action::MemberChanged
        | Action::MemberRemoved
        | Action::SignedIn
        | Action::PasswordChanged => Ok(Vec::new()),
    }
}

impl Database {
    fn now(&self) -> UnixMillis {
        self.clock().now().unix
    }
}
