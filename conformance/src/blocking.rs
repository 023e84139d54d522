//! `posthaste-std` in the suite.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::{Read, Write};
use std::thread::{self, JoinHandle};

use posthaste_core::Config;
use posthaste_core::endpoint::{Answer, Delivery, Request, SendError, Streams};
use posthaste_core::wire::Description;
use posthaste_std as adapter;
use posthaste_std::{Execution, Handler, Incoming};

use crate::service::{ECHO, PROGRAM, Record, Task};
use crate::{Client, Failure, Server};

/// The blocking client.
pub struct BlockingClient(adapter::Client);

/// The blocking server, with threads that take messages and streams.
pub struct BlockingServer {
    server: Option<Arc<adapter::Server>>,
    record: Arc<Record>,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

struct Service(Arc<Record>);

impl Handler for Service {
    fn execution(&self, procedure: &Description) -> Execution {
        match Record::admit(procedure) {
            Err(why) => Execution::Refuse(why),
            // Short, as a user would say of it.
            Ok(()) if procedure.procedure == ECHO => Execution::Inline,
            Ok(()) => Execution::Pool,
        }
    }

    fn handle(&self, call: &Incoming<'_>, reply: &mut Vec<u8>) -> Answer {
        match self.0.handle(call.procedure().procedure, call.arguments(), reply) {
            Task::Answer(answer) => answer,
            Task::Hang => {
                while !call.is_cancelled() {
                    thread::yield_now();
                }
                self.0.cancelled();
                Answer::Ok
            }
            Task::CallBack => {
                reply.extend(call.peer().call(PROGRAM, 1, ECHO, call.arguments()).expect("the client answers"));
                Answer::Ok
            }
            Task::Linger => {
                while !self.0.is_ending() {
                    thread::yield_now();
                }
                Answer::Ok
            }
            Task::Copy => {
                let mut from = call.take_upward().expect("the call has streams");
                let mut to = call.take_downward().expect("the call has streams");
                match std::io::copy(&mut from, &mut to).and_then(|count| to.finish().map(|()| count)) {
                    Ok(count) => reply.extend(count.to_le_bytes()),
                    Err(_) => return Answer::HandlerFailed,
                }
                Answer::Ok
            }
            Task::Panic => panic!("as asked"),
        }
    }
}

impl Server for BlockingServer {
    fn start(addr: SocketAddr, config: Config) -> Self {
        let record = Arc::new(Record::default());
        // As many calls as one client may have in flight.
        let options = adapter::Options { config, queued_count_max: 4096, ..adapter::Options::default() };
        let server = adapter::Server::serve_insecure(addr, options, Service(Arc::clone(&record)));
        let server = Arc::new(server.expect("a server on the loopback"));
        let is_over = Arc::new(AtomicBool::new(false));
        let (messages, over) = (Arc::clone(&server), Arc::clone(&is_over));
        let messages_of = Arc::clone(&record);
        let receiver = thread::spawn(move || {
            let mut octets = Vec::new();
            while !over.load(Ordering::Relaxed) {
                if let Ok(received) = messages.receive_into(&mut octets, Some(LOOK_AROUND)) {
                    messages_of.message(received.channel, &octets);
                }
            }
        });
        let (streams, over) = (Arc::clone(&server), Arc::clone(&is_over));
        let copier = thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let Ok(mut reader) = streams.accept_stream(Some(LOOK_AROUND)) else { continue };
                let peer = reader.source().peer.clone();
                let mut writer = peer.open_stream(Delivery::Reliable).expect("room for a stream");
                if std::io::copy(&mut reader, &mut writer).is_ok() {
                    let _ = writer.finish();
                }
            }
        });
        Self { server: Some(server), record, is_over, threads: vec![receiver, copier] }
    }

    fn local_addr(&self) -> SocketAddr {
        self.server.as_ref().expect("it runs").local_addr()
    }

    fn shut_down(self) {
        self.record.end();
        self.server.as_ref().expect("it runs").shut_down(PATIENCE);
    }
}

