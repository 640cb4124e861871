//! OpenMetrics: every type under its own name, units, exemplars, and `# EOF`.
//!
//! Nothing is moved here, and nothing renamed but the samples of a bare counter, which get `_total`. The order of metadata
//! is the official client's (HELP, TYPE, UNIT), times are written as they came in, and samples stay in the order of the
//! family. A unit is left out where the name, as it is written, does not end in it. Version 2.0 is what the official client
//! makes of it: version 1.0, with native histograms.

use super::{EncodeError, all_or_nothing, lines::Lines};
use crate::{
    Body, Escaping, Family, FamilySnapshot, Kind, Sample, Snapshot,
    escape::push_escaped,
    line::{created, for_each_line},
};

/// Appends the snapshot as OpenMetrics 1.0 text.
///
/// ```
/// use tallymark_model::{Escaping, Snapshot, encode};
/// let mut out = Vec::new();
/// encode::openmetrics(&Snapshot::default(), Escaping::AllowUtf8, &mut out)?;
/// assert_eq!(out, b"# EOF\n");
/// # Ok::<(), encode::EncodeError>(())
/// ```
///
/// # Errors
/// [`EncodeError`]; `out` is then as it was.
pub fn openmetrics(snapshot: &Snapshot, escaping: Escaping, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    write(snapshot, escaping, Native::LeftOut, out)
}

/// Appends the snapshot as OpenMetrics 2.0 text: as [`openmetrics`] does, and samples that are native histograms.
///
/// ```
/// # use std::sync::Arc;
/// use tallymark_model::{Body, Escaping, Family, FamilySnapshot, Kind, NativeHistogram, Sample, Snapshot};
/// use tallymark_model::{encode, number::Number};
///
/// let histogram = NativeHistogram::new(Number::Integer(2), Number::Float(0.5), 3);
/// let sample = Sample {
///     name: "latency".to_owned(),
///     labels: Vec::new(),
///     value: f64::NAN,
///     timestamp: None,
///     exemplar: None,
///     native_histogram: Some(Box::new(histogram)),
/// };
/// let family = Arc::new(Family::described(Kind::Histogram, "latency", "", ""));
/// let families = vec![FamilySnapshot { family, body: Body::Samples(vec![sample]) }];
/// let mut out = Vec::new();
/// encode::openmetrics_2_0(&Snapshot { families }, Escaping::AllowUtf8, &mut out)?;
/// let line = "latency {count:2,sum:0.5,schema:3,zero_threshold:0.0,zero_count:0}\n";
/// assert!(String::from_utf8(out)?.contains(line));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`EncodeError`]; `out` is then as it was.
pub fn openmetrics_2_0(snapshot: &Snapshot, escaping: Escaping, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    write(snapshot, escaping, Native::Written, out)
}

/// What becomes of native histograms.
#[derive(Clone, Copy, PartialEq)]
enum Native {
    LeftOut,
    Written,
}

fn write(snapshot: &Snapshot, escaping: Escaping, native: Native, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    all_or_nothing(snapshot, escaping, out, |out| {
        snapshot.families.iter().try_for_each(|snapshot| family(snapshot, escaping, native, out))?;
        out.extend_from_slice(b"# EOF\n");
        Ok(())
    })
}

fn family(snapshot: &FamilySnapshot, escaping: Escaping, native: Native, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let family = &*snapshot.family;
    let mut lines = Lines::new(family, escaping, out).with_total();
    metadata(&mut lines, family);
    match &snapshot.body {
        Body::Series(series) => {
            lines.each(series, |lines, series| {
                for_each_line(family, series, |line| {
                    lines.native(series, &line);
                    if let Some(exemplar) = line.exemplar {
                        lines.exemplar(exemplar);
                    }
                    lines.out.push(b'\n');
                });
                if let Some(line) = created(series) {
                    lines.native(series, &line);
                    lines.out.push(b'\n');
                }
            });
            Ok(())
        }
        Body::Samples(samples) => {
            let mut written = samples.iter().filter(|it| native == Native::Written || it.native_histogram.is_none());
            written.try_for_each(|sample| self::sample(&mut lines, family, sample))
        }
    }
}

fn metadata(lines: &mut Lines<'_, '_>, family: &Family) {
    lines.out.extend_from_slice(b"# HELP ");
    lines.name("");
    lines.out.push(b' ');
    push_escaped(lines.out, family.help());
    let unit = if lines.has_unit(family.unit()) { family.unit() } else { "" };
    for (keyword, value) in [("\n# TYPE ", family.kind().as_str()), ("\n# UNIT ", unit)] {
        if !value.is_empty() {
            lines.out.extend_from_slice(keyword.as_bytes());
            lines.name("");
            lines.out.push(b' ');
            lines.out.extend_from_slice(value.as_bytes());
        }
    }
    lines.out.push(b'\n');
}

fn sample<'a>(lines: &mut Lines<'a, '_>, family: &Family, sample: &'a Sample) -> Result<(), EncodeError> {
    lines.sample(sample);
    if let Some(timestamp) = sample.timestamp {
        lines.out.push(b' ');
        timestamp.push(lines.out);
    }
    let natives = sample.native_histogram.iter().flat_map(|histogram| &histogram.exemplars);
    for exemplar in sample.exemplar.iter().chain(natives) {
        if !can_have_exemplar(family, &sample.name) {
            return Err(EncodeError::ExemplarNotAllowed {
                family: family.name().to_owned(),
                sample: sample.name.clone(),
            });
        }
        lines.exemplar(exemplar);
    }
    lines.out.push(b'\n');
    Ok(())
}

/// The official client's rule, which OpenMetrics does not narrow: also a histogram's sample with no suffix, as a native
/// one has.
fn can_have_exemplar(family: &Family, sample: &str) -> bool {
    match family.kind() {
        Kind::Counter => sample.ends_with("_total") || (family.is_bare() && sample == family.name()),
        Kind::GaugeHistogram => sample.ends_with("_bucket"),
        Kind::Histogram => sample.ends_with("_bucket") || sample == family.name(),
        _ => false,
    }
}
