//! What test suites read: `metric._value.get()`.

use pyo3::prelude::*;

/// One number of a metric, as this process has counted it.
///
/// For tests and debugging. With a shared store a scrape shows the total over all processes, not this.
#[pyclass(frozen, module = "tallymark._tallymark")]
pub(crate) struct LocalValue {
    read: Box<dyn Fn() -> f64 + Send + Sync>,
}

impl LocalValue {
    pub(crate) fn new(read: impl Fn() -> f64 + Send + Sync + 'static) -> LocalValue {
        LocalValue { read: Box::new(read) }
    }
}

#[pymethods]
impl LocalValue {
    /// Give the number.
    fn get(&self) -> f64 {
        (self.read)()
    }
}
