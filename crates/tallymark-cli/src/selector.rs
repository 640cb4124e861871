//! Which series are meant: `name{label="x"}`, as people know it from Prometheus, and names with `*`.
//!
//! A name is a family's, or that of one of its samples: `hits` and `hits_total` are the same counter. A label that a
//! series has not is empty, as in Prometheus. What is done with the series is not known here.

use std::fmt::Write;

use regex::Regex;
use tallymark::model::{Body, Family, FamilySnapshot, Kind, SeriesSnapshot, Snapshot};

/// A selection of series.
#[derive(Debug, Clone)]
pub(crate) struct Selector {
    matchers: Vec<Matcher>,
}

/// One condition; `__name__` is the name.
#[derive(Debug, Clone)]
struct Matcher {
    label: String,
    wanted: Wanted,
    /// Whether the others are meant.
    is_not: bool,
}

#[derive(Debug, Clone)]
enum Wanted {
    Text(String),
    Pattern(Regex),
}

const NAME: &str = "__name__";

impl Selector {
    /// Understands `name`, `name{label="x",other!="y"}`, `{label=~"x|y"}` and `{"a name", label!~"x.*"}`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Selector, String> {
        let mut rest = Rest(text.trim());
        let mut matchers = Vec::new();
        let name = rest.word(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':');
        if !name.is_empty() {
            matchers.push(Matcher { label: NAME.to_owned(), wanted: Wanted::Text(name.to_owned()), is_not: false });
        }
        if rest.take("{") {
            while !rest.take("}") {
                matchers.push(rest.matcher()?);
                if !rest.take(",") && !rest.0.starts_with('}') {
                    return Err(format!("expected , or }} where {:?} stands", rest.0));
                }
            }
        }
        if !rest.0.is_empty() || matchers.is_empty() {
            return Err(format!("{text:?} is not of the form name{{label=\"x\"}}"));
        }
        Ok(Selector { matchers })
    }

    /// The families whose names fit a pattern in which `*` is any text and `?` any letter.
    pub(crate) fn names(pattern: &str) -> Result<Selector, String> {
        let mut expression = String::new();
        for letter in pattern.chars() {
            match letter {
                '*' => expression.push_str(".*"),
                '?' => expression.push('.'),
                letter => expression.push_str(&regex::escape(letter.encode_utf8(&mut [0; 4]))),
            }
        }
        let wanted = Wanted::Pattern(anchored(&expression)?);
        Ok(Selector { matchers: vec![Matcher { label: NAME.to_owned(), wanted, is_not: false }] })
    }

    /// Whether it says what a series must have, and not only what it must not: what would mean nearly everything is more
    /// often a slip than a wish.
    pub(crate) fn is_bounded(&self) -> bool {
        self.matchers.iter().any(|matcher| matcher.is_not == matcher.wanted.fits(""))
    }

    /// Whether a series of the family is meant.
    pub(crate) fn matches<'a>(&self, family: &Family, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.fits(&names(family), label)
    }

    fn fits<'a>(&self, names: &[String], label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.matchers.iter().all(|matcher| {
            if matcher.label == NAME {
                return matcher.is_not != names.iter().any(|name| matcher.wanted.fits(name));
            }
            matcher.is_not != matcher.wanted.fits(label(&matcher.label).unwrap_or_default())
        })
    }
}

