//! A relay on a thread of its own, for who needs a bad network and does something else meanwhile.

use core::net::{Ipv4Addr, SocketAddr};
use std::io;
use std::thread::{self, JoinHandle};

use super::link::LinkConfig;
use super::proxy::{Proxy, ProxyConfig, Stopper};

/// A relay from a free port of loopback to a server. It ends when this is dropped.
pub(crate) struct Background {
    address: SocketAddr,
    stopper: Stopper,
    /// `None` only while this is dropped.
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Background {
    /// Starts a relay to `to`; the same `seed` makes the same faults.
    ///
    /// # Errors
    /// If no socket or thread can be had.
    pub(crate) fn start(to: SocketAddr, link: LinkConfig, seed: u64) -> io::Result<Self> {
        let config = ProxyConfig { to, link, seed, client_count_max: CLIENT_COUNT_MAX, held_len_max: HELD_LEN_MAX };
        let mut proxy = Proxy::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), config)?;
        let (address, stopper) = (proxy.local_address()?, proxy.stopper());
        let thread = thread::Builder::new().name("relay".to_owned()).spawn(move || proxy.run())?;
        Ok(Self { address, stopper, thread: Some(thread) })
    }

    /// Returns where the client is heard.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stopper.stop();
        // A relay that failed has lost everything since, and its client has said so.
        self.thread.take().into_iter().for_each(|thread| drop(thread.join()));
    }
}

/// Our choice: one is there to be served, and what strays here from elsewhere must not take its place.
const CLIENT_COUNT_MAX: usize = 64;

/// Octets of memory for what is under way; our choice, more than any link that is measured holds.
const HELD_LEN_MAX: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_relay_in_the_background_passes_datagrams_until_it_is_dropped() {
        let [server, client] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let relay = Background::start(server.local_addr().unwrap(), LinkConfig::perfect(), 7).unwrap();
        client.send_to(b"there", relay.address()).unwrap();
        assert_eq!(server.recv(&mut [0; 8]).unwrap(), 5);
        drop(relay);
    }
}
