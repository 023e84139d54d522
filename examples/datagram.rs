//! Rung 1, datagrams: a client says `hello world`, and the server answers `goodbye world`.
//!
//! What arrives is what was sent, since each datagram ends in a checksum. It may arrive twice, late or never: nobody here
//! keeps a copy, so a lost greeting stays lost. The rungs above this one mend that.
//!
//! ```text
//! cargo run -p posthaste-examples --example datagram                            both, in two threads
//! cargo run -p posthaste-examples --example datagram -- server 127.0.0.1:4000   one terminal
//! cargo run -p posthaste-examples --example datagram -- client localhost:4000   another
//! ```

use std::env;
use std::error::Error;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use posthaste_core::crypto::{Generation, Plain, open_datagram, seal_datagram, tag_len};
use posthaste_core::ecn::Ecn;
use posthaste_core::wire::{
    Carrier, ConversationId, Data, Epoch, Extent, Flow, Form, Frame, Frames, Header, NumberField, Phase, ShortHeader,
    Side, TruncatedNumber, Writer, check,
};
use posthaste_udp::{Options, RecvBatch, SendBatch, Socket, Waiting};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["server", address] => serve(Wire::open(resolve(address)?, Side::Server)?),
        ["client", address] => greet(resolve(address)?),
        _ => demonstrate(),
    }
}

fn demonstrate() -> Result<(), Box<dyn Error>> {
    let wire = Wire::open(resolve("localhost:0")?, Side::Server)?;
    let address = wire.socket.local_addr();
    let server = thread::spawn(|| serve(wire).map_err(|error| error.to_string()));
    greet(address)?;
    server.join().expect("the server does not panic")?;
    Ok(())
}

/// Answers one greeting.
fn serve(mut wire: Wire) -> Result<(), Box<dyn Error>> {
    let (client, text) = wire.receive(Duration::from_secs(60))?.ok_or("nobody came")?;
    println!("server: {client} says {text:?}");
    wire.send(client, "goodbye world")?;
    Ok(())
}

/// Says hello, and waits a moment for the answer.
fn greet(server: SocketAddr) -> Result<(), Box<dyn Error>> {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let mut wire = Wire::open(any.parse()?, Side::Client)?;
    wire.send(server, "hello world")?;
    let (server, text) = wire.receive(Duration::from_secs(5))?.ok_or("no answer: one of the datagrams was lost")?;
    println!("client: {server} says {text:?}");
    assert_eq!(text, "goodbye world");
    Ok(())
}

fn resolve(name: &str) -> Result<SocketAddr, Box<dyn Error>> {
    Ok(name.to_socket_addrs()?.next().ok_or("the name leads to no address")?)
}

/// A socket through which short texts go, one a datagram.
struct Wire {
    socket: Socket,
    side: Side,
    outgoing: SendBatch,
    incoming: RecvBatch,
    /// The number of the next datagram.
    number: u64,
}

impl Wire {
    fn open(address: SocketAddr, side: Side) -> io::Result<Self> {
        let options = Options { waiting: Waiting::InRecv, ..Options::default() };
        let socket = Socket::bind(address, &options)?;
        Ok(Self { socket, side, outgoing: SendBatch::new(LEN_MAX), incoming: RecvBatch::new(1), number: 0 })
    }

    fn send(&mut self, to: SocketAddr, text: &str) -> Result<(), Box<dyn Error>> {
        let datagram = self.outgoing.slot().expect("an empty batch has room");
        let len = encode(self.number, text.as_bytes(), datagram)?;
        self.number += 1;
        self.outgoing.commit(len, to, None, Ecn::NotEct);
        self.socket.send(&mut self.outgoing)?;
        Ok(())
    }

    /// Waits for a text; what is not intact or not ours is passed over.
    fn receive(&mut self, timeout: Duration) -> io::Result<Option<(SocketAddr, String)>> {
        let end = Instant::now() + timeout;
        loop {
            while let Some(datagram) = self.incoming.next_datagram() {
                if let Some(text) = decode(self.side, datagram.payload) {
                    return Ok(Some((datagram.from, text)));
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.recv_timeout(&mut self.incoming, Some(left))?;
        }
    }
}

/// Writes a datagram: header, one frame, checksum. Returns its length.
fn encode(number: u64, text: &[u8], datagram: &mut [u8]) -> Result<usize, Box<dyn Error>> {
    let mut writer = Writer::new(datagram);
    let truncated = TruncatedNumber::new(number, number).ok_or("a number is near itself")?;
    ShortHeader { to: CONVERSATION }.encode(Phase::Zero, truncated, &mut writer)?;
    let body = Data { flow: Flow::Unreliable, form: Form::Entire, extent: Extent::Rest, data: text };
    Frame::Data(body).encode(&mut writer)?;
    let len = writer.len() + tag_len(&Plain, Epoch::Data);
    seal_datagram(&mut Plain, 0, Epoch::Data, number, &mut datagram[..len], ShortHeader::NUMBER_OFFSET)
        .map_err(|_| "there is room for the checksum")?;
    Ok(len)
}

/// Reads a datagram in the order that nobody can cheat: form, checksum, all frames, then the one that is wanted.
fn decode(side: Side, datagram: &mut [u8]) -> Option<String> {
    let Header::Short(ShortHeader { to: CONVERSATION }) = Header::peek(datagram).ok()? else { return None };
    let field = NumberField::read(datagram, ShortHeader::NUMBER_OFFSET).ok()?;
    let sender = if side == Side::Client { Side::Server } else { Side::Client };
    let carrier = Carrier { epoch: Epoch::Data, sender, datagram_len: datagram.len() };
    let number = field.number.expand(None);
    let frames =
        open_datagram(&Plain, 0, Epoch::Data, Generation::Current, number, datagram, field.frames_offset).ok()?;
    check(frames, carrier).ok()?;
    Frames::new(frames).find_map(|frame| match frame {
        Ok(Frame::Data(Data { flow: Flow::Unreliable, form: Form::Entire, data, .. })) => {
            Some(String::from_utf8_lossy(data).into_owned())
        }
        _ => None,
    })
}

/// Nobody negotiates on this rung: both sides know the name of their conversation.
const CONVERSATION: ConversationId = ConversationId(*b"greeting");

/// Every path carries as much (RFC 8899 §5.1.2).
const LEN_MAX: usize = 1200;

#[test]
fn hello_is_answered_with_goodbye() {
    demonstrate().unwrap();
}

#[test]
fn a_damaged_datagram_is_passed_over() {
    let mut datagram = [0; LEN_MAX];
    let len = encode(7, b"hello world", &mut datagram).unwrap();
    for index in 0..len {
        let mut damaged = datagram;
        damaged[index] ^= 0x10;
        assert_eq!(decode(Side::Server, &mut damaged[..len]), None);
    }
    assert_eq!(decode(Side::Server, &mut datagram[..len]).as_deref(), Some("hello world"));
}
