//! The core's log records, handed to `logging.getLogger("tallymark")`.
//!
//! The core logs after it has let go of its locks, so a handler may use metrics. A record that comes while the interpreter
//! shuts down is dropped.

use log::{Level, LevelFilter, Log, Metadata, Record};
use pyo3::prelude::*;
use pyo3::types::PyDict;

struct ToPython;

/// Makes Python the place where records go. Nothing is lost if another logger was there first: it stays.
pub(crate) fn install() {
    if log::set_logger(&ToPython).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

impl Log for ToPython {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("tallymark")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let message = record.args().to_string();
        let level = match record.level() {
            Level::Error => "error",
            Level::Warn => "warning",
            Level::Info => "info",
            Level::Debug | Level::Trace => "debug",
        };
        // A handler that raises must not make an update fail; logging itself swallows nearly everything.
        Python::try_attach(|py| drop(emit(py, level, &message, None)));
    }

    fn flush(&self) {}
}

/// Logs a failure that nobody else will hear of, with its traceback.
pub(crate) fn exception(py: Python<'_>, message: &str, error: &PyErr) {
    // As above.
    drop(emit(py, "error", message, Some(error)));
}

/// Logs a message.
pub(crate) fn emit(py: Python<'_>, level: &str, message: &str, error: Option<&PyErr>) -> PyResult<()> {
    let logger = py.import("logging")?.call_method1("getLogger", ("tallymark",))?;
    let details = PyDict::new(py);
    if let Some(error) = error {
        details.set_item("exc_info", error.value(py))?;
    }
    logger.call_method(level, ("%s", message), Some(&details))?;
    Ok(())
}
