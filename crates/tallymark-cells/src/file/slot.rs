//! Slots: which processes count in the file, and which of them still live.
//!
//! A process is alive as long as it holds the lock on its slot's byte. Never the process id, which is reused, and never
//! a heartbeat: a stopped process keeps its slot.

use std::fs::File;
use std::time::{SystemTime, UNIX_EPOCH};

use super::descriptors::Tables;
use super::error::NoRoom;
use super::layout::{Kind, RECORD_HEAD, SLOT_WORDS, SLOTS, lock as byte, slot};
use super::lock;
use super::region::Region;
use super::step;
use crate::sync::{AtomicU64, Ordering};

/// A slot in use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process {
    pub(crate) slot: usize,
    pub(crate) pid: u32,
    pub(crate) live: bool,
}

/// The slots in use. `own` is this process's slot, whose lock the kernel does not report to its holder.
pub(crate) fn processes(tables: &Tables, region: &Region, file: &File, own: Option<usize>) -> Vec<Process> {
    let mut found = Vec::new();
    for (number, at) in tables.slots.iter().enumerate() {
        let Some(words) = region.words(*at, SLOT_WORDS) else { continue };
        if words[slot::STATE].load(Ordering::Acquire) == 0 {
            continue;
        }
        let live = own == Some(number) || lock::is_held_elsewhere(file, byte::slot(number));
        // CAST: written as a process id.
        found.push(Process { slot: number, pid: words[slot::PID].load(Ordering::Relaxed) as u32, live });
    }
    found
}

/// Takes a free slot for this process, which calls itself by its id if it has no other name; a new record of slots is
/// appended when all are taken. The append lock must be held.
pub(crate) fn claim(tables: &mut Tables, region: &Region, file: &File, process: Option<u32>) -> Result<usize, NoRoom> {
    tables.follow(region, file);
    loop {
        for number in 0..tables.slots.len() {
            let Some(words) = region.words(tables.slots[number], SLOT_WORDS) else { continue };
            let free = words[slot::STATE].load(Ordering::Acquire) == 0;
            if free && lock::try_lock(file, byte::slot(number)).map_err(NoRoom::Device)? {
                step("slot locked");
                take(words, process.unwrap_or_else(std::process::id));
                step("slot claimed");
                return Ok(number);
            }
        }
        if tables.broken {
            return Err(NoRoom::Damaged);
        }
        tables.append(region, file, Kind::Slots, RECORD_HEAD + SLOTS * SLOT_WORDS, |_| 0)?;
    }
}

fn take(words: &[AtomicU64], process: u32) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |age| age.as_secs_f64());
    words[slot::PID].store(u64::from(process), Ordering::Relaxed);
    words[slot::CLAIMED].store(now.to_bits(), Ordering::Relaxed);
    // Release: who sees the slot taken sees whose it is.
    words[slot::STATE].store(1, Ordering::Release);
}

/// Gives a slot whose shard has been folded back.
pub(crate) fn free(tables: &Tables, region: &Region, number: usize) {
    if let Some(word) = tables.slots.get(number).and_then(|at| region.word(*at + 8 * slot::STATE as u64)) {
        word.store(0, Ordering::Release);
    }
}
