//! Which faults a seed brings.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use posthaste_core::Instant;

use crate::link::{Burst, Duplicate, EcnPolicy, LinkConfig, Outage, Ppm};
use crate::network::Replay;
use crate::rng::Rng;
use crate::world::{Node, NodeId, World};

/// The faults of one run, drawn from a seed; all are over at [`heal_at`](Self::heal_at).
///
/// Each seed draws which kinds of faults are on and how strong they are ("swarm testing": a run with a few kinds
/// reaches states that a run with all of them never does). One seed in eight takes one of its faults to an extreme.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The seed, also of everything else in the run.
    pub seed: u64,
    /// The faults.
    pub faults: Vec<Fault>,
    /// When the network becomes clean and everybody is up: what is open has to complete from here on.
    pub heal_at: Instant,
}

/// One fault.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub enum Fault {
    /// A link that does harm.
    Link { way: Way, fault: LinkFault },
    /// A path that takes only shorter datagrams from some time on.
    MtuCut { at: Instant, mtu: usize },
    /// A client that is seen under another port from some time on.
    Rebind { at: Instant, client: usize, port: u16 },
    /// Old datagrams that come again, as from their sender or from elsewhere.
    Replay { probability: Ppm, late_max: Duration, spoofed: Option<SocketAddr> },
    /// A node that stops and starts anew.
    Crash { at: Instant, side: Side, down: Duration },
    /// A clock set forward.
    JumpAhead { at: Instant, side: Side, jump: Duration },
    /// A clock set back.
    JumpBack { at: Instant, side: Side, jump: Duration },
    /// A clock that runs fast or slow.
    Drift { side: Side, ppm: i32 },
}

/// What a link does to datagrams, one at a time of what [`LinkConfig`] can hold.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are those of `LinkConfig`")]
pub enum LinkFault {
    /// Single losses.
    Loss(Ppm),
    /// Losses in bursts.
    Burst(Burst),
    /// Copies.
    Duplicate(Duplicate),
    /// Datagrams held back.
    Reorder(Ppm),
    /// A delay other than 10 ms.
    Delay(Duration),
    /// A delay that varies.
    Jitter(Duration),
    /// A slow line with a short queue.
    Rate { rate: u64, queue_len_max: usize },
    /// Marks of congestion, or the lack of them.
    Ecn(EcnPolicy),
    /// Flipped bits.
    Corrupt(Ppm),
    /// Datagrams cut or prolonged.
    Resize(Ppm),
    /// No service for a while, or on and off.
    Outage(Outage),
}

/// A direction between clients and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the clients to the server.
    Forth,
    /// From the server to the clients.
    Back,
    /// Both.
    Both,
}

/// Whom a fault of a node befalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client with this index, modulo their count.
    Client(usize),
    /// The server.
    Server,
}

