//! Prometheus metrics that add up across processes.
//!
//! ```
//! use tallymark::Registry;
//!
//! let registry = Registry::open("memory:")?; // or file:/run/app/metrics.tally, for all processes of a host
//! let requests = registry.counter("requests", "Requests answered.").label_names(["method"]).register()?;
//! requests.with(&["GET"])?.inc();
//!
//! let text = registry.text();
//! assert!(text.contains("requests_total{method=\"GET\"} 1.0\n"));
//! # Ok::<(), tallymark::Error>(())
//! ```
//!
//! For many hosts there are `sqlite:/path/metrics.db` and `redis://host/0?prefix=app`, with the features `sqlite` and
//! `redis`, which bring SQLite and a Redis client; without them this crate has neither. `docs/stores.md` lists all URLs and
//! their options.
//!
//! The way of an update: a handle ([`Counter`], [`Gauge`], [`Histogram`], …) holds its [`Series`]; the series' block of
//! words, on the heap or in a mapped file, is changed by atomics (`tallymark_cells::Block`). That is all: no lock, no
//! I/O.
//!
//! The way of a scrape: [`gather`] reads the families' series and their [`Store`], adds up what the processes hold
//! (`merge`), and gives a [`model::Snapshot`], which [`model::encode`] writes.

mod clock;
mod error;
mod family;
mod gather;
mod gauge;
mod limits;
mod merge;
pub mod metric;
mod own_metrics;
mod record;
mod registry;
mod series;
mod store;

pub use tallymark_cells::{ExactSum, fork};
pub use tallymark_model as model;

pub use error::Error;
pub use family::{AnyFamily, Family};
pub use gather::{Gathered, gather};
pub use metric::{Counter, Gauge, Histogram, Info, StateSet, Summary};
pub use registry::{Definition, Registry};
pub use series::Series;
#[cfg(feature = "sqlite")]
pub use store::{
    Changes, Entry, FileReport, Groups, HeldLabels, Holdings, LedgerReport, LedgerStore, Reason, Report, Revision,
};
pub use store::{FileStore, Options, Store};
