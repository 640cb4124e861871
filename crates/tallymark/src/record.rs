//! What stores keep besides numbers, as bytes: definitions, label values, infos, exemplars.
//!
//! Strings are their length (4 bytes, little endian) and UTF-8. Decoding trusts nothing: any bytes give a value or
//! `None`. The layouts are written down in `docs/file-format.md`.

use tallymark_model::{Exemplar, Family, FamilyBuilder, GaugeMode, Kind, Timestamp};

/// What makes two definitions the same family in a store: all but help and unit.
pub(crate) fn encode_family_key(family: &Family) -> Vec<u8> {
    let mut bytes = vec![number_of(&Kind::ALL, family.kind()), number_of(&GaugeMode::ALL, family.mode())];
    put_text(&mut bytes, family.name());
    put_texts(&mut bytes, family.label_names());
    put_length(&mut bytes, family.bounds().len());
    family.bounds().iter().for_each(|bound| bytes.extend_from_slice(&bound.to_le_bytes()));
    put_texts(&mut bytes, family.states());
    bytes
}

/// A number for a definition: FNV-1a, 64 bits, of what makes it the same family.
#[cfg(feature = "sqlite")]
pub(crate) fn family_id(family: &Family) -> u64 {
    fnv(&encode_family_key(family))
}

/// FNV-1a, 64 bits.
#[cfg(feature = "sqlite")]
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The rest of a definition: help and unit.
pub(crate) fn encode_family_details(family: &Family) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_text(&mut bytes, family.help());
    put_text(&mut bytes, family.unit());
    bytes
}

pub(crate) fn decode_family(key: &[u8], details: &[u8]) -> Option<Family> {
    let mut key = Reader(key);
    let kind = *Kind::ALL.get(usize::from(key.byte()?))?;
    let mode = *GaugeMode::ALL.get(usize::from(key.byte()?))?;
    let name = key.text()?;
    let label_names = key.texts()?;
    let count = key.length()?;
    let bounds: Vec<f64> = (0..count).map(|_| key.float()).collect::<Option<_>>()?;
    let states = key.texts()?;
    let mut details = Reader(details);
    let (help, unit) = (details.text()?, details.text()?);
    let builder = builder(kind, name, help).unit(unit).label_names(label_names).states(states).mode(mode);
    if kind == Kind::Histogram { builder.bounds(bounds).build().ok() } else { builder.build().ok() }
}

/// The beginning of a definition whose family has this name, as stores keep it.
pub(crate) fn builder(kind: Kind, name: String, help: String) -> FamilyBuilder {
    // A counter's family name may itself end in `_total` ("requests", unit "total"): the builder strips one.
    let name = if kind == Kind::Counter { name + "_total" } else { name };
    Family::builder(kind, name, help)
}

/// Label values, in the order of the family's label names.
pub(crate) fn encode_values(values: &[Box<str>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    values.iter().for_each(|value| put_text(&mut bytes, value));
    bytes
}

pub(crate) fn decode_values(bytes: &[u8]) -> Option<Vec<String>> {
    let mut reader = Reader(bytes);
    let mut values = Vec::new();
    while !reader.0.is_empty() {
        values.push(reader.text()?);
    }
    Some(values)
}

pub(crate) fn encode_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: &[(N, V)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in pairs {
        put_text(&mut bytes, name.as_ref());
        put_text(&mut bytes, value.as_ref());
    }
    bytes
}

pub(crate) fn decode_pairs(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let texts = decode_values(bytes)?;
    let mut pairs = Vec::new();
    let mut texts = texts.into_iter();
    while let Some(name) = texts.next() {
        pairs.push((name, texts.next()?));
    }
    Some(pairs)
}

/// Value and time as floats (NaN for no time), then the labels.
pub(crate) fn encode_exemplar(exemplar: &Exemplar) -> Vec<u8> {
    let mut bytes = exemplar.value.to_le_bytes().to_vec();
    bytes.extend_from_slice(&exemplar.timestamp.map_or(f64::NAN, Timestamp::seconds).to_le_bytes());
    bytes.extend(encode_pairs(&exemplar.labels));
    bytes
}

pub(crate) fn decode_exemplar(bytes: &[u8]) -> Option<Exemplar> {
    let mut reader = Reader(bytes);
    let (value, timestamp) = (reader.float()?, reader.float()?);
    Some(Exemplar {
        labels: decode_pairs(reader.0)?,
        value,
        timestamp: (!timestamp.is_nan()).then_some(timestamp.into()),
    })
}

fn number_of<T: PartialEq>(all: &[T], one: T) -> u8 {
    // CAST: both lists have fewer than 256 entries.
    all.iter().position(|known| *known == one).unwrap_or_default() as u8
}

pub(crate) fn put_length(bytes: &mut Vec<u8>, length: usize) {
    // CAST: lengths are of strings and lists that a process has in memory; 4 GiB of label text is refused by the store.
    bytes.extend_from_slice(&(length as u32).to_le_bytes());
}

#[cfg(feature = "sqlite")]
pub(crate) fn put_number(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_bytes(bytes, text.as_bytes());
}

pub(crate) fn put_bytes(bytes: &mut Vec<u8>, more: &[u8]) {
    put_length(bytes, more.len());
    bytes.extend_from_slice(more);
}

pub(crate) fn put_texts(bytes: &mut Vec<u8>, texts: &[Box<str>]) {
    put_length(bytes, texts.len());
    texts.iter().for_each(|text| put_text(bytes, text));
}

/// Takes values off the front of bytes; `None` where they end too early.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(crate) fn length(&mut self) -> Option<usize> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes).map(|length| length as usize)
    }

    pub(crate) fn float(&mut self) -> Option<f64> {
        self.take(8)?.try_into().ok().map(f64::from_le_bytes)
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn number(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    /// Bytes behind their length.
    #[cfg(feature = "sqlite")]
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    fn text(&mut self) -> Option<String> {
        let length = self.length()?;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    pub(crate) fn texts(&mut self) -> Option<Vec<String>> {
        let count = self.length()?;
        (0..count).map(|_| self.text()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_definition_comes_back_as_it_went() {
        let family =
            Family::builder(Kind::Counter, "requests", "Said \"hello\".\n").unit("total").label_names(["a", "b"]);
        let family = family.build().unwrap();
        assert_eq!(family.name(), "requests_total");
        assert_eq!(decode_family(&encode_family_key(&family), &encode_family_details(&family)), Some(family));
        let histogram = Family::builder(Kind::Histogram, "seconds", "").bounds([0.5, 1.0]).build().unwrap();
        assert_eq!(decode_family(&encode_family_key(&histogram), &encode_family_details(&histogram)), Some(histogram));
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            decode_family(&bytes, &bytes);
            decode_exemplar(&bytes);
            decode_pairs(&bytes);
        }

        #[test]
        fn exemplars_come_back_as_they_went(labels in prop::collection::vec((".*", ".*"), 0..4), value in any::<f64>().prop_filter("equal to itself", |v| !v.is_nan())) {
            let exemplar = Exemplar { labels, value, timestamp: Some(1.5.into()) };
            prop_assert_eq!(decode_exemplar(&encode_exemplar(&exemplar)), Some(exemplar));
        }
    }
}
