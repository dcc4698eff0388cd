//! The list of keys: searched, sorted and filtered by its address, with the cap told before the click.

use crate::harness::{CAP, Console};
use crate::pages_visitor::Visitor;

/// The names of the rows, in their order.
async fn names(visitor: &Visitor<'_>, query: &str) -> Vec<String> {
    let html = visitor.get(&format!("/orgs/acme/keys{query}")).await.is(200).html();
    let rows = html.split("aria-label=\"Actions for ").skip(1);
    rows.map(|row| row.split('"').next().unwrap().to_owned()).collect()
}

async fn agent_key(console: &Console, name: &str) {
    let body = format!(r#"{{"name":"{name}","scope":{{"type":"agent","agent":"echo"}}}}"#);
    console.post("/organizations/acme/keys", &body).await.is(201);
}

#[tokio::test]
async fn the_list_is_searched_sorted_and_filtered_by_its_address_alone() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    let (_, secret) = console.key("beta").await;
    console.key("Alpha").await;
    agent_key(&console, "gamma").await;
    assert_eq!(names(&owner, "").await, ["gamma", "Alpha", "beta"], "newest first");
    assert_eq!(names(&owner, "?sort=name").await, ["Alpha", "beta", "gamma"]);
    assert_eq!(names(&owner, "?sort=-name").await, ["gamma", "beta", "Alpha"]);
    assert_eq!(names(&owner, "?sort=created").await, ["beta", "Alpha", "gamma"]);
    assert_eq!(names(&owner, "?scope=agent").await, ["gamma"]);
    assert_eq!(names(&owner, "?scope=organization&sort=name").await, ["Alpha", "beta"]);
    assert_eq!(names(&owner, "?q=ALPH").await, ["Alpha"]);
    assert_eq!(names(&owner, &format!("?q={}", &secret[secret.len() - 4..])).await, ["beta"]);
    assert_eq!(names(&owner, "?q=nothing-like-it").await, Vec::<String>::new());
    assert_eq!(
        names(&owner, "?sort=secret&scope=all&page=%FF").await.len(),
        3,
        "what does not read is not there"
    );
}

#[tokio::test]
async fn an_empty_list_says_what_a_key_is_for_and_a_search_without_a_hit_says_so() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    let empty = owner.get("/orgs/acme/keys").await.html();
    assert!(empty.contains("No keys yet") && empty.contains("New API Key") && empty.contains("0 of 10 keys"));
    console.key("one").await;
    assert!(owner.get("/orgs/acme/keys?q=two").await.html().contains("No key matches"));
}

#[tokio::test]
async fn at_the_cap_the_button_is_off_before_the_click_and_says_what_to_do() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    for at in 0..CAP {
        assert!(owner.get("/orgs/acme/keys").await.html().contains("href=\"/orgs/acme/keys/new\""));
        console.key(&format!("key {at}")).await;
    }
    let html = owner.get("/orgs/acme/keys").await.html();
    assert!(html.contains("10 of 10 keys"));
    assert!(html.contains(
        "<button class=\"button primary\" disabled aria-describedby=\"cap-why\">New API Key</button>"
    ));
    assert!(html.contains("Delete one that nothing uses to make room"));
    assert!(!html.contains("href=\"/orgs/acme/keys/new\""));
    let dialog = owner.get("/orgs/acme/keys/new").await.is(200).html();
    assert!(
        dialog.contains("Delete one")
            && !dialog.contains("<form method=\"post\" action=\"/orgs/acme/keys/new\"")
    );
    let sent = [("once", "x"), ("name", "one more"), ("scope", "organization")];
    owner.send_form("/orgs/acme/keys/new", &sent).await.is(409);
    assert_eq!(console.count("keys").await, i64::from(CAP));
}

#[tokio::test]
async fn a_key_says_its_state_in_words() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    let (id, _) = console.key("k").await;
    let list = owner.get("/orgs/acme/keys").await.html();
    assert!(list.contains(">Active<") && list.contains("Never used"));
    console.patch(&format!("/organizations/acme/keys/{id}"), r#"{"disabled":true}"#).await.is(200);
    assert!(owner.get("/orgs/acme/keys").await.html().contains(">Disabled<"));
}

