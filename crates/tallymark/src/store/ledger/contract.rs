//! What every ledger must do, as tests that each of them is run through.
//!
//! `contract!(open)` makes a `#[test]` of each function here. `open` gives whatever keeps an empty store alive, and a
//! ledger on it: `fn() -> (impl Sized, impl Ledger)`. Nothing here knows which ledger it is, nor how many shards it has.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tallymark_cells::ExactSum;
use tallymark_cells::file::Total;
use tallymark_model::{Exemplar, Family, GaugeMode, Kind};

use super::{
    Answer, Batch, Change, Delta, GaugeValue, Greeting, HeldSeries, Hello, Ledger, Removal, Stored, StoredValue,
};
use crate::record;
use crate::series::Note;

macro_rules! contract {
    ($open:path) => {
        $crate::store::ledger::contract::contract! { $open:
            counts_and_sums_add,
            whole_numbers_are_exact_however_great_they_are,
            small_parts_of_a_sum_are_not_lost_beside_great_ones,
            infinities_and_nan_are_numbers_too,
            a_shard_answers_by_what_it_took_before,
            a_batch_that_comes_twice_counts_once,
            a_batch_after_a_gap_changes_nothing,
            numbers_that_start_anew_are_taken_after_a_gap,
            a_batch_for_another_epoch_changes_nothing,
            writers_are_counted_apart,
            a_greeting_knows_the_writer_the_second_time,
            processes_and_users_are_those_of_writers_whose_lease_lasts,
            a_series_is_as_old_as_its_first_mention,
            a_series_that_is_mentioned_is_there_and_used,
            gauges_are_kept_by_writer_and_process,
            a_gauge_lives_no_longer_than_its_writer_s_lease,
            of_writers_that_said_goodbye_remains_what_the_mode_keeps,
            a_writer_that_said_goodbye_is_unknown_but_its_batches_are_not,
            the_newest_note_of_a_part_stays,
            an_info_is_the_one_set_last,
            a_removal_takes_the_series_and_all_that_is_theirs,
            a_removal_by_some_labels_takes_the_series_that_have_them,
            a_removal_without_labels_takes_every_series_of_the_family,
            removals_are_told_to_the_others_once,
            a_removal_that_is_repeated_removes_nothing_that_came_since,
            a_series_that_comes_back_starts_at_zero,
            definitions_are_told_apart_by_all_but_help_and_unit,
            any_label_value_comes_back_as_it_went,
            many_series_come_back_each_once,
            any_batches_add_up_as_on_paper,
        }
    };
    ($open:path: $($test:ident),* $(,)?) => {
        $(
            #[test]
            fn $test() {
                let (_store, mut ledger) = $open();
                $crate::store::ledger::contract::$test(&mut ledger);
            }
        )*
    };
}
pub(crate) use contract;

/// How long a ledger may take: far more than it needs.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// A spool that sends to a ledger, as the drain would.
pub(crate) struct Writer {
    pub(crate) id: u128,
    instance: &'static str,
    pub(crate) epochs: Vec<u128>,
    /// The number of the last batch, by shard.
    pub(crate) sequences: Vec<u64>,
}

impl Writer {
    /// A writer that has greeted, with a lease of an hour and one process.
    pub(crate) fn greeted(ledger: &mut dyn Ledger, id: u128, instance: &'static str) -> Writer {
        let mut writer = Writer { id, instance, epochs: Vec::new(), sequences: Vec::new() };
        writer.epochs = writer.greet(ledger, Duration::from_secs(3600)).epochs;
        assert!(!writer.epochs.is_empty());
        writer.sequences = vec![0; writer.epochs.len()];
        writer
    }

    pub(crate) fn greet(&self, ledger: &mut dyn Ledger, lease: Duration) -> Greeting {
        ledger.greet(&Hello { lease, ..self.hello() }, soon()).unwrap()
    }

    pub(crate) fn hello(&self) -> Hello<'_> {
        let lease = Duration::from_secs(3600);
        Hello { writer: self.id, instance: self.instance, lease, processes: 1, users: &[], removals: 0 }
    }

    fn goodbye(&self, ledger: &mut dyn Ledger) {
        ledger.greet(&Hello { lease: Duration::ZERO, processes: 0, ..self.hello() }, soon()).unwrap();
    }

    /// The batch that comes next, of one change.
    pub(crate) fn next(&mut self, ledger: &dyn Ledger, family: &Arc<Family>, change: Change) -> Batch {
        let shard = ledger.shard_of(family, &change.labels);
        self.sequences[shard] += 1;
        Batch {
            writer: self.id,
            shard: shard as u32,
            epoch: self.epochs[shard],
            sequence: self.sequences[shard],
            rebase: false,
            families: vec![Arc::clone(family)],
            changes: vec![change],
        }
    }

    /// Sends one change, which must be applied.
    pub(crate) fn send(&mut self, ledger: &mut dyn Ledger, family: &Arc<Family>, change: Change) -> Batch {
        let batch = self.next(ledger, family, change);
        assert_eq!(apply(ledger, &batch), Answer::Applied);
        batch
    }
}

pub(crate) fn apply(ledger: &mut dyn Ledger, batch: &Batch) -> Answer {
    let mut answers = ledger.apply(std::slice::from_ref(batch), soon());
    assert_eq!(answers.len(), 1);
    answers.remove(0).unwrap()
}

pub(crate) fn family(kind: Kind, name: &str, labels: &[&str]) -> Arc<Family> {
    let builder = Family::builder(kind, name, "Of a test.").label_names(labels.iter().copied());
    let builder = if kind == Kind::Histogram { builder.bounds([0.5, 1.0, 2.0]) } else { builder };
    let builder = if kind == Kind::StateSet { builder.states(["off", "on"]) } else { builder };
    Arc::new(builder.build().unwrap())
}

fn gauge(name: &str, mode: GaugeMode) -> Arc<Family> {
    Arc::new(Family::builder(Kind::Gauge, name, "").mode(mode).build().unwrap())
}

pub(crate) fn change(labels: &[&str], delta: Delta) -> Change {
    let labels = labels.iter().map(|value| Box::from(*value)).collect();
    Change { family: 0, labels, created: 1000.5, delta, notes: Vec::new() }
}

