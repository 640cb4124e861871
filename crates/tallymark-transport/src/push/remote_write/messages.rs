//! A snapshot as remote write's messages: labels that are complete and in order, values, times, and what 1.0 and 2.0 say
//! of the family.
//!
//! Every sample is a series of its own, as Prometheus keeps it: of a histogram each bucket, its sum and its count. The
//! samples `…_created` are no series; 2.0 has their values as the times at which the others started.

use std::collections::{BTreeMap, HashMap};

use prost::Message;
use tallymark_model::{FamilySnapshot, Kind, Sample, Snapshot, Timestamp};

/// The one NaN that is a value: others mean something to Prometheus.
const NAN: u64 = 0x7ff8_0000_0000_0001;

/// A series with its one sample.
pub(super) struct Series {
    labels: BTreeMap<String, String>,
    value: f64,
    milliseconds: i64,
    /// Milliseconds since the Unix epoch, 0 where that is not known.
    started: i64,
    family: String,
    help: String,
    unit: String,
    kind: Kind,
}

/// All series of the snapshot.
pub(super) fn series(snapshot: &Snapshot, labels: &[(String, String)], now: i64) -> Vec<Series> {
    snapshot.families.iter().flat_map(|family| of_family(family, labels, now)).collect()
}

fn of_family(snapshot: &FamilySnapshot, more: &[(String, String)], now: i64) -> Vec<Series> {
    let family = &snapshot.family;
    let samples = snapshot.samples();
    let created_name = format!("{}_created", family.name());
    let is_created = |sample: &Sample| sample.name == created_name && has_created(family.kind());
    let created: HashMap<_, _> =
        samples.iter().filter(|sample| is_created(sample)).map(|sample| (own_labels(sample), sample.value)).collect();
    let kept = samples.iter().filter(|sample| sample.native_histogram.is_none() && !is_created(sample));
    kept.map(|sample| {
        let started = created.get(&own_labels(sample)).and_then(|seconds| Timestamp::Seconds(*seconds).milliseconds());
        Series {
            labels: complete(sample, more),
            value: if sample.value.is_nan() { f64::from_bits(NAN) } else { sample.value },
            milliseconds: sample.timestamp.and_then(Timestamp::milliseconds).unwrap_or(now),
            started: started.unwrap_or(0),
            family: family.text_name().into_owned(),
            help: family.help().to_owned(),
            unit: family.unit().to_owned(),
            kind: family.kind(),
        }
    })
    .collect()
}

fn has_created(kind: Kind) -> bool {
    matches!(kind, Kind::Counter | Kind::Histogram | Kind::Summary)
}

/// The labels that a sample has in common with the others of its series.
fn own_labels(sample: &Sample) -> BTreeMap<&str, &str> {
    let labels = sample.labels.iter().map(|(name, value)| (&**name, &**value));
    labels.filter(|(name, _)| !matches!(*name, "le" | "quantile")).collect()
}

/// The sample's labels, others where it has none of their names, and its name. A label without a value is none.
fn complete(sample: &Sample, more: &[(String, String)]) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<_, _> = more.iter().cloned().collect();
    labels.extend(sample.labels.iter().cloned());
    labels.insert("__name__".to_owned(), sample.name.clone());
    labels.retain(|_, value| !value.is_empty());
    labels
}

/// The number of a type in both versions' messages.
fn number(kind: Kind) -> i32 {
    match kind {
        Kind::Unknown => 0,
        Kind::Counter => 1,
        Kind::Gauge => 2,
        Kind::Histogram => 3,
        Kind::GaugeHistogram => 4,
        Kind::Summary => 5,
        Kind::Info => 6,
        Kind::StateSet => 7,
    }
}

/// The message of 1.0.
pub(super) fn one(series: &[Series]) -> Vec<u8> {
    let mut request = first::Request::default();
    let mut described: HashMap<&str, ()> = HashMap::new();
    for one in series {
        let label = |(name, value): (&String, &String)| first::Label { name: name.clone(), value: value.clone() };
        let sample = first::Sample { value: one.value, milliseconds: one.milliseconds };
        let labels = one.labels.iter().map(label).collect();
        request.series.push(first::Series { labels, samples: vec![sample] });
        if described.insert(&one.family, ()).is_none() {
            let (help, unit) = (one.help.clone(), one.unit.clone());
            request.metadata.push(first::Metadata { kind: number(one.kind), family: one.family.clone(), help, unit });
        }
    }
    request.encode_to_vec()
}

/// The message of 2.0.
pub(super) fn two(series: &[Series]) -> Vec<u8> {
    let mut symbols = Symbols::default();
    // The first one is nothing.
    symbols.number("");
    let series = series.iter().map(|one| second::Series {
        labels: one.labels.iter().flat_map(|(name, value)| [symbols.number(name), symbols.number(value)]).collect(),
        samples: vec![second::Sample { value: one.value, milliseconds: one.milliseconds, started: one.started }],
        metadata: Some(second::Metadata {
            kind: number(one.kind),
            help: symbols.number(&one.help),
            unit: symbols.number(&one.unit),
        }),
    });
    let series = series.collect();
    second::Request { symbols: symbols.list, series }.encode_to_vec()
}

/// Texts by number, each once.
#[derive(Default)]
struct Symbols {
    list: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Symbols {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        // CAST: some texts for each of two thousand series.
        let number = self.list.len() as u32;
        self.list.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }
}

