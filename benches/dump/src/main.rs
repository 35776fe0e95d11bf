//! Our header of a kernel beside bpftool's and libbpf's: time and memory, in one run, taking turns
//! so that what else the machine does falls on all alike. See `make bench`.

mod libbpf;
mod process;
mod table;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use process::Program;
use table::{Bar, Samples, markdown, ms};

const USAGE: &str = "usage: btfleet-bench-dump --btfleet PROGRAM --bpftool PROGRAM --scratch DIR \
[--runs N] [--check] BTF…
    --scratch  where the programs write: a folder on tmpfs
    --runs     rounds that count, after 3 that do not (31)
    --check    exit with 1 if the first input misses the bar";

/// Rounds before those that count: files in cache, code paged in, clocks up.
const WARM_UP: usize = 3;
/// Memory is the same in every run but for a page or two: the most of these few is shown.
const MEMORY_RUNS: usize = 5;

struct Options {
    btfleet: PathBuf,
    bpftool: PathBuf,
    scratch: PathBuf,
    runs: usize,
    check: bool,
    inputs: Vec<PathBuf>,
}

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|first| first == "peak-rss").is_some() {
        return process::report_peak(arguments.collect());
    }
    let options = options(arguments)?;

    print_setting(&options)?;
    let mut missed = false;
    for (nth, input) in options.inputs.iter().enumerate() {
        let bars = compare(input, &options).with_context(|| format!("{}", input.display()))?;
        missed |= nth == 0 && bars.iter().any(|bar| !bar.holds());
    }
    ensure!(!(options.check && missed), "the bar is missed");
    Ok(())
}

fn options(mut arguments: impl Iterator<Item = OsString>) -> Result<Options> {
    let (mut btfleet, mut bpftool, mut scratch) = (None, None, None);
    let (mut runs, mut check, mut inputs) = (31, false, Vec::new());
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().context(USAGE);
        match argument.to_str() {
            Some("--btfleet") => btfleet = Some(value()?.into()),
            Some("--bpftool") => bpftool = Some(value()?.into()),
            Some("--scratch") => scratch = Some(value()?.into()),
            Some("--runs") => {
                runs = value()?
                    .to_str()
                    .and_then(|n| n.parse().ok())
                    .context(USAGE)?
            }
            Some("--check") => check = true,
            Some(flag) if flag.starts_with('-') => bail!(USAGE),
            _ => inputs.push(argument.into()),
        }
    }
    ensure!(runs > 0 && !inputs.is_empty(), USAGE);
    Ok(Options {
        btfleet: btfleet.context(USAGE)?,
        bpftool: bpftool.context(USAGE)?,
        scratch: scratch.context(USAGE)?,
        runs,
        check,
        inputs,
    })
}

/// Where and with what: a figure without it says nothing.
fn print_setting(options: &Options) -> Result<()> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unnamed CPU", |(_, name)| name);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "{model}, {} CPUs; load before the run {}; {} rounds, each running every subject once",
        process::allowed_cpus()?.len(),
        load.split(' ').next().unwrap_or("unknown"),
        options.runs,
    );
    println!(
        "{}; {}; libbpf {}",
        first_line(&options.btfleet, "--version")?,
        first_line(&options.bpftool, "version")?,
        libbpf::version(),
    );
    Ok(())
}

fn first_line(program: &Path, argument: &str) -> Result<String> {
    let out = std::process::Command::new(program)
        .arg(argument)
        .output()
        .with_context(|| format!("{}", program.display()))?;
    Ok(String::from_utf8_lossy(&out.stdout)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned())
}

/// The times of everything that is compared, under one condition.
#[derive(Default)]
struct Times {
    btfleet: Samples,
    bpftool: Samples,
    library: Samples,
    library_parse: Samples,
    libbpf: Samples,
    libbpf_parse: Samples,
}

