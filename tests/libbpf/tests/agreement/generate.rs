//! Random questions to a kernel's types, as C: fields by any path, sizes, existence, bits, whole types, enumerators;
//! of the kernel's own types and of flavours of them that are off by something.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use btfleet::btf::{Btf, Kind, Member, Type, TypeId};
use fastrand::Rng;

/// Questions in a function.
const FUNCTION: usize = 60;

/// How one in `n` of something that kernels have little of is picked.
const RARE: usize = 5;

/// What a field is declared to be where a flavour is to be off, `@` being its name.
const DECLARATIONS: [&str; 26] = [
    "char @",
    "signed char @",
    "unsigned short @",
    "short @",
    "int @",
    "unsigned int @",
    "long long @",
    "unsigned long long @",
    "_Bool @",
    "double @",
    "void *@",
    "char *@",
    "struct list_head *@",
    "int (*@)(void)",
    "struct list_head @",
    "struct { int inner; } @",
    "union { int inner; char bytes[4]; } @",
    "enum hrtimer_restart @",
    "enum { OWN_# } @",
    "int @[3]",
    "char @[200]",
    "void *@[2]",
    "struct list_head @[2]",
    "int @[2][3]",
    "struct { struct { int @; }; }",
    "union { long long other; struct { char more; unsigned int @; }; }",
];

/// C words that a field or a type of a kernel may be named like.
const KEYWORDS: [&str; 8] = [
    "int", "char", "long", "short", "auto", "register", "default", "inline",
];

struct Kernel<'b> {
    btf: &'b Btf<'b>,
    /// Records by name, each name of one type.
    records: Vec<(String, TypeId)>,
    /// One for each name that several records have.
    doubles: Vec<(String, TypeId)>,
    /// Named enums with an enumerator.
    enums: Vec<(String, TypeId)>,
    typedefs: Vec<(String, TypeId)>,
    rng: Rng,
    /// Goes into each name that a flavour makes.
    count: usize,
}

/// A program with `questions` of them. The same kernel and seed give the same program. What is wrong C in it is
/// left out with `-DLEAVE_<line>`.
pub fn source(btf: &[u8], seed: u64, questions: usize) -> String {
    let btf = Btf::parse(btf).unwrap();
    let mut kernel = Kernel::new(&btf, seed);
    let mut text = String::from(
        "#include \"vmlinux.h\"\n#include <bpf/bpf_helpers.h>\n#include <bpf/bpf_core_read.h>\n\
         #define MINE __attribute__((preserve_access_index))\n\
         #define ASK(what, field) __builtin_preserve_field_info(field, BPF_FIELD_##what)\n\
         __u64 sum;\n",
    );
    let mut lines = text.lines().count();
    for number in 0..questions {
        let begins = number % FUNCTION == 0;
        if begins {
            let end = if number == 0 { "" } else { "return 0; } " };
            writeln!(
                text,
                "{end}SEC(\"raw_tp/sys_enter\") int f{number}(void *ctx) {{"
            )
            .unwrap();
            lines += 1;
        }
        let question = kernel.question();
        writeln!(text, "#ifndef LEAVE_{}\n{question}\n#endif", lines + 2).unwrap();
        lines += 3;
    }
    text + "return 0; }\nchar LICENSE[] SEC(\"license\") = \"GPL\";\n"
}

