//! OpenMetrics, as strictly as the official client reads it.
//!
//! Lines are whole or wrong: one space between words, no comments, no empty lines, `# EOF` last. What a family's samples
//! may be called, which labels and values they have and how they stand beside each other follows from its type. A sample
//! that belongs to no family begins one of unknown type; a name that is taken, by a suffix too, is not taken twice.

use std::collections::HashSet;

use super::{
    Content, Exemplar, Head, ParseError, Sample, Step,
    group::{Buckets, Groups, Key, key},
    label, native,
    scan::{
        find_labels, find_last_brace, find_unquoted, is_bare_name, is_blank, shown, split_comment, unescape, unquote,
    },
    text::{name_and_rest, number},
};
use crate::{Kind, Timestamp, name::check_metric, number::Number};

/// The suffixes whose samples count something.
const COUNTING: [&str; 6] = ["_total", "_sum", "_count", "_bucket", "_gcount", "_gsum"];

/// How many characters an exemplar's labels may have in all.
const LONGEST_EXEMPLAR: usize = 128;

/// Reads OpenMetrics line by line: see [`Reader`](super::Reader).
#[derive(Debug, Default)]
pub struct OpenMetricsReader {
    line: usize,
    legacy: bool,
    /// Whether the end mark has come.
    ended: bool,
    family: Option<Box<Open>>,
    /// The names of the families before, with each suffix that their types have.
    taken: HashSet<String>,
}

/// The family that is being read.
#[derive(Debug)]
struct Open {
    name: String,
    help: Option<String>,
    unit: Option<String>,
    kind: Option<Kind>,
    /// A word for the type that is none; it is an error when the family ends.
    wrong_kind: Option<String>,
    /// What the names of samples start with: the name, or what a sample that began the family has for it.
    stem: String,
    suffixes: &'static [&'static str],
    has_samples: bool,
    groups: Groups,
    buckets: Buckets,
}

impl Open {
    fn new(name: String, stem: String) -> Open {
        Open {
            name,
            help: None,
            unit: None,
            kind: None,
            wrong_kind: None,
            stem,
            suffixes: &[""],
            has_samples: false,
            groups: Groups::default(),
            buckets: Buckets::default(),
        }
    }

    fn kind(&self) -> Kind {
        self.kind.unwrap_or(Kind::Unknown)
    }

    fn has(&self, sample: &str) -> bool {
        sample.strip_prefix(&*self.stem).is_some_and(|rest| self.suffixes.contains(&rest))
    }

    /// What the sample's name has besides the family's, as long as that is, whatever it begins with: a native histogram's
    /// may begin with anything.
    fn suffix<'s>(&self, sample: &'s str) -> &'s str {
        match sample.strip_prefix(&*self.name) {
            Some(suffix) => suffix,
            None => sample.char_indices().nth(self.name.chars().count()).map_or("", |(at, _)| &sample[at..]),
        }
    }
}

/// A sample with what telling it from others has found.
struct Found<'a> {
    sample: Sample<'a>,
    is_native: bool,
    /// Whether there are labels, be it none between braces.
    has_labels: bool,
}

impl OpenMetricsReader {
    /// A reader that has read nothing.
    pub fn new() -> OpenMetricsReader {
        OpenMetricsReader::default()
    }

    /// Whether only legacy names are accepted, as metric names and in labels.
    pub fn set_legacy(&mut self, legacy: bool) {
        self.legacy = legacy;
    }

