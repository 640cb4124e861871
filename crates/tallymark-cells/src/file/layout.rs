//! Where things are in the file: offsets, record kinds, and the bytes that locks are taken on.
//!
//! The numbers here are the format; `docs/file-format.md` says the same for other readers. All words are 64 bits,
//! little endian, at offsets that are multiples of 8.

/// First word of the file: `TALLYMRK`.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"TALLYMRK");
/// The format that this version writes, and the newest it reads.
pub(crate) const VERSION: u32 = 1;
/// Bits of features that a reader must know. None exist yet.
pub(crate) const KNOWN_FEATURES: u64 = 0;

/// Words of the header; the log of records starts behind it.
pub(crate) const HEADER_WORDS: usize = 512;
pub(crate) const HEADER_BYTES: u64 = 8 * HEADER_WORDS as u64;

/// Words of the header.
pub(crate) mod header {
    pub(crate) const MAGIC: usize = 0;
    /// Version in the lower half, words of the header in the upper.
    pub(crate) const VERSION: usize = 1;
    pub(crate) const REQUIRED_FEATURES: usize = 2;
    pub(crate) const UUID: usize = 4;
    pub(crate) const CHECKSUM: usize = 7;
    // Behind this line words change while the file is in use; each group has a cache line of its own.
    pub(crate) const COMMITTED: usize = 16;
    pub(crate) const BOOT_ID: usize = 17;
    pub(crate) const FOLD_SEQUENCE: usize = 24;
    pub(crate) const JOURNAL_SOURCE: usize = 25;
    pub(crate) const JOURNAL_TARGET: usize = 26;
    pub(crate) const JOURNAL_VERSION: usize = 27;
    pub(crate) const FOLDED: usize = 32;
    /// When the file was last drained into another store: nanoseconds since boot, 0 for never.
    pub(crate) const DRAINED: usize = 40;
    /// When that last failed, likewise.
    pub(crate) const DRAIN_FAILED: usize = 41;
    /// How often a series was removed, or came back.
    pub(crate) const TURNS: usize = 48;
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Kind {
    /// Places for processes.
    Slots = 1,
    /// A family's definition.
    Family = 2,
    /// A series of a family.
    Series = 3,
    /// Room for blocks, owned by one process, by the base shard, or by nobody.
    Chunk = 4,
}

impl Kind {
    pub(crate) fn decode(word: u64) -> Option<Kind> {
        [Kind::Slots, Kind::Family, Kind::Series, Kind::Chunk].into_iter().find(|kind| *kind as u64 == word & 0xffff)
    }
}

/// Words before a record's own: kind and length; checksum and payload length.
pub(crate) const RECORD_HEAD: usize = 2;

/// Words of a family record.
pub(crate) mod family {
    /// Bytes of the key; the rest of the payload are details.
    pub(crate) const KEY_BYTES: usize = 2;
    pub(crate) const PAYLOAD: usize = 3;
}

/// Words of a series record.
pub(crate) mod series {
    /// Counts removals and returns: even while the series is there, odd while it is removed.
    pub(crate) const GENERATION: usize = 2;
    /// Seconds since the Unix epoch, a float.
    pub(crate) const CREATED: usize = 3;
    /// Offset of the base shard's block, 0 for none.
    pub(crate) const BASE: usize = 4;
    /// Offset of the first of the base shard's images, 0 for none.
    pub(crate) const BASE_IMAGES: usize = 5;
    pub(crate) const FAMILY: usize = 6;
    pub(crate) const PAYLOAD: usize = 7;
}

/// Words of a chunk record.
pub(crate) mod chunk {
    /// 0 nobody, 1 the base shard, else the slot's number plus 2.
    pub(crate) const OWNER: usize = 2;
    /// Words of blocks that are published.
    pub(crate) const USED: usize = 3;
    pub(crate) const BLOCKS: usize = 8;
}

pub(crate) const NOBODY: u64 = 0;
pub(crate) const BASE: u64 = 1;

/// The owner word of the process in slot `slot`.
pub(crate) const fn owner_of(slot: usize) -> u64 {
    slot as u64 + 2
}

/// Slots of one slots record, and words of a slot.
pub(crate) const SLOTS: usize = 128;
pub(crate) const SLOT_WORDS: usize = 8;

/// Words of a slot.
pub(crate) mod slot {
    /// 0 free, 1 taken.
    pub(crate) const STATE: usize = 0;
    pub(crate) const PID: usize = 1;
    /// When it was claimed, in seconds since the Unix epoch, a float. For people.
    pub(crate) const CLAIMED: usize = 2;
}

/// The smallest and the largest chunk a process asks for unless one block needs more: 4 KiB, 1 MiB.
pub(crate) const MIN_CHUNK: usize = 512;
pub(crate) const MAX_CHUNK: usize = 131_072;

/// Bytes that locks are taken on, far behind any data.
pub(crate) mod lock {
    const START: i64 = 1 << 62;
    /// Held while a record is appended, or a chunk or slot claimed.
    pub(crate) const APPEND: i64 = START;
    /// Held while the shards of ended processes are folded.
    pub(crate) const FOLD: i64 = START + 1;
    /// Held while the totals are drained into another store.
    pub(crate) const DRAIN: i64 = START + 2;
    /// Held by the process in slot `slot` as long as it lives.
    pub(crate) const fn slot(slot: usize) -> i64 {
        START + 64 + slot as i64
    }
}
