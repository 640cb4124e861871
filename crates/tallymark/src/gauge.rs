//! What a gauge shows: the values of its processes, by its mode.
//!
//! A process's value is one that it set, or what is kept of it after its end. Which store they were in is not known here.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;

use tallymark_cells::file::{GaugeTotal, ProcessValue};
use tallymark_model::{GaugeMode, Process};

/// One process's value of a gauge.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GaugeValue {
    /// The host, where there may be several.
    pub(crate) instance: Option<Arc<str>>,
    pub(crate) pid: u32,
    pub(crate) value: f64,
    /// When it was set: nanoseconds by the store's clock, or since boot in a host's own store; 1 for an earlier boot, 0 for
    /// never. Only the order counts.
    pub(crate) stamp: u64,
    pub(crate) live: bool,
    /// Whether it is what is kept of processes that ended, and not one that may come back.
    pub(crate) kept: bool,
}

/// The values in a host's own store.
pub(crate) fn of_host(values: &GaugeTotal) -> Vec<GaugeValue> {
    let value = |kept| {
        move |process: &ProcessValue| {
            let ProcessValue { pid, value, stamp, live } = *process;
            GaugeValue { instance: None, pid, value, stamp, live, kept }
        }
    };
    values.processes.iter().map(value(false)).chain(values.kept.iter().map(value(true))).collect()
}

/// Has `push` take the gauge's values by mode: one, or one per process.
pub(crate) fn merged(mode: GaugeMode, values: Vec<GaugeValue>, mut push: impl FnMut(Option<Process>, f64)) {
    if matches!(mode, GaugeMode::All | GaugeMode::LiveAll) {
        return each(mode, values, |process, value| push(Some(process), value));
    }
    let numbers = || values.iter().map(|process| process.value);
    let live = || values.iter().filter(|process| process.live);
    let live_numbers = || live().map(|process| process.value);
    let one = match mode {
        GaugeMode::All | GaugeMode::LiveAll => None,
        GaugeMode::Min => numbers().reduce(f64::min),
        GaugeMode::LiveMin => live_numbers().reduce(f64::min),
        GaugeMode::Max => numbers().reduce(f64::max),
        GaugeMode::LiveMax => live_numbers().reduce(f64::max),
        GaugeMode::Sum => sum(numbers()),
        GaugeMode::LiveSum => sum(live_numbers()),
        GaugeMode::MostRecent => newest(&values).map(|process| process.value),
        GaugeMode::LiveMostRecent => live().max_by_key(|process| process.stamp).map(|process| process.value),
        GaugeMode::Auto => match newest(&values) {
            Some(process) if process.stamp != 0 => Some(process.value),
            _ => Some(sum(live_numbers()).unwrap_or(0.0)),
        },
    };
    // A live mode without a live process has no value to show.
    if let Some(value) = one {
        push(None, value);
    }
}

/// The value of each process; of two with the same labels the one that may still change, then the newer one.
fn each(mode: GaugeMode, mut values: Vec<GaugeValue>, mut push: impl FnMut(Process, f64)) {
    values.retain(|value| value.live || value.kept || mode == GaugeMode::All);
    values.sort_by_key(|value| (value.kept, Reverse(if value.kept { value.stamp } else { 0 })));
    let mut seen = HashSet::new();
    for GaugeValue { instance, pid, value, .. } in values {
        let process = Process { instance, pid };
        if seen.insert(process.clone()) {
            push(process, value);
        }
    }
}

/// The value that was set last, of ended processes too.
pub(crate) fn newest(values: &[GaugeValue]) -> Option<&GaugeValue> {
    values.iter().max_by_key(|process| process.stamp)
}

fn sum(values: impl Iterator<Item = f64>) -> Option<f64> {
    values.reduce(|a, b| a + b)
}
