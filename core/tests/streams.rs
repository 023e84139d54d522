//! Streams beside a call: how each of them ends, and that whoever reads or writes is told.
#![cfg(feature = "alloc")]

#[path = "support/pair.rs"]
mod pair;

use core::time::Duration;

use pair::{Host, Pair, answer};
use posthaste_core::endpoint::{Answer, Event, Reply, Request, StreamError, Streamed, Streams};
use posthaste_core::wire::NotExecuted;
use posthaste_core::{CallId, IncomingCallId, StreamId};

#[test]
fn a_stream_down_that_was_given_up_unwritten_ends_at_its_reader() {
    let (mut pair, call) = Called::new();
    pair.server.endpoint.abandon(pair.now, call.server_down).unwrap();
    assert_eq!(read_to_end(&mut pair, client, call.down), Err(StreamError::Abandoned));
    call.settle(pair, Answer::Ok);
}

#[test]
fn a_stream_up_that_was_given_up_unwritten_ends_at_its_reader() {
    let (mut pair, call) = Called::new();
    pair.client.endpoint.abandon(pair.now, call.up).unwrap();
    assert_eq!(read_to_end(&mut pair, server, call.server_up), Err(StreamError::Abandoned));
    call.settle(pair, Answer::Ok);
}

#[test]
fn a_stream_without_octets_ends_as_one() {
    let (mut pair, call) = Called::new();
    pair.client.endpoint.finish(pair.now, call.up).unwrap();
    pair.server.endpoint.finish(pair.now, call.server_down).unwrap();
    assert_eq!(read_to_end(&mut pair, server, call.server_up), Ok(Vec::new()));
    assert_eq!(read_to_end(&mut pair, client, call.down), Ok(Vec::new()));
    call.settle(pair, Answer::Ok);
}

#[test]
fn a_writer_that_waits_for_room_is_told_when_its_reader_gives_up() {
    let (mut pair, call) = Called::new();
    fill(&mut pair, client, call.up);
    fill(&mut pair, server, call.server_down);
    pair.run(Duration::from_secs(1));
    pair.server.events.clear();
    pair.client.events.clear();

    pair.server.endpoint.abandon(pair.now, call.server_up).unwrap();
    pair.client.endpoint.abandon(pair.now, call.down).unwrap();
    let (up, down) = (call.up, call.server_down);
    assert!(pair.run_until(Duration::from_secs(5), |pair| {
        pair.client.events.contains(&Event::Writable { stream: up })
            && pair.server.events.contains(&Event::Writable { stream: down })
    }));
    assert_eq!(pair.client.endpoint.write(pair.now, up, b"x"), Err(StreamError::Abandoned));
    assert_eq!(pair.server.endpoint.write(pair.now, down, b"x"), Err(StreamError::Abandoned));
    call.settle(pair, Answer::Ok);
}

#[test]
fn who_gives_up_its_own_stream_is_not_told_of_room() {
    let (mut pair, call) = Called::new();
    fill(&mut pair, client, call.up);
    pair.flush();
    pair.client.events.clear();
    pair.client.endpoint.abandon(pair.now, call.up).unwrap();
    pair.run(Duration::from_secs(1));
    assert!(!pair.client.events.contains(&Event::Writable { stream: call.up }));
    call.settle(pair, Answer::Ok);
}

#[test]
fn a_refused_call_ends_its_streams() {
    let mut pair = Pair::new();
    let (call, up, down) = begin(&mut pair);
    let served = arrived(&mut pair);
    pair.server.endpoint.refuse(pair.now, served, NotExecuted::Busy).unwrap();
    assert!(pair.run_until(Duration::from_secs(5), |pair| ended(pair, call)));
    assert!(read_to_end(&mut pair, client, down).is_err());
    assert!(pair.client.endpoint.write(pair.now, up, b"x").is_err());
    is_tidy(pair);
}

#[test]
fn an_application_error_ends_both_streams() {
    let (pair, call) = Called::new();
    call.settle(pair, Answer::Error);
}

#[test]
fn a_reply_ends_the_stream_up_that_its_handler_did_not_read_or_wait_for() {
    for octets in [&b""[..], b"unread"] {
        let (mut pair, call) = Called::new();
        pair.client.endpoint.write(pair.now, call.up, octets).unwrap();
        pair.run(Duration::from_secs(1));
        pair.server.endpoint.reply(pair.now, call.served, Answer::Ok, &[], &[]).unwrap();
        assert_ne!(read(&mut pair.server, pair.now, call.server_up), Ok(Streamed::Pending));
        answer(&mut pair);
        assert!(pair.run_until(Duration::from_secs(5), |pair| {
            pair.client.endpoint.write(pair.now, call.up, b"more").is_err()
        }));
        pair.server.endpoint.finish(pair.now, call.server_down).unwrap();
        assert_eq!(read_to_end(&mut pair, client, call.down), Ok(Vec::new()));
        is_tidy(pair);
    }
}

