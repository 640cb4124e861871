//! A series: one set of label values of a family, and where its numbers are.
//!
//! Handles ([`Counter`](crate::Counter), …) hold one. An update takes [`Series::cells`], one load and two checks; only
//! where the block is missing or stale does it come to `reattach`, which asks the store. How the numbers of several
//! processes become one is not known here.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tallymark_cells::file::Refusal;
use tallymark_cells::{Attachment, Block, HeapBlock, fork};
use tallymark_model::Labels;

use crate::family::Shared;
use crate::limits;
use crate::store::{FileStore, Store};

/// One set of label values in a family.
pub struct Series {
    cells: Attachment,
    shared: Arc<Shared>,
    labels: Arc<Labels>,
    created: AtomicU64,
    removed: AtomicBool,
    notes: Mutex<Vec<Note>>,
}

/// Bytes beside a series' numbers: an info's labels (part 0), or the exemplar of a counter or of bucket `part`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Note {
    pub(crate) part: u16,
    pub(crate) stamp: u64,
    pub(crate) bytes: Vec<u8>,
}

/// What came of giving a series its block.
#[derive(Default)]
pub(crate) struct Attached {
    /// What is to be logged once the fork gate is not held.
    pub(crate) notice: Option<String>,
    /// Whether the block is that of the family's overflow series.
    pub(crate) overflows: bool,
    /// How many series of the family the store allows.
    pub(crate) most: Option<u32>,
}

impl Series {
    pub(crate) fn new(shared: Arc<Shared>, labels: Labels, created: f64) -> Series {
        Series {
            cells: Attachment::default(),
            shared,
            labels: Arc::new(labels),
            created: AtomicU64::new(created.to_bits()),
            removed: AtomicBool::new(false),
            notes: Mutex::default(),
        }
    }

    /// The label values.
    pub fn labels(&self) -> &Arc<Labels> {
        &self.labels
    }

    /// The family's definition.
    pub fn definition(&self) -> &Arc<tallymark_model::Family> {
        &self.shared.definition
    }

    /// When the series was created, in seconds since the Unix epoch: in the store, as far as this process knows.
    pub fn created(&self) -> f64 {
        f64::from_bits(self.created.load(Ordering::Relaxed))
    }

    /// Says that the series was created at `created`, here and in the store, if that is earlier than what they know: for
    /// numbers that were counted elsewhere before. What is no time after 1970 changes nothing.
    pub fn backdate(&self, created: f64) {
        if !(created.is_finite() && created > 0.0) {
            return;
        }
        self.cells();
        let _gate = fork::gate();
        if let (Some(store), false) = (self.shared.store().file(), self.cells.is_on_heap()) {
            store.backdate(&self.cells, created);
        }
        // Bits of floats that are not negative are in the floats' order.
        self.created.fetch_min(created.to_bits(), Ordering::Relaxed);
    }

