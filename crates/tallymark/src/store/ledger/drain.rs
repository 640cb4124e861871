//! Draining: one round from a spool to its ledger.
//!
//! 1. what is on its way is sent again, as the journal has it;
//! 2. what has changed since it was last sent is written into the journal as batches, sent, and noted as sent.
//!
//! Before that the ledger is greeted: a shard with another epoch has been sent nothing, and removals that others have made
//! are made here, too. Which process drains, when, and with what patience is `store.rs`'s business.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tallymark_cells::file::{Draining, ImageTotal, Reading, SeriesTotal, Total};
use tallymark_model::Family;

use super::batch::MOST;
use super::journal::{Journal, Outstanding, Record};
use super::sent::{Sent, SentValue};
use super::{Answer, Batch, Change, Delta, Greeting, Hello, Ledger, Reason, Removal, Stored, Trouble};
use crate::clock;
use crate::record::{self, Reader};
use crate::series::Note;
use crate::store::file::{FileStore, Totals};

/// A ledger forgets a writer's numbers a day after it was last heard of; an hour less is surely not too long ago.
const REMEMBERED: u64 = 23 * 3600 * 1_000_000_000;

/// How a store's clock may wander from this host's before the difference is measured anew: so two values that are set
/// one after the other keep their order.
const WANDER: u64 = 100_000_000;

/// What one process needs to drain a spool.
pub(crate) struct Drain {
    ledger: Box<dyn Ledger>,
    journal: Option<Journal>,
    place: Option<PathBuf>,
    instance: String,
    lease: Duration,
    /// How often series in use are said to be, where idle ones expire.
    touch: Option<Duration>,
    /// The store's clock when it was last greeted.
    heard: u64,
    /// When the store was last asked whether it has what it took; `None` if it is to be asked at once.
    asked: Option<Instant>,
}

/// What a round is about.
struct Round<'a> {
    spool: &'a FileStore,
    limit: Instant,
    /// To be added to a time since boot for one of the store's clock.
    offset: u64,
    /// Whether every series in use is to be mentioned.
    touch: bool,
}

impl Drain {
    pub(crate) fn new(ledger: Box<dyn Ledger>, place: Option<PathBuf>, instance: String, lease: Duration) -> Drain {
        Drain { ledger, journal: None, place, instance, lease, touch: None, heard: 0, asked: None }
    }

    /// Has series in use mentioned in time where idle ones expire after `ttl`.
    pub(crate) fn expiring(mut self, ttl: Option<Duration>) -> Drain {
        self.touch = ttl.map(|ttl| ttl / 4);
        self
    }

    /// Sends what has been counted until now, or as much of it as can be sent before `limit`. At the `end` of a spool the
    /// ledger is told that its processes are gone.
    pub(crate) fn run(
        &mut self,
        spool: &FileStore,
        right: &Draining<'_>,
        end: bool,
        limit: Instant,
    ) -> Result<(), Trouble> {
        let (start, began) = (clock::stamp(), Instant::now());
        let was_drained = spool.drained().0 != 0;
        let mut result = Ok(());
        // A store that is reset while it is drained is drained from the start.
        for _ in 0..3 {
            result = self.round(spool, was_drained, end, limit);
            if !matches!(&result, Err(trouble) if trouble.reason == Reason::NotReady && trouble.message == RESET) {
                break;
            }
        }
        let journal = self.journal.as_mut();
        match &result {
            Ok(()) => {
                right.done(start);
                let seconds = began.elapsed().as_secs_f64();
                journal.map_or(Ok(()), |journal| journal.succeeded(clock::unix_seconds(), seconds, self.heard))
            }
            Err(trouble) => {
                self.asked = None;
                right.failed(clock::stamp());
                let waiting = self.waiting(spool);
                // What cannot be noted is logged all the same.
                let _ = self.journal.as_mut().map(|journal| journal.failed(trouble.reason, waiting));
                result
            }
        }
    }

    /// See [`Ledger::hang_up`].
    pub(crate) fn hang_up(&mut self) {
        self.ledger.hang_up();
    }

    /// Everything in the ledger.
    pub(crate) fn read(&mut self, limit: Instant) -> Result<Stored, Trouble> {
        self.ledger.read(limit)
    }

