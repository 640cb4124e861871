//! Expositions to `Metric` objects, one family at a time.
//!
//! What a line means is the model's business; here its samples become Python's as soon as they are read, so that nothing
//! is kept of the text but the objects that come of it. Lines are asked for when they are needed, and no earlier.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyList, PyString, PyTuple, PyType};
use tallymark::model::number::Number;
use tallymark::model::parse::{self, Content, Head, Label, OpenMetricsReader, Reader, Sample, TextReader};

use crate::late::{self, Cached};
use crate::{convert, error};

/// An iterator over the families of an exposition.
///
/// Args:
///     source: The text, or an iterable of its lines.
///
///     kind: ``text`` or ``openmetrics``.
///
///     parse_sample: What reads the lines of the text format that are samples, None for the native parser.
///
/// Raises:
///     ValueError: At the first line that is no part of an exposition, once the families before it have been given.
#[pyclass(module = "tallymark._tallymark")]
pub(crate) struct Families {
    source: Source,
    /// None once there is nothing more to give.
    reader: Option<Reader>,
    parse_sample: Option<Py<PyAny>>,
    /// The samples of the family that is being read.
    samples: Vec<Py<PyAny>>,
    /// What a line gave besides the family that it ended.
    next: Option<PyResult<Py<PyAny>>>,
    texts: Texts,
}

enum Source {
    /// A whole text, and how far it has been read.
    Text(Py<PyString>, usize),
    /// Whatever gives lines.
    Lines(Py<PyIterator>),
}

#[pymethods]
impl Families {
    #[new]
    #[pyo3(signature = (source, kind, parse_sample=None))]
    fn new(source: &Bound<'_, PyAny>, kind: &str, parse_sample: Option<Py<PyAny>>) -> PyResult<Families> {
        let source = match source.cast::<PyString>() {
            Ok(text) => Source::Text(text.clone().unbind(), 0),
            Err(_) if source.is_instance_of::<PyBytes>() => {
                return Err(PyTypeError::new_err("an exposition must be str, not bytes; decode it"));
            }
            Err(_) => Source::Lines(source.try_iter()?.unbind()),
        };
        let reader = match kind {
            "text" => Reader::Text(TextReader::new()),
            "openmetrics" => Reader::OpenMetrics(OpenMetricsReader::new()),
            other => return Err(PyValueError::new_err(format!("{other}: no format; there are text and openmetrics"))),
        };
        Ok(Families {
            source,
            reader: Some(reader),
            parse_sample,
            samples: Vec::new(),
            next: None,
            texts: Texts::default(),
        })
    }

