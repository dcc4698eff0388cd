//! What a good key opens and what it does not, and that a refusal does not tell what exists (G6).

use serde_json::json;

use crate::support::management::for_agent;
use crate::support::{Request, Response, Scene, Settings, Upstream};

fn routes(settings: &mut Settings) {
    settings
        .route("path: /organization, upstream: echo")
        .route("path: /runs, agent: \"{query.agent_id}\", upstream: echo")
        .route("path: /by-field, agent: \"{header.x-agent}\", upstream: echo")
        .route("host: \"*.agents.test\", path: \"/{*rest}\", agent: \"{host}\", upstream: echo")
        .route("path: /only-echo, agent: echo, upstream: echo")
        .route("path: /read-only, methods: [GET], upstream: echo");
}

/// The scene and a key for its agent `echo`.
fn scene() -> (Scene, String) {
    let mut scene = Scene::with(Upstream::echo(), routes);
    let management = scene.management();
    management.organization("foreign", json!({}));
    management.agent("foreign", "theirs");
    let key = management.key("acme", for_agent("echo"));
    (scene, key.secret)
}

fn without_id(response: &Response) -> String {
    response.text().replace(response.field("x-request-id").unwrap(), "")
}

#[test]
fn an_agents_key_opens_that_agent_and_nothing_else() {
    let (scene, secret) = scene();
    let get = |target: &str| Request::get(target).key(&secret);
    for allowed in [
        get("/agents/echo/x"),
        get("/runs?agent_id=echo"),
        get("/by-field").field("x-agent", "echo"),
        get("/only-echo"),
    ] {
        assert_eq!(scene.exchange(&allowed).status, 200, "{allowed:?}");
    }
    let passed = scene.upstream.seen().len();
    for refused in [
        get("/agents/clock/x"),
        get("/runs?agent_id=clock"),
        get("/runs"),
        get("/runs?agent_id=echo&agent_id=clock"),
        get("/runs?agent_id=clock&agent_id=echo"),
        get("/by-field"),
        get("/by-field").field("x-agent", "clock"),
        get("/by-field").field("x-agent", "echo").field("x-agent", "clock"),
        get("/organization"),
    ] {
        let status = scene.exchange(&refused).status;
        assert!([400, 403].contains(&status), "{refused:?}: {status}");
    }
    assert_eq!(scene.upstream.seen().len(), passed);
}

#[test]
fn another_agent_anothers_agent_and_no_agent_are_refused_alike() {
    let (scene, secret) = scene();
    let answers: Vec<Response> = ["clock", "theirs", "nobody", "NOT-A-SLUG", "a.b"]
        .iter()
        .map(|agent| scene.exchange(&Request::get(&format!("/agents/{agent}/x")).key(&secret)))
        .collect();
    for answer in &answers {
        assert_eq!((answer.status, answer.refusal().as_str()), (403, "access not permitted"));
        assert_eq!(without_id(answer), without_id(&answers[0]));
        assert_eq!(answer.head.raw.len(), answers[0].head.raw.len());
    }
    assert_eq!(scene.upstream.seen().len(), 0);
}

#[test]
fn an_organizations_key_opens_all_its_agents_and_no_others() {
    let (scene, _) = scene();
    let status = |target: &str| scene.exchange(&scene.get(target)).status;
    assert_eq!(status("/agents/echo/x"), 200);
    assert_eq!(status("/agents/clock/x"), 200);
    assert_eq!(status("/organization"), 200);
    assert_eq!(status("/agents/theirs/x"), 403);
    assert_eq!(status("/agents/nobody/x"), 403);
}

#[test]
fn an_agent_may_be_named_by_the_host() {
    let (scene, secret) = scene();
    let status = |host: &str| {
        let mut client = scene.connect();
        client.send(format!("GET /x HTTP/1.1\r\nhost: {host}\r\nx-api-key: {secret}\r\n\r\n"));
        client.response().status
    };
    assert_eq!(status("echo.agents.test"), 200);
    assert_eq!(status("ECHO.agents.TEST:8080"), 200);
    assert_eq!(status("clock.agents.test"), 403);
    assert_eq!(status("theirs.agents.test"), 403);
    assert_eq!(status("echo.elsewhere.test"), 404);
}

