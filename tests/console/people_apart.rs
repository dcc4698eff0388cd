//! What nobody may do to people by way of what they may do themselves: sign them out of another organization, keep them
//! from their own password, take a place that was meant for somebody else.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use keystile::console::operations::{
    Caller, MemberPatch, NewMember, OpenIdIdentity, OrganizationPatch, Whence,
};
use keystile::console::view::MemberStateView;
use keystile::domain::member::MemberRole;
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::harness::{Answer, Console};
use crate::pages_visitor::{PASSWORD, Visitor};

fn call(method: &str, path: &str) -> http::request::Builder {
    let uri = format!("/api/v1{path}");
    Request::builder().method(method).uri(uri).header("content-type", "application/json")
}

async fn call_by(visitor: &Visitor<'_>, method: &str, path: &str, body: &str) -> Answer {
    visitor.send(call(method, path), body.to_owned()).await
}

/// Acme, and somebody signed in who is organization admin of umbrella.
async fn acme_and_an_admin_elsewhere(console: &Console) -> Visitor<'_> {
    console.post("/organizations", r#"{"slug":"umbrella","name":"Umbrella"}"#).await.is(201);
    let body = r#"{"email":"eve@umbrella.example","role":"organization-admin"}"#;
    let made = console.post("/organizations/umbrella/members", body).await.is(201);
    let link = made.json["inviteUrl"].as_str().unwrap();
    let visitor = Visitor::stranger(console);
    let path = link.strip_prefix("https://keys.example.com").unwrap();
    visitor.send_form(path, &[("password", PASSWORD)]).await.is(303);
    visitor
}

