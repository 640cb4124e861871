//! Text to families and samples: the way back from what is written in `encode`.
//!
//! [`text`] reads the text format and [`openmetrics`] OpenMetrics; each accepts what the official Python client's parser of
//! that format accepts, and gives the same values. The first one is lax, the second strict. Both are iterators of
//! families that borrow from their input and stop at the first error, which tells the line. Whoever has lines but no whole
//! text feeds them to a [`Reader`], one by one.
//!
//! Any input ends in families or an error, never in a panic, in time that grows with its length. These are the inputs
//! that the official parsers take otherwise, none of which any client writes:
//!
//! - Digits that are not ASCII's are refused.
//! - Whole numbers of more than 128 bits are read as floats; in a native histogram they are refused, and so are more than
//!   64 bits in its spans and deltas, and 32 in its schema.
//! - A label name that starts with two underscores is refused even if it goes on on another line.
//! - Braces without labels before a native histogram are as good as none.
//!
//! ```
//! use tallymark_model::parse;
//!
//! let exposition = "# TYPE hits counter\nhits_total{path=\"/\"} 3 # {trace_id=\"4bf\"} 1\n# EOF\n";
//! for family in parse::openmetrics(exposition) {
//!     let family = family?;
//!     assert_eq!(family.name, "hits");
//!     assert_eq!(family.samples[0].label("path"), Some("/"));
//!     assert_eq!(family.samples[0].value.as_f64(), 3.0);
//! }
//!
//! let error = parse::text("up 1\nup one\n").nth(1).unwrap().unwrap_err();
//! assert_eq!(error.to_string(), r#"line 2: "one" is no number"#);
//! # Ok::<(), parse::ParseError>(())
//! ```

mod cursor;
mod group;
mod label;
mod native;
mod openmetrics;
mod protobuf;
mod scan;
mod strict;
mod text;

use std::{borrow::Cow, iter::FusedIterator, str::SplitInclusive, sync::Arc};

pub use label::{Label, labels};
pub use openmetrics::{OpenMetricsReader, sample as openmetrics_sample};
pub use protobuf::protobuf;
pub use strict::strict_text;
pub use text::{TextReader, sample as text_sample};

use crate::{Body, FamilySnapshot, Kind, NativeHistogram, Timestamp, number::Number};

/// Reads the text format, 0.0.4 or 1.0.0.
///
/// A family goes on until another one is named. A sample that belongs to no family is one by itself, of unknown type.
/// Families of one name are not merged, and samples are not compared with each other.
///
/// ```
/// use tallymark_model::{Kind, parse};
/// let exposition = "# HELP wait Seconds.\n# TYPE wait summary\nwait_count 2\nwait_sum 0.5\n";
/// let families: Vec<_> = parse::text(exposition).collect::<Result<_, _>>()?;
/// assert_eq!((&*families[0].name, families[0].kind, &*families[0].help), ("wait", Kind::Summary, "Seconds."));
/// assert_eq!(families[0].samples.len(), 2);
/// # Ok::<(), parse::ParseError>(())
/// ```
pub fn text(input: &str) -> Families<'_> {
    Families::new(input, Reader::Text(TextReader::new()))
}

/// Reads OpenMetrics 1.0, and lines with native histograms in families of type histogram.
///
/// What the format demands is checked: the order of lines, the samples of each type, the end mark. A last family that is
/// whole is given even if the end mark is missing; the error comes after it.
///
/// ```
/// use tallymark_model::parse;
/// assert_eq!(parse::openmetrics("# EOF\n").count(), 0);
/// assert!(parse::openmetrics("# TYPE a gauge\na 1\na 1 2\n# EOF\n").any(|family| family.is_err()));
/// ```
pub fn openmetrics(input: &str) -> Families<'_> {
    Families::new(input, Reader::OpenMetrics(OpenMetricsReader::new()))
}

/// The text that the bytes are.
///
/// # Errors
/// [`ParseError`] with the line in which they are not UTF-8.
///
/// ```
/// use tallymark_model::parse;
/// assert_eq!(parse::utf8(b"up 1\n")?, "up 1\n");
/// assert_eq!(parse::utf8(b"up 1\n\xff 2\n").unwrap_err().line(), 2);
/// # Ok::<(), parse::ParseError>(())
/// ```
pub fn utf8(bytes: &[u8]) -> Result<&str, ParseError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        ParseError::new(line, format!("the byte {:#04x} is not UTF-8", bytes[before.len()]))
    })
}