    /// The words to update.
    #[inline]
    pub(crate) fn cells(&self) -> Block<'_> {
        match self.cells.current() {
            Some(block) => block,
            None => self.reattach(),
        }
    }

    /// Finds the series its block: at its creation, after a fork, a removal elsewhere, or a change of store. Never
    /// fails: where the store has no room, the block is on this process's heap.
    #[cold]
    pub(crate) fn reattach(&self) -> Block<'_> {
        let notice = {
            let _gate = fork::gate();
            if let Some(block) = self.cells.current() { return block } else { self.attach_gated().notice }
        };
        self.shared.store().start();
        if let Some(notice) = notice {
            log::warn!("{notice}");
        }
        self.cells.block().expect("attached just now")
    }

    /// Where the store has as many series of the family as it may have, the block is the overflow series'. The fork gate
    /// must be held.
    pub(crate) fn attach_gated(&self) -> Attached {
        let store = self.shared.store();
        let was_on_heap = self.cells.is_on_heap();
        if was_on_heap && self.cells.is_stale() {
            self.mend_after_fork(&store);
        }
        let mut attached = Attached { most: store.max_series(), ..Attached::default() };
        if let (Some(store), false) = (store.file(), self.is_removed()) {
            let mut result = store.attach(&self.cells, &self.shared, &self.labels, self.created());
            if matches!(result, Err(Refusal::TooMany))
                && let Some(overflow) = limits::overflow(self.definition())
            {
                attached.overflows = true;
                attached.notice = self.shared.overflow_notice();
                result = store.attach(&self.cells, &self.shared, &overflow, self.created());
            }
            match result {
                Ok(created) => {
                    self.created.store(created.to_bits(), Ordering::Relaxed);
                    if was_on_heap {
                        self.move_into(store);
                    }
                    return attached;
                }
                Err(Refusal::NoRoom(news)) => attached.notice = news.or(attached.notice),
                Err(Refusal::TooMany) => {}
            }
        }
        if !was_on_heap {
            self.cells.point_at_heap(Arc::new(HeapBlock::new(self.shared.shape())));
        }
        attached
    }

    /// After a fork, a block on the heap is a copy of the parent's, perhaps with an observation half made. What it
    /// counted stays this process's own in the memory store; in a shared one it is in the parent's share of the total.
    fn mend_after_fork(&self, store: &Store) {
        for heap in self.cells.heap_blocks() {
            heap.repair();
            if store.file().is_some() {
                heap.reset();
            }
        }
        self.cells.renew();
    }

    /// Adds what was counted on the heap to the file's block, which is attached.
    fn move_into(&self, store: &FileStore) {
        let block = self.cells.block().expect("attached just now");
        self.cells.heap_blocks().iter().for_each(|heap| heap.drain_into(block));
        self.lock_notes().iter().for_each(|note| store.write_note(&self.cells, note));
    }

    /// Whether this process keeps the numbers on its own heap: always in the memory store; in a shared one if it had no
    /// room, and then they end with the process unless there is some by then.
    pub fn is_on_heap(&self) -> bool {
        self.cells.is_on_heap()
    }

    /// Asks a shared store again for room, where it had none when the series was made. Says whether it has some now.
    pub(crate) fn share(&self) -> bool {
        let _gate = fork::gate();
        // What is to be logged has been: it was no news that there is no room.
        let _ = self.attach_gated();
        !self.cells.is_on_heap()
    }

    /// Sets the bytes of `part`, here and in the store.
    pub(crate) fn set_note(&self, note: Note) {
        self.cells();
        let _gate = fork::gate();
        if let (Some(store), false) = (self.shared.store().file(), self.cells.is_on_heap()) {
            store.write_note(&self.cells, &note);
            return;
        }
        let mut notes = self.lock_notes();
        match notes.iter_mut().find(|known| known.part == note.part) {
            Some(known) => *known = note,
            None => notes.push(note),
        }
    }

    /// Has `read` read the numbers and the notes, if this process keeps them on its own heap.
    pub(crate) fn on_heap<R>(&self, read: impl FnOnce(Block<'_>, &[Note]) -> R) -> Option<R> {
        if !self.cells.is_on_heap() {
            return None;
        }
        // Under the gate it does not move to a shared store meanwhile: read in both places it would count twice.
        let _gate = fork::gate();
        let block = self.cells.block().filter(|_| self.cells.is_on_heap())?;
        Some(read(block, &self.lock_notes()))
    }

    /// Starts again at zero, in every process, with a new time of creation.
    pub(crate) fn reset(&self, created: f64) {
        if self.is_removed() {
            // Another series may have its labels by now.
            return;
        }
        let notice = {
            let _gate = fork::gate();
            if let Some(store) = self.shared.store().file() {
                let values: Vec<_> = self.labels.values().iter().map(|value| &**value).enumerate().collect();
                store.remove_where(&self.shared.definition, &values);
            }
            self.start_again(created)
        };
        if let Some(notice) = notice {
            log::warn!("{notice}");
        }
    }

    /// Starts at zero what this process has, after a shared store has forgotten its part. The fork gate must be held.
    /// Gives back what is to be logged once it is not.
    pub(crate) fn start_again(&self, created: f64) -> Option<String> {
        self.created.store(created.to_bits(), Ordering::Relaxed);
        self.lock_notes().clear();
        self.cells.heap_blocks().iter().for_each(|heap| heap.reset());
        if self.shared.store().file().is_some() { self.attach_gated().notice } else { None }
    }

    /// Whether it was removed from its family in this process: its updates go nowhere then.
    pub fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }

    /// The fork gate must be held.
    pub(crate) fn mark_removed(&self) {
        self.removed.store(true, Ordering::Relaxed);
    }

    fn lock_notes(&self) -> std::sync::MutexGuard<'_, Vec<Note>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
