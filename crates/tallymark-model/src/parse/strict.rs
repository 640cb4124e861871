//! The text format, as strictly as Prometheus' own Go library reads it: for bodies that others send and we keep.
//!
//! [`super::text`] passes over what it does not understand, as the official Python client does; here that is an error.
//! Names stay as they are written: a counter `jobs` does not become `jobs_total`. A family's samples may stand apart, but
//! its type comes before them. Whether two samples are of one series, and whether a histogram's buckets make sense, is not
//! looked at: whoever keeps them may give them other labels first.

use std::{collections::HashMap, sync::Arc};

use super::{
    ParseError,
    cursor::{self, Cursor},
    scan::shown,
};
use crate::{Body, Family, FamilySnapshot, Kind, Sample, name::check_metric, number::Number};

/// Reads the text format, 0.0.4 or 1.0.0, as strictly as a gateway must.
///
/// Families are in the order in which they are first named; those without samples are left out. A counter that is called
/// without `_total` is a [bare](Family::is_bare) one.
///
/// # Errors
/// [`ParseError`] with the line; also if there are more than `most` samples.
///
/// ```
/// use tallymark_model::{Escaping, Snapshot, encode, parse};
/// let text = "# HELP jobs Done.\n# TYPE jobs counter\njobs 1.0\n";
/// let mut out = Vec::new();
/// encode::text(&Snapshot { families: parse::strict_text(text, 1000)? }, Escaping::AllowUtf8, &mut out)?;
/// assert_eq!(out, text.as_bytes());
///
/// let error = parse::strict_text("jobs 1", 1000).unwrap_err();
/// assert_eq!(error.to_string(), "line 1: the line feed at its end is missing");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn strict_text(input: &str, most: usize) -> Result<Vec<FamilySnapshot>, ParseError> {
    let mut found = Found { left: most, ..Found::default() };
    for (index, line) in input.split_inclusive('\n').enumerate() {
        let read = match line.strip_suffix('\n') {
            Some(line) => found.line(line),
            None => Err("the line feed at its end is missing".to_owned()),
        };
        read.map_err(|reason| ParseError::new(index + 1, reason))?;
    }
    let mut families: Vec<_> = found.families.into_iter().filter(|(_, family)| !family.samples.is_empty()).collect();
    families.sort_unstable_by_key(|(_, family)| family.place);
    Ok(families.into_iter().map(|(name, family)| family.snapshot(&name)).collect())
}

/// What has been read.
#[derive(Default)]
struct Found {
    families: HashMap<String, Open>,
    /// How many samples there may still be.
    left: usize,
}

/// A family that may go on.
struct Open {
    /// Its place among the families.
    place: usize,
    help: Option<String>,
    kind: Option<Kind>,
    samples: Vec<Sample>,
}

impl Open {
    fn snapshot(self, name: &str) -> FamilySnapshot {
        let family = Family::named(self.kind.unwrap_or(Kind::Unknown), name, &self.help.unwrap_or_default());
        FamilySnapshot { family: Arc::new(family), body: Body::Samples(self.samples) }
    }
}

impl Found {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let mut cursor = Cursor::new(line);
        cursor.skip_blanks();
        if cursor.take('#') {
            self.comment(cursor)
        } else if cursor.is_at_end() {
            Ok(())
        } else {
            let sample = cursor::sample(cursor)?;
            self.left = self.left.checked_sub(1).ok_or("there are more samples than may be")?;
            self.put(sample)
        }
    }

    /// HELP and TYPE; every other comment, and one that ends too early, says nothing.
    fn comment(&mut self, mut cursor: Cursor<'_>) -> Result<(), String> {
        cursor.skip_blanks();
        let keyword = cursor.word();
        if !matches!(keyword, "HELP" | "TYPE") {
            return Ok(());
        }
        cursor.skip_blanks();
        if cursor.is_at_end() {
            return Ok(());
        }
        let name = cursor.metric_name()?;
        check_metric(&name, false).map_err(|error| error.to_string())?;
        if !cursor.is_at_end() && !cursor.is_at_blank() {
            return Err(format!("{} is no metric name without quotes", shown(&format!("{name}{}", cursor.word()))));
        }
        let family = self.named(name.clone());
        cursor.skip_blanks();
        if cursor.is_at_end() {
            return Ok(());
        }
        if keyword == "HELP" {
            let help = cursor.help()?;
            return match family.help.replace(help) {
                Some(_) => Err(format!("a second HELP of {name}")),
                None => Ok(()),
            };
        }
        if family.kind.is_some() {
            return Err(format!("a second TYPE of {name}"));
        }
        if !family.samples.is_empty() {
            return Err(format!("the TYPE of {name} comes after its samples"));
        }
        family.kind = Some(kind(cursor.rest())?);
        Ok(())
    }

    /// Puts the sample into its family, which may begin with it.
    fn put(&mut self, sample: Sample) -> Result<(), String> {
        if let Some(family) = self.families.get_mut(&*sample.name) {
            check_suffixless(family.kind, &sample)?;
            family.samples.push(sample);
            return Ok(());
        }
        for suffix in ["_count", "_sum", "_bucket"] {
            let Some(stem) = sample.name.strip_suffix(suffix) else { continue };
            let Some(family) = self.families.get_mut(stem) else { break };
            match family.kind {
                Some(Kind::Histogram) => {}
                Some(Kind::Summary) if suffix != "_bucket" => {}
                _ => break,
            }
            check_labels(family.kind, suffix, &sample)?;
            family.samples.push(sample);
            return Ok(());
        }
        self.named(sample.name.clone()).samples.push(sample);
        Ok(())
    }

    /// The family of that name, made if it is new.
    fn named(&mut self, name: String) -> &mut Open {
        let place = self.families.len();
        self.families.entry(name).or_insert_with(|| Open { place, help: None, kind: None, samples: Vec::new() })
    }
}