/// A family with its samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Family<'a> {
    /// The name, as OpenMetrics has it: a counter's is without `_total`.
    pub name: String,
    /// The help text, or nothing.
    pub help: String,
    /// The type.
    pub kind: Kind,
    /// The unit, or nothing.
    pub unit: String,
    /// The samples, in their order.
    pub samples: Vec<Sample<'a>>,
}

/// A sample, borrowed from its line.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    /// The full name.
    pub name: Cow<'a, str>,
    /// Label names and values, in their order.
    pub labels: Vec<Label<'a>>,
    /// The value; NaN beside a native histogram.
    pub value: Number,
    /// When it was taken, if that is told.
    pub timestamp: Option<Timestamp>,
    /// The exemplar.
    pub exemplar: Option<Box<Exemplar<'a>>>,
    /// A native histogram in place of the value.
    pub native_histogram: Option<Box<NativeHistogram>>,
}

/// An exemplar, borrowed from its line.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar<'a> {
    /// Label names and values, in their order.
    pub labels: Vec<Label<'a>>,
    /// The value.
    pub value: Number,
    /// When it was observed, if that is told.
    pub timestamp: Option<Timestamp>,
}

impl Sample<'_> {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }
}

impl From<Family<'_>> for FamilySnapshot {
    fn from(family: Family<'_>) -> FamilySnapshot {
        let described = crate::Family::described(family.kind, &family.name, &family.help, &family.unit);
        let samples = family.samples.into_iter().map(crate::Sample::from).collect();
        FamilySnapshot { family: Arc::new(described), body: Body::Samples(samples) }
    }
}

impl From<Sample<'_>> for crate::Sample {
    fn from(sample: Sample<'_>) -> crate::Sample {
        crate::Sample {
            name: sample.name.into_owned(),
            labels: owned(sample.labels),
            value: sample.value.as_f64(),
            timestamp: sample.timestamp,
            exemplar: sample.exemplar.map(|exemplar| (*exemplar).into()),
            native_histogram: sample.native_histogram,
        }
    }
}

impl From<Exemplar<'_>> for crate::Exemplar {
    fn from(exemplar: Exemplar<'_>) -> crate::Exemplar {
        crate::Exemplar {
            labels: owned(exemplar.labels),
            value: exemplar.value.as_f64(),
            timestamp: exemplar.timestamp,
        }
    }
}

fn owned(labels: Vec<Label<'_>>) -> Vec<(String, String)> {
    labels.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// An exposition that is refused: the line or message, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part} {number}: {reason}")]
pub struct ParseError {
    /// What the exposition consists of.
    part: &'static str,
    number: usize,
    reason: String,
}

impl ParseError {
    fn new(line: usize, reason: String) -> ParseError {
        ParseError { part: "line", number: line, reason }
    }

    fn in_message(number: usize, reason: String) -> ParseError {
        ParseError { part: "message", number, reason }
    }

    /// The number of the line (of the message, in protobuf), from 1; where the input ends too early, that of the last one.
    pub fn line(&self) -> usize {
        self.number
    }
}

/// What is known of a family besides its samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The name, as OpenMetrics has it: a counter's is without `_total`.
    pub name: String,
    /// The help text, or nothing.
    pub help: String,
    /// The type.
    pub kind: Kind,
    /// The unit, or nothing.
    pub unit: String,
    /// Whether `_total` is to be appended to the samples' names: they are a counter's of the text format, without it.
    pub lacks_total: bool,
}

impl Head {
    /// What is known of a family without metadata.
    pub fn unknown(name: String) -> Head {
        Head { name, help: String::new(), kind: Kind::Unknown, unit: String::new(), lacks_total: false }
    }

    /// The family, with the samples that came while it lasted.
    pub fn with_samples(self, mut samples: Vec<Sample<'_>>) -> Family<'_> {
        if self.lacks_total {
            samples.iter_mut().for_each(|sample| sample.name.to_mut().push_str("_total"));
        }
        Family { name: self.name, help: self.help, kind: self.kind, unit: self.unit, samples }
    }
}

/// What a line does.
#[derive(Debug)]
pub struct Step<'a> {
    /// The family that has ended before the line: the samples so far are its.
    pub ended: Option<Head>,
    /// What the line itself is; an error is about what follows the family.
    pub content: Result<Content<'a>, ParseError>,
}

