//! The log of records: definitions, label values and chunks, appended once and never moved.
//!
//! A record is written behind the committed length and published by one store of it, under a lock that the kernel
//! drops when its holder dies. A crash while appending leaves bytes that nobody reads and the next append overwrites.
//! Every process follows the committed length and keeps its own [`Tables`]; a hit in them takes no lock of the file.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, Hash, Hasher};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::error::NoRoom;
use super::header::allocate;
use super::layout::{HEADER_BYTES, Kind, RECORD_HEAD, SLOT_WORDS, SLOTS, chunk, family, header, series};
use super::region::Region;
use super::step;
use crate::sync::{AtomicU64, Ordering};

/// What one process knows of the log.
#[derive(Default)]
pub(crate) struct Tables {
    followed: u64,
    /// Offsets of the slots, of the chunks, of the family and series records; their places are their numbers.
    pub(crate) slots: Vec<u64>,
    pub(crate) chunks: Vec<u64>,
    pub(crate) families: Vec<u64>,
    pub(crate) series: Vec<u64>,
    family_index: HashMap<Vec<u8>, u32>,
    series_index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// Records whose checksum does not fit: they have a number, and are passed over.
    pub(crate) damaged: u64,
    /// Behind this point nothing can be read: a record's length makes no sense.
    pub(crate) broken: bool,
}

impl Tables {
    /// Reads the records published since the last time.
    pub(crate) fn follow(&mut self, region: &Region, file: &File) {
        // Acquire: pairs with the release store in `append`; who sees the length sees the records.
        let Some(committed) = region.word(8 * header::COMMITTED as u64).map(|word| word.load(Ordering::Acquire)) else {
            return;
        };
        if committed > region.length() {
            // An error here is met again, as records that cannot be read.
            let _ = region.refresh(file);
        }
        self.followed = self.followed.max(HEADER_BYTES);
        while self.followed < committed && !self.broken {
            match record_at(region, self.followed) {
                Some(words) => {
                    self.learn(region, self.followed, words);
                    self.followed += 8 * words.len() as u64;
                }
                None => {
                    self.broken = true;
                    self.damaged += 1;
                }
            }
        }
    }

    fn learn(&mut self, region: &Region, at: u64, words: &[AtomicU64]) {
        let intact = words[1].load(Ordering::Relaxed) as u32 == checksum(words);
        self.damaged += u64::from(!intact);
        match Kind::decode(words[0].load(Ordering::Relaxed)) {
            Some(Kind::Slots) => {
                self.slots.extend((0..SLOTS).map(|slot| at + 8 * (RECORD_HEAD + slot * SLOT_WORDS) as u64))
            }
            Some(Kind::Chunk) => self.chunks.push(at),
            Some(Kind::Family) => {
                if let Some((key, _)) = intact.then(|| family_bytes(words)).flatten() {
                    // CAST: a file of 2³² families would be larger than any address range reserved for it.
                    self.family_index.insert(key, self.families.len() as u32);
                }
                self.families.push(if intact { at } else { 0 });
            }
            Some(Kind::Series) => {
                // CAST: as for families.
                let number = self.series.len() as u32;
                self.series.push(if intact { at } else { 0 });
                if let Some((family, key)) = intact.then(|| series_bytes(words)).flatten() {
                    let hash = self.hash(family, &key);
                    let Tables { series_index, hasher, series, .. } = self;
                    series_index.insert_unique(hash, number, |other| {
                        let (family, key) = read_series(region, series, *other).unwrap_or_default();
                        hash_with(hasher, family, &key)
                    });
                }
            }
            // A kind that a later format adds: its length is known, so it can be passed over.
            None => {}
        }
    }

    /// The number of the family with this key.
    pub(crate) fn family(&self, key: &[u8]) -> Option<u32> {
        self.family_index.get(key).copied()
    }

    /// The number of the family's series with this key.
    pub(crate) fn find_series(&self, region: &Region, family: u32, key: &[u8]) -> Option<u32> {
        let found = self.series_index.find(self.hash(family, key), |number| {
            read_series(region, &self.series, *number).is_some_and(|known| known.0 == family && known.1 == key)
        });
        found.copied()
    }

    fn hash(&self, family: u32, key: &[u8]) -> u64 {
        hash_with(&self.hasher, family, key)
    }

    /// Appends a record of `length` words that `fill` writes (all but its first two words), and learns it. The append
    /// lock must be held. Gives the offset.
    pub(crate) fn append(
        &mut self,
        region: &Region,
        file: &File,
        kind: Kind,
        length: usize,
        fill: impl FnOnce(&[AtomicU64]) -> usize,
    ) -> Result<u64, NoRoom> {
        self.follow(region, file);
        if self.broken {
            return Err(NoRoom::Damaged);
        }
        let at = self.followed;
        let end = at + 8 * length as u64;
        grow(region, file, end)?;
        step("record allocated");
        let words = region.words(at, length).ok_or(NoRoom::TooLarge)?;
        words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        let payload = fill(words);
        step("record filled");
        words[0].store(kind as u64 | (length as u64) << 32, Ordering::Relaxed);
        words[1].store((payload as u64) << 32, Ordering::Relaxed);
        words[1].store((payload as u64) << 32 | u64::from(checksum(words)), Ordering::Relaxed);
        step("record written");
        // Release: pairs with the acquire load in `follow`.
        region.word(8 * header::COMMITTED as u64).ok_or(NoRoom::Damaged)?.store(end, Ordering::Release);
        step("record published");
        self.learn(region, at, words);
        self.followed = end;
        Ok(at)
    }

