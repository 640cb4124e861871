//! What can be refused: a definition, or a store.

use std::path::PathBuf;

/// Why a metric could not be made or a store not be opened. An update never fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The definition, a label set or an exemplar is not valid.
    #[error(transparent)]
    Definition(#[from] tallymark_model::Error),
    /// A family of this name is registered already.
    #[error("Duplicated timeseries in Registry: {0}; give the metric another name, or keep the first handle")]
    Duplicate(String),
    /// The store's URL says nothing known.
    #[error(
        "{url}: {problem}; a store is memory:, file:/path/metrics.tally, sqlite:/path/metrics.db or redis://host:6379/0"
    )]
    Url {
        /// The URL, without its password.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A store of many hosts could not be reached, or said no.
    #[cfg(feature = "sqlite")]
    #[error("{message}")]
    Store {
        /// What is wrong, with the store's URL and what would help.
        message: String,
        /// What kind of trouble it is.
        reason: crate::Reason,
    },
    /// The file could not be used as a store.
    #[error(transparent)]
    File(#[from] tallymark_cells::file::OpenError),
    /// The directory that environment variables chose is not there.
    #[error("{}: not a directory; create it, or unset {variable}", directory.display())]
    NoDirectory {
        /// What should be one.
        directory: PathBuf,
        /// The variable that names it.
        variable: &'static str,
    },
}
