//! One line of output as a custom collector gives it.
//!
//! Native metrics never become samples before they are written: see [`crate::SeriesSnapshot`].

use crate::Exemplar;

/// When a sample was taken, in the precision it came in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Timestamp {
    /// Seconds since the Unix epoch.
    Seconds(f64),
    /// Whole seconds since the Unix epoch, written without a point.
    WholeSeconds(i64),
    /// Seconds and nanoseconds, written with nine decimals.
    Exact {
        /// Whole seconds.
        seconds: i64,
        /// Nanoseconds, below 10⁹.
        nanoseconds: u32,
    },
}

/// One sample: full name, labels, value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The name as written, suffix included.
    pub name: String,
    /// Label names and values; written sorted by name.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
    /// When it was taken, where the collector says so.
    pub timestamp: Option<Timestamp>,
    /// An exemplar, where the format can carry one.
    pub exemplar: Option<Exemplar>,
}
