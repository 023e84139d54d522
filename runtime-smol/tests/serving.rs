//! Handlers beside each other.

use core::cell::Cell;

use posthaste_smol::{Client, Config, Request, Server};
use smol::future;

#[test]
fn a_handler_that_is_always_ready_lets_other_calls_in() {
    smol::block_on(async {
        let server = Server::bind_insecure("127.0.0.1:0".parse().unwrap(), Config::lan()).unwrap();
        let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
        let (is_waiting, is_told) = (Cell::new(false), Cell::new(false));
        let serving = server.serve(2, async |call| {
            is_told.set(call.procedure().procedure == TELL);
            while !is_told.get() {
                is_waiting.set(true);
                future::yield_now().await;
            }
            call.reply(&[]).unwrap();
        });
        let calling = async {
            let call = async |procedure| client.call(Request::new(1, 1, procedure, &[])).await.unwrap();
            let telling = async {
                while !is_waiting.get() {
                    future::yield_now().await;
                }
                call(TELL).await;
            };
            future::zip(call(WAIT), telling).await;
        };
        future::or(calling, async {
            serving.await;
            unreachable!("the socket works")
        })
        .await;
    });
}

const WAIT: u32 = 1;
const TELL: u32 = 2;
