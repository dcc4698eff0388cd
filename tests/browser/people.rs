//! People in the console: invited in, changed, shut out, and what the audit log keeps of it.

use serde_json::json;

use crate::browser::Browser;
use crate::looks::Scripts;
use crate::stage::{CLERK, OWNER, PASSWORD, Stage, fill_sign_in, sign_in};

const NEWCOMER: &str = "newcomer@acme.example";

#[tokio::test]
async fn an_invitation_is_accepted_in_a_second_browser_and_then_works_no_more() {
    let stage = Stage::new();
    for scripts in [Scripts::On, Scripts::Off] {
        let invited = format!("{scripts:?}.{NEWCOMER}").to_lowercase();
        let owner = stage.signed_in(OWNER, scripts).await;
        owner.take(&account_menu(OWNER), "Members").await;
        owner.follow("Invite member").await;
        owner.fill("E-mail", &invited).await;
        owner.click("radio", "Agent admin").await;
        owner.click("checkbox", "Billing desk").await;
        owner.press("Create invitation").await;
        owner.sees("not shown again").await;
        let address = invitation_shown(&owner).await;
        owner.act("Done").await;
        if scripts == Scripts::On {
            owner.act("Leave without copying").await;
            owner.gone("dialog", "").await;
        }
        owner.find("heading", "Members").await;
        owner.sees(&invited).await;
        owner.sees("Invited").await;
        assert!(!owner.source().await.contains(&address), "the link is still there");

        let newcomer = stage.browser(scripts).await;
        newcomer.visit(&address).await;
        newcomer.sees("Acme Freight").await;
        newcomer.sees(&invited).await;
        newcomer.fill("Password", PASSWORD).await;
        newcomer.press("Join").await;
        newcomer.find("heading", "API Keys").await;
        newcomer.find("button", &account_menu(&invited)).await;

        let late = stage.browser(scripts).await;
        late.visit(&address).await;
        late.sees("invitation").await;
        assert!(!late.has("textbox", "Password").await, "the invitation works twice");
        owner.client.refresh().await.unwrap();
        owner.sees("Active").await;
        for browser in [owner, newcomer, late] {
            browser.close().await;
        }
    }
}

#[tokio::test]
async fn a_member_who_is_disabled_or_removed_is_out_at_once() {
    let stage = Stage::new();
    let owner = stage.signed_in(OWNER, Scripts::On).await;
    let clerk = stage.signed_in(CLERK, Scripts::On).await;
    owner.visit("/orgs/acme/members").await;
    owner.take(&format!("Actions for {CLERK}"), "Edit").await;
    owner.click("checkbox", "Disabled").await;
    owner.press("Save").await;
    owner.gone("dialog", "").await;
    owner.sees("Disabled").await;
    clerk.visit("/orgs/acme/keys").await;
    clerk.find("heading", "Sign in").await;
    fill_sign_in(&clerk, CLERK).await;
    clerk.find("alert", "").await;

    owner.take(&format!("Actions for {CLERK}"), "Edit").await;
    owner.click("checkbox", "Disabled").await;
    owner.press("Save").await;
    owner.gone("dialog", "").await;
    sign_in(&clerk, CLERK).await;
    owner.take(&format!("Actions for {CLERK}"), "Remove").await;
    owner.find("dialog", "").await;
    owner.press("Remove member").await;
    owner.gone("dialog", "").await;
    owner.no_longer_sees(&format!("Actions for {CLERK}")).await;
    clerk.visit("/orgs/acme/keys").await;
    clerk.gone("heading", "API Keys").await;
}

#[tokio::test]
async fn the_last_organization_admin_can_neither_be_demoted_nor_removed() {
    let stage = Stage::new();
    let owner = stage.signed_in(OWNER, Scripts::On).await;
    owner.visit("/orgs/acme/members").await;
    owner.sees("the only one").await;
    owner.take(&format!("Actions for {OWNER}"), "Edit").await;
    owner.find("dialog", "").await;
    assert!(!owner.has("radio", "Agent admin").await, "the last admin can be demoted");
    owner.act("Close").await;
    owner.gone("dialog", "").await;
    owner.take(&format!("Actions for {OWNER}"), "Remove").await;
    owner.find("dialog", "").await;
    assert!(!owner.has("button", "Remove member").await, "the last admin can be removed");
}

