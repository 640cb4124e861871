//! Where data goes: stdout, whole and at once.

use std::io::{self, ErrorKind, Write};

use crate::error::Error;

/// Writes all of it. A reader that has heard enough and closed the pipe, as `head` does, is no error.
///
/// # Errors
/// [`Error::Stdout`] if stdout takes no more for another reason, such as a full disk.
pub(crate) fn write(data: &[u8]) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(data).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Error::Stdout),
    }
}
