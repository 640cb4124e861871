//! The metric classes, one file each, and what they share.
//!
//! A metric has a [`State`]: a labelled one has children, every other one a series. The handle that an update uses lies in
//! the struct of the class itself, so that `inc()` finds it without a detour: see [`handle`].

pub(crate) mod counter;
mod definition;
pub(crate) mod enumeration;
pub(crate) mod gauge;
pub(crate) mod histogram;
pub(crate) mod info;
mod state;
pub(crate) mod summary;
mod wrapper;

use std::sync::{Arc, OnceLock};

use pyo3::PyClass;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyString};
use tallymark::Series;
use tallymark::metric::Handle;
use tallymark::model::{Exemplar, Kind};

pub(crate) use definition::{Arguments, Definition, RegistryArgument, adopt, texts};
pub(crate) use state::{Declared, State};
pub(crate) use wrapper::{MetricWrapperBase, overrides};

use crate::{convert, error, late};

/// What the six metric classes have in common: a place for the handle that updates use.
pub(crate) trait Metric: PyClass<Frozen = pyo3::pyclass::boolean_struct::True> + Sync {
    type Handle: Handle + Send + Sync;

    fn slot(&self) -> &OnceLock<Self::Handle>;

    /// An object that has this handle, if it is there.
    fn holding(handle: OnceLock<Self::Handle>) -> Self;
}

/// The handle of an observable metric.
///
/// # Errors
/// `ValueError` for a labelled metric that is no child.
#[inline]
pub(crate) fn handle<'a, M: Metric>(metric: &'a Bound<'_, M>) -> PyResult<&'a M::Handle> {
    match metric.get().slot().get() {
        Some(handle) => Ok(handle),
        None => first_handle(metric),
    }
}

#[cold]
fn first_handle<'a, M: Metric>(metric: &'a Bound<'_, M>) -> PyResult<&'a M::Handle> {
    let base = metric.as_any().cast::<MetricWrapperBase>()?;
    let series = base.get().state()?.series(base.py())?;
    Ok(metric.get().slot().get_or_init(|| M::Handle::new(Arc::clone(series))))
}

/// A child of one of our own classes, made without running its `__init__`.
pub(crate) fn new_child(py: Python<'_>, state: &State, series: Arc<Series>) -> PyResult<Py<MetricWrapperBase>> {
    macro_rules! child {
        ($class:ty) => {{
            let handle = OnceLock::from(<$class as Metric>::Handle::new(Arc::clone(&series)));
            let base = MetricWrapperBase::with_state(state.of_child(series));
            let child = PyClassInitializer::from(base).add_subclass(<$class>::holding(handle));
            Ok(Bound::new(py, child)?.into_super().unbind())
        }};
    }
    match state.kind() {
        Kind::Counter => child!(counter::Counter),
        Kind::Gauge => child!(gauge::Gauge),
        Kind::Summary => child!(summary::Summary),
        Kind::Histogram => child!(histogram::Histogram),
        Kind::Info => child!(info::Info),
        Kind::StateSet => child!(enumeration::Enum),
        kind => Err(PyTypeError::new_err(format!("{kind} is not a type of native metrics"))),
    }
}

/// When the series of an observable metric was created.
pub(crate) fn created<M: Metric>(metric: &Bound<'_, M>) -> PyResult<f64> {
    Ok(handle(metric)?.series().created())
}

/// The exemplar of an update by `amount`, with the time it has now.
///
/// # Errors
/// `ValueError` for labels that cannot be an exemplar's, `TypeError` for what are none.
pub(crate) fn exemplar(labels: &Bound<'_, PyAny>, amount: f64) -> PyResult<Exemplar> {
    let py = labels.py();
    let labels = convert::pairs(labels)?;
    let borrowed = labels.iter().map(|(name, value)| (&**name, &**value));
    Exemplar::check(borrowed, late::legacy_names(py)?).map_err(error::refused)?;
    Ok(Exemplar { labels, value: amount, timestamp: Some(late::time(py)?.into()) })
}

/// A number, as `float()` makes one of anything.
pub(crate) fn float(value: &Bound<'_, PyAny>) -> PyResult<f64> {
    // Texts are what `float()` takes besides numbers; of what is neither, its own complaint is the one to show.
    value.extract().or_else(|_| value.py().get_type::<PyFloat>().call1((value,))?.extract())
}

/// The text that `str()` makes of a value.
pub(crate) fn text<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    match value.cast_exact::<PyString>() {
        Ok(text) => Ok(text.clone()),
        Err(_) => value.str(),
    }
}
