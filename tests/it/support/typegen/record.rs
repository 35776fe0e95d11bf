//! Structs and unions, laid out as a compiler would.

use super::super::btfgen::{Kind, Member, Record};
use super::{Fact, Gen, Shape, names};

/// A record while its members are placed.
struct Plan {
    union: bool,
    packed: bool,
    /// In bits.
    at: u32,
    /// In bits.
    end: u32,
    align: u32,
    natural: bool,
    members: Vec<Member>,
    flat: Vec<(String, Option<u32>)>,
}

impl Plan {
    /// Takes `bits` at the next multiple of `align` bits.
    fn take(&mut self, bits: u32, align: u32) -> u32 {
        let at = if self.union {
            0
        } else {
            self.at.next_multiple_of(align)
        };
        self.at = at + bits;
        self.end = self.end.max(self.at);
        at
    }

    fn knows(&self, name: &str) -> bool {
        self.flat.iter().any(|(n, _)| n == name)
    }

    fn put(&mut self, name: &str, shape: &Shape) {
        let align = if self.packed { 1 } else { shape.align };
        let offset = self.take(8 * shape.size, 8 * align);
        self.align = self.align.max(align);
        self.natural &= shape.natural;
        self.members.push(Member {
            name: name.as_bytes().to_vec(),
            ty: shape.id,
            offset,
            bits: 0,
        });
        match &shape.members {
            Some(inner) if name.is_empty() => {
                let shift =
                    |(n, at): &(String, Option<u32>)| (n.clone(), at.map(|at| at + offset / 8));
                self.flat.extend(inner.iter().map(shift));
            }
            _ => self.flat.push((name.to_string(), Some(offset / 8))),
        }
    }

    /// A bit-field goes where the last one ended, unless it would then cross a unit of its type.
    fn put_bits(&mut self, name: &str, shape: &Shape, bits: u32) {
        let unit = 8 * shape.size;
        let crosses = !self.union && self.at % unit + bits > unit;
        let offset = self.take(bits, if crosses && !self.packed { unit } else { 1 });
        if !self.packed {
            self.align = self.align.max(shape.align);
        }
        self.natural &= shape.natural;
        self.members.push(Member {
            name: name.as_bytes().to_vec(),
            ty: shape.id,
            offset,
            bits: bits as u8,
        });
        self.flat.push((name.to_string(), None));
    }
}

