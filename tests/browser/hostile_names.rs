//! Names that would like to be something else: markup, scripts, other directions of writing, formulas. They are text.
//!
//! Each name is an organization's, an agent's, a key's and a person's at once, and is looked for on every page.

use serde_json::json;

use crate::addresses::Places;
use crate::browser::Browser;
use crate::looks::{Looks, Scripts, Theme, Width};
use crate::stage::{Stage, sign_in};

/// What to call it in messages, and the name.
fn names() -> [(&'static str, String); 5] {
    [
        ("script", String::from("<script>alert(1)</script>")),
        ("image", String::from(r#""><img src=x onerror=alert(1)>"#)),
        ("right-to-left", String::from("safe\u{202e}txt.exe")),
        ("emoji", "\u{1f9ff}".repeat(64)),
        ("formula", String::from("=cmd|' /C calc'!A0")),
    ]
}

/// Whatever on the page did not come from its template: elements made of a name, and attributes that run something.
const FOREIGN: &str = "
    const made = [...document.querySelectorAll('img, [onerror], [onload], [onclick], iframe, object, embed')];
    const scripts = [...document.querySelectorAll('script')].filter((each) => !each.src || each.textContent);
    return [...made, ...scripts].map((each) => each.outerHTML);";

/// Names in tables that take more than two lines.
const TALL: &str = "
    const lines = (each) => each.clientHeight / parseFloat(getComputedStyle(each).lineHeight);
    return [...document.querySelectorAll('table .name')].filter((each) => lines(each) > 2.1).map((each) => each.outerHTML);";

#[tokio::test]
async fn hostile_names_are_text_on_every_page() {
    let stage = Stage::new();
    let mut browser = stage.browser(Scripts::On).await;
    for (title, name) in names() {
        let (organization, person) = (format!("org-{title}"), format!("{title}@hostile.example"));
        stage.organization(&organization, &name, &[]);
        let agents = format!("/organizations/{organization}/agents");
        stage.management.expect(201, "POST", &agents, Some(&json!({ "slug": "sly", "name": name })));
        let scope = json!({ "type": "agent", "agent": "sly" });
        let key = stage.management.key(&organization, json!({ "name": name, "scope": scope }));
        let member = stage.member(&organization, &person, json!({ "role": "organization-admin" }));
        let second = format!("second.{person}");
        stage.invited(&organization, &second, json!({ "role": "agent-admin", "agents": ["sly"] }));

        sign_in(&browser, &person).await;
        browser.visit(&format!("/orgs/{organization}/settings")).await;
        browser.fill("Your name", &name).await;
        browser.press("Save profile").await;
        browser.sees("Saved").await;
        let places = Places { organization: &organization, key: &key.id, agent: "sly", member: &member };
        for page in places.pages().iter().filter(|page| !page.ends_with(".csv")) {
            browser.visit(page).await;
            is_text(&browser, page, &name).await;
        }
        browser.look(Looks(Width::Of(320), Theme::Light)).await;
        for page in ["keys", "agents", "members", "audit"] {
            let page = format!("/orgs/{organization}/{page}");
            browser.visit(&page).await;
            let wide = browser.run("return document.documentElement.scrollWidth", Vec::new()).await;
            assert!(wide.as_u64() <= Some(320), "{page} is {wide} wide with {name:?}");
            assert_eq!(browser.run(TALL, Vec::new()).await, json!([]), "{page} with {name:?}");
        }
        browser.look(Looks::DESKTOP).await;
        browser.take(&format!("Account menu: {name}"), "Sign out").await;
        browser.find("heading", "Sign in").await;
    }
}

#[tokio::test]
async fn hostile_names_are_text_in_dialogs_and_messages() {
    let stage = Stage::new();
    let browser = stage.signed_in(crate::stage::OWNER, Scripts::On).await;
    for (_, name) in names() {
        stage.key(&name, None);
        browser.visit("/orgs/acme/keys").await;
        for entry in ["Edit", "Delete"] {
            browser.take(&format!("Actions for {name}"), entry).await;
            browser.find("dialog", "").await;
            is_text(&browser, entry, &name).await;
            browser.act("Cancel").await;
            browser.gone("dialog", "").await;
        }
        browser.fill("Search keys", &name).await;
        // The address follows once the list is the answer.
        browser.comes_to("q=").await;
        browser.find("button", &format!("Actions for {name}")).await;
        browser.take(&format!("Actions for {name}"), "Delete").await;
        browser.press("Delete key").await;
        browser.sees("Revoked on").await;
        is_text(&browser, "the notice", "").await;
    }
}

/// The name is shown as it is written, nothing was made of it, and the browser complains of nothing.
async fn is_text(browser: &Browser, page: &str, name: &str) {
    let shown = browser.run("return document.documentElement.textContent + [...document.querySelectorAll('input')].map((each) => each.value).join(' ')", Vec::new()).await;
    assert!(shown.as_str().unwrap().contains(name), "{page} does not show {name:?}");
    let foreign = browser.run(FOREIGN, Vec::new()).await;
    assert_eq!(foreign, json!([]), "{page} with {name:?}");
    assert_eq!(browser.complaints().await, Vec::<String>::new(), "{page} with {name:?}");
}
