//! The metric types: thin handles over a series.

mod counter;
mod gauge;
mod histogram;
mod info;
mod state_set;
mod summary;
mod timer;

use std::sync::Arc;

use tallymark_model::Kind;

pub use counter::Counter;
pub use gauge::Gauge;
pub use histogram::Histogram;
pub use info::Info;
pub use state_set::StateSet;
pub use summary::Summary;
pub use timer::Timer;

use crate::Series;

/// A metric type: a handle that holds one series.
pub trait Handle: Clone {
    /// The type of the families it belongs to.
    const KIND: Kind;

    /// A handle of the series, which belongs to a family of that type.
    fn new(series: Arc<Series>) -> Self;

    /// The series.
    fn series(&self) -> &Arc<Series>;
}

/// Implements [`Handle`] for a struct with the one field `series`.
macro_rules! handle {
    ($name:ident) => {
        impl super::Handle for $name {
            const KIND: tallymark_model::Kind = tallymark_model::Kind::$name;

            fn new(series: std::sync::Arc<crate::Series>) -> $name {
                debug_assert_eq!(series.definition().kind(), Self::KIND);
                $name { series }
            }

            fn series(&self) -> &std::sync::Arc<crate::Series> {
                &self.series
            }
        }
    };
}
pub(crate) use handle;
