//! `btfleet minimize`: small, and as good as the whole.

use super::{HEAD, compile};
use crate::support::cc;
use crate::support::kernels;
use crate::tool::{file, run, succeed, text};
use btfleet::btf::Btf;
use btfleet::relo::check::{Object, Target, check, outcomes};
use btfleet::relo::minimize::minimize;

const SOURCE: &str = r#"
struct list_head { struct list_head *next; } CORE;
struct task_struct { int pid; struct list_head tasks; char comm[16]; } CORE;
struct task_struct___none { int no_such_field; } CORE;
struct file { unsigned int f_flags; } CORE;
enum bpf_map_type { BPF_MAP_TYPE_ARRAY = 2 };
SEC("kprobe") int fields(struct task_struct *t)
{
    out = t->pid + t->comm[3] + (u64)t->tasks.next;
    out += exists(((struct task_struct___none *)t)->no_such_field);
    return 0;
}
SEC("kprobe") int types(struct file *f)
{
    out = __builtin_preserve_type_info(*(struct task_struct *)0, 1);
    out += __builtin_preserve_enum_value(*(enum bpf_map_type *)BPF_MAP_TYPE_ARRAY, 1);
    out += __builtin_preserve_type_info(*(struct list_head *)0, 0);
    return f->f_flags;
}
"#;

#[test]
fn every_relocation_comes_to_the_same_on_what_was_kept() {
    let folder = cc::scratch();
    let source = format!("{HEAD}{SOURCE}");
    let objects =
        [false, true].map(|big| compile("clang-19", folder.path(), "program", &source, big));
    let mut compared = 0;
    for kernel in kernels::all().iter().filter(|k| k.base().is_none()) {
        let blob = kernel.btf();
        let whole = Btf::parse(&blob).unwrap();
        for object in &objects {
            let object = Object::parse(object).unwrap();
            if object.btf.byte_order() != whole.byte_order() {
                continue;
            }
            let small = minimize(&Target::new(&whole), [&object]).unwrap();
            assert!(small.len() < 4096, "{}: {} bytes", kernel.name, small.len());
            let (whole, small_btf) = (Target::new(&whole), Btf::parse(&small).unwrap());
            let kept = Target::new(&small_btf);
            for (a, b) in outcomes(&object, &whole)
                .unwrap()
                .iter()
                .zip(outcomes(&object, &kept).unwrap())
            {
                assert_eq!(a.value, b.value, "{}", kernel.name);
                assert_eq!(a.patched, b.patched, "{}", kernel.name);
                compared += 1;
            }
            assert_eq!(check(&object, &whole), check(&object, &kept));
            let name = folder.path().join("small.btf");
            std::fs::write(&name, &small).unwrap();
            cc::must(
                "bpftool",
                &["btf", "dump", "file", "small.btf"],
                folder.path(),
            );
        }
    }
    assert!(compared >= 20, "{compared}");
}

#[test]
fn it_is_no_larger_than_what_bpftool_keeps() {
    let folder = cc::scratch();
    let dir = folder.path();
    let object = compile(
        "clang-19",
        dir,
        "program",
        &format!("{HEAD}{SOURCE}"),
        false,
    );
    std::fs::write(dir.join("program.o"), object).unwrap();
    let all = kernels::all();
    let kernel = all.iter().find(|k| k.name == "x86_64-6.18").unwrap();
    std::fs::write(dir.join("kernel.btf"), kernel.btf()).unwrap();
    succeed(dir, ["minimize", "program.o", "kernel.btf", "-o", "ours"]);
    cc::must(
        "bpftool",
        &[
            "gen",
            "min_core_btf",
            "kernel.btf",
            "theirs.btf",
            "program.o",
        ],
        dir,
    );
    let size = |name: &str| std::fs::metadata(dir.join(name)).unwrap().len();
    let (ours, theirs) = (size("ours/kernel.btf"), size("theirs.btf"));
    assert!(ours <= theirs, "{ours} bytes, bpftool {theirs}");
}

#[test]
fn kernels_of_a_store_lie_by_machine_and_release() {
    let folder = cc::scratch();
    let dir = folder.path();
    let object = compile(
        "clang-19",
        dir,
        "program",
        &format!("{HEAD}{SOURCE}"),
        false,
    );
    file(dir, "program.o", &object);
    let kernel = |name: &str, source: &str| {
        file(dir, name, &super::kernel(dir, source));
    };
    kernel("a.btf", "struct task_struct { int pid; } t;");
    kernel("b.btf", "struct task_struct { long more; int pid; } t;");
    kernel("c.btf", "struct task_struct { long more[2]; int pid; } t;");
    for (name, arch, release) in [
        ("a.btf", "amd64", "6.1.0"),
        ("b.btf", "arm64", "6.1.0"),
        ("c.btf", "amd64", "6.1.0"),
    ] {
        succeed(
            dir,
            [
                "publish",
                name,
                "--arch",
                arch,
                "--release",
                release,
                "--store",
                "s",
            ],
        );
    }
    succeed(dir, ["minimize", "program.o", "--store", "s", "-o", "out"]);
    let names = |sub: &str| {
        let mut names: Vec<String> = std::fs::read_dir(dir.join(sub))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("out"), ["arm64", "x86_64"]);
    assert_eq!(names("out/arm64"), ["6.1.0.btf"]);
    // Two kernels of one release: the second is told apart by its id.
    let both = names("out/x86_64");
    assert_eq!((both.len(), both[1].as_str()), (2, "6.1.0.btf"), "{both:?}");
    assert_eq!(both[0].len(), "6.1.0..btf".len() + 32, "{both:?}");
    let clash = run(
        dir,
        ["minimize", "program.o", "a.btf", "./a.btf", "-o", "out"],
    );
    assert_eq!(clash.status.code(), Some(1));
    assert!(text(&clash.stderr).contains("two kernels would both become a.btf"));
}
