//! The children of a labelled metric, found by their label values.
//!
//! Two tables: by value, which holds every child, and in front of it a small one by identity, because programs mostly pass
//! the same string objects again. A hit in that one compares addresses; it holds its strings, so that an address means
//! the same text as long as it is there. Neither table's lock is held while Python runs: what Python makes is made first and
//! dropped last.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::{DefaultHashBuilder, HashTable};
use pyo3::Borrowed;
use pyo3::exceptions::PyValueError;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use smallvec::SmallVec;
use tallymark::AnyFamily;

use crate::metric::{MetricWrapperBase, State, adopt, new_child, text};

/// Places of the table by identity. More would keep more strings alive, fewer would let more pairs of label sets take
/// each other's place; 64 are enough for the label sets of a busy endpoint and take 4 KiB.
const PLACES: usize = 64;

/// Most metrics have fewer labels: their values are looked at without an allocation.
type Few<T> = SmallVec<[T; 6]>;

type Child = Py<MetricWrapperBase>;

/// The children of one metric.
#[derive(Default)]
pub(crate) struct Children {
    hasher: DefaultHashBuilder,
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    by_value: HashTable<Child>,
    by_identity: Vec<Option<Place>>,
}

/// A child and the very string objects it was last asked for with.
struct Place {
    values: Box<[Py<PyString>]>,
    child: Child,
    /// Whether it was found here since another one last wanted the place.
    was_used: bool,
}

impl Children {
    /// The child for these values, in the order of the label names.
    pub(crate) fn by_position(
        &self,
        parent: &Bound<'_, MetricWrapperBase>,
        state: &State,
        values: &Bound<'_, PyTuple>,
    ) -> PyResult<Child> {
        if values.len() != state.declared.family.definition().label_names().len() {
            return Err(PyValueError::new_err("Incorrect label count"));
        }
        self.find(parent, state, &values.iter_borrowed().collect::<Few<_>>())
    }

    /// The child for these values by label name.
    pub(crate) fn by_name(
        &self,
        parent: &Bound<'_, MetricWrapperBase>,
        state: &State,
        given: &Bound<'_, PyDict>,
    ) -> PyResult<Child> {
        let wrong = || PyValueError::new_err("Incorrect label names");
        let names = state.arguments.label_names.bind(parent.py());
        if given.len() != names.len() {
            return Err(wrong());
        }
        let mut values: Few<Bound<'_, PyAny>> = Few::new();
        for name in names.iter_borrowed() {
            values.push(given.get_item(name)?.ok_or_else(wrong)?);
        }
        self.find(parent, state, &values.iter().map(Bound::as_borrowed).collect::<Few<_>>())
    }

    #[inline]
    fn find(
        &self,
        parent: &Bound<'_, MetricWrapperBase>,
        state: &State,
        values: &[Borrowed<'_, '_, PyAny>],
    ) -> PyResult<Child> {
        let py = parent.py();
        let are_plain = values.iter().all(|value| value.is_exact_instance_of::<PyString>());
        if are_plain && let Some(child) = self.lock().by_identity(py, values) {
            return Ok(child);
        }
        let texts = values.iter().map(|value| text(value)).collect::<PyResult<Few<_>>>()?;
        let values = texts.iter().map(|text| text.to_str()).collect::<PyResult<Few<_>>>()?;
        let hash = self.hash(&values);
        let known = self.lock().by_value(py, hash, &values);
        let child = match known {
            Some(child) => child,
            None => match state.overflow_for(py, &values)? {
                // Nothing is kept of these values: asked for again, they may have a series of their own.
                Some(overflow) => return self.overflow(parent, state, overflow.values()),
                None => self.make(parent, state, hash, &values)?,
            },
        };
        if are_plain {
            self.keep(&texts, &child, py);
        }
        Ok(child)
    }

    /// The child for the series that further label sets count in.
    #[cold]
    fn overflow(&self, parent: &Bound<'_, MetricWrapperBase>, state: &State, values: &[Box<str>]) -> PyResult<Child> {
        let values: Few<&str> = values.iter().map(|value| &**value).collect();
        let hash = self.hash(&values);
        let known = self.lock().by_value(parent.py(), hash, &values);
        known.map_or_else(|| self.make(parent, state, hash, &values), Ok)
    }

    #[cold]
    fn make(
        &self,
        parent: &Bound<'_, MetricWrapperBase>,
        state: &State,
        hash: u64,
        values: &[&str],
    ) -> PyResult<Child> {
        let py = parent.py();
        loop {
            let child = match state.arguments.is_plain {
                true => new_child(py, state, values)?,
                false => adopt(parent, state, values)?,
            };
            let mut tables = self.lock();
            // The first one stays: somebody may hold it.
            if let Some(first) = tables.by_value(py, hash, values) {
                drop(tables);
                return Ok(first);
            }
            // Removed while it was made: it would count nowhere.
            if child.get().state()?.is_removed() {
                continue;
            }
            tables.by_value.insert_unique(hash, child.clone_ref(py), |child| self.hash(values_of(child)));
            return Ok(child);
        }
    }

