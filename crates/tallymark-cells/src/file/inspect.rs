//! How a file is filled: who counts in it, what lies in it, and what of it could be used again.
//!
//! For people who ask how a store is doing. Nothing is folded, freed or otherwise changed, and no total is added up: that
//! is `read.rs`.

use super::descriptors::{Tables, record_at};
use super::layout::{BASE, NOBODY, SLOT_WORDS, owner_of, series, slot as words};
use super::region::Region;
use super::shard::Chunk;
use super::slot::Process;
use crate::sync::Ordering;

/// What is in a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inspection {
    /// Which file was looked at: how often the one at the path had been replaced.
    pub file: u64,
    /// The file's size.
    pub bytes: u64,
    /// The processes that have a place in the file.
    pub processes: Vec<Inhabitant>,
    /// Of each family, by its number: the series that are there.
    pub series: Vec<u64>,
    /// Series that were removed and have not come back; their records stay.
    pub removed: u64,
    /// Bytes of chunks with the totals of ended processes.
    pub base_bytes: u64,
    /// Bytes of chunks that nobody owns, for the next process.
    pub free_bytes: u64,
    /// Bytes of blocks that count no more, in chunks of processes that are still in the file.
    pub idle_bytes: u64,
}

/// A process's place in a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inhabitant {
    /// What it calls itself: its process id, if it has no other name.
    pub pid: u32,
    /// Whether it lives; of one that has ended the blocks wait for the next fold.
    pub live: bool,
    /// When it came, in seconds since the Unix epoch.
    pub since: f64,
    /// The blocks it counts in.
    pub blocks: u64,
    /// Bytes of its chunks.
    pub bytes: u64,
}

/// Looks at the file through tables that have followed it.
pub(crate) fn inspect(tables: &Tables, region: &Region, processes: &[Process], file: u64) -> Inspection {
    let mut found = Inspection { file, bytes: region.length(), ..Inspection::default() };
    for process in processes {
        let words = tables.slots.get(process.slot).and_then(|at| region.words(*at, SLOT_WORDS));
        let since = words.map_or(0.0, |words| f64::from_bits(words[words::CLAIMED].load(Ordering::Relaxed)));
        found.processes.push(Inhabitant { pid: process.pid, live: process.live, since, ..Inhabitant::default() });
    }
    for at in &tables.chunks {
        let (Some(chunk), Some(record)) = (Chunk::at(region, *at), record_at(region, *at)) else { continue };
        let bytes = 8 * record.len() as u64;
        match chunk.owner() {
            NOBODY => found.free_bytes += bytes,
            BASE => found.base_bytes += bytes,
            owner => {
                let place = processes.iter().position(|process| owner_of(process.slot) == owner);
                let idle = add_blocks(chunk, place.and_then(|place| found.processes.get_mut(place)), bytes);
                found.idle_bytes += idle;
            }
        }
    }
    found.series = vec![0; tables.families.len()];
    for at in tables.series.iter().filter(|at| **at != 0) {
        let Some(record) = region.words(*at, series::PAYLOAD) else { continue };
        if record[series::GENERATION].load(Ordering::SeqCst) % 2 == 1 {
            found.removed += 1;
        } else if let Some(count) = usize::try_from(record[series::FAMILY].load(Ordering::Relaxed))
            .ok()
            .and_then(|family| found.series.get_mut(family))
        {
            *count += 1;
        }
    }
    found
}

/// Adds a chunk to its owner, who may have come since the processes were listed; gives the bytes that count no more.
fn add_blocks(chunk: Chunk<'_>, mut owner: Option<&mut Inhabitant>, bytes: u64) -> u64 {
    let mut idle = 0;
    owner.iter_mut().for_each(|owner| owner.bytes += bytes);
    for block in chunk.blocks() {
        // Folded, or of a series that was removed.
        if block.tag().flags != 0 {
            idle += 8 * block.block.words().len() as u64;
        } else {
            owner.iter_mut().for_each(|owner| owner.blocks += 1);
        }
    }
    idle
}
