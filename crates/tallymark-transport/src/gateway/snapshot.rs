//! All groups as one snapshot, as a scrape shows them.
//!
//! Families are sorted by name, their series by group and then by labels, so that two scrapes of the same groups give the same
//! bytes. Groups agree on types, since every push is checked; where they do not, after a build that checked less, the first
//! group decides and the others' families of that name are left out.

use std::collections::BTreeMap;
use std::sync::Arc;

use tallymark_model::{Body, Family, FamilySnapshot, Kind, Sample, Snapshot};

use super::group::{Group, STAMPS};
use super::metric::{self, all_labels, stamp_labels};

/// The groups as a snapshot.
pub(super) fn of(groups: &[Arc<Group>]) -> Snapshot {
    let mut names: BTreeMap<&str, Vec<(&Group, &metric::Family)>> = BTreeMap::new();
    for group in groups {
        for (name, family) in &group.families {
            names.entry(name).or_default().push((group, family));
        }
    }
    let mut families: Vec<FamilySnapshot> = names.iter().map(|(name, parts)| family(name, parts)).collect();
    if !groups.is_empty() {
        families.extend(stamps(groups));
        families.sort_by(|one, other| one.family.name().cmp(other.family.name()));
    }
    Snapshot { families }
}

fn family(name: &str, parts: &[(&Group, &metric::Family)]) -> FamilySnapshot {
    let kind = parts.first().map_or(Kind::Unknown, |(_, family)| family.kind);
    let of_kind = || parts.iter().filter(|(_, family)| family.kind == kind);
    let described = of_kind().find(|(_, family)| !family.help.is_empty()).or_else(|| parts.first());
    let described = described.map_or_else(|| Family::described(kind, name, "", ""), |(_, it)| it.described(name));
    let mut samples = Vec::with_capacity(of_kind().map(|(_, family)| family.lines()).sum());
    for (group, family) in of_kind() {
        family.push_samples(name, &group.key, &mut samples);
    }
    FamilySnapshot { family: Arc::new(described), body: Body::Samples(samples) }
}

/// When each group was pushed, and when a push to it was refused.
fn stamps(groups: &[Arc<Group>]) -> impl Iterator<Item = FamilySnapshot> {
    STAMPS.iter().enumerate().map(|(at, (name, help))| {
        let samples = groups.iter().flat_map(|group| {
            let labels = all_labels(&group.key, &stamp_labels(&group.key));
            let values = group.stamps();
            let sample = move |(name, _, value): &(&str, &str, f64)| Sample {
                name: (*name).to_owned(),
                labels: labels.clone(),
                value: *value,
                timestamp: None,
                exemplar: None,
                native_histogram: None,
            };
            values.get(at).map(sample)
        });
        let family = Arc::new(Family::described(Kind::Gauge, name, help, ""));
        FamilySnapshot { family, body: Body::Samples(samples.collect()) }
    })
}
