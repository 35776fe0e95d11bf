//! The same relocation by both.

use std::collections::BTreeMap;
use std::fmt;

use btfleet::relo::check;
use libbpf_relo::{Btf, Kernel, Object, Outcome, Patched, Value, resolve};

use crate::cc;
use crate::compile::Built;
use crate::kernels;

/// An answer: the value and what becomes of the instruction, or `errno` instead of either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    value: Result<Value, i32>,
    patched: Result<String, i32>,
}

/// Both answers to one question.
pub struct Pair<'a> {
    kernel: &'a str,
    object: &'a str,
    ours: Option<Answer>,
    pub theirs: Outcome,
}

impl Pair<'_> {
    pub fn differs(&self) -> bool {
        self.ours.as_ref() != Some(&answer(&self.theirs))
    }
}

impl fmt::Display for Pair<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome {
            function,
            function_instruction,
            kind,
            type_name,
            access,
            local,
            target,
            candidates,
            said,
            ..
        } = &self.theirs;
        let function = function.as_deref().unwrap_or("?");
        let target = target.as_deref().unwrap_or("nothing");
        writeln!(f, "  {} on {}", self.object, self.kernel)?;
        writeln!(
            f,
            "    {function} #{function_instruction}: {kind} of {type_name} {access}"
        )?;
        writeln!(f, "    {local} -> {target}, of {candidates} candidates")?;
        for line in said {
            writeln!(f, "    {line}")?;
        }
        writeln!(f, "    libbpf {:?}", answer(&self.theirs))?;
        write!(f, "    ours   {:?}", self.ours)
    }
}

/// What became of a relocation, in short.
pub fn kind_of_outcome(outcome: &Outcome) -> &'static str {
    match (outcome.value, &outcome.patched) {
        (None, _) => "ambiguous or impossible",
        (Some(_), Some(Patched::Errno(_)) | None) => "not to be patched",
        (Some(value), _) if value.poison => "poisoned",
        (Some(value), _) if value.fail_memsz_adjust => "of another size",
        _ => "resolved",
    }
}

/// Every relocation of each object, for each kernel of the object's byte order.
pub fn compare<'a>(kernels: &'a [kernels::Kernel], objects: &[&'a Built]) -> Vec<Pair<'a>> {
    let read: Vec<Object> = cc::in_parallel(objects, |built| {
        Object::read(&built.elf).unwrap_or_else(|e| panic!("{}: {e:#}", built.name))
    });
    let of_kernel = |kernel: &'a kernels::Kernel| {
        let base = kernel.base.as_ref();
        let theirs_base = base.map(|base| Btf::new(base, None).unwrap());
        let theirs = Btf::new(&kernel.btf, theirs_base.as_ref()).unwrap();
        let theirs = Kernel::new(&theirs);
        let our_base = base.map(|base| btfleet::btf::Btf::parse(base).unwrap());
        let ours = match &our_base {
            Some(base) => btfleet::btf::Btf::parse_split(&kernel.btf, base).unwrap(),
            None => btfleet::btf::Btf::parse(&kernel.btf).unwrap(),
        };
        let ours = match &our_base {
            Some(base) => check::Target::with_modules(base, [("module", &ours)]),
            None => check::Target::new(&ours),
        };
        let mut pairs = Vec::new();
        for (&built, read) in objects.iter().zip(&read) {
            if built.big_endian != kernel.big_endian() {
                continue;
            }
            let mut our_answers = our_answers(built, &ours);
            for theirs in resolve(read, &theirs) {
                // What has no function any more, libbpf leaves out.
                if theirs.function.is_none() {
                    continue;
                }
                let ours = our_answers.get_mut(&key(&theirs)).and_then(Vec::pop);
                pairs.push(Pair {
                    kernel: &kernel.name,
                    object: &built.name,
                    ours,
                    theirs,
                });
            }
        }
        pairs
    };
    let pairs = cc::in_parallel(&kernels.iter().collect::<Vec<_>>(), |kernel| {
        of_kernel(kernel)
    });
    pairs.into_iter().flatten().collect()
}

/// Function, instruction in it, kind, type and access string.
type Key = (String, usize, String, u32, String);

fn key(outcome: &Outcome) -> Key {
    (
        outcome.function.clone().unwrap_or_default(),
        outcome.function_instruction,
        outcome.kind.to_owned(),
        outcome.type_id,
        outcome.access.clone(),
    )
}

fn our_answers(built: &Built, target: &check::Target<'_>) -> BTreeMap<Key, Vec<Answer>> {
    let object = check::Object::parse(&built.elf).unwrap_or_else(|e| panic!("{}: {e}", built.name));
    let mut answers: BTreeMap<Key, Vec<Answer>> = BTreeMap::new();
    for outcome in check::outcomes(&object, target).unwrap() {
        let function = &object.functions[outcome.function];
        let relocation = &function.relocations[outcome.relocation];
        let wide = function.insns[relocation.insn].code == WIDE;
        let key = (
            function.name.to_owned(),
            relocation.insn,
            relocation.kind.name().to_owned(),
            relocation.ty.0,
            String::from_utf8_lossy(relocation.access).into_owned(),
        );
        let value = outcome.value.map(|value| Value {
            orig_val: value.original,
            new_val: value.new,
            poison: value.poison,
            validate: value.validate,
            fail_memsz_adjust: value.is_missized,
            orig_sz: value.original_size,
            new_sz: value.new_size,
        });
        let answer = Answer {
            value: value.map_err(|refusal| refusal.errno()),
            patched: (outcome.patched.map(|patched| hex(patched, wide)))
                .map_err(|refusal| refusal.errno()),
        };
        answers.entry(key).or_default().push(answer);
    }
    answers
}

fn answer(outcome: &Outcome) -> Answer {
    let value = outcome.value.ok_or(outcome.errno.unwrap_or_default());
    let patched = match &outcome.patched {
        Some(Patched::Code(code)) => Ok(code.clone()),
        Some(Patched::Errno(errno)) => Err(*errno),
        None => Err(outcome.errno.unwrap_or_default()),
    };
    Answer { value, patched }
}

/// `BPF_LD | BPF_IMM | BPF_DW`: an instruction of sixteen bytes.
const WIDE: u8 = 0x18;
/// What libbpf makes of an instruction that must not be reached: a call of a helper that is none.
const POISON: check::Insn = check::Insn {
    code: 0x85,
    dst: 0,
    src: 0,
    off: 0,
    imm: 0xbad_2310,
};

/// As libbpf leaves it.
fn hex(patched: check::Patched, wide: bool) -> String {
    let (first, second) = match patched {
        check::Patched::Poison => (POISON, POISON),
        check::Patched::Insn(insn, high) => {
            let second = check::Insn {
                imm: high,
                ..check::Insn::default()
            };
            (insn, second)
        }
    };
    let bytes = |insn: check::Insn| {
        let registers = if cfg!(target_endian = "big") {
            insn.dst << 4 | insn.src
        } else {
            insn.src << 4 | insn.dst
        };
        let mut bytes = vec![insn.code, registers];
        bytes.extend(insn.off.to_ne_bytes());
        bytes.extend(insn.imm.to_ne_bytes());
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    match wide {
        true => bytes(first) + &bytes(second),
        false => bytes(first),
    }
}
