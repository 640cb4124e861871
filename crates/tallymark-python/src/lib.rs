//! The native part of the Python package: converts and forwards.
//!
//! Python values are taken apart here, one function of `tallymark` or `tallymark-transport` is called, and the answer is
//! put together. What is called per request is a class of this crate, so that an increment runs no line of Python; what is
//! called once per process is Python, in `python/tallymark`.
//!
//! | to see | read |
//! |---|---|
//! | where an `inc()` goes | `metric/counter.rs` |
//! | how `labels()` finds a child | `children.rs` |
//! | what a scrape reads, and when it needs Python | `scrape.rs`, `registry.rs` |
//! | how families become Python's objects and back | `convert.rs` |
//! | how a text becomes families | `parse.rs` |
//! | which store counts | `store.rs` |
//!
//! No lock of this crate is held while Python runs: `str()` of a label value, a subclass's `__init__`, a collector or a
//! logger may use the very metric that called it.

use pyo3::prelude::*;

mod children;
mod convert;
mod error;
mod late;
mod log;
mod metric;
mod multiprocess;
mod parse;
mod registry;
mod scrape;
mod server;
mod store;

#[pymodule(gil_used = false)]
mod _tallymark {
    use super::*;

    #[pymodule_export]
    use super::metric::{
        MetricWrapperBase, counter::Counter, enumeration::Enum, gauge::Gauge, histogram::Histogram, info::Info,
        summary::Summary,
    };
    #[pymodule_export]
    use super::multiprocess::SharedDirectory;
    #[pymodule_export]
    use super::parse::{Families, parse_labels, parse_openmetrics_sample, parse_text_sample};
    #[pymodule_export]
    use super::registry::{
        RegistryCore, choose_coding, choose_format, float_to_go_string, render_collectors, set_use_created,
    };
    #[pymodule_export]
    use super::server::{Server, serve};
    #[pymodule_export]
    use super::store::{end_identity, flush, forget_identities, leave, store_url, use_store};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        // Made now: a class that is made at its first use can be found half made, for ever, by a forked child.
        module.py().get_type::<super::server::Question>();
        log::install();
        Ok(())
    }
}
