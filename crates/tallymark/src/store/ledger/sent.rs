//! What of a series the ledger has been told, and what is still to be told: total − sent.
//!
//! Pure: totals in, changes out. Where the journal keeps it and who sends it is not known here.

use tallymark_cells::ExactSum;
use tallymark_cells::file::Total;

use super::{Delta, GaugeValue};
use crate::gauge::of_host;
use crate::record::{Reader, put_length, put_number};

/// No batch changes a count by more: so much is exact in every language that may read one.
const MOST_WHOLE: u64 = 1 << 53;

/// What the ledger has been told of a series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sent {
    /// Which life of the series it was: a removed one that comes back starts with nothing sent.
    pub(crate) generation: u64,
    pub(crate) value: SentValue,
    /// The stamp of the newest note of each part.
    pub(crate) notes: Vec<(u16, u64)>,
}

/// The numbers of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SentValue {
    Number {
        whole: u64,
        rest: ExactSum,
    },
    Tally {
        counts: Box<[u64]>,
        sum: ExactSum,
    },
    /// The values as this host's store has them: stamps are times since boot.
    Gauge(Vec<GaugeValue>),
}

impl SentValue {
    /// Nothing yet, of a series with this total.
    pub(crate) fn nothing(total: &Total) -> SentValue {
        match total {
            Total::Number { .. } => SentValue::Number { whole: 0, rest: ExactSum::default() },
            Total::Tally { counts, .. } => {
                SentValue::Tally { counts: vec![0; counts.len()].into(), sum: ExactSum::default() }
            }
            Total::Gauge(_) => SentValue::Gauge(Vec::new()),
        }
    }

    /// All of it, where it cannot be known what was sent: then too little is counted rather than too much.
    pub(crate) fn everything(total: &Total) -> SentValue {
        match total {
            Total::Number { whole, rest } => SentValue::Number { whole: *whole, rest: rest.clone() },
            Total::Tally { counts, sum } => SentValue::Tally { counts: counts.clone(), sum: sum.clone() },
            // Gauges are said as they are, not added.
            Total::Gauge(_) => SentValue::Gauge(Vec::new()),
        }
    }

    /// What is to be sent, and what will have been sent then; `None` if there is nothing to say.
    pub(crate) fn change(&self, total: &Total) -> Option<(Delta, SentValue)> {
        match (self, total) {
            (SentValue::Number { whole, rest }, Total::Number { whole: now, rest: rest_now }) => {
                if (now, rest_now) == (whole, rest) {
                    return None;
                }
                if now < whole || rest_now.value() < rest.value() {
                    return lost(total);
                }
                let more = (now - whole).min(MOST_WHOLE);
                let more_rest = rest_now.minus(rest);
                let rest = after(rest, more_rest, rest_now);
                (more != 0 || more_rest != 0.0).then(|| {
                    (Delta::Number { whole: more, rest: more_rest }, SentValue::Number { whole: whole + more, rest })
                })
            }
            (SentValue::Tally { counts, sum }, Total::Tally { counts: now, sum: sum_now }) => {
                if (now, sum_now) == (counts, sum) {
                    return None;
                }
                if counts.len() != now.len() || counts.iter().zip(now).any(|(sent, now)| now < sent) {
                    return lost(total);
                }
                let mut sent = counts.clone();
                let mut changed = Vec::new();
                for (index, now) in (0..).zip(now) {
                    let more = (now - sent[usize::from(index)]).min(MOST_WHOLE);
                    if more != 0 {
                        sent[usize::from(index)] += more;
                        changed.push((index, more));
                    }
                }
                let more = sum_now.minus(sum);
                let sum = after(sum, more, sum_now);
                (!changed.is_empty() || more != 0.0)
                    .then_some((Delta::Tally { counts: changed, sum: more }, SentValue::Tally { counts: sent, sum }))
            }
            (SentValue::Gauge(sent), Total::Gauge(gauge)) => {
                let now = of_host(gauge);
                (!are_same(sent, &now)).then(|| (Delta::Gauge(now.clone()), SentValue::Gauge(now)))
            }
            _ => lost(total),
        }
    }
}

/// What was sent after `more`: where that is more than a float can say, the rest can never be told.
fn after(sent: &ExactSum, more: f64, now: &ExactSum) -> ExactSum {
    if !more.is_finite() {
        return now.clone();
    }
    let mut sent = sent.clone();
    sent.add(more);
    sent
}

/// Whether nothing has changed; a value that is not a number is the same as itself.
fn are_same(sent: &[GaugeValue], now: &[GaugeValue]) -> bool {
    let bits = |values: &[GaugeValue]| {
        values.iter().map(|v| (v.pid, v.value.to_bits(), v.stamp, v.live, v.kept)).collect::<Vec<_>>()
    };
    bits(sent) == bits(now)
}

/// A total below what was sent: the host lost power, or its file was put back to an older state. It goes on from here.
fn lost(total: &Total) -> Option<(Delta, SentValue)> {
    let delta = match total {
        Total::Number { .. } => Delta::Number { whole: 0, rest: 0.0 },
        Total::Tally { .. } => Delta::Tally { counts: Vec::new(), sum: 0.0 },
        Total::Gauge(gauge) => Delta::Gauge(of_host(gauge)),
    };
    Some((delta, SentValue::everything(total)))
}

