//! How many requests are taken in a time: a bucket that fills by itself, and from which each request takes one.
//!
//! It is one bucket for all clients, as in the Prometheus tools' configuration file; it knows no addresses.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// One request in each interval, and so many at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    pub(super) interval: Duration,
    pub(super) burst: u32,
}

/// What is left of a rate.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: Rate,
    /// How many requests may come now, and when that was so.
    left: Mutex<(f64, Instant)>,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(rate: Rate, now: Instant) -> Bucket {
        Bucket { rate, left: Mutex::new((f64::from(rate.burst), now)) }
    }

    /// Takes one request, or says how long to wait for the next.
    pub(super) fn take(&self, now: Instant) -> Result<(), Duration> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, since) = *left;
        let interval = self.rate.interval.as_secs_f64();
        let grown = now.saturating_duration_since(since).as_secs_f64() / interval;
        let present = (before + grown).min(f64::from(self.rate.burst));
        let taken = present >= 1.0;
        *left = (if taken { present - 1.0 } else { present }, now);
        if taken { Ok(()) } else { Err(Duration::from_secs_f64((1.0 - present) * interval)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_requests_come_at_the_rate() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let bucket = Bucket::new(Rate { interval: Duration::from_millis(100), burst: 3 }, start);
        for _ in 0..3 {
            assert_eq!(Ok(()), bucket.take(start));
        }

        assert_eq!(Err(Duration::from_millis(100)), bucket.take(start));
        assert_eq!(Err(Duration::from_millis(50)), bucket.take(at(50)), "asking costs nothing");
        assert_eq!(Ok(()), bucket.take(at(100)));
        assert!(bucket.take(at(100)).is_err());

        let taken = (0..10).filter(|_| bucket.take(at(60_000)).is_ok()).count();
        assert_eq!(3, taken, "a pause gives a burst and no more");
    }
}
