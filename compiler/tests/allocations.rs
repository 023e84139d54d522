//! A generated call allocates nothing once its buffers are there: its arguments are encoded where the endpoint keeps them.
//!
//! All threads count, so this is a program without the threads of a test harness.

mod calculator {
    include!("../fixtures/calculator.rs");
}

use calculator::{Quotient, calculator_v1};
use posthaste_heap as heap;
use posthaste_rpc::{Call, Failure};
use posthaste_std::{Client, Config, Inline, Rpc, Server};

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
        let ((), allocated) = heap::watch_all(|| call(5000));
        assert_eq!(allocated.count, 0);
    }
}
