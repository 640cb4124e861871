//! The line, `name{labels} value`, in the one place where it is put together.
//!
//! For a native series with legacy names nothing is looked at: the text between the braces was rendered when the
//! series was made and is copied, and numbers are appended digit by digit. Everything else (names that need escaping, a
//! process, a state, an info, a custom collector's sample) takes a slower road through a list of labels, which is kept from
//! line to line. Which lines there are, and what surrounds them, the formats know.

use std::borrow::Cow;

use super::ends_in_unit;
use crate::{
    Escaping, Exemplar, Family, NativeHistogram, Sample, SeriesSnapshot,
    escape::push_escaped,
    line::{Added, Line},
    name::{escape_metric, is_legacy_label, is_legacy_metric, push_label},
    number::{self, Number},
};

/// Suffixes that are appended to a family's name after it is escaped.
const SUFFIXES: [&str; 8] = ["_bucket", "_count", "_sum", "_created", "_gcount", "_gsum", "_total", "_info"];

/// Writes the lines of one family.
pub(super) struct Lines<'a, 'o> {
    pub(super) out: &'o mut Vec<u8>,
    family: &'a Family,
    escaping: Escaping,
    /// The family's escaped name, without quotes, to which suffixes are appended.
    stem: Cow<'a, str>,
    /// Whether the name stands in quotes, inside the braces.
    quoted: bool,
    /// Whether the rendered text of the series' labels can be copied.
    copied: bool,
    /// What the format appends to the name of a sample that is called as its family is.
    bare: &'static str,
    labels: Vec<Label<'a>>,
}

/// A label on the slower road.
#[derive(Clone, Copy)]
struct Label<'a> {
    name: &'a str,
    value: LabelValue<'a>,
}

#[derive(Clone, Copy)]
enum LabelValue<'a> {
    Text(&'a str),
    Pid(u32),
}

impl<'a, 'o> Lines<'a, 'o> {
    pub(super) fn new(family: &'a Family, escaping: Escaping, out: &'o mut Vec<u8>) -> Self {
        let quoted = escaping == Escaping::AllowUtf8 && !is_legacy_metric(family.name());
        let legacy = family.has_legacy_names() || family.label_names().iter().all(|name| is_legacy_label(name));
        let copied = legacy && escaping != Escaping::Dots;
        Lines {
            out,
            family,
            escaping,
            stem: stem(family.name(), family.own_suffix(), escaping),
            quoted,
            copied,
            bare: "",
            labels: Vec::new(),
        }
    }

    /// Writes samples of a bare counter with the suffix that it lacks, as a format demands that knows no such counters.
    pub(super) fn with_total(mut self) -> Self {
        if self.family.is_bare() {
            self.bare = "_total";
            self.stem = stem(self.family.name(), self.bare, self.escaping);
        }
        self
    }

