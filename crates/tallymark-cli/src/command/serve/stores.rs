//! The stores of a server: opened, each once, and what of them is scraped.

use std::sync::Arc;

use tallymark::{Registry, Store};
use tallymark_transport::{Source, SourceError};

use crate::error::Error;

/// Opens stores; memory if none is named.
///
/// # Errors
/// [`Error::Store`], and [`Error::Usage`] for a store that is named twice, which would be counted twice.
pub(super) fn open(mut urls: Vec<String>) -> Result<Vec<Store>, Error> {
    if urls.is_empty() {
        urls.push("memory:".to_owned());
    }
    let mut stores: Vec<Store> = Vec::new();
    for url in urls {
        let store = Store::open(&url)?;
        if stores.iter().any(|other| other.is(&store) || other.url() == store.url()) {
            let problem = format!("{} is named twice, and would be added up with itself; name it once", store.url());
            return Err(Error::Usage(problem));
        }
        stores.push(store);
    }
    Ok(stores)
}

/// The series of a store. The server restricts them to what is asked for, after it has added up all stores.
pub(super) fn series(store: &Store) -> Arc<dyn Source> {
    let registry = Registry::with_store(store.clone());
    Arc::new(move |_: &[String]| Ok::<_, SourceError>(registry.snapshot()))
}
