//! `MetricWrapperBase`: what all metrics can be asked: their children, their samples, and what they are.
//!
//! A metric object is empty until `__init__` has run, so that Python subclasses may do as they like before they call
//! `super().__init__()`. What an update does is not known here.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use pyo3::exceptions::{PyAttributeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple, PyType};
use tallymark::metric::Handle;
use tallymark::model::{Body, DEFAULT_BOUNDS, FamilyBuilder, FamilySnapshot, Kind, Sample};
use tallymark::{Counter, Gauge, Histogram, Summary};

use super::{Definition, RegistryArgument, State, reading, text};
use crate::children::Children;
use crate::{convert, late};

/// Common to all metrics: a name, a help text, label names and their children.
///
/// Make a `Counter`, `Gauge`, `Summary`, `Histogram`, `Info` or `Enum`; this class is for ``isinstance``, and for subclasses
/// that have a ``_type`` and say by ``_child_samples`` what their samples are.
#[pyclass(subclass, dict, weakref, frozen, module = "tallymark.metrics")]
pub(crate) struct MetricWrapperBase {
    state: OnceLock<State>,
    /// Whether Python objects count, and no series.
    has_objects: AtomicBool,
}

impl MetricWrapperBase {
    pub(crate) fn empty() -> MetricWrapperBase {
        MetricWrapperBase { state: OnceLock::new(), has_objects: AtomicBool::new(false) }
    }

    pub(crate) fn with_state(state: State) -> MetricWrapperBase {
        MetricWrapperBase { state: OnceLock::from(state), has_objects: AtomicBool::new(false) }
    }

    /// Sets what `__init__` made.
    pub(crate) fn set_state(&self, state: State) -> PyResult<&State> {
        let again = |_| PyTypeError::new_err("__init__() was called before on this metric");
        self.state.set(state).map_err(again)?;
        self.state()
    }

    /// What `__init__` made.
    ///
    /// # Errors
    /// `AttributeError` if it has not run.
    pub(crate) fn state(&self) -> PyResult<&State> {
        let early = || PyAttributeError::new_err("the metric is not there yet: super().__init__() has not been called");
        self.state.get().ok_or_else(early)
    }

    /// Whether Python objects count for this metric: see `python/tallymark/_internals.py`.
    pub(crate) fn counts_by_objects(&self) -> bool {
        self.has_objects.load(Ordering::Relaxed)
    }

    /// # Errors
    /// `ValueError` for a labelled metric that is no child.
    pub(crate) fn observable(&self) -> PyResult<()> {
        self.state()?.observable_labels().map(|_| ())
    }

    /// `type:name`, as error messages have it.
    fn title(state: &State) -> String {
        format!("{}:{}", state.kind(), state.declared.family.definition().name())
    }

    /// The state of a metric that has label names and is no child.
    fn parent<'a>(slf: &'a Bound<'_, Self>) -> PyResult<(&'a State, &'a Children)> {
        let state = slf.get().state()?;
        match state.children() {
            Some(children) => Ok((state, children)),
            None => Err(Self::no_parent(slf.py(), state, "chain calls to .labels()")),
        }
    }

    /// Why a metric has no children, and so cannot do what was asked.
    #[cold]
    fn no_parent(py: Python<'_>, state: &State, asked: &str) -> PyErr {
        let title = Self::title(state);
        if !state.has_label_names() {
            return PyValueError::new_err(format!("No label names were set when constructing {title}"));
        }
        let names = state.declared.family.definition().label_names();
        let set = PyDict::new(py);
        for (name, value) in names.iter().zip(state.label_values()) {
            if let Err(error) = set.set_item(&**name, &**value) {
                return error;
            }
        }
        PyValueError::new_err(format!("{title} already has labels set ({set}); can not {asked}"))
    }

    /// The state and the children of a metric from which series can be removed.
    fn remover<'a>(slf: &'a Bound<'_, Self>) -> PyResult<(&'a State, &'a Children)> {
        let state = slf.get().state()?;
        match state.children() {
            Some(children) => Ok((state, children)),
            None => Err(Self::no_parent(slf.py(), state, "remove series, the metric it is a child of can")),
        }
    }

    /// The texts of label values that `remove` was given, in the order of the label names.
    fn values_to_remove<'py>(state: &State, values: &Bound<'py, PyTuple>) -> PyResult<Vec<Bound<'py, PyString>>> {
        let expected = state.declared.family.definition().label_names().len();
        if values.len() != expected {
            let problem = format!("Incorrect label count (expected {expected}, got {})", values.repr()?);
            return Err(PyValueError::new_err(problem));
        }
        values.iter().map(|value| text(&value)).collect()
    }

    /// Removes the series that have these values at these places, here and in the store, and the children for them.
    fn remove_where((state, children): (&State, &Children), wanted: &[(usize, String)]) {
        let wanted: Vec<(usize, &str)> = wanted.iter().map(|(place, value)| (*place, &**value)).collect();
        // The series first: whoever makes a child meanwhile sees that its series is removed, and makes another.
        state.remove_where(&wanted);
        children.remove_where(&wanted);
    }
}

