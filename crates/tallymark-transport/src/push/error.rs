//! Why metrics could not be sent: told to whoever sends them, with what the other side said.

use std::io;

use tallymark_model::encode::EncodeError;

/// How many characters of what a server said are told.
const MOST: usize = 500;

/// What kept metrics from being sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The address makes no sense.
    #[error("{url}: {problem}")]
    Address {
        /// What was given, without a password.
        url: String,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// A group's labels cannot be written in a path.
    #[error("{0}")]
    Group(String),
    /// It is said more than once who sends.
    #[error("{0}: a user in the URL, a token and an Authorization header are one too many together; give one of them")]
    Authorizations(String),
    /// A file with a token cannot be read.
    #[error("{path}: {source}")]
    Token {
        /// The file.
        path: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file with certificates cannot be used.
    #[error("{path}: {problem}")]
    Certificates {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Nobody was reached, or nobody answered in time.
    #[error("{url}: {message}")]
    Unreachable {
        /// To whom, without a password.
        url: String,
        /// What happened.
        message: String,
    },
    /// The other side answered, and refused.
    #[error("{url} answered {status}{}", said(message))]
    Refused {
        /// Who, without a password.
        url: String,
        /// The status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// What is to be sent cannot be written in the format.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The connection broke.
    #[error("{address}: {source}")]
    Connection {
        /// To whom.
        address: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// What a server said, for the end of a sentence: its beginning, as gateways list everything that displeases them. What
/// would move a terminal's cursor is written as an escape, but for the ends of lines.
fn said(message: &str) -> String {
    let message = message.trim();
    let beginning: String = message.chars().take(MOST).collect();
    let rest = if beginning.len() < message.len() { "…" } else { "" };
    let moves = |letter: char| letter.is_control() && letter != '\n';
    let shown = |letter: char| if moves(letter) { letter.escape_default().to_string() } else { letter.to_string() };
    let beginning: String = beginning.chars().map(shown).collect();
    if message.is_empty() { String::new() } else { format!(": {beginning}{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_quoted_in_brief() {
        let refused =
            |message: String| PushError::Refused { url: "http://host".to_owned(), status: 400, message }.to_string();

        assert_eq!("http://host answered 400", refused(" \n".to_owned()));
        assert_eq!("http://host answered 400: no\nand no", refused("no\nand no\n".to_owned()));
        assert_eq!("http://host answered 400: \\u{1b}[2Jno", refused("\x1b[2Jno".to_owned()));
        assert_eq!("http://host answered 400: ".len() + MOST + "…".len(), refused("x".repeat(8192)).len());
    }
}
