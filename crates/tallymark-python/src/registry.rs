//! The native twin of a Python registry: its collectors, in order, and what a scrape of them shows.
//!
//! Python is asked first, with the GIL; reading, encoding and compressing come after that, without it: see `scrape.rs`.
//! Which names collectors have claimed is the Python registry's business.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use tallymark::fork::Gated;
use tallymark::model::encode::{Coding, Format, openmetrics, openmetrics_2_0, text};
use tallymark::model::{Escaping, Snapshot, number};
use tallymark_transport::{Exposition, ServeError};

use crate::metric::{Declared, MetricWrapperBase, float};
use crate::multiprocess::SharedDirectory;
use crate::scrape::{Asked, Givers, Part, Parts, Plan, Shown, Step};
use crate::{convert, error, late, store};

/// The collectors of a registry in the order in which they were added, and how they are rendered.
#[pyclass(frozen, module = "tallymark._tallymark")]
#[derive(Default)]
pub(crate) struct RegistryCore {
    collectors: Gated<Vec<Arc<Collector>>>,
    shown: Gated<Shown>,
    /// The last body's memory: a large one that is asked for anew at every scrape costs more than writing it.
    body: Mutex<Vec<u8>>,
}

/// Bodies above this are not kept.
const LARGEST_KEPT: usize = 32 << 20;

struct Collector {
    object: Py<PyAny>,
    /// Of a native metric that is read without Python.
    declared: Option<Arc<Declared>>,
}

impl RegistryCore {
    /// Whether a scrape has to ask Python for anything.
    pub(crate) fn needs_python(&self) -> bool {
        self.collectors.lock().iter().any(|collector| match &collector.declared {
            Some(declared) => {
                declared.has_functions.load(Ordering::Relaxed) || declared.has_objects.load(Ordering::Relaxed)
            }
            None => true,
        })
    }

    /// What the first half of a scrape has to ask.
    pub(crate) fn plan(&self, py: Python<'_>, names: Option<HashSet<String>>) -> PyResult<Plan> {
        let asked = Asked { names, shown: self.shown() };
        let mut plan = Plan { steps: Vec::new(), functions: Vec::new(), asked };
        let collectors = self.collectors.lock().clone();
        for collector in collectors {
            match &collector.declared {
                Some(declared) if declared.has_objects.load(Ordering::Relaxed) => {
                    plan.steps.push(Step::Call(collector.object.getattr(py, "collect")?));
                }
                Some(declared) if plan.asked.may_have(declared) => {
                    plan.functions.extend(declared.functions(py));
                    plan.steps.push(Step::Read(Arc::clone(declared)));
                }
                Some(_) => {}
                None => plan.steps.push(Step::Call(collector.object.getattr(py, "collect")?)),
            }
        }
        Ok(plan)
    }

    /// The first half of a scrape where Python has nothing to say.
    pub(crate) fn without_python(&self, names: Option<HashSet<String>>) -> Parts {
        let asked = Asked { names, shown: self.shown() };
        let collectors = self.collectors.lock().clone();
        let declared = collectors.iter().filter_map(|collector| collector.declared.as_ref());
        let parts =
            declared.filter(|declared| asked.may_have(declared)).map(|it| Part::Native(Arc::clone(it))).collect();
        let store = match &asked.shown {
            Shown::Own => None,
            Shown::Others => store::chosen(),
            // What cannot be read now is tried again at the next scrape.
            Shown::Official(directory) => directory.store().unwrap_or_else(|error| {
                ::log::error!("{error}");
                None
            }),
        };
        Parts { parts, store, with_created: late::last_use_created(), asked }
    }

