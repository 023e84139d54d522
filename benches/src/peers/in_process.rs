//! Another system at the work of [`Ends`].

use core::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread;

use super::{Block, Client, System, Waiting};
use crate::ends::Ends;

/// A client, with its server on a thread that serves until the process ends.
pub struct InProcess(Box<dyn Client>);

impl InProcess {
    /// Starts both, and opens a conversation between them.
    ///
    /// # Panics
    /// If that does not work.
    #[must_use]
    pub fn start(system: System) -> Self {
        Self::start_waiting(system, Waiting::Asleep)
    }

    fn start_waiting(system: System, waiting: Waiting) -> Self {
        let (listening, listens) = mpsc::channel();
        thread::spawn(move || {
            let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
            system
                .serve(any, waiting, |address| listening.send(address).expect("it is awaited"))
                .expect("a server on the loopback");
        });
        let server = listens.recv().expect("it listens");
        Self(system.connect(server, waiting).expect("the server answers"))
    }
}

impl Ends for InProcess {
    fn echo(&mut self, len: usize, count: usize) {
        self.0.echo(len, count, Block::new(None, Some(count as u64))).expect("the server answers");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_answers_calls_and_takes_messages() {
        for system in System::ALL {
            let name = system.name();
            let mut ends = InProcess::start(system);
            for (len, in_flight, count) in [(32, 1, 10), (32, 64, 1000), (32 << 10, 8, 20)] {
                let block = ends.0.echo(len, in_flight, Block::new(None, Some(count))).expect(name);
                assert_eq!(block.begun_count(), count, "{name}");
                assert!(block.quantile(0.5).is_some(), "{name}");
            }
            if system != System::Udp {
                let len = ends.0.bulk(1 << 20, Block::new(None, Some(4 << 20))).expect(name);
                assert_eq!(len, 4 << 20, "{name}");
            }
        }
    }

    #[test]
    fn plain_udp_answers_calls_without_a_sleep() {
        let mut ends = InProcess::start_waiting(System::Udp, Waiting::Spinning);
        for in_flight in [1, 8] {
            let block = ends.0.echo(32, in_flight, Block::new(None, Some(100))).expect("the server answers");
            assert_eq!(block.begun_count(), 100);
        }
    }
}