    /// How draining has gone on this host, as far as this process can say.
    pub(crate) fn record(&self) -> Option<Record> {
        self.journal.as_ref().and_then(|journal| journal.record().ok())
    }

    fn round(&mut self, spool: &FileStore, was_drained: bool, end: bool, limit: Instant) -> Result<(), Trouble> {
        let (mut removals, mut totals) = spool.removals_and_totals();
        self.open_journal(&totals.reading)?;
        let users = totals.users();
        let processes = spool.status().live;
        let asked = clock::stamp();
        let greeting = self.greet(&users, processes, false, limit)?;
        self.heard = greeting.now;
        let offset = self.offset(greeting.now, asked, clock::stamp())?;
        let mut round = Round { spool, limit, offset, touch: self.touch_now()? };
        self.meet(&greeting)?;
        if !self.journal()?.is_settled()? {
            self.settle(&totals, &removals, was_drained)?;
        }
        if self.remove_here(spool, greeting)? {
            (removals, totals) = spool.removals_and_totals();
            if totals.reading.uuid != self.journal()?.spool {
                return Err(unreadable());
            }
        }
        self.send_outstanding(&mut round)?;
        if self.asked.is_none_or(|asked| asked.elapsed() > self.lease / 3) {
            self.ask_for_the_last(limit)?;
            self.asked = Some(Instant::now());
        }
        self.send_removals(removals, limit)?;
        self.send_changes(&mut round, &totals)?;
        if round.touch {
            self.journal()?.set_number("touched", clock::stamp())?;
        }
        if end {
            self.greet(&[], 0, true, limit)?;
        }
        Ok(())
    }

    /// Opens the journal, or reads what other processes have written there.
    fn open_journal(&mut self, reading: &Reading) -> Result<(), Trouble> {
        if reading.uuid == 0 {
            return Err(unreadable());
        }
        if self.journal.as_ref().is_some_and(|journal| journal.spool != reading.uuid || !journal.is_there()) {
            self.journal = None;
        }
        match &mut self.journal {
            Some(journal) => journal.refresh(),
            None => {
                self.journal = Some(Journal::open(self.place.as_deref(), reading.uuid)?);
                Ok(())
            }
        }
    }

    fn journal(&mut self) -> Result<&mut Journal, Trouble> {
        let missing = || Trouble { reason: Reason::Journal, message: "the journal is not open".to_owned() };
        self.journal.as_mut().ok_or_else(missing)
    }

    fn greet(&mut self, users: &[(u64, u32)], processes: u64, end: bool, limit: Instant) -> Result<Greeting, Trouble> {
        let journal = self.journal()?;
        let (writer, removals) = (journal.writer, journal.number("removals")?);
        let lease = if end { Duration::ZERO } else { self.lease };
        let hello = Hello { writer, instance: &self.instance, lease, processes, users, removals };
        self.ledger.greet(&hello, limit)
    }

    /// What to add to a time since boot for one of the store's clock, which said `now` between these two times. A closer
    /// look than the last one counts, and one that shows that a clock was set.
    fn offset(&mut self, now: u64, asked: u64, heard: u64) -> Result<u64, Trouble> {
        let error = (heard - asked) / 2;
        let measured = now.saturating_sub(asked + error);
        let journal = self.journal()?;
        let (kept, kept_error) = (journal.number("offset")?, journal.number("offset error")?);
        let agrees = measured.abs_diff(kept) <= WANDER + error;
        if agrees && kept_error <= error {
            return Ok(kept);
        }
        journal.set_number("offset", measured)?;
        journal.set_number("offset error", error)?;
        Ok(measured)
    }

    fn touch_now(&mut self) -> Result<bool, Trouble> {
        let Some(every) = self.touch else { return Ok(false) };
        let (now, touched) = (clock::stamp(), self.journal()?.number("touched")?);
        // After a boot the clock starts again.
        Ok(now < touched || u128::from(now - touched) >= every.as_nanos())
    }