    fn take_body(&self) -> Vec<u8> {
        std::mem::take(&mut self.body.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn keep_body(&self, mut body: Vec<u8>) {
        body.clear();
        if body.capacity() <= LARGEST_KEPT {
            *self.body.lock().unwrap_or_else(PoisonError::into_inner) = body;
        }
    }

    fn shown(&self) -> Shown {
        self.shown.lock().clone()
    }
}

/// The argument `names`: any iterable of strings, None for all.
fn names(names: Option<&Bound<'_, PyAny>>) -> PyResult<Option<HashSet<String>>> {
    names.map(|names| names.try_iter()?.map(|name| name?.extract()).collect()).transpose()
}

#[pymethods]
impl RegistryCore {
    #[new]
    fn new() -> RegistryCore {
        RegistryCore::default()
    }

    /// Add a collector at the end.
    ///
    /// A native metric is read without Python, unless its class says itself what its samples are; of any other collector
    /// `collect()` is called.
    fn add(&self, collector: &Bound<'_, PyAny>) {
        let declared = collector.cast::<MetricWrapperBase>().ok().and_then(|metric| {
            let state = metric.get().state().ok()?;
            let is_whole = state.label_values().is_empty() && !state.arguments.overrides;
            is_whole.then(|| Arc::clone(&state.declared))
        });
        self.collectors.lock().push(Arc::new(Collector { object: collector.clone().unbind(), declared }));
    }

    /// Remove a collector.
    ///
    /// Raises:
    ///     KeyError: It was not added.
    fn remove(&self, collector: &Bound<'_, PyAny>) -> PyResult<()> {
        let is = |known: &Collector| known.object.is(collector);
        let equals = |known: &Collector| known.object.bind(collector.py()).eq(collector).unwrap_or(false);
        let all = self.collectors.lock().clone();
        // As a dict finds it; asked without the lock, since Python may do anything then.
        let wanted = all.iter().find(|known| is(known)).or_else(|| all.iter().find(|known| equals(known)));
        let gone = wanted.and_then(|wanted| {
            let mut collectors = self.collectors.lock();
            let index = collectors.iter().position(|known| Arc::ptr_eq(known, wanted));
            index.map(|index| collectors.remove(index))
        });
        match gone {
            Some(_) => Ok(()),
            None => Err(PyKeyError::new_err(collector.clone().unbind())),
        }
    }

    /// Give the collectors in their order.
    fn collectors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let collectors = self.collectors.lock().clone();
        PyList::new(py, collectors.iter().map(|collector| collector.object.bind(py)))
    }

    /// Say what is shown of a shared store beside the metrics of the collectors.
    ///
    /// Args:
    ///     others: Whether to show the families that only other processes declare, and the store's own metrics.
    ///
    ///     directory: Show all that is in the store of this directory instead, as the official client's collector does.
    ///         No family is shown twice.
    #[pyo3(signature = (others=false, directory=None))]
    fn show(&self, others: bool, directory: Option<&Bound<'_, SharedDirectory>>) {
        *self.shown.lock() = match directory {
            Some(directory) => Shown::Official(directory.get().clone()),
            None if others => Shown::Others,
            None => Shown::Own,
        };
    }

    /// Give all families as `Metric` objects.
    fn collect<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let metrics = PyList::empty(py);
        let plan = self.plan(py, None)?;
        let list = |call: &Bound<'py, PyAny>| call.call0()?.try_iter()?.collect::<PyResult<Vec<_>>>();
        let mut given = plan.calls(py).map(list).collect::<PyResult<Vec<_>>>()?.into_iter();
        let parts = plan.finish(py, [], plan.values(py)?, &mut Givers::default())?;
        let mut native = py.detach(|| parts.read()).families.into_iter();
        for step in &plan.steps {
            match step {
                Step::Read(_) => {
                    if let Some(snapshot) = native.next() {
                        metrics.append(convert::to_metric(py, &snapshot)?)?;
                    }
                }
                Step::Call(_) => {
                    given.next().into_iter().flatten().try_for_each(|family| metrics.append(family))?;
                }
            }
        }
        for snapshot in native {
            metrics.append(convert::to_metric(py, &snapshot)?)?;
        }
        Ok(metrics)
    }

    /// Render what two request headers ask for.
    ///
    /// Args:
    ///     accept: The header ``Accept``.
    ///
    ///     accept_encoding: The header ``Accept-Encoding``.
    ///
    ///     names: Only the samples of these full names.
    ///
    ///     compress: Whether to compress at all.
    ///
    /// Returns:
    ///     The content type, the content encoding or None, and the body.
    #[pyo3(signature = (accept=None, accept_encoding=None, names=None, compress=true))]
    fn render<'py>(
        &self,
        py: Python<'py>,
        accept: Option<&str>,
        accept_encoding: Option<&str>,
        names: Option<&Bound<'py, PyAny>>,
        compress: bool,
    ) -> PyResult<(&'static str, Option<&'static str>, Bound<'py, PyBytes>)> {
        let (parts, givers) = self.asked(py, names)?;
        let exposition = py.detach(|| Exposition::new(&parts.read(), accept, accept_encoding, compress));
        let exposition = exposition.map_err(|error| match error {
            ServeError::Encode { source, .. } => givers.blame(py, source),
            error => error::serve(error),
        })?;
        Ok((exposition.content_type, exposition.content_encoding, PyBytes::new(py, &exposition.body)))
    }

    /// Render the text format.
    ///
    /// Args:
    ///     escaping: ``allow-utf-8``, ``underscores``, ``dots`` or ``values``.
    ///
    ///     names: Only the samples of these full names.
    #[pyo3(signature = (escaping="underscores", names=None))]
    fn render_text<'py>(
        &self,
        py: Python<'py>,
        escaping: &str,
        names: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (parts, givers) = self.asked(py, names)?;
        let mut body = self.take_body();
        let result = write(py, Kind::Text, escaping, || parts.read(), &givers, &mut body);
        self.keep_body(body);
        result
    }

    /// Render OpenMetrics.
    ///
    /// Args:
    ///     escaping: ``allow-utf-8``, ``underscores``, ``dots`` or ``values``.
    ///
    ///     names: Only the samples of these full names.
    ///
    ///     kind: ``openmetrics`` or ``openmetrics-2.0``, which has native histograms.
    #[pyo3(signature = (escaping="underscores", names=None, kind="openmetrics"))]
    fn render_openmetrics<'py>(
        &self,
        py: Python<'py>,
        escaping: &str,
        names: Option<&Bound<'py, PyAny>>,
        kind: &str,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let kind = Kind::parse(kind)?;
        let (parts, givers) = self.asked(py, names)?;
        let mut body = self.take_body();
        let result = write(py, kind, escaping, || parts.read(), &givers, &mut body);
        self.keep_body(body);
        result
    }
}