    /// Appends a family record.
    pub(crate) fn append_family(
        &mut self,
        region: &Region,
        file: &File,
        key: &[u8],
        details: &[u8],
    ) -> Result<u32, NoRoom> {
        let payload = [key, details].concat();
        let length = family::PAYLOAD + payload.len().div_ceil(8);
        self.append(region, file, Kind::Family, length, |words| {
            words[family::KEY_BYTES].store(key.len() as u64, Ordering::Relaxed);
            put_bytes(&words[family::PAYLOAD..], &payload);
            payload.len()
        })?;
        Ok(self.families.len() as u32 - 1)
    }

    /// Appends a series record.
    pub(crate) fn append_series(
        &mut self,
        region: &Region,
        file: &File,
        of: u32,
        key: &[u8],
        created: f64,
    ) -> Result<u32, NoRoom> {
        let length = series::PAYLOAD + key.len().div_ceil(8);
        self.append(region, file, Kind::Series, length, |words| {
            words[series::CREATED].store(created.to_bits(), Ordering::Relaxed);
            words[series::FAMILY].store(u64::from(of), Ordering::Relaxed);
            put_bytes(&words[series::PAYLOAD..], key);
            key.len()
        })?;
        Ok(self.series.len() as u32 - 1)
    }

    /// The words of the series record with this number, `None` if it is damaged.
    pub(crate) fn series_words<'a>(&self, region: &'a Region, number: u32) -> Option<&'a [AtomicU64]> {
        record_at(region, *self.series.get(number as usize).filter(|at| **at != 0)?)
    }
}

/// Makes sure the file reaches `end`, a quarter of its size more where there is room for that.
fn grow(region: &Region, file: &File, end: u64) -> Result<(), NoRoom> {
    if end <= region.length() {
        return Ok(());
    }
    if end > region.capacity() {
        return Err(NoRoom::TooLarge);
    }
    let length = file.metadata().map_err(NoRoom::Device)?.len();
    let ahead = (end + (length / 4).clamp(16 << 10, 16 << 20)).next_multiple_of(4096).min(region.capacity());
    if end > length {
        allocate(file, length, ahead).or_else(|_| allocate(file, length, end)).map_err(NoRoom::Device)?;
    }
    region.refresh(file).map_err(NoRoom::Device)?;
    if end <= region.length() { Ok(()) } else { Err(NoRoom::Damaged) }
}

/// The words of the record at `at`, if its length makes sense.
pub(crate) fn record_at(region: &Region, at: u64) -> Option<&[AtomicU64]> {
    let length = usize::try_from(region.word(at)?.load(Ordering::Relaxed) >> 32).ok()?;
    let least = match Kind::decode(region.word(at)?.load(Ordering::Relaxed)) {
        Some(Kind::Slots) => RECORD_HEAD + SLOTS * SLOT_WORDS,
        Some(Kind::Family) => family::PAYLOAD,
        Some(Kind::Series) => series::PAYLOAD,
        Some(Kind::Chunk) => chunk::BLOCKS,
        None => RECORD_HEAD,
    };
    if length < least { None } else { region.words(at, length) }
}

/// CRC-32 (IEEE) of what never changes in a record: the first word, the payload's length, and the immutable words.
fn checksum(words: &[AtomicU64]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let mut add = |word: u64| hasher.update(&word.to_le_bytes());
    add(words[0].load(Ordering::Relaxed));
    add(words[1].load(Ordering::Relaxed) >> 32);
    let immutable = match Kind::decode(words[0].load(Ordering::Relaxed)) {
        Some(Kind::Family) => family::KEY_BYTES..words.len(),
        Some(Kind::Series) => series::FAMILY..words.len(),
        _ => 0..0,
    };
    words[immutable].iter().for_each(|word| add(word.load(Ordering::Relaxed)));
    hasher.finalize()
}

/// Key and details of a family record.
pub(crate) fn family_bytes(words: &[AtomicU64]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut key = payload(words, family::PAYLOAD)?;
    let length = usize::try_from(words[family::KEY_BYTES].load(Ordering::Relaxed)).ok()?;
    (length <= key.len()).then(|| {
        let details = key.split_off(length);
        (key, details)
    })
}

/// Family and key of a series record.
pub(crate) fn series_bytes(words: &[AtomicU64]) -> Option<(u32, Vec<u8>)> {
    let family = u32::try_from(words[series::FAMILY].load(Ordering::Relaxed)).ok()?;
    Some((family, payload(words, series::PAYLOAD)?))
}

fn read_series(region: &Region, offsets: &[u64], number: u32) -> Option<(u32, Vec<u8>)> {
    series_bytes(record_at(region, *offsets.get(number as usize).filter(|at| **at != 0)?)?)
}

fn payload(words: &[AtomicU64], from: usize) -> Option<Vec<u8>> {
    let length = usize::try_from(words[1].load(Ordering::Relaxed) >> 32).ok()?;
    let mut bytes: Vec<u8> = Vec::with_capacity(length.min(8 * words.len()));
    for word in words.get(from..from + length.div_ceil(8))? {
        bytes.extend_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
    }
    bytes.truncate(length);
    Some(bytes)
}

fn put_bytes(words: &[AtomicU64], bytes: &[u8]) {
    for (word, chunk) in words.iter().zip(bytes.chunks(8)) {
        let mut padded = [0; 8];
        padded[..chunk.len()].copy_from_slice(chunk);
        word.store(u64::from_le_bytes(padded), Ordering::Relaxed);
    }
}

fn hash_with(hasher: &DefaultHashBuilder, family: u32, key: &[u8]) -> u64 {
    let mut state = hasher.build_hasher();
    family.hash(&mut state);
    key.hash(&mut state);
    state.finish()
}
