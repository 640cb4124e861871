//! A store: one file, as one process uses it.
//!
//! Everything that changes in here changes under the fork gate, which its callers hold; see [`crate::fork`].

use std::collections::HashMap;
use std::fs::{File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::descriptors::{Tables, family_bytes, record_at, series_bytes};
use super::error::{NoRoom, OpenError, Refusal};
use super::fold::{Folder, Journal};
use super::inspect::{self, Inspection};
use super::layout::{NOBODY, header as words, lock as byte, owner_of, series};
use super::read::{self, Plan, Reading};
use super::region::Region;
use super::shard::{Chunk, Found, NewBlock, Shard};
use super::slot::{self, Process};
use super::{append_lock, header, lock, step};
use crate::Attachment;
use crate::block::{MAX_IMAGE, REMOVED, Shape};
use crate::fork::{self, OwnFile};
use crate::sync::fence;

/// How a file is opened.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Permissions of a file that is made.
    pub mode: u32,
    /// Whether a network file system is accepted.
    pub allow_network: bool,
    /// Whether a file that is not there is made.
    pub create: bool,
    /// What this process is called in the file, instead of by its process id.
    pub process: Option<u32>,
    /// Whether the words are kept in memory only, for this process alone: no file is made, the path is a name.
    pub in_memory: bool,
}

impl Default for Options {
    /// Made if need be, readable and writable by its owner alone; no network file systems.
    fn default() -> Options {
        Options { mode: 0o600, allow_network: false, create: true, process: None, in_memory: false }
    }
}

/// A file of cells, as one process uses it.
pub struct Store {
    path: PathBuf,
    options: Options,
    state: Mutex<State>,
    replaced: AtomicU64,
}

struct State {
    file: OwnFile,
    region: Arc<Region>,
    tables: Tables,
    own: Option<Own>,
    counts: HashMap<u32, Count>,
    /// What this process is called in its slot.
    process: Option<u32>,
    refusing: bool,
}

/// This process's place in the file.
struct Own {
    slot: usize,
    shard: Shard,
}

/// How many series of a family are there: counted once, and then those that were made since.
#[derive(Default)]
struct Count {
    turns: u64,
    seen: usize,
    there: u32,
}

/// A family's bytes.
pub struct FamilyBytes<'a> {
    /// What makes it this family.
    pub key: &'a [u8],
    /// What else is to be known of it: the first process's are kept.
    pub details: &'a [u8],
    /// How many series it may have, over all processes.
    pub most: Option<Most<'a>>,
}

/// How many series a family may have for another one to be made.
#[derive(Debug, Clone, Copy)]
pub struct Most<'a> {
    /// So many.
    pub series: u32,
    /// The key of one that is not counted.
    pub beside: &'a [u8],
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

impl State {
    fn open(path: &Path, options: Options) -> Result<State, OpenError> {
        let io = |action| move |source| OpenError::Io { path: path.to_owned(), action, source };
        let file = OwnFile::new(open_file(path, options)?);
        let (region, tables) = {
            let held = lock::lock(&file, byte::APPEND, Duration::from_secs(5)).map_err(io("lock the file"))?;
            let _held = held.ok_or_else(|| OpenError::Busy { path: path.to_owned() })?;
            step("file created");
            let unmade = header::is_unmade(&file).map_err(io("look at the file"))?;
            if unmade && !options.create {
                return Err(io("open the file")(std::io::Error::new(std::io::ErrorKind::NotFound, "it is empty")));
            }
            let region = if unmade { header::make(path, &file)? } else { header::check(path, &file)? };
            let mut tables = Tables::default();
            tables.follow(&region, &file);
            if tables.broken {
                let what = "the length of a record makes no sense".to_owned();
                return Err(OpenError::Damaged { path: path.to_owned(), what });
            }
            (region, tables)
        };
        let mut state = State {
            file,
            region,
            tables,
            own: None,
            counts: HashMap::new(),
            process: options.process,
            refusing: false,
        };
        state.after_boot();
        Ok(state)
    }

    /// If the host was started again since the file was last used, the clock was too.
    fn after_boot(&mut self) {
        let here = header::boot_id();
        let Some(there) = self.region.words(8 * words::BOOT_ID as u64, 2) else { return };
        if there.iter().zip(here).all(|(word, half)| word.load(Ordering::Relaxed) == half) {
            return;
        }
        let Ok(true) = lock::try_lock(&self.file, byte::FOLD) else { return };
        let processes = self.processes();
        let mut folder = Folder::new(&mut self.tables, &self.region, &self.file);
        if folder.fold_ended(&processes).is_ok() {
            folder.restamp();
            for index in [words::DRAINED, words::DRAIN_FAILED] {
                self.region.word(8 * index as u64).map(|word| word.fetch_min(1, Ordering::Relaxed));
            }
            there.iter().zip(here).for_each(|(word, half)| word.store(half, Ordering::Relaxed));
        }
        lock::unlock(&self.file, byte::FOLD);
    }

