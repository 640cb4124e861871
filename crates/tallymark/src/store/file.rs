//! The file store: binds families and series to the words of a file that every process of the host maps.
//!
//! What the file looks like, and how processes share it, is `tallymark_cells::file`'s business; this file turns
//! definitions and label values into the bytes it keeps, and its readings back into families.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tallymark_cells::fork::{self, Gated};
use tallymark_cells::{Attachment, file};
use tallymark_model::{FamilySnapshot, Labels};

use crate::family::Shared;
use crate::limits::{self, Limits};
use crate::merge::{self, Conflict, Merged};
use crate::series::Note;
use crate::{Error, clock, record};

/// A file of words, shared by every process of the host that opens it.
pub struct FileStore {
    file: file::Store,
    known: Gated<(u32, Arc<Mutex<Known>>)>,
    limits: Limits,
}

/// What a process remembers from scrape to scrape.
#[derive(Default)]
struct Known {
    descriptors: merge::Known,
    conflicts: Vec<Conflict>,
}

impl FileStore {
    /// What the file is called in a directory that processes share.
    pub const NAME: &'static str = "metrics.tally";

    /// Opens the file at `path`, or makes it.
    ///
    /// # Errors
    /// [`Error::File`], naming the path, what was found and what to do; the file is left untouched then.
    pub fn open(path: &Path, options: file::Options) -> Result<FileStore, Error> {
        Ok(FileStore { file: file::Store::open(path, options)?, known: Gated::default(), limits: Limits::default() })
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
        Ok(FileStore { file: self.file.as_process(process)?, known: Gated::default(), limits: self.limits })
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

    /// The fork gate must be held.
    pub(crate) fn write_note(&self, cells: &Attachment, note: &Note) {
        self.file.write_image(cells, note.part, note.stamp, &note.bytes);
    }

    /// Removes series of the family, also those that this process never met. The fork gate must be held.
    pub(crate) fn remove_matching(&self, shared: &Shared, matches: &dyn Fn(&[Box<str>]) -> bool) {
        self.file.remove(&record::encode_family_key(&shared.definition), &|key| {
            let values = record::decode_values(key).unwrap_or_default();
            matches(&values.into_iter().map(String::into_boxed_str).collect::<Vec<_>>())
        });
    }

    /// What the file holds of every family, by name. Folds the shards of ended processes first.
    pub(crate) fn read(&self) -> Merged {
        let known = {
            // A child starts with an empty table: a thread of its parent may have been filling the old one.
            let mut known = self.known.lock();
            if known.0 != fork::generation() {
                *known = (fork::generation(), Arc::default());
            }
            Arc::clone(&known.1)
        };
        let (merged, before) = {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            let reading = self.file.read();
            let now = clock::unix_nanoseconds();
            let merged = merge::by_name(&mut known.descriptors, &self.file, reading, self.limits, now);
            let before = std::mem::replace(&mut known.conflicts, merged.conflicts.clone());
            (merged, before)
        };
        for conflict in Conflict::news(&merged.conflicts, &before) {
            log::warn!("{}: {}", self.path().display(), conflict.notice());
        }
        merged
    }

    /// The store's metrics about itself.
    pub(crate) fn own_metrics(&self, unshared: usize, merged: &Merged) -> Vec<FamilySnapshot> {
        merge::own_metrics(&self.file.status(), unshared, merged)
    }
}
