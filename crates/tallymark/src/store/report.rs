//! How a store is doing, for people who ask: who counts in it, what it is filled with, and whether it is drained.
//!
//! Nothing is folded, sent or removed. What follows from the findings is for those to say who show them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tallymark_cells::file::Inspection;
use tallymark_model::{Family, Kind};

use super::{FileStore, LedgerStore, Reason, Store};
use crate::clock;

/// How a store is doing; see [`Store::report`].
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The file in which this host counts; none in memory.
    pub file: Option<FileReport>,
    /// The store of many hosts behind it.
    pub ledger: Option<LedgerReport>,
}

/// How a file is doing.
#[derive(Debug, Clone, Default)]
pub struct FileReport {
    /// Where it is.
    pub path: PathBuf,
    /// Who has a place in it, and what it is filled with.
    pub inspection: Inspection,
    /// Processes that have ended and were added to the totals, since the file was made.
    pub folded: u64,
    /// Records that cannot be read.
    pub damaged: u64,
    /// The families with the series that are there, those with the most first.
    pub families: Vec<(Arc<Family>, u64)>,
}

/// How a store of many hosts is doing, and how this host sends to it.
#[derive(Debug, Clone)]
pub struct LedgerReport {
    /// What it holds, or why it cannot be read.
    pub holds: Result<Holdings, String>,
    /// Where it is noted what of this host was sent; none in memory.
    pub journal: Option<PathBuf>,
    /// How long ago this host was last drained, and when that last failed.
    pub drained: Option<Duration>,
    /// How long ago draining last failed, if it has not succeeded since.
    pub failing: Option<Duration>,
    /// How often draining has failed, by what kind of trouble.
    pub failures: Vec<(Reason, u64)>,
    /// Series that had something to send when draining last failed, 0 after it succeeded.
    pub backlog: u64,
    /// Batches given up because it could not be known whether they had been counted.
    pub lost: u64,
}

/// What a store of many hosts holds.
#[derive(Debug, Clone, Default)]
pub struct Holdings {
    /// Its series, each counted once for every definition of its family.
    pub series: u64,
    /// The names of its families.
    pub families: u64,
    /// Processes of all hosts that count in it.
    pub processes: u64,
}

impl FileReport {
    /// Names that processes use for families of different types, of which only one can be shown: with each type and its
    /// series.
    pub fn conflicts(&self) -> Vec<(String, Vec<(Kind, u64)>)> {
        let mut kinds: HashMap<&str, Vec<(Kind, u64)>> = HashMap::new();
        for (family, series) in self.families.iter().filter(|(_, series)| *series > 0) {
            let known = kinds.entry(family.name()).or_default();
            match known.iter_mut().find(|(kind, _)| *kind == family.kind()) {
                Some((_, count)) => *count += series,
                None => known.push((family.kind(), *series)),
            }
        }
        let mut conflicts: Vec<_> = kinds.into_iter().filter(|(_, kinds)| kinds.len() > 1).collect();
        conflicts.sort_by_key(|(name, _)| *name);
        conflicts.into_iter().map(|(name, kinds)| (name.to_owned(), kinds)).collect()
    }
}

impl Store {
    /// Says how the store is doing, without changing it. A store of many hosts may take as long as `patience` to answer.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let url = format!("file:{}", directory.path().join("metrics.tally").display());
    /// let registry = tallymark::Registry::open(&url)?;
    /// registry.counter("jobs", "Jobs done.").register_one()?.inc();
    ///
    /// let report = tallymark::Store::open_existing(&url)?.report(std::time::Duration::from_secs(1));
    /// let file = report.file.unwrap();
    /// assert!(file.inspection.processes[0].live);
    /// assert_eq!((file.families[0].0.name(), file.families[0].1), ("jobs", 1));
    /// # Ok::<(), tallymark::Error>(())
    /// ```
    pub fn report(&self, patience: Duration) -> Report {
        let file = self.file().map(|file| file_report(file));
        let ledger = match self {
            Store::Ledger(store) => Some(ledger_report(store, patience)),
            _ => None,
        };
        Report { file, ledger }
    }
}

fn file_report(file: &FileStore) -> FileReport {
    let (inspection, families) = file.inspect();
    let status = file.status();
    // Marks, which tell of removals, have no definition.
    let mut families: Vec<_> =
        families.into_iter().zip(&inspection.series).filter_map(|(family, series)| Some((family?, *series))).collect();
    families.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.name().cmp(other.0.name())));
    FileReport { path: file.path().to_owned(), inspection, folded: status.folded, damaged: status.damaged, families }
}

fn ledger_report(store: &LedgerStore, patience: Duration) -> LedgerReport {
    let (drained, failed) = store.spool().drained();
    let now = clock::stamp();
    // 0 is never, and 1 before the host was started.
    let ago = |stamp: u64| (2..=now).contains(&stamp).then(|| Duration::from_nanos(now - stamp));
    let record = store.record();
    let holds = store.ask(Instant::now() + patience).map_err(|trouble| trouble.message);
    let holds = holds.map(|stored| {
        let mut names: Vec<&str> = stored.series.iter().map(|series| series.family.name()).collect();
        names.sort_unstable();
        names.dedup();
        Holdings { series: stored.series.len() as u64, families: names.len() as u64, processes: stored.processes }
    });
    LedgerReport {
        holds,
        journal: store.journal(),
        drained: ago(drained),
        failing: ago(failed).filter(|_| failed > drained),
        failures: record.failed.into_iter().filter(|(_, count)| *count > 0).collect(),
        backlog: record.waiting,
        lost: record.lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registry;

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("file:{}", directory.path().join("a.tally").display())).unwrap();
        (directory, store)
    }

    #[test]
    fn looking_at_a_store_changes_nothing_in_it() {
        let (_directory, store) = store();
        let counter = Registry::with_store(store.clone()).counter("jobs", "").register_one().unwrap();
        counter.inc();
        let path = store.file().unwrap().path().to_owned();
        let before = std::fs::read(&path).unwrap();

        let other = Store::open_existing(&store.url()).unwrap();
        other.report(Duration::from_secs(1));

        assert_eq!(before, std::fs::read(&path).unwrap());
    }

    #[test]
    fn a_name_with_two_types_is_a_conflict() {
        let (_directory, store) = store();
        let (one, other) = (Registry::with_store(store.clone()), Registry::with_store(store.clone()));
        one.counter("jobs", "").register_one().unwrap().inc();
        one.gauge("fine", "").register().unwrap();
        other.gauge("jobs", "").register_one().unwrap().set(1.0);

        let conflicts = store.report(Duration::ZERO).file.unwrap().conflicts();

        assert_eq!(conflicts.len(), 1);
        assert_eq!(conflicts[0].0, "jobs");
        assert!(conflicts[0].1.contains(&(Kind::Counter, 1)) && conflicts[0].1.contains(&(Kind::Gauge, 1)));
    }

    #[test]
    fn removed_series_are_told_from_those_that_are_there() {
        let (_directory, store) = store();
        let family = Registry::with_store(store.clone()).counter("jobs", "").label_names(["k"]).register().unwrap();
        for value in ["a", "b", "c"] {
            family.with(&[value]).unwrap().inc();
        }
        family.remove(&["b"]).unwrap();

        let file = store.report(Duration::ZERO).file.unwrap();

        assert_eq!((2, 1), (file.families[0].1, file.inspection.removed));
        assert!(file.inspection.idle_bytes > 0);
        assert_eq!(2, file.inspection.processes[0].blocks);
    }
}
