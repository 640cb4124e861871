//! A store: one file, as one process uses it.
//!
//! Everything that changes in here changes under the fork gate, which its callers hold; see [`crate::fork`]. What changes
//! is `state.rs`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::descriptors::{family_bytes, record_at, series_bytes};
use super::error::{NoRoom, OpenError, Refusal};
use super::fold::Journal;
use super::inspect::{self, Inspection};
use super::layout::{header as words, lock as byte, series};
use super::lock;
use super::open::{Options, open_file};
use super::read::{self, Reading};
use super::state::{FamilyBytes, State};
use crate::Attachment;
use crate::block::Shape;
use crate::fork::{self, OwnFile};

/// A file of cells, as one process uses it.
pub struct Store {
    path: PathBuf,
    options: Options,
    state: Mutex<State>,
    replaced: AtomicU64,
}

/// The records behind certain numbers.
#[derive(Debug, Default)]
pub struct Descriptors {
    /// Which file they are of; see [`Reading::file`].
    pub file: u64,
    /// Families.
    pub families: Vec<FamilyRecord>,
    /// Series.
    pub series: Vec<SeriesRecord>,
}

/// A family's record; empty if it is damaged.
#[derive(Debug, Default)]
pub struct FamilyRecord {
    /// What makes it this family.
    pub key: Vec<u8>,
    /// What else is to be known of it.
    pub details: Vec<u8>,
}

/// A series' record.
#[derive(Debug)]
pub struct SeriesRecord {
    /// The number of its family; `u32::MAX` if the record is damaged.
    pub family: u32,
    /// What makes it this series of the family.
    pub key: Vec<u8>,
}

/// How a file and this process's use of it are doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Status {
    /// Processes that count in the file.
    pub live: u64,
    /// Processes whose shards have been folded.
    pub folded: u64,
    /// The file's size.
    pub bytes: u64,
    /// Records that cannot be read.
    pub damaged: u64,
    /// Times this process found the file deleted or replaced.
    pub replaced: u64,
}

