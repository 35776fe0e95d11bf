//! Programs and their objects: those of tests/it, and random ones, by each clang, for a kernel.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::cc::{self, CLANGS};
use crate::generate;
use crate::kernels::{Kernel, root};

/// A compiled program.
pub struct Built {
    pub name: String,
    pub elf: Vec<u8>,
    pub big_endian: bool,
}

/// Below tests/it.
const SUITE_FOLDER: &str = "check/programs";

/// The kernel whose header the programs of tests/it are compiled against, unless they say another.
pub const USUAL: &str = "x86_64-6.18";
/// The kernel of the other byte order.
const BIG: &str = "s390x-6.12.107+deb13-s390x";

/// A source, the header it includes and who compiles it.
struct Job<'k> {
    file: PathBuf,
    kernel: &'k Kernel,
    clang: &'static str,
    /// Whether lines that do not compile are left out: what is generated at random is not all C.
    lenient: bool,
}

/// The programs that were written to ask for what kernels may lack, by every clang that can.
pub fn suite(kernels: &[Kernel]) -> &'static [Built] {
    static SUITE: OnceLock<Vec<Built>> = OnceLock::new();
    SUITE.get_or_init(|| in_folder(kernels, SUITE_FOLDER))
}

/// Those that were written to show that headers serve.
pub fn others(kernels: &[Kernel]) -> Vec<Built> {
    in_folder(kernels, "programs")
}

fn in_folder(kernels: &[Kernel], folder: &str) -> Vec<Built> {
    let named = |name: &str| kernels.iter().find(|kernel| kernel.name == name);
    let mut jobs = Vec::new();
    let dir = root().join("tests/it").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no program in {}", dir.display());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let said = |key: &str| {
            text.lines().find_map(|line| {
                let said = line.strip_prefix("// ")?.strip_prefix(key)?;
                Some(said.strip_prefix(':')?.trim().to_owned())
            })
        };
        let first = said("needs").map_or(0, |why| {
            let version = why.split(':').next().unwrap();
            version.parse::<u32>().unwrap()
        });
        let kernel = said("kernel").unwrap_or_else(|| USUAL.to_owned());
        // Programs of the suite ask as much of a kernel of the other byte order, where they do not name the
        // registers of one machine.
        let both =
            folder == SUITE_FOLDER && !text.contains("PT_REGS") && !text.contains("BPF_KPROBE");
        let kernels = [Some(kernel.as_str()), both.then_some(BIG)];
        for kernel in kernels.into_iter().flatten() {
            let kernel = named(kernel).unwrap_or_else(|| panic!("no fixture {kernel}"));
            for clang in CLANGS {
                let version: u32 = clang.trim_start_matches("clang-").parse().unwrap();
                if version >= first {
                    jobs.push(Job {
                        file: file.clone(),
                        kernel,
                        clang,
                        lenient: false,
                    });
                }
            }
        }
    }
    compile(kernels, &jobs)
}

/// `questions` random ones for each kernel and seed, by every clang.
pub fn random(kernels: &[Kernel], seeds: &[u64], questions: usize) -> Vec<Built> {
    let dir = cc::scratch();
    let mut jobs = Vec::new();
    for kernel in kernels.iter().filter(|kernel| !kernel.is_module()) {
        for seed in seeds {
            let file = dir
                .path()
                .join(format!("random-{seed}-of-{}.bpf.c", kernel.name));
            std::fs::write(&file, generate::source(&kernel.btf, *seed, questions)).unwrap();
            for clang in CLANGS {
                jobs.push(Job {
                    file: file.clone(),
                    kernel,
                    clang,
                    lenient: true,
                });
            }
        }
    }
    compile(kernels, &jobs)
}

fn compile(kernels: &[Kernel], jobs: &[Job<'_>]) -> Vec<Built> {
    cc::need_file("/usr/include/bpf/bpf_helpers.h", "libbpf-dev");
    let headers = cc::scratch();
    for kernel in kernels.iter().filter(|kernel| !kernel.is_module()) {
        let btf = btfleet::btf::Btf::parse(&kernel.btf).unwrap();
        let dir = headers.path().join(&kernel.name);
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("vmlinux.h"), btfleet::dump::header(&btf).unwrap()).unwrap();
    }
    let built = cc::in_parallel(jobs, |job| {
        let name = job.file.file_name().unwrap().to_string_lossy();
        let elf = job.run(&headers.path().join(&job.kernel.name));
        Built {
            name: format!("{name}, {}, {}", job.clang, job.kernel.name),
            elf,
            big_endian: job.kernel.big_endian(),
        }
    });
    built.into_iter().collect()
}

impl Job<'_> {
    fn run(&self, header: &Path) -> Vec<u8> {
        let scratch = cc::scratch();
        let object = scratch.path().join("object.o").display().to_string();
        let (include, file) = (
            format!("-I{}", header.display()),
            self.file.display().to_string(),
        );
        // Where a Debian system has <asm/…>, which libbpf's usdt.bpf.h asks for.
        let system = format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH);
        let arch = match self.kernel.big_endian() {
            true => "-D__TARGET_ARCH_s390",
            false => "-D__TARGET_ARCH_x86",
        };
        let mut left_out = BTreeSet::new();
        // A line that is in the way of others hides what is wrong with those.
        for _ in 0..20 {
            let left: Vec<String> = left_out
                .iter()
                .map(|line| format!("-DLEAVE_{line}"))
                .collect();
            let mut args = vec![
                "-g",
                "-O2",
                "-target",
                cc::bpf_target(self.kernel.big_endian()),
                arch,
            ];
            args.extend([&include as &str, "-idirafter", &system]);
            match self.lenient {
                true => args.extend(["-w", "-ferror-limit=0"]),
                false => args.extend(["-Wall", "-Werror"]),
            }
            args.extend(left.iter().map(String::as_str));
            args.extend(["-c", &file, "-o", &object]);
            let out = cc::run(self.clang, &args, scratch.path());
            if out.status.success() {
                return std::fs::read(&object).unwrap();
            }
            let said = cc::text(&out.stderr);
            let before = left_out.len();
            if self.lenient {
                let lines = said.lines().filter_map(|line| faulty_line(line, &file));
                left_out.extend(lines);
            }
            assert!(
                left_out.len() > before,
                "{file} with {} for {}:\n{}",
                self.clang,
                self.kernel.name,
                cc::head(&said, 12)
            );
        }
        panic!("{file} with {}: never compiles", self.clang);
    }
}

/// `FILE:LINE:COLUMN: error: …`
fn faulty_line(said: &str, file: &str) -> Option<usize> {
    let rest = said.strip_prefix(file)?.strip_prefix(':')?;
    let (line, rest) = rest.split_once(':')?;
    rest.contains(": error: ").then(|| line.parse().ok())?
}