impl Wanted {
    fn fits(&self, text: &str) -> bool {
        match self {
            Wanted::Text(wanted) => wanted == text,
            Wanted::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

/// Keeps the series that one of the selections means; all where there is none.
pub(crate) fn select(snapshot: Snapshot, selectors: &[Selector]) -> Snapshot {
    if selectors.is_empty() {
        return snapshot;
    }
    let families = snapshot.families.into_iter().filter_map(|FamilySnapshot { family, mut body }| {
        match &mut body {
            Body::Series(series) => series.retain(|series| {
                selectors.iter().any(|selector| selector.matches(&family, |name| label(&family, series, name)))
            }),
            Body::Samples(samples) => {
                let mut names = vec![family.name().to_owned()];
                for sample in samples.iter() {
                    if !names.contains(&sample.name) {
                        names.push(sample.name.clone());
                    }
                }
                samples.retain(|sample| {
                    let label =
                        |name: &str| sample.labels.iter().find(|(known, _)| known == name).map(|(_, value)| &**value);
                    selectors.iter().any(|selector| selector.fits(&names, label))
                });
            }
        }
        (!body.is_empty()).then_some(FamilySnapshot { family, body })
    });
    Snapshot { families: families.collect() }
}

/// The value of a series' label.
fn label<'a>(family: &Family, series: &'a SeriesSnapshot, name: &str) -> Option<&'a str> {
    let place = family.label_names().iter().position(|known| &**known == name)?;
    series.labels.values().get(place).map(|value| &**value)
}

/// The family's name, and what its samples are called.
fn names(family: &Family) -> Vec<String> {
    let suffixes: &[&str] = match family.kind() {
        Kind::Counter if family.is_bare() => &["", "_created"],
        Kind::Counter => &["", "_total", "_created"],
        Kind::Histogram => &["", "_bucket", "_count", "_sum", "_created"],
        Kind::GaugeHistogram => &["", "_bucket", "_gcount", "_gsum"],
        Kind::Summary => &["", "_count", "_sum", "_created"],
        Kind::Info => &["", "_info"],
        _ => &[""],
    };
    suffixes.iter().map(|suffix| format!("{}{suffix}", family.name())).collect()
}

fn anchored(expression: &str) -> Result<Regex, String> {
    let mut whole = String::new();
    let _ = write!(whole, "^(?s:{expression})$");
    Regex::new(&whole).map_err(|_| format!("{expression:?} is no regular expression"))
}

/// What has not been read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn take(&mut self, token: &str) -> bool {
        let taken = self.0.strip_prefix(token);
        self.0 = taken.unwrap_or(self.0).trim_start();
        taken.is_some()
    }

    fn word(&mut self, is_letter: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|letter| !is_letter(letter)).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest.trim_start();
        word
    }

    /// `label="x"`, or a name in quotes.
    fn matcher(&mut self) -> Result<Matcher, String> {
        let is_quoted = self.0.starts_with('"');
        let label = if is_quoted {
            self.quoted()?
        } else {
            self.word(|letter| letter.is_ascii_alphanumeric() || letter == '_').to_owned()
        };
        if label.is_empty() {
            return Err(format!("expected a label's name where {:?} stands", self.0));
        }
        if is_quoted && (self.0.starts_with(',') || self.0.starts_with('}')) {
            return Ok(Matcher { label: NAME.to_owned(), wanted: Wanted::Text(label), is_not: false });
        }
        let (is_not, is_pattern) = match () {
            () if self.take("=~") => (false, true),
            () if self.take("!~") => (true, true),
            () if self.take("!=") => (true, false),
            () if self.take("=") => (false, false),
            () => return Err(format!("expected =, !=, =~ or !~ behind {label}")),
        };
        let text = self.quoted()?;
        let wanted = if is_pattern { Wanted::Pattern(anchored(&text)?) } else { Wanted::Text(text) };
        Ok(Matcher { label, wanted, is_not })
    }

    fn quoted(&mut self) -> Result<String, String> {
        let open = || format!("expected a value in double quotes where {:?} stands", self.0);
        let inside = self.0.strip_prefix('"').ok_or_else(open)?;
        let mut text = String::new();
        let mut letters = inside.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.0 = inside.get(at + 1..).unwrap_or_default().trim_start();
                    return Ok(text);
                }
                '\\' => match letters.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                    // In a regular expression more is escaped; Prometheus wants that backslash twice, and takes no other.
                    Some((_, other)) => text.extend(['\\', other]),
                    None => break,
                },
                letter => text.push(letter),
            }
        }
        Err(format!("{:?} has no closing quote", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_meant(selector: &Selector, name: &str, labels: &[(&'static str, &'static str)]) -> bool {
        let family = Family::described(Kind::Counter, name, "", "");
        selector.matches(&family, |wanted| labels.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value))
    }

    #[test]
    fn a_series_is_meant_if_its_name_and_all_labels_fit() {
        let series: [(&str, &[_]); 4] = [
            ("hits", &[("path", "/"), ("code", "200")]),
            ("hits", &[("path", "/a\"b"), ("code", "500")]),
            ("misses", &[("path", "/")]),
            ("a b", &[]),
        ];
        for (selector, expected) in [
            ("hits", [true, true, false, false]),
            ("hits_total", [true, true, false, false]),
            ("hits{}", [true, true, false, false]),
            ("{path=\"/\"}", [true, false, true, false]),
            ("hits{path=\"/\"}", [true, false, false, false]),
            ("hits { path = \"/a\\\"b\" , }", [false, true, false, false]),
            ("{code=\"\"}", [false, false, true, true]),
            ("{code!=\"200\"}", [false, true, true, true]),
            ("{code=~\"2..\"}", [true, false, false, false]),
            ("{code=~\"2\"}", [false; 4]),
            ("{code!~\"[25]..\"}", [false, false, true, true]),
            ("{\"a b\"}", [false, false, false, true]),
            ("{__name__=~\"h.*|m.*\",code=\"200\"}", [true, false, false, false]),
            ("{__name__!=\"hits\"}", [false, false, true, true]),
            ("{path=~\".*b.*\"}", [false, true, false, false]),
        ] {
            let parsed = Selector::parse(selector).unwrap();

            assert_eq!(series.map(|(name, labels)| is_meant(&parsed, name, labels)), expected, "{selector}");
        }
    }

    #[test]
    fn a_name_is_one_that_the_family_s_samples_have() {
        for (pattern, kinds) in [
            (".*_bucket", &[Kind::Histogram, Kind::GaugeHistogram][..]),
            (".*_total", &[Kind::Counter]),
            (".*_gcount", &[Kind::GaugeHistogram]),
            (".*_count", &[Kind::Histogram, Kind::Summary]),
            (".*_info", &[Kind::Info]),
        ] {
            let selector = Selector::parse(&format!("{{__name__=~{pattern:?}}}")).unwrap();
            let all = [
                Kind::Counter,
                Kind::Gauge,
                Kind::Histogram,
                Kind::GaugeHistogram,
                Kind::Summary,
                Kind::Info,
                Kind::StateSet,
                Kind::Unknown,
            ];
            let meant = all.iter().filter(|kind| selector.matches(&Family::described(**kind, "it", "", ""), |_| None));

            assert_eq!(meant.copied().collect::<Vec<_>>(), kinds, "{pattern}");
        }
    }

    #[test]
    fn a_line_feed_in_a_label_is_a_letter_as_any() {
        let selector = Selector::parse("{path=~\"a.b\"}").unwrap();

        assert!(is_meant(&selector, "hits", &[("path", "a\nb")]));
        assert!(!is_meant(&selector, "hits", &[("path", "a.b\n")]));
    }

    #[test]
    fn what_only_says_what_a_series_must_not_have_is_unbounded() {
        for (selector, expected) in [
            ("hits", true),
            ("{code=\"200\"}", true),
            ("{code!=\"\"}", true),
            ("{code=~\".+\",path!=\"/\"}", true),
            ("{code!=\"200\"}", false),
            ("{code=\"\"}", false),
            ("{code=~\".*\",path!~\"/.*\"}", false),
            ("{__name__=~\".*\"}", false),
        ] {
            assert_eq!(Selector::parse(selector).unwrap().is_bounded(), expected, "{selector}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for wrong in [
            "",
            "{}",
            "{",
            "a{",
            "a{b",
            "a{b}",
            "a{b=}",
            "a{b=c}",
            "a{b=\"c}",
            "a{b=\"c\"",
            "a{b=\"c\"d=\"e\"}",
            "a b",
            "a{b=~\"(\"}",
            "a{=\"c\"}",
            "a{b=\"\\",
            "a{,}",
            "*",
        ] {
            assert!(Selector::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_star_is_any_text() {
        for (pattern, expected) in [
            ("http_*", [true, false]),
            ("*requests*", [true, true]),
            ("http_requests", [true, false]),
            ("http.requests", [false, false]),
            ("?ttp_requests_total", [true, false]),
        ] {
            let selector = Selector::names(pattern).unwrap();

            assert_eq!(["http_requests", "requests"].map(|name| is_meant(&selector, name, &[])), expected, "{pattern}");
        }
    }
}