impl Store {
    /// Opens the file at `path`, or makes it.
    ///
    /// # Errors
    /// [`OpenError`]; the file is left untouched then.
    pub fn open(path: &Path, options: Options) -> Result<Store, OpenError> {
        let absolute = std::path::absolute(path).map_err(|source| OpenError::Io {
            path: path.to_owned(),
            action: "find the working directory",
            source,
        })?;
        let _gate = fork::gate();
        let state = State::open(&absolute, options)?;
        Ok(Store { path: absolute, options, state: Mutex::new(state), replaced: AtomicU64::new(0) })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the same file once more, for a part of this program that is a process of its own in it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn as_process(&self, process: Option<u32>) -> Result<Store, OpenError> {
        Store::open(&self.path, Options { process, ..self.options })
    }

    /// Points `cells` at this process's block of a series, which is made if need be. Gives the time the series was
    /// created in the store. The fork gate must be held.
    ///
    /// # Errors
    /// [`Refusal`]. `cells` is left as it is then.
    pub fn attach(
        &self,
        cells: &Attachment,
        family: FamilyBytes<'_>,
        key: &[u8],
        shape: Shape,
        created: f64,
    ) -> Result<f64, Refusal> {
        let mut state = self.lock();
        // With a slot in hand, the next scrape is soon enough to look whether the file is still at its path.
        let settled = state.own.is_some() && state.file.is_ours();
        let ready = if settled { Ok(()) } else { self.renew(&mut state) };
        let result = ready.and_then(|()| state.attach(cells, family, key, shape, created));
        result.map_err(|refusal| {
            if matches!(refusal, NoRoom::TooMany) {
                return Refusal::TooMany;
            }
            let news = !std::mem::replace(&mut state.refusing, true);
            Refusal::NoRoom(news.then(|| {
                let path = self.path.display();
                format!(
                    "{path}: {refusal}; new series are kept in this process's memory, those that exist go on counting"
                )
            }))
        })
    }

    /// Writes the bytes of one part of the series that `cells` is attached to. The fork gate must be held. Bytes that
    /// find no room are dropped.
    pub fn write_image(&self, cells: &Attachment, part: u16, stamp: u64, bytes: &[u8]) {
        let mut state = self.lock();
        if self.renew(&mut state).is_ok()
            && let Some(block) = cells.current()
        {
            let (number, generation) = block.identity();
            // A lack of room is met, counted and logged where series are attached.
            let _ = state.write_image(number, generation, part, stamp, bytes);
        }
    }

    /// Makes the series that `cells` is attached to one that was created at `created`, if that is earlier than what the
    /// file says. The fork gate must be held.
    pub fn backdate(&self, cells: &Attachment, created: f64) {
        let mut state = self.lock();
        if self.renew(&mut state).is_ok()
            && let Some(block) = cells.current()
            && let Some(record) = state.tables.series_words(&state.region, block.identity().0)
        {
            // Bits of floats that are not negative are in the floats' order.
            record[series::CREATED].fetch_min(created.to_bits(), Ordering::Relaxed);
        }
    }

    /// Removes the series of a family whose keys `matches` accepts, for every process. The fork gate must be held.
    pub fn remove(&self, family_key: &[u8], matches: &dyn Fn(&[u8]) -> bool) {
        let mut state = self.lock();
        if self.renew(&mut state).is_ok() {
            state.remove(family_key, matches);
        }
    }

    /// The totals of all series. Shards of ended processes are folded first, unless somebody else is at it.
    pub fn read(&self) -> Reading {
        loop {
            let (region, journal, plan) = {
                let _gate = fork::gate();
                let mut state = self.lock();
                if self.renew(&mut state).is_err() {
                    return Reading::default();
                }
                // No room for a base block: readers add the shard up as it is.
                let _ = state.fold_ended();
                let Some(journal) = Journal::read(&state.region) else { return Reading::default() };
                (Arc::clone(&state.region), journal, state.plan(self.replaced.load(Ordering::Relaxed)))
            };
            match read::read(&region, journal, &plan) {
                Some(reading) => return reading,
                None => std::thread::yield_now(),
            }
        }
    }

    /// Records from these numbers on.
    pub fn descriptors(&self, families: u32, series: u32) -> Descriptors {
        let _gate = fork::gate();
        let state = self.lock();
        let from = |list: &[u64], first: u32| list.get(first as usize..).unwrap_or_default().to_vec();
        let record = |at: u64| if at == 0 { None } else { record_at(&state.region, at) };
        Descriptors {
            file: self.replaced.load(Ordering::Relaxed),
            families: from(&state.tables.families, families)
                .into_iter()
                .map(|at| record(at).and_then(family_bytes).unwrap_or_default())
                .map(|(key, details)| FamilyRecord { key, details })
                .collect(),
            series: from(&state.tables.series, series)
                .into_iter()
                .map(|at| record(at).and_then(series_bytes).unwrap_or((u32::MAX, Vec::new())))
                .map(|(family, key)| SeriesRecord { family, key })
                .collect(),
        }
    }

    /// Raises the generation of a mark, one of the family's keys without numbers: what is to be noted for whoever drains the
    /// file, as often as it happens. The fork gate must be held. What finds no room is not noted.
    pub fn mark(&self, family_key: &[u8], key: &[u8]) {
        let mut state = self.lock();
        if self.renew(&mut state).is_ok() {
            // The drain misses a removal then, in a file whose device is full; the file itself has forgotten the series.
            let _ = state.mark(family_key, key);
        }
    }

    /// The family's marks with their generations.
    pub fn marks(&self, family_key: &[u8]) -> Vec<(Vec<u8>, u64)> {
        let _gate = fork::gate();
        let mut state = self.lock();
        if self.renew(&mut state).is_err() {
            return Vec::new();
        }
        let State { tables, region, file, .. } = &mut *state;
        tables.follow(region, file);
        let Some(family) = tables.family(family_key) else { return Vec::new() };
        let records = tables.series.iter().filter(|at| **at != 0).filter_map(|at| record_at(region, *at));
        let marks = records.filter(|record| record[series::FAMILY].load(Ordering::Relaxed) == u64::from(family));
        marks
            .filter_map(|record| Some((series_bytes(record)?.1, record[series::GENERATION].load(Ordering::SeqCst))))
            .collect()
    }

    /// Takes the right to drain the file, unless another process has it. Given back when dropped, or by the kernel.
    pub fn try_drain(&self) -> Option<Draining<'_>> {
        let _gate = fork::gate();
        let mut state = self.lock();
        self.renew(&mut state).ok()?;
        let taken = lock::try_lock(&state.file, byte::DRAIN).unwrap_or(false);
        // Not `then_some`: one that is made only to be dropped would give back what another process has.
        if taken { Some(Draining(self)) } else { None }
    }

    /// When the file was last drained, and when that last failed: in nanoseconds since boot, 0 for never.
    pub fn drained(&self) -> (u64, u64) {
        let _gate = fork::gate();
        let state = self.lock();
        let header = |index: usize| state.region.word(8 * index as u64).map_or(0, |word| word.load(Ordering::Relaxed));
        (header(words::DRAINED), header(words::DRAIN_FAILED))
    }

