//! Other systems at the same work: calls that bring back what they carry, and messages in one direction.
//!
//! Each is used through its public interface with the options that a user with this work would set. A server runs on one
//! thread; so does a client, which keeps all calls open on one conversation and, where the system lets it, hands over
//! together what may leave together.

mod block;
pub mod convention;
mod enet;
mod in_process;
mod kcp;
mod quinn;
mod stream;
mod tarpc;
mod tcp;
mod tonic;
mod udp;

use alloc::rc::Rc;
use core::cell::RefCell;
use core::net::SocketAddr;
use core::str::FromStr;
use std::time::Instant;
use std::{env, io};

use futures::future::try_join_all;
use tokio::runtime::{Builder, Runtime};

pub use self::block::Block;
pub use self::in_process::InProcess;

/// A system that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// A datagram a call, and nothing to make up for a lost one but the client's patience.
    Udp,
    /// A stream with the length of each message before it.
    Tcp,
    /// `rusty_enet`: reliable messages over UDP.
    Enet,
    /// `tokio_kcp`: a stream over UDP, with the length of each message before it.
    Kcp,
    /// `quinn`: QUIC, one stream of it, with the length of each message before it.
    Quinn,
    /// `tarpc`: calls over TCP, in bincode.
    Tarpc,
    /// `tonic`: gRPC.
    Tonic,
}

/// How an end waits for what arrives. Only plain UDP has a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// As the system does by itself.
    Asleep,
    /// It looks again and again.
    Spinning,
}

/// The client's end of a conversation.
pub trait Client {
    /// Makes calls that carry `len` octets each way, at most `in_flight` at a time, until the block ends and all are answered, and
    /// returns the block.
    ///
    /// # Errors
    /// If the conversation fails.
    fn echo(&mut self, len: usize, in_flight: usize, block: Block) -> io::Result<Block>;

    /// Sends messages of `len` octets in order until the block ends, and returns how many octets the server's application
    /// got of them.
    ///
    /// # Errors
    /// If the conversation fails.
    fn bulk(&mut self, len: usize, block: Block) -> io::Result<u64>;
}

impl System {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Udp, Self::Tcp, Self::Enet, Self::Kcp, Self::Quinn, Self::Tarpc, Self::Tonic];

    /// Returns the name by which it is chosen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Enet => "enet",
            Self::Kcp => "kcp",
            Self::Quinn => "quinn",
            Self::Tarpc => "tarpc",
            Self::Tonic => "tonic",
        }
    }

    /// Serves on `address` for ever; calls `on_listening` with the address it got, when it listens.
    ///
    /// # Errors
    /// If the address cannot be had, or the socket fails.
    pub fn serve(self, address: SocketAddr, waiting: Waiting, on_listening: impl FnOnce(SocketAddr)) -> io::Result<()> {
        match self {
            Self::Udp => udp::serve(address, waiting, on_listening),
            Self::Tcp => tcp::serve(address, on_listening),
            Self::Enet => enet::serve(address, on_listening),
            Self::Kcp => kcp::serve(address, on_listening),
            Self::Quinn => quinn::serve(address, on_listening),
            Self::Tarpc => tarpc::serve(address, on_listening),
            Self::Tonic => tonic::serve(address, on_listening),
        }
    }

    /// Opens a conversation with a server.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn connect(self, server: SocketAddr, waiting: Waiting) -> io::Result<Box<dyn Client>> {
        Ok(match self {
            Self::Udp => Box::new(udp::Conversation::open(server, waiting)?),
            Self::Tcp => Box::new(tcp::Conversation::open(server)?),
            Self::Enet => Box::new(enet::Conversation::open(server)?),
            Self::Kcp => Box::new(kcp::Conversation::open(server)?),
            Self::Quinn => Box::new(quinn::Conversation::open(server)?),
            Self::Tarpc => Box::new(tarpc::Conversation::open(server)?),
            Self::Tonic => Box::new(tonic::Conversation::open(server)?),
        })
    }
}

impl FromStr for System {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|system| system.name() == name)
            .ok_or_else(|| format!("no system is called '{name}'"))
    }
}

/// Returns what drives the asynchronous systems: one a thread, on that thread alone.
fn runtime() -> Rc<Runtime> {
    thread_local! {
        static RUNTIME: Rc<Runtime> =
            Rc::new(Builder::new_current_thread().enable_all().build().expect("the system has what a runtime needs"));
    }
    RUNTIME.with(Rc::clone)
}

/// Makes calls, each by `call`, and keeps `in_flight` of them open until the block ends, of which each takes `amount`.
async fn keep_open(
    in_flight: usize,
    amount: usize,
    block: Block,
    call: impl AsyncFn() -> io::Result<()>,
) -> io::Result<Block> {
    let block = RefCell::new(block);
    let one_after_the_other = async || {
        let mut begun_at = Instant::now();
        while block.borrow_mut().begin(begun_at, amount) > 0 {
            call().await?;
            let now = Instant::now();
            block.borrow_mut().end(now, begun_at);
            begun_at = now;
        }
        io::Result::Ok(())
    };
    try_join_all((0..in_flight).map(|_| one_after_the_other())).await?;
    Ok(block.into_inner())
}

/// Says whether datagrams are to leave singly, so that the kernel's counters are true.
fn joins_datagrams() -> bool {
    env::var_os("PEER_NO_GSO").is_none_or(|value| value != "1")
}

/// Octets that a socket's buffers are asked to hold: what the systems that ask for nothing would lose is not theirs to lose.
const SOCKET_BUFFER_LEN: usize = 4 << 20;
