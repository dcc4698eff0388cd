//! The whole life of a key, from the first click to the gateway's last refusal, as each kind of admin leads it.
//!
//! Every step ends with what the gateway says to the key, so that no page may only claim what it did.

use fantoccini::key::Key;
use serde_json::json;

use crate::browser::Browser;
use crate::looks::{Looks, Scripts, Theme, Width};
use crate::stage::{CLERK, OWNER, Stage, sign_in};
use crate::turns::Turns;

/// A secret as it stands on a page: prefix and 49 letters or digits.
const SECRET_LENGTH: usize = 52;

#[tokio::test]
async fn an_organization_admin_leads_a_key_through_its_whole_life_at_every_width_and_theme() {
    lives_at_every_width_and_theme(OWNER).await;
}

#[tokio::test]
async fn an_agent_admin_leads_a_key_through_its_whole_life_at_every_width_and_theme() {
    lives_at_every_width_and_theme(CLERK).await;
}

#[tokio::test]
async fn without_scripts_a_key_has_the_same_life() {
    let stage = Stage::new();
    for (person, looks) in [(OWNER, Looks::DESKTOP), (CLERK, Looks(Width::Phone, Theme::Dark))] {
        let mut browser = stage.browser(Scripts::Off).await;
        browser.look(looks).await;
        sign_in(&browser, person).await;
        whole_life(&stage, &browser, person, Scripts::Off).await;
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser.close().await;
    }
}