impl Schedule {
    /// Draws the faults of `seed`.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut dice = Rng::at(seed, SCHEDULE, 0);
        let heal_at = Instant::from_nanos(dice.within(SECOND, 20 * SECOND));
        let one_in = dice.pick(&[2, 4, 8]);
        let drawn: Vec<usize> = (0..KINDS.len()).filter(|_| dice.below(one_in) == 0).collect();
        let extreme = if dice.below(8) == 0 && !drawn.is_empty() { Some(dice.pick(&drawn)) } else { None };
        let fault = |kind: usize| {
            let strength = if extreme == Some(kind) { Strength::Extreme } else { Strength::Usual };
            KINDS[kind](&mut Draw { dice: Rng::at(seed, SCHEDULE, 1 + kind as u64), strength, heal_at })
        };
        Self { seed, faults: drawn.into_iter().map(fault).collect(), heal_at }
    }

    /// Returns the same schedule with only the faults at `indices`.
    #[must_use]
    pub fn only(&self, indices: &[usize]) -> Self {
        Self { faults: indices.iter().filter_map(|index| self.faults.get(*index).copied()).collect(), ..*self }
    }

    /// Returns the link that the faults make, for one direction.
    #[must_use]
    pub fn link(&self, way: Way) -> LinkConfig {
        let mut link = clean();
        for fault in &self.faults {
            if let Fault::Link { way: on, fault } = *fault
                && (on == way || on == Way::Both)
            {
                fault.apply(&mut link);
            }
        }
        link
    }

    /// Lets the faults happen in `world`, and heals it when they are over.
    ///
    /// # Panics
    /// If `clients` is empty.
    pub fn install<N: Node + 'static>(&self, world: &mut World<N>, clients: &[NodeId], server: NodeId) {
        let (forth, back) = (self.link(Way::Forth), self.link(Way::Back));
        let server_address = world.address(server);
        for client in clients {
            let client_address = world.address(*client);
            *world.network().config(client_address, server_address) = forth;
            *world.network().config(server_address, client_address) = back;
        }
        for fault in &self.faults {
            self.install_fault(*fault, world, clients, server);
        }
        let nodes: Vec<NodeId> = clients.iter().copied().chain([server]).collect();
        world.at(self.heal_at, move |world| {
            world.network().set_tap(None);
            world.network().change_all(|link| *link = clean());
            for node in nodes {
                world.set_clock(node, |clock, now| clock.set_drift(now, 0));
            }
        });
    }

    /// Arranges for one fault that is not a property of a link.
    fn install_fault<N: Node + 'static>(&self, fault: Fault, world: &mut World<N>, clients: &[NodeId], server: NodeId) {
        let node = |side| match side {
            Side::Client(index) => clients[index % clients.len()],
            Side::Server => server,
        };
        match fault {
            Fault::MtuCut { at, mtu } => world.at(at, move |world| {
                world.network().change_all(|link| link.mtu = mtu);
            }),
            Fault::Rebind { at, client, port } => {
                let inside = world.address(clients[client % clients.len()]);
                let outside = SocketAddr::new(inside.ip(), port);
                world.at(at, move |world| world.network().rebind(inside, outside));
            }
            Fault::Replay { probability, late_max, spoofed } => {
                let tap = Replay::new(self.seed, probability, late_max, spoofed);
                world.network().set_tap(Some(Box::new(tap)));
            }
            Fault::Crash { at, side, down } => {
                let id = node(side);
                world.at(at, move |world| world.crash(id));
                world.at(at.saturating_add(down).min(self.heal_at), move |world| world.restart(id));
            }
            Fault::JumpAhead { at, side, jump } => {
                let id = node(side);
                world.at(at, move |world| world.set_clock(id, |clock, now| clock.jump_ahead(now, jump)));
            }
            Fault::JumpBack { at, side, jump } => {
                let id = node(side);
                world.at(at, move |world| world.set_clock(id, |clock, now| clock.jump_back(now, jump)));
            }
            Fault::Drift { side, ppm } => world.set_clock(node(side), |clock, now| clock.set_drift(now, ppm)),
            // Part of the configuration of the links.
            Fault::Link { .. } => {}
        }
    }
}

impl LinkFault {
    const fn apply(self, link: &mut LinkConfig) {
        match self {
            Self::Loss(probability) => link.loss = probability,
            Self::Burst(burst) => link.burst = Some(burst),
            Self::Duplicate(duplicate) => link.duplicate = duplicate,
            Self::Reorder(probability) => link.reorder = probability,
            Self::Delay(delay) => link.delay = delay,
            Self::Jitter(jitter) => link.jitter = jitter,
            Self::Rate { rate, queue_len_max } => {
                link.rate = Some(rate);
                link.queue_len_max = queue_len_max;
            }
            Self::Ecn(policy) => link.ecn = policy,
            Self::Corrupt(probability) => link.corrupt.probability = probability,
            Self::Resize(probability) => link.resize = probability,
            Self::Outage(outage) => link.outage = Some(outage),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}:", self.seed)?;
        for fault in &self.faults {
            write!(f, " {fault:?};")?;
        }
        write!(f, " healed at {:?}", self.heal_at.saturating_since(Instant::ORIGIN))
    }
}

/// How a link is without faults: the path of an ordinary network.
fn clean() -> LinkConfig {
    LinkConfig { delay: Duration::from_millis(10), mtu: 1500, ..LinkConfig::default() }
}

