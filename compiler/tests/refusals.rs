//! What a generated server turns down, and how a generated client learns of it, over real sockets: two versions of one program,
//! and another program beside them, in one server.

mod calculator {
    include!("../fixtures/calculator.rs");
}
mod terms {
    include!("../fixtures/terms.rs");
}

use core::time::Duration;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender};

use posthaste_rpc::stub::Stub;
use posthaste_rpc::xdr::{Message, XdrStr};
use posthaste_rpc::{Call, CallError, Caller, Failure, NotExecuted, Procedure, Timeout, Unknown};
use posthaste_std::{Answer, Config, Inline, Rpc, Server};

use calculator::{Quotient, calculator_v1, calculator_v2};
use terms::terms_v1;

#[derive(Clone)]
struct Calculator {
    log: Sender<String>,
}

impl calculator_v1::Server for Calculator {
    fn add(&self, call: &dyn Call, a: i32, b: i32) -> Result<i32, Failure> {
        // What the interface file says, unless the client says something else.
        assert!(call.time_left().unwrap() <= Duration::from_secs(2));
        Ok(a.wrapping_add(b))
    }

    fn divide(&self, _: &dyn Call, dividend: i32, divisor: i32) -> Result<Quotient, Failure> {
        match divisor {
            0 => Err(Failure::BadArguments),
            -1 => Err(Failure::Busy),
            _ => Ok(Quotient { whole: dividend / divisor, rest: dividend % divisor }),
        }
    }
}

impl calculator_v2::Server for Calculator {
    fn add(&self, _: &dyn Call, a: i64, b: i64) -> Result<i64, Failure> {
        Ok(a.wrapping_add(b))
    }

    fn sum(&self, _: &dyn Call, numbers: Vec<i64>) -> Result<i64, Failure> {
        assert!(!numbers.is_empty(), "on purpose");
        Ok(numbers.iter().sum())
    }

    fn log(&self, _: &dyn Call, line: XdrStr<'_>) {
        self.log.send(line.to_string()).unwrap();
    }
}

impl calculator_v1::AsyncServer for Calculator {
    async fn add(&self, call: &dyn Call, a: i32, b: i32) -> Result<i32, Failure> {
        calculator_v1::Server::add(self, call, a, b)
    }

    async fn divide(&self, call: &dyn Call, dividend: i32, divisor: i32) -> Result<Quotient, Failure> {
        calculator_v1::Server::divide(self, call, dividend, divisor)
    }
}

impl calculator_v2::AsyncServer for Calculator {
    async fn add(&self, call: &dyn Call, a: i64, b: i64) -> Result<i64, Failure> {
        smol::future::yield_now().await;
        calculator_v2::Server::add(self, call, a, b)
    }

    async fn sum(&self, call: &dyn Call, numbers: Vec<i64>) -> Result<i64, Failure> {
        calculator_v2::Server::sum(self, call, numbers)
    }

    async fn log(&self, call: &dyn Call, line: XdrStr<'_>) {
        calculator_v2::Server::log(self, call, line);
    }
}

struct Terms;

impl terms_v1::Server for Terms {
    fn at_most_once(&self, _: &dyn Call, a: i32) -> Result<i32, Failure> {
        Ok(a)
    }

    fn at_least_once(&self, call: &dyn Call, a: i32) -> Result<i32, Failure> {
        assert!(call.time_left().unwrap() <= Duration::from_millis(1500));
        Ok(a)
    }

    fn exactly_once(&self, call: &dyn Call, a: i32) -> Result<i32, Failure> {
        assert_eq!(call.time_left(), None);
        Ok(a)
    }

    fn maybe(&self, _: &dyn Call, a: i32) -> Result<i32, Failure> {
        Ok(a)
    }

    fn oneway(&self, _: &dyn Call, _: i32) {}

    fn bounded(&self, _: &dyn Call, data: &[u8]) -> Result<i32, Failure> {
        Ok(data.len() as i32)
    }

    fn progress(&self, call: &dyn Call, a: i32) -> Result<i32, Failure> {
        call.set_progress(1);
        Ok(a)
    }
}

