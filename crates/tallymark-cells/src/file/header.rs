//! The header: made once, checked at every open, and the few words that change while the file is in use.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::posix_fallocate;
use std::os::fd::AsFd;

use super::error::OpenError;
use super::layout::{HEADER_BYTES, HEADER_WORDS, KNOWN_FEATURES, MAGIC, VERSION, header};
use super::region::Region;
use super::step;
use crate::sync::{AtomicU64, Ordering};

/// Makes the header of a new file. The append lock must be held; a maker that dies leaves a file without a magic word
/// and without committed records, which the next one starts over.
pub(crate) fn make(path: &Path, file: &File) -> Result<Arc<Region>, OpenError> {
    let io = |action| move |source| OpenError::Io { path: path.to_owned(), action, source };
    allocate(file, 0, HEADER_BYTES).map_err(io("make room for the header"))?;
    step("header allocated");
    let region = Arc::new(Region::map(path, file).map_err(io("map the file"))?);
    let words = region.words(0, HEADER_WORDS).ok_or_else(|| OpenError::Damaged {
        path: path.to_owned(),
        what: "it has just been made, and is shorter than its header".to_owned(),
    })?;
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    words[header::VERSION].store(u64::from(VERSION) | (HEADER_WORDS as u64) << 32, Ordering::Relaxed);
    words[header::UUID].store(high, Ordering::Relaxed);
    words[header::UUID + 1].store(low, Ordering::Relaxed);
    for (word, half) in words[header::BOOT_ID..].iter().zip(boot_id()) {
        word.store(half, Ordering::Relaxed);
    }
    words[header::COMMITTED].store(HEADER_BYTES, Ordering::Relaxed);
    // The checksum is over the finished line; the magic word comes last and makes the file one.
    let sum = checksum_with_magic(words);
    words[header::CHECKSUM].store(sum, Ordering::Relaxed);
    step("header written");
    words[header::MAGIC].store(MAGIC, Ordering::Release);
    Ok(region)
}

/// Whether the file is one that nobody has finished making: empty, or a header's length without a magic word.
pub(crate) fn is_unmade(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::FileExt;
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok(true);
    }
    let mut line = [0; 8];
    Ok(length == HEADER_BYTES && file.read_exact_at(&mut line, 0).is_ok() && line == [0; 8])
}

/// Checks the header of a file that was made before.
pub(crate) fn check(path: &Path, file: &File) -> Result<Arc<Region>, OpenError> {
    use std::os::unix::fs::FileExt;
    let io = |action| move |source| OpenError::Io { path: path.to_owned(), action, source };
    let damaged = |what: String| OpenError::Damaged { path: path.to_owned(), what };
    let mut first = [0; 16];
    let length = file.metadata().map_err(io("look at the file"))?.len();
    let read = file.read_at(&mut first, 0).map_err(io("read the file"))?;
    if read < 8 || first[..8] != MAGIC.to_le_bytes() {
        let printable = first[..read].iter().take_while(|byte| (b' '..=b'~').contains(byte)).count();
        let shown = if printable == 0 { &first[..read] } else { &first[..printable] };
        return Err(OpenError::Foreign {
            path: path.to_owned(),
            found: shown.iter().flat_map(|byte| char::from(*byte).escape_default()).collect(),
        });
    }
    if length < HEADER_BYTES {
        return Err(damaged(format!("it has {length} bytes, less than a header's {HEADER_BYTES}")));
    }
    let region = Arc::new(Region::map(path, file).map_err(io("map the file"))?);
    let words = region.words(0, HEADER_WORDS).ok_or_else(|| damaged("it became shorter".to_owned()))?;
    let found = words[header::VERSION].load(Ordering::Relaxed) as u32;
    if found > VERSION {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: VERSION });
    }
    let header_words = words[header::VERSION].load(Ordering::Relaxed) >> 32;
    if header_words != HEADER_WORDS as u64 {
        return Err(damaged(format!("its header says it has {header_words} words, not {HEADER_WORDS}")));
    }
    if words[header::CHECKSUM].load(Ordering::Relaxed) != checksum_with_magic(words) {
        return Err(damaged("the checksum of its header does not fit".to_owned()));
    }
    let features = words[header::REQUIRED_FEATURES].load(Ordering::Relaxed) & !KNOWN_FEATURES;
    if features != 0 {
        return Err(OpenError::Features { path: path.to_owned(), features });
    }
    let committed = words[header::COMMITTED].load(Ordering::Acquire);
    if committed < HEADER_BYTES || committed > length || committed % 8 != 0 {
        return Err(damaged(format!("its records end at byte {committed}, the file at byte {length}")));
    }
    if committed > region.capacity() {
        return Err(damaged(format!("this process cannot map its {committed} bytes (a limit on address space?)")));
    }
    Ok(region)
}

/// The file's own identity.
pub(crate) fn uuid(region: &Region) -> u128 {
    let half = |index: usize| region.word(8 * index as u64).map_or(0, |word| word.load(Ordering::Relaxed));
    u128::from(half(header::UUID)) << 64 | u128::from(half(header::UUID + 1))
}

/// CRC-32 (IEEE) of the words before the checksum, with the magic word as it is when the file is finished.
fn checksum_with_magic(words: &[AtomicU64]) -> u64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&MAGIC.to_le_bytes());
    for word in &words[header::VERSION..header::CHECKSUM] {
        hasher.update(&word.load(Ordering::Relaxed).to_le_bytes());
    }
    u64::from(hasher.finalize())
}

/// Makes the file's bytes from `from` to `to` really there: a full device says so here, not by a signal later.
pub(crate) fn allocate(file: &File, from: u64, to: u64) -> io::Result<()> {
    let signed = |bytes: u64| i64::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge));
    Ok(posix_fallocate(file.as_fd(), signed(from)?, signed(to - from)?)?)
}

/// This boot of the host, zeros where the system does not say.
pub(crate) fn boot_id() -> [u64; 2] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let (high, low) = uuid::Uuid::parse_str(text.trim()).unwrap_or_default().as_u64_pair();
    [high, low]
}
