//! Families as Python has them, `Metric` and `Sample`, to the model's and back.
//!
//! Towards Rust everything is checked as it comes, since custom collectors give what they like: a value is whatever
//! `float()` takes, and what it refuses raises as `float()` does, with the family added to the exception. Nothing is known
//! here of when a collector is asked.

use std::sync::Arc;

use pyo3::Borrowed;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use tallymark::model::number::Number;
use tallymark::model::{Body, Exemplar, Family, FamilySnapshot, Kind, NativeHistogram, Sample, Span, Timestamp};

use crate::late;
use crate::metric::float;

/// The family as a `Metric`, without samples.
pub(crate) fn describe<'py>(py: Python<'py>, family: &Family) -> PyResult<Bound<'py, PyAny>> {
    late::metric_class(py)?.call1((family.name(), family.help(), family.kind().as_str(), family.unit()))
}

/// The family as a `Metric`.
pub(crate) fn to_metric<'py>(py: Python<'py>, snapshot: &FamilySnapshot) -> PyResult<Bound<'py, PyAny>> {
    let metric = describe(py, &snapshot.family)?;
    let samples = PyList::empty(py);
    for sample in snapshot.samples() {
        samples.append(to_sample(py, &sample.name, &sample)?)?;
    }
    metric.setattr("samples", samples)?;
    Ok(metric)
}

/// A sample of the family with its suffix for a name.
pub(crate) fn suffixed<'py>(py: Python<'py>, family: &Family, sample: &Sample) -> PyResult<Bound<'py, PyAny>> {
    to_sample(py, sample.name.strip_prefix(family.name()).unwrap_or_default(), sample)
}

fn to_sample<'py>(py: Python<'py>, name: &str, sample: &Sample) -> PyResult<Bound<'py, PyAny>> {
    let timestamp = sample.timestamp.map(|timestamp| to_timestamp(py, timestamp)).transpose()?;
    let exemplar = sample.exemplar.as_ref().map(|exemplar| to_exemplar(py, exemplar)).transpose()?;
    let histogram = sample.native_histogram.as_ref().map(|it| to_native_histogram(py, it)).transpose()?;
    let value = histogram.is_none().then_some(sample.value);
    let labels = to_dict(py, &sample.labels)?;
    late::sample_class(py)?.call1((name, labels, value, timestamp, exemplar, histogram))
}

fn to_exemplar<'py>(py: Python<'py>, exemplar: &Exemplar) -> PyResult<Bound<'py, PyAny>> {
    let timestamp = exemplar.timestamp.map(|timestamp| to_timestamp(py, timestamp)).transpose()?;
    late::exemplar_class(py)?.call1((to_dict(py, &exemplar.labels)?, exemplar.value, timestamp))
}

/// The histogram as a `NativeHistogram`; lists that are empty are None.
pub(crate) fn to_native_histogram<'py>(py: Python<'py>, it: &NativeHistogram) -> PyResult<Bound<'py, PyAny>> {
    let spans = |spans: &[Span]| {
        let class = late::bucket_span_class(py)?;
        let spans = spans.iter().map(|span| class.call1((span.offset, span.length))).collect::<PyResult<Vec<_>>>()?;
        (!spans.is_empty()).then(|| PyTuple::new(py, spans)).transpose()
    };
    let deltas = |deltas: &[i64]| (!deltas.is_empty()).then(|| PyTuple::new(py, deltas)).transpose();
    let exemplars = it.exemplars.iter().map(|exemplar| to_exemplar(py, exemplar)).collect::<PyResult<Vec<_>>>()?;
    late::native_histogram_class(py)?.call1((
        to_number(py, it.count)?,
        to_number(py, it.sum)?,
        it.schema,
        to_number(py, it.zero_threshold)?,
        to_number(py, it.zero_count)?,
        spans(&it.positive_spans)?,
        spans(&it.negative_spans)?,
        deltas(&it.positive_deltas)?,
        deltas(&it.negative_deltas)?,
        (!exemplars.is_empty()).then(|| PyTuple::new(py, exemplars)).transpose()?,
    ))
}