#[test]
fn a_read_only_key_passes_only_methods_that_change_nothing() {
    let (mut scene, _) = scene();
    let secret = scene.management().key("acme", json!({"access": "read"})).secret;
    for (method, status) in [
        ("GET", 200),
        ("HEAD", 200),
        ("OPTIONS", 200),
        ("POST", 403),
        ("PUT", 403),
        ("PATCH", 403),
        ("DELETE", 403),
        ("PROPFIND", 403),
        ("get", 403),
    ] {
        let response = scene.exchange(&Request::new(method, "/agents/echo/x").key(&secret));
        assert_eq!(response.status, status, "{method}");
    }
    assert_eq!(scene.upstream.seen().len(), 3);
}

#[test]
fn a_route_that_is_not_there_is_told_only_to_who_has_a_key() {
    let (scene, secret) = scene();
    let with_key = scene.exchange(&Request::get("/nowhere").key(&secret));
    assert_eq!((with_key.status, with_key.refusal().as_str()), (404, "not found"));
    assert_eq!(scene.exchange(&Request::get("/nowhere")).status, 401);
}

#[test]
fn a_method_that_the_route_does_not_have_is_405_with_those_it_has() {
    let (scene, _) = scene();
    let refused = scene.exchange(&scene.post("/read-only", "x"));
    assert_eq!((refused.status, refused.refusal().as_str()), (405, "method not allowed"));
    assert!(refused.field("allow").is_some_and(|allowed| allowed.contains("GET")), "{:?}", refused.head);
    assert_eq!(scene.exchange(&scene.get("/read-only")).status, 200);
    assert_eq!(scene.exchange(&Request::post("/read-only", "x")).status, 401);
}

#[test]
fn keys_of_a_deleted_agent_are_refused_from_then_on() {
    let (mut scene, secret) = scene();
    let request = Request::get("/agents/echo/x").key(&secret);
    let mut kept = scene.connect();
    assert_eq!(kept.exchange(&request).status, 200);
    let answer = scene.management().expect(200, "DELETE", "/organizations/acme/agents/echo", None);
    assert_eq!(answer["revocation"]["state"], "complete", "{answer}");
    assert_eq!(kept.exchange(&request).status, 401);
    assert_eq!(scene.exchange(&scene.get("/agents/echo/x")).status, 403, "the agent is gone for all");
    assert_eq!(scene.exchange(&scene.get("/agents/clock/x")).status, 200);
}

#[test]
fn an_agent_created_later_opens_to_keys_that_were_there_before() {
    let (mut scene, _) = scene();
    assert_eq!(scene.exchange(&scene.get("/agents/later/x")).status, 403);
    scene.management().agent("acme", "later");
    assert_eq!(scene.exchange(&scene.get("/agents/later/x")).status, 200);
}

#[test]
fn a_second_agent_in_another_spelling_is_refused() {
    let mut scene = Scene::with(Upstream::echo(), |settings| {
        settings
            .route("path: /by-query, agent: \"{query.agent_id}\", upstream: echo")
            .route("path: /by-header, agent: \"{header.X-Agent}\", upstream: echo");
    });
    scene.management().agent("acme", "other");
    let by_query = |query: &str| scene.exchange(&scene.get(&format!("/by-query?{query}"))).status;
    assert_eq!(by_query("agent_id=echo"), 200);
    assert_eq!(by_query("agent_id=echo&agent_id=other"), 403);
    assert_eq!(by_query("agent_id=echo&agent%5Fid=other"), 403);
    let by_header = |more: &[(&str, &str)]| {
        let request =
            more.iter().fold(scene.get("/by-header"), |request, (name, value)| request.field(name, value));
        scene.exchange(&request).status
    };
    assert_eq!(by_header(&[("x-agent", "echo")]), 200);
    assert_eq!(by_header(&[("x-agent", "echo"), ("x_agent", "other")]), 403);
}
