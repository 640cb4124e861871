//! How a number is written.

/// The number as the official Python client prints it.
pub fn format(number: f64) -> String {
    format!("{number:?}")
}
