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
mod reading;
mod state;
pub(crate) mod summary;
mod wrapper;

use std::borrow::Cow;
use std::sync::OnceLock;

use pyo3::PyClass;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyString};
use tallymark::metric::Handle;
use tallymark::model::{Exemplar, Kind};

pub(crate) use definition::{Arguments, Definition, RegistryArgument, adopt, texts};
pub(crate) use state::{ChildCounts, Declared, State, identity};
pub(crate) use wrapper::{MetricWrapperBase, overrides};

use crate::{convert, error, late};

/// What the six metric classes have in common: a place for the handle that updates use.
pub(crate) trait Metric: PyClass<Frozen = pyo3::pyclass::boolean_struct::True> + Sync {
    type Handle: Handle + Send + Sync;

    fn slot(&self) -> &OnceLock<Self::Handle>;

    /// An object that has this handle, if it is there.
    fn holding(handle: OnceLock<Self::Handle>) -> Self;
}

/// What counts for a metric.
pub(crate) enum Target<'a, H: Clone> {
    /// A series.
    Native(Cow<'a, H>),
    /// Python objects that somebody has put in its place: see `python/tallymark/_internals.py`.
    Objects,
}

/// What an update of an observable metric goes to.
///
/// # Errors
/// `ValueError` for a labelled metric that is no child.
#[inline]
pub(crate) fn target<'a, M: Metric>(metric: &'a Bound<'_, M>) -> PyResult<Target<'a, M::Handle>> {
    match metric.get().slot().get() {
        Some(handle) => Ok(Target::Native(Cow::Borrowed(handle))),
        None => find_target(metric),
    }
}

#[cold]
fn find_target<'a, M: Metric>(metric: &'a Bound<'_, M>) -> PyResult<Target<'a, M::Handle>> {
    let base = metric.as_any().cast::<MetricWrapperBase>()?.get();
    let state = base.state()?;
    if base.counts_by_objects() {
        state.observable_labels()?;
        return Ok(Target::Objects);
    }
    let handle = M::Handle::new(state.series(metric.py())?);
    if state.is_identified() {
        // Looked up at every update: the program may be another process by its own word next time.
        return Ok(Target::Native(Cow::Owned(handle)));
    }
    Ok(Target::Native(Cow::Borrowed(metric.get().slot().get_or_init(|| handle))))
}

/// The handle of an observable metric that counts natively.
///
/// # Errors
/// `ValueError` for a labelled metric that is no child, `TypeError` for one that counts by Python objects.
pub(crate) fn handle<'a, M: Metric>(metric: &'a Bound<'_, M>) -> PyResult<Cow<'a, M::Handle>> {
    match target(metric)? {
        Target::Native(handle) => Ok(handle),
        Target::Objects => Err(PyTypeError::new_err("a metric that counts by value objects of Python has no series")),
    }
}

/// Has the Python package do what an update does to value objects.
#[cold]
pub(crate) fn by_objects<'py, M: Metric>(
    metric: &Bound<'py, M>,
    function: &str,
    argument: impl IntoPyObject<'py>,
    exemplar: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    late::internals(metric.py())?.call_method1(function, (metric, argument, exemplar))?;
    Ok(())
}

/// A child of one of our own classes, made without running its `__init__`.
pub(crate) fn new_child(py: Python<'_>, parent: &State, values: &[&str]) -> PyResult<Py<MetricWrapperBase>> {
    let (state, counts) = parent.of_child(py, values)?;
    let by_objects = matches!(counts, ChildCounts::ByObjects);
    macro_rules! child {
        ($class:ty) => {{
            let handle = match counts {
                ChildCounts::In(series) => OnceLock::from(<$class as Metric>::Handle::new(series)),
                _ => OnceLock::new(),
            };
            let base = MetricWrapperBase::with_state(state);
            let child = PyClassInitializer::from(base).add_subclass(<$class>::holding(handle));
            Bound::new(py, child)?.into_super()
        }};
    }
    let child = match parent.kind() {
        Kind::Counter => child!(counter::Counter),
        Kind::Gauge => child!(gauge::Gauge),
        Kind::Summary => child!(summary::Summary),
        Kind::Histogram => child!(histogram::Histogram),
        Kind::Info => child!(info::Info),
        Kind::StateSet => child!(enumeration::Enum),
        kind => return Err(PyTypeError::new_err(format!("{kind} is not a type of native metrics"))),
    };
    if by_objects {
        late::internals(py)?.call_method1("init", (&child,))?;
    }
    Ok(child.unbind())
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
