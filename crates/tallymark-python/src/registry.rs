//! The native twin of a Python registry: its collectors, in order, and what a scrape of them shows.
//!
//! A scrape has two halves. The first asks Python, if there is anything to ask: custom collectors, and functions that
//! give gauges their values. The second reads the native metrics and writes the answer, and needs no Python: a registry
//! that has only native metrics is scraped by a server's thread while Python is busy elsewhere. Which names collectors
//! have claimed is the Python registry's business.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use tallymark::model::encode::{Coding, EncodeError, Format, openmetrics, text};
use tallymark::model::{Escaping, FamilySnapshot, Snapshot, number};
use tallymark::{Gauge, Store, gather};
use tallymark_transport::{Exposition, ServeError};

use crate::metric::{Declared, MetricWrapperBase, float};
use crate::{convert, error, late, store};

/// The collectors of a registry in the order in which they were added, and how they are rendered.
#[pyclass(frozen, module = "tallymark._tallymark")]
#[derive(Default)]
pub(crate) struct RegistryCore {
    collectors: Mutex<Vec<Arc<Collector>>>,
}

struct Collector {
    object: Py<PyAny>,
    /// Of a native metric that is read without Python.
    declared: Option<Arc<Declared>>,
}

/// What the first half of a scrape has to ask, taken from the collectors at its beginning.
pub(crate) struct Plan {
    steps: Vec<Step>,
    pub(crate) functions: Vec<(Gauge, Py<PyAny>)>,
    asked: Asked,
}

enum Step {
    /// A native metric.
    Read(Arc<Declared>),
    /// Anything that gives families when it is called.
    Call(Py<PyAny>),
}

/// What one collector has for a scrape, after the first half.
enum Part {
    /// To be read in the second half.
    Native(Arc<Declared>),
    /// Given by Python.
    Converted(Vec<FamilySnapshot>),
}

/// What is left to read once Python has been asked.
pub(crate) struct Parts {
    parts: Vec<Part>,
    /// The default store, if what others declare in it is shown too.
    undeclared: Option<Store>,
    with_created: bool,
    names: Option<HashSet<String>>,
}

/// What a scrape asked for.
pub(crate) struct Asked {
    pub(crate) names: Option<HashSet<String>>,
    pub(crate) with_undeclared: bool,
}

impl RegistryCore {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Collector>>> {
        self.collectors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a scrape has to ask Python for anything.
    pub(crate) fn needs_python(&self) -> bool {
        self.lock().iter().any(|collector| match &collector.declared {
            Some(declared) => declared.has_functions.load(Ordering::Relaxed),
            None => true,
        })
    }

    /// What the first half of a scrape has to ask.
    pub(crate) fn plan(&self, py: Python<'_>, asked: Asked) -> PyResult<Plan> {
        let mut plan = Plan { steps: Vec::new(), functions: Vec::new(), asked };
        let collectors = self.lock().clone();
        for collector in collectors {
            match &collector.declared {
                Some(declared) if plan.asked.may_have(declared) => {
                    plan.functions.extend(declared.functions(py));
                    plan.steps.push(Step::Read(Arc::clone(declared)));
                }
                Some(_) => {}
                None => plan.steps.push(Step::Call(collector.object.getattr(py, intern!(py, "collect"))?)),
            }
        }
        Ok(plan)
    }

    /// The first half of a scrape where Python has nothing to say; `first` is written before the collectors.
    pub(crate) fn without_python(&self, first: Vec<FamilySnapshot>, asked: Asked) -> Parts {
        let mut parts = vec![Part::Converted(first)];
        let collectors = self.lock().clone();
        let declared = collectors.iter().filter_map(|collector| collector.declared.as_ref());
        parts.extend(declared.filter(|declared| asked.may_have(declared)).map(|it| Part::Native(Arc::clone(it))));
        let undeclared = if asked.with_undeclared { store::chosen() } else { None };
        Parts { parts, undeclared, with_created: late::last_use_created(), names: asked.names }
    }
}

impl Plan {
    /// Has `call` asked before the collectors.
    pub(crate) fn call_first(&mut self, call: Py<PyAny>) {
        self.steps.insert(0, Step::Call(call));
    }

