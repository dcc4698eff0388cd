//! Sign-ins in SQL, browsers that were signed in with, and forms that were sent: each known by a hash only.
//!
//! Promises that a session that is over is not found, and that what is over is deleted as new ones come. Nothing here is
//! a change of a record, so nothing of it is in the outbox.

use sqlx::FromRow;

use super::change::Change;
use super::column::parse;
use super::database::Database;
use super::engine::query;
use super::error::StoreError;
use crate::domain::clock::UnixMillis;
use crate::domain::id::{PersonId, SessionId};
use crate::domain::secret::SecretHash;

/// A sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// Its id.
    pub(crate) id: SessionId,
    /// Whose it is.
    pub(crate) person: PersonId,
    /// When it began.
    pub(crate) created_at: UnixMillis,
    /// When it was last used, to the minute.
    pub(crate) seen_at: UnixMillis,
    /// When it ends at the latest.
    pub(crate) expires_at: UnixMillis,
    /// From where it began.
    pub(crate) address: Option<String>,
    /// What the browser says it is.
    pub(crate) user_agent: String,
}

#[derive(FromRow)]
struct SessionRow {
    id: String,
    person_id: String,
    created_at: i64,
    seen_at: i64,
    expires_at: i64,
    address: Option<String>,
    user_agent: String,
}

impl SessionRow {
    fn read(self) -> Result<Session, StoreError> {
        let record = format!("session {}", self.id);
        Ok(Session {
            id: parse(&record, "id", &self.id)?,
            person: parse(&record, "person_id", &self.person_id)?,
            created_at: UnixMillis::from_i64(self.created_at),
            seen_at: UnixMillis::from_i64(self.seen_at),
            expires_at: UnixMillis::from_i64(self.expires_at),
            address: self.address,
            user_agent: self.user_agent,
        })
    }
}

const SESSION_BY_HASH: &str =
    "SELECT id, person_id, created_at, seen_at, expires_at, address, user_agent FROM sessions
     WHERE hash = $1 AND expires_at > $2 AND seen_at > $3";
const SESSIONS_OF_PERSON: &str =
    "SELECT id, person_id, created_at, seen_at, expires_at, address, user_agent FROM sessions
     WHERE person_id = $1 AND expires_at > $2 AND seen_at > $3 ORDER BY id DESC";

impl Database {
    /// The session with this hash that is not over at `now` and was seen after `idle_since`.
    pub(crate) async fn session(
        &self,
        hash: SecretHash,
        now: UnixMillis,
        idle_since: UnixMillis,
    ) -> Result<Option<Session>, StoreError> {
        let row: Option<SessionRow> = query(SESSION_BY_HASH)
            .bind(hash.as_bytes().as_slice())
            .bind(now.as_i64())
            .bind(idle_since.as_i64())
            .fetch_optional(self.readers())
            .await?;
        row.map(SessionRow::read).transpose()
    }

    /// The sessions of a person that are not over at `now` and were seen after `idle_since`, newest first.
    pub(crate) async fn sessions(
        &self,
        person: PersonId,
        now: UnixMillis,
        idle_since: UnixMillis,
    ) -> Result<Vec<Session>, StoreError> {
        let rows: Vec<SessionRow> = query(SESSIONS_OF_PERSON)
            .bind(person.to_string())
            .bind(now.as_i64())
            .bind(idle_since.as_i64())
            .fetch_all(self.readers())
            .await?;
        rows.into_iter().map(SessionRow::read).collect()
    }

    /// Writes when a session was last used. Whether it is over does not change.
    pub(crate) async fn touch_session(&self, id: SessionId, at: UnixMillis) -> Result<(), StoreError> {
        query("UPDATE sessions SET seen_at = $2 WHERE id = $1 AND seen_at < $2")
            .bind(id.to_string())
            .bind(at.as_i64())
            .execute(self.counters())
            .await?;
        Ok(())
    }

    /// Whether a person has signed in with the browser that keeps what has this hash.
    pub(crate) async fn knows_browser(
        &self,
        hash: SecretHash,
        person: PersonId,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        const BROWSER: &str =
            "SELECT COUNT(*) FROM browsers WHERE hash = $1 AND person_id = $2 AND expires_at > $3";
        let found = query(BROWSER)
            .bind(hash.as_bytes().as_slice())
            .bind(person.to_string())
            .bind(now.as_i64())
            .fetch_number(self.readers())
            .await?;
        Ok(found > 0)
    }
}

