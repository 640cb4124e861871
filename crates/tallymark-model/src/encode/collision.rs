//! Names that become one by escaping: `a.b` and `a_b` are both `a_b` under underscores.
//!
//! Written anyway, two families would be merged, or a line would have one label twice and Prometheus refuse the whole
//! scrape with a message about neither. Where every name is a legacy one this check costs a flag per family. Label
//! names of custom collectors' samples are not looked at: each sample has its own.

use std::{borrow::Cow, collections::HashMap};

use super::EncodeError;
use crate::{
    Escaping, Snapshot,
    name::{escape_label, escape_metric},
};

/// Checks the names of families, and the label names of each native family.
pub(super) fn check(snapshot: &Snapshot, scheme: Escaping) -> Result<(), EncodeError> {
    let keeps = |legacy: bool| scheme == Escaping::AllowUtf8 || (legacy && scheme != Escaping::Dots);
    if snapshot.families.iter().all(|snapshot| keeps(snapshot.family.has_legacy_names())) {
        return Ok(());
    }
    let families = snapshot.families.iter().map(|snapshot| snapshot.family.name());
    check_names(families, scheme, escape_metric)?;
    for snapshot in &snapshot.families {
        if !keeps(snapshot.family.has_legacy_names()) {
            check_names(snapshot.family.label_names().iter().map(|name| &**name), scheme, escape_label)?;
        }
    }
    Ok(())
}

fn check_names<'a>(
    names: impl Iterator<Item = &'a str>,
    scheme: Escaping,
    escape: impl Fn(&'a str, Escaping) -> Cow<'a, str>,
) -> Result<(), EncodeError> {
    let mut seen: HashMap<Cow<'a, str>, &'a str> = HashMap::new();
    for name in names {
        let escaped = escape(name, scheme);
        match seen.get(&escaped) {
            // One name twice is one name.
            Some(first) if *first != name => {
                return Err(EncodeError::NamesCollide {
                    first: (*first).to_owned(),
                    second: name.to_owned(),
                    escaped: escaped.into_owned(),
                    scheme,
                });
            }
            Some(_) => {}
            None => drop(seen.insert(escaped, name)),
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
            (snapshot(&[("a.b", &[]), ("a_b", &[])]), [false, true, false, false]),
            (snapshot(&[("a b", &[]), ("a_b", &[])]), [false, true, true, false]),
            (snapshot(&[("a.b", &[]), ("U__a_2e_b", &[])]), [false, false, false, true]),
            (snapshot(&[("a.b", &[]), ("a.b", &[])]), [false; 4]),
            (snapshot(&[("a", &["x.y", "x_y"])]), [false, true, false, false]),
            (snapshot(&[("a", &["x.y"]), ("b", &["x_y"])]), [false; 4]),
            (snapshot(&[("a.b", &["a_b"])]), [false; 4]),
        ] {
            let found = Escaping::ALL.map(|scheme| check(&families, scheme).is_err());

            assert_eq!(found, collides, "{families:?}");
        }
    }

    #[test]
    fn the_error_tells_both_names() {
        let error = check(&snapshot(&[("a.b", &[]), ("a_b", &[])]), Escaping::Underscores).unwrap_err();

        assert_eq!(
            error.to_string(),
            "\"a.b\" and \"a_b\" are both a_b when escaped by underscores; rename one, or ask for another escaping"
        );
    }
}
