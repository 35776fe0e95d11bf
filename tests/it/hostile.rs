//! Input that means harm ends quickly, in little memory, in an error line or in a header that compiles.
//!
//! Each case runs in a process of its own under limits that the kernel enforces: 256 MiB of address space
//! (which is more than peak memory), 2 s of processor time and 512 KiB of stack.
//! `BTFLEET_HOSTILE=part-of-a-name` runs some only; `BTFLEET_KEEP=dir` keeps the inputs of those that fail.

use std::collections::hash_map::{Entry, HashMap};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::btfgen::{Graph, Kind};
use crate::support::btfwrite::{Form, encode};
use crate::support::compile::{Target, check};
use crate::support::dump::{header, in_halves};
use crate::support::hostile::{self, Case, Want};
use btfleet::btf::{Btf, TypeId};

/// Of what it allocates: the text of a build for tests is none of the input's doing.
const MEMORY_KIB: u32 = 256 * 1024;
const STACK_KIB: u32 = 512;
/// What ships may take 2. This build checks every sum for overflow and is hardly optimised, and takes twice as long
/// on processors that others use too.
const SECONDS: u32 = 4;

macro_rules! lists {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            run(hostile::$name::cases());
        }
    )*};
}

lists! { cycles deep fanout twins names numbers links raw elf }

/// What came of one case.
enum End {
    Header(PathBuf),
    Error(String),
}

