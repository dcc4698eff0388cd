//! The end of keys that a worker has not confirmed: each surface says so, and none says that it is over.
//!
//! A subscriber of the key table that reads no cut stands for the worker; whoever waits for it gives up after two seconds.

use keystile::keytable::Cut;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::command_line::Shell;
use crate::harness::Console;
use crate::pages_visitor::Visitor;

/// A worker that says nothing until it is dropped.
fn silent_worker(console: &Console) -> mpsc::Receiver<Cut> {
    console.keys.subscribe()
}

#[track_caller]
fn is_pending(revocation: &Value) {
    assert_eq!(revocation["state"], "pending", "{revocation}");
    assert_eq!(revocation["confirmed"], 0, "{revocation}");
    assert_eq!(revocation["awaiting"].as_array().map(Vec::len), Some(1), "{revocation}");
    assert!(revocation["effectiveBy"].is_string(), "{revocation}");
}

#[tokio::test]
async fn every_deletion_that_ends_keys_answers_202_while_one_has_not_confirmed() {
    let console = Console::with_acme().await;
    let (id, secret) = console.key("first").await;
    let body = r#"{"name":"second","scope":{"type":"agent","agent":"echo"}}"#;
    console.post("/organizations/acme/keys", body).await.is(201);
    let third = console.key("third").await.1;
    let silent = silent_worker(&console);
    for path in
        [&format!("/organizations/acme/keys/{id}"), "/organizations/acme/agents/echo", "/organizations/acme"]
    {
        let answer = console.delete(path).await.is(202);
        is_pending(&answer.json["revocation"]);
    }
    assert!(console.lookup(&secret).is_none() && console.lookup(&third).is_none());
    drop(silent);
}

#[tokio::test]
async fn the_page_names_who_has_not_confirmed_and_a_link_from_elsewhere_says_nothing() {
    let console = Console::with_acme().await;
    let (id, _) = console.key("first").await;
    let owner = Visitor::owner(&console).await;
    let asked = format!("/orgs/acme/keys/{id}/delete");
    let tag = owner.get(&asked).await.is(200).hidden("tag");
    let silent = silent_worker(&console);
    let done = owner.send_form(&asked, &[("tag", &tag)]).await.is(303);
    drop(silent);
    let address = done.header("location").to_owned();
    let page = owner.get(&address).await.is(200).html();
    assert!(page.contains("Revoked on 0 of 1 gateways. <bdi>this gateway</bdi> has not confirmed"), "{page}");
    assert!(page.contains("class=\"notice wait\"") && page.contains("<time datetime="), "{page}");
    let forged = address.replace("this+gateway", "call+us");
    assert_ne!(forged, address);
    let page = owner.get(&forged).await.is(200).html();
    assert!(!page.contains("call us") && page.contains("The others have not confirmed."), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_succeeds_and_says_on_stderr_who_has_not_confirmed() {
    let console = Console::with_acme().await;
    let (first, _) = console.key("first").await;
    let (second, _) = console.key("second").await;
    let shell = Shell::to(&console).await;
    let whole = shell.run(&["keys", "delete", "--org", "acme", &first]).done();
    assert!(whole.out.contains("refused everywhere (1 of 1") && whole.err.is_empty(), "{}", whole.err);
    let silent = silent_worker(&console);
    let late = shell.run(&["keys", "delete", "--org", "acme", &second]).done();
    drop(silent);
    assert_eq!(late.out, "deleted; refused by 0 of 1 gateways so far\n");
    assert!(late.err.starts_with("pending: not confirmed by this gateway; "), "{}", late.err);
    assert_eq!(late.err.lines().count(), 1);
}
