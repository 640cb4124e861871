//! What `inc`, `set` and `observe` have in common: a name, labels and an amount, and the definition that goes with them.
//!
//! A family that is in the store already is continued as it was defined. One that contradicts what is asked for is an
//! error: two definitions of one name show one of them at the most.

use std::sync::Arc;

use tallymark::Series;
use tallymark::model::{Family, FamilyBuilder, GaugeMode, Kind, number};

use super::counting::{Counting, PATIENCE};
use crate::error::Error;

/// A metric and what happens to it.
#[derive(clap::Args)]
pub(crate) struct Update {
    /// The metric's name; a counter's with or without _total
    #[arg(value_name = "NAME")]
    name: String,

    /// Labels as LABEL=VALUE, and last the amount
    #[arg(value_name = "LABEL=VALUE|AMOUNT", allow_negative_numbers = true)]
    words: Vec<String>,

    /// The store's URL, or that of a group of a gateway: http://HOST:PORT/metrics/job/JOB
    #[arg(long, value_name = "STORE", env = "TALLYMARK_STORE", hide_env_values = true)]
    store: String,

    /// What the metric is, in a sentence; kept if the store does not know the metric yet
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    help_text: String,

    /// The unit, appended to the name unless it ends in it
    #[arg(long, value_name = "UNIT", default_value = "", hide_default_value = true)]
    unit: String,
}

/// An update that is understood and contradicts nothing; nothing has happened yet.
pub(crate) struct Updating {
    counting: Counting,
    /// What the family is.
    pub(crate) definition: Family,
    values: Vec<String>,
    amount: Option<f64>,
}

impl Update {
    /// Finds the definition: of one of these types if the store knows the name, else a new one of the first type, defined
    /// further by `define`.
    ///
    /// # Errors
    /// [`Error::Usage`] for words that are neither labels nor an amount, [`Error::Contradiction`] if the store knows the
    /// name with another type, other labels or other buckets.
    pub(crate) fn begin(
        self,
        kinds: &[Kind],
        define: impl FnOnce(FamilyBuilder) -> FamilyBuilder,
    ) -> Result<Updating, Error> {
        let Words { labels, amount } = labels_and_amount(&self.words)?;
        let kind = kinds.first().copied().unwrap_or(Kind::Unknown);
        let names = labels.iter().map(|(name, _)| *name);
        let builder = Family::builder(kind, &self.name, &self.help_text).unit(&self.unit).label_names(names);
        let new = define(builder).build().map_err(tallymark::Error::from)?;
        let counting = Counting::open(&self.store, None, PATIENCE)?;
        let known = counting.defined(|family| family.name() == new.name() || shown_name(family) == shown_name(&new));
        let definition = continued(known, kinds, new, &counting.name())?;
        let value_of = |wanted: &str| labels.iter().find(|(name, _)| *name == wanted).map_or("", |(_, value)| value);
        let values = definition.label_names().iter().map(|name| value_of(name).to_owned()).collect();
        Ok(Updating { counting, definition, values, amount })
    }
}

impl Updating {
    /// The amount, which counters and observations must not lack, and which must be finite: nothing that is added later
    /// makes up for one that is not.
    pub(crate) fn finite(&self, otherwise: Option<f64>) -> Result<f64, Error> {
        let amount = self.required(otherwise)?;
        if !amount.is_finite() {
            return Err(Error::Usage(format!("{amount} cannot be added to anything; give a finite number")));
        }
        Ok(amount)
    }

    /// The amount.
    pub(crate) fn required(&self, otherwise: Option<f64>) -> Result<f64, Error> {
        let missing = || Error::Usage("no amount; give a number as the last argument".to_owned());
        self.amount.or(otherwise).ok_or_else(missing)
    }

    /// Refuses gauges in which this process would leave something else than was asked for.
    pub(crate) fn refuse(&self, modes: &[GaugeMode], why: &str) -> Result<(), Error> {
        let definition = &self.definition;
        if definition.kind() == Kind::Gauge && modes.contains(&definition.mode()) {
            let (name, mode, place) = (definition.name(), definition.mode().as_str(), self.counting.name());
            return Err(Error::Contradiction(format!("{name} is a gauge of the mode {mode} in {place}: {why}")));
        }
        Ok(())
    }

