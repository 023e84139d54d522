//! XDR beside others: a struct with a little of everything, written and read by what the compiler makes of it, postcard, bincode,
//! and the C code that `rpcgen` makes, in the same run.
//!
//! All write into memory that is there, and read into memory that they allocate. The C code is a process of its own with loops of
//! its own; it is left out, aloud, where `rpcgen` or `cc` is missing.
//!
//! `-- --turns` has all of them take turns, which a busy machine slows alike, and `-- --instructions` counts with callgrind:
//!
//! | x86-64, `malloc` and `free` included | encode 228 octets | encode 5148 | decode 228 | decode 5148 |
//! |---|---|---|---|---|
//! | posthaste-xdr, with the length beforehand | 357 | 1406 | 1101 | 2839 |
//! | bincode, fixed | 426 | 2505 | 1491 | 8692 |
//! | bincode, variable | 1244 | 9635 | 2150 | 14699 |
//! | postcard | 1826 | 14776 | 2696 | 16325 |

mod c;
mod theirs;

use core::hint::black_box;
use core::time::Duration;
use std::env;

use bincode::config;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group};
use posthaste_benches::calls::Mixed;
use posthaste_benches::measure::{instructions, timed, turns};
use posthaste_benches::stubs::mixed;
use posthaste_xdr::Limits;

/// What is measured: a call's worth, and a value in which arrays weigh most.
const VALUES: [&str; 2] = ["228 octets", "5148 octets"];

const WHAT: [&str; 2] = ["encode", "decode"];

/// Who does it, in this process.
const WHO: [&str; 4] = ["posthaste-xdr", "bincode, fixed", "bincode, variable", "postcard"];

const C: &str = "rpcgen, cc -O2";

fn value(name: &str) -> Mixed {
    if name == VALUES[0] { mixed(4, 40) } else { mixed(64, 4000) }
}

/// Makes what does it once.
fn work(what: &str, who: &str, value: Mixed) -> Box<dyn FnMut()> {
    if what == "encode" { encode(who, value) } else { decode(who, &value) }
}

/// Only `posthaste-xdr` is asked for the length beforehand, as a call asks that writes into the memory of the core.
fn encode(who: &str, value: Mixed) -> Box<dyn FnMut()> {
    let mut out = vec![0; 8192];
    let theirs = theirs::Mixed::from(&value);
    match who {
        "posthaste-xdr" => Box::new(move || {
            let value = black_box(&value);
            let len = posthaste_xdr::encoded_len(value).expect("it is within its bounds");
            posthaste_xdr::to_slice(value, &mut out[..len]).expect("it is as long");
            black_box(&mut out);
        }),
        "bincode, fixed" => Box::new(move || {
            bincode::encode_into_slice(black_box(&theirs), &mut out, config::legacy()).expect("there is room");
            black_box(&mut out);
        }),
        "bincode, variable" => Box::new(move || {
            bincode::encode_into_slice(black_box(&theirs), &mut out, config::standard()).expect("there is room");
            black_box(&mut out);
        }),
        _ => Box::new(move || {
            postcard::to_slice(black_box(&theirs), &mut out).expect("there is room");
            black_box(&mut out);
        }),
    }
}

fn decode(who: &str, value: &Mixed) -> Box<dyn FnMut()> {
    let theirs = theirs::Mixed::from(value);
    match who {
        "posthaste-xdr" => {
            let octets = octets(value);
            Box::new(move || {
                let value = posthaste_xdr::from_octets::<Mixed>(black_box(&octets), &Limits::default());
                drop(black_box(value.expect("it was written")));
            })
        }
        "bincode, fixed" => {
            let octets = bincode::encode_to_vec(&theirs, config::legacy()).expect("it can be written");
            Box::new(move || {
                let value = bincode::decode_from_slice::<theirs::Mixed, _>(black_box(&octets), config::legacy());
                drop(black_box(value.expect("it was written")));
            })
        }
        "bincode, variable" => {
            let octets = bincode::encode_to_vec(&theirs, config::standard()).expect("it can be written");
            Box::new(move || {
                let value = bincode::decode_from_slice::<theirs::Mixed, _>(black_box(&octets), config::standard());
                drop(black_box(value.expect("it was written")));
            })
        }
        _ => {
            let octets = postcard::to_stdvec(&theirs).expect("it can be written");
            Box::new(move || {
                let value = postcard::from_bytes::<theirs::Mixed>(black_box(&octets));
                drop(black_box(value.expect("it was written")));
            })
        }
    }
}

fn octets(value: &Mixed) -> Vec<u8> {
    posthaste_xdr::to_vec(value).expect("it is within its bounds")
}

fn everyone(criterion: &mut Criterion) {
    for what in WHAT {
        for name in VALUES {
            let octets = octets(&value(name));
            let mut group = group(criterion, format!("xdr {what} {name}"), &octets);
            for who in WHO {
                let mut work = work(what, who, value(name));
                group.bench_function(who, |bencher| bencher.iter(&mut work));
            }
            if let Some(mut driver) = start_c(&octets) {
                group.bench_function(C, |bencher| {
                    bencher.iter_custom(|count| Duration::from_nanos(driver.run(what, count)));
                });
            }
        }
    }
}

/// Prints what each takes, and how many times as much as `posthaste-xdr`.
fn print_turns() {
    println!("| ns, ratio | {} | {C} |", WHO.join(" | "));
    println!("|---|{}", "--:|".repeat(WHO.len() + 1));
    for what in WHAT {
        for name in VALUES {
            let mut works: Vec<_> = WHO.iter().map(|who| timed(work(what, who, value(name)))).collect();
            if let Some(mut driver) = start_c(&octets(&value(name))) {
                works.push(Box::new(move |count| driver.run(what, count.into()) as f64));
            }
            print!("| {what} {name} |");
            for (time, ratio) in turns(&mut works, 1000) {
                print!(" {time:.0}, {ratio:.2} |");
            }
            println!();
        }
    }
}

fn print_instructions() {
    println!("| instructions | {} |", WHO.join(" | "));
    println!("|---|{}", "--:|".repeat(WHO.len()));
    for what in WHAT {
        for name in VALUES {
            print!("| {what} {name} |");
            for who in WHO {
                print!(" {:.0} |", instructions(&["--run", what, who, name]));
            }
            println!();
        }
    }
}

fn group<'c>(criterion: &'c mut Criterion, name: String, octets: &[u8]) -> BenchmarkGroup<'c, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(octets.len() as u64));
    group
}

fn start_c(octets: &[u8]) -> Option<c::Driver> {
    c::Driver::start(octets).inspect_err(|why| eprintln!("rpcgen's C code is NOT MEASURED: {why}")).ok()
}

criterion_group!(benches, everyone);

fn main() {
    let arguments: Vec<String> = env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "--run", what, who, name, count] => {
            let mut work = work(what, who, value(name));
            (0..count.parse().expect("it is a count")).for_each(|_: u32| work());
        }
        [_, "--turns", ..] => print_turns(),
        [_, "--instructions", ..] => print_instructions(),
        _ => {
            benches();
            Criterion::default().configure_from_args().final_summary();
        }
    }
}