    fn processes(&self) -> Vec<Process> {
        slot::processes(&self.tables, &self.region, &self.file, self.own.as_ref().map(|own| own.slot))
    }

    fn plan(&mut self, file: u64) -> Plan {
        self.tables.follow(&self.region, &self.file);
        Plan {
            file,
            uuid: header::uuid(&self.region),
            families: self.tables.families.len(),
            chunks: self.tables.chunks.clone(),
            series: self.tables.series.clone(),
            processes: self.processes(),
        }
    }

    fn fold_ended(&mut self) -> Result<(), NoRoom> {
        self.tables.follow(&self.region, &self.file);
        let processes = self.processes();
        if processes.iter().all(|process| process.live) {
            return Ok(());
        }
        let Ok(true) = lock::try_lock(&self.file, byte::FOLD) else { return Ok(()) };
        // Asked again: while the lock was somebody else's, they may have been folded and their slots taken.
        let processes = self.processes();
        let result = Folder::new(&mut self.tables, &self.region, &self.file).fold_ended(&processes);
        lock::unlock(&self.file, byte::FOLD);
        result
    }

    fn own(&mut self) -> Result<&mut Own, NoRoom> {
        if self.own.is_none() {
            // A full device is no reason not to count: the slot may be free already.
            let _ = self.fold_ended();
            let slot = {
                let _held = append_lock(&self.file)?;
                slot::claim(&mut self.tables, &self.region, &self.file, self.process)?
            };
            self.own = Some(Own { slot, shard: Shard::default() });
        }
        self.own.as_mut().ok_or(NoRoom::Damaged)
    }

    fn attach(
        &mut self,
        cells: &Attachment,
        family: FamilyBytes<'_>,
        key: &[u8],
        shape: Shape,
        created: f64,
    ) -> Result<f64, NoRoom> {
        if matches!(shape, Shape::Tally { counts } if counts > crate::MAX_COUNTS) {
            return Err(NoRoom::TooLarge);
        }
        let region = Arc::clone(&self.region);
        let number = self.series(&family, key, created)?;
        loop {
            let record = self.tables.series_words(&region, number).ok_or(NoRoom::Damaged)?;
            let generation = self.revive(record, created, family.most)?;
            let found = self.block(&region, number, generation, shape)?;
            // SeqCst: with the fence in `remove`, either it sees this block, or this sees the new generation.
            fence(Ordering::SeqCst);
            if record[series::GENERATION].load(Ordering::SeqCst) != u64::from(generation) {
                found.block.set_flag(REMOVED);
                continue;
            }
            cells.point_at_file(&region, found.block);
            self.refusing = false;
            return Ok(f64::from_bits(record[series::CREATED].load(Ordering::Relaxed)));
        }
    }

    /// The number of a series, which is appended if nobody has made it yet.
    fn series(&mut self, family: &FamilyBytes<'_>, key: &[u8], created: f64) -> Result<u32, NoRoom> {
        let find = |tables: &Tables, region: &Region| {
            tables.family(family.key).and_then(|of| tables.find_series(region, of, key))
        };
        if let Some(number) = find(&self.tables, &self.region) {
            return Ok(number);
        }
        let State { tables, region, file, counts, .. } = self;
        if let Some(most) = family.most {
            // Where there are too many already, nobody is kept waiting by the lock.
            tables.follow(region, file);
            if let Some(number) = find(tables, region) {
                return Ok(number);
            }
            if let Some(of) = tables.family(family.key) {
                admit(counts, tables, region, of, most)?;
            }
        }
        let _held = append_lock(file)?;
        tables.follow(region, file);
        if let Some(number) = find(tables, region) {
            return Ok(number);
        }
        let of = match tables.family(family.key) {
            Some(of) => of,
            None => tables.append_family(region, file, family.key, family.details)?,
        };
        if let Some(most) = family.most {
            admit(counts, tables, region, of, most)?;
        }
        tables.append_series(region, file, of, key, created)
    }

