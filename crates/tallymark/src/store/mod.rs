//! Where series live, chosen by URL.
//!
//! Every store is words in memory: of this process ([`Store::Memory`]), or of a file that every process of the host
//! maps ([`FileStore`]), from which SQLite and Redis are fed (`ledger/`). No store does I/O in an update.

pub(crate) mod file;
#[cfg(feature = "sqlite")]
pub(crate) mod groups;
#[cfg(feature = "sqlite")]
pub(crate) mod ledger;
#[cfg(feature = "sqlite")]
mod removal;
#[cfg(feature = "sqlite")]
mod report;
mod url;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use file::FileStore;
#[cfg(feature = "sqlite")]
pub use groups::{Changes, Entry, Groups, Revision};
#[cfg(feature = "sqlite")]
pub use ledger::{LedgerStore, Reason};
#[cfg(feature = "sqlite")]
pub use removal::HeldLabels;
#[cfg(feature = "sqlite")]
pub use report::{FileReport, Holdings, LedgerReport, Report};
pub use tallymark_cells::file::Options;

use tallymark_model::FamilySnapshot;

use crate::Error;
use crate::limits::Limits;
use crate::merge::StoreFamily;
use url::{Address, without_password};

/// The variables that the official Python client reads, the current one first.
const MULTIPROCESS: [&str; 2] = ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"];

/// What a store holds.
#[derive(Default)]
pub(crate) struct StoreReading {
    /// By name.
    pub(crate) families: HashMap<String, StoreFamily>,
    /// The store's metrics about itself.
    pub(crate) own: Vec<FamilySnapshot>,
}

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
    /// A store of many hosts, behind a spool of this one.
    #[cfg(feature = "sqlite")]
    Ledger(Arc<LedgerStore>),
}

