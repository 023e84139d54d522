//! A relay that loses datagrams.

use alloc::sync::Arc;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::net::UdpSocket;
use std::thread::{self, JoinHandle};

use crate::random::Random;

/// A relay between one client and its server that loses some of a hundred datagrams each way, by a seed.
#[derive(Debug)]
pub struct Relay {
    addr: SocketAddr,
    is_over: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Relay {
    /// Starts a relay in front of `server`.
    ///
    /// # Panics
    /// If the system gives no sockets.
    #[must_use]
    pub fn start(server: SocketAddr, lost_percent: u64) -> Self {
        let any = SocketAddr::new(server.ip(), 0);
        let front = UdpSocket::bind(any).expect("a socket for the client");
        let back = UdpSocket::bind(any).expect("a socket for the server");
        back.connect(server).expect("the server has an address");
        for socket in [&front, &back] {
            socket.set_read_timeout(Some(LOOK_AROUND)).expect("not zero");
        }
        let addr = front.local_addr().expect("it is bound");
        let (is_over, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (front_again, back_again) = (front.try_clone().expect("a socket"), back.try_clone().expect("a socket"));

        let (over, count) = (Arc::clone(&is_over), Arc::clone(&lost));
        let client = Arc::new(std::sync::OnceLock::new());
        let known = Arc::clone(&client);
        let up = thread::spawn(move || {
            carry(&over, &front, 1, lost_percent, &count, |octets, from| {
                let _ = back_again.send(octets);
                known.get_or_init(|| from);
            });
        });
        let (over, count) = (Arc::clone(&is_over), Arc::clone(&lost));
        let down = thread::spawn(move || {
            carry(&over, &back, 2, lost_percent, &count, |octets, _| {
                if let Some(client) = client.get() {
                    let _ = front_again.send_to(octets, client);
                }
            });
        });
        Self { addr, is_over, lost, threads: vec![up, down] }
    }

    /// Returns where the client finds it.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns how many datagrams were lost here.
    #[must_use]
    pub fn lost_count(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn carry(
    is_over: &AtomicBool,
    socket: &UdpSocket,
    seed: u64,
    lost_percent: u64,
    lost: &AtomicU64,
    mut forward: impl FnMut(&[u8], SocketAddr),
) {
    let mut random = Random::new(seed);
    let mut buffer = vec![0; 65_536];
    while !is_over.load(Ordering::Relaxed) {
        let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
        if random.next() % 100 < lost_percent {
            lost.fetch_add(1, Ordering::Relaxed);
        } else {
            forward(&buffer[..len], from);
        }
    }
}

/// How often a relay without traffic looks whether it is over.
const LOOK_AROUND: Duration = Duration::from_millis(20);
