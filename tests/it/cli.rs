//! What a person sees of the commands: output, errors, exit codes.

use crate::tool::{Tiny, btfleet, compile_bpf, file, run, small_kernel, succeed, text};
use btfleet::artifact::{BtfDigest, HeaderDigest};
use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

/// A folder with every kind of input that gives no BTF, and a phrase that its error must hold.
fn bad_inputs(folder: &Path) -> Vec<(String, &'static str)> {
    let kernel = small_kernel("cut");
    let cases: [(&str, Vec<u8>, &str); 6] = [
        ("empty", vec![], "the input is empty"),
        ("text", b"#!/bin/sh\necho no\n".to_vec(), "(text)"),
        (
            "gzip",
            vec![0x1f, 0x8b, 8, 0, 0, 0],
            "gzip: decompress it first",
        ),
        ("cut", kernel[..kernel.len() - 20].to_vec(), "does not fit"),
        ("header", kernel[..10].to_vec(), "does not fit"),
        (
            "elf-cut",
            b"\x7fELF\x02\x01\x01".to_vec(),
            "not a usable ELF file",
        ),
    ];
    let mut all: Vec<(String, &'static str)> = cases
        .iter()
        .map(|(name, bytes, phrase)| {
            file(folder, name, bytes);
            ((*name).to_owned(), *phrase)
        })
        .collect();
    fs::create_dir_all(folder.join("folder")).unwrap();
    all.push(("folder".into(), "it is a folder"));
    all.push(("missing".into(), "No such file"));
    // Nobody can read this, root included.
    all.push(("/proc/self/mem".into(), "Input/output error"));
    all.push(("/proc/self/exe".into(), "CONFIG_DEBUG_INFO_BTF"));
    all
}

#[test]
fn inputs_without_btf_end_in_one_line_that_says_what_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let good = file(dir.path(), "good", &small_kernel("good"));
    for (input, phrase) in bad_inputs(dir.path()) {
        let cases: [(&[&str], i32); 4] = [
            (&["dump", &input, "-o", "out.h"], 1),
            (&["dump", good.to_str().unwrap(), "--base", &input], 1),
            (&["publish", &input], 1),
            (&["diff", &input, "good"], 2),
        ];
        for (args, code) in cases {
            let out = run(dir.path(), args);
            let said = text(&out.stderr);
            assert_eq!(out.status.code(), Some(code), "{args:?}: {said}");
            assert!(out.stdout.is_empty(), "{args:?}");
            assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
            assert!(said.starts_with("btfleet: "), "{args:?}: {said}");
            let known = said.contains(phrase) || said.contains("neither a file nor a kernel");
            assert!(known, "{args:?}: {said}");
        }
        assert!(!dir.path().join("out.h").exists(), "{input}");
        assert!(!dir.path().join("btfleet-store").exists(), "{input}");
    }
}

#[test]
fn a_name_cannot_forge_a_second_line_or_a_colour() {
    let dir = tempfile::tempdir().unwrap();
    let out = run(dir.path(), ["dump", "no\nbtfleet: all is well\x1b[31m"]);
    let said = text(&out.stderr);
    assert_eq!(said.lines().count(), 1, "{said:?}");
    assert!(!said.contains('\x1b'), "{said:?}");
}

