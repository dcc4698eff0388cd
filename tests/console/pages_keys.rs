//! A key's dialogs without script: the secret once, errors beside fields, changes for one state, deletion by name.

use crate::harness::{Answer, Console};
use crate::pages_visitor::Visitor;

fn secret_of(answer: &Answer) -> Option<String> {
    let html = answer.html();
    let (_, rest) = html.split_once("<code id=\"secret\"")?;
    let (_, rest) = rest.split_once('>')?;
    rest.split_once('<').map(|(secret, _)| secret.to_owned())
}

#[tokio::test]
async fn a_secret_is_on_the_answer_to_its_form_and_nowhere_after() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    let once = owner.get("/orgs/acme/keys/new").await.is(200).hidden("once");
    let form = [
        ("once", once.as_str()),
        ("name", " importer "),
        ("scope", "agent"),
        ("agent", "echo"),
        ("access", "read"),
    ];
    let made = owner.send_form("/orgs/acme/keys/new", &form).await.is(200);
    let secret = secret_of(&made).expect("a secret");
    assert!(console.lookup(&secret).is_some(), "the key does not open the way");
    let html = made.html();
    assert!(html.contains("will not be shown again") && html.contains(&format!("x-api-key: {secret}")));
    assert_eq!(made.header("cache-control"), "no-store");

    let again = owner.send_form("/orgs/acme/keys/new", &form).await.is(409);
    assert!(again.html().contains("The key was already created"));
    assert_eq!(console.count("keys").await, 1);
    let id =
        console.get("/organizations/acme/keys").await.json["items"][0]["id"].as_str().unwrap().to_owned();
    for page in ["".to_owned(), "/new".into(), format!("/{id}/edit"), format!("/{id}/delete")] {
        let html = owner.get(&format!("/orgs/acme/keys{page}")).await.html();
        assert!(!html.contains(&secret), "the secret is on {page} again");
    }
}

#[tokio::test]
async fn what_is_wrong_stands_beside_its_field_and_what_was_written_is_kept() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    let too_long = "x".repeat(65);
    let fields = [
        ("name", too_long.as_str()),
        ("scope", "organization"),
        ("rate_requests", "lots"),
        ("quota_day", "5,000"),
    ];
    let answer = owner.make_key(&fields).await.is(422);
    let html = answer.html();
    for part in
        ["id=\"name-wrong\"", "id=\"rate_requests-wrong\"", "value=\"lots\"", "value=\"5,000\"", &too_long]
    {
        assert!(html.contains(part), "{part}");
    }
    assert!(html.contains("<details class=\"more\" open>"), "what is wrong is folded away");
    let nothing = owner.make_key(&[("name", "k")]).await.is(422);
    assert!(nothing.html().contains("Choose what the key opens."));
    let past = owner
        .make_key(&[("name", "k"), ("scope", "organization"), ("expires", "2020-01-01T00:00")])
        .await
        .is(422);
    assert!(past.html().contains("id=\"expires-wrong\""));
    assert_eq!(console.count("keys").await, 0);
}

#[tokio::test]
async fn a_key_is_renamed_limited_disabled_and_enabled_and_keeps_its_scope() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    let (id, _) = console.key("before").await;
    let edit = format!("/orgs/acme/keys/{id}/edit");
    let tag = owner.get(&edit).await.is(200).hidden("tag");
    let form = [
        ("tag", tag.as_str()),
        ("name", "after"),
        ("rate_requests", "10"),
        ("rate_per", "minute"),
        ("quota_day", "500"),
    ];
    let saved = owner.send_form(&edit, &form).await.is(303);
    assert_eq!(saved.header("location"), "/orgs/acme/keys?done=saved");
    let key = console.get(&format!("/organizations/acme/keys/{id}")).await.json;
    assert_eq!((key["name"].as_str(), key["scope"]["type"].as_str()), (Some("after"), Some("organization")));
    assert_eq!(key["limits"]["rate"], serde_json::json!({"requests": 10, "per": "minute", "burst": 10}));
    for (disabled, is_disabled) in [("yes", true), ("no", false)] {
        let tag = owner.get(&edit).await.hidden("tag");
        owner.send_form(&edit, &[("tag", &tag), ("disabled", disabled)]).await.is(303);
        let key = console.get(&format!("/organizations/acme/keys/{id}")).await.json;
        assert_eq!(
            (key["disabled"].as_bool(), key["limits"]["quotas"][0]["requests"].as_u64()),
            (Some(is_disabled), Some(500))
        );
    }
}