/// The number as an int or a float.
pub(crate) fn to_number(py: Python<'_>, number: Number) -> PyResult<Bound<'_, PyAny>> {
    Ok(match number {
        Number::Float(number) => PyFloat::new(py, number).into_any(),
        // Numbers of 64 bits are made several times faster.
        Number::Integer(number) => match i64::try_from(number) {
            Ok(number) => number.into_pyobject(py)?.into_any(),
            Err(_) => number.into_pyobject(py)?.into_any(),
        },
    })
}

/// The moment as a float, an int or a `Timestamp`.
pub(crate) fn to_timestamp(py: Python<'_>, timestamp: Timestamp) -> PyResult<Bound<'_, PyAny>> {
    Ok(match timestamp {
        Timestamp::Seconds(seconds) => PyFloat::new(py, seconds).into_any(),
        Timestamp::WholeSeconds(seconds) => to_number(py, Number::Integer(seconds))?,
        Timestamp::Exact { seconds, nanoseconds } => {
            late::timestamp_class(py)?.call1((to_number(py, Number::Integer(seconds))?, nanoseconds))?
        }
    })
}

fn to_dict<'py>(py: Python<'py>, labels: &[(String, String)]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in labels {
        dict.set_item(name, value)?;
    }
    Ok(dict)
}

/// A family that a custom collector gave.
///
/// # Errors
/// What the conversion of a part raises, with `metric` as the last of the exception's arguments.
pub(crate) fn from_metric(metric: &Bound<'_, PyAny>) -> PyResult<FamilySnapshot> {
    family_of(metric).map_err(|error| with_metric(error, metric))
}

/// The exception, with the family it is about as the last of its arguments.
pub(crate) fn with_metric(error: PyErr, metric: &Bound<'_, PyAny>) -> PyErr {
    let py = metric.py();
    let extend = || -> PyResult<()> {
        let value = error.value(py);
        let mut arguments: Vec<Bound<'_, PyAny>> = value.getattr("args")?.extract()?;
        if arguments.is_empty() {
            arguments.push(PyString::new(py, "").into_any());
        }
        arguments.push(metric.clone());
        value.setattr("args", PyTuple::new(py, arguments)?)
    };
    // An exception that takes no other arguments stays as it is.
    drop(extend());
    error
}

fn family_of(metric: &Bound<'_, PyAny>) -> PyResult<FamilySnapshot> {
    let kind: String = metric.getattr("type")?.extract()?;
    let kind = Kind::parse(&kind).ok_or_else(|| PyValueError::new_err(format!("Invalid metric type: {kind}")))?;
    let name: String = metric.getattr("name")?.extract()?;
    let help = replaceable(&metric.getattr("documentation")?)?;
    // Not every family of another library has one.
    let unit = match metric.getattr_opt("unit")? {
        Some(unit) if unit.is_truthy()? => unit.extract()?,
        _ => String::new(),
    };
    let mut samples = Vec::new();
    for sample in metric.getattr("samples")?.try_iter()? {
        samples.push(sample_of(&sample?)?);
    }
    let family = Family::described(kind, &name, &help, &unit);
    Ok(FamilySnapshot { family: Arc::new(family), body: Body::Samples(samples) })
}

fn sample_of(sample: &Bound<'_, PyAny>) -> PyResult<Sample> {
    let (name, labels, value, timestamp, exemplar, native_histogram);
    match sample.cast::<PyTuple>() {
        Ok(fields) if fields.len() == 6 => {
            name = fields.get_item(0)?;
            labels = fields.get_item(1)?;
            value = fields.get_item(2)?;
            timestamp = fields.get_item(3)?;
            exemplar = fields.get_item(4)?;
            native_histogram = Some(fields.get_item(5)?);
        }
        _ => {
            name = sample.getattr("name")?;
            labels = sample.getattr("labels")?;
            value = sample.getattr("value")?;
            timestamp = sample.getattr("timestamp")?;
            exemplar = sample.getattr("exemplar")?;
            native_histogram = sample.getattr_opt("native_histogram")?;
        }
    }
    let native_histogram = match native_histogram {
        Some(histogram) if histogram.is_truthy()? => Some(Box::new(native_histogram_of(&histogram)?)),
        _ => None,
    };
    Ok(Sample {
        name: name.extract()?,
        labels: if labels.is_truthy()? { label_pairs(&labels)? } else { Vec::new() },
        value: if native_histogram.is_some() { f64::NAN } else { float(&value)? },
        timestamp: timestamp_of(&timestamp)?,
        exemplar: if exemplar.is_truthy()? { Some(exemplar_of(&exemplar)?) } else { None },
        native_histogram,
    })
}

fn native_histogram_of(histogram: &Bound<'_, PyAny>) -> PyResult<NativeHistogram> {
    let number = |name: &str| number_of(&histogram.getattr(name)?);
    // Deltas mean nothing without spans, and are not looked at.
    let buckets = |spans: &str, deltas: &str| -> PyResult<(Vec<Span>, Vec<i64>)> {
        let spans = histogram.getattr(spans)?;
        if !spans.is_truthy()? {
            return Ok((Vec::new(), Vec::new()));
        }
        let spans = spans.try_iter()?.map(|span| {
            let span = span?;
            Ok(Span { offset: span.get_item(0)?.extract()?, length: span.get_item(1)?.extract()? })
        });
        let deltas = histogram.getattr(deltas)?.try_iter()?.map(|delta| delta?.extract());
        Ok((spans.collect::<PyResult<_>>()?, deltas.collect::<PyResult<_>>()?))
    };
    let exemplars = histogram.getattr("nh_exemplars")?;
    let exemplars = if exemplars.is_truthy()? {
        exemplars.try_iter()?.map(|exemplar| exemplar_of(&exemplar?)).collect::<PyResult<_>>()?
    } else {
        Vec::new()
    };
    let (positive_spans, positive_deltas) = buckets("pos_spans", "pos_deltas")?;
    let (negative_spans, negative_deltas) = buckets("neg_spans", "neg_deltas")?;
    Ok(NativeHistogram {
        count: number("count_value")?,
        sum: number("sum_value")?,
        schema: histogram.getattr("schema")?.extract()?,
        zero_threshold: number("zero_threshold")?,
        zero_count: number("zero_count")?,
        positive_spans,
        positive_deltas,
        negative_spans,
        negative_deltas,
        exemplars,
    })
}

/// A number that is written as it is: an int without a point.
fn number_of(number: &Bound<'_, PyAny>) -> PyResult<Number> {
    if number.is_instance_of::<PyInt>() {
        return Ok(Number::Integer(number.extract()?));
    }
    Ok(Number::Float(float(number)?))
}

pub(crate) fn exemplar_of(exemplar: &Bound<'_, PyAny>) -> PyResult<Exemplar> {
    Ok(Exemplar {
        labels: label_pairs(&exemplar.getattr("labels")?)?,
        value: float(&exemplar.getattr("value")?)?,
        timestamp: timestamp_of(&exemplar.getattr("timestamp")?)?,
    })
}

fn timestamp_of(timestamp: &Bound<'_, PyAny>) -> PyResult<Option<Timestamp>> {
    if timestamp.is_none() {
        return Ok(None);
    }
    let py = timestamp.py();
    if timestamp.is_instance_of::<PyInt>() {
        return Ok(Some(Timestamp::WholeSeconds(timestamp.extract()?)));
    }
    if timestamp.is_instance(late::timestamp_class(py)?)? {
        let seconds = timestamp.getattr("sec")?.extract()?;
        let nanoseconds: i64 = timestamp.getattr("nsec")?.extract()?;
        let nanoseconds = u32::try_from(nanoseconds.unsigned_abs())?;
        return Ok(Some(Timestamp::Exact { seconds, nanoseconds }));
    }
    Ok(Some(Timestamp::Seconds(float(timestamp)?)))
}

/// Label names and values of a mapping, in its order.
fn label_pairs(labels: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    match labels.cast::<PyDict>() {
        Ok(labels) => labels.iter().map(|(name, value)| Ok((name.extract()?, replaceable(&value)?))).collect(),
        Err(_) => {
            let items = labels.call_method0("items")?;
            let pair = |item: PyResult<Bound<'_, PyAny>>| {
                let (name, value): (String, Bound<'_, PyAny>) = item?.extract()?;
                Ok((name, replaceable(&value)?))
            };
            items.try_iter()?.map(pair).collect()
        }
    }
}

/// A text that is to be escaped. What is none raises as if its `replace` had been called: so the official client does.
fn replaceable(value: &Bound<'_, PyAny>) -> PyResult<String> {
    match value.cast::<PyString>() {
        Ok(text) => Ok(text.to_str()?.to_owned()),
        Err(_) => {
            value.getattr("replace")?;
            Err(no_text("a label value or documentation", value.as_borrowed()))
        }
    }
}

/// Label names and values of a mapping of strings, in its order.
///
/// # Errors
/// `TypeError` for anything else.
pub(crate) fn pairs(labels: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    let copied;
    let labels = match labels.cast::<PyDict>() {
        Ok(labels) => labels,
        Err(_) if labels.hasattr("keys")? => {
            copied = labels.py().get_type::<PyDict>().call1((labels,))?.cast_into::<PyDict>()?;
            &copied
        }
        Err(_) => {
            return Err(PyTypeError::new_err(format!("labels must be a dict, not {}", labels.get_type().name()?)));
        }
    };
    let text = |what, value: Bound<'_, PyAny>| match value.cast::<PyString>() {
        Ok(text) => Ok(text.to_str()?.to_owned()),
        Err(_) => Err(no_text(what, value.as_borrowed())),
    };
    labels.iter().map(|(name, value)| Ok((text("a label name", name)?, text("a label value", value)?))).collect()
}

fn no_text(what: &str, value: Borrowed<'_, '_, PyAny>) -> PyErr {
    PyTypeError::new_err(match value.get_type().name() {
        Ok(class) => format!("{what} must be str, not {class}"),
        Err(_) => format!("{what} must be str"),
    })
}
