//! Guarded or not: what constants make unreachable, and what they do not.

use super::as_named;

const KERNEL: &str = "struct task { int pid; int state; } task;";

/// A field that no kernel has, and one that it has.
const OWN: &str = r#"
struct task { int pid; } CORE;
struct task___none { int gone; long also_gone; } CORE;
struct nothing { int field; } CORE;
"#;

fn cases(source: &str) {
    as_named(KERNEL, &format!("{OWN}{source}"));
}

#[test]
fn what_an_existence_check_guards_is_guarded() {
    cases(
        r#"
SEC("kprobe") int guarded_if(struct task___none *t) { if (exists(t->gone)) out = t->gone; return 0; }
SEC("kprobe") int guarded_else(struct task___none *t)
{
    if (!exists(t->gone)) out = 1; else out = t->gone + t->also_gone;
    return 0;
}
SEC("kprobe") int guarded_return(struct task___none *t)
{
    if (!exists(t->gone)) return 0;
    out = t->gone;
    return 1;
}
SEC("kprobe") int guarded_type(struct nothing *n) { if (type_exists(struct nothing)) out = n->field; return 0; }
SEC("kprobe") int guarded_both(struct task___none *t)
{
    if (exists(t->gone) && exists(t->also_gone)) out = t->gone + t->also_gone;
    return 0;
}
SEC("kprobe") int guarded_loop(struct task___none *t)
{
    for (int i = 0; i < 4; i++) {
        if (!exists(t->gone)) break;
        out += t->gone + now();
    }
    return 0;
}
SEC("kprobe") int resolves_all(struct task *t) { out = t->pid; return 0; }
"#,
    );
}

#[test]
fn what_is_not_guarded_fails() {
    cases(
        r#"
SEC("kprobe") int fails_plain(struct task___none *t) { out = t->gone; return 0; }
SEC("kprobe") int fails_wrong_way(struct task___none *t) { if (!exists(t->gone)) out = t->gone; return 0; }
SEC("kprobe") int fails_either(struct task *t)
{
    if (exists(t->pid) || now()) out = ((struct task___none *)t)->gone;
    return 0;
}
SEC("kprobe") int fails_at_run_time(struct task___none *t) { if (now() == 7) out = t->gone; return 0; }
const volatile int option = 0;
SEC("kprobe") int fails_by_option(struct task___none *t) { if (option) out = t->gone; return 0; }
SEC("kprobe") int fails_after_loop(struct task___none *t)
{
    for (u32 i = 0; i < now(); i++) out++;
    out += t->gone;
    return 0;
}
SEC("kprobe") int fails_by_changed_copy(struct task___none *t)
{
    u64 has = exists(t->gone);
    print((void *)&has, 8);
    if (has) out = t->gone;
    return 0;
}
"#,
    );
}

#[test]
fn a_constant_is_followed_through_functions_and_the_stack() {
    cases(
        r#"
static noinline int has(void) { return exists(((struct task___none *)0)->gone); }
static noinline u64 take(struct task___none *t, int has) { return has ? t->gone : 0; }
static noinline u64 use(struct task___none *t) { return t->gone; }
SEC("kprobe") int guarded_result(struct task___none *t) { if (has()) out = t->gone; return 0; }
SEC("kprobe") int guarded_argument(struct task___none *t) { out = take(t, exists(t->gone)); return 0; }
SEC("kprobe") int guarded_call(struct task___none *t) { if (exists(t->gone)) out = use(t); return 0; }
"#,
    );
    cases(
        r#"
static noinline u64 use(struct task___none *t) { return t->gone; }
SEC("kprobe") int fails_call(struct task___none *t) { out = use(t); return 0; }
SEC("kprobe") int fails_one_of_two(struct task___none *t)
{
    if (exists(t->gone)) out = use(t);
    if (now()) out = use(t);
    return 0;
}
"#,
    );
}

#[test]
fn a_callback_counts_as_reached_with_its_address() {
    cases(
        r#"
static long (*const loop)(u32, void *, void *, u64) = (void *)181;
static long each(u32 i, struct task___none **t) { out += (*t)->gone; return 0; }
SEC("kprobe") int fails_callback(struct task___none *t) { loop(3, each, &t, 0); return 0; }
SEC("kprobe") int guarded_callback(struct task___none *t)
{
    if (exists(t->gone)) loop(3, each, &t, 0);
    return 0;
}
"#,
    );
}

#[test]
fn a_global_function_is_reached_with_anything_wherever_it_is_called() {
    cases(
        r#"
noinline u64 global(struct task___none *t, int has) { return has ? t->gone : now(); }
SEC("kprobe") int fails_global(struct task___none *t) { out = global(t, exists(t->gone)); return 0; }
"#,
    );
}

#[test]
fn a_weak_kfunc_that_is_not_there_has_address_0() {
    cases(
        r#"
extern void no_such_kfunc(void) __weak __ksym;
SEC("kprobe") int guarded_kfunc(void) { if (no_such_kfunc) no_such_kfunc(); return 0; }
SEC("kprobe") int unknown_kfunc(void) { no_such_kfunc(); return 0; }
SEC("kprobe") int unknown_other_way(struct task___none *t) { if (!no_such_kfunc) out = t->gone; return 0; }
"#,
    );
}
