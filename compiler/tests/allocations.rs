//! A generated call allocates nothing once its buffers are there: its arguments are encoded where the endpoint keeps them.
//!
//! All threads count, so this is a program without the threads of a test harness.

mod calculator {
    include!("../fixtures/calculator.rs");
}

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicU64, Ordering};

use std::alloc::System;

use calculator::{Quotient, calculator_v1};
use posthaste_rpc::{Call, Failure};
use posthaste_std::{Client, Config, Inline, Rpc, Server};

struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

#[expect(unsafe_code, reason = "an allocator is unsafe by nature; this one only counts")]
// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Clone, Copy)]
struct Calculator;

impl calculator_v1::Server for Calculator {
    fn add(&self, _: &dyn Call, a: i32, b: i32) -> Result<i32, Failure> {
        Ok(a.wrapping_add(b))
    }

    fn divide(&self, _: &dyn Call, dividend: i32, divisor: i32) -> Result<Quotient, Failure> {
        Ok(Quotient { whole: dividend / divisor, rest: dividend % divisor })
    }
}

fn main() {
    let service = Rpc(calculator_v1::Service(Calculator));
    let inline = Server::serve_insecure("127.0.0.1:0", Config::lan(), Inline(service)).unwrap();
    let pooled = Server::serve_insecure("127.0.0.1:0", Config::lan(), service).unwrap();
    for server in [inline, pooled] {
        let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
        let client = calculator_v1::Client::new(client);
        let call = |count| {
            for index in 0..count {
                assert_eq!(client.add(index, 1).unwrap(), index + 1);
                assert_eq!(client.divide(index, 3).unwrap(), Quotient { whole: index / 3, rest: index % 3 });
            }
        };
        // Buffers grow.
        call(1000);
        let before = COUNT.load(Ordering::Relaxed);
        call(5000);
        assert_eq!(COUNT.load(Ordering::Relaxed) - before, 0);
    }
}
