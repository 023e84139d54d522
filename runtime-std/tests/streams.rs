//! Streams beside a call, through the blocking adapter.

use core::time::Duration;
use std::io::{self, Read, Write};
use std::sync::mpsc;
use std::thread;

use posthaste_std::{
    Answer, CallError, Client, Config, Execution, Handler, Incoming, NotExecuted, Reply, Request, Server, StreamWriter,
    Streams, wire,
};

const COPY: u32 = 1;
const IGNORE: u32 = 2;
const OUTLAST: u32 = 3;
const READ: u32 = 4;

struct Service(mpsc::SyncSender<StreamWriter>);

impl Handler for Service {
    fn execution(&self, procedure: &wire::Description) -> Execution {
        if procedure.procedure > READ { Execution::Refuse(wire::NotExecuted::NoSuchProcedure) } else { Execution::Pool }
    }

    fn handle(&self, call: &Incoming<'_>, reply: &mut Vec<u8>) -> Answer {
        match call.procedure().procedure {
            COPY => {
                let (mut upward, mut downward) = (call.take_upward().unwrap(), call.take_downward().unwrap());
                assert!(call.take_upward().is_none());
                let deadline = call.deadline().unwrap();
                let count = io::copy(&mut upward, &mut downward).unwrap();
                assert!(call.deadline().unwrap() > deadline, "progress puts it off");
                downward.finish().unwrap();
                reply.extend(count.to_le_bytes());
            }
            OUTLAST => self.0.send(call.take_downward().unwrap()).unwrap(),
            READ => {
                let read = call.take_upward().unwrap().read_to_end(reply);
                return if read.is_ok() { Answer::Ok } else { Answer::Error };
            }
            _ => {}
        }
        Answer::Ok
    }
}

#[test]
fn a_call_carries_streams_both_ways_beside_its_reply() {
    let (client, _server, _writers) = pair();
    let octets: Vec<u8> = (0..2_000_000_u32).map(|index| (index % 251) as u8).collect();
    let mut call = client.start(&request(COPY, Streams::Both)).unwrap();
    let (mut upward, mut downward) = (call.take_upward().unwrap(), call.take_downward().unwrap());
    let mut returned = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            upward.write_all(&octets).unwrap();
            upward.finish().unwrap();
        });
        downward.read_to_end(&mut returned).unwrap();
    });
    assert!(returned == octets);
    assert_eq!(call.wait().unwrap(), 2_000_000_u64.to_le_bytes());
}

#[test]
fn a_handler_that_wants_no_streams_ends_them() {
    let (client, _server, _writers) = pair();
    let mut call = client.start(&request(IGNORE, Streams::Both)).unwrap();
    let (mut upward, mut downward) = (call.take_upward().unwrap(), call.take_downward().unwrap());
    let reader = thread::spawn(move || downward.read(&mut [0; 8]).unwrap_err().kind());
    let writer = thread::spawn(move || {
        loop {
            if let Err(error) = upward.write(&[7; 4096]) {
                break error.kind();
            }
        }
    });
    assert_eq!(call.wait().unwrap(), b"");
    assert_eq!(reader.join().unwrap(), io::ErrorKind::BrokenPipe);
    assert_eq!(writer.join().unwrap(), io::ErrorKind::BrokenPipe);
}

#[test]
fn streams_that_nobody_takes_keep_no_call_from_ending() {
    let (client, _server, _writers) = pair();
    let call = client.start(&request(READ, Streams::Both)).unwrap();
    assert!(matches!(call.wait(), Err(CallError::Application(_))));
    // Without `start`, a call has none.
    let mut reply = Vec::new();
    let ended = client.call_into(&request(READ, Streams::Both), &mut reply);
    assert!(matches!(ended, Err(CallError::Unknown(_))), "the handler finds no stream and panics");
}

#[test]
fn a_refused_call_ends_its_streams() {
    let (client, _server, _writers) = pair();
    let mut call = client.start(&request(READ + 1, Streams::Both)).unwrap();
    let mut downward = call.take_downward().unwrap();
    let reader = thread::spawn(move || downward.read(&mut [0; 8]).unwrap_err().kind());
    let refused = NotExecuted::Refused(wire::NotExecuted::NoSuchProcedure);
    assert!(matches!(call.wait(), Err(CallError::NotExecuted(why)) if why == refused));
    assert_eq!(reader.join().unwrap(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_stream_down_may_outlast_the_reply_or_the_delivery_of_its_call() {
    for reply in [Reply::Expected, Reply::Never] {
        let (client, _server, writers) = pair();
        let mut call = client.start(&Request { reply, ..request(OUTLAST, Streams::Downward) }).unwrap();
        let mut downward = call.take_downward().unwrap();
        assert!(call.take_upward().is_none());
        assert_eq!(call.wait().unwrap(), b"");
        let mut writer = writers.recv().unwrap();
        writer.write_all(b"later").unwrap();
        writer.finish().unwrap();
        let mut text = String::new();
        downward.read_to_string(&mut text).unwrap();
        assert_eq!(text, "later", "{reply:?}");
    }
}

#[test]
fn a_call_that_is_given_up_ends_its_streams_on_both_sides() {
    let (client, _server, _writers) = pair();
    let late = Request { timeout: Some(Duration::from_millis(50)), ..request(READ, Streams::Both) };
    let mut call = client.start(&late).unwrap();
    let (upward, mut downward) = (call.take_upward().unwrap(), call.take_downward().unwrap());
    let reader = thread::spawn(move || downward.read(&mut [0; 8]).unwrap_err().kind());
    drop(call.wait().unwrap_err());
    assert_eq!(reader.join().unwrap(), io::ErrorKind::BrokenPipe);
    // All four workers have ended, or this would find none.
    for _ in 0..4 {
        client.call(1, 1, IGNORE, &[]).unwrap();
    }
    drop(upward);
}

fn pair() -> (Client, Server, mpsc::Receiver<StreamWriter>) {
    let (sender, writers) = mpsc::sync_channel(1);
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), Service(sender)).unwrap();
    let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
    (client, server, writers)
}

fn request(procedure: u32, streams: Streams) -> Request<'static> {
    Request { streams, ..Request::new(1, 1, procedure, &[]) }
}
