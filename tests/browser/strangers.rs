//! A member of one organization asks for everything of another, and learns nothing: not even that it exists.
//!
//! Every answer about another organization is compared, field by field, with the answer about one that there is not.

use serde_json::json;

use crate::addresses::Places;
use crate::plain::{Answer, Plain};
use crate::stage::{CLERK, Stage};

const STRANGER: &str = "stranger@rival.example";

/// Ids of the right form that nobody has.
const NOBODY: &str = "01900000-0000-7000-8000-000000000000";

#[tokio::test]
async fn a_member_of_one_organization_learns_nothing_of_another() {
    let stage = Stage::new();
    let (key, _) = stage.key("secret project", Some("billing"));
    let member = stage.member("acme", "third@acme.example", json!({ "role": "organization-admin" }));
    stage.organization("rival", "Rival", &["billing"]);
    stage.member("rival", STRANGER, json!({ "role": "organization-admin" }));
    let organization = stage.management.get("/organizations/acme")["id"].as_str().unwrap().to_owned();
    let stranger = stage.plain().signed_in(STRANGER);

    let unknown = Places { organization: "nowhere", key: NOBODY, agent: "nothing", member: NOBODY };
    for organization in ["acme", organization.as_str()] {
        let foreign = Places { organization, key: &key, agent: "billing", member: &member };
        same_answers(&stranger, &foreign, &unknown);
    }
    // Foreign things under the stranger's own organization are as unknown as things that nobody has.
    let smuggled = Places { organization: "rival", key: &key, agent: "intake", member: &member };
    let own = Places { organization: "rival", key: NOBODY, agent: "nothing", member: NOBODY };
    for (foreign, nobody) in
        smuggled.pages().iter().zip(own.pages()).filter(|(foreign, nobody)| *foreign != nobody)
    {
        assert_eq!(bare(&stranger.get(foreign)), bare(&stranger.get(&nobody)), "{foreign}");
        assert_eq!(stranger.get(foreign).status, 404, "{foreign}");
    }
    let everything = stranger.get("/orgs/rival/keys").body + &stranger.get("/orgs/rival/audit").body;
    assert!(!everything.contains("Acme") && !everything.contains("secret project"), "{everything}");
    assert_eq!(stage.management.get(&format!("/organizations/acme/keys/{key}"))["name"], "secret project");
}

#[tokio::test]
async fn an_agent_admin_learns_nothing_of_keys_beyond_the_own_agents() {
    let stage = Stage::new();
    let (hidden, _) = stage.key("hidden key", None);
    let (other, _) = stage.key("other agent's key", Some("support"));
    stage.key("own key", Some("billing"));
    let clerk = stage.plain().signed_in(CLERK);
    for key in [&hidden, &other] {
        for page in ["edit", "usage", "delete"] {
            let foreign = clerk.get(&format!("/orgs/acme/keys/{key}/{page}"));
            let unknown = clerk.get(&format!("/orgs/acme/keys/{NOBODY}/{page}"));
            assert_eq!(foreign.status, 404, "{page}");
            assert_eq!(bare(&foreign), bare(&unknown), "{page}");
        }
    }
    let list = clerk.get("/orgs/acme/keys");
    assert_eq!(list.status, 200);
    assert!(list.body.contains("own key"));
    let all = list.body + &clerk.get("/orgs/acme/audit").body + &clerk.get("/orgs/acme/audit.csv").body;
    for word in ["hidden key", "other agent", hidden.as_str(), other.as_str()] {
        assert!(!all.contains(word), "an agent admin reads {word:?}");
    }
}

#[tokio::test]
async fn without_a_session_every_page_leads_to_the_sign_in_and_back() {
    let stage = Stage::new();
    let anybody = stage.plain();
    let (key, _) = stage.key("k", None);
    let real = Places { organization: "acme", key: &key, agent: "billing", member: NOBODY };
    let unknown = Places { organization: "nowhere", key: NOBODY, agent: "nothing", member: NOBODY };
    for page in real.pages().into_iter().chain(unknown.pages()) {
        let answer = anybody.get(&page);
        assert_eq!(answer.status, 303, "{page}");
        let place = answer.field("location").unwrap_or_default();
        assert!(place.starts_with("/sign-in"), "{page} leads to {place}");
        assert!(answer.body.len() < 500, "{page} says {}", answer.body);
    }
    for (method, path, body) in real.endpoints() {
        assert_eq!(anybody.send(method, &path, "application/json", body).status, 401, "{method} {path}");
    }
}

/// Every page, form and endpoint of one answers 404, and the same as the other does.
fn same_answers(who: &Plain, foreign: &Places, unknown: &Places) {
    for (page, other) in foreign.pages().iter().zip(unknown.pages()) {
        let answer = who.get(page);
        assert_eq!(answer.status, 404, "{page}");
        assert_eq!(bare(&answer), bare(&who.get(&other)), "{page}");
    }
    let form = "application/x-www-form-urlencoded";
    for (page, other) in foreign.forms().iter().zip(unknown.forms()) {
        let answer = who.send("POST", page, form, "name=n");
        assert_eq!(answer.status, 404, "POST {page}");
        assert_eq!(bare(&answer), bare(&who.send("POST", &other, form, "name=n")), "POST {page}");
    }
    for ((method, path, body), (_, other, _)) in foreign.endpoints().iter().zip(unknown.endpoints()) {
        let answer = who.send(method, path, "application/json", body);
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.body);
        let unknown = who.send(method, &other, "application/json", body);
        assert_eq!(bare(&answer), bare(&unknown), "{method} {path}");
    }
}

/// An answer without what differs between any two: the request's id, and the time.
fn bare(answer: &Answer) -> Answer {
    let id = answer.field("x-request-id").unwrap_or("no id").to_owned();
    let fields = answer.fields.iter().filter(|(name, _)| name != "date" && name != "x-request-id");
    Answer { status: answer.status, fields: fields.cloned().collect(), body: answer.body.replace(&id, "") }
}
