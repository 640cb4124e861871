//! The types a family can have, and how a gauge's values of several processes become one.

use std::fmt;

use crate::Error;

/// The type of a family, in OpenMetrics' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
    GaugeHistogram,
    Summary,
    Info,
    StateSet,
    Unknown,
}

impl Kind {
    /// Every type, in the order of their numbers in stores.
    pub const ALL: [Kind; 8] = [
        Kind::Counter,
        Kind::Gauge,
        Kind::Histogram,
        Kind::GaugeHistogram,
        Kind::Summary,
        Kind::Info,
        Kind::StateSet,
        Kind::Unknown,
    ];

    /// The word OpenMetrics has for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::GaugeHistogram => "gaugehistogram",
            Kind::Summary => "summary",
            Kind::Info => "info",
            Kind::StateSet => "stateset",
            Kind::Unknown => "unknown",
        }
    }

    /// The type that OpenMetrics, or the text format's `untyped`, calls by this word.
    pub fn parse(word: &str) -> Option<Kind> {
        if word == "untyped" {
            return Some(Kind::Unknown);
        }
        Kind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The label name that the type writes itself, which a family of the type cannot have.
    pub const fn reserved_label(self) -> Option<&'static str> {
        match self {
            Kind::Histogram | Kind::GaugeHistogram => Some("le"),
            Kind::Summary => Some("quantile"),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the values that several processes hold for one gauge are shown: the official Python client's ten
/// `multiprocess_mode`s, and [`Auto`](GaugeMode::Auto).
///
/// The `Live…` modes leave out processes that have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum GaugeMode {
    /// If any process has set it, the most recently set value, also of a process that has ended; else the sum over
    /// the live processes.
    #[default]
    Auto,
    /// One series per process, with a `pid` label.
    All,
    /// One series per live process, with a `pid` label.
    LiveAll,
    /// The smallest value.
    Min,
    /// The smallest value of the live processes.
    LiveMin,
    /// The greatest value.
    Max,
    /// The greatest value of the live processes.
    LiveMax,
    /// The sum.
    Sum,
    /// The sum over the live processes.
    LiveSum,
    /// The value set last. `inc` and `dec` have no meaning.
    MostRecent,
    /// The value set last by a live process. `inc` and `dec` have no meaning.
    LiveMostRecent,
}

impl GaugeMode {
    /// Every mode, in the order of their numbers in stores.
    pub const ALL: [GaugeMode; 11] = [
        GaugeMode::Auto,
        GaugeMode::All,
        GaugeMode::LiveAll,
        GaugeMode::Min,
        GaugeMode::LiveMin,
        GaugeMode::Max,
        GaugeMode::LiveMax,
        GaugeMode::Sum,
        GaugeMode::LiveSum,
        GaugeMode::MostRecent,
        GaugeMode::LiveMostRecent,
    ];

    /// The official client's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            GaugeMode::Auto => "auto",
            GaugeMode::All => "all",
            GaugeMode::LiveAll => "liveall",
            GaugeMode::Min => "min",
            GaugeMode::LiveMin => "livemin",
            GaugeMode::Max => "max",
            GaugeMode::LiveMax => "livemax",
            GaugeMode::Sum => "sum",
            GaugeMode::LiveSum => "livesum",
            GaugeMode::MostRecent => "mostrecent",
            GaugeMode::LiveMostRecent => "livemostrecent",
        }
    }

    /// Whether only `set` has a meaning.
    pub const fn is_most_recent(self) -> bool {
        matches!(self, GaugeMode::MostRecent | GaugeMode::LiveMostRecent)
    }
}

impl std::str::FromStr for GaugeMode {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        GaugeMode::ALL.into_iter().find(|mode| mode.as_str() == word).ok_or_else(|| Error::UnknownMode(word.to_owned()))
    }
}
