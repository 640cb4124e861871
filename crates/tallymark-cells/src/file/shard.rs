//! A shard: the chunks that one process owns, and the blocks in them. The base shard is owned by nobody alone.

use std::collections::HashMap;
use std::fs::File;

use super::descriptors::{Tables, record_at};
use super::error::NoRoom;
use super::layout::{Kind, MAX_CHUNK, MIN_CHUNK, NOBODY, chunk};
use super::region::Region;
use super::step;
use crate::block::{Block, HEAD, Shape, Tag};
use crate::sync::{AtomicU64, Ordering};

/// A chunk of the file, taken apart.
#[derive(Clone, Copy)]
pub(crate) struct Chunk<'a> {
    pub(crate) at: u64,
    words: &'a [AtomicU64],
}

impl<'a> Chunk<'a> {
    pub(crate) fn at(region: &'a Region, at: u64) -> Option<Chunk<'a>> {
        Some(Chunk { at, words: record_at(region, at)? })
    }

    /// Who owns it: see [`super::layout::chunk::OWNER`].
    pub(crate) fn owner(self) -> u64 {
        // Acquire: pairs with the release in `claim_chunk`; who sees the owner sees the chunk empty.
        self.words[chunk::OWNER].load(Ordering::Acquire)
    }

    pub(crate) fn set_owner(self, owner: u64) {
        self.words[chunk::OWNER].store(owner, Ordering::Release);
    }

    fn capacity(self) -> usize {
        self.words.len() - chunk::BLOCKS
    }

    fn used(self) -> usize {
        // Acquire: pairs with the release in `publish`; who sees the length sees the blocks.
        usize::try_from(self.words[chunk::USED].load(Ordering::Acquire)).unwrap_or(usize::MAX).min(self.capacity())
    }

    /// The published blocks with their offsets in the file. Ends early where a block makes no sense.
    pub(crate) fn blocks(self) -> impl Iterator<Item = Found<'a>> {
        let used = self.used();
        let mut next = 0;
        std::iter::from_fn(move || {
            let words = &self.words[chunk::BLOCKS..chunk::BLOCKS + used];
            let head = words.get(next..next + HEAD)?;
            let length = head[0].load(Ordering::Relaxed) as u32 as usize;
            let words = words.get(next..next + length).filter(|_| length >= HEAD + 2)?;
            let at = self.at + 8 * (chunk::BLOCKS + next) as u64;
            next += length;
            Some(Found { at, block: Block::new(words) })
        })
    }

    /// Room for a block: its offset and its words, zeroed, not yet published.
    fn room(self, length: usize) -> Option<(u64, &'a [AtomicU64])> {
        let used = self.used();
        let words = self.words[chunk::BLOCKS..].get(used..used + length)?;
        // A block that its maker did not live to publish may have left words.
        words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        Some((self.at + 8 * (chunk::BLOCKS + used) as u64, words))
    }

    fn publish(self, length: usize) {
        let used = self.used() + length;
        self.words[chunk::USED].store(used as u64, Ordering::Release);
    }

    /// Makes an unowned chunk an empty one of `owner`.
    fn take(self, owner: u64) {
        let used = self.used();
        self.words[chunk::USED].store(0, Ordering::Relaxed);
        self.words[chunk::BLOCKS..chunk::BLOCKS + used].iter().for_each(|word| word.store(0, Ordering::Relaxed));
        step("chunk emptied");
        self.set_owner(owner);
        step("chunk claimed");
    }
}

/// A block, and where it is.
#[derive(Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) at: u64,
    pub(crate) block: Block<'a>,
}