/// What a line is.
#[derive(Debug)]
pub enum Content<'a> {
    /// Nothing, metadata or a comment.
    Nothing,
    /// A sample of the family that has begun.
    Sample(Sample<'a>),
    /// A sample that is a family by itself: its name is the family's.
    Single(Sample<'a>),
}

/// Reads line by line, of either format. It remembers what belongs to the family that is being read, but not its samples.
///
/// ```
/// use tallymark_model::parse::{Content, Reader, TextReader};
/// let mut reader = Reader::Text(TextReader::new());
/// let mut samples = Vec::new();
/// for line in ["# TYPE up gauge", "up 1"] {
///     if let Content::Sample(sample) = reader.line(line).content? {
///         samples.push(sample);
///     }
/// }
/// let family = reader.end()?.unwrap().with_samples(samples);
/// assert_eq!((&*family.name, family.samples.len()), ("up", 1));
/// # Ok::<(), tallymark_model::parse::ParseError>(())
/// ```
#[derive(Debug)]
pub enum Reader {
    /// Of the text format.
    Text(TextReader),
    /// Of OpenMetrics.
    OpenMetrics(OpenMetricsReader),
}

impl Reader {
    /// Takes the next line, with or without its line feed. After an error there is nothing more to read.
    pub fn line<'a>(&mut self, line: &'a str) -> Step<'a> {
        match self {
            Reader::Text(reader) => reader.line(line),
            Reader::OpenMetrics(reader) => reader.line(line),
        }
    }

    /// Tells that there are no more lines: gives the last family, and nothing when it is called once more.
    ///
    /// # Errors
    /// [`ParseError`] if the last family is not whole, or the second time, if the end mark is missing.
    pub fn end(&mut self) -> Result<Option<Head>, ParseError> {
        match self {
            Reader::Text(reader) => reader.end(),
            Reader::OpenMetrics(reader) => reader.end(),
        }
    }

    /// Whether only legacy names are accepted, as metric names and in labels.
    pub fn set_legacy(&mut self, legacy: bool) {
        match self {
            Reader::Text(reader) => reader.set_legacy(legacy),
            Reader::OpenMetrics(reader) => reader.set_legacy(legacy),
        }
    }
}

/// The families of a text; made by [`text`] and [`openmetrics`].
#[derive(Debug)]
pub struct Families<'a> {
    /// `None` after an error or the last family.
    reader: Option<Reader>,
    lines: SplitInclusive<'a, char>,
    samples: Vec<Sample<'a>>,
    /// What a line gave besides the family that it ended.
    next: Option<Result<Family<'a>, ParseError>>,
}

impl<'a> Families<'a> {
    fn new(input: &'a str, reader: Reader) -> Families<'a> {
        // Not `lines()`, which takes a carriage return for a part of the line's end.
        Families { reader: Some(reader), lines: input.split_inclusive('\n'), samples: Vec::new(), next: None }
    }

    /// Accepts only names of Prometheus before 3.0.
    ///
    /// ```
    /// use tallymark_model::parse;
    /// assert!(parse::text("{\"a.b\"} 1\n").next().unwrap().is_ok());
    /// assert!(parse::text("{\"a.b\"} 1\n").legacy().next().unwrap().is_err());
    /// ```
    pub fn legacy(mut self) -> Families<'a> {
        self.reader.iter_mut().for_each(|reader| reader.set_legacy(true));
        self
    }

    fn read(&mut self) -> Result<Option<Family<'a>>, ParseError> {
        if let Some(next) = self.next.take() {
            return next.map(Some);
        }
        let Some(reader) = &mut self.reader else { return Ok(None) };
        for line in self.lines.by_ref() {
            let step = reader.line(line);
            let ended = step.ended.map(|head| head.with_samples(std::mem::take(&mut self.samples)));
            let single = match step.content {
                Ok(Content::Nothing) => None,
                Ok(Content::Sample(sample)) => {
                    self.samples.push(sample);
                    None
                }
                Ok(Content::Single(sample)) => {
                    Some(Ok(Head::unknown(sample.name.clone().into_owned()).with_samples(vec![sample])))
                }
                Err(error) => Some(Err(error)),
            };
            match (ended, single) {
                (None, None) => {}
                (None, Some(single)) => return single.map(Some),
                (ended, single) => {
                    self.next = single;
                    return Ok(ended);
                }
            }
        }
        let head = reader.end()?;
        Ok(head.map(|head| head.with_samples(std::mem::take(&mut self.samples))))
    }
}

impl<'a> Iterator for Families<'a> {
    type Item = Result<Family<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read().transpose();
        if !matches!(read, Some(Ok(_))) {
            self.reader = None;
        }
        read
    }
}

impl FusedIterator for Families<'_> {}
