//! Headers of real kernels, compiled and read back: what the compiler saw is what the kernel said.

use crate::support::cc;
use crate::support::fixtures::{Fixture, X86_64, fixture};
use crate::support::roundtrip::{Report, Trip, check};

fn trip(fixture: &Fixture, header: &str, base_header: Option<&str>) -> Result<Report, String> {
    check(&Trip {
        kernel: &fixture.btf,
        base: fixture.base.as_deref(),
        header,
        base_header,
        clang: "clang-19",
        target: None,
    })
}

#[test]
fn bpftool() {
    let fixture = fixture(X86_64);
    let header = cc::bpftool_header(&fixture.btf, None);
    println!("{}", trip(&fixture, &header, None).unwrap());
}
