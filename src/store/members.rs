//! Members in SQL: a person's place in an organization, its agents, and the invitation that leads to it.
//!
//! Promises that an invitation is kept as the BLAKE3 hash of its token, and that a member is told to have a name only
//! after they have come.

use std::collections::HashMap;

use sqlx::FromRow;

use super::change::Change;
use super::column::{count, parse};
use super::database::Database;
use super::engine::{Connection, query};
use super::error::StoreError;
use super::people::role;
use crate::domain::clock::UnixMillis;
use crate::domain::id::{AgentId, MemberId, OrganizationId, PersonId};
use crate::domain::member::{Member, MemberState};
use crate::domain::secret::SecretHash;

#[derive(FromRow)]
struct MemberRow {
    id: String,
    organization_id: String,
    person_id: String,
    email: String,
    name: Option<String>,
    role: String,
    accepted: bool,
    disabled: bool,
    invited_until: Option<i64>,
    created_at: i64,
    revision: i64,
}

impl MemberRow {
    fn read(self, agents: Vec<AgentId>) -> Result<Member, StoreError> {
        let record = format!("member {}", self.id);
        let until = UnixMillis::from_i64(self.invited_until.unwrap_or(0));
        let state = match (self.disabled, self.accepted) {
            (true, _) => MemberState::Disabled,
            (false, true) => MemberState::Active,
            (false, false) => MemberState::Invited { until },
        };
        let name = self.name.filter(|_| self.accepted);
        Ok(Member {
            id: parse(&record, "id", &self.id)?,
            organization: parse(&record, "organization_id", &self.organization_id)?,
            person: parse(&record, "person_id", &self.person_id)?,
            email: parse(&record, "email", &self.email)?,
            name: name.as_deref().map(|name| parse(&record, "name", name)).transpose()?,
            role: role(&record, &self.role)?,
            agents,
            state,
            created_at: UnixMillis::from_i64(self.created_at),
            revision: count(self.revision),
        })
    }
}

const MEMBER_BY_ID: &str =
    "SELECT m.id, m.organization_id, m.person_id, p.email, p.name, m.role, m.accepted, m.disabled,
     m.invited_until, m.created_at, m.revision FROM members m JOIN people p ON p.id = m.person_id
     WHERE m.organization_id = $1 AND m.id = $2";
const MEMBER_BY_INVITATION: &str =
    "SELECT m.id, m.organization_id, m.person_id, p.email, p.name, m.role, m.accepted,
     m.disabled, m.invited_until, m.created_at, m.revision FROM members m JOIN people p ON p.id = m.person_id
     WHERE m.invitation_hash = $1";
const MEMBERS_AFTER: &str =
    "SELECT m.id, m.organization_id, m.person_id, p.email, p.name, m.role, m.accepted, m.disabled,
     m.invited_until, m.created_at, m.revision FROM members m JOIN people p ON p.id = m.person_id
     WHERE m.organization_id = $1 AND m.id > $2 ORDER BY m.id LIMIT $3";
const MEMBERS_OF_PERSON: &str =
    "SELECT m.id, m.organization_id, m.person_id, p.email, p.name, m.role, m.accepted,
     m.disabled, m.invited_until, m.created_at, m.revision FROM members m JOIN people p ON p.id = m.person_id
     WHERE m.person_id = $1 ORDER BY m.id";
const AGENTS_OF_MEMBERS: &str = "SELECT ma.member_id, ma.agent_id FROM member_agents ma
     JOIN members m ON m.id = ma.member_id WHERE m.organization_id = $1 ORDER BY ma.agent_id";
const AGENTS_OF_MEMBER: &str = "SELECT agent_id FROM member_agents WHERE member_id = $1 ORDER BY agent_id";

async fn with_agents(
    connection: Connection<'_>,
    row: Option<MemberRow>,
) -> Result<Option<Member>, StoreError> {
    let Some(row) = row else { return Ok(None) };
    let agents = query(AGENTS_OF_MEMBER).bind(&row.id).fetch_texts(connection).await?;
    let agents = agents.iter().map(|id| parse("member", "agent_id", id)).collect::<Result<_, _>>()?;
    row.read(agents).map(Some)
}

