//! Tidying up after writers that have ended, by those that read.
//!
//! The gauges of a writer that said farewell, or was not heard of for a day, become what is to be kept of them; a day
//! later it is forgotten. All of it by comparing and setting: several readers do not disturb each other, and a writer
//! that comes back just then keeps what it says.

use std::collections::HashSet;
use std::time::Instant;

use redis::Value;

use super::super::{GaugeValue, kept};
use super::layout::{self, ENDED, Row};
use super::read::{Fields, Found, Look};
use super::scripts::{Call, Operation};
use super::{MOST_FIELDS, Redis};

/// Microseconds for which a writer that has ended is remembered: it might still send an old batch again.
const REMEMBERED: u64 = 24 * 3600 * 1_000_000;

/// Writers whose values of one gauge are folded at a time; the others have their turn at the next reading.
const WRITERS: usize = 128;

/// Calls that go out together.
const CALLS: usize = 16;

impl Look {
    fn is_long_ago(&self, moment: u64) -> bool {
        moment.saturating_add(REMEMBERED) < self.now
    }

    /// Whether a writer's gauges are to be folded. One without a row has ended, or is about to hear that it is not known.
    fn has_ended(&self, writer: &str) -> bool {
        let row = self.writers.get(writer).map(|(_, row)| row);
        row.is_none_or(|row| row.folded || row.until == 0 || self.is_long_ago(row.until))
    }

    fn is_forgotten(&self, row: &Row) -> bool {
        self.is_long_ago(row.seen.max(row.until))
    }

    /// The row of a writer that has ended, as it is and as it is to be; empty for none.
    fn rows_of(&self, writer: &str) -> (String, String) {
        match self.writers.get(writer) {
            None => (String::new(), String::new()),
            Some((text, row)) if self.is_forgotten(row) => (text.clone(), String::new()),
            Some((text, row)) if row.folded => (text.clone(), text.clone()),
            Some((text, _)) => (text.clone(), Row::folded_text(text)),
        }
    }
}

impl Redis {
    /// Folds gauges and forgets writers. What cannot be done, for lack of permission or time, is left to the next reader.
    pub(super) fn tidy(&mut self, look: &Look, fields: &Fields, keys: &[String], limit: Instant) {
        // A number that is a day old, of a writer without a row.
        let is_left = |writer: &str, text: &str| {
            let used = text.split_once(' ').and_then(|(_, used)| used.parse().ok()).unwrap_or(u64::MAX);
            look.is_long_ago(used) && !look.writers.contains_key(writer)
        };
        let left: Vec<_> = fields.sequences.iter().filter(|(_, writer, text)| is_left(writer, text)).collect();
        let gone = self.farewell(look, fields, left.iter().map(|(_, writer, _)| writer.as_str()), limit);
        // Mostly nobody has ended: then the series are not looked at.
        if gone.is_empty() {
            return;
        }
        let numbers = left.iter().filter(|(_, writer, _)| gone.contains(writer.as_str()));
        let numbers =
            numbers.map(|(shard, writer, text)| (*shard, vec![format!("w|{writer}"), text.clone(), String::new()]));
        let gauges = fields.series.iter().filter_map(|found| Some((found.shard, folded(look, fields, found, &gone)?)));
        let mut calls = Vec::new();
        let mut arguments = vec![Vec::new(); keys.len()];
        for (shard, change) in numbers.chain(gauges) {
            arguments[shard].extend(change);
            if arguments[shard].len() >= 3 * (MOST_FIELDS / 2) {
                calls.push(swap(&keys[shard], std::mem::take(&mut arguments[shard])));
            }
        }
        let rest = keys.iter().zip(arguments).filter(|(_, arguments)| !arguments.is_empty());
        calls.extend(rest.map(|(key, arguments)| swap(key, arguments)));
        self.swap_all(&calls, limit);
    }

    /// Makes sure of writers that have ended: those that did not come back since the store was looked at. One that greets
    /// after this is told that it is not known, and says its gauges again.
    fn farewell<'a>(
        &mut self,
        look: &'a Look,
        fields: &'a Fields,
        left: impl Iterator<Item = &'a str>,
        limit: Instant,
    ) -> HashSet<&'a str> {
        let with_gauges = fields.with_gauges.iter().map(|writer| &**writer);
        let changing = look.writers.keys().map(String::as_str).filter(|writer| {
            let (old, new) = look.rows_of(writer);
            old != new
        });
        let ended: HashSet<&str> = with_gauges.chain(changing).chain(left).collect();
        let ended: Vec<&str> = ended.into_iter().filter(|writer| *writer != ENDED && look.has_ended(writer)).collect();
        let call = |writer: &&str| {
            let (old, new) = look.rows_of(writer);
            swap(&self.prefix, vec![format!("w|{writer}"), old, new])
        };
        let calls: Vec<Call> = ended.iter().map(call).collect();
        let answers = self.swap_all(&calls, limit);
        ended.into_iter().zip(answers).filter(|(_, done)| *done).map(|(writer, _)| writer).collect()
    }

    /// Makes changes, and says of each whether everything was as expected.
    fn swap_all(&mut self, calls: &[Call], limit: Instant) -> Vec<bool> {
        let mut answers = Vec::new();
        for some in calls.chunks(CALLS) {
            answers.extend(self.call(some, limit).into_iter().map(|answer| matches!(answer, Ok(Value::Int(1)))));
        }
        answers
    }
}

fn swap(key: &str, arguments: Vec<String>) -> Call {
    Call::run(Operation::Swap, key.to_owned(), arguments)
}

/// What makes values of writers that are gone into those that are kept of them.
fn folded(look: &Look, fields: &Fields, found: &Found, gone: &HashSet<&str>) -> Option<Vec<String>> {
    let of_gone: Vec<_> = found.gauges.iter().filter(|(writer, _)| gone.contains(&**writer)).take(WRITERS).collect();
    if of_gone.is_empty() {
        return None;
    }
    let before = found.gauges.iter().find(|(writer, _)| **writer == *ENDED).map_or("", |(_, text)| text);
    let mut values: Vec<GaugeValue> = layout::gauge_values(before);
    values.extend(of_gone.iter().flat_map(|(writer, text)| look.gauge_values(writer, text)));
    let after = layout::gauge_text(0, &kept(fields.family(found)?, &values));
    let name = &found.name;
    let mut arguments = vec![format!("g|{ENDED}|{name}"), before.to_owned(), after];
    for (writer, text) in of_gone {
        arguments.extend([format!("g|{writer}|{name}"), text.clone(), String::new()]);
    }
    Some(arguments)
}
