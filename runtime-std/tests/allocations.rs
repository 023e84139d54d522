//! What a call costs in allocations: nothing, once its buffers are there.
//!
//! All threads count, so this is a program without the threads of a test harness.

extern crate alloc;

use alloc::collections::VecDeque;
use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicU64, Ordering};

use std::alloc::System;

use posthaste_std::{Answer, Client, Config, Incoming, Inline, Pending, Request, Server};

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

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(pointer, layout, len) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A call in a row allocates nothing on either side, alone or with others in flight.
fn main() {
    let echo = |call: &Incoming<'_>, reply: &mut Vec<u8>| {
        reply.extend_from_slice(call.arguments());
        Answer::Ok
    };
    let inline = Server::serve_insecure("127.0.0.1:0", Config::lan(), Inline(echo)).unwrap();
    let pooled = Server::serve_insecure("127.0.0.1:0", Config::lan(), echo).unwrap();
    for server in [inline, pooled] {
        let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
        let mut reply = Vec::new();
        let mut call = |count| {
            for _ in 0..count {
                client.call_into(&Request::new(1, 1, 7, &[7; 32]), &mut reply).unwrap();
            }
        };
        // Buffers grow.
        call(2000);
        await_threads();
        let before = COUNT.load(Ordering::Relaxed);
        call(10_000);
        assert_eq!(COUNT.load(Ordering::Relaxed) - before, 0);
    }
    // Beside each other: how many workers run at a time, each at a desk of its own, is a matter of luck.
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), Inline(echo)).unwrap();
    let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
    let mut open = VecDeque::with_capacity(64);
    let mut reply = Vec::new();
    let mut call_ahead = |count| {
        for _ in 0..count {
            if open.len() == 64 {
                open.pop_front().map(|pending: Pending| pending.wait_into(&mut reply)).unwrap().unwrap();
            }
            open.push_back(client.start(&Request::new(1, 1, 7, &[7; 32])).unwrap());
        }
    };
    call_ahead(2000);
    await_threads();
    let before = COUNT.load(Ordering::Relaxed);
    call_ahead(10_000);
    assert_eq!(COUNT.load(Ordering::Relaxed) - before, 0);
}

/// Waits until every thread has begun to run: nobody needs the helper here, and its start allocates.
fn await_threads() {
    let name = |task: &str| std::fs::read_to_string(format!("/proc/self/task/{task}/comm"));
    // A thread has the name of the one that made it until it runs.
    let Ok(ours) = name(&std::process::id().to_string()) else { return };
    let is_new = |task: std::io::Result<std::fs::DirEntry>| {
        let task = task.unwrap().file_name();
        let task = task.to_str().unwrap();
        task != std::process::id().to_string() && name(task).is_ok_and(|name| name == ours)
    };
    while std::fs::read_dir("/proc/self/task").unwrap().any(is_new) {
        std::thread::yield_now();
    }
}
