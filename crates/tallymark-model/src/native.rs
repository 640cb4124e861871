//! The state of a native histogram, as a sample carries it.
//!
//! Collectors give it and expositions have it; nothing here counts. Whether spans and deltas belong together is not
//! checked: they are written as they came.

use crate::{Exemplar, number::Number};

/// A native histogram: how many observations fell into the buckets of an exponential layout.
///
/// ```
/// use tallymark_model::{NativeHistogram, Span, number::Number};
/// // Two observations in the bucket up to 1, three in the one up to 2.
/// let histogram = NativeHistogram {
///     positive_spans: vec![Span { offset: 0, length: 2 }],
///     positive_deltas: vec![2, 1],
///     ..NativeHistogram::new(Number::Integer(5), Number::Float(6.5), 0)
/// };
/// assert!(histogram.negative_spans.is_empty());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NativeHistogram {
    /// How many observations there were.
    pub count: Number,
    /// Their sum.
    pub sum: Number,
    /// How fine the buckets are: each is 2 to the power of 2^-schema times as wide as the one before it.
    pub schema: i32,
    /// Observations up to here, on both sides of zero, are in the zero bucket.
    pub zero_threshold: Number,
    /// How many these are.
    pub zero_count: Number,
    /// Where buckets of positive observations are.
    pub positive_spans: Vec<Span>,
    /// The count of each of these buckets, as its difference from the one before it.
    pub positive_deltas: Vec<i64>,
    /// Where buckets of negative observations are.
    pub negative_spans: Vec<Span>,
    /// The counts of these.
    pub negative_deltas: Vec<i64>,
    /// Exemplars, which may fall into any bucket.
    pub exemplars: Vec<Exemplar>,
}

/// A run of neighbouring buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// How many empty buckets lie between the last run and this one; for the first run, its first bucket's index.
    pub offset: i64,
    /// How many buckets there are.
    pub length: u64,
}

impl NativeHistogram {
    /// A histogram without buckets.
    pub fn new(count: Number, sum: Number, schema: i32) -> NativeHistogram {
        NativeHistogram {
            count,
            sum,
            schema,
            zero_threshold: Number::Float(0.0),
            zero_count: Number::Integer(0),
            positive_spans: Vec::new(),
            positive_deltas: Vec::new(),
            negative_spans: Vec::new(),
            negative_deltas: Vec::new(),
            exemplars: Vec::new(),
        }
    }
}
