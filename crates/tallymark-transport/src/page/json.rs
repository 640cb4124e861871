//! A snapshot as JSON, for the page and for scripts.
//!
//! One object a series, with what its type has under one name each, so that nobody who reads it has to put `_bucket`,
//! `_sum` and `_count` together again. `docs/page.md` describes it field by field.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use tallymark_model::number::Number;
use tallymark_model::{Exemplar, Family, FamilySnapshot, Kind, NativeHistogram, Sample, Snapshot};

use super::native;

/// Writes the families of `snapshot` as JSON; `now` is when it was taken, in seconds since the Unix epoch.
///
/// Series come sorted by their labels. Whole numbers have no point; `"NaN"`, `"+Inf"` and `"-Inf"`, which JSON has no
/// numbers for, are strings.
///
/// ```
/// use tallymark_model::Snapshot;
/// use tallymark_transport::page::families_json;
/// assert_eq!(families_json(&Snapshot::default(), 12.5), br#"{"time":12.5,"families":[]}"#);
/// ```
pub fn families_json(snapshot: &Snapshot, now: f64) -> Vec<u8> {
    let families = snapshot.families.iter().map(FamilyJson::of).collect();
    let document = Document { time: Float(now), families };
    // All keys are strings and nothing is read while this writes, so there is nothing to fail.
    serde_json::to_vec(&document).unwrap_or_default()
}

#[derive(Serialize)]
struct Document<'a> {
    time: Float,
    families: Vec<FamilyJson<'a>>,
}

#[derive(Serialize)]
struct FamilyJson<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    help: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    unit: &'a str,
    series: Vec<Series>,
}

#[derive(Serialize, Default)]
struct Series {
    /// The sample's name, where it is not what the type has.
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<String>,
    #[serde(serialize_with = "object")]
    labels: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Float>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<Float>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sum: Option<Float>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    buckets: Vec<(Float, Float)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    quantiles: Vec<(Float, Float)>,
    #[serde(serialize_with = "object", skip_serializing_if = "Vec::is_empty")]
    states: Vec<(String, Float)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<Float>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Float>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exemplars: Vec<ExemplarJson>,
}

#[derive(Serialize)]
struct ExemplarJson {
    #[serde(serialize_with = "object")]
    labels: Vec<(String, String)>,
    value: Float,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Float>,
}

impl FamilyJson<'_> {
    fn of(snapshot: &FamilySnapshot) -> FamilyJson<'_> {
        let family = &*snapshot.family;
        let mut series: Vec<Series> = Vec::new();
        for sample in snapshot.samples() {
            let one = Series::of(family, sample);
            // Most samples of a series follow each other.
            match series.last_mut() {
                Some(last) if last.is(&one) => last.absorb(one),
                _ => series.push(one),
            }
        }
        series.sort_by(|one, other| (&one.labels, &one.sample).cmp(&(&other.labels, &other.sample)));
        series.dedup_by(|later, earlier| {
            let same = earlier.is(later);
            if same {
                earlier.absorb(std::mem::take(later));
            }
            same
        });
        FamilyJson {
            name: family.name(),
            kind: family.kind().as_str(),
            help: family.help(),
            unit: family.unit(),
            series,
        }
    }
}

impl Series {
    /// A series with the one thing that a sample says.
    fn of(family: &Family, mut sample: Sample) -> Series {
        let mut series = Series { labels: std::mem::take(&mut sample.labels), ..Series::default() };
        series.time = sample.timestamp.map(|time| Float(time.seconds()));
        series.exemplars.extend(sample.exemplar.take().map(ExemplarJson::of));
        if let Some(native) = sample.native_histogram.take() {
            series.put_native(*native);
        } else if !series.put(family, &sample) {
            series.value = Some(Float(sample.value));
            series.sample = Some(sample.name);
        }
        series.labels.sort();
        series
    }