/// The type that the format calls so, in whatever case.
fn kind(word: &str) -> Result<Kind, String> {
    match &*word.to_ascii_lowercase() {
        "counter" => Ok(Kind::Counter),
        "gauge" => Ok(Kind::Gauge),
        "histogram" => Ok(Kind::Histogram),
        "summary" => Ok(Kind::Summary),
        "untyped" => Ok(Kind::Unknown),
        _ => Err(format!("{} is no type: it may be counter, gauge, histogram, summary or untyped", shown(word))),
    }
}

/// Checks a sample that is called as its family is.
fn check_suffixless(kind: Option<Kind>, sample: &Sample) -> Result<(), String> {
    match kind {
        Some(Kind::Histogram) => {
            let name = &sample.name;
            Err(format!("{name} is a histogram, whose samples are {name}_bucket, {name}_sum and {name}_count"))
        }
        Some(Kind::Summary) => check_bound(sample, "quantile"),
        _ => Ok(()),
    }
}

/// Checks a sample of a histogram or a summary that has a suffix.
fn check_labels(kind: Option<Kind>, suffix: &str, sample: &Sample) -> Result<(), String> {
    match kind.and_then(Kind::reserved_label) {
        Some(label) if suffix == "_bucket" => check_bound(sample, label),
        Some(label) if has_label(sample, label) => Err(format!("{} has a label {label}", sample.name)),
        _ => Ok(()),
    }
}

/// Checks that the label is there and a number.
fn check_bound(sample: &Sample, label: &str) -> Result<(), String> {
    let value = sample.labels.iter().find(|(name, _)| name == label).map(|(_, value)| &**value);
    let Some(value) = value else { return Err(format!("{} has no label {label}", sample.name)) };
    match Number::parse(value) {
        Some(number) if !number.as_f64().is_nan() => Ok(()),
        _ => Err(format!("the label {label} of {} is no number: {}", sample.name, shown(value))),
    }
}

