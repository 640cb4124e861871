//! The text format, 0.0.4 and 1.0.0: they differ in the names that may be asked for, not in a byte of the rest.
//!
//! It has neither units, exemplars nor native histograms, five types, and times in milliseconds. What only OpenMetrics has in a family
//! (`_created`, and the count and sum of a gauge histogram) becomes gauges of its own behind the family, as the official
//! client does.

use super::{EncodeError, all_or_nothing, lines::Lines};
use crate::{
    Body, Escaping, Family, FamilySnapshot, Kind, Sample, Snapshot,
    escape::push_help,
    line::{created, for_each_line},
    number,
};

/// The suffixes of samples that are moved behind their family, in the order in which they come there.
const MOVED: [&str; 3] = ["_created", "_gcount", "_gsum"];

/// Appends the snapshot in the text format.
///
/// Ends in a line feed, or is empty where there are no families.
///
/// # Errors
/// [`EncodeError`]; `out` is then as it was.
pub fn text(snapshot: &Snapshot, escaping: Escaping, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    all_or_nothing(snapshot, escaping, out, |out| {
        snapshot.families.iter().try_for_each(|snapshot| family(snapshot, escaping, out))
    })
}

fn family(snapshot: &FamilySnapshot, escaping: Escaping, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let family = &*snapshot.family;
    let mut lines = Lines::new(family, escaping, out);
    metadata(&mut lines, family, family.own_suffix(), type_word(family.kind()));
    match &snapshot.body {
        Body::Series(series) => {
            lines.each(series, |lines, series| {
                for_each_line(family, series, |line| {
                    lines.native(series, &line);
                    lines.out.push(b'\n');
                });
            });
            if series.iter().any(|series| created(series).is_some()) {
                metadata(&mut lines, family, "_created", "gauge");
            }
            lines.each(series, |lines, series| {
                if let Some(line) = created(series) {
                    lines.native(series, &line);
                    lines.out.push(b'\n');
                }
            });
        }
        Body::Samples(samples) => {
            let moved = |sample: &Sample| {
                let rest = sample.name.strip_prefix(family.name())?;
                MOVED.into_iter().find(|suffix| *suffix == rest)
            };
            let written = || samples.iter().filter(|sample| sample.native_histogram.is_none());
            for sample in written().filter(|sample| moved(sample).is_none()) {
                self::sample(&mut lines, family, sample)?;
            }
            for suffix in MOVED {
                let mut samples = written().filter(|sample| moved(sample) == Some(suffix)).peekable();
                if samples.peek().is_some() {
                    metadata(&mut lines, family, suffix, "gauge");
                }
                for sample in samples {
                    self::sample(&mut lines, family, sample)?;
                }
            }
        }
    }
    Ok(())
}

/// What the format calls a type: one of the five words that it knows.
fn type_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge | Kind::StateSet | Kind::Info => "gauge",
        Kind::Histogram | Kind::GaugeHistogram => "histogram",
        Kind::Summary => "summary",
        Kind::Unknown => "untyped",
    }
}

fn metadata(lines: &mut Lines<'_, '_>, family: &Family, suffix: &str, kind: &str) {
    lines.out.extend_from_slice(b"# HELP ");
    lines.name(suffix);
    lines.out.push(b' ');
    push_help(lines.out, family.help());
    lines.out.extend_from_slice(b"\n# TYPE ");
    lines.name(suffix);
    lines.out.push(b' ');
    lines.out.extend_from_slice(kind.as_bytes());
    lines.out.push(b'\n');
}

fn sample<'a>(lines: &mut Lines<'a, '_>, family: &Family, sample: &'a Sample) -> Result<(), EncodeError> {
    lines.sample(sample);
    if let Some(timestamp) = sample.timestamp {
        let milliseconds = timestamp.milliseconds().ok_or_else(|| EncodeError::TimestampOutOfRange {
            family: family.name().to_owned(),
            sample: sample.name.clone(),
        })?;
        lines.out.push(b' ');
        number::push_integer(lines.out, milliseconds);
    }
    lines.out.push(b'\n');
    Ok(())
}
