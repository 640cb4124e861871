//! A block: the words of one series that one process owns.
//!
//! Every `inc`, `set` and `observe` ends here. Nothing in this file allocates, makes a system call or waits for another
//! process. Stores differ only in where the words live: on this process's heap, or in the file that every process of
//! the host maps. Several blocks become one number elsewhere: see `file/read.rs`.
//!
//! Who may touch a word: the owning process writes, any process reads, and all of them through atomics. The flags of
//! the second word are the exception: a process that removes a series, or folds a dead owner, sets them in blocks of
//! others.
//!
//! | word | number | gauge | tally |
//! |---|---|---|---|
//! | 0 | series in the upper half, length in words in the lower | = | = |
//! | 1 | generation, part, kind, flags | = | = |
//! | 2 | whole increments | value (float) | lock |
//! | 3 | other increments (float) | stamp of the last `set`, 0 for none | sequence |
//! | 4 | | | undo: index of the count |
//! | 5 | | | undo: the count |
//! | 6 | | | undo: the sum |
//! | 7… | | | counts, then the sum (float) |
//!
//! A fourth kind, the *image*, holds bytes twice; a version number says which copy is the valid one. The blocks of the
//! base shard are images of totals, whatever their kind.

use crate::sync::{AtomicU64, Ordering, fence, spin_loop, yield_now};

use Ordering::{Acquire, Relaxed, Release};

/// Words before a block's own.
pub(crate) const HEAD: usize = 2;
const TALLY_COUNTS: usize = 7;
/// Words of a tally besides its counts.
const TALLY_EXTRA: usize = TALLY_COUNTS + 1;

/// The most counts a tally can have: a block must fit into one chunk of the file.
pub const MAX_COUNTS: usize = 16_000;

/// Images have fewer bytes than this.
pub(crate) const MAX_IMAGE: usize = 1 << 24;
/// Where an image's two copies start: behind its version, its capacity and, in the base shard, the next image.
const IMAGE_COPIES: usize = HEAD + 3;
/// The word of an image that points at the next one of its series in the base shard.
pub(crate) const IMAGE_NEXT: usize = 4;

/// The series was removed: updates no longer count.
pub(crate) const REMOVED: u64 = 1;
/// The block was added to the base shard: updates no longer count.
pub(crate) const FOLDED: u64 = 2;
const FLAGS: u64 = 0xff;

/// What the words of a block mean when they are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A total: whole increments in an integer, others in a float.
    Number,
    /// A value with a time; what remains of it when its process ends is said by [`Keep`].
    Gauge(Keep),
    /// Counts and a sum that change together.
    Tally {
        /// How many counts.
        counts: usize,
    },
    /// Bytes, written whole; the newest ones win.
    Image {
        /// Room for so many bytes.
        capacity: usize,
    },
}

/// What remains of a gauge when its process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Keep {
    /// Nothing.
    Nothing = 0,
    /// The value, with the process's id, for the processes that ended last.
    Each = 1,
    /// The smallest value.
    Min = 2,
    /// The greatest value.
    Max = 3,
    /// The sum.
    Sum = 4,
    /// The value that was set last.
    Last = 5,
    /// The value that was set last, if any was set: increments alone leave nothing.
    LastSet = 6,
}

impl Keep {
    const ALL: [Keep; 7] = [Keep::Nothing, Keep::Each, Keep::Min, Keep::Max, Keep::Sum, Keep::Last, Keep::LastSet];
}

impl Shape {
    /// Words that a block of this shape takes, head included.
    pub const fn words(self) -> usize {
        match self {
            Shape::Number | Shape::Gauge(_) => HEAD + 2,
            Shape::Tally { counts } => counts + TALLY_EXTRA,
            Shape::Image { capacity } => IMAGE_COPIES + 2 * image_copy(capacity),
        }
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Shape::Number => 1,
            Shape::Tally { .. } => 2,
            Shape::Image { .. } => 3,
            Shape::Gauge(keep) => 16 + keep as u8,
        }
    }

    /// The shape that a head of these words says; `None` where it is not one that this version writes.
    pub(crate) fn decode(code: u8, words: usize, capacity: u64) -> Option<Shape> {
        let shape = match code {
            1 => Shape::Number,
            2 => Shape::Tally { counts: words.checked_sub(TALLY_EXTRA)? },
            3 => Shape::Image { capacity: usize::try_from(capacity).ok().filter(|bytes| *bytes < MAX_IMAGE)? },
            code => Shape::Gauge(*Keep::ALL.get(usize::from(code.checked_sub(16)?))?),
        };
        (shape.words() == words).then_some(shape)
    }
}

/// Words of one copy of an image: stamp, length, bytes.
const fn image_copy(capacity: usize) -> usize {
    2 + capacity.div_ceil(8)
}

