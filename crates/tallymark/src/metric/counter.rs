//! A total that only grows.

use std::sync::Arc;

use tallymark_model::{Error, Exemplar};

use crate::series::{Note, Series};
use crate::{clock, record};

/// A total that only grows: requests answered, bytes sent.
///
/// Whole increments are one atomic add and stay exact beyond 2⁵³; others go into a float beside it. Safe from any
/// thread, in any process, in a signal handler; never blocks on the store. Not for anything that can fall.
#[derive(Clone)]
pub struct Counter {
    pub(crate) series: Arc<Series>,
}

super::handle!(Counter);

impl Counter {
    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        self.series.cells().add_whole(1);
    }

    /// Adds `amount`. NaN is added too, as the official Python client does, and makes the total NaN.
    ///
    /// # Errors
    /// [`Error::NegativeIncrement`] if `amount` is below zero; nothing has changed then.
    #[inline]
    pub fn inc_by(&self, amount: f64) -> Result<(), Error> {
        if amount < 0.0 {
            return Err(Error::NegativeIncrement);
        }
        self.series.cells().add(amount);
        Ok(())
    }

    /// Adds `amount` and keeps `exemplar` as the most recent one; its value is set to `amount`.
    ///
    /// # Errors
    /// What [`inc_by`](Self::inc_by) and [`Exemplar::check`] refuse; nothing has changed then.
    pub fn inc_with_exemplar(&self, amount: f64, exemplar: Exemplar) -> Result<(), Error> {
        Exemplar::check(exemplar.labels.iter().map(|(name, value)| (&**name, &**value)), false)?;
        self.inc_by(amount)?;
        self.set_exemplar(&Exemplar { value: amount, ..exemplar });
        Ok(())
    }

    /// Keeps an exemplar of what was counted before, as the most recent one.
    pub fn set_exemplar(&self, exemplar: &Exemplar) {
        self.series.set_note(Note { part: 0, stamp: clock::stamp(), bytes: record::encode_exemplar(exemplar) });
    }

    /// Starts again at zero in every process of the store, with a new `_created`.
    pub fn reset(&self) {
        self.reset_at(clock::unix_seconds());
    }

    /// [`reset`](Self::reset), with this time as `_created`, in seconds since the Unix epoch.
    pub fn reset_at(&self, created: f64) {
        self.series.reset(created);
    }

    /// What this process has added, for tests and debugging: the total over processes is what a scrape shows.
    pub fn local(&self) -> f64 {
        let (whole, rest) = self.series.cells().number();
        whole as f64 + rest
    }
}
