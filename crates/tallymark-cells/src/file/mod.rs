//! A file of cells that every process of a host maps.
//!
//! | file | what it knows |
//! |---|---|
//! | `layout.rs` | where things are, in numbers |
//! | `header.rs` | how a file starts, and which files are ours |
//! | `region.rs` | the bytes as words, bounds checked |
//! | `descriptors.rs` | the log of records, and this process's tables of it |
//! | `lock.rs`, `slot.rs` | who is alive |
//! | `shard.rs` | chunks and blocks |
//! | `total.rs`, `fold.rs` | adding up, and adding up for good |
//! | `read.rs` | a scrape's read |
//! | `open.rs` | how a file is opened, and where |
//! | `state.rs` | what one process knows of it and changes in it |
//! | `store.rs` | the same for others: `Store` |
//! | `inspect.rs` | who counts, and what could be used again |
//!
//! Who may wait: opening, a series' first attachment and folding wait for the file's locks, for a tenth of a second at
//! the most. Updates and reads never do.

#[cfg(target_endian = "big")]
compile_error!("the file's words are little endian; a big-endian build would not read its own files elsewhere");

mod descriptors;
mod error;
mod fold;
mod header;
mod inspect;
mod layout;
mod lock;
mod open;
mod read;
mod region;
mod shard;
mod slot;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod total;

use std::fs::File;
use std::time::Duration;

pub use error::{OpenError, Refusal};
pub use inspect::{Inhabitant, Inspection};
pub use open::Options;
pub use read::{ImageTotal, Reading, SeriesTotal};
pub use region::Region;
pub use state::{FamilyBytes, Most};
pub use store::{Descriptors, Draining, FamilyRecord, SeriesRecord, Status, Store};
pub use total::{EACH_KEPT, GaugeTotal, ProcessValue, Total, keep_of};

/// How long a change waits for the append lock, which is held for microseconds: only a stopped process keeps it longer.
const PATIENCE: Duration = Duration::from_millis(100);

fn append_lock(file: &File) -> Result<lock::Held<'_>, error::NoRoom> {
    match lock::lock(file, layout::lock::APPEND, PATIENCE) {
        Ok(Some(held)) => Ok(held),
        Ok(None) => Err(error::NoRoom::Busy),
        Err(error) => Err(error::NoRoom::Device(error)),
    }
}

/// A point at which a process may die. Tests choose one, by its name and how often it has been passed, and die there.
#[inline]
fn step(_name: &'static str) {
    #[cfg(test)]
    tests::die_at(_name);
}
