//! XDR beside others: a struct with a little of everything, written and read by `posthaste-xdr`, postcard, bincode, and the C code
//! that `rpcgen` makes, in the same run.
//!
//! All write into memory that is there, and read into memory that they allocate. The C code is a process of its own with loops of
//! its own; it is left out, aloud, where `rpcgen` or `cc` is missing.
//!
//! What a busy machine does not blur: instructions on x86-64, counted with callgrind, `malloc` and `free` included.
//!
//! | | encode 228 octets | encode 5148 | decode 228 | decode 5148 |
//! |---|---|---|---|---|
//! | posthaste-xdr, with the length beforehand | 347 | 1396 | 1460 | 3254 |
//! | bincode, fixed | 414 | 2495 | 1673 | 8895 |
//! | bincode, variable | 1230 | 9623 | 2316 | 14886 |
//! | postcard | 1814 | 14766 | 2862 | 16499 |
//! | `rpcgen`, `cc -O2`, libtirpc | 2146 | 13515 | 4301 | 26022 |

mod c;
mod ours;
mod theirs;

use core::hint::black_box;
use core::time::Duration;

use bincode::config;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use posthaste_xdr::Limits;

use ours::{Mixed, Point, Shape};

/// Only `posthaste-xdr` is asked for the length beforehand, as a call asks that writes into the memory of the core.
fn encode(criterion: &mut Criterion) {
    for (name, mixed) in values() {
        let octets = posthaste_xdr::to_vec(&mixed).expect("it is within its bounds");
        let mut out = vec![0; 2 * octets.len() + 64];
        let theirs = theirs::Mixed::from(&mixed);
        let mut group = group(criterion, format!("encode {name}"), &octets);
        group.bench_function("posthaste-xdr", |bencher| {
            bencher.iter(|| {
                let mixed = black_box(&mixed);
                let len = posthaste_xdr::encoded_len(mixed).expect("it is within its bounds");
                posthaste_xdr::to_slice(mixed, &mut out[..len]).expect("it is as long");
                black_box(&mut out);
            });
        });
        group.bench_function("postcard", |bencher| {
            bencher.iter(|| {
                postcard::to_slice(black_box(&theirs), &mut out).expect("there is room");
                black_box(&mut out);
            });
        });
        group.bench_function("bincode, variable", |bencher| {
            bencher.iter(|| {
                bincode::encode_into_slice(black_box(&theirs), &mut out, config::standard()).expect("there is room");
                black_box(&mut out);
            });
        });
        group.bench_function("bincode, fixed", |bencher| {
            bencher.iter(|| {
                bincode::encode_into_slice(black_box(&theirs), &mut out, config::legacy()).expect("there is room");
                black_box(&mut out);
            });
        });
        bench_c(&mut group, "encode", &octets);
    }
}

fn decode(criterion: &mut Criterion) {
    for (name, mixed) in values() {
        let octets = posthaste_xdr::to_vec(&mixed).expect("it is within its bounds");
        let theirs = theirs::Mixed::from(&mixed);
        let mut group = group(criterion, format!("decode {name}"), &octets);
        group.bench_function("posthaste-xdr", |bencher| {
            bencher.iter(|| posthaste_xdr::from_octets::<Mixed>(black_box(&octets), &Limits::default()));
        });
        let postcard = postcard::to_stdvec(&theirs).expect("it can be written");
        group.bench_function("postcard", |bencher| {
            bencher.iter(|| postcard::from_bytes::<theirs::Mixed>(black_box(&postcard)));
        });
        let variable = bincode::encode_to_vec(&theirs, config::standard()).expect("it can be written");
        group.bench_function("bincode, variable", |bencher| {
            bencher.iter(|| bincode::decode_from_slice::<theirs::Mixed, _>(black_box(&variable), config::standard()));
        });
        let fixed = bincode::encode_to_vec(&theirs, config::legacy()).expect("it can be written");
        group.bench_function("bincode, fixed", |bencher| {
            bencher.iter(|| bincode::decode_from_slice::<theirs::Mixed, _>(black_box(&fixed), config::legacy()));
        });
        bench_c(&mut group, "decode", &octets);
    }
}

/// Returns what is measured: a call's worth, and one in which arrays weigh most.
fn values() -> [(&'static str, Mixed); 2] {
    [("small", mixed(4, 40)), ("large", mixed(64, 4000))]
}

fn mixed(point_count: i32, data_len: usize) -> Mixed {
    let point = |index: i32| Point { x: -index, y: index << 20, time: u64::MAX / 3 };
    Mixed {
        number: -7,
        flags: 0xdead_beef,
        offset: i64::MIN / 5,
        ratio: core::f64::consts::PI,
        weight: -0.5,
        ready: true,
        name: "a name of some length".into(),
        data: (0..data_len).map(|index| index as u8).collect(),
        digest: [0xa5; 16],
        points: (0..point_count).map(point).collect(),
        outline: Shape::Green(point(3)),
        origin: Some(Box::new(point(9))),
    }
}

fn group<'c>(criterion: &'c mut Criterion, name: String, octets: &[u8]) -> BenchmarkGroup<'c, WallTime> {
    let mut group = criterion.benchmark_group(format!("xdr {name}"));
    group.throughput(Throughput::Bytes(octets.len() as u64));
    group
}

fn bench_c(group: &mut BenchmarkGroup<'_, WallTime>, what: &str, octets: &[u8]) {
    match c::Driver::start(octets) {
        Ok(mut driver) => {
            group.bench_function("rpcgen, cc -O2", |bencher| {
                bencher.iter_custom(|count| Duration::from_nanos(driver.run(what, count)));
            });
        }
        Err(why) => eprintln!("rpcgen's C code is NOT MEASURED: {why}"),
    }
}

criterion_group!(benches, encode, decode);
criterion_main!(benches);
