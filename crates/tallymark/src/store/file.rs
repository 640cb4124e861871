//! The file store: binds families and series to the words of a file that every process of the host maps.
//!
//! What the file looks like, and how processes share it, is `tallymark_cells::file`'s business; this file turns
//! definitions and label values into the bytes it keeps, and its readings back into families.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tallymark_cells::fork::{self, Gated};
use tallymark_cells::{Attachment, file};
use tallymark_model::{Family, Labels};

use crate::family::Shared;
use crate::limits::{self, Limits};
use crate::merge::{self, Conflict};
use crate::series::Note;
use crate::store::StoreReading;
use crate::{Error, clock, own_metrics, record};

/// The family of the marks by which a spool remembers removals: no definition's key starts like this.
#[cfg(feature = "sqlite")]
const REMOVALS: &[u8] = b"\xffremovals";

/// A file of words, shared by every process of the host that opens it.
pub struct FileStore {
    file: file::Store,
    known: Gated<(u32, Arc<Mutex<Known>>)>,
    limits: Limits,
    /// Whether it is drained into another store, which is to hear of removals.
    is_spool: bool,
}

/// What a process remembers from scrape to scrape.
#[derive(Default)]
struct Known {
    descriptors: merge::Known,
    conflicts: Vec<Conflict>,
}

/// What a file holds, series by series.
#[cfg(feature = "sqlite")]
pub(crate) struct Totals {
    pub(crate) reading: file::Reading,
    known: Arc<Mutex<Known>>,
}

impl FileStore {
    /// What the file is called in a directory that processes share.
    pub const NAME: &'static str = "metrics.tally";

    /// Opens the file at `path`, or makes it.
    ///
    /// # Errors
    /// [`Error::File`], naming the path, what was found and what to do; the file is left untouched then.
    pub fn open(path: &Path, options: file::Options) -> Result<FileStore, Error> {
        let file = file::Store::open(path, options)?;
        Ok(FileStore { file, known: Gated::default(), limits: Limits::default(), is_spool: false })
    }

    /// The same file, within these limits.
    pub(crate) fn limited(self, limits: Limits) -> FileStore {
        FileStore { limits, ..self }
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Opens the same file once more, for a part of this program that is a process of its own in it: gauges of all
    /// processes are labelled with its number instead of the process id, if it has one.
    ///
    /// # Errors
    /// [`Error::File`], as [`open`](Self::open).
    pub fn as_process(&self, process: Option<u32>) -> Result<FileStore, Error> {
        let FileStore { limits, is_spool, .. } = *self;
        Ok(FileStore { file: self.file.as_process(process)?, known: Gated::default(), limits, is_spool })
    }

    /// See [`Store::leave`](crate::Store::leave).
    pub fn leave(&self) {
        let _gate = fork::gate();
        self.file.leave();
    }

    /// Points `cells` at a block of the file, and gives the time the series was created there. The fork gate must be
    /// held. `Err` where the family has too many series, or the file has no room.
    pub(crate) fn attach(
        &self,
        cells: &Attachment,
        shared: &Shared,
        labels: &Labels,
        created: f64,
    ) -> Result<f64, file::Refusal> {
        let definition = &shared.definition;
        let most = self.limits.max_series.filter(|_| !limits::is_overflow(labels.values()));
        let overflow =
            most.and_then(|_| limits::overflow(definition)).map(|labels| record::encode_values(labels.values()));
        let family = file::FamilyBytes {
            key: &record::encode_family_key(definition),
            details: &record::encode_family_details(definition),
            most: most.zip(overflow.as_deref()).map(|(series, beside)| file::Most { series, beside }),
        };
        self.file.attach(cells, family, &record::encode_values(labels.values()), shared.shape(), created)
    }

    /// The definitions in the file when it was last looked at, in the order in which they came into it.
    pub(crate) fn families(&self) -> Vec<Family> {
        // No series: their numbers are below this one.
        let records = self.file.descriptors(0, u32::MAX).families;
        records.iter().filter_map(|family| record::decode_family(&family.key, &family.details)).collect()
    }

    /// The fork gate must be held.
    pub(crate) fn write_note(&self, cells: &Attachment, note: &Note) {
        self.file.write_image(cells, note.part, note.stamp, &note.bytes);
    }

    /// The fork gate must be held.
    pub(crate) fn backdate(&self, cells: &Attachment, created: f64) {
        self.file.backdate(cells, created);
    }

    /// Removes the series of the family that have each of these values at its place, also those that this process never
    /// met. The fork gate must be held.
    pub(crate) fn remove_where(&self, definition: &Family, wanted: &[(usize, &str)]) {
        self.remove(definition, wanted);
        #[cfg(feature = "sqlite")]
        if self.is_spool {
            self.file.mark(REMOVALS, &super::ledger::encode_removal(definition, wanted));
        }
    }

    /// What the file holds. Folds the shards of ended processes first.
    pub(crate) fn read(&self) -> StoreReading {
        let known = self.known();
        let (merged, news) = {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            let reading = self.file.read();
            let now = clock::unix_nanoseconds();
            let merged = merge::by_name(&mut known.descriptors, &self.file, reading, self.limits, now);
            let news = Conflict::news(&merged, &mut known.conflicts);
            (merged, news)
        };
        for notice in news {
            log::warn!("{}: {notice}", self.path().display());
        }
        let own = [own_metrics::of_file(&self.file.status()), own_metrics::of_merging(&merged)].concat();
        StoreReading { families: merged.families, own }
    }

    fn remove(&self, definition: &Family, wanted: &[(usize, impl AsRef<str>)]) {
        self.file.remove(&record::encode_family_key(definition), &|key| {
            let values = record::decode_values(key).unwrap_or_default();
            wanted.iter().all(|(place, value)| values.get(*place).is_some_and(|known| known == value.as_ref()))
        });
    }

    fn known(&self) -> Arc<Mutex<Known>> {
        // A child starts with an empty table: a thread of its parent may have been filling the old one.
        let mut known = self.known.lock();
        if known.0 != fork::generation() {
            *known = (fork::generation(), Arc::default());
        }
        Arc::clone(&known.1)
    }
}

/// What draining asks of a file.
#[cfg(feature = "sqlite")]
impl FileStore {
    /// As [`open`](Self::open), for a file that is drained into another store.
    pub(crate) fn open_spool(path: &Path, options: file::Options) -> Result<FileStore, Error> {
        Ok(FileStore { is_spool: true, ..FileStore::open(path, options)? })
    }

