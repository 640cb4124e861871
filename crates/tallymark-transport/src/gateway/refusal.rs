//! Why a push is not taken: a status and a sentence.
//!
//! A *malformed* push leaves no trace. One that was understood and is refused for what it says stamps its group, so that a
//! failing job can be seen in the metrics. One that is *too much* does not: a stamp would make room for what has none.

use hyper::StatusCode;

use super::Answer;

/// A push that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What the client gets.
    pub(super) status: StatusCode,
    /// What is wrong, and what to do.
    pub(super) reason: String,
    /// Whether the group remembers it.
    pub(super) stamped: bool,
}

impl Refusal {
    /// What was sent cannot be read.
    pub(super) fn malformed(reason: impl ToString) -> Refusal {
        Refusal { status: StatusCode::BAD_REQUEST, reason: reason.to_string(), stamped: false }
    }

    /// What was sent can be read, and does not go with what is there, or with itself.
    pub(super) fn content(reason: impl ToString) -> Refusal {
        Refusal { status: StatusCode::BAD_REQUEST, reason: reason.to_string(), stamped: true }
    }

    /// What was sent is beyond a limit.
    pub(super) fn too_much(reason: impl ToString) -> Refusal {
        Refusal { status: StatusCode::PAYLOAD_TOO_LARGE, reason: reason.to_string(), stamped: false }
    }

    /// The store did not take it; nothing is known against the push.
    pub(super) fn unavailable(reason: impl ToString) -> Refusal {
        Refusal { status: StatusCode::SERVICE_UNAVAILABLE, reason: reason.to_string(), stamped: false }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Answer {
        Answer::text(refusal.status, &refusal.reason)
    }
}
