use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use proptest::collection::vec as vec_of;
use proptest::prelude::*;

use super::varint::VARINT_MAX;
use super::*;

#[test]
fn a_frame_fits_into_96_octets() {
    assert!(size_of::<Frame<'_>>() <= 96, "{} octets", size_of::<Frame<'_>>());
}

#[test]
fn frames_come_one_after_the_other_and_end_at_the_first_malformed() {
    let mut frames = Frames::new(&[0x01, 0x16, 5, 0x1b, 0x01]);
    assert_eq!(frames.next(), Some(Ok(Frame::Ping)));
    assert_eq!(frames.next(), Some(Ok(Frame::Cancel { seq: Seq(5) })));
    assert_eq!(frames.next(), Some(Err(Malformed::UnknownFrame)));
    assert_eq!(frames.next(), None);
}

#[test]
fn an_ack_holds_the_highest_ranges_for_which_there_is_room() {
    let ranges = || (0..40_u64).rev().map(|i| i * 10..=i * 10 + 3);
    let ecn = Some(EcnCounts { ect0: 1, ect1: 2, ce: 3 });
    for room in 0..100 {
        let mut out = vec![0; room];
        let mut writer = Writer::new(&mut out);
        let Ok(count) = Ack::write(25, ranges(), ecn, &mut writer) else {
            assert!(writer.is_empty());
            continue;
        };
        let mut reader = Reader::new(writer.written());
        let Ok(Frame::Ack(ack)) = Frame::decode(&mut reader) else { panic!("an ACK was written") };
        assert!(reader.is_empty());
        assert_eq!((ack.largest, ack.delay_micros, ack.ecn), (393, 25, ecn));
        assert!(ack.ranges().eq(ranges().take(count)));
        // 9 octets of everything else, 2 for each further range.
        assert_eq!(count, 32.min((room - 9) / 2 + 1));
    }
}

#[test]
fn frames_that_are_taken_back_are_not_counted() {
    let mut out = [0; 64];
    let mut writer = Writer::new(&mut out);
    Frame::Ping.encode(&mut writer).unwrap();
    let taken_back: Result<(), NoRoom> = writer.whole(|writer| {
        Frame::Drain.encode(writer)?;
        Err(NoRoom)
    });
    assert_eq!(taken_back, Err(NoRoom));
    assert_eq!((writer.written(), writer.frame_count()), (&[1][..], 1));
}

#[test]
fn a_list_of_retired_exchanges_is_written_whole_or_not_at_all() {
    let mut out = [0; 64];
    let mut writer = Writer::new(&mut out);
    let listed = [99, 98, 50, 0].map(Seq);
    Retired::write(Seq(100), listed, &mut writer).unwrap();
    let Ok(Frame::Retired(retired)) = Frame::decode(&mut Reader::new(writer.written())) else { panic!("it is one") };
    assert_eq!(retired.low, Seq(100));
    assert!(retired.listed().eq(listed));

    let len = writer.len();
    assert_eq!(Retired::write(Seq(100), (0..17).rev().map(Seq), &mut writer), Err(NoRoom));
    assert_eq!(Retired::write(Seq(100), [Seq(3), Seq(3)], &mut writer), Err(NoRoom));
    assert_eq!(Retired::write(Seq(100), [Seq(100)], &mut writer), Err(NoRoom));
    assert_eq!(writer.len(), len);
}

#[test]
fn data_fills_the_room_exactly() {
    let data = vec![7; 20_000];
    for extent in [Extent::Counted, Extent::Rest] {
        for room in (0..200).chain(16_380..16_400) {
            let mut frame =
                Data { flow: Flow::Message { seq: Seq(70) }, form: Form::Stream { offset: 5 }, extent, data: &[] };
            let Some(len) = frame.data_len_max(room) else {
                assert!(room < if extent == Extent::Counted { 5 } else { 4 });
                continue;
            };
            frame.data = &data[..len];
            assert!(Frame::Data(frame).encoded_len() <= room);
            frame.data = &data[..len + 1];
            assert!(Frame::Data(frame).encoded_len() > room);
        }
    }
}

#[test]
fn data_that_lies_in_pieces_is_written_after_its_head() {
    let frame = Data {
        flow: Flow::Reply { seq: Seq(1), outcome: None },
        form: Form::Entire,
        extent: Extent::Counted,
        data: b"hello",
    };
    let (mut whole, mut pieces) = ([0; 8], [0; 8]);
    let (mut whole, mut pieces) = (Writer::new(&mut whole), Writer::new(&mut pieces));
    Frame::Data(frame).encode(&mut whole).unwrap();
    frame.encode_head(5, &mut pieces).unwrap();
    pieces.octets(b"he").unwrap();
    pieces.octets(b"llo").unwrap();
    assert_eq!(whole.written(), pieces.written());
    assert_eq!(frame.encode_head(5, &mut Writer::new(&mut [0; 7])), Err(NoRoom));
}