pub(crate) fn plus(whole: u64, rest: f64) -> Change {
    change(&[], Delta::Number { whole, rest })
}

fn tally(counts: &[(u16, u64)], sum: f64) -> Change {
    change(&[], Delta::Tally { counts: counts.to_vec(), sum })
}

pub(crate) fn value(pid: u32, value: f64, stamp: u64) -> GaugeValue {
    GaugeValue { instance: None, pid, value, stamp, live: true, kept: false }
}

pub(crate) fn read(ledger: &mut dyn Ledger) -> Stored {
    ledger.read(soon()).unwrap()
}

pub(crate) fn find<'a>(stored: &'a Stored, family: &Family, labels: &[&str]) -> Option<&'a HeldSeries> {
    let is_it = |one: &&HeldSeries| {
        *one.family == *family && one.labels.values().iter().map(|value| &**value).eq(labels.iter().copied())
    };
    let mut found = stored.series.iter().filter(is_it);
    let first = found.next();
    assert!(found.next().is_none(), "{labels:?} of {} twice", family.name());
    first
}

/// A number without its series' labels, all of it: whole and the rest.
fn number_of(ledger: &mut dyn Ledger, family: &Family, labels: &[&str]) -> Option<ExactSum> {
    let stored = read(ledger);
    let StoredValue::Total(total) = &find(&stored, family, labels)?.value else { panic!("no number") };
    Some(exact(total))
}

fn exact(total: &Total) -> ExactSum {
    let Total::Number { whole, rest } = total else { panic!("no number: {total:?}") };
    let mut sum = rest.clone();
    sum.merge(&in_full(*whole));
    sum
}

/// A whole number, no bit of it rounded away.
fn in_full(whole: u64) -> ExactSum {
    let mut sum = ExactSum::default();
    sum.add((whole >> 32) as f64 * 4_294_967_296.0);
    sum.add((whole & 0xffff_ffff) as f64);
    sum
}

pub(crate) fn total_of(ledger: &mut dyn Ledger, family: &Family) -> Option<f64> {
    number_of(ledger, family, &[]).map(|sum| sum.value())
}

fn tally_of(ledger: &mut dyn Ledger, family: &Family) -> (Vec<u64>, f64) {
    let stored = read(ledger);
    match &find(&stored, family, &[]).expect("the series").value {
        StoredValue::Total(Total::Tally { counts, sum }) => (counts.to_vec(), sum.value()),
        _ => panic!("no tally"),
    }
}

/// A gauge's values, the oldest first.
pub(crate) fn values_of(ledger: &mut dyn Ledger, family: &Family) -> Vec<GaugeValue> {
    let stored = read(ledger);
    let mut values = match find(&stored, family, &[]).map(|one| &one.value) {
        None => Vec::new(),
        Some(StoredValue::Gauge(values)) => values.clone(),
        Some(StoredValue::Total(total)) => panic!("no gauge: {total:?}"),
    };
    values.sort_by_key(|value| value.stamp);
    values
}

pub(crate) fn counts_and_sums_add(ledger: &mut dyn Ledger) {
    let [counter, histogram, summary] =
        [Kind::Counter, Kind::Histogram, Kind::Summary].map(|kind| family(kind, kind.as_str(), &[]));
    let mut writer = Writer::greeted(ledger, 1, "a");
    for _ in 0..3 {
        writer.send(ledger, &counter, plus(2, 0.25));
        writer.send(ledger, &histogram, tally(&[(0, 1), (3, 2)], 9.5));
        writer.send(ledger, &summary, tally(&[(0, 4)], -1.0));
    }

    assert_eq!(total_of(ledger, &counter), Some(6.75));
    assert_eq!(tally_of(ledger, &histogram), (vec![3, 0, 0, 6], 28.5));
    assert_eq!(tally_of(ledger, &summary), (vec![12], -3.0));
}

pub(crate) fn whole_numbers_are_exact_however_great_they_are(ledger: &mut dyn Ledger) {
    let (counter, histogram) = (family(Kind::Counter, "c", &[]), family(Kind::Histogram, "h", &[]));
    let mut writer = Writer::greeted(ledger, 1, "a");
    writer.send(ledger, &counter, plus(1, 0.0));
    writer.send(ledger, &histogram, tally(&[(1, 1)], 0.0));
    let mut expected = in_full(1);
    for _ in 0..1200 {
        writer.send(ledger, &counter, plus(1 << 53, 0.0));
        expected.merge(&in_full(1 << 53));
    }
    writer.send(ledger, &histogram, tally(&[(1, (1 << 60) + 1)], 0.0));

    // 1200 × 2⁵³ + 1 is more than 2⁶³.
    assert_eq!(number_of(ledger, &counter, &[]), Some(expected));
    assert_eq!(tally_of(ledger, &histogram).0, [0, (1 << 60) + 2, 0, 0]);
}

pub(crate) fn small_parts_of_a_sum_are_not_lost_beside_great_ones(ledger: &mut dyn Ledger) {
    let (counter, histogram) = (family(Kind::Counter, "c", &[]), family(Kind::Histogram, "h", &[]));
    let mut writer = Writer::greeted(ledger, 1, "a");
    writer.send(ledger, &counter, plus(0, 1e16));
    writer.send(ledger, &histogram, tally(&[], 1e16));
    for _ in 0..10 {
        writer.send(ledger, &counter, plus(0, 0.5));
        writer.send(ledger, &histogram, tally(&[], 0.125));
    }

    assert_eq!(total_of(ledger, &counter), Some(1e16 + 5.0));
    writer.send(ledger, &histogram, tally(&[], -1e16));
    assert_eq!(tally_of(ledger, &histogram).1, 1.25);
}

