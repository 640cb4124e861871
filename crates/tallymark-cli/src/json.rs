//! Families as JSON, for scripts: what a row says, with all its digits.
//!
//! Numbers that JSON has not are texts: `"NaN"`, `"+Inf"`, `"-Inf"`. `docs/commands.md` says what is where.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use tallymark::model::{FamilySnapshot, Kind, Snapshot, number};

use crate::rows::{self, Value};

/// Everything that is shown.
#[derive(Serialize)]
pub(crate) struct Families {
    families: Vec<Family>,
}

#[derive(Serialize)]
struct Family {
    name: String,
    r#type: &'static str,
    help: String,
    unit: String,
    series: Vec<Series>,
}

#[derive(Serialize)]
struct Series {
    labels: Pairs<String>,
    #[serde(flatten)]
    value: Shown,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<Number>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Shown {
    Number { value: Number },
    States { states: Vec<String> },
    Distribution(Distribution),
}

#[derive(Serialize)]
struct Distribution {
    count: Option<Number>,
    sum: Option<Number>,
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    buckets: Pairs<Number>,
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    quantiles: Pairs<Number>,
}

/// An object, in this order.
struct Pairs<V>(Vec<(String, V)>);

/// A number, as JSON has it if it can.
pub(crate) struct Number(pub(crate) f64);

impl From<&Snapshot> for Families {
    fn from(snapshot: &Snapshot) -> Families {
        Families { families: snapshot.families.iter().map(Family::from).collect() }
    }
}

impl From<&FamilySnapshot> for Family {
    fn from(snapshot: &FamilySnapshot) -> Family {
        let family = &snapshot.family;
        let series = rows::rows(snapshot).into_iter().map(|row| Series {
            labels: Pairs(row.labels),
            value: Shown::of(row.value, family.kind()),
            created: row.created.map(Number),
        });
        Family {
            name: family.name().to_owned(),
            r#type: family.kind().as_str(),
            help: family.help().to_owned(),
            unit: family.unit().to_owned(),
            series: series.collect(),
        }
    }
}

impl Shown {
    fn of(value: Value, kind: Kind) -> Shown {
        let pairs = |pairs: Vec<(f64, f64)>| {
            Pairs(pairs.into_iter().map(|(bound, value)| (number::format(bound), Number(value))).collect())
        };
        match value {
            Value::Number(value) => Shown::Number { value: Number(if kind == Kind::Info { 1.0 } else { value }) },
            Value::States(states) => Shown::States { states },
            Value::Distribution(found) => Shown::Distribution(Distribution {
                count: found.count.map(Number),
                sum: found.sum.map(Number),
                buckets: pairs(found.buckets),
                quantiles: pairs(found.quantiles),
            }),
        }
    }
}

impl<V> Pairs<V> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V: Serialize> Serialize for Pairs<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // CAST: whole, and below 2⁵³.
        match self.0 {
            number if !number.is_finite() => serializer.serialize_str(&number::format(number)),
            number if number.fract() == 0.0 && number.abs() < 9e15 => serializer.serialize_i64(number as i64),
            number => serializer.serialize_f64(number),
        }
    }
}
