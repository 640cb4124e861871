//! Folding: what ended processes counted is added to the base shard, and their chunks are given back.
//!
//! So the file's size and a scrape's time follow the processes that live, never those that have lived. One process folds
//! at a time, under a lock that the kernel drops when it dies. Each block is one step:
//!
//! 1. the new total is written into the copy of the base shard's block that is not in use;
//! 2. the journal notes which block is being folded into which version: **from here on it is folded**;
//! 3. the base shard's block is switched over, the folded block is marked, the journal is cleared.
//!
//! Whoever dies between 2 and 3 has the rest done by the next (`recover`); every act there can be repeated. Readers take
//! no lock: they read the journal as if 3 were done, and start again if the fold sequence has changed meanwhile.

use std::fs::File;
use std::time::{SystemTime, UNIX_EPOCH};

use super::descriptors::Tables;
use super::error::NoRoom;
use super::layout::{BASE, NOBODY, header, owner_of, series};
use super::region::Region;
use super::shard::{Chunk, Found, NewBlock, Shard};
use super::slot::{self, Process};
use super::step;
use super::total::Total;
use crate::block::{FOLDED, IMAGE_NEXT, Keep, Shape};
use crate::sync::{AtomicU64, Ordering, fence};

/// Added to the code of a base shard's block: it is an image of a total of that shape.
pub(crate) const BASE_CODE: u8 = 0x80;

/// The journal, as a reader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Journal {
    sequence: u64,
    /// The block that counts as folded, 0 for none.
    pub(crate) source: u64,
    /// The base shard's block, and the version of it that counts.
    pub(crate) target: u64,
    pub(crate) version: u64,
}

impl Journal {
    pub(crate) fn read(region: &Region) -> Option<Journal> {
        let word = |index: usize| region.word(8 * index as u64);
        // Acquire: what the sequence and the source announce is seen by the loads behind them.
        let sequence = word(header::FOLD_SEQUENCE)?.load(Ordering::Acquire);
        let source = word(header::JOURNAL_SOURCE)?.load(Ordering::Acquire);
        let target = word(header::JOURNAL_TARGET)?.load(Ordering::Relaxed);
        let version = word(header::JOURNAL_VERSION)?.load(Ordering::Relaxed);
        let idle = source == 0;
        Some(Journal {
            sequence,
            source,
            target: if idle { 0 } else { target },
            version: if idle { 0 } else { version },
        })
    }

    /// Whether nothing was folded or freed since this was read.
    pub(crate) fn still_holds(self, region: &Region) -> bool {
        // Acquire fence: the reader's loads are done before the sequence is read again.
        fence(Ordering::Acquire);
        Journal::read(region) == Some(self)
    }
}

/// One process at its folding. The fold lock must be held as long as it exists.
pub(crate) struct Folder<'a> {
    tables: &'a mut Tables,
    region: &'a Region,
    file: &'a File,
    base: Shard,
    /// Nanoseconds since the Unix epoch: the time that totals of this folding carry.
    now: u64,
}