    /// Takes note of shards that are not what they were, and of a writer that the store does not know.
    fn meet(&mut self, greeting: &Greeting) -> Result<(), Trouble> {
        let journal = self.journal()?;
        let shards = greeting.epochs.len().max(journal.shards.len());
        journal.make_shards(shards);
        let epoch = |shard: usize| greeting.epochs.get(shard).copied().unwrap_or_default();
        let is_another = |(shard, epoch): &(usize, u128)| journal.shards[*shard].epoch != *epoch;
        let lost: Vec<_> = (0..shards).map(|shard| (shard, epoch(shard))).filter(is_another).collect();
        if !lost.is_empty() {
            journal.reset_shards(&lost)?;
        }
        let last = journal.number("heard")?;
        if last != 0 && greeting.now.saturating_sub(last) > REMEMBERED {
            // It may have forgotten this writer: whether what is on its way arrived cannot be asked any more. That it
            // knows the writer shows nothing: an earlier greeting, whose answer was lost, may have made it known.
            let given_up: Vec<_> = journal.shards.iter().filter_map(|shard| shard.outstanding.clone()).collect();
            for Outstanding { batch, effects } in given_up {
                let sent = effects.into_iter().map(|(series, sent)| (series, batch.shard as usize, sent)).collect();
                journal.take_as_sent(sent)?;
            }
            journal.rename(false)?;
            journal.hear(greeting.now, None)?;
        }
        if last == 0 {
            journal.hear(greeting.now, Some(greeting.last_removal))?;
        }
        if !greeting.known {
            journal.set_number("gauges", 1)?;
        }
        if journal.number("gauges")? != 0 {
            journal.forget_gauges();
        }
        Ok(())
    }

    /// What was sent of a spool that had been drained is not known any more: all of it is taken to have been.
    fn settle(&mut self, totals: &Totals, removals: &[(Vec<u8>, u64)], was_drained: bool) -> Result<(), Trouble> {
        if !was_drained {
            return self.journal()?.settle(Vec::new(), &[]);
        }
        let mut sent = Vec::new();
        for total in &totals.reading.series {
            let Some((family, labels)) = totals.series(total.series) else { continue };
            let shard = self.ledger.shard_of(&family, labels.values());
            let value = SentValue::everything(&total.total);
            sent.push((total.series, shard, Sent { generation: total.generation, value, notes: Vec::new() }));
        }
        self.journal()?.settle(sent, removals)
    }

    /// Makes the removals that others have made. Says whether there were any.
    fn remove_here(&mut self, spool: &FileStore, greeting: Greeting) -> Result<bool, Trouble> {
        if self.journal()?.number("removals")? == greeting.last_removal {
            // None, or those before the first greeting, which are about series of others.
            return Ok(false);
        }
        for removal in &greeting.removals {
            spool.remove_for_others(&removal.family, &removal.wanted);
        }
        self.journal()?.set_number("removals", greeting.last_removal)?;
        Ok(!greeting.removals.is_empty())
    }

    /// Tells the ledger of the removals made here that it has not heard of.
    fn send_removals(&mut self, removals: Vec<(Vec<u8>, u64)>, limit: Instant) -> Result<(), Trouble> {
        for (mark, generation) in removals {
            let journal = self.journal()?;
            if journal.marks.get(&mark).is_some_and(|told| *told >= generation) {
                continue;
            }
            if let Some(removal) = decode_removal(&mark, journal.writer, generation) {
                self.ledger.remove(&removal, limit)?;
            }
            self.journal()?.mark(&mark, generation)?;
        }
        Ok(())
    }

    /// Sends all that has changed, as many numbers at a time as a batch may have.
    fn send_changes(&mut self, round: &mut Round<'_>, totals: &Totals) -> Result<(), Trouble> {
        let mut changes = totals.reading.series.iter().peekable();
        let mut images = &totals.reading.images[..];
        loop {
            if Instant::now() >= round.limit {
                let message = "there is more to send than the time allows; the rest follows".to_owned();
                return Err(Trouble { reason: Reason::Timeout, message });
            }
            let mut filling = Filling::default();
            while let Some(total) = changes.peek() {
                images = &images[images.partition_point(|image| image.series < total.series)..];
                let notes = &images[..images.partition_point(|image| image.series == total.series)];
                let sent = self.journal()?.sent.get(&total.series);
                match change(round, total, notes, sent) {
                    Some((change, effect)) => {
                        let Some((family, labels)) = totals.series(total.series) else {
                            changes.next();
                            continue;
                        };
                        let shard = self.ledger.shard_of(&family, labels.values());
                        let change = Change { labels: labels.values().to_vec(), ..change };
                        // A number that is sent in parts stays next.
                        let is_whole = effect.is_all_of(total);
                        if !filling.take(shard, &family, change, (total.series, effect)) {
                            break;
                        }
                        if !is_whole {
                            break;
                        }
                        changes.next();
                    }
                    None => _ = changes.next(),
                }
            }
            if filling.shards.is_empty() {
                break;
            }
            self.send(round, filling)?;
        }
        self.send_ended_gauges(round, totals)
    }