#[pymethods]
impl MetricWrapperBase {
    #[classattr]
    #[pyo3(name = "_type")]
    const TYPE: Option<&'static str> = None;

    #[classattr]
    #[pyo3(name = "_reserved_labelnames")]
    fn reserved_labelnames(py: Python<'_>) -> Bound<'_, PyTuple> {
        PyTuple::empty(py)
    }

    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = None)]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> MetricWrapperBase {
        MetricWrapperBase::empty()
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
        let own_type: Option<String> = slf.getattr("_type")?.extract()?;
        let Some(kind) = own_type.as_deref().and_then(Kind::parse) else {
            let advice = "MetricWrapperBase is what metrics have in common; make a Counter, Gauge, Summary, Histogram, Info \
                          or Enum, or a subclass that has a _type and says what its samples are";
            return Err(PyTypeError::new_err(advice));
        };
        // Its samples are a subclass's own business, and so are its buckets and states.
        let details = |builder: FamilyBuilder| match kind {
            Kind::Histogram | Kind::GaugeHistogram => builder.bounds(DEFAULT_BOUNDS),
            Kind::StateSet => builder.states(["unknown"]),
            _ => builder,
        };
        Definition { name, documentation, labelnames, namespace, subsystem, unit, registry, labelvalues }.init_base(
            slf,
            kind,
            PyDict::new(slf.py()),
            (false, false),
            details,
        )
    }

    /// Give the child for these label values, the same object for the same values.
    ///
    /// Hold on to the child where it is used often: that saves the look-up. Where the store's ``max_series`` allows no
    /// further series it is the child whose label values are all ``overflow``, for all label sets alike.
    ///
    /// Args:
    ///     *labelvalues: One value for each label name, in their order; `str()` is taken of what is no string.
    ///
    ///     **labelkwargs: The same by name.
    ///
    /// Raises:
    ///     ValueError: The metric has no label names, is a child, or has other label names.
    ///
    /// Example:
    ///     >>> from tallymark import Counter
    ///     >>> requests = Counter("requests", "Requests.", ["method", "path"], registry=None)
    ///     >>> requests.labels("get", "/").inc()
    ///     >>> requests.labels(path="/", method="get") is requests.labels("get", "/")
    ///     True
    #[pyo3(signature = (*labelvalues, **labelkwargs))]
    fn labels(
        slf: &Bound<'_, Self>,
        labelvalues: &Bound<'_, PyTuple>,
        labelkwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<MetricWrapperBase>> {
        let (state, children) = Self::parent(slf)?;
        match labelkwargs {
            Some(given) if !given.is_empty() => {
                if !labelvalues.is_empty() {
                    return Err(PyValueError::new_err("Can't pass both *args and **kwargs"));
                }
                children.by_name(slf, state, given)
            }
            _ => children.by_position(slf, state, labelvalues),
        }
    }

    /// Remove the series of these label values, in every process that shares the store.
    ///
    /// Nothing happens if there is none, as for a label set that counts in the overflow series. Children in hand count
    /// nowhere from now on.
    ///
    /// Args:
    ///     *labelvalues: One value for each label name, in their order.
    ///
    /// Raises:
    ///     ValueError: The metric has no label names, or not as many.
    #[pyo3(signature = (*labelvalues))]
    fn remove(slf: &Bound<'_, Self>, labelvalues: &Bound<'_, PyTuple>) -> PyResult<()> {
        let remover = Self::remover(slf)?;
        let values = Self::values_to_remove(remover.0, labelvalues)?;
        let values = values.iter().map(|value| value.to_str().map(str::to_owned)).collect::<PyResult<Vec<_>>>()?;
        Self::remove_where(remover, &values.into_iter().enumerate().collect::<Vec<_>>());
        Ok(())
    }

    /// Remove every series that has all of these labels, in every process that shares the store.
    ///
    /// Args:
    ///     labels: Label names and values; the label names that are not there may have any value.
    ///
    /// Raises:
    ///     TypeError: *labels* is no dict.
    ///     ValueError: The metric has no label names, or not these.
    fn remove_by_labels(slf: &Bound<'_, Self>, labels: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let remover = Self::remover(slf)?;
        let shape = |_| PyTypeError::new_err("labels must be a dict of {label_name: label_value}");
        let labels = labels.cast::<PyDict>().map_err(shape)?;
        if labels.is_empty() {
            return Ok(());
        }
        let names = remover.0.declared.family.definition().label_names();
        let (mut wanted, unknown) = (Vec::new(), PyList::empty(py));
        for (name, value) in labels.iter() {
            let known = name.extract::<String>().ok();
            match known.and_then(|name| names.iter().position(|known| **known == *name)) {
                Some(place) => wanted.push((place, text(&value)?.to_str()?.to_owned())),
                None => unknown.append(name)?,
            }
        }
        if !unknown.is_empty() {
            let expected = PyTuple::new(py, names.iter().map(|name| &**name))?;
            return Err(PyValueError::new_err(format!("Unknown label names: {unknown}; expected {expected}")));
        }
        Self::remove_where(remover, &wanted);
        Ok(())
    }

    /// Remove every series, in every process that shares the store. Does nothing if the metric has no label names.
    fn clear(slf: &Bound<'_, Self>) -> PyResult<()> {
        if slf.get().state()?.has_label_names() {
            Self::remove_where(Self::remover(slf)?, &[]);
        }
        Ok(())
    }

    /// Give the family without samples.
    fn _get_metric<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::describe(py, self.state()?.declared.family.definition())
    }

    /// Give the family without samples, in a list.
    fn describe<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let family = slf.get().state()?.declared.family.definition();
        PyList::new(slf.py(), [convert::describe(slf.py(), family)?])
    }

    /// Give the family with the values it has now, in a list.
    ///
    /// With a shared store these are the values of all processes.
    fn collect<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let py = slf.py();
        let state = slf.get().state()?;
        if !state.arguments.overrides && !state.declared.has_objects.load(Ordering::Relaxed) {
            let snapshot = match state.label_values() {
                [] => state.snapshot(py)?,
                _ => FamilySnapshot {
                    family: Arc::clone(state.declared.family.definition()),
                    body: Body::Samples(state.own_samples(py)?),
                },
            };
            return PyList::new(py, [convert::to_metric(py, &snapshot)?]);
        }
        let metric = convert::describe(py, state.declared.family.definition())?;
        let add = metric.getattr("add_sample")?;
        for sample in slf.call_method0("_samples")?.try_iter()? {
            let mut fields: Vec<Bound<'py, PyAny>> = sample?.try_iter()?.collect::<PyResult<_>>()?;
            let Some(suffix) = fields.first_mut() else { continue };
            let name = format!("{}{}", state.declared.family.definition().name(), suffix.extract::<String>()?);
            *suffix = PyString::new(py, &name).into_any();
            add.call1(PyTuple::new(py, fields)?)?;
        }
        PyList::new(py, [metric])
    }

    fn __str__(&self) -> PyResult<String> {
        Ok(Self::title(self.state()?))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let class = slf.get_type();
        let module = class.getattr("__module__")?;
        let name = match slf.get().state.get() {
            Some(state) => state.declared.family.definition().name().to_owned(),
            None => "not there yet".to_owned(),
        };
        Ok(format!("{module}.{}({name})", class.name()?))
    }

    #[getter]
    fn _name(&self) -> PyResult<&str> {
        Ok(self.state()?.declared.family.definition().name())
    }

    #[getter]
    fn _documentation(&self) -> PyResult<&str> {
        Ok(self.state()?.declared.family.definition().help())
    }

    #[getter]
    fn _unit(&self) -> PyResult<&str> {
        Ok(self.state()?.declared.family.definition().unit())
    }

    #[getter]
    fn _original_name(&self) -> PyResult<&str> {
        Ok(&self.state()?.arguments.name)
    }

    #[getter]
    fn _namespace(&self) -> PyResult<&str> {
        Ok(&self.state()?.arguments.namespace)
    }

    #[getter]
    fn _subsystem(&self) -> PyResult<&str> {
        Ok(&self.state()?.arguments.subsystem)
    }

    #[getter]
    fn _labelnames<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        Ok(self.state()?.arguments.label_names.bind(py).clone())
    }

    #[getter]
    fn _labelvalues<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.state()?.label_values().iter().map(|value| &**value))
    }

    /// What children of a subclass are made with besides.
    #[getter]
    fn _kwargs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        Ok(self.state()?.arguments.kwargs.bind(py).clone())
    }

    /// Give the children, in order of creation.
    fn _children(&self, py: Python<'_>) -> PyResult<Vec<Py<MetricWrapperBase>>> {
        let state = self.state()?;
        match state.children() {
            Some(children) => Ok(children.list(py, &state.declared.family)),
            None => Err(PyAttributeError::new_err("a metric without label names, or a child, has no children")),
        }
    }

    /// Give the child for these label values, None if there is none.
    fn _child(&self, py: Python<'_>, labelvalues: Vec<String>) -> PyResult<Option<Py<MetricWrapperBase>>> {
        Ok(self.state()?.children().and_then(|children| children.get(py, &labelvalues)))
    }

    /// Give what this process has counted of the metric itself.
    ///
    /// Args:
    ///     part: ``value``, ``count``, ``sum``, ``bucket`` or ``created``.
    ///
    ///     bucket: Which bucket; its count is not cumulative.
    #[pyo3(signature = (part, bucket=0))]
    fn _local(&self, py: Python<'_>, part: &str, bucket: usize) -> PyResult<f64> {
        let state = self.state()?;
        let series = state.series(py)?;
        let unknown = || PyValueError::new_err(format!("a {} has no {part} {bucket}", state.kind()));
        if part == "created" {
            return Ok(series.created());
        }
        match (state.kind(), part) {
            (Kind::Counter, "value") => Ok(Counter::new(series).local()),
            (Kind::Gauge, "value") => Ok(Gauge::new(series).local()),
            (Kind::Summary, "count") => Ok(Summary::new(series).local().0 as f64),
            (Kind::Summary, "sum") => Ok(Summary::new(series).local().1),
            (Kind::Histogram, "sum") => Ok(Histogram::new(series).local().1),
            (Kind::Histogram, "bucket") => {
                let counts = Histogram::new(series).local().0;
                counts.get(bucket).map(|count| *count as f64).ok_or_else(unknown)
            }
            _ => Err(unknown()),
        }
    }

    /// Add to one part of a summary or a histogram by itself.
    ///
    /// Args:
    ///     part: ``count``, ``sum`` or ``bucket``.
    ///
    ///     bucket: Which bucket.
    ///
    ///     amount: What to add; a whole number unless it is the sum.
    fn _add_local(&self, py: Python<'_>, part: &str, bucket: usize, amount: f64) -> PyResult<()> {
        let state = self.state()?;
        let series = state.series(py)?;
        // 2⁵³: above it a float is no count.
        let is_whole = (0.0..=9_007_199_254_740_992.0).contains(&amount) && amount.fract() == 0.0;
        // CAST: whole, and in range.
        let times = amount as u64;
        match (state.kind(), part) {
            (Kind::Summary, "sum") => Summary::new(series).observe_many(0, amount),
            (Kind::Histogram, "sum") => Histogram::new(series).observe_many(None, 0, amount),
            (Kind::Summary, "count") if is_whole => Summary::new(series).observe_many(times, 0.0),
            (Kind::Histogram, "bucket") if is_whole => Histogram::new(series).observe_many(Some(bucket), times, 0.0),
            (kind, _) => {
                return Err(PyValueError::new_err(format!("the {part} of a {kind} cannot change by {amount}")));
            }
        }
        Ok(())
    }

    /// Say that the metric itself was created at this time, in the store too, if that is earlier than what they know.
    ///
    /// Args:
    ///     created: Seconds since the Unix epoch.
    fn _backdate(&self, py: Python<'_>, created: f64) -> PyResult<()> {
        self.state()?.series(py)?.backdate(created);
        Ok(())
    }

    /// Keep an exemplar of a counter, or of a bucket.
    fn _set_local_exemplar(&self, py: Python<'_>, bucket: usize, exemplar: &Bound<'_, PyAny>) -> PyResult<()> {
        let state = self.state()?;
        let series = state.series(py)?;
        let exemplar = convert::exemplar_of(exemplar)?;
        match state.kind() {
            Kind::Counter => Counter::new(series).set_exemplar(&exemplar),
            Kind::Histogram => Histogram::new(series).set_exemplar(bucket, &exemplar),
            kind => return Err(PyValueError::new_err(format!("a {kind} has no exemplars"))),
        }
        Ok(())
    }

    /// Start every series again at zero, in every process that shares the store.
    fn _start_again(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let state = slf.get().state()?;
        let now = late::time(py)?;
        state.declared.reset_at(now);
        if state.declared.has_objects.load(Ordering::Relaxed) {
            late::internals(py)?.call_method1("start_again", (slf, now))?;
        }
        Ok(())
    }

    /// Let Python objects count from now on.
    ///
    /// Raises:
    ///     AttributeError: A series counts already.
    fn _count_by_objects(slf: &Bound<'_, Self>) -> PyResult<()> {
        let base = slf.get();
        if base.state.get().is_some_and(|state| state.has_series() || state.is_identified()) {
            let problem = "the metric counts natively already; assign tallymark.values.ValueClass before it is made, or \
                           override _metric_init";
            return Err(PyAttributeError::new_err(problem));
        }
        base.has_objects.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Whether Python objects count.
    fn _counts_by_objects(&self) -> bool {
        self.counts_by_objects()
    }

    fn _is_observable(&self) -> PyResult<bool> {
        Ok(self.state()?.children().is_none())
    }

    fn _is_parent(&self) -> PyResult<bool> {
        Ok(self.state()?.children().is_some())
    }

    fn _raise_if_not_observable(&self) -> PyResult<()> {
        self.observable()
    }

    /// Called once an observable metric is there; subclasses put what they need here.
    fn _metric_init(slf: &Bound<'_, Self>) -> PyResult<()> {
        if slf.get().state()?.arguments.has_objects {
            late::internals(slf.py())?.call_method1("init", (slf,))?;
        }
        Ok(())
    }

    /// Give the samples with their suffixes for names: those of the children, or the metric's own.
    fn _samples<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        match slf.get().state()?.children() {
            Some(_) => slf.call_method0("_multi_samples"),
            None => slf.call_method0("_child_samples"),
        }
    }

    /// Give the children's samples, with the children's labels; and those of label sets that only other processes have.
    fn _multi_samples<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let py = slf.py();
        let (state, children) = Self::parent(slf)?;
        let names = state.declared.family.definition().label_names();
        let samples = PyList::empty(py);
        let reading = Arc::new(state.reading(py)?);
        let _shared = reading::share(&state.declared, &reading);
        let children = children.list(py, &state.declared.family);
        for child in &children {
            for sample in child.bind(py).call_method0("_samples")?.try_iter()? {
                let sample = sample?;
                let labels = PyDict::new(py);
                for (name, value) in names.iter().zip(child.get().state()?.label_values()) {
                    labels.set_item(&**name, &**value)?;
                }
                labels.update(sample.getattr("labels")?.cast()?)?;
                let replaced = PyDict::new(py);
                replaced.set_item("labels", labels)?;
                samples.append(sample.call_method("_replace", (), Some(&replaced))?)?;
            }
        }
        let values_of = |child: &Py<MetricWrapperBase>| child.get().state().map(|state| state.label_values().to_vec());
        let known: HashSet<Vec<Box<str>>> = children.iter().map(values_of).collect::<PyResult<_>>()?;
        for (values, others) in reading.groups().filter(|(values, _)| !known.contains(*values)) {
            let labels = names.iter().map(|name| (**name).to_owned()).zip(values.iter().map(|it| it.to_string()));
            for sample in others {
                let labels = labels.clone().chain(sample.labels.iter().cloned()).collect();
                let sample = Sample { labels, ..sample.clone() };
                samples.append(convert::suffixed(py, state.declared.family.definition(), &sample)?)?;
            }
        }
        Ok(samples)
    }

    /// Give the metric's own samples, with their suffixes for names and without its labels.
    fn _child_samples<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let state = slf.get().state()?;
        state.observable_labels()?;
        if slf.get().counts_by_objects() {
            return late::internals(py)?.call_method1("samples", (slf,));
        }
        let definition = state.declared.family.definition();
        let samples = state.own_samples(py)?;
        let samples = samples.iter().map(|sample| convert::suffixed(py, definition, sample));
        Ok(PyTuple::new(py, samples.collect::<PyResult<Vec<_>>>()?)?.into_any())
    }
}

/// Whether a Python subclass says itself what its samples are.
pub(crate) fn overrides(class: &Bound<'_, PyType>) -> PyResult<bool> {
    let py = class.py();
    let base = py.get_type::<MetricWrapperBase>();
    for method in ["collect", "_samples", "_multi_samples", "_child_samples", "_metric_init"] {
        if !class.getattr(method)?.is(&base.getattr(method)?) {
            return Ok(true);
        }
    }
    Ok(false)
}
