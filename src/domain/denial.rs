//! Every way in which the data plane refuses: one closed enum, each with one status and one public text.
//!
//! Promises that what a refusal shows depends on its variant alone: nothing of why a key was refused can leak.

/// A refusal by the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Denial {
    /// 400: request head, target or framing is malformed or ambiguous. The connection is closed.
    BadRequest,
    /// 400: the body's framing broke while it was read. The connection is closed.
    BadBody,
    /// 401: no credential at all.
    MissingKey,
    /// 401: not of the form of a key, several credentials, or one in a place that the route does not allow.
    MalformedKey,
    /// 401: well-formed, and not in the key table (never issued, or deleted).
    UnknownKey,
    /// 401: past its expiry.
    ExpiredKey,
    /// 401: disabled.
    DisabledKey,
    /// 403: the route's agent is not one that the key opens, or no such agent.
    AgentNotPermitted,
    /// 403: a read-only key and a method that may change something.
    MethodNotPermitted,
    /// 404: a good key, and no such route.
    NoRoute,
    /// 405: a good key, a route, and not its method.
    MethodNotAllowed,
    /// 413: the body is over `body_bytes_max`.
    BodyTooLarge,
    /// 414: the target is too long.
    TargetTooLong,
    /// 431: the head is too large or has too many fields.
    HeadTooLarge,
    /// 501: a transfer coding other than `chunked`.
    UnknownTransferCoding,
    /// 501: a method that a gateway does not serve (CONNECT, TRACE).
    UnsupportedMethod,
    /// 505: not HTTP/1.0 or HTTP/1.1.
    UnsupportedVersion,
    /// 408: the request did not arrive in time.
    RequestTimeout,
    /// 417: an expectation other than `100-continue`.
    ExpectationFailed,
    /// 429: the key's rate.
    RateExceeded,
    /// 429: one of the key's quotas.
    QuotaExceeded,
    /// 429: the key's concurrency.
    ConcurrencyExceeded,
    /// 429: this client address keeps failing.
    TooManyFailures,
    /// 502: the upstream refused, broke, or answered something that is not HTTP.
    BadGateway,
    /// 503: no upstream of that name, or overloaded.
    Unavailable,
    /// 503: leaving.
    Draining,
    /// 503: the replica of the keys is too old to be believed.
    Untrusted,
    /// 504: no connection or no answer in time.
    UpstreamTimeout,
}

impl Denial {
    /// All of them, for tables of metrics and tests.
    pub const ALL: [Denial; 28] = [
        Denial::BadRequest,
        Denial::BadBody,
        Denial::MissingKey,
        Denial::MalformedKey,
        Denial::UnknownKey,
        Denial::ExpiredKey,
        Denial::DisabledKey,
        Denial::AgentNotPermitted,
        Denial::MethodNotPermitted,
        Denial::NoRoute,
        Denial::MethodNotAllowed,
        Denial::BodyTooLarge,
        Denial::TargetTooLong,
        Denial::HeadTooLarge,
        Denial::UnknownTransferCoding,
        Denial::UnsupportedMethod,
        Denial::UnsupportedVersion,
        Denial::RequestTimeout,
        Denial::ExpectationFailed,
        Denial::RateExceeded,
        Denial::QuotaExceeded,
        Denial::ConcurrencyExceeded,
        Denial::TooManyFailures,
        Denial::BadGateway,
        Denial::Unavailable,
        Denial::Draining,
        Denial::Untrusted,
        Denial::UpstreamTimeout,
    ];

    /// Its place in [`Denial::ALL`], for arrays of counters.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The status of the response.
    pub const fn status(self) -> u16 {
        match self {
            Denial::BadRequest | Denial::BadBody => 400,
            Denial::MissingKey
            | Denial::MalformedKey
            | Denial::UnknownKey
            | Denial::ExpiredKey
            | Denial::DisabledKey => 401,
            Denial::AgentNotPermitted | Denial::MethodNotPermitted => 403,
            Denial::NoRoute => 404,
            Denial::MethodNotAllowed => 405,
            Denial::RequestTimeout => 408,
            Denial::BodyTooLarge => 413,
            Denial::TargetTooLong => 414,
            Denial::ExpectationFailed => 417,
            Denial::RateExceeded
            | Denial::QuotaExceeded
            | Denial::ConcurrencyExceeded
            | Denial::TooManyFailures => 429,
            Denial::HeadTooLarge => 431,
            Denial::UnknownTransferCoding | Denial::UnsupportedMethod => 501,
            Denial::BadGateway => 502,
            Denial::Unavailable | Denial::Draining | Denial::Untrusted => 503,
            Denial::UpstreamTimeout => 504,
            Denial::UnsupportedVersion => 505,
        }
    }

