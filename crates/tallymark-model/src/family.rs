//! A family: what a metric is called, what type it has, and which series it can have.

use std::borrow::Cow;

use crate::{Error, GaugeMode, Kind, Labels, checked_bounds, name, number};

/// The definition of a metric, checked and immutable.
///
/// A counter's name is kept without `_total`, as OpenMetrics names families.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    kind: Kind,
    name: Box<str>,
    help: Box<str>,
    unit: Box<str>,
    label_names: Box<[Box<str>]>,
    sorted_labels: Box<[usize]>,
    legacy_names: bool,
    bounds: Box<[f64]>,
    le: Box<[Box<str>]>,
    states: Box<[Box<str>]>,
    mode: GaugeMode,
    sum_first: bool,
    bare: bool,
}

impl Family {
    /// Starts the definition of a family.
    ///
    /// ```
    /// use tallymark_model::{Family, Kind};
    /// let family = Family::builder(Kind::Counter, "requests_total", "Requests answered.")
    ///     .namespace("shop")
    ///     .label_names(["method"])
    ///     .build()?;
    /// assert_eq!(family.name(), "shop_requests");
    /// # Ok::<(), tallymark_model::Error>(())
    /// ```
    pub fn builder(kind: Kind, name: impl Into<String>, help: impl Into<String>) -> FamilyBuilder {
        FamilyBuilder {
            kind,
            name: name.into(),
            help: help.into(),
            namespace: String::new(),
            subsystem: String::new(),
            unit: String::new(),
            label_names: Vec::new(),
            bounds: None,
            states: Vec::new(),
            mode: GaugeMode::default(),
            legacy: false,
        }
    }

    /// The same family with fewer bounds: those that several layouts of one histogram share.
    pub fn with_bounds(&self, bounds: &[f64]) -> Family {
        let le = bounds.iter().map(|bound| number::format(*bound).into()).collect();
        Family { bounds: bounds.into(), le, ..self.clone() }
    }

    /// The same histogram, written with its sum before the buckets and the count behind them; its samples mean the same.
    ///
    /// ```
    /// use tallymark_model::{Family, Kind};
    /// let latency = Family::builder(Kind::Histogram, "latency", "Seconds.").bounds([0.1, 1.0]).build()?;
    /// assert_ne!(latency.with_sum_first(), latency);
    /// # Ok::<(), tallymark_model::Error>(())
    /// ```
    pub fn with_sum_first(&self) -> Family {
        Family { sum_first: true, ..self.clone() }
    }

    /// Whether a histogram's sum is written before its buckets.
    pub(crate) fn has_sum_first(&self) -> bool {
        self.sum_first
    }

    /// The same state set with the states that `other` has besides; `None` if there are none.
    pub fn with_states_of(&self, other: &Family) -> Option<Family> {
        let more: Vec<Box<str>> = other.states.iter().filter(|state| !self.states.contains(state)).cloned().collect();
        let states = self.states.iter().cloned().chain(more.iter().cloned()).collect();
        (!more.is_empty()).then(|| Family { states, ..self.clone() })
    }

    /// Where `other` has each of this family's label names: `None` unless both have the same ones, in whatever order.
    pub fn label_permutation(&self, other: &Family) -> Option<Vec<usize>> {
        if self.label_names.len() != other.label_names.len() {
            return None;
        }
        self.label_names.iter().map(|name| other.label_names.iter().position(|known| known == name)).collect()
    }

    /// A family as a custom collector describes it: nothing is checked or appended, as the official client does.
    pub fn described(kind: Kind, name: &str, help: &str, unit: &str) -> Family {
        Family {
            kind,
            name: name.into(),
            help: help.into(),
            unit: unit.into(),
            label_names: [].into(),
            sorted_labels: [].into(),
            legacy_names: name::is_legacy_metric(name),
            bounds: [].into(),
            le: [].into(),
            states: [].into(),
            mode: GaugeMode::default(),
            sum_first: false,
            bare: false,
        }
    }

