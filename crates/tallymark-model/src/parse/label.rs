//! What stands between the braces: labels, and a name that is not a legacy one.

use std::{borrow::Cow, collections::HashSet};

use super::scan::{closing_quote, find_unquoted, is_bare_name, shown, trim, unescape, unquote};
use crate::name::check_label;

/// A label's name and value, borrowed from the line where nothing in them is escaped.
pub type Label<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The label that stands for the metric's name.
const NAME: &str = "__name__";

/// More labels than this are compared by hash.
const FEW: usize = 16;

/// Reads what stands between the braces; a metric's name is there as the label `__name__`.
///
/// # Errors
/// What is wrong, in words. Strictly, as OpenMetrics has it, there are no empty terms and no comma at either end; else a
/// label without a value is passed over.
///
/// ```
/// use tallymark_model::parse::labels;
/// let labels = labels(r#""a.b", path="/\n""#, false, false)?;
/// assert_eq!(labels, [("__name__".into(), "a.b".into()), ("path".into(), "/\n".into())]);
/// # Ok::<(), String>(())
/// ```
pub fn labels(text: &str, strict: bool, legacy: bool) -> Result<Vec<Label<'_>>, String> {
    let mut rest = trim(text);
    if strict && rest.starts_with(',') {
        return Err(format!("a comma stands before the labels {}", shown(text)));
    }
    let mut labels: Vec<Label<'_>> = Vec::new();
    while !rest.is_empty() {
        let term = next_term(rest)?;
        if term.value.is_empty() {
            if strict {
                return Err(format!("a label is empty in {}", shown(text)));
            }
            if term.rest.len() == rest.len() {
                return Err(format!("a brace stands among the labels {}", shown(text)));
            }
        } else {
            labels.push(label(term.name, term.value, legacy)?);
        }
        rest = term.rest;
    }
    match repeated(&labels) {
        Some(name) => Err(format!("the label {} stands twice in {}", shown(name), shown(text))),
        None => Ok(labels),
    }
}

/// Reads labels as encoders write them, `name="value",…}`, and gives what follows the brace; `None` if they have any other
/// form, be it right or wrong. Each byte is looked at once: most of an exposition is labels.
pub(super) fn plain_labels(mut text: &str, legacy: bool) -> Option<(Vec<Label<'_>>, &str)> {
    let mut labels: Vec<Label<'_>> = Vec::new();
    loop {
        let bytes = text.as_bytes();
        let name_end = bytes.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')?;
        let start = name_end + 2;
        if name_end == 0 || bytes[0].is_ascii_digit() || !bytes[name_end..].starts_with(b"=\"") {
            return None;
        }
        let end = start + bytes[start..].iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        let (name, value) = (&text[..name_end], &text[start..end]);
        if bytes[end] == b'\\' || check_label(name, legacy).is_err() {
            return None;
        }
        labels.push((Cow::Borrowed(name), Cow::Borrowed(value)));
        text = &text[end + 1..];
        if let Some(rest) = text.strip_prefix('}') {
            return repeated(&labels).is_none().then_some((labels, rest));
        }
        text = text.strip_prefix(',')?;
    }
}

/// One term, as it stands there, and what comes behind it.
struct Term<'a> {
    name: &'a str,
    value: &'a str,
    rest: &'a str,
}

/// Cuts off the next term, with the comma before it.
fn next_term(mut text: &str) -> Result<Term<'_>, String> {
    if let Some(behind) = text.strip_prefix(',') {
        if behind.starts_with(',') {
            return Err("there are two commas between labels".to_owned());
        }
        text = behind;
    }
    let mut name = NAME;
    let mut end = find_unquoted(text, 0, |byte| matches!(byte, b'=' | b',' | b'}'));
    if let Some(at) = end
        && text.as_bytes()[at] == b'='
    {
        (name, text) = (&text[..at], &text[at + 1..]);
        end = find_unquoted(text, 0, |byte| matches!(byte, b',' | b'}'));
    }
    let (value, rest) = text.split_at(end.unwrap_or(text.len()));
    Ok(Term { name, value: trim(value), rest: trim(rest) })
}

