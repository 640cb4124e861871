//! What a metric is, and how it is written and read: names, labels, families, snapshots, and the text they become.
//!
//! This crate is pure. It does no I/O, reads no clock, starts no thread and holds no `unsafe`; it does not know where
//! numbers are kept. A [`Snapshot`] is the one meeting point: stores make it, encoders read it.
//!
//! - [`Family`]: name, help, unit, type, label names and bucket layout of a metric.
//! - [`Labels`]: the label values of one series, with the part of its lines that never changes rendered once.
//! - [`Snapshot`]: families with the values of their series at one moment.
//! - [`name`] and [`number`]: which names are valid, and how names and numbers are written.
//! - [`encode`]: snapshot to bytes; one format, one module.
//! - [`parse`]: the way back, from text to families and samples.

pub mod encode;
mod error;
mod escape;
mod exemplar;
mod family;
mod histogram;
mod kind;
mod label;
mod line;
pub mod name;
mod native;
pub mod number;
pub mod parse;
mod protobuf;
mod sample;
mod snapshot;
mod union;

pub use error::Error;
pub use exemplar::Exemplar;
pub use family::{Family, FamilyBuilder};
pub use histogram::{DEFAULT_BOUNDS, checked_bounds};
pub use kind::{GaugeMode, Kind};
pub use label::Labels;
pub use name::Escaping;
pub use native::{NativeHistogram, Span};
pub use sample::{Sample, Timestamp};
pub use snapshot::{Body, FamilySnapshot, Process, SeriesSnapshot, Snapshot, Value};
pub use union::TypeConflict;
