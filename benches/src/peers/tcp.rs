//! Plain TCP.

use core::net::SocketAddr;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use super::stream::{COUNT_LEN, Calls, Service, message};
use super::{Block, Client};

/// Serves each connection on a thread of its own.
pub(super) fn serve(address: SocketAddr, on_listening: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    on_listening(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        // How a connection ends is seen by its client.
        thread::spawn(|| drop(serve_connection(stream)));
    }
}

fn serve_connection(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut service, mut replies) = (Service::new(), Vec::new());
    loop {
        let len = read(&mut stream, service.space())?;
        service.handle(len, &mut replies);
        stream.write_all(&replies)?;
        replies.clear();
    }
}

/// A connection.
pub(super) struct Conversation(TcpStream);

impl Conversation {
    pub(super) fn open(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }
}

impl Client for Conversation {
    fn echo(&mut self, len: usize, in_flight: usize, block: Block) -> io::Result<Block> {
        let (mut calls, mut requests) = (Calls::new(len, in_flight, block), Vec::new());
        while calls.begin(&mut requests) {
            self.0.write_all(&requests)?;
            requests.clear();
            let len = read(&mut self.0, calls.space())?;
            calls.handle(len);
        }
        Ok(calls.into_block())
    }

    fn bulk(&mut self, len: usize, mut block: Block) -> io::Result<u64> {
        let full = message(len);
        loop {
            match block.begin(Instant::now(), len) {
                0 => break,
                begun if begun == len => self.0.write_all(&full)?,
                begun => self.0.write_all(&message(begun))?,
            }
        }
        self.0.write_all(&message(0))?;
        let mut count = [0; COUNT_LEN];
        self.0.read_exact(&mut count)?;
        Ok(u64::from_le_bytes(count))
    }
}

fn read(stream: &mut TcpStream, space: &mut [u8]) -> io::Result<usize> {
    match stream.read(space)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        len => Ok(len),
    }
}
