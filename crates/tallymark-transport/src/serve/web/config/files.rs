//! The files that a configuration was read from, and whether any has changed since.
//!
//! A change is seen by looking (a few `stat` calls), not by being told: that holds on every file system, and for files
//! that are replaced by a rename or behind a symbolic link, as Kubernetes does.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::ConfigError;

/// The largest file that is read. Certificates of a whole public bundle are a quarter of a megabyte.
const LARGEST: u64 = 4 << 20;

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// Files as they were when they were read.
#[derive(Debug, Default)]
pub(super) struct Files(Vec<(PathBuf, Option<Stamp>)>);

impl Files {
    /// Reads a file, and remembers which version that was.
    ///
    /// # Errors
    /// If it cannot be read, or is larger than any that this is for.
    pub(super) fn read(&mut self, path: &Path) -> Result<Vec<u8>, ConfigError> {
        // Before it is read: what is written meanwhile is read again.
        let seen = stamp(path);
        self.0.push((path.to_owned(), seen));
        if seen.is_some_and(|stamp| stamp.size > LARGEST) {
            return Err(ConfigError::new(
                path,
                format_args!("larger than {LARGEST} bytes; give a file that is meant for this"),
            ));
        }
        std::fs::read(path).map_err(|error| ConfigError::new(path, format_args!("cannot be read: {error}")))
    }

    /// Whether any of them is another version now.
    pub(super) fn have_changed(&self) -> bool {
        self.0.iter().any(|(path, seen)| stamp(path) != *seen)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let of = |metadata: Metadata| Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.len(),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    };
    path.metadata().ok().map(of)
}
