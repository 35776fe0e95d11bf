//! Compiles what libbpf calls with a `va_list`, a type that Rust cannot name on every architecture.

fn main() {
    println!("cargo::rerun-if-changed=src/log.c");
    cc::Build::new()
        .file("src/log.c")
        .warnings_into_errors(true)
        .compile("log");
}
