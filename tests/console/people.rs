//! People: invited, signed in, signed out, locked in and let go.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::ConnectInfo;
use http::{Request, header};
use keystile::domain::clock::{Clock, UnixMillis};

use crate::harness::{Answer, Console};
use crate::pages_visitor::{PASSWORD, Visitor};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn call(method: &str, path: &str) -> http::request::Builder {
    let uri = format!("/api/v1{path}");
    Request::builder().method(method).uri(uri).header("content-type", "application/json")
}

/// An instant that stands still, and acme.
async fn acme_at_rest() -> Console {
    let console = Console::start_with(Clock::manual(UnixMillis(1_800_000_000_000))).await;
    console.post("/organizations", r#"{"slug":"acme","name":"Acme"}"#).await.is(201);
    console.post("/organizations/acme/agents", r#"{"slug":"echo","name":"Echo"}"#).await.is(201);
    console
}

/// Invites somebody to be an organization admin; the token of the link and the member's id.
async fn invite(console: &Console, organization: &str, email: &str) -> (String, String) {
    let body = format!(r#"{{"email":"{email}","role":"organization-admin"}}"#);
    let made = console.post(&format!("/organizations/{organization}/members"), &body).await.is(201);
    let url = made.json["inviteUrl"].as_str().unwrap();
    (url.rsplit('/').next().unwrap().to_owned(), made.json["member"]["id"].as_str().unwrap().to_owned())
}

async fn accept(visitor: &Visitor<'_>, token: &str, password: &str) -> Answer {
    let body = serde_json::json!({ "password": password }).to_string();
    visitor.send(call("POST", &format!("/invitations/{token}")), body).await
}

async fn sign_in(visitor: &Visitor<'_>, email: &str, password: &str) -> Answer {
    sign_in_from(visitor, email, password, "192.0.2.1:1").await
}

async fn sign_in_from(visitor: &Visitor<'_>, email: &str, password: &str, address: &str) -> Answer {
    let body = serde_json::json!({ "email": email, "password": password }).to_string();
    let address: SocketAddr = address.parse().unwrap();
    visitor.send(call("POST", "/session").extension(ConnectInfo(address)), body).await
}

/// Somebody who joined acme by an invitation, as an organization admin; the browser that they came with.
async fn joined<'a>(console: &'a Console, email: &str) -> Visitor<'a> {
    let (token, _) = invite(console, "acme", email).await;
    let visitor = Visitor::stranger(console);
    accept(&visitor, &token, PASSWORD).await.is(200);
    visitor
}

/// Lets somebody join who is not the only admin; their id as a member.
async fn joined_beside_an_admin(console: &Console, email: &str) -> String {
    joined(console, "root@acme.example").await;
    let (token, member) = invite(console, "acme", email).await;
    accept(&Visitor::stranger(console), &token, PASSWORD).await.is(200);
    member
}

/// Somebody's browser in which they are signed in.
async fn browser<'a>(console: &'a Console, email: &str) -> Visitor<'a> {
    let visitor = Visitor::stranger(console);
    sign_in(&visitor, email, PASSWORD).await.is(200);
    visitor
}

async fn is_signed_in(visitor: &Visitor<'_>) -> bool {
    visitor.send(call("GET", "/session"), String::new()).await.status == 200
}

#[tokio::test]
async fn an_invitation_lets_one_person_in_once() {
    let console = acme_at_rest().await;
    let (token, _) = invite(&console, "acme", "ada@acme.example").await;
    let ada = Visitor::stranger(&console);
    accept(&ada, &token, "too short").await.is(422);
    let begun = accept(&ada, &token, PASSWORD).await.is(200);
    assert_eq!(begun.json["roles"][0]["role"], "organization-admin");
    assert!(is_signed_in(&ada).await);
    accept(&Visitor::stranger(&console), &token, PASSWORD).await.is(404);
    console.get(&format!("/invitations/{token}")).await.is(404);
}

