//! `posthaste-smol` in the suite.

use alloc::sync::Arc;
use core::net::SocketAddr;
use core::pin::pin;
use core::time::Duration;
use std::thread::{self, JoinHandle};

use posthaste_core::Config;
use posthaste_core::endpoint::{Answer, Delivery, Request, Streams};
use posthaste_smol as adapter;
use posthaste_smol::Incoming;
use smol::future::{self, FutureExt as _};
use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};
use smol::{LocalExecutor, Task as Spawned, Timer};

use crate::scenarios::message;
use crate::service::{ECHO, PROGRAM, Record, Task};
use crate::{Client, Failure, Server};

/// The async client, which answers the server while it waits for it.
pub struct SmolClient {
    client: Arc<adapter::Client>,
    executor: LocalExecutor<'static>,
}

/// The async server on a thread of its own.
pub struct SmolServer {
    addr: SocketAddr,
    record: Arc<Record>,
    stop: Option<smol::channel::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server for SmolServer {
    fn start(addr: SocketAddr, config: Config) -> Self {
        let server = adapter::Server::bind_insecure(addr, config).expect("a server on the loopback");
        let addr = server.local_addr();
        let (stop, stopped) = smol::channel::bounded::<()>(1);
        let record = Arc::new(Record::default());
        let record_of_thread = Arc::clone(&record);
        let thread = thread::spawn(move || {
            let run = async {
                let stopped = async {
                    // Without a word, it stops at once.
                    if stopped.recv().await.is_ok() {
                        server.shut_down(PATIENCE).await;
                    }
                };
                stopped.or(run(&server, record_of_thread)).await;
            };
            smol::block_on(run);
        });
        Self { addr, record, stop: Some(stop), thread: Some(thread) }
    }

    fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    fn shut_down(self) {
        self.record.end();
        let stop = self.stop.as_ref().expect("it runs");
        stop.send_blocking(()).expect("it runs");
    }
}

impl Drop for SmolServer {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn run(server: &adapter::Server, record: Arc<Record>) {
    let executor = LocalExecutor::new();
    let serving = server.serve(64, |call: Incoming| answer(Arc::clone(&record), call)).admitting(Record::admit);
    let messages = async {
        while let Ok(received) = server.receive().await {
            received.with(|octets| record.message(received.channel(), octets));
        }
    };
    let streams = async {
        while let Ok(mut reader) = server.accept_stream().await {
            let copying = async move {
                let peer = reader.peer().expect("a message has a sender");
                let mut writer = peer.open_stream(Delivery::Reliable).expect("room for a stream");
                if smol::io::copy(&mut reader, &mut writer).await.is_ok() {
                    let _ = writer.close().await;
                }
            };
            executor.spawn(copying).detach();
        }
    };
    let all = future::zip(future::zip(serving, messages), streams);
    executor.run(all).await;
}

async fn answer(record: Arc<Record>, mut call: Incoming) {
    let mut reply = Vec::new();
    let task = call.with(|arguments| record.handle(call.procedure().procedure, arguments, &mut reply));
    // Who has given up is told nothing.
    let _ = match task {
        Task::Answer(Answer::Error) => call.reply_error(&reply),
        Task::Answer(_) => call.reply(&reply),
        Task::Hang => {
            call.cancelled().await;
            record.cancelled();
            call.reply(&[])
        }
        Task::CallBack => {
            let (peer, arguments) = (call.peer(), call.to_vec());
            let reply = peer.call(Request::new(PROGRAM, 1, ECHO, &arguments)).await.expect("the client answers");
            call.reply(&reply.to_vec())
        }
        Task::Linger => {
            while !record.is_ending() {
                Timer::after(LOOK_AROUND).await;
            }
            call.reply(&[])
        }
        Task::Copy => {
            let mut from = call.take_upward().expect("the call has streams");
            let mut to = call.take_downward().expect("the call has streams");
            let Ok(count) = smol::io::copy(&mut from, &mut to).await else { return };
            let Ok(()) = to.close().await else { return };
            call.reply(&count.to_le_bytes())
        }
        Task::Panic => panic!("as asked"),
    };
}

impl SmolClient {
    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        smol::block_on(self.executor.run(work))
    }
}

impl Client for SmolClient {
    type Pending = Spawned<Result<Vec<u8>, Failure>>;

