//! What a change leaves behind: its record, its audit row, its outbox row, and never a secret.

use std::path::Path;

use crate::harness::Console;

/// Everything that the API can change, once.
async fn everything(console: &Console) -> Vec<&'static str> {
    let (one, _) = console.key("one").await;
    console.key("two").await;
    let key = format!("/organizations/acme/keys/{one}");
    console.patch(&key, r#"{"name":"uno"}"#).await.is(200);
    console.patch("/organizations/acme/agents/echo", r#"{"name":"E"}"#).await.is(200);
    console.patch("/organizations/acme", r#"{"name":"A"}"#).await.is(200);
    console.delete(&key).await.is(200);
    console.delete("/organizations/acme/agents/echo").await.is(200);
    console.delete("/organizations/acme").await.is(200);
    vec![
        "token.created",
        "organization.created",
        "agent.created",
        "key.created",
        "key.created",
        "key.changed",
        "agent.changed",
        "organization.changed",
        "key.deleted",
        "agent.deleted",
        "key.deleted",
        "organization.deleted",
    ]
}

#[tokio::test]
async fn every_change_writes_its_outbox_row_and_its_audit_row_in_order_and_without_gaps() {
    let console = Console::with_acme().await;
    let expected = everything(&console).await;
    let outbox: Vec<(i64, String, String)> =
        sqlx::query_as("SELECT seq, kind, subject FROM changes ORDER BY seq")
            .fetch_all(&console.tables)
            .await
            .unwrap();
    let kinds: Vec<&str> = outbox.iter().map(|(_, kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, expected);
    assert!(outbox.iter().map(|(seq, ..)| *seq).eq(1..=i64::try_from(outbox.len()).unwrap()));
    let audit: Vec<(String, String, String, Option<String>, i64)> =
        sqlx::query_as("SELECT action, subject, actor, organization_id, at FROM audit ORDER BY id")
            .fetch_all(&console.tables)
            .await
            .unwrap();
    assert_eq!(audit.len(), outbox.len());
    for ((_, kind, subject), (action, audited, actor, organization, at)) in outbox.iter().zip(&audit) {
        assert_eq!((kind, subject), (action, audited));
        assert!(*at > 1_700_000_000_000);
        let by_token = kind != "token.created";
        assert_eq!(organization.is_some(), by_token);
        assert_eq!(actor.starts_with("ksm_…"), by_token);
    }
}

#[tokio::test]
async fn a_refused_change_writes_nothing() {
    let console = Console::with_acme().await;
    let (changes, audit) = (console.count("changes").await, console.count("audit").await);
    console.post("/organizations", r#"{"slug":"acme","name":"x"}"#).await.is_problem(409);
    let body = r#"{"name":"k","scope":{"type":"agent","agent":"nobody"}}"#;
    console.post("/organizations/acme/keys", body).await.is_problem(422);
    console.delete("/organizations/nobody").await.is_problem(404);
    assert_eq!((console.count("changes").await, console.count("audit").await), (changes, audit));
    // The number that the refused one would have had is given to the next.
    console.key("k").await;
    let last: i64 =
        sqlx::query_scalar("SELECT MAX(seq) FROM changes").fetch_one(&console.tables).await.unwrap();
    assert_eq!(last, changes + 1);
}

#[tokio::test]
async fn the_database_files_hold_no_secret_in_any_encoding() {
    let console = Console::with_acme().await;
    let (id, secret) = console.key("canary").await;
    console.patch(&format!("/organizations/acme/keys/{id}"), r#"{"disabled":true}"#).await.is(200);
    let token = console.token.clone();
    for planted in [secret.as_str(), token.as_str()] {
        // The hint shows the last four characters; everything else may appear nowhere.
        let random = &planted[planted.find('_').unwrap() + 1..planted.len() - 4];
        for needle in encodings(random.as_bytes()) {
            assert!(!found_in(console.folder.path(), &needle), "{}", String::from_utf8_lossy(&needle));
        }
    }
    assert!(found_in(console.folder.path(), b"canary"), "the search would find what is there");
}

fn found_in(folder: &Path, needle: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}

/// Plain, reversed, hex, UTF-16, and base64 at each of its three alignments.
fn encodings(bytes: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let wide = bytes.iter().flat_map(|byte| [*byte, 0]).collect();
    let mut encoded = vec![
        bytes[..16].to_vec(),
        bytes[16..32].to_vec(),
        bytes.iter().rev().copied().collect(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
        wide,
    ];
    encoded.extend((0..3).map(|skipped| base64(&bytes[skipped..])));
    encoded
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let whole = bytes.chunks_exact(3).map(|three| u32::from_be_bytes([0, three[0], three[1], three[2]]));
    whole.flat_map(|bits| [18, 12, 6, 0].map(|shift| ALPHABET[(bits >> shift & 63) as usize])).collect()
}
