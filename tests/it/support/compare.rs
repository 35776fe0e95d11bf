//! Whether the types that a compiler saw in a header are the kernel's.
//!
//! Two named types are compared by their content; what they refer to by kind and name. Where a name has twins
//! (`name`, `name___2`) a greatest consistent assignment is sought: all pairs of equal name to begin with, and
//! those whose content contradicts the rest are taken away until nothing changes.

use super::header::{escape, same_name};
use super::kinds::{
    Class, Qualifiers, by_name, canonical_by_name, class, forwards, integer, size, spell,
    type_tags, visible, without_suffix,
};
use super::refbtf::{Btf, Kind, Member};
use std::collections::HashMap;

type Verdict = Result<(), String>;

/// The kernel's types against those of a header.
pub struct Comparison<'a> {
    kernel: &'a Btf,
    header: &'a Btf,
    kernel_forward: HashMap<u32, u32>,
    /// The header's types were read from several objects: which id stands for all of one name.
    header_canonical: HashMap<u32, u32>,
    /// For each named type of the kernel, those of the header that it may be.
    candidates: HashMap<u32, Vec<u32>>,
}

impl<'a> Comparison<'a> {
    /// A BTF may be compared with itself too: that tells which of its twins are equal.
    pub fn new(kernel: &'a Btf, header: &'a Btf) -> Self {
        let itself = std::ptr::eq(kernel, header);
        let header_names = if itself {
            by_name(header)
        } else {
            canonical_by_name(header)
        };
        let mut offered: HashMap<(Class, String), Vec<u32>> = HashMap::new();
        let mut header_canonical = HashMap::new();
        for ((class, name), ids) in header_names {
            let offer = if itself {
                ids
            } else {
                header_canonical.extend(ids.iter().map(|&id| (id, ids[0])));
                vec![ids[0]]
            };
            let base = without_suffix(&name);
            if base != name {
                offered
                    .entry((class, base.to_owned()))
                    .or_default()
                    .extend(&offer);
            }
            offered.entry((class, name)).or_default().extend(&offer);
        }
        let mut candidates = HashMap::new();
        for ((class, name), ids) in by_name(kernel) {
            let escaped = offered.get(&(class, escape(&name))).cloned();
            let mut offer = offered.get(&(class, name)).cloned().unwrap_or_default();
            offer.extend(escaped.unwrap_or_default());
            for id in ids {
                candidates.insert(id, offer.clone());
            }
        }
        let kernel_forward = if itself {
            forwards(kernel, |_, _| false)
        } else {
            let itself = Comparison::new(kernel, kernel);
            forwards(kernel, |a, b| itself.equal(a, b))
        };
        if itself {
            header_canonical = kernel_forward.clone();
        }
        let mut comparison = Comparison {
            kernel,
            header,
            kernel_forward,
            header_canonical,
            candidates,
        };
        comparison.settle();
        comparison
    }

    /// Whether two types of one name may be the same.
    pub fn equal(&self, kernel_id: u32, header_id: u32) -> bool {
        self.candidates[&kernel_id].contains(&header_id)
            && self.same_definition(kernel_id, header_id).is_ok()
    }

    /// The first difference between the kernel's type and the header's, if there is one.
    pub fn difference(&self, kernel_id: u32) -> Option<String> {
        let candidates = &self.candidates[&kernel_id];
        let mut first = None;
        for &candidate in candidates {
            match self.same_definition(kernel_id, candidate) {
                Ok(()) => return None,
                Err(why) => first = first.or(Some(why)),
            }
        }
        Some(first.unwrap_or_else(|| "is not in the header".to_owned()))
    }

    /// The first difference between two function prototypes.
    pub fn prototype(&self, kernel_proto: u32, header_proto: u32) -> Verdict {
        self.same_type(
            kernel_proto,
            header_proto,
            Qualifiers::default(),
            Qualifiers::default(),
            false,
        )
    }

