//! The core alone, both sides in one thread: what a call and an octet cost before any socket.

use core::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use posthaste_benches::{DatagramLen, Pair};
use posthaste_core::Instant;
use posthaste_core::endpoint::Delivery;
use posthaste_core::storage::{Deadlines, Store};

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
        group.bench_function(format!("{len:?}"), |bencher| bencher.iter(|| pair.send(ORDERED, &octets)));
    }
}

/// A datagram with one small message: made, checked, taken in, and now and then acknowledged.
fn datagrams(criterion: &mut Criterion) {
    let mut pair = Pair::new(DatagramLen::Ethernet);
    criterion.bench_function("core datagram with a message of 32 octets", |bencher| {
        bencher.iter(|| pair.send(Delivery::Unreliable, &[7; 32]));
    });
}

/// What it costs the sender to learn that datagrams arrived.
fn acks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("core acknowledgement of datagrams");
    for count in [1, 8, 64] {
        let mut pair = Pair::new(DatagramLen::Ethernet);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("{count} datagrams"), |bencher| {
            bencher.iter_custom(|iterations| (0..iterations).map(|_| pair.acknowledge(count)).sum());
        });
    }
}

/// A call takes as many instructions beside 3000 peers as beside 100 (28 400 on both sides together). What it costs more beside
/// 10 000, each of which was silent for as many calls, is memory: both endpoints together have 40 MB, and a call needs some thirty
/// cache lines of its peer on either side.
fn peers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("core lone call of 32 octets, each to another peer");
    for peer_count in [1, 100, 10_000, 100_000] {
        let mut pair = Pair::with_peers(DatagramLen::Ethernet, peer_count);
        group.bench_function(format!("{peer_count} peers"), |bencher| bencher.iter(|| pair.echo_alone(&[7; 32])));
    }
}

/// An idle peer costs no work: neither a wake-up nor the question for the next one grows with their count.
fn idle_peers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("core wake-up beside idle peers");
    for peer_count in [1, 100, 10_000, 100_000] {
        let mut pair = Pair::with_peers(DatagramLen::Ethernet, peer_count);
        group.bench_function(format!("{peer_count} peers"), |bencher| {
            bencher.iter(|| {
                pair.wake();
                pair.next_timeout()
            });
        });
    }
}

/// A deadline that moves while others are set, as the one of a peer does with every datagram.
fn deadlines(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("core deadline that moves among others");
    for count in [1, 100, 10_000, 100_000] {
        let mut deadlines = Deadlines::new(Store::owned(count as usize));
        for id in 0..count {
            deadlines.set(id, Instant::from_nanos(u64::from(id)));
        }
        group.bench_function(format!("{count} deadlines"), |bencher| {
            bencher.iter(|| {
                let (at, id) = deadlines.first().expect("one is set");
                deadlines.set(id, at.saturating_add(Duration::from_nanos(u64::from(count))));
            });
        });
    }
}

const ORDERED: Delivery = Delivery::Ordered { channel: 0 };

criterion_group!(benches, calls, bulk, datagrams, acks, peers, idle_peers, deadlines);
criterion_main!(benches);
