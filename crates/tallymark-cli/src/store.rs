//! Which store a command works on: opened by its URL, and shared, or there would be nothing to see.

use std::time::Duration;

use tallymark::model::Snapshot;
use tallymark::{Registry, Store};

use crate::error::Error;

/// Opens the store; a file that is not there is made.
///
/// # Errors
/// [`Error::NotShared`] for `memory:`, [`Error::Store`] if the store cannot be opened.
pub(crate) fn open(url: &str) -> Result<Store, Error> {
    shared(url, Store::open(url)?)
}

/// Opens a store that is there, and leaves nothing behind where none is.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_existing(url: &str) -> Result<Store, Error> {
    shared(url, Store::open_existing(url)?)
}

/// What all programs have counted in it.
///
/// # Errors
/// [`Error::Store`] if what this host has counted cannot be sent within `patience`, [`Error::Unreadable`] if the store cannot
/// be read then: a snapshot without its series looks as if there were none.
pub(crate) fn snapshot(store: &Store, patience: Duration) -> Result<Snapshot, Error> {
    store.flush(patience)?;
    let snapshot = Registry::with_store(store.clone()).snapshot();
    let of_itself = snapshot.families.iter().find(|family| family.family.name() == "tallymark_store_up");
    if of_itself.is_some_and(|up| up.samples().iter().any(|sample| sample.value == 0.0)) {
        return Err(Error::Unreadable(store.url()));
    }
    Ok(snapshot)
}

fn shared(url: &str, store: Store) -> Result<Store, Error> {
    match store {
        Store::Memory | Store::Capped(_) => Err(Error::NotShared(url.to_owned())),
        store => Ok(store),
    }
}
