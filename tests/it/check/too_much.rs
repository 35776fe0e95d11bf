//! Objects of a few MiB that ask for hours of work: they are refused, or answered, soon. A server takes objects from anybody.

use crate::support::btfgen::{Graph, Id};
use crate::support::btfwrite::{Form, encode};
use btfleet::btf::Btf;
use btfleet::relo::check::{CoreKind, Object, ObjectError, Target, check};
use btfleet::relo::minimize::minimize;
use std::time::{Duration, Instant};

/// An object that no compiler made: one section of code, `kprobe`.
#[derive(Default)]
struct Made {
    graph: Graph,
    code: Vec<u8>,
    symbols: Vec<(String, usize, usize)>,
    relocations: Vec<[u32; 4]>,
    lines: Vec<[u32; 4]>,
}

/// `mov64 r1, IMM`, `exit`.
const MOV: [u8; 4] = [0xb7, 1, 0, 0];
const EXIT: [u8; 4] = [0x95, 0, 0, 0];
/// `call`, of a function of the object.
const CALL: [u8; 4] = [0x85, 0x10, 0, 0];

impl Made {
    /// An instruction; where it is.
    fn insn(&mut self, insn: [u8; 4], imm: i32) -> u32 {
        self.code.extend(insn);
        self.code.extend(imm.to_le_bytes());
        self.code.len() as u32 - 8
    }

    /// Everything since the last function is one of this name.
    fn function(&mut self, name: &str) {
        self.insn(EXIT, 0);
        let from = self.symbols.last().map_or(0, |(_, at, len)| at + len);
        let len = self.code.len() - from;
        self.symbols.push((name.to_owned(), from, len));
    }

    /// An instruction that a relocation on this type is about.
    fn asks(&mut self, kind: CoreKind, ty: Id, imm: i32) {
        let at = self.insn(MOV, imm);
        // The access string is put in by `bytes`.
        self.relocations
            .push([at, ty, kind.is_field().into(), kind as u32]);
    }

