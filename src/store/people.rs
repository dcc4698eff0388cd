//! People in SQL: who signs in, by what, and where they have a place.
//!
//! Promises that a password leaves this module only as its argon2id hash, and only for whoever checks it. Nobody is in
//! the table without a reason: a person with no place left, who is no operator, is deleted with their last one.

use sqlx::FromRow;

use super::change::Change;
use super::column::parse;
use super::database::Database;
use super::engine::{Connection, query};
use super::error::StoreError;
use crate::domain::clock::UnixMillis;
use crate::domain::id::{AgentId, MemberId, OrganizationId, PersonId};
use crate::domain::member::MemberRole;
use crate::domain::name::{Name, Slug};
use crate::domain::person::{Email, Person};

#[derive(FromRow)]
struct PersonRow {
    id: String,
    email: String,
    name: Option<String>,
    time_zone: Option<String>,
    password_hash: Option<String>,
    openid_issuer: Option<String>,
    openid_subject: Option<String>,
    is_operator: bool,
    created_at: i64,
}

/// A person with the proofs that let them in.
#[derive(Clone)]
pub(crate) struct Credentials {
    /// Who they are.
    pub(crate) person: Person,
    /// The argon2id hash of their password, where they have one.
    pub(crate) password_hash: Option<String>,
    /// Issuer and subject of their company account, where one was seen.
    pub(crate) openid: Option<(String, String)>,
}

impl PersonRow {
    fn read(self) -> Result<Credentials, StoreError> {
        let record = format!("person {}", self.id);
        let person = Person {
            id: parse(&record, "id", &self.id)?,
            email: parse(&record, "email", &self.email)?,
            name: self.name.as_deref().map(|name| parse(&record, "name", name)).transpose()?,
            zone: self.time_zone.as_deref().map(|zone| parse(&record, "time_zone", zone)).transpose()?,
            is_operator: self.is_operator,
            created_at: UnixMillis::from_i64(self.created_at),
        };
        let openid = self.openid_issuer.zip(self.openid_subject);
        Ok(Credentials { person, password_hash: self.password_hash, openid })
    }
}

/// A place that a person holds: they have come, and are not disabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The member.
    pub(crate) member: MemberId,
    /// Of which organization.
    pub(crate) organization: OrganizationId,
    /// What it is called in addresses.
    pub(crate) slug: Slug,
    /// What people call it.
    pub(crate) name: Name,
    /// What they may do there.
    pub(crate) role: MemberRole,
    /// The agents of an agent admin.
    pub(crate) agents: Vec<(AgentId, Slug)>,
}

const PERSON_BY_ID: &str =
    "SELECT id, email, name, time_zone, password_hash, openid_issuer, openid_subject, is_operator,
     created_at FROM people WHERE id = $1";
const PERSON_BY_EMAIL: &str =
    "SELECT id, email, name, time_zone, password_hash, openid_issuer, openid_subject,
     is_operator, created_at FROM people WHERE email = $1";
const PERSON_BY_OPENID: &str =
    "SELECT id, email, name, time_zone, password_hash, openid_issuer, openid_subject,
     is_operator, created_at FROM people WHERE openid_issuer = $1 AND openid_subject = $2";
const PLACES: &str = "SELECT m.id, m.organization_id, o.slug, o.name, m.role
     FROM members m JOIN organizations o ON o.id = m.organization_id
     WHERE m.person_id = $1 AND m.accepted AND NOT m.disabled ORDER BY m.organization_id";
const PLACE_AGENTS: &str = "SELECT ma.member_id, a.id, a.slug FROM member_agents ma
     JOIN members m ON m.id = ma.member_id JOIN agents a ON a.id = ma.agent_id
     WHERE m.person_id = $1 ORDER BY a.id";

async fn places(mut connection: Connection<'_>, person: PersonId) -> Result<Vec<Place>, StoreError> {
    let rows: Vec<(String, String, String, String, String)> =
        query(PLACES).bind(person.to_string()).fetch_all(connection.again()).await?;
    let mut found = Vec::with_capacity(rows.len());
    for (member, organization, slug, name, member_role) in rows {
        let record = format!("member {member}");
        found.push(Place {
            member: parse(&record, "id", &member)?,
            organization: parse(&record, "organization_id", &organization)?,
            slug: parse(&record, "slug", &slug)?,
            name: parse(&record, "name", &name)?,
            role: role(&record, &member_role)?,
            agents: Vec::new(),
        });
    }
    if found.iter().any(|place| place.role == MemberRole::AgentAdmin) {
        let agents: Vec<(String, String, String)> =
            query(PLACE_AGENTS).bind(person.to_string()).fetch_all(connection.again()).await?;
        for (member, id, slug) in agents {
            let member: MemberId = parse("member", "id", &member)?;
            let agent = (parse("agent", "id", &id)?, parse("agent", "slug", &slug)?);
            let place = found.iter_mut().find(|place| place.member == member);
            if let Some(place) = place.filter(|place| place.role == MemberRole::AgentAdmin) {
                place.agents.push(agent);
            }
        }
    }
    Ok(found)
}

