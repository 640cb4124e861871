//! What `__init__` leaves behind: a metric's family, its series or its children, and the functions of its gauges.
//!
//! The part that a scrape needs, [`Declared`], is shared with the registries, so that it can be read without the metric's
//! Python object.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tallymark::metric::Handle;
use tallymark::model::{Family, FamilySnapshot, Kind, Labels, Sample};
use tallymark::{AnyFamily, Gauge, Series, gather};

use super::reading::{self, Reading};
use super::{Arguments, float};
use crate::children::Children;
use crate::late::Counting;
use crate::{error, late, store};

/// What `__init__` leaves behind.
pub(crate) struct State {
    pub(crate) declared: Arc<Declared>,
    pub(crate) arguments: Arc<Arguments>,
    /// The label values of a child, or those of a metric without label names, which are none.
    labels: Option<Arc<Labels>>,
    series: OnceLock<Arc<Series>>,
    /// Says which process the program is, where it says so itself.
    identify: Option<Py<PyAny>>,
    /// Of a labelled metric that is no child; boxed, since most metrics are children.
    children: Option<Box<Children>>,
}

/// What counts for a child that is made natively.
pub(crate) enum ChildCounts {
    /// This series.
    In(Arc<Series>),
    /// A series for each process that the program says it is.
    AsIdentified,
    /// Python objects.
    ByObjects,
}

/// What a scrape needs of a metric: shared by the metric, its children and the registries it is in.
pub(crate) struct Declared {
    pub(crate) family: Arc<AnyFamily>,
    functions: Mutex<Vec<Function>>,
    /// Whether there are any functions: only then does a scrape of the family need Python.
    pub(crate) has_functions: AtomicBool,
    /// Whether Python objects count for some child, so that a scrape needs `collect()`.
    pub(crate) has_objects: AtomicBool,
    identities: Mutex<Identities>,
}

/// The same family for each process that the program said it is.
#[derive(Default)]
struct Identities {
    /// When they were looked up: see `store::endings`.
    endings: u64,
    families: Vec<(String, Arc<AnyFamily>)>,
}

impl Identities {
    fn find(&self, identity: &str) -> Option<Arc<AnyFamily>> {
        self.families.iter().find(|(name, _)| name == identity).map(|(_, family)| Arc::clone(family))
    }
}

/// What the program says it is called now.
pub(crate) fn identity(identify: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(identify.call0()?.str()?.to_str()?.to_owned())
}

/// A function that gives a gauge its value at every scrape.
struct Function {
    gauge: Gauge,
    function: Py<PyAny>,
}

impl Declared {
    pub(crate) fn new(family: Arc<AnyFamily>) -> Declared {
        let (has_functions, has_objects) = (AtomicBool::new(false), AtomicBool::new(false));
        let (functions, identities) = (Mutex::default(), Mutex::default());
        Declared { family, functions, has_functions, has_objects, identities }
    }

    /// The family of the process that the program says it is now.
    fn family_of(&self, py: Python<'_>, identify: &Py<PyAny>) -> PyResult<Arc<AnyFamily>> {
        let identity = identity(identify.bind(py))?;
        let endings = store::endings();
        let (ended, known) = {
            let mut identities = self.lock_identities();
            let ended = match identities.endings == endings {
                true => Vec::new(),
                false => std::mem::take(&mut identities.families),
            };
            identities.endings = endings;
            (ended, identities.find(&identity))
        };
        // With the lock given back: this may be the last use of a store.
        drop(ended);
        if let Some(family) = known {
            return Ok(family);
        }
        let Some(family) = store::family_of(py, Family::clone(self.family.definition()), &identity) else {
            return Ok(Arc::clone(&self.family));
        };
        let mut identities = self.lock_identities();
        // The first one stays.
        if let Some(first) = identities.find(&identity) {
            return Ok(first);
        }
        identities.families.push((identity, Arc::clone(&family)));
        Ok(family)
    }

