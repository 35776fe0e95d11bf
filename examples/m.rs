use btfleet::btf::Btf;
use std::time::Instant;
fn main() {
    let b = std::fs::read(std::env::args().nth(1).unwrap()).unwrap();
    let mut best = [f64::MAX; 2];
    for _ in 0..60 {
        let t = Instant::now();
        let x = Btf::parse(&b).unwrap();
        let p = t.elapsed().as_secs_f64() * 1e3;
        let t = Instant::now();
        let h = btfleet::dump::header(&x).unwrap();
        let d = t.elapsed().as_secs_f64() * 1e3;
        best[0] = best[0].min(p);
        best[1] = best[1].min(d);
        std::hint::black_box(h);
    }
    println!("min parse {:.2} dump {:.2}", best[0], best[1]);
}
