//! A registry: families by name, the store they count into, and what a scrape of them shows.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tallymark_model::encode;
use tallymark_model::name::Escaping;
use tallymark_model::{Family as Model, FamilyBuilder, GaugeMode, Snapshot};

use crate::metric::Handle;
use crate::{AnyFamily, Counter, Error, Family, Gauge, Histogram, Info, StateSet, Store, Summary, gather};

/// Families by name, counting into one store. Cheap to clone; all clones are the same registry.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    store: Store,
    families: Vec<Arc<AnyFamily>>,
}

impl Default for Registry {
    fn default() -> Registry {
        Registry::new()
    }
}

impl Registry {
    /// A registry whose numbers live in this process.
    pub fn new() -> Registry {
        Registry::with_store(Store::Memory)
    }

    /// A registry over the store at `url`: `memory:`, or `file:/path/metrics.tally`.
    ///
    /// # Errors
    /// [`Error::Url`] if the URL says nothing known, [`Error::File`] if the file cannot be used.
    pub fn open(url: &str) -> Result<Registry, Error> {
        Ok(Registry::with_store(Store::open(url)?))
    }

    /// A registry over a store that is open already.
    pub fn with_store(store: Store) -> Registry {
        Registry { inner: Arc::new(Mutex::new(Inner { store, families: Vec::new() })) }
    }

    /// Moves every family to another store. What was counted in this process so far is carried over.
    pub fn use_store(&self, store: Store) {
        let mut inner = self.lock();
        inner.families.iter().for_each(|family| family.use_store(store.clone()));
        inner.store = store;
    }

    /// Starts the definition of a counter.
    pub fn counter(&self, name: &str, help: &str) -> Definition<Counter> {
        self.define(name, help)
    }

    /// Starts the definition of a gauge.
    pub fn gauge(&self, name: &str, help: &str) -> Definition<Gauge> {
        self.define(name, help)
    }

    /// Starts the definition of a histogram.
    pub fn histogram(&self, name: &str, help: &str) -> Definition<Histogram> {
        self.define(name, help)
    }

    /// Starts the definition of a summary.
    pub fn summary(&self, name: &str, help: &str) -> Definition<Summary> {
        self.define(name, help)
    }

    /// Starts the definition of an info.
    pub fn info(&self, name: &str, help: &str) -> Definition<Info> {
        self.define(name, help)
    }

    /// Starts the definition of a state set; the first state is the one at the start.
    pub fn state_set(&self, name: &str, help: &str, states: &[&str]) -> Definition<StateSet> {
        let mut definition = self.define(name, help);
        definition.builder = definition.builder.states(states.iter().copied());
        definition
    }

    /// Adds a family under its own definition.
    ///
    /// # Errors
    /// [`Error::Duplicate`] if a family of this name is registered.
    pub fn register(&self, definition: Model) -> Result<Arc<AnyFamily>, Error> {
        let mut inner = self.lock();
        if inner.families.iter().any(|family| family.definition().name() == definition.name()) {
            return Err(Error::Duplicate(definition.name().to_owned()));
        }
        let family = Arc::new(AnyFamily::new(definition, inner.store.clone()));
        inner.families.push(Arc::clone(&family));
        Ok(family)
    }

    /// A consistent read of every family of this registry and of its store, those that only other processes declare
    /// included.
    pub fn snapshot(&self) -> Snapshot {
        let (families, store) = {
            let inner = self.lock();
            (inner.families.clone(), inner.store.clone())
        };
        let gathered = gather(&families, &[store], true);
        Snapshot { families: gathered.declared.into_iter().chain(gathered.undeclared).collect() }
    }

    /// The snapshot in the text format 0.0.4.
    pub fn text(&self) -> String {
        let mut body = Vec::new();
        encode::text(&self.snapshot(), Escaping::Underscores, &mut body).expect("native metrics can be written");
        String::from_utf8(body).expect("the text format is UTF-8")
    }

    fn define<H>(&self, name: &str, help: &str) -> Definition<H>
    where
        H: Handle,
    {
        Definition { registry: self.clone(), builder: Model::builder(H::KIND, name, help), handle: PhantomData }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A metric being defined; [`register`](Self::register) checks it and makes its family.
pub struct Definition<H> {
    registry: Registry,
    builder: FamilyBuilder,
    handle: PhantomData<H>,
}

impl<H: Handle> Definition<H> {
    /// The label names.
    pub fn label_names<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.builder = self.builder.label_names(names);
        self
    }

    /// The unit, appended to the name unless the name ends in it already.
    pub fn unit(mut self, unit: &str) -> Self {
        self.builder = self.builder.unit(unit);
        self
    }

    /// Checks the definition, adds the family to the registry and, if it has no labels, makes its one series.
    ///
    /// # Errors
    /// [`Error::Definition`] for a name, label, unit or bucket layout that cannot be, [`Error::Duplicate`] for a name
    /// that is taken.
    pub fn register(self) -> Result<Family<H>, Error> {
        let definition = self.builder.build()?;
        let unlabelled = definition.label_names().is_empty();
        let family = Family::new(self.registry.register(definition)?);
        if unlabelled {
            family.with::<&str>(&[])?;
        }
        Ok(family)
    }
}

impl<H: Handle> Definition<H> {
    /// Registers a metric without labels and gives its handle.
    ///
    /// ```
    /// let registry = tallymark::Registry::new();
    /// let jobs = registry.counter("jobs", "Jobs done.").register_one()?;
    /// jobs.inc();
    /// # Ok::<(), tallymark::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`register`](Self::register), and [`Error::Definition`] if the metric has labels.
    pub fn register_one(self) -> Result<H, Error> {
        self.register()?.with::<&str>(&[])
    }
}

impl Definition<Histogram> {
    /// The buckets' upper bounds, ascending; `+Inf` is appended where it is missing.
    pub fn bounds(mut self, bounds: &[f64]) -> Self {
        self.builder = self.builder.bounds(bounds);
        self
    }
}

impl Definition<Gauge> {
    /// How the values of several processes are shown.
    pub fn mode(mut self, mode: GaugeMode) -> Self {
        self.builder = self.builder.mode(mode);
        self
    }
}