fn run(cases: Vec<Case>) {
    let only = std::env::var("BTFLEET_HOSTILE").unwrap_or_default();
    let cases: Vec<Case> = cases
        .into_iter()
        .filter(|c| c.name.contains(&only))
        .collect();
    let failures = Mutex::new(Vec::new());
    let compiled = Mutex::new(HashMap::new());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let start = Instant::now();
                    let judged = judge(case, &compiled);
                    if start.elapsed() > Duration::from_secs(5) {
                        println!(
                            "{}: {:?} with the compiler's time",
                            case.name,
                            start.elapsed()
                        );
                    }
                    if let Err(why) = judged {
                        keep(case);
                        failures
                            .lock()
                            .unwrap()
                            .push(format!("{}: {why}", case.name));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    assert!(
        failures.is_empty(),
        "{} of {} cases:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

fn keep(case: &Case) {
    if let Ok(dir) = std::env::var("BTFLEET_KEEP") {
        fs::create_dir_all(&dir).unwrap();
        fs::write(Path::new(&dir).join(&case.name), &case.input).unwrap();
        if let Some(base) = &case.base {
            fs::write(Path::new(&dir).join(format!("{}.base", case.name)), base).unwrap();
        }
    }
}

/// Runs one case and checks that it ended as it must.
fn judge(case: &Case, compiled: &Mutex<HashMap<u64, Result<(), String>>>) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    match (dump(case, dir.path())?, case.want) {
        (End::Error(line), Want::Header) => Err(format!("is well formed, but: {line}")),
        (End::Error(line), want) => says(&line, want),
        (End::Header(_), Want::Fault | Want::TypeFault | Want::Refusal) => {
            Err("must be an error, but gave a header".to_string())
        }
        (End::Header(path), _) => {
            let text = fs::read(&path).unwrap();
            plain(&text)?;
            // Many cases give the same text: each is compiled once.
            let mut hasher = DefaultHasher::new();
            let target = Target::of_case(case);
            (&text, target.big).hash(&mut hasher);
            let key = hasher.finish();
            if let Entry::Occupied(known) = compiled.lock().unwrap().entry(key) {
                return known.get().clone();
            }
            let result = compile(case, target, &path);
            compiled.lock().unwrap().insert(key, result.clone());
            result
        }
    }
}

impl Target {
    fn of_case(case: &Case) -> Target {
        match case.input.get(..6) {
            Some([0x7f, b'E', b'L', b'F', _, order]) => Target {
                big: *order == 2,
                wide: true,
            },
            _ => Target::of(&case.input),
        }
    }
}

fn compile(case: &Case, target: Target, path: &Path) -> Result<(), String> {
    let base_path = path.with_extension("base.h");
    let mut headers = Vec::new();
    if let Some(base) = &case.base {
        fs::write(&base_path, header(base, None)?).unwrap();
        headers.push(base_path.as_path());
    }
    headers.push(path);
    check(target, &headers, "").map_err(|e| format!("the header does not compile: {e}"))
}

/// Runs `btfleet dump` under limits; whatever was at `-o` before must outlive an error.
fn dump(case: &Case, dir: &Path) -> Result<End, String> {
    let (input, out) = (dir.join("in.btf"), dir.join("out").join("vmlinux.h"));
    fs::create_dir(dir.join("out")).unwrap();
    fs::write(&input, &case.input).unwrap();
    let there_before = case.name.len().is_multiple_of(2);
    if there_before {
        fs::write(&out, "before").unwrap();
    }
    let limits = format!(
        "ulimit -d {MEMORY_KIB} -s {STACK_KIB}; ulimit -S -t {SECONDS}; exec \"$0\" \"$@\""
    );
    let mut command = Command::new("bash");
    command
        .args(["-c", &limits])
        .arg(binary())
        .arg("dump")
        .arg(&input)
        .arg("-o")
        .arg(&out);
    if let Some(base) = &case.base {
        let path = dir.join("base.btf");
        fs::write(&path, base).unwrap();
        command.arg("--base").arg(path);
    }
    command.env("RUST_BACKTRACE", "0");
    let output = wait(command, Duration::from_secs(30))?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => Ok(End::Header(out)),
        Some(1) => {
            let left: Vec<_> = fs::read_dir(dir.join("out"))
                .unwrap()
                .map(|e| e.unwrap().file_name())
                .collect();
            let untouched = match there_before {
                true => left == ["vmlinux.h"] && fs::read(&out).unwrap() == b"before",
                false => left.is_empty(),
            };
            match untouched {
                true => Ok(End::Error(stderr)),
                false => Err(format!("left {left:?} behind, or changed what was there")),
            }
        }
        _ => {
            let first: String = stderr.chars().take(300).collect();
            Err(format!("ended with {}: {first}", output.status))
        }
    }
}

fn binary() -> PathBuf {
    let built = env!("CARGO_BIN_EXE_btfleet");
    std::env::var_os("BTFLEET_BIN").map_or_else(|| PathBuf::from(built), PathBuf::from)
}

/// Waits, but not for ever: a process that sleeps uses no processor time.
fn wait(mut command: Command, limit: Duration) -> Result<Output, String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    // Its few lines fit into the pipes' buffers, so it does not wait for us.
    while child.try_wait().map_err(|e| e.to_string())?.is_none() {
        if start.elapsed() > limit {
            child.kill().map_err(|e| e.to_string())?;
            child.wait().map_err(|e| e.to_string())?;
            return Err(format!("was still running after {limit:?}"));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    child.wait_with_output().map_err(|e| e.to_string())
}

/// One line that names what the case wants named.
fn says(stderr: &str, want: Want) -> Result<(), String> {
    let line = stderr.strip_suffix('\n').unwrap_or(stderr);
    if line.is_empty() || line.contains('\n') {
        return Err(format!("not one line: {stderr:?}"));
    }
    if line.len() > 1000 || line.chars().any(char::is_control) {
        let start: String = line.chars().take(200).collect();
        return Err(format!(
            "a line of {} bytes, or with control characters: {start:?}",
            line.len()
        ));
    }
    let offset = number_after(line, "byte offset ");
    let type_id = number_after(line, "type id ");
    match want {
        Want::Fault if !offset => Err(format!("names no byte offset: {line}")),
        Want::TypeFault | Want::Either if !(offset && type_id) => {
            Err(format!("names no type id or no byte offset: {line}"))
        }
        _ => Ok(()),
    }
}

fn number_after(line: &str, words: &str) -> bool {
    line.match_indices(words)
        .any(|(at, _)| line[at + words.len()..].starts_with(|c: char| c.is_ascii_digit()))
}

/// No byte but printable ASCII, tabs and newlines.
pub fn plain(text: &[u8]) -> Result<(), String> {
    match text
        .iter()
        .position(|b| !matches!(b, b'\n' | b'\t' | b' '..=b'~'))
    {
        None => Ok(()),
        Some(at) => Err(format!("byte {:#04x} at {at} of the header", text[at])),
    }
}

/// What is in process: thousands of small spoilt blobs, where a process for each would cost too much.
fn spoil(blobs: Vec<(String, Vec<u8>)>) {
    let mut headers: HashMap<Vec<u8>, String> = HashMap::new();
    let mut failures = Vec::new();
    for (name, blob) in blobs {
        let start = Instant::now();
        let run = {
            let blob = blob.clone();
            std::thread::Builder::new()
                .stack_size(256 << 10)
                .spawn(move || (header(&blob, None), in_halves(&blob)))
        };
        let ended = run.unwrap().join().map(|(whole, halves)| {
            if whole != halves {
                failures.push(format!("{name}: checked afterwards it is another"));
            }
            whole
        });
        match ended {
            Err(_) => failures.push(format!("{name}: panicked")),
            Ok(Err(line)) => failures.extend(
                says(&line, Want::Fault)
                    .err()
                    .map(|e| format!("{name}: {e}")),
            ),
            Ok(Ok(text)) => {
                failures.extend(plain(&text).err().map(|e| format!("{name}: {e}")));
                headers.entry(text).or_insert_with(|| name.clone());
            }
        }
        if start.elapsed() > Duration::from_secs(2) {
            failures.push(format!("{name}: took {:?}", start.elapsed()));
            keep(&Case {
                name,
                input: blob,
                base: None,
                want: Want::Either,
            });
        }
    }
    let dir = tempfile::tempdir().unwrap();
    for (i, (text, name)) in headers.iter().enumerate() {
        let path = dir.path().join(format!("{i}.h"));
        fs::write(&path, text).unwrap();
        failures.extend(
            check(Target::BPF, &[&path], "")
                .err()
                .map(|e| format!("{name}: {e}")),
        );
    }
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn every_truncation_is_an_error_with_its_offset() {
    let whole = encode(&hostile::small(), &Form::default());
    let cut = |length: usize| match header(&whole[..length], None) {
        Ok(_) => Some(format!("{length} of {} bytes gave a header", whole.len())),
        Err(line) if length < 2 => says(&line, Want::Refusal).err(),
        Err(line) => says(&line, Want::Fault).err(),
    };
    let failures: Vec<String> = (0..whole.len()).filter_map(cut).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_spoilt_byte_is_an_error_or_a_header_that_compiles() {
    let whole = encode(&hostile::small(), &Form::default());
    let mut blobs = Vec::new();
    for at in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut blob = whole.clone();
            blob[at] ^= flip;
            blobs.push((format!("byte {at} ^ {flip:#x}"), blob));
        }
    }
    spoil(blobs);
}

#[test]
fn every_word_set_to_an_extreme_is_an_error_or_a_header_that_compiles() {
    let whole = encode(&hostile::small(), &Form::default());
    let mut blobs = Vec::new();
    for at in (0..whole.len() - 4).step_by(4) {
        for value in [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
            let mut blob = whole.clone();
            blob[at..at + 4].copy_from_slice(&value.to_le_bytes());
            blobs.push((format!("word at {at} = {value:#x}"), blob));
        }
    }
    spoil(blobs);
}

/// A second thread looks whether names lie in the strings: until it has, what is made of them must come to an end.
#[test]
fn names_outside_the_strings_do_no_harm_before_they_are_found() {
    let mut graph = Graph::default();
    let int = graph.int("int", 4, 1);
    let declared = graph.add("outside", Kind::Fwd { union: false });
    let proto = graph.proto(int, &[("a", declared)]);
    let to = graph.ptr(proto);
    graph.record("outside", 8, &[("f", to, 0)]);
    let mut blob = encode(&graph, &Form::default());
    let name = {
        let btf = Btf::parse(&blob).unwrap();
        btf.ty(TypeId(declared)).name().0.to_le_bytes()
    };
    let places = (24..blob.len() - 4).step_by(4);
    let places: Vec<usize> = places.filter(|at| blob[*at..*at + 4] == name).collect();
    // A record and what declares it, under one name that is none.
    for at in &places {
        blob[*at..*at + 4].copy_from_slice(&0xff_ff00u32.to_le_bytes());
    }
    assert_eq!(places.len(), 2);
    let btf = Btf::unchecked(&blob).unwrap();
    let _ = btfleet::dump::header(&btf);
    let error = btf.check().unwrap_err().to_string();
    assert!(error.contains("lies outside the strings"), "{error}");
}