pub(crate) fn infinities_and_nan_are_numbers_too(ledger: &mut dyn Ledger) {
    let sums = [
        ("up", vec![1.0, f64::INFINITY, 1.0], f64::INFINITY),
        ("down", vec![f64::NEG_INFINITY], f64::NEG_INFINITY),
        ("both", vec![f64::INFINITY, f64::NEG_INFINITY, 1.0], f64::NAN),
        ("none", vec![f64::NAN, 1.0], f64::NAN),
        ("over", vec![f64::MAX, f64::MAX], f64::INFINITY),
    ];
    let mut writer = Writer::greeted(ledger, 1, "a");
    for (name, terms, total) in sums {
        let histogram = family(Kind::Histogram, name, &[]);
        let counter = family(Kind::Counter, &format!("{name}_counter"), &[]);
        for term in terms {
            writer.send(ledger, &histogram, tally(&[(0, 1)], term));
            writer.send(ledger, &counter, plus(1, term));
        }
        let found = (tally_of(ledger, &histogram).1, total_of(ledger, &counter).unwrap());
        assert!(found == (total, total) || total.is_nan() && found.0.is_nan() && found.1.is_nan(), "{name}: {found:?}");
    }
    let depth = gauge("depth", GaugeMode::All);
    let said = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 0.1, -1e300];
    let values = (1..).zip(said).map(|(pid, number)| value(pid, number, u64::from(pid))).collect();
    writer.send(ledger, &depth, change(&[], Delta::Gauge(values)));
    let found: Vec<f64> = values_of(ledger, &depth).iter().map(|value| value.value).collect();
    assert!(found[0].is_nan());
    assert_eq!(found[1..], said[1..]);
}

pub(crate) fn a_shard_answers_by_what_it_took_before(ledger: &mut dyn Ledger) {
    let counter = family(Kind::Counter, "c", &[]);
    let mut writer = Writer::greeted(ledger, 1, "a");
    let batch = writer.next(ledger, &counter, plus(1, 0.0));
    let mut answer = |sequence, rebase| apply(ledger, &Batch { sequence, rebase, ..batch.clone() });

    assert_eq!(answer(2, false), Answer::Gap(None));
    assert_eq!(answer(1, false), Answer::Applied);
    assert_eq!(answer(1, false), Answer::Old(1));
    assert_eq!(answer(3, false), Answer::Gap(Some(1)));
    assert_eq!(answer(2, false), Answer::Applied);
    assert_eq!(answer(1, false), Answer::Old(2));
    assert_eq!(answer(9, true), Answer::Applied);
    assert_eq!(answer(9, true), Answer::Old(9));
    assert_eq!(answer(8, true), Answer::Old(9));
    assert_eq!(answer(10, false), Answer::Applied);
    assert_eq!(answer(12, false), Answer::Gap(Some(10)));
    assert_eq!(answer(11, true), Answer::Applied);
}

pub(crate) fn a_batch_that_comes_twice_counts_once(ledger: &mut dyn Ledger) {
    let counter = family(Kind::Counter, "c", &[]);
    let mut writer = Writer::greeted(ledger, 1, "a");
    let first = writer.send(ledger, &counter, plus(3, 0.5));
    let second = writer.send(ledger, &counter, plus(4, 0.0));
    for batch in [&first, &second, &first] {
        assert_eq!(apply(ledger, batch), Answer::Old(2));
    }

    assert_eq!(total_of(ledger, &counter), Some(7.5));
}

pub(crate) fn a_batch_after_a_gap_changes_nothing(ledger: &mut dyn Ledger) {
    let (counter, depth) = (family(Kind::Counter, "c", &[]), gauge("depth", GaugeMode::All));
    let mut writer = Writer::greeted(ledger, 1, "a");
    let all: Vec<Batch> = (0..3).map(|_| writer.next(ledger, &counter, plus(1, 0.0))).collect();
    writer.next(ledger, &depth, change(&[], Delta::Nothing));
    let late = writer.next(ledger, &depth, change(&[], Delta::Gauge(vec![value(1, 1.0, 1)])));
    assert_eq!(apply(ledger, &all[2]), Answer::Gap(None));
    assert!(matches!(apply(ledger, &late), Answer::Gap(None)));
    assert!(read(ledger).series.is_empty());

    for batch in &all {
        assert_eq!(apply(ledger, batch), Answer::Applied);
    }
    assert_eq!(total_of(ledger, &counter), Some(3.0));
}

pub(crate) fn numbers_that_start_anew_are_taken_after_a_gap(ledger: &mut dyn Ledger) {
    let counter = family(Kind::Counter, "c", &[]);
    let mut writer = Writer::greeted(ledger, 1, "a");
    writer.send(ledger, &counter, plus(1, 0.0));
    writer.next(ledger, &counter, plus(10, 0.0));
    let anew = Batch { rebase: true, ..writer.next(ledger, &counter, plus(100, 0.0)) };
    assert_eq!(apply(ledger, &anew), Answer::Applied);
    assert_eq!(apply(ledger, &anew), Answer::Old(3));
    writer.send(ledger, &counter, plus(1000, 0.0));

    assert_eq!(total_of(ledger, &counter), Some(1101.0));
}

pub(crate) fn a_batch_for_another_epoch_changes_nothing(ledger: &mut dyn Ledger) {
    let counter = family(Kind::Counter, "c", &[]);
    let mut writer = Writer::greeted(ledger, 1, "a");
    let batch = writer.next(ledger, &counter, plus(1, 0.0));
    for rebase in [false, true] {
        let other = Batch { epoch: batch.epoch ^ 1, rebase, ..batch.clone() };
        assert_eq!(apply(ledger, &other), Answer::OtherEpoch);
    }
    assert!(read(ledger).series.is_empty());

    assert_eq!(apply(ledger, &batch), Answer::Applied);
}

pub(crate) fn writers_are_counted_apart(ledger: &mut dyn Ledger) {
    let counter = family(Kind::Counter, "c", &[]);
    let mut writers = [1, u128::MAX, 7 << 90].map(|id| Writer::greeted(ledger, id, "a"));
    assert!(writers.iter().all(|writer| writer.epochs == writers[0].epochs));
    for _ in 0..3 {
        writers.iter_mut().for_each(|writer| drop(writer.send(ledger, &counter, plus(1, 0.0))));
    }

    assert_eq!(total_of(ledger, &counter), Some(9.0));
}

