//! What programs name of a kernel beside its types: what they attach to, kfuncs, variables, callbacks.

use super::compat::{Budget, MAX_DEPTH, Pair, essential, size, skip, types_are_compat};
use super::effort::Effort;
use super::hint;
use super::object::{Extern, ExternKind, Function, Object, StructOps};
use super::reach::Presence;
use super::target::{Candidate, Target};
use super::{Finding, Subject, Verdict};
use crate::btf::{Kind, TypeId};

/// How programs of a section attach to what BTF knows of.
enum Attach {
    /// To a function: fentry, fexit, fsession.
    Function,
    /// In place of a function's result; whether that is allowed, BTF does not say.
    Result,
    /// To something that the kernel declares as a type or function of this prefix.
    Prefixed(&'static str, Kind, bool),
    /// To another program, or what is named when it is loaded.
    Elsewhere,
}

fn attach_of(section: &str) -> Option<(Attach, Option<&str>)> {
    let (first, target) = match section.split_once('/') {
        Some((first, target)) => (first, Some(target).filter(|t| !t.is_empty())),
        None => (section, None),
    };
    let attach = match first.strip_suffix(".s").unwrap_or(first) {
        "fentry" | "fexit" | "fsession" => Attach::Function,
        "fmod_ret" => Attach::Result,
        // Tracepoints can be a module's; iterators and hooks are the kernel's own.
        "tp_btf" => Attach::Prefixed("btf_trace_", Kind::Typedef, true),
        "iter" => Attach::Prefixed("bpf_iter_", Kind::Func, false),
        "lsm" | "lsm_cgroup" => Attach::Prefixed("bpf_lsm_", Kind::Func, false),
        "freplace" => Attach::Elsewhere,
        _ => return None,
    };
    Some((attach, target))
}

/// What a program attaches to, where that is amiss.
pub(super) fn attach(
    function: &Function<'_>,
    target: &Target<'_>,
    effort: &Effort,
) -> Option<Finding> {
    let (attach, named) = attach_of(function.section)?;
    let finding = |verdict, reason: String, instead| Finding {
        verdict,
        subject: Subject::Attach,
        name: named.unwrap_or(function.section).to_owned(),
        reason,
        instead,
        place: None,
    };
    if let Attach::Elsewhere = attach {
        let reason = "it replaces a function of another program".to_owned();
        return Some(finding(Verdict::Unknown, reason, None));
    }
    let Some(named) = named else {
        let reason = "what it attaches to is named when it is loaded".to_owned();
        return Some(finding(Verdict::Unknown, reason, None));
    };
    let (module, name) = match named.split_once(':') {
        Some((module, name)) => (Some(module), name),
        None => (None, named),
    };
    let (prefix, kind, of_modules) = match attach {
        Attach::Prefixed(prefix, kind, of_modules) => (prefix, kind, of_modules),
        _ => ("", Kind::Func, true),
    };
    let full = format!("{prefix}{name}");
    let found = match module {
        Some(module) => target.find_of(module, full.as_bytes(), kind),
        None => target.find(full.as_bytes(), kind),
    };
    if found.is_some() {
        return match attach {
            Attach::Result => Some(finding(
                Verdict::Unknown,
                "the function is there; whether its result may be replaced, BTF does not say"
                    .into(),
                None,
            )),
            _ => None,
        };
    }
    let what = match attach {
        Attach::Prefixed("btf_trace_", ..) => "tracepoint",
        Attach::Prefixed("bpf_iter_", ..) => "iterator",
        Attach::Prefixed(..) => "LSM hook",
        _ => "function",
    };
    let mut near = effort.instead(|| hint::nearest(&full, target.names(|k| k == kind)));
    if let Some(near) = &mut near
        && let Some(rest) = near.strip_prefix(prefix)
    {
        *near = rest.to_owned();
    }
    let near = near.map(|near| format!("{what} {near}"));
    let may_be_elsewhere = of_modules && !target.is_whole() && module != Some("vmlinux");
    Some(match may_be_elsewhere {
        true => finding(
            Verdict::Unknown,
            format!("the kernel itself has no {what} {name}; a module of it may have"),
            near,
        ),
        false => finding(Verdict::Fails, format!("no {what} {name}"), near),
    })
}

/// Whether the kernel has what an extern names; and what is amiss if not.
pub(super) fn presence(
    object: &Object<'_>,
    named: &Extern<'_>,
    target: &Target<'_>,
    effort: &Effort,
) -> (Presence, Option<Finding>) {
    let finding = |verdict, subject, reason: String, instead| Finding {
        verdict,
        subject,
        name: named.name.to_owned(),
        reason,
        instead,
        place: None,
    };
    let (subject, kind, what, local) = match named.kind {
        ExternKind::Kfunc(prototype) => (Subject::Kfunc, Kind::Func, "kfunc", prototype),
        ExternKind::Variable(ty) => (Subject::Ksym, Kind::Var, "variable", ty),
        ExternKind::Symbol if named.is_weak => return (Presence::Unknown, None),
        ExternKind::Symbol => {
            let reason = "a symbol without a type: BTF does not say whether the kernel has it";
            let found = finding(Verdict::Unknown, Subject::Ksym, reason.into(), None);
            return (Presence::Unknown, Some(found));
        }
        ExternKind::Config => {
            // These libbpf knows itself.
            let is_own = named.name.starts_with("LINUX_");
            let reason = "how a kernel was configured, BTF does not say";
            let found = finding(Verdict::Unknown, Subject::Config, reason.into(), None);
            return (
                Presence::Unknown,
                (!named.is_weak && !is_own).then_some(found),
            );
        }
    };
    let name = match named.kind {
        ExternKind::Kfunc(_) => essential(named.name.as_bytes()),
        _ => named.name.as_bytes(),
    };
    let Some(found) = target.find(name, kind) else {
        if target.is_whole() {
            let near = || hint::nearest(named.name, target.names(|k| k == kind));
            let near = effort.instead(near);
            let reason = format!("no {what} of that name in the kernel or its modules");
            let missing = finding(Verdict::Fails, subject, reason, near);
            return (Presence::Absent, (!named.is_weak).then_some(missing));
        }
        let reason =
            format!("the kernel itself has no {what} of that name; a module of it may have");
        let missing = finding(Verdict::Unknown, subject, reason, None);
        return (Presence::Unknown, (!named.is_weak).then_some(missing));
    };
    let btf = target.btf(found);
    let theirs = btf.ty(found.id).target();
    let theirs = match kind {
        Kind::Func => theirs,
        _ => skip(btf, theirs).unwrap_or_default(),
    };
    let pair = Pair {
        local: &object.btf,
        target: btf,
    };
    let fits =
        types_are_compat(pair, local, theirs, MAX_DEPTH, &mut Budget::new(effort)) == Ok(true);
    if !fits {
        let reason = match kind {
            Kind::Func => "the kernel's function has other parameters",
            _ => "the kernel's variable has another type",
        };
        let instead = match kind {
            Kind::Func => Some(hint::prototype(btf, theirs)),
            _ => Some(hint::type_name(btf, theirs)),
        };
        let wrong = finding(Verdict::Fails, subject, reason.into(), instead);
        // libbpf passes over a weak function that does not fit, not over a weak variable.
        return match named.is_weak && kind == Kind::Func {
            true => (Presence::Absent, None),
            false => (Presence::Absent, Some(wrong)),
        };
    }
    if kind == Kind::Func && target.is_kfunc(found) == Some(false) {
        let reason = "the kernel has the function, but not for programs to call (it is no kfunc)";
        let wrong = finding(Verdict::Fails, subject, reason.into(), None);
        return (Presence::Present, Some(wrong));
    }
    (Presence::Present, None)
}

/// A map of callbacks, where the kernel has no such callbacks.
pub(super) fn struct_ops(
    object: &Object<'_>,
    map: &StructOps<'_>,
    target: &Target<'_>,
    effort: &Effort,
) -> Option<Finding> {
    let local = object.btf.ty(map.ty);
    let name = object.btf.name(local.name());
    let name = essential(name);
    let shown = String::from_utf8_lossy(name).into_owned();
    let finding = |verdict, name: String, reason: String, instead| {
        Some(Finding {
            verdict,
            subject: Subject::StructOps,
            name,
            reason,
            instead,
            place: None,
        })
    };
    let value = [b"bpf_struct_ops_", name].concat();
    let found = target.find(&value, Kind::Struct);
    let own = |value: Candidate| {
        let btf = target.btf(value);
        let mut members = btf.ty(value.id).members();
        members.find_map(|m| {
            let ty = btf.ty(m.ty);
            (ty.kind() == Kind::Struct && btf.name(ty.name()) == name).then_some((btf, m.ty))
        })
    };
    let Some(value) = found else {
        // Modules can bring callbacks of their own since 6.9.
        let of_modules = target
            .find(b"__register_bpf_struct_ops", Kind::Func)
            .is_some();
        let all = target.names(|k| k == Kind::Struct);
        let prefix = &b"bpf_struct_ops_"[..];
        let near = all.filter(|n| n.starts_with(prefix));
        let near = || hint::nearest(&String::from_utf8_lossy(&value), near);
        let near = effort.instead(near);
        let near = near.and_then(|near| Some(near.strip_prefix("bpf_struct_ops_")?.to_owned()));
        return match of_modules && !target.is_whole() {
            true => finding(
                Verdict::Unknown,
                shown,
                "the kernel itself takes no such callbacks; a module of it may".into(),
                near,
            ),
            false => finding(
                Verdict::Fails,
                shown,
                "the kernel takes no such callbacks".into(),
                near,
            ),
        };
    };
    let Some((btf, theirs)) = own(value) else {
        let reason = "the kernel's type of these callbacks is not as expected".into();
        return finding(Verdict::Fails, shown, reason, None);
    };
    for (n, member) in local.members().enumerate() {
        if !effort.take(1 + map.callbacks.len() + btf.ty(theirs).members().len()) {
            break;
        }
        let member_name = object.btf.name(member.name);
        let from = member.bit_offset as usize / 8;
        let own_size = size(&object.btf, 8, member.ty).unwrap_or(0);
        let bytes = map.data.get(from..from.saturating_add(own_size as usize));
        let callback = map.callbacks.iter().any(|(m, _)| *m == n as u32);
        let is_set = callback || bytes.is_none_or(|b| b.iter().any(|b| *b != 0));
        let mut members = btf.ty(theirs).members();
        let there = members.find(|m| btf.name(m.name) == member_name);
        let full = format!("{shown}.{}", String::from_utf8_lossy(member_name));
        let wrong =
            |reason: &str, instead| finding(Verdict::Fails, full.clone(), reason.into(), instead);
        let Some(there) = there else {
            if !is_set {
                continue;
            }
            let names = btf.ty(theirs).members().map(|m| btf.name(m.name));
            let near = hint::nearest(&String::from_utf8_lossy(member_name), names);
            return wrong(
                "the kernel's callbacks have no such member, and it is set",
                near,
            );
        };
        if member.width > 0 || there.width > 0 {
            return wrong("a bit-field cannot be set", None);
        }
        let (a, b) = (skip(&object.btf, member.ty), skip(btf, there.ty));
        let (Ok(a), Ok(b)) = (a, b) else { continue };
        if object.btf.kind(a) != btf.kind(b) {
            return wrong(
                "it is of another kind in the kernel",
                Some(hint::type_name(btf, b)),
            );
        }
        if object.btf.kind(a) == Kind::Ptr {
            let to = skip(btf, btf.ty(b).target()).unwrap_or(TypeId::VOID);
            if callback && btf.kind(to) != Kind::FuncProto {
                return wrong(
                    "it is no function in the kernel",
                    Some(hint::type_name(btf, b)),
                );
            }
        } else if size(btf, btf.pointer_size(), b) != Ok(own_size) {
            return wrong(
                "it is of another size in the kernel",
                Some(hint::type_name(btf, b)),
            );
        }
    }
    None
}