    fn __iter__(families: PyRef<'_, Self>) -> PyRef<'_, Self> {
        families
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let read = self.read(py);
        if !matches!(read, Ok(Some(_))) {
            self.reader = None;
        }
        Ok(read?.map(|family| family.into_bound(py)))
    }
}

impl Families {
    fn read(&mut self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        if let Some(next) = self.next.take() {
            return next.map(Some);
        }
        let Families { source, reader, parse_sample, samples, next, texts } = self;
        let Some(reader) = reader else { return Ok(None) };
        reader.set_legacy(late::legacy_names(py)?);
        let mut family = Family { py, parse_sample: parse_sample.as_ref(), samples, next, texts };
        match source {
            Source::Text(text, at) => {
                let text = text.bind(py).to_str()?;
                while *at < text.len() {
                    let rest = &text[*at..];
                    let line = &rest[..rest.find('\n').map_or(rest.len(), |end| end + 1)];
                    *at += line.len();
                    if let Some(ended) = family.line(reader, line)? {
                        return Ok(Some(ended));
                    }
                }
            }
            Source::Lines(lines) => {
                for line in lines.bind(py) {
                    let line = line?;
                    let Ok(line) = line.cast::<PyString>() else {
                        let class = line.get_type().name()?;
                        return Err(PyTypeError::new_err(format!("a line must be str, not {class}; decode it")));
                    };
                    if let Some(ended) = family.line(reader, line.to_str()?)? {
                        return Ok(Some(ended));
                    }
                }
            }
        }
        match reader.end().map_err(error::refused)? {
            Some(head) => family.end(head).map(Some),
            None => Ok(None),
        }
    }
}

/// The family that is being read, as far as it is Python's.
struct Family<'a, 'py> {
    py: Python<'py>,
    parse_sample: Option<&'a Py<PyAny>>,
    samples: &'a mut Vec<Py<PyAny>>,
    next: &'a mut Option<PyResult<Py<PyAny>>>,
    texts: &'a mut Texts,
}

impl Family<'_, '_> {
    /// Takes a line; gives the family that it ends, or that it is.
    fn line(&mut self, reader: &mut Reader, line: &str) -> PyResult<Option<Py<PyAny>>> {
        let py = self.py;
        let (mut theirs, mut step) = (None, None);
        if let (Reader::Text(reader), Some(parse_sample)) = (&mut *reader, self.parse_sample)
            && let Some(line) = TextReader::sample_in(line)
        {
            let sample = parse_sample.bind(py).call1((line,))?;
            let name: String = sample.getattr("name")?.extract()?;
            (theirs, step) = (Some(sample.unbind()), Some(reader.sample_line(named(name))));
        }
        let step = step.unwrap_or_else(|| reader.line(line));
        let ended = step.ended.map(|head| self.end(head)).transpose()?;
        let single = match step.content {
            Ok(Content::Nothing) => None,
            Ok(Content::Sample(read)) => {
                let sample = theirs.map_or_else(|| self.texts.sample(py, &read), Ok)?;
                self.samples.push(sample);
                None
            }
            Ok(Content::Single(read)) => {
                let sample = theirs.map_or_else(|| self.texts.sample(py, &read), Ok)?;
                Some(metric(py, Head::unknown(read.name.into_owned()), vec![sample]))
            }
            Err(error) => Some(Err(error::refused(error))),
        };
        match ended {
            None => single.transpose(),
            Some(ended) => {
                *self.next = single;
                Ok(Some(ended))
            }
        }
    }

    fn end(&mut self, head: Head) -> PyResult<Py<PyAny>> {
        let mut samples = std::mem::take(self.samples);
        if head.lacks_total {
            for sample in &mut samples {
                *sample = with_total(sample.bind(self.py))?;
            }
        }
        metric(self.py, head, samples)
    }
}

/// A sample of which nothing is known but the name.
fn named<'a>(name: String) -> Sample<'a> {
    Sample {
        name: name.into(),
        labels: Vec::new(),
        value: Number::Float(f64::NAN),
        timestamp: None,
        exemplar: None,
        native_histogram: None,
    }
}

fn metric(py: Python<'_>, head: Head, samples: Vec<Py<PyAny>>) -> PyResult<Py<PyAny>> {
    let class = late::metric_class(py)?;
    let metric = class.call1((head.name, head.help, head.kind.as_str(), head.unit))?;
    metric.setattr("samples", PyList::new(py, samples)?)?;
    Ok(metric.unbind())
}

/// The sample under its name with `_total`.
fn with_total(sample: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let py = sample.py();
    let mut fields: Vec<Bound<'_, PyAny>> = sample.try_iter()?.collect::<PyResult<_>>()?;
    if let Some(name) = fields.first_mut() {
        *name = name.add("_total")?;
    }
    late::sample_class(py)?.call1(PyTuple::new(py, fields)?).map(Bound::unbind)
}

/// A `NamedTuple` of these fields, all of them: the class's own `__new__`, which is Python, would only sort them.
fn named_tuple<'py>(class: &Bound<'py, PyType>, fields: Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
    static NEW: Cached<PyAny> = Cached::new();
    let py = class.py();
    NEW.get_or(py, || py.get_type::<PyTuple>().getattr("__new__"))?.call1((class, fields))
}

/// How many texts are kept of each kind; a power of two. There are seldom more in turn, and what is lost is made again.
const KEPT: usize = 256;

