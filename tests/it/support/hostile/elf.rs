//! ELF files around BTF: whole ones, and ones whose tables lie.

use super::super::btfwrite::{Form, encode};
use super::{Case, Want, small};

/// An ELF to be written: three sections, `.BTF` and `.shstrtab` after the null one.
struct Elf {
    wide: bool,
    big: bool,
    out: Vec<u8>,
}

/// The `.BTF` section's header, where it may lie.
struct Section {
    kind: u32,
    flags: u64,
    offset: u64,
    size: u64,
}

const NAMES: &[u8] = b"\0.BTF\0.shstrtab\0";

impl Elf {
    fn half(&mut self, v: u16) {
        self.out.extend(if self.big {
            v.to_be_bytes()
        } else {
            v.to_le_bytes()
        });
    }

    fn word(&mut self, v: u32) {
        self.out.extend(if self.big {
            v.to_be_bytes()
        } else {
            v.to_le_bytes()
        });
    }

    /// An address or offset: as wide as the file's class.
    fn long(&mut self, v: u64) {
        match (self.wide, self.big) {
            (true, true) => self.out.extend(v.to_be_bytes()),
            (true, false) => self.out.extend(v.to_le_bytes()),
            (false, _) => self.word(v as u32),
        }
    }

    fn section(&mut self, name: u32, s: &Section) {
        self.word(name);
        self.word(s.kind);
        self.long(s.flags);
        self.long(0);
        self.long(s.offset);
        self.long(s.size);
        self.word(0);
        self.word(0);
        self.long(1);
        self.long(0);
    }

    /// The file: header, `.BTF`, names, section headers.
    fn write(wide: bool, big: bool, btf: &[u8], change: impl FnOnce(&mut Section)) -> Vec<u8> {
        let mut elf = Elf {
            wide,
            big,
            out: Vec::new(),
        };
        let header: u64 = if wide { 64 } else { 52 };
        let names_at = header + btf.len() as u64;
        let table_at = (names_at + NAMES.len() as u64).next_multiple_of(8);
        elf.out.extend(b"\x7fELF");
        elf.out
            .extend([if wide { 2 } else { 1 }, if big { 2 } else { 1 }, 1]);
        elf.out.resize(16, 0);
        elf.half(1);
        elf.half(match (wide, big) {
            (true, true) => 22,
            (true, false) => 62,
            (false, _) => 40,
        });
        elf.word(1);
        elf.long(0);
        elf.long(0);
        elf.long(table_at);
        elf.word(0);
        for half in [header as u16, 0, 0, if wide { 64 } else { 40 }, 3, 2] {
            elf.half(half);
        }
        elf.out.extend(btf);
        elf.out.extend(NAMES);
        elf.out.resize(table_at as usize, 0);
        elf.section(
            0,
            &Section {
                kind: 0,
                flags: 0,
                offset: 0,
                size: 0,
            },
        );
        let mut section = Section {
            kind: 1,
            flags: 0,
            offset: header,
            size: btf.len() as u64,
        };
        change(&mut section);
        elf.section(1, &section);
        let names = Section {
            kind: 3,
            flags: 0,
            offset: names_at,
            size: NAMES.len() as u64,
        };
        elf.section(6, &names);
        elf.out
    }
}

pub fn cases() -> Vec<Case> {
    use Want::{Either, Header, Refusal};
    let little = encode(&small(), &Form::default());
    let big = encode(&small(), &Form::big());
    let case = |name: &str, input: Vec<u8>, want| Case::bytes(&format!("elf-{name}"), input, want);
    let lying = |change: fn(&mut Section)| Elf::write(true, false, &little, change);
    let good = lying(|_| {});
    let set = |at: usize, value: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        bytes
    };
    let mut cases = vec![
        case("64-little", good.clone(), Header),
        case("64-big", Elf::write(true, true, &big, |_| {}), Header),
        case(
            "32-little",
            Elf::write(false, false, &little, |_| {}),
            Header,
        ),
        case("32-big", Elf::write(false, true, &big, |_| {}), Header),
        case(
            "section-of-nothing",
            Elf::write(true, false, b"", |_| {}),
            Refusal,
        ),
        case(
            "section-beyond-the-file",
            lying(|s| s.offset = 1 << 40),
            Refusal,
        ),
        case(
            "section-longer-than-the-file",
            lying(|s| s.size = 1 << 40),
            Refusal,
        ),
        case(
            "section-one-byte-too-long",
            lying(|s| s.size += 4096),
            Refusal,
        ),
        case(
            "section-that-wraps",
            lying(|s| s.offset = u64::MAX - 4),
            Refusal,
        ),
        case("section-of-max", lying(|s| s.size = u64::MAX), Refusal),
        case("section-without-bits", lying(|s| s.kind = 8), Refusal),
        case(
            "section-said-to-be-compressed",
            lying(|s| s.flags = 0x800),
            Refusal,
        ),
        case(
            "section-of-another-type",
            lying(|s| s.kind = 0x7000_0001),
            Either,
        ),
        case("magic-alone", b"\x7fELF".to_vec(), Refusal),
        case("header-alone", good[..64].to_vec(), Refusal),
        case("other-class", set(4, &[1]), Refusal),
        case("unknown-class", set(4, &[9]), Refusal),
        case("other-byte-order", set(5, &[2]), Refusal),
        case(
            "table-beyond-the-file",
            set(40, &(1u64 << 40).to_le_bytes()),
            Refusal,
        ),
        case("table-at-max", set(40, &u64::MAX.to_le_bytes()), Refusal),
        case("table-of-none", set(60, &0u16.to_le_bytes()), Refusal),
        case("table-of-65535", set(60, &u16::MAX.to_le_bytes()), Refusal),
        case(
            "table-of-odd-entries",
            set(58, &7u16.to_le_bytes()),
            Refusal,
        ),
        case("names-in-no-section", set(62, &9u16.to_le_bytes()), Refusal),
        case("names-in-the-btf", set(62, &1u16.to_le_bytes()), Refusal),
        case("without-btf", renamed(&good), Refusal),
    ];
    for cut in (0..good.len()).step_by(41) {
        cases.push(case(
            &format!("cut-at-{cut}"),
            good[..cut].to_vec(),
            Refusal,
        ));
    }
    cases
}

fn renamed(elf: &[u8]) -> Vec<u8> {
    let mut elf = elf.to_vec();
    let at = elf
        .windows(5)
        .rposition(|w| w == b".BTF\0")
        .expect("the name is there");
    elf[at..at + 4].copy_from_slice(b".BTX");
    elf
}