    /// Has `write` write every series. Once the first is written there is room for all like it: a large body that grows by
    /// doubling is copied several times over.
    pub(super) fn each(&mut self, all: &'a [SeriesSnapshot], mut write: impl FnMut(&mut Self, &'a SeriesSnapshot)) {
        let Some((first, rest)) = all.split_first() else { return };
        let start = self.out.len();
        write(self, first);
        let one = self.out.len() - start;
        self.out.reserve((one + one / 8) * rest.len());
        rest.iter().for_each(|series| write(self, series));
    }

    /// The family's name with a suffix, as metadata has it.
    pub(super) fn name(&mut self, suffix: &str) {
        if self.quoted {
            self.out.push(b'"');
        }
        self.out.extend_from_slice(self.stem.as_bytes());
        self.out.extend_from_slice(suffix.as_bytes());
        if self.quoted {
            self.out.push(b'"');
        }
    }

    /// Whether the name, as metadata has it, ends in the unit; a counter's in the unit `total`, as the official client has
    /// it.
    pub(super) fn has_unit(&self, unit: &str) -> bool {
        ends_in_unit(&self.stem, unit) || (unit == "total" && self.family.own_suffix() == "_total")
    }

    /// One line of a native series, up to its value.
    pub(super) fn native(&mut self, series: &'a SeriesSnapshot, line: &Line<'a>) {
        let text = series.labels.text();
        match line.added {
            Added::Nothing if self.copied && series.process.is_none() => {
                let brace = self.open(line.suffix, text.is_empty());
                self.out.extend_from_slice(text.as_bytes());
                self.close(brace);
            }
            Added::Le(bound) if self.copied && series.process.is_none() => {
                let (before, after) = series.labels.around_le();
                let brace = self.open(line.suffix, false);
                self.out.extend_from_slice(before.as_bytes());
                self.out.extend_from_slice(if before.is_empty() { b"le=\"" } else { b",le=\"" });
                self.out.extend_from_slice(bound.as_bytes());
                self.out.push(b'"');
                if before.is_empty() && !after.is_empty() {
                    self.out.push(b',');
                }
                self.out.extend_from_slice(after.as_bytes());
                self.close(brace);
            }
            added => {
                self.list(series, added);
                let brace = self.open(line.suffix, self.labels.is_empty());
                self.push_labels();
                self.close(brace);
            }
        }
        number::push(self.out, line.value);
    }

    /// One sample of a custom collector, up to its value.
    pub(super) fn sample(&mut self, sample: &'a Sample) {
        self.labels.clear();
        self.labels.extend(sample.labels.iter().map(|(name, value)| Label::new(name, value)));
        self.sort();
        let brace = match self.suffix(&sample.name) {
            Some(suffix) => self.open(suffix, self.labels.is_empty()),
            None => self.open_foreign(&sample.name, self.labels.is_empty()),
        };
        self.push_labels();
        self.close(brace);
        match &sample.native_histogram {
            Some(histogram) => self.native_histogram(histogram),
            None => number::push(self.out, sample.value),
        }
    }

    /// A native histogram in place of a value.
    fn native_histogram(&mut self, histogram: &NativeHistogram) {
        for (key, number) in [
            ("{count:", histogram.count),
            (",sum:", histogram.sum),
            (",schema:", Number::Integer(histogram.schema.into())),
            (",zero_threshold:", histogram.zero_threshold),
            (",zero_count:", histogram.zero_count),
        ] {
            self.out.extend_from_slice(key.as_bytes());
            number.push_repr(self.out);
        }
        for (sign, spans, deltas) in [
            ("negative", &histogram.negative_spans, &histogram.negative_deltas),
            ("positive", &histogram.positive_spans, &histogram.positive_deltas),
        ] {
            if !spans.is_empty() {
                self.list_of(sign, "_spans", spans, |out, span| {
                    number::push_integer(out, span.offset);
                    out.push(b':');
                    number::push_integer(out, span.length);
                });
                self.list_of(sign, "_deltas", deltas, |out, delta| number::push_integer(out, *delta));
            }
        }
        self.out.push(b'}');
    }

    /// `,<sign><what>:[…,…]`
    fn list_of<T>(&mut self, sign: &str, what: &str, items: &[T], push: impl Fn(&mut Vec<u8>, &T)) {
        for part in [",", sign, what, ":["] {
            self.out.extend_from_slice(part.as_bytes());
        }
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            push(self.out, item);
        }
        self.out.push(b']');
    }

    /// ` # {labels} value timestamp`, behind a value.
    pub(super) fn exemplar(&mut self, exemplar: &'a Exemplar) {
        self.labels.clear();
        self.labels.extend(exemplar.labels.iter().map(|(name, value)| Label::new(name, value)));
        self.sort();
        self.out.extend_from_slice(b" # {");
        for (at, label) in self.labels.iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            // Names that point at traces are looked up as they are: no scheme changes them.
            push_label(self.out, label.name, Escaping::AllowUtf8);
            label.value.push(self.out);
        }
        self.out.extend_from_slice(b"} ");
        number::push(self.out, exemplar.value);
        if let Some(timestamp) = exemplar.timestamp {
            self.out.push(b' ');
            timestamp.push(self.out);
        }
    }

    /// The suffix of a full sample name, if the sample is named after its family.
    fn suffix(&self, name: &str) -> Option<&'static str> {
        let rest = name.strip_prefix(self.family.name())?;
        if rest.is_empty() && self.family.own_suffix().is_empty() {
            return Some(self.bare);
        }
        SUFFIXES.into_iter().find(|suffix| *suffix == rest)
    }

    /// The name and what stands before labels, if there are any; tells whether a brace is open.
    fn open(&mut self, suffix: &str, bare: bool) -> bool {
        if self.quoted {
            self.out.push(b'{');
        }
        self.name(suffix);
        self.open_labels(self.quoted, bare)
    }

    /// The same for a sample that is not named after its family.
    fn open_foreign(&mut self, name: &str, bare: bool) -> bool {
        let quoted = self.escaping == Escaping::AllowUtf8 && !is_legacy_metric(name);
        if quoted {
            self.out.push(b'{');
        }
        self.out.extend_from_slice(escape_metric(name, self.escaping).as_bytes());
        self.open_labels(quoted, bare)
    }

    fn open_labels(&mut self, quoted: bool, bare: bool) -> bool {
        if !bare {
            self.out.push(if quoted { b',' } else { b'{' });
        }
        quoted || !bare
    }

    fn close(&mut self, brace: bool) {
        self.out.extend_from_slice(if brace { b"} " } else { b" " });
    }

    /// Lists the labels of a native line, sorted.
    fn list(&mut self, series: &'a SeriesSnapshot, added: Added<'a>) {
        self.labels.clear();
        let (names, values) = (self.family.label_names(), series.labels.values());
        self.labels.extend(names.iter().zip(values).map(|(name, value)| Label::new(name, value)));
        match added {
            Added::Nothing => {}
            Added::Le(bound) => self.labels.push(Label::new("le", bound)),
            Added::State(state) => self.labels.push(Label::new(self.family.name(), state)),
            Added::Pairs(pairs) => {
                self.labels.extend(pairs.iter().map(|(name, value)| Label::new(name, value)));
            }
        }
        if let Some(process) = &series.process {
            self.labels.extend(process.instance.iter().map(|instance| Label::new("instance", instance)));
            self.labels.push(Label { name: "pid", value: LabelValue::Pid(process.pid) });
        }
        self.sort();
    }

    /// Sorts the listed labels by name; of two of one name the later one stays, as in a Python dict.
    fn sort(&mut self) {
        self.labels.sort_by(|a, b| a.name.cmp(b.name));
        self.labels.dedup_by(|later, earlier| {
            let same = later.name == earlier.name;
            if same {
                *earlier = *later;
            }
            same
        });
    }

    fn push_labels(&mut self) {
        for (at, label) in self.labels.iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            push_label(self.out, label.name, self.escaping);
            label.value.push(self.out);
        }
    }
}