    /// Puts the sample's value where its suffix says that it belongs, if the type has such a suffix.
    fn put(&mut self, family: &Family, sample: &Sample) -> bool {
        let value = Float(sample.value);
        match (family.kind(), sample.name.strip_prefix(family.name()).unwrap_or("?")) {
            (Kind::Counter, "_total") | (Kind::Gauge | Kind::Unknown, "") | (Kind::Info, "_info") => {
                self.value = Some(value);
            }
            (Kind::Counter | Kind::Summary | Kind::Histogram, "_created") => self.created = Some(value),
            (Kind::Summary | Kind::Histogram, "_count") | (Kind::GaugeHistogram, "_gcount") => self.count = Some(value),
            (Kind::Summary | Kind::Histogram, "_sum") | (Kind::GaugeHistogram, "_gsum") => self.sum = Some(value),
            (Kind::Histogram | Kind::GaugeHistogram, "_bucket") => {
                let Some(bound) = self.take("le", number) else { return false };
                self.buckets.push((bound, value));
            }
            (Kind::Summary, "") => {
                let Some(rank) = self.take("quantile", number) else { return false };
                self.quantiles.push((rank, value));
            }
            (Kind::StateSet, "") => {
                let Some(state) = self.take(family.name(), |state| Some(state.to_owned())) else { return false };
                self.states.push((state, value));
            }
            _ => return false,
        }
        true
    }

    fn put_native(&mut self, native: NativeHistogram) {
        self.count = Some(Float(native.count.as_f64()));
        self.sum = Some(Float(native.sum.as_f64()));
        self.buckets =
            native::buckets(&native).into_iter().map(|(bound, count)| (Float(bound), Float(count))).collect();
        self.exemplars.extend(native.exemplars.into_iter().map(ExemplarJson::of));
    }

    fn is(&self, other: &Series) -> bool {
        self.labels == other.labels && self.sample == other.sample
    }

    /// Takes over what another sample of the same series says.
    fn absorb(&mut self, other: Series) {
        self.value = self.value.or(other.value);
        self.count = self.count.or(other.count);
        self.sum = self.sum.or(other.sum);
        self.created = self.created.or(other.created);
        self.time = self.time.or(other.time);
        self.buckets.extend(other.buckets);
        self.quantiles.extend(other.quantiles);
        self.states.extend(other.states);
        self.exemplars.extend(other.exemplars);
    }

    /// Takes a label off, if it is there and its value can be read.
    fn take<T>(&mut self, label: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let index = self.labels.iter().position(|(name, _)| name == label)?;
        let value = self.labels.get(index).and_then(|(_, value)| read(value))?;
        self.labels.remove(index);
        Some(value)
    }
}

impl ExemplarJson {
    fn of(exemplar: Exemplar) -> ExemplarJson {
        let time = exemplar.timestamp.map(|time| Float(time.seconds()));
        ExemplarJson { labels: exemplar.labels, value: Float(exemplar.value), time }
    }
}

fn number(text: &str) -> Option<Float> {
    Number::parse(text).map(|number| Float(number.as_f64()))
}

