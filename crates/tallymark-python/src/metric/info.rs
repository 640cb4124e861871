//! `Info`: facts about the thing measured.

use std::sync::OnceLock;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tallymark::Info as Handle;
use tallymark::model::Kind;

use super::{Definition, Metric, MetricWrapperBase, RegistryArgument, handle};
use crate::{convert, error};

/// Facts about the thing measured, as labels: a version, a build host.
///
/// One value for all processes of a store; the last one set wins.
///
/// Args:
///     name: The name; samples have it with ``_info`` at its end.
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
/// Raises:
///     ValueError: A name or label name that cannot be, or one that is taken.
///
/// Example:
///     >>> from tallymark import Info
///     >>> build = Info("build", "What is running.", registry=None)
///     >>> build.info({"version": "1.2.3"})
///     >>> build.collect()[0].samples[0].labels
///     {'version': '1.2.3'}
#[pyclass(extends = MetricWrapperBase, subclass, frozen, module = "tallymark.metrics")]
pub(crate) struct Info {
    handle: OnceLock<Handle>,
}

impl Metric for Info {
    type Handle = Handle;

    #[inline]
    fn slot(&self) -> &OnceLock<Handle> {
        &self.handle
    }

    fn holding(handle: OnceLock<Handle>) -> Info {
        Info { handle }
    }
}

#[pymethods]
impl Info {
    #[classattr]
    #[pyo3(name = "_type")]
    const TYPE: &'static str = "info";

    #[new]
    #[pyo3(
        signature = (*_args, **_kwargs),
        text_signature = "(name, documentation, labelnames=(), namespace='', subsystem='', unit='', registry=..., \
                          _labelvalues=None)"
    )]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Info> {
        PyClassInitializer::from(MetricWrapperBase::empty()).add_subclass(Info::holding(OnceLock::new()))
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
            Kind::Info,
            PyDict::new(slf.py()),
            |builder| builder,
        )
    }

    /// Set the facts, in place of all that were set before.
    ///
    /// Args:
    ///     val: Label names and values.
    ///
    /// Raises:
    ///     ValueError: A value is None, a label name is one of the metric's own, or the metric has labels.
    fn info(slf: &Bound<'_, Self>, val: &Bound<'_, PyAny>) -> PyResult<()> {
        let info = handle(slf)?;
        for value in val.call_method0("values")?.try_iter()? {
            if value?.is_none() {
                return Err(PyValueError::new_err("Label value cannot be None"));
            }
        }
        info.set(&convert::pairs(val)?).map_err(error::refused)
    }
}
