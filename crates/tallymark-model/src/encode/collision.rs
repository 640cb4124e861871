//! Label names that become one by escaping: `a.b` and `a_b` are both `a_b` under underscores.
//!
//! Written anyway, a line would have one label twice, and Prometheus refuse the whole scrape with a message about neither.
//! Where every name is a legacy one this check costs a flag per family. Families that become one are written, as the
//! official client does: a reader takes them for one. Label names of custom collectors' samples are not looked at: each
//! sample has its own.

use std::{borrow::Cow, collections::HashMap};

use super::EncodeError;
use crate::{Escaping, Snapshot, name::escape_label};

/// Checks the label names of each native family.
pub(super) fn check(snapshot: &Snapshot, scheme: Escaping) -> Result<(), EncodeError> {
    for snapshot in &snapshot.families {
        let family = &snapshot.family;
        if scheme == Escaping::AllowUtf8 || (family.has_legacy_names() && scheme != Escaping::Dots) {
            continue;
        }
        let mut seen: HashMap<Cow<'_, str>, &str> = HashMap::new();
        for name in family.label_names() {
            let escaped = escape_label(name, scheme);
            match seen.get(&escaped) {
                // One name twice is one name.
                Some(first) if *first != &**name => {
                    return Err(EncodeError::NamesCollide {
                        family: family.name().to_owned(),
                        first: (*first).into(),
                        second: name.clone(),
                        escaped: escaped.into(),
                        scheme,
                    });
                }
                Some(_) => {}
                None => drop(seen.insert(escaped, name)),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Body, Family, FamilySnapshot, Kind};

    fn snapshot(families: &[(&str, &[&str])]) -> Snapshot {
        let families = families.iter().map(|(name, labels)| {
            let family = Family::builder(Kind::Gauge, *name, "").label_names(labels.iter().copied()).build().unwrap();
            FamilySnapshot { family: Arc::new(family), body: Body::Series(Vec::new()) }
        });
        Snapshot { families: families.collect() }
    }

    #[test]
    fn two_names_that_become_one_are_an_error_where_they_do() {
        for (families, collides) in [
            (snapshot(&[("a", &["x.y", "x_y"])]), [false, true, false, false]),
            (snapshot(&[("a", &["x y", "x_y"])]), [false, true, true, false]),
            (snapshot(&[("a", &["x.y", "U__x_2e_y"])]), [false, false, false, true]),
            (snapshot(&[("a", &["x.y", "x.y"])]), [false; 4]),
            (snapshot(&[("a.b", &[]), ("a_b", &[])]), [false; 4]),
            (snapshot(&[("a", &["x.y"]), ("b", &["x_y"])]), [false; 4]),
            (snapshot(&[("a.b", &["a_b"])]), [false; 4]),
        ] {
            let found = Escaping::ALL.map(|scheme| check(&families, scheme).is_err());

            assert_eq!(found, collides, "{families:?}");
        }
    }

    #[test]
    fn the_error_tells_both_names() {
        let error = check(&snapshot(&[("hits", &["a.b", "a_b"])]), Escaping::Underscores).unwrap_err();

        assert_eq!(
            error.to_string(),
            "the labels \"a.b\" and \"a_b\" of hits are both a_b when escaped by underscores; rename one, or ask for \
             another escaping"
        );
    }
}