#[test]
fn metadata_that_must_be_understood_is_found() {
    let mut out = [0; 64];
    let mut writer = MetadataWriter::new(&mut out);
    writer.put_varint(metadata::key::DEADLINE, 1_000_000).unwrap();
    writer.put(metadata::key::TRACE, b"trace").unwrap();
    assert_eq!(writer.put_varint(metadata::key::PRIORITY, 1), Err(metadata::PutError::Order));
    assert_eq!(writer.put(metadata::key::MAX_REPLY, b"no integer"), Err(metadata::PutError::Value));
    writer.put_varint(metadata::key::MAX_REPLY, 70).unwrap();
    writer.put(129, &[]).unwrap();
    assert_eq!(writer.put(130, &[0; 64]), Err(metadata::PutError::NoRoom));
    let metadata = writer.finish();
    assert_eq!(Metadata::decode(metadata.as_octets()), Ok(metadata));
    assert_eq!(metadata.get_varint(metadata::key::DEADLINE), Some(1_000_000));
    assert_eq!(metadata.get(metadata::key::TRACE), Some(&b"trace"[..]));
    assert_eq!(metadata.get_varint(metadata::key::MAX_REPLY), Some(70));
    assert_eq!(metadata.get(metadata::key::LAMPORT), None);
    assert_eq!(metadata.not_understood(), None);
    assert_eq!(Metadata::decode(&[2, 1, 0, 15, 0, 17, 0]).unwrap().not_understood(), Some(15));
}

#[test]
fn the_longest_parameters_fit_where_they_say() {
    use core::time::Duration;
    let parameters = Parameters {
        message_len_max: 1 << 30,
        credit: VARINT_MAX,
        exchange_window: 65_536,
        stream_window: 1 << 30,
        datagram_len_max: 65_527,
        ack_delay_max: Duration::from_micros(1 << 24),
        idle_timeout: Duration::from_millis(1 << 32),
        alias_count_max: 256,
        channel_count_max: 65_536,
        metadata_len_max: 4096,
    };
    let mut out = [0; Parameters::LEN_MAX];
    let mut writer = Writer::new(&mut out);
    parameters.encode(&mut writer).unwrap();
    assert_eq!(Parameters::decode(writer.written()), Ok(parameters));
    assert_eq!(Parameters::decode(&[]), Ok(Parameters::default()));
}

#[test]
fn a_header_is_read_as_it_was_written() {
    let number = TruncatedNumber::new(0x12_3456, 0x12_0000).unwrap();
    let (to, from) = (ConversationId([1; 8]), ConversationId([2; 8]));
    let mut out = [0; HELLO_LEN_MIN];
    for (epoch, sender, token) in [
        (Epoch::Hello, Side::Client, &[9; 128][..]),
        (Epoch::Hello, Side::Client, &[]),
        (Epoch::Hello, Side::Server, &[]),
        (Epoch::Handshake, Side::Client, &[]),
        (Epoch::Handshake, Side::Server, &[]),
    ] {
        let header = LongHeader { epoch, sender, to, from, token };
        let mut writer = Writer::new(&mut out);
        header.encode(number, &mut writer).unwrap();
        let frames_offset = writer.len();
        assert_eq!(Header::peek(&out), Ok(Header::Long(header)));
        let field = NumberField::read(&out, header.number_offset()).unwrap();
        assert_eq!(field, NumberField { number, phase: Phase::Zero, frames_offset });
    }
    for phase in [Phase::Zero, Phase::One] {
        let mut writer = Writer::new(&mut out);
        ShortHeader { to }.encode(phase, number, &mut writer).unwrap();
        let frames_offset = writer.len();
        assert_eq!(Header::peek(&out), Ok(Header::Short(ShortHeader { to })));
        let field = NumberField::read(&out, ShortHeader::NUMBER_OFFSET).unwrap();
        assert_eq!(field, NumberField { number, phase, frames_offset });
    }
}

#[test]
fn no_octets_panic_the_decoders() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut octets = [0; 96];
    for _ in 0..200_000 {
        let len = random.below(octets.len() as u64 + 1) as usize;
        octets[..len].fill_with(|| random.octet());
        decode_all(&octets[..len]);
    }
}

