//! No secret leaves the answer to its creation: not to disk, not to a log, not to a metric (G4).

use std::path::Path;

use serde_json::json;

use crate::support::{Request, Scene, Upstream, eventually};

/// Every spelling in which a secret could have been written down.
fn spellings(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let utf16: Vec<u8> = secret.bytes().flat_map(|byte| [byte, 0]).collect();
    let reversed: Vec<u8> = secret.bytes().rev().collect();
    let mut all = vec![
        ("plain", secret.as_bytes().to_vec()),
        ("the random part", secret.as_bytes()[3..46].to_vec()),
        ("half of it", secret.as_bytes()[3..28].to_vec()),
        ("lower case", secret.to_lowercase().into_bytes()),
        ("hex", hex.to_uppercase().into_bytes()),
        ("hex", hex.into_bytes()),
        ("UTF-16", utf16),
        ("reversed", reversed),
    ];
    // Whatever stands before it shifts base64 by one or two bytes; the characters at the ends depend on neighbours.
    for shift in 0..3 {
        let shifted = [vec![0; shift], secret.as_bytes().to_vec()].concat();
        let encoded = base64(&shifted);
        all.push(("base64", encoded.as_bytes()[4..encoded.len() - 4].to_vec()));
    }
    all
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits =
            three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..=three.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
    text
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

/// Every file below `folder`.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    found
}

/// Presents `secret` in every place where it belongs and in many where it does not.
fn use_everywhere(scene: &Scene, secret: &str) {
    let bearer = format!("Bearer {secret}");
    for request in [
        Request::get("/agents/echo/x").key(secret),
        Request::get("/agents/echo/x").field("authorization", &bearer),
        Request::get("/agents/echo/x").field("authorization", &format!("Basic {secret}")),
        Request::get(&format!("/agents/echo/x?api_key={secret}")),
        Request::get(&format!("/agents/echo/x?other={secret}")).key(secret),
        Request::get(&format!("/hooks/x?api_key={secret}")),
        Request::get(&format!("/hooks/x?api_key={secret}&api_key={secret}")),
        Request::get(&format!("/agents/echo/{secret}")).key(secret),
        Request::get(&format!("/agents/{secret}/x")).key(secret),
        Request::get(&format!("/nowhere/{secret}")),
        Request::get("/agents/echo/x").key(&format!("{secret}, {secret}")),
        Request::get("/agents/echo/x").key(secret).field("host", secret),
        Request::get("/agents/echo/x").field("x-request-id", secret).key(secret),
        Request::get("/agents/nobody/x").key(secret),
        Request::get("/status").key(secret),
    ] {
        let mut client = scene.connect();
        client.send(request.bytes());
        if let Ok(response) = client.try_response_to("GET") {
            let whole = [response.head.raw.as_slice(), &response.body].concat();
            let echoed = response.status == 200;
            assert!(echoed || !holds(&whole, secret.as_bytes()), "{request:?} shows it: {}", response.text());
        }
    }
    let mut malformed = scene.connect();
    malformed.send(format!("GET /x HTTP/1.1\r\n{secret}\r\nx-api-key: {secret}\r\n\r\n"));
    assert_eq!(malformed.response().status, 400);
}

#[test]
fn a_secret_is_written_down_nowhere_in_no_encoding() {
    let mut scene = Scene::with(Upstream::echo(), |settings| {
        settings
            .section("access_log: { file: access.log }")
            .route(r#"path: "/hooks/{*rest}", upstream: echo, credentials: [query.api_key]"#)
            .route("path: /status, access: public, upstream: echo");
    });
    let management = scene.management();
    let deleted = management.key("acme", json!({"name": "deleted"}));
    let canaries = [scene.key.secret.clone(), deleted.secret.clone()];
    for secret in &canaries {
        use_everywhere(&scene, secret);
    }
    management.change(&scene.key, json!({"name": "renamed"}));
    management.delete(&deleted);
    use_everywhere(&scene, &deleted.secret);
    management.get("/organizations/acme/keys");
    management.usage(&scene.key);
    eventually("requests are counted", || scene.gateway.metric("keystile_denials_total", &[]) >= 10.0);
    let metrics = scene.gateway.ops("/metrics").body;
    // While it runs, with whatever still stands beside the database, and after it has left.
    let mut places = files(scene.gateway.folder());
    assert!(scene.gateway.stop().success());
    places.extend(files(scene.gateway.folder()));
    places.push((String::from("metrics"), metrics));
    places.push((String::from("standard output and error"), scene.gateway.logs().into_bytes()));
    assert!(places.iter().any(|(name, bytes)| name.ends_with("access.log") && !bytes.is_empty()));
    let token = management.token().to_owned();
    for secret in canaries.iter().chain([&token]) {
        for (place, bytes) in &places {
            for (spelling, needle) in spellings(secret) {
                assert!(!holds(bytes, &needle), "{place} holds a secret: {spelling}");
            }
        }
    }
    for seen in scene.upstream.seen() {
        for secret in &canaries {
            assert!(!holds(&seen.head.raw, secret.as_bytes()), "{}", String::from_utf8_lossy(&seen.head.raw));
        }
    }
}

#[test]
fn the_search_finds_what_is_there() {
    let secret = crate::support::unknown_key();
    let written = format!("x{secret}y");
    for encoded in [written.clone(), base64(written.as_bytes()), base64(format!("x{written}").as_bytes())] {
        let found = spellings(&secret).iter().any(|(_, needle)| holds(encoded.as_bytes(), needle));
        assert!(found, "{encoded}");
    }
}
