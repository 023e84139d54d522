//! The simulator: how many events of its virtual time it runs in a second, with the contract checked after each.

use core::net::SocketAddr;
use core::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use posthaste_core::endpoint::{Answer, Event, Remote, Request};
use posthaste_core::{Config, Endpoint, Instant, Outcome};
use posthaste_sim::{Application, Host, LinkConfig, Network, Ppm, World};

/// One end of the line: a caller that keeps some calls under way, or who echoes them.
enum Role {
    Caller { callee: SocketAddr, octets: Vec<u8> },
    Callee,
}

fn events(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sim events");
    group.sample_size(20);
    for (name, len) in [("echoes of 32 octets", 32), ("echoes of 32 KiB", 32 << 10)] {
        // The same in each run: all that is drawn comes from one seed.
        let mut event_count = 0;
        world(len).run_until_done(END, |_| {
            event_count += 1;
            false
        });
        group.throughput(Throughput::Elements(event_count));
        group.bench_function(name, |bencher| {
            let run = |mut world: World<Host<Role>>| {
                world.run_until(END);
                world
            };
            bencher.iter_batched(|| world(len), run, BatchSize::PerIteration);
        });
    }
}

/// Two hosts on a line of 100 Mbit/s with 20 ms of round-trip time, where one datagram in a hundred is lost.
fn world(len: usize) -> World<Host<Role>> {
    let link = LinkConfig {
        delay: Duration::from_millis(10),
        rate: Some(100_000_000),
        queue_len_max: 256 << 10,
        loss: Ppm::percent(1),
        ..LinkConfig::default()
    };
    let mut world = World::new(Network::new(1, link));
    let [caller, callee] = [1, 2].map(|host| SocketAddr::from(([10, 0, 0, host], 4000)));
    world.add(callee, Host::new(callee, config(), 2, Role::Callee));
    world.add(caller, Host::new(caller, config(), 1, Role::Caller { callee, octets: vec![7; len] }));
    world
}

/// Small pools, as most simulations have: to touch large ones for the first time takes longer than the events.
fn config() -> Config {
    let mut config = Config::internet();
    config.peer_count_max = 4;
    config.exchange_count_max = 128;
    config.payload_memory = 8 << 20;
    config.sent_datagram_count_max = 1024;
    config.sent_frame_count_max = 2048;
    config.used_ticket_count_max = 16;
    config
}

impl Role {
    fn call(&self, now: Instant, endpoint: &mut Endpoint<'static>) {
        let Self::Caller { callee, octets } = self else { return };
        let peer = endpoint.peer(now, &Remote { address: *callee, identity: &[] }).expect("a slot is free");
        endpoint.call(now, peer, Request::new(1, 1, 1, octets)).expect("there is room for the call");
    }
}

impl Application for Role {
    fn on_start(&mut self, now: Instant, endpoint: &mut Endpoint<'static>) {
        for _ in 0..CALL_COUNT {
            self.call(now, endpoint);
        }
    }

    fn on_event(&mut self, now: Instant, endpoint: &mut Endpoint<'static>, event: Event) {
        if let Event::CallReceived { call } = event {
            endpoint.begin(now, call).expect("the call is fresh");
            let octets = endpoint.incoming_call(call).expect("the call is open").arguments.to_vec();
            endpoint.reply(now, call, Answer::Ok, &octets, &[]).expect("the call is open");
        } else if let Event::CallEnded { outcome, .. } = event {
            let Outcome::Ok(reply) = outcome else { panic!("{outcome}") };
            endpoint.release(now, reply).expect("the reply is there");
            self.call(now, endpoint);
        }
    }

    fn on_timer(&mut self, _now: Instant, _endpoint: &mut Endpoint<'static>) {}

    fn next_at(&self) -> Option<Instant> {
        None
    }
}

const CALL_COUNT: usize = 16;
const END: Instant = Instant::from_nanos(10_000_000_000);

criterion_group!(benches, events);
criterion_main!(benches);