#[test]
fn no_mutation_of_valid_frames_panics_the_decoders_or_changes_when_written_again() {
    let mut random = Random(1);
    let seeds: Vec<Vec<u8>> = SEEDS.iter().map(|seed| seed.to_vec()).collect();
    for round in 0..200_000 {
        let mut octets = seeds[round % seeds.len()].clone();
        for _ in 0..=random.below(3) {
            let at = random.below(octets.len() as u64) as usize;
            match random.below(4) {
                0 => octets[at] = random.octet(),
                1 => octets[at] ^= 1 << random.below(8),
                2 => octets.insert(at, random.octet()),
                _ if octets.len() > 1 => drop(octets.remove(at)),
                _ => {}
            }
        }
        decode_all(&octets);
        written_again(&octets);
        checked_as_decoded(&octets);
    }
}

proptest! {
    #[test]
    fn a_frame_is_read_as_it_was_written(owned in any_frame()) {
        let items = owned.octets.as_slice();
        let frame = (owned.frame)(items);
        let mut out = vec![0; 4096];
        let mut writer = Writer::new(&mut out);
        frame.encode(&mut writer).unwrap();
        prop_assert_eq!(writer.len(), frame.encoded_len());
        prop_assert_eq!(writer.written().first().copied(), Some(frame.kind()));
        let mut reader = Reader::new(writer.written());
        prop_assert_eq!(Frame::decode(&mut reader), Ok(frame));
        prop_assert!(reader.is_empty());

        // One octet less is not enough, and leaves nothing behind.
        let len = writer.len();
        let mut short = Writer::new(&mut out[..len - 1]);
        prop_assert_eq!(frame.encode(&mut short), Err(NoRoom));
        prop_assert!(short.is_empty());
    }

    #[test]
    fn ranges_are_read_as_they_were_written(gaps in vec_of((2..1_u64 << 40, 0..1_u64 << 40), 1..40), delay in varint()) {
        let mut ranges = Vec::new();
        let mut top = VARINT_MAX;
        for (gap, len) in gaps {
            ranges.push(top - len..=top);
            top -= len + gap;
        }
        let mut out = [0; 1200];
        let mut writer = Writer::new(&mut out);
        prop_assert_eq!(Ack::write(delay, ranges.iter().cloned(), None, &mut writer), Ok(ranges.len().min(32)));
        let Ok(Frame::Ack(ack)) = Frame::decode(&mut Reader::new(writer.written())) else { panic!("it is one") };
        prop_assert!(ack.ranges().eq(ranges.into_iter().take(32)));
    }
}

/// A frame that borrows from octets which a strategy owns.
struct Owned {
    octets: Vec<u8>,
    frame: Box<Borrow>,
}

type Borrow = dyn for<'a> Fn(&'a [u8]) -> Frame<'a>;

impl core::fmt::Debug for Owned {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        (self.frame)(&self.octets).fmt(f)
    }
}

fn owned(octets: Vec<u8>, frame: impl for<'a> Fn(&'a [u8]) -> Frame<'a> + 'static) -> Owned {
    Owned { octets, frame: Box::new(frame) }
}

/// Values of every length, and those at their ends.
fn varint() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..64_u64,
        64..16_384_u64,
        16_384..1_u64 << 30,
        1_u64 << 30..1 << 62,
        prop::sample::select(vec![0, 63, 64, 16_383, 16_384, (1 << 30) - 1, 1 << 30, VARINT_MAX]),
    ]
}

fn reliable_role() -> impl Strategy<Value = Role> {
    prop::sample::select(vec![Role::Message, Role::Ordered, Role::Request, Role::Reply, Role::Upward, Role::Downward])
}

fn any_frame() -> impl Strategy<Value = Owned> {
    let octets = vec_of(any::<u8>(), 0..100);
    let integers = (varint(), varint(), varint(), varint());
    let arrays = (any::<[u8; 8]>(), any::<[u8; 16]>(), any::<[u8; 16]>());
    prop_oneof![
        1 => (0..25_usize, octets, integers, arrays, reliable_role()).prop_map(plain_frame),
        2 => any_data(),
    ]
}

type Integers = (u64, u64, u64, u64);
type Arrays = ([u8; 8], [u8; 16], [u8; 16]);

