//! A value that goes up and down.

use std::sync::Arc;

use crate::clock;
use crate::series::Series;

/// A value that goes up and down: a queue's length, requests in progress.
///
/// Every process has its own value; how they become one is the family's
/// [`GaugeMode`](tallymark_model::GaugeMode). Safe from any thread, never blocks on the store.
#[derive(Clone)]
pub struct Gauge {
    pub(crate) series: Arc<Series>,
}

super::handle!(Gauge);

impl Gauge {
    /// Sets the value.
    #[inline]
    pub fn set(&self, value: f64) {
        self.series.cells().set(value, clock::stamp());
    }

    /// Adds `amount`, which may be negative.
    #[inline]
    pub fn inc_by(&self, amount: f64) {
        self.series.cells().change(amount);
    }

    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        self.inc_by(1.0);
    }

    /// Subtracts one.
    #[inline]
    pub fn dec(&self) {
        self.inc_by(-1.0);
    }

    /// Sets the value to the time, in seconds since the Unix epoch.
    pub fn set_to_current_time(&self) {
        self.set(clock::unix_seconds());
    }

    /// Adds one now and takes it back when the result is dropped.
    ///
    /// ```
    /// let registry = tallymark::Registry::new();
    /// let running = registry.gauge("running", "Jobs running.").register_one()?;
    /// {
    ///     let _job = running.track_inprogress();
    ///     assert_eq!(running.local(), 1.0);
    /// }
    /// assert_eq!(running.local(), 0.0);
    /// # Ok::<(), tallymark::Error>(())
    /// ```
    pub fn track_inprogress(&self) -> InProgress {
        self.inc();
        InProgress(self.clone())
    }

    /// This process's value, for tests and debugging.
    pub fn local(&self) -> f64 {
        self.series.cells().gauge().0
    }
}

/// Something in progress, counted by a gauge until it is dropped.
#[must_use]
pub struct InProgress(Gauge);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.dec();
    }
}
