//! Plain UDP: a datagram a call and one a reply, each sent and received by a system call of its own.

use core::hint;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::net::UdpSocket;
use std::time::Instant;

use socket2::SockRef;

use super::{Block, Client, SOCKET_BUFFER_LEN, Waiting};

/// Opens a socket with buffers for all calls that may be open.
pub(super) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    SockRef::from(&socket).set_recv_buffer_size(SOCKET_BUFFER_LEN)?;
    SockRef::from(&socket).set_send_buffer_size(SOCKET_BUFFER_LEN)?;
    Ok(socket)
}

/// Returns the address that leaves the choice to the system.
pub(super) fn any() -> SocketAddr {
    SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0)
}

/// Sends each datagram back.
pub(super) fn serve(address: SocketAddr, waiting: Waiting, on_listening: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let socket = bind(address)?;
    socket.set_nonblocking(waiting == Waiting::Spinning)?;
    on_listening(socket.local_addr()?);
    let mut datagram = vec![0; DATAGRAM_LEN_MAX];
    loop {
        // An error is about one datagram, and its caller sees that no answer comes.
        if let Ok((len, from)) = socket.recv_from(&mut datagram) {
            let _ = socket.send_to(&datagram[..len], from);
        }
    }
}

/// A socket of one server.
pub(super) struct Conversation {
    socket: UdpSocket,
    waiting: Waiting,
    /// Number of the next call.
    next: u64,
}

impl Conversation {
    pub(super) fn open(server: SocketAddr, waiting: Waiting) -> io::Result<Self> {
        let socket = bind(any())?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_nonblocking(waiting == Waiting::Spinning)?;
        Ok(Self { socket, waiting, next: 0 })
    }

    /// Receives a datagram; [`WouldBlock`](io::ErrorKind::WouldBlock) if none comes within some patience.
    fn recv(&self, datagram: &mut [u8]) -> io::Result<usize> {
        let look_count = if self.waiting == Waiting::Spinning { PATIENT_LOOK_COUNT } else { 1 };
        for _ in 1..look_count {
            match self.socket.recv(datagram) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => hint::spin_loop(),
                received => return received,
            }
        }
        self.socket.recv(datagram)
    }

    fn send(&self, datagram: &mut [u8], call: u64) -> io::Result<()> {
        datagram[..NUMBER_LEN].copy_from_slice(&call.to_le_bytes());
        self.socket.send(datagram).map(drop)
    }
}

impl Client for Conversation {
    /// A call's number is part of its octets, which are at least as many.
    fn echo(&mut self, len: usize, in_flight: usize, mut block: Block) -> io::Result<Block> {
        let mut request = vec![0x5a; len.max(NUMBER_LEN)];
        let mut reply = vec![0; DATAGRAM_LEN_MAX];
        // Number and begin of the call in each place.
        let mut open = vec![None; in_flight];
        let mut open_count = 0;
        for place in 0..in_flight as u64 {
            open_count += usize::from(self.begin(place, &mut open, &mut request, &mut block)?);
        }
        while open_count > 0 {
            match self.recv(&mut reply) {
                Ok(_) => {
                    let number = u64::from_le_bytes(*reply.first_chunk().expect("the buffer is longer"));
                    let place = number % in_flight as u64;
                    // What was asked for twice may be answered twice.
                    let Some((_, begun_at)) = open[place as usize].take_if(|(open, _)| *open == number) else {
                        continue;
                    };
                    block.end(Instant::now(), begun_at);
                    open_count -= 1;
                    open_count += usize::from(self.begin(place, &mut open, &mut request, &mut block)?);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    for (number, _) in open.iter().flatten() {
                        self.send(&mut request, *number)?;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(block)
    }

    fn bulk(&mut self, _len: usize, _block: Block) -> io::Result<u64> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "UDP alone neither keeps order nor makes up for what is lost"))
    }
}

impl Conversation {
    /// Makes a call if one may begin, with a number whose remainder is its place.
    fn begin(
        &mut self,
        place: u64,
        open: &mut [Option<(u64, Instant)>],
        request: &mut [u8],
        block: &mut Block,
    ) -> io::Result<bool> {
        let now = Instant::now();
        if block.begin(now, 1) == 0 {
            return Ok(false);
        }
        let in_flight = open.len() as u64;
        self.next += in_flight;
        let number = self.next - self.next % in_flight + place;
        open[place as usize] = Some((number, now));
        self.send(request, number)?;
        Ok(true)
    }
}

const NUMBER_LEN: usize = 8;
const DATAGRAM_LEN_MAX: usize = 65_536;
/// How long a reply is awaited before its call is sent again.
const PATIENCE: Duration = Duration::from_millis(200);
/// As long about, in looks: none of them takes the time of a look at the clock besides.
const PATIENT_LOOK_COUNT: u32 = 500_000;
