//! A place in a line of the text format, which goes forward only: names, labels, numbers, as strictly as they come.
//!
//! Blanks are spaces and tabs. What is taken was understood; whatever is not understood is an error that shows it. Which
//! family a sample belongs to is not known here.

use super::{label::repeated, scan::shown};
use crate::{
    Sample,
    name::{check_label, check_metric, is_legacy_label, is_legacy_metric},
    number::Number,
};

/// What is left of a line.
pub(super) struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: &'a str) -> Cursor<'a> {
        Cursor { rest: line }
    }

    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn is_at_blank(&self) -> bool {
        self.rest.starts_with(is_blank)
    }

    pub(super) fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches(is_blank);
    }

    /// Takes the character, if it comes next.
    pub(super) fn take(&mut self, character: char) -> bool {
        match self.rest.strip_prefix(character) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes what comes before the next blank.
    pub(super) fn word(&mut self) -> &'a str {
        self.take_until(is_blank)
    }

    /// Takes a metric's name, in quotes or without.
    pub(super) fn metric_name(&mut self) -> Result<String, String> {
        if self.take('"') {
            return self.quoted();
        }
        let name = self.take_until(|it| !(it.is_ascii_alphanumeric() || it == '_' || it == ':'));
        if is_legacy_metric(name) {
            return Ok(name.to_owned());
        }
        let found = format!("{name}{}", self.take_until(|it| is_blank(it) || it == '{'));
        Err(format!("{} is no metric name without quotes", shown(&found)))
    }

    /// Takes the help text, which is all that is left.
    pub(super) fn help(&mut self) -> Result<String, String> {
        let (mut help, mut parts) = (String::new(), self.rest.split('\\'));
        help.push_str(parts.next().unwrap_or_default());
        self.rest = "";
        while let Some(part) = parts.next() {
            if let Some(part) = part.strip_prefix('n') {
                help.push('\n');
                help.push_str(part);
            } else if part.is_empty()
                && let Some(part) = parts.next()
            {
                // Two backslashes stand for one.
                help.push('\\');
                help.push_str(part);
            } else {
                return Err(bad_escape(part.chars().next()));
            }
        }
        Ok(help)
    }

    /// Takes text up to the quote that ends it; the one that begins it is taken already.
    fn quoted(&mut self) -> Result<String, String> {
        let (mut text, mut characters) = (String::new(), self.rest.chars());
        loop {
            match characters.next() {
                Some('"') => break,
                Some('\\') => text.push(match characters.next() {
                    Some('n') => '\n',
                    Some(it @ ('"' | '\\')) => it,
                    other => return Err(bad_escape(other)),
                }),
                Some(other) => text.push(other),
                None => return Err(format!("the quote is not closed before {}", shown(self.rest))),
            }
        }
        self.rest = characters.as_str();
        Ok(text)
    }

    /// Takes what stands between braces, of which the first is taken already, and the one that closes them: labels, and
    /// the metric's name if `name` has none yet.
    fn labels(&mut self, name: &mut Option<String>) -> Result<Vec<(String, String)>, String> {
        let mut labels = Vec::new();
        loop {
            self.skip_blanks();
            if self.take('}') {
                return match repeated(&labels) {
                    Some(label) => Err(format!("the label {} stands twice", shown(label))),
                    None => Ok(labels),
                };
            }
            let (label, is_quoted) = self.label_name()?;
            self.skip_blanks();
            if self.take('=') {
                self.skip_blanks();
                if !self.take('"') {
                    return Err(format!("the value of the label {} is not in quotes", shown(&label)));
                }
                let value = self.quoted()?;
                check_label(&label, false).map_err(|error| error.to_string())?;
                labels.push((label, value));
            } else if !is_quoted {
                return Err(format!("the label {} has no value", shown(&label)));
            } else if let Some(before) = name.replace(label) {
                return Err(format!(
                    "a name stands before the braces or before another one in them: {}",
                    shown(&before)
                ));
            }
            self.skip_blanks();
            if !self.take(',') && !self.rest.starts_with('}') {
                return Err(format!(
                    "a comma or the brace that closes the labels is missing before {}",
                    shown(self.rest)
                ));
            }
        }
    }

    /// Takes a label's name, and tells whether it was in quotes, which a metric's name may be.
    fn label_name(&mut self) -> Result<(String, bool), String> {
        if self.take('"') {
            let name = self.quoted()?;
            return if name.is_empty() { Err("a name is empty".to_owned()) } else { Ok((name, true)) };
        }
        let name = self.take_until(|it| !(it.is_ascii_alphanumeric() || it == '_'));
        if is_legacy_label(name) {
            return Ok((name.to_owned(), false));
        }
        Err(format!("{} is no label name without quotes", shown(&format!("{name}{}", self.rest))))
    }

    fn take_until(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }
}

/// Reads the sample that is all that is left of a line: `name{labels} value timestamp`.
pub(super) fn sample(mut cursor: Cursor<'_>) -> Result<Sample, String> {
    let mut name = if cursor.rest.starts_with('{') { None } else { Some(cursor.metric_name()?) };
    let has_blank = cursor.is_at_blank();
    cursor.skip_blanks();
    let mut labels = Vec::new();
    if cursor.take('{') {
        labels = cursor.labels(&mut name)?;
    } else if !has_blank && !cursor.is_at_end() {
        return Err(format!("a blank is missing before {}", shown(cursor.rest)));
    }
    let name = name.ok_or("the sample has no name")?;
    check_metric(&name, false).map_err(|error| error.to_string())?;
    cursor.skip_blanks();
    let value = value(cursor.word())?;
    let timestamp = if cursor.is_at_end() {
        None
    } else {
        cursor.skip_blanks();
        let word = cursor.word();
        let milliseconds: i64 = word.parse().map_err(|_| format!("{} is no timestamp in milliseconds", shown(word)))?;
        Some((milliseconds as f64 / 1000.0).into())
    };
    if !cursor.is_at_end() {
        return Err(format!("{} follows the timestamp", shown(cursor.rest)));
    }
    Ok(Sample { name, labels, value, timestamp, exemplar: None, native_histogram: None })
}

/// A value; one too large for a float is none, and infinity is written as such.
fn value(word: &str) -> Result<f64, String> {
    let number = Number::parse(word).map(Number::as_f64);
    match number {
        Some(number) if number.is_infinite() && word.contains(|it: char| it.is_ascii_digit()) => {
            Err(format!("{} is too large for a number", shown(word)))
        }
        Some(number) => Ok(number),
        None if word.is_empty() => Err("the value is missing".to_owned()),
        None => Err(format!("{} is no number", shown(word))),
    }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

fn bad_escape(character: Option<char>) -> String {
    match character {
        Some(character) => format!("{} is no escape", shown(&format!("\\{character}"))),
        None => "a backslash stands at the end".to_owned(),
    }
}
