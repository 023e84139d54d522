//! The decoders: they take any octets, and what they accept is written again as it was.

use posthaste_core::crypto::{Generation, Plain, open_datagram};
use posthaste_core::wire::{
    CHECKSUM_LEN, Carrier, Data, Epoch, Flow, Form, Frame, Frames, Header, Metadata, MetadataWriter, NotExecuted,
    NumberField, Parameters, ShortHeader, Side, Stateless, Status, Writer, allowed, check,
};

use crate::forger::repair;

/// Reads frames, in the epoch and from the side that the first octet says.
pub fn frames(octets: &[u8]) {
    let Some((&carrier, octets)) = octets.split_first() else { return };
    let epoch = [Epoch::Hello, Epoch::Handshake, Epoch::Data][usize::from(carrier % 3)];
    let sender = [Side::Client, Side::Server][usize::from(carrier / 3 % 2)];
    let datagram_len = ShortHeader::NUMBER_OFFSET + 1 + octets.len() + CHECKSUM_LEN;
    read_frames(octets, Carrier { epoch, sender, datagram_len });
}

/// Reads a datagram whose tag is made right: a fuzzer does not guess CRC32C.
pub fn datagram(octets: &[u8]) {
    let mut octets = octets.to_vec();
    repair(&mut octets);
    match Header::peek(&octets) {
        Err(_) | Ok(Header::UnknownVersion { .. }) => {}
        Ok(Header::Stateless) => stateless(&octets),
        Ok(Header::Long(header)) => {
            let (epoch, sender) = (header.epoch, header.sender);
            open(&octets, header.number_offset(), Carrier { epoch, sender, datagram_len: octets.len() });
        }
        Ok(Header::Short(_)) => {
            let carrier = Carrier { epoch: Epoch::Data, sender: Side::Client, datagram_len: octets.len() };
            open(&octets, ShortHeader::NUMBER_OFFSET, carrier);
        }
    }
}

/// Reads what lies within frames and has a form of its own.
pub fn items(octets: &[u8]) {
    parameters(octets);
    metadata(octets);
    if let Ok(why) = NotExecuted::decode(octets) {
        let mut out = [0; NotExecuted::LEN_MAX];
        let mut writer = Writer::new(&mut out);
        why.encode(&mut writer).expect("it is at most so long");
        assert_eq!(NotExecuted::decode(writer.written()), Ok(why));
    }
}

/// Reads frames and writes them again; says whether they may be where they are.
fn read_frames(octets: &[u8], carrier: Carrier) {
    let summary = check(octets, carrier);
    // As long as a datagram must be that holds the shortest of frames.
    let mut out = vec![0; 8 * octets.len()];
    let mut writer = Writer::new(&mut out);
    let (mut count, mut are_allowed) = (0, true);
    for frame in Frames::new(octets) {
        let Ok(frame) = frame else {
            assert!(summary.is_err(), "malformed frames were let through");
            assert!(octets.starts_with(writer.written()));
            return;
        };
        let offset = writer.len();
        are_allowed &= allowed(octets[offset], carrier.epoch, carrier.sender);
        frame.encode(&mut writer).expect("there is room");
        assert_eq!(writer.len() - offset, frame.encoded_len(), "{frame:?}");
        look_into(&frame);
        count += 1;
    }
    assert_eq!(writer.written(), octets, "frames change when written again");
    if let Ok(summary) = summary {
        assert!(are_allowed);
        assert_eq!(summary.frame_count, count);
    }
}

/// Reads what a frame holds, and checks what the frame promises about it.
fn look_into(frame: &Frame<'_>) {
    match frame {
        Frame::Ack(ack) => {
            let ranges: Vec<_> = ack.ranges().collect();
            assert!(ranges.len() <= 32 && *ranges[0].end() == ack.largest);
            assert!(ranges.iter().all(|range| range.start() <= range.end()));
            assert!(ranges.windows(2).all(|pair| *pair[1].end() < pair[0].start() - 1), "there is a gap between them");
        }
        Frame::Retired(retired) => {
            let listed: Vec<_> = retired.listed().collect();
            assert!(listed.len() <= 16 && listed.first().is_none_or(|first| *first < retired.low));
            assert!(listed.windows(2).all(|pair| pair[1] < pair[0]));
        }
        Frame::Parameters(octets) => assert!(Parameters::decode(octets).is_ok()),
        Frame::Data(Data { flow: Flow::Request { opening: Some(opening), .. }, .. }) => {
            opening.metadata.iter().for_each(|metadata| self::metadata(metadata.as_octets()));
        }
        Frame::Data(Data { flow: Flow::Reply { outcome: Some(outcome), .. }, form, data, .. }) => {
            metadata(outcome.metadata.as_octets());
            if outcome.status == Status::NotExecuted && *form == Form::Entire {
                items(data);
            }
        }
        _ => {}
    }
}

/// Opens a datagram, and writes all of it again.
fn open(octets: &[u8], number_offset: usize, carrier: Carrier) {
    let Ok(field) = NumberField::read(octets, number_offset) else { return };
    let number = field.number.expand(None);
    let mut opened = octets.to_vec();
    let opened = open_datagram(&Plain, 0, carrier.epoch, Generation::Current, number, &mut opened, field.frames_offset);
    let Ok(frames) = opened else { return };
    read_frames(frames, carrier);
    let mut out = vec![0; octets.len()];
    let mut writer = Writer::new(&mut out);
    match Header::peek(octets).expect("it was read before") {
        Header::Long(header) => header.encode(field.number, &mut writer).expect("it fits"),
        Header::Short(header) => header.encode(field.phase, field.number, &mut writer).expect("it fits"),
        header => panic!("{header:?} has no number"),
    }
    assert_eq!(writer.written(), &octets[..field.frames_offset], "a header changes when written again");
}

fn stateless(octets: &[u8]) {
    let Ok(stateless) = Stateless::decode(octets) else { return };
    let mut out = vec![0; octets.len()];
    assert_eq!(stateless.encode(&mut out), Ok(octets.len()));
    assert_eq!(out, octets, "a stateless answer changes when written again");
}

/// Unknown parameters are left out and defaults are not written, so the octets need not stay the same; the meaning must.
fn parameters(octets: &[u8]) {
    let Ok(parameters) = Parameters::decode(octets) else { return };
    let mut out = [0; Parameters::LEN_MAX];
    let mut writer = Writer::new(&mut out);
    parameters.encode(&mut writer).expect("they are at most so long");
    assert_eq!(Parameters::decode(writer.written()), Ok(parameters));
}

fn metadata(octets: &[u8]) {
    let Ok(metadata) = Metadata::decode(octets) else { return };
    let mut out = vec![0; octets.len()];
    let mut writer = MetadataWriter::new(&mut out);
    for (key, value) in metadata.items() {
        assert_eq!(metadata.get(key), Some(value));
        writer.put(key, value).expect("what was read can be written");
    }
    assert_eq!(writer.finish().as_octets(), octets);
    let _ = metadata.not_understood();
}