/// What a kind of fault is drawn with.
struct Draw {
    dice: Rng,
    strength: Strength,
    heal_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strength {
    Usual,
    Extreme,
}

impl Draw {
    fn pick<T: Copy>(&mut self, usual: &[T], extreme: &[T]) -> T {
        match self.strength {
            Strength::Usual => self.dice.pick(usual),
            Strength::Extreme => self.dice.pick(extreme),
        }
    }

    /// Draws a time evenly up to one of the given ones.
    fn up_to(&mut self, usual: Duration, extreme: Duration) -> Duration {
        let max = self.pick(&[usual], &[extreme]);
        Duration::from_nanos(self.dice.within(1, max.as_nanos() as u64))
    }

    /// Draws a probability in parts per million, evenly up to one of the given percentages.
    fn percent_up_to(&mut self, usual: u32, extreme: u32) -> Ppm {
        let max = Ppm::percent(self.pick(&[usual], &[extreme]));
        Ppm(self.dice.within(1, u64::from(max.0)) as u32)
    }

    fn link(&mut self, fault: LinkFault) -> Fault {
        Fault::Link { way: self.dice.pick(&[Way::Forth, Way::Back, Way::Both, Way::Both]), fault }
    }

    fn side(&mut self) -> Side {
        if self.dice.below(2) == 0 { Side::Server } else { Side::Client(self.dice.below(1_000) as usize) }
    }