    /// What is to be called for families, in order.
    pub(crate) fn calls<'a, 'py: 'a>(&'a self, py: Python<'py>) -> impl Iterator<Item = &'a Bound<'py, PyAny>> {
        self.steps.iter().filter_map(move |step| match step {
            Step::Call(call) => Some(call.bind(py)),
            Step::Read(_) => None,
        })
    }

    /// Ends the first half with what the calls and the functions gave.
    ///
    /// # Errors
    /// What is wrong with the families.
    pub(crate) fn finish<'py>(
        &self,
        py: Python<'py>,
        first: Vec<FamilySnapshot>,
        families: impl IntoIterator<Item = Bound<'py, PyAny>>,
        values: impl IntoIterator<Item = f64>,
        givers: &mut Givers,
    ) -> PyResult<Parts> {
        self.functions.iter().zip(values).for_each(|((gauge, _), value)| gauge.set(value));
        let mut families = families.into_iter();
        let mut parts = vec![Part::Converted(first)];
        for step in &self.steps {
            match step {
                Step::Read(declared) => parts.push(Part::Native(Arc::clone(declared))),
                Step::Call(_) => {
                    let converted = families.next().map(|families| givers.convert(&families)).transpose()?;
                    parts.push(Part::Converted(converted.unwrap_or_default()));
                }
            }
        }
        let undeclared = self.asked.with_undeclared.then(|| store::default_store(py).0);
        Ok(Parts { parts, undeclared, with_created: late::use_created(py)?, names: self.asked.names.clone() })
    }
}

impl Asked {
    /// Whether a sample of the family can have one of the names.
    fn may_have(&self, declared: &Declared) -> bool {
        let family = declared.family.definition().name();
        self.names.as_ref().is_none_or(|names| names.iter().any(|name| name.starts_with(family)))
    }
}

impl Parts {
    /// The second half: reads the native metrics, all of one store at one moment.
    pub(crate) fn read(self) -> Snapshot {
        let mut families = Vec::new();
        for part in &self.parts {
            if let Part::Native(declared) = part {
                families.push(Arc::clone(&declared.family));
            }
        }
        let stores: Vec<Store> = self.undeclared.into_iter().collect();
        let gathered = gather(&families, &stores, self.with_created);
        let mut declared = gathered.declared.into_iter();
        let mut snapshot = Snapshot::default();
        for part in self.parts {
            match part {
                Part::Native(_) => snapshot.families.extend(declared.next()),
                Part::Converted(families) => snapshot.families.extend(families),
            }
        }
        if !gathered.undeclared.is_empty() {
            // Not what this process declares in another registry, or in none.
            let own = store::declared_names();
            let others = gathered.undeclared.into_iter().filter(|it| !own.contains(it.family.name()));
            snapshot.families.extend(others);
        }
        match self.names {
            Some(names) => snapshot.restrict(&names),
            None => snapshot,
        }
    }
}

/// The families that Python gave, so that an error in writing one can tell which.
#[derive(Default)]
pub(crate) struct Givers(Vec<(String, Py<PyAny>)>);

impl Givers {
    fn convert(&mut self, families: &Bound<'_, PyAny>) -> PyResult<Vec<FamilySnapshot>> {
        let mut converted = Vec::new();
        for metric in families.try_iter()? {
            let metric = metric?;
            let snapshot = convert::from_metric(&metric)?;
            self.0.push((snapshot.family.name().to_owned(), metric.unbind()));
            converted.push(snapshot);
        }
        Ok(converted)
    }

