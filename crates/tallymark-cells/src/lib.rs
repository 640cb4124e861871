//! All memory that two threads or two processes share: words and bytes, no Prometheus.
//!
//! A series' numbers are a [`Block`] of 64-bit words. The block lives on this process's heap ([`HeapBlock`]) or in a
//! file that every process of the host maps ([`file::Store`]); an [`Attachment`] says where it is now. Every block has
//! one owning process, so no lock and no cache line crosses a process, and a process that dies damages nothing of the
//! others. Totals are sums over blocks; adding them up, and adding up the dead for good, is done in [`mod@file`].
//!
//! | to see | read |
//! |---|---|
//! | where an increment ends | [`Block`] (`block.rs`) |
//! | how a handle finds its block, and what a fork changes | `attach.rs`, `fork.rs` |
//! | how the file is laid out | `file/layout.rs`, and `docs/file-format.md` |
//! | how the ended are folded | `file/fold.rs` |
//!
//! Under `--cfg loom` the crate is its blocks alone, over the model checker's atomics: see `tests/loom.rs`.
//!
//! `unsafe` lives in `attach.rs` (a pointer that outlives a move), `fork.rs` (`pthread_atfork`) and `file/region.rs`
//! (mapped words) only.

#![cfg_attr(loom, allow(dead_code))]

#[cfg(not(loom))]
mod attach;
mod block;
#[cfg(not(loom))]
pub mod file;
#[cfg(not(loom))]
pub mod fork;
mod heap;
mod sum;
mod sync;

#[cfg(not(loom))]
pub use attach::Attachment;
pub use block::{Block, Keep, MAX_COUNTS, Shape, TallyReading};
pub use heap::HeapBlock;
pub use sum::ExactSum;
