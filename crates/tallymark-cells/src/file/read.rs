//! Reading the totals: base shard plus live shards, as they are at one moment.
//!
//! No lock is taken, so nobody's update waits, and a stopped process delays no one: a reader takes note of the fold
//! journal, adds everything up, and starts again if something was folded meanwhile. A block is read consistently by
//! itself (see [`crate::Block::tally`]).

use super::fold::{BASE_CODE, Journal, base_words, generation_of};
use super::layout::{BASE, NOBODY, owner_of, series};
use super::region::Region;
use super::shard::{Chunk, Found};
use super::slot::Process;
use super::total::Total;
use crate::block::{Keep, Shape};
use crate::sum::KEPT;
use crate::sync::{AtomicU64, Ordering};

/// The totals of every series of a file.
#[derive(Debug, Default)]
pub struct Reading {
    /// Which file was read: how often the one at the path had been replaced.
    pub file: u64,
    /// The file's own identity; 0 where nothing could be read.
    pub uuid: u128,
    /// In the order in which the series were first made.
    pub series: Vec<SeriesTotal>,
    /// The newest image of every part of a series.
    pub images: Vec<ImageTotal>,
    /// How many live processes count in each family, by its number.
    pub users: Vec<u32>,
}

/// The total of one series.
#[derive(Debug)]
pub struct SeriesTotal {
    /// Its number in the file.
    pub series: u32,
    /// When it was made, in seconds since the Unix epoch.
    pub created: f64,
    /// How often it was removed and came back: even numbers. The total is of this life of it alone.
    pub generation: u64,
    /// Whether a process counts in it whose shard has not been folded.
    pub in_use: bool,
    /// When an ended process was last added to it: nanoseconds since the Unix epoch, 0 where that is not known.
    pub folded: u64,
    /// The total.
    pub total: Total,
}

/// The newest bytes of one part of a series.
#[derive(Debug)]
pub struct ImageTotal {
    /// The series' number in the file.
    pub series: u32,
    /// The part.
    pub part: u16,
    /// When they were written: nanoseconds since boot, 1 for an earlier boot.
    pub stamp: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What is to be read: taken from a process's tables, so that no lock is held while reading.
pub(crate) struct Plan {
    pub(crate) file: u64,
    pub(crate) uuid: u128,
    pub(crate) families: usize,
    pub(crate) chunks: Vec<u64>,
    pub(crate) series: Vec<u64>,
    pub(crate) processes: Vec<Process>,
}

/// Adds everything up; `None` if something was folded meanwhile. The journal must have been read before the plan was
/// made: then whatever was folded into a chunk that is not in the plan is noticed.
pub(crate) fn read(region: &Region, journal: Journal, plan: &Plan) -> Option<Reading> {
    let reading = Pass { region, plan, journal, sums: Vec::new(), users: Vec::new(), images: Vec::new() }.run();
    journal.still_holds(region).then_some(reading)
}

/// What is added up for one series.
#[derive(Default)]
struct Sum {
    generation: u64,
    total: Option<Total>,
    in_use: bool,
    folded: u64,
}

struct Pass<'a> {
    region: &'a Region,
    plan: &'a Plan,
    journal: Journal,
    sums: Vec<Sum>,
    /// Live processes by family, and the one whose chunk is being read.
    users: Vec<(u32, u64)>,
    images: Vec<ImageTotal>,
}

