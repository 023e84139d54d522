//! The core alone, both sides in one thread: what a call and an octet cost before any socket.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use posthaste_benches::{DatagramLen, Pair};

fn calls(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("core echo of 32 octets");
    for in_flight in [1, 64, 512] {
        for len in [DatagramLen::Ethernet, DatagramLen::Loopback] {
            let mut pair = Pair::new(len);
            group.throughput(Throughput::Elements(in_flight as u64));
            group.bench_function(format!("{in_flight} in flight, {len:?}"), |bencher| {
                bencher.iter(|| pair.echo(in_flight, &[7; 32]));
            });
        }
    }
}

fn bulk(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("core messages of 1 MiB");
    let octets = vec![7; 1 << 20];
    for len in [DatagramLen::Ethernet, DatagramLen::Loopback] {
        let mut pair = Pair::new(len);
        group.throughput(Throughput::Bytes(octets.len() as u64));
        group.bench_function(format!("{len:?}"), |bencher| bencher.iter(|| pair.send(&octets)));
    }
}

criterion_group!(benches, calls, bulk);
criterion_main!(benches);
