use btfleet::btf::Btf;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let b = std::fs::read(&a[1]).unwrap();
    let basebytes = a.get(3).map(|p| std::fs::read(p).unwrap());
    let base = basebytes.as_ref().map(|b| Btf::parse(b).unwrap());
    for i in 0..7 {
        let t = std::time::Instant::now();
        let x = match &base {
            None => Btf::parse(&b),
            Some(s) => Btf::parse_split(&b, s),
        };
        let x = match x {
            Ok(x) => x,
            Err(e) => {
                eprintln!("{e}");
                std::process::exit(1)
            }
        };
        let t1 = t.elapsed();
        let h = btfleet::dump::header(&x);
        let t2 = t.elapsed();
        match h {
            Ok(h) => {
                if i == 0 {
                    std::fs::write(&a[2], &h).unwrap();
                }
                eprintln!("parse {t1:?} total {t2:?} {} bytes", h.len())
            }
            Err(e) => {
                eprintln!("{e}");
                std::process::exit(1)
            }
        }
    }
}
