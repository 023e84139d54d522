//! Rung 6, call: a procedure on the other side, and what became of each call.
//!
//! ```text
//! cargo run -p posthaste-examples --example call
//! ```

use std::error::Error;
use std::thread;
use std::time::Duration;

use posthaste_std::wire::{Description, NotExecuted as Refusal};
use posthaste_std::{
    Answer, CallError, Client, Config, Execution, Handler, Incoming, NotExecuted, Pending, Request, Server, wait_any,
};

fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), Calculator)?;
    let client = Client::connect_insecure(server.local_addr(), Config::lan())?;

    // A call blocks until its outcome is known.
    println!("84 / 2 = {}", divide(&client, 84, 2)?);

    // The handler's own error is an outcome too: it ran, once.
    match divide(&client, 1, 0) {
        Err(CallError::Application(why)) => println!("1 / 0: {}", String::from_utf8_lossy(&why)),
        other => return Err(format!("1 / 0 came to {other:?}").into()),
    }

    // Refused before it began, and never will begin: it is safe to call again, here or elsewhere.
    match client.call(PROGRAM, VERSION, 99, &[]) {
        Err(CallError::NotExecuted(NotExecuted::Refused(why))) => println!("procedure 99: not executed, {why}"),
        other => return Err(format!("procedure 99 came to {other:?}").into()),
    }

    // Nobody here knows whether it ran. The server does, and can be asked.
    let mut request = Request::new(PROGRAM, VERSION, SLEEP, &[]);
    request.timeout = Some(Duration::from_millis(20));
    match client.call_into(&request, &mut Vec::new()) {
        Err(CallError::Unknown(unresolved)) => {
            println!("sleep: outcome unknown, {}", unresolved.why());
            let reply = unresolved.resolve(Duration::from_secs(10))?;
            println!("sleep, resolved: it ran and said {:?}", String::from_utf8_lossy(&reply));
        }
        other => return Err(format!("sleep came to {other:?}").into()),
    }

    // Many calls of one thread under way at a time; they end in any order.
    let mut pending: Vec<Pending> = Vec::new();
    for divisor in 1..=10 {
        pending.push(client.start(&Request::new(PROGRAM, VERSION, DIVIDE, &encode(2520, divisor)))?);
    }
    let mut sum = 0;
    while !pending.is_empty() {
        let ended = pending.swap_remove(wait_any(&pending));
        sum += decode(&ended.wait()?);
    }
    println!("2520 / 1 + ... + 2520 / 10 = {sum}");
    assert_eq!(sum, 7381);
    Ok(())
}

/// The client's stub: numbers to octets, octets to a number.
fn divide(client: &Client, dividend: i32, divisor: i32) -> Result<i32, CallError> {
    client.call(PROGRAM, VERSION, DIVIDE, &encode(dividend, divisor)).map(|reply| decode(&reply))
}

/// The server's side of the procedures.
struct Calculator;

impl Handler for Calculator {
    /// Refuses what it does not know before anything runs.
    fn execution(&self, procedure: &Description) -> Execution {
        match (procedure.program, procedure.version, procedure.procedure) {
            (PROGRAM, VERSION, DIVIDE) => Execution::Inline,
            (PROGRAM, VERSION, SLEEP) => Execution::Pool,
            (PROGRAM, VERSION, _) => Execution::Refuse(Refusal::NoSuchProcedure),
            (PROGRAM, _, _) => Execution::Refuse(Refusal::NoSuchVersion { low: VERSION, high: VERSION }),
            _ => Execution::Refuse(Refusal::NoSuchProgram),
        }
    }

    fn handle(&self, call: &Incoming<'_>, reply: &mut Vec<u8>) -> Answer {
        if call.procedure().procedure == SLEEP {
            thread::sleep(Duration::from_millis(200));
            reply.extend_from_slice(b"good morning");
            return Answer::Ok;
        }
        let &[a, b, c, d, e, f, g, h] = call.arguments() else {
            reply.extend_from_slice(b"two numbers are wanted");
            return Answer::Error;
        };
        match i32::from_be_bytes([a, b, c, d]).checked_div(i32::from_be_bytes([e, f, g, h])) {
            Some(quotient) => {
                reply.extend_from_slice(&quotient.to_be_bytes());
                Answer::Ok
            }
            None => {
                reply.extend_from_slice(b"no number is the quotient");
                Answer::Error
            }
        }
    }
}

fn encode(dividend: i32, divisor: i32) -> [u8; 8] {
    let mut arguments = [0; 8];
    arguments[..4].copy_from_slice(&dividend.to_be_bytes());
    arguments[4..].copy_from_slice(&divisor.to_be_bytes());
    arguments
}

fn decode(reply: &[u8]) -> i32 {
    i32::from_be_bytes(reply.try_into().expect("a quotient has four octets"))
}

const PROGRAM: u32 = 0x2000_0001;
const VERSION: u32 = 1;
const DIVIDE: u32 = 1;
const SLEEP: u32 = 2;

#[test]
fn every_kind_of_outcome_is_told() {
    main().unwrap();
}
