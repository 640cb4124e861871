//! What is looked up in Python, and how late.
//!
//! Classes are imported when they are first needed and kept. What people replace (`time.time`, the default registry,
//! module flags) is looked up at every use, and so only where a series is made or scraped: never in an update.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use pyo3::{intern, types::PyModule};

/// The last value seen of `tallymark.metrics._use_created`, for scrapes that run without Python.
static USE_CREATED: AtomicBool = AtomicBool::new(true);

type Cached<T> = PyOnceLock<Py<T>>;

fn module<'py>(py: Python<'py>, cached: &'static Cached<PyModule>, name: &str) -> PyResult<&'static Py<PyModule>> {
    cached.get_or_try_init(py, || Ok(PyModule::import(py, name)?.unbind()))
}

/// Seconds since the Unix epoch, as `time.time` says now: tests replace it.
pub(crate) fn time(py: Python<'_>) -> PyResult<f64> {
    static TIME: Cached<PyModule> = PyOnceLock::new();
    module(py, &TIME, "time")?.bind(py).getattr(intern!(py, "time"))?.call0()?.extract()
}

/// The registry that a metric joins when it is not told which.
pub(crate) fn default_registry(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static REGISTRY: Cached<PyModule> = PyOnceLock::new();
    module(py, &REGISTRY, "tallymark.registry")?.bind(py).getattr(intern!(py, "REGISTRY"))
}

/// Whether only legacy names are accepted.
pub(crate) fn legacy_names(py: Python<'_>) -> PyResult<bool> {
    static VALIDATION: Cached<PyModule> = PyOnceLock::new();
    module(py, &VALIDATION, "tallymark.validation")?
        .bind(py)
        .getattr(intern!(py, "get_legacy_validation"))?
        .call0()?
        .is_truthy()
}

/// Whether scrapes show `_created`.
pub(crate) fn use_created(py: Python<'_>) -> PyResult<bool> {
    static METRICS: Cached<PyModule> = PyOnceLock::new();
    let flag = module(py, &METRICS, "tallymark.metrics")?.bind(py).getattr(intern!(py, "_use_created"))?.is_truthy()?;
    note_use_created(flag);
    Ok(flag)
}

/// Remembers whether scrapes show `_created`.
pub(crate) fn note_use_created(flag: bool) {
    USE_CREATED.store(flag, Ordering::Relaxed);
}

/// Whether scrapes showed `_created` when Python was last asked.
pub(crate) fn last_use_created() -> bool {
    USE_CREATED.load(Ordering::Relaxed)
}

macro_rules! classes {
    ($($(#[$doc:meta])* $function:ident: $module:literal, $class:literal;)*) => {
        $(
            $(#[$doc])*
            pub(crate) fn $function(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
                static CLASS: Cached<PyType> = PyOnceLock::new();
                CLASS.import(py, $module, $class)
            }
        )*
    };
}

classes! {
    /// `Metric(name, documentation, typ, unit)`.
    metric_class: "tallymark.metrics_core", "Metric";
    /// `Sample(name, labels, value, timestamp, exemplar, native_histogram)`.
    sample_class: "tallymark.samples", "Sample";
    /// `Exemplar(labels, value, timestamp)`.
    exemplar_class: "tallymark.samples", "Exemplar";
    /// `Timestamp(sec, nsec)`.
    timestamp_class: "tallymark.samples", "Timestamp";
    /// `Timer(metric, callback_name)`.
    timer_class: "tallymark.context_managers", "Timer";
    /// `ExceptionCounter(counter, exception)`.
    exception_counter_class: "tallymark.context_managers", "ExceptionCounter";
    /// `InprogressTracker(gauge)`.
    inprogress_tracker_class: "tallymark.context_managers", "InprogressTracker";
}
