//! Families as text for people: a heading for each, and under it its series as a table.
//!
//! Numbers have the family's unit, histograms what they come to. Nothing here decides which series are shown.

use std::fmt::Write;

use tallymark::model::{FamilySnapshot, Kind, Snapshot};
use unicode_width::UnicodeWidthStr;

use crate::rows::{Row, Value, rows};
use crate::units::{Unit, plain, printable};

/// Every family with its series; `now` is the present moment in seconds since the Unix epoch.
pub(crate) fn families(snapshot: &Snapshot, now: f64) -> String {
    let shown: Vec<String> = snapshot.families.iter().map(|family| one_family(family, now)).collect();
    shown.join("\n")
}

fn one_family(family: &FamilySnapshot, now: f64) -> String {
    let rows = rows(family);
    let mut text = heading(family);
    if rows.is_empty() {
        text.push_str("  no series\n");
        return text;
    }
    let labels = label_names(&rows);
    let unit = Unit::of(family.family.name(), family.family.unit());
    let values = columns(family.family.kind(), &rows);
    let mut lines = vec![[labels.iter().map(|name| printable(name).into_owned()).collect(), values.clone()].concat()];
    for row in &rows {
        let mut cells: Vec<String> = labels.iter().map(|name| printable(label(row, name)).into_owned()).collect();
        cells.extend(values.iter().map(|column| cell(&row.value, column, unit, now)));
        lines.push(cells);
    }
    text + &aligned(&lines, labels.len())
}

fn heading(family: &FamilySnapshot) -> String {
    let described = &family.family;
    let name = if described.kind() == Kind::Info { described.name().into() } else { described.text_name() };
    let mut text = format!("{}  {}", printable(&name), described.kind());
    if !described.help().is_empty() {
        let _ = write!(text, "  {}", printable(described.help()));
    }
    text + "\n"
}

/// The names of all labels, in the order in which the series have them.
pub(crate) fn label_names(rows: &[Row]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in rows.iter().flat_map(|row| &row.labels) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn label<'a>(row: &'a Row, name: &str) -> &'a str {
    row.labels.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

fn columns(kind: Kind, rows: &[Row]) -> Vec<String> {
    let columns: &[&str] = match kind {
        Kind::StateSet => &["state"],
        Kind::Info => &[],
        Kind::Histogram | Kind::GaugeHistogram => &["count", "sum", "mean", "p50", "p90", "p99"],
        Kind::Summary => &["count", "sum", "mean"],
        _ => &["value"],
    };
    let mut columns: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
    for row in rows.iter().filter(|_| kind == Kind::Summary) {
        if let Value::Distribution(distribution) = &row.value {
            for (quantile, _) in &distribution.quantiles {
                let column = format!("p{}", plain(quantile * 100.0));
                if !columns.contains(&column) {
                    columns.push(column);
                }
            }
        }
    }
    columns
}

/// What a series has in a column; nothing where it has none.
pub(crate) fn cell(value: &Value, column: &str, unit: Unit, now: f64) -> String {
    let shown = |number: Option<f64>| number.map_or_else(String::new, |number| unit.show(number, now));
    match value {
        Value::Number(number) => unit.show(*number, now),
        Value::States(states) => printable(&states.join(", ")).into_owned(),
        Value::Distribution(distribution) => match column {
            "count" => distribution.count.map_or_else(String::new, plain),
            "sum" => shown(distribution.sum),
            "mean" => shown(distribution.mean()),
            quantile => {
                let percent = quantile.strip_prefix('p').and_then(|percent| percent.parse::<f64>().ok());
                let known =
                    distribution.quantiles.iter().find(|(part, _)| Some(plain(part * 100.0)) == percent.map(plain));
                shown(known.map(|(_, value)| *value).or_else(|| distribution.quantile(percent? / 100.0)))
            }
        },
    }
}

/// Lines of cells, indented, each column as wide as its widest cell; the first so many are flush left, the others right.
pub(crate) fn aligned(lines: &[Vec<String>], left: usize) -> String {
    let count = lines.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths = vec![0; count];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.width());
        }
    }
    let mut text = String::new();
    for line in lines {
        let mut shown = String::new();
        for (at, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let gap = " ".repeat(width - cell.width());
            let (before, behind) = if at < left { ("", &*gap) } else { (&*gap, "") };
            let _ = write!(shown, "  {before}{cell}{behind}");
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use tallymark::model::parse;

    use super::*;

    fn shown(text: &str) -> String {
        let read = parse::openmetrics(text).map(|family| FamilySnapshot::from(family.unwrap()));
        families(&Snapshot { families: read.collect() }, 1000.0)
    }

    #[test]
    fn columns_are_aligned_whatever_the_script() {
        assert_eq!(
            shown(
                "# TYPE hits counter\n# HELP hits Hits.\nhits_total{path=\"/日本\",code=\"200\"} 1234567\nhits_total{path=\"/\"} 5\n# EOF\n"
            ),
            "hits_total  counter  Hits.\n  path   code      value\n  /日本  200   1,234,567\n  /                    5\n"
        );
    }

    #[test]
    fn a_histogram_is_one_line_for_each_series() {
        assert_eq!(
            shown(
                "# TYPE wait_seconds histogram\n# UNIT wait_seconds seconds\nwait_seconds_bucket{le=\"0.1\"} 5\nwait_seconds_bucket{le=\"+Inf\"} 10\nwait_seconds_count 10\nwait_seconds_sum 2\n# EOF\n"
            ),
            "wait_seconds  histogram\n  count  sum    mean     p50     p90     p99\n     10  2 s  200 ms  100 ms  100 ms  100 ms\n"
        );
    }

    #[test]
    fn a_counter_without_its_suffix_is_shown_without_it() {
        let families_ = parse::strict_text("# TYPE jobs counter\njobs 1\n", 10).unwrap();

        assert!(families(&Snapshot { families: families_ }, 0.0).starts_with("jobs  counter\n"));
    }

    #[test]
    fn a_summary_s_quantiles_infos_and_states_are_shown() {
        assert_eq!(
            shown(
                "# TYPE s summary\ns{quantile=\"0.999\"} 4\ns_count 2\ns_sum 3\n# TYPE build info\nbuild_info{version=\"1\\n\"} 1\n# TYPE on stateset\non{on=\"yes\"} 1\n# TYPE last_timestamp_seconds gauge\nlast_timestamp_seconds 940\n# TYPE empty gauge\n# EOF\n"
            ),
            "s  summary\n  count  sum  mean  p99.9\n      2    3   1.5      4\n\
             \nbuild  info\n  version\n  1\\n\n\
             \non  stateset\n  state\n    yes\n\
             \nlast_timestamp_seconds  gauge\n     value\n  60 s ago\n\
             \nempty  gauge\n  no series\n"
        );
    }
}