    /// Takes away the pairs that contradict the rest. A type that would be left with none keeps what it has: it
    /// is wrong itself, and need not make all that refer to it wrong too.
    fn settle(&mut self) {
        let contested: Vec<u32> = self
            .candidates
            .iter()
            .filter(|(_, offer)| offer.len() > 1)
            .map(|(&id, _)| id)
            .collect();
        loop {
            let mut changes = Vec::new();
            for &id in &contested {
                let offer = &self.candidates[&id];
                let kept: Vec<u32> = offer
                    .iter()
                    .copied()
                    .filter(|&c| self.same_definition(id, c).is_ok())
                    .collect();
                if !kept.is_empty() && kept.len() < offer.len() {
                    changes.push((id, kept));
                }
            }
            if changes.is_empty() {
                return;
            }
            self.candidates.extend(changes);
        }
    }

    fn same_definition(&self, k: u32, h: u32) -> Verdict {
        match (self.kernel.kind(k), self.header.kind(h)) {
            (Kind::Fwd { .. }, Kind::Fwd { .. }) => Ok(()),
            (Kind::Typedef(k), Kind::Typedef(h)) => {
                self.same_type(*k, *h, Qualifiers::default(), Qualifiers::default(), false)
            }
            _ => self.same_content(k, h),
        }
    }

    /// Two records or enums, by what they hold.
    fn same_content(&self, k: u32, h: u32) -> Verdict {
        match (self.kernel.kind(k), self.header.kind(h)) {
            (
                Kind::Struct {
                    size: k,
                    members: km,
                },
                Kind::Struct {
                    size: h,
                    members: hm,
                },
            )
            | (
                Kind::Union {
                    size: k,
                    members: km,
                },
                Kind::Union {
                    size: h,
                    members: hm,
                },
            ) => {
                self.same_members(km, hm)?;
                equal("size", k, h)
            }
            // `enum name;` has no size of its own.
            (Kind::Enum { values: k, .. }, Kind::Enum { values: h, .. })
                if k.is_empty() && h.is_empty() =>
            {
                Ok(())
            }
            (
                Kind::Enum {
                    size: ks,
                    signed: ksign,
                    values: kv,
                },
                Kind::Enum {
                    size: hs,
                    signed: hsign,
                    values: hv,
                },
            ) => {
                equal("size", ks, hs)?;
                equal("enumerators", &kv.len(), &hv.len())?;
                for ((kn, kv), (hn, hv)) in kv.iter().zip(hv) {
                    // Enumerators of twins share one namespace, so all but one have a suffix.
                    if !same_name(kn, hn) && !same_name(kn, without_suffix(hn)) {
                        return Err(format!("enumerator `{kn}`, header has `{hn}`"));
                    }
                    equal(&format!("enumerator `{kn}`"), kv, hv)?;
                }
                equal("signedness", ksign, hsign)
            }
            _ => Err(differ("", &spell(self.kernel, k), &spell(self.header, h))),
        }
    }

    fn same_members(&self, kernel: &[Member], header: &[Member]) -> Verdict {
        let (kernel, header) = (visible(self.kernel, kernel), visible(self.header, header));
        for (i, k) in kernel.iter().enumerate() {
            let name = if k.name.is_empty() {
                format!("unnamed member {i}")
            } else {
                format!("member `{}`", k.name)
            };
            let Some(h) = header.get(i) else {
                return Err(format!("{name} is not in the header"));
            };
            if !same_name(&k.name, &h.name) {
                return Err(format!("{name}, header has `{}` there", h.name));
            }
            equal(&format!("{name}: bit offset"), &k.bit_offset, &h.bit_offset)?;
            equal(
                &format!("{name}: bit-field width"),
                &k.bit_width,
                &h.bit_width,
            )?;
            self.same_type(
                k.ty,
                h.ty,
                Qualifiers::default(),
                Qualifiers::default(),
                k.name.is_empty(),
            )
            .map_err(|why| format!("{name}: {why}"))?;
        }
        match header.get(kernel.len()) {
            Some(extra) => Err(format!("header has a member `{}` more", extra.name)),
            None => Ok(()),
        }
    }

