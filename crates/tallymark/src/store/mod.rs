//! Where series live, chosen by URL.
//!
//! Every store is words in memory: of this process ([`Store::Memory`]), or of a file that every process of the host
//! maps ([`FileStore`]). No store does I/O in an update.

mod file;
#[cfg(feature = "sqlite")]
pub(crate) mod ledger;

use std::path::PathBuf;
use std::sync::Arc;

pub use file::FileStore;
pub use tallymark_cells::file::Options;

use crate::Error;
use crate::limits::Limits;

/// The variables that the official Python client reads, the current one first.
const MULTIPROCESS: [&str; 2] = ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"];

/// A store, open. Cheap to clone.
#[derive(Clone, Default)]
pub enum Store {
    /// This process's heap.
    #[default]
    Memory,
    /// This process's heap, with at most so many series in each family, beside one for all others.
    Capped(u32),
    /// A file shared by every process of the host.
    File(Arc<FileStore>),
}

impl Store {
    /// Opens the store at `url`: `memory:`, or `file:/path/metrics.tally` (`file:///path` too; a relative path is
    /// relative to the working directory). A file that is not there is made, with mode 0600; `?mode=0660` lets the
    /// group in, and `?network=allow` accepts a network file system that one host alone uses.
    ///
    /// Any store may be given `?max_series=1000`, the series that a family may have, beside one for all others, and
    /// `?ttl=3600`, how many seconds a series is shown that no process uses.
    ///
    /// # Errors
    /// [`Error::Url`] if the URL says nothing known; [`Error::File`] if the file cannot be used.
    ///
    /// ```
    /// use tallymark::Store;
    /// assert!(matches!(Store::open("memory:")?, Store::Memory));
    /// assert!(Store::open("carrier-pigeon:coop").is_err());
    /// # Ok::<(), tallymark::Error>(())
    /// ```
    pub fn open(url: &str) -> Result<Store, Error> {
        Store::open_with(url, true)
    }

    /// Opens the store at `url`, and leaves nothing behind where there is none: for tools that look at stores.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`Error::File`] if there is no such file, or an empty one.
    pub fn open_existing(url: &str) -> Result<Store, Error> {
        Store::open_with(url, false)
    }

    /// Opens the store that the environment names: `TALLYMARK_STORE`, a URL; else `PROMETHEUS_MULTIPROC_DIR`, the
    /// directory in which the official Python client would keep its files, for `metrics.tally` in it; else memory.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`Error::NoDirectory`]. A program that should run all the same goes on with
    /// [`Store::Memory`], and logs the error.
    pub fn from_env() -> Result<Store, Error> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(url) = set("TALLYMARK_STORE") {
            return Store::open(&url.to_string_lossy());
        }
        let found = MULTIPROCESS.into_iter().find_map(|name| Some((name, PathBuf::from(set(name)?))));
        let Some((variable, directory)) = found else { return Ok(Store::Memory) };
        if !directory.is_dir() {
            return Err(Error::NoDirectory { directory, variable });
        }
        // Not by URL: the directory may have a question mark in its name.
        Ok(Store::File(Arc::new(FileStore::open(&directory.join(FileStore::NAME), Options::default())?)))
    }

    fn open_with(url: &str, create: bool) -> Result<Store, Error> {
        let refuse = |problem| Error::Url { url: without_password(url), problem };
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let (limits, query) = Limits::take(query).map_err(refuse)?;
        match address.split_once(':') {
            // One process uses all of the series, so none is ever idle.
            Some(("memory", "")) if query.is_empty() => Ok(limits.max_series.map_or(Store::Memory, Store::Capped)),
            Some(("memory", "")) => Err(refuse("an unknown option (there are max_series=1000 and ttl=3600)")),
            Some(("file", path)) => {
                let path = path.strip_prefix("//").unwrap_or(path);
                if path.is_empty() {
                    return Err(refuse("no path"));
                }
                let options = Options { create, ..file_options(&query).map_err(refuse)? };
                Ok(Store::File(Arc::new(FileStore::open(path.as_ref(), options)?.limited(limits))))
            }
            Some(_) => Err(refuse("an unknown kind of store")),
            None => Err(refuse("not a store's URL")),
        }
    }

    /// The URL that opens it.
    pub fn url(&self) -> String {
        match self {
            Store::Memory => "memory:".to_owned(),
            Store::Capped(most) => format!("memory:?max_series={most}"),
            Store::File(store) => format!("file:{}{}", store.path().display(), store.limits().query()),
        }
    }

    /// How many series a family may have, if that is bounded.
    pub(crate) fn max_series(&self) -> Option<u32> {
        match self {
            Store::Memory => None,
            Store::Capped(most) => Some(*most),
            Store::File(store) => store.limits().max_series,
        }
    }

    /// Folds this process's numbers into the store's totals. For a clean exit: no other
    /// thread may be updating a metric of this store meanwhile; what is updated later is counted all the same.
    pub fn leave(&self) {
        if let Store::File(store) = self {
            store.leave();
        }
    }
}

fn file_options(query: &str) -> Result<Options, &'static str> {
    let mut options = Options::default();
    for option in query.split('&').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("mode", mode)) => options.mode = u32::from_str_radix(mode, 8).map_err(|_| "mode is not octal")?,
            Some(("network", "allow")) => options.allow_network = true,
            _ => return Err("an unknown option (there are mode=0660, network=allow, max_series=1000 and ttl=3600)"),
        }
    }
    Ok(options)
}

/// A URL as it may be shown: what stands between `://` and `@` is left out.
fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(start), Some(end)) if start + 3 < end => format!("{}…{}", &url[..start + 3], &url[end..]),
        _ => url.to_owned(),
    }
}
