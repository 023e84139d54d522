//! A peer that speaks the protocol by hand, and so can say whatever it likes.

#![allow(dead_code, reason = "each test program uses a part of this file")]

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::ops::RangeInclusive;

use posthaste_core::ecn::Ecn;
use posthaste_core::endpoint::{Arrival, Rejected};
use posthaste_core::wire::checksum::crc32c;
use posthaste_core::wire::{
    Ack, ConversationId, Data, Epoch, Flow, Frame, Frames, Header, LongHeader, NumberField, Parameters, Phase,
    ResetToken, SessionOutcome, SessionSecret, ShortHeader, Side, Stateless, TruncatedNumber, Writer, frame,
};
use posthaste_core::{Endpoint, Instant};

pub(crate) const FORGER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 66)), 6666);

/// One side of a conversation, held together by hand.
pub(crate) struct Forger {
    pub(crate) address: SocketAddr,
    /// The id by which the victim calls us.
    pub(crate) ours: ConversationId,
    /// The id by which we call the victim.
    pub(crate) theirs: ConversationId,
    pub(crate) incarnation: u64,
    pub(crate) session: u64,
    pub(crate) secret: SessionSecret,
    pub reset_token: ResetToken,
    pub(crate) ticket: Vec<u8>,
    /// The number of our next datagram.
    pub(crate) number: u64,
    /// The numbers of the victim's datagrams that reached us.
    pub(crate) received: Vec<u64>,
    /// The numbers of the victim's calls that reached us.
    pub(crate) called: Vec<u64>,
}