    /// The generation of a series that is there; one that was removed comes back as a new one.
    fn revive(
        &mut self,
        record: &[crate::sync::AtomicU64],
        created: f64,
        most: Option<Most<'_>>,
    ) -> Result<u32, NoRoom> {
        let word = &record[series::GENERATION];
        let mut generation = word.load(Ordering::SeqCst);
        if generation % 2 == 1 {
            let State { tables, region, file, counts, .. } = self;
            let _held = append_lock(file)?;
            generation = word.load(Ordering::SeqCst);
            if generation % 2 == 1 {
                if let (Some(most), Ok(of)) = (most, u32::try_from(record[series::FAMILY].load(Ordering::Relaxed))) {
                    tables.follow(region, file);
                    admit(counts, tables, region, of, most)?;
                }
                record[series::CREATED].store(created.to_bits(), Ordering::Relaxed);
                step("series renewed");
                generation += 1;
                word.store(generation, Ordering::SeqCst);
                turned(region);
            }
        }
        // Blocks carry 32 bits of it; no series is removed 2³¹ times, so more is damage.
        u32::try_from(generation).map_err(|_| NoRoom::Damaged)
    }

    /// This process's block of a series.
    fn block<'a>(
        &mut self,
        region: &'a Region,
        number: u32,
        generation: u32,
        shape: Shape,
    ) -> Result<Found<'a>, NoRoom> {
        self.own()?;
        let State { tables, file, own: Some(Own { slot, shard }), .. } = self else { return Err(NoRoom::Damaged) };
        let known = shard.blocks.get(&number).and_then(|at| Found::at(region, *at));
        if let Some(found) = known.filter(|found| found.tag().flags == 0 && found.tag().generation == generation) {
            return if found.shape() == Some(shape) { Ok(found) } else { Err(NoRoom::Damaged) };
        }
        let new = NewBlock { series: number, generation, part: 0, shape };
        let found = shard.make_block(tables, region, file, owner_of(*slot), &new)?;
        shard.blocks.insert(number, found.at);
        Ok(found)
    }

    fn mark(&mut self, family_key: &[u8], key: &[u8]) -> Result<(), NoRoom> {
        let region = Arc::clone(&self.region);
        let number = self.series(&FamilyBytes { key: family_key, details: &[], most: None }, key, 0.0)?;
        let record = self.tables.series_words(&region, number).ok_or(NoRoom::Damaged)?;
        record[series::GENERATION].fetch_add(2, Ordering::SeqCst);
        Ok(())
    }

    fn write_image(&mut self, number: u32, generation: u32, part: u16, stamp: u64, bytes: &[u8]) -> Result<(), NoRoom> {
        if bytes.len() >= MAX_IMAGE {
            return Err(NoRoom::TooLarge);
        }
        self.own()?;
        let State { tables, region, file, own: Some(Own { slot, shard }), .. } = self else { return Ok(()) };
        let known = shard.images.get(&(number, part)).and_then(|at| Found::at(region, *at));
        let found = match known {
            Some(found)
                if found.tag().flags == 0
                    && found.tag().generation == generation
                    && found.block.image_capacity() >= bytes.len() =>
            {
                found
            }
            outgrown => {
                let shape = Shape::Image { capacity: bytes.len().next_multiple_of(64).max(64) };
                let new = NewBlock { series: number, generation, part, shape };
                let found = shard.make_block(tables, region, file, owner_of(*slot), &new)?;
                shard.images.insert((number, part), found.at);
                found.block.write_image(stamp, bytes);
                // Only now: until here it is the newest there is.
                if let Some(outgrown) = outgrown {
                    outgrown.block.set_flag(REMOVED);
                }
                return Ok(());
            }
        };
        found.block.write_image(stamp, bytes);
        Ok(())
    }

    fn remove(&mut self, family_key: &[u8], matches: &dyn Fn(&[u8]) -> bool) {
        let State { tables, region, file, .. } = self;
        tables.follow(region, file);
        let Some(family) = tables.family(family_key) else { return };
        let mut removed: Vec<Option<u64>> = vec![None; tables.series.len()];
        for (number, removed) in removed.iter_mut().enumerate() {
            // CAST: the file numbers series in 32 bits.
            let Some(record) = tables.series_words(region, number as u32) else { continue };
            if record[series::FAMILY].load(Ordering::Relaxed) != u64::from(family) {
                continue;
            }
            let generation = record[series::GENERATION].load(Ordering::SeqCst);
            let word = &record[series::GENERATION];
            if generation.is_multiple_of(2)
                && series_bytes(record).is_some_and(|(_, key)| matches(&key))
                && word.compare_exchange(generation, generation + 1, Ordering::SeqCst, Ordering::Relaxed).is_ok()
            {
                *removed = Some(generation);
            }
        }
        step("generation raised");
        if removed.iter().any(Option::is_some) {
            turned(region);
        }
        // SeqCst: with the fence in `attach`.
        fence(Ordering::SeqCst);
        for chunk in tables.chunks.iter().filter_map(|at| Chunk::at(region, *at)) {
            if chunk.owner() <= super::layout::BASE {
                continue;
            }
            for found in chunk.blocks() {
                // Only blocks of what was removed: another process may have made the series anew already.
                if removed.get(found.series() as usize) == Some(&Some(u64::from(found.tag().generation))) {
                    found.block.set_flag(REMOVED);
                }
            }
        }
    }

    fn leave(&mut self) {
        if let Some(own) = &self.own {
            self.fold_own(own.slot, |folder, me| folder.fold_blocks(me));
        }
    }

    fn give_back(&mut self) {
        let Some(own) = self.own.take() else { return };
        self.fold_own(own.slot, |folder, me| folder.fold_process(me));
        lock::unlock(&self.file, byte::slot(own.slot));
    }

    fn fold_own(&mut self, slot: usize, fold: fn(&mut Folder<'_>, Process) -> Result<(), NoRoom>) {
        let me = Process { slot, pid: self.process.unwrap_or_else(std::process::id), live: false };
        if let Ok(Some(_held)) = lock::lock(&self.file, byte::FOLD, super::PATIENCE) {
            // What finds no room in the base shard stays in this shard: the next one folds it.
            let _ = fold(&mut Folder::new(&mut self.tables, &self.region, &self.file), me);
        }
    }

    /// Gives up a file that is no longer at its path: this process's blocks in it stop counting, so that every handle
    /// comes to the new one.
    fn forsake(&mut self) {
        let Some(own) = self.own.take().filter(|_| self.file.is_ours()) else { return };
        for chunk in self.tables.chunks.iter().filter_map(|at| Chunk::at(&self.region, *at)) {
            if chunk.owner() != NOBODY && chunk.owner() == owner_of(own.slot) {
                chunk.blocks().for_each(|found| found.block.set_flag(REMOVED));
            }
        }
    }
}

