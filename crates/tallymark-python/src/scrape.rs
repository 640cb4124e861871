//! One scrape of a registry, in two halves.
//!
//! The first asks Python, if there is anything to ask: custom collectors, and functions that give gauges their values.
//! A [`Plan`] says what; who calls it, and on which thread, is not known here. The second half, [`Parts::read`], reads the
//! native metrics and needs no Python.

use std::collections::HashSet;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tallymark::model::encode::EncodeError;
use tallymark::model::{FamilySnapshot, Snapshot};
use tallymark::{Gauge, Store, gather};

use crate::metric::{Declared, float};
use crate::multiprocess::{self, SharedDirectory};
use crate::{convert, error, late, store};

/// What the first half of a scrape has to ask, taken from the collectors at its beginning.
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// Functions to call, with the gauges that are set to their results.
    pub(crate) functions: Vec<(Gauge, Py<PyAny>)>,
    pub(crate) asked: Asked,
}

/// What the first half does for one collector.
pub(crate) enum Step {
    /// A native metric.
    Read(Arc<Declared>),
    /// Anything that gives families when it is called.
    Call(Py<PyAny>),
}

/// What one collector has for a scrape, after the first half.
pub(crate) enum Part {
    /// To be read in the second half.
    Native(Arc<Declared>),
    /// Given by Python.
    Converted(Vec<FamilySnapshot>),
}

/// What is left to read once Python has been asked.
pub(crate) struct Parts {
    pub(crate) parts: Vec<Part>,
    /// The store of which more may be shown.
    pub(crate) store: Option<Store>,
    pub(crate) with_created: bool,
    pub(crate) asked: Asked,
}

/// What a scrape asked for.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) names: Option<HashSet<String>>,
    pub(crate) shown: Shown,
}

/// What is shown of a shared store beside a registry's own metrics.
#[derive(Clone, Default)]
pub(crate) enum Shown {
    /// Nothing.
    #[default]
    Own,
    /// What only other processes declare, and the store's metrics about itself.
    Others,
    /// What any process has put into the store of a directory, as the official client's collector shows it.
    Official(SharedDirectory),
}

impl Plan {
    /// What is to be called for families, in order.
    pub(crate) fn calls<'a, 'py: 'a>(&'a self, py: Python<'py>) -> impl Iterator<Item = &'a Bound<'py, PyAny>> {
        self.steps.iter().filter_map(move |step| match step {
            Step::Call(call) => Some(call.bind(py)),
            Step::Read(_) => None,
        })
    }

    /// Calls the functions.
    ///
    /// # Errors
    /// What a function raises, and what `float()` says of its result.
    pub(crate) fn values(&self, py: Python<'_>) -> PyResult<Vec<f64>> {
        self.functions.iter().map(|(_, function)| float(&function.bind(py).call0()?)).collect()
    }

    /// Ends the first half with what the calls and the functions gave; calls that gave nothing have no families.
    ///
    /// # Errors
    /// What is wrong with the families.
    pub(crate) fn finish<'py>(
        &self,
        py: Python<'py>,
        families: impl IntoIterator<Item = Bound<'py, PyAny>>,
        values: impl IntoIterator<Item = f64>,
        givers: &mut Givers,
    ) -> PyResult<Parts> {
        self.functions.iter().zip(values).for_each(|((gauge, _), value)| gauge.set(value));
        let mut families = families.into_iter();
        let mut parts = Vec::new();
        for step in &self.steps {
            match step {
                Step::Read(declared) => parts.push(Part::Native(Arc::clone(declared))),
                Step::Call(_) => {
                    let converted = families.next().map(|families| givers.convert(&families)).transpose()?;
                    parts.push(Part::Converted(converted.unwrap_or_default()));
                }
            }
        }
        let store = match &self.asked.shown {
            Shown::Own => None,
            Shown::Others => Some(store::default_store(py).0),
            Shown::Official(directory) => py.detach(|| directory.store()).map_err(error::core)?,
        };
        Ok(Parts { parts, store, with_created: late::use_created(py)?, asked: self.asked.clone() })
    }
}

impl Asked {
    /// Whether a sample of the family can have one of the names.
    pub(crate) fn may_have(&self, declared: &Declared) -> bool {
        let family = declared.family.definition().name();
        self.names.as_ref().is_none_or(|names| names.iter().any(|name| name.starts_with(family)))
    }
}

impl Parts {
    /// The second half: reads the native metrics, all of one store at one moment.
    pub(crate) fn read(self) -> Snapshot {
        let mut families = Vec::new();
        for part in &self.parts {
            if let Part::Native(declared) = part {
                families.push(Arc::clone(&declared.family));
            }
        }
        let stores: Vec<Store> = self.store.into_iter().collect();
        let gathered = gather(&families, &stores, self.with_created);
        let mut declared = gathered.declared.into_iter();
        let mut snapshot = Snapshot::default();
        for part in self.parts {
            match part {
                Part::Native(_) => snapshot.families.extend(declared.next()),
                Part::Converted(families) => snapshot.families.extend(families),
            }
        }
        if !gathered.undeclared.is_empty() {
            let mut known: HashSet<String> = snapshot.families.iter().map(|it| it.family.name().to_owned()).collect();
            let is_official = matches!(self.asked.shown, Shown::Official(_));
            if !is_official {
                known.extend(store::declared_names());
            }
            let others = gathered.undeclared.into_iter().filter(|it| !known.contains(it.family.name()));
            let others = others.map(|it| if is_official { multiprocess::official(it) } else { it });
            snapshot.families.extend(others);
        }
        match self.asked.names {
            Some(names) => snapshot.restrict(&names),
            None => snapshot,
        }
    }
}

/// The families that Python gave, so that an error in writing one can tell which.
#[derive(Default)]
pub(crate) struct Givers(Vec<(String, Py<PyAny>)>);

impl Givers {
    pub(crate) fn convert(&mut self, families: &Bound<'_, PyAny>) -> PyResult<Vec<FamilySnapshot>> {
        let mut converted = Vec::new();
        for metric in families.try_iter()? {
            let metric = metric?;
            let snapshot = convert::from_metric(&metric)?;
            self.0.push((snapshot.family.name().to_owned(), metric.unbind()));
            converted.push(snapshot);
        }
        Ok(converted)
    }

    /// The exception for what cannot be written, with the family if it is known.
    pub(crate) fn blame(&self, py: Python<'_>, error: EncodeError) -> PyErr {
        let family = match &error {
            EncodeError::ExemplarNotAllowed { family, .. }
            | EncodeError::TimestampOutOfRange { family, .. }
            | EncodeError::NamesCollide { family, .. } => Some(family.clone()),
            _ => None,
        };
        let exception = PyValueError::new_err(error.to_string());
        match self.0.iter().find(|(name, _)| Some(name) == family.as_ref()) {
            Some((_, metric)) => convert::with_metric(exception, metric.bind(py)),
            None => exception,
        }
    }
}
