//! The text format, as laxly as the official client reads it.
//!
//! Blanks are passed over, comments that are no metadata too, and a family may come twice. A line is a sample of the
//! family that was named last if its name is one that the type has; else it is a family by itself. Types that nobody knows
//! are an error when their family ends.

use super::{
    Content, Head, ParseError, Sample, Step, label,
    scan::{find_labels, find_unquoted, is_bare_name, is_separator, shown, split_comment, trim, unescape, unquote},
};
use crate::{Kind, Timestamp, name::check_metric, number::Number};

/// Reads the text format line by line: see [`Reader`](super::Reader).
#[derive(Debug)]
pub struct TextReader {
    line: usize,
    legacy: bool,
    /// Empty where no family has begun.
    name: String,
    help: String,
    kind: String,
    /// What follows the family's name in the names of its samples.
    suffixes: &'static [&'static str],
}

impl Default for TextReader {
    fn default() -> TextReader {
        TextReader::new()
    }
}

impl TextReader {
    /// A reader that has read nothing.
    pub fn new() -> TextReader {
        TextReader {
            line: 0,
            legacy: false,
            name: String::new(),
            help: String::new(),
            kind: "untyped".to_owned(),
            suffixes: &[],
        }
    }

    /// Whether only legacy names are accepted, as metric names and in labels.
    pub fn set_legacy(&mut self, legacy: bool) {
        self.legacy = legacy;
    }

    /// Takes the next line: see [`Reader::line`](super::Reader::line).
    pub fn line<'a>(&mut self, line: &'a str) -> Step<'a> {
        self.line += 1;
        let read = match TextReader::sample_in(line) {
            Some(line) => sample(line, self.legacy).map(|sample| self.place(sample)),
            None => self.comment(trim(line)).map(|ended| Step { ended, content: Ok(Content::Nothing) }),
        };
        read.unwrap_or_else(|reason| Step { ended: None, content: Err(ParseError::new(self.line, reason)) })
    }

    /// The sample in a line, without blanks around it, if the line is neither empty nor a comment.
    ///
    /// ```
    /// use tallymark_model::parse::TextReader;
    /// assert_eq!(TextReader::sample_in(" up 1\n"), Some("up 1"));
    /// assert_eq!(TextReader::sample_in("# up 1\n"), None);
    /// ```
    pub fn sample_in(line: &str) -> Option<&str> {
        let line = trim(line);
        (!line.is_empty() && !line.starts_with('#')).then_some(line)
    }

    /// Takes the sample that the next line is, for those who read it in a way of their own.
    ///
    /// ```
    /// use tallymark_model::parse::{Content, TextReader, text};
    /// let sample = text("up 1\n").next().unwrap()?.samples.remove(0);
    /// let mut reader = TextReader::new();
    /// reader.line("# TYPE up gauge");
    /// assert!(matches!(reader.sample_line(sample).content?, Content::Sample(_)));
    /// # Ok::<(), tallymark_model::parse::ParseError>(())
    /// ```
    pub fn sample_line<'a>(&mut self, sample: Sample<'a>) -> Step<'a> {
        self.line += 1;
        self.place(sample)
    }

    /// Makes the sample one of the family, or one by itself.
    fn place<'a>(&mut self, sample: Sample<'a>) -> Step<'a> {
        let belongs = sample.name.strip_prefix(&*self.name).is_some_and(|rest| self.suffixes.contains(&rest));
        if belongs {
            // A family without a name cannot be shown, and nobody asks for what is in it.
            let content = if self.name.is_empty() { Content::Nothing } else { Content::Sample(sample) };
            return Step { ended: None, content: Ok(content) };
        }
        let single = match check_metric(&sample.name, self.legacy) {
            Ok(()) => Ok(Content::Single(sample)),
            Err(error) => Err(ParseError::new(self.line, error.to_string())),
        };
        match self.end() {
            Ok(ended) => Step { ended, content: single },
            Err(error) => Step { ended: None, content: Err(error) },
        }
    }

    /// Ends the family: see [`Reader::end`](super::Reader::end).
    ///
    /// # Errors
    /// [`ParseError`] if there is nothing like its type, or nothing is left of its name.
    pub fn end(&mut self) -> Result<Option<Head>, ParseError> {
        self.begin("").map_err(|reason| ParseError::new(self.line, reason))
    }

    /// A line that is empty or begins with `#`; gives the family that it ends.
    fn comment(&mut self, line: &str) -> Result<Option<Head>, String> {
        let (parts, count) = split_comment(line, is_separator);
        let keyword = parts[1];
        if count < 2 || !["HELP", "TYPE"].contains(&keyword) {
            return Ok(None);
        }
        let (name, quoted) = unquote(parts[2])?;
        if count > 2 && !quoted && !is_bare_name(&name) {
            return Err(format!("{} is no metric name without quotes", shown(&name)));
        }
        if keyword == "TYPE" && count < 4 {
            return Err(format!("a type is missing in {}", shown(line)));
        }
        let mut ended = None;
        if name != self.name {
            ended = self.begin(&name)?;
            self.suffixes = &[""];
        }
        if keyword == "HELP" {
            self.help = unescape(parts[3], false).into_owned();
        } else {
            self.kind = parts[3].to_owned();
            self.suffixes = match parts[3] {
                "summary" => &["_count", "_sum", ""],
                "histogram" => &["_count", "_sum", "_bucket"],
                _ => &[""],
            };
        }
        Ok(ended)
    }

    /// Makes `name` the family that is being read; gives the one before it.
    fn begin(&mut self, name: &str) -> Result<Option<Head>, String> {
        let before = std::mem::replace(self, TextReader { name: name.to_owned(), ..TextReader::new() });
        (self.line, self.legacy) = (before.line, before.legacy);
        if before.name.is_empty() {
            return Ok(None);
        }
        let kind = Kind::parse(&before.kind).ok_or_else(|| format!("Invalid metric type: {}", shown(&before.kind)))?;
        let (mut name, mut lacks_total) = (before.name, false);
        if kind == Kind::Counter {
            match name.strip_suffix("_total") {
                Some(stem) => name.truncate(stem.len()),
                None => lacks_total = true,
            }
        }
        check_metric(&name, self.legacy).map_err(|error| error.to_string())?;
        Ok(Some(Head { name, help: before.help, kind, unit: String::new(), lacks_total }))
    }
}