/// Refuses one more series of a family that has `most` of them.
fn admit(
    counts: &mut HashMap<u32, Count>,
    tables: &Tables,
    region: &Region,
    family: u32,
    most: Most<'_>,
) -> Result<(), NoRoom> {
    // SeqCst: raised after the generation has changed, so what was counted before is counted anew.
    let turns = region.word(8 * words::TURNS as u64).map_or(0, |word| word.load(Ordering::SeqCst));
    let count = counts.entry(family).or_default();
    if count.turns != turns {
        *count = Count { turns, ..Count::default() };
    }
    // CAST: the file numbers series in 32 bits.
    let is_there = |number: u32| {
        tables.series_words(region, number).is_some_and(|record| {
            record[series::FAMILY].load(Ordering::Relaxed) == u64::from(family)
                && record[series::GENERATION].load(Ordering::SeqCst).is_multiple_of(2)
        })
    };
    // CAST: as above.
    count.there += (count.seen..tables.series.len()).filter(|number| is_there(*number as u32)).count() as u32;
    count.seen = tables.series.len();
    let beside = tables.find_series(region, family, most.beside).is_some_and(is_there);
    if count.there < most.series.saturating_add(u32::from(beside)) { Ok(()) } else { Err(NoRoom::TooMany) }
}

/// Notes that a series was removed, or has come back.
fn turned(region: &Region) {
    if let Some(word) = region.word(8 * words::TURNS as u64) {
        word.fetch_add(1, Ordering::SeqCst);
    }
}

fn open_file(path: &Path, options: Options) -> Result<File, OpenError> {
    let io = |action| move |source| OpenError::Io { path: path.to_owned(), action, source };
    if options.in_memory {
        let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
        return Ok(nix::sys::memfd::memfd_create(c"tallymark", flags)
            .map_err(|e| io("make words in memory")(e.into()))?
            .into());
    }
    let mut open = OpenOptions::new();
    open.read(true).write(true);
    let file = match open.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && options.create => {
            let file = open.create(true).truncate(false).mode(options.mode).open(path).map_err(io("make the file"))?;
            // What the umask took away was asked for.
            file.set_permissions(Permissions::from_mode(options.mode)).map_err(io("set the mode of the file"))?;
            file
        }
        file => file.map_err(io("open the file"))?,
    };
    match network(&file).filter(|_| !options.allow_network) {
        Some(kind) => Err(OpenError::Network { path: path.to_owned(), kind }),
        None => Ok(file),
    }
}

/// The file systems on which processes of several hosts would map the same file without sharing memory.
fn network(file: &File) -> Option<&'static str> {
    let kind = nix::sys::statfs::fstatfs(file).ok()?.filesystem_type();
    [
        (0x6969, "NFS"),
        (0x517b, "SMB"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB2"),
        (0x6573_5546, "FUSE"),
        (0x0102_1997, "9p"),
        (0x00c3_6400, "Ceph"),
        (0x5346_414f, "AFS"),
        (0x6165_676c, "a file system of Plan 9"),
    ]
    .into_iter()
    .find(|(magic, _)| kind.0 & 0xffff_ffff == *magic)
    .map(|(_, name)| name)
}
