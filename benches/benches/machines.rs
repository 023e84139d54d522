//! The machines inside the core, each alone: what a frame, a fragment, an acknowledgement or a call in the table costs.

use core::hint::black_box;
use core::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use posthaste_core::Instant;
use posthaste_core::ack::{AckEliciting, AckState};
use posthaste_core::ecn::Ecn;
use posthaste_core::incoming::Incoming;
use posthaste_core::outgoing::Kind;
use posthaste_core::storage::{Arena, Index, RangeNode, RangePool, Slot, Slots, Store};
use posthaste_core::wire::checksum::crc32c;
use posthaste_core::wire::{
    Alias, Carrier, Data, Epoch, Extent, Flow, Form, Frame, Frames, Opening, Procedure, Seq, Side, Writer, check,
};

fn checksum(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("checksum of a datagram");
    for len in [64, 1200, 65_000] {
        let octets = vec![7; len];
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(format!("{len} octets"), |bencher| bencher.iter(|| crc32c(black_box(&octets))));
    }
}

/// The calls of 32 octets that fit into a datagram of an Ethernet, as they look once the procedure has its alias.
fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frames of calls of 32 octets");
    let mut datagram = [0; 1400];
    let mut writer = Writer::new(&mut datagram);
    let mut count = 0;
    while call(count).encode(&mut writer).is_ok() {
        count += 1;
    }
    let frames = writer.into_written();
    group.throughput(Throughput::Elements(count));
    group.bench_function(format!("write {count}"), |bencher| {
        let mut datagram = [0; 1400];
        bencher.iter(|| {
            let mut writer = Writer::new(&mut datagram);
            for seq in 0..count {
                call(black_box(seq)).encode(&mut writer).expect("they fit");
            }
            writer.len()
        });
    });
    let carrier = Carrier { epoch: Epoch::Data, sender: Side::Client, datagram_len: 1400 };
    group.bench_function(format!("check {count}"), |bencher| {
        bencher.iter(|| check(black_box(frames), carrier).expect("they are well formed"));
    });
    group.bench_function(format!("read {count}"), |bencher| {
        bencher.iter(|| {
            for frame in Frames::new(black_box(frames)) {
                black_box(frame.expect("they are well formed"));
            }
        });
    });
}

fn call(seq: u64) -> Frame<'static> {
    let procedure = Procedure::Alias(Alias::new(1).expect("it is an alias"));
    let opening = Some(Opening { procedure, metadata: None });
    let flow = Flow::Request { seq: Seq(seq), opening };
    Frame::Data(Data { flow, form: Form::Entire, extent: Extent::Counted, data: &[7; 32] })
}

/// What the receiver notes of each datagram; every tenth is late in the second case.
fn acks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ack state");
    for (name, late_every) in [("datagram in order", u64::MAX), ("datagram, every tenth late", 10)] {
        let mut state = AckState::new(Duration::from_millis(5));
        let mut number = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                number += 1;
                // Each that is late comes after its successor.
                let swapped = match number % late_every {
                    0 => number + 1,
                    1 if number > 1 => number - 1,
                    _ => number,
                };
                state.on_received(Instant::from_nanos(number), swapped, AckEliciting::Yes, Ecn::NotEct);
            });
        });
    }
}

/// A message of 1 MiB from fragments of an Ethernet.
fn reassembly(criterion: &mut Criterion) {
    const LEN: usize = 1 << 20;
    const FRAGMENT_LEN: usize = 1440;
    let mut group = criterion.benchmark_group("reassembly of 1 MiB");
    group.throughput(Throughput::Bytes(LEN as u64));
    let octets = vec![7; LEN];
    let mut arena = Arena::new(Store::owned(LEN), Store::owned(Arena::tree_len(LEN)), Store::owned_with(0, |_| 0));
    let mut pool = RangePool::new(Store::owned_with(64, |_| RangeNode::EMPTY));
    let body = arena.alloc(LEN);
    let fragments: Vec<(usize, &[u8])> =
        octets.chunks(FRAGMENT_LEN).enumerate().map(|(index, part)| (index * FRAGMENT_LEN, part)).collect();
    let swapped: Vec<(usize, &[u8])> = fragments.chunks(2).flat_map(|pair| pair.iter().rev().copied()).collect();
    for (name, order) in [("in order", &fragments), ("neighbours swapped", &swapped)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut message = Incoming::new(0, Kind::Whole, Some(LEN as u64), body, Instant::ORIGIN);
                for (offset, part) in order {
                    message.put(&mut arena, &mut pool, *offset as u64, part, 32).expect("there is room for a hole");
                }
                assert!(message.is_complete());
            });
        });
    }
}

/// A call enters the table, is found by its number and leaves, beside others that stay. Numbers follow each other.
fn calls(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("call table");
    for count in [1usize, 100, 10_000, 100_000] {
        let mut slots = Slots::new(Store::owned_with(count + 1, |_| Slot::EMPTY));
        let bucket_count = (count + 1).next_power_of_two();
        let mut index = Index::new(Store::owned(bucket_count), Store::owned(count + 1));
        for number in 0..count as u64 {
            let key = slots.insert(number).expect("there is a slot for each");
            index.insert(number, key.index());
        }
        let mut number = count as u64;
        group.bench_function(format!("beside {count}"), |bencher| {
            bencher.iter(|| {
                number += 1;
                let key = slots.insert(number).expect("there is a slot more");
                index.insert(number, key.index());
                let found = index.find(number, |at| slots.at(at) == Some(&number)).expect("it is there");
                index.remove(number, found);
                slots.remove(key)
            });
        });
    }
}

criterion_group!(benches, checksum, frames, acks, reassembly, calls);
criterion_main!(benches);
