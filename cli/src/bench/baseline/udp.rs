//! Plain UDP: a datagram for each call, one for each reply.

use alloc::collections::VecDeque;
use core::cell::Cell;
use core::net::SocketAddr;
use std::io::{self, stdin, stdout};
use std::net::UdpSocket;
use std::time::Instant;

use super::pipeline::Pipeline;
use super::{ANSWER_TIMEOUT, no_answer, uninterrupted, unknown_work};
use crate::bench::convention::{self, ClientOptions, Latency, Work};
use crate::bench::load::{self, Schedule};
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
    let (size, call_count_max) = match options.work {
        Work::Echo { size, inflight } => (size.get(), inflight.get()),
        Work::Load { size, .. } => (size.get(), CALL_COUNT_MAX),
        Work::Upload { .. } | Work::Bulk { .. } | Work::Send { .. } => return Err(unknown_work(options)),
    };
    // What is open has to fit into the receive buffers.
    if size > CALL_LEN_MAX || call_count_max > CALL_COUNT_MAX {
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
            let sent_count = match options.work {
                Work::Load { rate, .. } => self::load(&socket, size, Schedule::begin(rate, limit), latency),
                Work::Echo { .. } | Work::Upload { .. } | Work::Bulk { .. } | Work::Send { .. } => {
                    echo(&socket, size, Pipeline::new(call_count_max, limit, latency))
                }
            };
            let sent_count = sent_count.map_err(|error| no_answer(&error))?;
            datagram_count.set(datagram_count.get() + 2 * sent_count);
            Ok(sent_count)
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
fn echo(socket: &UdpSocket, size: usize, mut pipeline: Pipeline<'_>) -> io::Result<u64> {
    let call = vec![0x5a; size];
    let mut reply = vec![0; size];
    loop {
        for _ in 0..pipeline.open_calls(Instant::now()) {
            socket.send(&call)?;
        }
        if !pipeline.is_open() {
            return Ok(pipeline.sent_count());
        }
        uninterrupted(|| socket.recv(&mut reply))?;
        pipeline.close_calls(Instant::now(), 1);
    }
}

/// Sends each call when it is due, as [`echo`] otherwise.
fn load(socket: &UdpSocket, size: usize, mut schedule: Schedule, latency: &mut Latency) -> io::Result<u64> {
    let call = vec![0x5a; size];
    let mut reply = vec![0; size];
    let mut open = VecDeque::with_capacity(CALL_COUNT_MAX);
    let mut sent_count = 0;
    socket.set_nonblocking(true)?;
    let mut now = Instant::now();
    while let Some(due) = schedule.next_due(now) {
        if due <= now && open.len() < CALL_COUNT_MAX {
            socket.send(&call)?;
            schedule.advance();
            open.push_back(due);
            sent_count += 1;
        } else if open.is_empty() {
            load::sleep_before(due, now);
        } else {
            match uninterrupted(|| socket.recv(&mut reply)) {
                Ok(_) => open.pop_front().into_iter().for_each(|due| latency.record(due.elapsed())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        now = Instant::now();
    }
    schedule.give_up(now, latency);
    socket.set_nonblocking(false)?;
    for due in open {
        uninterrupted(|| socket.recv(&mut reply))?;
        latency.record(due.elapsed());
    }
    Ok(sent_count)
}

/// Longer than any UDP payload.
const DATAGRAM_LEN_MAX: usize = 65_536;

/// The longest call that goes into one datagram of an Ethernet.
pub(in crate::bench) const CALL_LEN_MAX: usize = 1472;

/// So many of the longest calls fit into a receive buffer of 208 KiB, of which Linux charges each about 2.3 KiB.
pub(in crate::bench) const CALL_COUNT_MAX: usize = 64;
