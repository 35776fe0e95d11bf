//! Enumerators side by side.

use super::content::{Side, name_of};
use super::diff::EnumeratorDiff;
use crate::btf::TypeId;
use std::collections::BTreeMap;

/// Names of enumerators and the values that they have; more than one value only in odd BTF, or across enums.
pub(super) type Values = BTreeMap<String, Vec<i128>>;

/// Adds an enum's.
pub(super) fn add_values(side: &Side<'_>, id: TypeId, values: &mut Values) {
    for e in side.btf.ty(id).enumerators() {
        let name = String::from_utf8_lossy(name_of(side.btf, e.name)).into_owned();
        values.entry(name).or_default().push(e.value);
    }
}

/// Those that differ, by name.
pub(super) fn compare_values(from: Values, mut to: Values) -> Vec<EnumeratorDiff> {
    let mut found = Vec::new();
    let mut compare = |name: String, mut from: Vec<i128>, mut to: Vec<i128>| {
        for values in [&mut from, &mut to] {
            values.sort_unstable();
            values.dedup();
        }
        let lone = |these: &[i128], others: &[i128]| -> Vec<i128> {
            let gone = |v: &&i128| others.binary_search(v).is_err();
            these.iter().filter(gone).copied().collect()
        };
        let (mut gone, mut new) = (lone(&from, &to).into_iter(), lone(&to, &from).into_iter());
        loop {
            let (from, to) = (gone.next(), new.next());
            if from.is_none() && to.is_none() {
                break;
            }
            let name = name.clone();
            found.push(EnumeratorDiff { name, from, to });
        }
    };
    for (name, from) in from {
        let to = to.remove(&name).unwrap_or_default();
        compare(name, from, to);
    }
    for (name, to) in to {
        compare(name, Vec::new(), to);
    }
    found.sort_by(|x, y| (&x.name, x.from, x.to).cmp(&(&y.name, y.from, y.to)));
    found
}
