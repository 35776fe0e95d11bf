//! libbpf's verdict on each relocation.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int};

use libbpf_sys::{
    BPF_CORE_FIELD_BYTE_SIZE, BPF_CORE_FIELD_LSHIFT_U64, BPF_CORE_FIELD_RSHIFT_U64,
    BPF_CORE_TYPE_ID_LOCAL, bpf_core_relo,
};
use serde::Serialize;

use crate::btf::{Btf, Kernel};
use crate::hidden::{self, Candidate, CandidateList, Spec};
use crate::log;
use crate::object::{INSN, Object, Relocation};

/// Names as libbpf's messages have them, by `enum bpf_core_relo_kind`.
const KINDS: [&str; 13] = [
    "byte_off",
    "byte_sz",
    "field_exists",
    "signed",
    "lshift_u64",
    "rshift_u64",
    "local_type_id",
    "target_type_id",
    "type_exists",
    "type_size",
    "enumval_exists",
    "enumval_value",
    "type_matches",
];

/// Of a relocation whose type has no name, or is not there.
const EINVAL: i32 = 22;

/// One relocation and what libbpf makes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    pub section: String,
    /// Which instruction of the section.
    pub instruction: usize,
    /// Which of the function.
    pub function_instruction: usize,
    /// Its number among the section's relocations.
    pub number: usize,
    pub function: Option<String>,
    /// `SEC("?…")`
    pub optional: bool,
    pub kind: &'static str,
    /// In the object's BTF.
    pub type_id: u32,
    pub type_name: String,
    pub access: String,
    /// How many types of the kernel were tried.
    pub candidates: usize,
    /// libbpf's words for what the object asks for.
    pub local: String,
    /// The same for what the kernel has instead, if anything.
    pub target: Option<String>,
    /// Why there is no value: `errno`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patched: Option<Patched>,
    /// libbpf's warnings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<String>,
}

/// `struct bpf_core_relo_res`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Value {
    pub orig_val: u64,
    pub new_val: u64,
    pub poison: bool,
    pub validate: bool,
    pub fail_memsz_adjust: bool,
    pub orig_sz: u32,
    pub new_sz: u32,
}

/// What became of the instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Patched {
    /// Its bytes afterwards in this machine's byte order, as hexadecimal digits; sixteen bytes if it is a wide one.
    Code(String),
    /// libbpf refuses: `errno`.
    Errno(i32),
}

/// Every relocation of the object, as `bpf_object__load` would resolve them one after the other; those of `SEC("?…")`,
/// which it does not load by itself, after all others. The order matters: candidates that did not match one relocation
/// are not tried for the next of the same type. After an error libbpf would stop; here the next one finds the
/// candidates as they were before it.
pub fn resolve(object: &Object, kernel: &Kernel<'_>) -> Vec<Outcome> {
    let mut found = HashMap::new();
    let (later, first): (Vec<_>, Vec<_>) =
        (object.relocations.iter()).partition(|relocation| relocation.optional);
    (first.into_iter().chain(later))
        .map(|relocation| outcome(object, kernel, &mut found, relocation))
        .collect()
}

fn outcome(
    object: &Object,
    kernel: &Kernel<'_>,
    found: &mut HashMap<u32, Vec<Candidate>>,
    relocation: &Relocation,
) -> Outcome {
    let record = &relocation.record;
    let text = |text: Option<&CStr>| {
        text.map_or_else(String::new, |text| text.to_string_lossy().into_owned())
    };
    let name = object.btf.named(record.type_id).map(|(_, name)| name);
    let mut outcome = Outcome {
        section: relocation.section.clone(),
        instruction: relocation.instruction(),
        function_instruction: relocation.instruction() - relocation.function_at,
        number: relocation.number,
        function: relocation.function.clone(),
        optional: relocation.optional,
        kind: KINDS.get(record.kind as usize).unwrap_or(&"unknown"),
        type_id: record.type_id,
        type_name: text(name),
        access: text(object.btf.string(record.access_str_off)),
        candidates: 0,
        local: String::new(),
        target: None,
        errno: None,
        value: None,
        patched: None,
        said: Vec::new(),
    };
    let mut candidates = Vec::new();
    if record.kind != BPF_CORE_TYPE_ID_LOCAL {
        if let Some(known) = found.get(&record.type_id) {
            candidates.clone_from(known);
        } else if let Ok(fresh) = kernel.candidates(&object.btf, record.type_id) {
            candidates = fresh;
        } else {
            outcome.errno = Some(EINVAL);
            return outcome;
        }
        found.insert(record.type_id, candidates.clone());
    }
    outcome.candidates = candidates.len();

    let (result, said) = log::listen(false, || {
        calculate(&object.btf, relocation, *record, &mut candidates)
    });
    outcome.said = said;
    let (mut result, specs) = match result {
        Ok(done) => done,
        Err(errno) => {
            outcome.errno = Some(errno);
            return outcome;
        }
    };
    if object.big_endian && record.kind == BPF_CORE_FIELD_LSHIFT_U64 {
        let before = &found[&record.type_id];
        shift_left_of_big_endian(&object.btf, relocation, before, &mut result);
    }
    if record.kind != BPF_CORE_TYPE_ID_LOCAL {
        found.insert(record.type_id, candidates);
    }
    outcome.local = spell(&specs[0]);
    outcome.target = (!specs[2].btf.is_null()).then(|| spell(&specs[2]));
    outcome.value = Some(Value {
        orig_val: result.orig_val,
        new_val: result.new_val,
        poison: result.poison,
        validate: result.validate,
        fail_memsz_adjust: result.fail_memsz_adjust,
        orig_sz: result.orig_sz,
        new_sz: result.new_sz,
    });
    let (patched, said) = log::listen(false, || patch(relocation, &result));
    outcome.patched = Some(patched);
    outcome.said.extend(said);
    outcome
}