    /// The exception for what cannot be written, with the family if it is known.
    fn blame(&self, py: Python<'_>, error: EncodeError) -> PyErr {
        let family = match &error {
            EncodeError::ExemplarNotAllowed { family, .. } | EncodeError::TimestampOutOfRange { family, .. } => {
                Some(family.clone())
            }
            EncodeError::NamesCollide { second, .. } => Some(second.clone()),
            _ => None,
        };
        let exception = PyValueError::new_err(error.to_string());
        match self.0.iter().find(|(name, _)| Some(name) == family.as_ref()) {
            Some((_, metric)) => convert::with_metric(exception, metric.bind(py)),
            None => exception,
        }
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
        self.lock().push(Arc::new(Collector { object: collector.clone().unbind(), declared }));
    }

    /// Remove a collector.
    ///
    /// Raises:
    ///     KeyError: It was not added.
    fn remove(&self, collector: &Bound<'_, PyAny>) -> PyResult<()> {
        let gone = {
            let mut collectors = self.lock();
            let index = collectors.iter().position(|known| known.object.is(collector));
            index.map(|index| collectors.remove(index))
        };
        match gone {
            Some(_) => Ok(()),
            None => Err(PyKeyError::new_err(collector.clone().unbind())),
        }
    }

    /// Give the collectors in their order.
    fn collectors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let collectors = self.lock().clone();
        PyList::new(py, collectors.iter().map(|collector| collector.object.bind(py)))
    }

    /// Give all families as `Metric` objects, those of *first* before the others.
    ///
    /// Args:
    ///     with_undeclared: Whether to give also what the store holds of families that only other processes declare, and
    ///         its own metrics.
    ///
    ///     first: Families that come before those of the collectors.
    #[pyo3(signature = (with_undeclared=false, first=None))]
    fn collect<'py>(
        &self,
        py: Python<'py>,
        with_undeclared: bool,
        first: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        enum Given<'py> {
            Native,
            Python(Vec<Bound<'py, PyAny>>),
        }
        let mut given = Vec::new();
        if let Some(first) = first {
            given.push(Given::Python(first.try_iter()?.collect::<PyResult<_>>()?));
        }
        let mut parts = Vec::new();
        let collectors = self.lock().clone();
        for collector in collectors {
            match &collector.declared {
                Some(declared) => {
                    declared.call_functions(py)?;
                    parts.push(Part::Native(Arc::clone(declared)));
                    given.push(Given::Native);
                }
                None => {
                    let families = collector.object.bind(py).call_method0(intern!(py, "collect"))?;
                    given.push(Given::Python(families.try_iter()?.collect::<PyResult<_>>()?));
                }
            }
        }
        let undeclared = with_undeclared.then(|| store::default_store(py).0);
        let parts = Parts { parts, undeclared, with_created: late::use_created(py)?, names: None };
        let mut native = py.detach(|| parts.read()).families.into_iter();
        let metrics = PyList::empty(py);
        for given in given {
            match given {
                Given::Native => {
                    if let Some(snapshot) = native.next() {
                        metrics.append(convert::to_metric(py, &snapshot)?)?;
                    }
                }
                Given::Python(families) => families.into_iter().try_for_each(|family| metrics.append(family))?,
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
    ///     with_undeclared: As for `collect`.
    ///
    ///     first: As for `collect`.
    ///
    /// Returns:
    ///     The content type, the content encoding or None, and the body.
    #[pyo3(signature = (
        accept=None, accept_encoding=None, names=None, compress=true, with_undeclared=false, first=None
    ))]
    #[allow(clippy::too_many_arguments)]
    fn render<'py>(
        &self,
        py: Python<'py>,
        accept: Option<&str>,
        accept_encoding: Option<&str>,
        names: Option<&Bound<'py, PyAny>>,
        compress: bool,
        with_undeclared: bool,
        first: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(&'static str, Option<&'static str>, Bound<'py, PyBytes>)> {
        let (parts, givers) = self.asked(py, names, with_undeclared, first)?;
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
    ///
    ///     with_undeclared: As for `collect`.
    ///
    ///     first: As for `collect`.
    #[pyo3(signature = (escaping="underscores", names=None, with_undeclared=false, first=None))]
    fn render_text<'py>(
        &self,
        py: Python<'py>,
        escaping: &str,
        names: Option<&Bound<'py, PyAny>>,
        with_undeclared: bool,
        first: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (parts, givers) = self.asked(py, names, with_undeclared, first)?;
        write(py, Kind::Text, escaping, || parts.read(), &givers)
    }

    /// Render OpenMetrics 1.0.
    ///
    /// Args:
    ///     escaping: ``allow-utf-8``, ``underscores``, ``dots`` or ``values``.
    ///
    ///     names: Only the samples of these full names.
    ///
    ///     with_undeclared: As for `collect`.
    ///
    ///     first: As for `collect`.
    #[pyo3(signature = (escaping="underscores", names=None, with_undeclared=false, first=None))]
    fn render_openmetrics<'py>(
        &self,
        py: Python<'py>,
        escaping: &str,
        names: Option<&Bound<'py, PyAny>>,
        with_undeclared: bool,
        first: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (parts, givers) = self.asked(py, names, with_undeclared, first)?;
        write(py, Kind::OpenMetrics, escaping, || parts.read(), &givers)
    }
}