impl Gen<'_> {
    pub(super) fn named_record(&mut self) {
        let shape = self.record(0);
        let index = (shape.id - 1) as usize;
        let name = self.tag_name("s");
        self.graph.types[index].name = name.as_bytes().to_vec();
        let Kind::Record(r) = &self.graph.types[index].kind else {
            unreachable!("a record was made")
        };
        let keyword = if r.union { "union" } else { "struct" };
        let members = shape.members.clone().unwrap_or_default();
        self.claim(keyword, &name, &shape, &members);
        self.shapes.push(shape);
    }

    /// What must hold of a record that is called so; a name which is not plain may come out escaped.
    pub(super) fn claim(
        &mut self,
        keyword: &'static str,
        name: &str,
        shape: &Shape,
        members: &[(String, Option<u32>)],
    ) {
        if !names::is_plain(name) {
            return;
        }
        let name = name.to_string();
        self.facts.push(Fact::Size {
            keyword,
            name: name.clone(),
            size: shape.size,
        });
        if shape.natural && shape.size > 0 {
            self.facts.push(Fact::Align {
                keyword,
                name: name.clone(),
                align: shape.align,
            });
        }
        for (member, offset) in members {
            if let (true, Some(offset)) = (names::is_plain(member), *offset) {
                let (name, member) = (name.clone(), member.clone());
                self.facts.push(Fact::Offset {
                    keyword,
                    name,
                    member,
                    offset,
                });
            }
        }
    }

    /// An unnamed record, `depth` levels inside others. (It gets its name later.)
    pub(super) fn record(&mut self, depth: u32) -> Shape {
        let style = self.source.below(10);
        let mut plan = Plan {
            union: self.source.one_in(4),
            packed: matches!(style, 7 | 8),
            at: 0,
            end: 0,
            align: 1,
            natural: !matches!(style, 7..),
            members: Vec::new(),
            flat: Vec::new(),
        };
        // A pointer to itself, as lists have it: the record comes right after it… but for what it contains.
        let mut own_pointer = None;
        if depth == 0 && self.source.one_in(3) {
            let pointer = self.graph.ptr(0);
            self.scalar(pointer, self.pointer_size(), 0);
            own_pointer = Some(pointer);
        }
        for _ in 0..self.source.below(8) {
            self.member(&mut plan, depth);
        }
        let flexible = self.tail(&mut plan);
        if matches!(style, 8 | 9) {
            plan.align = plan.align.max(1 << self.source.below(7));
        }
        let mut size = plan.end.next_multiple_of(8 * plan.align) / 8;
        if plan.members.is_empty() && self.source.one_in(2) {
            // Seen in kernels: a size without members.
            size = self.source.below(20) as u32;
            plan.natural = false;
        }
        let widths = plan.members.iter().any(|m| m.bits > 0) || self.source.one_in(8);
        let kind = Kind::Record(Record {
            union: plan.union,
            size,
            widths,
            members: plan.members,
        });
        let id = self.graph.add("", kind);
        if let Some(pointer) = own_pointer {
            self.graph.get_mut(pointer).kind = Kind::Ptr(id);
        }
        Shape {
            id,
            size,
            align: plan.align,
            bits: 0,
            natural: plan.natural,
            flexible,
            members: Some(plan.flat),
        }
    }

    fn member(&mut self, plan: &mut Plan, depth: u32) {
        let name = self.member_name();
        if plan.knows(&name) {
            return;
        }
        match self.source.below(12) {
            0..=4 => {
                let shape = self.shape();
                plan.put(&name, &shape);
            }
            5..=7 => self.bit_field(plan, &name),
            8 if depth < 3 => {
                let inner = self.record(depth + 1);
                self.unnamed(plan, inner);
            }
            // As -fms-extensions has it: a named record without a member's name.
            9 => {
                let inner = self.shape();
                if inner.members.is_some() {
                    self.unnamed(plan, inner);
                }
            }
            // An unnamed bit-field, a member that is aligned by attribute: what BTF shows of it is a hole.
            10 if !plan.union => {
                plan.at += 1 + self.source.below(40) as u32;
                plan.end = plan.end.max(plan.at);
                plan.natural = false;
            }
            11 => {
                let shape = self.shape();
                if !shape.flexible && shape.size > 0 {
                    let none = self.graph.array(shape.id, 1, 0);
                    plan.put(
                        &name,
                        &Shape {
                            id: none,
                            size: 0,
                            members: None,
                            ..shape
                        },
                    );
                }
            }
            _ => {}
        }
    }

    fn bit_field(&mut self, plan: &mut Plan, name: &str) {
        let shape = self.shape();
        let shape = if shape.bits == 0 {
            self.shapes[self.source.below(11)].clone()
        } else {
            shape
        };
        let bits = 1 + self.source.below(shape.bits as usize) as u32;
        plan.put_bits(name, &shape, bits);
    }

    /// Puts a record in as an unnamed member, at times a const one, unless a name would be there twice.
    fn unnamed(&mut self, plan: &mut Plan, mut inner: Shape) {
        let names = inner.members.clone().unwrap_or_default();
        // C has no unnamed member without members, and none may end in a flexible array in mid-struct.
        if names.is_empty() || inner.flexible || names.iter().any(|(n, _)| plan.knows(n)) {
            return;
        }
        if self.source.one_in(6) {
            inner.id = self.graph.add("", Kind::Const(inner.id));
        }
        plan.put("", &inner);
    }

    /// At times a flexible array at the end; whether there is one.
    fn tail(&mut self, plan: &mut Plan) -> bool {
        if plan.union || plan.flat.is_empty() || !self.source.one_in(8) {
            return false;
        }
        let shape = self.shape();
        let name = self.plain_name("m");
        if shape.flexible || shape.size == 0 {
            return false;
        }
        let array = self.graph.array(shape.id, 1, 0);
        plan.put(
            &name,
            &Shape {
                id: array,
                size: 0,
                members: None,
                ..shape
            },
        );
        true
    }
}
