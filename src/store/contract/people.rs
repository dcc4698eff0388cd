//! What people, members, sessions, forms and the audit log promise on every engine.

use super::{NOW, acme, hash, organization};
use crate::domain::clock::UnixMillis;
use crate::domain::id::{AuditId, MemberId, OrganizationId, PersonId, SessionId};
use crate::domain::member::{Member, MemberRole, MemberState};
use crate::domain::person::Person;
use crate::store::audit::AuditQuery;
use crate::store::change::Actor;
use crate::store::{Action, Credentials, Database, Session, StoreError};

const LATER: UnixMillis = UnixMillis(NOW.0 + 1_000);

pub(super) fn person(email: &str) -> Credentials {
    let person = Person {
        id: PersonId::generate(),
        email: email.parse().unwrap(),
        name: Some("Ada ✓ 'quoted\"".parse().unwrap()),
        zone: Some("Europe/Berlin".parse().unwrap()),
        is_operator: false,
        created_at: NOW,
    };
    let openid = Some(("https://issuer".to_owned(), email.to_owned()));
    Credentials { person, password_hash: Some("$argon2id$".to_owned()), openid }
}

pub(super) fn member(of: OrganizationId, person: &Credentials, state: MemberState) -> Member {
    Member {
        id: MemberId::generate(),
        organization: of,
        person: person.person.id,
        email: person.person.email.clone(),
        name: match state {
            MemberState::Invited { .. } => None,
            MemberState::Active | MemberState::Disabled => person.person.name.clone(),
        },
        role: MemberRole::OrganizationAdmin,
        agents: Vec::new(),
        state,
        created_at: NOW,
        revision: 1,
    }
}

pub(super) fn session(person: &Credentials, seen_at: UnixMillis, expires_at: UnixMillis) -> Session {
    Session {
        id: SessionId::generate(),
        person: person.person.id,
        created_at: NOW,
        seen_at,
        expires_at,
        address: Some("2001:db8::1".to_owned()),
        user_agent: "größer".to_owned(),
    }
}

/// What is read back of a person, as far as it can be compared.
async fn shown(database: &Database, person: &Credentials) -> Option<(Person, Option<String>, usize)> {
    let (found, places) = database.person(person.person.id).await.unwrap()?;
    Some((found.person, found.password_hash, places.len()))
}

pub(super) async fn a_person_has_one_address_and_one_company_account(database: &Database) {
    let (ada, bob) = (person("ada@example.com"), person("bob@example.com"));
    let mut change = database.change("test").await.unwrap();
    change.insert_person(&ada).await.unwrap();
    change.insert_person(&bob).await.unwrap();
    let by_account = change.person_by_openid("https://issuer", "ada@example.com").await.unwrap().unwrap();
    assert_eq!(by_account.person, ada.person);
    assert!(change.person_by_openid("https://other", "ada@example.com").await.unwrap().is_none());
    change.commit().await.unwrap();
    assert_eq!(database.person_by_email(&bob.person.email).await.unwrap().unwrap().openid, bob.openid);
    let mut change = database.change("test").await.unwrap();
    let same_address = Credentials { openid: None, ..person("ada@example.com") };
    assert!(matches!(change.insert_person(&same_address).await, Err(StoreError::Taken(_))));
    drop(change);
    let mut change = database.change("test").await.unwrap();
    let same_account = Credentials { openid: ada.openid.clone(), ..bob.clone() };
    assert!(matches!(change.update_person(&same_account).await, Err(StoreError::Taken(_))));
    drop(change);
    let mut change = database.change("test").await.unwrap();
    let mut after = Credentials { password_hash: None, openid: None, ..bob };
    (after.person.name, after.person.zone, after.person.is_operator) = (None, None, true);
    change.update_person(&after).await.unwrap();
    change.commit().await.unwrap();
    assert_eq!(shown(database, &after).await, Some((after.person.clone(), None, 0)));
}

