//! Which of a set of states holds.

use std::sync::Arc;

use tallymark_model::Error;

use crate::clock;
use crate::series::Series;

/// Which of a set of states holds, the first one at the start. One value for all processes; the last one set wins.
#[derive(Clone)]
pub struct StateSet {
    pub(crate) series: Arc<Series>,
}

super::handle!(StateSet);

impl StateSet {
    /// Sets the state.
    ///
    /// # Errors
    /// [`Error::UnknownState`] if it is not one of the family's.
    pub fn set(&self, state: &str) -> Result<(), Error> {
        let index = self.series.definition().state(state)?;
        self.series.cells().set(index as f64, clock::stamp());
        Ok(())
    }
}
