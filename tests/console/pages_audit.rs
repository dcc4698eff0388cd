//! The audit log as a page and as a sheet that no spreadsheet evaluates.

use crate::harness::Console;
use crate::pages_visitor::Visitor;

const HOSTILE: [&str; 5] = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\u{feff}=1"];

#[tokio::test]
async fn no_cell_of_the_sheet_begins_a_formula_and_the_page_shows_the_same_as_text() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    for name in HOSTILE {
        console.key(name).await;
    }
    console.key("<script>alert(1)</script>").await;
    let sheet = owner.get("/orgs/acme/audit.csv").await.is(200);
    assert_eq!(sheet.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(sheet.header("content-disposition"), "attachment; filename=\"audit-acme.csv\"");
    let text = sheet.html();
    for name in HOSTILE {
        assert!(text.contains(&format!("\"'{name}\"")), "{name} in {text}");
    }
    for cell in text.split(['\n', ',']) {
        let begins = cell.trim().trim_start_matches('"').trim_start();
        assert!(!begins.starts_with(['=', '+', '-', '@', '\t']), "{cell}");
    }
    let html = owner.get("/orgs/acme/audit").await.is(200).html();
    assert!(html.contains("Key created") && !html.contains("<script>alert"));
}

#[tokio::test]
async fn filters_hold_for_page_and_sheet_alike_and_pages_lead_to_older_lines() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    let (id, _) = console.key("Wanted").await;
    for at in 0..60 {
        console
            .patch(&format!("/organizations/acme/keys/{id}"), &format!(r#"{{"name":"name {at}"}}"#))
            .await
            .is(200);
    }
    let created = owner.get("/orgs/acme/audit?action=key.created").await.is(200).html();
    assert_eq!(created.matches("<span class=\"name\">").count(), 1);
    let sheet = owner.get("/orgs/acme/audit.csv?action=key.created").await.is(200).html();
    assert_eq!(sheet.lines().count(), 2, "{sheet}");
    let of_key = owner.get(&format!("/orgs/acme/audit.csv?key={id}")).await.is(200).html();
    assert_eq!(of_key.lines().count(), 62, "the header, the creation and each change");
    let nobody = owner.get("/orgs/acme/audit?person=nobody").await.is(200).html();
    assert!(nobody.contains("Nothing in the log matches"));
    let future = owner.get("/orgs/acme/audit.csv?from=2999-01-01T00:00").await.is(200).html();
    assert_eq!(future.lines().count(), 1);
    let first = owner.get("/orgs/acme/audit").await.is(200).html();
    let older =
        first.split("href=\"").find(|link| link.contains("before=")).unwrap().split('"').next().unwrap();
    let second = owner.get(&older.replace("&amp;", "&").replace("&#38;", "&")).await.is(200).html();
    assert!(second.contains("Organization created") && second.contains(">Newest<"));
}

#[tokio::test]
async fn an_agent_admin_reads_their_own_actions_only_and_a_stranger_nothing() {
    let console = Console::with_acme().await;
    let clerk = Visitor::clerk(&console).await;
    console.key("of an operator").await;
    for address in ["/orgs/acme/audit", "/orgs/acme/audit.csv"] {
        let shown = clerk.get(address).await.is(200).html();
        assert!(!shown.contains("of an operator"), "{address}");
        console.post("/organizations", r#"{"slug":"other","name":"Other"}"#).await;
        clerk.get(&address.replace("acme", "other")).await.is(404);
        Visitor::stranger(&console).get(address).await.is(303);
    }
}