#[tokio::test]
async fn the_usage_page_counts_on_by_itself_and_keeps_what_was_opened() {
    let stage = Stage::new();
    let (key, secret) = stage.key("counted", None);
    let browser = stage.signed_in(OWNER, Scripts::On).await;
    browser.visit(&format!("/orgs/acme/keys/{key}/usage")).await;
    browser.sees("0 allowed").await;
    browser.press("The same numbers as a table").await;
    browser.run("window.isTheSamePage = true", Vec::new()).await;
    for _ in 0..3 {
        assert_eq!(stage.knock(&secret, "intake"), 200);
    }
    browser.sees("3 allowed").await;
    browser.sees("Together").await;
    assert_eq!(browser.run("return window.isTheSamePage === true", Vec::new()).await, true);
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

async fn lives_at_every_width_and_theme(person: &str) {
    let stage = Stage::new();
    let mut browser = stage.browser(Scripts::On).await;
    browser
        .cdp(
            "Browser.grantPermissions",
            json!({ "origin": stage.url(), "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] }),
        )
        .await;
    for looks in Looks::ALL {
        browser.look(looks).await;
        sign_in(&browser, person).await;
        whole_life(&stage, &browser, person, Scripts::On).await;
        browser.take(&format!("Account menu: {person}"), "Sign out").await;
        browser.find("heading", "Sign in").await;
    }
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

async fn whole_life(stage: &Stage, browser: &Browser, person: &str, scripts: Scripts) {
    let name = format!("importer {}", browser.looks().name());
    let secret = create(stage, browser, person, &name, scripts).await;
    let renamed = format!("{name}, renamed");
    rename(browser, &name, &renamed).await;
    assert_eq!(stage.knock(&secret, "billing"), 200, "a new name changes nothing else");
    see_usage(browser, &renamed).await;
    disable_and_enable(stage, browser, &renamed, &secret).await;
    delete(stage, browser, &renamed, &secret, scripts).await;
    browser.sees(told(person, 0)).await;
}

/// What the list says of how many keys there are. An agent admin does not know of all.
fn told(person: &str, keys: u32) -> &'static str {
    match (person == OWNER, keys) {
        (true, 0) => "0 of 10 keys",
        (true, _) => "1 of 10 keys",
        (false, 0) => "0 keys of your agents; the organization may have 10",
        (false, _) => "1 key of your agents; the organization may have 10",
    }
}

/// From the list through the dialog back to the list, with a key that passes the gateway.
async fn create(stage: &Stage, browser: &Browser, person: &str, name: &str, scripts: Scripts) -> String {
    browser.sees(told(person, 0)).await;
    browser.follow("New API Key").await;
    browser.find("dialog", "New API Key").await;
    browser.fill("Name", name).await;
    if person == OWNER {
        browser.click("radio", "Organization").await;
    } else {
        assert!(!browser.has("radio", "Organization").await, "offered to an agent admin");
        browser.choose("Agent", "Billing desk (billing)").await;
    }
    browser.press("Create").await;
    let secret = secret_shown(browser).await;
    browser.sees("will not be shown again").await;
    assert!(browser.text().await.contains("curl"), "no line to paste");
    if scripts == Scripts::On {
        browser.press("Copy").await;
        browser.find("button", "Copied").await;
        browser.hears("Secret copied").await;
        assert_eq!(clipboard(browser).await, secret);
    }
    assert_eq!(stage.knock(&secret, "billing"), 200, "a new key opens the way");
    assert_eq!(stage.knock(&secret, "support"), if person == OWNER { 200 } else { 403 }, "and no other");
    close_secret(browser, scripts).await;
    browser.find("heading", "API Keys").await;
    browser.sees(name).await;
    browser.sees(&format!("ks_…{}", &secret[SECRET_LENGTH - 4..])).await;
    browser.sees(told(person, 1)).await;
    assert!(!browser.source().await.contains(&secret), "the secret is still there");
    secret
}

async fn rename(browser: &Browser, name: &str, renamed: &str) {
    browser.take(&format!("Actions for {name}"), "Edit").await;
    browser.find("dialog", "Edit").await;
    // Enter in the field is what Save is, and nothing else that the dialog offers.
    browser.fill("Name", &format!("{renamed}{}", Key::Enter)).await;
    browser.find("heading", "API Keys").await;
    browser.find("button", &format!("Actions for {renamed}")).await;
}

async fn see_usage(browser: &Browser, name: &str) {
    browser.take(&format!("Actions for {name}"), "Usage").await;
    browser.find("heading", &format!("Usage of {name}")).await;
    browser.sees("as of").await;
    browser.sees("allowed").await;
    browser.follow("API Keys").await;
    browser.find("heading", "API Keys").await;
}

async fn disable_and_enable(stage: &Stage, browser: &Browser, name: &str, secret: &str) {
    for (button, said, status) in [("Disable key", "Disabled", 401), ("Enable key", "", 200)] {
        browser.take(&format!("Actions for {name}"), "Edit").await;
        browser.press(button).await;
        browser.find("button", &format!("Actions for {name}")).await;
        browser.sees(said).await;
        assert_eq!(stage.knock(secret, "billing"), status, "after {button}");
    }
}

async fn delete(stage: &Stage, browser: &Browser, name: &str, secret: &str, scripts: Scripts) {
    browser.take(&format!("Actions for {name}"), "Delete").await;
    browser.find("dialog", "Delete").await;
    browser.sees(name).await;
    browser.fill("Type the name to confirm", name).await;
    browser.press("Delete key").await;
    browser.sees("Revoked on 1 of 1 gateways in").await;
    if scripts == Scripts::On {
        browser.hears("Revoked on 1 of 1 gateways in").await;
    }
    assert_eq!(stage.knock(secret, "billing"), 401, "a deleted key is refused");
}

/// Waits for the secret on the page that is shown.
pub(crate) async fn secret_shown(browser: &Browser) -> String {
    let mut text = String::new();
    for _ in Turns::new() {
        text = browser.text().await;
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let mut secrets = words.filter(|word| word.len() == SECRET_LENGTH && word.starts_with("ks_"));
        if let Some(secret) = secrets.next() {
            return secret.to_owned();
        }
    }
    panic!("no secret in:\n{text}");
}

/// Closes the dialog, which without a copy asks once.
async fn close_secret(browser: &Browser, scripts: Scripts) {
    browser.act("Done").await;
    if scripts == Scripts::On {
        browser.gone("dialog", "").await;
    }
}

async fn clipboard(browser: &Browser) -> String {
    let read = "navigator.clipboard.readText().then(arguments[0], (error) => arguments[0](String(error)))";
    browser.run_until_done(read).await.as_str().unwrap_or_default().to_owned()
}
