//! The usage page of a key: the API's numbers, in words, bars and a table.

use crate::harness::Console;
use crate::pages_visitor::Visitor;
use crate::usage::pass;

async fn limited_key(console: &Console) -> String {
    let body = r#"{"name":"Billing","scope":{"type":"agent","agent":"echo"},
        "limits":{"concurrency":5,"quotas":[{"requests":10,"per":"day"}]}}"#;
    let made = console.post("/organizations/acme/keys", body).await.is(201);
    let secret = made.json["secret"].as_str().unwrap();
    for _ in 0..8 {
        pass(console, secret).await;
    }
    made.json["key"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_page_shows_each_limit_as_the_api_does_and_says_in_words_what_gets_close() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    let key = limited_key(&console).await;
    let told = console.get(&format!("/organizations/acme/keys/{key}/usage")).await.is(200).json;
    let quota =
        told["limits"].as_array().unwrap().iter().find(|limit| limit["kind"] == "quota").unwrap().clone();
    assert_eq!((quota["used"].as_u64(), quota["remaining"].as_u64()), (Some(8), Some(2)));
    let html = owner.get(&format!("/orgs/acme/keys/{key}/usage")).await.is(200).html();
    for words in ["Usage of <bdi>Billing</bdi>", "of 10", "80 % used", "2 left", "In flight", "of 5"] {
        assert!(html.contains(words), "{words}");
    }
    assert!(html.contains("resets <time datetime=\""), "the instant stands in a time element");
    assert!(html.contains(quota["resetsAt"].as_str().unwrap()));
}

#[tokio::test]
async fn each_span_has_one_bar_a_step_a_table_of_the_same_and_no_text_in_the_picture() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    let key = limited_key(&console).await;
    for (span, bars) in [("1h", 60), ("24h", 24), ("30d", 30), ("nonsense", 24)] {
        let html = owner.get(&format!("/orgs/acme/keys/{key}/usage?span={span}")).await.is(200).html();
        assert_eq!(html.matches("class=\"column\"").count(), bars, "{span}");
        assert_eq!(html.matches("<th scope=\"row\">").count(), bars + 1, "{span}: rows and the sum");
        assert!(!html.contains("<text"), "{span}");
        assert!(!html.contains(" style="), "the page's policy allows no inline style");
        assert_eq!(html.matches("tabindex=\"0\"").count(), 1, "{span}: one stop for the keyboard");
    }
}

#[tokio::test]
async fn an_agent_admin_sees_the_usage_of_keys_of_their_agent_and_of_no_other() {
    let console = Console::with_acme().await;
    let clerk = Visitor::clerk(&console).await;
    let own = limited_key(&console).await;
    let (other, _) = console.key("whole organization").await;
    clerk.get(&format!("/orgs/acme/keys/{own}/usage")).await.is(200);
    clerk.get(&format!("/orgs/acme/keys/{other}/usage")).await.is(404);
}