pub(super) async fn a_person_is_kept_for_a_place_or_as_an_operator_only(database: &Database) {
    let (acme, _) = acme(database).await;
    let (ada, mut root) = (person("ada@example.com"), person("root@example.com"));
    root.person.is_operator = true;
    let place = member(acme.id, &ada, MemberState::Active);
    let mut change = database.change("test").await.unwrap();
    for one in [&ada, &root] {
        change.insert_person(one).await.unwrap();
        change.insert_session(&session(one, NOW, LATER), hash(one.person.email.as_str()), 9).await.unwrap();
        change.insert_browser(one.person.id, hash(one.person.email.as_str()), LATER, 9).await.unwrap();
    }
    change.insert_member(&place, None).await.unwrap();
    change.delete_person_without_place(ada.person.id).await.unwrap();
    change.delete_person_without_place(root.person.id).await.unwrap();
    change.commit().await.unwrap();
    assert!(shown(database, &ada).await.is_some() && shown(database, &root).await.is_some());
    let mut change = database.change("test").await.unwrap();
    assert_eq!(change.delete_members(acme.id).await.unwrap(), [ada.person.id]);
    change.delete_person_without_place(ada.person.id).await.unwrap();
    change.commit().await.unwrap();
    assert!(shown(database, &ada).await.is_none());
    assert!(!database.knows_browser(hash("ada@example.com"), ada.person.id, NOW).await.unwrap());
    assert!(database.session(hash("root@example.com"), NOW, UnixMillis(0)).await.unwrap().is_some());
}

pub(super) async fn a_place_is_held_by_who_has_come_and_is_not_disabled(database: &Database) {
    let (acme, echo) = acme(database).await;
    let ada = person("ada@example.com");
    let until = MemberState::Invited { until: LATER };
    let invited =
        Member { role: MemberRole::AgentAdmin, agents: vec![echo.id], ..member(acme.id, &ada, until) };
    let mut change = database.change("test").await.unwrap();
    change.insert_person(&ada).await.unwrap();
    change.insert_member(&invited, Some(hash("link"))).await.unwrap();
    assert_eq!(change.member_counts(acme.id).await.unwrap(), (1, 0));
    change.commit().await.unwrap();
    assert_eq!(database.member(acme.id, invited.id).await.unwrap(), Some(invited.clone()));
    assert_eq!(database.member(OrganizationId::generate(), invited.id).await.unwrap(), None);
    assert_eq!(database.member_by_invitation(hash("link")).await.unwrap(), Some(invited.clone()));
    assert_eq!(shown(database, &ada).await.unwrap().2, 0);

    // Disabled and enabled again before they have come, they are still invited.
    let mut change = database.change("test").await.unwrap();
    let off = Member { state: MemberState::Disabled, revision: 2, ..invited.clone() };
    change.update_member(&off).await.unwrap();
    let read = change.member(acme.id, invited.id).await.unwrap().unwrap();
    assert_eq!((read.state, read.revision), (MemberState::Disabled, 2));
    change.update_member(&Member { state: MemberState::Active, revision: 3, ..off }).await.unwrap();
    assert_eq!(change.member(acme.id, invited.id).await.unwrap().unwrap().state, until);
    change.put_invitation(invited.id, hash("other"), LATER).await.unwrap();
    assert!(change.member_by_invitation(hash("link")).await.unwrap().is_none());
    change.accept_invitation(invited.id).await.unwrap();
    assert!(change.member_by_invitation(hash("other")).await.unwrap().is_none());
    change.commit().await.unwrap();
    let (_, places) = database.person(ada.person.id).await.unwrap().unwrap();
    assert_eq!(places[0].agents, [(echo.id, echo.slug.clone())]);

    let mut change = database.change("test").await.unwrap();
    let admin = Member {
        role: MemberRole::OrganizationAdmin,
        agents: Vec::new(),
        ..change.member(acme.id, invited.id).await.unwrap().unwrap()
    };
    change.update_member(&admin).await.unwrap();
    assert_eq!(change.member_counts(acme.id).await.unwrap(), (1, 1));
    change.update_member(&Member { state: MemberState::Disabled, ..admin }).await.unwrap();
    assert_eq!(change.member_counts(acme.id).await.unwrap(), (1, 0));
    change.commit().await.unwrap();
    assert_eq!(shown(database, &ada).await.unwrap().2, 0);
}

