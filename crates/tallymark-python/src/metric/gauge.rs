//! `Gauge`: a value that goes up and down.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tallymark::Gauge as Handle;
use tallymark::metric::Handle as _;
use tallymark::model::{GaugeMode, Kind};

use super::{Definition, Metric, MetricWrapperBase, RegistryArgument, Target, by_objects, float, target};
use crate::{error, late, store};

/// A value that goes up and down: a queue's length, requests in progress.
///
/// Every process has its own value. How they are shown together, *multiprocess_mode* says; in the memory store, where there
/// is one process, it makes no difference.
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
///     multiprocess_mode: ``auto``, which shows the value set last, or the sum over the live processes if none has set
///         it; or one of the official client's: ``all``, ``min``, ``max``, ``sum``, ``mostrecent``, each of which leaves
///         out ended processes with ``live`` before it. The default is ``auto``, and ``all`` where
///         ``PROMETHEUS_MULTIPROC_DIR`` chose the store, as the official client has it.
///
/// Raises:
///     ValueError: A name or label name that cannot be, or one that is taken, or no known mode.
///
/// Example:
///     >>> from tallymark import Gauge
///     >>> queue = Gauge("queue_length", "Waiting.", registry=None)
///     >>> queue.inc()
///     >>> queue.set(4.2)
///     >>> queue.collect()[0].samples[0].value
///     4.2
#[pyclass(extends = MetricWrapperBase, subclass, frozen, module = "tallymark.metrics")]
pub(crate) struct Gauge {
    handle: OnceLock<Handle>,
    /// Whether a function gives the value, so that updates by hand do nothing.
    has_function: AtomicBool,
}

impl Metric for Gauge {
    type Handle = Handle;

    #[inline]
    fn slot(&self) -> &OnceLock<Handle> {
        &self.handle
    }

    fn holding(handle: OnceLock<Handle>) -> Gauge {
        Gauge { handle, has_function: AtomicBool::new(false) }
    }
}

impl Gauge {
    /// Changes the gauge by an amount, unless a function gives the value.
    #[inline]
    fn change(slf: &Bound<'_, Self>, method: &str, amount: f64) -> PyResult<()> {
        if slf.get().handle.get().is_none() {
            // The mode is looked at first: a labelled metric of such a mode has no children that could.
            let base = slf.as_any().cast::<MetricWrapperBase>()?;
            refuse_most_recent(base.get().state()?.declared.family.definition().mode(), method)?;
        }
        let target = target(slf)?;
        if let Target::Native(gauge) = &target {
            refuse_most_recent(gauge.series().definition().mode(), method)?;
        }
        if slf.get().has_function.load(Ordering::Relaxed) {
            return Ok(());
        }
        match target {
            Target::Native(gauge) => {
                gauge.inc_by(amount);
                Ok(())
            }
            Target::Objects => by_objects(slf, "inc", amount, None),
        }
    }

    /// Sets the gauge, unless a function gives the value.
    #[inline]
    fn set_to(slf: &Bound<'_, Self>, value: impl FnOnce() -> PyResult<f64>) -> PyResult<()> {
        let target = target(slf)?;
        let value = value()?;
        if slf.get().has_function.load(Ordering::Relaxed) {
            return Ok(());
        }
        match target {
            Target::Native(gauge) => {
                gauge.set(value);
                Ok(())
            }
            Target::Objects => by_objects(slf, "set_value", value, None),
        }
    }
}

#[inline]
fn refuse_most_recent(mode: GaugeMode, method: &str) -> PyResult<()> {
    match mode.is_most_recent() {
        true => Err(PyRuntimeError::new_err(format!("{method} must not be used with the mostrecent mode"))),
        false => Ok(()),
    }
}

#[pymethods]
impl Gauge {
    #[classattr]
    #[pyo3(name = "_type")]
    const TYPE: &'static str = "gauge";

