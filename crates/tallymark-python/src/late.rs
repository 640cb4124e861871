//! What is looked up in Python, and how late.
//!
//! Classes are imported when they are first needed and kept. What people replace (`time.time`, the default registry,
//! module flags) is looked up at every use, and so only where a series is made or scraped: never in an update.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use pyo3::types::{PyModule, PyString, PyType};
use tallymark::model::Kind;

/// The last value seen of `tallymark.metrics._use_created`, for scrapes that run without Python.
static USE_CREATED: AtomicBool = AtomicBool::new(true);

/// A Python object that is found once.
///
/// Not PyO3's cell, and no `intern!`, which is one: it lets Python go while it is being filled, and a child that is forked
/// at that moment finds it half filled for ever. What is found twice here is found twice.
pub(crate) struct Cached<T>(OnceLock<Py<T>>);

impl<T> Cached<T> {
    pub(crate) const fn new() -> Cached<T> {
        Cached(OnceLock::new())
    }

    pub(crate) fn get_or<'py>(
        &'py self,
        py: Python<'py>,
        find: impl FnOnce() -> PyResult<Bound<'py, T>>,
    ) -> PyResult<&'py Bound<'py, T>> {
        if self.0.get().is_none() {
            // The first one stays.
            drop(self.0.set(find()?.unbind()));
        }
        Ok(self.0.get().expect("filled just now").bind(py))
    }
}

fn module<'py>(py: Python<'py>, cached: &'static Cached<PyModule>, name: &str) -> PyResult<&'py Bound<'py, PyModule>> {
    cached.get_or(py, || PyModule::import(py, name))
}

/// Seconds since the Unix epoch, as `time.time` says now: tests replace it.
pub(crate) fn time(py: Python<'_>) -> PyResult<f64> {
    static TIME: Cached<PyModule> = Cached::new();
    module(py, &TIME, "time")?.getattr("time")?.call0()?.extract()
}

/// The registry that a metric joins when it is not told which.
pub(crate) fn default_registry(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static REGISTRY: Cached<PyModule> = Cached::new();
    module(py, &REGISTRY, "tallymark.registry")?.getattr("REGISTRY")
}

/// Whether only legacy names are accepted.
pub(crate) fn legacy_names(py: Python<'_>) -> PyResult<bool> {
    static VALIDATION: Cached<PyModule> = Cached::new();
    module(py, &VALIDATION, "tallymark.validation")?.getattr("get_legacy_validation")?.call0()?.is_truthy()
}

/// How metrics that are made now count, as `tallymark.values.ValueClass` says.
pub(crate) enum Counting<'py> {
    /// In the store of new metrics.
    Natively,
    /// In this process's memory: somebody has chosen `MutexValue`.
    InMemory,
    /// As the process that this function says, each time.
    As(Bound<'py, PyAny>),
    /// By objects of a class that somebody has put there.
    ByObjects,
}

impl Counting<'_> {
    /// The function that says which process counts, if one does.
    pub(crate) fn identify(&self) -> Option<Py<PyAny>> {
        match self {
            Counting::As(identify) => Some(identify.clone().unbind()),
            _ => None,
        }
    }
}

/// How metrics of this type that are made now count.
pub(crate) fn counting(py: Python<'_>, kind: Kind) -> PyResult<Counting<'_>> {
    if matches!(kind, Kind::Info | Kind::StateSet) {
        // These two never counted by values.
        return Ok(Counting::Natively);
    }
    static VALUES: Cached<PyModule> = Cached::new();
    static NAME: Cached<PyString> = Cached::new();
    static FIRST: Cached<PyString> = Cached::new();
    let values = module(py, &VALUES, "tallymark.values")?;
    let class = values.getattr(NAME.get_or(py, || Ok(PyString::new(py, "ValueClass")))?)?;
    if class.is(values.getattr(FIRST.get_or(py, || Ok(PyString::new(py, "_first_value_class")))?)?) {
        return Ok(Counting::Natively);
    }
    if class.is(values.getattr("MutexValue")?) {
        return Ok(Counting::InMemory);
    }
    // Of the class itself: a subclass does something else.
    Ok(match class.getattr("__dict__")?.get_item("_process_identifier") {
        Ok(identify) => Counting::As(identify.getattr("__func__")?),
        Err(_) => Counting::ByObjects,
    })
}

/// What is done to value objects, and what people look into metrics with.
pub(crate) fn internals(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static INTERNALS: Cached<PyModule> = Cached::new();
    module(py, &INTERNALS, "tallymark._internals")
}

/// Whether scrapes show `_created`.
pub(crate) fn use_created(py: Python<'_>) -> PyResult<bool> {
    static METRICS: Cached<PyModule> = Cached::new();
    let flag = module(py, &METRICS, "tallymark.metrics")?.getattr("_use_created")?.is_truthy()?;
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
                static CLASS: Cached<PyType> = Cached::new();
                CLASS.get_or(py, || Ok(PyModule::import(py, $module)?.getattr($class)?.cast_into()?))
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
    /// `NativeHistogram(count_value, sum_value, schema, …)`.
    native_histogram_class: "tallymark.samples", "NativeHistogram";
    /// `BucketSpan(offset, length)`.
    bucket_span_class: "tallymark.samples", "BucketSpan";
    /// `Timer(metric, callback_name)`.
    timer_class: "tallymark.context_managers", "Timer";
    /// `ExceptionCounter(counter, exception)`.
    exception_counter_class: "tallymark.context_managers", "ExceptionCounter";
    /// `InprogressTracker(gauge)`.
    inprogress_tracker_class: "tallymark.context_managers", "InprogressTracker";
}
