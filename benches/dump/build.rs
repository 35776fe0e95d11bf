//! Compiles what libbpf calls with a `va_list`, a type that Rust cannot name on every architecture.

fn main() {
    println!("cargo::rerun-if-changed=src/append.c");
    cc::Build::new()
        .file("src/append.c")
        .opt_level(2)
        .warnings_into_errors(true)
        .compile("append");
}