    /// A family as the text format and protobuf name it, where a counter may be without `_total`: it is then
    /// [bare](Self::is_bare).
    ///
    /// ```
    /// use tallymark_model::{Family, Kind};
    /// let (hits, jobs) = (Family::named(Kind::Counter, "hits_total", ""), Family::named(Kind::Counter, "jobs", ""));
    /// assert_eq!((hits.name(), hits.is_bare()), ("hits", false));
    /// assert_eq!((jobs.name(), jobs.is_bare()), ("jobs", true));
    /// assert_eq!((&*hits.text_name(), &*jobs.text_name()), ("hits_total", "jobs"));
    /// assert!(Family::named(Kind::Counter, "_total", "").is_bare());
    /// ```
    pub fn named(kind: Kind, name: &str, help: &str) -> Family {
        if kind != Kind::Counter {
            return Family::described(kind, name, help, "");
        }
        match name.strip_suffix("_total") {
            Some(stem) if !stem.is_empty() => Family::described(kind, stem, help, ""),
            _ => Family { bare: true, ..Family::described(kind, name, help, "") },
        }
    }

    /// Whether this is a counter whose samples are called as the family is, without `_total`. OpenMetrics, which knows
    /// no such counters, has them with the suffix.
    pub fn is_bare(&self) -> bool {
        self.bare
    }

    /// The same family, described with another unit or none; its name stays.
    pub(crate) fn with_unit(&self, unit: &str) -> Family {
        Family { bare: self.bare, ..Family::described(self.kind, &self.name, &self.help, unit) }
    }

    /// The same family with another help text and unit; its name stays.
    pub(crate) fn with_texts(&self, help: &str, unit: &str) -> Family {
        Family { help: help.into(), unit: unit.into(), ..self.clone() }
    }

    /// What the text format and protobuf call the family: with the suffix that the samples of a counter or an info have.
    pub fn text_name(&self) -> Cow<'_, str> {
        match self.own_suffix() {
            "" => Cow::Borrowed(&self.name),
            suffix => Cow::Owned(format!("{}{suffix}", self.name)),
        }
    }

    /// The suffix of a type that has one series only: it belongs to the name, and is escaped with it.
    pub(crate) fn own_suffix(&self) -> &'static str {
        match self.kind {
            Kind::Counter if !self.bare => "_total",
            Kind::Info => "_info",
            _ => "",
        }
    }

    /// The type.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The name, unit included, without a type's suffix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The help text.
    pub fn help(&self) -> &str {
        &self.help
    }

    /// The unit, or nothing.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// The label names, in the order of definition.
    pub fn label_names(&self) -> &[Box<str>] {
        &self.label_names
    }

    /// Indexes into [`label_names`](Self::label_names), sorted by name; of two labels of one name, the later one.
    pub fn sorted_labels(&self) -> &[usize] {
        &self.sorted_labels
    }

    /// Whether the name and every label name are legacy ones, which every format writes as they are.
    pub fn has_legacy_names(&self) -> bool {
        self.legacy_names
    }

    /// A histogram's upper bounds, ascending, `+Inf` last; empty for other types.
    pub fn bounds(&self) -> &[f64] {
        &self.bounds
    }

    /// The bounds as label values.
    pub fn le(&self) -> &[Box<str>] {
        &self.le
    }

    /// A state set's states; empty for other types.
    pub fn states(&self) -> &[Box<str>] {
        &self.states
    }

    /// How a gauge's values of several processes are shown.
    pub fn mode(&self) -> GaugeMode {
        self.mode
    }

    /// The index of `state` among the states.
    pub fn state(&self, state: &str) -> Result<usize, Error> {
        self.states
            .iter()
            .position(|known| &**known == state)
            .ok_or_else(|| Error::UnknownState { family: self.name.to_string(), state: state.to_owned() })
    }

    /// The index of the bucket that counts an observation of `amount`; `None` for NaN, which no bucket counts.
    pub fn bucket(&self, amount: f64) -> Option<usize> {
        if amount.is_nan() {
            return None;
        }
        // A short list is faster to walk without a branch per bound than to search.
        let index = if self.bounds.len() <= 32 {
            self.bounds.iter().map(|bound| usize::from(*bound < amount)).sum()
        } else {
            self.bounds.partition_point(|bound| *bound < amount)
        };
        Some(index)
    }

    /// Label values for a series of this family.
    ///
    /// # Errors
    /// [`Error::LabelCount`] if there are not as many values as label names.
    pub fn labels<S: AsRef<str>>(&self, values: &[S]) -> Result<Labels, Error> {
        Labels::new(self, values)
    }
}

