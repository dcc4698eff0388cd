//! What operators do on pages: organizations made, changed and deleted.

use crate::harness::Console;
use crate::pages_visitor::Visitor;

#[tokio::test]
async fn an_operator_makes_changes_and_deletes_an_organization() {
    let console = Console::start().await;
    let root = Visitor::operator(&console).await;
    assert!(root.get("/orgs").await.is(200).html().contains("No organizations yet"));
    root.get("/settings").await.is(200);
    let fields = [("name", "Acme & Sons"), ("slug", "acme"), ("time_zone", "Europe/Berlin")];
    root.send_form("/orgs/new", &fields).await.is(303);
    let taken = root.send_form("/orgs/new", &fields).await.is(422);
    assert!(taken.html().contains("This slug is taken"));
    let settings = root.get("/orgs/acme/settings").await.is(200);
    let tag = settings.hidden("tag");
    let changed = [
        ("tag", tag.as_str()),
        ("name", "Acme"),
        ("slug", "acme"),
        ("time_zone", "Asia/Tokyo"),
        ("concurrency", "7"),
        ("quota_day", "1,000"),
    ];
    root.send_form("/orgs/acme/settings", &changed).await.is(303);
    let now = console.get("/organizations/acme").await.is(200).json;
    assert_eq!((now["name"].as_str(), now["timeZone"].as_str()), (Some("Acme"), Some("Asia/Tokyo")));
    assert_eq!(now["limits"]["concurrency"], 7);
    assert_eq!(now["limits"]["quotas"][0]["requests"], 1_000);
    root.send_form("/orgs/acme/settings", &changed).await.is(422);
    let (_, secret) = console.key("k").await;
    let asked = root.get("/orgs/acme/delete").await.is(200);
    assert!(asked.html().contains("Its key is deleted"));
    let tag = asked.hidden("tag");
    root.send_form("/orgs/acme/delete", &[("tag", &tag), ("typed", "acne")]).await.is(422);
    let done = root.send_form("/orgs/acme/delete", &[("tag", &tag), ("typed", "acme")]).await.is(303);
    assert!(done.header("location").starts_with("/orgs?done=revoked"));
    assert!(console.lookup(&secret).is_none());
    root.get("/orgs/acme/settings").await.is(404);
}

#[tokio::test]
async fn nobody_else_makes_or_deletes_an_organization() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    owner.get("/orgs/new").await.is(403);
    owner.get("/orgs/acme/delete").await.is(403);
    owner.send_form("/orgs/acme/delete", &[("typed", "acme")]).await.is(403);
    owner.send_form("/orgs/new", &[("name", "x"), ("slug", "x"), ("time_zone", "UTC")]).await.is(403);
    let list = owner.get("/orgs").await.is(200).html();
    assert!(list.contains("Acme") && !list.contains("New organization"));
}
