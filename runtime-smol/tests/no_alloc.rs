//! A call in the steady state allocates nothing in the adapter or the core.
//!
//! All threads count, so this is a program without the threads of a test harness.

use posthaste_heap as heap;
use posthaste_smol::{Client, Config, Request, Server};
use smol::future;

/// Calls in the steady state allocate nothing but what the reactor does.
fn main() {
    let (in_turn, ahead) = smol::block_on(async {
        let server = Server::bind_insecure("127.0.0.1:0".parse().unwrap(), Config::lan()).unwrap();
        let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
        let serving = server.serve(4, |call| async move {
            let mut octets = [0; 32];
            call.with(|arguments| octets.copy_from_slice(arguments));
            call.reply(&octets).unwrap();
        });
        let calling = async {
            let call_many = async |count| {
                for _ in 0..count {
                    let reply = client.call(Request::new(1, 1, 1, &[7; 32])).await.unwrap();
                    assert!(reply.with(|octets| octets == [7; 32]));
                }
            };
            call_many(1000).await;
            let watch = heap::Watch::begin();
            call_many(CALL_COUNT).await;
            let in_turn = watch.so_far().count;
            drop(watch);

            let mut calls = client.pipeline();
            let mut call_ahead = async |count| {
                for _ in 0..count {
                    if calls.open_count() == 64 {
                        assert_eq!(calls.wait().await.unwrap().unwrap(), [7; 32]);
                    }
                    calls.start(&Request::new(1, 1, 1, &[7; 32])).unwrap();
                }
            };
            call_ahead(1000).await;
            let watch = heap::Watch::begin();
            call_ahead(CALL_COUNT).await;
            (in_turn, watch.so_far().count)
        };
        future::or(calling, async {
            serving.await;
            unreachable!("the socket works")
        })
        .await
    });
    // The reactor of async-io makes a list of wakers and a node of its tree of timers each time it wakes, here once a call: for the
    // reply. The server is polled beside the client, and looks by itself.
    assert!(in_turn < CALL_COUNT * 21 / 10, "{in_turn} allocations in {CALL_COUNT} calls");
    // With many under way it wakes for at least a slice of them.
    assert!(ahead < CALL_COUNT * 21 / 160, "{ahead} allocations in {CALL_COUNT} calls");
}

const CALL_COUNT: usize = 10_000;
