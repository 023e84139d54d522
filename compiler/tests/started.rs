//! Calls of generated stubs that take long, and many of them at a time, over real sockets.

mod works {
    include!("../fixtures/progress.rs");
}

use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};

use posthaste_rpc::xdr::{Bounded, XdrStr};
use posthaste_rpc::{Call, Failure};
use posthaste_smol::Request;
use posthaste_std::{Config, Rpc, Server, wait_any};
use works::Text;
use works::works_v1::{self, AsyncClient, Client, Service};

#[test]
fn a_blocking_caller_sees_how_far_the_handler_is() {
    let (release, handler) = Works::new();
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), Rpc(Service(handler))).unwrap();
    let client = Client::new(posthaste_std::Client::connect_insecure(server.local_addr(), Config::lan()).unwrap());

    let mut heard = Vec::new();
    // The handler goes on once its caller has heard of it, so that it is heard of.
    let lifted = client.lift(20, 22, |progress| {
        heard.push(progress);
        let _ = release.send(());
    });
    assert_eq!(lifted.unwrap(), 42);
    assert_eq!(heard.first(), Some(&22));

    let call = client.start_lift(1, 2).unwrap();
    assert_eq!(call.next_progress(), Some(2));
    release.send(()).unwrap();
    while call.next_progress().is_some() {}
    assert_eq!(call.wait().unwrap(), 3);
}

#[test]
fn an_async_caller_sees_how_far_the_handler_is() {
    let (release, handler) = Works::new();
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), Rpc(Service(handler))).unwrap();
    let client =
        AsyncClient::new(posthaste_smol::Client::connect_insecure(server.local_addr(), Config::lan()).unwrap());
    smol::block_on(async {
        let mut heard = Vec::new();
        let lifted = client.lift(20, 22, |progress| {
            heard.push(progress);
            let _ = release.send(());
        });
        assert_eq!(lifted.await.unwrap(), 42);
        assert_eq!(heard.first(), Some(&22));
    });
}

#[test]
fn a_task_that_stops_waiting_for_progress_holds_up_nobody() {
    let (release, handler) = Works::new();
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), Rpc(Service(handler))).unwrap();
    let caller = posthaste_smol::Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
    let client = AsyncClient::new(&caller);
    smol::block_on(async {
        let (program, version) = (works_v1::PROGRAM, works_v1::VERSION);
        let arguments = [0, 0, 0, 1, 0, 0, 0, 2];
        let mut lifted = caller.start(Request::new(program, version, 1, &arguments)).await.unwrap();
        let waiting = async {
            lifted.next_progress().await;
            None
        };
        let added = smol::future::or(waiting, async { Some(client.add(1, 2).await.unwrap()) }).await;
        assert!(added.is_none_or(|sum| sum == 3));
        // Nobody waits for the progress any more, and the call is still under way.
        assert_eq!(client.add(3, 4).await.unwrap(), 7);
        assert_eq!(lifted.next_progress().await, Some(2));
        release.send(()).unwrap();
        while lifted.next_progress().await.is_some() {}
        assert_eq!(lifted.await.unwrap().to_vec(), [0, 0, 0, 3]);
    });
}

#[test]
fn a_blocking_client_has_many_calls_under_way_and_takes_them_as_they_end() {
    let (release, handler) = Works::new();
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), Rpc(Service(handler))).unwrap();
    let client = Client::new(posthaste_std::Client::connect_insecure(server.local_addr(), Config::lan()).unwrap());

    let mut calls: Vec<_> = (0..50).map(|number| client.start_add_2(number, 1).unwrap()).collect();
    let mut sum = 0;
    while !calls.is_empty() {
        let ended = calls.swap_remove(wait_any(&calls));
        sum += ended.wait().unwrap();
    }
    assert_eq!(sum, (1..=50).sum());

    // Calls of several procedures, of which one ends when it is told to.
    let (lifted, doubled) = (client.start_lift(1, 1).unwrap(), client.start_double("ab").unwrap());
    assert_eq!(wait_any(&[&*lifted, &*doubled]), 1);
    assert_eq!(*doubled.wait().unwrap(), "abab");
    release.send(()).unwrap();
    assert_eq!(wait_any(&[&*lifted]), 0);
    assert_eq!(lifted.wait().unwrap(), 2);
}

struct Works {
    gate: Mutex<Receiver<()>>,
}

impl Works {
    fn new() -> (mpsc::Sender<()>, Self) {
        let (release, gate) = mpsc::channel();
        (release, Self { gate: Mutex::new(gate) })
    }
}

impl works_v1::Server for Works {
    fn lift(&self, call: &dyn Call, weight: i32, progress: i32) -> Result<i32, Failure> {
        call.set_progress(progress as u64);
        let _ = self.gate.lock().unwrap().recv();
        Ok(weight + progress)
    }

    fn add(&self, _: &dyn Call, a: i32, b: i32) -> Result<i32, Failure> {
        Ok(a + b)
    }

    fn double(&self, _: &dyn Call, text: XdrStr<'_>) -> Result<Text, Failure> {
        Ok(Bounded(text.0.repeat(2).into()))
    }

    fn start_add(&self, _: &dyn Call) -> Result<i32, Failure> {
        Ok(0)
    }
}
