//! Which format and which compression an HTTP request asks for.
//!
//! Both headers are lists of clauses with a weight, `q`; the heaviest clause that is understood wins, of equal ones the
//! first. What is not understood is passed over, never an error: a scraper must always get something. Compressing and
//! sending is not done here.

use super::{EncodeError, openmetrics, openmetrics_2_0, protobuf, text};
use crate::{Escaping, Snapshot};

/// A format with the version and the escaping that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
#[allow(non_camel_case_types)]
pub enum Format {
    /// The text format that everybody reads; names are escaped with underscores.
    #[default]
    Text0_0_4,
    /// The text format whose names may be any text.
    Text1_0_0(Escaping),
    /// OpenMetrics 1.0.
    OpenMetrics1_0_0 {
        /// How names are escaped.
        escaping: Escaping,
        /// Whether the content type tells the escaping; it does not to those who asked for no version.
        tagged: bool,
    },
    /// OpenMetrics 2.0, as far as the official client writes it: with native histograms.
    OpenMetrics2_0_0(Escaping),
    /// Delimited protobuf, for those who ask where it is offered.
    Protobuf(Escaping),
}

impl Format {
    /// The format that an `Accept` header asks for.
    ///
    /// Who asks for a later version than any we write gets the latest. Clauses without a version we write are passed over,
    /// and so are wildcards: without a better clause the answer is the text format 0.0.4. (Prometheus 2.49 sends `*/*;q=2` by mistake and does not mean it.) A weight that is no number
    /// counts as 1, the weight of a clause that has none.
    ///
    /// ```
    /// use tallymark_model::{Escaping, encode::Format};
    /// let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=1.0.0;escaping=dots";
    /// assert_eq!(Format::negotiate(Some(accept)), Format::Text1_0_0(Escaping::Dots));
    /// assert_eq!(Format::negotiate(Some("*/*")), Format::Text0_0_4);
    /// assert_eq!(Format::negotiate(None), Format::Text0_0_4);
    /// ```
    pub fn negotiate(accept: Option<&str>) -> Format {
        heaviest(accept.unwrap_or_default(), Format::asked_for).unwrap_or_default()
    }

    /// The format that an `Accept` header asks for, where protobuf is offered, too.
    ///
    /// ```
    /// use tallymark_model::{Escaping, encode::Format};
    /// let protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    /// let accept = format!("{protobuf};q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2");
    /// assert_eq!(Format::negotiate_with_protobuf(Some(&accept)), Format::Protobuf(Escaping::Underscores));
    /// assert_eq!(Format::negotiate(Some(&accept)), Format::Text0_0_4);
    /// assert_eq!(Format::negotiate_with_protobuf(Some("*/*")), Format::Text0_0_4);
    /// ```
    pub fn negotiate_with_protobuf(accept: Option<&str>) -> Format {
        let asked_for = |clause: &Clause<'_>| Format::protobuf_asked_for(clause).or_else(|| Format::asked_for(clause));
        heaviest(accept.unwrap_or_default(), asked_for).unwrap_or_default()
    }

