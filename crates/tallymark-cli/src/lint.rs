//! What people trip over in names, types, labels and help texts, and what to do about it.
//!
//! The rules are Prometheus' conventions for naming, those that `promtool check metrics` looks at among them, and some of
//! this project's own. They are about what a family is called and has; whether its numbers make sense is not asked.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::{Display, Formatter};

use clap::ValueEnum;
use serde::Serialize;
use tallymark::model::{Escaping, Family, FamilySnapshot, Kind, Sample, name::escape_metric};

/// What is looked at. Scripts know it by its name in small letters, with hyphens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Rule {
    AbbreviatedUnit,
    BaseUnit,
    CamelCase,
    Clash,
    Collision,
    Colon,
    Duplicate,
    LabelInName,
    ManySeries,
    NoHelp,
    NoTotal,
    ReservedLabel,
    ReservedSuffix,
    /// A text can be read at all.
    Syntax,
    TargetLabel,
    Total,
    TypeInName,
    UnitMissing,
}

impl Display for Rule {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| formatter.write_str(value.get_name()))
    }
}

/// One thing that should be otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) rule: Rule,
    /// The family; nothing if the text could not be read.
    pub(crate) family: String,
    /// What is wrong.
    pub(crate) problem: String,
    /// What to do.
    pub(crate) advice: String,
}

/// Words for types, which say nothing in a name.
const TYPES: [&str; 5] = ["counter", "gauge", "histogram", "summary", "gaugehistogram"];

const ABBREVIATIONS: [&str; 14] = ["s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"];

/// Base units, which have no prefix.
const BASES: [&str; 11] =
    ["seconds", "bytes", "celsius", "meters", "metres", "grams", "joules", "volts", "amperes", "moles", "bits"];

const PREFIXES: [&str; 18] = [
    "pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo", "kibi", "mega", "mebi", "giga", "gibi",
    "tera", "tebi", "peta", "pebi",
];

/// Other units, with the base unit for them.
const OTHERS: [(&str, &str); 16] = [
    ("minutes", "seconds"),
    ("hours", "seconds"),
    ("days", "seconds"),
    ("weeks", "seconds"),
    ("bits", "bytes"),
    ("kelvin", "celsius"),
    ("kelvins", "celsius"),
    ("fahrenheit", "celsius"),
    ("rankine", "celsius"),
    ("inches", "meters"),
    ("yards", "meters"),
    ("miles", "meters"),
    ("pounds", "grams"),
    ("ounces", "grams"),
    ("calories", "joules"),
    ("kilocalories", "joules"),
];

/// Looks at all families; `most` series are not too many for one. `is_text` tells that creation times are families of
/// their own, as the text format has them.
pub(crate) fn findings(families: &[FamilySnapshot], most: usize, is_text: bool) -> Vec<Finding> {
    let mut found = Found::default();
    // Those who push say for which job and instance they do: a gateway's series have these labels.
    let is_gateway = families.iter().any(|family| family.family.name() == "push_time_seconds");
    for snapshot in families {
        let (family, samples) = (&*snapshot.family, snapshot.samples());
        found.family = family.text_name().into_owned();
        help(&mut found, family);
        total(&mut found, family);
        reserved(&mut found, family, &samples);
        words(&mut found, family);
        units(&mut found, family);
        labels(&mut found, family, &samples, is_gateway);
        series(&mut found, family, &samples, most);
    }
    names(&mut found, families);
    clashes(&mut found, families, is_text);
    found.findings
}

#[derive(Default)]
struct Found {
    family: String,
    findings: Vec<Finding>,
}

impl Found {
    fn push(&mut self, rule: Rule, problem: impl Into<String>, advice: impl Into<String>) {
        let finding = Finding { rule, family: self.family.clone(), problem: problem.into(), advice: advice.into() };
        self.findings.push(finding);
    }
}

fn help(found: &mut Found, family: &Family) {
    if family.help().is_empty() {
        found.push(Rule::NoHelp, "has no help text", "say in a sentence what it counts or measures, and in which unit");
    }
}

