//! Which names are valid, and how a name that a format cannot carry is escaped.
//!
//! Since Prometheus 3 a name may be any text; *legacy* names are the ones that every Prometheus takes. Asked for one of
//! the four [`Escaping`] schemes, an encoder writes other names so that the asker can read them. Only the name's own
//! text is looked at here: that a family's suffix is appended after escaping is the encoders' business.

use std::borrow::Cow;

use crate::{
    Error,
    escape::{Sink, push_escaped},
};

/// Checks a metric name.
///
/// # Errors
/// [`Error::Nameless`]; [`Error::InvalidName`] if only `legacy` names are wanted and it is none.
pub fn check_metric(name: &str, legacy: bool) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::Nameless);
    }
    if legacy && !is_legacy_metric(name) { Err(Error::InvalidName(name.to_owned())) } else { Ok(()) }
}

/// Checks a label name; `__…` is Prometheus' own.
///
/// # Errors
/// [`Error::InvalidLabelName`] if only `legacy` names are wanted and it is none, before
/// [`Error::ReservedLabelName`].
pub fn check_label(name: &str, legacy: bool) -> Result<(), Error> {
    if legacy && !is_legacy_label(name) {
        return Err(Error::InvalidLabelName(name.to_owned()));
    }
    if name.starts_with("__") { Err(Error::ReservedLabelName(name.to_owned())) } else { Ok(()) }
}

/// Whether every Prometheus takes the metric name as it is: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub fn is_legacy_metric(name: &str) -> bool {
    is_legacy(name, true)
}

/// Whether every Prometheus takes the label name as it is: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_legacy_label(name: &str) -> bool {
    is_legacy(name, false)
}

fn is_legacy(name: &str, colon: bool) -> bool {
    // No byte of another character than ASCII's is one of these.
    !name.is_empty() && name.bytes().enumerate().all(|(at, byte)| is_legacy_character(char::from(byte), at, colon))
}

fn is_legacy_character(character: char, at: usize, colon: bool) -> bool {
    character.is_ascii_alphabetic()
        || character == '_'
        || (character == ':' && colon)
        || (character.is_ascii_digit() && at > 0)
}

/// How names that are not legacy ones are written; the word that Prometheus asks with is [`as_str`](Self::as_str).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Escaping {
    /// As they are, in double quotes.
    AllowUtf8,
    /// With an underscore for each character that a legacy name cannot have.
    #[default]
    Underscores,
    /// With `_dot_` for a dot and `__` for an underscore (in legacy names too) or any other such character.
    Dots,
    /// With `U__` before the name, and each such character's code point in hexadecimal: nothing is lost.
    Values,
}

impl Escaping {
    /// Every scheme.
    pub const ALL: [Escaping; 4] = [Escaping::AllowUtf8, Escaping::Underscores, Escaping::Dots, Escaping::Values];

    /// The word for it in `Accept` and `Content-Type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Escaping::AllowUtf8 => "allow-utf-8",
            Escaping::Underscores => "underscores",
            Escaping::Dots => "dots",
            Escaping::Values => "values",
        }
    }

    /// The scheme called by this word; underscores for a word that is none.
    ///
    /// ```
    /// use tallymark_model::Escaping;
    /// assert_eq!(Escaping::parse("dots"), Escaping::Dots);
    /// assert_eq!(Escaping::parse("hieroglyphs"), Escaping::Underscores);
    /// ```
    pub fn parse(word: &str) -> Escaping {
        Escaping::ALL.into_iter().find(|scheme| scheme.as_str() == word).unwrap_or_default()
    }
}

/// The metric name as the scheme has it; a name that needs nothing is borrowed.
///
/// ```
/// use tallymark_model::{Escaping, name::escape_metric};
/// assert_eq!(escape_metric("http.status:sum", Escaping::AllowUtf8), r#""http.status:sum""#);
/// assert_eq!(escape_metric("http.status:sum", Escaping::Underscores), "http_status:sum");
/// assert_eq!(escape_metric("http.status:sum", Escaping::Dots), "http_dot_status:sum");
/// assert_eq!(escape_metric("http.status:sum", Escaping::Values), "U__http_2e_status:sum");
/// ```
pub fn escape_metric(name: &str, scheme: Escaping) -> Cow<'_, str> {
    escape(name, scheme, true)
}

/// The label name as the scheme has it; a name that needs nothing is borrowed. A colon is not legacy here.
pub fn escape_label(name: &str, scheme: Escaping) -> Cow<'_, str> {
    escape(name, scheme, false)
}

fn escape(name: &str, scheme: Escaping, colon: bool) -> Cow<'_, str> {
    if is_unchanged(name, scheme, colon) {
        return Cow::Borrowed(name);
    }
    let mut escaped = String::with_capacity(name.len() + 8);
    push_changed(&mut escaped, name, scheme, colon);
    Cow::Owned(escaped)
}

/// Appends the label name as the scheme has it, without a detour over a `String`.
pub(crate) fn push_label(out: &mut impl Sink, name: &str, scheme: Escaping) {
    if is_unchanged(name, scheme, false) {
        out.add(name);
    } else {
        push_changed(out, name, scheme, false);
    }
}