    /// Gauges of which nothing is left here: those of processes that live no more, where only live ones count.
    fn send_ended_gauges(&mut self, round: &mut Round<'_>, totals: &Totals) -> Result<(), Trouble> {
        let series = &totals.reading.series;
        let gone = |number: &u32| series.binary_search_by_key(number, |total| total.series).is_err();
        let journal = self.journal()?;
        let said = journal.sent.iter().filter(|(_, sent)| matches!(&sent.value, SentValue::Gauge(v) if !v.is_empty()));
        let numbers: Vec<u32> = said.map(|(number, _)| *number).filter(gone).collect();
        let generations = round.spool.generations(&numbers);
        let mut filling = Filling::default();
        for (number, generation) in numbers.into_iter().zip(generations) {
            let Some((family, labels)) = totals.series(number) else { continue };
            let Some(sent) = self.journal()?.sent.get(&number).filter(|sent| sent.generation == generation) else {
                continue;
            };
            let effect = Sent { value: SentValue::Gauge(Vec::new()), ..sent.clone() };
            let shard = self.ledger.shard_of(&family, labels.values());
            let delta = Delta::Gauge(Vec::new());
            let change = Change { family: 0, labels: labels.values().to_vec(), created: 0.0, delta, notes: Vec::new() };
            if !filling.take(shard, &family, change.clone(), (number, effect.clone())) {
                self.send(round, std::mem::take(&mut filling))?;
                filling.take(shard, &family, change, (number, effect));
            }
        }
        if filling.shards.is_empty() { Ok(()) } else { self.send(round, filling) }
    }

    /// Writes batches into the journal and sends them.
    fn send(&mut self, round: &mut Round<'_>, filling: Filling) -> Result<(), Trouble> {
        let journal = self.journal()?;
        let mut outstanding = Vec::new();
        for (number, mut one) in filling.shards {
            let shard = &journal.shards[number];
            one.batch.writer = journal.writer;
            (one.batch.epoch, one.batch.sequence) = (shard.epoch, shard.sequence + 1);
            outstanding.push(one);
        }
        journal.begin(&outstanding)?;
        self.send_outstanding(round)
    }

    /// Sends what is on its way, and sees to it that it arrives.
    fn send_outstanding(&mut self, round: &mut Round<'_>) -> Result<(), Trouble> {
        let on_their_way = self.journal()?.shards.iter().filter_map(|shard| shard.outstanding.as_ref());
        let batches: Vec<Batch> = on_their_way.map(|outstanding| outstanding.batch.clone()).collect();
        if batches.is_empty() {
            return Ok(());
        }
        let answers = self.ledger.apply(&batches, round.limit);
        let (mut taken, mut gaps, mut trouble, mut is_put_back) = (Vec::new(), Vec::new(), None, false);
        for (batch, answer) in batches.into_iter().zip(answers) {
            match answer {
                Ok(Answer::Old(last)) if last > batch.sequence => is_put_back = true,
                Ok(Answer::Applied | Answer::Old(_)) => taken.push(batch.shard as usize),
                Ok(Answer::Gap(last)) => gaps.push((batch, last.unwrap_or(0))),
                Ok(Answer::OtherEpoch) => {
                    trouble.get_or_insert_with(reset);
                }
                Err(error) => _ = trouble.get_or_insert(error),
            }
        }
        self.journal()?.commit(&taken)?;
        if is_put_back {
            return self.was_put_back();
        }
        for (batch, last) in gaps {
            if self.fill_gap(batch, last, round.limit)? {
                trouble.get_or_insert_with(reset);
            }
        }
        trouble.map_or(Ok(()), Err)
    }