    /// Takes the right to drain, unless another process has it.
    pub(crate) fn try_drain(&self) -> Option<file::Draining<'_>> {
        self.file.try_drain()
    }

    /// When it was last drained, and when that last failed: nanoseconds since boot, 0 for never.
    pub(crate) fn drained(&self) -> (u64, u64) {
        self.file.drained()
    }

    /// What is in the file, and the definitions of its families by their numbers.
    pub(crate) fn inspect(&self) -> (file::Inspection, Vec<Option<Arc<Family>>>) {
        let known = self.known();
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        let inspection = self.file.inspect();
        known.descriptors.learn(&self.file, inspection.file);
        let families = (0..inspection.series.len()).map(|number| known.descriptors.family(number).cloned()).collect();
        (inspection, families)
    }

    /// How the file is doing.
    pub(crate) fn status(&self) -> file::Status {
        self.file.status()
    }

    /// The generations of series, by their numbers.
    pub(crate) fn generations(&self, series: &[u32]) -> Vec<u64> {
        self.file.generations(series)
    }

    /// Makes a removal that another host has made, without noting it again.
    pub(crate) fn remove_for_others(&self, family: &Family, wanted: &[(usize, String)]) {
        let _gate = fork::gate();
        self.remove(family, wanted);
    }

    /// The removals that were made here, with how often, and what is left: no total is of before one of them. What is
    /// removed while it is read is left out. Nothing where the file cannot be read.
    pub(crate) fn removals_and_totals(&self) -> (Vec<(Vec<u8>, u64)>, Totals) {
        let mut totals = Totals { reading: self.file.read(), known: self.known() };
        // A series' generation is raised before its removal is noted: what was read before a removal that is found here
        // has another one by now.
        let removals = self.file.marks(REMOVALS);
        let series = &mut totals.reading.series;
        let numbers: Vec<u32> = series.iter().map(|total| total.series).collect();
        let mut now = self.file.generations(&numbers).into_iter();
        series.retain(|total| now.next() == Some(total.generation));
        let is_learnt = {
            let mut known = totals.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.descriptors.learn(&self.file, totals.reading.file)
        };
        if is_learnt {
            (removals, totals)
        } else {
            (Vec::new(), Totals { reading: file::Reading::default(), ..totals })
        }
    }
}

#[cfg(feature = "sqlite")]
impl Totals {
    /// Definition and label values of a series.
    pub(crate) fn series(&self, number: u32) -> Option<(Arc<Family>, Arc<Labels>)> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).descriptors.series(number)
    }

    /// How many live processes count in which family, by its id.
    pub(crate) fn users(&self) -> Vec<(u64, u32)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let families = (0..).zip(&self.reading.users).filter(|(_, users)| **users > 0);
        families
            .filter_map(|(number, users)| Some((record::family_id(known.descriptors.family(number)?), *users)))
            .collect()
    }
}
