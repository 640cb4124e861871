//! What a store is asked to bound: how long idle series are shown, and how many series a family has.
//!
//! An idle series is only not shown: its numbers stay, so that it goes on from them when it comes back. A label set
//! beyond the bound counts in its family's one overflow series; nothing is kept of it. Where series are counted and
//! read is not known here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tallymark_model::{Family, Labels};

use crate::merge::HeldSeries;

/// The value of every label of the series that further label sets count in.
pub(crate) const OVERFLOW: &str = "overflow";

/// What a store is asked to bound.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Limits {
    /// How long a series is shown that no process uses.
    pub(crate) ttl: Option<Duration>,
    /// How many series a family may have, beside its overflow series.
    pub(crate) max_series: Option<u32>,
}

impl Limits {
    /// Takes an option of a store's URL; `false` if it is not one of these.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<bool, &'static str> {
        match name {
            "ttl" => {
                let seconds = value.parse().ok().filter(|seconds: &f64| *seconds >= 0.0);
                let ttl = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                let ttl = ttl.ok_or("ttl is not a number of seconds, such as 3600 or 0.5; 0 for never")?;
                self.ttl = Some(ttl).filter(|ttl| !ttl.is_zero());
            }
            "max_series" => {
                let most: u32 =
                    value.parse().map_err(|_| "max_series is not a whole number, such as 1000; 0 for any")?;
                self.max_series = Some(most).filter(|most| *most > 0);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Takes these out of a URL's options.
    pub(crate) fn take(options: &mut Vec<(String, String)>) -> Result<Limits, String> {
        let mut limits = Limits::default();
        let mut others = Vec::new();
        for (name, value) in options.drain(..) {
            if !limits.set(&name, &value)? {
                others.push((name, value));
            }
        }
        *options = others;
        Ok(limits)
    }

    /// The end of a URL that sets these.
    pub(crate) fn query(&self) -> String {
        let most = self.max_series.map(|most| format!("max_series={most}"));
        let ttl = self.ttl.map(|ttl| format!("ttl={}", ttl.as_secs_f64()));
        let options: Vec<String> = most.into_iter().chain(ttl).collect();
        if options.is_empty() { String::new() } else { format!("?{}", options.join("&")) }
    }

    /// Whether a series is not to be shown at the time `now`: no process uses it, and none has since `idle_since`. Both
    /// are nanoseconds since the Unix epoch; 0 for a time that is not known.
    pub(crate) fn hides(&self, now: u64, in_use: bool, idle_since: u64) -> bool {
        let Some(ttl) = self.ttl.filter(|_| !in_use && idle_since != 0) else { return false };
        // A clock that was set back makes nothing idle.
        u128::from(now.saturating_sub(idle_since)) > ttl.as_nanos()
    }
}

/// The labels of a family's overflow series.
pub(crate) fn overflow(family: &Family) -> Option<Labels> {
    family.labels(&vec![OVERFLOW; family.label_names().len()]).ok()
}

/// Whether these are the label values of an overflow series; also those of a family without label names, which has one
/// series at the most.
pub(crate) fn is_overflow(values: &[Box<str>]) -> bool {
    values.iter().all(|value| &**value == OVERFLOW)
}

/// What is logged once a family has an overflow series.
pub(crate) fn notice(family: &Family, most: u32) -> String {
    let name = family.name();
    format!(
        "{name} has {most} series, as many as the store's max_series allows; further label sets are counted together, in \
         the series whose label values are all \"{OVERFLOW}\": give {name} labels with fewer values, or raise max_series"
    )
}

/// Leaves the `most` series of each definition that were created first, and adds up the others in its overflow series:
/// several hosts may each have made as many. Each series comes with the number of its definition.
pub(crate) fn fold(series: Vec<(usize, HeldSeries)>, most: u32) -> Vec<(usize, HeldSeries)> {
    let beyond = beyond(&series, most);
    if beyond.is_empty() {
        return series;
    }
    let (mut left, mut rest) = (Vec::with_capacity(series.len() - beyond.len()), Vec::with_capacity(beyond.len()));
    for (index, one) in series.into_iter().enumerate() {
        if beyond.contains(&index) { rest.push(one) } else { left.push(one) }
    }
    let mut totals: HashMap<usize, usize> = HashMap::new();
    for (index, (definition, one)) in left.iter().enumerate() {
        if is_overflow(one.labels.values()) {
            totals.insert(*definition, index);
        }
    }
    for (definition, one) in rest {
        match totals.get(&definition) {
            Some(index) => left[*index].1.add(one),
            None => {
                let Some(labels) = overflow(&one.family) else { continue };
                totals.insert(definition, left.len());
                left.push((definition, HeldSeries { labels: Arc::new(labels), ..one }));
            }
        }
    }
    left
}

/// The places of the series that are too many.
fn beyond(series: &[(usize, HeldSeries)], most: u32) -> HashSet<usize> {
    let mut by_definition: HashMap<usize, Vec<usize>> = HashMap::new();
    for (index, (definition, one)) in series.iter().enumerate() {
        if !is_overflow(one.labels.values()) {
            by_definition.entry(*definition).or_default().push(index);
        }
    }
    let mut beyond = HashSet::new();
    for mut indexes in by_definition.into_values().filter(|indexes| indexes.len() > most as usize) {
        indexes.sort_by(|a, b| {
            let (a, b) = (&series[*a].1, &series[*b].1);
            a.created.total_cmp(&b.created).then_with(|| a.labels.values().cmp(b.labels.values()))
        });
        beyond.extend(indexes.drain(most as usize..));
    }
    beyond
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gauge::GaugeValue;
    use crate::merge::StoredValue;
    use crate::series::Note;
    use proptest::prelude::*;
    use tallymark_cells::ExactSum;
    use tallymark_cells::file::Total;
    use tallymark_model::Kind;

    fn options(query: &str) -> Vec<(String, String)> {
        form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    fn limits(query: &str) -> Limits {
        Limits::take(&mut options(query)).unwrap()
    }

    #[test]
    fn options_are_taken_out_of_a_url_and_come_back() {
        let mut others = options("mode=0660&ttl=0.5&&max_series=7&network=allow");
        let found = Limits::take(&mut others).unwrap();
        assert_eq!(found, Limits { ttl: Some(Duration::from_millis(500)), max_series: Some(7) });
        assert_eq!(others, options("mode=0660&network=allow"));
        assert_eq!(found.query(), "?max_series=7&ttl=0.5");
        assert_eq!(limits("ttl=0&max_series=0"), Limits::default());
        assert_eq!(Limits::default().query(), "");
        for wrong in
            ["ttl=", "ttl=-1", "ttl=1h", "ttl=nan", "ttl=inf", "max_series=-1", "max_series=1.5", "max_series="]
        {
            assert!(Limits::take(&mut options(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_series_is_hidden_once_it_was_idle_for_longer_than_the_ttl() {
        const SECOND: u64 = 1_000_000_000;
        let ttl = limits("ttl=10");
        assert!(!ttl.hides(110 * SECOND, false, 100 * SECOND), "for as long");
        assert!(ttl.hides(110 * SECOND + 1, false, 100 * SECOND), "for longer");
        assert!(!ttl.hides(110 * SECOND + 1, true, 100 * SECOND), "a process uses it");
        assert!(!ttl.hides(110 * SECOND + 1, false, 0), "nobody knows since when");
        assert!(!ttl.hides(50 * SECOND, false, 100 * SECOND), "a clock that was set back");
        assert!(!Limits::default().hides(u64::MAX, false, 1), "without a ttl");
        assert!(!limits("ttl=1e18").hides(u64::MAX, false, 1), "longer than there is time");
    }

    fn counter(names: &[&str]) -> Arc<Family> {
        Arc::new(Family::builder(Kind::Counter, "hits", "").label_names(names.iter().copied()).build().unwrap())
    }

    fn held(family: &Arc<Family>, values: &[&str], created: f64, value: StoredValue) -> (usize, HeldSeries) {
        let labels = Arc::new(family.labels(values).unwrap());
        let (family, notes) = (Arc::clone(family), Vec::new());
        (0, HeldSeries { family, labels, created, value, notes, in_use: false, idle_since: 1 })
    }

    fn number(whole: u64, rest: f64) -> StoredValue {
        let mut sum = ExactSum::default();
        sum.add(rest);
        StoredValue::Total(Total::Number { whole, rest: sum })
    }

    fn shown(series: &[(usize, HeldSeries)]) -> Vec<(String, f64)> {
        let value = |one: &HeldSeries| match &one.value {
            StoredValue::Total(Total::Number { whole, rest }) => *whole as f64 + rest.value(),
            _ => f64::NAN,
        };
        series.iter().map(|(_, one)| (one.labels.values().join(","), value(one))).collect()
    }

    #[test]
    fn the_series_created_first_stay_and_the_others_are_added_up() {
        let family = counter(&["path", "code"]);
        let series = vec![
            held(&family, &["/late", "200"], 3.0, number(1 << 60, 0.5)),
            held(&family, &["/b", "200"], 2.0, number(7, 0.0)),
            held(&family, &["/first", "200"], 1.0, number(5, 0.0)),
            held(&family, &["/a", "200"], 2.0, number(6, 0.25)),
        ];
        let left = fold(series, 2);
        assert_eq!(
            shown(&left),
            [
                ("/first,200".to_owned(), 5.0),
                ("/a,200".to_owned(), 6.25),
                ("overflow,overflow".to_owned(), (1u64 << 60) as f64 + 7.5)
            ]
        );
        assert_eq!(left[2].1.created, 2.0);
    }

    #[test]
    fn an_overflow_series_that_is_there_does_not_count_and_takes_the_others() {
        let family = counter(&["path"]);
        let series = || {
            vec![
                held(&family, &["overflow"], 1.0, number(10, 0.0)),
                held(&family, &["/a"], 2.0, number(1, 0.0)),
                held(&family, &["/b"], 3.0, number(2, 0.0)),
            ]
        };
        assert_eq!(shown(&fold(series(), 2)), shown(&series()));
        let expected = [("overflow".to_owned(), 12.0), ("/a".to_owned(), 1.0)];
        assert_eq!(shown(&fold(series(), 1)), expected);
        let bare = counter(&[]);
        assert_eq!(shown(&fold(vec![held(&bare, &[], 1.0, number(3, 0.0))], 1)), [(String::new(), 3.0)]);
    }

    #[test]
    fn what_is_added_up_is_as_fresh_as_its_freshest_part() {
        let family = counter(&["path"]);
        let note = |part, stamp| Note { part, stamp, bytes: stamp.to_string().into_bytes() };
        let with = |path, in_use, idle_since, notes| {
            let (number, one) = held(&family, &[path], 1.0, number(1, 0.0));
            (number, HeldSeries { in_use, idle_since, notes, ..one })
        };
        let fold = |second: (bool, u64), third: (bool, u64)| {
            let series = vec![
                with("/1", false, 9, Vec::new()),
                with("/2", second.0, second.1, vec![note(0, 5), note(1, 5)]),
                with("/3", third.0, third.1, vec![note(0, 4), note(1, 6), note(2, 1)]),
            ];
            fold(series, 1).pop().unwrap().1
        };
        let both = fold((false, 3), (false, 4));
        assert_eq!((both.in_use, both.idle_since), (false, 4));
        assert_eq!(both.notes, [note(0, 5), note(1, 6), note(2, 1)]);
        assert!(fold((false, 3), (true, 0)).in_use);
        assert_eq!(fold((false, 3), (false, 0)).idle_since, 0, "one of them may be in use");
    }

    #[test]
    fn gauges_that_are_added_up_keep_their_processes_the_newest_first() {
        let family = Family::builder(Kind::Gauge, "depth", "").label_names(["queue"]).build().unwrap();
        let family = Arc::new(family);
        let value = |pid, stamp| GaugeValue { instance: None, pid, value: 1.0, stamp, live: true, kept: false };
        let gauge = |values: &[(u32, u64)]| StoredValue::Gauge(values.iter().map(|v| value(v.0, v.1)).collect());
        let series = vec![
            held(&family, &["a"], 1.0, gauge(&[])),
            held(&family, &["b"], 2.0, gauge(&[(7, 1), (8, 5)])),
            held(&family, &["c"], 3.0, gauge(&[(7, 9)])),
        ];
        let StoredValue::Gauge(values) = &fold(series, 1)[1].1.value else { panic!("a gauge") };
        assert_eq!(*values, [value(7, 9), value(8, 5), value(7, 1)]);
    }

    proptest! {
        #[test]
        fn folding_keeps_the_sum_and_the_bound(paths in prop::collection::vec((0u8..30, 0u8..4, 1u64..1000), 0..40), most in 1u32..20) {
            let family = counter(&["path"]);
            let mut seen = HashSet::new();
            let paths: Vec<_> = paths.into_iter().filter(|(path, ..)| seen.insert(*path)).collect();
            let series = || paths.iter().map(|(path, created, count)| {
                let path = if *path == 0 { "overflow".to_owned() } else { path.to_string() };
                held(&family, &[&*path], f64::from(*created), number(*count, 0.0))
            });
            let total = |series: &[(usize, HeldSeries)]| shown(series).iter().map(|(_, value)| *value).sum::<f64>();
            let left = fold(series().collect(), most);
            prop_assert_eq!(total(&left), total(&series().collect::<Vec<_>>()));
            let own = |series: &[(usize, HeldSeries)]| series.iter().filter(|(_, one)| !is_overflow(one.labels.values())).count();
            prop_assert_eq!(own(&left), own(&series().collect::<Vec<_>>()).min(most as usize));
            // In whatever order they come.
            let mut again = shown(&fold(series().rev().collect(), most));
            let mut left = shown(&left);
            again.sort_by(|a, b| a.0.cmp(&b.0));
            left.sort_by(|a, b| a.0.cmp(&b.0));
            prop_assert_eq!(again, left);
        }
    }
}