#[test]
fn wrong_usage_exits_2() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [&[&str]; 6] = [
        &[],
        &["no-such-command"],
        &["dump", "a", "b"],
        &["dump", "--module", "xfs", "file"],
        &["get"],
        &["get", "x", "--btf", "--manifest"],
    ];
    for args in cases {
        assert_eq!(run(dir.path(), args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn raw_elf_and_standard_input_give_the_same_header_and_digests() {
    let dir = tempfile::tempdir().unwrap();
    let object = compile_bpf(dir.path(), "o", "struct s { int a; char b; } s;\n");
    let elf = fs::read(&object).unwrap();
    let raw = btfleet::btf::elf::read(&elf[..]).unwrap().btf;
    let raw = file(dir.path(), "raw.btf", raw);
    let want = succeed(dir.path(), ["dump", "raw.btf"]);
    assert!(want.contains("struct s {"), "{want}");
    assert_eq!(succeed(dir.path(), ["dump", "o.o"]), want);
    for input in [&raw, &object] {
        let stdin = fs::File::open(input).unwrap();
        let out = btfleet(dir.path())
            .args(["dump", "-"])
            .stdin(stdin)
            .output();
        assert_eq!(text(&out.unwrap().stdout), want, "{input:?} < -");
        let mut cat = Command::new("cat")
            .arg(input)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pipe = cat.stdout.take().unwrap();
        let out = btfleet(dir.path()).args(["dump", "-"]).stdin(pipe).output();
        assert_eq!(text(&out.unwrap().stdout), want, "{input:?} | -");
        cat.wait().unwrap();
        let out = run(
            dir.path(),
            ["dump", "--digests", "-o", "v.h", input.to_str().unwrap()],
        );
        let said = text(&out.stderr);
        let btf = BtfDigest::of(&fs::read(&raw).unwrap());
        let header = HeaderDigest::of(&fs::read(dir.path().join("v.h")).unwrap());
        assert!(said.contains(&format!("btf-digest {btf}")), "{said}");
        assert!(said.contains(&format!("header-digest {header}")), "{said}");
    }
}

#[test]
fn a_failure_leaves_the_output_file_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "k.btf", &small_kernel("task"));
    let out = file(dir.path(), "v.h", b"precious");
    for args in [
        &["dump", "missing", "-o", "v.h"][..],
        &["dump", "k.btf", "--type", "nosuch", "-o", "v.h"],
        &[
            "dump", "k.btf", "--format", "json", "-o", "v.h", "--type", "nosuch",
        ],
        &["get", "nosuch", "-o", "v.h"],
    ] {
        assert_eq!(run(dir.path(), args).status.code(), Some(1), "{args:?}");
        assert_eq!(fs::read(&out).unwrap(), b"precious", "{args:?}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn a_disk_that_fills_while_writing_leaves_the_output_file_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "k.btf", &crate::tool::large_kernel(30_000));
    let out = file(dir.path(), "v.h", b"precious");
    for format in ["c", "json"] {
        // A limit on the size of files, whose signal is ignored: writing fails at 100 KiB.
        let limit = "trap '' XFSZ; ulimit -f 100; exec \"$0\" dump k.btf -o v.h --format \"$1\"";
        let mut sh = Command::new("sh");
        sh.args(["-c", limit, env!("CARGO_BIN_EXE_btfleet"), format]);
        let done = sh.current_dir(dir.path()).output().unwrap();
        let said = text(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(said.contains("cannot write v.h: File too large"), "{said}");
        assert_eq!(fs::read(&out).unwrap(), b"precious", "{format}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "{format}");
    }
}

#[test]
fn an_output_file_keeps_its_mode_and_its_symbolic_link() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "k.btf", &small_kernel("task"));
    let real = file(dir.path(), "real.h", b"");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    let link = dir.path().join("link.h");
    symlink("real.h", &link).unwrap();
    succeed(dir.path(), ["dump", "k.btf", "-o", "link.h"]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(text(&fs::read(&real).unwrap()).contains("struct task {"));
    let mode = fs::metadata(&real).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    succeed(dir.path(), ["dump", "k.btf", "-o", "new.h"]);
    let mode = fs::metadata(dir.path().join("new.h"))
        .unwrap()
        .permissions()
        .mode();
    assert_ne!(mode & 0o044, 0, "others may read it, as the umask has it");
}

#[test]
fn devices_and_pipes_are_written_to_and_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "k.btf", &small_kernel("task"));
    succeed(dir.path(), ["dump", "k.btf", "-o", "/dev/null"]);
    assert!(
        fs::metadata("/dev/null")
            .unwrap()
            .file_type()
            .is_char_device()
    );
    let fifo = dir.path().join("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let mut child = btfleet(dir.path())
        .args(["dump", "k.btf", "-o", "fifo"])
        .spawn()
        .unwrap();
    let got = fs::read_to_string(&fifo).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(got.contains("struct task {"));
    assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
    let want = succeed(dir.path(), ["dump", "k.btf"]);
    assert_eq!(
        succeed(dir.path(), ["dump", "k.btf", "-o", "/dev/stdout"]),
        want
    );
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "k.btf", &crate::tool::large_kernel(30_000));
    for args in [
        &["dump", "k.btf"][..],
        &["dump", "k.btf", "--format", "json"],
    ] {
        let mut child = btfleet(dir.path())
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut some = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut some).unwrap();
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "{args:?}: {}", out.status);
        assert_eq!(text(&out.stderr), "", "{args:?}");
    }
}

#[test]
fn a_full_device_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "k.btf", &small_kernel("task"));
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    for args in [
        &["dump", "k.btf"][..],
        &["dump", "k.btf", "--format", "json"],
        &["diff", "k.btf", "k.btf"],
        &["completions", "bash"],
    ] {
        let mut command = btfleet(dir.path());
        let out = command.args(args).stdout(full()).output().unwrap();
        assert_ne!(out.status.code(), Some(0), "{args:?}");
        assert!(text(&out.stderr).contains("No space left"), "{args:?}");
    }
}

