//! What `__init__` is called with, for all six classes: checked, made a family, registered.
//!
//! A child of a Python subclass is made by calling the subclass, as the official client does, and its `__init__` ends here
//! too. That it belongs to the family of its parent is passed beside the arguments, by [`adopt`].

use std::cell::RefCell;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pyo3::Borrowed;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tallymark::model::{Family, FamilyBuilder, Kind};
use tallymark::{AnyFamily, Store};

use super::{Declared, Metric, MetricWrapperBase, State, identity, overrides};
use crate::late::Counting;
use crate::{error, late, store};

/// What the metric was made with, kept for its children and for those who look.
pub(crate) struct Arguments {
    pub(crate) name: Box<str>,
    pub(crate) namespace: Box<str>,
    pub(crate) subsystem: Box<str>,
    pub(crate) label_names: Py<PyTuple>,
    pub(crate) kwargs: Py<PyDict>,
    /// Whether children are made without running `__init__`: the class is one of ours and no subclass.
    pub(crate) is_plain: bool,
    /// Whether Python says what its samples are: a subclass, or the objects that count.
    pub(crate) overrides: bool,
    /// Whether objects of `tallymark.values.ValueClass` count, which somebody has replaced.
    pub(crate) has_objects: bool,
}

/// The argument `registry`.
pub(crate) enum RegistryArgument<'py> {
    /// Not given: the default registry, looked up when it is needed.
    Default,
    /// Given; None for no registry.
    Given(Bound<'py, PyAny>),
}

impl<'py> FromPyObject<'_, 'py> for RegistryArgument<'py> {
    type Error = Infallible;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> Result<Self, Infallible> {
        Ok(RegistryArgument::Given(object.to_owned()))
    }
}

/// The arguments that all classes have.
pub(crate) struct Definition<'a, 'py> {
    pub(crate) name: String,
    pub(crate) documentation: String,
    pub(crate) labelnames: Option<&'a Bound<'py, PyAny>>,
    pub(crate) namespace: Option<String>,
    pub(crate) subsystem: Option<String>,
    pub(crate) unit: Option<String>,
    pub(crate) registry: RegistryArgument<'py>,
    pub(crate) labelvalues: Option<&'a Bound<'py, PyAny>>,
}

impl<'py> Definition<'_, 'py> {
    /// Makes the metric of it.
    ///
    /// `details` adds what the class has beside the common arguments, `kwargs` is the same for children of a subclass.
    /// Nothing is left behind if something is refused.
    pub(crate) fn init<M: Metric>(
        self,
        metric: &Bound<'py, M>,
        kind: Kind,
        kwargs: Bound<'py, PyDict>,
        details: impl FnOnce(FamilyBuilder) -> FamilyBuilder,
    ) -> PyResult<()> {
        let base = metric.as_any().cast::<MetricWrapperBase>()?;
        let class = base.get_type();
        let is_plain = class.is(metric.py().get_type::<M>());
        let is_native = is_plain || !overrides(&class)?;
        self.init_base(base, kind, kwargs, (is_plain, is_native), details)?;
        let state = base.get().state()?;
        // Last: a metric whose registration was refused must not leave a series in a store that others share.
        if !state.arguments.overrides && state.children().is_none() {
            super::handle(metric)?;
        }
        Ok(())
    }

    /// The same, but for the series of a metric that has no children.
    pub(crate) fn init_base(
        self,
        base: &Bound<'py, MetricWrapperBase>,
        kind: Kind,
        kwargs: Bound<'py, PyDict>,
        (is_plain, is_native): (bool, bool),
        details: impl FnOnce(FamilyBuilder) -> FamilyBuilder,
    ) -> PyResult<()> {
        let py = base.py();
        let label_names = texts(self.labelnames)?;
        let values = texts(self.labelvalues)?;
        let counting = late::counting(py, kind)?;
        let has_objects = matches!(counting, Counting::ByObjects);
        let arguments = Arguments {
            name: self.name.as_str().into(),
            namespace: self.namespace.as_deref().unwrap_or_default().into(),
            subsystem: self.subsystem.as_deref().unwrap_or_default().into(),
            label_names: PyTuple::new(py, &label_names)?.unbind(),
            kwargs: kwargs.unbind(),
            is_plain,
            overrides: has_objects || !is_native,
            has_objects,
        };
        let builder = Family::builder(kind, self.name, self.documentation)
            .namespace(&*arguments.namespace)
            .subsystem(&*arguments.subsystem)
            .unit(self.unit.unwrap_or_default())
            .label_names(label_names)
            .legacy(late::legacy_names(py)?);
        let definition = details(builder).build().map_err(error::refused)?;

        let declared = adopted(&definition, &values);
        let (arguments, identify) = (Arc::new(arguments), counting.identify());
        let declared = match declared {
            Some(declared) => declared,
            None => Arc::new(Declared::new(match &counting {
                Counting::Natively => store::family(py, definition),
                Counting::InMemory | Counting::ByObjects => Arc::new(AnyFamily::new(definition, Store::Memory)),
                Counting::As(identify) => {
                    let identity = identity(identify)?;
                    match store::family_of(py, definition.clone(), &identity) {
                        Some(family) => {
                            store::follow(&family);
                            family
                        }
                        None => store::family(py, definition),
                    }
                }
            })),
        };
        if has_objects {
            declared.has_objects.store(true, Ordering::Relaxed);
        }
        let definition = declared.family.definition();
        let is_child = !values.is_empty();
        let is_parent = !is_child && !definition.label_names().is_empty();
        let labels = match is_parent {
            true => None,
            false => Some(Arc::new(definition.labels(&values).map_err(error::refused)?)),
        };
        let has_overrides = arguments.overrides;
        base.get().set_state(State::new(declared, arguments, labels, identify))?;
        if has_overrides && !is_parent {
            base.call_method0("_metric_init")?;
        }
        if !is_child {
            register(base, self.registry)?;
        }
        Ok(())
    }
}

