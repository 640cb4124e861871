//! What a process knows and does of a file: its place in it, its tables of the log, and every change but an update.
//!
//! All of it under the fork gate and the store's lock, which `store.rs` takes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::descriptors::{Tables, series_bytes};
use super::error::{NoRoom, OpenError};
use super::fold::Folder;
use super::layout::{NOBODY, header as words, lock as byte, owner_of, series};
use super::open::{Options, open_file};
use super::read::Plan;
use super::region::Region;
use super::shard::{Chunk, Found, NewBlock, Shard};
use super::slot::{self, Process};
use super::{append_lock, header, lock, step};
use crate::Attachment;
use crate::block::{MAX_IMAGE, REMOVED, Shape};
use crate::fork::OwnFile;
use crate::sync::fence;

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

/// What a process knows of a file.
pub(super) struct State {
    pub(super) file: OwnFile,
    pub(super) region: Arc<Region>,
    pub(super) tables: Tables,
    pub(super) own: Option<Own>,
    counts: HashMap<u32, Count>,
    /// What this process is called in its slot.
    process: Option<u32>,
    pub(super) refusing: bool,
}

/// This process's place in the file.
pub(super) struct Own {
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

impl State {
    pub(super) fn open(path: &Path, options: Options) -> Result<State, OpenError> {
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

    pub(super) fn processes(&self) -> Vec<Process> {
        slot::processes(&self.tables, &self.region, &self.file, self.own.as_ref().map(|own| own.slot))
    }

    pub(super) fn plan(&mut self, file: u64) -> Plan {
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

    pub(super) fn fold_ended(&mut self) -> Result<(), NoRoom> {
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

    pub(super) fn attach(
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

    pub(super) fn mark(&mut self, family_key: &[u8], key: &[u8]) -> Result<(), NoRoom> {
        let region = Arc::clone(&self.region);
        let number = self.series(&FamilyBytes { key: family_key, details: &[], most: None }, key, 0.0)?;
        let record = self.tables.series_words(&region, number).ok_or(NoRoom::Damaged)?;
        record[series::GENERATION].fetch_add(2, Ordering::SeqCst);
        Ok(())
    }

    pub(super) fn write_image(
        &mut self,
        number: u32,
        generation: u32,
        part: u16,
        stamp: u64,
        bytes: &[u8],
    ) -> Result<(), NoRoom> {
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

    pub(super) fn remove(&mut self, family_key: &[u8], matches: &dyn Fn(&[u8]) -> bool) {
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

    pub(super) fn leave(&mut self) {
        if let Some(own) = &self.own {
            self.fold_own(own.slot, |folder, me| folder.fold_blocks(me));
        }
    }

    pub(super) fn give_back(&mut self) {
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
    pub(super) fn forsake(&mut self) {
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