    fn bytes(&self) -> Vec<u8> {
        let mut graph = self.graph.clone();
        for name in ["kprobe", "0", "0:0"] {
            graph.int(name, 4, 0);
        }
        let btf = encode(&graph, &Form::default());
        let strings = Btf::parse(&btf).unwrap();
        let string = |wanted: &str| {
            let mut named = strings.types().map(|ty| ty.name());
            let at = named.find(|at| strings.name(*at) == wanted.as_bytes());
            at.unwrap().0
        };
        let (section, whole, first) = (string("kprobe"), string("0"), string("0:0"));
        let relocations = self.relocations.iter().map(|r| {
            let access = [whole, first][r[2] as usize];
            [r[0], r[1], access, r[3]]
        });
        let part = |rows: Vec<[u32; 4]>| -> Vec<u32> {
            match rows.len() as u32 {
                0 => Vec::new(),
                count => [&[16, section, count], rows.as_flattened()].concat(),
            }
        };
        let (lines, relocations) = (part(self.lines.clone()), part(relocations.collect()));
        let (l, r) = (lines.len() as u32 * 4, relocations.len() as u32 * 4);
        let header = [0x0001_eb9f, 32, 0, 0, 0, l, l, r];
        let ext = words(&[&header[..], &lines, &relocations].concat());

        let mut names = b"\0.BTF\0.BTF.ext\0.symtab\0.strtab\0kprobe\0".to_vec();
        let mut symtab = vec![0; 24];
        for (name, at, len) in &self.symbols {
            // Global, a function, of the first section.
            symtab.extend((names.len() as u32).to_le_bytes());
            symtab.extend([0x12, 0, 1, 0]);
            symtab.extend((*at as u64).to_le_bytes());
            symtab.extend((*len as u64).to_le_bytes());
            names.extend(name.as_bytes());
            names.push(0);
        }
        elf(&[
            (31, 1, 6, 0, &self.code),
            (1, 1, 0, 0, &btf),
            (6, 1, 0, 0, &ext),
            (15, 2, 0, 5, &symtab),
            (23, 3, 0, 0, &names),
        ])
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// A file of these sections: name, type, flags, which one it goes with, bytes. The last one has their names.
fn elf(sections: &[(u32, u32, u64, u32, &[u8])]) -> Vec<u8> {
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(64, 0);
    out[16..20].copy_from_slice(&[1, 0, 247, 0]);
    let mut headers = vec![0; 64];
    for (name, ty, flags, link, bytes) in sections {
        let at = out.len() as u64;
        headers.extend(words(&[*name, *ty]));
        headers.extend(flags.to_le_bytes());
        headers.extend([0; 8]);
        headers.extend(at.to_le_bytes());
        headers.extend((bytes.len() as u64).to_le_bytes());
        headers.extend(words(&[*link, 1]));
        headers.extend(8u64.to_le_bytes());
        headers.extend(24u64.to_le_bytes());
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(8), 0);
    }
    let count = sections.len() as u16;
    let at = out.len() as u64;
    out[40..48].copy_from_slice(&at.to_le_bytes());
    out[52..54].copy_from_slice(&64u16.to_le_bytes());
    out[58..60].copy_from_slice(&64u16.to_le_bytes());
    out[60..62].copy_from_slice(&(count + 1).to_le_bytes());
    out[62..64].copy_from_slice(&count.to_le_bytes());
    out.extend(headers);
    out
}

fn kernel(graph: &Graph) -> Vec<u8> {
    encode(graph, &Form::default())
}

fn soon<T>(what: &str, done: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let value = done();
    let took = start.elapsed();
    println!("{what}: {took:?}");
    assert!(took < Duration::from_secs(60), "{what} took {took:?}");
    value
}

#[test]
fn a_hundred_thousand_types_that_are_long_to_compare_are_too_much() {
    let record = |graph: &mut Graph, members: &[String]| {
        let int = graph.int("int", 4, 1);
        let members: Vec<(&str, Id, u32)> = members.iter().map(|m| (m.as_str(), int, 0)).collect();
        graph.record("heavy", 4, &members)
    };
    // So many types of one name, each asked for.
    let asking = |names: &[String], count: usize| {
        let mut made = Made::default();
        let heavy = record(&mut made.graph, names);
        for _ in 0..count {
            let ty = made.graph.record("s", 4, &[("h", heavy, 0)]);
            made.asks(CoreKind::TypeMatches, ty, 1);
        }
        made.function("probe");
        made.bytes()
    };
    let mut names: Vec<String> = (0..400).map(|n| format!("m{n}")).collect();
    let bytes = asking(&names, 100_000);
    assert!(bytes.len() < 16 << 20, "{}", bytes.len());
    let object = Object::parse(&bytes).unwrap();
    let mut theirs = Graph::default();
    names.reverse();
    let heavy = record(&mut theirs, &names);
    theirs.record("s", 4, &[("h", heavy, 0)]);
    let theirs = kernel(&theirs);
    let theirs = Btf::parse(&theirs).unwrap();
    let target = Target::new(&theirs);
    assert!(soon("check", || check(&object, &target)).is_err());
    assert!(soon("minimize", || minimize(&target, [&object])).is_err());
    // A hundred of them are not.
    let bytes = asking(&names, 100);
    let object = Object::parse(&bytes).unwrap();
    let programs = check(&object, &target).unwrap();
    assert_eq!(programs[0].verdict.name(), "resolves", "{programs:?}");
}

/// `programs` that call one function of so many instructions, each of which asks for what is not there if it is `poisoned`.
fn sharing(programs: usize, insns: usize, poisoned: bool) -> Vec<u8> {
    let mut made = Made::default();
    let int = made.graph.int("int", 4, 1);
    let gone = made.graph.record("gone", 4, &[("field", int, 0)]);
    for n in 0..insns {
        match poisoned || n == 0 {
            true => made.asks(CoreKind::FieldByteOffset, gone, 0),
            false => drop(made.insn(MOV, 0)),
        }
    }
    made.function("shared");
    for n in 0..programs {
        let at = made.code.len() as i32 / 8;
        made.insn(CALL, -at - 1);
        made.function(&format!("p{n}"));
    }
    made.bytes()
}

#[test]
fn thousands_of_programs_that_share_much_code_are_too_much() {
    let theirs = kernel(&{
        let mut graph = Graph::default();
        graph.int("int", 4, 1);
        graph
    });
    let theirs = Btf::parse(&theirs).unwrap();
    let target = Target::new(&theirs);
    for (programs, insns, poisoned) in [(20_000, 100_000, true), (50_000, 500_000, false)] {
        let bytes = sharing(programs, insns, poisoned);
        assert!(bytes.len() < 16 << 20, "{}", bytes.len());
        let object = Object::parse(&bytes).unwrap();
        let said = soon("check", || check(&object, &target));
        assert!(said.is_err(), "{programs} programs, {insns} instructions");
    }
    let bytes = sharing(100, 500, true);
    let object = Object::parse(&bytes).unwrap();
    let programs = check(&object, &target).unwrap();
    assert_eq!(programs.len(), 101);
    assert!(programs.iter().all(|p| p.verdict.name() == "fails"));
}

#[test]
fn strings_without_end_are_cut_or_refused() {
    // 300,000 lines, each of the same 4 MB of source.
    let mut made = Made::default();
    made.graph.int("int", 4, 1);
    for _ in 0..300_000 {
        made.insn(MOV, 0);
    }
    made.function("probe");
    let mut text = vec![b'x'; 4 << 20];
    text.push(0);
    let bytes = made.bytes();
    // Its strings are the last of its BTF: more of them lie behind, and each line's begins a byte later.
    let strings = {
        let object = Object::parse(&bytes).unwrap();
        object.btf.types().map(|ty| ty.name().0).max().unwrap() + 4
    };
    made.lines = (0..300_000)
        .map(|n| [n * 8, strings + n, strings + n, 7 << 10])
        .collect();
    let bytes = with_strings(&made, &text);
    assert!(bytes.len() < 16 << 20, "{}", bytes.len());
    let object = soon("parse", || Object::parse(&bytes)).unwrap();
    let line = object.functions[0].line(5).unwrap();
    assert!(line.text.starts_with(b"xxx") && line.text.len() < 10_000);

    // A symbol's name of megabytes.
    let mut made = Made::default();
    made.graph.int("int", 4, 1);
    made.insn(MOV, 0);
    made.function(&"n".repeat(1 << 20));
    assert!(matches!(
        Object::parse(&made.bytes()),
        Err(ObjectError::Elf(why)) if why.contains("a name of more than")
    ));
}

/// The object, its BTF having these strings as well.
fn with_strings(made: &Made, more: &[u8]) -> Vec<u8> {
    let bytes = made.bytes();
    let file = object::File::parse(&*bytes).unwrap();
    use object::{Object as _, ObjectSection as _};
    let data = |name: &str| file.section_by_name(name).unwrap().data().unwrap().to_vec();
    let mut btf = data(".BTF");
    let length = u32::from_le_bytes(btf[20..24].try_into().unwrap()) + more.len() as u32;
    btf[20..24].copy_from_slice(&length.to_le_bytes());
    btf.extend_from_slice(more);
    elf(&[
        (31, 1, 6, 0, &data("kprobe")),
        (1, 1, 0, 0, &btf),
        (6, 1, 0, 0, &data(".BTF.ext")),
        (15, 2, 0, 5, &data(".symtab")),
        (23, 3, 0, 0, &data(".strtab")),
    ])
}