pub(super) async fn members_are_listed_with_their_own_agents_and_lose_those_that_are_deleted(
    database: &Database,
) {
    let (acme, echo) = acme(database).await;
    let other = organization("other");
    let people = [person("a@example.com"), person("b@example.com")];
    let with_echo = Member {
        role: MemberRole::AgentAdmin,
        agents: vec![echo.id],
        ..member(acme.id, &people[0], MemberState::Active)
    };
    let plain = member(acme.id, &people[1], MemberState::Disabled);
    let mut change = database.change("test").await.unwrap();
    change.insert_organization(&other).await.unwrap();
    for person in &people {
        change.insert_person(person).await.unwrap();
    }
    for member in [&with_echo, &plain, &member(other.id, &people[1], MemberState::Active)] {
        change.insert_member(member, None).await.unwrap();
    }
    assert_eq!(change.members_of_person(people[1].person.id).await.unwrap().len(), 2);
    change.commit().await.unwrap();
    assert_eq!(database.members(acme.id, None, 9).await.unwrap(), [with_echo.clone(), plain.clone()]);
    assert_eq!(database.members(acme.id, None, 1).await.unwrap(), std::slice::from_ref(&with_echo));
    assert_eq!(database.members(acme.id, Some(with_echo.id), 9).await.unwrap(), [plain]);
    let mut change = database.change("test").await.unwrap();
    change.delete_agent(echo.id).await.unwrap();
    assert!(change.member(acme.id, with_echo.id).await.unwrap().unwrap().agents.is_empty());
    change.delete_member(with_echo.id).await.unwrap();
    assert!(change.member(acme.id, with_echo.id).await.unwrap().is_none());
    let twice = member(other.id, &people[1], MemberState::Active);
    assert!(matches!(change.insert_member(&twice, None).await, Err(StoreError::Taken(_))));
}

pub(super) async fn a_session_that_is_over_is_not_found_and_goes_as_others_come(database: &Database) {
    let (ada, bob) = (person("ada@example.com"), person("bob@example.com"));
    let (over, open) = (session(&ada, NOW, NOW), session(&ada, NOW, LATER));
    let mut change = database.change("test").await.unwrap();
    for one in [&ada, &bob] {
        change.insert_person(one).await.unwrap();
    }
    change.insert_session(&over, hash("over"), 9).await.unwrap();
    change.insert_session(&open, hash("open"), 9).await.unwrap();
    change.insert_session(&session(&bob, NOW, LATER), hash("bob"), 9).await.unwrap();
    change.commit().await.unwrap();
    let before = UnixMillis(NOW.0 - 1);
    let found = async |secret| database.session(hash(secret), NOW, before).await.unwrap();
    assert_eq!(found("open").await, Some(open.clone()));
    assert_eq!(found("over").await, None);
    assert_eq!(database.count("SELECT COUNT(*) FROM sessions").await, 2, "what is over was deleted");
    assert_eq!(database.session(hash("open"), NOW, NOW).await.unwrap(), None, "not seen for too long");
    database.touch_session(open.id, LATER).await.unwrap();
    database.touch_session(open.id, NOW).await.unwrap();
    assert_eq!(found("open").await.unwrap().seen_at, LATER, "the last use is never set back");

    let mut change = database.change("test").await.unwrap();
    let newest = session(&ada, NOW, LATER);
    change.insert_session(&newest, hash("newest"), 1).await.unwrap();
    assert!(!change.delete_session(bob.person.id, newest.id).await.unwrap(), "not his to end");
    change.commit().await.unwrap();
    assert_eq!(database.sessions(ada.person.id, NOW, before).await.unwrap(), std::slice::from_ref(&newest));
    let mut change = database.change("test").await.unwrap();
    assert!(change.delete_session(ada.person.id, newest.id).await.unwrap());
    change.delete_sessions(ada.person.id).await.unwrap();
    change.commit().await.unwrap();
    assert!(found("newest").await.is_none() && found("bob").await.is_some());
}