impl<'a> Label<'a> {
    fn new(name: &'a str, value: &'a str) -> Self {
        Label { name, value: LabelValue::Text(value) }
    }
}

impl LabelValue<'_> {
    /// `="value"`.
    fn push(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"=\"");
        match self {
            LabelValue::Text(text) => push_escaped(out, text),
            LabelValue::Pid(pid) => number::push_integer(out, pid),
        }
        out.push(b'"');
    }
}

/// The family's name, escaped so that a suffix can follow.
///
/// A counter `a.b` is `a_dot_b__total` under dots, whatever the format, so its family is `a_dot_b_` there.
fn stem<'a>(name: &'a str, suffix: &str, escaping: Escaping) -> Cow<'a, str> {
    match escaping {
        Escaping::AllowUtf8 if is_legacy_metric(name) => Cow::Borrowed(name),
        Escaping::AllowUtf8 => {
            let mut stem = String::with_capacity(name.len());
            push_escaped(&mut stem, name);
            Cow::Owned(stem)
        }
        Escaping::Underscores => escape_metric(name, escaping),
        Escaping::Dots | Escaping::Values if suffix.is_empty() => escape_metric(name, escaping),
        Escaping::Dots | Escaping::Values => {
            let mut stem = escape_metric(&format!("{name}{suffix}"), escaping).into_owned();
            stem.truncate(stem.len() - suffix.len());
            Cow::Owned(stem)
        }
    }
}
