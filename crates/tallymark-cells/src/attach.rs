//! Where a series' block is: the one indirection between a handle and its words.
//!
//! It lets a block change its place without touching the hot path: to another store, to a new process after a fork, to
//! a fresh series after a removal. An update costs one load of the pointer, one of the fork generation and one of the
//! block's flags, which share the words' cache line.

use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::block::Block;
use crate::file::Region;
use crate::sync::AtomicU64;
use crate::{HeapBlock, fork};

/// Where the block of one series is now, if it is anywhere.
#[derive(Default)]
pub struct Attachment {
    words: AtomicPtr<AtomicU64>,
    length: AtomicUsize,
    generation: AtomicU32,
    on_heap: AtomicBool,
    /// What the pointer has ever pointed into; changed under the fork gate only.
    homes: Mutex<Vec<Home>>,
}

enum Home {
    Heap(Arc<HeapBlock>),
    File { _region: Arc<Region> },
}

impl Attachment {
    /// The block to update; `None` where it must be attached (again) first: before the first use, in a forked child,
    /// and after its series was removed or its owner folded.
    #[inline]
    pub fn current(&self) -> Option<Block<'_>> {
        let block = self.block()?;
        (self.generation.load(Ordering::Relaxed) == fork::generation() && block.is_current()).then_some(block)
    }

    /// The block as it is, even if updates of it no longer count.
    #[inline]
    pub fn block(&self) -> Option<Block<'_>> {
        // Acquire: pairs with the release in `point_at`; who sees the pointer sees the length and the block's head.
        let words = self.words.load(Ordering::Acquire);
        if words.is_null() {
            return None;
        }
        let length = self.length.load(Ordering::Relaxed);
        // SAFETY: `words` and `length` come from a `Block` that `point_at` was given, and both homes' words are never
        // moved or freed while their home is in `homes`, which only grows and lives as long as `self`, to which the
        // result's lifetime is bound. `point_at` keeps `length` the same for every block of one attachment, so the
        // pair cannot be of two blocks. The words are atomics: sharing them with other threads and processes is sound.
        Some(Block::new(unsafe { std::slice::from_raw_parts(words, length) }))
    }

    /// Points at a block on the heap. Call it under the fork gate.
    pub fn point_at_heap(&self, heap: Arc<HeapBlock>) {
        let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        self.point_at(heap.block());
        self.on_heap.store(true, Ordering::Relaxed);
        homes.reserve_exact(1);
        homes.push(Home::Heap(heap));
    }

    /// Points at a block in a mapped file.
    pub(crate) fn point_at_file(&self, region: &Arc<Region>, block: Block<'_>) {
        let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        self.point_at(block);
        self.on_heap.store(false, Ordering::Relaxed);
        let known = homes.iter().any(|home| matches!(home, Home::File { _region } if Arc::ptr_eq(_region, region)));
        if !known {
            homes.reserve_exact(1);
            homes.push(Home::File { _region: Arc::clone(region) });
        }
    }

    fn point_at(&self, block: Block<'_>) {
        let words = block.words();
        let length = self.length.load(Ordering::Relaxed);
        assert!(length == 0 || length == words.len(), "a series' block never changes its shape");
        self.length.store(words.len(), Ordering::Relaxed);
        self.generation.store(fork::generation(), Ordering::Relaxed);
        self.words.store(words.as_ptr().cast_mut(), Ordering::Release);
    }

    /// Whether it was made before this process was forked.
    pub fn is_stale(&self) -> bool {
        self.generation.load(Ordering::Relaxed) != fork::generation()
    }

    /// Makes the attachment valid in this process after a fork. Call it under the fork gate.
    pub fn renew(&self) {
        self.generation.store(fork::generation(), Ordering::Relaxed);
    }

    /// The blocks on this process's heap that have ever been attached.
    pub fn heap_blocks(&self) -> Vec<Arc<HeapBlock>> {
        let homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        let heap = homes.iter().filter_map(|home| match home {
            Home::Heap(heap) => Some(Arc::clone(heap)),
            Home::File { .. } => None,
        });
        heap.collect()
    }

    /// Whether the current block is on this process's heap.
    pub fn is_on_heap(&self) -> bool {
        self.on_heap.load(Ordering::Relaxed)
    }
}
