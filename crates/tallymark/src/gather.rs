//! A scrape's first half: from families and stores to one snapshot.
//!
//! The numbers of a family are what its store holds, of all processes, and what this process has on its own heap: all
//! of it in the memory store; in a shared one only what the store had no room for.

use std::sync::Arc;

use tallymark_model::{Body, FamilySnapshot};

use crate::merge::{self, StoreFamily};
use crate::store::StoreReading;
use crate::{AnyFamily, Store, own_metrics};

/// What [`gather`] found.
#[derive(Debug, Default)]
pub struct Gathered {
    /// The families that were asked for, in their order.
    pub declared: Vec<FamilySnapshot>,
    /// Families that the stores hold beside them, because only other processes declare them, and the stores' own
    /// metrics.
    pub undeclared: Vec<FamilySnapshot>,
}

/// Reads families, each store once.
///
/// `stores` are read even if no family counts into them, and what they hold beside the families is given too.
/// `with_created` says whether series carry their time of creation.
pub fn gather(families: &[Arc<AnyFamily>], stores: &[Store], with_created: bool) -> Gathered {
    let mut readings: Vec<(Store, StoreReading)> = Vec::new();
    let mut gathered = Gathered::default();
    let mut unshared = 0;
    // All of them before any store is read: a series may move from the heap into its store on this occasion.
    let locals: Vec<FamilySnapshot> = families.iter().map(|family| merge::local(family)).collect();
    for (family, local) in families.iter().zip(locals) {
        let store = family.store();
        if let (false, Body::Series(series)) = (store.file().is_none(), &local.body) {
            unshared += series.len();
        }
        let shared = reading(&mut readings, &store).families.remove(family.definition().name());
        gathered.declared.push(match shared {
            Some(mut shared) => {
                shared.add_local(local);
                shared.into_snapshot()
            }
            None => local,
        });
    }
    for store in stores {
        let reading = reading(&mut readings, store);
        let mut rest: Vec<_> = reading.families.drain().map(|(_, family)| family).collect();
        rest.sort_by_key(|family| family.ordinal);
        gathered.undeclared.extend(rest.into_iter().map(StoreFamily::into_snapshot));
        if !reading.own.is_empty() {
            gathered.undeclared.append(&mut reading.own);
            gathered.undeclared.push(own_metrics::unshared_series(unshared));
        }
    }
    if !with_created {
        for family in gathered.declared.iter_mut().chain(&mut gathered.undeclared) {
            if let Body::Series(series) = &mut family.body {
                series.iter_mut().for_each(|series| series.created = None);
            }
        }
    }
    gathered
}

fn reading<'a>(readings: &'a mut Vec<(Store, StoreReading)>, store: &Store) -> &'a mut StoreReading {
    let known = readings.iter().position(|(known, _)| known.is(store));
    let index = known.unwrap_or_else(|| {
        readings.push((store.clone(), store.read()));
        readings.len() - 1
    });
    &mut readings[index].1
}
