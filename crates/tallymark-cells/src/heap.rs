//! A block on this process's heap: the memory store, and the refuge when the file has no room.

use crate::block::{Block, Shape};
use crate::sync::AtomicU64;

/// The words of one series on this process's heap.
pub struct HeapBlock {
    words: Box<[AtomicU64]>,
    shape: Shape,
}

impl HeapBlock {
    /// A block of zeros.
    pub fn new(shape: Shape) -> HeapBlock {
        let words: Box<[AtomicU64]> = (0..shape.words()).map(|_| AtomicU64::new(0)).collect();
        Block::write_head(&words, 0, 0, 0, shape);
        HeapBlock { words, shape }
    }

    /// What its words mean.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The block.
    pub fn block(&self) -> Block<'_> {
        Block::new(&self.words)
    }

    /// Adds what has been counted here to `target`, a block of the same shape, and starts again at zero.
    ///
    /// Exact whatever other threads do meanwhile: what they add after its word was taken stays here.
    pub fn drain_into(&self, target: Block<'_>) {
        use crate::sync::Ordering::AcqRel;
        match self.shape {
            Shape::Number => {
                target.add_whole(self.words[2].swap(0, AcqRel));
                let fraction = f64::from_bits(self.words[3].swap(0, AcqRel));
                if fraction != 0.0 {
                    target.add(fraction);
                }
            }
            Shape::Gauge(_) => {
                let stamp = self.words[3].swap(0, AcqRel);
                let value = f64::from_bits(self.words[2].swap(0, AcqRel));
                if stamp != 0 {
                    target.set(value, stamp);
                } else if value != 0.0 {
                    target.change(value);
                }
            }
            Shape::Tally { .. } => target.add_tally(&self.block().take_tally()),
            Shape::Image { .. } => {}
        }
    }

    /// Forgets what has been counted here.
    pub fn reset(&self) {
        let scratch = HeapBlock::new(self.shape);
        self.drain_into(scratch.block());
    }

    /// Mends what a thread of the parent left half done when the process was forked.
    pub fn repair(&self) {
        if matches!(self.shape, Shape::Tally { .. }) {
            self.block().repair_tally();
        }
    }
}