/// The second word of a head, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) generation: u32,
    pub(crate) part: u16,
    pub(crate) code: u8,
    pub(crate) flags: u8,
}

impl Tag {
    pub(crate) const fn pack(self) -> u64 {
        (self.generation as u64) << 32 | (self.part as u64) << 16 | (self.code as u64) << 8 | self.flags as u64
    }

    pub(crate) const fn unpack(word: u64) -> Tag {
        Tag { generation: (word >> 32) as u32, part: (word >> 16) as u16, code: (word >> 8) as u8, flags: word as u8 }
    }
}

/// One consistent read of a tally.
#[derive(Debug, Clone, PartialEq)]
pub struct TallyReading {
    /// The counts.
    pub counts: Box<[u64]>,
    /// The sum.
    pub sum: f64,
}

/// The words of one series that one process owns.
///
/// ```
/// use tallymark_cells::{HeapBlock, Shape};
/// let heap = HeapBlock::new(Shape::Number);
/// heap.block().add(2.0);
/// heap.block().add(0.5);
/// assert_eq!(heap.block().number(), (2, 0.5));
/// ```
#[derive(Clone, Copy)]
pub struct Block<'a> {
    words: &'a [AtomicU64],
}

impl<'a> Block<'a> {
    /// A block over words that [`write_head`](Self::write_head) has been called on, or whose head was checked.
    pub(crate) fn new(words: &'a [AtomicU64]) -> Block<'a> {
        debug_assert!(words.len() >= HEAD + 2);
        Block { words }
    }

    /// Writes the head and the words that do not start as zero. The rest of the words must be zero.
    pub(crate) fn write_head(words: &'a [AtomicU64], series: u32, generation: u32, part: u16, shape: Shape) {
        if let Shape::Image { capacity } = shape {
            words[3].store(capacity as u64, Relaxed);
        }
        words[1].store(Tag { generation, part, code: shape.code(), flags: 0 }.pack(), Relaxed);
        words[0].store(u64::from(series) << 32 | words.len() as u64, Relaxed);
    }

    pub(crate) fn words(self) -> &'a [AtomicU64] {
        self.words
    }

    /// The series, and its generation.
    pub(crate) fn identity(self) -> (u32, u32) {
        ((self.words[0].load(Relaxed) >> 32) as u32, Tag::unpack(self.words[1].load(Relaxed)).generation)
    }

    /// Whether updates of this block still count.
    #[inline]
    pub(crate) fn is_current(self) -> bool {
        self.words[1].load(Relaxed) & FLAGS == 0
    }

    /// Makes updates of this block no longer count.
    pub(crate) fn set_flag(self, flag: u64) {
        self.words[1].fetch_or(flag, Ordering::SeqCst);
    }

    // ---- numbers

    /// Adds to a total: one atomic add if `amount` is whole, else a compare-and-swap loop on the float.
    #[inline]
    pub fn add(self, amount: f64) {
        let whole = amount as u64;
        // 2⁵³: above it every float is whole, and `as` would round what the float cell keeps.
        if whole as f64 == amount && whole <= 1 << 53 {
            self.add_whole(whole);
        } else {
            add_float(&self.words[3], amount);
        }
    }

    /// Adds a whole amount to a total. Beyond 2⁶⁴ it starts again at zero, which Prometheus reads as a reset.
    #[inline]
    pub fn add_whole(self, amount: u64) {
        self.words[2].fetch_add(amount, Relaxed);
    }

    /// A total: whole increments, and the others.
    pub fn number(self) -> (u64, f64) {
        (self.words[2].load(Relaxed), f64::from_bits(self.words[3].load(Relaxed)))
    }

    // ---- gauges

    /// Sets a gauge's value at the time `stamp` (not 0).
    #[inline]
    pub fn set(self, value: f64, stamp: u64) {
        self.words[2].store(value.to_bits(), Relaxed);
        // Pairs with the acquire load in `gauge`: who sees the stamp sees the value.
        self.words[3].store(stamp, Release);
    }

    /// Adds to a gauge's value.
    #[inline]
    pub fn change(self, amount: f64) {
        add_float(&self.words[2], amount);
    }

    /// A gauge's value, and the time of its last `set`, 0 for none.
    pub fn gauge(self) -> (f64, u64) {
        let stamp = self.words[3].load(Acquire);
        (f64::from_bits(self.words[2].load(Relaxed)), stamp)
    }

    // ---- tallies

    /// Adds one to the count at `index` (or to none), and `amount` to the sum: readers see both or neither, and so
    /// does the next process if this one is killed in between.
    ///
    /// Waits only for other threads of this process, each for the few instructions between lock and unlock.
    #[inline]
    pub fn observe(self, index: Option<usize>, amount: f64) {
        self.observe_many(index, 1, amount);
    }