impl Database {
    /// The member of an organization with this id.
    pub(crate) async fn member(
        &self,
        organization: OrganizationId,
        member: MemberId,
    ) -> Result<Option<Member>, StoreError> {
        let mut instant = self.readers().begin_instant().await?;
        let row = query(MEMBER_BY_ID)
            .bind(organization.to_string())
            .bind(member.to_string())
            .fetch_optional(&mut instant)
            .await?;
        with_agents(instant.connection(), row).await
    }

    /// The member whose invitation has this hash, over or not.
    pub(crate) async fn member_by_invitation(&self, hash: SecretHash) -> Result<Option<Member>, StoreError> {
        let mut instant = self.readers().begin_instant().await?;
        let row =
            query(MEMBER_BY_INVITATION).bind(hash.as_bytes().as_slice()).fetch_optional(&mut instant).await?;
        with_agents(instant.connection(), row).await
    }

    /// Up to `limit` members of an organization, oldest first, from behind `after`.
    pub(crate) async fn members(
        &self,
        organization: OrganizationId,
        after: Option<MemberId>,
        limit: u32,
    ) -> Result<Vec<Member>, StoreError> {
        let organization = organization.to_string();
        let rows: Vec<MemberRow> = query(MEMBERS_AFTER)
            .bind(&organization)
            .bind(after.map(|id| id.to_string()).unwrap_or_default())
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await?;
        let agents: Vec<(String, String)> =
            query(AGENTS_OF_MEMBERS).bind(&organization).fetch_all(self.readers()).await?;
        let mut of: HashMap<&str, Vec<AgentId>> = HashMap::new();
        for (member, agent) in &agents {
            of.entry(member).or_default().push(parse("member", "agent_id", agent)?);
        }
        rows.into_iter()
            .map(|row| {
                let agents = of.remove(row.id.as_str()).unwrap_or_default();
                row.read(agents)
            })
            .collect()
    }
}

impl Change {
    /// The member of an organization with this id, as this change sees them.
    pub(crate) async fn member(
        &mut self,
        organization: OrganizationId,
        member: MemberId,
    ) -> Result<Option<Member>, StoreError> {
        let row = query(MEMBER_BY_ID)
            .bind(organization.to_string())
            .bind(member.to_string())
            .fetch_optional(self.connection())
            .await?;
        with_agents(self.connection(), row).await
    }

    /// The member whose invitation has this hash, as this change sees them.
    pub(crate) async fn member_by_invitation(
        &mut self,
        hash: SecretHash,
    ) -> Result<Option<Member>, StoreError> {
        let row = query(MEMBER_BY_INVITATION)
            .bind(hash.as_bytes().as_slice())
            .fetch_optional(self.connection())
            .await?;
        with_agents(self.connection(), row).await
    }

    /// Every place of a person, held or not, without agents.
    pub(crate) async fn members_of_person(&mut self, person: PersonId) -> Result<Vec<Member>, StoreError> {
        let rows: Vec<MemberRow> =
            query(MEMBERS_OF_PERSON).bind(person.to_string()).fetch_all(self.connection()).await?;
        rows.into_iter().map(|row| row.read(Vec::new())).collect()
    }

