//! Observations counted in buckets.

use std::sync::Arc;

use tallymark_model::{Error, Exemplar};

use super::Timer;
use crate::series::{Note, Series};
use crate::{clock, record};

/// Observations counted in buckets, with their sum: latencies, sizes.
///
/// Count, bucket and sum change as one: a scrape sees an observation wholly or not at all, and so it stays when the
/// process is killed in the middle of it.
#[derive(Clone)]
pub struct Histogram {
    pub(crate) series: Arc<Series>,
}

super::handle!(Histogram);

impl Histogram {
    /// Counts one observation in the first bucket whose bound is not below it. NaN is in no bucket and makes the sum
    /// NaN.
    #[inline]
    pub fn observe(&self, amount: f64) {
        let bucket = self.series.definition().bucket(amount);
        self.series.cells().observe(bucket, amount);
    }

    /// Counts one observation and keeps `exemplar` as the most recent one of its bucket; its value is set to `amount`.
    ///
    /// # Errors
    /// What [`Exemplar::check`] refuses; nothing has changed then.
    pub fn observe_with_exemplar(&self, amount: f64, exemplar: Exemplar) -> Result<(), Error> {
        Exemplar::check(exemplar.labels.iter().map(|(name, value)| (&**name, &**value)), false)?;
        self.observe(amount);
        if let Some(bucket) = self.series.definition().bucket(amount) {
            self.set_exemplar(bucket, &Exemplar { value: amount, ..exemplar });
        }
        Ok(())
    }

    /// Keeps an exemplar of what was counted before, as the most recent one of a bucket; nothing happens if there is no
    /// such bucket.
    pub fn set_exemplar(&self, bucket: usize, exemplar: &Exemplar) {
        let is_there = bucket < self.series.definition().bounds().len();
        if let (true, Ok(part)) = (is_there, u16::try_from(bucket)) {
            self.series.set_note(Note { part, stamp: clock::stamp(), bytes: record::encode_exemplar(exemplar) });
        }
    }

    /// Counts what was counted elsewhere: `times` observations in one bucket (by its place among the family's bounds, or in
    /// none), whose sum is `sum`. A bucket that the family does not have is none.
    ///
    /// ```
    /// let registry = tallymark::Registry::new();
    /// let latency = registry.histogram("latency", "Seconds.").bounds(&[0.1, 1.0]).register_one()?;
    /// latency.observe_many(Some(1), 3, 1.5);
    /// assert_eq!(latency.local(), (Box::from([0, 3, 0]), 1.5));
    /// # Ok::<(), tallymark::Error>(())
    /// ```
    pub fn observe_many(&self, bucket: Option<usize>, times: u64, sum: f64) {
        let bucket = bucket.filter(|bucket| *bucket < self.series.definition().bounds().len());
        self.series.cells().observe_many(bucket, times, sum);
    }

    /// Observes the seconds until the result is dropped.
    pub fn start_timer(&self) -> Timer {
        let histogram = self.clone();
        Timer::new(move |seconds| histogram.observe(seconds))
    }

    /// What this process has counted, for tests and debugging: observations per bucket, and their sum.
    pub fn local(&self) -> (Box<[u64]>, f64) {
        let reading = self.series.cells().tally();
        (reading.counts, reading.sum)
    }
}