    /// Puts the child where it is found by these very strings.
    fn keep(&self, values: &[Bound<'_, PyString>], child: &Child, py: Python<'_>) {
        let place = || Place {
            values: values.iter().map(|value| value.clone().unbind()).collect(),
            child: child.clone_ref(py),
            was_used: false,
        };
        let former = {
            let mut tables = self.lock();
            if tables.by_identity.is_empty() {
                tables.by_identity.resize_with(PLACES, || None);
            }
            // Removed meanwhile: then it must not be found again.
            if child.get().state().map_or(true, State::is_removed) {
                return;
            }
            let index = index(values.iter().map(|value| value.as_ptr() as usize));
            match &mut tables.by_identity[index] {
                // A second chance for what is used: strings made anew for every call never find what they put here.
                Some(known) if known.was_used => {
                    known.was_used = false;
                    None
                }
                known => known.replace(place()),
            }
        };
        // With the lock given back: this may run a finalizer.
        drop(former);
    }

    /// Forgets the children that have these values at these places.
    pub(crate) fn remove_where(&self, wanted: &[(usize, &str)]) {
        let matches = |values: &[Box<str>]| wanted.iter().all(|(place, value)| *values[*place] == **value);
        let (_gone, _places): (Vec<Child>, _) = {
            let mut tables = self.lock();
            let gone = tables.by_value.extract_if(|child| matches(values_of(child))).collect();
            (gone, std::mem::take(&mut tables.by_identity))
        };
    }

    /// The child for these values, if there is one.
    pub(crate) fn get(&self, py: Python<'_>, values: &[String]) -> Option<Child> {
        self.lock().by_value(py, self.hash(values), values)
    }

    /// The children in order of creation; those without a series in the family come last, by their label values.
    pub(crate) fn list(&self, py: Python<'_>, family: &AnyFamily) -> Vec<Child> {
        let series = family.list();
        let tables = self.lock();
        let find = |values: &[Box<str>]| tables.by_value(py, self.hash(values), values);
        let mut children: Vec<Child> = series.iter().filter_map(|series| find(series.labels().values())).collect();
        if children.len() < tables.by_value.len() {
            let known: HashSet<*mut PyObject> = children.iter().map(Py::as_ptr).collect();
            let rest = tables.by_value.iter().filter(|child| !known.contains(&child.as_ptr()));
            let mut rest: Vec<Child> = rest.map(|child| child.clone_ref(py)).collect();
            rest.sort_by(|one, other| values_of(one).cmp(values_of(other)));
            children.extend(rest);
        }
        children
    }

    fn hash<S: AsRef<str>>(&self, values: &[S]) -> u64 {
        use std::hash::{Hash, Hasher};
        let mut hasher = self.hasher.build_hasher();
        values.iter().for_each(|value| value.as_ref().hash(&mut hasher));
        hasher.finish()
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    #[inline]
    fn by_identity(&mut self, py: Python<'_>, values: &[Borrowed<'_, '_, PyAny>]) -> Option<Child> {
        let index = index(values.iter().map(|value| value.as_ptr() as usize));
        let place = self.by_identity.get_mut(index)?.as_mut()?;
        if !place.values.iter().zip(values).all(|(known, value)| known.as_ptr() == value.as_ptr()) {
            return None;
        }
        place.was_used = true;
        Some(place.child.clone_ref(py))
    }

    fn by_value<S: AsRef<str>>(&self, py: Python<'_>, hash: u64, values: &[S]) -> Option<Child> {
        let is_it = |child: &Child| values_of(child).iter().map(|value| &**value).eq(values.iter().map(AsRef::as_ref));
        self.by_value.find(hash, is_it).map(|child| child.clone_ref(py))
    }
}

/// The label values of a child, which has a state: only such ones come into the table.
fn values_of(child: &Child) -> &[Box<str>] {
    child.get().state().map_or(&[], State::label_values)
}

/// The place of string objects at these addresses. Objects are aligned to 16 bytes, so the low bits say nothing.
#[inline]
fn index(addresses: impl Iterator<Item = usize>) -> usize {
    let mixed = addresses.fold(0u64, |mixed, address| {
        (mixed.rotate_left(5) ^ (address as u64 >> 4)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    // CAST: six bits.
    (mixed >> (64 - PLACES.ilog2())) as usize
}
