//! What is there and what is not: relocations and names, and what is said where they are missing.

use super::{as_named, compile, kernel, programs};
use crate::support::cc;
use btfleet::btf::Btf;
use btfleet::relo::check::{Object, Target, Verdict, check};

#[test]
fn attach_targets_are_looked_up_by_their_kind() {
    as_named(
        r#"
typedef void (*btf_trace_sched_switch)(void *);
btf_trace_sched_switch t;
int vfs_read(void *file) { return 0; }
int bpf_lsm_file_open(void *file) { return 0; }
int bpf_iter_task(void *ctx) { return 0; }
"#,
        r#"
#define PROG(section, name) SEC(section) int name(void *ctx) { return 0; }
PROG("fentry/vfs_read", resolves_fentry)
PROG("fexit.s/vfs_read", resolves_fexit)
PROG("fentry/vmlinux:vfs_read", resolves_named_kernel)
PROG("fentry/vmlinux:vfs_gone", fails_named_kernel)
PROG("fentry/vfs_gone", unknown_fentry)
PROG("fentry/xfs:vfs_read", unknown_module)
PROG("fmod_ret/vfs_read", unknown_fmod_ret)
PROG("tp_btf/sched_switch", resolves_tp_btf)
PROG("tp_btf/sched_gone", unknown_tp_btf)
PROG("lsm/file_open", resolves_lsm)
PROG("lsm.s/file_gone", fails_lsm)
PROG("lsm_cgroup/file_open", resolves_lsm_cgroup)
PROG("iter/task", resolves_iter)
PROG("iter.s/gone", fails_iter)
PROG("freplace/anything", unknown_freplace)
PROG("fentry", unknown_unnamed)
PROG("kprobe/whatever", resolves_kprobe)
"#,
    );
}

#[test]
fn with_all_modules_known_nothing_is_elsewhere() {
    let folder = cc::scratch();
    let kernel = kernel(folder.path(), "int vfs_read(void) { return 0; }");
    let kernel = Btf::parse(&kernel).unwrap();
    let source = format!(
        "{}extern void gone(void) __ksym;\nSEC(\"fentry/vfs_gone\") int by_name(void *c) {{ return 0; }}\nSEC(\"kprobe\") int by_call(void *c) {{ gone(); return 0; }}",
        super::HEAD
    );
    let object = compile("clang-19", folder.path(), "program", &source, false);
    let object = Object::parse(&object).unwrap();
    let of = |target: &Target<'_>| {
        let all = check(&object, target).unwrap();
        all.into_iter()
            .find(|p| p.name == "by_call")
            .unwrap()
            .verdict
    };
    assert_eq!(of(&Target::new(&kernel)), Verdict::Unknown);
    assert_eq!(of(&Target::with_modules(&kernel, [])), Verdict::Fails);
}

#[test]
fn kfuncs_and_variables_must_be_of_the_same_prototype() {
    let kernel = r#"
struct task { int pid; };
struct task *get_task(int pid) { return 0; }
int put_task(struct task *t) { return 0; }
int runqueues;
__attribute__((section(".data..percpu"))) struct task *current;
"#;
    let all = programs(
        kernel,
        r#"
struct task { int pid; } CORE;
extern struct task *get_task(int pid) __ksym;
SEC("kprobe") int right(void *c) { return get_task(1) != 0; }
"#,
    );
    assert_eq!(all["right"].verdict, Verdict::Resolves);
    let wrong = r#"
struct task { int pid; } CORE;
extern struct task *get_task(int pid, int more) __ksym ATTR;
SEC("kprobe") int asks(void *c) { return IF get_task(1, 2) != 0; }
"#;
    let all = programs(kernel, &wrong.replace("ATTR", "").replace("IF", ""));
    let asks = &all["asks"];
    assert_eq!(asks.verdict, Verdict::Fails);
    assert_eq!(
        asks.findings[0].instead.as_deref(),
        Some("struct task * (int)")
    );
    // A weak one of another prototype counts as absent.
    let all = programs(kernel, &wrong.replace("ATTR", "__weak").replace("IF", ""));
    assert_eq!(all["asks"].verdict, Verdict::Fails);
    let all = programs(
        kernel,
        &wrong.replace("ATTR", "__weak").replace("IF", "get_task &&"),
    );
    assert_eq!(all["asks"].verdict, Verdict::Guarded);
    let variable = |ty: &str| {
        let source = format!(
            "struct task {{ int pid; }};\nextern {ty} runqueues __ksym;\nSEC(\"kprobe\") int asks(void *c) {{ out = (u64)&runqueues; return 0; }}"
        );
        programs(kernel, &source)["asks"].verdict
    };
    assert_eq!(variable("int"), Verdict::Resolves);
    assert_eq!(variable("struct task"), Verdict::Fails);
    assert_eq!(variable("void"), Verdict::Unknown);
}

#[test]
fn a_missing_kfunc_of_an_optional_program_strikes_all_where_it_is_certain() {
    let source = r#"
extern int twisted(int) __ksym;
SEC("?kprobe") int asks(void *c) { return twisted(1); }
SEC("kprobe") int does_not(void *c) { return 0; }
"#;
    let all = programs("int twisted(int a, int b) { return 0; }", source);
    assert!(all["asks"].is_optional && !all["does_not"].is_optional);
    // libbpf looks up everything that the object names before it loads anything.
    assert_eq!(all["does_not"].verdict, Verdict::Fails);
    let all = programs("int other(int a) { return 0; }", source);
    assert_eq!(all["does_not"].verdict, Verdict::Resolves);
    assert_eq!(all["asks"].verdict, Verdict::Unknown);
}

