//! Quotes, blanks and escapes: how far a piece of a line goes, and what it means.
//!
//! Everything here walks forward once, so that no line costs more than its length, however many quotes or backslashes it
//! has. What a piece is for is not known here.

use std::borrow::Cow;

use crate::name::is_legacy_metric;

/// What separates the words of a comment of the text format.
pub(super) fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// The text without blanks around it, as Python's `str.strip` has them: the four separators of ASCII are blanks, too.
pub(super) fn trim(text: &str) -> &str {
    match text.as_bytes() {
        // Most have none, and need no characters to be decoded to know it.
        [b'!'..=b'~'] | [b'!'..=b'~', .., b'!'..=b'~'] => text,
        _ => text.trim_matches(is_blank),
    }
}

pub(super) fn is_blank(character: char) -> bool {
    character.is_whitespace() || ('\x1c'..='\x1f').contains(&character)
}

/// Whether a name may stand without quotes. One line feed at the end is let through, as the official client does: it can
/// come of an escape only.
pub(super) fn is_bare_name(name: &str) -> bool {
    is_legacy_metric(name.strip_suffix('\n').unwrap_or(name))
}

/// Where the first of the wanted bytes, which are ASCII's, stands outside of quotes, from `start` on; `start` is outside.
pub(super) fn find_unquoted(text: &str, start: usize, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut escaped) = (start, is_escaped(bytes, start));
    while let Some(byte) = bytes.get(at) {
        if *byte == b'"' && !escaped {
            at = closing_quote(bytes, at + 1)?;
        } else if wanted(*byte) {
            return Some(at);
        }
        escaped = *byte == b'\\' && !escaped;
        at += 1;
    }
    None
}

/// Where the first quote stands from `start` on, which is in quotes, that no backslash escapes.
pub(super) fn closing_quote(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Where the brace of a sample's labels opens; none does where an exemplar comes first.
pub(super) fn find_labels(line: &str) -> Option<usize> {
    let open = find_unquoted(line, 0, |byte| byte == b'{')?;
    let before = &line[..open];
    // The byte is looked for first: it is seldom there, and cheaper to find than the text.
    (!before.as_bytes().contains(&b'#') || !before.contains(" # ")).then_some(open)
}

/// Where the last closing brace stands that is not in quotes, seen from the end; the first byte is not looked at.
pub(super) fn find_last_brace(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut quoted = false;
    for at in (1..bytes.len()).rev() {
        quoted ^= bytes[at] == b'"' && !is_escaped(bytes, at);
        if !quoted && bytes[at] == b'}' {
            return Some(at);
        }
    }
    None
}

/// Whether an odd number of backslashes stands before.
fn is_escaped(bytes: &[u8], at: usize) -> bool {
    bytes[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// The first three words of a comment and the rest of it, and how many of these there are.
pub(super) fn split_comment(line: &str, separates: impl Fn(u8) -> bool) -> ([&str; 4], usize) {
    let (mut parts, mut count, mut at) = ([""; 4], 1, 0);
    while at < line.len() {
        match find_unquoted(line, at, &separates) {
            Some(end) if end == at => at += 1,
            Some(end) if count < parts.len() => {
                parts[count - 1] = &line[at..end];
                at = end + 1;
                count += 1;
            }
            _ => {
                parts[count - 1] = &line[at..];
                break;
            }
        }
    }
    (parts, count)
}

/// A name without its quotes and escapes, and whether it had quotes.
pub(super) fn unquote(text: &str) -> Result<(Cow<'_, str>, bool), String> {
    if text.is_empty() {
        return Ok((Cow::Borrowed(text), false));
    }
    let text = trim(text);
    match text.strip_prefix('"') {
        Some(inner) => match inner.strip_suffix('"') {
            Some(inner) => Ok((unescape(inner, true), true)),
            None => Err(format!("{} has no closing quote", shown(text))),
        },
        None if text.is_empty() => Err("a name is blank".to_owned()),
        None => Ok((unescape(text, true), false)),
    }
}

/// The text with `\\`, `\n` and, if quotes are escaped, `\"` made what they stand for; other backslashes stay.
pub(super) fn unescape(text: &str, quotes: bool) -> Cow<'_, str> {
    let Some(mut at) = text.bytes().position(|byte| byte == b'\\') else { return Cow::Borrowed(text) };
    let (mut plain, mut rest) = (String::with_capacity(text.len()), text);
    loop {
        plain.push_str(&rest[..at]);
        let replacement = match rest.as_bytes().get(at + 1) {
            Some(b'\\') => Some('\\'),
            Some(b'n') => Some('\n'),
            Some(b'"') if quotes => Some('"'),
            _ => None,
        };
        plain.push(replacement.unwrap_or('\\'));
        rest = &rest[at + if replacement.is_some() { 2 } else { 1 }..];
        match rest.find('\\') {
            Some(next) => at = next,
            None => break,
        }
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// A piece of a line as an error shows it: in quotes, and not all of it if it is long.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_quotes_is_not_found() {
        for (text, start, found) in [
            ("a{b}", 0, Some(1)),
            (r#""{"{"#, 0, Some(3)),
            (r#""\"{"{"#, 0, Some(5)),
            (r#""\\"{"#, 0, Some(4)),
            (r#"\"{"#, 0, Some(2)),
            (r#"\"{"#, 1, Some(2)),
            (r#""{"#, 0, None),
            ("{{", 1, Some(1)),
            ("", 0, None),
        ] {
            assert_eq!(find_unquoted(text, start, |byte| byte == b'{'), found, "{text} from {start}");
        }
    }

    #[test]
    fn the_last_brace_is_looked_for_from_the_end() {
        for (text, found) in
            [("{}}", Some(2)), (r#"{}"}""#, Some(1)), (r#"{}""#, None), (r#"{}\""#, Some(1)), ("}", None)]
        {
            assert_eq!(find_last_brace(text), found, "{text}");
        }
    }

    #[test]
    fn a_comment_has_three_words_and_a_rest() {
        for (line, parts) in [
            ("#", &["#"][..]),
            ("# HELP a", &["#", "HELP", "a"]),
            ("# HELP a ", &["#", "HELP", "a", ""]),
            ("#  HELP   a   b  c", &["#", "HELP", "a", "b  c"]),
            (r#"# HELP "a b" c"#, &["#", "HELP", r#""a b""#, "c"]),
            (r#"# HELP a "b c"#, &["#", "HELP", "a", r#""b c"#]),
        ] {
            let (found, count) = split_comment(line, |byte| byte == b' ');

            assert_eq!(&found[..count], parts, "{line}");
        }
    }

    #[test]
    fn only_known_escapes_mean_something() {
        for (text, with_quotes, without) in [
            (r"a\\b\nc\dé\", "a\\b\nc\\dé\\", "a\\b\nc\\dé\\"),
            (r#"\""#, "\"", "\\\""),
            (r"\\n", "\\n", "\\n"),
            ("plain", "plain", "plain"),
        ] {
            assert_eq!((&*unescape(text, true), &*unescape(text, false)), (with_quotes, without), "{text}");
        }
    }

    #[test]
    fn a_quoted_name_is_taken_out_of_its_quotes() {
        assert_eq!(unquote(r#" "a\"b" "#), Ok((Cow::Borrowed("a\"b"), true)));
        assert_eq!(unquote("ab"), Ok((Cow::Borrowed("ab"), false)));
        assert_eq!(unquote(r#""""#), Ok((Cow::Borrowed(""), true)));
        for text in ["\"", "\"a", " ", "\u{a0}"] {
            assert!(unquote(text).is_err(), "{text:?}");
        }
    }
}