fn total(found: &mut Found, family: &Family) {
    match family.kind() {
        Kind::Counter if family.is_bare() => {
            found.push(Rule::NoTotal, "is a counter without _total", format!("call it {}_total", family.name()));
        }
        Kind::Counter | Kind::Unknown => {}
        kind => {
            if let Some(stem) = family.name().strip_suffix("_total") {
                let advice = format!("call it {stem}, or make it a counter");
                found.push(Rule::Total, format!("ends in _total, which is for counters, and is a {kind}"), advice);
            }
        }
    }
}

/// Suffixes and labels that types write themselves.
fn reserved(found: &mut Found, family: &Family, samples: &[Sample]) {
    let kind = family.kind();
    let (is_histogram, is_summary) = (matches!(kind, Kind::Histogram | Kind::GaugeHistogram), kind == Kind::Summary);
    if kind == Kind::Unknown {
        return;
    }
    for (suffix, is_its) in
        [("_bucket", is_histogram), ("_count", is_histogram || is_summary), ("_sum", is_histogram || is_summary)]
    {
        if !is_its && family.name().ends_with(suffix) {
            let problem = format!("ends in {suffix}, as samples of histograms and summaries do, and is a {kind}");
            found.push(Rule::ReservedSuffix, problem, "give it another ending");
        }
    }
    let has = |label: &str| samples.iter().any(|sample| sample.labels.iter().any(|(name, _)| name == label));
    for (label, is_its, owner) in [("le", is_histogram, "histograms"), ("quantile", is_summary, "summaries")] {
        if !is_its && has(label) {
            let problem = format!("has a label {label}, which is for {owner}, and is a {kind}");
            found.push(Rule::ReservedLabel, problem, "rename the label");
        }
    }
}

fn words(found: &mut Found, family: &Family) {
    let name = family.name();
    for word in TYPES {
        if has_part_behind_first(name, word) {
            found.push(
                Rule::TypeInName,
                format!("has its type's word {word} in its name"),
                "leave the word out: TYPE says it",
            );
        }
    }
    if name.contains(':') {
        found.push(Rule::Colon, "has a colon in its name", "write _: colons are for names that recording rules make");
    }
    if is_camel_case(name) {
        found.push(Rule::CamelCase, "is written in camelCase", format!("call it {}", snake_case(name)));
    }
}

fn units(found: &mut Found, family: &Family) {
    let name = family.name();
    let lower = name.to_lowercase();
    let abbreviations = ABBREVIATIONS.iter().filter(|word| has_part_behind_first(&lower, word));
    for word in abbreviations {
        let advice = "write the unit in full, such as seconds or bytes";
        found.push(Rule::AbbreviatedUnit, format!("has a unit abbreviated as {word}"), advice);
    }
    for part in name.split('_') {
        if let Some(base) = base_unit(part) {
            found.push(Rule::BaseUnit, format!("is in {part}"), format!("count in {base}, and write that in the name"));
        }
    }
    let unit = family.unit();
    if !unit.is_empty() && !name.ends_with(unit) {
        let advice = format!("call it {name}_{unit}");
        found.push(Rule::UnitMissing, format!("has the unit {unit}, which its name does not end in"), advice);
    }
}

fn labels(found: &mut Found, family: &Family, samples: &[Sample], is_gateway: bool) {
    let names: BTreeSet<&str> = samples.iter().flat_map(|sample| &sample.labels).map(|(name, _)| &**name).collect();
    for label in names {
        if is_camel_case(label) {
            let advice = format!("call it {}", snake_case(label));
            found.push(Rule::CamelCase, format!("has a label {label}, which is written in camelCase"), advice);
        }
        if matches!(label, "job" | "instance") && !is_gateway {
            let advice = "rename the label, or scrape with honor_labels: true";
            found.push(
                Rule::TargetLabel,
                format!("has a label {label}, which Prometheus sets for every target"),
                advice,
            );
        }
        let is_own = family.kind() == Kind::StateSet && label == family.name();
        if !is_own && label.len() > 1 && has_part(family.name(), label) {
            let advice = "leave it out of the name: sums over the label would be called wrongly";
            found.push(Rule::LabelInName, format!("has its label {label} in its name, too"), advice);
        }
    }
}

