//! Rounds: every row of a table runs once, then every row again, so that a noisy minute hits all of them.

use std::time::Instant;

/// Something to time.
pub(crate) struct Row<'a> {
    pub(crate) name: String,
    /// Does the operation so many times.
    run: Box<dyn FnMut(u64) + 'a>,
    /// How many times in one round.
    times: u64,
    nanoseconds: Vec<f64>,
}

impl<'a> Row<'a> {
    /// A row whose operation is `operation`, `times` times in a round.
    pub(crate) fn new(name: impl Into<String>, times: u64, mut operation: impl FnMut() + 'a) -> Row<'a> {
        Row::repeated(name, times, move |times| (0..times).for_each(|_| operation()))
    }

    /// A row that repeats by itself.
    pub(crate) fn repeated(name: impl Into<String>, times: u64, run: impl FnMut(u64) + 'a) -> Row<'a> {
        Row { name: name.into(), run: Box::new(run), times, nanoseconds: Vec::new() }
    }

    /// Runs it outside of any round.
    pub(crate) fn repeat(&mut self, times: u64) {
        (self.run)(times);
    }

    /// The median of the rounds, in nanoseconds per operation.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.nanoseconds.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
    }

    /// The fastest round, in nanoseconds per operation.
    pub(crate) fn minimum(&self) -> f64 {
        self.nanoseconds.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// Times all rows, in `count` rounds after one that does not count.
pub(crate) fn interleave(rows: &mut [Row<'_>], count: usize) {
    for round in 0..=count {
        for row in rows.iter_mut() {
            let start = Instant::now();
            (row.run)(row.times);
            let elapsed = start.elapsed().as_secs_f64() * 1e9 / row.times as f64;
            if round > 0 {
                row.nanoseconds.push(elapsed);
            }
        }
    }
}