pub(crate) fn a_greeting_knows_the_writer_the_second_time(ledger: &mut dyn Ledger) {
    let [one, other] = [1, 2].map(|id| Writer { id, instance: "a", epochs: Vec::new(), sequences: Vec::new() });
    let hour = Duration::from_secs(3600);
    let first = one.greet(ledger, hour);
    let second = one.greet(ledger, hour);
    assert!(!first.known);
    assert!(second.known);
    assert_eq!(first.epochs, second.epochs);
    assert!(first.now > 1_500_000_000_000_000_000 && second.now >= first.now);
    assert_eq!((first.last_removal, first.removals.len()), (0, 0));

    let third = other.greet(ledger, hour);
    assert!(!third.known && third.now >= second.now && read(ledger).now >= third.now);
}

pub(crate) fn processes_and_users_are_those_of_writers_whose_lease_lasts(ledger: &mut dyn Ledger) {
    let [one, other, gone] = [1, 2, 3].map(|id| Writer::greeted(ledger, id, "a"));
    let hello = |writer: &Writer, processes, users: &[(u64, u32)], lease, ledger: &mut dyn Ledger| {
        ledger.greet(&Hello { processes, users, lease, ..writer.hello() }, soon()).unwrap();
    };
    let hour = Duration::from_secs(3600);
    hello(&one, 3, &[(7, 9)], hour, ledger);
    hello(&one, 4, &[(7, 3), (u64::MAX, 1)], hour, ledger);
    hello(&other, 2, &[(7, 2)], hour, ledger);
    hello(&gone, 5, &[(7, 5), (8, 5)], Duration::from_millis(1), ledger);

    let expired = soon();
    while read(ledger).processes != 6 {
        assert!(Instant::now() < expired, "the lease of a millisecond lasts");
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut users = read(ledger).users;
    users.sort_unstable();
    assert_eq!(users, [(7, 5), (u64::MAX, 1)]);
}

pub(crate) fn a_series_is_as_old_as_its_first_mention(ledger: &mut dyn Ledger) {
    let counter = family(Kind::Counter, "c", &[]);
    let mut writer = Writer::greeted(ledger, 1, "a");
    let mut after = |created| {
        writer.send(ledger, &counter, Change { created, ..plus(1, 0.0) });
        find(&read(ledger), &counter, &[]).unwrap().created
    };

    assert_eq!(after(0.0), 0.0, "none was said");
    assert_eq!(after(1700000002.25), 1700000002.25);
    assert_eq!(after(1700000009.5), 1700000002.25);
    assert_eq!(after(1700000001.125), 1700000001.125);
    assert_eq!(after(0.0), 1700000001.125);
    assert_eq!(after(f64::NAN), 1700000001.125);
}

pub(crate) fn a_series_that_is_mentioned_is_there_and_used(ledger: &mut dyn Ledger) {
    let kinds = [Kind::Counter, Kind::Gauge, Kind::Histogram, Kind::Summary, Kind::Info, Kind::StateSet];
    let mut writer = Writer::greeted(ledger, 1, "a");
    for kind in kinds {
        let family = family(kind, kind.as_str(), &["l"]);
        let now = writer.greet(ledger, Duration::from_secs(3600)).now;
        writer.send(ledger, &family, change(&["x"], Delta::Nothing));
        let first = find(&read(ledger), &family, &["x"]).unwrap().idle_since;
        let between = writer.greet(ledger, Duration::from_secs(3600)).now;
        writer.send(ledger, &family, change(&["x"], Delta::Nothing));
        let second = find(&read(ledger), &family, &["x"]).unwrap().idle_since;

        assert!(now <= first && first <= between && between <= second, "{kind}");
    }
    let stored = read(ledger);
    assert_eq!(stored.series.len(), kinds.len());
    for one in &stored.series {
        match &one.value {
            StoredValue::Total(total @ Total::Number { .. }) => assert_eq!(exact(total).value(), 0.0),
            StoredValue::Total(Total::Tally { counts, sum }) => {
                assert_eq!(counts.len(), one.family.bounds().len().max(1));
                assert_eq!((counts.iter().sum::<u64>(), sum.value()), (0, 0.0));
            }
            StoredValue::Gauge(values) => assert!(values.is_empty()),
            StoredValue::Total(Total::Gauge(_)) => panic!("a gauge's values belong to their writers"),
        }
    }
}

pub(crate) fn gauges_are_kept_by_writer_and_process(ledger: &mut dyn Ledger) {
    let depth = gauge("depth", GaugeMode::All);
    let [mut one, mut other] = [(1, "a"), (2, "b")].map(|(id, instance)| Writer::greeted(ledger, id, instance));
    let ended = GaugeValue { live: false, ..value(8, -2.5, 30) };
    let kept = GaugeValue { live: false, kept: true, ..value(8, 7.0, 10) };
    one.send(ledger, &depth, change(&[], Delta::Gauge(vec![value(7, 1.0, 0), ended.clone(), kept.clone()])));
    other.send(ledger, &depth, change(&[], Delta::Gauge(vec![value(7, 4.0, 40)])));
    let of = |instance: &str, value: GaugeValue| GaugeValue { instance: Some(instance.into()), ..value };
    let expected = [of("a", value(7, 1.0, 0)), of("a", kept), of("a", ended), of("b", value(7, 4.0, 40))];
    assert_eq!(values_of(ledger, &depth), expected);

    one.send(ledger, &depth, change(&[], Delta::Nothing));
    assert_eq!(values_of(ledger, &depth).len(), 4, "nothing was said about them");
    one.send(ledger, &depth, change(&[], Delta::Gauge(vec![value(9, 3.0, 50)])));
    assert_eq!(values_of(ledger, &depth), [of("b", value(7, 4.0, 40)), of("a", value(9, 3.0, 50))]);
    other.send(ledger, &depth, change(&[], Delta::Gauge(Vec::new())));
    assert_eq!(values_of(ledger, &depth), [of("a", value(9, 3.0, 50))]);
}

pub(crate) fn a_gauge_lives_no_longer_than_its_writer_s_lease(ledger: &mut dyn Ledger) {
    let depth = gauge("depth", GaugeMode::All);
    let mut writer = Writer::greeted(ledger, 1, "a");
    writer.send(ledger, &depth, change(&[], Delta::Gauge(vec![value(7, 1.0, 5)])));
    assert!(values_of(ledger, &depth)[0].live);
    writer.greet(ledger, Duration::from_millis(1));

    let expired = soon();
    while values_of(ledger, &depth)[0].live {
        assert!(Instant::now() < expired, "the lease of a millisecond lasts");
        std::thread::sleep(Duration::from_millis(2));
    }
    let ended = GaugeValue { instance: Some("a".into()), live: false, ..value(7, 1.0, 5) };
    assert_eq!(values_of(ledger, &depth), [ended]);
    assert!(writer.greet(ledger, Duration::from_secs(3600)).known);
    assert!(values_of(ledger, &depth)[0].live, "it is back before anybody took it for gone");
}

pub(crate) fn of_writers_that_said_goodbye_remains_what_the_mode_keeps(ledger: &mut dyn Ledger) {
    let first = |mode: GaugeMode| gauge(mode.as_str(), mode);
    let never_set = gauge("never_set", GaugeMode::Auto);
    let state = family(Kind::StateSet, "state", &[]);
    let [mut one, mut other, mut staying] =
        [(1, "a"), (2, "b"), (3, "c")].map(|(id, instance)| Writer::greeted(ledger, id, instance));
    for mode in GaugeMode::ALL {
        one.send(ledger, &first(mode), change(&[], Delta::Gauge(vec![value(1, 3.0, 10), value(2, 5.0, 30)])));
        other.send(ledger, &first(mode), change(&[], Delta::Gauge(vec![value(1, 4.0, 20)])));
        staying.send(ledger, &first(mode), change(&[], Delta::Gauge(vec![value(4, 100.0, 1)])));
    }
    one.send(ledger, &never_set, change(&[], Delta::Gauge(vec![value(1, 3.0, 0)])));
    one.send(ledger, &state, change(&[], Delta::Gauge(vec![value(1, 1.0, 10)])));
    one.goodbye(ledger);
    // In between, it is read: some ledgers clean then.
    read(ledger);
    other.goodbye(ledger);
    read(ledger);

    let said = |pid, instance: &str, number, stamp, live| GaugeValue {
        instance: Some(instance.into()),
        live,
        kept: !live,
        ..value(pid, number, stamp)
    };
    let (three, four, five) =
        (said(1, "a", 3.0, 10, false), said(1, "b", 4.0, 20, false), said(2, "a", 5.0, 30, false));
    for mode in GaugeMode::ALL {
        let kept = match mode {
            GaugeMode::All => vec![three.clone(), four.clone(), five.clone()],
            GaugeMode::Min => vec![three.clone()],
            GaugeMode::Max | GaugeMode::MostRecent | GaugeMode::Auto => vec![five.clone()],
            GaugeMode::Sum => vec![GaugeValue { value: 12.0, ..five.clone() }],
            _ => Vec::new(),
        };
        let values = values_of(ledger, &first(mode));
        assert_eq!(values[0], said(4, "c", 100.0, 1, true), "{mode:?}");
        if mode == GaugeMode::Sum {
            // Whose value it is that the sum stands at is not said.
            assert_eq!((values[1].value, values[1].kept, values.len()), (12.0, true, 2));
        } else {
            assert_eq!(values[1..], kept, "{mode:?}");
        }
    }
    assert_eq!(values_of(ledger, &never_set), []);
    assert_eq!(values_of(ledger, &state), [said(1, "a", 1.0, 10, false)]);
    assert_eq!(read(ledger).processes, 1);
}

pub(crate) fn a_writer_that_said_goodbye_is_unknown_but_its_batches_are_not(ledger: &mut dyn Ledger) {
    let counter = family(Kind::Counter, "c", &[]);
    let mut writer = Writer::greeted(ledger, 1, "a");
    let batch = writer.send(ledger, &counter, plus(5, 0.0));
    writer.goodbye(ledger);
    read(ledger);

    assert_eq!(apply(ledger, &batch), Answer::Old(1));
    assert!(!writer.greet(ledger, Duration::from_secs(3600)).known);
    assert_eq!(apply(ledger, &batch), Answer::Old(1));
    writer.send(ledger, &counter, plus(5, 0.0));
    assert_eq!(total_of(ledger, &counter), Some(10.0));
}

fn exemplar(trace: &str, number: f64, timestamp: Option<f64>) -> Vec<u8> {
    let labels = vec![("trace_id".to_owned(), trace.to_owned())];
    record::encode_exemplar(&Exemplar { labels, value: number, timestamp: timestamp.map(Into::into) })
}

pub(crate) fn the_newest_note_of_a_part_stays(ledger: &mut dyn Ledger) {
    let histogram = family(Kind::Histogram, "h", &[]);
    let note = |part, stamp, bytes: &[u8]| Note { part, stamp, bytes: bytes.to_vec() };
    let [early, late, other] = [
        exemplar("\"früh\"", 0.1, Some(1700000000.123456)),
        exemplar("late", -3.0, None),
        exemplar("", f64::INFINITY, Some(1.5)),
    ];
    let [mut one, mut two] = [1, 2].map(|id| Writer::greeted(ledger, id, "a"));
    let mut send = |writer: &mut Writer, notes: Vec<Note>| {
        writer.send(ledger, &histogram, Change { notes, ..tally(&[(0, 1)], 0.1) });
        let mut notes = find(&read(ledger), &histogram, &[]).unwrap().notes.clone();
        notes.sort_by_key(|note| note.part);
        notes
    };

    assert_eq!(send(&mut one, vec![note(0, 10, &early)]), [note(0, 10, &early)]);
    let both = [note(0, 10, &early), note(3, 5, &other)];
    assert_eq!(send(&mut two, vec![note(0, 9, &late), note(3, 5, &other)]), both);
    assert_eq!(send(&mut two, vec![note(0, 11, &late)]), [note(0, 11, &late), note(3, 5, &other)]);
    assert_eq!(send(&mut one, vec![note(0, 10, &early)]), [note(0, 11, &late), note(3, 5, &other)]);
    assert_eq!(send(&mut one, Vec::new()).len(), 2);
}

pub(crate) fn an_info_is_the_one_set_last(ledger: &mut dyn Ledger) {
    let info = family(Kind::Info, "build", &["host"]);
    let note = |stamp, facts: &[(&str, &str)]| Note { part: 0, stamp, bytes: record::encode_pairs(facts) };
    let mut writer = Writer::greeted(ledger, 1, "a");
    let newest = note(20, &[("version", "2\n\0\"é"), ("b", ""), ("a", "x")]);
    for note in [note(10, &[("version", "1")]), newest.clone(), note(15, &[])] {
        writer.send(ledger, &info, Change { notes: vec![note], ..change(&["h"], Delta::Nothing) });
    }

    assert_eq!(find(&read(ledger), &info, &["h"]).unwrap().notes, [newest]);
}

fn removal(id: u64, family: &Arc<Family>, wanted: &[(usize, &str)]) -> Removal {
    let wanted = wanted.iter().map(|(place, value)| (*place, (*value).to_owned())).collect();
    Removal { writer: 1, id, family: Arc::clone(family), wanted }
}

pub(crate) fn a_removal_takes_the_series_and_all_that_is_theirs(ledger: &mut dyn Ledger) {
    let kinds = [Kind::Counter, Kind::Gauge, Kind::Histogram];
    let families = kinds.map(|kind| family(kind, kind.as_str(), &["a", "b"]));
    let mut writer = Writer::greeted(ledger, 1, "a");
    let all = |writer: &mut Writer, ledger: &mut dyn Ledger| {
        let notes = vec![Note { part: 0, stamp: 5, bytes: exemplar("t", 1.0, None) }];
        let deltas = [
            Delta::Number { whole: 1, rest: 0.5 },
            Delta::Gauge(vec![value(1, 2.0, 3)]),
            Delta::Tally { counts: vec![(1, 1)], sum: 0.7 },
        ];
        for (family, delta) in families.iter().zip(deltas) {
            writer.send(ledger, family, Change { notes: notes.clone(), ..change(&["x", "y"], delta) });
        }
    };
    all(&mut writer, ledger);
    writer.send(ledger, &families[0], change(&["x", "z"], Delta::Nothing));
    for (id, family) in (1..).zip(&families) {
        ledger.remove(&removal(id, family, &[(1, "y"), (0, "x")]), soon()).unwrap();
    }

    let stored = read(ledger);
    assert_eq!(stored.series.len(), 1);
    assert!(find(&stored, &families[0], &["x", "z"]).is_some());
    for family in &families {
        writer.send(ledger, family, change(&["x", "y"], Delta::Nothing));
        let stored = read(ledger);
        let one = find(&stored, family, &["x", "y"]).unwrap();
        assert!(one.notes.is_empty());
        match &one.value {
            StoredValue::Gauge(values) => assert!(values.is_empty()),
            StoredValue::Total(Total::Tally { counts, sum }) => {
                assert_eq!((counts.iter().sum::<u64>(), sum.value()), (0, 0.0));
            }
            StoredValue::Total(total) => assert_eq!(exact(total).value(), 0.0),
        }
    }
}

/// Label values of all that is there of a family, sorted.
fn labels_of(ledger: &mut dyn Ledger, family: &Family) -> Vec<Vec<String>> {
    let stored = read(ledger);
    let ours = stored.series.iter().filter(|one| *one.family == *family);
    let mut labels: Vec<Vec<String>> =
        ours.map(|one| one.labels.values().iter().map(|value| value.to_string()).collect()).collect();
    labels.sort();
    labels
}

pub(crate) fn a_removal_by_some_labels_takes_the_series_that_have_them(ledger: &mut dyn Ledger) {
    let (counter, other) = (family(Kind::Counter, "c", &["a", "b"]), family(Kind::Counter, "d", &["a", "b"]));
    let mut writer = Writer::greeted(ledger, 1, "a");
    for labels in [["x", "y"], ["y", "x"], ["x", "z"], ["z", "z"]] {
        writer.send(ledger, &counter, change(&labels, Delta::Nothing));
        writer.send(ledger, &other, change(&labels, Delta::Nothing));
    }
    ledger.remove(&removal(1, &counter, &[(0, "x")]), soon()).unwrap();
    ledger.remove(&removal(2, &counter, &[(1, "y")]), soon()).unwrap();
    ledger.remove(&removal(3, &counter, &[(7, "z")]), soon()).unwrap();

    assert_eq!(labels_of(ledger, &counter), [["y", "x"], ["z", "z"]]);
    assert_eq!(labels_of(ledger, &other).len(), 4);
}

pub(crate) fn a_removal_without_labels_takes_every_series_of_the_family(ledger: &mut dyn Ledger) {
    let (counter, other) = (family(Kind::Counter, "c", &["a"]), family(Kind::Counter, "c", &["b"]));
    let mut writer = Writer::greeted(ledger, 1, "a");
    for value in ["x", "y", ""] {
        writer.send(ledger, &counter, change(&[value], Delta::Nothing));
        writer.send(ledger, &other, change(&[value], Delta::Nothing));
    }
    ledger.remove(&removal(1, &counter, &[]), soon()).unwrap();

    assert!(labels_of(ledger, &counter).is_empty());
    assert_eq!(labels_of(ledger, &other).len(), 3);
}

pub(crate) fn removals_are_told_to_the_others_once(ledger: &mut dyn Ledger) {
    let counter = family(Kind::Counter, "c", &["a", "b"]);
    let [one, other] = [1, 2].map(|id| Writer::greeted(ledger, id, "a"));
    let first = removal(1, &counter, &[(1, "\"x\"\0"), (0, "")]);
    let second = removal(u64::MAX >> 1, &counter, &[]);
    for removal in [&first, &second, &first] {
        ledger.remove(removal, soon()).unwrap();
    }
    let hears = |writer: &Writer, since, ledger: &mut dyn Ledger| {
        let greeting = ledger.greet(&Hello { removals: since, ..writer.hello() }, soon()).unwrap();
        (greeting.removals, greeting.last_removal)
    };

    let (removals, last) = hears(&other, 0, ledger);
    assert_eq!(removals, [first, second]);
    assert_eq!(hears(&other, last, ledger), (Vec::new(), last));
    assert_eq!(hears(&one, 0, ledger), (Vec::new(), last), "they are its own");
    let third = removal(3, &family(Kind::Gauge, "never_sent", &[]), &[]);
    ledger.remove(&third, soon()).unwrap();
    let (removals, later) = hears(&other, last, ledger);
    assert_eq!(removals, [third]);
    assert!(later > last);
}

pub(crate) fn a_removal_that_is_repeated_removes_nothing_that_came_since(ledger: &mut dyn Ledger) {
    let counter = family(Kind::Counter, "c", &[]);
    let mut writer = Writer::greeted(ledger, 1, "a");
    writer.send(ledger, &counter, plus(1, 0.0));
    let once = removal(1, &counter, &[]);
    ledger.remove(&once, soon()).unwrap();
    writer.send(ledger, &counter, plus(2, 0.0));
    ledger.remove(&once, soon()).unwrap();

    assert_eq!(total_of(ledger, &counter), Some(2.0));
}

pub(crate) fn a_series_that_comes_back_starts_at_zero(ledger: &mut dyn Ledger) {
    let counter = family(Kind::Counter, "c", &[]);
    let mut writer = Writer::greeted(ledger, 1, "a");
    writer.send(ledger, &counter, Change { created: 5.0, ..plus(9, 0.5) });
    ledger.remove(&removal(1, &counter, &[]), soon()).unwrap();
    writer.send(ledger, &counter, Change { created: 7.0, ..plus(1, 0.25) });

    assert_eq!(total_of(ledger, &counter), Some(1.25));
    assert_eq!(find(&read(ledger), &counter, &[]).unwrap().created, 7.0);
}

pub(crate) fn definitions_are_told_apart_by_all_but_help_and_unit(ledger: &mut dyn Ledger) {
    let of = |kind| Family::builder(kind, "x", "Help.");
    let differ = [
        of(Kind::Counter),
        of(Kind::Counter).label_names(["a"]),
        of(Kind::Counter).label_names(["a", "b"]),
        of(Kind::Counter).label_names(["b", "a"]),
        Family::builder(Kind::Counter, "x_seconds", "Said \"so\".\n").unit("seconds"),
        Family::builder(Kind::Counter, "x_total", "").unit("total"),
        Family::builder(Kind::Counter, "y_total_total", ""),
        of(Kind::Gauge),
        of(Kind::Gauge).mode(GaugeMode::LiveMostRecent),
        of(Kind::Histogram),
        of(Kind::Histogram).bounds([-1.5, 1e-7, 0.1, 1e22]),
        of(Kind::Summary),
        of(Kind::StateSet).states(["on", "off"]),
        of(Kind::StateSet).states(["off", "on"]),
        of(Kind::Info),
        Family::builder(Kind::Gauge, "größe \"x\"", "").label_names(["é", "a.b"]),
    ];
    let families = differ.map(|builder| Arc::new(builder.build().unwrap()));
    let mut writer = Writer::greeted(ledger, 1, "a");
    for family in families.iter().chain(&families) {
        let labels = vec!["v"; family.label_names().len()];
        writer.send(ledger, family, change(&labels, Delta::Nothing));
    }
    let again = Arc::new(of(Kind::Counter).label_names(["a"]).unit("").build().unwrap());
    let other_help = Arc::new(Family::builder(Kind::Counter, "x", "Other help.").label_names(["a"]).build().unwrap());
    writer.send(ledger, &again, change(&["v"], Delta::Number { whole: 1, rest: 0.0 }));
    writer.send(ledger, &other_help, change(&["v"], Delta::Number { whole: 1, rest: 0.0 }));

    let stored = read(ledger);
    assert_eq!(stored.series.len(), families.len());
    for family in &families {
        let labels = vec!["v"; family.label_names().len()];
        assert!(find(&stored, family, &labels).is_some(), "{family:?}");
    }
    assert_eq!(number_of(ledger, &families[1], &["v"]).map(|sum| sum.value()), Some(2.0));
}

pub(crate) fn any_label_value_comes_back_as_it_went(ledger: &mut dyn Ledger) {
    let counter = family(Kind::Counter, "c", &["one", "other"]);
    let long = "é".repeat(40_000);
    let odd = ["", " ", "\0", "a\0b", "\"", "\\", "{}:,", "|", "\n\r\t\u{7f}\u{85}", "\u{10ffff}", "null", "1", &long];
    let mut writer = Writer::greeted(ledger, 1, "a");
    for value in odd {
        for labels in [[value, "x"], ["x", value]] {
            writer.send(ledger, &counter, change(&labels, Delta::Number { whole: 1, rest: 0.0 }));
        }
    }

    for value in odd {
        for labels in [[value, "x"], ["x", value]] {
            assert_eq!(number_of(ledger, &counter, &labels).map(|sum| sum.value()), Some(1.0), "{value:?}");
        }
    }
    assert_eq!(read(ledger).series.len(), 2 * odd.len());
}

pub(crate) fn many_series_come_back_each_once(ledger: &mut dyn Ledger) {
    let (counter, histogram) = (family(Kind::Counter, "c", &["n"]), family(Kind::Histogram, "h", &["n"]));
    let mut writer = Writer::greeted(ledger, 1, "a");
    let mut batches: BTreeMap<usize, Vec<Change>> = BTreeMap::new();
    for number in 0..3000_u64 {
        let labels = [&*number.to_string()];
        let whole = change(&labels, Delta::Number { whole: number, rest: 0.0 });
        let observed = change(&labels, Delta::Tally { counts: vec![(2, number)], sum: 0.5 });
        for (place, family, change) in [(0, &counter, whole), (1, &histogram, observed)] {
            let shard = ledger.shard_of(family, &change.labels);
            assert!(shard < writer.epochs.len());
            batches.entry(shard).or_default().push(Change { family: place, ..change });
        }
    }
    for (shard, changes) in batches {
        for changes in changes.chunks(super::batch::MOST / 4) {
            writer.sequences[shard] += 1;
            let batch = Batch {
                writer: writer.id,
                shard: shard as u32,
                epoch: writer.epochs[shard],
                sequence: writer.sequences[shard],
                rebase: false,
                families: vec![Arc::clone(&counter), Arc::clone(&histogram)],
                changes: changes.to_vec(),
            };
            assert_eq!(apply(ledger, &batch), Answer::Applied);
        }
    }

    let stored = read(ledger);
    assert_eq!(stored.series.len(), 6000);
    let mut seen = HashSet::new();
    for one in &stored.series {
        let number: u64 = one.labels.values()[0].parse().unwrap();
        assert!(seen.insert((one.family.kind(), number)));
        match &one.value {
            StoredValue::Total(Total::Tally { counts, sum }) => {
                assert_eq!((&counts[..], sum.value()), (&[0, 0, number, 0][..], 0.5));
            }
            StoredValue::Total(total) => assert_eq!(exact(total).value(), number as f64),
            StoredValue::Gauge(_) => panic!("no gauge"),
        }
    }
}

/// What is done with the next batch of a writer, which is applied in the end.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Sent,
    Repeated,
    AnOlderOneRepeated,
    AheadOfItself,
    AfterALostOne,
    ToAnotherEpoch,
}

