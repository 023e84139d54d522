//! Every vector is read as it says, and written again octet for octet.

use std::path::PathBuf;
use std::process::Command;

use posthaste_core::crypto::{Generation, Plain, open_datagram, seal_datagram};
use posthaste_core::wire::*;
use serde_json::{Value, json};

const CARRIERS: [(&str, Epoch, Side); 6] = [
    ("hello client", Epoch::Hello, Side::Client),
    ("hello server", Epoch::Hello, Side::Server),
    ("handshake client", Epoch::Handshake, Side::Client),
    ("handshake server", Epoch::Handshake, Side::Server),
    ("data client", Epoch::Data, Side::Client),
    ("data server", Epoch::Data, Side::Server),
];

#[test]
fn every_frame_means_what_its_vector_says() {
    for vector in vectors("frames.json") {
        let (name, octets) = (name(&vector), octets(&vector));
        let meanings: Vec<Value> = Frames::new(&octets).map(|frame| frame_meaning(&frame.expect(name))).collect();
        assert_eq!(meanings, [vector["frame"].clone()], "{name}");
    }
}

#[test]
fn every_frame_is_allowed_where_its_vector_says_and_nowhere_else() {
    for vector in vectors("frames.json") {
        let (name, octets) = (name(&vector), octets(&vector));
        for (carrier, epoch, sender) in CARRIERS {
            let is_allowed = vector["carriers"].as_array().expect(name).iter().any(|allowed| allowed == carrier);
            let checked = check(&octets, Carrier { epoch, sender, datagram_len: octets.len() + 14 });
            assert_eq!(checked.is_ok(), is_allowed, "{name} in {carrier}");
            assert!(is_allowed || checked == Err(Violation::NotAllowed), "{name} in {carrier}");
        }
    }
}

#[test]
fn every_frame_is_written_as_it_was_read() {
    for vector in vectors("frames.json") {
        let (name, octets) = (name(&vector), octets(&vector));
        let frame = Frame::decode(&mut Reader::new(&octets)).expect(name);
        let mut out = vec![0; octets.len()];
        let mut writer = Writer::new(&mut out);
        frame.encode(&mut writer).expect(name);
        assert_eq!(writer.written(), octets, "{name}");
        assert_eq!(frame.encoded_len(), octets.len(), "{name}");
    }
}

#[test]
fn every_prefix_of_a_frame_is_refused_or_is_a_frame() {
    for vector in vectors("frames.json") {
        let octets = octets(&vector);
        for len in 0..octets.len() {
            let mut reader = Reader::new(&octets[..len]);
            if let Ok(frame) = Frame::decode(&mut reader) {
                assert_eq!(written(&frame), octets[..len], "{}", name(&vector));
            }
        }
    }
}

#[test]
fn every_datagram_means_what_its_vector_says() {
    for vector in vectors("datagrams.json") {
        assert_eq!(datagram_meaning(&octets(&vector)), Ok(vector["meaning"].clone()), "{}", name(&vector));
    }
}

#[test]
fn every_datagram_is_written_as_it_was_read() {
    for vector in vectors("datagrams.json") {
        let (name, octets) = (name(&vector), octets(&vector));
        // Longer, since a writer keeps the last of the frames that its length allows for padding (protocol §5.1).
        let mut out = vec![0; octets.len() + 64];
        let len = match Header::peek(&octets).expect(name) {
            // Nobody here writes one.
            Header::UnknownVersion { .. } => continue,
            Header::Stateless => Stateless::decode(&octets).expect(name).encode(&mut out).expect(name),
            header @ (Header::Long(_) | Header::Short(_)) => write_datagram(&header, &octets, &mut out),
        };
        assert_eq!(out[..len], octets, "{name}");
    }
}

#[test]
fn a_stateless_answer_is_refused_where_it_does_not_fit() {
    for vector in vectors("datagrams.json") {
        let octets = octets(&vector);
        if let Ok(stateless) = Stateless::decode(&octets) {
            assert_eq!(stateless.encode(&mut vec![0; octets.len() - 1]), Err(NoRoom), "{}", name(&vector));
        }
    }
}

#[test]
fn every_prefix_of_a_datagram_is_discarded() {
    for vector in vectors("datagrams.json") {
        let octets = octets(&vector);
        for len in 0..octets.len() {
            // Another version may end where it likes, if only it is as long as a hello.
            let is_hello_of_another_version =
                vector["meaning"].get("unknown_version").is_some() && len >= HELLO_LEN_MIN;
            let is_discarded = datagram_meaning(&octets[..len]) == Err("discard");
            assert!(is_discarded || is_hello_of_another_version, "{len} octets of {}", name(&vector));
        }
    }
}