    /// The family, and those of the processes that the program said it is.
    fn families(&self) -> Vec<Arc<AnyFamily>> {
        let identities = self.lock_identities();
        std::iter::once(&self.family)
            .chain(identities.families.iter().map(|(_, family)| family))
            .map(Arc::clone)
            .collect()
    }

    /// Starts every series again at zero, in every process that shares the store.
    pub(crate) fn reset_at(&self, created: f64) {
        self.families().iter().for_each(|family| family.reset_at(created));
    }

    fn lock_identities(&self) -> MutexGuard<'_, Identities> {
        self.identities.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `function` give the gauge its value from now on.
    pub(crate) fn set_function(&self, gauge: Gauge, function: Py<PyAny>) {
        let former = {
            let mut functions = self.lock_functions();
            let known = functions.iter().position(|known| Arc::ptr_eq(known.gauge.series(), gauge.series()));
            functions.push(Function { gauge, function });
            self.has_functions.store(true, Ordering::Relaxed);
            known.map(|known| functions.swap_remove(known))
        };
        drop(former);
    }

    /// The functions that are to be called before the family is read, with the gauges that are set to the results.
    pub(crate) fn functions(&self, py: Python<'_>) -> Vec<(Gauge, Py<PyAny>)> {
        if !self.has_functions.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let (gone, calls): (Vec<Function>, _) = {
            let mut functions = self.lock_functions();
            let gone = functions.extract_if(.., |known| known.gauge.series().is_removed()).collect();
            (gone, functions.iter().map(|known| (known.gauge.clone(), known.function.clone_ref(py))).collect())
        };
        // With the lock given back: this may run a finalizer.
        drop(gone);
        calls
    }

    /// Calls the functions and sets the gauges to the results.
    ///
    /// # Errors
    /// What a function raises, and what `float()` says of its result.
    pub(crate) fn call_functions(&self, py: Python<'_>) -> PyResult<()> {
        for (gauge, function) in self.functions(py) {
            gauge.set(float(&function.bind(py).call0()?)?);
        }
        Ok(())
    }

    fn lock_functions(&self) -> MutexGuard<'_, Vec<Function>> {
        self.functions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(crate) fn new(
        declared: Arc<Declared>,
        arguments: Arc<Arguments>,
        labels: Option<Arc<Labels>>,
        identify: Option<Py<PyAny>>,
    ) -> State {
        let children = labels.is_none().then(Box::default);
        State { declared, arguments, labels, series: OnceLock::new(), identify, children }
    }

    /// The state of a child, and its series if it has only one. Python objects are still to be made, where they count.
    pub(crate) fn of_child(&self, py: Python<'_>, values: &[&str]) -> PyResult<(State, ChildCounts)> {
        let counting = late::counting(py, self.kind())?;
        let (declared, arguments) = (Arc::clone(&self.declared), Arc::clone(&self.arguments));
        if matches!(counting, Counting::Natively | Counting::InMemory) {
            let series = self.make_series(py, &self.declared.family, values)?;
            let labels = Some(Arc::clone(series.labels()));
            let known = OnceLock::from(Arc::clone(&series));
            let state = State { declared, arguments, labels, series: known, identify: None, children: None };
            return Ok((state, ChildCounts::In(series)));
        }
        let labels = self.declared.family.definition().labels(values).map_err(error::refused)?;
        let state = State::new(declared, arguments, Some(Arc::new(labels)), counting.identify());
        if !state.is_identified() {
            state.declared.has_objects.store(true, Ordering::Relaxed);
            return Ok((state, ChildCounts::ByObjects));
        }
        // It is shown from now on, as any other.
        state.series(py)?;
        Ok((state, ChildCounts::AsIdentified))
    }

    /// The series of an observable metric, made at its first use.
    ///
    /// # Errors
    /// `ValueError` for a labelled metric that is no child.
    pub(crate) fn series(&self, py: Python<'_>) -> PyResult<Arc<Series>> {
        if let Some(series) = self.series.get() {
            return Ok(Arc::clone(series));
        }
        let values = self.observable_labels()?.values();
        if let Some(identify) = &self.identify {
            let family = self.declared.family_of(py, identify)?;
            return self.make_series(py, &family, values);
        }
        let series = self.make_series(py, &self.declared.family, values)?;
        Ok(Arc::clone(self.series.get_or_init(|| series)))
    }

