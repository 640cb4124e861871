//! A family at work: its definition, its series in this process, and the store they count into.
//!
//! [`AnyFamily`] is what registries and language bindings hold; [`Family`] gives typed handles. Finding a series that
//! exists takes no lock.

use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tallymark_cells::{Keep, Shape, fork};
use tallymark_model::{GaugeMode, Kind, Labels};

use crate::metric::Handle;
use crate::series::Series;
use crate::store::Store;
use crate::{Error, clock, limits};

/// What the series of a family share.
pub(crate) struct Shared {
    pub(crate) definition: Arc<tallymark_model::Family>,
    store: ArcSwap<Store>,
    /// Whether the store says how many series there may be: asked for at every new label set.
    is_bounded: AtomicBool,
    /// Whether it was logged that there are too many series.
    overflows: AtomicBool,
}

impl Shared {
    pub(crate) fn store(&self) -> Store {
        Store::clone(&self.store.load())
    }

    pub(crate) fn shape(&self) -> Shape {
        shape(&self.definition)
    }

    /// What is to be logged because a label set counts in the overflow series, if none did before.
    pub(crate) fn overflow_notice(&self) -> Option<String> {
        let most = self.store.load().max_series()?;
        (!self.overflows.swap(true, Ordering::Relaxed)).then(|| limits::notice(&self.definition, most))
    }
}

/// What the words of a series of this family mean.
pub(crate) fn shape(definition: &tallymark_model::Family) -> Shape {
    match definition.kind() {
        Kind::Histogram | Kind::GaugeHistogram => Shape::Tally { counts: definition.bounds().len() },
        Kind::Summary => Shape::Tally { counts: 1 },
        Kind::StateSet => Shape::Gauge(Keep::Last),
        Kind::Gauge => Shape::Gauge(match definition.mode() {
            GaugeMode::Auto => Keep::LastSet,
            GaugeMode::All => Keep::Each,
            GaugeMode::Min => Keep::Min,
            GaugeMode::Max => Keep::Max,
            GaugeMode::Sum => Keep::Sum,
            GaugeMode::MostRecent => Keep::Last,
            _ => Keep::Nothing,
        }),
        Kind::Counter | Kind::Info | Kind::Unknown => Shape::Number,
    }
}

/// A family of any type: its series, found and made by label values.
pub struct AnyFamily {
    shared: Arc<Shared>,
    /// By label values; reading takes no lock, changes are made under the fork gate.
    series: papaya::HashMap<ByValues, Arc<Series>, foldhash::fast::RandomState>,
    /// In order of creation. Copied on the first change after a scrape has taken it.
    order: Mutex<Arc<Vec<Arc<Series>>>>,
}

type Table<'a> = papaya::HashMapRef<'a, ByValues, Arc<Series>, foldhash::fast::RandomState, papaya::LocalGuard<'a>>;

impl AnyFamily {
    /// A family that counts into `store`. Registering it anywhere is the caller's business.
    pub fn new(definition: tallymark_model::Family, store: Store) -> AnyFamily {
        let is_bounded = AtomicBool::new(store.max_series().is_some());
        let (definition, store) = (Arc::new(definition), ArcSwap::from_pointee(store));
        AnyFamily {
            shared: Arc::new(Shared { definition, store, is_bounded, overflows: AtomicBool::new(false) }),
            series: papaya::HashMap::default(),
            order: Mutex::default(),
        }
    }

    /// The definition.
    pub fn definition(&self) -> &Arc<tallymark_model::Family> {
        &self.shared.definition
    }