impl<'a> Found<'a> {
    /// The block at an offset that was noted down before.
    pub(crate) fn at(region: &'a Region, at: u64) -> Option<Found<'a>> {
        let length = region.word(at)?.load(Ordering::Relaxed) as u32 as usize;
        if length < HEAD + 2 {
            return None;
        }
        Some(Found { at, block: Block::new(region.words(at, length)?) })
    }

    /// The block of the base shard at an offset that was noted down before.
    pub(crate) fn base_at(region: &'a Region, at: u64) -> Option<Found<'a>> {
        Found::at(region, at).filter(|found| at != 0 && found.block.is_image())
    }

    pub(crate) fn series(self) -> u32 {
        (self.block.words()[0].load(Ordering::Relaxed) >> 32) as u32
    }

    pub(crate) fn tag(self) -> Tag {
        Tag::unpack(self.block.words()[1].load(Ordering::Acquire))
    }

    /// What the words mean; `None` if this version does not know.
    pub(crate) fn shape(self) -> Option<Shape> {
        let words = self.block.words();
        Shape::decode(self.tag().code, words.len(), words[3].load(Ordering::Relaxed))
    }
}

/// What a process notes down about its own shard.
#[derive(Default)]
pub(crate) struct Shard {
    /// The chunk that has room, and how many words the shard has taken so far.
    chunk: Option<u64>,
    words: usize,
    /// Its blocks by series, its images by series and part.
    pub(crate) blocks: HashMap<u32, u64>,
    pub(crate) images: HashMap<(u32, u16), u64>,
}

/// A block to be made.
pub(crate) struct NewBlock {
    pub(crate) series: u32,
    pub(crate) generation: u32,
    pub(crate) part: u16,
    pub(crate) shape: Shape,
}

impl Shard {
    /// Makes and publishes a block in a chunk of `owner`. Takes the append lock through `locked` if it needs a chunk.
    pub(crate) fn make_block<'a>(
        &mut self,
        tables: &mut Tables,
        region: &'a Region,
        file: &File,
        owner: u64,
        new: &NewBlock,
    ) -> Result<Found<'a>, NoRoom> {
        let length = new.shape.words();
        let room = self.chunk.and_then(|at| Chunk::at(region, at)).and_then(|chunk| Some((chunk, chunk.room(length)?)));
        let (chunk, (at, words)) = match room {
            Some(found) => found,
            None => {
                let _held = super::append_lock(file)?;
                let at = self.claim_chunk(tables, region, file, owner, length)?;
                let chunk = Chunk::at(region, at).ok_or(NoRoom::Damaged)?;
                (chunk, chunk.room(length).ok_or(NoRoom::TooLarge)?)
            }
        };
        Block::write_head(words, new.series, new.generation, new.part, new.shape);
        step("block written");
        chunk.publish(length);
        step("block published");
        Ok(Found { at, block: Block::new(words) })
    }

    /// A chunk with room for `length` words: one that an ended process left, or a new one. The append lock must be held.
    fn claim_chunk(
        &mut self,
        tables: &mut Tables,
        region: &Region,
        file: &File,
        owner: u64,
        length: usize,
    ) -> Result<u64, NoRoom> {
        tables.follow(region, file);
        let free = tables.chunks.iter().filter_map(|at| Chunk::at(region, *at));
        let free = free.filter(|chunk| chunk.owner() == NOBODY && chunk.capacity() >= length);
        let at = match free.min_by_key(|chunk| chunk.capacity()) {
            Some(chunk) => {
                chunk.take(owner);
                chunk.at
            }
            None => {
                let wanted = self.words.clamp(MIN_CHUNK, MAX_CHUNK).max(length + chunk::BLOCKS);
                let fill = |words: &[AtomicU64]| {
                    words[chunk::OWNER].store(owner, Ordering::Relaxed);
                    0
                };
                let least = length + chunk::BLOCKS;
                match tables.append(region, file, Kind::Chunk, wanted, fill) {
                    Err(NoRoom::Device(_)) if least < wanted => {
                        tables.append(region, file, Kind::Chunk, least, fill)?
                    }
                    result => result?,
                }
            }
        };
        self.words += Chunk::at(region, at).map_or(0, Chunk::capacity);
        self.chunk = Some(at);
        Ok(at)
    }

    /// Starts from a chunk that has been the owner's before.
    pub(crate) fn resume(&mut self, chunk: u64) {
        self.chunk = Some(chunk);
    }
}