#[test]
fn several_versions_and_programs_answer_beside_each_other() {
    let (server, log) = blocking();
    let caller = connect(&server);
    let (one, two) = (calculator_v1::Client::new(&caller), calculator_v2::Client::new(&caller));
    one.null().unwrap();
    two.null().unwrap();
    assert_eq!(one.add(1, 2).unwrap(), 3);
    assert_eq!(two.add(1 << 40, 2).unwrap(), (1 << 40) + 2);
    assert_eq!(one.divide(7, 2).unwrap(), Quotient { whole: 3, rest: 1 });
    assert_eq!(two.sum(&[1, 2, 3]).unwrap(), 6);
    two.log("hello").unwrap();
    assert_eq!(log.recv().unwrap(), "hello");

    let terms = terms_v1::Client::new(&caller);
    assert_eq!(terms.at_most_once(1).unwrap(), 1);
    assert_eq!(terms.at_least_once(2).unwrap(), 2);
    assert_eq!(terms.progress(3, |_| {}).unwrap(), 3);
    terms.oneway(4).unwrap();
    assert_eq!(terms.bounded(&[5; 60]).unwrap(), 60);
    let refused = terms.bounded(&[5; 61]);
    assert!(matches!(refused, Err(CallError::NotExecuted(NotExecuted::TooLarge { limit: Some(64) }))));
}

#[test]
fn a_blocking_server_refuses_by_the_rules() {
    let (server, _) = blocking();
    refuses_by_the_rules(&connect(&server));
}

#[test]
fn a_server_that_answers_inline_refuses_by_the_rules() {
    let (calculator, _) = calculator();
    let service = Inline(Rpc((calculator_v1::Service(calculator.clone()), calculator_v2::Service(calculator))));
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), service).unwrap();
    refuses_by_the_rules(&connect(&server));
}

#[test]
fn an_async_server_refuses_by_the_rules() {
    let (calculator, log) = calculator();
    let server = posthaste_smol::Server::bind_insecure("127.0.0.1:0".parse().unwrap(), Config::lan()).unwrap();
    let address = server.local_addr();
    let service = (calculator_v1::Service(calculator.clone()), calculator_v2::Service(calculator));
    let serving = async { panic!("{}", server.serve_rpc(4, &service).await) };
    let calling = smol::unblock(move || {
        let caller = posthaste_std::Client::connect_insecure(address, Config::lan()).unwrap();
        refuses_by_the_rules(&caller);
        calculator_v2::Client::new(&caller).log("hello").unwrap();
        assert_eq!(log.recv().unwrap(), "hello");
    });
    smol::block_on(smol::future::or(calling, serving));
}

#[test]
fn an_async_client_learns_what_a_blocking_one_learns() {
    let (server, _) = blocking();
    let caller = posthaste_smol::Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
    let (one, two) = (calculator_v1::AsyncClient::new(&caller), calculator_v2::AsyncClient::new(&caller));
    smol::block_on(async {
        assert_eq!(two.add(1 << 40, 2).await.unwrap(), (1 << 40) + 2);
        let busy = one.divide(1, -1).await;
        assert!(matches!(busy, Err(CallError::NotExecuted(NotExecuted::Busy))), "{busy:?}");
        let Err(CallError::Unknown(unresolved)) = two.sum(&[]).await else { panic!() };
        assert_eq!(unresolved.why(), Unknown::HandlerFailed);
        let resolved = unresolved.resolve(&calculator_v2::SUM, Duration::from_secs(1)).await;
        assert!(matches!(resolved, Err(CallError::Unknown(_))), "{resolved:?}");
    });
}

#[test]
fn a_reply_that_is_not_what_the_interface_file_says_is_told_as_such() {
    let (server, _) = blocking();
    let caller = connect(&server);
    const SHORT: Procedure<i64> =
        Procedure::new("add", calculator_v1::PROGRAM, 1, 1).with_timeout(Timeout::After(Duration::from_secs(1)));
    let read = Stub::new(&caller).call(&SHORT, &(1_i32, 2_i32));
    assert!(matches!(read, Err(CallError::BadReply(_))), "{read:?}");
}