#[test]
fn a_call_whose_outcome_nobody_wants_ends_its_streams() {
    let (mut pair, call) = Called::new();
    fill(&mut pair, server, call.server_down);
    pair.run(Duration::from_millis(100));
    pair.client.endpoint.cancel(pair.now, call.call).unwrap();
    assert!(ended(&mut pair, call.call));
    pair.client.endpoint.forget(pair.now, call.call).unwrap();
    assert!(read(&mut pair.client, pair.now, call.down).is_err());
    assert!(pair.client.endpoint.write(pair.now, call.up, b"x").is_err());
    assert!(read_to_end(&mut pair, server, call.server_up).is_err());
    assert!(pair.server.endpoint.write(pair.now, call.server_down, b"x").is_err());
    // Its handler answers a caller that does not listen.
    let _ = pair.server.endpoint.reply(pair.now, call.served, Answer::Ok, &[], &[]);
    is_tidy(pair);
}

/// It is delivered as soon as it has arrived, and its stream is what its caller waits for.
#[test]
fn the_stream_down_of_a_one_way_call_goes_on_after_its_delivery() {
    let mut pair = Pair::new();
    let (call, down) = post(&mut pair);
    let served = arrived(&mut pair);
    let server_down = pair.server.endpoint.incoming_call(served).unwrap().downward.unwrap();
    pair.server.endpoint.begin(pair.now, served).unwrap();
    assert!(pair.run_until(Duration::from_secs(5), |pair| ended(pair, call)));
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.server.endpoint.write(pair.now, server_down, b"at work"), Ok(7));
    pair.server.endpoint.reply(pair.now, served, Answer::Ok, b"nobody waits for this", &[]).unwrap();
    assert_eq!(pair.server.endpoint.write(pair.now, server_down, b", done"), Ok(6));
    pair.server.endpoint.finish(pair.now, server_down).unwrap();
    assert_eq!(read_to_end(&mut pair, client, down), Ok(b"at work, done".to_vec()));
    is_tidy(pair);
}

/// Nothing but the end of the stream tells its caller: whether the application refuses it, or the endpoint at once.
#[test]
fn the_stream_down_of_a_one_way_call_that_is_refused_ends_at_its_reader() {
    for is_draining in [false, true] {
        let mut pair = Pair::new();
        let peer = pair.dial();
        pair.client.endpoint.connect(pair.now, peer).unwrap();
        pair.run(Duration::from_secs(1));
        if is_draining {
            pair.server.endpoint.drain(pair.now);
        }
        let (call, down) = post(&mut pair);
        if !is_draining {
            let served = arrived(&mut pair);
            pair.server.endpoint.refuse(pair.now, served, NotExecuted::Busy).unwrap();
        }
        assert!(pair.run_until(Duration::from_secs(5), |pair| ended(pair, call)));
        assert_eq!(read_to_end(&mut pair, client, down), Err(StreamError::Abandoned), "draining: {is_draining}");
        pair.run(Duration::from_secs(1));
        assert_eq!(pair.client.endpoint.usage().exchanges, 0);
    }
}

#[test]
fn a_handler_of_a_one_way_call_that_fails_ends_its_stream_down() {
    let mut pair = Pair::new();
    let (call, down) = post(&mut pair);
    let served = arrived(&mut pair);
    pair.server.endpoint.begin(pair.now, served).unwrap();
    assert!(pair.run_until(Duration::from_secs(5), |pair| ended(pair, call)));
    pair.server.endpoint.reply(pair.now, served, Answer::HandlerFailed, &[], &[]).unwrap();
    assert_eq!(read_to_end(&mut pair, client, down), Err(StreamError::Abandoned));
    is_tidy(pair);
}

/// A call with both streams whose handler has begun.
struct Called {
    call: CallId,
    up: StreamId,
    down: StreamId,
    served: IncomingCallId,
    server_up: StreamId,
    server_down: StreamId,
}

impl Called {
    fn new() -> (Pair, Self) {
        let mut pair = Pair::new();
        let (call, up, down) = begin(&mut pair);
        let served = arrived(&mut pair);
        let incoming = pair.server.endpoint.incoming_call(served).unwrap();
        let (server_up, server_down) = (incoming.upward.unwrap(), incoming.downward.unwrap());
        pair.server.endpoint.begin(pair.now, served).unwrap();
        (pair, Self { call, up, down, served, server_up, server_down })
    }