    /// How many members an organization has, and how many of them are organization admins who may come in.
    pub(crate) async fn member_counts(
        &mut self,
        organization: OrganizationId,
    ) -> Result<(u64, u64), StoreError> {
        const COUNTS: &str = "SELECT COUNT(*), COUNT(CASE WHEN role = 'organization-admin' AND accepted
             AND NOT disabled THEN 1 END) FROM members WHERE organization_id = $1";
        let (all, admins): (i64, i64) =
            query(COUNTS).bind(organization.to_string()).fetch_one(self.connection()).await?;
        Ok((count(all), count(admins)))
    }

    /// Adds a member, with the hash of their invitation where they have not come yet.
    pub(crate) async fn insert_member(
        &mut self,
        member: &Member,
        invitation: Option<SecretHash>,
    ) -> Result<(), StoreError> {
        let (accepted, disabled, until) = columns(member);
        query(
            "INSERT INTO members (id, organization_id, person_id, role, accepted, disabled, invitation_hash,
             invited_until, created_at, revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(member.id.to_string())
        .bind(member.organization.to_string())
        .bind(member.person.to_string())
        .bind(member.role.as_str())
        .bind(accepted)
        .bind(disabled)
        .bind(invitation.map(|hash| hash.as_bytes().to_vec()))
        .bind(until)
        .bind(member.created_at.as_i64())
        .bind(i64::try_from(member.revision).unwrap_or(i64::MAX))
        .execute(self.connection())
        .await?;
        self.put_member_agents(member).await
    }

    /// Writes role, agents, revision and whether a member is disabled as they are now. Whether they have come stays.
    pub(crate) async fn update_member(&mut self, member: &Member) -> Result<(), StoreError> {
        query("UPDATE members SET role = $2, disabled = $3, revision = $4 WHERE id = $1")
            .bind(member.id.to_string())
            .bind(member.role.as_str())
            .bind(member.state == MemberState::Disabled)
            .bind(i64::try_from(member.revision).unwrap_or(i64::MAX))
            .execute(self.connection())
            .await?;
        query("DELETE FROM member_agents WHERE member_id = $1")
            .bind(member.id.to_string())
            .execute(self.connection())
            .await?;
        self.put_member_agents(member).await
    }

    async fn put_member_agents(&mut self, member: &Member) -> Result<(), StoreError> {
        for agent in &member.agents {
            query("INSERT INTO member_agents (member_id, agent_id) VALUES ($1, $2)")
                .bind(member.id.to_string())
                .bind(agent.to_string())
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    /// Puts another invitation in the place of whatever there was.
    pub(crate) async fn put_invitation(
        &mut self,
        member: MemberId,
        invitation: SecretHash,
        until: UnixMillis,
    ) -> Result<(), StoreError> {
        query("UPDATE members SET invitation_hash = $2, invited_until = $3 WHERE id = $1")
            .bind(member.to_string())
            .bind(invitation.as_bytes().as_slice())
            .bind(until.as_i64())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Writes that a member has come. Their invitation is used up.
    pub(crate) async fn accept_invitation(&mut self, member: MemberId) -> Result<(), StoreError> {
        query(
            "UPDATE members SET accepted = $2, invitation_hash = NULL, invited_until = NULL, revision = revision + 1
             WHERE id = $1",
        )
        .bind(member.to_string())
        .bind(true)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Deletes every member of an organization, and says who they were.
    pub(crate) async fn delete_members(
        &mut self,
        organization: OrganizationId,
    ) -> Result<Vec<PersonId>, StoreError> {
        let organization = organization.to_string();
        let people = query("SELECT person_id FROM members WHERE organization_id = $1")
            .bind(&organization)
            .fetch_texts(self.connection())
            .await?;
        for statement in [
            "DELETE FROM member_agents WHERE member_id IN (SELECT id FROM members WHERE organization_id = $1)",
            "DELETE FROM members WHERE organization_id = $1",
        ] {
            query(statement).bind(&organization).execute(self.connection()).await?;
        }
        people.iter().map(|id| parse("member", "person_id", id)).collect()
    }

    /// Deletes a member. The person stays.
    pub(crate) async fn delete_member(&mut self, member: MemberId) -> Result<(), StoreError> {
        for statement in
            ["DELETE FROM member_agents WHERE member_id = $1", "DELETE FROM members WHERE id = $1"]
        {
            query(statement).bind(member.to_string()).execute(self.connection()).await?;
        }
        Ok(())
    }
}

fn columns(member: &Member) -> (bool, bool, Option<i64>) {
    match member.state {
        MemberState::Invited { until } => (false, false, Some(until.as_i64())),
        MemberState::Active => (true, false, None),
        MemberState::Disabled => (true, true, None),
    }
}
