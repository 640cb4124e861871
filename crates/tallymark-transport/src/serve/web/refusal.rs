//! Why a request is not done: the status, the words that the client reads, and the reason under which it is counted.
//!
//! All of them are here, so that what a client is told can be read in one place. Refusals of a push's content are not:
//! those are the gateway's.

use std::time::Duration;

use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Method, StatusCode};

use super::super::handler::{TEXT, respond};
use super::super::service::Answer;

/// Why a request is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error(
        "404 Not Found: nothing is at this path; metrics are at {telemetry_path}, pushes go to /metrics/job/<name>"
    )]
    NotFound { telemetry_path: String },
    #[error("405 Method Not Allowed: {method}; use {allow}")]
    Method { method: Method, allow: &'static str },
    #[error("Lifecycle API is not enabled: start the server with --web.enable-lifecycle")]
    NoLifecycle,
    #[error("Admin API is not enabled: start the server with --web.enable-admin-api")]
    NoAdmin,
    #[error("401 Unauthorized: {}", if *.basic { "give a user and a password, or a token" } else { "give a token: Authorization: Bearer <token>" })]
    Credentials { basic: bool },
    #[error("403 Forbidden: this token may not {0}")]
    Scope(String),
    #[error("429 Too Many Requests: more than this server takes; ask again in {} s", seconds(*.0))]
    Rate(Duration),
    #[error("413 Payload Too Large: this server takes bodies of at most {most} bytes; push less at once, or gzip it")]
    BodySize { most: usize },
    #[error("408 Request Timeout: the body did not come within {} s", .0.as_secs_f64())]
    BodyTime(Duration),
    #[error("400 Bad Request: the body broke off")]
    BodyBroken,
    #[error("503 Service Unavailable: other clients' bodies fill the room for them; push again in a second")]
    BodyRoom,
    #[error("503 Service Unavailable: {0} wait already, as many as may; ask again in a second")]
    Busy(&'static str),
    #[error("503 Service Unavailable: no turn within {} s, nothing was done; ask again", .0.as_secs_f64())]
    NoTurn(Duration),
    #[error("503 Service Unavailable: no answer within {} s", .0.as_secs_f64())]
    AnswerTime(Duration),
    #[error("503 Service Unavailable: not done within {} s, but it may still be", .0.as_secs_f64())]
    PushTime(Duration),
    #[error("500 Internal Server Error: this server's configuration cannot be read; its log says why")]
    Config,
    #[error("503 Service Unavailable: {}", .0.as_deref().unwrap_or("not ready; the log says why"))]
    NotReady(Option<String>),
}

impl Refusal {
    /// The label under which `tallymark_http_refused_total` counts it; `None` for what only this client did wrong.
    pub(super) fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Refusal::NotFound { .. }
            | Refusal::Method { .. }
            | Refusal::NoLifecycle
            | Refusal::NoAdmin
            | Refusal::BodyBroken
            | Refusal::NotReady(_) => return None,
            Refusal::Scope(_) => "scope",
            Refusal::Credentials { .. } => "credentials",
            Refusal::Rate(_) => "rate",
            Refusal::BodySize { .. } => "body_size",
            Refusal::BodyTime(_) => "body_time",
            Refusal::BodyRoom => "body_room",
            Refusal::Busy(_) | Refusal::NoTurn(_) => "busy",
            Refusal::AnswerTime(_) | Refusal::PushTime(_) => "answer_time",
            Refusal::Config => "config",
        })
    }

    /// What the client is told.
    pub(super) fn answer(&self) -> Answer {
        let mut headers = vec![(CONTENT_TYPE, TEXT)];
        let later;
        if let Some((name, value)) = self.header() {
            later = value;
            headers.push((name, &later));
        }
        respond(self.status(), &headers, format!("{self}\n").into_bytes())
    }

    fn status(&self) -> StatusCode {
        match self {
            Refusal::NotFound { .. } | Refusal::NoAdmin => StatusCode::NOT_FOUND,
            Refusal::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::NoLifecycle | Refusal::Scope(_) => StatusCode::FORBIDDEN,
            Refusal::Credentials { .. } => StatusCode::UNAUTHORIZED,
            Refusal::Rate(_) => StatusCode::TOO_MANY_REQUESTS,
            Refusal::BodySize { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::BodyTime(_) => StatusCode::REQUEST_TIMEOUT,
            Refusal::BodyBroken => StatusCode::BAD_REQUEST,
            Refusal::Config => StatusCode::INTERNAL_SERVER_ERROR,
            Refusal::BodyRoom
            | Refusal::Busy(_)
            | Refusal::NoTurn(_)
            | Refusal::AnswerTime(_)
            | Refusal::PushTime(_)
            | Refusal::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn header(&self) -> Option<(HeaderName, String)> {
        match self {
            Refusal::Method { allow, .. } => Some((ALLOW, (*allow).to_owned())),
            Refusal::Credentials { basic } => {
                Some((WWW_AUTHENTICATE, if *basic { "Basic" } else { "Bearer" }.to_owned()))
            }
            Refusal::Rate(wait) => Some((RETRY_AFTER, seconds(*wait).to_string())),
            Refusal::BodyRoom | Refusal::Busy(_) | Refusal::NoTurn(_) => Some((RETRY_AFTER, "1".to_owned())),
            _ => None,
        }
    }
}

/// Whole seconds, rounded up, as `Retry-After` has them.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}
