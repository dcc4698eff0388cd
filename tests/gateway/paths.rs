//! One canonical form of a path, matched and forwarded alike; what could be read in two ways is refused.

use crate::support::{Scene, Upstream};

fn scene() -> Scene {
    Scene::with(Upstream::echo(), |settings| {
        settings
            .route(r#"path: "/raw/{*rest}", upstream: echo"#)
            .route(r#"path: "/slashes/{*rest}", upstream: echo, encoded_slash: allow"#);
    })
}

#[test]
fn a_path_is_forwarded_in_the_form_that_was_matched() {
    let scene = scene();
    for (sent, forwarded) in [
        ("/raw/a/b", "/raw/a/b"),
        ("/raw/a/", "/raw/a/"),
        ("/raw/", "/raw/"),
        ("/raw/a/./b", "/raw/a/b"),
        ("/raw/a/../b", "/raw/b"),
        ("/raw/a/b/..", "/raw/a/"),
        ("/raw/a/b/.", "/raw/a/b/"),
        ("/other/../raw/a", "/raw/a"),
        ("/raw//a///b", "/raw/a/b"),
        ("//raw/a", "/raw/a"),
        ("/raw/a//../b", "/raw/b"),
        ("/raw/%41%7e%2D", "/raw/A~-"),
        ("/r%61w/a", "/raw/a"),
        ("/raw/caf%c3%a9", "/raw/caf%C3%A9"),
        ("/raw/a%20b", "/raw/a%20b"),
        ("/raw/a%3Fb", "/raw/a%3Fb"),
        ("/raw/Case", "/raw/Case"),
        ("/raw/a...b/...", "/raw/a...b/..."),
        ("/raw/a;b=c,d", "/raw/a;b=c,d"),
        ("/raw/a?b=../c//d&e=%2F%2e", "/raw/a?b=../c//d&e=%2F%2e"),
        ("/raw/a?", "/raw/a?"),
        ("/raw/a??b", "/raw/a??b"),
        ("/agents/echo/a/b?c", "/a/b?c"),
        ("/agents/echo/", "/"),
        ("/agents/clock/../echo/a", "/a"),
        ("/slashes/a%2Fb", "/slashes/a%2Fb"),
        ("/slashes/a%2fb/..", "/slashes/"),
    ] {
        let response = scene.exchange(&scene.get(sent));
        assert_eq!(response.status, 200, "{sent}: {}", response.text());
        assert_eq!(scene.upstream.last().head.word(1), forwarded, "{sent}");
    }
}

#[test]
fn a_path_that_backends_read_in_different_ways_is_refused() {
    let scene = scene();
    for sent in [
        "/raw/a%2Fb",
        "/raw/a%2fb",
        "/raw/a%5Cb",
        "/raw/a%5cb",
        "/raw/a\\b",
        "/raw/..\\b",
        "/raw/a%00b",
        "/raw/%",
        "/raw/%2",
        "/raw/%zz",
        "/raw/%%41",
        "/raw/%u0041",
        "/raw/..;x/b",
        "/raw/.;x/b",
        "/raw/..;/b",
        "/raw/%2e%2e;x/b",
        "/raw/..%3bx/b",
        "/raw/%2e./b",
        "/raw/.%2e/b",
        "/raw/a#b",
        "/raw/caf\u{e9}",
        "/raw/a\u{7f}b",
        "/slashes/..%2Fb",
        "/slashes/a%2F..%2Fb",
    ] {
        let response = scene.exchange(&scene.get(sent));
        assert_eq!((response.status, response.refusal().as_str()), (400, "bad request"), "{sent}");
    }
    assert_eq!(scene.upstream.seen().len(), 0);
}

#[test]
fn an_encoded_control_byte_is_refused_or_passed_on_encoded() {
    let scene = scene();
    for sent in ["/raw/a%0d%0ab", "/raw/a%01b", "/raw/a%7Fb", "/raw/a%09b"] {
        let response = scene.exchange(&scene.get(sent));
        assert!([200, 400].contains(&response.status), "{sent}: {}", response.status);
        assert!(scene.upstream.seen().iter().all(|seen| seen.head.word(1).contains('%')), "{sent}");
    }
}

#[test]
fn encoded_dot_segments_never_reach_the_upstream_and_never_hide_a_path_from_its_route() {
    let scene = scene();
    for sent in
        ["/raw/a/%2e%2e/b", "/raw/a/%2E/b", "/raw/%2e%2e/agents/echo/a", "/agents/clock/%2e%2e/echo/a"]
    {
        let response = scene.exchange(&scene.get(sent));
        assert!([200, 400].contains(&response.status), "{sent}: {}", response.status);
    }
    for seen in scene.upstream.seen() {
        let path = seen.head.word(1).to_ascii_lowercase();
        assert!(["/raw/b", "/raw/a/b", "/a"].contains(&path.as_str()), "{path}");
    }
}

#[test]
fn dot_segments_above_the_root_do_not_climb() {
    let scene = scene();
    for sent in ["/../../../raw/a", "/raw/../../etc/passwd", "/raw/../.."] {
        let response = scene.exchange(&scene.get(sent));
        assert!([200, 400, 404].contains(&response.status), "{sent}: {}", response.status);
    }
    assert!(scene.upstream.seen().iter().all(|seen| seen.head.word(1) == "/raw/a"));
}

#[test]
fn an_agent_cannot_be_left_by_dot_segments() {
    let mut scene = scene();
    let clock = scene.management().key("acme", crate::support::management::for_agent("clock"));
    for sent in ["/agents/clock/../echo/a", "/agents/clock/%2e%2e/echo/a", "/agents/clock/..;/echo/a"] {
        let response = scene.exchange(&crate::support::Request::get(sent).key(&clock.secret));
        assert!([400, 403].contains(&response.status), "{sent}: {}", response.status);
    }
    assert_eq!(scene.upstream.seen().len(), 0);
}
