//! A native histogram on a line of OpenMetrics, and how such a line is told from others.
//!
//! What the official client takes out of `{count:…,…}` is taken out, in whatever order it stands, and what it passes over
//! is passed over: runs of buckets with a negative offset, a time, exemplars.

use std::borrow::Cow;

use super::{
    Label, Sample,
    label::{labels, take_name},
    scan::{find_unquoted, is_blank, shown},
};
use crate::{NativeHistogram, Span, number::Number};

/// The suffixes of a histogram's other samples.
const SUFFIXES: [&str; 4] = ["_count", "_sum", "_bucket", "_created"];

/// Reads a line of a family of type histogram; `None` if it is no native histogram. The flag tells whether there are
/// labels, be it none between braces.
pub(super) fn sample(line: &str, legacy: bool) -> Result<Option<(Sample<'_>, bool)>, String> {
    let Some(mut at) = find_unquoted(line, 0, |byte| matches!(byte, b' ' | b'{')) else { return Ok(None) };
    let open = (line.as_bytes()[at] == b'{').then_some(at);
    if let Some(open) = open {
        at = find_unquoted(line, open, |byte| byte == b'}')
            .ok_or_else(|| format!("the brace is not closed in {}", shown(line)))?;
    }
    let Some(start) = find_unquoted(line, at + 1, |byte| byte == b'{') else { return Ok(None) };
    // Behind a `#` it is an exemplar's brace.
    if find_unquoted(line, at + 1, |byte| byte == b'#').is_some_and(|hash| hash < start) {
        return Ok(None);
    }
    if find_unquoted(line, start, |byte| byte == b'}').is_none() {
        return Err(format!("the brace is not closed in {}", shown(line)));
    }
    let before = match open {
        Some(open) => &line[..open],
        None => line[..start].char_indices().next_back().map_or("", |(last, _)| &line[..last]),
    };
    if SUFFIXES.iter().any(|suffix| before.ends_with(suffix)) {
        return Err(format!("{} has a suffix, which a native histogram has not", shown(before)));
    }
    let mut labels: Vec<Label<'_>> = match open {
        Some(open) => labels(&line[open + 1..at], true, legacy)?,
        None => Vec::new(),
    };
    let mut has_labels = open.is_some();
    let name = if before.is_empty() && open.is_some() {
        let name = take_name(before, &mut labels)?;
        has_labels = !labels.is_empty();
        name
    } else {
        before.into()
    };
    let native_histogram = Some(Box::new(histogram(&line[start..])?));
    let sample =
        Sample { name, labels, value: Number::Float(f64::NAN), timestamp: None, exemplar: None, native_histogram };
    Ok(Some((sample, has_labels)))
}

/// Reads what begins with the brace.
fn histogram(text: &str) -> Result<NativeHistogram, String> {
    let fields = fields(text);
    let field = |key: &str| {
        let found = fields.iter().rev().find(|(known, _)| *known == key);
        found.map(|(_, value)| *value).ok_or_else(|| format!("{key} is missing in {}", shown(text)))
    };
    let refused = |key: &str, value: &str| format!("{key} cannot be {}", shown(value));
    let whole = |key: &str| {
        let value = field(key)?;
        match number(value) {
            Some(number @ Number::Integer(_)) => Ok(number),
            _ => Err(refused(key, value)),
        }
    };
    let fraction = |key: &str| {
        let value = field(key)?;
        float(value).map(Number::Float).ok_or_else(|| refused(key, value))
    };
    let count = whole("count")?;
    let sum = fraction("sum")?;
    let schema = match whole("schema")? {
        Number::Integer(schema) => i32::try_from(schema).ok(),
        Number::Float(_) => None,
    };
    let schema = schema.ok_or_else(|| format!("the schema is out of range in {}", shown(text)))?;
    Ok(NativeHistogram {
        zero_threshold: fraction("zero_threshold")?,
        zero_count: whole("zero_count")?,
        positive_spans: spans(text, "positive_spans:[")?,
        positive_deltas: deltas(text, "positive_deltas:[")?,
        negative_spans: spans(text, "negative_spans:[")?,
        negative_deltas: deltas(text, "negative_deltas:[")?,
        ..NativeHistogram::new(count, sum, schema)
    })
}

/// Keys and values: a word, a colon, and what is there up to a comma or a brace.
fn fields(text: &str) -> Vec<(&str, &str)> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let (mut fields, mut rest) = (Vec::new(), text);
    while let Some(start) = rest.find(is_word) {
        let word = &rest[start..];
        let (key, behind) = word.split_at(word.find(|character| !is_word(character)).unwrap_or(word.len()));
        rest = behind;
        if let Some(value) = behind.strip_prefix(':') {
            let (value, behind) = value.split_at(value.find([',', '}']).unwrap_or(value.len()));
            if !value.is_empty() {
                fields.push((key, value.trim_start_matches(is_blank)));
                rest = behind;
            }
        }
    }
    fields
}

/// The number as Python's `int` or `float` takes it: with blanks around it, and underscores between digits. Other than for
/// `str.strip`, the separators of ASCII are no blanks for them.
pub(super) fn number(text: &str) -> Option<Number> {
    Number::parse(&without_underscores(text.trim())?)
}

/// The same as a float, also where it is written without a point: minus zero is a float.
pub(super) fn float(text: &str) -> Option<f64> {
    without_underscores(text.trim())?.parse().ok()
}