    /// The series of these label values, made at the time `created` if it does not exist here yet. Where the store's
    /// `max_series` allows no further one it is the family's overflow series, whose label values are all `overflow`.
    ///
    /// # Errors
    /// [`Error::Definition`] if there are not as many values as label names.
    pub fn series<S: AsRef<str>>(&self, values: &[S], created: impl FnOnce() -> f64) -> Result<Arc<Series>, Error> {
        if let Some(series) = self.series.pin().get(&Values(values)) {
            return Ok(Arc::clone(series));
        }
        let labels = self.definition().labels(values)?;
        let created = created();
        let (series, notice) = {
            let _gate = fork::gate();
            let table = self.series.pin();
            if let Some(series) = table.get(&Values(values)) {
                return Ok(Arc::clone(series));
            }
            let series = Arc::new(Series::new(Arc::clone(&self.shared), labels, created));
            let attached = series.attach_gated();
            if attached.overflows || attached.most.is_some_and(|most| self.has_too_many(&series, most)) {
                let notice = attached.notice.or_else(|| self.shared.overflow_notice());
                (self.overflow_gated(&table, created)?, notice)
            } else {
                self.insert_gated(&table, &series);
                (series, attached.notice)
            }
        };
        self.shared.store().start();
        if let Some(notice) = notice {
            log::warn!("{notice}");
        }
        Ok(series)
    }

    /// Whether the store says how many series it may have.
    pub fn is_bounded(&self) -> bool {
        self.shared.is_bounded.load(Ordering::Relaxed)
    }

    /// Whether the store's `max_series` is for other series that this process knows. A shared store counts those of all
    /// processes itself, as long as it has room.
    fn has_too_many(&self, series: &Series, most: u32) -> bool {
        if !series.is_on_heap() || limits::is_overflow(series.labels().values()) {
            return false;
        }
        let known = self.lock_order();
        // The overflow series may be one of them, and does not count.
        known.len() >= most as usize
            && known.iter().filter(|known| !limits::is_overflow(known.labels().values())).count() >= most as usize
    }

    /// The series that further label sets count in.
    fn overflow_gated(&self, table: &Table<'_>, created: f64) -> Result<Arc<Series>, Error> {
        let values = vec![limits::OVERFLOW; self.definition().label_names().len()];
        if let Some(series) = table.get(&Values(&values)) {
            return Ok(Arc::clone(series));
        }
        let series = Arc::new(Series::new(Arc::clone(&self.shared), self.definition().labels(&values)?, created));
        // What is to be logged has been.
        series.attach_gated();
        self.insert_gated(table, &series);
        Ok(series)
    }

    fn insert_gated(&self, table: &Table<'_>, series: &Arc<Series>) {
        table.insert(ByValues(Arc::clone(series.labels())), Arc::clone(series));
        Arc::make_mut(&mut self.lock_order()).push(Arc::clone(series));
    }

    /// Removes the series that have each of these values at its place among the label names, in every process that shares
    /// the store: this process's handles of them count nowhere from now on, those of others start a fresh series. No
    /// values at all: every series.
    pub fn remove_where(&self, wanted: &[(usize, &str)]) {
        let matches = |values: &[Box<str>]| {
            wanted.iter().all(|(place, value)| values.get(*place).is_some_and(|known| **known == **value))
        };
        let _gate = fork::gate();
        Arc::make_mut(&mut self.lock_order()).retain(|series| {
            let removed = matches(series.labels().values());
            if removed {
                series.mark_removed();
                self.series.pin().remove(&ByValues(Arc::clone(series.labels())));
            }
            !removed
        });
        if let Some(store) = self.shared.store().file() {
            store.remove_where(self.definition(), wanted);
        }
    }

    /// Removes the series of exactly these label values, if there is one.
    ///
    /// # Errors
    /// [`Error::Definition`] if there are not as many values as label names.
    pub fn remove<S: AsRef<str>>(&self, values: &[S]) -> Result<(), Error> {
        let labels = self.definition().labels(values)?;
        self.remove_where(&labels.values().iter().map(|value| &**value).enumerate().collect::<Vec<_>>());
        Ok(())
    }

    /// The series that this process knows, in order of creation.
    pub fn list(&self) -> Arc<Vec<Arc<Series>>> {
        let _gate = fork::gate();
        Arc::clone(&self.lock_order())
    }

