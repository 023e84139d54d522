//! An application that does what applications do, and what they should not.

use core::time::Duration;

use posthaste_core::endpoint::{Answer, Body, Delivery, Event, Message, Remote, Reply, Request, Streamed, Streams};
use posthaste_core::wire::{NotExecuted, Semantics};
use posthaste_core::{CallId, Endpoint, IncomingCallId, Instant, MessageId, Outcome, PeerId, SendId, StreamId};

use crate::tape::Tape;

/// What the application holds. Ids stay here when they are over: a stale one must name nothing.
#[derive(Default)]
pub(crate) struct Application {
    calls: Vec<IncomingCallId>,
    messages: Vec<MessageId>,
    streams: Vec<StreamId>,
    own_calls: Vec<CallId>,
    own_sends: Vec<SendId>,
    peers: Vec<PeerId>,
}

impl Application {
    /// Notes what an event brings.
    pub(crate) fn note(&mut self, event: Event) {
        match event {
            Event::Connected { peer } => self.peers.push(peer),
            Event::CallReceived { call } => self.calls.push(call),
            Event::MessageReceived { message, .. } => self.messages.push(message),
            Event::StreamReceived { stream, .. } | Event::Readable { stream } | Event::Writable { stream }
                if !self.streams.contains(&stream) =>
            {
                self.streams.push(stream);
            }
            Event::CallEnded { outcome: Outcome::Ok(reply) | Outcome::ApplicationError(reply), .. } => {
                self.messages.push(reply);
            }
            _ => {}
        }
    }

    /// Does the next thing of the tape.
    pub(crate) fn act(&mut self, tape: &mut Tape<'_>, endpoint: &mut Endpoint<'_>, now: Instant) {
        match tape.below(8) {
            0 => self.serve(tape, endpoint, now),
            1 => self.take(tape, endpoint, now),
            2 => self.stream(tape, endpoint, now),
            3 | 4 => self.begin(tape, endpoint, now),
            5 => self.decide(tape, endpoint, now),
            6 => self.manage(tape, endpoint, now),
            _ => {
                let port = 1 + u16::from(tape.octet());
                let remote = Remote { address: ([10, 0, 0, 9], port).into(), identity: &[] };
                self.peers.extend(endpoint.peer(now, &remote));
            }
        }
    }

    /// Knows a peer.
    pub(crate) fn know(&mut self, peer: PeerId) {
        self.peers.push(peer);
    }

    /// Lets go of everything.
    pub(crate) fn leave(&mut self, endpoint: &mut Endpoint<'_>, now: Instant) {
        for peer in self.peers.drain(..) {
            let _ = endpoint.close(now, peer, 0);
        }
        for message in self.messages.drain(..) {
            let _ = endpoint.release(now, message);
        }
    }

    fn serve(&mut self, tape: &mut Tape<'_>, endpoint: &mut Endpoint<'_>, now: Instant) {
        let Some(call) = tape.pick(&self.calls) else { return };
        match tape.below(6) {
            0 => drop(endpoint.begin(now, call)),
            1 => drop(endpoint.progress(call, tape.number())),
            2 => drop(endpoint.refuse(now, call, NotExecuted::Busy)),
            _ => {
                let _ = endpoint.begin(now, call);
                let status = [Answer::Ok, Answer::Error, Answer::HandlerFailed][tape.below(3)];
                if endpoint.reply(now, call, status, &OCTETS[..tape.len(OCTETS.len())], &[]).is_ok() {
                    assert!(endpoint.reply(now, call, status, &[], &[]).is_err(), "a call is answered once");
                    assert!(endpoint.incoming_call(call).is_err(), "a call that was answered is over");
                }
            }
        }
    }

    fn take(&mut self, tape: &mut Tape<'_>, endpoint: &mut Endpoint<'_>, now: Instant) {
        let Some(message) = tape.pick(&self.messages) else { return };
        let was_there = endpoint.payload(message).is_ok();
        assert_eq!(endpoint.metadata(message).is_ok(), was_there);
        // Either way, without asking the tape: what was found once must stay what it was.
        let is_released = match endpoint.payload(message) {
            Ok(octets) if octets.len() % 2 == 1 => endpoint.take_payload(now, message).is_ok(),
            _ => endpoint.release(now, message).is_ok(),
        };
        assert_eq!(is_released, was_there);
        assert!(endpoint.payload(message).is_err(), "a released message is stale");
    }

