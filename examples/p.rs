use btfleet::btf::Btf;
fn main() {
    let b = std::fs::read(std::env::args().nth(1).unwrap()).unwrap();
    let x = Btf::parse(&b).unwrap();
    let h = btfleet::dump::header(&x).unwrap();
    println!("{}", h.len());
}