/// Which writer sends how much to which series, and how.
#[derive(Debug, Clone)]
struct Step {
    writer: usize,
    series: usize,
    whole: u64,
    rest: f64,
    bucket: Option<u16>,
    fate: Fate,
}

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![
        3 => Just(Fate::Sent),
        1 => Just(Fate::Repeated),
        1 => Just(Fate::AnOlderOneRepeated),
        1 => Just(Fate::AheadOfItself),
        1 => Just(Fate::AfterALostOne),
        1 => Just(Fate::ToAnotherEpoch),
    ];
    let numbers = (0..=1_u64 << 53, 0..2_000_000_000_u32, prop::option::of(0..4_u16));
    (0..3_usize, 0..4_usize, numbers, fate).prop_map(|(writer, series, (whole, rest, bucket), fate)| {
        let rest = f64::from(rest) / 1e6;
        Step { writer, series, whole, rest, bucket, fate }
    })
}

pub(crate) fn any_batches_add_up_as_on_paper(ledger: &mut dyn Ledger) {
    let (ledger, case) = (RefCell::new(ledger), Cell::new(0));
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&prop::collection::vec(step(), 0..30), |steps| {
        // One store for all cases: each has families and writers of its own.
        case.set(case.get() + 1);
        on_paper(&mut **ledger.borrow_mut(), case.get(), &steps);
        Ok(())
    });
    outcome.unwrap();
}

