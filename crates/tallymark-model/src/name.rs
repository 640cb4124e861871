//! Which names are valid, and how a name that a format cannot carry is escaped.

use crate::Error;

/// Checks a metric name.
pub fn check_metric(name: &str, legacy: bool) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::EmptyName);
    }
    if legacy && !is_legacy_metric(name) { Err(Error::InvalidName(name.to_owned())) } else { Ok(()) }
}

/// Checks a label name; `__…` is Prometheus' own.
pub fn check_label(name: &str, legacy: bool) -> Result<(), Error> {
    if legacy && !is_legacy_label(name) && !name.starts_with("__") {
        return Err(Error::InvalidLabelName(name.to_owned()));
    }
    if name.starts_with("__") { Err(Error::ReservedLabelName(name.to_owned())) } else { Ok(()) }
}

/// Whether every Prometheus takes the metric name as it is: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub fn is_legacy_metric(name: &str) -> bool {
    !name.is_empty()
        && !name.as_bytes()[0].is_ascii_digit()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

/// Whether every Prometheus takes the label name as it is: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_legacy_label(name: &str) -> bool {
    is_legacy_metric(name) && !name.contains(':')
}