    /// Adds `times` to the count at `index` (or to none), and `amount` to the sum, as [`observe`](Self::observe) does.
    #[inline]
    pub fn observe_many(self, index: Option<usize>, times: u64, amount: f64) {
        let (counts, sum) = self.tally_words();
        self.lock_tally();
        // Release fence: who sees a word of this undo record sees the sequence that ended the last observation.
        fence(Release);
        let sequence = self.words[3].load(Relaxed);
        let total = sum.load(Relaxed);
        let count = index.map_or(0, |index| counts[index].load(Relaxed));
        self.words[4].store(index.map_or(u64::MAX, |index| index as u64), Relaxed);
        self.words[5].store(count, Relaxed);
        self.words[6].store(total, Relaxed);
        // Release: who sees the odd sequence sees the undo record. The fence keeps the changes behind the odd number.
        self.words[3].store(sequence + 1, Release);
        fence(Release);
        if let Some(index) = index {
            counts[index].store(count.wrapping_add(times), Relaxed);
        }
        sum.store((f64::from_bits(total) + amount).to_bits(), Relaxed);
        // Release: who sees the even sequence sees the changes. Pairs with `tally`.
        self.words[3].store(sequence + 2, Release);
        self.words[2].store(0, Release);
    }

    /// One consistent read: no observation half counted.
    ///
    /// While an observation is on its way, or where its process died in it, the undo record gives the state before.
    pub fn tally(self) -> TallyReading {
        let (counts, sum) = self.tally_words();
        let mut reading = TallyReading { counts: vec![0; counts.len()].into(), sum: 0.0 };
        let mut tries = 0u32;
        loop {
            // Acquire: pairs with the release stores of the sequence in `observe`.
            let before = self.words[3].load(Acquire);
            for (copy, count) in reading.counts.iter_mut().zip(counts) {
                *copy = count.load(Relaxed);
            }
            reading.sum = f64::from_bits(sum.load(Relaxed));
            if before & 1 == 1 {
                let index = self.words[4].load(Relaxed);
                let count = self.words[5].load(Relaxed);
                reading.sum = f64::from_bits(self.words[6].load(Relaxed));
                if let Some(copy) = usize::try_from(index).ok().and_then(|index| reading.counts.get_mut(index)) {
                    *copy = count;
                }
            }
            // Acquire fence: the loads above are done before the sequence is read again.
            fence(Acquire);
            if self.words[3].load(Relaxed) == before {
                return reading;
            }
            tries += 1;
            if tries.is_multiple_of(64) { yield_now() } else { spin_loop() }
        }
    }

    fn tally_words(self) -> (&'a [AtomicU64], &'a AtomicU64) {
        let (sum, counts) = self.words[TALLY_COUNTS..].split_last().expect("a tally has a sum");
        (counts, sum)
    }

    fn lock_tally(self) {
        let mut tries = 0u32;
        // Acquire: pairs with the release store that unlocks in `observe`.
        while self.words[2].compare_exchange_weak(0, 1, Acquire, Relaxed).is_err() {
            tries += 1;
            if tries.is_multiple_of(64) { yield_now() } else { spin_loop() }
        }
    }

    /// Undoes an observation that a thread left half done because only its process's copy was forked, and unlocks.
    ///
    /// Only for a block that no other thread or process can be changing.
    pub(crate) fn repair_tally(self) {
        let reading = self.tally();
        let (counts, sum) = self.tally_words();
        counts.iter().zip(&reading.counts).for_each(|(count, was)| count.store(*was, Relaxed));
        sum.store(reading.sum.to_bits(), Relaxed);
        let sequence = self.words[3].load(Relaxed);
        self.words[3].store(sequence + (sequence & 1), Release);
        self.words[2].store(0, Release);
    }

    /// Adds a reading. Another process may read it half added, once, while a series moves to a shared store.
    pub(crate) fn add_tally(self, reading: &TallyReading) {
        let (counts, sum) = self.tally_words();
        self.lock_tally();
        for (count, more) in counts.iter().zip(&reading.counts) {
            count.fetch_add(*more, Relaxed);
        }
        sum.store((f64::from_bits(sum.load(Relaxed)) + reading.sum).to_bits(), Relaxed);
        self.words[2].store(0, Release);
    }

    /// Takes what was counted, leaving zeros; updates wait meanwhile.
    pub(crate) fn take_tally(self) -> TallyReading {
        let (counts, sum) = self.tally_words();
        self.lock_tally();
        let counts = counts.iter().map(|count| count.swap(0, Relaxed)).collect();
        let sum = f64::from_bits(sum.swap(0, Relaxed));
        self.words[2].store(0, Release);
        TallyReading { counts, sum }
    }