    /// Makes the series if it is not there, changes it, and leaves it in its place.
    ///
    /// # Errors
    /// As [`Counting::finish`].
    pub(crate) fn finish(mut self, change: impl FnOnce(Arc<Series>)) -> Result<(), Error> {
        change(self.counting.series(self.definition, &self.values)?);
        self.counting.finish()
    }
}

/// The definition to count by: the known one that agrees, or the new one where none is known.
fn continued(known: Vec<Family>, kinds: &[Kind], new: Family, place: &str) -> Result<Family, Error> {
    let Some(first) = known.first() else { return Ok(new) };
    let of_kind: Vec<&Family> = known.iter().filter(|family| kinds.contains(&family.kind())).collect();
    let name = shown_name(&new);
    let Some(other) = of_kind.first() else {
        let (is, wanted) = (first.kind(), new.kind());
        let advice = "choose another name, or the command for that type";
        return Err(Error::Contradiction(format!("{name}: a {is} in {place}, not a {wanted}; {advice}")));
    };
    let Some(same) = of_kind.iter().find(|family| family.label_permutation(&new).is_some()) else {
        let (has, given) = (listed(other.label_names()), listed(new.label_names()));
        let advice = "give the same, each with a value";
        return Err(Error::Contradiction(format!("{name} has {has} in {place}, not {given}; {advice}")));
    };
    Ok(Family::clone(same))
}

/// Refuses buckets that are not those of the family.
pub(crate) fn check_bounds(definition: &Family, asked: &[f64]) -> Result<(), Error> {
    let asked = tallymark::model::checked_bounds(asked).map_err(tallymark::Error::from)?;
    if definition.bounds() == asked {
        return Ok(());
    }
    let written = |bounds: &[f64]| bounds.iter().map(|bound| number::format(*bound)).collect::<Vec<_>>().join(", ");
    let (name, has, given) = (definition.name(), written(definition.bounds()), written(&asked));
    Err(Error::Contradiction(format!("{name} has the buckets {has} already, not {given}; leave --buckets out")))
}

fn listed(labels: &[Box<str>]) -> String {
    if labels.is_empty() { "no labels".to_owned() } else { format!("the labels {}", labels.join(", ")) }
}

/// What the family's first sample is called.
fn shown_name(family: &Family) -> String {
    match family.kind() {
        Kind::Counter => format!("{}_total", family.name()),
        _ => family.name().to_owned(),
    }
}

/// What stands behind a metric's name.
#[derive(Debug, PartialEq, Default)]
struct Words<'a> {
    labels: Vec<(&'a str, &'a str)>,
    amount: Option<f64>,
}

/// Takes the words apart: labels have an equals sign, and the last word may be an amount.
fn labels_and_amount(words: &[String]) -> Result<Words<'_>, Error> {
    let Words { mut labels, mut amount } = Words::default();
    for (place, word) in words.iter().enumerate() {
        match word.split_once('=') {
            Some((name, _)) if labels.iter().any(|(known, _)| *known == name) => {
                return Err(Error::Usage(format!("the label {name} is given twice")));
            }
            Some(label) => labels.push(label),
            None if place + 1 == words.len() => {
                let number = word.parse().map_err(|_| format!("{word:?} is neither LABEL=VALUE nor a number"));
                amount = Some(number.map_err(Error::Usage)?);
            }
            None => return Err(Error::Usage(format!("{word:?} is no LABEL=VALUE; the amount comes last"))),
        }
    }
    Ok(Words { labels, amount })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(words: &str) -> Vec<String> {
        words.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_word_with_an_equals_sign_is_a_label_and_the_last_one_without_is_the_amount() {
        for (words, labels, amount) in [
            ("", &[][..], None),
            ("-1.5e3", &[], Some(-1.5e3)),
            ("a=1=2 b= 3", &[("a", "1=2"), ("b", "")], Some(3.0)),
            ("a=1", &[("a", "1")], None),
        ] {
            assert_eq!(Words { labels: labels.to_vec(), amount }, labels_and_amount(&split(words)).unwrap());
        }
    }

    #[test]
    fn other_words_are_refused_by_name() {
        for (words, named) in [("3 a=1", "\"3\""), ("three", "\"three\""), ("a=1 a=2", "the label a ")] {
            let refused = labels_and_amount(&split(words)).unwrap_err().to_string();

            assert!(refused.contains(named), "{refused}");
        }
    }
}
