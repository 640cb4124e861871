//! `Counter`: a total that only grows.

use std::sync::OnceLock;

use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tallymark::Counter as Handle;
use tallymark::model::Kind;

use super::{Definition, Metric, MetricWrapperBase, RegistryArgument, Target, by_objects, exemplar, target};
use crate::{error, late};

/// A total that only grows: requests answered, bytes sent.
///
/// Safe from any thread, in any process and in a signal handler; never blocks on the store. Not for what can fall: that is
/// a `Gauge`.
///
/// Args:
///     name: The name; samples have it with ``_total`` at its end.
///
///     documentation: The help text.
///
///     labelnames: The names of its labels, if it has any. It is counted by its children then, see `labels`.
///
///     namespace: Comes before the name, with an underscore.
///
///     subsystem: Comes between namespace and name.
///
///     unit: Comes behind the name, unless the name ends in it.
///
///     registry: Where it is registered, None for nowhere.
///
/// Raises:
///     ValueError: A name or label name that cannot be, or one that is taken.
///
/// Example:
///     >>> from tallymark import Counter
///     >>> failures = Counter("failures", "What went wrong.", registry=None)
///     >>> failures.inc()
///     >>> failures.inc(1.5)
///     >>> print(failures.collect()[0].samples[0].value)
///     2.5
#[pyclass(extends = MetricWrapperBase, subclass, frozen, module = "tallymark.metrics")]
pub(crate) struct Counter {
    handle: OnceLock<Handle>,
}

impl Metric for Counter {
    type Handle = Handle;

    #[inline]
    fn slot(&self) -> &OnceLock<Handle> {
        &self.handle
    }

    fn holding(handle: OnceLock<Handle>) -> Counter {
        Counter { handle }
    }
}

#[pymethods]
impl Counter {
    #[classattr]
    #[pyo3(name = "_type")]
    const TYPE: &'static str = "counter";

    #[new]
    #[pyo3(
        signature = (*_args, **_kwargs),
        text_signature = "(name, documentation, labelnames=(), namespace='', subsystem='', unit='', registry=..., \
                          _labelvalues=None)"
    )]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Counter> {
        PyClassInitializer::from(MetricWrapperBase::empty()).add_subclass(Counter { handle: OnceLock::new() })
    }

    #[pyo3(signature = (
        name, documentation, labelnames=None, namespace=None, subsystem=None, unit=None,
        registry=RegistryArgument::Default, _labelvalues=None
    ))]
    #[allow(clippy::too_many_arguments)]
    fn __init__<'py>(
        slf: &Bound<'py, Self>,
        name: String,
        documentation: String,
        labelnames: Option<&Bound<'py, PyAny>>,
        namespace: Option<String>,
        subsystem: Option<String>,
        unit: Option<String>,
        registry: RegistryArgument<'py>,
        _labelvalues: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let labelvalues = _labelvalues;
        Definition { name, documentation, labelnames, namespace, subsystem, unit, registry, labelvalues }.init(
            slf,
            Kind::Counter,
            PyDict::new(slf.py()),
            |builder| builder,
        )
    }

    /// Increment the counter by *amount*.
    ///
    /// Args:
    ///     amount: How much to add.
    ///
    ///     exemplar: Labels that point at what was counted, such as a trace's id, at most 128 characters in all. The most
    ///         recent one is shown in OpenMetrics.
    ///
    /// Raises:
    ///     ValueError: A negative amount, an exemplar that cannot be, or a metric that has labels; nothing has changed
    ///         then.
    #[pyo3(signature = (amount=1.0, exemplar=None), text_signature = "($self, amount=1, exemplar=None)")]
    fn inc(slf: &Bound<'_, Self>, amount: f64, exemplar: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        match (target(slf)?, exemplar) {
            (Target::Native(counter), None) => counter.inc_by(amount).map_err(error::refused),
            (Target::Native(counter), Some(labels)) => inc_with_exemplar(&counter, amount, labels),
            (Target::Objects, exemplar) => by_objects(slf, "inc", amount, exemplar),
        }
    }

    /// Start again at zero, in every process that shares the store, with a new ``_created``.
    fn reset(slf: &Bound<'_, Self>) -> PyResult<()> {
        // Not the ValueError that other operations raise: so the official client does.
        let target = target(slf).map_err(|error| PyAttributeError::new_err(error.value(slf.py()).to_string()))?;
        let now = late::time(slf.py())?;
        match target {
            Target::Native(counter) => counter.reset_at(now),
            Target::Objects => by_objects(slf, "reset", now, None)?,
        }
        Ok(())
    }

    /// Count the exceptions that leave a block or a function; a context manager and a decorator.
    ///
    /// Args:
    ///     exception: The class of those to count, or a tuple of classes.
    ///
    /// Example:
    ///     >>> from tallymark import Counter
    ///     >>> failures = Counter("failures", "What went wrong.", registry=None)
    ///     >>> @failures.count_exceptions(KeyError)
    ///     ... def find(key):
    ///     ...     return {}[key]
    #[pyo3(signature = (exception=None), text_signature = "($self, exception=...)")]
    fn count_exceptions<'py>(
        slf: &Bound<'py, Self>,
        exception: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        slf.as_any().cast::<MetricWrapperBase>()?.get().observable()?;
        let exception = exception.unwrap_or_else(|| py.get_type::<pyo3::exceptions::PyException>().into_any());
        late::exception_counter_class(py)?.call1((slf, exception))
    }
}

#[cold]
fn inc_with_exemplar(counter: &Handle, amount: f64, labels: &Bound<'_, PyAny>) -> PyResult<()> {
    if !labels.is_truthy()? {
        return counter.inc_by(amount).map_err(error::refused);
    }
    counter.inc_with_exemplar(amount, exemplar(labels, amount)?).map_err(error::refused)
}