/// Collects the parts of a [`Family`]; [`build`](Self::build) checks them.
#[derive(Debug, Clone)]
pub struct FamilyBuilder {
    kind: Kind,
    name: String,
    help: String,
    namespace: String,
    subsystem: String,
    unit: String,
    label_names: Vec<String>,
    bounds: Option<Vec<f64>>,
    states: Vec<String>,
    mode: GaugeMode,
    legacy: bool,
}

impl FamilyBuilder {
    /// Puts `namespace_` before the name.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Puts `subsystem_` between namespace and name.
    pub fn subsystem(mut self, subsystem: impl Into<String>) -> Self {
        self.subsystem = subsystem.into();
        self
    }

    /// The unit, appended to the name unless the name ends in it already.
    pub fn unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = unit.into();
        self
    }

    /// The label names.
    pub fn label_names<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.label_names = names.into_iter().map(Into::into).collect();
        self
    }

    /// A histogram's upper bounds; [`DEFAULT_BOUNDS`](crate::DEFAULT_BOUNDS) where none are given.
    pub fn bounds(mut self, bounds: impl Into<Vec<f64>>) -> Self {
        self.bounds = Some(bounds.into());
        self
    }

    /// A state set's states, the default one first.
    pub fn states<S: Into<String>>(mut self, states: impl IntoIterator<Item = S>) -> Self {
        self.states = states.into_iter().map(Into::into).collect();
        self
    }

    /// How a gauge's values of several processes are shown.
    pub fn mode(mut self, mode: GaugeMode) -> Self {
        self.mode = mode;
        self
    }

    /// Accepts only names of Prometheus before 3.0: ASCII letters, digits, underscore (and colon in metric names).
    pub fn legacy(mut self, legacy: bool) -> Self {
        self.legacy = legacy;
        self
    }

    /// Checks the parts and makes the family.
    ///
    /// # Errors
    /// What [`Error`] lists for names, labels, units, bounds and states.
    pub fn build(self) -> Result<Family, Error> {
        // The order of the checks is the official client's: of two mistakes both name the same one.
        let (mut bounds, mut states) = (Vec::new(), Vec::new());
        match self.kind {
            Kind::Histogram => bounds = checked_bounds(self.bounds.as_deref().unwrap_or(&crate::DEFAULT_BOUNDS))?,
            Kind::StateSet if self.label_names.contains(&self.name) => {
                return Err(Error::OverlappingLabels { kind: "Enum", name: self.name });
            }
            Kind::StateSet if self.states.is_empty() => return Err(Error::NoStates(self.name)),
            Kind::StateSet => states = self.states.clone(),
            _ => {}
        }
        let name = self.full_name()?;
        for label in &self.label_names {
            name::check_label(label, self.legacy)?;
            if Some(&**label) == self.kind.reserved_label() {
                return Err(Error::ReservedLabelName(label.clone()));
            }
        }
        name::check_metric(&name, self.legacy)?;
        if self.kind == Kind::StateSet && self.label_names.contains(&name) {
            return Err(Error::OverlappingLabels { kind: "Enum", name });
        }
        let mut sorted: Vec<usize> = (0..self.label_names.len()).collect();
        sorted.sort_by(|a, b| self.label_names[*a].cmp(&self.label_names[*b]));
        // The sort is stable: of equal names the later one comes last, and is the one to keep.
        sorted.dedup_by(|later, earlier| {
            let same = self.label_names[*later] == self.label_names[*earlier];
            if same {
                *earlier = *later;
            }
            same
        });
        let legacy_names =
            name::is_legacy_metric(&name) && self.label_names.iter().all(|label| name::is_legacy_label(label));
        Ok(Family {
            kind: self.kind,
            name: name.into(),
            help: self.help.into(),
            unit: self.unit.into(),
            label_names: self.label_names.into_iter().map(Into::into).collect(),
            sorted_labels: sorted.into(),
            legacy_names,
            le: bounds.iter().map(|bound| number::format(*bound).into()).collect(),
            bounds: bounds.into(),
            states: states.into_iter().map(Into::into).collect(),
            mode: self.mode,
            sum_first: false,
            bare: false,
        })
    }

    fn full_name(&self) -> Result<String, Error> {
        if self.name.is_empty() {
            return Err(Error::EmptyName);
        }
        let mut name = String::new();
        for part in [&self.namespace, &self.subsystem] {
            if !part.is_empty() {
                name.push_str(part);
                name.push('_');
            }
        }
        name.push_str(&self.name);
        if self.kind == Kind::Counter
            && let Some(stem) = name.strip_suffix("_total")
        {
            name.truncate(stem.len());
        }
        if !self.unit.is_empty() {
            if !name.ends_with(&format!("_{}", self.unit)) {
                name.push('_');
                name.push_str(&self.unit);
            }
            if matches!(self.kind, Kind::Info | Kind::StateSet) {
                return Err(Error::UnitNotAllowed(name));
            }
        }
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(builder: FamilyBuilder) -> Error {
        builder.build().expect_err("the definition is accepted")
    }

    #[test]
    fn of_two_mistakes_the_official_client_s_first_is_named() {
        let counter = || Family::builder(Kind::Counter, "a.b", "").legacy(true);
        let histogram = || Family::builder(Kind::Histogram, "", "").bounds([2.0, 1.0]);
        let states = || Family::builder(Kind::StateSet, "s", "").namespace("n").label_names(["s"]);
        for (builder, error) in [
            (counter().label_names(["x.y"]), Error::InvalidLabelName("x.y".into())),
            (counter().label_names(["__x"]), Error::ReservedLabelName("__x".into())),
            (counter().label_names(["x"]), Error::InvalidName("a.b".into())),
            (histogram().label_names(["le"]), Error::BoundsNotSorted),
            (histogram().bounds([1.0]).label_names(["le"]), Error::EmptyName),
            (states(), Error::OverlappingLabels { kind: "Enum", name: "s".into() }),
            (states().label_names(["__x"]).unit("u"), Error::NoStates("s".into())),
            (states().label_names(["__x"]).states(["on"]).unit("u"), Error::UnitNotAllowed("n_s_u".into())),
            (
                states().label_names(["n_s"]).states(["on"]),
                Error::OverlappingLabels { kind: "Enum", name: "n_s".into() },
            ),
            (Family::builder(Kind::Counter, "_total", ""), Error::Nameless),
        ] {
            assert_eq!(refused(builder), error);
        }
    }

    #[test]
    fn a_type_keeps_its_own_label_for_itself() {
        for (kind, label) in [(Kind::Histogram, "le"), (Kind::Summary, "quantile")] {
            assert_eq!(
                refused(Family::builder(kind, "x", "").label_names([label])),
                Error::ReservedLabelName(label.into())
            );
        }
        assert!(Family::builder(Kind::Counter, "x", "").label_names(["le", "quantile"]).build().is_ok());
    }

    #[test]
    fn a_unit_is_appended_once_and_total_not_at_all() {
        for (kind, name, unit, full) in [
            (Kind::Counter, "latency_seconds_total", "seconds", "n_latency_seconds"),
            (Kind::Counter, "latency_total", "seconds", "n_latency_seconds"),
            (Kind::Gauge, "latency_total", "", "n_latency_total"),
            (Kind::Gauge, "seconds", "seconds", "n_seconds"),
        ] {
            let family = Family::builder(kind, name, "").namespace("n").unit(unit).build().unwrap();

            assert_eq!(family.name(), full);
        }
    }

    #[test]
    fn a_bucket_counts_what_is_not_above_its_bound() {
        let many: Vec<f64> = (0..100).map(f64::from).collect();
        for bounds in [vec![0.0, 1.0, 2.0], many] {
            let family = Family::builder(Kind::Histogram, "h", "").bounds(bounds).build().unwrap();
            let last = family.bounds().len() - 1;
            for (amount, bucket) in [
                (-1.0, Some(0)),
                (0.0, Some(0)),
                (0.5, Some(1)),
                (1.0, Some(1)),
                (1e9, Some(last)),
                (f64::INFINITY, Some(last)),
                (f64::NAN, None),
            ] {
                assert_eq!(family.bucket(amount), bucket, "{amount}");
            }
        }
    }

    #[test]
    fn labels_are_sorted_and_of_two_of_one_name_the_later_stays() {
        let family = Family::builder(Kind::Gauge, "g", "").label_names(["b", "a", "b"]).build().unwrap();

        assert_eq!(family.sorted_labels(), [1, 2]);
        assert_eq!(family.labels(&["1", "2", "3"]).unwrap().text(), r#"a="2",b="3""#);
    }
}
