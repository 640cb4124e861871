//! Snapshot to bytes: what is sent to those who ask for the metrics.
//!
//! Each format is one module, which knows what makes it different: metadata, order, what it leaves out. What they share
//! is the line, `name{labels} value`, and that is put together in one place. An encoder takes a [`Snapshot`] and appends to
//! a buffer; it does not know where the values came from nor where the bytes go, and it is the caller who compresses.
//!
//! The bytes are those of the official Python client, with these exceptions, each of which it gets wrong:
//!
//! - A suffix is appended to the escaped name of its family, so that samples and family still belong together under
//!   [`Escaping::Dots`] and [`Escaping::Values`].
//! - A legacy metric name is written as it is under [`Escaping::Underscores`] and [`Escaping::Values`], in OpenMetrics
//!   too, and a legacy label name is never quoted.
//! - An exemplar's label name that is not legacy is quoted.
//! - Two labels of one family whose names would become one by escaping are an error.
//!
//! ```
//! # use std::sync::Arc;
//! use tallymark_model::{Body, Escaping, Family, FamilySnapshot, Kind, SeriesSnapshot, Snapshot, Value, encode};
//!
//! let family = Family::builder(Kind::Counter, "hits", "Pages served.").label_names(["path"]).build()?;
//! let series = SeriesSnapshot {
//!     labels: Arc::new(family.labels(&["/"])?),
//!     process: None,
//!     value: Value::Counter { total: 3.0, exemplar: None },
//!     created: None,
//! };
//! let family = FamilySnapshot { family: Arc::new(family), body: Body::Series(vec![series]) };
//! let mut out = Vec::new();
//! encode::text(&Snapshot { families: vec![family] }, Escaping::Underscores, &mut out)?;
//! assert_eq!(
//!     String::from_utf8(out)?,
//!     "# HELP hits_total Pages served.\n# TYPE hits_total counter\nhits_total{path=\"/\"} 3.0\n"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod collision;
mod lines;
mod negotiate;
mod openmetrics;
mod protobuf;
mod text;
mod whole;

pub use negotiate::{Coding, Format};
pub use openmetrics::{openmetrics, openmetrics_2_0};
pub use protobuf::protobuf;
pub use text::text;

use crate::{Escaping, Snapshot};

/// A snapshot that the format cannot carry.
///
/// Only custom collectors and colliding label names can be the cause: native metrics are checked when they are made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// OpenMetrics has exemplars on counters' totals and on buckets only.
    #[error("Metric {family} has exemplars, but is not a histogram bucket or counter")]
    ExemplarNotAllowed {
        /// The family's name.
        family: String,
        /// The full name of the sample that has one.
        sample: String,
    },
    /// The text format and protobuf have times as whole milliseconds of 64 bits.
    #[error("{sample} of {family} has a timestamp that is no number of milliseconds")]
    TimestampOutOfRange {
        /// The family's name.
        family: String,
        /// The full name of the sample.
        sample: String,
    },
    /// Two labels of one family would be read as one.
    #[error(
        "the labels {first:?} and {second:?} of {family} are both {escaped} when escaped by {}; rename one, or ask for \
         another escaping",
        scheme.as_str()
    )]
    NamesCollide {
        /// The family's name.
        family: String,
        /// The name that comes first.
        first: Box<str>,
        /// The other one.
        second: Box<str>,
        /// What both become.
        escaped: Box<str>,
        /// By which scheme.
        scheme: Escaping,
    },
}

/// Whether a name, as it is written, ends in the unit. Prometheus refuses all of an exposition in which one does not.
fn ends_in_unit(name: &str, unit: &str) -> bool {
    name.strip_suffix(unit).is_some_and(|stem| stem.ends_with('_'))
}

/// Runs an encoder; what it appended before it failed is taken back.
fn all_or_nothing(
    snapshot: &Snapshot,
    escaping: Escaping,
    out: &mut Vec<u8>,
    encode: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    collision::check(snapshot, escaping)?;
    let before = out.len();
    encode(out).inspect_err(|_| out.truncate(before))
}
