//! A consistent read of families and their series: what stores and collectors make, and all that encoders see.

use std::sync::Arc;

use crate::{Exemplar, Family, Labels, Sample};

/// Families with their values, in the order in which they are written.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The families.
    pub families: Vec<FamilySnapshot>,
}

/// One family with the values of its series.
#[derive(Debug, Clone)]
pub struct FamilySnapshot {
    /// What the family is.
    pub family: Arc<Family>,
    /// The values.
    pub body: Body,
}

/// The values of a family, as its series hold them or as a custom collector gave them.
#[derive(Debug, Clone)]
pub enum Body {
    /// Series of native metrics, in order of creation.
    Series(Vec<SeriesSnapshot>),
    /// Samples of a custom collector, in its order.
    Samples(Vec<Sample>),
}

/// One series with its value.
#[derive(Debug, Clone)]
pub struct SeriesSnapshot {
    /// The label values.
    pub labels: Arc<Labels>,
    /// Set where a gauge has one series per process: the `pid` label, which takes the place of a label of that name.
    pub pid: Option<u32>,
    /// The value.
    pub value: Value,
    /// When the series was first created in the store, in seconds since the Unix epoch; `None` leaves `_created` out.
    pub created: Option<f64>,
}

/// The value of a series, by type.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A counter's total.
    Counter {
        /// The total.
        total: f64,
        /// The most recent exemplar.
        exemplar: Option<Box<Exemplar>>,
    },
    /// A gauge's value.
    Gauge(f64),
    /// A summary's count and sum; quantiles cannot be added up and are not kept.
    Summary {
        /// How many observations.
        count: u64,
        /// Their sum.
        sum: f64,
    },
    /// A histogram.
    Histogram {
        /// Observations per bucket, not cumulative, one for each bound of the family.
        counts: Box<[u64]>,
        /// Sum of the observations.
        sum: f64,
        /// The most recent exemplar of a bucket, with the bucket's index, ascending.
        exemplars: Vec<(usize, Exemplar)>,
    },
    /// An info's label names and values.
    Info(Vec<(String, String)>),
    /// The index of the state that holds, among the family's states.
    StateSet(usize),
}