#[test]
fn a_module_is_printed_over_its_base_from_raw_btf_and_from_elf() {
    let dir = tempfile::tempdir().unwrap();
    let mut base = Tiny::kernel();
    base.record("task", &["pid"]);
    file(dir.path(), "base.btf", &base.bytes());
    let mut module = Tiny::module(&base);
    module.record("inode_of_mine", &["number"]);
    file(dir.path(), "m.btf", &module.bytes());
    let header = succeed(dir.path(), ["dump", "m.btf", "--base", "base.btf"]);
    assert!(header.contains("struct inode_of_mine {"), "{header}");
    assert!(!header.contains("struct task {"), "{header}");
    let alone = run(dir.path(), ["dump", "m.btf"]);
    assert!(text(&alone.stderr).contains("give its base"));

    // The same module in an ELF file, with the little of its base that it needs.
    file(dir.path(), "distilled.btf", &Tiny::kernel().bytes());
    let mut over = Tiny::module(&Tiny::kernel());
    over.record("inode_of_mine", &["number"]);
    file(dir.path(), "over.btf", &over.bytes());
    for command in [
        "gcc -c -x c /dev/null -o m.ko",
        "objcopy --add-section .BTF=over.btf --add-section .BTF.base=distilled.btf m.ko",
    ] {
        let mut sh = Command::new("sh");
        let status = sh.args(["-c", command]).current_dir(dir.path()).status();
        assert!(status.unwrap().success(), "{command}");
    }
    let body = |header: &str| {
        let from = header.find("struct inode_of_mine {").unwrap();
        header[from..].split("};").next().unwrap().to_owned()
    };
    let by_itself = succeed(dir.path(), ["dump", "m.ko"]);
    let moved = succeed(dir.path(), ["dump", "m.ko", "--base", "base.btf"]);
    assert_eq!(body(&by_itself), body(&header));
    assert_eq!(body(&moved), body(&header));
    file(dir.path(), "other.btf", &{
        let mut other = Tiny::kernel().bytes();
        // Its `int` has another name.
        let at = other.windows(4).position(|w| w == b"int\0").unwrap();
        other[at] = b'u';
        other
    });
    let out = run(dir.path(), ["dump", "m.ko", "--base", "other.btf"]);
    let said = text(&out.stderr);
    assert!(said.contains("the base has no INT \"int\""), "{said}");
    let out = run(dir.path(), ["publish", "m.ko"]);
    assert!(
        text(&out.stderr).contains("only whole kernels"),
        "{}",
        text(&out.stderr)
    );
}

#[test]
fn of_a_large_elf_only_its_btf_is_read() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "k.btf", &small_kernel("task"));
    let want = succeed(dir.path(), ["dump", "k.btf"]);
    // 3 GiB of file, most of it a hole, in half a gigabyte of address space.
    let command = "gcc -c -x c /dev/null -o vmlinux && objcopy --add-section .BTF=k.btf vmlinux &&
        truncate -s +3G vmlinux && ulimit -v 500000 && exec \"$0\" dump vmlinux";
    let mut sh = Command::new("sh");
    sh.args(["-c", command, env!("CARGO_BIN_EXE_btfleet")]);
    let out = sh.current_dir(dir.path()).output().unwrap();
    assert_eq!(text(&out.stdout), want, "{}", text(&out.stderr));
    // The same through a pipe cannot be sought in.
    let through = "head -c 300M /dev/zero | cat vmlinux - | head -c 400M | \"$0\" dump -";
    let mut sh = Command::new("sh");
    sh.args(["-c", through, env!("CARGO_BIN_EXE_btfleet")]);
    let said = text(&sh.current_dir(dir.path()).output().unwrap().stderr);
    assert!(said.contains("must be given by name"), "{said}");
}

#[test]
fn modules_that_are_not_there_are_told_apart_from_typos() {
    let dir = tempfile::tempdir().unwrap();
    for (name, phrase) in [
        ("no_such_module", "not loaded"),
        ("vmlinux", "leave --module out"),
        ("../vmlinux", "not a module's name"),
        ("", "not a module's name"),
    ] {
        let out = run(dir.path(), ["dump", "--module", name]);
        let said = text(&out.stderr);
        assert!(said.contains(phrase), "{name}: {said}");
    }
}

