//! Datagrams that no honest peer sends, and those that make the dishonest ones believable.

use posthaste_core::wire::{
    Ack, Data, Description, Extent, Flow, Form, Frame, Opening, Options, Parameters, Phase, Procedure, Retired, Role,
    Semantics, Seq, ShortHeader, TruncatedNumber,
};

use crate::forger::{Forger, build, items_of, repair};

pub(crate) const PADDING: Frame<'_> = Frame::Padding { len: 700 };

pub(crate) fn foreign(start: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0x5a; 1250];
    datagram[..start.len()].copy_from_slice(start);
    datagram
}

/// Makes a hello of a conversation that is not there yet.
pub(crate) fn hello(forger: &mut Forger) -> Vec<u8> {
    forger.ours.0[0] = 77;
    forger.hello(&[], 0, &[Frame::Parameters(&items_of(&Parameters::default()))])
}

pub(crate) fn versioned(forger: &mut Forger, version: u8) -> Vec<u8> {
    let mut datagram = hello(forger);
    datagram[1..5].copy_from_slice(&[0, 0, 0, version]);
    repair(&mut datagram);
    datagram
}

pub(crate) fn with_token(forger: &mut Forger, frames: &[Frame<'_>]) -> Vec<u8> {
    forger.ours.0[0] = 77;
    forger.hello(&forger.ticket, 0, frames)
}

pub(crate) fn flipped(mut datagram: Vec<u8>, at: usize, bits: u8) -> Vec<u8> {
    datagram[at] ^= bits;
    repair(&mut datagram);
    datagram
}

pub(crate) fn damaged(mut datagram: Vec<u8>) -> Vec<u8> {
    let last = datagram.len() - 1;
    datagram[last] ^= 1;
    datagram
}

pub(crate) fn raw(forger: &mut Forger, frames: &[u8]) -> Vec<u8> {
    forger.datagram_with(|writer| writer.octets(frames).unwrap())
}

/// Sends a datagram with a high number, then one so many below it.
pub(crate) fn out_of_order(forger: &mut Forger, distance: u64) -> Vec<Vec<u8>> {
    let numbered = |forger: &Forger, number: u64| {
        build(60, |writer| {
            let truncated = TruncatedNumber::new(number, number.saturating_sub(20_000)).unwrap();
            ShortHeader { to: forger.theirs }.encode(Phase::Zero, truncated, writer).unwrap();
            Frame::Ping.encode(writer).unwrap();
        })
    };
    vec![numbered(forger, 5000), numbered(forger, 5000 - distance)]
}

pub(crate) fn acknowledging(forger: &mut Forger, range: core::ops::RangeInclusive<u64>) -> Vec<u8> {
    forger.datagram_with(|writer| {
        Ack::write(0, [range], None, writer).unwrap();
    })
}

pub(crate) fn retired(forger: &mut Forger, low: u64) -> Vec<u8> {
    forger.datagram_with(|writer| Retired::write(Seq(low), [], writer).unwrap())
}

pub(crate) fn data<'a>(flow: Flow<'a>, form: Form, data: &'a [u8]) -> Frame<'a> {
    Frame::Data(Data { flow, form, extent: Extent::Counted, data })
}

pub(crate) fn message(forger: &mut Forger, seq: u64) -> Vec<u8> {
    forger.datagram(&[data(Flow::Message { seq: Seq(seq) }, Form::Entire, &[7; 9])])
}

pub(crate) fn fragment(forger: &mut Forger, seq: u64, offset: u64, total: u64, len: usize) -> Vec<u8> {
    forger.datagram(&[data(Flow::Message { seq: Seq(seq) }, Form::Fragment { offset, total }, &[0; 64][..len])])
}

pub(crate) fn reset(role: Role, place: Option<(u64, u64)>) -> Frame<'static> {
    Frame::Reset { role, seq: Seq(0), reason: 0, charge: 9, place }
}

pub(crate) fn request(seq: u64) -> Flow<'static> {
    let options = Options::new(Semantics::AtMostOnce);
    let description = Description { program: 1, version: 1, procedure: 1, timeout_millis: 0, options };
    let opening = Opening { procedure: Procedure::Full { description, alias: None }, metadata: None };
    Flow::Request { seq: Seq(seq), opening: Some(opening) }
}

pub(crate) fn call(forger: &mut Forger, seq: u64, arguments: &[u8]) -> Vec<u8> {
    forger.datagram(&[data(request(seq), Form::Entire, arguments)])
}
