//! The protocol buffer that a group's document is, field by field as `docs/gateway.md` describes it.
//!
//! A number that has been given to a field means that field forever.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct GroupMessage {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    #[prost(message, repeated, tag = "2")]
    pub(super) labels: Vec<LabelMessage>,
    #[prost(double, tag = "3")]
    pub(super) pushed: f64,
    #[prost(double, tag = "4")]
    pub(super) failed: f64,
    #[prost(double, optional, tag = "5")]
    pub(super) expires: Option<f64>,
    #[prost(message, repeated, tag = "6")]
    pub(super) families: Vec<FamilyMessage>,
    #[prost(message, repeated, tag = "7")]
    pub(super) pushes: Vec<PushMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct LabelMessage {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

impl LabelMessage {
    pub(super) fn new(name: &str, value: &str) -> LabelMessage {
        LabelMessage { name: name.to_owned(), value: value.to_owned() }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PushMessage {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(double, tag = "2")]
    pub(super) seen: f64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FamilyMessage {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) help: String,
    #[prost(string, tag = "3")]
    pub(super) unit: String,
    #[prost(string, tag = "4")]
    pub(super) kind: String,
    #[prost(double, tag = "5")]
    pub(super) pushed: f64,
    #[prost(message, repeated, tag = "6")]
    pub(super) series: Vec<SeriesMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SeriesMessage {
    #[prost(message, repeated, tag = "1")]
    pub(super) labels: Vec<LabelMessage>,
    #[prost(double, repeated, tag = "2")]
    pub(super) sum: Vec<f64>,
    #[prost(message, optional, tag = "3")]
    pub(super) summary: Option<SummaryMessage>,
    #[prost(message, optional, tag = "4")]
    pub(super) histogram: Option<HistogramMessage>,
    #[prost(message, optional, tag = "5")]
    pub(super) exemplar: Option<ExemplarMessage>,
    #[prost(double, optional, tag = "6")]
    pub(super) created: Option<f64>,
    #[prost(message, repeated, tag = "7")]
    pub(super) writers: Vec<WriterMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SummaryMessage {
    #[prost(double, tag = "1")]
    pub(super) count: f64,
    #[prost(message, repeated, tag = "2")]
    pub(super) quantiles: Vec<BucketMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct HistogramMessage {
    #[prost(double, tag = "1")]
    pub(super) count: f64,
    #[prost(message, repeated, tag = "2")]
    pub(super) buckets: Vec<BucketMessage>,
    #[prost(message, optional, tag = "3")]
    pub(super) native: Option<NativeMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct BucketMessage {
    #[prost(double, tag = "1")]
    pub(super) bound: f64,
    #[prost(double, tag = "2")]
    pub(super) value: f64,
    #[prost(message, optional, tag = "3")]
    pub(super) exemplar: Option<ExemplarMessage>,
}

impl BucketMessage {
    pub(super) fn new(bound: f64, value: f64) -> BucketMessage {
        BucketMessage { bound, value, exemplar: None }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ExemplarMessage {
    #[prost(message, repeated, tag = "1")]
    pub(super) labels: Vec<LabelMessage>,
    #[prost(double, tag = "2")]
    pub(super) value: f64,
    #[prost(double, optional, tag = "3")]
    pub(super) seconds: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WriterMessage {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(double, optional, tag = "2")]
    pub(super) start: Option<f64>,
    #[prost(double, tag = "3")]
    pub(super) seen: f64,
    #[prost(double, repeated, tag = "4")]
    pub(super) total: Vec<f64>,
    #[prost(bool, tag = "5")]
    pub(super) again: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NativeMessage {
    #[prost(double, tag = "1")]
    pub(super) count: f64,
    #[prost(double, tag = "2")]
    pub(super) sum: f64,
    #[prost(sint32, tag = "3")]
    pub(super) schema: i32,
    #[prost(double, tag = "4")]
    pub(super) zero_threshold: f64,
    #[prost(double, tag = "5")]
    pub(super) zero_count: f64,
    /// Offset and length in turn, here and below.
    #[prost(sint64, repeated, tag = "6")]
    pub(super) positive_spans: Vec<i64>,
    #[prost(sint64, repeated, tag = "7")]
    pub(super) positive_deltas: Vec<i64>,
    #[prost(sint64, repeated, tag = "8")]
    pub(super) negative_spans: Vec<i64>,
    #[prost(sint64, repeated, tag = "9")]
    pub(super) negative_deltas: Vec<i64>,
    #[prost(message, repeated, tag = "10")]
    pub(super) exemplars: Vec<ExemplarMessage>,
}