    /// Takes the next line: see [`Reader::line`](super::Reader::line).
    pub fn line<'a>(&mut self, line: &'a str) -> Step<'a> {
        self.line += 1;
        let line = line.strip_suffix('\n').unwrap_or(line);
        let mut ended = None;
        let content = self.content(line, &mut ended).map_err(|reason| ParseError::new(self.line, reason));
        Step { ended, content }
    }

    /// Ends the family, and then the whole: see [`Reader::end`](super::Reader::end).
    ///
    /// # Errors
    /// [`ParseError`] for a family that is not whole, or an exposition that is not.
    pub fn end(&mut self) -> Result<Option<Head>, ParseError> {
        let ended = match self.family.take() {
            Some(family) => self.close(*family).map(Some),
            None if self.ended => Ok(None),
            None => Err("# EOF is missing at the end".to_owned()),
        };
        ended.map_err(|reason| ParseError::new(self.line, reason))
    }

    fn content<'a>(&mut self, line: &'a str, ended: &mut Option<Head>) -> Result<Content<'a>, String> {
        if self.ended {
            return Err(format!("{} follows # EOF", shown(line)));
        }
        if line.is_empty() {
            return Err("the line is empty".to_owned());
        }
        if line == "# EOF" {
            self.ended = true;
            return Ok(Content::Nothing);
        }
        if line.starts_with('#') {
            self.metadata(line, ended)?;
            return Ok(Content::Nothing);
        }
        let found = self.read_sample(line)?;
        self.put(found, ended)
    }

    fn metadata(&mut self, line: &str, ended: &mut Option<Head>) -> Result<(), String> {
        let (parts, count) = split_comment(line, |byte| byte == b' ');
        if count < 4 {
            return Err(format!("{} is no metadata", shown(line)));
        }
        let [_, keyword, name, text] = parts;
        let (name, quoted) = unquote(name)?;
        if !quoted && !is_bare_name(&name) {
            return Err(format!("{} is no metric name without quotes", shown(&name)));
        }
        match &self.family {
            Some(family) if family.name == name && family.has_samples => {
                return Err(format!("metadata of {name} follows its samples"));
            }
            Some(family) if family.name == name => {}
            _ => *ended = self.begin(Open::new(name.clone().into_owned(), name.into_owned()))?,
        }
        // Begun or found above.
        let Some(family) = &mut self.family else { return Ok(()) };
        let told = match keyword {
            "HELP" => family.help.replace(unescape(text, true).into_owned()).is_some(),
            "UNIT" => family.unit.replace(text.to_owned()).is_some(),
            "TYPE" => {
                let told = family.kind.is_some() || family.wrong_kind.is_some();
                match Kind::parse(text) {
                    _ if text == "untyped" => return Err("untyped is called unknown in OpenMetrics".to_owned()),
                    Some(kind) => (family.kind, family.suffixes) = (Some(kind), suffixes(kind)),
                    None => family.wrong_kind = Some(text.to_owned()),
                }
                told
            }
            _ => return Err(format!("{} is neither HELP, TYPE nor UNIT", shown(keyword))),
        };
        if told { Err(format!("{keyword} of {} is told twice", family.name)) } else { Ok(()) }
    }

    fn read_sample<'a>(&self, line: &'a str) -> Result<Found<'a>, String> {
        if self.family.as_ref().is_some_and(|family| family.kind() == Kind::Histogram)
            && let Some((sample, has_labels)) = native::sample(line, self.legacy)?
        {
            return Ok(Found { sample, is_native: true, has_labels });
        }
        Ok(Found { sample: sample(line, self.legacy)?, is_native: false, has_labels: true })
    }

    /// Checks the sample, and makes it one of the family or the first of the next.
    fn put<'a>(&mut self, found: Found<'a>, ended: &mut Option<Head>) -> Result<Content<'a>, String> {
        let name = &*found.sample.name;
        if !found.is_native && !self.family.as_ref().is_some_and(|family| family.has(name)) {
            let before = self.family.take();
            *ended = before.map(|family| self.close(*family)).transpose()?;
            let (plain, quoted) = unquote(name)?;
            if !quoted && !is_bare_name(&plain) {
                return Err(format!("{} is no metric name without quotes", shown(&plain)));
            }
            self.family = Some(Box::new(Open::new(plain.into_owned(), name.to_owned())));
        }
        // Begun or found above.
        let Some(family) = &mut self.family else { return Ok(Content::Nothing) };
        let kept = family.put(&found).map_err(|reason| format!("{reason}: {}", family.name))?;
        family.has_samples = true;
        Ok(if kept { Content::Sample(found.sample) } else { Content::Nothing })
    }

    fn begin(&mut self, family: Open) -> Result<Option<Head>, String> {
        let before = self.family.replace(Box::new(family));
        before.map(|family| self.close(*family)).transpose()
    }

    /// Checks the family as a whole.
    fn close(&mut self, family: Open) -> Result<Head, String> {
        if let Some(word) = family.wrong_kind {
            return Err(format!("Invalid metric type: {}", shown(&word)));
        }
        let kind = family.kind();
        for suffix in suffixes(kind).iter().filter(|suffix| !suffix.is_empty()).chain(&[""]) {
            if !self.taken.insert(format!("{}{suffix}", family.name)) {
                return Err(format!("the name {}{suffix} is taken already", family.name));
            }
        }
        let unit = family.unit.unwrap_or_default();
        if !unit.is_empty() {
            if !family.name.strip_suffix(&*unit).is_some_and(|stem| stem.ends_with('_')) {
                return Err(format!("the name of {} does not end in its unit, {}", family.name, shown(&unit)));
            }
            if matches!(kind, Kind::Info | Kind::StateSet) {
                return Err(format!("{} is of a type that has no unit", family.name));
            }
        }
        family.buckets.end().map_err(|reason| format!("{reason}: {}", family.name))?;
        check_metric(&family.name, self.legacy).map_err(|error| error.to_string())?;
        Ok(Head { name: family.name, help: family.help.unwrap_or_default(), kind, unit, lacks_total: false })
    }
}