impl RegistryCore {
    /// The first half of a scrape.
    ///
    /// # Errors
    /// What a collector or a function raises, and what is wrong with the families it gives.
    fn asked<'py>(
        &self,
        py: Python<'py>,
        only: Option<&Bound<'py, PyAny>>,
        with_undeclared: bool,
        first: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Parts, Givers)> {
        let mut givers = Givers::default();
        let first = first.map(|families| givers.convert(families)).transpose()?.unwrap_or_default();
        let plan = self.plan(py, Asked { names: names(only)?, with_undeclared })?;
        let families = plan.calls(py).map(|call| call.call0()).collect::<PyResult<Vec<_>>>()?;
        let values = plan.functions.iter().map(|(_, function)| float(&function.bind(py).call0()?));
        let values = values.collect::<PyResult<Vec<_>>>()?;
        let parts = plan.finish(py, first, families, values, &mut givers)?;
        Ok((parts, givers))
    }
}

/// The two formats, by the names that `choose_format` has for them.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    OpenMetrics,
}

fn write<'py>(
    py: Python<'py>,
    kind: Kind,
    escaping: &str,
    read: impl FnOnce() -> Snapshot + Send,
    givers: &Givers,
) -> PyResult<Bound<'py, PyBytes>> {
    let escaping = Escaping::parse(escaping);
    let body = py.detach(|| {
        let mut body = Vec::new();
        match kind {
            Kind::Text => text(&read(), escaping, &mut body)?,
            Kind::OpenMetrics => openmetrics(&read(), escaping, &mut body)?,
        }
        Ok(body)
    });
    Ok(PyBytes::new(py, &body.map_err(|error| givers.blame(py, error))?))
}

/// Render families that something like a registry gives.
///
/// Args:
///     families: `Metric` objects.
///
///     escaping: ``allow-utf-8``, ``underscores``, ``dots`` or ``values``.
///
///     kind: ``text`` or ``openmetrics``.
#[pyfunction]
pub(crate) fn render_collectors<'py>(
    py: Python<'py>,
    families: &Bound<'py, PyAny>,
    escaping: &str,
    kind: &str,
) -> PyResult<Bound<'py, PyBytes>> {
    let kind = match kind {
        "text" => Kind::Text,
        "openmetrics" => Kind::OpenMetrics,
        other => return Err(PyValueError::new_err(format!("{other}: no format; there are text and openmetrics"))),
    };
    let mut givers = Givers::default();
    let snapshot = Snapshot { families: givers.convert(families)? };
    write(py, kind, escaping, || snapshot, &givers)
}

/// Say which format the header ``Accept`` asks for.
///
/// Returns:
///     ``text`` or ``openmetrics``, the escaping of names, and the content type.
#[pyfunction]
#[pyo3(signature = (accept))]
pub(crate) fn choose_format(accept: Option<&str>) -> (&'static str, &'static str, &'static str) {
    let format = Format::negotiate(accept);
    let kind = match format {
        Format::OpenMetrics1_0_0 { .. } => "openmetrics",
        _ => "text",
    };
    (kind, format.escaping().as_str(), format.content_type())
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
