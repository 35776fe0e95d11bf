//! What `minimize` leaves of a kernel, in libbpf's hands.

use btfleet::relo::{check, minimize};
use libbpf_relo::{Btf, Kernel, Object, Outcome, resolve};

use crate::cc;
use crate::compile;
use crate::kernels;

/// Ids are each BTF's own: of those it counts whether there is one.
fn of_any_kernel(outcome: &Outcome) -> (Option<i32>, Option<libbpf_relo::Value>, bool) {
    let mut value = outcome.value;
    if outcome.kind == "target_type_id"
        && let Some(value) = &mut value
    {
        value.new_val = value.new_val.min(1);
        return (outcome.errno, Some(*value), true);
    }
    (outcome.errno, value, outcome.patched.is_some())
}

#[test]
fn libbpf_reads_what_minimize_leaves_and_resolves_everything_the_same() {
    let kernels = kernels::all();
    let objects = compile::suite(kernels);
    let whole: Vec<_> = kernels
        .iter()
        .filter(|kernel| !kernel.is_module())
        .collect();
    let compared = cc::in_parallel(&whole, |kernel| {
        let full = Btf::new(&kernel.btf, None).unwrap();
        let full_kernel = Kernel::new(&full);
        let ours = btfleet::btf::Btf::parse(&kernel.btf).unwrap();
        let target = check::Target::new(&ours);
        let fitting = objects
            .iter()
            .filter(|built| built.big_endian == kernel.big_endian());
        let mut compared = 0;
        for built in fitting {
            let name = format!("{} on {}", built.name, kernel.name);
            let object = check::Object::parse(&built.elf).unwrap();
            let small = minimize::minimize(&target, [&object]).unwrap();
            let small = Btf::new(&small, None).unwrap_or_else(|e| panic!("{name}: {e:#}"));
            assert!(
                small.types() < full.types() / 50,
                "{name}: {} types",
                small.types()
            );
            let object = Object::read(&built.elf).unwrap();
            let both = resolve(&object, &Kernel::new(&small)).into_iter();
            for (less, all) in both.zip(resolve(&object, &full_kernel)) {
                assert_eq!(
                    of_any_kernel(&less),
                    of_any_kernel(&all),
                    "{name}:\n{less:#?}\n{all:#?}"
                );
                compared += 1;
            }
        }
        compared
    });
    let compared: usize = compared.into_iter().sum();
    println!("{compared} relocations against minimized BTF");
    assert!(compared > 1000);
}