#[tokio::test]
async fn a_change_made_for_an_older_state_is_not_made_and_says_so() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    let (id, _) = console.key("before").await;
    let address = format!("/orgs/acme/keys/{id}");
    let tag = owner.get(&format!("{address}/edit")).await.hidden("tag");
    console.patch(&format!("/organizations/acme/keys/{id}"), r#"{"name":"theirs"}"#).await.is(200);
    let stale = owner.send_form(&format!("{address}/edit"), &[("tag", &tag), ("name", "mine")]).await.is(412);
    assert!(stale.html().contains("Somebody changed this key") && stale.html().contains("value=\"mine\""));
    owner.send_form(&format!("{address}/delete"), &[("tag", &tag)]).await.is(412);
    assert_eq!(console.get(&format!("/organizations/acme/keys/{id}")).await.json["name"], "theirs");
    let again = stale.hidden("tag");
    owner.send_form(&format!("{address}/edit"), &[("tag", &again), ("name", "mine")]).await.is(303);
}

#[tokio::test]
async fn a_key_in_use_is_deleted_by_its_name_only_and_the_list_says_what_is_true() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    let (id, secret) = console.key("in use").await;
    let now = i64::try_from(console.clock.now().unix.0).unwrap();
    sqlx::query("UPDATE keys SET last_used_at = $1").bind(now).execute(&console.tables).await.unwrap();
    let address = format!("/orgs/acme/keys/{id}/delete");
    let page = owner.get(&address).await.is(200);
    assert!(page.html().contains("Type the name to confirm"));
    let tag = page.hidden("tag");
    for typed in ["", "in", "IN USE"] {
        let refused = owner.send_form(&address, &[("tag", &tag), ("typed", typed)]).await.is(422);
        assert!(refused.html().contains("id=\"typed-wrong\""), "{typed}");
        assert!(console.lookup(&secret).is_some(), "{typed}");
    }
    let gone = owner.send_form(&address, &[("tag", &tag), ("typed", "in use")]).await.is(303);
    assert!(console.lookup(&secret).is_none());
    let list = owner.get(gone.header("location")).await.is(200).html();
    assert!(list.contains("Revoked on 1 of 1 gateways in "), "{list}");
}

#[tokio::test]
async fn a_key_nobody_uses_is_deleted_without_typing() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    let (id, secret) = console.key("idle").await;
    let address = format!("/orgs/acme/keys/{id}/delete");
    let page = owner.get(&address).await;
    assert!(page.html().contains("never used") && !page.html().contains("Type the name"));
    owner.send_form(&address, &[("tag", &page.hidden("tag"))]).await.is(303);
    assert!(console.lookup(&secret).is_none());
}

#[tokio::test]
async fn a_key_of_another_organization_is_not_there() {
    let console = Console::with_acme().await;
    console.post("/organizations", r#"{"slug":"other","name":"Other"}"#).await.is(201);
    let body = r#"{"name":"theirs","scope":{"type":"organization"}}"#;
    let made = console.post("/organizations/other/keys", body).await.is(201);
    let id = made.json["key"]["id"].as_str().unwrap();
    let owner = Visitor::owner(&console).await;
    for organization in ["acme", "other", "unknown"] {
        for page in ["edit", "delete"] {
            let answer = owner.get(&format!("/orgs/{organization}/keys/{id}/{page}")).await.is(404);
            assert!(!answer.html().contains("theirs"));
        }
    }
    for page in ["/orgs/other/keys", "/orgs/unknown/keys", "/orgs/other/keys/new"] {
        owner.get(page).await.is(404);
    }
}
