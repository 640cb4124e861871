//! One reading of a family whose samples Python puts together, child by child.
//!
//! A subclass says what the samples of one child are, and mostly asks the native class for those that are native. They are
//! read for all children at once, so that a scrape does not read the store again for every child, and so that label sets
//! that only other processes have used are there too.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use tallymark::model::{Body, FamilySnapshot, Sample};

use super::Declared;

/// The samples of a family by label values, in the order of the snapshot, without the family's labels.
#[derive(Default)]
pub(crate) struct Reading {
    groups: Vec<(Vec<Box<str>>, Vec<Sample>)>,
    places: HashMap<Vec<Box<str>>, usize>,
}

impl Reading {
    pub(crate) fn new(snapshot: &FamilySnapshot) -> Reading {
        let names = snapshot.family.label_names();
        let mut reading = Reading::default();
        let samples = match &snapshot.body {
            Body::Samples(samples) => samples.clone(),
            Body::Series(_) => snapshot.samples(),
        };
        for mut sample in samples {
            let mut take = |name: &str| {
                let place = sample.labels.iter().position(|(known, _)| known == name);
                place.map(|place| sample.labels.remove(place).1.into_boxed_str()).unwrap_or_default()
            };
            let values: Vec<Box<str>> = names.iter().map(|name| take(name)).collect();
            let place = *reading.places.entry(values.clone()).or_insert_with(|| {
                reading.groups.push((values, Vec::new()));
                reading.groups.len() - 1
            });
            reading.groups[place].1.push(sample);
        }
        reading
    }

    /// The samples of one child.
    pub(crate) fn of(&self, values: &[Box<str>]) -> Vec<Sample> {
        self.places.get(values).map(|place| self.groups[*place].1.clone()).unwrap_or_default()
    }

    /// The samples of all.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&Vec<Box<str>>, &Vec<Sample>)> {
        self.groups.iter().map(|(values, samples)| (values, samples))
    }
}

thread_local! {
    /// Of the families that this thread is putting together, the innermost one last.
    static READINGS: RefCell<Vec<(Arc<Declared>, Arc<Reading>)>> = const { RefCell::new(Vec::new()) };
}

/// Lets children of the family find this reading until the result is dropped.
pub(crate) fn share(declared: &Arc<Declared>, reading: &Arc<Reading>) -> impl Drop + use<> {
    struct Ended;
    impl Drop for Ended {
        fn drop(&mut self) {
            READINGS.with_borrow_mut(|readings| drop(readings.pop()));
        }
    }
    READINGS.with_borrow_mut(|readings| readings.push((Arc::clone(declared), Arc::clone(reading))));
    Ended
}

/// The reading of the family that is being put together on this thread.
pub(crate) fn shared(declared: &Arc<Declared>) -> Option<Arc<Reading>> {
    READINGS.with_borrow(|readings| {
        let known = readings.iter().rev().find(|(known, _)| Arc::ptr_eq(known, declared));
        known.map(|(_, reading)| Arc::clone(reading))
    })
}
