//! Which failures calls may meet, for the description of the API.

use serde_json::{Value, json};

use super::describe::{header_references, put};

/// A status that tells of a failure, and what it tells.
pub(super) struct Failure {
    pub(super) status: u16,
    name: &'static str,
    title: &'static str,
    description: &'static str,
    /// The `detail` of the example.
    detail: Option<&'static str>,
    /// Fields beside `x-request-id`.
    fields: &'static [&'static str],
}

/// All of them, by status.
pub(super) const FAILURES: [Failure; 13] = [
    plain(
        400,
        "BadRequest",
        "Bad Request",
        "A parameter or a field of the header is not valid, or the body is not JSON.",
        "the parameter `limit` is not valid: expected 1 to 200",
    ),
    Failure {
        fields: &["WWW-Authenticate"],
        ..plain(
            401,
            "Unauthorized",
            "Unauthorized",
            "Neither a token nor a session that is known.",
            "a management token (`Authorization: Bearer ksm_…`) or a session is needed",
        )
    },
    Failure {
        detail: None,
        ..plain(403, "Forbidden", "Forbidden", "The caller's role does not include this.", "")
    },
    Failure {
        detail: None,
        ..plain(404, "NotFound", "Not Found", "No such record, or none that the caller may know of.", "")
    },
    plain(409, "Conflict", "Conflict", "It conflicts with other records.", "the slug is already taken"),
    plain(
        412,
        "PreconditionFailed",
        "Precondition Failed",
        "The record is in none of the states that `If-Match` names. Nothing was changed.",
        "the record has changed since it was read; read it again and repeat",
    ),
    plain(
        413,
        "ContentTooLarge",
        "Payload Too Large",
        "The body has more than 64 KiB.",
        "expected a body of at most 65536 bytes",
    ),
    plain(
        415,
        "UnsupportedMediaType",
        "Unsupported Media Type",
        "The body is not declared as JSON.",
        "expected a body with `Content-Type: application/json`",
    ),
    plain(
        422,
        "UnprocessableContent",
        "Unprocessable Entity",
        "Fields of the body break their rules. `errors` names each of them.",
        "some fields are not valid",
    ),
    Failure {
        fields: &["Retry-After"],
        ..plain(
            429,
            "TooManyRequests",
            "Too Many Requests",
            "Too many attempts failed.",
            "too many attempts failed; try again later",
        )
    },
    plain(
        500,
        "InternalServerError",
        "Internal Server Error",
        "A record is damaged, or the server has a defect; its log names the cause.",
        "a record is damaged; the server's log names it",
    ),
    Failure {
        fields: &["Retry-After"],
        ..plain(
            503,
            "ServiceUnavailable",
            "Service Unavailable",
            "The database did not answer, or the server is leaving. Nothing was changed, unless the detail says `interrupted`: then read before repeating.",
            "the database did not answer; nothing was changed",
        )
    },
    plain(
        507,
        "InsufficientStorage",
        "Insufficient Storage",
        "The disk of the database is full or failing. Nothing was changed.",
        "the disk of the database is full or failing; nothing was changed",
    ),
];

const fn plain(
    status: u16,
    name: &'static str,
    title: &'static str,
    description: &'static str,
    detail: &'static str,
) -> Failure {
    Failure { status, name, title, description, detail: Some(detail), fields: &[] }
}

impl Failure {
    /// A reference to its description.
    pub(super) fn reference(&self) -> Value {
        json!({"$ref": format!("#/components/responses/{}", self.name)})
    }

    /// Completes an answer whose description a handler has written.
    pub(super) fn describe(&self, answer: &mut Value) {
        let described = answer.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
        if described.is_empty() {
            *answer = self.reference();
            return;
        }
        let fields: Vec<&str> = ["x-request-id"].iter().chain(self.fields).copied().collect();
        put(answer, "headers", header_references(&fields));
        let mut example = self.example();
        if described != self.description {
            put(&mut example, "detail", json!(described));
        }
        let media = json!({"schema": {"$ref": "#/components/schemas/Problem"}, "example": example});
        put(answer, "content", json!({"application/problem+json": media}));
    }

    fn example(&self) -> Value {
        let mut example = json!({"type": "about:blank", "title": self.title, "status": self.status});
        if let Some(detail) = self.detail {
            put(&mut example, "detail", json!(detail));
        }
        if self.status == 422 {
            let error = json!({"pointer": "/limits/rate/requests", "detail": "expected 1 or more requests"});
            put(&mut example, "errors", json!([error]));
        }
        example
    }
}

/// Every failure, by its name.
pub(super) fn responses() -> Value {
    let described = FAILURES.iter().map(|failure| {
        let mut answer = json!({"description": failure.description});
        failure.describe(&mut answer);
        (failure.name.to_owned(), answer)
    });
    Value::Object(described.collect())
}