    fn connect(server: SocketAddr, config: Config) -> Self {
        let client = Arc::new(adapter::Client::connect_insecure(server, config).expect("a socket"));
        let executor = LocalExecutor::new();
        let serving = client.serve(4, |call: Incoming| async move {
            let arguments = call.to_vec();
            let _ = call.reply(&arguments);
        });
        executor.spawn(serving).detach();
        Self { client, executor }
    }

    fn call(&mut self, request: Request<'_>) -> Result<Vec<u8>, Failure> {
        self.run(async { self.client.call(request).await.map(|reply| reply.to_vec()).map_err(failure) })
    }

    fn call_all(&mut self, procedure: u32, arguments: &[Vec<u8>]) -> Vec<Result<Vec<u8>, Failure>> {
        let calls: Vec<_> = arguments.iter().map(|arguments| self.begin(procedure, arguments.clone())).collect();
        calls.into_iter().map(|call| self.run(call)).collect()
    }

    fn start_call(&mut self, procedure: u32) -> Self::Pending {
        self.begin(procedure, Vec::new())
    }

    fn wait(&mut self, call: Self::Pending) -> Result<Vec<u8>, Failure> {
        self.run(call)
    }

    fn cancel(&mut self, call: Self::Pending) {
        self.run(call.cancel());
    }

    fn send(&mut self, delivery: Delivery, octets: &[u8]) {
        drop(self.run(self.client.send(message(delivery, octets))).expect("the peer is there"));
    }

    fn flush(&mut self) {
        self.run(self.client.flush()).expect("everything arrives");
    }

    fn echo_stream(&mut self, octets: &[u8]) -> Vec<u8> {
        let write = async {
            let mut writer = self.client.open_stream(Delivery::Reliable).expect("room for a stream");
            writer.write_all(octets).await.expect("the server reads");
            writer.close().await.expect("the server reads");
        };
        let read = async {
            let mut reader = self.client.accept_stream().await.expect("the server answers");
            let mut returned = Vec::new();
            reader.read_to_end(&mut returned).await.expect("the server writes to the end");
            returned
        };
        self.run(async { future::zip(pin!(write), pin!(read)).await.1 })
    }

    fn stream_call(&mut self, procedure: u32, octets: &[u8]) -> (Result<Vec<u8>, Failure>, Option<Vec<u8>>) {
        let request = Request { streams: Streams::Both, ..Request::new(PROGRAM, 1, procedure, &[]) };
        self.run(async {
            let mut call = self.client.start(request).await.expect("room for a call");
            let mut upward = call.take_upward().expect("as asked");
            let mut downward = call.take_downward().expect("as asked");
            let write = async {
                if upward.write_all(octets).await.is_ok() {
                    let _ = upward.close().await;
                }
            };
            let read = async {
                let mut returned = Vec::new();
                downward.read_to_end(&mut returned).await.is_ok().then_some(returned)
            };
            let returned = future::zip(pin!(write), pin!(read)).await.1;
            (call.await.map(|reply| reply.to_vec()).map_err(failure), returned)
        })
    }
}

impl SmolClient {
    fn begin(&self, procedure: u32, arguments: Vec<u8>) -> Spawned<Result<Vec<u8>, Failure>> {
        let client = Arc::clone(&self.client);
        self.executor.spawn(async move {
            let request = Request::new(PROGRAM, 1, procedure, &arguments);
            client.call(request).await.map(|reply| reply.to_vec()).map_err(failure)
        })
    }
}

fn failure(error: adapter::CallError) -> Failure {
    match error {
        adapter::CallError::Application(reply) => Failure::Application(reply.to_vec()),
        adapter::CallError::NotExecuted(why) => Failure::NotExecuted(why),
        adapter::CallError::ReplyLost => Failure::ReplyLost,
        adapter::CallError::Unknown(unresolved) => Failure::Unknown(unresolved.why()),
        adapter::CallError::Refused(why) => Failure::Refused(why),
        _ => unreachable!("there are no other outcomes"),
    }
}

/// How long a server waits for its last answers to arrive.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often what waits for the end of the server looks for it.
const LOOK_AROUND: Duration = Duration::from_millis(10);