fn on_paper(ledger: &mut dyn Ledger, case: u128, steps: &[Step]) {
    let counter = family(Kind::Counter, &format!("c{case}"), &["n"]);
    let histogram = family(Kind::Histogram, &format!("h{case}"), &["n"]);
    let mut writers = [0, 1, 2].map(|number| Writer::greeted(ledger, case << 8 | number, "a"));
    let mut numbers: BTreeMap<usize, ExactSum> = BTreeMap::new();
    let mut tallies: BTreeMap<usize, ([u64; 4], ExactSum)> = BTreeMap::new();
    for step in steps {
        let name = step.series.to_string();
        let (family, delta) = match step.bucket {
            Some(bucket) => {
                let (counts, sum) = tallies.entry(step.series).or_default();
                counts[usize::from(bucket)] += step.whole;
                sum.add(step.rest);
                (&histogram, Delta::Tally { counts: vec![(bucket, step.whole)], sum: step.rest })
            }
            None => {
                let sum = numbers.entry(step.series).or_default();
                sum.merge(&in_full(step.whole));
                sum.add(step.rest);
                (&counter, Delta::Number { whole: step.whole, rest: step.rest })
            }
        };
        deliver(ledger, &mut writers[step.writer], family, change(&[&name], delta), step.fate);
    }

    let stored = read(ledger);
    for (series, expected) in &numbers {
        let one = find(&stored, &counter, &[&series.to_string()]).unwrap();
        let StoredValue::Total(total) = &one.value else { panic!("no number") };
        assert_eq!(exact(total).value(), expected.value());
    }
    for (series, (expected, expected_sum)) in &tallies {
        let one = find(&stored, &histogram, &[&series.to_string()]).unwrap();
        let StoredValue::Total(Total::Tally { counts, sum }) = &one.value else { panic!("no tally") };
        assert_eq!((&counts[..], sum.value()), (&expected[..], expected_sum.value()));
    }
    let ours = stored.series.iter().filter(|one| *one.family == *counter || *one.family == *histogram);
    assert_eq!(ours.count(), numbers.len() + tallies.len());
}