    /// The label values that count for these where the store's `max_series` allows no further ones: all `overflow`.
    pub(crate) fn overflow_for(&self, py: Python<'_>, values: &[&str]) -> PyResult<Option<Arc<Labels>>> {
        if !self.declared.family.is_bounded() {
            return Ok(None);
        }
        let family = match late::counting(py, self.kind())? {
            Counting::Natively | Counting::InMemory => Arc::clone(&self.declared.family),
            Counting::As(identify) => self.declared.family_of(py, &identify.unbind())?,
            // Python objects are the program's own, and so is their number.
            Counting::ByObjects => return Ok(None),
        };
        let series = self.make_series(py, &family, values)?;
        let is_itself = series.labels().values().iter().map(|value| &**value).eq(values.iter().copied());
        Ok((!is_itself).then(|| Arc::clone(series.labels())))
    }

    fn make_series<S: AsRef<str>>(&self, py: Python<'_>, family: &AnyFamily, values: &[S]) -> PyResult<Arc<Series>> {
        let mut failure = None;
        let series = family.series(values, || match self.kind() {
            // Only what shows the time asks for it: tests count the calls.
            Kind::Counter | Kind::Summary | Kind::Histogram => late::time(py).unwrap_or_else(|error| {
                failure = Some(error);
                0.0
            }),
            _ => 0.0,
        });
        match failure {
            Some(error) => Err(error),
            None => series.map_err(error::core),
        }
    }

    /// Whether the program says itself which process it is.
    pub(crate) fn is_identified(&self) -> bool {
        self.identify.is_some()
    }

    /// Whether there is a series that updates go to.
    pub(crate) fn has_series(&self) -> bool {
        self.series.get().is_some()
    }

    /// Removes the series that have these values at these places, in the store and for every process.
    pub(crate) fn remove_where(&self, wanted: &[(usize, &str)]) {
        self.declared.families().iter().for_each(|family| family.remove_where(wanted));
    }

    pub(crate) fn kind(&self) -> Kind {
        self.declared.family.definition().kind()
    }

    pub(crate) fn has_label_names(&self) -> bool {
        !self.declared.family.definition().label_names().is_empty()
    }

    pub(crate) fn label_values(&self) -> &[Box<str>] {
        self.labels.as_ref().map_or(&[], |labels| labels.values())
    }

    /// Whether the series was removed in this process.
    pub(crate) fn is_removed(&self) -> bool {
        self.series.get().is_some_and(|series| series.is_removed())
    }

    pub(crate) fn children(&self) -> Option<&Children> {
        self.children.as_deref()
    }

    pub(crate) fn observable_labels(&self) -> PyResult<&Arc<Labels>> {
        let missing = || PyValueError::new_err(format!("{} metric is missing label values", self.kind()));
        self.labels.as_ref().ok_or_else(missing)
    }

    /// The family as it is now.
    pub(crate) fn snapshot(&self, py: Python<'_>) -> PyResult<FamilySnapshot> {
        self.declared.call_functions(py)?;
        let with_created = late::use_created(py)?;
        let family = Arc::clone(&self.declared.family);
        Ok(py.detach(|| gather(&[family], &[], with_created).declared.remove(0)))
    }

    /// The samples of all children as they are now.
    pub(crate) fn reading(&self, py: Python<'_>) -> PyResult<Reading> {
        let snapshot = self.snapshot(py)?;
        Ok(py.detach(|| Reading::new(&snapshot)))
    }

    /// The metric's own samples, without the labels of a child.
    pub(crate) fn own_samples(&self, py: Python<'_>) -> PyResult<Vec<Sample>> {
        let values = self.observable_labels()?.values();
        if let Some(reading) = reading::shared(&self.declared) {
            return Ok(reading.of(values));
        }
        Ok(self.reading(py)?.of(values))
    }
}
