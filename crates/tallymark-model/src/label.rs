//! The label values of one series, and the part of its lines that never changes.

use crate::{Error, Family, escape::push_escaped};

/// The label values of one series, in the order of the family's label names.
///
/// The text between the braces is rendered once, here, with the label names sorted as every format has them; a scrape
/// copies it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Labels {
    values: Box<[Box<str>]>,
    text: Box<str>,
    le_at: usize,
}

impl Labels {
    /// Label values for a series of `family`.
    ///
    /// # Errors
    /// [`Error::LabelCount`] if there are not as many values as the family has label names.
    ///
    /// ```
    /// use tallymark_model::{Family, Kind, Labels};
    /// let family = Family::builder(Kind::Counter, "hits", "Hits.").label_names(["path", "code"]).build().unwrap();
    /// let labels = Labels::new(&family, &["/a\"b", "200"]).unwrap();
    /// assert_eq!(labels.text(), r#"code="200",path="/a\"b""#);
    /// ```
    pub fn new<S: AsRef<str>>(family: &Family, values: &[S]) -> Result<Labels, Error> {
        if values.len() != family.label_names().len() {
            return Err(Error::LabelCount {
                family: family.name().to_owned(),
                expected: family.label_names().len(),
                found: values.len(),
            });
        }
        let mut text = String::new();
        let mut le_at = None;
        for &index in family.sorted_labels() {
            let name = &family.label_names()[index];
            if le_at.is_none() && &**name > "le" {
                le_at = Some(text.len());
            }
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(name);
            text.push_str("=\"");
            push_escaped(&mut text, values[index].as_ref());
            text.push('"');
        }
        let le_at = le_at.unwrap_or(text.len());
        Ok(Labels { values: values.iter().map(|value| value.as_ref().into()).collect(), le_at, text: text.into() })
    }

    /// The values, in the order of the family's label names.
    pub fn values(&self) -> &[Box<str>] {
        &self.values
    }

    /// `name="value"` pairs joined by commas, sorted by name, values escaped, names as they are: what stands between
    /// the braces where every label name is a legacy one.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// [`text`](Self::text), cut where a label `le` belongs: the first part has no trailing comma, the second, if not
    /// empty, starts with the comma or with a name.
    pub fn around_le(&self) -> (&str, &str) {
        self.text.split_at(self.le_at)
    }
}
