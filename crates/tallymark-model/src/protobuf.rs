//! The messages of `io.prometheus.client`, as they are on the wire.
//!
//! Reader and writer share them. What they mean is not known here. Fields that may be absent are options; all others are
//! zero if they are, and those that a reader may insist on are always written. A family's metrics stay bytes: each is read
//! or written by itself, so that no family is in memory twice, and nobody makes millions of metrics of a few bytes each.

use prost::Message;

use crate::Timestamp;

/// The types of families, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum MetricType {
    Counter = 0,
    Gauge = 1,
    Summary = 2,
    Untyped = 3,
    Histogram = 4,
    GaugeHistogram = 5,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetricFamily {
    #[prost(string, required, tag = "1")]
    pub(crate) name: String,
    #[prost(string, optional, tag = "2")]
    pub(crate) help: Option<String>,
    /// Absent, it is a counter; it is always written.
    #[prost(enumeration = "MetricType", optional, tag = "3")]
    pub(crate) kind: Option<i32>,
    /// Each a [`Metric`].
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub(crate) metrics: Vec<Vec<u8>>,
    #[prost(string, tag = "5")]
    pub(crate) unit: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Metric {
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    pub(crate) gauge: Option<Single>,
    #[prost(message, optional, tag = "3")]
    pub(crate) counter: Option<Counter>,
    #[prost(message, optional, boxed, tag = "4")]
    pub(crate) summary: Option<Box<Summary>>,
    #[prost(message, optional, tag = "5")]
    pub(crate) untyped: Option<Single>,
    #[prost(int64, optional, tag = "6")]
    pub(crate) timestamp_ms: Option<i64>,
    #[prost(message, optional, boxed, tag = "7")]
    pub(crate) histogram: Option<Box<Histogram>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct LabelPair {
    #[prost(string, required, tag = "1")]
    pub(crate) name: String,
    #[prost(string, required, tag = "2")]
    pub(crate) value: String,
}

/// The value of a gauge, or of a metric without a type.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Single {
    #[prost(double, required, tag = "1")]
    pub(crate) value: f64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Counter {
    #[prost(double, required, tag = "1")]
    pub(crate) value: f64,
    #[prost(message, optional, boxed, tag = "2")]
    pub(crate) exemplar: Option<Box<Exemplar>>,
    #[prost(message, optional, tag = "3")]
    pub(crate) created: Option<Moment>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Summary {
    #[prost(uint64, required, tag = "1")]
    pub(crate) count: u64,
    #[prost(double, required, tag = "2")]
    pub(crate) sum: f64,
    #[prost(message, repeated, tag = "3")]
    pub(crate) quantiles: Vec<Quantile>,
    #[prost(message, optional, tag = "4")]
    pub(crate) created: Option<Moment>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Quantile {
    #[prost(double, required, tag = "1")]
    pub(crate) quantile: f64,
    #[prost(double, required, tag = "2")]
    pub(crate) value: f64,
}

/// A histogram: with buckets between bounds, or a native one, or both.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Histogram {
    #[prost(uint64, required, tag = "1")]
    pub(crate) count: u64,
    #[prost(double, required, tag = "2")]
    pub(crate) sum: f64,
    #[prost(message, repeated, tag = "3")]
    pub(crate) buckets: Vec<Bucket>,
    /// Instead of the count, if it is positive; so are the other counts of floats.
    #[prost(double, tag = "4")]
    pub(crate) count_float: f64,
    #[prost(sint32, tag = "5")]
    pub(crate) schema: i32,
    #[prost(double, tag = "6")]
    pub(crate) zero_threshold: f64,
    #[prost(uint64, tag = "7")]
    pub(crate) zero_count: u64,
    #[prost(double, tag = "8")]
    pub(crate) zero_count_float: f64,
    #[prost(message, repeated, tag = "9")]
    pub(crate) negative_spans: Vec<BucketSpan>,
    #[prost(sint64, repeated, packed = "false", tag = "10")]
    pub(crate) negative_deltas: Vec<i64>,
    #[prost(double, repeated, packed = "false", tag = "11")]
    pub(crate) negative_counts: Vec<f64>,
    #[prost(message, repeated, tag = "12")]
    pub(crate) positive_spans: Vec<BucketSpan>,
    #[prost(sint64, repeated, packed = "false", tag = "13")]
    pub(crate) positive_deltas: Vec<i64>,
    #[prost(double, repeated, packed = "false", tag = "14")]
    pub(crate) positive_counts: Vec<f64>,
    #[prost(message, optional, tag = "15")]
    pub(crate) created: Option<Moment>,
    #[prost(message, repeated, tag = "16")]
    pub(crate) exemplars: Vec<Exemplar>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Bucket {
    #[prost(uint64, required, tag = "1")]
    pub(crate) cumulative_count: u64,
    #[prost(double, required, tag = "2")]
    pub(crate) upper_bound: f64,
    #[prost(message, optional, boxed, tag = "3")]
    pub(crate) exemplar: Option<Box<Exemplar>>,
    #[prost(double, tag = "4")]
    pub(crate) cumulative_count_float: f64,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct BucketSpan {
    #[prost(sint32, required, tag = "1")]
    pub(crate) offset: i32,
    #[prost(uint32, required, tag = "2")]
    pub(crate) length: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<LabelPair>,
    #[prost(double, required, tag = "2")]
    pub(crate) value: f64,
    #[prost(message, optional, tag = "3")]
    pub(crate) timestamp: Option<Moment>,
}

/// `google.protobuf.Timestamp`: the nanoseconds go forward, also before 1970.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Moment {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}

/// A second's nanoseconds.
const SECOND: u32 = 1_000_000_000;

impl Moment {
    /// Seconds since the Unix epoch; `None` for a moment beyond 64 bits of them, and for none at all.
    pub(crate) fn of_seconds(seconds: f64) -> Option<Moment> {
        let whole = seconds.floor();
        if whole.is_nan() || whole.abs() >= i64::MAX as f64 {
            return None;
        }
        // CAST: in range; below a second, which rounding up may make it, and a nanosecond is not worth a carry.
        let nanos = ((seconds - whole) * f64::from(SECOND)).round().min(f64::from(SECOND - 1)) as i32;
        Some(Moment { seconds: whole as i64, nanos })
    }

    /// The same moment; `None` beyond 64 bits of seconds.
    pub(crate) fn of(timestamp: Timestamp) -> Option<Moment> {
        match timestamp {
            Timestamp::Seconds(seconds) => Moment::of_seconds(seconds),
            Timestamp::WholeSeconds(seconds) => Some(Moment { seconds: seconds.try_into().ok()?, nanos: 0 }),
            // Away from zero there, forward here.
            Timestamp::Exact { seconds, nanoseconds } if seconds < 0 && nanoseconds > 0 => Some(Moment {
                seconds: seconds.checked_sub(1)?.try_into().ok()?,
                nanos: SECOND.checked_sub(nanoseconds)?.try_into().ok()?,
            }),
            Timestamp::Exact { seconds, nanoseconds } => {
                Some(Moment { seconds: seconds.try_into().ok()?, nanos: nanoseconds.try_into().ok()? })
            }
        }
    }

    /// The same moment; `None` if its nanoseconds are more than a second, or negative.
    pub(crate) fn timestamp(self) -> Option<Timestamp> {
        let nanoseconds = u32::try_from(self.nanos).ok().filter(|nanos| *nanos < SECOND)?;
        let seconds = i128::from(self.seconds);
        Some(if seconds < -1 && nanoseconds > 0 {
            Timestamp::Exact { seconds: seconds + 1, nanoseconds: SECOND - nanoseconds }
        } else if seconds == -1 && nanoseconds > 0 {
            // There is no minus zero to go away from.
            Timestamp::Seconds(f64::from(nanoseconds) / f64::from(SECOND) - 1.0)
        } else {
            Timestamp::Exact { seconds, nanoseconds }
        })
    }

    /// Seconds since the Unix epoch, as near as a float comes; `None` as for [`timestamp`](Self::timestamp).
    pub(crate) fn seconds(self) -> Option<f64> {
        self.timestamp().map(|_| self.seconds as f64 + f64::from(self.nanos) / f64::from(SECOND))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_the_same_as_a_timestamp_and_back() {
        for (timestamp, seconds, nanos) in [
            (Timestamp::Exact { seconds: 1, nanoseconds: 500_000_000 }, 1, 500_000_000),
            (Timestamp::Exact { seconds: -1, nanoseconds: 500_000_000 }, -2, 500_000_000),
            (Timestamp::Exact { seconds: -7, nanoseconds: 0 }, -7, 0),
            (Timestamp::Seconds(-0.25), -1, 750_000_000),
        ] {
            let moment = Moment { seconds, nanos };

            assert_eq!(Moment::of(timestamp), Some(moment));
            assert_eq!(moment.timestamp(), Some(timestamp));
            assert_eq!(moment.seconds(), Some(timestamp.seconds()));
        }
    }

    #[test]
    fn a_moment_of_a_float_is_the_float() {
        for seconds in [0.0, 1_700_000_000.123_456, -1.5, 1e15, 4_503_599_627_370_496.5] {
            assert_eq!(Moment::of_seconds(seconds).and_then(Moment::seconds), Some(seconds));
        }
        for seconds in [f64::NAN, f64::INFINITY, -1e19] {
            assert_eq!(Moment::of_seconds(seconds), None);
        }
    }

    #[test]
    fn nanoseconds_are_less_than_a_second() {
        for nanos in [-1, 1_000_000_000] {
            assert_eq!(Moment { seconds: 0, nanos }.timestamp(), None);
        }
        assert_eq!(Moment::of_seconds(0.999_999_999_9), Some(Moment { seconds: 0, nanos: 999_999_999 }));
    }
}