    fn stream(&mut self, tape: &mut Tape<'_>, endpoint: &mut Endpoint<'_>, now: Instant) {
        let Some(stream) = tape.pick(&self.streams) else { return };
        let len = tape.len(OCTETS.len());
        match tape.below(4) {
            0 => {
                let mut buffer = [0; 3000];
                if let Ok(Streamed::Octets(read)) = endpoint.read(now, stream, &mut buffer[..len.max(1)]) {
                    assert!((1..=len.max(1)).contains(&read));
                }
            }
            1 => {
                if let Ok(written) = endpoint.write(now, stream, &OCTETS[..len]) {
                    assert!(written <= len);
                }
            }
            2 => drop(endpoint.finish(now, stream)),
            _ => drop(endpoint.abandon(now, stream)),
        }
    }

    fn begin(&mut self, tape: &mut Tape<'_>, endpoint: &mut Endpoint<'_>, now: Instant) {
        let Some(peer) = tape.pick(&self.peers) else { return };
        let body = &OCTETS[..tape.len(OCTETS.len())];
        let delivery = match tape.below(4) {
            0 => Delivery::Unreliable,
            1 => Delivery::Newest { key: tape.number() >> 2 },
            2 => Delivery::Reliable,
            _ => Delivery::Ordered { channel: tape.number() >> 2 },
        };
        match tape.below(3) {
            0 => {
                let message = Message { delivery, priority: tape.below(4) as u8, body: Body::Copied(body) };
                self.own_sends.extend(endpoint.send(now, peer, message));
            }
            1 => {
                if let Ok((send, stream)) = endpoint.open_stream(now, peer, delivery, 1) {
                    self.own_sends.push(send);
                    self.streams.push(stream);
                }
            }
            _ => {
                let request = Request {
                    streams: [Streams::None, Streams::Upward, Streams::Downward, Streams::Both][tape.below(4)],
                    semantics: [Semantics::AtMostOnce, Semantics::AtLeastOnce, Semantics::Maybe][tape.below(3)],
                    reply: [Reply::Expected, Reply::Never][tape.below(2)],
                    timeout: [None, Some(Duration::ZERO), Some(Duration::from_millis(5))][tape.below(3)],
                    ..Request::new(1, 1, u32::from(tape.octet()), body)
                };
                self.own_calls.extend(endpoint.call(now, peer, request));
            }
        }
    }

    fn decide(&mut self, tape: &mut Tape<'_>, endpoint: &mut Endpoint<'_>, now: Instant) {
        if let Some(call) = tape.pick(&self.own_calls) {
            match tape.below(4) {
                0 => drop(endpoint.cancel(now, call)),
                1 => drop(endpoint.resolve(now, call, Duration::from_secs(1))),
                2 => drop(endpoint.forget(now, call)),
                _ => self.streams.extend(endpoint.call_streams(call).ok().and_then(|(upward, _)| upward)),
            }
        }
        if let Some(send) = tape.take(&mut self.own_sends) {
            let _ = endpoint.cancel_send(now, send);
        }
    }

    fn manage(&mut self, tape: &mut Tape<'_>, endpoint: &mut Endpoint<'_>, now: Instant) {
        let peer = tape.pick(&self.peers);
        match (tape.below(6), peer) {
            (0, _) => endpoint.handle_address_change(now),
            (1, Some(peer)) => drop(endpoint.close(now, peer, tape.number() >> 2)),
            (2, Some(peer)) => drop(endpoint.connect(now, peer)),
            (3, _) if tape.octet() == 0 => endpoint.drain(now),
            (_, Some(peer)) => drop(endpoint.flush(now, peer)),
            _ => {}
        }
    }
}

const OCTETS: [u8; 3000] = [7; 3000];