#[test]
fn every_flipped_bit_of_a_datagram_is_noticed() {
    for vector in vectors("datagrams.json").iter().filter(|vector| octets(vector).len() < 200) {
        let mut octets = octets(vector);
        for bit in 0..octets.len() * 8 {
            octets[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(datagram_meaning(&octets), Err("discard"), "bit {bit} of {}", name(vector));
            octets[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn everything_invalid_is_refused_as_its_vector_says() {
    for vector in vectors("invalid.json") {
        let (name, octets) = (name(&vector), octets(&vector));
        let reaction = match vector.get("carrier") {
            None => datagram_meaning(&octets).expect_err(name),
            Some(carrier) => {
                let (_, epoch, sender) = CARRIERS.into_iter().find(|(name, ..)| carrier == name).expect(name);
                let carrier = Carrier { epoch, sender, datagram_len: octets.len() + 14 };
                reaction(check(&octets, carrier).expect_err(name), epoch)
            }
        };
        assert_eq!(reaction, vector["reaction"], "{name}");
    }
}

#[test]
fn the_second_reader_agrees() {
    let Ok(output) = Command::new("python3").arg(path("decode.py")).output() else {
        // No Python on this machine: the vectors were read above all the same.
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Reads a datagram as either side of an unprotected conversation does; an error is the reaction.
fn datagram_meaning(datagram: &[u8]) -> Result<Value, &'static str> {
    let header = Header::peek(datagram).map_err(|_| "discard")?;
    let (epoch, sender, mut meaning) = match header {
        Header::Stateless => return Stateless::decode(datagram).map(stateless_meaning).map_err(|_| "discard"),
        Header::UnknownVersion { version, from } => {
            return Ok(json!({ "unknown_version": version, "from": hex(&from.0) }));
        }
        Header::Long(LongHeader { epoch: Epoch::Hello, sender, to, from, token }) => {
            let side = if sender == Side::Client { "client" } else { "server" };
            let (to, from, token) = (hex(&to.0), hex(&from.0), hex(token));
            let meaning = json!({ "epoch": "hello", "sender": side, "to": to, "from": from, "token": token });
            (Epoch::Hello, sender, meaning)
        }
        Header::Long(_) => return Err("discard"),
        Header::Short(short) => (Epoch::Data, Side::Client, json!({ "epoch": "data", "to": hex(&short.to.0) })),
    };
    let field = NumberField::read(datagram, number_offset(&header)).map_err(|_| "discard")?;
    let mut opened = datagram.to_vec();
    let number = field.number.expand(None);
    let frames = open_datagram(&Plain, 0, epoch, Generation::Current, number, &mut opened, field.frames_offset)
        .map_err(|_| "discard")?;
    check(frames, Carrier { epoch, sender, datagram_len: datagram.len() }).map_err(|error| reaction(error, epoch))?;
    meaning["number"] = json!(field.number.expand(None) & ((1 << (8 * field.number.len_octets())) - 1));
    meaning["number_len"] = json!(field.number.len_octets());
    meaning["frames"] = Frames::new(frames).map(|frame| frame_meaning(&frame.expect("it was checked"))).collect();
    Ok(meaning)
}

/// Writes what is read of a datagram, and returns its length.
fn write_datagram(header: &Header<'_>, datagram: &[u8], out: &mut [u8]) -> usize {
    let field = NumberField::read(datagram, number_offset(header)).expect("it is valid");
    let mut writer = Writer::new(out);
    if let Header::Long(long) = header {
        long.encode(field.number, &mut writer).expect("it fits");
    } else if let Header::Short(short) = header {
        short.encode(field.phase, field.number, &mut writer).expect("it fits");
    }
    for frame in Frames::new(&datagram[field.frames_offset..datagram.len() - CHECKSUM_LEN]) {
        frame.expect("it is valid").encode(&mut writer).expect("it fits");
    }
    let len = writer.len() + CHECKSUM_LEN;
    let epoch = if let Header::Long(long) = header { long.epoch } else { Epoch::Data };
    seal_datagram(&mut Plain, 0, epoch, field.number.expand(None), &mut out[..len], number_offset(header))
        .expect("it fits");
    len
}

fn number_offset(header: &Header<'_>) -> usize {
    if let Header::Long(long) = header { long.number_offset() } else { ShortHeader::NUMBER_OFFSET }
}

fn reaction(violation: Violation, epoch: Epoch) -> &'static str {
    match (epoch, violation.code()) {
        (Epoch::Hello, _) => "discard",
        (_, CloseCode::Malformed) => "malformed",
        (_, CloseCode::NotAllowed) => "not allowed",
        (_, CloseCode::Fragment) => "fragment",
        (_, CloseCode::Alias) => "alias",
        (_, code) => panic!("{code:?} is no reaction to octets"),
    }
}

fn stateless_meaning(stateless: Stateless<'_>) -> Value {
    match stateless {
        Stateless::Retry { to, answers, token } => {
            json!({ "stateless": "retry", "to": hex(&to.0), "answers": answers, "token": hex(token) })
        }
        Stateless::Version { to, versions } => {
            json!({ "stateless": "version", "to": hex(&to.0), "versions": versions.iter().collect::<Vec<_>>() })
        }
        Stateless::Reset { id, token } => {
            json!({ "stateless": "reset", "id": hex(&id.0), "reset_token": hex(&token.0) })
        }
    }
}

fn frame_meaning(frame: &Frame<'_>) -> Value {
    match *frame {
        Frame::Padding { len } => json!({ "frame": "PADDING", "len": len }),
        Frame::Ping => json!({ "frame": "PING" }),
        Frame::Ack(ack) => ack_meaning(ack),
        Frame::Credit { limit } => json!({ "frame": "CREDIT", "limit": limit }),
        Frame::StreamCredit { role, seq, limit } => {
            json!({ "frame": "STREAM_CREDIT", "role": role_name(role), "seq": seq.0, "limit": limit })
        }
        Frame::Retired(retired) => {
            let listed: Vec<u64> = retired.listed().map(|seq| seq.0).collect();
            json!({ "frame": "RETIRED", "low": retired.low.0, "listed": listed })
        }
        Frame::Reset { role, seq, reason, charge, place } => {
            let mut meaning =
                json!({ "frame": "RESET", "role": role_name(role), "seq": seq.0, "reason": reason, "charge": charge });
            if let Some((channel, position)) = place {
                meaning["channel"] = channel.into();
                meaning["position"] = position.into();
            }
            meaning
        }
        Frame::Stop { role, seq, reason } => {
            json!({ "frame": "STOP", "role": role_name(role), "seq": seq.0, "reason": reason })
        }
        Frame::Taken { channel, limit } => json!({ "frame": "TAKEN", "channel": channel, "limit": limit }),
        Frame::Challenge(data) => json!({ "frame": "CHALLENGE", "data": hex(&data) }),
        Frame::Response(data) => json!({ "frame": "RESPONSE", "data": hex(&data) }),
        Frame::NewId { index, retire, id, reset_token } => {
            let (id, token) = (hex(&id.0), hex(&reset_token.0));
            json!({ "frame": "NEW_ID", "index": index, "retire": retire, "id": id, "reset_token": token })
        }
        Frame::RetireId { index } => json!({ "frame": "RETIRE_ID", "index": index }),
        Frame::Close { scope, code, reason } => {
            let bits = u8::from(scope.closer == Closer::Application) | u8::from(scope.ends_session) << 1;
            json!({ "frame": "CLOSE", "scope": bits, "code": code, "reason": hex(reason) })
        }
        Frame::Drain => json!({ "frame": "DRAIN" }),
        Frame::AckFrequency { count, delay_micros } => {
            json!({ "frame": "ACK_FREQUENCY", "count": count, "delay": delay_micros })
        }
        Frame::Parameters(items) => parameters_meaning(items),
        Frame::Session(session) => json!({
            "frame": "SESSION", "answers": session.answers, "outcome": session.outcome as u8,
            "incarnation": session.incarnation, "session": session.session, "secret": hex(&session.secret.0),
            "lease": session.lease_millis, "reset_token": hex(&session.reset_token.0), "ticket": hex(session.ticket),
        }),
        Frame::Resume { session, proof } => json!({ "frame": "RESUME", "session": session, "proof": hex(&proof) }),
        Frame::Handshake { offset, data } => json!({ "frame": "HANDSHAKE", "offset": offset, "data": hex(data) }),
        Frame::HandshakeAck { epoch, offset } => {
            json!({ "frame": "HANDSHAKE_ACK", "epoch": epoch as u8, "offset": offset })
        }
        Frame::Cancel { seq } => json!({ "frame": "CANCEL", "seq": seq.0 }),
        Frame::Ask { seq } => json!({ "frame": "ASK", "seq": seq.0 }),
        Frame::Progress { seq, state, elapsed_millis, progress } => {
            let (state, progress) = (state as u8, progress.map_or(0, |value| value + 1));
            json!({ "frame": "PROGRESS", "seq": seq.0, "state": state, "elapsed": elapsed_millis, "progress": progress })
        }
        Frame::Resolve { seq } => json!({ "frame": "RESOLVE", "seq": seq.0 }),
        Frame::Busy { after_millis } => json!({ "frame": "BUSY", "after": after_millis }),
        Frame::Private { kind, data } => json!({ "frame": "private", "type": kind, "data": hex(data) }),
        Frame::Data(data) => data_meaning(&data),
    }
}

fn ack_meaning(ack: Ack<'_>) -> Value {
    let ranges: Vec<[u64; 2]> = ack.ranges().map(|range| [*range.start(), *range.end()]).collect();
    match ack.ecn {
        None => json!({ "frame": "ACK", "delay": ack.delay_micros, "ranges": ranges }),
        Some(ecn) => {
            let counts = [ecn.ect0, ecn.ect1, ecn.ce];
            json!({ "frame": "ACK_ECN", "delay": ack.delay_micros, "ranges": ranges, "ecn": counts })
        }
    }
}

fn parameters_meaning(items: &[u8]) -> Value {
    let p = Parameters::decode(items).expect("it was checked");
    let (delay, idle) = (p.ack_delay_max.as_micros() as u64, p.idle_timeout.as_millis() as u64);
    json!({ "frame": "PARAMETERS", "values": [
        p.message_len_max, p.credit, p.exchange_window, p.stream_window, p.datagram_len_max, delay, idle,
        p.alias_count_max, p.channel_count_max, p.metadata_len_max,
    ] })
}

fn data_meaning(data: &Data<'_>) -> Value {
    let form = match data.form {
        Form::Entire => "entire",
        Form::Fragment { .. } => "fragment",
        Form::Stream { .. } => "stream",
        Form::Last { .. } => "last",
    };
    let mut meaning = json!({
        "frame": "data", "role": role_name(data.flow.role()), "form": form, "counted": data.extent == Extent::Counted,
        "data": hex(data.data),
    });
    if let Some(seq) = data.flow.seq() {
        meaning["seq"] = json!(seq.0);
    }
    if form != "entire" {
        meaning["offset"] = json!(data.form.offset());
    }
    if let Form::Fragment { total, .. } = data.form {
        meaning["total"] = json!(total);
    }
    if let Flow::Ordered { channel, position, .. } = data.flow {
        meaning["channel"] = json!(channel);
        meaning["position"] = json!(position);
    }
    if let Flow::Newest { key, order } = data.flow {
        meaning["key"] = json!(key);
        meaning["order"] = json!(order);
    }
    if let Flow::Request { opening: Some(opening), .. } = data.flow {
        meaning["procedure"] = procedure_meaning(opening.procedure);
    }
    if let Flow::Reply { outcome: Some(outcome), .. } = data.flow {
        meaning["status"] = json!(outcome.status.code());
    }
    if let Some(metadata) = data.flow.metadata() {
        meaning["metadata"] = metadata.items().map(|(key, value)| json!([key, hex(value)])).collect();
    }
    meaning
}

fn procedure_meaning(procedure: Procedure) -> Value {
    match procedure {
        Procedure::Alias(alias) => json!({ "alias": alias.get() }),
        Procedure::Full { description, alias } => {
            let options = description.options;
            let bits = options.semantics() as u8
                | u8::from(options.is_one_way()) << 2
                | u8::from(options.has_upward()) << 3
                | u8::from(options.has_downward()) << 4;
            json!({
                "alias": alias.map_or(0, Alias::get), "program": description.program, "version": description.version,
                "procedure": description.procedure, "options": bits, "timeout": description.timeout_millis,
            })
        }
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Message => "MESSAGE",
        Role::Ordered => "ORDERED",
        Role::Request => "REQUEST",
        Role::Reply => "REPLY",
        Role::Upward => "UPWARD",
        Role::Downward => "DOWNWARD",
        Role::Unreliable => "UNRELIABLE",
        Role::Newest => "NEWEST",
    }
}

fn written(frame: &Frame<'_>) -> Vec<u8> {
    let mut out = vec![0; frame.encoded_len()];
    let mut writer = Writer::new(&mut out);
    frame.encode(&mut writer).expect("its own length is enough");
    assert_eq!(writer.room(), 0);
    out
}

fn vectors(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path(file)).expect("vectors lie beside the crates");
    serde_json::from_str(&text).expect("they are JSON")
}

fn path(file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "vectors", file].iter().collect()
}

fn name(vector: &Value) -> &str {
    vector["name"].as_str().expect("each has a name")
}

fn octets(vector: &Value) -> Vec<u8> {
    let hex = vector["hex"].as_str().expect("each has octets");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal")).collect()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
