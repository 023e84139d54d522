//! KCP: a stream over UDP.

use alloc::rc::Rc;
use core::net::SocketAddr;
use std::io;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::runtime::Runtime;
use tokio_kcp::{KcpConfig, KcpListener, KcpNoDelayConfig, KcpStream};

use super::stream::{COUNT_LEN, Calls, Service, message};
use super::{Block, Client, runtime, udp};

/// Serves each stream in a task of its own.
pub(super) fn serve(address: SocketAddr, on_listening: impl FnOnce(SocketAddr)) -> io::Result<()> {
    runtime().block_on(async {
        let mut listener = KcpListener::from_socket(config(), bind(address)?).await.map_err(io::Error::other)?;
        on_listening(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await.map_err(io::Error::other)?;
            // How a stream ends is seen by its client.
            tokio::spawn(async { drop(serve_stream(stream).await) });
        }
    })
}

async fn serve_stream(mut stream: KcpStream) -> io::Result<()> {
    let (mut service, mut replies) = (Service::new(), Vec::new());
    loop {
        let len = read(&mut stream, service.space()).await?;
        service.handle(len, &mut replies);
        if !replies.is_empty() {
            write(&mut stream, &replies).await?;
            stream.flush().await?;
            replies.clear();
        }
    }
}

/// A stream, and what drives it.
pub(super) struct Conversation {
    /// `None` while a task has it, and after it failed.
    stream: Option<KcpStream>,
    runtime: Rc<Runtime>,
}

impl Conversation {
    pub(super) fn open(server: SocketAddr) -> io::Result<Self> {
        let runtime = runtime();
        let stream = runtime.block_on(async {
            let socket = bind(udp::any())?;
            KcpStream::connect_with_socket(&config(), socket, server).await.map_err(io::Error::other)
        })?;
        Ok(Self { stream: Some(stream), runtime })
    }

    /// Works with the stream in a task: the waker of what `block_on` itself polls is never the same twice, and a stream that
    /// is polled with another waker wakes the one before, here for ever.
    fn run<T, F>(&mut self, work: impl FnOnce(KcpStream) -> F) -> io::Result<T>
    where
        T: Send + 'static,
        F: Future<Output = io::Result<(KcpStream, T)>> + Send + 'static,
    {
        let stream = self.stream.take().ok_or(io::ErrorKind::NotConnected)?;
        let (stream, done) = self.runtime.block_on(self.runtime.spawn(work(stream)))??;
        self.stream = Some(stream);
        Ok(done)
    }
}

impl Client for Conversation {
    fn echo(&mut self, len: usize, in_flight: usize, block: Block) -> io::Result<Block> {
        self.run(async move |mut stream| {
            let (mut calls, mut requests) = (Calls::new(len, in_flight, block), Vec::new());
            while calls.begin(&mut requests) {
                if !requests.is_empty() {
                    write(&mut stream, &requests).await?;
                    stream.flush().await?;
                    requests.clear();
                }
                let len = read(&mut stream, calls.space()).await?;
                calls.handle(len);
            }
            Ok((stream, calls.into_block()))
        })
    }

    fn bulk(&mut self, len: usize, mut block: Block) -> io::Result<u64> {
        self.run(async move |mut stream| {
            let full = message(len);
            loop {
                match block.begin(Instant::now(), len) {
                    0 => break,
                    begun if begun == len => write(&mut stream, &full).await?,
                    begun => write(&mut stream, &message(begun)).await?,
                }
            }
            write(&mut stream, &message(0)).await?;
            stream.flush().await?;
            let mut count = [0; COUNT_LEN];
            stream.read_exact(&mut count).await?;
            Ok((stream, u64::from_le_bytes(count)))
        })
    }
}

/// Reads all that is there, which the stream hands out by the segment.
async fn read(stream: &mut KcpStream, space: &mut [u8]) -> io::Result<usize> {
    let mut len = stream.recv(space).await.map_err(io::Error::other)?;
    if len == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // Asked without a waker: one that is left behind would be woken by the next that is left.
    let mut socket = stream.session().kcp_socket().lock();
    while let Ok(more) = socket.try_recv(&mut space[len..]) {
        if more == 0 {
            break;
        }
        len += more;
    }
    Ok(len)
}

/// Writes in parts, of which the stream takes no longer ones.
async fn write(stream: &mut KcpStream, octets: &[u8]) -> io::Result<()> {
    for part in octets.chunks(WRITE_LEN_MAX) {
        stream.write_all(part).await?;
    }
    Ok(())
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = udp::bind(address)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// What its own documentation calls the fastest, with a window for all calls and room for several in a datagram.
fn config() -> KcpConfig {
    KcpConfig { nodelay: KcpNoDelayConfig::fastest(), wnd_size: (WINDOW, WINDOW), stream: true, ..KcpConfig::default() }
}

/// Segments. A message waits for acknowledgements that leave every 10 ms, so this bounds the rate of bulk: at 280 MB/s.
const WINDOW: u16 = 2048;
/// A write is cut into fewer than 128 segments.
const WRITE_LEN_MAX: usize = 64 << 10;