/// Writes pairs as an object, in their order.
fn object<S: Serializer, V: Serialize>(pairs: &[(String, V)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(pairs.len()))?;
    for (name, value) in pairs {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

/// A number as JSON can say it.
#[derive(Debug, Clone, Copy)]
struct Float(f64);

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// Whole numbers up to here are exact.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match self.0 {
            number if number.is_nan() => serializer.serialize_str("NaN"),
            f64::INFINITY => serializer.serialize_str("+Inf"),
            f64::NEG_INFINITY => serializer.serialize_str("-Inf"),
            // CAST: whole and small enough.
            number if number.trunc() == number && number.abs() <= EXACT => serializer.serialize_i64(number as i64),
            number => serializer.serialize_f64(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::sync::Arc;
    use tallymark_model::{Body, parse};

    fn families(exposition: &str) -> Value {
        let families = parse::openmetrics(exposition).map(|family| family.unwrap().into());
        let snapshot = Snapshot { families: families.collect() };
        let document: Value = serde_json::from_slice(&families_json(&snapshot, 1.0)).unwrap();
        document["families"].clone()
    }

    /// The series of an exposition's only family.
    fn series(exposition: &str) -> Value {
        families(exposition)[0]["series"].clone()
    }

    #[test]
    fn a_family_has_what_its_metadata_says() {
        let metadata =
            "# TYPE wait_seconds gauge\n# UNIT wait_seconds seconds\n# HELP wait_seconds How \"long\".\n# EOF\n";

        assert_eq!(
            json!([{"name": "wait_seconds", "type": "gauge", "help": "How \"long\".", "unit": "seconds", "series": []}]),
            families(metadata)
        );
    }

    #[test]
    fn the_samples_of_a_series_are_one_object() {
        for (exposition, expected) in [
            (
                "# TYPE a counter\na_total{b=\"c\"} 3 # {trace=\"x\"} 1.5 12\na_created{b=\"c\"} 1.5\n# EOF\n",
                json!([{
                    "labels": {"b": "c"}, "value": 3, "created": 1.5,
                    "exemplars": [{"labels": {"trace": "x"}, "value": 1.5, "time": 12}],
                }]),
            ),
            (
                "# TYPE a histogram\na_bucket{le=\"0.5\"} 1\na_bucket{le=\"+Inf\"} 2\na_count 2\na_sum 7.25\n# EOF\n",
                json!([{"labels": {}, "count": 2, "sum": 7.25, "buckets": [[0.5, 1], ["+Inf", 2]]}]),
            ),
            (
                "# TYPE a summary\na{quantile=\"0.5\"} 4\na_count 9\na_sum 20\n# EOF\n",
                json!([{"labels": {}, "count": 9, "sum": 20, "quantiles": [[0.5, 4]]}]),
            ),
            (
                "# TYPE a stateset\na{a=\"on\"} 1\na{a=\"off\"} 0\n# EOF\n",
                json!([{"labels": {}, "states": {"on": 1, "off": 0}}]),
            ),
            ("# TYPE a info\na_info{v=\"2\"} 1\n# EOF\n", json!([{"labels": {"v": "2"}, "value": 1}])),
            ("# TYPE a gauge\na NaN 3\n# EOF\n", json!([{"labels": {}, "value": "NaN", "time": 3}])),
        ] {
            assert_eq!(expected, series(exposition), "{exposition}");
        }
    }

    #[test]
    fn series_come_sorted_and_whole_however_their_samples_lie() {
        let sample = |name: &str, label: &str, value| Sample {
            name: name.to_owned(),
            labels: vec![("l".to_owned(), label.to_owned())],
            value,
            timestamp: None,
            exemplar: None,
            native_histogram: None,
        };
        let samples = vec![
            sample("a_count", "y", 1.0),
            sample("a_count", "x", 2.0),
            sample("a_sum", "y", 3.5),
            sample("a_sum", "x", -4.5),
            sample("stranger", "x", 1e300),
        ];
        let family = Arc::new(Family::described(Kind::Summary, "a", "", ""));
        let snapshot = Snapshot { families: vec![FamilySnapshot { family, body: Body::Samples(samples) }] };
        let document: Value = serde_json::from_slice(&families_json(&snapshot, 1.0)).unwrap();

        assert_eq!(
            json!([
                {"labels": {"l": "x"}, "count": 2, "sum": -4.5},
                {"labels": {"l": "x"}, "sample": "stranger", "value": 1e300},
                {"labels": {"l": "y"}, "count": 1, "sum": 3.5},
            ]),
            document["families"][0]["series"]
        );
    }

    #[test]
    fn a_native_histogram_has_the_buckets_of_any_histogram() {
        let exposition = "# TYPE a histogram\n\
            a {count:3,sum:4.5,schema:0,zero_threshold:0.5,zero_count:1,positive_spans:[1:1],positive_deltas:[2]}\n# EOF\n";

        assert_eq!(
            json!([{"labels": {}, "count": 3, "sum": 4.5, "buckets": [[0.5, 1], [1, 1], [2, 3], ["+Inf", 3]]}]),
            series(exposition)
        );
    }
}