impl Open {
    /// Checks a sample and puts it into its group; tells whether it is one that is kept.
    fn put(&mut self, found: &Found<'_>) -> Result<bool, String> {
        let sample = &found.sample;
        let (kind, suffix) = (self.kind(), self.suffix(&sample.name));
        let is_bucket = is_family_with(&sample.name, &self.name, "_bucket");
        let value = sample.value.as_f64();
        if found.is_native && (is_bucket || COUNTING.contains(&suffix) || self.is_count(&sample.name)) {
            return Err(format!("{} has a suffix, which a native histogram has not", shown(&sample.name)));
        }
        let state = (kind == Kind::StateSet).then(|| sample.label(&self.name));
        if state == Some(None) {
            return Err("the state is missing among the labels".to_owned());
        }
        let mut bound = None;
        if is_bucket {
            bound = sample.label("le").filter(|le| *le != "NaN").and_then(canonical);
            if bound.is_none() {
                return Err("a bucket has no label le that is a bound".to_owned());
            }
        }
        if (is_bucket || self.is_count(&sample.name)) && !sample.value.is_whole() && !found.is_native {
            return Err(format!("the value of {} is not whole", sample.name));
        }
        let is_quantile = kind == Kind::Summary && sample.name == self.name;
        if is_quantile && !sample.label("quantile").and_then(canonical).is_some_and(|it| (0.0..=1.0).contains(&it)) {
            return Err("there is no label quantile between 0 and 1".to_owned());
        }
        let without = match kind {
            Kind::Summary if is_quantile => Some("quantile"),
            Kind::StateSet => Some(&*self.name),
            Kind::Histogram | Kind::GaugeHistogram if is_bucket => Some("le"),
            _ => None,
        };
        let group = key(&sample.labels, without);
        let kept = found.is_native
            || match kind {
                // Nothing tells one metric of type info from another.
                Kind::Info => self.groups.put(sample, &Key::default(), &group, true)?,
                _ => {
                    let within = without.and_then(|name| sample.label(name)).unwrap_or_default();
                    self.groups.put(sample, &group, within.as_bytes(), false)?
                }
            };
        if kept && matches!(kind, Kind::Histogram | Kind::GaugeHistogram) {
            self.buckets.put(sample, suffix, bound, found.has_labels.then_some(&group))?;
        }
        if kind == Kind::StateSet && value != 0.0 && value != 1.0 {
            return Err("a state is neither 0 nor 1".to_owned());
        }
        if kind == Kind::Info && value != 1.0 {
            return Err("the value of an info is not 1".to_owned());
        }
        if is_quantile && value < 0.0 {
            return Err("the value of a quantile is negative".to_owned());
        }
        if COUNTING.contains(&suffix) && (value.is_nan() || (value < 0.0 && suffix != "_gsum")) {
            return Err(format!("{} cannot be {value}", sample.name));
        }
        let may_have_exemplar = match kind {
            Kind::Histogram | Kind::GaugeHistogram => sample.name.ends_with("_bucket"),
            Kind::Counter => sample.name.ends_with("_total"),
            _ => false,
        };
        if sample.exemplar.is_some() && !may_have_exemplar {
            return Err(format!("{} cannot have an exemplar", sample.name));
        }
        Ok(kept)
    }

