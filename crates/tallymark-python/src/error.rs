//! Which exception an error of the core is in Python: the class that the official client raises, with the core's text.

use pyo3::PyErr;
use pyo3::exceptions::{PyConnectionError, PyOSError, PyPermissionError, PyTimeoutError, PyValueError};
use tallymark::{Error, Reason};
use tallymark_transport::ServeError;

/// What a refused definition, label set, exemplar or amount raises.
pub(crate) fn refused(error: impl ToString) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// What an error of the core raises: `ValueError` for what was asked, `OSError` for files, and its subclasses for stores
/// of many hosts.
pub(crate) fn core(error: Error) -> PyErr {
    match error {
        Error::File(_) | Error::NoDirectory { .. } => PyOSError::new_err(error.to_string()),
        Error::Store { reason, ref message } => {
            let message = message.clone();
            match reason {
                Reason::Unreachable => PyConnectionError::new_err(message),
                Reason::Timeout => PyTimeoutError::new_err(message),
                Reason::Denied | Reason::ReadOnly => PyPermissionError::new_err(message),
                _ => PyOSError::new_err(message),
            }
        }
        _ => refused(error),
    }
}

/// What a server that cannot start raises: `OSError`, with the kernel's number where there is one, so that Python picks
/// the subclass.
pub(crate) fn serve(error: ServeError) -> PyErr {
    let number = match &error {
        ServeError::Resolve { source } | ServeError::Listen { source, .. } | ServeError::Start { source, .. } => {
            source.raw_os_error()
        }
        ServeError::Encode { .. } => return refused(error),
        _ => None,
    };
    match number {
        Some(number) => PyOSError::new_err((number, error.to_string())),
        None => PyOSError::new_err(error.to_string()),
    }
}