    /// Somebody has sent batches under this name that the journal does not know of: the host, or its files, were put back
    /// to an earlier state, as by a power failure. It goes on under another name.
    fn was_put_back(&mut self) -> Result<(), Trouble> {
        self.journal()?.rename(true)?;
        Err(reset())
    }

    /// Sends the last batch of each shard again: a store that has come back without it says what else it lacks, though
    /// nothing new is to be sent, and one that has taken later ones says so before their numbers are used again.
    fn ask_for_the_last(&mut self, limit: Instant) -> Result<(), Trouble> {
        let journal = self.journal()?;
        let mut last = Vec::new();
        for (shard, state) in journal.shards.iter().enumerate().filter(|(_, state)| state.sequence > 0) {
            last.extend(journal.since(shard, state.sequence - 1)?.pop());
        }
        let answers = self.ledger.apply(&last, limit);
        let mut is_lost = false;
        for (batch, answer) in last.into_iter().zip(answers) {
            match answer? {
                Answer::Gap(last) => is_lost |= self.fill_gap(batch, last.unwrap_or(0), limit)?,
                Answer::OtherEpoch => return Err(reset()),
                Answer::Old(last) if last > batch.sequence => return self.was_put_back(),
                Answer::Applied | Answer::Old(_) => {}
            }
        }
        if is_lost { Err(reset()) } else { Ok(()) }
    }

    /// The store has come back without batches that it had taken, or has never had them: they are sent again, and those
    /// that are not known any more are given up. Says whether there were such: what they said of gauges is to be said
    /// again then, in a round of its own.
    fn fill_gap(&mut self, batch: Batch, mut last: u64, limit: Instant) -> Result<bool, Trouble> {
        let (shard, mut is_lost) = (batch.shard as usize, false);
        let mut again = self.journal()?.since(shard, last)?;
        // One that was taken before is the last of them.
        if again.last().is_none_or(|last| last.sequence < batch.sequence) {
            again.push(batch);
        }
        for mut batch in again {
            if batch.sequence != last + 1 {
                self.journal()?.give_up(last, &batch)?;
                (batch.rebase, is_lost) = (true, true);
            }
            last = batch.sequence;
            let answer = self.ledger.apply(std::slice::from_ref(&batch), limit).pop();
            match answer.unwrap_or(Ok(Answer::OtherEpoch))? {
                Answer::Applied | Answer::Old(_) => {}
                Answer::Gap(_) | Answer::OtherEpoch => return Err(reset()),
            }
        }
        let journal = self.journal()?;
        if journal.shards[shard].outstanding.is_some() {
            journal.commit(&[shard])?;
        }
        Ok(is_lost)
    }

    /// How many series have something to say.
    fn waiting(&self, spool: &FileStore) -> u64 {
        let totals = spool.removals_and_totals().1;
        let journal = self.journal.as_ref();
        let round = Round { spool, limit: Instant::now(), offset: 0, touch: false };
        let waits = |total: &&SeriesTotal| {
            let sent = journal.and_then(|journal| journal.sent.get(&total.series));
            change(&round, total, &[], sent).is_some()
        };
        totals.reading.series.iter().filter(waits).count() as u64
    }
}

fn unreadable() -> Trouble {
    let message = "the spool cannot be read now, or was replaced".to_owned();
    Trouble { reason: Reason::Journal, message }
}

/// The trouble that ends with the next round.
fn reset() -> Trouble {
    Trouble { reason: Reason::NotReady, message: RESET.to_owned() }
}

const RESET: &str = "the store was reset while it was written to";

/// Batches being filled, one for each shard.
#[derive(Default)]
struct Filling {
    shards: Vec<(usize, Outstanding)>,
    /// How many numbers each of them changes.
    weights: Vec<usize>,
}

