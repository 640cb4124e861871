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
use tallymark::model::{Body, Exemplar, Family, FamilySnapshot, Kind, Sample, Timestamp};

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
    let exemplar = match &sample.exemplar {
        Some(exemplar) => {
            let labels = to_dict(py, &exemplar.labels)?;
            Some(late::exemplar_class(py)?.call1((labels, exemplar.value, exemplar.timestamp))?)
        }
        None => None,
    };
    late::sample_class(py)?.call1((name, to_dict(py, &sample.labels)?, sample.value, timestamp, exemplar))
}

fn to_timestamp(py: Python<'_>, timestamp: Timestamp) -> PyResult<Bound<'_, PyAny>> {
    Ok(match timestamp {
        Timestamp::Seconds(seconds) => PyFloat::new(py, seconds).into_any(),
        Timestamp::WholeSeconds(seconds) => seconds.into_pyobject(py)?.into_any(),
        Timestamp::Exact { seconds, nanoseconds } => late::timestamp_class(py)?.call1((seconds, nanoseconds))?,
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
        samples.extend(sample_of(&sample?)?);
    }
    let family = Family::described(kind, &name, &help, &unit);
    Ok(FamilySnapshot { family: Arc::new(family), body: Body::Samples(samples) })
}

/// The sample; None for a native histogram, which no format that is written has.
fn sample_of(sample: &Bound<'_, PyAny>) -> PyResult<Option<Sample>> {
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
    if let Some(native_histogram) = native_histogram
        && native_histogram.is_truthy()?
    {
        return Ok(None);
    }
    Ok(Some(Sample {
        name: name.extract()?,
        labels: if labels.is_truthy()? { label_pairs(&labels)? } else { Vec::new() },
        value: float(&value)?,
        timestamp: timestamp_of(&timestamp)?,
        exemplar: if exemplar.is_truthy()? { Some(exemplar_of(&exemplar)?) } else { None },
    }))
}

fn exemplar_of(exemplar: &Bound<'_, PyAny>) -> PyResult<Exemplar> {
    let timestamp = exemplar.getattr("timestamp")?;
    Ok(Exemplar {
        labels: label_pairs(&exemplar.getattr("labels")?)?,
        value: float(&exemplar.getattr("value")?)?,
        timestamp: if timestamp.is_none() { None } else { Some(float(&timestamp)?) },
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

/// Label names and values of a dict of strings, in its order.
///
/// # Errors
/// `TypeError` for anything else.
pub(crate) fn pairs(labels: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    let Ok(labels) = labels.cast::<PyDict>() else {
        return Err(PyTypeError::new_err(format!("labels must be a dict, not {}", labels.get_type().name()?)));
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
