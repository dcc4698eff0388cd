//! Every page, as everybody sees it who may: judged in every width and theme, with a screenshot of each to look at.

use serde_json::json;

use crate::addresses::Places;
use crate::browser::Browser;
use crate::judge::judge;
use crate::key_life::secret_shown;
use crate::looks::Scripts;
use crate::stage::{CLERK, OWNER, Stage, fill_sign_in, sign_in};
use crate::support::eventually;

const OPERATOR: &str = "operator@keystile.example";

#[tokio::test]
async fn every_page_about_keys_is_sound_in_every_width_and_theme() {
    let stage = Stage::new();
    let mut browser = stage.signed_in(OWNER, Scripts::On).await;
    let mut faults = judge(&mut browser, "keys-empty").await;
    let key = used_keys(&stage);
    browser.visit("/orgs/acme/keys").await;
    faults.extend(judge(&mut browser, "keys").await);
    browser.press("Actions for Invoice importer").await;
    faults.extend(judge(&mut browser, "keys-menu").await);
    browser.visit("/orgs/acme/keys?q=nothing+is+called+so").await;
    faults.extend(judge(&mut browser, "keys-none-found").await);
    for page in ["edit", "usage", "delete"] {
        browser.visit(&format!("/orgs/acme/keys/{key}/{page}")).await;
        faults.extend(judge(&mut browser, &format!("key-{page}")).await);
    }
    browser.visit("/orgs/acme/keys/new").await;
    faults.extend(judge(&mut browser, "key-new-page").await);
    browser.visit("/orgs/acme/keys").await;
    browser.follow("New API Key").await;
    browser.find("dialog", "").await;
    faults.extend(judge(&mut browser, "key-new-dialog").await);
    browser.press("More: access, expiry, limits").await;
    faults.extend(judge(&mut browser, "key-new-more").await);
    browser.fill("Name", "Secret of this page").await;
    browser.click("radio", "Organization").await;
    browser.press("Create").await;
    secret_shown(&browser).await;
    faults.extend(judge(&mut browser, "key-secret").await);
    none(&faults);
}

#[tokio::test]
async fn every_page_about_people_and_agents_is_sound_in_every_width_and_theme() {
    let stage = Stage::new();
    used_keys(&stage);
    let (member, _) = stage.invited(
        "acme",
        "invited@acme.example",
        json!({ "role": "agent-admin", "agents": ["intake", "support"] }),
    );
    let mut browser = stage.signed_in(OWNER, Scripts::On).await;
    let places = Places { organization: "acme", key: "", agent: "billing", member: &member };
    let mut faults = Vec::new();
    let of_keys = |page: &String| page.contains("/keys") || page.ends_with(".csv");
    for page in places.pages().iter().filter(|page| !of_keys(page)) {
        browser.visit(page).await;
        let name = page.replace("/orgs/acme/", "").replace(&format!("/{member}"), "").replace('/', "-");
        faults.extend(judge(&mut browser, &name).await);
    }
    browser.visit("/orgs/acme/members/new").await;
    browser.fill("E-mail", "another@acme.example").await;
    browser.click("radio", "Organization admin").await;
    browser.press("Create invitation").await;
    browser.sees("not shown again").await;
    faults.extend(judge(&mut browser, "member-link").await);
    browser.visit("/orgs/acme/members").await;
    browser.press(&format!("Account menu: {OWNER}")).await;
    faults.extend(judge(&mut browser, "account-menu").await);
    stage.organization("books", "Second Hand Books", &[]);
    stage.member("books", OWNER, json!({ "role": "organization-admin" }));
    browser.visit("/orgs/acme/keys").await;
    browser.press("Organization: Acme Freight. Switch organization").await;
    faults.extend(judge(&mut browser, "organization-switcher").await);
    browser.act("Second Hand Books").await;
    browser.sees("0 of 10 keys").await;
    none(&faults);
}

#[tokio::test]
async fn every_page_of_an_agent_admin_and_of_an_operator_is_sound_in_every_width_and_theme() {
    let stage = Stage::new();
    used_keys(&stage);
    stage.operator(OPERATOR);
    stage.organization("books", "Second Hand Books", &[]);
    let mut browser = stage.signed_in(CLERK, Scripts::On).await;
    let mut faults = judge(&mut browser, "agent-admin-keys").await;
    for page in ["keys/new", "agents", "audit", "settings"] {
        browser.visit(&format!("/orgs/acme/{page}")).await;
        faults.extend(judge(&mut browser, &format!("agent-admin-{}", page.replace('/', "-"))).await);
    }
    faults.extend(failure(&mut browser, "/orgs/acme/members", "forbidden", "403").await);
    faults.extend(failure(&mut browser, "/orgs/acme/nothing", "unknown-page", "404").await);

    browser.follow("Go to API Keys").await;
    browser.take(&format!("Account menu: {CLERK}"), "Sign out").await;
    browser.find("heading", "Sign in").await;
    fill_sign_in(&browser, OPERATOR).await;
    browser.find("button", &format!("Account menu: {OPERATOR}")).await;
    for (page, name) in [
        ("/orgs", "organizations"),
        ("/orgs/new", "organization-new"),
        ("/orgs/acme/keys", "operator-keys"),
        ("/orgs/acme/settings", "operator-settings"),
        ("/orgs/books/members", "members-empty"),
        ("/orgs/books/agents", "agents-empty"),
        ("/orgs/books/delete", "organization-delete"),
        ("/gateways", "gateways"),
    ] {
        browser.visit(page).await;
        faults.extend(judge(&mut browser, name).await);
    }
    stage.damage("UPDATE organizations SET limits = 'broken' WHERE slug = 'books'").await;
    faults.extend(failure(&mut browser, "/orgs/books/keys", "broken", "500").await);
    none(&faults);
}

