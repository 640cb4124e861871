//! Columns that are JSON: lists of texts, and objects of texts whose order and repetitions count.

use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};

/// The text of a value.
pub(super) fn write(value: &impl Serialize) -> String {
    // Texts, numbers and lists of them are always written.
    serde_json::to_string(value).unwrap_or_default()
}

/// The value of a text.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// The text of an object with these names and values, in this order.
pub(super) fn write_object<N: Serialize, V: Serialize>(pairs: impl IntoIterator<Item = (N, V)>) -> String {
    let mut text = Vec::new();
    let _ = serde_json::Serializer::new(&mut text).collect_map(pairs);
    String::from_utf8(text).unwrap_or_default()
}

/// The names and texts of an object, in the order in which they stand there, twice if they stand there twice.
pub(super) fn read_object(text: &str) -> Option<Vec<(String, String)>> {
    read::<Pairs>(text).map(|pairs| pairs.0)
}

struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pairs, D::Error> {
        deserializer.deserialize_map(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pairs, M::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}