/// Texts that come again and again, as one object each. Values are many, and must not drive out the names.
#[derive(Default)]
struct Texts {
    names: Kept,
    values: Kept,
}

#[derive(Default)]
struct Kept(Vec<Option<Py<PyString>>>);

impl Kept {
    fn get<'py>(&mut self, py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyString>> {
        self.0.resize_with(KEPT, || None);
        // Texts of one exposition differ at their ends.
        let mix = |hash: usize, byte: u8| hash.wrapping_mul(31).wrapping_add(byte.into());
        let hash = text.bytes().rev().take(8).fold(text.len(), mix);
        let kept = &mut self.0[hash % KEPT];
        if let Some(known) = kept
            && known.bind(py).to_str()? == text
        {
            return Ok(known.bind(py).clone());
        }
        let new = PyString::new(py, text);
        *kept = Some(new.clone().unbind());
        Ok(new)
    }
}

impl Texts {
    fn labels<'py>(&mut self, py: Python<'py>, labels: &[Label<'_>]) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, value) in labels {
            dict.set_item(self.names.get(py, name)?, self.values.get(py, value)?)?;
        }
        Ok(dict)
    }

    /// The sample as Python has it: labels of a native histogram are None if there are none, its value is None.
    fn sample(&mut self, py: Python<'_>, sample: &Sample<'_>) -> PyResult<Py<PyAny>> {
        let none = || py.None().into_bound(py);
        let timestamp = |timestamp| match timestamp {
            Some(timestamp) => convert::to_timestamp(py, timestamp),
            None => Ok(none()),
        };
        let exemplar = match &sample.exemplar {
            Some(exemplar) => {
                let labels = self.labels(py, &exemplar.labels)?.into_any();
                let fields = [labels, convert::to_number(py, exemplar.value)?, timestamp(exemplar.timestamp)?];
                named_tuple(late::exemplar_class(py)?, PyTuple::new(py, fields)?)?
            }
            None => none(),
        };
        let (labels, value, histogram) = match &sample.native_histogram {
            Some(histogram) => {
                let histogram = convert::to_native_histogram(py, histogram)?;
                let labels =
                    if sample.labels.is_empty() { none() } else { self.labels(py, &sample.labels)?.into_any() };
                (labels, none(), histogram)
            }
            None => (self.labels(py, &sample.labels)?.into_any(), convert::to_number(py, sample.value)?, none()),
        };
        let name = self.names.get(py, &sample.name)?.into_any();
        let fields = PyTuple::new(py, [name, labels, value, timestamp(sample.timestamp)?, exemplar, histogram])?;
        named_tuple(late::sample_class(py)?, fields).map(Bound::unbind)
    }
}

/// Read what stands between the braces of a sample.
///
/// Args:
///     labels_string: The labels, without the braces.
///
///     openmetrics: Whether to be as strict as OpenMetrics is.
///
/// Raises:
///     ValueError: These are no labels.
#[pyfunction]
#[pyo3(signature = (labels_string, openmetrics=false))]
pub(crate) fn parse_labels<'py>(
    py: Python<'py>,
    labels_string: &str,
    openmetrics: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let labels = parse::labels(labels_string, openmetrics, late::legacy_names(py)?);
    let labels = labels.map_err(|reason| error::refused(format!("Invalid labels: {labels_string}: {reason}")))?;
    Texts::default().labels(py, &labels)
}

/// Read a line of the text format that is a sample.
#[pyfunction]
pub(crate) fn parse_text_sample(py: Python<'_>, text: &str) -> PyResult<Py<PyAny>> {
    let sample = parse::text_sample(text, late::legacy_names(py)?).map_err(error::refused)?;
    Texts::default().sample(py, &sample)
}

/// Read a line of OpenMetrics that is a sample.
#[pyfunction]
pub(crate) fn parse_openmetrics_sample(py: Python<'_>, text: &str) -> PyResult<Py<PyAny>> {
    let sample = parse::openmetrics_sample(text, late::legacy_names(py)?).map_err(error::refused)?;
    Texts::default().sample(py, &sample)
}
