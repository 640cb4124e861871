//! Facts about the thing measured.

use std::sync::Arc;

use tallymark_model::Error;

use crate::series::{Note, Series};
use crate::{clock, record};

/// Facts as labels: a version, a build host. One value for all processes; the last one set wins.
#[derive(Clone)]
pub struct Info {
    pub(crate) series: Arc<Series>,
}

super::handle!(Info);

impl Info {
    /// Sets the facts, in place of all that were set before.
    ///
    /// # Errors
    /// [`Error::OverlappingLabels`] if one is named like a label of the family.
    pub fn set<N: AsRef<str>, V: AsRef<str>>(&self, facts: &[(N, V)]) -> Result<(), Error> {
        let names = self.series.definition().label_names();
        if let Some((name, _)) = facts.iter().find(|(name, _)| names.iter().any(|label| **label == *name.as_ref())) {
            return Err(Error::OverlappingLabels { kind: "Info", name: name.as_ref().to_owned() });
        }
        self.series.set_note(Note { part: 0, stamp: clock::stamp(), bytes: record::encode_pairs(facts) });
        Ok(())
    }
}
