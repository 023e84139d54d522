use posthaste_benches::{DatagramLen, Pair};
fn main() {
    let mut args = std::env::args().skip(1);
    let k: usize = args.next().unwrap().parse().unwrap();
    let n: usize = args.next().unwrap().parse().unwrap();
    let mut pair = Pair::new(DatagramLen::Loopback);
    for _ in 0..n {
        std::hint::black_box(pair.echo(k, &[7; 32]));
    }
}
