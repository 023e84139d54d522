//! gRPC by tonic, over TCP. Its messages are octets without a schema, so that it is not measured how those are encoded.

use alloc::rc::Rc;
use core::convert::Infallible;
use core::iter;
use core::net::SocketAddr;
use core::task::{Context, Poll};
use std::io;
use std::net::TcpListener;
use std::time::Instant;

use bytes::{Buf, BufMut, Bytes};
use futures::stream;
use http::uri::PathAndQuery;
use tokio::runtime::Runtime;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::{Body, BoxFuture, Service, StdError};
use tonic::server::NamedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming, client, server};
use tower::service_fn;

use super::{Block, Client, keep_open, runtime};

/// Serves both procedures on any number of connections.
pub(super) fn serve(address: SocketAddr, on_listening: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    on_listening(listener.local_addr()?);
    runtime().block_on(async {
        let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener)?).with_nodelay(Some(true));
        let server = Server::builder()
            .max_concurrent_streams(STREAM_COUNT_MAX)
            .initial_stream_window_size(WINDOW_LEN)
            .initial_connection_window_size(WINDOW_LEN);
        let mut server = server;
        server.add_service(Answering).serve_with_incoming(incoming).await.map_err(io::Error::other)
    })
}

/// The procedures, as a compiler of interfaces would have generated them.
#[derive(Clone)]
struct Answering;

impl NamedService for Answering {
    const NAME: &'static str = "posthaste.Peer";
}

impl<B> Service<http::Request<B>> for Answering
where
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let mut grpc = server::Grpc::new(Octets);
        match request.uri().path() {
            ECHO => Box::pin(async move {
                let echo = service_fn(async |call: Request<Bytes>| Ok(Response::new(call.into_inner())));
                Ok(grpc.unary(echo, request).await)
            }),
            COUNT => Box::pin(async move { Ok(grpc.client_streaming(service_fn(count), request).await) }),
            _ => Box::pin(async { Ok(Status::unimplemented("no such procedure").into_http()) }),
        }
    }
}

async fn count(call: Request<Streaming<Bytes>>) -> Result<Response<Bytes>, Status> {
    let (mut messages, mut counted_len) = (call.into_inner(), 0);
    while let Some(message) = messages.message().await? {
        counted_len += message.len() as u64;
    }
    Ok(Response::new(Bytes::copy_from_slice(&counted_len.to_le_bytes())))
}

/// A connection, and what drives it.
pub(super) struct Conversation {
    channel: Channel,
    runtime: Rc<Runtime>,
}

impl Conversation {
    pub(super) fn open(server: SocketAddr) -> io::Result<Self> {
        let runtime = runtime();
        let endpoint = Endpoint::from_shared(format!("http://{server}")).map_err(io::Error::other)?;
        let channel = runtime.block_on(endpoint.connect()).map_err(io::Error::other)?;
        Ok(Self { channel, runtime })
    }

    fn grpc(&self) -> client::Grpc<Channel> {
        client::Grpc::new(self.channel.clone())
    }
}

impl Client for Conversation {
    fn echo(&mut self, len: usize, in_flight: usize, block: Block) -> io::Result<Block> {
        let request = Bytes::from(vec![0x5a; len]);
        self.runtime.block_on(keep_open(in_flight, 1, block, async || {
            let mut grpc = self.grpc();
            grpc.ready().await.map_err(io::Error::other)?;
            let request = Request::new(request.clone());
            grpc.unary(request, PathAndQuery::from_static(ECHO), Octets).await.map(drop).map_err(io::Error::other)
        }))
    }

    fn bulk(&mut self, len: usize, mut block: Block) -> io::Result<u64> {
        let full = Bytes::from(vec![0x5a; len]);
        let messages = iter::from_fn(move || match block.begin(Instant::now(), len) {
            0 => None,
            len => Some(full.slice(..len)),
        });
        self.runtime.block_on(async {
            let mut grpc = self.grpc();
            grpc.ready().await.map_err(io::Error::other)?;
            let request = Request::new(stream::iter(messages));
            let path = PathAndQuery::from_static(COUNT);
            let reply = grpc.client_streaming(request, path, Octets).await.map_err(io::Error::other)?;
            reply.into_inner().as_ref().try_into().map(u64::from_le_bytes).map_err(io::Error::other)
        })
    }
}

/// The coding of octets, which are what they are.
struct Octets;

impl Codec for Octets {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Octets {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, octets: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(octets);
        Ok(())
    }
}

impl Decoder for Octets {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, octets: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(octets.copy_to_bytes(octets.remaining())))
    }
}

const ECHO: &str = "/posthaste.Peer/Echo";
const COUNT: &str = "/posthaste.Peer/Count";
/// The calls that are to be open at a time are each a stream of HTTP/2, of which servers allow fewer by themselves.
const STREAM_COUNT_MAX: u32 = 4096;
/// Room for some of the messages of bulk.
const WINDOW_LEN: u32 = 4 << 20;