    #[new]
    #[pyo3(
        signature = (*_args, **_kwargs),
        text_signature = "(name, documentation, labelnames=(), namespace='', subsystem='', unit='', registry=..., \
                          _labelvalues=None, multiprocess_mode=None)"
    )]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Gauge> {
        PyClassInitializer::from(MetricWrapperBase::empty()).add_subclass(Gauge::holding(OnceLock::new()))
    }

    #[pyo3(signature = (
        name, documentation, labelnames=None, namespace=None, subsystem=None, unit=None,
        registry=RegistryArgument::Default, _labelvalues=None, multiprocess_mode=None
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
        multiprocess_mode: Option<&str>,
    ) -> PyResult<()> {
        let labelvalues = _labelvalues;
        let mode = match multiprocess_mode {
            Some(word) => word.parse().map_err(error::refused)?,
            // As the official client, whose word the process's own name is.
            None if late::counting(slf.py(), Kind::Gauge)?.identify().is_some() => GaugeMode::All,
            None => store::default_store(slf.py()).1,
        };
        let kwargs = PyDict::new(slf.py());
        kwargs.set_item("multiprocess_mode", mode.as_str())?;
        Definition { name, documentation, labelnames, namespace, subsystem, unit, registry, labelvalues }.init(
            slf,
            Kind::Gauge,
            kwargs,
            |builder| builder.mode(mode),
        )
    }

    /// Increment the gauge by *amount*.
    ///
    /// Raises:
    ///     ValueError: The metric has labels; use one of its children.
    ///     RuntimeError: The mode is ``mostrecent``, whose values can only be set.
    #[pyo3(signature = (amount=1.0), text_signature = "($self, amount=1)")]
    fn inc(slf: &Bound<'_, Self>, amount: f64) -> PyResult<()> {
        Self::change(slf, "inc", amount)
    }

    /// Decrement the gauge by *amount*.
    ///
    /// Raises:
    ///     ValueError: The metric has labels; use one of its children.
    ///     RuntimeError: The mode is ``mostrecent``, whose values can only be set.
    #[pyo3(signature = (amount=1.0), text_signature = "($self, amount=1)")]
    fn dec(slf: &Bound<'_, Self>, amount: f64) -> PyResult<()> {
        Self::change(slf, "dec", -amount)
    }

    /// Set the gauge to *value*, which may be anything that `float()` takes.
    ///
    /// Raises:
    ///     ValueError: The metric has labels; use one of its children.
    fn set(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        Self::set_to(slf, || float(value))
    }

    /// Set the gauge to the time, in seconds since 1970.
    fn set_to_current_time(slf: &Bound<'_, Self>) -> PyResult<()> {
        if slf.as_any().get_type().is(slf.py().get_type::<Gauge>()) {
            return Self::set_to(slf, || late::time(slf.py()));
        }
        // A subclass may have a `set` of its own.
        slf.call_method1("set", (late::time(slf.py())?,))?;
        Ok(())
    }

    /// Let a function give the value, at every scrape in this process.
    ///
    /// `inc`, `dec` and `set` do nothing from now on. What the function raises, the scrape raises.
    ///
    /// Args:
    ///     f: Takes no arguments and gives what `float()` takes. It may be called by several threads at once.
    fn set_function(slf: &Bound<'_, Self>, f: Py<PyAny>) -> PyResult<()> {
        let target = target(slf)?;
        slf.get().has_function.store(true, Ordering::Relaxed);
        match target {
            Target::Native(gauge) => {
                let base = slf.as_any().cast::<MetricWrapperBase>()?;
                base.get().state()?.declared.set_function(gauge.into_owned(), f);
                Ok(())
            }
            Target::Objects => by_objects(slf, "set_function", f, None),
        }
    }

    /// Count what is in a block or a function at the moment; a context manager and a decorator.
    fn track_inprogress<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.as_any().cast::<MetricWrapperBase>()?.get().observable()?;
        late::inprogress_tracker_class(slf.py())?.call1((slf,))
    }

    /// Set the gauge to the seconds that a block or a function takes; a context manager and a decorator.
    fn time<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        late::timer_class(slf.py())?.call1((slf, "set"))
    }

    #[getter]
    fn _multiprocess_mode(slf: &Bound<'_, Self>) -> PyResult<&'static str> {
        let base = slf.as_any().cast::<MetricWrapperBase>()?;
        Ok(base.get().state()?.declared.family.definition().mode().as_str())
    }

    #[getter]
    fn _is_most_recent(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let base = slf.as_any().cast::<MetricWrapperBase>()?;
        Ok(base.get().state()?.declared.family.definition().mode().is_most_recent())
    }
}
