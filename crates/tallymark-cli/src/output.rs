//! Data on stdout: whole, or an error that says why; a reader that has heard enough is none.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use crate::error::Error;

/// Writes the bytes to stdout.
///
/// # Errors
/// [`Error::Stdout`] if it takes no more, and not because its reader has left.
pub(crate) fn print(bytes: &[u8]) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        // The reader has heard enough, as `head` has after some lines.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Error::Stdout),
    }
}

/// Writes the value to stdout as JSON, for scripts.
///
/// # Errors
/// As [`print`].
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Error> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| Error::Stdout(error.into()))?;
    text.push(b'\n');
    print(&text)
}
