//! An exemplar: one observation, with labels that point at its trace.

use crate::{Error, Timestamp, name};

/// One observation behind a counter's or a bucket's value (OpenMetrics 1.0, "Exemplars").
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Label names and values, as given.
    pub labels: Vec<(String, String)>,
    /// The amount that was added or observed.
    pub value: f64,
    /// When, in the precision it came in.
    pub timestamp: Option<Timestamp>,
}

impl Exemplar {
    /// Checks the labels: names that are valid, and at most 128 characters of names and values in all.
    ///
    /// ```
    /// use tallymark_model::Exemplar;
    /// assert!(Exemplar::check([("trace_id", "abc")], false).is_ok());
    /// assert!(Exemplar::check([("trace_id", &*"a".repeat(121))], false).is_err());
    /// ```
    pub fn check<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>, legacy: bool) -> Result<(), Error> {
        let mut characters = 0;
        for (label, value) in labels {
            name::check_label(label, legacy)?;
            characters += label.chars().count() + value.chars().count();
        }
        if characters > 128 { Err(Error::ExemplarTooLong(characters)) } else { Ok(()) }
    }
}
