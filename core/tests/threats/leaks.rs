//! What one peer said, shown to another.

use core::net::SocketAddr;

use posthaste_core::endpoint::Event;
use posthaste_core::wire::{Flow, Form, Seq};

use crate::forger::Forger;
use crate::lies::{data, request};
use crate::{START, generous, open};

/// A handler would give the caller back what is in its arguments.
#[test]
fn a_request_in_stream_form_has_no_arguments_that_another_peer_left_behind() {
    let (mut victim, mut honest) = open();
    let secret = [0x5a; 1000];
    let message = honest.datagram(&[data(Flow::Message { seq: Seq(0) }, Form::Entire, &secret)]);
    honest.deliver(&mut victim, START, message).unwrap();
    while let Some(event) = victim.poll_event() {
        if let Event::MessageReceived { message, .. } = event {
            victim.release(START, message).unwrap();
        }
    }

    let address = SocketAddr::new([10, 0, 0, 67].into(), 6666);
    let mut forger = Forger::open(&mut victim, START, address, &generous());
    let call = forger.datagram(&[data(request(0), Form::Stream { offset: 0 }, &[7])]);
    forger.deliver(&mut victim, START, call).unwrap();
    let call = core::iter::from_fn(|| victim.poll_event())
        .find_map(|event| if let Event::CallReceived { call } = event { Some(call) } else { None });
    assert_eq!(victim.incoming_call(call.unwrap()).unwrap().arguments, []);
}
