//! Which store a command works on: opened by its URL, and shared, or there would be nothing to see.

use tallymark::Store;

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

fn shared(url: &str, store: Store) -> Result<Store, Error> {
    match store {
        Store::Memory | Store::Capped(_) => Err(Error::NotShared(url.to_owned())),
        store => Ok(store),
    }
}
