//! Members, agents, settings and organizations as pages.

use crate::harness::Console;
use crate::pages_visitor::{PASSWORD, Visitor};

async fn member(console: &Console, email: &str) -> String {
    let members = console.get("/organizations/acme/members").await.is(200).json;
    let found = members["items"].as_array().unwrap().iter().find(|member| member["email"] == email);
    found.unwrap()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_last_organization_admin_is_told_before_the_click_and_stays_whatever_is_sent() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    let id = member(&console, "owner@acme.example").await;
    assert!(owner.get("/orgs/acme/members").await.is(200).html().contains("the only one"));
    let remove = format!("/orgs/acme/members/{id}/delete");
    let asked = owner.get(&remove).await.is(200).html();
    assert!(asked.contains("last organization admin") && !asked.contains("Remove member</button>"));
    let edit = format!("/orgs/acme/members/{id}/edit");
    let asked = owner.get(&edit).await.is(200).html();
    assert!(asked.contains("last organization admin") && !asked.contains("name=\"role\""));
    owner.send_form(&remove, &[]).await.is(422);
    owner.send_form(&edit, &[("role", "agent-admin"), ("agents", "echo")]).await.is(422);
    owner.send_form(&edit, &[("role", "organization-admin"), ("disabled", "true")]).await.is(422);
    owner.get("/orgs/acme/members").await.is(200);
}

#[tokio::test]
async fn an_invitation_link_is_shown_once_and_a_new_one_ends_the_one_before() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    let fields = [("email", "new@acme.example"), ("role", "agent-admin"), ("agents", "echo")];
    let made = owner.send_form("/orgs/acme/members/new", &fields).await.is(200).html();
    let link = |html: &str| {
        let from = html.find("https://keys.example.com/invitations/").unwrap();
        html[from + "https://keys.example.com".len()..].split('<').next().unwrap().to_owned()
    };
    let first = link(&made);
    assert!(made.contains("data-secret") && made.contains("not shown again"));
    let id = member(&console, "new@acme.example").await;
    for address in ["/orgs/acme/members".to_owned(), format!("/orgs/acme/members/{id}/invitation")] {
        assert!(!owner.get(&address).await.is(200).html().contains("/invitations/ksi_"), "{address}");
    }
    let again = owner.send_form(&format!("/orgs/acme/members/{id}/invitation"), &[]).await.is(200).html();
    let second = link(&again);
    Visitor::stranger(&console).get(&first).await.is(404);
    Visitor::stranger(&console).get(&second).await.is(200);
    let twice = owner.send_form("/orgs/acme/members/new", &fields).await.is(422).html();
    assert!(twice.contains("member already") && twice.contains("aria-invalid"));
    let nobody =
        owner.send_form("/orgs/acme/members/new", &[("email", "x@y"), ("role", "agent-admin")]).await;
    assert!(nobody.is(422).html().contains("at least one agent"));
}