#[tokio::test]
async fn hostile_names_are_text_wherever_they_stand() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    for name in [
        "<script>alert(1)</script>",
        "\\\"><img src=x onerror=alert(1)>",
        "'onfocus='x",
        "=cmd|' /C calc'!A0",
    ] {
        let (id, _) = console.key(name).await;
        for page in ["", "/new", &format!("/{id}/edit"), &format!("/{id}/delete")] {
            let html = owner.get(&format!("/orgs/acme/keys{page}")).await.is(200).html();
            for raw in ["<script>alert", "<img src=x", "\"><img", "'onfocus='"] {
                assert!(!html.contains(raw), "{raw} in {page}");
            }
        }
    }
    assert!(owner.get("/orgs/acme/keys").await.html().contains("&#60;script&#62;alert(1)"));
}

#[tokio::test]
async fn an_agent_is_called_by_its_name_and_found_by_name_and_slug() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    console.post("/organizations/acme/agents", r#"{"slug":"pay","name":"Payouts <1>"}"#).await.is(201);
    let body = r#"{"name":"k","scope":{"type":"agent","agent":"pay"}}"#;
    let made = console.post("/organizations/acme/keys", body).await.is(201);
    let key = made.json["key"]["id"].as_str().unwrap();
    for page in ["".to_owned(), format!("/{key}/edit"), format!("/{key}/usage")] {
        let html = owner.get(&format!("/orgs/acme/keys{page}")).await.is(200).html();
        assert!(html.contains("title=\"Payouts &#60;1&#62; (pay)\""), "{page}");
        assert!(html.contains("<bdi>Payouts &#60;1&#62;</bdi>"), "{page}");
    }
    let dialog = owner.get("/orgs/acme/keys/new").await.is(200).html();
    assert!(dialog.contains("<option value=\"pay\">Payouts &#60;1&#62; (pay)</option>"));
    console.key("other").await;
    assert_eq!(names(&owner, "?q=payouts").await, ["k"]);
    assert_eq!(names(&owner, "?q=pay").await, ["k"]);
}

#[tokio::test]
async fn an_agent_admin_sees_and_makes_keys_of_own_agents_only() {
    let console = Console::with_acme().await;
    let clerk = Visitor::clerk(&console).await;
    console.key("of all").await;
    agent_key(&console, "of echo").await;
    assert_eq!(names(&clerk, "").await, ["of echo"]);
    let list = clerk.get("/orgs/acme/keys").await.html();
    assert!(!list.contains("/orgs/acme/members") && !list.contains("of all"));
    let dialog = clerk.get("/orgs/acme/keys/new").await.is(200).html();
    assert!(!dialog.contains("value=\"organization\""), "offered to an agent admin");
    assert!(dialog.contains("<option value=\"echo\""));
    let refused = clerk.make_key(&[("name", "k"), ("scope", "organization")]).await;
    assert!(refused.status.is_client_error(), "{}", refused.status);
    assert_eq!(console.count("keys").await, 2);
}

#[tokio::test]
async fn a_link_from_elsewhere_cannot_make_a_page_say_that_something_was_done() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    let address = "/orgs/acme/keys?done=revoked&confirmed=1&gateways=1&ms=3";
    assert!(owner.get(address).await.is(200).html().contains("Revoked on 1 of 1"));
    for site in ["cross-site", "same-site", "none"] {
        let request = http::Request::get(address).header("sec-fetch-site", site);
        let html = owner.send(request, String::new()).await.is(200).html();
        assert!(!html.contains("Revoked on"), "{site}");
    }
}

#[tokio::test]
async fn an_agent_admin_is_told_how_many_keys_they_know_of_and_not_that_the_rest_is_free() {
    let console = Console::with_acme().await;
    let clerk = Visitor::clerk(&console).await;
    console.key("of everybody").await;
    clerk.make_key(&[("name", "own"), ("scope", "agent"), ("agent", "echo")]).await.is(200);
    let html = clerk.get("/orgs/acme/keys").await.is(200).html();
    assert!(html.contains("1 key of your agents; the organization may have 10"), "{html}");
    assert!(!html.contains("class=\"pips"), "pips count what the person may not know of");
}