impl Filling {
    /// Puts a change into its shard's batch, unless that is full.
    fn take(&mut self, shard: usize, family: &Arc<Family>, mut change: Change, effect: (u32, Sent)) -> bool {
        let place = match self.shards.iter().position(|(known, _)| *known == shard) {
            Some(place) => place,
            None => {
                let batch = Batch {
                    writer: 0,
                    // CAST: shards are numbered in 32 bits.
                    shard: shard as u32,
                    epoch: 0,
                    sequence: 0,
                    rebase: false,
                    families: Vec::new(),
                    changes: Vec::new(),
                };
                self.shards.push((shard, Outstanding { batch, effects: Vec::new() }));
                self.weights.push(0);
                self.shards.len() - 1
            }
        };
        let Outstanding { batch, effects } = &mut self.shards[place].1;
        if !batch.changes.is_empty() && self.weights[place] + change.weight() > MOST {
            return false;
        }
        self.weights[place] += change.weight();
        let known = batch.families.iter().position(|known| Arc::ptr_eq(known, family));
        // CAST: no more families than changes.
        change.family = known.unwrap_or(batch.families.len()) as u32;
        if known.is_none() {
            batch.families.push(Arc::clone(family));
        }
        batch.changes.push(change);
        effects.push(effect);
        true
    }
}

impl Sent {
    /// Whether no count is left that was more than a batch may say.
    fn is_all_of(&self, total: &SeriesTotal) -> bool {
        match (&self.value, &total.total) {
            (SentValue::Number { whole, .. }, Total::Number { whole: now, .. }) => whole == now,
            (SentValue::Tally { counts, .. }, Total::Tally { counts: now, .. }) => counts == now,
            _ => true,
        }
    }
}

/// What a series has to say, and what will have been sent of it then. Family and labels are not filled in.
fn change(
    round: &Round<'_>,
    total: &SeriesTotal,
    images: &[ImageTotal],
    sent: Option<&Sent>,
) -> Option<(Change, Sent)> {
    let sent = sent.filter(|sent| sent.generation == total.generation);
    let changed = match sent {
        Some(sent) => sent.value.change(&total.total),
        None => SentValue::nothing(&total.total).change(&total.total),
    };
    let told = |image: &&ImageTotal| sent.is_some_and(|sent| sent.notes.contains(&(image.part, image.stamp)));
    let fresh = images.iter().filter(|image| !told(image));
    let at = |stamp: u64| if stamp > 1 { stamp.saturating_add(round.offset) } else { stamp };
    let notes: Vec<Note> =
        fresh.map(|image| Note { part: image.part, stamp: at(image.stamp), bytes: image.bytes.clone() }).collect();
    if changed.is_none() && notes.is_empty() && sent.is_some() && !(round.touch && total.in_use) {
        return None;
    }
    let as_it_was = || sent.map_or_else(|| SentValue::nothing(&total.total), |sent| sent.value.clone());
    let (delta, value) = changed.unwrap_or_else(|| (Delta::Nothing, as_it_was()));
    let delta = match delta {
        Delta::Gauge(mut values) => {
            values.iter_mut().for_each(|value| value.stamp = at(value.stamp));
            Delta::Gauge(values)
        }
        delta => delta,
    };
    let notes_sent = images.iter().map(|image| (image.part, image.stamp)).collect();
    let change = Change { family: 0, labels: Vec::new(), created: total.created, delta, notes };
    Some((change, Sent { generation: total.generation, value, notes: notes_sent }))
}

/// The bytes by which a spool remembers that series were removed.
pub(crate) fn encode_removal(family: &Family, wanted: &[(usize, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    record::put_bytes(&mut bytes, &record::encode_family_key(family));
    record::put_bytes(&mut bytes, &record::encode_family_details(family));
    for (place, value) in wanted {
        record::put_number(&mut bytes, *place as u64);
        record::put_bytes(&mut bytes, value.as_bytes());
    }
    bytes
}

fn decode_removal(mark: &[u8], writer: u128, generation: u64) -> Option<Removal> {
    let mut reader = Reader(mark);
    let family = Arc::new(record::decode_family(reader.bytes()?, reader.bytes()?)?);
    let mut wanted = Vec::new();
    while !reader.0.is_empty() {
        let place = usize::try_from(reader.number()?).ok()?;
        wanted.push((place, String::from_utf8(reader.bytes()?.to_vec()).ok()?));
    }
    let id = record::fnv(mark).wrapping_add(generation);
    Some(Removal { writer, id, family, wanted })
}