fn series(found: &mut Found, family: &Family, samples: &[Sample], most: usize) {
    let added = family.kind().reserved_label().unwrap_or_default();
    let mut seen: HashSet<(&str, Vec<(&str, &str)>)> = HashSet::new();
    let mut children: HashSet<Vec<(&str, &str)>> = HashSet::new();
    let mut twice: Option<&Sample> = None;
    for sample in samples {
        let mut labels: Vec<_> = sample.labels.iter().map(|(name, value)| (&**name, &**value)).collect();
        labels.sort_unstable();
        children.insert(labels.iter().copied().filter(|(name, _)| *name != added).collect());
        if !seen.insert((&sample.name, labels)) {
            twice = twice.or(Some(sample));
        }
    }
    if let Some(sample) = twice {
        let labels: Vec<_> = sample.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let problem = format!("has the sample {}{{{}}} more than once", sample.name, labels.join(","));
        found.push(Rule::Duplicate, problem, "tell the series apart by a label; Prometheus keeps one of them");
    }
    if children.len() > most {
        let advice = "leave out the label with the most values, or raise --max-series";
        found.push(Rule::ManySeries, format!("has {} series, more than {most}", children.len()), advice);
    }
}

/// Names that become one where a Prometheus before 3.0 reads them.
fn names(found: &mut Found, families: &[FamilySnapshot]) {
    let mut known: HashMap<String, &str> = HashMap::new();
    for family in families {
        let name = family.family.name();
        let before = *known.entry(escape_metric(name, Escaping::Underscores).into_owned()).or_insert(name);
        if before != name {
            found.family = family.family.text_name().into_owned();
            let problem = format!("is {before}, too, where names have letters, digits and underscores only");
            found.push(Rule::Collision, problem, "rename one of them");
        }
    }
}

/// Samples of one family that are called like another family's.
fn clashes(found: &mut Found, families: &[FamilySnapshot], is_text: bool) {
    let mut owners: HashMap<String, &str> = HashMap::new();
    for family in families {
        let suffixes: &[&str] = match family.family.kind() {
            Kind::Counter if family.family.is_bare() => &["", "_created"],
            Kind::Counter => &["_total", "_created"],
            Kind::Histogram => &["_bucket", "_count", "_sum", "_created"],
            Kind::GaugeHistogram => &["_bucket", "_gcount", "_gsum"],
            Kind::Summary => &["", "_count", "_sum", "_created"],
            Kind::Info => &["_info"],
            _ => &[""],
        };
        for suffix in suffixes.iter().filter(|suffix| !(is_text && **suffix == "_created")) {
            let sample = format!("{}{suffix}", family.family.name());
            let owner = *owners.entry(sample.clone()).or_insert(family.family.name());
            if owner != family.family.name() {
                found.family = family.family.text_name().into_owned();
                found.push(
                    Rule::Clash,
                    format!("has samples called {sample}, and so has {owner}"),
                    "rename one of the two",
                );
            }
        }
    }
}

/// Whether the name has the words as parts between underscores.
fn has_part(name: &str, words: &str) -> bool {
    format!("_{name}_").contains(&format!("_{words}_"))
}

/// The same, but a name may begin with it.
fn has_part_behind_first(name: &str, words: &str) -> bool {
    format!("{name}_").contains(&format!("_{words}_"))
}

/// The unit to use instead of this word, if it is another unit.
fn base_unit(part: &str) -> Option<&'static str> {
    if let Some((_, base)) = OTHERS.iter().find(|(unit, _)| *unit == part) {
        return Some(base);
    }
    let rest = PREFIXES.iter().find_map(|prefix| part.strip_prefix(prefix))?;
    let base = BASES.into_iter().find(|base| *base == rest)?;
    Some(if base == "bits" { "bytes" } else { base })
}

fn is_camel_case(name: &str) -> bool {
    name.as_bytes()
        .windows(2)
        .any(|pair| matches!(pair, [small, large] if small.is_ascii_lowercase() && large.is_ascii_uppercase()))
}

fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && text.ends_with(|before: char| before.is_ascii_lowercase()) {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use tallymark::model::parse;

    use super::*;

    /// Rule and family of what is found.
    fn rules(text: &str) -> Vec<(String, String)> {
        let families = parse::strict_text(text, 1000).unwrap();
        findings(&families, 2, true).into_iter().map(|finding| (finding.rule.to_string(), finding.family)).collect()
    }

    #[test]
    fn each_rule_finds_what_it_is_for() {
        for (text, expected) in [
            ("# TYPE a gauge\na 1\n", &["no-help"][..]),
            ("# HELP a A.\n# TYPE a counter\na 1\n", &["no-total"]),
            ("# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n", &["total"]),
            ("# HELP a_total A.\na_total 1\n", &[]),
            ("# HELP a_count A.\n# TYPE a_count gauge\na_count 1\n", &["reserved-suffix"]),
            (
                "# HELP a_bucket A.\n# TYPE a_bucket gauge\na_bucket{le=\"1\"} 1\n",
                &["reserved-suffix", "reserved-label"],
            ),
            ("# HELP a A.\n# TYPE a gauge\na{quantile=\"1\"} 1\n", &["reserved-label"]),
            ("# HELP a_gauge A.\n# TYPE a_gauge gauge\na_gauge 1\n", &["type-in-name"]),
            ("# HELP gauge_a A.\n# TYPE gauge_a gauge\ngauge_a 1\n", &[]),
            ("# HELP a:b A.\n# TYPE a:b gauge\na:b 1\n", &["colon"]),
            ("# HELP aB A.\n# TYPE aB gauge\naB{cD=\"\"} 1\n", &["camel-case", "camel-case"]),
            ("# HELP a_ms A.\n# TYPE a_ms gauge\na_ms 1\n", &["abbreviated-unit"]),
            ("# HELP a_milliseconds A.\n# TYPE a_milliseconds gauge\na_milliseconds 1\n", &["base-unit"]),
            ("# HELP a_hours A.\n# TYPE a_hours gauge\na_hours 1\n", &["base-unit"]),
            ("# HELP a_seconds A.\n# TYPE a_seconds gauge\na_seconds 1\n", &[]),
            ("# HELP a A.\n# TYPE a gauge\na{b=\"1\"} 1\na{b=\"1\"} 2\n", &["duplicate"]),
            ("# HELP a A.\n# TYPE a gauge\na{b=\"1\"} 1\na{b=\"2\"} 2\na{b=\"3\"} 2\n", &["many-series"]),
            ("# HELP by_code A.\n# TYPE by_code gauge\nby_code{code=\"1\"} 1\n", &["label-in-name"]),
            ("# HELP a A.\n# TYPE a gauge\na{job=\"1\"} 1\n", &["target-label"]),
            ("# HELP push_time_seconds A.\n# TYPE push_time_seconds gauge\npush_time_seconds{job=\"1\"} 1\n", &[]),
        ] {
            let found: Vec<_> = rules(text).into_iter().map(|(rule, _)| rule).collect();

            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn families_that_get_into_each_other_s_way_are_found() {
        for (text, expected) in [
            (
                "# HELP x_y A.\n# TYPE x_y gauge\nx_y 1\n# HELP \"x.y\" A.\n# TYPE \"x.y\" gauge\n{\"x.y\"} 1\n",
                Some(("collision".to_owned(), "x.y".to_owned())),
            ),
            ("# HELP a A.\n# TYPE a summary\na_count 1\na_sum 1\n# HELP a_count A.\n# TYPE a_count untyped\n", None),
            (
                "# HELP a_sum A.\na_sum 1\n# HELP a A.\n# TYPE a summary\na{quantile=\"1\"} 1\n",
                Some(("clash".to_owned(), "a".to_owned())),
            ),
            (
                "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n# HELP a_created A.\n# TYPE a_created gauge\na_created 1\n",
                None,
            ),
        ] {
            assert_eq!(rules(text), expected.into_iter().collect::<Vec<_>>(), "{text}");
        }
    }

    #[test]
    fn advice_names_what_to_do() {
        assert_eq!("http_request_count", snake_case("httpRequestCount"));
        assert_eq!(Some("bytes"), base_unit("megabits"));
        assert_eq!(None, base_unit("bytes"));
        assert_eq!(None, base_unit("kilo"));
    }
}
