//! One line of output as a custom collector gives it.
//!
//! Native metrics never become samples before they are written: see [`crate::SeriesSnapshot`].

use std::cmp::Ordering;

use crate::{Exemplar, NativeHistogram, number};

/// When a sample was taken, in the precision it came in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Timestamp {
    /// Seconds since the Unix epoch.
    Seconds(f64),
    /// Whole seconds since the Unix epoch, written without a point.
    WholeSeconds(i128),
    /// Seconds and nanoseconds, written with nine decimals. The nanoseconds go away from zero: -1 and 500 000 000 are
    /// one and a half seconds before 1970.
    Exact {
        /// Whole seconds.
        seconds: i128,
        /// Nanoseconds, below 10⁹.
        nanoseconds: u32,
    },
}

impl Timestamp {
    /// Milliseconds, the rest cut off, as the text format has them; `None` if they are no number of 64 bits.
    ///
    /// ```
    /// use tallymark_model::Timestamp;
    /// assert_eq!(Timestamp::Seconds(123.4567).milliseconds(), Some(123_456));
    /// assert_eq!(Timestamp::Exact { seconds: -1, nanoseconds: 500_000_000 }.milliseconds(), Some(-1500));
    /// assert_eq!(Timestamp::Seconds(f64::NAN).milliseconds(), None);
    /// ```
    pub fn milliseconds(self) -> Option<i64> {
        // Through a float, even where it loses a millisecond far in the future: the official client goes that way.
        let milliseconds = self.seconds() * 1000.0;
        // CAST: in range; the fraction is meant to go.
        (milliseconds.abs() < i64::MAX as f64).then_some(milliseconds as i64)
    }

    /// Seconds since the Unix epoch, as near as a float comes.
    pub fn seconds(self) -> f64 {
        match self {
            Timestamp::Seconds(seconds) => seconds,
            Timestamp::WholeSeconds(seconds) => seconds as f64,
            Timestamp::Exact { seconds, nanoseconds } => {
                let fraction = f64::from(nanoseconds) / 1e9;
                seconds as f64 + if seconds < 0 { -fraction } else { fraction }
            }
        }
    }

    /// Compares two moments that came in with the same precision; `None` for others, and for NaN.
    pub(crate) fn compare(self, other: Timestamp) -> Option<Ordering> {
        let key = |seconds: i128, nanoseconds: u32| {
            let nanoseconds = i64::from(nanoseconds);
            (seconds, if seconds < 0 { -nanoseconds } else { nanoseconds })
        };
        match (self, other) {
            (Timestamp::Seconds(one), Timestamp::Seconds(other)) => one.partial_cmp(&other),
            (Timestamp::WholeSeconds(one), Timestamp::WholeSeconds(other)) => Some(one.cmp(&other)),
            (
                Timestamp::Exact { seconds: one, nanoseconds: its },
                Timestamp::Exact { seconds: other, nanoseconds: others },
            ) => Some(key(one, its).cmp(&key(other, others))),
            _ => None,
        }
    }

    /// Appends the time as it came in.
    pub(crate) fn push(self, out: &mut Vec<u8>) {
        match self {
            Timestamp::Seconds(seconds) => number::push_repr(out, seconds),
            Timestamp::WholeSeconds(seconds) => number::push_integer(out, seconds),
            Timestamp::Exact { seconds, nanoseconds } => {
                number::push_integer(out, seconds);
                out.push(b'.');
                let mut places = 100_000_000;
                while places > 1 && nanoseconds < places {
                    out.push(b'0');
                    places /= 10;
                }
                number::push_integer(out, nanoseconds);
            }
        }
    }
}

/// One sample: full name, labels, value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The name as written, suffix included.
    pub name: String,
    /// Label names and values; written sorted by name.
    pub labels: Vec<(String, String)>,
    /// The value; without meaning beside a native histogram.
    pub value: f64,
    /// When it was taken, where the collector says so.
    pub timestamp: Option<Timestamp>,
    /// An exemplar, where the format can carry one.
    pub exemplar: Option<Exemplar>,
    /// A native histogram in place of the value, which only OpenMetrics 2.0 can carry.
    pub native_histogram: Option<Box<NativeHistogram>>,
}

impl From<f64> for Timestamp {
    fn from(seconds: f64) -> Timestamp {
        Timestamp::Seconds(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_written_as_it_came_in() {
        for (timestamp, text) in [
            (Timestamp::Seconds(1_700_000_000.5), "1700000000.5"),
            (Timestamp::Seconds(-1.0), "-1.0"),
            (Timestamp::WholeSeconds(1_700_000_000), "1700000000"),
            (Timestamp::Exact { seconds: 123, nanoseconds: 456 }, "123.000000456"),
            (Timestamp::Exact { seconds: 123, nanoseconds: 0 }, "123.000000000"),
            (Timestamp::Exact { seconds: -1, nanoseconds: 100_000_000 }, "-1.100000000"),
            (Timestamp::Exact { seconds: 1, nanoseconds: 999_999_999 }, "1.999999999"),
        ] {
            let mut out = Vec::new();
            timestamp.push(&mut out);

            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn milliseconds_beyond_64_bits_are_none() {
        assert_eq!(Timestamp::WholeSeconds(i64::MAX.into()).milliseconds(), None);
        assert_eq!(Timestamp::Seconds(f64::NEG_INFINITY).milliseconds(), None);
        assert_eq!(Timestamp::WholeSeconds(-123).milliseconds(), Some(-123_000));
        assert_eq!(Timestamp::Exact { seconds: -1, nanoseconds: 250_000_000 }.milliseconds(), Some(-1250));
    }
}
