//! A secret is shown once: no way back to it, and one question before it is lost.

use crate::browser::Browser;
use crate::key_life::secret_shown;
use crate::looks::Scripts;
use crate::stage::{OWNER, Stage};

#[tokio::test]
async fn back_reload_and_history_never_show_a_secret_again() {
    let stage = Stage::new();
    for scripts in [Scripts::On, Scripts::Off] {
        let browser = stage.signed_in(OWNER, scripts).await;
        let secret = new_key(&browser, &format!("once {scripts:?}")).await;
        browser.client.refresh().await.unwrap();
        is_gone(&browser, &secret, "reloading").await;
        browser.client.back().await.unwrap();
        is_gone(&browser, &secret, "going back").await;
        browser.client.forward().await.unwrap();
        is_gone(&browser, &secret, "going forward").await;
        browser.visit("/").await;
        is_gone(&browser, &secret, "starting anew").await;
        for _ in 0..4 {
            browser.client.back().await.unwrap();
            is_gone(&browser, &secret, "going back through the whole history").await;
        }
        browser.visit("/").await;
        browser.sees(&format!("once {scripts:?}")).await;
        // A form that is sent again makes no second key.
        let keys = stage.management.get("/organizations/acme/keys");
        let expected = if scripts == Scripts::On { 1 } else { 2 };
        assert_eq!(keys["items"].as_array().unwrap().len(), expected, "{keys}");
        browser.close().await;
    }
}

#[tokio::test]
async fn leaving_a_secret_that_was_not_copied_asks_once() {
    let stage = Stage::new();
    let browser = stage.signed_in(OWNER, Scripts::On).await;
    let secret = new_key(&browser, "not copied").await;
    browser.act("Done").await;
    browser.sees("not copied").await;
    assert_eq!(secret_shown(&browser).await, secret, "it is lost after the question was only asked");
    browser.find("dialog", "").await;
    // Whatever the button is called after the question: Escape is the same as a second press.
    browser.keys("\u{e00c}").await;
    browser.gone("dialog", "").await;
    is_gone(&browser, &secret, "leaving").await;

    let copied = new_key(&browser, "copied").await;
    browser.press("Copy").await;
    browser.find("button", "Copied").await;
    browser.act("Done").await;
    browser.gone("dialog", "").await;
    is_gone(&browser, &copied, "leaving").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

/// Makes a key of the organization in the dialog and gives its secret, which is still shown.
async fn new_key(browser: &Browser, name: &str) -> String {
    browser.follow("New API Key").await;
    browser.fill("Name", name).await;
    browser.click("radio", "Organization").await;
    browser.press("Create").await;
    secret_shown(browser).await
}

async fn is_gone(browser: &Browser, secret: &str, after: &str) {
    let source = browser.source().await;
    assert!(!source.contains(secret), "the secret is shown after {after}:\n{}", browser.text().await);
}