    fn is_count(&self, sample: &str) -> bool {
        is_family_with(sample, &self.name, "_count") || is_family_with(sample, &self.name, "_gcount")
    }
}

fn is_family_with(sample: &str, family: &str, suffix: &str) -> bool {
    sample.strip_suffix(suffix) == Some(family)
}

/// What follows a family's name in the names of its samples.
fn suffixes(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Counter => &["_total", "_created"],
        Kind::Summary => &["", "_count", "_sum", "_created"],
        Kind::Histogram => &["_count", "_sum", "_bucket", "_created"],
        Kind::GaugeHistogram => &["_gcount", "_gsum", "_bucket"],
        Kind::Info => &["_info"],
        Kind::Gauge | Kind::StateSet | Kind::Unknown => &[""],
    }
}

/// The number that a label `le` or `quantile` is; infinity must be written `+Inf`.
fn canonical(text: &str) -> Option<f64> {
    let number = native::float(text)?;
    (number != f64::INFINITY || text == "+Inf").then_some(number)
}

/// Reads a line of OpenMetrics that is a sample, and no native histogram. What its family demands of it is not checked.
///
/// # Errors
/// What is wrong, in words.
///
/// ```
/// use tallymark_model::{Timestamp, parse};
/// let sample = parse::openmetrics_sample("up{job=\"shop\"} 1 1700000000.5", false)?;
/// assert_eq!(sample.timestamp, Some(Timestamp::Exact { seconds: 1_700_000_000, nanoseconds: 500_000_000 }));
/// # Ok::<(), String>(())
/// ```
pub fn sample(line: &str, legacy: bool) -> Result<Sample<'_>, String> {
    let (name, labels, rest) = match find_labels(line) {
        Some(open) => {
            // The brace that closes is the first in the line, which may stand before the one that opens.
            let plain =
                (!line.as_bytes()[..open].contains(&b'}')).then(|| label::plain_labels(&line[open + 1..], legacy));
            let (mut labels, rest) = match plain.flatten() {
                Some(plain) => plain,
                None => {
                    let close = find_unquoted(line, 0, |byte| byte == b'}')
                        .ok_or_else(|| format!("the brace is not closed in {}", shown(line)))?;
                    let inside = line.get(open + 1..close).unwrap_or_default();
                    (label::labels(inside, true, legacy)?, &line[close + 1..])
                }
            };
            let name = label::take_name(&line[..open], &mut labels)?;
            // Whatever stands behind the brace is taken for the space.
            let mut rest = rest.chars();
            rest.next();
            (name, labels, rest.as_str())
        }
        None => {
            let (name, rest) = name_and_rest(line, |byte| byte == b' ');
            if !is_bare_name(name) {
                return Err(format!("{} is no metric name without quotes", shown(name)));
            }
            (name.into(), Vec::new(), rest)
        }
    };
    let Some((value, rest)) = rest.split_once(' ') else {
        let value = number(rest)?;
        return Ok(Sample { name, labels, value, timestamp: None, exemplar: None, native_histogram: None });
    };
    let value = number(value)?;
    let (timestamp, exemplar) = time_and_exemplar(rest, legacy)?;
    Ok(Sample { name, labels, value, timestamp, exemplar, native_histogram: None })
}

