//! ENet: reliable messages on channels, over UDP.

use alloc::collections::VecDeque;
use core::net::SocketAddr;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rusty_enet::{EventNoRef, Host, HostSettings, Packet, PeerID};

use super::{Block, Client, udp};

/// Sends back what comes on the channel of calls, and answers each message of bulk with its length.
pub(super) fn serve(address: SocketAddr, on_listening: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let mut host = open_host(address, PEER_COUNT_MAX)?;
    on_listening(host.socket().local_addr()?);
    loop {
        if let EventNoRef::Receive { peer, channel_id, packet } = next_event(&mut host)? {
            let answer = match channel_id {
                CALLS => packet,
                _ => Packet::reliable((packet.data().len() as u64).to_le_bytes().as_slice()),
            };
            // It fails for a peer that is gone, who does not wait for it.
            let _ = host.peer_mut(peer).send(channel_id, &answer);
        }
    }
}

/// A host with one peer.
pub(super) struct Conversation {
    host: Host<UdpSocket>,
    server: PeerID,
}

impl Conversation {
    pub(super) fn open(server: SocketAddr) -> io::Result<Self> {
        let mut host = open_host(udp::any(), 1)?;
        let server = host.connect(server, CHANNEL_COUNT, 0).map_err(io::Error::other)?.id();
        match next_event(&mut host)? {
            EventNoRef::Connect { .. } => Ok(Self { host, server }),
            EventNoRef::Disconnect { .. } | EventNoRef::Receive { .. } => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn send(&mut self, channel: u8, octets: &[u8]) -> io::Result<()> {
        self.host.peer_mut(self.server).send(channel, &Packet::reliable(octets)).map_err(io::Error::other)
    }

    /// Waits for the next message, while what was sent leaves.
    fn receive(&mut self) -> io::Result<Packet> {
        match next_event(&mut self.host)? {
            EventNoRef::Receive { packet, .. } => Ok(packet),
            EventNoRef::Connect { .. } | EventNoRef::Disconnect { .. } => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Client for Conversation {
    fn echo(&mut self, len: usize, in_flight: usize, mut block: Block) -> io::Result<Block> {
        let request = vec![0x5a; len];
        // When each open call was begun. A channel keeps their order.
        let mut open = VecDeque::with_capacity(in_flight);
        let mut now = Instant::now();
        loop {
            for _ in 0..block.begin(now, in_flight - open.len()) {
                open.push_back(now);
                self.send(CALLS, &request)?;
            }
            let Some(begun_at) = open.pop_front() else { return Ok(block) };
            self.receive()?;
            now = Instant::now();
            block.end(now, begun_at);
        }
    }

    fn bulk(&mut self, len: usize, mut block: Block) -> io::Result<u64> {
        let message = vec![0x5a; len];
        let (mut unanswered, mut counted_len) = (0, 0);
        loop {
            // The queue of a peer has no end, so the answers of the server have to hold up its filling.
            while unanswered < UNANSWERED_COUNT_MAX {
                let len = block.begin(Instant::now(), len);
                if len == 0 {
                    break;
                }
                self.send(MESSAGES, &message[..len])?;
                unanswered += 1;
            }
            if unanswered == 0 {
                return Ok(counted_len);
            }
            let answer = self.receive()?;
            counted_len += answer.data().try_into().map(u64::from_le_bytes).map_err(io::Error::other)?;
            unanswered -= 1;
        }
    }
}

fn open_host(address: SocketAddr, peer_limit: usize) -> io::Result<Host<UdpSocket>> {
    let settings = HostSettings { peer_limit, channel_limit: CHANNEL_COUNT, ..HostSettings::default() };
    Host::new(udp::bind(address)?, settings).map_err(io::Error::other)
}

/// Returns the next event. Before it waits, everything that was sent leaves, as many messages in a datagram as fit.
fn next_event(host: &mut Host<UdpSocket>) -> io::Result<EventNoRef> {
    loop {
        if let Some(event) = host.service()? {
            return Ok(event.no_ref());
        }
        // The library has no deadline to ask for, only the wish to be called often.
        let mut readable = [PollFd::new(host.socket().as_fd(), PollFlags::POLLIN)];
        poll(&mut readable, PollTimeout::from(INTERVAL_MILLIS))?;
    }
}

const CALLS: u8 = 0;
const MESSAGES: u8 = 1;
const CHANNEL_COUNT: usize = 2;
const PEER_COUNT_MAX: usize = 4095;
const UNANSWERED_COUNT_MAX: usize = 4;
const INTERVAL_MILLIS: u8 = 10;