#[test]
fn struct_ops_are_held_against_the_kernels_members() {
    let kernel = r#"
struct ops { int (*init)(void); int flags; };
struct bpf_struct_ops_ops { int refs; struct ops data; } x;
"#;
    let source = r#"
struct ops { int (*init)(void); EXTRA int flags; };
SEC("struct_ops/init") int init(void *c) { return 0; }
SEC(".struct_ops") struct ops mine = { .init = (void *)init, SET };
"#;
    let of = |kernel: &str, extra: &str, set: &str| {
        let all = programs(kernel, &source.replace("EXTRA", extra).replace("SET", set));
        all["init"].clone()
    };
    assert_eq!(of(kernel, "", ".flags = 3").verdict, Verdict::Resolves);
    // A member that the kernel lacks is passed over while it is not set.
    assert_eq!(
        of(kernel, "int (*more)(void);", "").verdict,
        Verdict::Resolves
    );
    let set = of(kernel, "int (*fast)(void); long weight;", ".weight = 1");
    assert_eq!(set.verdict, Verdict::Fails);
    assert_eq!(set.findings[0].name, "ops.weight");
    let gone = of("int x;", "", "");
    assert_eq!(gone.verdict, Verdict::Fails);
    assert!(
        gone.findings[0].reason.contains("no such callbacks"),
        "{gone:?}"
    );
    let later = of("int __register_bpf_struct_ops(void) { return 0; }", "", "");
    assert_eq!(later.verdict, Verdict::Unknown);
}

#[test]
fn what_is_missing_is_said_with_its_line_and_what_is_there_instead() {
    let kernel = r#"
struct inner { int moved; };
struct task { int pid; int __state; struct inner in; int list[4]; long grown; char *name; } task;
struct renamed_thing { int x; } r;
enum mode { MODE_READ, MODE_WRITE } m;
"#;
    let asks = |members: &str, what: &str| {
        let source = format!(
            "struct task {{ {members} }} CORE;\nstruct renamed_thin {{ int x; }} CORE;\nenum mode___own {{ MODE_REED___own }};\nSEC(\"kprobe\") int asks(struct task *t) {{\n out = {what};\n return 0; }}"
        );
        let all = programs(kernel, &source);
        let asks = all["asks"].clone();
        assert_eq!(asks.verdict, Verdict::Fails, "{what}: {asks:?}");
        let first = asks.findings.into_iter().next().unwrap();
        let place = first.place.clone().unwrap();
        let (file, line) = place.source.clone().unwrap();
        assert!(file.ends_with("program.bpf.c"), "{file}");
        let lines = super::HEAD.lines().count() as u32;
        // A compiler may move what needs no order to where the function begins.
        let at = line - lines;
        let sure = what.starts_with("t->") && what != "t->in";
        assert!(at == 5 || (at == 4 && !sure), "{what}: {place:?}");
        assert!(
            at != 5 || place.text.starts_with("out ="),
            "{what}: {place:?}"
        );
        (first.name, first.reason, first.instead.unwrap_or_default())
    };
    let strings = |t: (&str, &str, &str)| (t.0.to_owned(), t.1.to_owned(), t.2.to_owned());
    assert_eq!(
        asks("int state;", "t->state"),
        strings(("task.state", "task has no state", "__state"))
    );
    assert_eq!(
        asks("int moved;", "t->moved"),
        strings(("task.moved", "task has no moved", "in.moved"))
    );
    assert_eq!(
        asks("int list[9];", "t->list[7]"),
        strings(("task.list[7]", "task.list has no element 7", "4 elements"))
    );
    assert_eq!(
        asks("char name[16];", "t->name[0]"),
        strings(("task.name[0]", "task.name is no array", "char *"))
    );
    assert_eq!(
        asks("int in;", "t->in"),
        strings((
            "task.in",
            "task.in is of another kind (int in the program)",
            "struct inner"
        ))
    );
    let grown = asks("int grown;", "t->grown");
    assert_eq!(grown.2, "8 bytes");
    assert_eq!(
        asks("int pid;", "((struct renamed_thin *)t)->x"),
        strings((
            "renamed_thin.x",
            "no struct renamed_thin",
            "struct renamed_thing"
        ))
    );
    let mode = "__builtin_preserve_enum_value(*(enum mode___own *)MODE_REED___own, 1)";
    assert_eq!(
        asks("int pid;", mode),
        strings((
            "mode___own.MODE_REED___own",
            "enum mode has no MODE_REED",
            "MODE_READ"
        ))
    );
}

#[test]
fn an_object_of_the_other_byte_order_fails() {
    let folder = cc::scratch();
    let kernel = kernel(folder.path(), "struct task { int pid; } t;");
    let kernel = Btf::parse(&kernel).unwrap();
    let source = format!(
        "{}struct task {{ int pid; }} CORE;\nSEC(\"kprobe\") int asks(struct task *t) {{ out = t->pid; return 0; }}",
        super::HEAD
    );
    for (big, want) in [(false, Verdict::Resolves), (true, Verdict::Fails)] {
        let object = compile("clang-19", folder.path(), "program", &source, big);
        let object = Object::parse(&object).unwrap();
        let said = check(&object, &Target::new(&kernel)).unwrap();
        assert_eq!(said[0].verdict, want, "{:?}", said[0]);
    }
}
