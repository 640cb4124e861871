//! Which store a command works on: opened by its URL, and shared, or there would be nothing to see.

use std::fs;
use std::path::Path;

use tallymark::Store;

use crate::error::Error;

/// Opens the store; a file that is not there is made.
///
/// # Errors
/// [`Error::NotShared`] for `memory:`, [`Error::Store`] if the store cannot be opened.
pub(crate) fn open(url: &str) -> Result<Store, Error> {
    match Store::open(url)? {
        Store::Memory => Err(Error::NotShared(url.to_owned())),
        store => Ok(store),
    }
}

/// Opens a store that is there, and leaves nothing behind where none is.
///
/// The library makes what it does not find, so it is looked for first. A file that is deleted in the instant between
/// comes back empty, as it would by the next update of any process that has it open.
///
/// # Errors
/// [`Error::NoStore`] if there is none, and what [`open`] refuses.
pub(crate) fn open_existing(url: &str) -> Result<Store, Error> {
    if let Some(path) = file_path(url) {
        let found = match fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some("no such file"),
            Ok(metadata) if metadata.is_file() && metadata.len() == 0 => Some("an empty file"),
            // Whatever else may be wrong, opening it says so, and leaves it untouched.
            _ => None,
        };
        if let Some(found) = found {
            return Err(Error::NoStore { path: path.to_owned(), found });
        }
    }
    open(url)
}

/// The path in a `file:` URL, by the rules of [`Store::open`].
fn file_path(url: &str) -> Option<&Path> {
    let rest = url.strip_prefix("file:")?;
    let path = rest.split_once('?').map_or(rest, |(path, _)| path);
    let path = path.strip_prefix("//").unwrap_or(path);
    (!path.is_empty()).then(|| Path::new(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_in_every_form_of_a_file_url() {
        for (url, path) in [
            ("file:/run/app.tally", Some("/run/app.tally")),
            ("file:///run/app.tally", Some("/run/app.tally")),
            ("file:/run/app.tally?mode=0660&network=allow", Some("/run/app.tally")),
            ("file:app.tally", Some("app.tally")),
            ("file:", None),
            ("file:?mode=0660", None),
            ("memory:", None),
            ("/run/app.tally", None),
        ] {
            assert_eq!(file_path(url), path.map(Path::new), "{url}");
        }
    }
}