#[test]
fn json_holds_every_type_and_with_type_only_what_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    compile_bpf(
        dir.path(),
        "o",
        "typedef unsigned int u32; union u { u32 x; };
         struct far { int z; }; enum e { A, B = -1 };
         struct s { union u u; struct far *far; u32 bits : 3; enum e e; int (*f)(int, ...); } s;
         struct far away; struct alone { int q; } alone;\n",
    );
    let all = succeed(dir.path(), ["dump", "o.o", "--format", "json"]);
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all["schema"], 1);
    assert_eq!(all["byteOrder"], "little");
    let types = all["types"].as_array().unwrap();
    let ids: Vec<u64> = types.iter().map(|t| t["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, Vec::from_iter(1..=types.len() as u64));
    let names = |json: &serde_json::Value, kind: &str| -> Vec<String> {
        let all = json["types"].as_array().unwrap().iter();
        let these = all.filter(|t| t["kind"] == kind && t["declaration"] != true);
        let mut names: Vec<String> = these
            .filter_map(|t| t["name"].as_str().map(Into::into))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&all, "struct"), ["alone", "far", "s"]);
    let s = types
        .iter()
        .find(|t| t["name"] == "s" && t["kind"] == "struct")
        .unwrap();
    assert_eq!(s["members"][2]["bitWidth"], 3);
    assert_eq!(s["members"][2]["name"], "bits");
    let e = types.iter().find(|t| t["kind"] == "enum").unwrap();
    assert_eq!(e["values"][1]["value"], -1);
    let proto = types.iter().find(|t| t["kind"] == "func_proto").unwrap();
    assert_eq!(proto["variadic"], true);
    assert_eq!(proto["params"].as_array().unwrap().len(), 1);

    let some = succeed(
        dir.path(),
        ["dump", "o.o", "--format", "json", "--type", "struct s"],
    );
    let some: serde_json::Value = serde_json::from_str(&some).unwrap();
    assert_eq!(names(&some, "struct"), ["s"]);
    assert_eq!(names(&some, "union"), ["u"]);
    let far = some["types"]
        .as_array()
        .unwrap()
        .iter()
        .find(|t| t["name"] == "far")
        .unwrap();
    assert_eq!(far["declaration"], true);
    // Whatever an id names is there.
    let there: Vec<&serde_json::Value> = some["types"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| &t["id"])
        .collect();
    for ty in some["types"].as_array().unwrap() {
        let members = ty["members"].as_array().into_iter().flatten();
        for to in members
            .map(|m| &m["type"])
            .chain([&ty["type"], &ty["returns"]])
        {
            assert!(to.is_null() || *to == 0 || there.contains(&to), "{ty}");
        }
    }
}

#[test]
fn every_shell_gets_a_completion_and_every_command_a_help_text() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(
            succeed(dir.path(), ["completions", shell]).contains("publish"),
            "{shell}"
        );
    }
    for command in [
        "dump",
        "publish",
        "verify",
        "kernels",
        "get",
        "diff",
        "completions",
    ] {
        let help = succeed(dir.path(), [command, "--help"]);
        assert!(help.contains("Usage: btfleet"), "{command}");
    }
    assert!(succeed(dir.path(), ["diff", "--help"]).contains("1 they differ"));
}

#[test]
fn every_field_of_every_json_is_documented() {
    let docs = include_str!("../../docs/json.md");
    let dir = tempfile::tempdir().unwrap();
    let source = |more: &str| {
        format!(
            "extern int k(int) __attribute__((btf_decl_tag(\"bpf_kfunc\")));
             enum e {{ A }} e; float f; struct s {{ int a : 2; float x[3]; struct fwd *p; {more} }} s;
             int fun(int x) {{ return k(x); }}"
        )
    };
    compile_bpf(dir.path(), "a", &source(""));
    compile_bpf(dir.path(), "b", &source("int more;"));
    file(dir.path(), "k.btf", &small_kernel("k"));
    succeed(dir.path(), ["publish", "k.btf"]);
    file(&dir.path().join("btfleet-store/btf"), "stray", b"");
    for args in [
        &["dump", "a.o", "--format", "json"][..],
        &["dump", "a.o", "--format", "json", "--type", "s"],
        &["diff", "a.o", "b.o", "--format", "json"],
        &["kernels", "-o", "json"],
        &["verify", "-o", "json"],
        &["get", &btfleet_id(dir.path()), "--manifest"],
    ] {
        let out = run(dir.path(), args);
        let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        let mut values = vec![&json];
        while let Some(value) = values.pop() {
            for (field, inner) in value.as_object().into_iter().flatten() {
                assert!(docs.contains(&format!("`{field}`")), "{args:?}: {field}");
                values.push(inner);
            }
            values.extend(value.as_array().into_iter().flatten());
        }
    }
}

fn btfleet_id(folder: &Path) -> String {
    succeed(folder, ["kernels", "-o", "name"]).trim().to_owned()
}