    // ---- images

    /// Replaces an image's bytes. One writer at a time; `bytes` must fit.
    pub(crate) fn write_image(self, stamp: u64, bytes: &[u8]) {
        let next = self.image_version() + 1;
        self.prepare_image(next, stamp, bytes);
        self.publish_image(next);
    }

    /// Which version of an image is the valid one, 0 for none.
    pub(crate) fn image_version(self) -> u64 {
        // Acquire: pairs with the release store in `publish_image`.
        self.words[2].load(Acquire)
    }

    /// Writes the copy that `version`, the next one, is to use.
    pub(crate) fn prepare_image(self, version: u64, stamp: u64, bytes: &[u8]) {
        let copy = self.image_words(version);
        copy[0].store(stamp, Relaxed);
        copy[1].store(bytes.len() as u64, Relaxed);
        for (word, chunk) in copy[2..].iter().zip(bytes.chunks(8)) {
            let mut padded = [0; 8];
            padded[..chunk.len()].copy_from_slice(chunk);
            word.store(u64::from_le_bytes(padded), Relaxed);
        }
    }

    /// Makes `version` the valid one.
    pub(crate) fn publish_image(self, version: u64) {
        // Release: who sees the version sees the copy. The fence keeps the next write's words behind it.
        self.words[2].store(version, Release);
        fence(Release);
    }

    /// An image's stamp and bytes; `None` while it was never written, or if its length is no length.
    pub(crate) fn image(self) -> Option<(u64, Vec<u8>)> {
        loop {
            let version = self.image_version();
            let image = self.image_at(version);
            // Acquire fence: the loads above are done before the version is read again.
            fence(Acquire);
            if self.words[2].load(Relaxed) == version {
                return image;
            }
            yield_now();
        }
    }

    /// The stamp of the copy that `version` uses.
    pub(crate) fn image_stamp(self, version: u64) -> u64 {
        self.image_words(version)[0].load(Relaxed)
    }

    /// The copy that `version` uses. Its bytes mean something only if no newer version is being written.
    pub(crate) fn image_at(self, version: u64) -> Option<(u64, Vec<u8>)> {
        if version == 0 {
            return None;
        }
        let copy = self.image_words(version);
        let length = usize::try_from(copy[1].load(Relaxed)).ok().filter(|bytes| *bytes <= 8 * (copy.len() - 2))?;
        let mut bytes = Vec::with_capacity(length.next_multiple_of(8));
        for word in &copy[2..2 + length.div_ceil(8)] {
            bytes.extend_from_slice(&word.load(Relaxed).to_le_bytes());
        }
        bytes.truncate(length);
        Some((copy[0].load(Relaxed), bytes))
    }

    /// Makes a fresh image one of the base shard: its code says what it is a total of.
    pub(crate) fn mark_as_base(self, code: u8) {
        let tag = Tag::unpack(self.words[1].load(Relaxed));
        self.words[1].store(Tag { code, ..tag }.pack(), Relaxed);
    }

    /// Marks the times since boot in the valid copy as of an earlier one: an image's stamp, or the third word of each of a
    /// gauge's kept values, which stand behind the generation.
    pub(crate) fn restamp_image(self, gauge: bool) {
        let copy = self.image_words(self.image_version());
        if gauge {
            copy[3..].iter().skip(2).step_by(3).for_each(|stamp| _ = stamp.fetch_min(1, Relaxed));
        } else {
            copy[0].fetch_min(1, Relaxed);
        }
    }

    /// Whether the words can be an image's: their number is what the capacity says.
    pub(crate) fn is_image(self) -> bool {
        let capacity = self.words.get(3).map_or(u64::MAX, |word| word.load(Relaxed));
        usize::try_from(capacity)
            .is_ok_and(|bytes| bytes < MAX_IMAGE && self.words.len() == Shape::Image { capacity: bytes }.words())
    }

    /// Bytes that an image has room for.
    pub(crate) fn image_capacity(self) -> usize {
        8 * ((self.words.len() - IMAGE_COPIES) / 2 - 2)
    }

    fn image_words(self, version: u64) -> &'a [AtomicU64] {
        let copies = &self.words[IMAGE_COPIES..];
        let (even, odd) = copies.split_at(copies.len() / 2);
        if version.is_multiple_of(2) { even } else { odd }
    }
}

#[inline]
fn add_float(word: &AtomicU64, amount: f64) {
    let mut seen = word.load(Relaxed);
    while let Err(now) = word.compare_exchange_weak(seen, (f64::from_bits(seen) + amount).to_bits(), Relaxed, Relaxed) {
        seen = now;
    }
}
