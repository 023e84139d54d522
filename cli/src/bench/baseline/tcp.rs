//! Plain TCP: messages of one length for echo, with their length before them for bulk.
//!
//! The first octet that a client sends says which of the two the connection is for.

use core::net::SocketAddr;
use std::io::{self, Read, Write, stdin, stdout};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use super::pipeline::Pipeline;
use super::{ANSWER_TIMEOUT, no_answer, uninterrupted, unknown_work};
use crate::bench::convention::{self, ClientOptions, Limit, Work};
use crate::failure::{Code, Failure};

/// Serves each connection on a thread of its own, for ever.
pub(super) fn serve(address: SocketAddr) -> Result<(), Failure> {
    let listener = TcpListener::bind(address)
        .map_err(|error| Failure::local(format_args!("cannot listen on {address}"), &error))?;
    convention::announce_ready(&mut stdout())?;
    loop {
        if let Ok((stream, _)) = listener.accept() {
            // How a connection ends is seen by its client.
            std::thread::spawn(|| drop(serve_connection(stream)));
        }
    }
}

/// Calls or sends as the options say.
pub(super) fn run_client(options: &ClientOptions) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(options.addr)
        .map_err(|error| Failure::new(Code::Connect, format_args!("cannot connect to {}: {error}", options.addr)))?;
    let tune = |stream: &TcpStream| stream.set_nodelay(true).and(stream.set_read_timeout(Some(ANSWER_TIMEOUT)));
    tune(&stream).map_err(|error| Failure::local("cannot set socket options", &error))?;
    match options.work {
        Work::Echo { size, inflight } => {
            // Both ends write before they read; what is open has to fit into the socket buffers between them.
            if size.get().checked_mul(inflight.get()).is_none_or(|len| len > BUFFER_LEN) {
                return Err(unknown_work(options));
            }
            stream.write_all(&[ECHO]).map_err(|error| no_answer(&error))?;
            let mut buffer = vec![0; BUFFER_LEN];
            convention::run_client(
                options,
                stdin().lock(),
                &mut stdout(),
                || None,
                |limit, latency| {
                    let mut pipeline = Pipeline::new(inflight.get(), limit, latency);
                    echo(&mut stream, size.get(), &mut buffer, &mut pipeline).map_err(|error| no_answer(&error))?;
                    Ok(pipeline.sent_count())
                },
            )
        }
        Work::Load { .. } | Work::Upload { .. } | Work::Send { .. } => Err(unknown_work(options)),
        Work::Bulk { msg } => {
            stream.write_all(&[BULK]).map_err(|error| no_answer(&error))?;
            let mut message = vec![0x5a; LEN_LEN + msg.get()];
            convention::run_client(
                options,
                stdin().lock(),
                &mut stdout(),
                || None,
                |limit, _| bulk(&mut stream, &mut message, limit).map_err(|error| no_answer(&error)),
            )
        }
    }
}

/// Sends all calls that may be open in one write, and takes all replies that are there in one read.
fn echo(stream: &mut TcpStream, size: usize, buffer: &mut [u8], pipeline: &mut Pipeline<'_>) -> io::Result<()> {
    let calls = vec![0x5a; BUFFER_LEN];
    let mut partial_len = 0;
    loop {
        let count = pipeline.open_calls(Instant::now());
        stream.write_all(&calls[..count * size])?;
        if !pipeline.is_open() {
            return Ok(());
        }
        partial_len += read_some(stream, buffer)?;
        pipeline.close_calls(Instant::now(), partial_len / size);
        partial_len %= size;
    }
}

/// Sends messages until the limit, the last one as short as need be, and returns how many octets of them the server's
/// application got. `message` has room for the length before the octets.
fn bulk(stream: &mut TcpStream, message: &mut [u8], limit: Limit) -> io::Result<u64> {
    let len_max = message.len() - LEN_LEN;
    let mut sent_len = 0;
    loop {
        let left = usize::try_from(limit.left(Instant::now(), sent_len)).unwrap_or(usize::MAX);
        let len = left.min(len_max);
        let len_octets = (len as u64).to_be_bytes();
        message[..LEN_LEN].copy_from_slice(&len_octets);
        stream.write_all(&message[..LEN_LEN + len])?;
        if len == 0 {
            // The empty message is the question; the server answers it.
            return read_len(stream);
        }
        sent_len += len as u64;
    }
}

fn serve_connection(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    match kind[0] {
        ECHO => serve_echo(&mut stream),
        BULK => serve_bulk(&mut stream),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Sends back what came as it came: a reply is the octets of its call, so where one ends does not matter.
fn serve_echo(stream: &mut TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_LEN];
    loop {
        let len = read_some(stream, &mut buffer)?;
        stream.write_all(&buffer[..len])?;
    }
}

/// Takes whole messages; an empty one asks how many octets came since the last such question.
fn serve_bulk(stream: &mut TcpStream) -> io::Result<()> {
    let mut message = Vec::new();
    let mut taken_len = 0;
    loop {
        let len = read_len(stream)?;
        if len == 0 {
            stream.write_all(&u64::to_be_bytes(taken_len))?;
            taken_len = 0;
            continue;
        }
        if len > MESSAGE_LEN_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        message.resize(usize::try_from(len).map_err(io::Error::other)?, 0);
        stream.read_exact(&mut message)?;
        taken_len += len;
    }
}

fn read_some(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    match uninterrupted(|| stream.read(buffer))? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        len => Ok(len),
    }
}

fn read_len(stream: &mut TcpStream) -> io::Result<u64> {
    let mut len = [0; LEN_LEN];
    stream.read_exact(&mut len)?;
    Ok(u64::from_be_bytes(len))
}

const ECHO: u8 = b'E';
const BULK: u8 = b'B';

/// Octets of the length before a message.
const LEN_LEN: usize = 8;

/// Octets read at once, and those of calls open at once.
const BUFFER_LEN: usize = 64 * 1024;

/// The longest message that a server takes memory for.
const MESSAGE_LEN_MAX: u64 = 64 << 20;
