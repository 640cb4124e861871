//! `Enum`: which of a set of states holds.

use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tallymark::StateSet as Handle;
use tallymark::model::Kind;

use super::{Definition, Metric, MetricWrapperBase, RegistryArgument, handle, texts};
use crate::error;

/// Which of a set of states holds; the first one at the start.
///
/// One value for all processes of a store; the last one set wins.
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
///     unit: Must be empty: this type has none.
///
///     registry: Where it is registered, None for nowhere.
///
///     states: The states, the default one first.
///
/// Raises:
///     ValueError: A name or label name that cannot be, or one that is taken, or no states.
///
/// Example:
///     >>> from tallymark import Enum
///     >>> task = Enum("task_state", "What it does.", states=["starting", "running"], registry=None)
///     >>> task.state("running")
///     >>> [sample.value for sample in task.collect()[0].samples]
///     [0.0, 1.0]
#[pyclass(extends = MetricWrapperBase, subclass, frozen, module = "tallymark.metrics")]
pub(crate) struct Enum {
    handle: OnceLock<Handle>,
}

impl Metric for Enum {
    type Handle = Handle;

    #[inline]
    fn slot(&self) -> &OnceLock<Handle> {
        &self.handle
    }

    fn holding(handle: OnceLock<Handle>) -> Enum {
        Enum { handle }
    }
}

#[pymethods]
impl Enum {
    #[classattr]
    #[pyo3(name = "_type")]
    const TYPE: &'static str = "stateset";

    #[new]
    #[pyo3(
        signature = (*_args, **_kwargs),
        text_signature = "(name, documentation, labelnames=(), namespace='', subsystem='', unit='', registry=..., \
                          _labelvalues=None, states=None)"
    )]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Enum> {
        PyClassInitializer::from(MetricWrapperBase::empty()).add_subclass(Enum::holding(OnceLock::new()))
    }

    #[pyo3(signature = (
        name, documentation, labelnames=None, namespace=None, subsystem=None, unit=None,
        registry=RegistryArgument::Default, _labelvalues=None, states=None
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
        states: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let labelvalues = _labelvalues;
        let kwargs = PyDict::new(slf.py());
        let names = texts(states)?;
        kwargs.set_item("states", &names)?;
        Definition { name, documentation, labelnames, namespace, subsystem, unit, registry, labelvalues }.init(
            slf,
            Kind::StateSet,
            kwargs,
            |builder| builder.states(names),
        )
    }

    /// Set the state.
    ///
    /// Raises:
    ///     ValueError: *state* is none of the states, or the metric has labels.
    fn state(slf: &Bound<'_, Self>, state: &str) -> PyResult<()> {
        handle(slf)?.set(state).map_err(error::refused)
    }

    #[getter]
    fn _states<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let base = slf.as_any().cast::<MetricWrapperBase>()?;
        base.get().state()?.arguments.kwargs.bind(slf.py()).as_any().get_item("states")
    }
}