#[tokio::test]
async fn an_invitation_ends_after_seven_days_and_when_another_takes_its_place() {
    let console = acme_at_rest().await;
    let (first, member) = invite(&console, "acme", "ada@acme.example").await;
    let renewed =
        console.post(&format!("/organizations/acme/members/{member}/invitation"), "{}").await.is(200);
    let second = renewed.json["inviteUrl"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    console.get(&format!("/invitations/{first}")).await.is(404);
    console.clock.advance(7 * DAY - Duration::from_secs(1));
    console.get(&format!("/invitations/{second}")).await.is(200);
    console.clock.advance(Duration::from_secs(1));
    console.get(&format!("/invitations/{second}")).await.is(404);
    accept(&Visitor::stranger(&console), &second, PASSWORD).await.is(404);
}

#[tokio::test]
async fn whoever_holds_a_link_gets_no_password_to_an_account_that_exists() {
    let console = acme_at_rest().await;
    console.post("/organizations", r#"{"slug":"umbrella","name":"Umbrella"}"#).await.is(201);
    joined(&console, "ada@acme.example").await;
    let (token, _) = invite(&console, "umbrella", "ada@acme.example").await;
    accept(&Visitor::stranger(&console), &token, "chosen by somebody else").await.is(401);
    sign_in(&Visitor::stranger(&console), "ada@acme.example", "chosen by somebody else").await.is(401);
    let ada = Visitor::stranger(&console);
    let both = accept(&ada, &token, PASSWORD).await.is(200);
    assert_eq!(both.json["roles"].as_array().unwrap().len(), 2, "{}", both.json);
}

#[tokio::test]
async fn an_organization_keeps_its_last_admin() {
    let console = acme_at_rest().await;
    let (token, member) = invite(&console, "acme", "ada@acme.example").await;
    let ada = Visitor::stranger(&console);
    accept(&ada, &token, PASSWORD).await.is(200);
    // One who was invited and has not come is no admin yet.
    let (waiting, _) = invite(&console, "acme", "bob@acme.example").await;
    let path = format!("/organizations/acme/members/{member}");
    for body in [r#"{"disabled":true}"#, r#"{"role":"agent-admin","agents":["echo"]}"#] {
        console.patch(&path, body).await.is_problem(409);
    }
    console.delete(&path).await.is_problem(409);
    assert!(is_signed_in(&ada).await, "a refused change ended a session");
    accept(&Visitor::stranger(&console), &waiting, PASSWORD).await.is(200);
    console.patch(&path, r#"{"role":"agent-admin","agents":["echo"]}"#).await.is(200);
    console.delete(&path).await.is(204);
}

#[tokio::test]
async fn every_session_ends_with_a_new_password_a_sign_out_everywhere_and_when_a_member_is_disabled_or_removed()
 {
    let console = acme_at_rest().await;
    let id = joined_beside_an_admin(&console, "ada@acme.example").await;
    let path = format!("/organizations/acme/members/{id}");
    for ending in ["password", "everywhere", "disabled", "removed"] {
        let (one, other) =
            (browser(&console, "ada@acme.example").await, browser(&console, "ada@acme.example").await);
        match ending {
            "password" => {
                let body = format!(r#"{{"current":"{PASSWORD}","new":"another long password"}}"#);
                one.send(call("PUT", "/session/password"), body).await.is(200);
                assert!(is_signed_in(&one).await, "who changed it goes on in a session of its own");
                let body = format!(r#"{{"current":"another long password","new":"{PASSWORD}"}}"#);
                assert!(!is_signed_in(&other).await);
                one.send(call("PUT", "/session/password"), body).await.is(200);
                continue;
            }
            "everywhere" => drop(one.send(call("DELETE", "/sessions"), String::new()).await.is(204)),
            "disabled" => {
                console.patch(&path, r#"{"disabled":true}"#).await.is(200);
                sign_in(&Visitor::stranger(&console), "ada@acme.example", PASSWORD).await.is(401);
            }
            _ => drop(console.delete(&path).await.is(204)),
        }
        assert!(!is_signed_in(&one).await && !is_signed_in(&other).await, "{ending}");
        if ending == "disabled" {
            console.patch(&path, r#"{"disabled":false}"#).await.is(200);
        }
    }
    assert_eq!(console.count("people").await, 1, "nobody is kept who has no place left");
}

#[tokio::test]
async fn signing_out_ends_that_session_alone_and_its_cookie_opens_nothing() {
    let console = acme_at_rest().await;
    let (token, _) = invite(&console, "acme", "ada@acme.example").await;
    let one = Visitor::stranger(&console);
    let begun = accept(&one, &token, PASSWORD).await.is(200);
    let cookie = begun.header("set-cookie").split(';').next().unwrap().to_owned();
    let other = browser(&console, "ada@acme.example").await;
    one.send(call("DELETE", "/session"), String::new()).await.is(204);
    let replayed = call("GET", "/session").header(header::COOKIE, cookie);
    console.send(replayed.body(axum::body::Body::empty()).unwrap()).await.is(401);
    assert!(is_signed_in(&other).await);
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_at_its_lifetime_however_much_it_is() {
    let console = acme_at_rest().await;
    joined(&console, "ada@acme.example").await;
    let idle = browser(&console, "ada@acme.example").await;
    let busy = browser(&console, "ada@acme.example").await;
    let mut hours = 0;
    loop {
        console.clock.advance(Duration::from_secs(30 * 60));
        if !is_signed_in(&busy).await {
            break;
        }
        // The time of last use is written behind the answer.
        let written = console.clock.now().unix.0;
        while console.number("SELECT MAX(seen_at) FROM sessions").await.unsigned_abs() < written {
            tokio::task::yield_now().await;
        }
        hours += 1;
    }
    assert_eq!(hours, 2 * 24 - 1, "half hours until the lifetime of a day is over");
    assert!(!is_signed_in(&idle).await);
}

#[tokio::test]
async fn an_unknown_address_a_wrong_password_and_a_disabled_member_get_one_answer() {
    let console = acme_at_rest().await;
    let id = joined_beside_an_admin(&console, "ada@acme.example").await;
    console.patch(&format!("/organizations/acme/members/{id}"), r#"{"disabled":true}"#).await.is(200);
    let (_, _) = invite(&console, "acme", "invited@acme.example").await;
    let mut answers = Vec::new();
    for (email, password) in [
        ("nobody@acme.example", PASSWORD),
        ("not an address", PASSWORD),
        ("root@acme.example", "a wrong password"),
        ("ada@acme.example", PASSWORD),
        ("invited@acme.example", ""),
    ] {
        let answer = sign_in(&Visitor::stranger(&console), email, password).await;
        assert_eq!(answer.header("set-cookie"), "");
        answers.push((answer.status.as_u16(), answer.bytes));
    }
    assert!(answers.iter().all(|answer| answer.0 == 401 && *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn guessing_is_slowed_down_and_the_person_still_gets_in() {
    let console = acme_at_rest().await;
    let ada = joined(&console, "ada@acme.example").await;
    let guesser = Visitor::stranger(&console);
    let mut refused = None;
    for _ in 0..20 {
        let answer = sign_in(&guesser, "ada@acme.example", "a wrong password").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        answer.is(401);
    }
    let refused = refused.expect("guessing goes on for ever");
    assert_eq!(refused.header("retry-after"), "900");
    sign_in(&guesser, "ada@acme.example", PASSWORD).await.is(429);
    // From the browser that she has used before, and from another address.
    sign_in(&ada, "ada@acme.example", PASSWORD).await.is(200);
    sign_in_from(&Visitor::stranger(&console), "ada@acme.example", PASSWORD, "198.51.100.7:1").await.is(200);
    console.clock.advance(Duration::from_secs(900));
    sign_in(&guesser, "ada@acme.example", PASSWORD).await.is(200);
}

#[tokio::test]
async fn a_cookie_is_out_of_reach_of_scripts_other_sites_and_plain_http() {
    let console = acme_at_rest().await;
    let (token, _) = invite(&console, "acme", "ada@acme.example").await;
    let begun = accept(&Visitor::stranger(&console), &token, PASSWORD).await.is(200);
    let cookies = begun.response.headers().get_all(header::SET_COOKIE).iter();
    let cookies: Vec<&str> = cookies.map(|cookie| cookie.to_str().unwrap()).collect();
    assert_eq!(cookies.len(), 2);
    for cookie in cookies {
        assert!(cookie.starts_with("__Host-keystile"), "{cookie}");
        for part in ["; HttpOnly", "; Secure", "; Path=/", "; SameSite=Lax"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
}

#[tokio::test]
async fn an_admin_may_narrow_a_keys_limits_and_only_an_operator_may_widen_them() {
    let console = acme_at_rest().await;
    let given =
        r#"{"limits":{"rate":{"requests":10,"per":"second"},"quotas":[{"requests":100,"per":"day"}]}}"#;
    console.patch("/organizations/acme", given).await.is(200);
    let ada = joined(&console, "ada@acme.example").await;
    let new = |limits: &str| format!(r#"{{"name":"k","scope":{{"type":"organization"}},"limits":{limits}}}"#);
    let path = "/organizations/acme/keys";
    for (limits, pointer) in [
        (r#"{"rate":{"requests":11,"per":"second","burst":10}}"#, "/limits/rate/requests"),
        (r#"{"rate":{"requests":10,"per":"second","burst":11}}"#, "/limits/rate/burst"),
        (r#"{"quotas":[]}"#, "/limits/quotas"),
        (r#"{"quotas":[{"requests":101,"per":"day"}]}"#, "/limits/quotas/0/requests"),
    ] {
        let refused = ada.send(call("POST", path), new(limits)).await;
        refused.is_problem(422);
        assert_eq!(refused.pointers(), [pointer]);
    }
    let made = ada.send(call("POST", path), new(r#"{"rate":{"requests":5,"per":"second"}}"#)).await.is(201);
    let one = format!("{path}/{}", made.json["key"]["id"].as_str().unwrap());
    let wider = r#"{"limits":{"rate":{"requests":20,"per":"second"}}}"#;
    ada.send(call("PATCH", &one), wider.to_owned()).await.is_problem(422);
    console.patch(&one, wider).await.is(200);
    // What an operator gave stays when an admin changes something else.
    ada.send(call("PATCH", &one), r#"{"name":"renamed"}"#.to_owned()).await.is(200);
}

#[tokio::test]
async fn the_audit_log_says_who_changed_what_from_what_to_what() {
    let console = acme_at_rest().await;
    let (token, _) = invite(&console, "acme", "ada@acme.example").await;
    let ada = Visitor::stranger(&console);
    accept(&ada, &token, PASSWORD).await.is(200);
    let (id, secret) = console.key("before").await;
    let path = format!("/organizations/acme/keys/{id}");
    ada.send(call("PATCH", &path), r#"{"name":"after","disabled":true}"#.to_owned()).await.is(200);
    let log = ada.send(call("GET", "/organizations/acme/audit"), String::new()).await.is(200);
    let line = &log.json["items"][0];
    assert_eq!(
        (line["actor"].as_str(), line["action"].as_str()),
        (Some("ada@acme.example"), Some("key.changed"))
    );
    assert_eq!(line["subject"]["name"], "after");
    assert_eq!(line["changes"][0], serde_json::json!({ "field": "name", "from": "before", "to": "after" }));
    assert_eq!(line["changes"][1], serde_json::json!({ "field": "disabled", "from": "false", "to": "true" }));
    let text = log.json.to_string();
    assert!(!text.contains(&secret) && !text.contains(&token));
    for (query, found) in [
        ("actor=ADA", true),
        ("actor=nobody", false),
        ("action=key.created", true),
        ("action=key.deleted", false),
        ("subject=befo", true),
        ("subject=%25", false),
        ("from=2027-01-15T08:00:00Z", true),
        ("to=2027-01-15T08:00:00Z", false),
    ] {
        let some =
            ada.send(call("GET", &format!("/organizations/acme/audit?{query}")), String::new()).await.is(200);
        assert_eq!(!some.json["items"].as_array().unwrap().is_empty(), found, "{query}");
    }
}

#[tokio::test]
async fn no_password_token_or_cookie_is_in_the_database() {
    let console = acme_at_rest().await;
    let (token, _) = invite(&console, "acme", "ada@acme.example").await;
    let ada = Visitor::stranger(&console);
    let begun = accept(&ada, &token, PASSWORD).await.is(200);
    let mut secrets = vec![PASSWORD.to_owned(), token];
    for cookie in begun.response.headers().get_all(header::SET_COOKIE) {
        let (_, value) = cookie.to_str().unwrap().split_once('=').unwrap();
        secrets.push(value.split(';').next().unwrap().to_owned());
    }
    assert_eq!(secrets.len(), 4);
    for file in std::fs::read_dir(console.folder.path()).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for secret in &secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds a secret", path.display());
        }
    }
}

#[tokio::test]
async fn a_browsers_earlier_session_ends_where_it_begins_another() {
    let console = acme_at_rest().await;
    let (token, _) = invite(&console, "acme", "ada@acme.example").await;
    let ada = Visitor::stranger(&console);
    let begun = accept(&ada, &token, PASSWORD).await.is(200);
    let cookie = begun.header("set-cookie").split(';').next().unwrap().to_owned();
    sign_in(&ada, "ada@acme.example", PASSWORD).await.is(200);
    let replayed = call("GET", "/session").header(header::COOKIE, cookie);
    console.send(replayed.body(axum::body::Body::empty()).unwrap()).await.is(401);
    assert!(is_signed_in(&ada).await);
    assert_eq!(console.count("sessions").await, 1);
}

#[tokio::test]
async fn whoever_is_made_an_operator_keeps_their_places_and_is_signed_out() {
    use keystile::console::operations::{Caller, Login, create_operator};
    let console = acme_at_rest().await;
    let before = joined(&console, "ada@acme.example").await;
    let login =
        || Login { email: "Ada@acme.example".into(), password: "chosen by an operator".to_owned().into() };
    create_operator(&console.database, &Caller::operator("test"), login()).await.unwrap();
    assert!(create_operator(&console.database, &Caller::operator("test"), login()).await.is_err());
    assert!(!is_signed_in(&before).await);
    sign_in(&Visitor::stranger(&console), "ada@acme.example", PASSWORD).await.is(401);
    let begun =
        sign_in(&Visitor::stranger(&console), "ada@acme.example", "chosen by an operator").await.is(200);
    let roles = begun.json["roles"].as_array().unwrap().iter().map(|role| role["role"].as_str().unwrap());
    assert_eq!(roles.collect::<Vec<_>>(), ["operator", "organization-admin"]);
}
