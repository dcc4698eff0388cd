//! The gateways, as operators are shown them by the API, on the page and by the command; and nobody else.

use crate::harness::Console;
use crate::pages_visitor::Visitor;

#[tokio::test]
async fn without_a_fleet_operators_see_the_gateway_of_this_process_and_that_there_is_no_fleet() {
    let console = Console::start().await;
    let seen = console.get("/gateways").await.is(200).json;
    assert_eq!((seen["feed"].is_null(), &seen["gateways"], &seen["serving"]), (true, &1.into(), &1.into()));
    assert_eq!(seen["version"], env!("CARGO_PKG_VERSION"));
    let items = seen["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["state"]), (1, &"serving".into()));
    assert_eq!(items[0]["version"], seen["version"]);

    let root = Visitor::operator(&console).await;
    let page = root.get("/gateways").await.is(200).html();
    assert!(page.contains("There is no fleet") && page.contains("https://api.example.com"), "{page}");
    assert!(page.contains("<a href=\"/gateways\" aria-current=\"page\">Gateways</a>"), "{page}");
}

#[tokio::test]
async fn to_everybody_but_operators_the_page_is_not_there_and_no_menu_leads_to_it() {
    let console = Console::with_acme().await;
    for visitor in [Visitor::owner(&console).await, Visitor::clerk(&console).await] {
        let there = visitor.get("/gateways").await.is(404).html();
        assert!(there.contains("Page not found"));
        assert!(!visitor.get("/orgs/acme/keys").await.is(200).html().contains("/gateways"));
    }
    let stranger = Visitor::stranger(&console).get("/gateways").await.is(303);
    assert!(stranger.header("location").starts_with("/sign-in"));
}
