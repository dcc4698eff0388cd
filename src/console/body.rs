//! Bodies of requests as they arrive: of the type that is wanted, whole, within a bound on their time.
//!
//! Promises that a client which sends a body drop by drop does not hold its place for ever. The bound on size is each
//! router's own. Never looks at what a body says.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};

/// Longest a body may take: the largest has 64 KiB.
const ARRIVES_WITHIN: Duration = Duration::from_secs(30);

/// Whether a request says that its body is of a media type, whatever parameters it adds (RFC 9110 section 8.3.1).
pub(super) fn is_of_type(headers: &HeaderMap, media_type: &str) -> bool {
    let written = headers.get(header::CONTENT_TYPE).and_then(|field| field.to_str().ok()).unwrap_or_default();
    let essence = written.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(media_type)
}

/// Why there is no whole body.
#[derive(Debug)]
pub(super) enum NotWhole {
    /// It is too large, or the client broke off.
    Rejected(BytesRejection),
    /// It took too long.
    Slow,
}

/// The whole body of `request`.
pub(super) async fn whole<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, NotWhole> {
    within(ARRIVES_WITHIN, request, state).await
}

async fn within<S: Send + Sync>(limit: Duration, request: Request, state: &S) -> Result<Bytes, NotWhole> {
    match tokio::time::timeout(limit, Bytes::from_request(request, state)).await {
        Ok(arrived) => arrived.map_err(NotWhole::Rejected),
        Err(_) => Err(NotWhole::Slow),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    /// A body of which nothing ever arrives.
    struct Never;

    impl hyper::body::Body for Never {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
            std::task::Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_arrive_is_not_waited_for_without_end() {
        let never = Request::new(Body::new(Never));
        let arrived = within(Duration::from_millis(1), never, &()).await;
        assert!(matches!(arrived, Err(NotWhole::Slow)));
        let small = Request::new(Body::from("all of it"));
        assert_eq!(whole(small, &()).await.unwrap(), "all of it");
    }
}