#[tokio::test]
async fn an_agent_admin_sees_own_agents_without_changes_and_no_members() {
    let console = Console::with_acme().await;
    console.post("/organizations/acme/agents", r#"{"slug":"hidden","name":"Hidden"}"#).await.is(201);
    let clerk = Visitor::clerk(&console).await;
    let html = clerk.get("/orgs/acme/agents").await.is(200).html();
    assert!(html.contains(">Echo<") && !html.contains("Hidden") && !html.contains("New agent"));
    for address in [
        "/orgs/acme/members",
        "/orgs/acme/members/new",
        "/orgs/acme/agents/new",
        "/orgs/acme/agents/echo/delete",
    ] {
        clerk.get(address).await.is(403);
    }
    clerk.send_form("/orgs/acme/agents/echo/delete", &[("typed", "echo")]).await.is(403);
    clerk.send_form("/orgs/acme/agents/new", &[("name", "x"), ("slug", "x")]).await.is(403);
    let settings = clerk.get("/orgs/acme/settings").await.is(200).html();
    assert!(settings.contains("Operators of this deployment") && !settings.contains("name=\"slug\""));
    clerk
        .send_form("/orgs/acme/settings", &[("name", "x"), ("slug", "x"), ("time_zone", "UTC")])
        .await
        .is(403);
}

#[tokio::test]
async fn an_agent_is_made_renamed_and_deleted_with_its_keys_once_its_slug_is_typed() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    let hostile = "\"><img src=x onerror=alert(1)>";
    owner.send_form("/orgs/acme/agents/new", &[("name", hostile), ("slug", "pay")]).await.is(303);
    assert!(!owner.get("/orgs/acme/agents").await.is(200).html().contains("<img"));
    let taken =
        owner.send_form("/orgs/acme/agents/new", &[("name", "Other"), ("slug", "pay")]).await.is(422).html();
    assert!(taken.contains("This slug is taken") && taken.contains("value=\"Other\""));
    let body = r#"{"name":"k","scope":{"type":"agent","agent":"pay"}}"#;
    let secret = console.post("/organizations/acme/keys", body).await.is(201).json["secret"]
        .as_str()
        .unwrap()
        .to_owned();
    let edit = owner.get("/orgs/acme/agents/pay/edit").await.is(200);
    let fields = [("tag", edit.hidden("tag")), ("name", "Pay".to_owned()), ("slug", "pay".to_owned())];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    owner.send_form("/orgs/acme/agents/pay/edit", &fields).await.is(303);
    let stale = owner.send_form("/orgs/acme/agents/pay/edit", &fields).await;
    assert_eq!(stale.status.as_u16(), 422, "a form filled in for an older state changes nothing");
    let asked = owner.get("/orgs/acme/agents/pay/delete").await.is(200);
    assert!(asked.html().contains("The key that is limited to it is deleted"));
    let tag = asked.hidden("tag");
    let mistyped = owner.send_form("/orgs/acme/agents/pay/delete", &[("tag", &tag), ("typed", "echo")]).await;
    assert!(mistyped.is(422).html().contains("aria-invalid") && console.lookup(&secret).is_some());
    let done =
        owner.send_form("/orgs/acme/agents/pay/delete", &[("tag", &tag), ("typed", "pay")]).await.is(303);
    assert!(
        done.header("location").starts_with("/orgs/acme/agents?done=revoked"),
        "{}",
        done.header("location")
    );
    assert!(console.lookup(&secret).is_none());
}

#[tokio::test]
async fn settings_change_name_and_zone_and_a_new_password_ends_other_sessions() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    let elsewhere = Visitor::stranger(&console);
    elsewhere.send_form("/sign-in", &[("email", "owner@acme.example"), ("password", PASSWORD)]).await.is(303);
    let profile = [("organization", "acme"), ("name", "Ada"), ("time_zone", "Asia/Tokyo")];
    let done = owner.send_form("/settings/profile", &profile).await.is(303);
    assert_eq!(done.header("location"), "/orgs/acme/settings?done=saved");
    let html = owner.get("/orgs/acme/settings").await.is(200).html();
    assert!(html.contains("value=\"Ada\"") && html.contains("<option selected>Asia/Tokyo"));
    assert_eq!(
        html.matches("name=\"id\"").count(),
        1,
        "the other session can be ended, this one stands apart"
    );
    assert!(owner.get("/orgs/acme/audit").await.html().contains("JST"));
    let wrong = [("organization", "acme"), ("current", "not this one"), ("new", "another long password")];
    assert!(owner.send_form("/settings/password", &wrong).await.is(422).html().contains("current-wrong"));
    let right = [("organization", "acme"), ("current", PASSWORD), ("new", "another long password")];
    owner.send_form("/settings/password", &right).await.is(303);
    owner.get("/orgs/acme/settings").await.is(200);
    elsewhere.get("/orgs/acme/settings").await.is(303);
    let bad =
        owner.send_form("/settings/profile", &[("organization", "//evil.example"), ("name", "x")]).await;
    assert_eq!(bad.status.as_u16(), 400, "a form leads nowhere but to our own pages");
    owner.send_form("/settings/sessions/end", &[("all", "true")]).await.is(303);
    owner.get("/orgs/acme/settings").await.is(303);
}