/// `bpf_core_calc_relo_insn`; it takes candidates away that do not match.
fn calculate(
    local: &Btf<'_>,
    relocation: &Relocation,
    record: bpf_core_relo,
    candidates: &mut Vec<Candidate>,
) -> Result<(hidden::Result, [Spec; 3]), i32> {
    let mut specs = [Spec::empty(); 3];
    let mut result = hidden::Result::default();
    let mut list = CandidateList {
        first: candidates.as_mut_ptr(),
        len: c_int::try_from(candidates.len()).expect("a kernel has fewer types"),
    };
    let name = program(relocation);
    // SAFETY: every pointer is to something alive of libbpf's own layout (hidden.rs); libbpf only overwrites
    // candidates within the list and lowers its length.
    let code = unsafe {
        hidden::bpf_core_calc_relo_insn(
            name.as_ptr(),
            &raw const record,
            relocation.number as c_int,
            local.as_ptr(),
            &raw mut list,
            specs.as_mut_ptr(),
            &raw mut result,
        )
    };
    if code != 0 {
        return Err(-code);
    }
    candidates.truncate(list.len as usize);
    Ok((result, specs))
}

/// The one value that libbpf computes for the byte order it was compiled for and not for the object's. With the
/// field's load of `size` bytes at the byte offset that both orders agree on, its shift right `right` = 64 − its
/// bits, and the bits before it `skip`: little-endian 64 − (`skip` + bits), big-endian (8 − `size`) · 8 + `skip`.
fn shift_left_of_big_endian(
    local: &Btf<'_>,
    relocation: &Relocation,
    candidates: &[Candidate],
    result: &mut hidden::Result,
) {
    if cfg!(target_endian = "big") {
        return;
    }
    let ask = |kind| {
        let record = bpf_core_relo {
            kind,
            ..relocation.record
        };
        let (answer, _) = calculate(local, relocation, record, &mut candidates.to_vec())
            .expect("its other aspects resolve when one does");
        answer
    };
    let (size, right) = (
        ask(BPF_CORE_FIELD_BYTE_SIZE),
        ask(BPF_CORE_FIELD_RSHIFT_U64),
    );
    let big = |little: u64, size: u64, right: u64| {
        let skip = right.wrapping_sub(little);
        8u64.wrapping_sub(size).wrapping_mul(8).wrapping_add(skip)
    };
    result.orig_val = big(result.orig_val, size.orig_val, right.orig_val);
    if !result.poison {
        result.new_val = big(result.new_val, size.new_val, right.new_val);
    }
}

/// `bpf_core_patch_insn`, on a copy.
fn patch(relocation: &Relocation, result: &hidden::Result) -> Patched {
    // Aligned as the two instructions that libbpf takes it for.
    let mut code = [0u64; 2];
    for (to, from) in code.iter_mut().zip(relocation.code.chunks_exact(INSN)) {
        *to = u64::from_ne_bytes(from.try_into().expect("chunks of eight"));
    }
    let wide = relocation.code[0] == 0x18;
    let name = program(relocation);
    // SAFETY: `code` has the two instructions that a wide one has; the rest is as in `calculate`.
    let errno = unsafe {
        -hidden::bpf_core_patch_insn(
            name.as_ptr(),
            code.as_mut_ptr().cast(),
            relocation.instruction() as c_int - relocation.function_at as c_int,
            &raw const relocation.record,
            relocation.number as c_int,
            result,
        )
    };
    if errno != 0 {
        return Patched::Errno(errno);
    }
    let bytes = code.iter().flat_map(|word| word.to_ne_bytes());
    Patched::Code(
        bytes
            .take(if wide { 2 * INSN } else { INSN })
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    )
}

fn program(relocation: &Relocation) -> CString {
    let name = relocation.function.as_deref().unwrap_or("?");
    CString::new(name).expect("a symbol's name ends at its first NUL")
}

/// libbpf's spelling of a specification.
fn spell(spec: &Spec) -> String {
    let mut text = [0u8; 512];
    // SAFETY: libbpf writes at most `len` bytes and ends them with NUL.
    unsafe {
        hidden::bpf_core_format_spec(text.as_mut_ptr().cast::<c_char>(), text.len(), spec);
    }
    let text = CStr::from_bytes_until_nul(&text).map(CStr::to_string_lossy);
    text.map_or_else(|_| String::new(), |text| text.into_owned())
}