/// Whether the scheme leaves the name as it is. The empty name is left alone too, as the official client does.
fn is_unchanged(name: &str, scheme: Escaping, colon: bool) -> bool {
    name.is_empty() || (is_legacy(name, colon) && !(scheme == Escaping::Dots && name.contains('_')))
}

fn push_changed(out: &mut impl Sink, name: &str, scheme: Escaping, colon: bool) {
    match scheme {
        Escaping::AllowUtf8 => {
            out.add("\"");
            push_escaped(out, name);
            out.add("\"");
            return;
        }
        Escaping::Values => out.add("U__"),
        Escaping::Underscores | Escaping::Dots => {}
    }
    let mut utf8 = [0; 4];
    for (at, character) in name.chars().enumerate() {
        match (scheme, character) {
            (Escaping::Dots | Escaping::Values, '_') => out.add("__"),
            (Escaping::Dots, '.') => out.add("_dot_"),
            _ if is_legacy_character(character, at, colon) => out.add(character.encode_utf8(&mut utf8)),
            (Escaping::Dots, _) => out.add("__"),
            (Escaping::Values, _) => {
                out.add("_");
                push_hex(out, u32::from(character));
                out.add("_");
            }
            _ => out.add("_"),
        }
    }
}

/// Appends lower-case hexadecimal digits, without leading zeros. Not `write!`, which would want a third way to append.
fn push_hex(out: &mut impl Sink, number: u32) {
    const DIGITS: &str = "0123456789abcdef";
    let digits = number.checked_ilog2().unwrap_or(0) / 4 + 1;
    for place in (0..digits).rev() {
        // CAST: four bits.
        let digit = (number >> (4 * place) & 15) as usize;
        out.add(&DIGITS[digit..=digit]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn legacy_names_start_with_a_letter_and_have_no_dots() {
        for (name, metric, label) in [
            ("a", true, true),
            ("_a9", true, true),
            ("a:b", true, false),
            (":", true, false),
            ("9a", false, false),
            ("a.b", false, false),
            ("ä", false, false),
            ("a\n", false, false),
            ("", false, false),
        ] {
            assert_eq!((is_legacy_metric(name), is_legacy_label(name)), (metric, label), "{name:?}");
        }
    }

    #[test]
    fn a_label_name_is_called_invalid_before_it_is_called_reserved() {
        for (name, legacy, error) in [
            ("__a.b", true, Some(Error::InvalidLabelName("__a.b".into()))),
            ("__a.b", false, Some(Error::ReservedLabelName("__a.b".into()))),
            ("__a", true, Some(Error::ReservedLabelName("__a".into()))),
            ("a.b", true, Some(Error::InvalidLabelName("a.b".into()))),
            ("a.b", false, None),
            ("a", true, None),
        ] {
            assert_eq!(check_label(name, legacy).err(), error, "{name:?}");
        }
    }

    #[test]
    fn a_metric_name_must_be_something_and_legacy_where_that_is_asked_for() {
        assert_eq!(check_metric("", false), Err(Error::Nameless));
        assert_eq!(check_metric("a.b", true), Err(Error::InvalidName("a.b".into())));
        assert_eq!(check_metric("a.b", false), Ok(()));
    }

    #[test]
    fn a_quoted_name_is_one_line() {
        assert_eq!(escape_label("a\"\n\\", Escaping::AllowUtf8), r#""a\"\n\\""#);
    }

    #[test]
    fn a_colon_belongs_to_metric_names_only() {
        assert_eq!(escape_metric("a:b", Escaping::Values), "a:b");
        assert_eq!(escape_label("a:b", Escaping::Values), "U__a_3a_b");
        assert_eq!(escape_label("a:b", Escaping::Dots), "a__b");
    }

    #[test]
    fn a_name_that_needs_nothing_costs_nothing() {
        for scheme in Escaping::ALL {
            assert!(matches!(escape_metric("ab:c", scheme), Cow::Borrowed(_)), "{scheme:?}");
            assert_eq!(matches!(escape_metric("a_b", scheme), Cow::Borrowed(_)), scheme != Escaping::Dots);
        }
    }

    proptest! {
        #[test]
        fn an_escaped_name_is_legacy_or_quoted(name in r#"\PC{1,12}"#) {
            for scheme in [Escaping::Underscores, Escaping::Dots, Escaping::Values] {
                prop_assert!(is_legacy_metric(&escape_metric(&name, scheme)));
                prop_assert!(is_legacy_label(&escape_label(&name, scheme)));
            }
        }

        #[test]
        fn the_two_ways_to_escape_a_label_agree(name in r#"[a-z_.:é"]{0,8}"#) {
            for scheme in Escaping::ALL {
                let mut pushed = String::new();
                push_label(&mut pushed, &name, scheme);

                prop_assert_eq!(pushed, escape_label(&name, scheme));
            }
        }

        #[test]
        fn hexadecimal_digits_are_those_of_the_standard_library(number: u32) {
            let mut digits = String::new();
            push_hex(&mut digits, number);

            prop_assert_eq!(digits, format!("{number:x}"));
        }
    }
}