/// Reads a line of the text format that is a sample, without blanks around it.
///
/// # Errors
/// What is wrong, in words.
///
/// ```
/// use tallymark_model::{number::Number, parse};
/// let sample = parse::text_sample("up{job=\"shop\"} 1", false)?;
/// assert_eq!((sample.label("job"), sample.value), (Some("shop"), Number::Integer(1)));
/// # Ok::<(), String>(())
/// ```
pub fn sample(line: &str, legacy: bool) -> Result<Sample<'_>, String> {
    let (name, labels, rest) = match find_labels(line) {
        Some(open) => {
            let (mut labels, rest) = match label::plain_labels(&line[open + 1..], legacy) {
                Some(plain) => plain,
                None => {
                    let close = find_unquoted(&line[open..], 0, |byte| byte == b'}')
                        .ok_or_else(|| format!("the brace is not closed in {}", shown(line)))?;
                    let inside = &line[open + 1..open + close];
                    (label::labels(inside, false, legacy)?, &line[open + close + 1..])
                }
            };
            let name = label::take_name(trim(&line[..open]), &mut labels)?;
            (name, labels, rest)
        }
        None => {
            let (name, rest) = name_and_rest(line, |byte| matches!(byte, b' ' | b'\t'));
            let name = trim(name);
            if !is_bare_name(name) {
                return Err(format!("{} is no metric name without quotes", shown(name)));
            }
            (name.into(), Vec::new(), rest)
        }
    };
    let (value, timestamp) = value_and_time(rest)?;
    Ok(Sample { name, labels, value, timestamp, exemplar: None, native_histogram: None })
}

/// A sample's name, up to a separator, and what is behind it. Where nothing separates them, the official client takes the
/// line without its last character for the name, and the line for the value: `nan` is a sample `na`.
pub(super) fn name_and_rest(line: &str, separates: impl Fn(u8) -> bool) -> (&str, &str) {
    match find_unquoted(line, 0, separates) {
        Some(end) => (&line[..end], &line[end + 1..]),
        None => (line.char_indices().next_back().map_or("", |(last, _)| &line[..last]), line),
    }
}

/// The first number and, if there are more, the last one, in milliseconds.
fn value_and_time(text: &str) -> Result<(Number, Option<Timestamp>), String> {
    let text = text.trim_start_matches(super::scan::is_blank);
    let separator = if text.contains(' ') { ' ' } else { '\t' };
    let mut words = text.split(separator).map(trim).filter(|word| !word.is_empty());
    let Some(value) = words.next() else { return Err("the value is missing".to_owned()) };
    let value = number(value)?;
    let timestamp = words.next_back().map(milliseconds).transpose()?;
    Ok((value, timestamp))
}

pub(super) fn number(word: &str) -> Result<Number, String> {
    Number::parse(word).ok_or_else(|| format!("{} is no number", shown(word)))
}