#[tokio::test]
async fn agents_come_are_renamed_and_take_their_keys_with_them() {
    let stage = Stage::new();
    for scripts in [Scripts::On, Scripts::Off] {
        let owner = stage.signed_in(OWNER, scripts).await;
        owner.take(&account_menu(OWNER), "Agents").await;
        owner.follow("New agent").await;
        owner.fill("Name", "Returns desk").await;
        owner.fill("Slug", "returns").await;
        owner.press("Create").await;
        owner.find("button", "Actions for Returns desk").await;
        let (_, secret) = stage.key("returns key", Some("returns"));
        assert_eq!(stage.knock(&secret, "returns"), 200);
        owner.take("Actions for Returns desk", "Edit").await;
        owner.fill("Name", "Returns").await;
        owner.press("Save").await;
        owner.find("button", "Actions for Returns").await;
        assert_eq!(stage.knock(&secret, "returns"), 200, "a new name changes nothing else");
        owner.take("Actions for Returns", "Delete").await;
        owner.find("dialog", "").await;
        if owner.has("textbox", "Type").await {
            owner.fill("Type", "returns").await;
        }
        owner.press("Delete agent").await;
        owner.gone("button", "Actions for Returns").await;
        owner.find("heading", "Agents").await;
        assert_eq!(stage.knock(&secret, "returns"), 401, "the agent's key outlives it");
        owner.close().await;
    }
}

#[tokio::test]
async fn the_audit_log_says_who_did_what_and_its_export_holds_no_formula() {
    let stage = Stage::new();
    let owner = stage.signed_in(OWNER, Scripts::On).await;
    stage.key("made by the operator", None);
    stage.key("=cmd|' /C calc'!A0", None);
    owner.visit("/orgs/acme/audit").await;
    owner.sees("made by the operator").await;
    owner.fill("Person", OWNER).await;
    owner.press("Filter").await;
    owner.no_longer_sees("made by the operator").await;
    owner.act("Clear").await;
    owner.sees("made by the operator").await;

    let sheet = stage.plain().signed_in(OWNER).get("/orgs/acme/audit.csv");
    assert_eq!(sheet.status, 200);
    assert!(sheet.field("content-disposition").unwrap_or_default().starts_with("attachment"), "{sheet:?}");
    assert!(sheet.body.contains("calc"), "{}", sheet.body);
    let mut lines = csv::ReaderBuilder::new().has_headers(false).from_reader(sheet.body.as_bytes());
    for line in lines.records() {
        for cell in &line.unwrap() {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "a spreadsheet evaluates {cell:?}");
        }
    }
}

#[tokio::test]
async fn signing_out_everywhere_ends_the_session_in_another_browser() {
    let stage = Stage::new();
    for scripts in [Scripts::On, Scripts::Off] {
        let here = stage.signed_in(OWNER, scripts).await;
        let there = stage.signed_in(OWNER, scripts).await;
        there.visit("/orgs/acme/members").await;
        there.find("heading", "Members").await;
        here.take(&account_menu(OWNER), "Settings").await;
        here.press("Sign out everywhere").await;
        here.find("heading", "Sign in").await;
        there.client.refresh().await.unwrap();
        there.find("heading", "Sign in").await;
        assert_eq!(there.client.current_url().await.unwrap().path(), "/sign-in");
        // Back shows nothing of what was seen.
        there.client.back().await.unwrap();
        there.no_longer_sees("clerk@acme").await;
        for browser in [here, there] {
            browser.close().await;
        }
    }
}

#[tokio::test]
async fn a_person_changes_name_time_zone_and_password() {
    let stage = Stage::new();
    let there = stage.signed_in(OWNER, Scripts::On).await;
    let here = stage.signed_in(OWNER, Scripts::On).await;
    here.take(&account_menu(OWNER), "Settings").await;
    here.fill("Your name", "Olivia Owner").await;
    here.choose("Your time zone", "Asia/Tokyo").await;
    here.press("Save profile").await;
    here.sees("Saved").await;
    let name = here.find("textbox", "Your name").await.prop("value").await.unwrap();
    assert_eq!(name.as_deref(), Some("Olivia Owner"));
    here.visit("/orgs/acme/members").await;
    here.sees("Olivia Owner").await;
    here.find("button", &account_menu("Olivia Owner")).await;
    here.visit("/orgs/acme/audit").await;
    here.sees("Asia/Tokyo").await;

    here.visit("/orgs/acme/settings").await;
    here.fill("Current password", PASSWORD).await;
    here.fill("New password", "another good phrase for a turnstile").await;
    here.press("Change password").await;
    here.sees("password").await;
    here.visit("/orgs/acme/keys").await;
    here.find("heading", "API Keys").await;
    there.visit("/orgs/acme/keys").await;
    there.find("heading", "Sign in").await;
    fill_sign_in(&there, OWNER).await;
    there.find("alert", "").await;
    let old = stage.plain().post_json("/api/v1/session", &json!({ "email": OWNER, "password": PASSWORD }));
    assert_eq!(old.status, 401, "{}", old.body);
}

/// The button of the menu at the top right.
fn account_menu(person: &str) -> String {
    format!("Account menu: {person}")
}

/// The path of the invitation's link on the page.
async fn invitation_shown(browser: &Browser) -> String {
    let text = browser.text().await;
    let link = text.split_whitespace().find(|word| word.contains("/invitations/"));
    let link = link.unwrap_or_else(|| panic!("no link in:\n{text}"));
    link[link.find("/invitations/").unwrap()..].to_owned()
}