    /// Starts every series again at zero, in every process that shares the store, with this time as `_created`, in seconds
    /// since the Unix epoch. Those that this process does not know are gone until somebody counts in them.
    pub fn reset_at(&self, created: f64) {
        let notices: Vec<String> = {
            let _gate = fork::gate();
            if let Some(store) = self.shared.store().file() {
                store.remove_where(self.definition(), &[]);
            }
            self.lock_order().iter().filter_map(|series| series.start_again(created)).collect()
        };
        notices.iter().for_each(|notice| log::warn!("{notice}"));
    }

    /// Moves the family to another store; what was counted so far on this process's heap is carried over.
    pub fn use_store(&self, store: Store) {
        let _gate = fork::gate();
        self.shared.is_bounded.store(store.max_series().is_some(), Ordering::Relaxed);
        self.shared.store.store(Arc::new(store));
        for series in self.lock_order().iter() {
            series.attach_gated();
        }
    }

    /// Offers the series that a shared store had no room for to it again, until it refuses one: before a scrape, and at
    /// the end of a process.
    pub fn share(&self) {
        if self.shared.store().file().is_some() {
            let waiting = self.list();
            let _all = waiting.iter().filter(|series| series.is_on_heap()).all(|series| series.share());
        }
    }

    /// The store it counts into.
    pub fn store(&self) -> Store {
        self.shared.store()
    }

    fn lock_order(&self) -> std::sync::MutexGuard<'_, Arc<Vec<Arc<Series>>>> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A family with handles of one type.
///
/// ```
/// let registry = tallymark::Registry::new();
/// let hits = registry.counter("hits", "Page hits.").label_names(["path"]).register()?;
/// hits.with(&["/"])?.inc();
/// assert_eq!(registry.snapshot().families.len(), 1);
/// # Ok::<(), tallymark::Error>(())
/// ```
#[derive(Clone)]
pub struct Family<H> {
    family: Arc<AnyFamily>,
    handle: PhantomData<H>,
}

impl<H: Handle> Family<H> {
    pub(crate) fn new(family: Arc<AnyFamily>) -> Family<H> {
        Family { family, handle: PhantomData }
    }

    /// The handle for these label values; the same series for the same values, in every process of the store.
    ///
    /// # Errors
    /// [`Error::Definition`] if there are not as many values as label names.
    pub fn with<S: AsRef<str>>(&self, values: &[S]) -> Result<H, Error> {
        Ok(H::new(self.family.series(values, clock::unix_seconds)?))
    }

    /// Removes a series, in every process that shares the store.
    ///
    /// # Errors
    /// [`Error::Definition`] if there are not as many values as label names.
    pub fn remove<S: AsRef<str>>(&self, values: &[S]) -> Result<(), Error> {
        self.family.remove(values)
    }

    /// Starts every series again at zero, in every process that shares the store; those that this process does not know
    /// are gone until somebody counts in them.
    pub fn reset(&self) {
        self.family.reset_at(clock::unix_seconds());
    }

    /// Removes every series.
    pub fn clear(&self) {
        self.family.remove_where(&[]);
    }
}

/// A key that is looked up by borrowed label values.
struct ByValues(Arc<Labels>);

struct Values<'a, S>(&'a [S]);

impl Hash for ByValues {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Values(self.0.values()).hash(state);
    }
}

impl<S: AsRef<str>> Hash for Values<'_, S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|value| value.as_ref().hash(state));
    }
}

impl PartialEq for ByValues {
    fn eq(&self, other: &ByValues) -> bool {
        self.0.values() == other.0.values()
    }
}

impl Eq for ByValues {}

impl<S: AsRef<str>> equivalent::Equivalent<ByValues> for Values<'_, S> {
    fn equivalent(&self, key: &ByValues) -> bool {
        self.0.len() == key.0.values().len() && self.0.iter().zip(key.0.values()).all(|(a, b)| a.as_ref() == &**b)
    }
}