    /// The `Content-Type` of the answer.
    pub fn content_type(self) -> &'static str {
        use Escaping::{AllowUtf8, Dots, Underscores, Values};
        macro_rules! tagged {
            ($escaping:expr, $version:literal) => {
                match $escaping {
                    AllowUtf8 => concat!($version, "; escaping=allow-utf-8"),
                    Underscores => concat!($version, "; escaping=underscores"),
                    Dots => concat!($version, "; escaping=dots"),
                    Values => concat!($version, "; escaping=values"),
                }
            };
        }
        match self {
            Format::Text0_0_4 => "text/plain; version=0.0.4; charset=utf-8",
            Format::Text1_0_0(escaping) => tagged!(escaping, "text/plain; version=1.0.0; charset=utf-8"),
            Format::OpenMetrics1_0_0 { tagged: false, .. } => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
            Format::OpenMetrics1_0_0 { escaping, .. } => {
                tagged!(escaping, "application/openmetrics-text; version=1.0.0; charset=utf-8")
            }
            Format::OpenMetrics2_0_0(escaping) => {
                tagged!(escaping, "application/openmetrics-text; version=2.0.0; charset=utf-8")
            }
            Format::Protobuf(escaping) => tagged!(
                escaping,
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            ),
        }
    }

    /// How names are escaped.
    pub fn escaping(self) -> Escaping {
        match self {
            Format::Text0_0_4 => Escaping::Underscores,
            Format::Text1_0_0(escaping)
            | Format::OpenMetrics1_0_0 { escaping, .. }
            | Format::OpenMetrics2_0_0(escaping)
            | Format::Protobuf(escaping) => escaping,
        }
    }

    /// Appends the snapshot in this format.
    ///
    /// # Errors
    /// [`EncodeError`]; `out` is then as it was.
    pub fn encode(self, snapshot: &Snapshot, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Format::Text0_0_4 | Format::Text1_0_0(_) => text(snapshot, self.escaping(), out),
            Format::OpenMetrics1_0_0 { .. } => openmetrics(snapshot, self.escaping(), out),
            Format::OpenMetrics2_0_0(escaping) => openmetrics_2_0(snapshot, escaping, out),
            Format::Protobuf(escaping) => protobuf(snapshot, escaping, out),
        }
    }

    fn protobuf_asked_for(clause: &Clause<'_>) -> Option<Format> {
        let is = |name, value| clause.parameter(name).is_some_and(|it| it.eq_ignore_ascii_case(value));
        let delimited = clause.is("application/vnd.google.protobuf")
            && is("proto", "io.prometheus.client.MetricFamily")
            && is("encoding", "delimited");
        delimited.then(|| Format::Protobuf(clause.escaping()))
    }

    fn asked_for(clause: &Clause<'_>) -> Option<Format> {
        let version = clause.parameter("version").unwrap_or_default();
        if clause.is("application/openmetrics-text") {
            if version.is_empty() {
                return Some(Format::OpenMetrics1_0_0 { escaping: Escaping::Underscores, tagged: false });
            }
            return if is_or_later(version, 2) {
                Some(Format::OpenMetrics2_0_0(clause.escaping()))
            } else {
                is_or_later(version, 1).then(|| Format::OpenMetrics1_0_0 { escaping: clause.escaping(), tagged: true })
            };
        }
        if clause.is("text/plain") {
            return match version {
                "" | "0.0.4" => Some(Format::Text0_0_4),
                _ => is_or_later(version, 1).then(|| Format::Text1_0_0(clause.escaping())),
            };
        }
        None
    }
}

/// Whether a version is `major`.0.0 or later. As with the official client `1.0` is earlier: it has fewer parts.
fn is_or_later(version: &str, major: u32) -> bool {
    let parts: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    parts.is_some_and(|parts| parts >= vec![major, 0, 0])
}

/// How the body of an answer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Coding {
    /// Not at all.
    #[default]
    Identity,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl Coding {
    /// The coding that an `Accept-Encoding` header prefers; of equal ones gzip, then Zstandard. A wildcard asks for none.
    ///
    /// ```
    /// use tallymark_model::encode::Coding;
    /// assert_eq!(Coding::negotiate(Some("zstd, GZIP")), Coding::Gzip);
    /// assert_eq!(Coding::negotiate(Some("zstd, gzip;q=0.9")), Coding::Zstd);
    /// assert_eq!(Coding::negotiate(Some("gzip;q=0")), Coding::Identity);
    /// ```
    pub fn negotiate(accept_encoding: Option<&str>) -> Coding {
        let header = accept_encoding.unwrap_or_default();
        let weight = |coding: Coding| {
            let weights = clauses(header).filter(|clause| clause.is(coding.as_str())).map(|clause| clause.weight());
            weights.fold(0.0, f32::max)
        };
        let mut best = (Coding::Identity, 0.0);
        for coding in [Coding::Gzip, Coding::Zstd, Coding::Identity] {
            if weight(coding) > best.1 {
                best = (coding, weight(coding));
            }
        }
        best.0
    }

    /// The word for it in `Content-Encoding`; for [`Identity`](Self::Identity) that header is left out.
    pub const fn as_str(self) -> &'static str {
        match self {
            Coding::Identity => "identity",
            Coding::Gzip => "gzip",
            Coding::Zstd => "zstd",
        }
    }
}