/// The role as stored.
pub(super) fn role(record: &str, text: &str) -> Result<MemberRole, StoreError> {
    [MemberRole::OrganizationAdmin, MemberRole::AgentAdmin]
        .into_iter()
        .find(|role| role.as_str() == text)
        .ok_or_else(|| StoreError::Damaged {
            record: record.to_owned(),
            detail: "role: not known".to_owned(),
        })
}

impl Database {
    /// The person with this id, and the places they hold.
    pub(crate) async fn person(&self, id: PersonId) -> Result<Option<(Credentials, Vec<Place>)>, StoreError> {
        let mut instant = self.readers().begin_instant().await?;
        let row: Option<PersonRow> =
            query(PERSON_BY_ID).bind(id.to_string()).fetch_optional(&mut instant).await?;
        let Some(row) = row else { return Ok(None) };
        let places = places(instant.connection(), id).await?;
        Ok(Some((row.read()?, places)))
    }

    /// The person with this address.
    pub(crate) async fn person_by_email(&self, email: &Email) -> Result<Option<Credentials>, StoreError> {
        let row: Option<PersonRow> =
            query(PERSON_BY_EMAIL).bind(email.as_str()).fetch_optional(self.readers()).await?;
        row.map(PersonRow::read).transpose()
    }
}

impl Change {
    /// The person with this id and the places they hold, as this change sees them.
    pub(crate) async fn person(
        &mut self,
        id: PersonId,
    ) -> Result<Option<(Credentials, Vec<Place>)>, StoreError> {
        let row: Option<PersonRow> =
            query(PERSON_BY_ID).bind(id.to_string()).fetch_optional(self.connection()).await?;
        let Some(row) = row else { return Ok(None) };
        let places = places(self.connection(), id).await?;
        Ok(Some((row.read()?, places)))
    }

    /// The person with this address, as this change sees them.
    pub(crate) async fn person_by_email(&mut self, email: &Email) -> Result<Option<Credentials>, StoreError> {
        let row: Option<PersonRow> =
            query(PERSON_BY_EMAIL).bind(email.as_str()).fetch_optional(self.connection()).await?;
        row.map(PersonRow::read).transpose()
    }

    /// The person whose company account this is, as this change sees them.
    pub(crate) async fn person_by_openid(
        &mut self,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<Credentials>, StoreError> {
        let row: Option<PersonRow> =
            query(PERSON_BY_OPENID).bind(issuer).bind(subject).fetch_optional(self.connection()).await?;
        row.map(PersonRow::read).transpose()
    }

    /// Adds a person.
    pub(crate) async fn insert_person(&mut self, new: &Credentials) -> Result<(), StoreError> {
        query(
            "INSERT INTO people (id, email, name, time_zone, password_hash, openid_issuer, openid_subject, is_operator,
             created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(new.person.id.to_string())
        .bind(new.person.email.as_str())
        .bind(new.person.name.as_ref().map(Name::as_str))
        .bind(new.person.zone.as_ref().map(|zone| zone.as_str().to_owned()))
        .bind(new.password_hash.as_deref())
        .bind(new.openid.as_ref().map(|(issuer, _)| issuer.as_str()))
        .bind(new.openid.as_ref().map(|(_, subject)| subject.as_str()))
        .bind(new.person.is_operator)
        .bind(new.person.created_at.as_i64())
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Writes a person as they are now.
    pub(crate) async fn update_person(&mut self, now: &Credentials) -> Result<(), StoreError> {
        query(
            "UPDATE people SET name = $2, time_zone = $3, password_hash = $4, openid_issuer = $5, openid_subject = $6,
             is_operator = $7 WHERE id = $1",
        )
        .bind(now.person.id.to_string())
        .bind(now.person.name.as_ref().map(Name::as_str))
        .bind(now.person.zone.as_ref().map(|zone| zone.as_str().to_owned()))
        .bind(now.password_hash.as_deref())
        .bind(now.openid.as_ref().map(|(issuer, _)| issuer.as_str()))
        .bind(now.openid.as_ref().map(|(_, subject)| subject.as_str()))
        .bind(now.person.is_operator)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Deletes a person who has no place left and is no operator; leaves everybody else.
    pub(crate) async fn delete_person_without_place(&mut self, id: PersonId) -> Result<(), StoreError> {
        const LEFT: &str = "SELECT COUNT(*) FROM people p WHERE p.id = $1
             AND (p.is_operator OR EXISTS (SELECT 1 FROM members m WHERE m.person_id = p.id))";
        let id = id.to_string();
        let stays = query(LEFT).bind(&id).fetch_number(self.connection()).await?;
        if stays > 0 {
            return Ok(());
        }
        for statement in [
            "DELETE FROM sessions WHERE person_id = $1",
            "DELETE FROM browsers WHERE person_id = $1",
            "DELETE FROM people WHERE id = $1",
        ] {
            query(statement).bind(&id).execute(self.connection()).await?;
        }
        Ok(())
    }
}