fn register(metric: &Bound<'_, MetricWrapperBase>, registry: RegistryArgument<'_>) -> PyResult<()> {
    let py = metric.py();
    let registry = match registry {
        RegistryArgument::Default => late::default_registry(py)?,
        RegistryArgument::Given(registry) => registry,
    };
    if registry.is_truthy()? {
        registry.call_method1("register", (metric,))?;
    }
    Ok(())
}

/// The texts of an iterable of strings; none of None.
pub(crate) fn texts(iterable: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<String>> {
    let Some(iterable) = iterable else { return Ok(Vec::new()) };
    iterable.try_iter()?.map(|item| item?.extract()).collect()
}

/// A child that is being made by its parent.
struct Adoption {
    declared: Arc<Declared>,
    values: Vec<String>,
}

thread_local! {
    /// The innermost one last: an `__init__` may make children of other metrics.
    static ADOPTIONS: RefCell<Vec<Adoption>> = const { RefCell::new(Vec::new()) };
}

/// Makes the child of a Python subclass by calling the subclass.
pub(crate) fn adopt(
    parent: &Bound<'_, MetricWrapperBase>,
    state: &State,
    values: &[&str],
) -> PyResult<Py<MetricWrapperBase>> {
    struct Ended;
    impl Drop for Ended {
        fn drop(&mut self) {
            ADOPTIONS.with_borrow_mut(|adoptions| drop(adoptions.pop()));
        }
    }

    let py = parent.py();
    let arguments = &state.arguments;
    let definition = state.declared.family.definition();
    let kwargs = arguments.kwargs.bind(py).copy()?;
    kwargs.set_item("documentation", definition.help())?;
    kwargs.set_item("labelnames", arguments.label_names.bind(py))?;
    kwargs.set_item("namespace", &*arguments.namespace)?;
    kwargs.set_item("subsystem", &*arguments.subsystem)?;
    kwargs.set_item("unit", definition.unit())?;
    kwargs.set_item("_labelvalues", PyTuple::new(py, values)?)?;

    let values = values.iter().map(|value| (*value).to_owned()).collect();
    let adoption = Adoption { declared: Arc::clone(&state.declared), values };
    ADOPTIONS.with_borrow_mut(|adoptions| adoptions.push(adoption));
    let _ended = Ended;
    let child = parent.get_type().call((&*arguments.name,), Some(&kwargs))?.cast_into::<MetricWrapperBase>()?;
    child.get().state()?;
    Ok(child.unbind())
}

/// The parent's part of the child that is being made, if it is this one.
fn adopted(definition: &Family, values: &[String]) -> Option<Arc<Declared>> {
    ADOPTIONS.with_borrow(|adoptions| {
        let adoption = adoptions.last()?;
        let known = adoption.declared.family.definition();
        let is_it = known.name() == definition.name() && known.kind() == definition.kind() && adoption.values == values;
        is_it.then(|| Arc::clone(&adoption.declared))
    })
}
