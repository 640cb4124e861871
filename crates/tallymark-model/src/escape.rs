//! Backslash escapes: what keeps a label value, a quoted name or a help text on one line.
//!
//! Which of them a name needs besides is not known here: see `name.rs`.

/// What text is appended to: a `String` where it is kept, bytes where it is sent.
pub(crate) trait Sink {
    /// Appends `part`.
    fn add(&mut self, part: &str);
}

impl Sink for String {
    fn add(&mut self, part: &str) {
        self.push_str(part);
    }
}

impl Sink for Vec<u8> {
    fn add(&mut self, part: &str) {
        self.extend_from_slice(part.as_bytes());
    }
}

/// Appends a label value, a quoted name or OpenMetrics' help: backslash, line feed and double quote escaped.
pub(crate) fn push_escaped(out: &mut impl Sink, text: &str) {
    push_escaping(out, text, &['\\', '\n', '"']);
}

/// Appends the text format's help: backslash and line feed escaped, double quotes as they are.
pub(crate) fn push_help(out: &mut impl Sink, text: &str) {
    push_escaping(out, text, &['\\', '\n']);
}

fn push_escaping(out: &mut impl Sink, text: &str, special: &[char]) {
    let mut rest = text;
    while let Some(at) = rest.find(special) {
        out.add(&rest[..at]);
        out.add(match rest.as_bytes()[at] {
            b'\\' => "\\\\",
            b'\n' => "\\n",
            _ => "\\\"",
        });
        rest = &rest[at + 1..];
    }
    out.add(rest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unescaped(text: &str) -> String {
        let mut characters = text.chars();
        let mut plain = String::new();
        while let Some(character) = characters.next() {
            plain.push(match character {
                '\\' => match characters.next().expect("nothing behind a backslash") {
                    'n' => '\n',
                    other => other,
                },
                other => other,
            });
        }
        plain
    }

    #[test]
    fn only_line_feed_backslash_and_quote_are_escaped() {
        let mut value = String::new();
        push_escaped(&mut value, "a\\b\nc\"d\re\u{2028}é");

        assert_eq!(value, "a\\\\b\\nc\\\"d\re\u{2028}é");
    }

    #[test]
    fn help_of_the_text_format_keeps_its_quotes() {
        let mut help = Vec::new();
        push_help(&mut help, "say \"hi\"\\\n");

        assert_eq!(help, b"say \"hi\"\\\\\\n");
    }

    proptest! {
        #[test]
        fn reading_an_escaped_value_gives_it_back(value in r#"(\PC|["\\\n\r]){0,40}"#) {
            let mut escaped = String::new();
            push_escaped(&mut escaped, &value);

            prop_assert!(!escaped.contains('\n'));
            prop_assert_eq!(unescaped(&escaped), value);
        }
    }
}