fn plain_frame((choice, octets, (a, b, c, d), (short, x, y), role): (usize, Vec<u8>, Integers, Arrays, Role)) -> Owned {
    let seq = Seq(a);
    owned(octets, move |octets| match choice {
        0 => Frame::Padding { len: 1 + octets.len() },
        1 => Frame::Ping,
        2 => Frame::Credit { limit: a },
        3 => Frame::StreamCredit { role, seq, limit: b },
        4 => Frame::Reset { role, seq, reason: b, charge: c, place: (role == Role::Ordered).then_some((d, a)) },
        5 => Frame::Stop { role, seq, reason: b },
        6 => Frame::Taken { channel: a, limit: b },
        7 => Frame::Challenge(short),
        8 => Frame::Response(short),
        9 => Frame::NewId {
            index: a.max(1),
            retire: b.min(a),
            id: ConversationId(short.map(|octet| octet | 1)),
            reset_token: ResetToken(x),
        },
        10 => Frame::RetireId { index: a },
        11 => {
            let closer = if b & 1 == 0 { Closer::Protocol } else { Closer::Application };
            Frame::Close { scope: Scope { closer, ends_session: b & 2 != 0 }, code: a, reason: octets }
        }
        12 => Frame::Drain,
        13 => Frame::AckFrequency { count: (b % 255) as u8 + 1, delay_micros: a },
        14 => Frame::Parameters(&[]),
        15 => Frame::Session(Session {
            answers: a,
            outcome: [SessionOutcome::Opened, SessionOutcome::Resumed, SessionOutcome::Unknown][(b % 3) as usize],
            incarnation: c,
            session: d,
            secret: SessionSecret(x),
            lease_millis: b,
            reset_token: ResetToken(y),
            ticket: octets,
        }),
        16 => Frame::Resume { session: a, proof: x },
        17 => Frame::Handshake { offset: a.min(VARINT_MAX - 100), data: octets },
        18 => {
            let epoch = [Epoch::Hello, Epoch::Handshake, Epoch::Data][(b % 3) as usize];
            Frame::HandshakeAck { epoch, offset: a }
        }
        19 => Frame::Cancel { seq },
        20 => Frame::Ask { seq },
        21 => Frame::Progress {
            seq,
            state: [CallState::Unknown, CallState::Queued, CallState::Running, CallState::Done][(b % 4) as usize],
            elapsed_millis: c,
            progress: d.checked_sub(1),
        },
        22 => Frame::Resolve { seq },
        23 => Frame::Busy { after_millis: a },
        _ => Frame::Private { kind: 0x70 | (b & 15) as u8, data: octets },
    })
}

fn any_data() -> impl Strategy<Value = Owned> {
    let procedure = prop_oneof![
        (1..=256_u16).prop_map(|alias| Procedure::Alias(Alias::new(alias).unwrap())),
        ((any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>()), 0..32_u8, 0..=256_u16).prop_map(
            |((program, version, procedure, timeout_millis), options, alias)| {
                let semantics =
                    [Semantics::AtMostOnce, Semantics::AtLeastOnce, Semantics::Maybe, Semantics::ExactlyOnce]
                        [usize::from(options & 3)];
                let mut set = Options::new(semantics);
                for (bit, with) in
                    [(4, Options::with_one_way as fn(_) -> _), (8, Options::with_upward), (16, Options::with_downward)]
                {
                    set = if options & bit == 0 { set } else { with(set) };
                }
                let description = Description { program, version, procedure, timeout_millis, options: set };
                Procedure::Full { description, alias: Alias::new(alias) }
            },
        ),
    ];
    let octets = vec_of(any::<u8>(), 1..100);
    let integers = (varint(), varint(), varint(), varint());
    let choices = (0..8_u8, 0..4_u8, any::<bool>(), 0..5_u64);
    (octets, integers, choices, procedure).prop_map(|(octets, (a, b, c, offset), choices, procedure)| {
        let (role, form, has_metadata, status) = choices;
        // Every second offset is 0: only there stands what is called.
        let offset = if offset % 2 == 0 { 0 } else { offset.min(VARINT_MAX - 100) };
        owned(octets, move |octets| {
            let seq = Seq(a);
            let form = match (role, form) {
                (6 | 7, _) | (0..=3, 0) => Form::Entire,
                (0..=3, 1) | (2 | 3, _) => Form::Fragment { offset, total: VARINT_MAX - 100 + octets.len() as u64 },
                (_, 2) => Form::Stream { offset },
                (_, _) => Form::Last { offset },
            };
            let metadata = Metadata::decode(&[2, 1, 5, 4, 1, 3, 6, 2, 0xff, 0xff, 0x40, 0x80, 0]).unwrap();
            let flow = match role {
                0 => Flow::Message { seq },
                1 => Flow::Ordered { seq, channel: b, position: c },
                2 => {
                    let opening = Opening { procedure, metadata: has_metadata.then_some(metadata) };
                    Flow::Request { seq, opening: (form.offset() == 0).then_some(opening) }
                }
                3 => {
                    let outcome = Outcome { status: Status::from_code(status).unwrap(), metadata };
                    Flow::Reply { seq, outcome: (form.offset() == 0 && has_metadata).then_some(outcome) }
                }
                4 => Flow::Upward { seq },
                5 => Flow::Downward { seq },
                6 => Flow::Unreliable,
                _ => Flow::Newest { key: b, order: c },
            };
            let extent = if b % 2 == 0 { Extent::Counted } else { Extent::Rest };
            Frame::Data(Data { flow, form, extent, data: octets })
        })
    })
}

