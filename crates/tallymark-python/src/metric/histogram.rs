//! `Histogram`: observations, counted in buckets.

use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tallymark::Histogram as Handle;
use tallymark::model::{DEFAULT_BOUNDS, Kind};

use super::{Definition, Metric, MetricWrapperBase, RegistryArgument, Target, by_objects, exemplar, float, target};
use crate::{error, late};

/// Observations, counted in buckets: latencies, sizes. Prometheus makes quantiles of them.
///
/// Count, bucket and sum change as one: a scrape sees an observation wholly or not at all.
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
///     buckets: The upper bounds of the buckets, ascending; +Inf is added if it is not there.
///
/// Raises:
///     ValueError: A name or label name that cannot be, or one that is taken, or buckets that are not in order.
///
/// Example:
///     >>> from tallymark import Histogram
///     >>> latency = Histogram("latency", "Seconds.", buckets=(0.1, 1), registry=None)
///     >>> latency.observe(0.5)
///     >>> [sample.value for sample in latency.collect()[0].samples if sample.name == "latency_bucket"]
///     [0.0, 1.0, 1.0]
#[pyclass(extends = MetricWrapperBase, subclass, frozen, module = "tallymark.metrics")]
pub(crate) struct Histogram {
    handle: OnceLock<Handle>,
}

impl Metric for Histogram {
    type Handle = Handle;

    #[inline]
    fn slot(&self) -> &OnceLock<Handle> {
        &self.handle
    }

    fn holding(handle: OnceLock<Handle>) -> Histogram {
        Histogram { handle }
    }
}

#[pymethods]
impl Histogram {
    #[classattr]
    #[pyo3(name = "_type")]
    const TYPE: &'static str = "histogram";

    #[classattr]
    #[pyo3(name = "_reserved_labelnames")]
    const RESERVED: [&'static str; 1] = ["le"];

    /// The buckets of histograms that are given none, in seconds: from five milliseconds to ten seconds.
    #[classattr]
    #[pyo3(name = "DEFAULT_BUCKETS")]
    fn default_buckets(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
        let bounds: Vec<f64> = DEFAULT_BOUNDS.into_iter().chain([f64::INFINITY]).collect();
        PyTuple::new(py, bounds)
    }

    #[new]
    #[pyo3(
        signature = (*_args, **_kwargs),
        text_signature = "(name, documentation, labelnames=(), namespace='', subsystem='', unit='', registry=..., \
                          _labelvalues=None, buckets=...)"
    )]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Histogram> {
        PyClassInitializer::from(MetricWrapperBase::empty()).add_subclass(Histogram::holding(OnceLock::new()))
    }

    #[pyo3(signature = (
        name, documentation, labelnames=None, namespace=None, subsystem=None, unit=None,
        registry=RegistryArgument::Default, _labelvalues=None, buckets=None
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
        buckets: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let labelvalues = _labelvalues;
        let py = slf.py();
        let kwargs = PyDict::new(py);
        let bounds = match buckets {
            Some(buckets) => buckets.try_iter()?.map(|bound| float(&bound?)).collect::<PyResult<_>>()?,
            None => DEFAULT_BOUNDS.to_vec(),
        };
        // Not `buckets` itself: an iterator would have nothing left for the children.
        kwargs.set_item("buckets", &bounds)?;
        Definition { name, documentation, labelnames, namespace, subsystem, unit, registry, labelvalues }.init(
            slf,
            Kind::Histogram,
            kwargs,
            |builder| builder.bounds(bounds),
        )
    }

    /// Count one observation of *amount*.
    ///
    /// A negative one is counted too, but then the sum may fall, which Prometheus takes for a restart. NaN is in no bucket.
    ///
    /// Args:
    ///     amount: What was observed.
    ///
    ///     exemplar: Labels that point at what was observed, such as a trace's id, at most 128 characters in all. The most
    ///         recent one of each bucket is shown in OpenMetrics.
    ///
    /// Raises:
    ///     ValueError: An exemplar that cannot be, or a metric that has labels; nothing has changed then.
    #[pyo3(signature = (amount, exemplar=None))]
    fn observe(slf: &Bound<'_, Self>, amount: f64, exemplar: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        match (target(slf)?, exemplar) {
            (Target::Native(histogram), None) => {
                histogram.observe(amount);
                Ok(())
            }
            (Target::Native(histogram), Some(labels)) => observe_with_exemplar(&histogram, amount, labels),
            (Target::Objects, exemplar) => by_objects(slf, "observe", amount, exemplar),
        }
    }

    /// Observe the seconds that a block or a function takes; a context manager and a decorator.
    fn time<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        late::timer_class(slf.py())?.call1((slf, "observe"))
    }

    #[getter]
    fn _upper_bounds(slf: &Bound<'_, Self>) -> PyResult<Vec<f64>> {
        let base = slf.as_any().cast::<MetricWrapperBase>()?;
        Ok(base.get().state()?.declared.family.definition().bounds().to_vec())
    }
}

#[cold]
fn observe_with_exemplar(histogram: &Handle, amount: f64, labels: &Bound<'_, PyAny>) -> PyResult<()> {
    if !labels.is_truthy()? {
        histogram.observe(amount);
        return Ok(());
    }
    histogram.observe_with_exemplar(amount, exemplar(labels, amount)?).map_err(error::refused)
}