impl<'b> Kernel<'b> {
    fn new(btf: &'b Btf<'b>, seed: u64) -> Kernel<'b> {
        let mut tags: BTreeMap<String, Vec<TypeId>> = BTreeMap::new();
        let mut typedefs = Vec::new();
        for ty in btf.types() {
            let Some(name) = name_of(btf, &ty) else {
                continue;
            };
            match ty.kind() {
                Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 => {
                    tags.entry(name).or_default().push(ty.id());
                }
                Kind::Typedef => typedefs.push((name, ty.id())),
                _ => {}
            }
        }
        let (mut records, mut doubles, mut enums) = (Vec::new(), Vec::new(), Vec::new());
        for (name, ids) in tags {
            let ty = btf.ty(ids[0]);
            match (ty.kind().is_record(), ids.as_slice()) {
                (true, _) if ty.vlen() == 0 => {}
                (true, [id]) => records.push((name, *id)),
                (true, _) => doubles.push((name, ids[0])),
                (false, [id]) if ty.vlen() > 0 => enums.push((name, *id)),
                (false, _) => {}
            }
        }
        Kernel {
            btf,
            records,
            doubles,
            enums,
            typedefs,
            rng: Rng::with_seed(seed),
            count: 0,
        }
    }

    /// A statement on a line of its own.
    fn question(&mut self) -> String {
        self.count += 1;
        match self.rng.usize(..20) {
            0..=6 => self.own_field(),
            7..=12 => self.flavoured_field(),
            13..=15 => self.whole_type(),
            16 => self.match_of_type(),
            _ => self.enumerator(),
        }
    }

    fn one_of<'a>(&mut self, from: &'a [(String, TypeId)]) -> &'a (String, TypeId) {
        &from[self.rng.usize(..from.len())]
    }

    fn record(&mut self) -> (String, TypeId) {
        let double = !self.doubles.is_empty() && self.rng.usize(..RARE) == 0;
        let from = std::mem::take(if double {
            &mut self.doubles
        } else {
            &mut self.records
        });
        let picked = self.one_of(&from).clone();
        *(if double {
            &mut self.doubles
        } else {
            &mut self.records
        }) = from;
        picked
    }

    /// A field of the kernel's own type, as the header has it.
    fn own_field(&mut self) -> String {
        loop {
            let at = self.rng.usize(..self.records.len());
            let (name, id) = self.records[at].clone();
            let Some((path, leaf)) = self.path(id) else {
                continue;
            };
            let tag = tag(self.btf, id);
            let first = match self.rng.usize(..RARE) {
                0 => format!("(({tag} {name} *)ctx)[{}]", self.rng.usize(..4)),
                _ => format!("(*({tag} {name} *)ctx)"),
            };
            return self.ask(&format!("{first}{path}"), leaf);
        }
    }

    /// One of the things to ask of a field.
    fn ask(&mut self, field: &str, leaf: Leaf) -> String {
        let asks: &[&str] = match leaf {
            Leaf::Number => &[
                "EXISTS",
                "BYTE_OFFSET",
                "BYTE_SIZE",
                "SIGNED",
                "LSHIFT_U64",
                "RSHIFT_U64",
            ],
            // Of some bit fields clang refuses all others.
            Leaf::Bits => &["EXISTS", "SIGNED", "RSHIFT_U64"],
            Leaf::OwnBits => &[
                "EXISTS",
                "BYTE_OFFSET",
                "BYTE_SIZE",
                "SIGNED",
                "LSHIFT_U64",
                "RSHIFT_U64",
            ],
            Leaf::Pointer | Leaf::Other => &["EXISTS", "BYTE_OFFSET", "BYTE_SIZE"],
        };
        match (leaf, self.rng.usize(..8)) {
            (Leaf::Number, 0 | 1) => format!("sum += {field};"),
            (Leaf::Pointer, 0 | 1) => format!("sum += (unsigned long){field};"),
            (Leaf::Number, 2) => format!("{field} = sum;"),
            (Leaf::Number, 3) => format!("{field} = 7;"),
            _ => {
                let ask = asks[self.rng.usize(..asks.len())];
                format!("sum += ASK({ask}, {field});")
            }
        }
    }

    /// Members from a record to a field: `.a.b[3].c`.
    fn path(&mut self, record: TypeId) -> Option<(String, Leaf)> {
        let mut path = String::new();
        let mut at = record;
        loop {
            let ty = self.strip(at);
            match ty.kind() {
                Kind::Struct | Kind::Union => {
                    let named = !path.is_empty() && !path.ends_with('^');
                    if ty.vlen() == 0 || (named && self.rng.usize(..3) == 0) {
                        return named.then(|| (path.clone(), Leaf::Other));
                    }
                    let members: Vec<Member> = ty.members().collect();
                    let member = members[self.rng.usize(..members.len())];
                    let name = identifier(self.btf.name(member.name))?;
                    if name.is_empty() {
                        // What is inside has no name to go by.
                        if !self.strip(member.ty).kind().is_record() {
                            return None;
                        }
                        path = path.trim_end_matches('^').to_owned() + "^";
                    } else {
                        path = path.trim_end_matches('^').to_owned() + "." + &name;
                        if member.width > 0 {
                            return Some((path, Leaf::Bits));
                        }
                    }
                    at = member.ty;
                }
                Kind::Array => {
                    let array = ty.array()?;
                    if self.rng.usize(..4) == 0 {
                        return Some((path, Leaf::Other));
                    }
                    let within = if array.count == 0 { 6 } else { array.count };
                    write!(path, "[{}]", self.rng.u32(..within)).unwrap();
                    at = array.element;
                }
                Kind::Int | Kind::Enum | Kind::Enum64 => return Some((path, Leaf::Number)),
                Kind::Ptr => return Some((path, Leaf::Pointer)),
                _ => return Some((path, Leaf::Other)),
            }
        }
    }

    fn strip(&self, mut id: TypeId) -> Type<'b> {
        loop {
            let ty = self.btf.ty(id);
            if !matches!(
                ty.kind(),
                Kind::Typedef | Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag
            ) {
                return ty;
            }
            id = ty.target();
        }
    }

    /// A field of a flavour, declared otherwise than the kernel does.
    fn flavoured_field(&mut self) -> String {
        loop {
            let (name, id) = self.record();
            let fields = self.fields(id);
            let Some((field, ty)) = fields.get(self.rng.usize(..fields.len().max(1))).cloned()
            else {
                continue;
            };
            let field = match self.rng.usize(..12) {
                0 => format!("no_such_{field}"),
                _ => field,
            };
            let n = self.count;
            let tag = match (tag(self.btf, id), self.rng.usize(..12)) {
                ("struct", 0) => "union",
                (tag, _) => tag,
            };
            let (declaration, path, leaf) = self.declare(&field, ty);
            let before = match (leaf, self.rng.usize(..3)) {
                // clang refuses a bit field that does not begin where an integer could.
                (Leaf::OwnBits, _) | (_, 1..) => "",
                _ => "char before[5]; ",
            };
            let question = self.ask(&format!("((({tag} {name}___{n} *)ctx)->{path})"), leaf);
            return format!(
                "{{ {tag} {name}___{n} {{ {before}{declaration}; }} MINE; {question} }}"
            );
        }
    }

    /// A declaration of the field, a path into it and what is there.
    fn declare(&mut self, field: &str, ty: TypeId) -> (String, String, Leaf) {
        let real = self.strip(ty);
        match self.rng.usize(..6) {
            // Another field of the record that it is.
            0 if real.kind().is_record() => {
                let inner = self.fields(real.id());
                if let Some((inner, ty)) = inner.get(self.rng.usize(..inner.len().max(1))).cloned()
                {
                    let tag = if self.rng.bool() { "struct" } else { "union" };
                    let (declaration, path, leaf) = self.declare(&inner, ty);
                    return (
                        format!("{tag} {{ {declaration}; }} {field}"),
                        format!("{field}.{path}"),
                        leaf,
                    );
                }
            }
            1 => {
                let bits = 1 + self.rng.usize(..30);
                let sign = if self.rng.bool() {
                    "int"
                } else {
                    "unsigned int"
                };
                let pad = self.rng.usize(..31);
                let pad = if pad > 0 {
                    format!("int pad : {pad}; ")
                } else {
                    String::new()
                };
                return (
                    format!("{pad}{sign} {field} : {bits}"),
                    field.to_owned(),
                    Leaf::OwnBits,
                );
            }
            // An array that ends the record and has no length.
            2 => {
                let index = self.rng.usize(..9);
                return (
                    format!("int first; short {field}[]"),
                    format!("{field}[{index}]"),
                    Leaf::Number,
                );
            }
            _ => {}
        }
        let declaration = DECLARATIONS[self.rng.usize(..DECLARATIONS.len())];
        let leaf = match declaration {
            _ if declaration.contains("@[") && self.rng.bool() => {
                let leaf = match declaration {
                    "void *@[2]" => Leaf::Pointer,
                    "int @[3]" | "char @[200]" => Leaf::Number,
                    _ => Leaf::Other,
                };
                let path = format!("{field}[{}]", self.rng.usize(..2));
                return (self.fill(declaration, field), path, leaf);
            }
            "double @" => Leaf::Other,
            _ if declaration.contains("@[")
                || declaration.ends_with("} @") && !declaration.starts_with("enum") =>
            {
                Leaf::Other
            }
            "struct list_head @" => Leaf::Other,
            _ if declaration.contains("*@") => Leaf::Pointer,
            _ => Leaf::Number,
        };
        (self.fill(declaration, field), field.to_owned(), leaf)
    }

    fn fill(&self, declaration: &str, field: &str) -> String {
        declaration
            .replace('@', field)
            .replace('#', &self.count.to_string())
    }

    /// The names that C finds in a record, those of anonymous ones within it too, and their types.
    fn fields(&self, record: TypeId) -> Vec<(String, TypeId)> {
        let (mut found, mut todo) = (Vec::new(), vec![record]);
        while let Some(id) = todo.pop() {
            for member in self.strip(id).members() {
                match identifier(self.btf.name(member.name)) {
                    Some(name) if name.is_empty() => todo.push(member.ty),
                    Some(name) => found.push((name, member.ty)),
                    None => {}
                }
            }
        }
        found
    }

    /// Existence, size or ids of a type: the kernel's own, or a flavour that may be of another kind.
    fn whole_type(&mut self) -> String {
        let n = self.count;
        let ask = [
            "type_exists",
            "type_size",
            "type_id_kernel",
            "type_id_local",
        ][self.rng.usize(..4)];
        let typedef = !self.typedefs.is_empty() && self.rng.usize(..3) == 0;
        let (name, id) = match typedef {
            true => self.typedefs[self.rng.usize(..self.typedefs.len())].clone(),
            false => self.record(),
        };
        match (typedef, self.rng.usize(..3)) {
            (true, 0) => format!("sum += bpf_core_{ask}({name});"),
            (true, _) => {
                let declaration = DECLARATIONS[self.rng.usize(..22)];
                let flavour = format!("{name}___{n}");
                let declaration = self.fill(declaration, &flavour);
                format!("{{ typedef {declaration}; sum += bpf_core_{ask}({flavour}); }}")
            }
            (false, 0) => format!("sum += bpf_core_{ask}({} {name});", tag(self.btf, id)),
            (false, _) => {
                let tag = ["struct", "union"][self.rng.usize(..2)];
                format!(
                    "{{ {tag} {name}___{n} {{ int x; }}; sum += bpf_core_{ask}({tag} {name}___{n}); }}"
                )
            }
        }
    }

    /// Whether a type fits as a whole: some of its fields of their own types, some off.
    fn match_of_type(&mut self) -> String {
        loop {
            let at = self.rng.usize(..self.records.len());
            let (name, id) = self.records[at].clone();
            let (n, tag) = (self.count, tag(self.btf, id));
            if self.rng.usize(..4) == 0 {
                return matches(&format!("sum += bpf_core_type_matches({tag} {name});"));
            }
            let fields = self.fields(id);
            if fields.is_empty() {
                continue;
            }
            let mut names = BTreeSet::new();
            let mut declarations = String::new();
            for _ in 0..1 + self.rng.usize(..4) {
                let (field, _) = &fields[self.rng.usize(..fields.len())];
                if !names.insert(field.clone()) {
                    continue;
                }
                match self.rng.usize(..8) {
                    0 => {
                        let declaration = DECLARATIONS[self.rng.usize(..22)];
                        write!(declarations, "{}; ", self.fill(declaration, field)).unwrap();
                    }
                    _ => write!(
                        declarations,
                        "typeof((({tag} {name} *)0)->{field}) {field}; "
                    )
                    .unwrap(),
                }
            }
            return matches(&format!(
                "{{ {tag} {name}___{n} {{ {declarations}}}; sum += bpf_core_type_matches({tag} {name}___{n}); }}"
            ));
        }
    }

    /// Existence or value of an enumerator: the kernel's own, or a flavour's, wide or not.
    fn enumerator(&mut self) -> String {
        loop {
            let at = self.rng.usize(..self.enums.len());
            let (name, id) = self.enums[at].clone();
            let n = self.count;
            let names: Vec<_> = self.btf.ty(id).enumerators().collect();
            let picked = names[self.rng.usize(..names.len())].name;
            let Some(enumerator) = identifier(self.btf.name(picked)) else {
                continue;
            };
            let ask = ["value", "value_exists"][self.rng.usize(..2)];
            let value = [
                "1",
                "-3",
                "0x7fffffff",
                "0x123456789aLL",
                "-0x123456789aLL",
                "0xfedcba9876543210ULL",
            ][self.rng.usize(..6)];
            return match self.rng.usize(..5) {
                0 | 1 => format!("sum += bpf_core_enum_{ask}(enum {name}, {enumerator});"),
                2 => matches(&format!(
                    "{{ enum {name}___{n} {{ {enumerator}___{n} = {value} }}; \
                     sum += bpf_core_type_matches(enum {name}___{n}); }}"
                )),
                roll => {
                    let enumerator = match roll {
                        3 => format!("{enumerator}___{n}"),
                        _ => format!("NO_SUCH_{enumerator}___{n}"),
                    };
                    format!(
                        "{{ enum {name}___{n} {{ {enumerator} = {value} }}; \
                         sum += bpf_core_enum_{ask}(enum {name}___{n}, {enumerator}); }}"
                    )
                }
            };
        }
    }
}

/// clang 14 does not know `BPF_TYPE_MATCHES`, and says so by dying.
fn matches(statement: &str) -> String {
    let older = statement.replace("type_matches", "type_exists");
    format!("if (__clang_major__ >= 15) {statement} else {older}")
}

/// What is at the end of a path.
#[derive(Clone, Copy)]
enum Leaf {
    Number,
    /// A bit field of the kernel's own types.
    Bits,
    /// One of a flavour.
    OwnBits,
    Pointer,
    Other,
}

fn tag(btf: &Btf<'_>, id: TypeId) -> &'static str {
    match btf.kind(id) {
        Kind::Union => "union",
        _ => "struct",
    }
}

fn name_of(btf: &Btf<'_>, ty: &Type<'_>) -> Option<String> {
    identifier(btf.name(ty.name())).filter(|name| !name.is_empty())
}

/// A name as C has it, or an empty one. What is spelled like a word of C, or holds a flavour, is not asked for.
fn identifier(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    (plain && !KEYWORDS.contains(&name) && !name.contains("___")).then(|| name.to_owned())
}