#[tokio::test]
async fn inviting_somebody_and_taking_it_back_does_not_sign_them_out_of_their_own_organization() {
    let console = Console::with_acme().await;
    let eve = acme_and_an_admin_elsewhere(&console).await;
    let owner = Visitor::owner(&console).await;
    let body = r#"{"email":"eve@umbrella.example","role":"organization-admin"}"#;
    for changes in [&["DELETE"][..], &["disabled", "organization-admin", "DELETE"]] {
        let made = call_by(&owner, "POST", "/organizations/acme/members", body).await.is(201);
        let path = format!("/organizations/acme/members/{}", made.json["member"]["id"].as_str().unwrap());
        for change in changes {
            match *change {
                "DELETE" => drop(call_by(&owner, "DELETE", &path, "").await.is(204)),
                "disabled" => {
                    call_by(&owner, "PATCH", &path, r#"{"disabled":true}"#).await.is(200);
                }
                _ => drop(
                    call_by(
                        &owner,
                        "PATCH",
                        &path,
                        r#"{"disabled":true,"role":"agent-admin","agents":["echo"]}"#,
                    )
                    .await
                    .is(200),
                ),
            }
            call_by(&eve, "GET", "/session", "").await.is(200);
        }
    }
}

#[tokio::test]
async fn whoever_guesses_at_an_account_does_not_keep_its_person_from_changing_the_password() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    let stranger = Visitor::stranger(&console);
    let address: SocketAddr = "192.0.2.1:1".parse().unwrap();
    let guess = r#"{"email":"owner@acme.example","password":"a wrong password"}"#;
    let mut answers = 0;
    while stranger
        .send(call("POST", "/session").extension(ConnectInfo(address)), guess.to_owned())
        .await
        .status
        != 429
    {
        answers += 1;
        assert!(answers < 100, "guessing goes on for ever");
    }
    let change = format!(r#"{{"current":"{PASSWORD}","new":"another good password"}}"#);
    let here = call("PUT", "/session/password").extension(ConnectInfo(address));
    owner.send(here, change).await.is(200);
    // Who has a session and not the password guesses as little as anybody.
    let wrong = r#"{"current":"a wrong password","new":"another good password"}"#;
    let mut answers = 0;
    while call_by(&owner, "PUT", "/session/password", wrong).await.status != 429 {
        answers += 1;
        assert!(answers <= 10, "guessing goes on for ever");
    }
}

#[tokio::test]
async fn texts_that_are_no_address_take_no_turn_from_people_who_sign_in() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    let mut flood = JoinSet::new();
    for _ in 0..100 {
        let body = Body::from(r#"{"email":"nobody","password":"a wrong password"}"#);
        flood.spawn(console.router.clone().oneshot(call("POST", "/session").body(body).unwrap()));
    }
    while let Some(answer) = flood.join_next().await {
        assert_eq!(answer.unwrap().unwrap().status(), 401);
    }
    call_by(&owner, "GET", "/session", "").await.is(200);
}

#[tokio::test]
async fn an_invitation_waits_for_the_address_and_not_for_who_had_it_once() {
    let console = Console::with_acme().await;
    let operator = Caller::operator("test");
    let invited = async |organization: &str| {
        let new = NewMember {
            email: "ada@example.com".parse().unwrap(),
            role: MemberRole::OrganizationAdmin,
            agents: None,
        };
        console.operations.create_member(&operator, organization, new).await.unwrap().member
    };
    let vouched = |email: &str| OpenIdIdentity {
        issuer: "https://issuer.example".to_owned(),
        subject: "the first Ada".to_owned(),
        email: email.parse().unwrap(),
        name: None,
    };
    invited("acme").await;
    console.operations.sign_in_openid(vouched("ada@example.com"), Whence::default()).await.unwrap();
    console.post("/organizations", r#"{"slug":"umbrella","name":"Umbrella"}"#).await.is(201);
    let waiting = invited("umbrella").await;
    let state = async || {
        let member = console.operations.read_member(&operator, "umbrella", &waiting.id.to_string()).await;
        member.unwrap().state
    };
    // The provider gave the address to another Ada; the first one still has her account, and only that.
    console.operations.sign_in_openid(vouched("ada.old@example.com"), Whence::default()).await.unwrap();
    assert_eq!(state().await, MemberStateView::Invited);
    console.operations.sign_in_openid(vouched("ada@example.com"), Whence::default()).await.unwrap();
    assert_eq!(state().await, MemberStateView::Active);
}

#[tokio::test]
async fn an_agent_admin_is_refused_the_pages_of_members_whatever_they_write_into_them() {
    let console = Console::with_acme().await;
    let clerk = Visitor::clerk(&console).await;
    let members = console.get("/organizations/acme/members").await;
    let id = members.json["items"][0]["id"].as_str().unwrap();
    for (path, fields) in [
        ("/orgs/acme/members/new".to_owned(), vec![("email", "not an address"), ("role", "agent-admin")]),
        ("/orgs/acme/members/new".to_owned(), vec![("email", "a@b.example"), ("role", "agent-admin")]),
        (format!("/orgs/acme/members/{id}/edit"), vec![("role", "organization-admin")]),
        (format!("/orgs/acme/members/{id}/delete"), vec![]),
        (format!("/orgs/acme/members/{id}/invitation"), vec![]),
    ] {
        clerk.send_form(&path, &fields).await.is(403);
        clerk.get(&path).await.is(403);
    }
}

#[tokio::test]
async fn a_member_has_no_more_agents_than_there_can_be_and_a_search_is_no_longer_than_what_is_there() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    let many = vec!["echo"; 1_001];
    let body = serde_json::json!({ "email": "a@b.example", "role": "agent-admin", "agents": many });
    let refused = call_by(&owner, "POST", "/organizations/acme/members", &body.to_string()).await;
    refused.is_problem(422);
    assert_eq!(refused.pointers(), ["/agents"]);
    let agents = console.get("/organizations/acme/agents").await;
    let id = agents.json["items"][0]["id"].as_str().unwrap();
    let twice = serde_json::json!({ "email": "a@b.example", "role": "agent-admin", "agents": ["echo", id] });
    let made = call_by(&owner, "POST", "/organizations/acme/members", &twice.to_string()).await.is(201);
    assert_eq!(made.json["member"]["agents"], serde_json::json!(["echo"]));
    for (length, status) in [(256, 200), (257, 400), (30_000, 400)] {
        let text = "_".repeat(length);
        let found = call_by(&owner, "GET", &format!("/organizations/acme/audit?subject={text}"), "").await;
        assert_eq!(found.status.as_u16(), status, "{length}");
        owner.get(&format!("/orgs/acme/audit?key={text}")).await.is(status);
        owner.get(&format!("/orgs/acme/audit.csv?person={text}")).await.is(status);
    }
}

#[tokio::test]
async fn what_somebody_may_do_is_read_anew_when_they_do_it() {
    let console = Console::with_acme().await;
    let operator = Caller::operator("test");
    Visitor::owner(&console).await;
    let second = Visitor::invited(&console, "second@acme.example", "organization-admin", "").await;
    call_by(&second, "GET", "/session", "").await.is(200);
    let email = "second@acme.example";
    let members = console.operations.list_members(&operator, "acme", None, 10).await.unwrap().items;
    let id = members.iter().find(|member| member.email.as_str() == email).unwrap().id.to_string();
    // As a request sees it that was let in a moment before the change.
    let signed_in = {
        let identity = OpenIdIdentity {
            issuer: "https://issuer.example".to_owned(),
            subject: email.to_owned(),
            email: email.parse().unwrap(),
            name: None,
        };
        console.operations.sign_in_openid(identity, Whence::default()).await.unwrap().caller
    };
    let patch = MemberPatch { disabled: Some(true), ..MemberPatch::default() };
    let anything = keystile::console::operations::Expected::Anything;
    console.operations.change_member(&operator, "acme", &id, anything.clone(), patch).await.unwrap();
    let operations = &console.operations;
    let new = NewMember {
        email: "a@b.example".parse().unwrap(),
        role: MemberRole::OrganizationAdmin,
        agents: None,
    };
    assert!(operations.create_member(&signed_in, "acme", new).await.is_err());
    assert!(operations.delete_agent(&signed_in, "acme", "echo", anything.clone()).await.is_err());
    let patch = OrganizationPatch::default();
    assert!(operations.change_organization(&signed_in, "acme", anything, patch).await.is_err());
    assert_eq!(console.count("agents").await, 1);
    assert_eq!(console.count("members").await, 2);
}

#[tokio::test]
async fn of_two_who_use_one_link_at_once_one_comes_in_and_the_other_has_no_password() {
    let console = Console::with_acme().await;
    let body = r#"{"email":"ada@acme.example","role":"organization-admin"}"#;
    let made = console.post("/organizations/acme/members", body).await.is(201);
    let token = made.json["inviteUrl"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let [one, two] = [Visitor::stranger(&console), Visitor::stranger(&console)];
    let path = format!("/invitations/{token}");
    let (first, second) = tokio::join!(
        call_by(&one, "POST", &path, r#"{"password":"the password of one"}"#),
        call_by(&two, "POST", &path, r#"{"password":"the password of two"}"#),
    );
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404]);
    assert_eq!(console.count("sessions").await, 1);
    let lost = if first.status == 200 { "the password of two" } else { "the password of one" };
    let tried = serde_json::json!({ "email": "ada@acme.example", "password": lost });
    call_by(&two, "POST", "/session", &tried.to_string()).await.is(401);
}

#[tokio::test]
async fn two_admins_who_remove_each_other_at_once_leave_one() {
    let console = Console::with_acme().await;
    let one = Visitor::owner(&console).await;
    let two = Visitor::invited(&console, "second@acme.example", "organization-admin", "").await;
    let members = console.get("/organizations/acme/members").await;
    let path = |at: usize| {
        format!("/organizations/acme/members/{}", members.json["items"][at]["id"].as_str().unwrap())
    };
    let (of_two, of_one) = (path(1), path(0));
    let demoted = r#"{"role":"agent-admin","agents":["echo"]}"#;
    let (first, second) =
        tokio::join!(call_by(&one, "DELETE", &of_two, ""), call_by(&two, "PATCH", &of_one, demoted));
    let done = [&first, &second].iter().filter(|answer| answer.status.is_success()).count();
    assert_eq!(done, 1, "{} {}", first.status, second.status);
    let admins =
        console.number("SELECT COUNT(*) FROM members WHERE role = 'organization-admin' AND accepted").await;
    assert_eq!(admins, 1);
}

#[tokio::test]
async fn no_address_breaks_a_page_whatever_it_says() {
    let console = Console::with_acme().await;
    console.patch("/organizations/acme", r#"{"timeZone":"Pacific/Kiritimati"}"#).await.is(200);
    let owner = Visitor::owner(&console).await;
    let body = r#"{"name":"k","scope":{"type":"organization"},"expiresAt":"9999-12-30T00:00:00Z"}"#;
    let made = console.post("/organizations/acme/keys", body).await.is(201);
    let key = made.json["key"]["id"].as_str().unwrap().to_owned();
    for page in
        ["keys", "keys/KEY/usage", "keys/KEY/edit", "members", "agents", "audit", "audit.csv", "settings"]
    {
        let path = format!("/orgs/acme/{}", page.replace("KEY", &key));
        for query in [
            "",
            "from=9999-12-31T23:59:59Z&to=9999-12-31T23:59:60Z",
            "from=-009999-01-01T00:00&to=0000-00-00",
            "from=9999-12-31T23:59&to=1970-01-01T00:00",
            "span=x&span=y&q=%00&sort=-&scope=%ff&after=x&before=x&done=revoked&confirmed=9&gateways=1&ms=0",
            "q=%F0%9F%92%A9%E2%80%AE&person=%25&key=%5C&action='&next=//x",
            "=&&&=%=%zz&a[]=b",
        ] {
            let answer = owner.get(&format!("{path}?{query}")).await;
            assert!(matches!(answer.status.as_u16(), 200 | 400), "{path}?{query}: {}", answer.status);
        }
    }
    for path in ["/orgs/%00/keys", "/orgs/%ff/keys", "/orgs/acme/keys/%00/usage", "/orgs/acme/members/'/edit"]
    {
        let status = owner.get(path).await.status.as_u16();
        assert!(matches!(status, 400 | 404), "{path}: {status}");
    }
}