    /// Two whole types, down to named ones. `kq` and `hq` are qualifiers met on the way that belong to the
    /// element of an array; `unnamed` says that this is the type of an unnamed member.
    fn same_type(&self, k: u32, h: u32, kq: Qualifiers, hq: Qualifiers, unnamed: bool) -> Verdict {
        let (mut k, kq) = kq.of(self.kernel, k);
        let (mut h, hq) = hq.of(self.header, h);
        k = *self.kernel_forward.get(&k).unwrap_or(&k);
        h = *self.header_canonical.get(&h).unwrap_or(&h);
        let differs = || {
            Err(differ(
                "type",
                &(kq.spell() + &spell(self.kernel, k)),
                &(hq.spell() + &spell(self.header, h)),
            ))
        };
        let (kt, ht) = (self.kernel.get(k), self.header.get(h));

        if let (Kind::Array { elem: ke, len: kl }, Kind::Array { elem: he, len: hl }) =
            (&kt.kind, &ht.kind)
        {
            // `const T a[4]`: compilers differ on whether the array or its element is const.
            return if kl == hl {
                self.same_type(*ke, *he, kq, hq, false)
            } else {
                differs()
            };
        }
        // Clang drops what stands before an unnamed member; `layout::lost_qualifiers` sees that.
        // On a function type const and volatile mean pure and noreturn, and C forbids them.
        if kq != hq && !unnamed && !(self.is_function(k) && hq == Qualifiers::default()) {
            return differs();
        }
        let plain =
            |k, h| self.same_type(k, h, Qualifiers::default(), Qualifiers::default(), false);
        match (&kt.kind, &ht.kind) {
            (Kind::Void, Kind::Void) => Ok(()),
            (Kind::Ptr(k), Kind::Ptr(h)) => {
                if type_tags(self.kernel, *k) != type_tags(self.header, *h) {
                    return differs();
                }
                plain(*k, *h).or_else(|_| differs())
            }
            (Kind::Int { .. }, Kind::Int { .. })
                if integer(self.kernel, k) == integer(self.header, h) =>
            {
                Ok(())
            }
            (Kind::Float(k), Kind::Float(h)) if k == h => Ok(()),
            // A module cannot name an unnamed enum of its base: the header says the size and the sign.
            (
                Kind::Enum {
                    size: ks,
                    signed: ksign,
                    ..
                },
                Kind::Int {
                    size: hs,
                    signed: hsign,
                    ..
                },
            ) if kt.name.is_empty() && k < self.kernel.first_own && (ks, ksign) == (hs, hsign) => {
                Ok(())
            }
            (Kind::Int { size: k, .. } | Kind::Float(k), Kind::Typedef(target))
                if same_name(&kt.name, &ht.name) && size(self.header, *target) == Some(*k) =>
            {
                Ok(())
            }
            (
                Kind::FuncProto {
                    ret: kr,
                    params: kp,
                },
                Kind::FuncProto {
                    ret: hr,
                    params: hp,
                },
            ) => {
                if kp.len() != hp.len() {
                    return differs();
                }
                plain(*kr, *hr).map_err(|why| format!("return {why}"))?;
                for (i, ((kn, k), (_, h))) in kp.iter().zip(hp).enumerate() {
                    plain(*k, *h).map_err(|why| format!("parameter {} `{kn}`: {why}", i + 1))?;
                }
                Ok(())
            }
            _ if class(&kt.kind).is_none() || class(&ht.kind).is_none() => differs(),
            // An unnamed member of a named type (-fms-extensions) is printed in place, without its name.
            _ if kt.name.is_empty() || (unnamed && ht.name.is_empty()) => {
                match ht.name.is_empty() {
                    true => self.same_content(k, h),
                    false => differs(),
                }
            }
            _ if self
                .candidates
                .get(&k)
                .is_some_and(|offer| offer.contains(&h)) =>
            {
                Ok(())
            }
            _ => differs(),
        }
    }

    fn is_function(&self, mut id: u32) -> bool {
        while let Kind::Typedef(target) | Kind::Const(target) | Kind::Volatile(target) =
            self.kernel.kind(id)
        {
            id = *target;
        }
        matches!(self.kernel.kind(id), Kind::FuncProto { .. })
    }
}

fn equal<T: PartialEq + std::fmt::Display>(what: &str, kernel: &T, header: &T) -> Verdict {
    if kernel == header {
        Ok(())
    } else {
        Err(differ(what, kernel, header))
    }
}

fn differ<T: std::fmt::Display + ?Sized>(what: &str, kernel: &T, header: &T) -> String {
    let space = if what.is_empty() { "" } else { " " };
    format!("{what}{space}{kernel}, header has {header}")
}
