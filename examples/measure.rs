//! Rung 7, measure: what a call costs beside a plain UDP socket on the same machine.
//!
//! Latency is measured in blocks that take turns, plain socket and call, and told as the median of the ratios of neighbours:
//! what else the machine does then falls on both.
//!
//! ```text
//! cargo run --release -p posthaste-examples --example measure
//! ```

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use posthaste_core::endpoint;
use posthaste_core::endpoint::{Arrival, Event, Remote, Request};
use posthaste_core::{Endpoint, Instant as CoreInstant, Storage};
use posthaste_std::{Answer, Client, Config, Delivery, Incoming, Inline, Server};

fn main() -> Result<(), Box<dyn Error>> {
    measure(31, 200, 64)
}

fn measure(block_count: usize, call_count: u32, bulk_mib: usize) -> Result<(), Box<dyn Error>> {
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), Inline(echo))?;
    let client = Client::connect_insecure(server.local_addr(), Config::lan())?;
    let plain = Plain::connect()?;

    let mut blocks = Vec::new();
    for _ in 0..block_count {
        let plain = time(call_count, || plain.round_trip())?;
        let call = time(call_count, || {
            client.call(1, 1, 1, &PING)?;
            Ok(())
        })?;
        blocks.push((call / plain, plain, call));
    }
    blocks.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, plain, call) = blocks[block_count / 2];
    println!("latency             {call:.1} µs a call, {plain:.1} µs over a plain socket: {ratio:.2} times");
    println!("bandwidth           {:.0} MiB/s", bandwidth(&server, &client, bulk_mib)?);
    println!("datagrams per call  {:.2} in a row of {call_count}", datagrams_per_call(call_count)?);
    Ok(())
}

/// Returns the mean time of one turn of `work`, in microseconds.
fn time(count: u32, mut work: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    for _ in 0..count {
        work()?;
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / f64::from(count))
}

/// Returns how fast a stream arrives, in MiB/s.
fn bandwidth(server: &Server, client: &Client, len_mib: usize) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut stream = server.accept_stream(None).map_err(|error| error.to_string())?;
            let mut buffer = vec![0; 64 << 10];
            while stream.read(&mut buffer).map_err(|error| error.to_string())? > 0 {}
            Ok::<(), String>(())
        });
        let mut stream = client.open_stream(Delivery::Reliable)?;
        for _ in 0..len_mib {
            stream.write_all(&[7; 1 << 20])?;
        }
        stream.finish()?;
        client.flush()?;
        reader.join().expect("the reader does not panic")?;
        Ok(len_mib as f64 / start.elapsed().as_secs_f64())
    })
}

/// Counts what two endpoints without sockets say to each other for a row of calls on an open conversation.
fn datagrams_per_call(call_count: u32) -> Result<f64, Box<dyn Error>> {
    let now = CoreInstant::ORIGIN;
    let (here, there): (SocketAddr, SocketAddr) = ("10.0.0.1:4000".parse()?, "10.0.0.2:4000".parse()?);
    let make = |seed| Endpoint::new_insecure(Config::lan(), Storage::owned(&Config::lan()), [seed; 32], now);
    let (mut client, mut server) = (make(1)?, make(2)?);
    let peer = client.peer(now, &Remote { address: there, identity: &[] })?;
    let mut buffer = vec![0; Config::lan().datagram_len_max];
    let (mut datagram_count, mut before) = (0_u32, 0);
    for number in 0..=call_count {
        if number == 1 {
            // The first call opened the conversation.
            before = datagram_count;
        }
        client.call(now, peer, Request::new(1, 1, 1, &PING))?;
        loop {
            let count = datagram_count;
            while let Some(transmit) = client.poll_transmit(now, &mut buffer) {
                datagram_count += 1;
                let arrival = Arrival { from: here, to: None, ecn: transmit.ecn };
                server.handle_datagram(now, arrival, &mut buffer[..transmit.len])?;
            }
            while let Some(event) = server.poll_event() {
                if let Event::CallReceived { call } = event {
                    server.begin(now, call)?;
                    server.reply(now, call, endpoint::Answer::Ok, &PING, &[])?;
                }
            }
            while let Some(transmit) = server.poll_transmit(now, &mut buffer) {
                datagram_count += 1;
                let arrival = Arrival { from: there, to: None, ecn: transmit.ecn };
                client.handle_datagram(now, arrival, &mut buffer[..transmit.len])?;
            }
            while let Some(event) = client.poll_event() {
                if let Event::CallEnded { outcome: posthaste_core::Outcome::Ok(reply), .. } = event {
                    client.release(now, reply)?;
                }
            }
            if datagram_count == count {
                break;
            }
        }
    }
    Ok(f64::from(datagram_count - before) / f64::from(call_count))
}

fn echo(call: &Incoming<'_>, reply: &mut Vec<u8>) -> Answer {
    reply.extend_from_slice(call.arguments());
    Answer::Ok
}

/// A plain socket whose other end echoes, for as long as the program runs.
struct Plain(UdpSocket);

impl Plain {
    fn connect() -> Result<Self, Box<dyn Error>> {
        let (client, server) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
        client.connect(server.local_addr()?)?;
        // A datagram may get lost even here, and nobody repeats it.
        client.set_read_timeout(Some(Duration::from_secs(5)))?;
        thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((len, from)) = server.recv_from(&mut buffer) {
                let _ = server.send_to(&buffer[..len], from);
            }
        });
        Ok(Self(client))
    }

    fn round_trip(&self) -> Result<(), Box<dyn Error>> {
        self.0.send(&PING)?;
        self.0.recv(&mut [0; 2048])?;
        Ok(())
    }
}

const PING: [u8; 64] = [7; 64];

#[test]
fn a_call_in_a_row_of_calls_costs_two_datagrams() {
    measure(3, 20, 4).unwrap();
    assert!((datagrams_per_call(1000).unwrap() - 2.0).abs() < 0.01);
}