fn label<'a>(name: &'a str, value: &'a str, legacy: bool) -> Result<Label<'a>, String> {
    let (name, quoted) = unquote(name)?;
    if !quoted && !is_bare_name(&name) {
        return Err(format!("{} is no label name without quotes", shown(&name)));
    }
    let inner = value.strip_prefix('"').ok_or_else(|| format!("{} is not in quotes", shown(value)))?;
    match closing_quote(inner.as_bytes(), 0) {
        Some(end) if end + 1 == inner.len() => {}
        Some(_) => return Err(format!("text follows the closing quote of {}", shown(value))),
        None => return Err(format!("{} has no closing quote", shown(value))),
    }
    if name != NAME {
        check_label(&name, legacy).map_err(|error| error.to_string())?;
    }
    Ok((name, unescape(&inner[..inner.len() - 1], true)))
}

/// A name that stands twice.
pub(super) fn repeated<S: AsRef<str>>(labels: &[(S, S)]) -> Option<&str> {
    let mut names = labels.iter().map(|(name, _)| name.as_ref()).enumerate();
    if labels.len() <= FEW {
        let is_known = |at: usize, name: &str| labels[..at].iter().any(|(known, _)| known.as_ref() == name);
        return names.find(|(at, name)| is_known(*at, name)).map(|(_, name)| name);
    }
    let mut known = HashSet::with_capacity(labels.len());
    names.find(|(_, name)| !known.insert(*name)).map(|(_, name)| name)
}

/// The name of a sample: the one before the braces, or the one in them, which is taken from the labels.
pub(super) fn take_name<'a>(before: &'a str, labels: &mut Vec<Label<'a>>) -> Result<Cow<'a, str>, String> {
    let inside = labels.iter().position(|(name, _)| name == NAME);
    match inside {
        None if before.is_empty() => Err("the sample has no name".to_owned()),
        None => Ok(Cow::Borrowed(before)),
        Some(at) if before.is_empty() => Ok(labels.remove(at).1),
        Some(_) => Err(format!("a name stands before the braces and in them: {}", shown(before))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, strict: bool) -> Option<Vec<(String, String)>> {
        let labels = labels(text, strict, false).ok()?;
        Some(labels.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    fn owned(pairs: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        Some(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn what_openmetrics_refuses_the_text_format_may_take() {
        for (text, lax, strict) in [
            (r#"a="b""#, owned(&[("a", "b")]), true),
            (r#"a="b",c="d""#, owned(&[("a", "b"), ("c", "d")]), true),
            (r#" a = "b" , c = "d" "#, owned(&[("a", "b"), ("c", "d")]), true),
            (r#"a="b","#, owned(&[("a", "b")]), false),
            (r#",a="b""#, owned(&[("a", "b")]), false),
            (r#"a=,b="c""#, owned(&[("b", "c")]), false),
            (",", owned(&[]), false),
            ("", owned(&[]), true),
            (r#""a b","c d"="e""#, owned(&[("__name__", "a b"), ("c d", "e")]), true),
            (r#"a="=,}{""#, owned(&[("a", "=,}{")]), true),
            (r#"a="\"\\\n\x""#, owned(&[("a", "\"\\\n\\x")]), true),
        ] {
            assert_eq!(read(text, false), lax, "{text}");
            assert_eq!(read(text, true), lax.filter(|_| strict), "{text}");
        }
    }

    #[test]
    fn the_short_way_reads_what_the_long_way_reads_or_nothing() {
        for (text, short) in [
            (r#"a="b"}"#, true),
            (r#"a="b",c="é,}=",_1=""}"#, true),
            (r#"a="b\\"}"#, false),
            (r#"a="b",}"#, false),
            (r#"a="b", c="d"}"#, false),
            (r#""a"="b"}"#, false),
            (r#"1="b"}"#, false),
            (r#"="b"}"#, false),
            (r#"a="b",a="c"}"#, false),
            (r#"__a="b"}"#, false),
            (r#"a="b""#, false),
            (r#"a="b"#, false),
            ("a=", false),
            ("a", false),
            ("}", false),
            ("", false),
        ] {
            let found = plain_labels(text, false);
            let expected = short.then(|| (labels(text.trim_end_matches('}'), true, false).unwrap(), ""));

            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_label_is_refused() {
        let many: Vec<String> = (0..40).map(|at| format!("l{}=\"\"", at % 39)).collect();
        for text in [
            "a",
            "a=b",
            r#"a="b"#,
            r#"a="b\""#,
            r#"a="b"c"#,
            r#"="b""#,
            r#"1a="b""#,
            r#"a="b",,c="d""#,
            "}",
            "a}",
            r#"a="b",a="c""#,
            r#"__a="b""#,
            r#""a","b""#,
            r#"a="b", ="c""#,
            &many.join(","),
        ] {
            assert_eq!(read(text, false), None, "{text}");
        }
    }
}
