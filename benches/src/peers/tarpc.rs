//! Calls by tarpc, over TCP. It has no messages in one direction: bulk is calls with short replies, some of them open at a time.

use alloc::rc::Rc;
use core::cell::Cell;
use core::net::SocketAddr;
use std::io;
use std::net::TcpListener;

use futures::StreamExt;
use serde_bytes::ByteBuf;
use tarpc::client::{self, Channel};
use tarpc::context::{self, Context};
use tarpc::serde::{Deserialize, Serialize};
use tarpc::serde_transport::Transport;
use tarpc::server::{BaseChannel, Channel as _, serve as serve_calls};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::{RequestName, ServerError};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::{Block, Client, keep_open, runtime};

/// The calls, as the attribute `tarpc::service` would have made them of a trait; what it makes does not pass our lints.
#[derive(Deserialize, Serialize)]
#[serde(crate = "tarpc::serde")]
enum Call {
    /// Brings back what it carries.
    Echo(ByteBuf),
    /// Brings back the count of the octets that it carries, little-endian.
    Count(ByteBuf),
}

impl RequestName for Call {
    fn name(&self) -> &'static str {
        match self {
            Self::Echo(_) => "Peer.echo",
            Self::Count(_) => "Peer.count",
        }
    }
}

async fn answer(_: Context, call: Call) -> Result<ByteBuf, ServerError> {
    Ok(match call {
        Call::Echo(octets) => octets,
        Call::Count(octets) => ByteBuf::from((octets.len() as u64).to_le_bytes()),
    })
}

/// Serves each connection in a task of its own, and each of its calls in another.
pub(super) fn serve(address: SocketAddr, on_listening: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    on_listening(listener.local_addr()?);
    runtime().block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let channel = BaseChannel::with_defaults(Transport::from((stream, Bincode::default())));
            tokio::spawn(channel.execute(serve_calls(answer)).for_each(async |answer| drop(tokio::spawn(answer))));
        }
    })
}

/// A connection, and what drives it.
pub(super) struct Conversation {
    channel: Channel<Call, ByteBuf>,
    runtime: Rc<Runtime>,
}

impl Conversation {
    pub(super) fn open(server: SocketAddr) -> io::Result<Self> {
        let runtime = runtime();
        let channel = runtime.block_on(async {
            let stream = TcpStream::connect(server).await?;
            stream.set_nodelay(true)?;
            let transport = Transport::from((stream, Bincode::default()));
            io::Result::Ok(client::new(client::Config::default(), transport).spawn())
        })?;
        Ok(Self { channel, runtime })
    }
}

impl Client for Conversation {
    fn echo(&mut self, len: usize, in_flight: usize, block: Block) -> io::Result<Block> {
        let request = ByteBuf::from(vec![0x5a; len]);
        self.runtime.block_on(keep_open(in_flight, 1, block, async || {
            self.channel.call(context::current(), Call::Echo(request.clone())).await.map(drop).map_err(io::Error::other)
        }))
    }

    /// The last message is as long as the others.
    fn bulk(&mut self, len: usize, block: Block) -> io::Result<u64> {
        let message = ByteBuf::from(vec![0x5a; len]);
        let counted_len = Cell::new(0);
        self.runtime.block_on(keep_open(BULK_IN_FLIGHT, len, block, async || {
            let call = Call::Count(message.clone());
            let reply = self.channel.call(context::current(), call).await.map_err(io::Error::other)?;
            let len = reply.as_slice().try_into().map(u64::from_le_bytes).map_err(io::Error::other)?;
            counted_len.set(counted_len.get() + len);
            Ok(())
        }))?;
        Ok(counted_len.get())
    }
}

const BULK_IN_FLIGHT: usize = 4;