/// 1.0, `prometheus.WriteRequest`.
mod first {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Request {
        #[prost(message, repeated, tag = "1")]
        pub(super) series: Vec<Series>,
        #[prost(message, repeated, tag = "3")]
        pub(super) metadata: Vec<Metadata>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Series {
        #[prost(message, repeated, tag = "1")]
        pub(super) labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        pub(super) samples: Vec<Sample>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Label {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) value: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Sample {
        #[prost(double, tag = "1")]
        pub(super) value: f64,
        #[prost(int64, tag = "2")]
        pub(super) milliseconds: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Metadata {
        #[prost(int32, tag = "1")]
        pub(super) kind: i32,
        #[prost(string, tag = "2")]
        pub(super) family: String,
        #[prost(string, tag = "4")]
        pub(super) help: String,
        #[prost(string, tag = "5")]
        pub(super) unit: String,
    }
}

/// 2.0, `io.prometheus.write.v2.Request`: texts are numbers in a list of them.
mod second {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Request {
        #[prost(string, repeated, tag = "4")]
        pub(super) symbols: Vec<String>,
        #[prost(message, repeated, tag = "5")]
        pub(super) series: Vec<Series>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Series {
        #[prost(uint32, repeated, tag = "1")]
        pub(super) labels: Vec<u32>,
        #[prost(message, repeated, tag = "2")]
        pub(super) samples: Vec<Sample>,
        #[prost(message, optional, tag = "5")]
        pub(super) metadata: Option<Metadata>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Sample {
        #[prost(double, tag = "1")]
        pub(super) value: f64,
        #[prost(int64, tag = "2")]
        pub(super) milliseconds: i64,
        #[prost(int64, tag = "3")]
        pub(super) started: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Metadata {
        #[prost(int32, tag = "1")]
        pub(super) kind: i32,
        #[prost(uint32, tag = "3")]
        pub(super) help: u32,
        #[prost(uint32, tag = "4")]
        pub(super) unit: u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tallymark_model::parse;

    fn of(text: &str) -> Vec<Series> {
        let families = parse::openmetrics(text).map(|family| FamilySnapshot::from(family.unwrap())).collect();
        let more = [("job".to_owned(), "j".to_owned()), ("instance".to_owned(), "i".to_owned())];
        series(&Snapshot { families }, &more, 1000)
    }

    const HITS: &str = "# TYPE hits counter\n# HELP hits Hits.\nhits_total{instance=\"own\",x=\"\"} 3\nhits_created{instance=\"own\",x=\"\"} 1.5\n# EOF\n";

    #[test]
    fn labels_are_complete_in_order_and_never_empty() {
        let series = of(HITS);

        let labels: Vec<_> = series[0].labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(1, series.len());
        assert_eq!(["__name__=hits_total", "instance=own", "job=j"], *labels);
    }

    #[test]
    fn the_time_of_creation_is_when_the_others_started() {
        let histogram = "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_count 1\nh_sum 2\nh_created 7\n# EOF\n";

        assert_eq!([7000; 3], *of(histogram).iter().map(|one| one.started).collect::<Vec<_>>());
        assert_eq!(1500, of(HITS)[0].started);
    }

    #[test]
    fn a_family_is_described_once_in_1_0_and_by_its_samples_name() {
        let text = "# TYPE hits counter\n# HELP hits Hits.\nhits_total{a=\"1\"} 3\nhits_total{a=\"2\"} 4\n# EOF\n";
        let request = first::Request::decode(&*one(&of(text))).unwrap();

        let metadata = first::Metadata { kind: 1, family: "hits_total".into(), help: "Hits.".into(), unit: "".into() };
        assert_eq!((2, vec![metadata]), (request.series.len(), request.metadata));
    }

    #[test]
    fn a_counter_without_its_suffix_is_described_without_it() {
        let bytes = b"\x12\x0a\x04jobs\x18\x00\x22\x08\x1a\x06\x12\x00\x1a\x02\x08\x01";
        let families = parse::protobuf(bytes, 10).unwrap();
        let request = first::Request::decode(&*one(&series(&Snapshot { families }, &[], 0))).unwrap();

        assert_eq!("jobs", request.metadata[0].family);
    }

    #[test]
    fn a_text_is_in_2_0_once() {
        let request = second::Request::decode(&*two(&of(HITS))).unwrap();

        let symbols = ["", "__name__", "hits_total", "instance", "own", "job", "j", "Hits."];
        assert_eq!(symbols, *request.symbols);
        assert_eq!([1, 2, 3, 4, 5, 6], *request.series[0].labels);
        assert_eq!(Some(second::Metadata { kind: 1, help: 7, unit: 0 }), request.series[0].metadata);
        assert_eq!(second::Sample { value: 3.0, milliseconds: 1000, started: 1500 }, request.series[0].samples[0]);
    }

    #[test]
    fn no_nan_is_a_mark() {
        let stale = f64::from_bits(0x7ff0_0000_0000_0002);
        let mut families: Vec<FamilySnapshot> = Vec::new();
        for family in parse::openmetrics("# TYPE g gauge\ng 1\n# EOF\n") {
            families.push(family.unwrap().into());
        }
        if let tallymark_model::Body::Samples(samples) = &mut families[0].body {
            samples[0].value = stale;
        }

        assert_eq!(NAN, series(&Snapshot { families }, &[], 0)[0].value.to_bits());
    }
}