#[tokio::test]
async fn every_page_before_the_sign_in_is_sound_in_every_width_and_theme() {
    let stage = Stage::with(|settings| {
        settings.console_line("public_url: \"http://localhost\"");
        // Asked only when somebody wants to sign in by it.
        settings.console_line(
            "openid: { issuer: \"http://127.0.0.1:9\", client_id: keystile, client_secret: a-secret-of-the-test }",
        );
    });
    let (_, token) = stage.invited("acme", "invited@acme.example", json!({ "role": "organization-admin" }));
    let mut browser = stage.browser(Scripts::On).await;
    browser.visit("/sign-in").await;
    browser.find("link", "Continue with your company account").await;
    let mut faults = judge(&mut browser, "sign-in").await;
    browser.fill("E-mail", "nobody@acme.example").await;
    browser.fill("Password", "not the password of anybody").await;
    browser.press("Sign in").await;
    browser.find("alert", "").await;
    // The browser says itself that the answer was a refusal.
    let refused = browser.complaints().await;
    assert!(
        refused.iter().all(|complaint| complaint.contains("the server responded with a status of 4")),
        "{refused:?}"
    );
    faults.extend(judge(&mut browser, "sign-in-refused").await);
    browser.visit("/api/docs").await;
    faults.extend(judge(&mut browser, "api-docs").await);
    browser.visit(&format!("/invitations/{token}")).await;
    faults.extend(judge(&mut browser, "invitation").await);
    faults.extend(failure(&mut browser, "/invitations/unknown", "invitation-unknown", "").await);
    none(&faults);
}

#[tokio::test]
async fn at_the_cap_the_button_is_disabled_and_says_why_before_the_click() {
    let stage = Stage::with(|settings| {
        settings.keys_per_organization(3);
    });
    for name in ["first", "second", "third"] {
        stage.key(name, None);
    }
    for scripts in [Scripts::On, Scripts::Off] {
        let mut browser = stage.signed_in(OWNER, scripts).await;
        browser.sees("3 of 3 keys").await;
        assert!(!browser.has("link", "New API Key").await, "the button still leads to the form");
        let button = browser.find("button", "New API Key").await;
        let disabled = button.attr("aria-disabled").await.unwrap().is_some_and(|value| value == "true");
        assert!(disabled || !button.is_enabled().await.unwrap(), "the button can be pressed");
        browser.sees("delete").await;
        if scripts == Scripts::On {
            none(&judge(&mut browser, "keys-at-cap").await);
        }
        browser.visit("/orgs/acme/keys/new").await;
        assert!(!browser.has("button", "Create").await, "the form can still be sent");
        browser.close().await;
    }
}

#[tokio::test]
async fn people_who_ask_for_no_motion_get_none() {
    let stage = Stage::new();
    used_keys(&stage);
    let browser = stage.signed_in(OWNER, Scripts::On).await;
    let moving = "
        const long = (times) => times.split(',').some((time) => parseFloat(time) > 0.011);
        return [...document.querySelectorAll('*')].filter((each) => {
            const style = getComputedStyle(each);
            return long(style.transitionDuration) || (style.animationName !== 'none' && long(style.animationDuration));
        }).map((each) => each.outerHTML.slice(0, 120));";
    browser.press("Actions for Invoice importer").await;
    assert_eq!(browser.run(moving, Vec::new()).await, json!([]));
    sign_in(&browser, OWNER).await;
    browser.follow("New API Key").await;
    browser.find("dialog", "").await;
    assert_eq!(browser.run(moving, Vec::new()).await, json!([]));
}

/// Keys of every kind, one of which was used; its id.
fn used_keys(stage: &Stage) -> String {
    let (used, secret) = stage.key("Invoice importer", Some("billing"));
    let by_a_person =
        json!({ "name": "Data warehouse export", "scope": { "type": "agent", "agent": "billing" } });
    let made = stage.plain().signed_in(CLERK).post_json("/api/v1/organizations/acme/keys", &by_a_person);
    assert_eq!(made.status, 201, "{}", made.body);
    stage.key("Nightly reconciliation", None);
    let (disabled, _) = stage.key("Staging", Some("intake"));
    stage.management.expect(
        200,
        "PATCH",
        &format!("/organizations/acme/keys/{disabled}"),
        Some(&json!({ "disabled": true })),
    );
    let limits = json!({ "rate": { "requests": 10, "per": "second", "burst": 20 }, "concurrency": 5,
        "quotas": [{ "requests": 1000, "per": "day" }, { "requests": 20000, "per": "month" }] });
    let path = format!("/organizations/acme/keys/{used}");
    let fields = json!({ "limits": limits, "expiresAt": "2999-01-01T00:00:00Z" });
    stage.management.expect(200, "PATCH", &path, Some(&fields));
    for _ in 0..25 {
        stage.knock(&secret, "billing");
        stage.knock(&secret, "support");
    }
    eventually("usage is settled", || {
        let usage = stage.management.get(&format!("{path}/usage"));
        usage["totals"]["allowed"].as_u64() > Some(5)
    });
    used
}

/// An error page, whose status the browser reports and whose request id people can pass on.
async fn failure(browser: &mut Browser, path: &str, name: &str, status: &str) -> Vec<String> {
    browser.visit(path).await;
    let complaints = browser.complaints().await;
    let expected = format!("the server responded with a status of {status}");
    let mut faults: Vec<String> = complaints.into_iter().filter(|each| !each.contains(&expected)).collect();
    if !browser.shows("request id").await {
        faults.push(format!("{name}: no request id"));
    }
    faults.extend(judge(browser, name).await);
    faults
}

#[track_caller]
fn none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
