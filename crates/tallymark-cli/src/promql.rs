//! Pieces of queries in Prometheus' language: selectors, aggregations, names and strings in quotes.
//!
//! Names that are not legacy ones are written in quotes, as Prometheus 3 reads them; older ones know no such names.

use tallymark::model::name::{is_legacy_label, is_legacy_metric};

/// A metric with matchers that are written already, such as `code=~"5.."`; empty ones are left out.
pub(crate) fn select(metric: &str, matchers: &[&str]) -> String {
    let matchers = matchers.iter().filter(|one| !one.is_empty()).map(|one| (*one).to_owned());
    let legacy = is_legacy_metric(metric);
    let inside: Vec<String> = (!legacy).then(|| quote(metric)).into_iter().chain(matchers).collect();
    match (legacy, inside.is_empty()) {
        (true, true) => metric.to_owned(),
        (true, false) => format!("{metric}{{{}}}", inside.join(",")),
        (false, _) => format!("{{{}}}", inside.join(",")),
    }
}

/// `sum by (a, b) (of)`, or `sum(of)` where there is nothing to tell apart.
pub(crate) fn aggregate(how: &str, labels: &[&str], of: &str) -> String {
    if labels.is_empty() {
        return format!("{how}({of})");
    }
    let labels: Vec<String> = labels.iter().map(|label| label_name(label)).collect();
    format!("{how} by ({}) ({of})", labels.join(", "))
}

/// How fast it grows, in a second.
pub(crate) fn rate(selector: &str, range: &str) -> String {
    format!("rate({selector}[{range}])")
}

/// A label's name, as an expression has it.
pub(crate) fn label_name(name: &str) -> String {
    if is_legacy_label(name) { name.to_owned() } else { quote(name) }
}

/// Text in quotes.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_kind_can_be_asked_for() {
        assert_eq!(select("hits_total", &[]), "hits_total");
        assert_eq!(select("hits_total", &["", "code=\"200\""]), "hits_total{code=\"200\"}");
        assert_eq!(select("hits.total", &["code=\"200\""]), "{\"hits.total\",code=\"200\"}");
        assert_eq!(select("a\"b\\c\n", &[]), r#"{"a\"b\\c\n"}"#);
        assert_eq!(aggregate("sum", &["code", "http.path"], "x"), "sum by (code, \"http.path\") (x)");
        assert_eq!(aggregate("max", &[], "x"), "max(x)");
    }
}
