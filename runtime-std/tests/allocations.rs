//! What a call costs in allocations: nothing, once its buffers are there.
//!
//! All threads count, so this is a program without the threads of a test harness.

extern crate alloc;

use alloc::collections::VecDeque;

use posthaste_heap as heap;
use posthaste_std::{Answer, Client, Config, Incoming, Inline, Pending, Request, Server};
#[cfg(feature = "bytes")]
use posthaste_std::{Body, Bytes, Delivery, Message};

fn main() {
    calls_allocate_nothing_alone_or_with_others_in_flight();
    #[cfg(feature = "bytes")]
    long_messages_requests_and_replies_are_allocated_once_for_both_sides();
}

fn calls_allocate_nothing_alone_or_with_others_in_flight() {
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
        let ((), allocated) = heap::watch_all(|| call(10_000));
        assert_eq!(allocated.count, 0);
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
    let ((), allocated) = heap::watch_all(|| call_ahead(10_000));
    assert_eq!(allocated.count, 0);
    drop(open);

    let mut calls = client.pipeline();
    for _ in 0..64 {
        calls.start(&Request::new(1, 1, 7, &[7; 32])).unwrap();
    }
    // Once this one has its reply, those before it have theirs: there will never be more to take at a time.
    client.call(1, 1, 7, &[7; 32]).unwrap();
    let mut call_on = |count| {
        for _ in 0..count {
            calls.wait().unwrap().unwrap();
            calls.start(&Request::new(1, 1, 7, &[7; 32])).unwrap();
        }
    };
    call_on(2000);
    let ((), allocated) = heap::watch_all(|| call_on(10_000));
    assert_eq!(allocated.count, 0);
}

/// What is taken outlives the client and the server.
#[cfg(feature = "bytes")]
fn long_messages_requests_and_replies_are_allocated_once_for_both_sides() {
    let echo = |call: &Incoming<'_>, reply: &mut Vec<u8>| {
        if call.procedure().procedure == 8 {
            call.reply_bytes(call.arguments_bytes());
        } else {
            reply.extend_from_slice(call.arguments());
        }
        Answer::Ok
    };
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), Inline(echo)).unwrap();
    let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
    let octets = Bytes::from(vec![7; LEN]);
    let body = || Body::Shared(octets.clone());
    let message = || Message { delivery: Delivery::Reliable, priority: 1, body: body() };
    let request = |procedure| Request { body: body(), ..Request::new(1, 1, procedure, &[]) };
    // The buffer of the handler's reply grows.
    client.call_bytes(&request(7)).unwrap();
    let mut taken = Vec::with_capacity(30);
    let ((), allocated) = heap::watch_all(|| {
        for _ in 0..10 {
            client.send_message(&message()).unwrap();
            taken.push(server.receive_bytes(None).unwrap().1);
            taken.push(client.call_bytes(&request(7)).unwrap());
            taken.push(client.call_bytes(&request(8)).unwrap());
        }
    });
    // A message, two requests and two replies; and what is small.
    assert_eq!(allocated.octets / LEN, 50);
    drop((client, server));
    assert!(taken.iter().all(|taken| *taken == octets));
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

#[cfg(feature = "bytes")]
const LEN: usize = 150_000;