fn milliseconds(word: &str) -> Result<Timestamp, String> {
    let number = number(word)?;
    let seconds = match number {
        // Beyond 2⁵³ the quotient of the rounded number is not always the rounded quotient.
        Number::Integer(number) if number.unsigned_abs() > 1 << 53 => {
            format!("{number}e-3").parse().unwrap_or(f64::NAN)
        }
        number => number.as_f64() / 1000.0,
    };
    Ok(Timestamp::Seconds(seconds))
}

#[cfg(test)]
mod tests {
    use super::super::{Family, text};
    use super::*;

    fn read(input: &str) -> Vec<Family<'_>> {
        text(input).collect::<Result<_, _>>().unwrap()
    }

    /// `name kind [sample=value …]` of each family.
    fn shown(input: &str) -> Vec<String> {
        let family = |family: Family<'_>| {
            let samples = family.samples.iter().map(|sample| format!("{}={}", sample.name, sample.value.as_f64()));
            format!("{} {} {}", family.name, family.kind, samples.collect::<Vec<_>>().join(" "))
        };
        text(input).map(|it| it.map_or_else(|error| error.to_string(), family)).collect()
    }

    #[test]
    fn a_family_goes_on_until_another_one_is_named() {
        for (input, families) in [
            ("", &[][..]),
            ("a 1", &["a unknown a=1"]),
            ("a 1\na 2\n", &["a unknown a=1", "a unknown a=2"]),
            ("# TYPE a gauge\na 1\n\n# a comment\na 2\n", &["a gauge a=1 a=2"]),
            ("# TYPE a gauge\na 1\nb 2\na 3\n", &["a gauge a=1", "b unknown b=2", "a unknown a=3"]),
            ("# HELP a h\n# TYPE a gauge\na 1\n", &["a gauge a=1"]),
            ("# HELP a h\na 1\n# TYPE a gauge\na 2\n", &["a gauge a=1 a=2"]),
            ("# TYPE a gauge\n# TYPE b gauge\nb 1\n", &["a gauge ", "b gauge b=1"]),
            ("# TYPE a summary\na{quantile=\"0.5\"} 1\na_count 2\na_sum 3\n", &["a summary a=1 a_count=2 a_sum=3"]),
            ("# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na 2\n", &["a histogram a_bucket=1", "a unknown a=2"]),
            ("# TYPE a_total counter\na_total 1\n", &["a counter a_total=1"]),
            ("# TYPE a counter\na 1\n", &["a counter a_total=1"]),
            ("# TYPE \"a b\" gauge\n{\"a b\"} 1\n", &["a b gauge a b=1"]),
        ] {
            assert_eq!(shown(input), families, "{input:?}");
        }
    }

    #[test]
    fn a_family_is_given_before_the_error_that_follows_its_end() {
        for (input, families) in [
            ("# TYPE a gauge\na 1\nb one\n", &["line 3: \"one\" is no number"][..]),
            ("# TYPE a gauge\na 1\n{\"\"} 1\n", &["a gauge a=1", "line 3: metric name cannot be empty"]),
            ("# TYPE a x\n# TYPE b gauge\n", &["line 2: Invalid metric type: \"x\""]),
            ("# TYPE a x\n", &["line 1: Invalid metric type: \"x\""]),
            ("# TYPE a\n", &["line 1: a type is missing in \"# TYPE a\""]),
            ("# HELP 1a x\n", &["line 1: \"1a\" is no metric name without quotes"]),
        ] {
            assert_eq!(shown(input), families, "{input:?}");
        }
    }

    #[test]
    fn values_keep_their_kind_and_times_are_in_milliseconds() {
        for (line, value, timestamp) in [
            ("a 1", Number::Integer(1), None),
            ("a 1.0", Number::Float(1.0), None),
            ("a\t1\t1500", Number::Integer(1), Some(1.5)),
            ("a   1   1500   ", Number::Integer(1), Some(1.5)),
            ("a{}1", Number::Integer(1), None),
            ("a{} 1 -1.5", Number::Integer(1), Some(-0.0015)),
            ("a 1 2 3", Number::Integer(1), Some(0.003)),
            ("a 1 9007199254740993001", Number::Integer(1), Some(9_007_199_254_740_994.0)),
        ] {
            let families = read(line);
            let sample = &families[0].samples[0];

            assert_eq!((sample.value, sample.timestamp), (value, timestamp.map(Timestamp::Seconds)), "{line}");
        }
    }

    #[test]
    fn help_keeps_what_is_no_escape() {
        assert_eq!(read("# HELP a  \\\"b\\n\\\\n \"c\" \n")[0].help, "\\\"b\n\\n \"c\"");
    }
}