pub(super) async fn a_form_is_sent_once_and_browsers_are_known_for_one_person(database: &Database) {
    let (ada, bob) = (person("ada@example.com"), person("bob@example.com"));
    let mut change = database.change("test").await.unwrap();
    for one in [&ada, &bob] {
        change.insert_person(one).await.unwrap();
    }
    for (at, browser) in ["first", "second", "third"].into_iter().enumerate() {
        let until = UnixMillis(LATER.0 + at as u64);
        change.insert_browser(ada.person.id, hash(browser), until, 2).await.unwrap();
    }
    change.insert_form(hash("form"), UnixMillis(0)).await.unwrap();
    change.commit().await.unwrap();
    let knows = async |browser, person: &Credentials, at| {
        database.knows_browser(hash(browser), person.person.id, at).await.unwrap()
    };
    assert!(!knows("first", &ada, NOW).await && knows("second", &ada, NOW).await);
    assert!(!knows("third", &bob, NOW).await && !knows("second", &ada, UnixMillis(LATER.0 + 1)).await);
    let mut change = database.change("test").await.unwrap();
    change.delete_browsers(ada.person.id).await.unwrap();
    assert!(matches!(change.insert_form(hash("form"), UnixMillis(0)).await, Err(StoreError::Taken(_))));
    drop(change);
    assert!(knows("third", &ada, NOW).await, "a change that was dropped did not happen");
    let mut change = database.change("test").await.unwrap();
    change.insert_form(hash("form"), LATER).await.unwrap();
}

pub(super) async fn the_audit_log_pages_from_the_newest_and_finds_text_as_it_is_written(database: &Database) {
    let (acme, _) = acme(database).await;
    let actor = |name: &str, id: &str| Actor { name: name.to_owned(), id: Some(id.to_owned()) };
    let mut change = database.change(actor("ada@example.com", "ada")).await.unwrap();
    change.log(Action::KeyCreated, "1", "Ärger 100%_\\", Some(acme.id), &[]).await.unwrap();
    change.act_as(actor("ÖZGÜR", "ozgur"));
    change.log(Action::KeyDeleted, "2", "plain", Some(acme.id), &[]).await.unwrap();
    change.log(Action::KeyDeleted, "3", "elsewhere", None, &[]).await.unwrap();
    change.commit().await.unwrap();
    let subjects = async |query: AuditQuery, before: Option<AuditId>, limit| {
        let lines = database.audit(acme.id, &query, before, limit).await.unwrap();
        lines.iter().map(|line| line.subject.clone()).collect::<Vec<_>>()
    };
    assert_eq!(subjects(AuditQuery::default(), None, 9).await, ["2", "1"]);
    let newest = database.audit(acme.id, &AuditQuery::default(), None, 1).await.unwrap();
    assert_eq!(subjects(AuditQuery::default(), Some(newest[0].id), 9).await, ["1"]);
    let own = AuditQuery { actor_id: Some("ada".to_owned()), ..AuditQuery::default() };
    assert_eq!(subjects(own, None, 9).await, ["1"]);
    for (text, found) in
        [("Ärger", true), ("RGER", true), ("100%_\\", true), ("%", true), ("0_%", false), ("1", true)]
    {
        let query = AuditQuery { subject: Some(text.to_owned()), ..AuditQuery::default() };
        assert_eq!(!subjects(query, None, 9).await.is_empty(), found, "{text}");
    }
    for (text, found) in [("ÖZG", "2"), ("ADA@", "1")] {
        let query = AuditQuery { actor: Some(text.to_owned()), ..AuditQuery::default() };
        assert_eq!(subjects(query, None, 9).await, [found], "{text}");
    }
    let action = AuditQuery { action: Some("key.created".to_owned()), ..AuditQuery::default() };
    assert_eq!(subjects(action, None, 9).await, ["1"]);
    let until = AuditQuery { to: Some(NOW), ..AuditQuery::default() };
    assert!(subjects(until, None, 9).await.is_empty());
    let since = AuditQuery { from: Some(NOW), ..AuditQuery::default() };
    assert_eq!(subjects(since, None, 9).await.len(), 2);
}
