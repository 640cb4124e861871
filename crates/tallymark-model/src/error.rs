//! Why a definition, a label set or an exemplar is refused.
//!
//! Every variant is the caller's mistake, found before anything has changed. Where the official Python client has a
//! text that its users' tests look at, the text here is the same.

use crate::Kind;

/// A definition, label set or exemplar that cannot be a metric's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The family has no name.
    #[error("Metric name should not be empty")]
    EmptyName,
    /// Nothing is left of the name: a counter called `_total`, or a custom collector's family without a name.
    #[error("metric name cannot be empty")]
    Nameless,
    /// The name is not one that Prometheus takes.
    #[error("invalid metric name {0}")]
    InvalidName(String),
    /// The label name is not one that Prometheus takes.
    #[error("Invalid label metric name: {0}")]
    InvalidLabelName(String),
    /// The label name belongs to Prometheus (`__…`) or to the type (`le`, `quantile`).
    #[error("Reserved label metric name: {0}")]
    ReservedLabelName(String),
    /// Info and state sets have no unit.
    #[error("Metric name is of a type that cannot have a unit: {0}")]
    UnitNotAllowed(String),
    /// Bucket bounds must ascend; NaN is no bound.
    #[error("Buckets not in sorted order")]
    BoundsNotSorted,
    /// A histogram needs one bound besides `+Inf`.
    #[error("Must have at least two buckets")]
    TooFewBounds,
    /// A state set without states.
    #[error("No states provided for Enum metric: {0}")]
    NoStates(String),
    /// A label named like something the metric writes itself.
    #[error("Overlapping labels for {kind} metric: {name}")]
    OverlappingLabels {
        /// The type, as users call it.
        kind: &'static str,
        /// The label or family that is named twice.
        name: String,
    },
    /// The state is not one of the family's.
    #[error("{state:?} is not a state of {family}")]
    UnknownState {
        /// The family's name.
        family: String,
        /// What was asked for.
        state: String,
    },
    /// As many label values as label names are needed.
    #[error("Incorrect label count (expected {expected}, got {found}) for {family}")]
    LabelCount {
        /// The family's name.
        family: String,
        /// How many label names the family has.
        expected: usize,
        /// How many values were given.
        found: usize,
    },
    /// The label names given are not the family's.
    #[error("Incorrect label names for {family}: its labels are {expected}")]
    LabelNames {
        /// The family's name.
        family: String,
        /// The family's label names, joined.
        expected: String,
    },
    /// An exemplar's label names and values may have 128 characters in all (OpenMetrics 1.0).
    #[error("Exemplar labels have {0} UTF-8 characters, exceeding the limit of 128")]
    ExemplarTooLong(usize),
    /// Counters never fall.
    #[error("Counters can only be incremented by non-negative amounts.")]
    NegativeIncrement,
    /// The mode is not one of the known ones.
    #[error("Invalid multiprocess mode: {0}")]
    UnknownMode(String),
    /// The family is of another type than the handle asked for.
    #[error("{name} is a {found}, not a {asked}")]
    WrongKind {
        /// The family's name.
        name: String,
        /// Its type.
        found: Kind,
        /// The handle's type.
        asked: Kind,
    },
}