/// What the heaviest clause that is understood asks for.
fn heaviest<T>(header: &str, understand: impl Fn(&Clause<'_>) -> Option<T>) -> Option<T> {
    let mut best = (None, 0.0);
    for clause in clauses(header) {
        // Strictly: of equal weights the first stays, and 0 is a refusal.
        if clause.weight() > best.1
            && let Some(understood) = understand(&clause)
        {
            best = (Some(understood), clause.weight());
        }
    }
    best.0
}

/// One clause of a header: `text/plain; version="0.0.4"; q=0.5`.
struct Clause<'a>(&'a str);

fn clauses(header: &str) -> impl Iterator<Item = Clause<'_>> {
    split(header, ',').map(Clause)
}

impl<'a> Clause<'a> {
    /// Whether the clause is about this media type or coding.
    fn is(&self, word: &str) -> bool {
        split(self.0, ';').next().is_some_and(|first| first.trim().eq_ignore_ascii_case(word))
    }

    /// The value of the first parameter of that name, without its quotes.
    fn parameter(&self, name: &str) -> Option<&'a str> {
        split(self.0, ';').skip(1).find_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            let value = value.trim();
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
            key.trim().eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The scheme for names; underscores if none is told.
    fn escaping(&self) -> Escaping {
        Escaping::parse(&self.parameter("escaping").unwrap_or_default().to_ascii_lowercase())
    }

    /// The weight, 0 to 1.
    fn weight(&self) -> f32 {
        let weight = self.parameter("q").and_then(|q| q.parse().ok()).filter(|q: &f32| !q.is_nan());
        weight.unwrap_or(1.0).clamp(0.0, 1.0)
    }
}