fn has_label(sample: &Sample, label: &str) -> bool {
    sample.labels.iter().any(|(name, _)| name == label)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name type [sample{labels} value …]` of each family, or the error.
    fn read(input: &str) -> Vec<String> {
        let sample = |sample: &Sample| {
            let labels: Vec<_> = sample.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{}{{{}}} {}", sample.name, labels.join(","), sample.value)
        };
        let family = |family: FamilySnapshot| {
            let samples: Vec<_> = family.samples().iter().map(sample).collect();
            format!("{} {} {}", family.family.text_name(), family.family.kind(), samples.join(" "))
        };
        match strict_text(input, 100) {
            Ok(families) => families.into_iter().map(family).collect(),
            Err(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn what_is_well_formed_is_read_as_it_is_written() {
        for (input, families) in [
            ("", &[][..]),
            ("\n \t\n# a comment\n#\n# HELP\n# TYPE\n# HELP a\n# TYPE a\n", &[]),
            ("# TYPE a gauge\n", &[]),
            ("a 1\n", &["a unknown a{} 1"]),
            ("# TYPE jobs counter\njobs 1\n", &["jobs counter jobs{} 1"]),
            ("# TYPE jobs_total counter\njobs_total 1\n", &["jobs_total counter jobs_total{} 1"]),
            ("# TYPE _total COUNTER\n_total 1\n", &["_total counter _total{} 1"]),
            ("# TYPE jobs counter\njobs_total 1\n", &["jobs_total unknown jobs_total{} 1"]),
            ("# TYPE a_created gauge\na_created 1e9\n", &["a_created gauge a_created{} 1000000000"]),
            ("a 1\nb 2\na{x=\"1\"} 3\n", &["a unknown a{} 1 a{x=1} 3", "b unknown b{} 2"]),
            (
                "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n",
                &["h histogram h_bucket{le=1} 1 h_bucket{le=+Inf} 2 h_sum{} 3 h_count{} 2"],
            ),
            (
                "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 3\ns_count 2\ns_bucket 4\n",
                &["s summary s{quantile=0.5} 1 s_sum{} 3 s_count{} 2", "s_bucket unknown s_bucket{} 4"],
            ),
            ("# TYPE \"a b\" gauge\n{\"a b\",\"c d\"=\"e\"} 1\n", &["a b gauge a b{c d=e} 1"]),
            (" \ta\t{ b = \"c\" , } \t1\t-2\n", &["a unknown a{b=c} 1"]),
            ("a{}1\na{} 2\n", &["a unknown a{} 1 a{} 2"]),
            ("a{b=\"\\\\n\\n\\\"}\u{2028}\"} NaN\n", &["a unknown a{b=\\n\n\"}\u{2028}} NaN"]),
            ("a +Inf\na -inf\n", &["a unknown a{} inf a{} -inf"]),
        ] {
            assert_eq!(read(input), families, "{input:?}");
        }
    }

    #[test]
    fn what_is_not_is_refused_with_its_line() {
        for (input, error) in [
            ("a 1", "line 1: the line feed at its end is missing"),
            ("a 1\nb 2\r\n", "line 2: \"2\\r\" is no number"),
            ("a\n", "line 1: the value is missing"),
            ("a 1 \n", "line 1: \"\" is no timestamp in milliseconds"),
            ("a 1 1.5\n", "line 1: \"1.5\" is no timestamp in milliseconds"),
            ("a 1 2 3\n", "line 1: \" 3\" follows the timestamp"),
            ("a 1 # {t=\"x\"} 1\n", "line 1: \"#\" is no timestamp in milliseconds"),
            ("a 1e400\n", "line 1: \"1e400\" is too large for a number"),
            ("a 1_0\n", "line 1: \"1_0\" is no number"),
            ("a \u{661}\n", "line 1: \"\u{661}\" is no number"),
            ("1a 1\n", "line 1: \"1a\" is no metric name without quotes"),
            ("a.b 1\n", "line 1: a blank is missing before \".b 1\""),
            ("{} 1\n", "line 1: the sample has no name"),
            ("{\"\"} 1\n", "line 1: a name is empty"),
            ("a{\"b\"} 1\n", "line 1: a name stands before the braces or before another one in them: \"a\""),
            ("a{b=\"c\" 1\n", "line 1: a comma or the brace that closes the labels is missing before \"1\""),
            ("a{b} 1\n", "line 1: the label \"b\" has no value"),
            ("a{b=c} 1\n", "line 1: the value of the label \"b\" is not in quotes"),
            ("a{b=\"c} 1\n", "line 1: the quote is not closed before \"c} 1\""),
            ("a{b=\"\\x\"} 1\n", "line 1: \"\\\\x\" is no escape"),
            ("a{b=\"1\",b=\"2\"} 1\n", "line 1: the label \"b\" stands twice"),
            ("a{__name__=\"b\"} 1\n", "line 1: Reserved label metric name: __name__"),
            ("a{1=\"b\"} 1\n", "line 1: \"1=\\\"b\\\"} 1\" is no label name without quotes"),
            ("# TYPE a gauge\n# TYPE a gauge\n", "line 2: a second TYPE of a"),
            ("# HELP a x\n# HELP a x\n", "line 2: a second HELP of a"),
            ("# HELP a \\x\n", "line 1: \"\\\\x\" is no escape"),
            ("# HELP a x\\\n", "line 1: a backslash stands at the end"),
            ("a 1\n# TYPE a gauge\n", "line 2: the TYPE of a comes after its samples"),
            (
                "# TYPE a stateset\n",
                "line 1: \"stateset\" is no type: it may be counter, gauge, histogram, summary or untyped",
            ),
            ("# TYPE a,b gauge\n", "line 1: \"a,b\" is no metric name without quotes"),
            ("# TYPE h histogram\nh_bucket 1\n", "line 2: h_bucket has no label le"),
            ("# TYPE h histogram\nh_bucket{le=\"x\"} 1\n", "line 2: the label le of h_bucket is no number: \"x\""),
            ("# TYPE h histogram\nh_sum{le=\"1\"} 1\n", "line 2: h_sum has a label le"),
            ("# TYPE h histogram\nh 1\n", "line 2: h is a histogram, whose samples are h_bucket, h_sum and h_count"),
            ("# TYPE s summary\ns 1\n", "line 2: s has no label quantile"),
        ] {
            assert_eq!(read(input), [error], "{input:?}");
        }
    }

    #[test]
    fn help_is_unescaped_once_and_may_be_any_text() {
        let families = strict_text("# HELP a  x \\\\n \\n\"y\" \r\na 1\n", 1).unwrap();

        assert_eq!(families[0].family.help(), "x \\n \n\"y\" \r");
    }

    #[test]
    fn there_are_no_more_samples_than_may_be() {
        assert_eq!(strict_text("a 1\nb 1\n", 2).map(|families| families.len()), Ok(2));
        let error = strict_text("a 1\nb 1\nc 1\n", 2).unwrap_err();
        assert_eq!(error.to_string(), "line 3: there are more samples than may be");
    }
}
