//! The header as a whole: what stands where.

use super::beside::{Aside, Hands};
use super::defs::{Def, DefClass, Defs, Slot, State};
use super::error::Error;
use super::naming::{self, Entries, Naming};
use super::order::{Order, Walk};
use super::sorted::{Named, Roll};
use super::survey::Survey;
use crate::btf::{Btf, TypeId};

/// All decisions about a header, before a byte of it is written.
pub(super) struct Plan {
    pub(super) defs: Defs,
    pub(super) order: Order,
    pub(super) naming: Naming,
}

impl Plan {
    /// Plans the header of a BTF, with the help of whoever is there.
    pub fn new<'b>(btf: &'b Btf<'b>, hands: &dyn Hands<'b>) -> Result<Plan, Error> {
        match btf.base() {
            None => {
                let (defs, roll) = Defs::new(btf)?;
                Plan::with(btf, defs, roll, None, hands)
            }
            Some(base) => {
                let base = Plan::new(base, hands)?;
                let (defs, roll) = Defs::on_base(&base.defs, btf)?;
                Plan::with(btf, defs, roll, Some(&base.naming), hands)
            }
        }
    }

    fn with<'b>(
        btf: &'b Btf<'b>,
        mut defs: Defs,
        roll: Roll,
        base: Option<&Naming>,
        hands: &dyn Hands<'b>,
    ) -> Result<Plan, Error> {
        let kfuncs = defs.kfuncs.clone();
        let given = Naming::of_base(base, &defs);
        // Names in order and what they clash with, and what definitions need: neither needs the other.
        let names = {
            let own = |def: &Def| match def.is(Def::BASE) {
                true => TypeId::VOID,
                false => def.id,
            };
            let ids: Vec<TypeId> = defs.defs.iter().map(own).collect();
            let (kfuncs, unnamed) = (kfuncs.clone(), defs.unnamed_enums.clone());
            Aside::offer(hands, move || {
                let named = roll.in_order(btf);
                let id = |slot: Slot| ids[slot as usize];
                let entries = Entries::new(btf, &named, &unnamed, kfuncs, id);
                (named, naming::enter(btf, &entries, given))
            })
        };
        let survey = Survey::new(btf, &mut defs);
        let (named, mut naming) = names.finish();
        let roots = named.iter().filter(|n| !n.is_enum());
        let roots: Vec<Slot> = roots.map(Named::slot).collect();
        defs.named = named;
        if survey.is_none() {
            naming.count_uses(&mut defs);
        }
        let mut walk = Walk::new(btf, &mut defs, survey, false);
        // A base's are done.
        walk.visit_all(&roots)?;
        for func in kfuncs {
            walk.visit_prototype(func)?;
        }
        let order = walk.order;
        for i in 0..defs.unnamed_enums.len() {
            let slot = defs.unnamed_enums[i];
            let def = defs.get_mut(slot);
            if !def.is(Def::BASE) && def.uses > 1 {
                def.flags |= Def::HOISTED;
            }
        }
        naming::settle(btf, &mut defs, &mut naming);
        Ok(Plan {
            defs,
            order,
            naming,
        })
    }

    /// Narrows the plan to these names and what they need.
    pub fn narrow(&mut self, btf: &Btf<'_>, names: &[&str]) -> Result<(), Error> {
        let mut roots: Vec<Slot> = Vec::new();
        let mut kfuncs: Vec<TypeId> = Vec::new();
        for name in names {
            let found = self.find(btf, name);
            let funcs = self.defs.kfuncs.iter().copied();
            let funcs: Vec<TypeId> = funcs
                .filter(|f| btf.name(btf.ty(*f).name()) == name.as_bytes())
                .collect();
            if found.is_empty() && funcs.is_empty() {
                return Err(Error::unknown(format!("there is no type called {name}")));
            }
            roots.extend(found);
            kfuncs.extend(funcs);
        }
        for def in &mut self.defs.defs {
            def.flags &= !Def::FORWARD;
            let enum_or_int = matches!(def.class, DefClass::Enum | DefClass::Arithmetic);
            // What the base's header has stays there.
            if !enum_or_int && !def.is(Def::BASE) {
                def.state = State::New;
            }
        }
        roots.sort_by(|a, b| self.compare(btf, *a, *b));
        kfuncs.sort_by(|a, b| btf.name(btf.ty(*a).name()).cmp(btf.name(btf.ty(*b).name())));
        let mut walk = Walk::new(btf, &mut self.defs, None, true);
        for slot in roots {
            match walk.defs.get(slot).class {
                DefClass::Enum => walk.order.enums.push(slot),
                _ => walk.visit(slot)?,
            }
        }
        for func in &kfuncs {
            walk.visit_prototype(*func)?;
        }
        self.order = walk.order;
        self.defs.kfuncs = kfuncs;
        Ok(())
    }

    /// The definitions that bear this name in the header, with or without `struct` and the like before it.
    fn find(&self, btf: &Btf<'_>, name: &str) -> Vec<Slot> {
        let (keyword, name) = match name.split_once(' ') {
            Some((keyword @ ("struct" | "union" | "enum"), name)) => (Some(keyword), name.trim()),
            _ => (None, name),
        };
        let fits = |slot: &Slot| {
            let def = self.defs.get(*slot);
            let class = match def.class {
                DefClass::Struct => Some("struct"),
                DefClass::Union => Some("union"),
                DefClass::Enum => Some("enum"),
                _ => None,
            };
            if keyword.is_some() && keyword != class {
                return false;
            }
            let bytes = btf.name(def.name);
            match def.suffix {
                0 | 1 => bytes == name.as_bytes(),
                n => [bytes, format!("___{n}").as_bytes()].concat() == name.as_bytes(),
            }
        };
        self.defs
            .named
            .iter()
            .map(Named::slot)
            .filter(fits)
            .collect()
    }

    pub(super) fn compare(&self, btf: &Btf<'_>, a: Slot, b: Slot) -> std::cmp::Ordering {
        let key = |s: Slot| {
            let def = self.defs.get(s);
            (
                btf.name(def.name),
                def.class == DefClass::Typedef,
                def.suffix,
            )
        };
        key(a).cmp(&key(b))
    }
}
