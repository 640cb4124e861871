//! Observations counted and summed.

use std::sync::Arc;

use super::Timer;
use crate::series::Series;

/// Observations counted and summed, without quantiles: those of several processes cannot be added up.
#[derive(Clone)]
pub struct Summary {
    pub(crate) series: Arc<Series>,
}

super::handle!(Summary);

impl Summary {
    /// Counts one observation.
    #[inline]
    pub fn observe(&self, amount: f64) {
        self.series.cells().observe(Some(0), amount);
    }

    /// Counts `times` observations whose sum is `sum`.
    pub fn observe_many(&self, times: u64, sum: f64) {
        self.series.cells().observe_many(Some(0), times, sum);
    }

    /// Observes the seconds until the result is dropped.
    pub fn start_timer(&self) -> Timer {
        let summary = self.clone();
        Timer::new(move |seconds| summary.observe(seconds))
    }

    /// What this process has counted, for tests and debugging: how many observations, and their sum.
    pub fn local(&self) -> (u64, f64) {
        let reading = self.series.cells().tally();
        (reading.counts[0], reading.sum)
    }
}
