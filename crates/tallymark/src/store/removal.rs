//! What a store holds, series by series, and removing some of it for every process and host.
//!
//! Families are given by the definitions under which they are kept: processes may have declared one name in several ways,
//! which a scrape shows as one family.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tallymark_cells::fork;
use tallymark_model::{Family, Labels};

use super::Store;
use crate::Error;

/// A series, by the definition that it is kept under.
#[derive(Debug, Clone)]
pub struct HeldLabels {
    /// The definition.
    pub family: Arc<Family>,
    /// The label values.
    pub labels: Arc<Labels>,
}

impl Store {
    /// Every series that the store holds. Ended processes are folded first, and what this host has counted is sent to a store
    /// of many hosts, which may take as long as `patience`.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let url = format!("file:{}", directory.path().join("metrics.tally").display());
    /// let registry = tallymark::Registry::open(&url)?;
    /// let jobs = registry.counter("jobs", "Jobs done.").label_names(["queue"]).register()?;
    /// jobs.with(&["mail"])?.inc();
    /// jobs.with(&["backup"])?.inc();
    ///
    /// let store = tallymark::Store::open_existing(&url)?;
    /// let patience = std::time::Duration::from_secs(1);
    /// let mail = store.series(patience)?.into_iter().find(|held| &*held.labels.values()[0] == "mail").unwrap();
    /// store.remove(&mail.family, &[(0, "mail")]);
    ///
    /// assert_eq!(store.series(patience)?.len(), 1);
    /// # Ok::<(), tallymark::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] if the store of many hosts cannot be reached.
    pub fn series(&self, patience: Duration) -> Result<Vec<HeldLabels>, Error> {
        self.flush(patience)?;
        let held = match self {
            Store::Memory | Store::Capped(_) => Vec::new(),
            Store::File(file) => {
                let (_, totals) = file.removals_and_totals();
                let numbers = totals.reading.series.iter().map(|series| series.series);
                let series = numbers.filter_map(|number| totals.series(number));
                series.map(|(family, labels)| HeldLabels { family, labels }).collect()
            }
            Store::Ledger(store) => {
                let stored = store.ask(Instant::now() + patience)?;
                stored.series.into_iter().map(|held| HeldLabels { family: held.family, labels: held.labels }).collect()
            }
        };
        Ok(held)
    }

    /// Removes the series of the definition that have each of these values at its place among the label names, for every
    /// process: those that go on counting start from zero. No values at all: every series. A store of many hosts hears of
    /// it at the next [`flush`](Self::flush).
    pub fn remove(&self, family: &Family, wanted: &[(usize, &str)]) {
        if let Some(file) = self.file() {
            let _gate = fork::gate();
            file.remove_where(family, wanted);
        }
    }
}