impl Forger {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            ours: ConversationId([0, 0, 0, 9, 9, 9, 9, 9]),
            theirs: ConversationId::UNKNOWN,
            incarnation: 0,
            session: 0,
            secret: SessionSecret([0; 16]),
            reset_token: ResetToken([0; 16]),
            ticket: Vec::new(),
            number: 0,
            received: Vec::new(),
            called: Vec::new(),
        }
    }

    /// Opens a conversation with a server.
    pub(crate) fn open(victim: &mut Endpoint<'_>, now: Instant, address: SocketAddr, parameters: &Parameters) -> Self {
        let mut forger = Self::new(address);
        forger.reopen(victim, now, parameters);
        forger
    }

    /// Opens another conversation, under an id of its own.
    pub(crate) fn reopen(&mut self, victim: &mut Endpoint<'_>, now: Instant, parameters: &Parameters) {
        assert!(self.try_reopen(victim, now, parameters), "no answer to a hello");
    }

    /// As [`Forger::reopen`]; says whether the victim answered.
    pub(crate) fn try_reopen(&mut self, victim: &mut Endpoint<'_>, now: Instant, parameters: &Parameters) -> bool {
        self.ours.0[7] = self.ours.0[7].wrapping_add(1);
        if self.ours.0[7] == 0 {
            self.ours.0[6] = self.ours.0[6].wrapping_add(1);
        }
        let items = items_of(parameters);
        let hello = self.hello(&[], 0, &[Frame::Parameters(&items)]);
        let _ = self.deliver(victim, now, hello);
        let answers = self.drain(victim, now);
        let retry = answers.iter().find_map(|answer| match Stateless::decode(answer) {
            Ok(Stateless::Retry { token, .. }) => Some(token),
            _ => None,
        });
        let Some(token) = retry else { return false };
        let hello = self.hello(token, 1, &[Frame::Parameters(&items)]);
        let _ = self.deliver(victim, now, hello);
        let answers = self.drain(victim, now);
        (self.number, self.received, self.called) = (0, Vec::new(), Vec::new());
        answers.iter().any(|answer| self.take_answer(answer))
    }

    /// Answers the hello of a client that knocked here.
    pub(crate) fn accept(&mut self, victim: &mut Endpoint<'_>, now: Instant, parameters: &Parameters) -> bool {
        let mut hello = None;
        for datagram in self.drain(victim, now) {
            if let Ok(Header::Long(LongHeader { sender: Side::Client, from, token, .. })) = Header::peek(&datagram) {
                let offset = 1 + 4 + 16 + 1 + token.len();
                let number = NumberField::read(&datagram, offset).unwrap().number.expand(None);
                hello = Some((from, number));
            }
        }
        let Some((from, number)) = hello else { return false };
        self.theirs = from;
        self.ours.0[7] = self.ours.0[7].wrapping_add(1);
        (self.number, self.received, self.called) = (0, Vec::new(), Vec::new());
        let answer = self.answer(number, parameters, &[9; 33]);
        self.deliver(victim, now, answer).is_ok()
    }

    /// Makes the answer to a hello, with a ticket that may be none.
    pub(crate) fn answer(&self, number: u64, parameters: &Parameters, ticket: &[u8]) -> Vec<u8> {
        let session = frame::Session {
            answers: number,
            outcome: SessionOutcome::Opened,
            incarnation: 1,
            session: 7,
            secret: SessionSecret([7; 16]),
            lease_millis: 600_000,
            reset_token: ResetToken([8; 16]),
            ticket,
        };
        let header =
            LongHeader { epoch: Epoch::Hello, sender: Side::Server, to: self.theirs, from: self.ours, token: &[] };
        let items = items_of(parameters);
        build(400, |writer| {
            header.encode(TruncatedNumber::new(0, 0).unwrap(), writer).unwrap();
            Frame::Parameters(&items).encode(writer).unwrap();
            Frame::Session(session).encode(writer).unwrap();
        })
    }

    /// Makes a hello, padded as it must be.
    pub(crate) fn hello(&self, token: &[u8], number: u64, frames: &[Frame<'_>]) -> Vec<u8> {
        let header = LongHeader {
            epoch: Epoch::Hello,
            sender: Side::Client,
            to: ConversationId::UNKNOWN,
            from: self.ours,
            token,
        };
        build(1196, |writer| {
            header.encode(TruncatedNumber::new(number, number).unwrap(), writer).unwrap();
            frames.iter().for_each(|frame| frame.encode(writer).unwrap());
            if writer.room() > 0 {
                Frame::Padding { len: writer.room() }.encode(writer).unwrap();
            }
        })
    }

    /// Makes the next datagram, with frames that may be nonsense.
    pub(crate) fn datagram(&mut self, frames: &[Frame<'_>]) -> Vec<u8> {
        self.datagram_with(|writer| frames.iter().for_each(|frame| frame.encode(writer).unwrap()))
    }

    /// Makes the next datagram, with whatever `write` writes.
    pub(crate) fn datagram_with(&mut self, write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let number = self.number;
        self.number += 1;
        let mut datagram = build(65_000, |writer| {
            // The victim has seen all numbers before this one.
            let truncated = TruncatedNumber::new(number, number).unwrap();
            ShortHeader { to: self.theirs }.encode(Phase::Zero, truncated, writer).unwrap();
            write(writer);
        });
        // The tag covers also what the field of one octet leaves out (protocol §3.7).
        let tag = datagram.last_chunk_mut::<4>().unwrap();
        *tag = (u32::from_be_bytes(*tag) ^ (number >> 8) as u32).to_be_bytes();
        datagram
    }

    /// Hands a datagram to the victim.
    pub(crate) fn deliver(&self, victim: &mut Endpoint<'_>, now: Instant, mut octets: Vec<u8>) -> Result<(), Rejected> {
        let arrival = Arrival { from: self.address, to: None, ecn: Ecn::NotEct };
        victim.handle_datagram(now, arrival, &mut octets)
    }

    /// Says something to the victim.
    pub(crate) fn say(
        &mut self,
        victim: &mut Endpoint<'_>,
        now: Instant,
        frames: &[Frame<'_>],
    ) -> Result<(), Rejected> {
        let datagram = self.datagram(frames);
        self.deliver(victim, now, datagram)
    }

    /// Takes all that the victim sends here, and notes the numbers.
    pub(crate) fn drain(&mut self, victim: &mut Endpoint<'_>, now: Instant) -> Vec<Vec<u8>> {
        let mut out = vec![0; victim.config().datagram_len_max];
        let mut taken = Vec::new();
        while let Some(transmit) = victim.poll_transmit(now, &mut out) {
            if transmit.to != self.address {
                continue;
            }
            let datagram = out[..transmit.len].to_vec();
            if let Some((number, _)) = self.read(&datagram) {
                self.received.push(number);
            }
            taken.push(datagram);
        }
        taken
    }

    /// Returns the number and the frames of a datagram of the data epoch.
    pub(crate) fn read<'d>(&self, datagram: &'d [u8]) -> Option<(u64, Frames<'d>)> {
        let Ok(Header::Short(ShortHeader { to })) = Header::peek(datagram) else { return None };
        let field = NumberField::read(datagram, ShortHeader::NUMBER_OFFSET).ok()?;
        let number = field.number.expand(self.received.iter().max().copied());
        (to == self.ours).then(|| (number, Frames::new(&datagram[field.frames_offset..datagram.len() - 4])))
    }

    /// Notes the number of a datagram of the victim's and the calls in it; the oldest numbers are forgotten.
    pub(crate) fn hear(&mut self, datagram: &[u8]) {
        let Some((number, frames)) = self.read(datagram) else { return };
        for frame in frames.flatten() {
            if let Frame::Data(Data { flow: Flow::Request { seq, .. }, .. }) = frame {
                self.called.push(seq.0);
            }
        }
        self.received.push(number);
        let forgotten = self.received.len().saturating_sub(64);
        self.received.drain(..forgotten);
    }

    /// Acknowledges all that arrived here.
    pub(crate) fn acknowledge(&mut self, victim: &mut Endpoint<'_>, now: Instant) -> Result<(), Rejected> {
        let ranges = descending(&self.received);
        if ranges.is_empty() {
            return Ok(());
        }
        let datagram = self.datagram_with(|writer| {
            Ack::write(0, ranges, None, writer).unwrap();
        });
        self.deliver(victim, now, datagram)
    }

    pub(crate) fn take_answer(&mut self, datagram: &[u8]) -> bool {
        let Ok(Header::Long(LongHeader { sender: Side::Server, from, to, .. })) = Header::peek(datagram) else {
            return false;
        };
        if to != self.ours {
            return false;
        }
        self.theirs = from;
        let field = NumberField::read(datagram, 1 + 4 + 16 + 1).unwrap();
        for frame in Frames::new(&datagram[field.frames_offset..datagram.len() - 4]) {
            if let Ok(Frame::Session(session)) = frame {
                self.incarnation = session.incarnation;
                self.session = session.session;
                self.secret = session.secret;
                self.reset_token = session.reset_token;
                self.ticket = session.ticket.to_vec();
            }
        }
        true
    }
}

/// Writes a datagram and seals it with its checksum.
pub(crate) fn build(len_max: usize, write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut octets = vec![0; len_max];
    let mut writer = Writer::new(&mut octets);
    write(&mut writer);
    let len = writer.len();
    octets.truncate(len);
    octets.extend(crc32c(&octets).to_be_bytes());
    octets
}

/// Gives a tampered datagram the checksum of what it says.
pub(crate) fn repair(datagram: &mut [u8]) {
    if let Some(len) = datagram.len().checked_sub(4) {
        let (covered, tag) = datagram.split_at_mut(len);
        tag.copy_from_slice(&crc32c(covered).to_be_bytes());
    }
}

/// Returns the encoded items of parameters.
pub(crate) fn items_of(parameters: &Parameters) -> Vec<u8> {
    let mut items = [0; Parameters::LEN_MAX];
    let mut writer = Writer::new(&mut items);
    parameters.encode(&mut writer).unwrap();
    writer.written().to_vec()
}

/// Returns the ranges of numbers, highest first.
pub(crate) fn descending(numbers: &[u64]) -> Vec<RangeInclusive<u64>> {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut ranges: Vec<RangeInclusive<u64>> = Vec::new();
    for number in sorted {
        match ranges.last_mut() {
            Some(range) if *range.end() + 1 == number => *range = *range.start()..=number,
            _ => ranges.push(number..=number),
        }
    }
    ranges.reverse();
    ranges
}
