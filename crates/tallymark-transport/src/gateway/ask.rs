//! What a push asks for besides its content: by headers, or by the query, for clients that cannot set headers.
//!
//! A header goes before the query's parameter of the same meaning. A word that is not known is refused: a push that asked
//! for something and got something else would be found out much later.

use hyper::HeaderMap;

use super::refusal::Refusal;
use super::{Options, Request};

/// The longest name of a writer or a push, in bytes: they are kept with the group.
const LONGEST: usize = 200;

/// What a push asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ask {
    /// How numbers are added; `None` replaces.
    pub(super) adding: Option<Adding>,
    /// What the gauges of an adding push do.
    pub(super) gauge: GaugeMode,
    /// Who pushes running totals.
    pub(super) writer: Option<String>,
    /// By what a repeated push is known.
    pub(super) id: Option<String>,
    /// After how many seconds without a push the group ends.
    pub(super) ttl: Option<f64>,
}

/// How the numbers of a push are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Adding {
    /// Running totals where a start time comes with them, else what has been counted since the last push.
    AsTold,
    /// Running totals.
    Totals,
    /// What has been counted since the last push.
    Deltas,
}

/// What an adding push does with gauges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GaugeMode {
    Last,
    Sum,
    Min,
    Max,
}

impl Ask {
    /// What the request asks for.
    pub(super) fn read(request: &Request<'_>, options: &Options) -> Result<Ask, Refusal> {
        let adding = match value(request, &["tallymark-push"], "push")?.as_deref() {
            None if options.aggregate => Some(Adding::AsTold),
            None | Some("replace") => None,
            Some("aggregate") => Some(Adding::AsTold),
            Some("total") => Some(Adding::Totals),
            Some("delta") => Some(Adding::Deltas),
            Some(other) => return Err(unknown("push", other, "replace, aggregate, total or delta")),
        };
        let gauge = match value(request, &["tallymark-gauge"], "gauge")?.as_deref() {
            None | Some("last") => GaugeMode::Last,
            Some("sum") => GaugeMode::Sum,
            Some("min") => GaugeMode::Min,
            Some("max") => GaugeMode::Max,
            Some(other) => return Err(unknown("gauge", other, "last, sum, min or max")),
        };
        let ttl = match value(request, &["tallymark-ttl"], "ttl")? {
            None => options.ttl.map(|ttl| ttl.as_secs_f64()),
            Some(text) => {
                let seconds = text.parse().ok().filter(|seconds: &f64| *seconds > 0.0 && *seconds < 1e11);
                Some(seconds.ok_or_else(|| unknown("ttl", &text, "a number of seconds above 0"))?)
            }
        };
        let writer = short(value(request, &["tallymark-writer"], "writer")?, "writer")?;
        let id = short(value(request, &["tallymark-push-id", "idempotency-key"], "id")?, "id")?;
        Ok(Ask { adding, gauge, writer, id, ttl })
    }
}

/// The first of the headers that is there, else the query's parameter; an empty one is as good as none.
fn value(request: &Request<'_>, headers: &[&str], parameter: &str) -> Result<Option<String>, Refusal> {
    for name in headers {
        if let Some(text) = header(request.headers, name)? {
            return Ok(Some(text));
        }
    }
    let query = request.query.unwrap_or_default();
    let found = form_urlencoded::parse(query.as_bytes()).find(|(name, text)| name == parameter && !text.is_empty());
    Ok(found.map(|(_, text)| text.into_owned()))
}

fn header(headers: &HeaderMap, name: &str) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Refusal::malformed(format!("the header {name} is not plain ASCII")))?;
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}

fn unknown(what: &str, found: &str, known: &str) -> Refusal {
    Refusal::malformed(format!("{what} is {found:?}; it takes {known}"))
}

fn short(text: Option<String>, what: &str) -> Result<Option<String>, Refusal> {
    match &text {
        Some(long) if long.len() > LONGEST => {
            Err(Refusal::malformed(format!("{what} has {} bytes; it takes up to {LONGEST}", long.len())))
        }
        _ => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Method;

    fn ask(query: &str, headers: &[(&'static str, &str)], options: &Options) -> Result<Ask, String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let request = Request { method: &Method::PUT, path: "", query: Some(query), headers: &map, body: b"" };
        Ask::read(&request, options).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn headers_go_before_the_query_and_both_before_the_server() {
        let adding = Options { aggregate: true, ..Options::default() };
        let way = |query: &str, headers: &[(&'static str, &str)]| ask(query, headers, &adding).unwrap().adding;

        assert_eq!(ask("", &[], &Options::default()).unwrap().adding, None);
        assert_eq!(way("", &[]), Some(Adding::AsTold));
        assert_eq!(way("push=delta", &[]), Some(Adding::Deltas));
        assert_eq!(way("push=delta", &[("tallymark-push", "total")]), Some(Adding::Totals));
        assert_eq!(way("push=delta", &[("tallymark-push", "replace")]), None);
    }

    #[test]
    fn a_word_that_is_not_known_is_refused() {
        for (query, reason) in [
            ("push=add", "push is \"add\"; it takes replace, aggregate, total or delta"),
            ("gauge=avg", "gauge is \"avg\"; it takes last, sum, min or max"),
            ("ttl=1h", "ttl is \"1h\"; it takes a number of seconds above 0"),
            ("ttl=NaN", "ttl is \"NaN\"; it takes a number of seconds above 0"),
            (&format!("id={}", "x".repeat(201)), "id has 201 bytes; it takes up to 200"),
        ] {
            assert_eq!(ask(query, &[], &Options::default()), Err(reason.to_owned()));
        }
    }

    #[test]
    fn a_push_has_an_id_by_either_name() {
        for header in ["tallymark-push-id", "idempotency-key"] {
            assert_eq!(ask("", &[(header, "7")], &Options::default()).unwrap().id.as_deref(), Some("7"));
        }
    }
}