    /// Answers, gives up what is left of the streams, and checks that nothing remains.
    fn settle(self, mut pair: Pair, status: Answer) {
        pair.server.endpoint.reply(pair.now, self.served, status, &[], &[]).unwrap();
        let call = self.call;
        assert!(pair.run_until(Duration::from_secs(5), |pair| ended(pair, call)));
        if status == Answer::Error {
            assert!(read_to_end(&mut pair, client, self.down).is_err());
            assert!(pair.server.endpoint.write(pair.now, self.server_down, b"x").is_err());
        }
        let _ = pair.server.endpoint.abandon(pair.now, self.server_down);
        let _ = pair.client.endpoint.abandon(pair.now, self.down);
        is_tidy(pair);
    }
}

fn client(pair: &mut Pair) -> &mut Host {
    &mut pair.client
}

fn server(pair: &mut Pair) -> &mut Host {
    &mut pair.server
}

fn begin(pair: &mut Pair) -> (CallId, StreamId, StreamId) {
    let peer = pair.dial();
    let request = Request { streams: Streams::Both, ..Request::new(1, 1, 7, b"go") };
    let call = pair.client.endpoint.call(pair.now, peer, request).unwrap();
    let (up, down) = pair.client.endpoint.call_streams(call).unwrap();
    (call, up.unwrap(), down.unwrap())
}

/// Makes a one-way call with a stream down.
fn post(pair: &mut Pair) -> (CallId, StreamId) {
    let peer = pair.dial();
    let request = Request { reply: Reply::Never, streams: Streams::Downward, ..Request::new(1, 1, 7, b"go") };
    let call = pair.call(peer, request);
    let (_, down) = pair.client.endpoint.call_streams(call).unwrap();
    (call, down.unwrap())
}

fn arrived(pair: &mut Pair) -> IncomingCallId {
    let mut served = None;
    assert!(pair.run_until(Duration::from_secs(5), |pair| {
        served = pair.server.take(|event| if let Event::CallReceived { call } = event { Some(*call) } else { None });
        served.is_some()
    }));
    served.unwrap()
}

/// Takes the end of a call, and its reply with it.
fn ended(pair: &mut Pair, call: CallId) -> bool {
    pair.flush();
    let outcome = pair.client.take(|event| {
        let Event::CallEnded { call: ended, outcome } = event else { return None };
        (*ended == call).then_some(*outcome)
    });
    if let Some(posthaste_core::Outcome::Ok(reply) | posthaste_core::Outcome::ApplicationError(reply)) = outcome {
        pair.client.endpoint.release(pair.now, reply).unwrap();
    }
    outcome.is_some()
}

fn fill(pair: &mut Pair, side: fn(&mut Pair) -> &mut Host, stream: StreamId) {
    // The window of the reader and the ring of the writer.
    for _ in 0..200 {
        let now = pair.now;
        while side(pair).endpoint.write(now, stream, &[7; 4096]).unwrap() > 0 {}
        pair.run(Duration::from_millis(5));
    }
    let now = pair.now;
    assert_eq!(side(pair).endpoint.write(now, stream, &[7]), Ok(0));
}

fn read(host: &mut Host, now: posthaste_core::Instant, stream: StreamId) -> Result<Streamed, StreamError> {
    host.endpoint.read(now, stream, &mut [0; 64])
}

/// Reads what is there, and then when an event says that there is more, and returns how the stream ended.
fn read_to_end(pair: &mut Pair, side: fn(&mut Pair) -> &mut Host, stream: StreamId) -> Result<Vec<u8>, StreamError> {
    let (mut octets, mut end, mut has_begun) = (Vec::new(), None, false);
    let is_over = pair.run_until(Duration::from_secs(5), |pair| {
        let (now, mut buffer) = (pair.now, [0; 64]);
        let is_told = side(pair).take(|event| (*event == Event::Readable { stream }).then_some(())).is_some();
        if core::mem::replace(&mut has_begun, true) && !is_told {
            return false;
        }
        while end.is_none() {
            match side(pair).endpoint.read(now, stream, &mut buffer) {
                Ok(Streamed::Octets(len)) => octets.extend_from_slice(&buffer[..len]),
                Ok(Streamed::Pending) => break,
                Ok(Streamed::End) => end = Some(Ok(())),
                Err(error) => end = Some(Err(error)),
            }
        }
        end.is_some()
    });
    assert!(is_over, "the reader waits in vain");
    end.unwrap().map(|()| octets)
}

/// Checks that a next call leaves nothing behind but its own record.
fn is_tidy(mut pair: Pair) {
    let peer = pair.dial();
    pair.run(Duration::from_secs(1));
    pair.client.events.clear();
    pair.server.events.clear();
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"next")).unwrap();
    assert_eq!(answer(&mut pair).1, b"next");
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.client.endpoint.usage().exchanges, 0);
    assert!(pair.server.endpoint.usage().exchanges <= 1, "the last call is retired by the next");
    assert_eq!(pair.client.endpoint.counters().violations + pair.server.endpoint.counters().violations, 0);
}