impl<'a> Folder<'a> {
    /// Takes up folding: finishes what the last one did not live to finish.
    pub(crate) fn new(tables: &'a mut Tables, region: &'a Region, file: &'a File) -> Folder<'a> {
        tables.follow(region, file);
        let mut base = Shard::default();
        let owned = tables.chunks.iter().filter(|at| Chunk::at(region, **at).is_some_and(|c| c.owner() == BASE));
        if let Some(last) = owned.last() {
            base.resume(*last);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_nanos());
        // CAST: 2⁶⁴ ns after the epoch is the year 2554.
        let folder = Folder { tables, region, file, base, now: now as u64 };
        folder.recover();
        folder
    }

    /// Folds the processes that have ended. Where a total finds no room, the rest stays as it is, and readers go on
    /// adding it up.
    pub(crate) fn fold_ended(&mut self, processes: &[Process]) -> Result<(), NoRoom> {
        for process in processes.iter().filter(|process| !process.live) {
            self.fold_process(*process)?;
        }
        Ok(())
    }

    /// Folds one process, into whose blocks no handle points any more, and frees its slot.
    pub(crate) fn fold_process(&mut self, process: Process) -> Result<(), NoRoom> {
        self.fold_blocks(process)?;
        for chunk in self.chunks_of(process) {
            // Readers that are in this chunk start again, whoever gets it next.
            self.bump();
            chunk.set_owner(NOBODY);
            self.bump();
            step("chunk freed");
        }
        slot::free(self.tables, self.region, process.slot);
        step("slot freed");
        if let Some(word) = self.word(header::FOLDED) {
            word.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Folds what one process has counted: its blocks no longer count, but are still its own.
    pub(crate) fn fold_blocks(&mut self, process: Process) -> Result<(), NoRoom> {
        for chunk in self.chunks_of(process) {
            for found in chunk.blocks() {
                self.fold_block(found, process.pid)?;
                // Also where nothing is kept: a process that goes on counting does so in another block.
                found.block.set_flag(FOLDED);
            }
        }
        step("blocks folded");
        Ok(())
    }

    fn chunks_of(&self, process: Process) -> Vec<Chunk<'a>> {
        let chunks = self.tables.chunks.iter().filter_map(|at| Chunk::at(self.region, *at));
        chunks.filter(|chunk| chunk.owner() == owner_of(process.slot)).collect()
    }

    fn fold_block(&mut self, source: Found<'_>, pid: u32) -> Result<(), NoRoom> {
        let (tag, Some(shape)) = (source.tag(), source.shape()) else { return Ok(()) };
        let Some(record) = self.tables.series_words(self.region, source.series()) else { return Ok(()) };
        let generation = record[series::GENERATION].load(Ordering::SeqCst);
        if tag.flags != 0 || u64::from(tag.generation) != generation {
            return Ok(());
        }
        let (target, stamp, bytes) = match shape {
            Shape::Gauge(Keep::Nothing) => return Ok(()),
            Shape::Image { .. } => {
                let Some((stamp, bytes)) = source.block.image() else { return Ok(()) };
                let target = self.base_image(record, source.series(), tag.part, bytes.len())?;
                let newer =
                    target.block.image().is_some_and(|known| known.0 > stamp && generation_of(&known.1) == generation);
                if newer {
                    return Ok(());
                }
                (target, stamp, [&generation.to_le_bytes()[..], &bytes].concat())
            }
            _ => {
                let Some(mut total) = Total::empty(shape) else { return Ok(()) };
                let target = self.base_block(record, source.series(), shape)?;
                if let Some(words) = base_words(target, target.block.image_version(), generation) {
                    total.add_words(&words);
                }
                total.add(source, pid, false);
                let keep = if let Shape::Gauge(keep) = shape { Some(keep) } else { None };
                let words = [&[generation][..], &total.to_words(keep)].concat();
                (target, self.now, words.iter().flat_map(|word| word.to_le_bytes()).collect())
            }
        };
        if target.block.image_capacity() < bytes.len() {
            return Err(NoRoom::Damaged);
        }
        let version = target.block.image_version() + 1;
        target.block.prepare_image(version, stamp, &bytes);
        step("total written");
        self.commit(source, target, version);
        Ok(())
    }

    fn commit(&self, source: Found<'_>, target: Found<'_>, version: u64) {
        self.bump();
        let Some(journal) = self.word(header::JOURNAL_SOURCE) else { return };
        if let (Some(to), Some(number)) = (self.word(header::JOURNAL_TARGET), self.word(header::JOURNAL_VERSION)) {
            to.store(target.at, Ordering::Relaxed);
            number.store(version, Ordering::Relaxed);
            step("journal written");
            // Release: who sees the source sees the rest of the journal, and the copy that it makes valid.
            journal.store(source.at, Ordering::Release);
            step("journal committed");
        }
        self.recover();
    }

    /// Does what the journal says, and clears it.
    fn recover(&self) {
        let Some(journal) = Journal::read(self.region) else { return };
        if journal.source != 0 {
            if let Some(target) = Found::base_at(self.region, journal.target) {
                target.block.publish_image(journal.version);
            }
            step("base switched");
            if let Some(source) = Found::at(self.region, journal.source) {
                source.block.set_flag(FOLDED);
            }
            step("source marked");
        }
        if journal.sequence % 2 == 1 {
            self.bump();
        }
        if let Some(word) = self.word(header::JOURNAL_SOURCE) {
            word.store(0, Ordering::Release);
        }
        step("journal cleared");
    }

    /// Odd: a change is being made. Readers compare it before and after.
    fn bump(&self) {
        if let Some(word) = self.word(header::FOLD_SEQUENCE) {
            word.fetch_add(1, Ordering::AcqRel);
            fence(Ordering::SeqCst);
        }
    }

    fn word(&self, index: usize) -> Option<&'a AtomicU64> {
        self.region.word(8 * index as u64)
    }

    /// The base shard's block of a series, made if there is none.
    fn base_block(&mut self, record: &[AtomicU64], number: u32, shape: Shape) -> Result<Found<'a>, NoRoom> {
        let at = record[series::BASE].load(Ordering::Acquire);
        if let Some(found) = Found::base_at(self.region, at) {
            return Ok(found);
        }
        let found = self.make(number, 0, shape)?;
        record[series::BASE].store(found.at, Ordering::Release);
        step("base linked");
        Ok(found)
    }