fn deliver(ledger: &mut dyn Ledger, writer: &mut Writer, family: &Arc<Family>, change: Change, fate: Fate) {
    let shard = ledger.shard_of(family, &change.labels);
    let known = writer.sequences[shard];
    if let Fate::AfterALostOne = fate {
        writer.sequences[shard] += 1;
    }
    let mut batch = writer.next(ledger, family, change);
    match fate {
        Fate::AfterALostOne => batch.rebase = true,
        Fate::AheadOfItself => {
            let ahead = Batch { sequence: batch.sequence + 1, ..batch.clone() };
            assert_eq!(apply(ledger, &ahead), Answer::Gap((known > 0).then_some(known)));
        }
        Fate::ToAnotherEpoch => {
            let elsewhere = Batch { epoch: !batch.epoch, ..batch.clone() };
            assert_eq!(apply(ledger, &elsewhere), Answer::OtherEpoch);
        }
        Fate::AnOlderOneRepeated if known > 0 => {
            assert_eq!(apply(ledger, &Batch { sequence: known, ..batch.clone() }), Answer::Old(known));
        }
        _ => {}
    }
    assert_eq!(apply(ledger, &batch), Answer::Applied);
    if let Fate::Repeated = fate {
        assert_eq!(apply(ledger, &batch), Answer::Old(batch.sequence));
    }
}
