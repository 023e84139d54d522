//! Plain UDP: a datagram for each call, one for each reply.

use core::cell::Cell;
use core::net::SocketAddr;
use std::io::{self, stdin, stdout};
use std::net::UdpSocket;
use std::time::Instant;

use super::pipeline::Pipeline;
use super::{ANSWER_TIMEOUT, no_answer, unknown_work};
use crate::bench::convention::{self, ClientOptions, Work};
use crate::failure::Failure;

/// Sends every datagram back to where it came from, for ever.
pub(super) fn serve(address: SocketAddr) -> Result<(), Failure> {
    let socket =
        UdpSocket::bind(address).map_err(|error| Failure::local(format_args!("cannot listen on {address}"), &error))?;
    convention::announce_ready(&mut stdout())?;
    let mut buffer = vec![0; DATAGRAM_LEN_MAX];
    loop {
        // An error is about one datagram, and its caller sees that no answer comes.
        if let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..len], from);
        }
    }
}

/// Calls as the options say.
pub(super) fn run_client(options: &ClientOptions) -> Result<(), Failure> {
    let Work::Echo { size, inflight } = options.work else { return Err(unknown_work(options)) };
    // What is open has to fit into the receive buffers.
    if size.get() > CALL_LEN_MAX || inflight.get() > CALL_COUNT_MAX {
        return Err(unknown_work(options));
    }
    let socket = connect(options.addr).map_err(|error| no_answer(&error))?;
    let datagram_count = Cell::new(0);
    convention::run_client(
        options,
        stdin().lock(),
        &mut stdout(),
        || Some(datagram_count.get()),
        |limit, latency| {
            let mut pipeline = Pipeline::new(inflight.get(), limit, latency);
            echo(&socket, size.get(), &mut pipeline).map_err(|error| no_answer(&error))?;
            datagram_count.set(datagram_count.get() + 2 * pipeline.sent_count());
            Ok(pipeline.sent_count())
        },
    )
}

fn connect(address: SocketAddr) -> io::Result<UdpSocket> {
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(socket)
}

/// Loopback neither loses nor reorders while the receive buffer holds what is open, so a lost call is an error.
fn echo(socket: &UdpSocket, size: usize, pipeline: &mut Pipeline<'_>) -> io::Result<()> {
    let call = vec![0x5a; size];
    let mut reply = vec![0; size];
    loop {
        for _ in 0..pipeline.open_calls(Instant::now()) {
            socket.send(&call)?;
        }
        if !pipeline.is_open() {
            return Ok(());
        }
        socket.recv(&mut reply)?;
        pipeline.close_calls(Instant::now(), 1);
    }
}

/// Longer than any UDP payload.
const DATAGRAM_LEN_MAX: usize = 65_536;

/// The longest call that goes into one datagram of an Ethernet.
const CALL_LEN_MAX: usize = 1472;

/// So many of the longest calls fit into a receive buffer of 208 KiB, of which Linux charges each about 2.3 KiB.
pub(super) const CALL_COUNT_MAX: usize = 64;