impl Drop for BlockingServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        self.server = None;
    }
}

impl Client for BlockingClient {
    type Pending = adapter::Pending;

    fn connect(server: SocketAddr, config: Config) -> Self {
        let echo = |call: &Incoming<'_>, reply: &mut Vec<u8>| {
            reply.extend_from_slice(call.arguments());
            Answer::Ok
        };
        Self(adapter::Client::connect_insecure_with(server, config, echo).expect("the server answers"))
    }

    fn call(&mut self, request: Request<'_>) -> Result<Vec<u8>, Failure> {
        let mut reply = Vec::new();
        self.0.call_into(&request, &mut reply).map_err(failure)?;
        Ok(reply)
    }

    fn call_all(&mut self, procedure: u32, arguments: &[Vec<u8>]) -> Vec<Result<Vec<u8>, Failure>> {
        let mut replies = Vec::new();
        let mut pending = VecDeque::new();
        for arguments in arguments {
            loop {
                match self.0.start(&Request::new(PROGRAM, 1, procedure, arguments)) {
                    Ok(call) => break pending.push_back(call),
                    Err(SendError::Full) => {
                        let first: adapter::Pending = pending.pop_front().expect("something is under way");
                        replies.push(first.wait().map_err(failure));
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
        replies.extend(pending.into_iter().map(|call| call.wait().map_err(failure)));
        replies
    }

    fn start_call(&mut self, procedure: u32) -> Self::Pending {
        self.0.start(&Request::new(PROGRAM, 1, procedure, &[])).expect("room for a call")
    }

    fn wait(&mut self, call: Self::Pending) -> Result<Vec<u8>, Failure> {
        call.wait().map_err(failure)
    }

    fn cancel(&mut self, call: Self::Pending) {
        drop(call);
    }

    fn send(&mut self, delivery: Delivery, octets: &[u8]) {
        self.0.send(delivery, octets).expect("the peer is there");
    }

    fn flush(&mut self) {
        self.0.flush().expect("everything arrives");
    }

    fn echo_stream(&mut self, octets: &[u8]) -> Vec<u8> {
        let client = &self.0;
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut writer = client.open_stream(Delivery::Reliable).expect("room for a stream");
                writer.write_all(octets).expect("the server reads");
                writer.finish().expect("the server reads");
            });
            let mut returned = Vec::new();
            let mut reader = client.accept_stream(None).expect("the server answers");
            reader.read_to_end(&mut returned).expect("the server writes to the end");
            returned
        })
    }

    fn stream_call(&mut self, procedure: u32, octets: &[u8]) -> (Result<Vec<u8>, Failure>, Option<Vec<u8>>) {
        let request = Request { streams: Streams::Both, ..Request::new(PROGRAM, 1, procedure, &[]) };
        let mut call = self.0.start(&request).expect("room for a call");
        let mut upward = call.take_upward().expect("as asked");
        let mut downward = call.take_downward().expect("as asked");
        let returned = thread::scope(|scope| {
            scope.spawn(move || upward.write_all(octets).and_then(|()| upward.finish()));
            let mut returned = Vec::new();
            downward.read_to_end(&mut returned).is_ok().then_some(returned)
        });
        (call.wait().map_err(failure), returned)
    }
}

fn failure(error: adapter::CallError) -> Failure {
    match error {
        adapter::CallError::Application(octets) => Failure::Application(octets),
        adapter::CallError::NotExecuted(why) => Failure::NotExecuted(why),
        adapter::CallError::ReplyLost => Failure::ReplyLost,
        adapter::CallError::Unknown(unresolved) => Failure::Unknown(unresolved.why()),
        adapter::CallError::Refused(why) => Failure::Refused(why),
    }
}

/// How long a server waits for its last answers to arrive.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often threads without work look whether the server is over.
const LOOK_AROUND: Duration = Duration::from_millis(10);
