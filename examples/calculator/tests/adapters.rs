//! Each program prints the right results, and clients and servers on different adapters understand each other.

use std::process::Command;

use posthaste_calculator::Calculator;
use posthaste_calculator::calculator::calculator_v1::{AsyncClient, Client, Service};
use posthaste_calculator::calculator::{Division, Problem, Quotient};
use posthaste_rpc::{AsyncCaller, CallError, Caller, NotExecuted};
use posthaste_std::{Config, Rpc};
use smol::future;

#[test]
fn each_program_prints_the_right_results() {
    for program in [env!("CARGO_BIN_EXE_blocking"), env!("CARGO_BIN_EXE_asynchronous"), env!("CARGO_BIN_EXE_readiness")]
    {
        let output = Command::new(program).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let quotient = format!("7 / 2 = {:?}", Division::True(Quotient { whole: 3, rest: 1 }));
        for line in ["2 + 3 = 5", &quotient, "1 + 2 + 3 = 6"] {
            assert!(text.lines().any(|printed| printed == line), "{program}: {line}\n{text}");
        }
    }
}

#[test]
fn an_async_client_calls_a_blocking_server() {
    let server = posthaste_std::Server::serve_insecure("127.0.0.1:0", Config::lan(), Rpc(Service(Calculator))).unwrap();
    let client = posthaste_smol::Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
    smol::block_on(try_async(&AsyncClient::new(&client)));
}

#[test]
fn a_blocking_client_calls_an_async_server() {
    let server = posthaste_smol::Server::bind_insecure("127.0.0.1:0".parse().unwrap(), Config::lan()).unwrap();
    let address = server.local_addr();
    let service = Service(Calculator);
    // The server can be moved to another thread: what is generated is `Send` if its handlers are.
    let serving = async { panic!("{}", server.serve_rpc(4, &service).await) };
    let calling = smol::unblock(move || {
        let client = posthaste_std::Client::connect_insecure(address, Config::lan()).unwrap();
        try_blocking(&Client::new(client));
    });
    smol::block_on(future::or(calling, serving));
}

fn try_blocking(client: &Client<impl Caller>) {
    client.null().unwrap();
    assert_eq!(client.add(2, 3).unwrap(), 5);
    assert_eq!(client.divide(1, 0).unwrap(), Division::False(Problem::DivisionByZero));
    assert_eq!(client.sum(&[1; 1000]).unwrap(), 1000);
    client.show("shown by the server").unwrap();
    let Err(CallError::Application(error)) = client.add(i64::MAX, 1) else { panic!() };
    assert_eq!(error.text(), "the sum is too large");
    let refused = client.sum(&[1; 1001]);
    assert!(matches!(refused, Err(CallError::NotExecuted(NotExecuted::Unencodable(_)))));
}

async fn try_async(client: &AsyncClient<impl AsyncCaller>) {
    client.null().await.unwrap();
    assert_eq!(client.add(2, 3).await.unwrap(), 5);
    assert_eq!(client.divide(1, 0).await.unwrap(), Division::False(Problem::DivisionByZero));
    assert_eq!(client.sum(&[1; 1000]).await.unwrap(), 1000);
    client.show("shown by the server").await.unwrap();
    let Err(CallError::Application(error)) = client.add(i64::MAX, 1).await else { panic!() };
    assert_eq!(error.text(), "the sum is too large");
    let refused = client.sum(&[1; 1001]).await;
    assert!(matches!(refused, Err(CallError::NotExecuted(NotExecuted::Unencodable(_)))));
}