/// Where in what follows the value the reader is.
#[derive(Clone, Copy, PartialEq)]
enum At {
    Timestamp,
    Hash,
    SpaceBehindHash,
    Brace,
    Labels,
    SpaceBehindLabels,
    ExemplarValue,
    ExemplarTimestamp,
}

/// Reads `timestamp`, `# {labels} value timestamp`, or both. What stands in quotes is passed over.
fn time_and_exemplar<'a>(
    text: &'a str,
    legacy: bool,
) -> Result<(Option<Timestamp>, Option<Box<Exemplar<'a>>>), String> {
    let refused = || Err(format!("{} is neither a timestamp nor an exemplar", shown(text)));
    let (mut timestamp, mut value, mut exemplar_timestamp) = (String::new(), String::new(), String::new());
    let mut labels = None;
    let (mut at, mut quoted) = (At::Timestamp, false);
    for (position, character) in text.char_indices() {
        quoted ^= character == '"';
        if quoted {
            continue;
        }
        at = match (at, character) {
            (At::Timestamp, '#') if timestamp.is_empty() => At::SpaceBehindHash,
            (At::Timestamp, ' ') => At::Hash,
            (At::Hash, '#') => At::SpaceBehindHash,
            (At::SpaceBehindHash, ' ') => At::Brace,
            (At::Brace, '{') => {
                labels = Some(exemplar_labels(text, position, legacy)?);
                At::Labels
            }
            (At::Labels, '}') => At::SpaceBehindLabels,
            (At::SpaceBehindLabels, ' ') => At::ExemplarValue,
            (At::ExemplarValue, ' ') if !value.is_empty() => At::ExemplarTimestamp,
            (At::Timestamp, _) => {
                timestamp.push(character);
                at
            }
            (At::ExemplarValue, _) => {
                value.push(character);
                at
            }
            (At::ExemplarTimestamp, _) => {
                exemplar_timestamp.push(character);
                at
            }
            (At::Labels, _) => at,
            _ => return refused(),
        };
    }
    let is_whole = match at {
        At::Timestamp => !timestamp.is_empty(),
        At::ExemplarTimestamp => !exemplar_timestamp.is_empty(),
        At::SpaceBehindLabels | At::ExemplarValue => true,
        At::Hash | At::SpaceBehindHash | At::Brace | At::Labels => false,
    };
    if !is_whole {
        return refused();
    }
    let timestamp = self::timestamp(&timestamp)?;
    let Some(labels) = labels else { return Ok((timestamp, None)) };
    let length: usize = labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
    if length > LONGEST_EXEMPLAR {
        return Err(format!("the labels of the exemplar have {length} characters, more than {LONGEST_EXEMPLAR}"));
    }
    let exemplar = Exemplar { labels, value: number(&value)?, timestamp: self::timestamp(&exemplar_timestamp)? };
    Ok((timestamp, Some(Box::new(exemplar))))
}

/// The labels between the brace at `open` and the last one that is not in quotes.
fn exemplar_labels(text: &str, open: usize, legacy: bool) -> Result<Vec<label::Label<'_>>, String> {
    let close = find_last_brace(text).ok_or_else(|| format!("the brace is not closed in {}", shown(text)))?;
    label::labels(text.get(open + 1..close).unwrap_or_default(), true, legacy)
}

