//! The demo's example backend: two agents, so that there is something behind the gateway.
//!
//! `echo` answers with what an upstream sees of a request; `clock` sends the time as server-sent events. Owns its own
//! thread and runtime. Never part of `keystile serve`.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use hyper::body::Frame;
use tokio::net::TcpListener;

use crate::domain::clock::Clock;

/// Ticks that `clock` sends to one client before it ends.
const TICKS_MAX: u32 = 3_600;

/// Serves the two agents on `socket` until the process ends.
pub(super) fn start(socket: StdListener, clock: Clock) -> std::io::Result<SocketAddr> {
    let address = socket.local_addr()?;
    socket.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("example-backend".to_owned()).spawn(move || {
        runtime.block_on(async move {
            let listener = TcpListener::from_std(socket)?;
            let also = clock.clone();
            let router = Router::new()
                .route("/clock/", get(move || ticks(clock)))
                .route("/clock/{*rest}", get(move || ticks(also)))
                .fallback(any(echo));
            axum::serve(listener, router).await
        })
    })?;
    Ok(address)
}

/// What arrived, as JSON: method, target, fields, body.
async fn echo(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let fields: Vec<_> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let seen = serde_json::json!({
        "method": method.as_str(),
        "target": uri.to_string(),
        "fields": fields,
        "body": String::from_utf8_lossy(&body),
    });
    let text = serde_json::to_string_pretty(&seen).unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], format!("{text}\n")).into_response()
}

/// The time, once a second, as server-sent events.
async fn ticks(clock: Clock) -> Response {
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    tokio::spawn(async move {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        for _ in 0..TICKS_MAX {
            second.tick().await;
            let event = format!("data: {}\n\n", clock.now().unix.to_rfc3339());
            if sender.send(event.into()).await.is_err() {
                // The client left.
                return;
            }
        }
    });
    let events = Body::new(Events(receiver));
    ([(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")], events)
        .into_response()
}

/// A body that ends when its sender does.
struct Events(tokio::sync::mpsc::Receiver<Bytes>);

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
