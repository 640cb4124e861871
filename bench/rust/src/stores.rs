//! The stores that are compared: the memory store, and a file store in a directory of its own.

use std::error::Error;

use tallymark::Registry;
use tempfile::TempDir;

/// The stores' names, as tables show them.
pub(crate) const NAMES: [&str; 2] = ["memory", "file"];

/// A registry over a new store.
pub(crate) struct Opened {
    pub(crate) name: &'static str,
    pub(crate) registry: Registry,
    /// Removed at the end, with the file in it.
    _directory: Option<TempDir>,
}

/// Opens a new store by its name.
pub(crate) fn open(name: &str) -> Result<Opened, Box<dyn Error>> {
    match name {
        "memory" => Ok(Opened { name: "memory", registry: Registry::new(), _directory: None }),
        "file" => {
            let directory = tempfile::tempdir()?;
            let registry = Registry::open(&format!("file:{}", directory.path().join("bench.tally").display()))?;
            Ok(Opened { name: "file", registry, _directory: Some(directory) })
        }
        _ => Err(format!("no store {name:?} (there are: {})", NAMES.join(", ")).into()),
    }
}