/// The parts between separators that do not stand in quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut in_quotes = false;
    text.split(move |character| {
        in_quotes ^= character == '"';
        character == separator && !in_quotes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNTAGGED: Format = Format::OpenMetrics1_0_0 { escaping: Escaping::Underscores, tagged: false };

    fn open(escaping: Escaping) -> Format {
        Format::OpenMetrics1_0_0 { escaping, tagged: true }
    }

    #[test]
    fn every_prometheus_gets_the_format_it_asks_for_first() {
        let utf8 = open(Escaping::AllowUtf8);
        for (accept, format) in [
            ("application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", Format::Text0_0_4),
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                open(Escaping::Underscores),
            ),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                 text/plain;version=0.0.4;q=0.3,*/*;q=2",
                open(Escaping::Underscores),
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                 text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                utf8,
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
                 application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1",
                utf8,
            ),
        ] {
            assert_eq!(Format::negotiate(Some(accept)), format, "{accept}");
        }
    }

    #[test]
    fn clauses_are_weighed_and_what_is_not_understood_is_passed_over() {
        for (accept, format) in [
            ("", Format::Text0_0_4),
            ("*/*", Format::Text0_0_4),
            ("text/*", Format::Text0_0_4),
            ("text/plain", Format::Text0_0_4),
            ("text/plain;version=0.0.4, text/plain;version=1.0.0", Format::Text0_0_4),
            ("text/plain;version=0.0.4;q=0.5, text/plain;version=1.0.0", Format::Text1_0_0(Escaping::Underscores)),
            ("text/plain;version=0.0.3, application/openmetrics-text", UNTAGGED),
            ("application/openmetrics-text", UNTAGGED),
            ("application/openmetrics-text;escaping=dots", UNTAGGED),
            ("application/openmetrics-text;version=", UNTAGGED),
            ("application/openmetrics-text;q=0, text/plain;version=1.0.0;escaping=values;q=0.1", {
                Format::Text1_0_0(Escaping::Values)
            }),
            ("application/openmetrics-text;q=0.0", Format::Text0_0_4),
            ("Application/OpenMetrics-Text ; Version = \"1.0.0\" ; Escaping=DOTS", open(Escaping::Dots)),
            ("application/openmetrics-text;version=abc, text/plain;version=1.0.0;escaping=bogus", {
                Format::Text1_0_0(Escaping::Underscores)
            }),
            ("application/openmetrics-text;version=abc", Format::Text0_0_4),
            ("application/openmetrics-text;version=1.x.0", Format::Text0_0_4),
            ("application/openmetrics-text;version=1.0", Format::Text0_0_4),
            ("application/openmetrics-text;version=1.9.9", open(Escaping::Underscores)),
            ("application/openmetrics-text;version=2.0", open(Escaping::Underscores)),
            ("application/openmetrics-text;version=2.0.0", Format::OpenMetrics2_0_0(Escaping::Underscores)),
            ("application/openmetrics-text;version=9.9.9;escaping=dots", Format::OpenMetrics2_0_0(Escaping::Dots)),
            ("application/openmetrics-text;note=\"a,b;version=9\";version=1.0.0", open(Escaping::Underscores)),
            ("application/openmetrics-text;version=1.0.0;q=x, text/plain;q=0.9", open(Escaping::Underscores)),
        ] {
            assert_eq!(Format::negotiate(Some(accept)), format, "{accept}");
        }
    }

    #[test]
    fn protobuf_is_for_those_who_ask_for_it_by_its_full_name() {
        let full = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        for (accept, format) in [
            (full.to_owned(), Format::Protobuf(Escaping::Underscores)),
            (format!("text/plain;q=0.5, {full};escaping=ALLOW-UTF-8;q=0.6"), Format::Protobuf(Escaping::AllowUtf8)),
            (format!("text/plain;q=0.5, {full};q=0.4"), Format::Text0_0_4),
            (format!("{full};q=0"), Format::Text0_0_4),
            (full.replace("delimited", "text"), Format::Text0_0_4),
            (full.replace("proto=", "p="), Format::Text0_0_4),
            (full.replace("io.prometheus.client.MetricFamily", "\"IO.Prometheus.client.MetricFamily\""), {
                Format::Protobuf(Escaping::Underscores)
            }),
            ("application/openmetrics-text;version=1.0.0".to_owned(), open(Escaping::Underscores)),
        ] {
            assert_eq!(Format::negotiate_with_protobuf(Some(&accept)), format, "{accept}");
            assert!(!matches!(Format::negotiate(Some(&accept)), Format::Protobuf(_)));
        }
        assert_eq!(Format::negotiate_with_protobuf(None), Format::Text0_0_4);
        assert_eq!(
            Format::Protobuf(Escaping::Dots).content_type(),
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=dots"
        );
    }

    #[test]
    fn a_content_type_tells_version_and_escaping() {
        for (format, content_type) in [
            (Format::Text0_0_4, "text/plain; version=0.0.4; charset=utf-8"),
            (Format::Text1_0_0(Escaping::Dots), "text/plain; version=1.0.0; charset=utf-8; escaping=dots"),
            (UNTAGGED, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ] {
            assert_eq!(format.content_type(), content_type);
        }
        for escaping in Escaping::ALL {
            let tag = format!("; charset=utf-8; escaping={}", escaping.as_str());

            assert_eq!(Format::Text1_0_0(escaping).content_type(), format!("text/plain; version=1.0.0{tag}"));
            assert_eq!(open(escaping).content_type(), format!("application/openmetrics-text; version=1.0.0{tag}"));
            assert_eq!(
                Format::OpenMetrics2_0_0(escaping).content_type(),
                format!("application/openmetrics-text; version=2.0.0{tag}")
            );
        }
    }

    #[test]
    fn a_coding_must_be_listed_and_not_refused() {
        for (header, coding) in [
            (None, Coding::Identity),
            (Some(""), Coding::Identity),
            (Some("identity"), Coding::Identity),
            (Some("br"), Coding::Identity),
            (Some("*"), Coding::Identity),
            (Some("gzip"), Coding::Gzip),
            (Some("deflate, GZip;q=0.5"), Coding::Gzip),
            (Some("gzip;q=0"), Coding::Identity),
            (Some("gzip; Q=0.000, zstd;q=0.1"), Coding::Zstd),
            (Some("zstd, gzip"), Coding::Gzip),
            (Some("gzip;q=0.5, zstd;q=0.6"), Coding::Zstd),
            (Some("identity, gzip"), Coding::Gzip),
            (Some("identity, gzip;q=0.5"), Coding::Identity),
        ] {
            assert_eq!(Coding::negotiate(header), coding, "{header:?}");
        }
    }
}
