//! A console in this process, and requests to it that read like sentences.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::{Body, Bytes};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use keystile::config::DatabaseUrl;
use keystile::console;
use keystile::console::operations::{Caller, InForce, Operations, Rules, SessionRules, create_token};
use keystile::domain::clock::Clock;
use keystile::domain::limit::Limits;
use keystile::domain::secret::{SecretFormat, SecretHash};
use keystile::keytable::{KeyEntry, KeyTable};
use keystile::limits::Limiter;
use keystile::store::{Database, LocalLedger};
use serde_json::Value;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::oneshot;
use tower::ServiceExt;

/// Keys per organization in these tests.
pub(crate) const CAP: u32 = 10;

pub(crate) struct Console {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) database: Database,
    pub(crate) keys: Arc<KeyTable>,
    pub(crate) limiter: Limiter,
    pub(crate) clock: Clock,
    pub(crate) token: String,
    pub(crate) operations: Operations,
    pub(crate) router: Router,
    /// For looking at tables from outside.
    pub(crate) tables: SqlitePool,
    _keeper_runs_until_dropped: oneshot::Sender<()>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) response: Response<()>,
    pub(crate) bytes: Bytes,
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The pointers of a problem document's fields.
    pub(crate) fn pointers(&self) -> Vec<&str> {
        self.json["errors"].as_array().into_iter().flatten().map(|e| e["pointer"].as_str().unwrap()).collect()
    }

    /// Fails unless this is a problem document of `status`.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16) -> &Answer {
        assert_eq!(self.status.as_u16(), status, "{}", self.json);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.json["status"], status);
        assert!(self.json["title"].is_string(), "{}", self.json);
        self
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Answer {
        assert_eq!(self.status.as_u16(), status, "{}", self.json);
        self
    }
}

/// The deployment that these tests speak for.
pub(crate) fn site() -> console::Site {
    console::Site {
        openid: None,
        public_url: "https://keys.example.com".to_owned(),
        gateway_url: "https://api.example.com".to_owned(),
        routes: ArcSwap::from_pointee(Vec::new()),
        trusted_proxies: Vec::new(),
    }
}

impl Console {
    pub(crate) async fn start() -> Console {
        Console::start_with(Clock::system()).await
    }

    pub(crate) async fn start_with(clock: Clock) -> Console {
        Console::start_on(clock, Arc::new(site())).await
    }

    pub(crate) async fn start_on(clock: Clock, site: Arc<console::Site>) -> Console {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keystile.db");
        let database = Database::open(&DatabaseUrl::Sqlite(path.clone()), clock.clone()).await.unwrap();
        let keys = Arc::new(KeyTable::new(Limits::default()));
        database.load(&keys).await.unwrap();
        let tables = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&path)).await.unwrap();
        let (limiter, keeper) = Limiter::new();
        let (running, ended) = oneshot::channel();
        tokio::spawn(keeper.run(Arc::new(LocalLedger::new(&database)), clock.clone(), async {
            let _ = ended.await;
        }));
        let token = create_token(&database, &Caller::operator("test"), None).await.unwrap();
        let operations = Operations::new(
            database.clone(),
            InForce::here(Arc::clone(&keys), limiter.clone()),
            clock.clone(),
            Rules {
                key_format: SecretFormat::keys(),
                keys_per_organization: CAP,
                sessions: SessionRules {
                    idle_timeout: Duration::from_secs(60 * 60),
                    lifetime: Duration::from_secs(24 * 60 * 60),
                },
                people_may_sign_in: true,
            },
        );
        Console {
            folder,
            database,
            keys,
            limiter,
            clock,
            token: token.expose().to_owned(),
            router: console::router(operations.clone(), site),
            operations,
            tables,
            _keeper_runs_until_dropped: running,
        }
    }

    /// A console with organization `acme` and its agent `echo`.
    pub(crate) async fn with_acme() -> Console {
        let console = Console::start().await;
        console.post("/organizations", r#"{"slug":"acme","name":"Acme"}"#).await.is(201);
        console.post("/organizations/acme/agents", r#"{"slug":"echo","name":"Echo"}"#).await.is(201);
        console
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status: parts.status, response: Response::from_parts(parts, ()), bytes, json }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header("authorization", format!("Bearer {}", self.token))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request("DELETE", path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.json("POST", path, body, None).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &str) -> Answer {
        self.json("PATCH", path, body, None).await
    }

    pub(crate) async fn json(&self, method: &str, path: &str, body: &str, if_match: Option<&str>) -> Answer {
        let mut request = self.request(method, path).header("content-type", "application/json");
        if let Some(tag) = if_match {
            request = request.header("if-match", tag);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// Creates a key that opens all of acme; its id and its secret.
    pub(crate) async fn key(&self, name: &str) -> (String, String) {
        let body = format!(r#"{{"name":"{name}","scope":{{"type":"organization"}}}}"#);
        let made = self.post("/organizations/acme/keys", &body).await.is(201);
        (
            made.json["key"]["id"].as_str().unwrap().to_owned(),
            made.json["secret"].as_str().unwrap().to_owned(),
        )
    }

    /// What a gateway knows of the key with this secret.
    pub(crate) fn lookup(&self, secret: &str) -> Option<Arc<KeyEntry>> {
        self.keys.lookup(&SecretHash::of(secret.as_bytes()))
    }

    /// The number that a query gives.
    pub(crate) async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.tables).await.unwrap()
    }

    pub(crate) async fn count(&self, table: &str) -> i64 {
        let query = format!("SELECT COUNT(*) FROM {table}");
        sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&self.tables).await.unwrap()
    }
}