    /// Draws a time before the end of the faults, mostly an early one: a short scenario should meet it too.
    fn time(&mut self) -> Instant {
        let max = self.heal_at.as_nanos() >> self.dice.below(10);
        Instant::from_nanos(self.dice.below(max))
    }
}

/// One entry a kind of fault. Its place is the number of its random stream, so further kinds go to the end.
const KINDS: [fn(&mut Draw) -> Fault; 18] = [
    |draw| {
        let usual = [Ppm(1_000), Ppm::percent(1), Ppm::percent(5), Ppm::percent(10), Ppm::percent(25)];
        let probability = draw.pick(&usual, &[Ppm::percent(50), Ppm::percent(75)]);
        draw.link(LinkFault::Loss(probability))
    },
    |draw| {
        let period = draw.pick(&[Duration::from_secs(1), Duration::from_secs(3)], &[Duration::from_secs(8)]);
        let duration_max = draw.up_to(Duration::from_millis(500), Duration::from_secs(5));
        let loss = draw.dice.pick(&[Ppm::percent(50), Ppm::ALWAYS]);
        draw.link(LinkFault::Burst(Burst { period, duration_max, loss }))
    },
    |draw| {
        // A thousand copies of each third datagram would only make the run long.
        let probability = draw.percent_up_to(30, 2);
        let copy_count_max = draw.pick(&[1, 3], &[1_000]);
        let late_max = draw.up_to(Duration::from_millis(100), Duration::from_secs(3_600));
        draw.link(LinkFault::Duplicate(Duplicate { probability, copy_count_max, late_max }))
    },
    |draw| {
        let probability = draw.percent_up_to(10, 50);
        draw.link(LinkFault::Reorder(probability))
    },
    |draw| {
        let usual = [Duration::from_micros(50), Duration::from_millis(1), Duration::from_millis(100)];
        let extreme = [Duration::from_micros(1), Duration::from_secs(1), Duration::from_secs(10)];
        let delay = draw.pick(&usual, &extreme);
        draw.link(LinkFault::Delay(delay))
    },
    |draw| {
        let jitter = draw.up_to(Duration::from_millis(20), Duration::from_secs(1));
        draw.link(LinkFault::Jitter(jitter))
    },
    |draw| {
        let rate = draw.pick(&[256_000, 1_000_000, 10_000_000, 100_000_000], &[9_600, 10_000_000_000]);
        let queue_len_max = draw.pick(&[1_500, 15_000, 250_000], &[0, 1_500, 15_000]);
        draw.link(LinkFault::Rate { rate, queue_len_max })
    },
    |draw| {
        let policy = draw.dice.pick(&[EcnPolicy::MarkAbove(0), EcnPolicy::MarkAbove(5_000), EcnPolicy::Clear]);
        draw.link(LinkFault::Ecn(policy))
    },
    |draw| {
        let probability = draw.percent_up_to(5, 50);
        draw.link(LinkFault::Corrupt(probability))
    },
    |draw| {
        let probability = draw.percent_up_to(5, 50);
        draw.link(LinkFault::Resize(probability))
    },
    |draw| {
        let start = draw.time();
        let end = start.saturating_add(draw.up_to(Duration::from_secs(2), Duration::from_secs(20)));
        let flap = draw.dice.pick(&[None, Some(Duration::from_millis(30)), Some(Duration::from_millis(300))]);
        draw.link(LinkFault::Outage(Outage { start, end, flap }))
    },
    |draw| Fault::MtuCut { at: draw.time(), mtu: draw.pick(&[1_400, 1_280], &[1_200, 576]) },
    |draw| Fault::Rebind {
        at: draw.time(),
        client: draw.dice.below(1_000) as usize,
        port: draw.dice.within(50_000, 60_000) as u16,
    },
    |draw| Fault::Replay {
        probability: draw.percent_up_to(5, 50),
        late_max: draw.up_to(Duration::from_secs(5), Duration::from_secs(3_600)),
        spoofed: draw.dice.pick(&[None, Some(STRANGER)]),
    },
    |draw| Fault::Crash {
        at: draw.time(),
        side: draw.side(),
        down: draw.up_to(Duration::from_secs(1), Duration::from_secs(20)),
    },
    |draw| Fault::JumpAhead {
        at: draw.time(),
        side: draw.side(),
        jump: draw.up_to(Duration::from_secs(1), Duration::from_secs(3_600)),
    },
    |draw| Fault::JumpBack {
        at: draw.time(),
        side: draw.side(),
        jump: draw.up_to(Duration::from_millis(100), Duration::from_secs(2)),
    },
    |draw| {
        let ppm = draw.pick(&[100, 1_000], &[100_000]);
        Fault::Drift { side: draw.side(), ppm: if draw.dice.below(2) == 0 { ppm } else { -ppm } }
    },
];

/// A host that takes part in nothing (RFC 5737).
const STRANGER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)), 9_999);
const SECOND: u64 = 1_000_000_000;
/// The random stream of schedules, apart from those of links.
const SCHEDULE: u64 = 0x5c4e_d01e;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_schedule() {
        assert_eq!(Schedule::draw(5).to_string(), Schedule::draw(5).to_string());
        assert_ne!(Schedule::draw(5).to_string(), Schedule::draw(6).to_string());
    }

    #[test]
    fn every_kind_of_fault_is_drawn_and_so_is_its_absence() {
        let schedules: Vec<Schedule> = (0..1_000).map(Schedule::draw).collect();
        for (kind, name) in KIND_NAMES.iter().enumerate() {
            let has = |schedule: &&Schedule| schedule.faults.iter().any(|fault| format!("{fault:?}").contains(name));
            let count = schedules.iter().filter(has).count();
            assert!((200..400).contains(&count), "kind {kind}, {name}, was drawn {count} times");
        }
        let quiet = schedules.iter().filter(|schedule| schedule.faults.is_empty()).count();
        assert!((5..100).contains(&quiet), "{quiet} schedules without a fault");
    }

    #[test]
    fn a_part_of_a_schedule_keeps_what_it_keeps() {
        let whole = (0..).map(Schedule::draw).find(|schedule| schedule.faults.len() > 4).expect("some seed has five");
        let part = whole.only(&[1, 3]);
        let text = |fault: &Fault| format!("{fault:?}");
        assert_eq!(part.faults.iter().map(text).collect::<Vec<_>>(), [text(&whole.faults[1]), text(&whole.faults[3])]);
        assert_eq!((part.seed, part.heal_at), (whole.seed, whole.heal_at));
    }

    const KIND_NAMES: [&str; KINDS.len()] = [
        "Loss",
        "Burst",
        "Duplicate",
        "Reorder",
        "Delay",
        "Jitter",
        "Rate",
        "Ecn",
        "Corrupt",
        "Resize",
        "Outage",
        "MtuCut",
        "Rebind",
        "Replay",
        "Crash",
        "JumpAhead",
        "JumpBack",
        "Drift",
    ];
}