    /// The base shard's image of a part, one with room for so many bytes.
    fn base_image(&mut self, record: &[AtomicU64], number: u32, part: u16, bytes: usize) -> Result<Found<'a>, NoRoom> {
        for found in base_images(self.region, record) {
            // The first word of the bytes is the generation. One that is too small stays; readers take the newest.
            if found.tag().part == part && found.block.image_capacity() >= bytes + 8 {
                return Ok(found);
            }
        }
        let found = self.make(number, part, Shape::Image { capacity: bytes.next_multiple_of(64) })?;
        found.block.words()[IMAGE_NEXT].store(record[series::BASE_IMAGES].load(Ordering::Relaxed), Ordering::Relaxed);
        record[series::BASE_IMAGES].store(found.at, Ordering::Release);
        step("base image linked");
        Ok(found)
    }

    fn make(&mut self, number: u32, part: u16, shape: Shape) -> Result<Found<'a>, NoRoom> {
        let capacity = 8 * (1 + Total::base_words(shape));
        let image = NewBlock { series: number, generation: 0, part, shape: Shape::Image { capacity } };
        let found = self.base.make_block(self.tables, self.region, self.file, BASE, &image)?;
        found.block.mark_as_base(BASE_CODE | shape.code());
        Ok(found)
    }

    /// Marks every time in the base shard as of an earlier boot: the clock has started again.
    pub(crate) fn restamp(&self) {
        for at in &self.tables.chunks {
            let Some(chunk) = Chunk::at(self.region, *at).filter(|chunk| chunk.owner() == BASE) else { continue };
            for found in chunk.blocks().filter(|found| found.block.is_image()) {
                match found.tag().code {
                    code if code >= BASE_CODE | 16 => found.block.restamp_image(true),
                    code if code == BASE_CODE | 3 => found.block.restamp_image(false),
                    _ => {}
                }
            }
        }
    }
}

/// The images of a series in the base shard.
pub(crate) fn base_images<'a>(region: &'a Region, record: &[AtomicU64]) -> impl Iterator<Item = Found<'a>> {
    let mut next = record[series::BASE_IMAGES].load(Ordering::Acquire);
    // A damaged file could hold a circle; no series has more images than parts.
    (0..=u16::MAX).map_while(move |_| {
        let found = Found::base_at(region, next)?;
        next = found.block.words()[IMAGE_NEXT].load(Ordering::Relaxed);
        Some(found)
    })
}

/// The total that a base shard's block holds in this version, if it is of this generation of its series.
pub(crate) fn base_words(found: Found<'_>, version: u64, generation: u64) -> Option<Vec<u64>> {
    let (_, bytes) = found.block.image_at(version)?;
    let words: Vec<u64> =
        bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default())).collect();
    let (first, rest) = words.split_first()?;
    (*first == generation).then(|| rest.to_vec())
}

/// The generation that a base shard's image was written for.
pub(crate) fn generation_of(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(u64::MAX, |first| u64::from_le_bytes(*first))
}