/// Hands octets to every decoder.
fn decode_all(octets: &[u8]) {
    for frame in Frames::new(octets) {
        if let Ok(Frame::Ack(ack)) = frame {
            assert!(ack.ranges().count() <= 32);
        }
        if let Ok(Frame::Retired(retired)) = frame {
            assert!(retired.listed().count() <= 16);
        }
    }
    for epoch in [Epoch::Hello, Epoch::Handshake, Epoch::Data] {
        let _ = check(octets, Carrier { epoch, sender: Side::Client, datagram_len: octets.len() });
    }
    if let Ok(Header::Long(header)) = Header::peek(octets) {
        NumberField::read(octets, header.number_offset()).ok();
    }
    NumberField::read(octets, ShortHeader::NUMBER_OFFSET).ok();
    Parameters::decode(octets).ok();
    if let Ok(metadata) = Metadata::decode(octets) {
        let _ = (metadata.not_understood(), metadata.get(6), metadata.items().count());
    }
    NotExecuted::decode(octets).ok();
    Stateless::decode(octets).ok();
}

/// Writes the frames of `octets` again, which gives the same octets if they are frames.
fn written_again(octets: &[u8]) {
    // As long as a datagram must be that holds the shortest of frames.
    let mut out = vec![0; 8 * octets.len()];
    let mut writer = Writer::new(&mut out);
    for frame in Frames::new(octets) {
        let Ok(frame) = frame else { return };
        assert_eq!(frame.encode(&mut writer), Ok(()), "{frame:?} of {octets:02x?}");
    }
    assert_eq!(writer.written(), octets);
}

/// Checks frames, which finds what decoding them finds.
fn checked_as_decoded(octets: &[u8]) {
    let mut reader = Reader::new(octets);
    while !reader.is_empty() {
        let mut decoded = reader;
        let frame = Frame::decode(&mut decoded);
        assert_eq!(Frame::check(&mut reader), frame.map(|frame| frame.kind()), "{octets:02x?}");
        if frame.is_err() {
            return;
        }
        assert_eq!(reader.rest(), decoded.rest());
    }
}

/// Frames from which mutation finds its way into every decoder.
const SEEDS: [&[u8]; 15] = [
    &[0x82, 7, 2, 8, 9, 0xa2, 7, 2, 1, 9, 0xb2, 0x40, 0x41, 1, 9, 0xa2, 7, 4, 0],
    &[0x02, 0x45, 0x00, 0x19, 2, 3, 0, 1, 4, 0],
    &[0x03, 9, 0x44, 0x00, 0, 3, 1, 2, 3],
    &[0x06, 40, 3, 0, 1, 2, 0x01],
    &[0x0c, 2, 1, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    &[0x0e, 3, 0x41, 0x00, 2, b'n', b'o'],
    &[0x11, 6, 3, 1, 5, 8, 1, 16],
    &[0x14, 0x40, 0x40, 3, 1, 2, 3, 0x15, 1, 9],
    &[0x18, 7, 2, 0x43, 0xe8, 1, 0x17, 7, 0x19, 7],
    &[0xa2, 7, 2, 1, 0xff, 0x01, 0x00],
    &[0xa3, 7, 5, 1, 1, 3, 0x0b, 0x43, 0xe8, 6, 2, 1, 9, 6, 1, 7, 2, 1, 2],
    &[0xb3, 7, 2, 3, 14, 1, 9, 1, 6, 0xb0, 9, 1, 2, 3],
    &[0x96, 3, 4, 5, 6, 20, 3, 7, 8, 9],
    &[0xca, 3, 0x40, 0x50, 2, 1, 1, 0xce, 3, 9, 0],
    &[0xf2, 3, 4, 1, 9, 0xe0, 1, 2, 3],
];

/// A small generator (xorshift64*), so that a failure is the same every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn octet(&mut self) -> u8 {
        (self.next() >> 56) as u8
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 32) % limit
    }
}
