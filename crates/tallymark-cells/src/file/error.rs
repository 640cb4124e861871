//! Why a file cannot be used as a store.

use std::io;
use std::path::PathBuf;

/// Why a file cannot be used as a store. It is left untouched then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The system refused something.
    #[error("{}: cannot {action}: {source}; check that its directory exists and that both can be read and written, or choose another path", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was attempted.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{}: not a Tallymark file (starts with {found:?}); choose another path, it was left untouched", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its first bytes, as text.
        found: String,
    },
    /// A newer version wrote it.
    #[error("{}: written by format {found}, this build reads up to {known}; upgrade tallymark here or choose another path", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format this version reads.
        known: u32,
    },
    /// It uses something this version does not know.
    #[error("{}: uses features {features:#x} that this build does not know; upgrade tallymark here or choose another path", path.display())]
    Features {
        /// The file.
        path: PathBuf,
        /// The bits that are not known.
        features: u64,
    },
    /// It is a Tallymark file, but a damaged one.
    #[error("{}: a Tallymark file, but damaged: {what}; move it away to start a new one, it was left untouched", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// It is on a file system on which processes do not share memory.
    #[error("{}: on {kind}, where processes of several hosts would not share memory; choose a local path, or add ?network=allow to the store's URL if one host alone uses it", path.display())]
    Network {
        /// The file.
        path: PathBuf,
        /// The file system.
        kind: &'static str,
    },
    /// Another process has held the file's lock for seconds: it is stopped in the middle of a change.
    #[error("{}: another process holds its lock and does not let go (is one stopped?); let it go on or end it", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
}

/// Why a series was given no block.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its family has as many series as it may have.
    TooMany,
    /// There is no room, or the file cannot be changed now: what is to be logged, if that is news.
    NoRoom(Option<String>),
}

/// Why a change of the file could not be made now. The numbers go to this process's memory instead.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoRoom {
    #[error("no room on the device: {0}")]
    Device(io::Error),
    #[error("another process holds the file's lock and does not let go")]
    Busy,
    #[error("the block is larger than a chunk can be")]
    TooLarge,
    #[error("its record in the file is damaged")]
    Damaged,
    #[error("{0}")]
    Reopen(OpenError),
    #[error("the family has as many series as it may have")]
    TooMany,
}
