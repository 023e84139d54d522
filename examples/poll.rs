//! The core in a loop of one's own: a client and a server, two sockets, one thread and `poll(2)`; no adapter.
//!
//! ```text
//! cargo run -p posthaste-examples --example poll
//! ```

use std::error::Error;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use posthaste_core::ecn::Ecn;
use posthaste_core::endpoint::{Answer, Arrival, Event, Remote, Request};
use posthaste_core::{Config, Endpoint, Instant, Outcome, Storage};

fn main() -> Result<(), Box<dyn Error>> {
    let clock = time::Instant::now();
    let mut server = Port::open("127.0.0.1:0")?;
    let mut client = Port::open("127.0.0.1:0")?;

    let remote = Remote { address: server.socket.local_addr()?, identity: &[] };
    let peer = client.endpoint.peer(since(clock), &remote)?;
    client.endpoint.call(since(clock), peer, Request::new(1, 1, 1, b"hello world"))?;

    let reply = loop {
        let now = since(clock);
        // Events, then datagrams, then sleep: a handler's reply leaves in the same turn.
        while let Some(event) = server.endpoint.poll_event() {
            if let Event::CallReceived { call } = event {
                server.endpoint.begin(now, call)?;
                println!("server: {:?}", String::from_utf8_lossy(server.endpoint.incoming_call(call)?.arguments));
                server.endpoint.reply(now, call, Answer::Ok, b"goodbye world", &[])?;
            }
        }
        if let Some(reply) = client.take_reply(now)? {
            break reply;
        }
        server.transmit(now);
        client.transmit(now);
        wait(&mut server, &mut client, since(clock))?;
        server.receive(since(clock));
        client.receive(since(clock));
    };
    println!("client: {:?}", String::from_utf8_lossy(&reply));
    assert_eq!(reply, b"goodbye world");
    Ok(())
}

/// Sleeps until a datagram has come, or a deadline.
fn wait(server: &mut Port, client: &mut Port, now: Instant) -> io::Result<()> {
    let deadline = [server.endpoint.poll_timeout(), client.endpoint.poll_timeout()].into_iter().flatten().min();
    let timeout = deadline.map_or(PollTimeout::NONE, |deadline| {
        // Rounded up: a sleep that ends a moment too early would be followed by one of no length, and that by another.
        let millis = deadline.saturating_since(now).as_nanos().div_ceil(1_000_000);
        PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
    });
    let mut waiting =
        [PollFd::new(server.socket.as_fd(), PollFlags::POLLIN), PollFd::new(client.socket.as_fd(), PollFlags::POLLIN)];
    match poll(&mut waiting, timeout) {
        // A signal has ended the sleep, as of a program that was stopped and goes on.
        Err(Errno::EINTR) => Ok(()),
        result => Ok(result.map(drop)?),
    }
}

/// A socket and the endpoint that speaks through it.
struct Port {
    socket: UdpSocket,
    endpoint: Endpoint<'static>,
    buffer: Vec<u8>,
}

impl Port {
    fn open(address: &str) -> Result<Self, Box<dyn Error>> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        let config = Config::lan();
        let buffer = vec![0; config.datagram_len_max];
        let storage = Storage::owned(&config);
        Ok(Self { socket, endpoint: Endpoint::new_insecure(config, storage, seed, Instant::ORIGIN)?, buffer })
    }

    fn receive(&mut self, now: Instant) {
        // An error is a lost datagram or the end of what has come, and never the end of the loop.
        while let Ok((len, from)) = self.socket.recv_from(&mut self.buffer) {
            let arrival = Arrival { from, to: None, ecn: Ecn::NotEct };
            // What is rejected is counted, and there is nothing to do about it.
            let _ = self.endpoint.handle_datagram(now, arrival, &mut self.buffer[..len]);
        }
        if self.endpoint.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.endpoint.handle_timeout(now);
        }
    }

    fn transmit(&mut self, now: Instant) {
        while let Some(transmit) = self.endpoint.poll_transmit(now, &mut self.buffer) {
            // What the socket refuses is lost, and will be sent again like anything that is lost.
            let _ = self.socket.send_to(&self.buffer[..transmit.len], transmit.to);
        }
    }

    fn take_reply(&mut self, now: Instant) -> Result<Option<Vec<u8>>, Box<dyn Error>> {
        while let Some(event) = self.endpoint.poll_event() {
            if let Event::CallEnded { outcome, .. } = event {
                let Outcome::Ok(reply) = outcome else { return Err(format!("the call ended: {outcome}").into()) };
                let octets = self.endpoint.payload(reply)?.to_vec();
                self.endpoint.release(now, reply)?;
                return Ok(Some(octets));
            }
        }
        Ok(None)
    }
}

/// Reads the clock as the core wants it: nanoseconds since an origin of our choice.
fn since(origin: time::Instant) -> Instant {
    Instant::ORIGIN.saturating_add(origin.elapsed())
}

#[test]
fn a_call_goes_through_a_loop_of_ones_own() {
    main().unwrap();
}