#[test]
fn a_call_that_takes_too_long_is_unknown_and_can_be_resolved() {
    let (hold, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let slow = move |_: &posthaste_std::Incoming<'_>, reply: &mut Vec<u8>| {
        let _ = gate.lock().unwrap().recv();
        reply.extend_from_slice(&7_i32.to_be_bytes());
        Answer::Ok
    };
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), slow).unwrap();
    let caller = connect(&server);
    let client = calculator_v1::Client::new(&caller).with_timeout(Duration::from_millis(50));
    let Err(CallError::Unknown(unresolved)) = client.add(3, 4) else { panic!() };
    assert_eq!(unresolved.why(), Unknown::Deadline);
    hold.send(()).unwrap();
    let resolved = unresolved.resolve(&calculator_v1::ADD, Duration::from_secs(10));
    assert_eq!(resolved.unwrap(), 7);
}

/// Tries all that a client of both versions can be refused.
fn refuses_by_the_rules(caller: &impl Caller) {
    let stub = Stub::new(caller);
    let program = calculator_v1::PROGRAM;
    let why = |error: CallError| {
        let CallError::NotExecuted(why) = error else { panic!("{error}") };
        why
    };
    let refused = |program, version, procedure| {
        why(stub.call(&Procedure::<()>::new("", program, version, procedure), &()).unwrap_err())
    };
    assert_eq!(refused(program + 7, 1, 1), NotExecuted::NoSuchProgram);
    assert_eq!(refused(program, 3, 1), NotExecuted::NoSuchVersion { low: 1, high: 2 });
    assert_eq!(refused(program, 0, 0), NotExecuted::NoSuchVersion { low: 1, high: 2 });
    assert_eq!(refused(program, 1, 9), NotExecuted::NoSuchProcedure);
    // The second version has no second procedure.
    assert_eq!(refused(program, 2, 2), NotExecuted::NoSuchProcedure);
    // Too few arguments, too many, more than the bound, and one that is no bool.
    assert_eq!(refused(program, 1, 1), NotExecuted::BadArguments);
    let add = |arguments: &(dyn Message + Sync)| why(stub.call(&calculator_v1::ADD, arguments).unwrap_err());
    assert_eq!(add(&1), NotExecuted::BadArguments);
    assert_eq!(add(&(1, 2, 3)), NotExecuted::BadArguments);
    let many = vec![0_i64; 1001];
    assert_eq!(why(stub.call(&calculator_v2::SUM, &many).unwrap_err()), NotExecuted::BadArguments);
    assert_eq!(why(stub.call(&calculator_v2::SUM, &u32::MAX).unwrap_err()), NotExecuted::BadArguments);
    let two = calculator_v2::Client::new(caller);
    assert!(matches!(why(two.sum(&many).unwrap_err()), NotExecuted::Unencodable(_)));
    // What the handler itself turns down.
    let one = calculator_v1::Client::new(caller);
    assert_eq!(why(one.divide(1, 0).unwrap_err()), NotExecuted::BadArguments);
    assert_eq!(why(one.divide(1, -1).unwrap_err()), NotExecuted::Busy);
    // A handler that panics leaves the outcome unknown, and the server lives on.
    let Err(CallError::Unknown(unresolved)) = two.sum(&[]) else { panic!() };
    assert_eq!(unresolved.why(), Unknown::HandlerFailed);
    assert_eq!(one.add(2, 2).unwrap(), 4);
    one.null().unwrap();
    let refused = stub.call(&calculator_v1::NULL, &1);
    assert_eq!(why(refused.unwrap_err()), NotExecuted::BadArguments);
}

fn calculator() -> (Calculator, Receiver<String>) {
    let (log, received) = mpsc::channel();
    (Calculator { log }, received)
}

fn blocking() -> (Server, Receiver<String>) {
    let (calculator, log) = calculator();
    let service =
        (calculator_v1::Service(calculator.clone()), calculator_v2::Service(calculator), terms_v1::Service(Terms));
    (Server::serve_insecure("127.0.0.1:0", Config::lan(), Rpc(service)).unwrap(), log)
}

fn connect(server: &Server) -> posthaste_std::Client {
    posthaste_std::Client::connect_insecure(server.local_addr(), Config::lan()).unwrap()
}