fn without_underscores(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('_') {
        return Some(Cow::Borrowed(text));
    }
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let between = |(at, _): (usize, &str)| at > 0 && is_digit(at - 1) && is_digit(at + 1);
    text.match_indices('_').all(between).then(|| Cow::Owned(text.replace('_', "")))
}

fn spans(text: &str, key: &str) -> Result<Vec<Span>, String> {
    last_list(text, key, |item| {
        let (offset, length) = item.split_once(':')?;
        (is_digits(offset) && is_digits(length))
            .then(|| Some(Span { offset: offset.parse().ok()?, length: length.parse().ok()? }))
    })
}

fn deltas(text: &str, key: &str) -> Result<Vec<i64>, String> {
    last_list(text, key, |item| is_digits(item.strip_prefix('-').unwrap_or(item)).then(|| item.parse().ok()))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The items of the last list behind `key`, in brackets and between commas, of which each has the right form. What has
/// another form is no list; an item of the right form may yet be too large.
fn last_list<T>(text: &str, key: &str, read: impl Fn(&str) -> Option<Option<T>>) -> Result<Vec<T>, String> {
    for (at, _) in text.rmatch_indices(key) {
        let list = &text[at + key.len()..];
        let Some(end) = list.find(|character: char| !matches!(character, '0'..='9' | ':' | ',' | '-')) else {
            continue;
        };
        if !list[end..].starts_with(']') {
            continue;
        }
        if let Some(items) = list[..end].split(',').map(&read).collect::<Option<Vec<_>>>() {
            let items: Option<Vec<T>> = items.into_iter().collect();
            return items.ok_or_else(|| format!("a number is too large in {}", shown(list)));
        }
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "{count:24,sum:1e2,schema:0,zero_threshold:0.001,zero_count:4}";

    #[test]
    fn fields_are_taken_in_any_order_and_the_last_of_a_key_counts() {
        for (text, count) in [
            (WHOLE, Some(24)),
            ("{zero_count:4, schema: 0,sum:1,zero_threshold:0,count:\t1_0 } 5 # {}", Some(10)),
            ("{count:1,count:2,sum:1,schema:0,zero_threshold:0,zero_count:0}", Some(2)),
            ("{count:1,sum:1,schema:0,zero_threshold:0}", None),
            ("{count:1.5,sum:1,schema:0,zero_threshold:0,zero_count:0}", None),
            ("{count:,sum:1,schema:0,zero_threshold:0,zero_count:0}", None),
            ("{count: ,sum:1,schema:0,zero_threshold:0,zero_count:0}", None),
            ("{count:1__0,sum:1,schema:0,zero_threshold:0,zero_count:0}", None),
            ("{count:1,sum:1,schema:9999999999,zero_threshold:0,zero_count:0}", None),
        ] {
            let found = histogram(text).ok().map(|histogram| histogram.count);

            assert_eq!(found, count.map(Number::Integer), "{text}");
        }
    }

    #[test]
    fn a_list_that_is_none_is_passed_over() {
        for (list, spans) in [
            ("positive_spans:[0:2,3:1]", &[(0, 2), (3, 1)][..]),
            ("positive_spans:[0:2],positive_spans:[1:1]", &[(1, 1)]),
            ("positive_spans:[0:2],positive_spans:[]", &[(0, 2)]),
            ("positive_spans:[-1:2]", &[]),
            ("positive_spans:[0:2", &[]),
            ("positive_spans:[0:2, 1:1]", &[]),
            ("positive_spans: [0:2]", &[]),
            ("", &[]),
        ] {
            let text = format!("{},{list}}}", WHOLE.trim_end_matches('}'));
            let found = histogram(&text).unwrap();
            let found: Vec<_> = found.positive_spans.iter().map(|span| (span.offset, span.length)).collect();

            assert_eq!(found, spans, "{list}");
        }
        assert_eq!(deltas("positive_deltas:[1,-2]", "positive_deltas:["), Ok(vec![1, -2]));
        assert!(deltas("positive_deltas:[99999999999999999999]", "positive_deltas:[").is_err());
    }

    #[test]
    fn a_line_is_a_native_histogram_if_a_second_brace_opens_before_any_hash() {
        for (line, found) in [
            (format!("a {WHOLE}"), Some(("a", false))),
            (format!("a{{b=\"c\"}} {WHOLE}"), Some(("a", true))),
            (format!("a{{}} {WHOLE}"), Some(("a", true))),
            (format!("{{\"a b\"}} {WHOLE}"), Some(("a b", false))),
            (format!("{{\"a b\",c=\"{{\"}} {WHOLE}"), Some(("a b", true))),
            ("a_bucket{le=\"1\"} 1 # {a=\"b\"} 1".to_owned(), None),
            ("a_count 1".to_owned(), None),
            ("a".to_owned(), None),
        ] {
            let sample = sample(&line, false).unwrap();

            assert_eq!(sample.as_ref().map(|(it, has_labels)| (&*it.name, *has_labels)), found, "{line}");
        }
        for line in [format!("a_count {WHOLE}"), format!("a_sum{{b=\"c\"}} {WHOLE}"), "a {count:1".to_owned()] {
            assert!(sample(&line, false).is_err(), "{line}");
        }
    }
}