impl Sent {
    /// As bytes for the journal.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_number(&mut bytes, self.generation);
        put_length(&mut bytes, self.notes.len());
        for (part, stamp) in &self.notes {
            put_number(&mut bytes, u64::from(*part));
            put_number(&mut bytes, *stamp);
        }
        match &self.value {
            SentValue::Number { whole, rest } => {
                bytes.push(1);
                put_number(&mut bytes, *whole);
                rest.to_words().into_iter().for_each(|word| put_number(&mut bytes, word));
            }
            SentValue::Tally { counts, sum } => {
                bytes.push(2);
                put_length(&mut bytes, counts.len());
                counts.iter().for_each(|count| put_number(&mut bytes, *count));
                sum.to_words().into_iter().for_each(|word| put_number(&mut bytes, word));
            }
            SentValue::Gauge(values) => {
                bytes.push(3);
                super::batch::put_gauge(&mut bytes, values);
            }
        }
        bytes
    }

    /// What [`encode`](Self::encode) wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Sent> {
        let mut reader = Reader(bytes);
        let generation = reader.number()?;
        let count = reader.length()?;
        let notes = (0..count)
            .map(|_| Some((u16::try_from(reader.number()?).ok()?, reader.number()?)))
            .collect::<Option<Vec<_>>>()?;
        let value = match reader.byte()? {
            1 => SentValue::Number { whole: reader.number()?, rest: sum(&mut reader)? },
            2 => {
                let count = reader.length()?;
                let counts = (0..count).map(|_| reader.number()).collect::<Option<Box<[u64]>>>()?;
                SentValue::Tally { counts, sum: sum(&mut reader)? }
            }
            3 => SentValue::Gauge(super::batch::gauge(&mut reader)?),
            _ => return None,
        };
        Some(Sent { generation, value, notes })
    }
}

fn sum(reader: &mut Reader<'_>) -> Option<ExactSum> {
    let words = (0..4).map(|_| reader.number()).collect::<Option<Vec<_>>>()?;
    Some(ExactSum::from_words(&words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tallymark_cells::file::{GaugeTotal, ProcessValue};

    fn number(whole: u64, rest: f64) -> Total {
        let mut sum = ExactSum::default();
        sum.add(rest);
        Total::Number { whole, rest: sum }
    }

    #[test]
    fn a_number_that_has_not_changed_is_not_sent_again() {
        let total = number(3, 0.5);
        let (delta, sent) = SentValue::nothing(&total).change(&total).unwrap();
        assert_eq!(delta, Delta::Number { whole: 3, rest: 0.5 });
        assert_eq!(sent.change(&total), None);
    }

    #[test]
    fn more_than_a_float_can_count_is_sent_in_parts() {
        let total = number(u64::MAX, 0.0);
        let (mut sent, mut told) = (SentValue::nothing(&total), 0u64);
        let mut parts = 0;
        while let Some((Delta::Number { whole, .. }, next)) = sent.change(&total) {
            (sent, told, parts) = (next, told + whole, parts + 1);
        }
        assert_eq!((told, parts), (u64::MAX, 2048));
    }

    #[test]
    fn a_total_that_fell_goes_on_from_where_it_is() {
        let (_, sent) = SentValue::nothing(&number(0, 0.0)).change(&number(9, 0.0)).unwrap();
        let (delta, sent) = sent.change(&number(5, 0.0)).unwrap();
        assert_eq!(delta, Delta::Number { whole: 0, rest: 0.0 });
        assert_eq!(sent.change(&number(7, 0.0)).unwrap().0, Delta::Number { whole: 2, rest: 0.0 });
    }

    #[test]
    fn a_gauge_is_said_again_when_its_process_has_ended() {
        let live = ProcessValue { pid: 7, value: f64::NAN, stamp: 5, live: true };
        let total = |live_now| {
            Total::Gauge(GaugeTotal { processes: vec![ProcessValue { live: live_now, ..live }], kept: Vec::new() })
        };
        let (_, sent) = SentValue::nothing(&total(true)).change(&total(true)).unwrap();
        assert_eq!(sent.change(&total(true)), None);
        assert!(matches!(sent.change(&total(false)), Some((Delta::Gauge(values), _)) if !values[0].live));
    }

    proptest! {
        #[test]
        fn what_was_sent_comes_back_from_its_bytes(
            counts in prop::collection::vec(any::<u64>(), 0..9), sums in prop::collection::vec(-1e9f64..1e9, 0..5),
            stamps in prop::collection::vec((any::<u16>(), any::<u64>()), 0..3), generation in any::<u64>(),
        ) {
            let mut sum = ExactSum::default();
            sums.iter().for_each(|term| sum.add(*term));
            let value = SentValue::Tally { counts: counts.into(), sum };
            let sent = Sent { generation, value, notes: stamps };
            let back = Sent::decode(&sent.encode()).unwrap();
            let (SentValue::Tally { counts, sum }, SentValue::Tally { counts: also, sum: again }) = (&sent.value, &back.value)
            else { panic!("tallies") };
            // Of one sum there are several expansions.
            prop_assert_eq!((sent.generation, &sent.notes, counts, sum.minus(again)), (back.generation, &back.notes, also, 0.0));
        }

        #[test]
        fn the_deltas_add_up_to_the_total(steps in prop::collection::vec((0u64..1000, 0f64..1e6), 1..40)) {
            let (mut whole, mut rest) = (0, ExactSum::default());
            let (mut sent, mut told, mut told_rest) = (None, 0, ExactSum::default());
            for (more, more_rest) in steps {
                whole += more;
                rest.add(more_rest);
                let total = Total::Number { whole, rest: rest.clone() };
                let before = sent.unwrap_or_else(|| SentValue::nothing(&total));
                sent = Some(match before.change(&total) {
                    Some((Delta::Number { whole, rest }, next)) => {
                        told += whole;
                        told_rest.add(rest);
                        next
                    }
                    _ => before,
                });
            }
            prop_assert_eq!(told, whole);
            let error = rest.minus(&told_rest).abs();
            prop_assert!(error <= rest.value().abs() * f64::EPSILON, "off by {}", error);
        }
    }
}