impl Change {
    /// Adds a session under the hash of what its cookie holds, and deletes those of anybody that are over, and those
    /// of this person beyond the newest `sessions_max`.
    pub(crate) async fn insert_session(
        &mut self,
        session: &Session,
        hash: SecretHash,
        sessions_max: u32,
    ) -> Result<(), StoreError> {
        let at = self.at().as_i64();
        query("DELETE FROM sessions WHERE expires_at <= $1").bind(at).execute(self.connection()).await?;
        query(
            "INSERT INTO sessions (hash, id, person_id, created_at, seen_at, expires_at, address, user_agent)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(hash.as_bytes().as_slice())
        .bind(session.id.to_string())
        .bind(session.person.to_string())
        .bind(session.created_at.as_i64())
        .bind(session.seen_at.as_i64())
        .bind(session.expires_at.as_i64())
        .bind(session.address.as_deref())
        .bind(&session.user_agent)
        .execute(self.connection())
        .await?;
        query(
            "DELETE FROM sessions WHERE person_id = $1 AND id NOT IN
             (SELECT id FROM sessions WHERE person_id = $1 ORDER BY id DESC LIMIT $2)",
        )
        .bind(session.person.to_string())
        .bind(i64::from(sessions_max))
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Deletes the session with this hash, if there is one: its browser begins another.
    pub(crate) async fn replace_session(&mut self, hash: SecretHash) -> Result<(), StoreError> {
        query("DELETE FROM sessions WHERE hash = $1")
            .bind(hash.as_bytes().as_slice())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Deletes one session of a person. Says whether there was one.
    pub(crate) async fn delete_session(
        &mut self,
        person: PersonId,
        session: SessionId,
    ) -> Result<bool, StoreError> {
        let done = query("DELETE FROM sessions WHERE person_id = $1 AND id = $2")
            .bind(person.to_string())
            .bind(session.to_string())
            .execute(self.connection())
            .await?;
        Ok(done > 0)
    }

    /// Deletes every session of a person.
    pub(crate) async fn delete_sessions(&mut self, person: PersonId) -> Result<(), StoreError> {
        query("DELETE FROM sessions WHERE person_id = $1")
            .bind(person.to_string())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Remembers a browser up to `until`, and forgets the person's others beyond the newest `browsers_max`.
    pub(crate) async fn insert_browser(
        &mut self,
        person: PersonId,
        hash: SecretHash,
        until: UnixMillis,
        browsers_max: u32,
    ) -> Result<(), StoreError> {
        let at = self.at().as_i64();
        query("DELETE FROM browsers WHERE expires_at <= $1").bind(at).execute(self.connection()).await?;
        query("INSERT INTO browsers (hash, person_id, expires_at) VALUES ($1, $2, $3)")
            .bind(hash.as_bytes().as_slice())
            .bind(person.to_string())
            .bind(until.as_i64())
            .execute(self.connection())
            .await?;
        query(
            "DELETE FROM browsers WHERE person_id = $1 AND hash NOT IN
             (SELECT hash FROM browsers WHERE person_id = $1 ORDER BY expires_at DESC LIMIT $2)",
        )
        .bind(person.to_string())
        .bind(i64::from(browsers_max))
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Forgets every browser of a person.
    pub(crate) async fn delete_browsers(&mut self, person: PersonId) -> Result<(), StoreError> {
        query("DELETE FROM browsers WHERE person_id = $1")
            .bind(person.to_string())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Remembers that a form was sent, and forgets those sent before `forget_before`.
    ///
    /// # Errors
    /// [`StoreError::Taken`] where it was sent already.
    pub(crate) async fn insert_form(
        &mut self,
        hash: SecretHash,
        forget_before: UnixMillis,
    ) -> Result<(), StoreError> {
        let at = self.at().as_i64();
        query("DELETE FROM forms_sent WHERE at < $1")
            .bind(forget_before.as_i64())
            .execute(self.connection())
            .await?;
        query("INSERT INTO forms_sent (hash, at) VALUES ($1, $2)")
            .bind(hash.as_bytes().as_slice())
            .bind(at)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
