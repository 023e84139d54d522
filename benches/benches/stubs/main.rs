//! What a generated call adds to a raw one that carries the same octets: between two endpoints in memory, and over the loopback.
//!
//! The raw call has its octets beforehand, and nobody looks at them. The one by hand has its values written and read with
//! `posthaste-xdr`, as somebody does who calls without stubs. The generated one is led to its handler besides.
//!
//! `-- --turns` has raw and generated calls take turns, and tells their ratio. `-- --instructions` counts with callgrind what a busy
//! machine does not blur.

mod std;

use ::std::env;
use core::hint::black_box;

use criterion::{Criterion, criterion_group};
use posthaste_benches::calls::Mixed;
use posthaste_benches::calls::calls_v1::{Client, PROGRAM, Service, VERSION};
use posthaste_benches::measure::{instructions, timed, turns};
use posthaste_benches::stubs::{Calls, Stubbed, mixed};
use posthaste_benches::{DatagramLen, Handling, Pair};
use posthaste_core::endpoint::{Answer, Body, Request};
use posthaste_xdr::{Decode, Encode, Limits, encoded_len, from_octets, to_slice};

/// What can be called.
pub(crate) const WORKS: [&str; 3] = ["add", "mixed of 228 octets", "mixed of 5148 octets"];

/// How it can be called.
pub(crate) const WAYS: [&str; 3] = ["raw", "by hand", "generated"];

/// Makes what makes one call between two endpoints in memory.
pub(crate) fn caller(way: &str, work: &str) -> Box<dyn FnMut()> {
    let pair = Pair::new(DatagramLen::Ethernet);
    match (way, value(work)) {
        ("raw", _) => raw(pair, work),
        ("by hand", None) => by_hand(pair, work, (2, 3), |(a, b): (i32, i32)| a + b),
        ("by hand", Some(value)) => by_hand(pair, work, value, |value: Mixed| value),
        (_, value) => {
            let client = Client::new(Stubbed::new(pair, Service(Calls)));
            Box::new(move || match &value {
                None => assert_eq!(client.add(2, 3).expect("it is answered"), 5),
                Some(value) => drop(black_box(client.mirror(value).expect("it is answered"))),
            })
        }
    }
}

fn raw(mut pair: Pair, work: &str) -> Box<dyn FnMut()> {
    let (procedure, arguments, result) = octets(work);
    Box::new(move || {
        let request = Request::new(PROGRAM, VERSION, procedure, &arguments);
        let answer = |mut call: Handling<'_>| {
            assert_eq!(call.incoming().procedure.procedure, procedure);
            call.reply(Answer::Ok, Body::Copied(&result));
        };
        assert_eq!(pair.call(request, answer, <[u8]>::len), result.len());
    })
}

fn by_hand<A, R>(mut pair: Pair, work: &str, arguments: A, function: fn(A) -> R) -> Box<dyn FnMut()>
where
    A: Encode + for<'a> Decode<'a> + 'static,
    R: Encode + for<'a> Decode<'a> + 'static,
{
    let (procedure, ..) = octets(work);
    let (mut request, mut reply) = (Vec::new(), Vec::new());
    Box::new(move || {
        write(&arguments, &mut request);
        let request = Request::new(PROGRAM, VERSION, procedure, &request);
        let answer = |mut call: Handling<'_>| {
            let arguments = from_octets(call.incoming().arguments, &Limits::default()).expect("it was written");
            write(&function(arguments), &mut reply);
            call.reply(Answer::Ok, Body::Copied(&reply));
        };
        let read = |octets: &[u8]| from_octets::<R>(octets, &Limits::default()).expect("it was written");
        drop(black_box(pair.call(request, answer, read)));
    })
}

fn write(value: &impl Encode, buffer: &mut Vec<u8>) {
    buffer.resize(encoded_len(value).expect("it is within its bounds"), 0);
    to_slice(value, buffer).expect("it is as long");
}

/// Returns the procedure of a work, with the octets of its arguments and its result.
pub(crate) fn octets(work: &str) -> (u32, Vec<u8>, Vec<u8>) {
    let encoded = "it is within its bounds";
    match value(work) {
        None => (1, posthaste_xdr::to_vec(&(2, 3)).expect(encoded), posthaste_xdr::to_vec(&5).expect(encoded)),
        Some(value) => {
            let octets = posthaste_xdr::to_vec(&value).expect(encoded);
            (2, octets.clone(), octets)
        }
    }
}

/// Returns the value that a work carries; `None` if it adds.
pub(crate) fn value(work: &str) -> Option<Mixed> {
    match work {
        "add" => None,
        "mixed of 228 octets" => Some(mixed(4, 40)),
        _ => Some(mixed(64, 4000)),
    }
}

fn in_memory(criterion: &mut Criterion) {
    for work in WORKS {
        let mut group = criterion.benchmark_group(format!("stubs {work}"));
        for way in WAYS {
            let mut call = caller(way, work);
            group.bench_function(way, |bencher| bencher.iter(&mut call));
        }
    }
}

/// Prints what calls take, and how many times as much as raw ones.
fn print_turns() {
    println!("| µs a call | raw | by hand | | generated | |");
    println!("|---|--:|--:|--:|--:|--:|");
    for work in WORKS {
        let mut calls = WAYS.map(|way| timed(caller(way, work)));
        let [(raw, _), (by_hand, more), (generated, most)] = turns(&mut calls, 500)[..] else { unreachable!() };
        let [raw, by_hand, generated] = [raw, by_hand, generated].map(|time| time / 1000.0);
        println!("| {work}, in memory | {raw:.2} | {by_hand:.2} | {more:.3} | {generated:.2} | {most:.3} |");
    }
    for work in WORKS {
        let [(raw, _), (generated, most)] = std::raw_and_generated(work)[..] else { unreachable!() };
        println!("| {work}, over std | {:.2} | | | {:.2} | {most:.3} |", raw / 1000.0, generated / 1000.0);
    }
}

fn print_instructions() {
    println!("| instructions a call, both sides | raw | by hand | | generated | |");
    println!("|---|--:|--:|--:|--:|--:|");
    for work in WORKS {
        let [raw, by_hand, generated] = WAYS.map(|way| instructions(&["--run", way, work]));
        let (more, most) = (by_hand / raw, generated / raw);
        println!("| {work} | {raw:.0} | {by_hand:.0} | {more:.3} | {generated:.0} | {most:.3} |");
    }
}

criterion_group!(benches, in_memory);

fn main() {
    let arguments: Vec<String> = env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "--run", way, work, count] => {
            let mut call = caller(way, work);
            (0..count.parse().expect("it is a count")).for_each(|_: u32| call());
        }
        [_, "--turns", ..] => print_turns(),
        [_, "--instructions", ..] => print_instructions(),
        _ => {
            benches();
            Criterion::default().configure_from_args().final_summary();
        }
    }
}
