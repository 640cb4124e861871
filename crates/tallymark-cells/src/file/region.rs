//! The file's bytes as words: mapped once, at an address that never changes, and read with bounds checked.
//!
//! A large range of addresses is reserved at the start, so the file can grow without anything being moved. Only words
//! that lie in the file are handed out: touching the mapping behind the file's end would be a fatal signal.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64 as Length, Ordering};

use memmap2::{MmapOptions, MmapRaw};

use crate::fork::OwnFile;
use crate::sync::AtomicU64;

/// Addresses to reserve, tried from the first: a process with a limit on its address space gets less. 8 GiB hold tens of
/// millions of series, and do not look alarming as the process's virtual memory.
const RESERVE: [usize; 3] = [1 << 33, 1 << 30, 1 << 26];

/// A mapped file.
pub struct Region {
    map: MmapRaw,
    /// Bytes that are known to lie in the file. Only grows.
    length: Length,
    identity: (u64, u64),
    /// The file whose locks say that this process counts in it, once its store is gone: as long as handles point in here.
    kept: OnceLock<OwnFile>,
}

impl Region {
    /// Maps `file`, which is at `path`, whatever it holds.
    pub(crate) fn map(path: &Path, file: &File) -> io::Result<Region> {
        // Opened once more: a forked child keeps the mapping, and with it the description that it was made of. Were that
        // the one that holds this process's lock, the process would seem to live as long as its children.
        let again = |path: &Path| OpenOptions::new().read(true).write(true).open(path);
        // By its descriptor: words in memory have no path, and at a path another file may be by now.
        let mapped = again(format!("/proc/self/fd/{}", file.as_raw_fd()).as_ref()).or_else(|_| again(path))?;
        let metadata = mapped.metadata()?;
        if identity(&metadata) != identity(&file.metadata()?) {
            return Err(io::Error::other("another file has taken its place just now"));
        }
        let mut result = Err(io::Error::from(io::ErrorKind::OutOfMemory));
        for size in RESERVE {
            result = MmapOptions::new().len(size).map_raw(&mapped);
            if result.is_ok() {
                break;
            }
        }
        let map = result?;
        let length = metadata.len().min(map.len() as u64);
        Ok(Region { map, length: Length::new(length), identity: identity(&metadata), kept: OnceLock::new() })
    }

    /// Has the file stay open, and its locks held, as long as anything points in here.
    pub(crate) fn keep(&self, file: OwnFile) {
        // A region has one store.
        drop(self.kept.set(file));
    }

    /// Takes notice of how long the file is now; `false` if it is shorter than it was.
    pub(crate) fn refresh(&self, file: &File) -> io::Result<bool> {
        let length = file.metadata()?.len();
        let before = self.length.fetch_max(length.min(self.map.len() as u64), Ordering::Relaxed);
        Ok(length >= before)
    }

    /// Bytes that can be read.
    pub(crate) fn length(&self) -> u64 {
        self.length.load(Ordering::Relaxed)
    }

    /// The most bytes that this process can ever see.
    pub(crate) fn capacity(&self) -> u64 {
        self.map.len() as u64
    }

    /// Whether the file at a path is the one that is mapped.
    pub(crate) fn is(&self, metadata: &std::fs::Metadata) -> bool {
        self.identity == identity(metadata)
    }

    /// `count` words at the byte `at`, if they lie in the file.
    pub(crate) fn words(&self, at: u64, count: usize) -> Option<&[AtomicU64]> {
        let end = at.checked_add(8 * u64::try_from(count).ok()?)?;
        if !at.is_multiple_of(8) || end > self.length() {
            return None;
        }
        // SAFETY: `at..end` lies in the mapping, because `length` never exceeds the mapping's, and in the file, because
        // `length` was read from the file and Tallymark never shortens one. A mapping starts on a page, so a multiple
        // of 8 in it is aligned for `AtomicU64`. The mapping lives as long as `self`, and its memory is only ever
        // touched as atomics, by this process through this function and by others through theirs: any bytes are valid
        // atomics, and no reference to plain memory of the mapping exists.
        Some(unsafe {
            std::slice::from_raw_parts(self.map.as_mut_ptr().add(usize::try_from(at).ok()?).cast::<AtomicU64>(), count)
        })
    }

    /// The word at the byte `at`, if it lies in the file.
    pub(crate) fn word(&self, at: u64) -> Option<&AtomicU64> {
        self.words(at, 1).map(|words| &words[0])
    }
}

fn identity(metadata: &std::fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}