impl RegistryCore {
    /// The first half of a scrape.
    ///
    /// # Errors
    /// What a collector or a function raises, and what is wrong with the families it gives.
    fn asked<'py>(&self, py: Python<'py>, only: Option<&Bound<'py, PyAny>>) -> PyResult<(Parts, Givers)> {
        let mut givers = Givers::default();
        let plan = self.plan(py, names(only)?)?;
        let families = plan.calls(py).map(|call| call.call0()).collect::<PyResult<Vec<_>>>()?;
        let parts = plan.finish(py, families, plan.values(py)?, &mut givers)?;
        Ok((parts, givers))
    }
}

/// The formats, by the names that `choose_format` has for them.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    OpenMetrics1_0,
    OpenMetrics2_0,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Text, Kind::OpenMetrics1_0, Kind::OpenMetrics2_0];

    fn as_str(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::OpenMetrics1_0 => "openmetrics",
            Kind::OpenMetrics2_0 => "openmetrics-2.0",
        }
    }

    fn parse(name: &str) -> PyResult<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| {
            let known = Kind::ALL.map(Kind::as_str).join(", ");
            PyValueError::new_err(format!("{name}: no format; there are {known}"))
        })
    }
}

fn write<'py>(
    py: Python<'py>,
    kind: Kind,
    escaping: &str,
    read: impl FnOnce() -> Snapshot + Send,
    givers: &Givers,
    body: &mut Vec<u8>,
) -> PyResult<Bound<'py, PyBytes>> {
    let escaping = Escaping::parse(escaping);
    let written = py.detach(|| match kind {
        Kind::Text => text(&read(), escaping, body),
        Kind::OpenMetrics1_0 => openmetrics(&read(), escaping, body),
        Kind::OpenMetrics2_0 => openmetrics_2_0(&read(), escaping, body),
    });
    written.map_err(|error| givers.blame(py, error))?;
    Ok(PyBytes::new(py, body))
}

/// Render families that something like a registry gives.
///
/// Args:
///     families: `Metric` objects.
///
///     escaping: ``allow-utf-8``, ``underscores``, ``dots`` or ``values``.
///
///     kind: ``text``, ``openmetrics`` or ``openmetrics-2.0``.
#[pyfunction]
pub(crate) fn render_collectors<'py>(
    py: Python<'py>,
    families: &Bound<'py, PyAny>,
    escaping: &str,
    kind: &str,
) -> PyResult<Bound<'py, PyBytes>> {
    let kind = Kind::parse(kind)?;
    let mut givers = Givers::default();
    let snapshot = Snapshot { families: givers.convert(families)? };
    write(py, kind, escaping, || snapshot, &givers, &mut Vec::new())
}

/// Say which format the header ``Accept`` asks for.
///
/// Returns:
///     ``text``, ``openmetrics`` or ``openmetrics-2.0``, the escaping of names, and the content type.
#[pyfunction]
#[pyo3(signature = (accept))]
pub(crate) fn choose_format(accept: Option<&str>) -> (&'static str, &'static str, &'static str) {
    let format = Format::negotiate(accept);
    let kind = match format {
        Format::OpenMetrics1_0_0 { .. } => Kind::OpenMetrics1_0,
        Format::OpenMetrics2_0_0(_) => Kind::OpenMetrics2_0,
        _ => Kind::Text,
    };
    (kind.as_str(), format.escaping().as_str(), format.content_type())
}

/// Say which content coding the header ``Accept-Encoding`` asks for: ``gzip``, ``zstd`` or None.
#[pyfunction]
#[pyo3(signature = (accept_encoding))]
pub(crate) fn choose_coding(accept_encoding: Option<&str>) -> Option<&'static str> {
    match Coding::negotiate(accept_encoding) {
        Coding::Identity => None,
        coding => Some(coding.as_str()),
    }
}

/// Write a number as expositions have it.
#[pyfunction]
pub(crate) fn float_to_go_string(number: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(number::format(float(number)?))
}

/// Tell scrapes that run without Python whether to show ``_created``.
///
/// They remember what the last scrape or metric saw of ``tallymark.metrics._use_created``; this makes a change known at
/// once.
#[pyfunction]
pub(crate) fn set_use_created(flag: bool) {
    late::note_use_created(flag);
}