impl Store {
    /// Opens the store at `url`: `memory:`, or `file:/path/metrics.tally` (`file:///path` too; a relative path is
    /// relative to the working directory). A file that is not there is made, with mode 0600; `?mode=0660` lets the
    /// group in, and `?network=allow` accepts a network file system that one host alone uses.
    ///
    /// With the features `sqlite` and `redis` there are stores of many hosts, too: `sqlite:/path/metrics.db`,
    /// `redis://user:password@host:6379/0?prefix=app`, `rediss://…`, `unix:/path.sock` and
    /// `redis+cluster://host:port,host:port`. Opening one asks nobody: what is counted waits in this host's spool until the
    /// store can be reached. `docs/stores.md` lists their options.
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
        let refuse = |problem: String| Error::Url { url: without_password(url), problem };
        let mut address = Address::parse(url).ok_or_else(|| refuse("not a store's URL".to_owned()))?;
        let limits = Limits::take(&mut address.options).map_err(refuse)?;
        match address.kind {
            // One process uses all of the series, so none is ever idle.
            "memory" if address.rest.is_empty() => {
                no_others(&address).map_err(refuse)?;
                Ok(limits.max_series.map_or(Store::Memory, Store::Capped))
            }
            "file" => {
                let options = Options { create, ..file_options(&mut address.options).map_err(refuse)? };
                no_others(&address).map_err(refuse)?;
                let path = address.path().map_err(refuse)?;
                Ok(Store::File(Arc::new(FileStore::open(path, options)?.limited(limits))))
            }
            #[cfg(feature = "sqlite")]
            "sqlite" => ledger::open::sqlite(address, limits, create, refuse),
            #[cfg(feature = "redis")]
            "redis" | "rediss" | "unix" | "redis+cluster" | "rediss+cluster" => {
                ledger::open::redis(address, limits, create, refuse)
            }
            _ => Err(refuse("an unknown kind of store".to_owned())),
        }
    }

    /// The file that this process counts into: the store's own, or the spool in front of it. None in memory.
    pub(crate) fn file(&self) -> Option<&Arc<FileStore>> {
        match self {
            Store::Memory | Store::Capped(_) => None,
            Store::File(file) => Some(file),
            #[cfg(feature = "sqlite")]
            Store::Ledger(store) => Some(store.spool()),
        }
    }

    /// Where the groups are that were pushed beside it, and how long one answer about them may take.
    #[cfg(feature = "sqlite")]
    pub(crate) fn groups(&self) -> (groups::Place, Duration) {
        match self {
            Store::Memory | Store::Capped(_) => (groups::Place::Memory, groups::PATIENCE),
            Store::File(file) => (groups::Place::beside(file.path()), groups::PATIENCE),
            Store::Ledger(store) => store.groups(),
        }
    }

    /// Whether both are the same store, opened once.
    pub fn is(&self, other: &Store) -> bool {
        match (self, other) {
            (Store::Memory, Store::Memory) => true,
            (Store::Capped(one), Store::Capped(other)) => one == other,
            (Store::File(one), Store::File(other)) => Arc::ptr_eq(one, other),
            #[cfg(feature = "sqlite")]
            (Store::Ledger(one), Store::Ledger(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// What all processes have counted in it; nothing in memory, where each series has its own.
    pub(crate) fn read(&self) -> StoreReading {
        match self {
            Store::Memory | Store::Capped(_) => StoreReading::default(),
            Store::File(file) => file.read(),
            #[cfg(feature = "sqlite")]
            Store::Ledger(store) => store.read_families(),
        }
    }

    /// The definitions of all families that were ever counted in the file, or on this host in front of SQLite and Redis,
    /// in the order in which they came: for programs that go on with what others have defined. Names may occur more than
    /// once, with other labels or types. Nothing in memory.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().unwrap();
    /// let url = format!("file:{}/metrics.tally", directory.path().display());
    /// tallymark::Registry::open(&url)?.counter("jobs", "Jobs done.").register_one()?.inc();
    /// assert_eq!(tallymark::Store::open(&url)?.families()[0].name(), "jobs");
    /// # Ok::<(), tallymark::Error>(())
    /// ```
    pub fn families(&self) -> Vec<tallymark_model::Family> {
        self.file().map(|file| file.families()).unwrap_or_default()
    }

    /// Begins what a store does in the background. Not under the fork gate.
    pub(crate) fn start(&self) {
        #[cfg(feature = "sqlite")]
        if let Store::Ledger(store) = self {
            store.start();
        }
    }

    /// Returns when all that was counted on this host before is in the store: at once, but in front of SQLite and Redis.
    ///
    /// # Errors
    /// [`Error::Store`] if that takes longer than `limit`, or the store says no. Nothing is lost then.
    pub fn flush(&self, limit: Duration) -> Result<(), Error> {
        match self {
            #[cfg(feature = "sqlite")]
            Store::Ledger(store) => store.flush(limit),
            _ => {
                let _ = limit;
                Ok(())
            }
        }
    }

    /// Whether what was counted is kept when this process ends and a store of many hosts is away: not with a spool in
    /// memory. What is in memory altogether ends with the process, too.
    pub fn outlives_process(&self) -> bool {
        match self {
            Store::Memory | Store::Capped(_) => false,
            Store::File(_) => true,
            #[cfg(feature = "sqlite")]
            Store::Ledger(store) => store.has_spool_file(),
        }
    }

    /// The URL that opens it, without its password.
    pub fn url(&self) -> String {
        match self {
            Store::Memory => "memory:".to_owned(),
            Store::Capped(most) => format!("memory:?max_series={most}"),
            Store::File(store) => format!("file:{}{}", store.path().display(), store.limits().query()),
            #[cfg(feature = "sqlite")]
            Store::Ledger(store) => store.url().to_owned(),
        }
    }

    /// How many series a family may have, if that is bounded.
    pub(crate) fn max_series(&self) -> Option<u32> {
        match self {
            Store::Capped(most) => Some(*most),
            store => store.file().and_then(|file| file.limits().max_series),
        }
    }

    /// Folds this process's numbers into the totals, for a clean exit: no other thread may be updating a metric of this
    /// store meanwhile; what is updated later is counted all the same.
    pub fn fold(&self) {
        if let Some(file) = self.file() {
            file.leave();
        }
    }

    /// [`fold`](Self::fold)s, and in front of SQLite and Redis sends what this host has counted, for as long as one answer
    /// may take. What cannot be sent stays in the spool, and is logged.
    pub fn leave(&self) {
        self.fold();
        #[cfg(feature = "sqlite")]
        if let Store::Ledger(store) = self {
            store.leave();
        }
    }
}

/// Takes the options of a file out of a URL's.
fn file_options(asked: &mut Vec<(String, String)>) -> Result<Options, String> {
    let mut options = Options::default();
    for (name, value) in asked.extract_if(.., |(name, _)| name == "mode" || name == "network") {
        match (&*name, &*value) {
            ("mode", mode) => {
                options.mode = u32::from_str_radix(mode, 8).map_err(|_| "mode is not octal".to_owned())?
            }
            (_, "allow") => options.allow_network = true,
            _ => return Err(format!("{name}={value}: there is network=allow")),
        }
    }
    Ok(options)
}

/// Refuses what nobody has taken out of a URL's options.
fn no_others(address: &Address<'_>) -> Result<(), String> {
    let files = if address.kind == "file" { "mode=0660, network=allow, " } else { "" };
    address
        .options
        .first()
        .map_or(Ok(()), |(name, value)| Err(url::unknown(name, value, &format!("{files}max_series=1000 and ttl=3600"))))
}
