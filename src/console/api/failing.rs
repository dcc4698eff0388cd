//! A database that fails in the middle of changes: nothing is half made, and it works again when the cause is gone.

use std::sync::Arc;

use axum::body::Body;
use http::{Request, StatusCode};
use tower::ServiceExt;

use crate::config::DatabaseUrl;
use crate::console::operations::{
    Caller, InForce, NewOrganization, Operations, Rules, SessionRules, create_token,
};
use crate::console::{Shared, Site};
use crate::domain::clock::Clock;
use crate::domain::limit::Limits;
use crate::domain::secret::SecretFormat;
use crate::keytable::KeyTable;
use crate::limits::Limiter;
use crate::store::Database;

struct Console {
    database: Database,
    keys: Arc<KeyTable>,
    router: axum::Router,
    token: String,
    _folder: tempfile::TempDir,
}

async fn console() -> Console {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::Sqlite(folder.path().join("keystile.db"));
    let database = Database::open(&url, Clock::system()).await.unwrap();
    let keys = Arc::new(KeyTable::new(Limits::default()));
    let caller = Caller::operator("test");
    let token = create_token(&database, &caller, None).await.unwrap().expose().to_owned();
    let (limiter, _) = Limiter::new();
    let day = std::time::Duration::from_secs(24 * 60 * 60);
    let rules = Rules {
        key_format: SecretFormat::keys(),
        keys_per_organization: 1_000,
        sessions: SessionRules { idle_timeout: day, lifetime: day },
        people_may_sign_in: true,
    };
    let operations =
        Operations::new(database.clone(), InForce::here(Arc::clone(&keys), limiter), Clock::system(), rules);
    let (slug, name) = ("acme".parse().unwrap(), "Acme".parse().unwrap());
    let acme = NewOrganization { slug, name, time_zone: None, limits: None };
    operations.create_organization(&caller, acme).await.unwrap();
    let site = Site {
        openid: None,
        public_url: "https://keys.example.com".to_owned(),
        gateway_url: "https://api.example.com".to_owned(),
        routes: arc_swap::ArcSwap::default(),
        trusted_proxies: Vec::new(),
    };
    let router = super::router(&site).with_state(Shared { operations, site: Arc::new(site) });
    Console { database, keys, router, token, _folder: folder }
}

impl Console {
    async fn create_key(&self) -> StatusCode {
        let body = r#"{"name":"k","scope":{"type":"organization"}}"#;
        let request = Request::post("/api/v1/organizations/acme/keys")
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json");
        self.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap().status()
    }
}

#[tokio::test]
async fn on_a_full_disk_a_creation_is_507_nothing_is_half_made_and_room_makes_it_work_again() {
    let console = console().await;
    let pages = console.database.count("PRAGMA page_count").await;
    console.database.execute_on_writer(&format!("PRAGMA max_page_count = {}", pages + 1)).await;
    let mut made = 0;
    let refused = loop {
        match console.create_key().await {
            StatusCode::CREATED => made += 1,
            other => break other,
        }
        assert!(made < 1_000, "the disk never filled");
    };
    assert_eq!(refused, StatusCode::INSUFFICIENT_STORAGE);
    // The connection that met the full disk is gone, and with it the bound: the disk is as full for the next one.
    console.database.execute_on_writer(&format!("PRAGMA max_page_count = {}", pages + 1)).await;
    assert_eq!(console.create_key().await, StatusCode::INSUFFICIENT_STORAGE);
    assert_eq!((console.keys.len(), console.database.count("SELECT COUNT(*) FROM keys").await), (made, made));
    console.database.execute_on_writer("PRAGMA max_page_count = 1000000").await;
    assert_eq!(console.create_key().await, StatusCode::CREATED);
    let created = "SELECT COUNT(*) FROM changes WHERE kind = 'key.created'";
    assert_eq!((console.keys.len(), console.database.count(created).await), (made + 1, made + 1));
    // The token's and the organization's rows come before the keys'.
    assert_eq!(console.database.count("SELECT MAX(seq) FROM changes").await, made + 3);
}

#[tokio::test]
async fn while_somebody_else_holds_the_write_lock_a_creation_is_503_and_nothing_is_made() {
    let console = console().await;
    console.database.execute_on_writer("PRAGMA busy_timeout = 0").await;
    let lock = console.database.counters().begin().await.unwrap();
    assert_eq!(console.create_key().await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(console.keys.len(), 0);
    lock.commit().await.unwrap();
    assert_eq!(console.create_key().await, StatusCode::CREATED);
    assert_eq!(console.keys.len(), 1);
}
