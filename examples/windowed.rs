//! Rung 4, windowed: many fragments in flight, under five laws of congestion control.
//!
//! One message crosses a simulated link of 20 Mbit/s and 20 ms of round trip, with a queue of 50 kB, first clean, then with
//! one datagram in a thousand lost. Time is virtual and chance comes from a seed: the figures are the same at each run.
//!
//! ```text
//! cargo run --release -p posthaste-examples --example windowed
//! ```

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use posthaste_core::congestion::Algorithm;
use posthaste_core::endpoint::{self, Body, Delivery, Event, Message, Remote};
use posthaste_core::{Config, Endpoint, Instant, Storage};
use posthaste_sim::{Arrival, LinkConfig, Network, Node, Ppm, Transmit, World};

fn main() -> Result<(), Box<dyn Error>> {
    println!("{:<14} {:>14} {:>14}   of 20 Mbit/s", "", "clean", "0.1 % lost");
    for (name, algorithm) in LAWS {
        let clean = goodput(algorithm, Ppm::NEVER)?;
        let lossy = goodput(algorithm, Ppm(1000))?;
        println!("{name:<14} {clean:>9.2} Mbit/s {lossy:>7.2} Mbit/s");
    }
    Ok(())
}

/// Returns in Mbit/s how fast a message crosses the link.
fn goodput(algorithm: Algorithm, loss: Ppm) -> Result<f64, Box<dyn Error>> {
    let link = LinkConfig {
        delay: Duration::from_millis(10),
        rate: Some(20_000_000),
        queue_len_max: 50_000,
        mtu: 1500,
        loss,
        ..LinkConfig::default()
    };
    let mut config = Config::internet();
    config.congestion = algorithm;
    config.message_len_max = MESSAGE_LEN;
    // Larger than a datagram gets on this link is not looked for.
    config.datagram_len_max = 1472;

    let (here, there): (SocketAddr, SocketAddr) = ("10.0.0.1:4000".parse()?, "10.0.0.2:4000".parse()?);
    let mut world = World::new(Network::new(1, link));
    world.set_timeout_count_max(10_000);
    let sender = world.add(here, Host::new(here, config.clone(), 1)?);
    let receiver = world.add(there, Host::new(there, config, 2)?);

    let sent = world.command(sender, |host, now| {
        let peer = host.endpoint.peer(now, &Remote { address: there, identity: &[] })?;
        let body = Body::Copied(&[7; MESSAGE_LEN]);
        host.endpoint.send(now, peer, Message { delivery: Delivery::Reliable, priority: 1, body })?;
        Ok::<(), Box<dyn Error>>(())
    });
    sent.ok_or("the sender is up")??;
    let end = world.now().saturating_add(Duration::from_secs(600));
    if !world.run_until_done(end, |world| world.node(receiver).received_len == MESSAGE_LEN) {
        return Err(format!("{algorithm:?} does not get the message across").into());
    }
    let seconds = world.now().saturating_since(Instant::ORIGIN).as_secs_f64();
    Ok(MESSAGE_LEN as f64 * 8.0 / seconds / 1e6)
}

/// An endpoint on the simulated network, and how much it was sent.
struct Host {
    endpoint: Endpoint<'static>,
    address: SocketAddr,
    received_len: usize,
}

impl Host {
    fn new(address: SocketAddr, config: Config, seed: u8) -> Result<Self, Box<dyn Error>> {
        let storage = Storage::owned(&config);
        let endpoint = Endpoint::new_insecure(config, storage, [seed; 32], Instant::ORIGIN)?;
        Ok(Self { endpoint, address, received_len: 0 })
    }

    fn drain_events(&mut self, now: Instant) {
        while let Some(event) = self.endpoint.poll_event() {
            if let Event::MessageReceived { message, .. } = event {
                self.received_len += self.endpoint.payload(message).map_or(0, <[u8]>::len);
                self.endpoint.release(now, message).expect("a message is released once");
            }
        }
    }
}

impl Node for Host {
    fn handle_datagram(&mut self, now: Instant, arrival: Arrival, datagram: &mut [u8]) {
        let arrival = endpoint::Arrival { from: arrival.from, to: Some(arrival.to.ip()), ecn: arrival.ecn };
        // What is rejected is counted, and the loop goes on.
        let _ = self.endpoint.handle_datagram(now, arrival, datagram);
        self.drain_events(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        self.drain_events(now);
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        let transmit = self.endpoint.poll_transmit(now, out)?;
        Some(Transmit { from: self.address, to: transmit.to, ecn: transmit.ecn, len: transmit.len })
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.endpoint.poll_timeout()
    }

    fn restart(&mut self, _: Instant) {}

    fn check(&self, _: Instant) {}
}

const LAWS: [(&str, Algorithm); 5] = [
    ("stop and wait", Algorithm::StopAndWait),
    ("fixed, 16 KiB", Algorithm::Fixed { window: 16 << 10 }),
    ("NewReno", Algorithm::NewReno),
    ("CUBIC", Algorithm::Cubic),
    ("BBR", Algorithm::Bbr),
];

const MESSAGE_LEN: usize = 4_000_000;

#[test]
fn a_window_beats_stop_and_wait() {
    let [stop_and_wait, fixed, reno, cubic, bbr] =
        LAWS.map(|(_, algorithm)| goodput(algorithm, Ppm::NEVER).expect("the message gets across"));
    assert!(fixed > 5.0 * stop_and_wait, "{fixed} {stop_and_wait}");
    assert!(reno > fixed && cubic > fixed && bbr > fixed, "{reno} {cubic} {bbr} {fixed}");
}