    /// The text that clients see. The same for all that must not be told apart.
    pub const fn message(self) -> &'static str {
        match self {
            Denial::BadRequest | Denial::BadBody => "bad request",
            Denial::MissingKey
            | Denial::MalformedKey
            | Denial::UnknownKey
            | Denial::ExpiredKey
            | Denial::DisabledKey
            | Denial::AgentNotPermitted
            | Denial::MethodNotPermitted => "access not permitted",
            Denial::NoRoute => "not found",
            Denial::MethodNotAllowed => "method not allowed",
            Denial::RequestTimeout => "request timed out",
            Denial::BodyTooLarge => "body too large",
            Denial::TargetTooLong => "target too long",
            Denial::ExpectationFailed => "expectation failed",
            Denial::HeadTooLarge => "header fields too large",
            Denial::UnknownTransferCoding => "transfer coding not implemented",
            Denial::UnsupportedMethod => "method not implemented",
            Denial::UnsupportedVersion => "HTTP version not supported",
            Denial::RateExceeded => "rate limit exceeded",
            Denial::QuotaExceeded => "quota exceeded",
            Denial::ConcurrencyExceeded => "too many requests in flight",
            Denial::TooManyFailures => "too many failed attempts",
            Denial::BadGateway => "bad gateway",
            Denial::Unavailable | Denial::Draining | Denial::Untrusted => "unavailable",
            Denial::UpstreamTimeout => "upstream timed out",
        }
    }

    /// The reason that operators see in metrics and the access log. Distinct for every variant.
    pub const fn reason(self) -> &'static str {
        match self {
            Denial::BadRequest => "bad_request",
            Denial::BadBody => "bad_body",
            Denial::MissingKey => "missing_key",
            Denial::MalformedKey => "malformed_key",
            Denial::UnknownKey => "unknown_key",
            Denial::ExpiredKey => "expired_key",
            Denial::DisabledKey => "disabled_key",
            Denial::AgentNotPermitted => "agent_not_permitted",
            Denial::MethodNotPermitted => "method_not_permitted",
            Denial::NoRoute => "no_route",
            Denial::MethodNotAllowed => "method_not_allowed",
            Denial::BodyTooLarge => "body_too_large",
            Denial::TargetTooLong => "target_too_long",
            Denial::HeadTooLarge => "head_too_large",
            Denial::UnknownTransferCoding => "unknown_transfer_coding",
            Denial::UnsupportedMethod => "unsupported_method",
            Denial::UnsupportedVersion => "unsupported_version",
            Denial::RequestTimeout => "request_timeout",
            Denial::ExpectationFailed => "expectation_failed",
            Denial::RateExceeded => "rate_exceeded",
            Denial::QuotaExceeded => "quota_exceeded",
            Denial::ConcurrencyExceeded => "concurrency_exceeded",
            Denial::TooManyFailures => "too_many_failures",
            Denial::BadGateway => "bad_gateway",
            Denial::Unavailable => "unavailable",
            Denial::Draining => "draining",
            Denial::Untrusted => "untrusted",
            Denial::UpstreamTimeout => "upstream_timeout",
        }
    }

    /// Whether the key itself was refused: what the guard counts against the client's address.
    pub const fn is_failed_authentication(self) -> bool {
        self.status() == 401
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_denial_has_its_own_reason_and_place() {
        let reasons: BTreeSet<_> = Denial::ALL.iter().map(|denial| denial.reason()).collect();
        assert_eq!(reasons.len(), Denial::ALL.len());
        for (at, denial) in Denial::ALL.iter().enumerate() {
            assert_eq!(denial.index(), at);
        }
    }

    #[test]
    fn what_must_not_be_told_apart_has_one_status_and_one_text() {
        let refused: BTreeSet<_> = Denial::ALL
            .iter()
            .filter(|denial| denial.is_failed_authentication())
            .map(|denial| (denial.status(), denial.message()))
            .collect();
        assert_eq!(refused.into_iter().collect::<Vec<_>>(), [(401, "access not permitted")]);
        assert_eq!(Denial::AgentNotPermitted.message(), Denial::MethodNotPermitted.message());
    }
}