fn compare(input: &Path, options: &Options) -> Result<Vec<Bar>> {
    let btf = std::fs::read(input)?;
    let (ours, theirs) = (
        options.scratch.join("ours.h"),
        options.scratch.join("theirs.h"),
    );
    let argv = |parts: &[&OsStr]| parts.iter().map(OsString::from).collect();
    let (at, out) = (input.as_os_str(), ours.as_os_str());
    let btfleet = Program {
        argv: argv(&[
            options.btfleet.as_os_str(),
            "dump".as_ref(),
            at,
            "--digests".as_ref(),
            "-o".as_ref(),
            out,
        ]),
        stdout: None,
    };
    let bpftool = options.bpftool.as_os_str();
    let bpftool = Program {
        argv: argv(&[
            bpftool,
            "btf".as_ref(),
            "dump".as_ref(),
            "file".as_ref(),
            at,
            "format".as_ref(),
            "c".as_ref(),
        ]),
        stdout: Some(&theirs),
    };

    // What is timed must be what it is taken for.
    let said = process::stderr(&btfleet)?;
    ensure!(
        said.matches("sha256:").count() == 2,
        "both digests are to be computed, not: {said}"
    );
    let (_, _, header) = library(&btf)?;
    ensure!(
        std::fs::read(&ours)? == header,
        "the program and the library print different headers"
    );
    process::time(&bpftool)?;
    let length = std::fs::metadata(&theirs)?.len();
    ensure!(length > 0, "bpftool printed nothing");
    println!(
        "\n## {}\n\nBTF {} bytes; header {} bytes, bpftool's {length}\n",
        input.file_name().unwrap_or(input.as_os_str()).display(),
        btf.len(),
        header.len(),
    );

    let mut buffer = vec![0; 4 * header.len()];
    let mut measure = |cpus: &[usize]| -> Result<Times> {
        process::confine(cpus)?;
        let mut times = Times::default();
        for round in 0..WARM_UP + options.runs {
            // The other one's file is emptied before its time begins.
            std::fs::remove_file(&ours)?;
            let process_time = process::time(&btfleet)?;
            let bpftool_time = process::time(&bpftool)?;
            let (parse, print, _) = library(&btf)?;
            let (libbpf_parse, libbpf_print, _) = libbpf::dump(&btf, &mut buffer)?;
            if round >= WARM_UP {
                times.btfleet.push(process_time);
                times.bpftool.push(bpftool_time);
                times.library.push(parse + print);
                times.library_parse.push(parse);
                times.libbpf.push(libbpf_parse + libbpf_print);
                times.libbpf_parse.push(libbpf_parse);
            }
        }
        Ok(times)
    };

    let all = process::allowed_cpus()?;
    // The bar is about two cores, and CPU 0 is where most machines send their interrupts.
    let two = &all[all.len().saturating_sub(2)..];
    let both = measure(two)?;
    let one = measure(&two[two.len() - 1..])?;
    process::confine(&all)?;

    let memory = |program: &Program<'_>| -> Result<f64> {
        let peaks = (0..MEMORY_RUNS).map(|_| process::peak_kib(program));
        let most = peaks.collect::<Result<Vec<_>>>()?.into_iter().max();
        Ok(most.unwrap_or_default() as f64 / 1024.0)
    };
    let (our_memory, their_memory) = (memory(&btfleet)?, memory(&bpftool)?);
    print_times(&both, &one, our_memory, their_memory);

    let bars = bars(&both, &one, our_memory);
    let rows: Vec<_> = bars.iter().map(Bar::row).collect();
    println!(
        "\n{}",
        markdown(&["bar", "needed", "measured", "holds"], &rows)
    );
    Ok(bars)
}

/// How long our parse and our print take in this process, and the header.
fn library(btf: &[u8]) -> Result<(Duration, Duration, Vec<u8>)> {
    let began = Instant::now();
    let parsed = btfleet::btf::Btf::parse(btf)?;
    let parse = began.elapsed();
    let began = Instant::now();
    let header = btfleet::dump::header(&parsed)?;
    Ok((parse, began.elapsed(), header))
}

fn print_times(both: &Times, one: &Times, our_memory: f64, their_memory: f64) {
    let row = |name: &str, pick: fn(&Times) -> &Samples, memory: Option<f64>| {
        vec![
            name.to_owned(),
            ms(pick(both).median()),
            pick(both).span(),
            ms(pick(one).median()),
            pick(one).span(),
            memory.map_or_else(String::new, |mib| format!("{mib:.1}")),
        ]
    };
    let rows = [
        row(
            "`btfleet dump`, whole process, both digests",
            |t| &t.btfleet,
            Some(our_memory),
        ),
        row(
            "`bpftool btf dump … format c`, whole process",
            |t| &t.bpftool,
            Some(their_memory),
        ),
        row("btfleet in process: parse and print", |t| &t.library, None),
        row("— of which parse", |t| &t.library_parse, None),
        row(
            "libbpf in process: parse and `btf_dump`",
            |t| &t.libbpf,
            None,
        ),
        row("— of which parse", |t| &t.libbpf_parse, None),
    ];
    let head = [
        "",
        "median ms",
        "min–max",
        "one CPU: median ms",
        "min–max",
        "peak RSS MiB",
    ];
    print!("{}", markdown(&head, &rows));
}

fn bars(both: &Times, one: &Times, our_memory: f64) -> Vec<Bar> {
    let ours = both.btfleet.median();
    let bar = |what, at_most, needed, measured, unit| Bar {
        what,
        needed,
        measured,
        at_most,
        unit,
    };
    vec![
        bar("whole process, two CPUs", true, 10.0, ours, "ms"),
        bar(
            "whole process, one CPU",
            true,
            15.0,
            one.btfleet.median(),
            "ms",
        ),
        bar(
            "bpftool's whole process takes",
            false,
            17.0,
            both.bpftool.median() / ours,
            "×",
        ),
        bar(
            "libbpf in process takes, of our whole process",
            false,
            5.0,
            both.libbpf.median() / ours,
            "×",
        ),
        bar("peak RSS", true, 24.0, our_memory, "MiB"),
    ]
}
