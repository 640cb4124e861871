//! `Summary`: observations, counted and summed.

use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tallymark::Summary as Handle;
use tallymark::model::Kind;

use super::{Definition, Metric, MetricWrapperBase, RegistryArgument, Target, by_objects, target};
use crate::late;

/// Observations, counted and summed: sizes, durations whose mean is enough.
///
/// There are no quantiles, since those of several processes cannot be added up; a `Histogram` can show them.
///
/// Args:
///     name: The name.
///
///     documentation: The help text.
///
///     labelnames: The names of its labels, if it has any. Its children are used then, see `labels`.
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
///     >>> from tallymark import Summary
///     >>> size = Summary("request_size_bytes", "Sizes.", registry=None)
///     >>> size.observe(512)
///     >>> [(sample.name, sample.value) for sample in size.collect()[0].samples][:2]
///     [('request_size_bytes_count', 1.0), ('request_size_bytes_sum', 512.0)]
#[pyclass(extends = MetricWrapperBase, subclass, frozen, module = "tallymark.metrics")]
pub(crate) struct Summary {
    handle: OnceLock<Handle>,
}

impl Metric for Summary {
    type Handle = Handle;

    #[inline]
    fn slot(&self) -> &OnceLock<Handle> {
        &self.handle
    }

    fn holding(handle: OnceLock<Handle>) -> Summary {
        Summary { handle }
    }
}

#[pymethods]
impl Summary {
    #[classattr]
    #[pyo3(name = "_type")]
    const TYPE: &'static str = "summary";

    #[classattr]
    #[pyo3(name = "_reserved_labelnames")]
    const RESERVED: [&'static str; 1] = ["quantile"];

    #[new]
    #[pyo3(
        signature = (*_args, **_kwargs),
        text_signature = "(name, documentation, labelnames=(), namespace='', subsystem='', unit='', registry=..., \
                          _labelvalues=None)"
    )]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Summary> {
        PyClassInitializer::from(MetricWrapperBase::empty()).add_subclass(Summary::holding(OnceLock::new()))
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
            Kind::Summary,
            PyDict::new(slf.py()),
            |builder| builder,
        )
    }

    /// Count one observation of *amount*.
    ///
    /// A negative one is counted too, but then the sum may fall, which Prometheus takes for a restart.
    ///
    /// Raises:
    ///     ValueError: The metric has labels; use one of its children.
    fn observe(slf: &Bound<'_, Self>, amount: f64) -> PyResult<()> {
        match target(slf)? {
            Target::Native(summary) => {
                summary.observe(amount);
                Ok(())
            }
            Target::Objects => by_objects(slf, "observe", amount, None),
        }
    }

    /// Observe the seconds that a block or a function takes; a context manager and a decorator.
    fn time<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        late::timer_class(slf.py())?.call1((slf, "observe"))
    }
}
