//! What a line of the access log holds, and what it cannot be made to hold.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::denial::Denial;
use crate::domain::id::{KeyId, OrganizationId};
use crate::domain::principal::Principal;
use crate::domain::scope::Scope;
use crate::domain::secret::{SecretFormat, SystemRandomness};
use crate::telemetry::samples::settled;
use crate::telemetry::settled::{End, RouteLabel};

fn line(settled: &Settled<'_>) -> String {
    let mut out = Vec::new();
    LineFormat::new(Redaction::of(&[SecretFormat::keys()])).write(settled, &mut out);
    String::from_utf8(out).unwrap()
}

fn parsed(settled: &Settled<'_>) -> Value {
    serde_json::from_str(&line(settled)).unwrap()
}

#[test]
fn a_line_tells_all_of_a_request_that_passed() {
    let key = KeyId::generate();
    let organization = OrganizationId::generate();
    let line = parsed(&Settled {
        principal: Some(Principal { key, organization, scope: Scope::Organization }),
        organization: Some("acme"),
        agent: Some("echo"),
        route: Some(RouteLabel { index: 2, label: "/agents/{agent}/{*rest}" }),
        upstream: Some("echo"),
        ..settled()
    });
    let expected = json!({
        "time": "2025-11-23T12:02:31.007Z",
        "requestId": "r-1",
        "keyId": key.to_string(),
        "organization": "acme",
        "agent": "echo",
        "route": "/agents/{agent}/{*rest}",
        "upstream": "echo",
        "method": "GET",
        "path": "/agents/echo/run",
        "status": 200,
        "bytesIn": 10,
        "bytesOut": 20,
        "durationMs": 12.345,
        "overheadMs": 0.015,
        "upstreamMs": 11.0,
        "client": "127.0.0.1",
        "end": "complete",
        "denial": null,
    });
    assert_eq!(line, expected);
}

#[test]
fn a_refusal_has_its_reason_and_every_field_that_is_absent_is_null() {
    let refused = Settled {
        denial: Some(Denial::UnknownKey),
        status: 0,
        upstream_ns: None,
        end: End::ClientGone,
        ..settled()
    };
    let line = parsed(&refused);
    assert_eq!(line["denial"], "unknown_key");
    assert_eq!(line["end"], "client_gone");
    for field in ["keyId", "organization", "agent", "route", "upstream", "status", "upstreamMs"] {
        assert_eq!(line[field], Value::Null, "{field}");
    }
    assert_eq!(line.as_object().unwrap().len(), 18);
}

#[test]
fn a_query_is_never_written() {
    for path in [&b"/run?api_key=hidden"[..], b"/run#hidden", b"/run?a?hidden"] {
        let line = parsed(&Settled { path, ..settled() });
        assert_eq!(line["path"], "/run");
    }
}

#[test]
fn a_secret_is_redacted_in_whatever_field_it_came() {
    let secret = SecretFormat::keys().generate(&mut SystemRandomness).unwrap();
    let path = format!("/a/{}/b", secret.expose());
    let text = line(&Settled {
        path: path.as_bytes(),
        method: secret.expose(),
        request_id: secret.expose(),
        agent: Some(secret.expose()),
        ..settled()
    });
    assert!(!text.contains(&secret.expose()[3..]), "{text}");
    assert_eq!(text.matches("[redacted]").count(), 4, "{text}");
    assert!(text.contains("/a/[redacted]/b"), "{text}");
}

#[test]
fn what_is_not_utf_8_becomes_the_replacement_character() {
    let line = parsed(&Settled { path: b"/a\xff\xfeb\xe2\x82", ..settled() });
    assert_eq!(line["path"], "/a\u{FFFD}\u{FFFD}b\u{FFFD}");
}

#[test]
fn addresses_of_both_families_are_written_in_full() {
    for address in ["0.0.0.0", "203.0.113.255", "2001:db8::1", "::ffff:10.0.0.1"] {
        let line = parsed(&Settled { client: address.parse().unwrap(), ..settled() });
        assert_eq!(line["client"], address);
    }
}

#[test]
fn the_text_of_a_second_is_not_used_for_the_next() {
    let mut format = LineFormat::new(Redaction::of(&[]));
    let mut times = Vec::new();
    for unix in [0, 999, 1000, 1_763_899_351_007, 1000] {
        let mut out = Vec::new();
        format.write_time(UnixMillis(unix), &mut out);
        times.push((UnixMillis(unix).to_rfc3339(), String::from_utf8(out).unwrap()));
    }
    for (expected, written) in times {
        assert_eq!(written, expected);
    }
}

proptest! {
    #[test]
    fn a_line_is_one_json_object_whatever_the_client_sent(
        path in proptest::collection::vec(any::<u8>(), 0..200),
        method in ".*",
        request_id in ".*",
        agent in proptest::option::of(".*"),
        status in any::<u16>(),
        overhead_ns in any::<u64>(),
    ) {
        let text = line(&Settled {
            path: &path, method: &method, request_id: &request_id, agent: agent.as_deref(), status, overhead_ns,
            ..settled()
        });
        prop_assert_eq!(text.find('\n'), Some(text.len() - 1));
        prop_assert!(!text.trim_end().chars().any(char::is_control));
        let value: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(value["method"].as_str(), Some(method.as_str()));
        prop_assert_eq!(value["agent"].as_str(), agent.as_deref());
        prop_assert_eq!(value.as_object().map(serde_json::Map::len), Some(18));
    }

    #[test]
    fn a_path_that_is_utf_8_is_read_back_as_it_was(path in "/[^?#]{0,100}") {
        // What is percent-encoded may be a secret in disguise only if it is long: these are not.
        let line = parsed(&Settled { path: path.as_bytes(), ..settled() });
        prop_assert_eq!(line["path"].as_str(), Some(path.as_str()));
    }
}