/// Reads a time: seconds, seconds and nanoseconds (what follows the ninth digit is passed over), or a float.
fn timestamp(text: &str) -> Result<Option<Timestamp>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let refused = || format!("{} is no timestamp", shown(text));
    if text.starts_with(is_blank) || text.ends_with(is_blank) || text.contains('_') {
        return Err(refused());
    }
    let whole = |text: &str| match native::number(text) {
        Some(Number::Integer(number)) => Some(number),
        _ => None,
    };
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let end = fraction.char_indices().nth(9).map_or(fraction.len(), |(end, _)| end);
    let nanoseconds = whole(&format!("{:0<9}", &fraction[..end])).and_then(|it| u32::try_from(it).ok());
    if let (Some(seconds), Some(nanoseconds)) = (whole(seconds), nanoseconds) {
        return Ok(Some(Timestamp::Exact { seconds, nanoseconds }));
    }
    match Number::parse(text).map(Number::as_f64) {
        Some(seconds) if seconds.is_finite() => Ok(Some(Timestamp::Seconds(seconds))),
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::openmetrics;
    use super::*;

    /// The names of the families up to an error, and that.
    fn read(input: &str) -> String {
        let shown = openmetrics(input).map(|family| match family {
            Ok(family) => format!("{}:{}", family.name, family.samples.len()),
            Err(error) => error.to_string(),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_a_type_demands_of_its_samples_is_checked() {
        for (kind, lines, read) in [
            ("counter", "a_total 1\na_created 2", "a:2"),
            ("counter", "a_total -1", "line 2: a_total cannot be -1: a"),
            ("counter", "a_total NaN", "line 2: a_total cannot be NaN: a"),
            ("counter", "a 1", "a:0 line 3: the name a is taken already"),
            ("gauge", "a -1 # {} 1", "line 2: a cannot have an exemplar: a"),
            ("summary", "a{quantile=\"0.5\"} 1\na_count 1\na_sum 1", "a:3"),
            ("summary", "a 1", "line 2: there is no label quantile between 0 and 1: a"),
            ("summary", "a{quantile=\"0.5\"} -1", "line 2: the value of a quantile is negative: a"),
            ("summary", "a_count 1.5", "line 2: the value of a_count is not whole: a"),
            ("info", "a_info 2", "line 2: the value of an info is not 1: a"),
            ("stateset", "a{a=\"on\"} 1\na{a=\"off\"} 0", "a:2"),
            ("stateset", "a 1", "line 2: the state is missing among the labels: a"),
            ("stateset", "a{a=\"on\"} 2", "line 2: a state is neither 0 nor 1: a"),
            ("histogram", "a_bucket{le=\"+Inf\"} 1 # {b=\"c\"} 1\na_count 1\na_sum 1", "a:3"),
            ("histogram", "a_bucket{le=\"inf\"} 1", "line 2: a bucket has no label le that is a bound: a"),
            ("histogram", "a_bucket{le=\"1\"} 1", "line 3: the bucket +Inf is missing: a"),
            ("histogram", "a_bucket{le=\"2\"} 1\na_bucket{le=\"1\"} 1", "line 3: the buckets are out of order: a"),
            ("histogram", "a_bucket{le=\"1\"} 2\na_bucket{le=\"2\"} 1", "line 3: the values of the buckets fall: a"),
            (
                "histogram",
                "a_bucket{le=\"+Inf\"} 1\na_count 2\na_sum 1",
                "line 5: the count is not that of the bucket +Inf: a",
            ),
            ("histogram", "a_bucket{le=\"+Inf\"} 1\na_count 1", "line 4: there is a count without a sum: a"),
            ("gaugehistogram", "a_bucket{le=\"-1\"} 1\na_bucket{le=\"+Inf\"} 1\na_gcount 1\na_gsum -1", "a:4"),
            (
                "gaugehistogram",
                "a_bucket{le=\"+Inf\"} 1\na_gcount 1\na_gsum -1",
                "line 5: the gsum is negative, and no bucket is: a",
            ),
            ("x", "a 1", "line 3: Invalid metric type: \"x\""),
            ("untyped", "a 1", "line 1: untyped is called unknown in OpenMetrics"),
        ] {
            let input = format!("# TYPE a {kind}\n{lines}\n# EOF\n");

            assert_eq!(self::read(&input), read, "{input}");
        }
    }

    #[test]
    fn lines_stand_in_order() {
        for (input, read) in [
            ("# EOF", ""),
            ("", "line 0: # EOF is missing at the end"),
            ("a 1\n", "a:1 line 1: # EOF is missing at the end"),
            ("# EOF\n\n", "line 2: \"\" follows # EOF"),
            ("\n# EOF\n", "line 1: the line is empty"),
            ("# a comment\n# EOF\n", "line 1: \"# a comment\" is no metadata"),
            ("# X a b\n# EOF\n", "line 1: \"X\" is neither HELP, TYPE nor UNIT"),
            ("# HELP a b\n# HELP a c\n# EOF\n", "line 2: HELP of a is told twice"),
            ("a 1\n# HELP a b\n# EOF\n", "line 2: metadata of a follows its samples"),
            ("a 1\nb 1\na 1\n# EOF\n", "a:1 b:1 line 4: the name a is taken already"),
            ("# UNIT a b\n# EOF\n", "line 2: the name of a does not end in its unit, \"b\""),
            ("# UNIT a_b b\n# EOF\n", "a_b:0"),
            ("# TYPE a info\n# UNIT a_b b\n# TYPE a_b info\n# EOF\n", "a:0 line 4: a_b is of a type that has no unit"),
            ("a{b=\"1\"} 1\na{b=\"2\"} 1\na{b=\"1\"} 2\n# EOF\n", "line 3: samples of one metric of a stand apart: a"),
            ("a 1\na 2\n# EOF\n", "a:1"),
            ("a 1 1\na 2 1\na 3 2\n# EOF\n", "a:2"),
            ("a 1 2\na 2 1\n# EOF\n", "line 2: the timestamps of a metric go back: a"),
            ("a 1 2\na 2\n# EOF\n", "line 2: only some samples of a metric have a timestamp: a"),
            ("a 1 2\na 2 1e3\n# EOF\n", "line 2: the timestamps of a metric are written in two ways: a"),
        ] {
            assert_eq!(self::read(input), read, "{input:?}");
        }
    }

    #[test]
    fn times_keep_the_precision_in_which_they_are_written() {
        let exact = |seconds, nanoseconds| Some(Timestamp::Exact { seconds, nanoseconds });
        for (text, time) in [
            ("1", exact(1, 0)),
            ("-1.5", exact(-1, 500_000_000)),
            ("1.", exact(1, 0)),
            ("1.000000001999", exact(1, 1)),
            ("12345678901234567890.5", exact(12_345_678_901_234_567_890, 500_000_000)),
            ("1.5e3", Some(Timestamp::Seconds(1500.0))),
            (".5", Some(Timestamp::Seconds(0.5))),
            ("NaN", None),
            ("inf", None),
            ("1_0", None),
            ("x", None),
        ] {
            assert_eq!(timestamp(text).ok().flatten(), time, "{text}");
        }
    }

    #[test]
    fn an_exemplar_stands_behind_value_and_time() {
        for (line, timestamp, value) in
            [("a 1 # {b=\"c\"} 2", None, Some(2.0)), ("a 1 3 # {} 2", Some(3.0), Some(2.0)), ("a 1 3", Some(3.0), None)]
        {
            let sample = sample(line, false).unwrap();
            let found = (sample.timestamp.map(Timestamp::seconds), sample.exemplar.map(|it| it.value.as_f64()));

            assert_eq!(found, (timestamp, value), "{line}");
        }
        let long = format!("a 1 # {{b=\"{}\"}} 1", "c".repeat(128));
        for line in ["a 1 ", "a 1 # {}", "a 1 # {} ", "a 1 # {} 1 ", "a 1 #", "a 1 # {} 1 # {} 1", &long] {
            assert!(sample(line, false).is_err(), "{line}");
        }
    }
}