impl Pass<'_> {
    fn run(mut self) -> Reading {
        self.sums.resize_with(self.plan.series.len(), Sum::default);
        let chunks = self.plan.chunks.iter().filter_map(|at| Chunk::at(self.region, *at));
        let mut chunks: Vec<_> = chunks.map(|chunk| (chunk.owner(), chunk)).collect();
        chunks.sort_by_key(|(owner, _)| *owner);
        for (owner, chunk) in chunks {
            match owner {
                NOBODY => {}
                BASE => chunk.blocks().for_each(|found| self.add_base(found)),
                owner => {
                    let process = self.plan.processes.iter().find(|process| owner_of(process.slot) == owner);
                    // Not in the plan: it came after the plan was made, and is alive.
                    let (pid, live) = process.map_or((0, true), |process| (process.pid, process.live));
                    chunk.blocks().for_each(|found| self.add(found, owner, pid, live));
                }
            }
        }
        self.images.sort_by_key(|image| (image.series, image.part, std::cmp::Reverse(image.stamp)));
        self.images.dedup_by_key(|image| (image.series, image.part));
        let mut series = Vec::with_capacity(self.sums.len());
        for (number, sum) in self.sums.iter_mut().enumerate() {
            // CAST: the file numbers series in 32 bits.
            let number = number as u32;
            let (Some(total), Some(record)) = (sum.total.take(), record(self.region, self.plan, number)) else {
                continue;
            };
            let created = f64::from_bits(record[series::CREATED].load(Ordering::Relaxed));
            let Sum { generation, in_use, folded, .. } = *sum;
            if record[series::GENERATION].load(Ordering::SeqCst) != generation {
                // It was removed while this was added up.
                continue;
            }
            series.push(SeriesTotal { series: number, created, generation, in_use, folded, total });
        }
        let users = self.users.iter().map(|(count, _)| *count).collect();
        Reading { file: self.plan.file, uuid: self.plan.uuid, series, images: self.images, users }
    }

    fn generation(&self, found: Found<'_>) -> Option<u64> {
        let generation = record(self.region, self.plan, found.series())?[series::GENERATION].load(Ordering::SeqCst);
        (generation % 2 == 0).then_some(generation)
    }

    fn add(&mut self, found: Found<'_>, owner: u64, pid: u32, live: bool) {
        let tag = found.tag();
        let generation = u64::from(tag.generation);
        if tag.flags != 0 || found.at == self.journal.source || self.generation(found) != Some(generation) {
            return;
        }
        match found.shape() {
            Some(Shape::Image { .. }) => {
                if let Some((stamp, bytes)) = found.block.image() {
                    self.images.push(ImageTotal { series: found.series(), part: tag.part, stamp, bytes });
                }
            }
            Some(shape) => {
                if let Some(sum) = self.sum(found.series(), generation, shape) {
                    sum.in_use = true;
                    sum.total.iter_mut().for_each(|total| total.add(found, pid, live));
                }
                if live {
                    self.note_user(found.series(), owner);
                }
            }
            None => {}
        }
    }

    fn add_base(&mut self, found: Found<'_>) {
        let Some(generation) = self.generation(found).filter(|_| found.block.is_image()) else { return };
        let newer = found.at == self.journal.target;
        let version = if newer { self.journal.version } else { found.block.image_version() };
        let code = found.tag().code;
        if code == BASE_CODE | 3 {
            if let Some((stamp, mut bytes)) = found.block.image_at(version)
                && generation_of(&bytes) == generation
            {
                bytes.drain(..8);
                self.images.push(ImageTotal { series: found.series(), part: found.tag().part, stamp, bytes });
            }
            return;
        }
        let Some(words) = base_words(found, version, generation) else { return };
        let shape = match code.wrapping_sub(BASE_CODE) {
            1 => Shape::Number,
            2 => Shape::Tally { counts: words.len().saturating_sub(KEPT) },
            // Which keep it is does not matter: what was kept is all there is.
            code if code >= 16 => Shape::Gauge(Keep::Nothing),
            _ => return,
        };
        let folded = found.block.image_stamp(version);
        if let Some(sum) = self.sum(found.series(), generation, shape) {
            sum.folded = folded;
            sum.total.iter_mut().for_each(|total| total.add_words(&words));
        }
    }

    /// The sum of this life of a series: one that was removed and has come back meanwhile starts anew.
    fn sum(&mut self, number: u32, generation: u64, shape: Shape) -> Option<&mut Sum> {
        let sum = self.sums.get_mut(number as usize)?;
        if sum.total.is_none() || sum.generation != generation {
            *sum = Sum { generation, total: Total::empty(shape), ..Sum::default() };
        }
        Some(sum)
    }

    /// Counts the owner of a block once among those who use the series' family.
    fn note_user(&mut self, number: u32, owner: u64) {
        let family =
            record(self.region, self.plan, number).map(|record| record[series::FAMILY].load(Ordering::Relaxed));
        let Some(family) = family.and_then(|family| usize::try_from(family).ok()).filter(|f| *f < self.plan.families)
        else {
            return;
        };
        if self.users.len() <= family {
            self.users.resize(self.plan.families, (0, NOBODY));
        }
        let (count, last) = &mut self.users[family];
        // All chunks of an owner are read one after the other.
        if *last != owner {
            *last = owner;
            *count += 1;
        }
    }
}

fn record<'a>(region: &'a Region, plan: &Plan, number: u32) -> Option<&'a [AtomicU64]> {
    let at = *plan.series.get(number as usize).filter(|at| **at != 0)?;
    // Only the fixed words are needed here; the record's length was checked when it was learnt.
    region.words(at, series::PAYLOAD)
}