    /// The generations of these series: even while they are there, odd while they are removed.
    pub fn generations(&self, series: &[u32]) -> Vec<u64> {
        let _gate = fork::gate();
        let state = self.lock();
        let record = |number: &u32| state.tables.series_words(&state.region, *number);
        let generation = |words: &[AtomicU64]| words[series::GENERATION].load(Ordering::SeqCst);
        series.iter().map(|number| record(number).map_or(u64::MAX, generation)).collect()
    }

    /// How the file is doing.
    pub fn status(&self) -> Status {
        let _gate = fork::gate();
        let mut state = self.lock();
        if self.renew(&mut state).is_err() {
            return Status::default();
        }
        let header = |index: usize| state.region.word(8 * index as u64).map_or(0, |word| word.load(Ordering::Relaxed));
        Status {
            live: state.processes().iter().filter(|process| process.live).count() as u64,
            folded: header(words::FOLDED),
            bytes: state.region.length(),
            damaged: state.tables.damaged,
            replaced: self.replaced.load(Ordering::Relaxed),
        }
    }

    /// What is in the file, and whose it is.
    pub fn inspect(&self) -> Inspection {
        let _gate = fork::gate();
        let mut state = self.lock();
        if self.renew(&mut state).is_err() {
            return Inspection::default();
        }
        let State { tables, region, file, .. } = &mut *state;
        tables.follow(region, file);
        inspect::inspect(&state.tables, &state.region, &state.processes(), self.replaced.load(Ordering::Relaxed))
    }

    /// Folds what this process has counted, for its end. The fork gate must be held, and no thread may be in the middle
    /// of an update; later updates make new blocks. The place in the file is given back with the last handle, or by the
    /// kernel: until then handles point into it.
    pub fn leave(&self) {
        let mut state = self.lock();
        if state.file.is_ours() {
            state.leave();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the state this process's own after a fork, and follows the path if another file is there now.
    fn renew(&self, state: &mut State) -> Result<(), NoRoom> {
        if self.options.in_memory {
            if !state.file.is_ours() {
                // The parent's words are the parent's business.
                *state = State::open(&self.path, self.options).map_err(NoRoom::Reopen)?;
            }
        } else if !std::fs::metadata(&self.path).is_ok_and(|found| state.region.is(&found)) {
            // Whether or not another one can be opened: what is counted in the old one nobody will see.
            state.forsake();
            *state = State::open(&self.path, self.options).map_err(NoRoom::Reopen)?;
            self.replaced.fetch_add(1, Ordering::Relaxed);
        } else if !state.file.is_ours() {
            // The same file: what was learnt of it stays valid, and so does the mapping that handles point into. The
            // slot, the blocks and the lock are the parent's.
            let file = OwnFile::new(open_file(&self.path, self.options).map_err(NoRoom::Reopen)?);
            state.own = None;
            state.file = file;
        }
        Ok(())
    }
}

/// The right to drain a file: one process at a time has it. Threads of one process must agree among themselves.
pub struct Draining<'a>(&'a Store);

impl Draining<'_> {
    /// Notes that it failed at this time, in nanoseconds since boot.
    pub fn failed(&self, stamp: u64) {
        self.note(words::DRAIN_FAILED, stamp);
    }

    /// Notes that what had been counted at this time was drained.
    pub fn done(&self, stamp: u64) {
        self.note(words::DRAINED, stamp);
    }

    fn note(&self, index: usize, stamp: u64) {
        let _gate = fork::gate();
        if let Some(word) = self.0.lock().region.word(8 * index as u64) {
            word.store(stamp, Ordering::Relaxed);
        }
    }
}

impl Drop for Draining<'_> {
    fn drop(&mut self) {
        let _gate = fork::gate();
        let state = self.0.lock();
        if state.file.is_ours() {
            lock::unlock(&state.file, byte::DRAIN);
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // The gate may be held already, by who drops the last reference; without it a child forked meanwhile finds only
        // what a crash would leave.
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !state.file.is_ours() || state.own.is_none() {
            return;
        }
        if Arc::strong_count(&state.region) == 1 {
            // No handle is left that could update a cell: this is a clean exit.
            state.give_back();
        } else if let Ok(other) = state.file.try_clone() {
            // Handles of removed series, or of families that have gone to another store: until they are gone, too, this
            // process keeps its place, so that nobody else gets the words they point at.
            state.region.keep(OwnFile::new(other));
        }
    }
}
