//! QUIC by quinn: one stream, encrypted.

use alloc::rc::Rc;
use alloc::sync::Arc;
use core::net::SocketAddr;
use std::io;
use std::time::Instant;

use quinn::rustls::RootCertStore;
use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, RecvStream, SendStream, ServerConfig, TokioRuntime,
    TransportConfig,
};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::runtime::Runtime;

use super::stream::{COUNT_LEN, Calls, Service, message};
use super::{Block, Client, joins_datagrams, runtime, udp};

/// Serves each stream in a task of its own.
pub(super) fn serve(address: SocketAddr, on_listening: impl FnOnce(SocketAddr)) -> io::Result<()> {
    runtime().block_on(async {
        let (certificate, key) = identity();
        let mut config = ServerConfig::with_single_cert(vec![certificate], key).map_err(io::Error::other)?;
        config.transport_config(transport());
        let endpoint = open(address, Some(config))?;
        on_listening(endpoint.local_addr()?);
        while let Some(incoming) = endpoint.accept().await {
            // How a connection or a stream ends is seen by its client.
            tokio::spawn(async {
                let connection = incoming.await?;
                loop {
                    let (sender, receiver) = connection.accept_bi().await?;
                    tokio::spawn(async { drop(serve_stream(sender, receiver).await) });
                }
                #[expect(unreachable_code, reason = "it names the type of the errors above")]
                io::Result::Ok(())
            });
        }
        Ok(())
    })
}

async fn serve_stream(mut sender: SendStream, mut receiver: RecvStream) -> io::Result<()> {
    let (mut service, mut replies) = (Service::new(), Vec::new());
    loop {
        let len = read(&mut receiver, service.space()).await?;
        service.handle(len, &mut replies);
        sender.write_all(&replies).await?;
        replies.clear();
    }
}

/// A stream of a connection, and what drives it.
pub(super) struct Conversation {
    sender: SendStream,
    receiver: RecvStream,
    // They end when they are dropped.
    _connection: Connection,
    _endpoint: Endpoint,
    runtime: Rc<Runtime>,
}

impl Conversation {
    pub(super) fn open(server: SocketAddr) -> io::Result<Self> {
        let runtime = runtime();
        let (sender, receiver, connection, endpoint) = runtime.block_on(async {
            let mut trusted = RootCertStore::empty();
            trusted.add(identity().0).map_err(io::Error::other)?;
            let mut config = ClientConfig::with_root_certificates(Arc::new(trusted)).map_err(io::Error::other)?;
            config.transport_config(transport());
            let endpoint = open(udp::any(), None)?;
            let connecting = endpoint.connect_with(config, server, NAME).map_err(io::Error::other)?;
            let connection = connecting.await?;
            let (sender, receiver) = connection.open_bi().await?;
            io::Result::Ok((sender, receiver, connection, endpoint))
        })?;
        Ok(Self { sender, receiver, _connection: connection, _endpoint: endpoint, runtime })
    }
}

impl Client for Conversation {
    fn echo(&mut self, len: usize, in_flight: usize, block: Block) -> io::Result<Block> {
        let (mut calls, mut requests) = (Calls::new(len, in_flight, block), Vec::new());
        self.runtime.block_on(async {
            while calls.begin(&mut requests) {
                self.sender.write_all(&requests).await?;
                requests.clear();
                let len = read(&mut self.receiver, calls.space()).await?;
                calls.handle(len);
            }
            Ok(calls.into_block())
        })
    }

    fn bulk(&mut self, len: usize, mut block: Block) -> io::Result<u64> {
        let full = message(len);
        self.runtime.block_on(async {
            loop {
                match block.begin(Instant::now(), len) {
                    0 => break,
                    begun if begun == len => self.sender.write_all(&full).await?,
                    begun => self.sender.write_all(&message(begun)).await?,
                }
            }
            self.sender.write_all(&message(0)).await?;
            let mut count = [0; COUNT_LEN];
            self.receiver.read_exact(&mut count).await.map_err(io::Error::other)?;
            Ok(u64::from_le_bytes(count))
        })
    }
}

async fn read(receiver: &mut RecvStream, space: &mut [u8]) -> io::Result<usize> {
    receiver.read(space).await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn open(address: SocketAddr, server: Option<ServerConfig>) -> io::Result<Endpoint> {
    Endpoint::new(EndpointConfig::default(), server, udp::bind(address)?, Arc::new(TokioRuntime))
}

fn transport() -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config.enable_segmentation_offload(joins_datagrams());
    Arc::new(config)
}

/// Makes the same certificate on both ends, from a key that is no secret: the client has to trust something.
fn identity() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = [&PKCS8_ED25519[..], &[7; 32]].concat();
    let pair = KeyPair::try_from(key.as_slice()).expect("any 32 octets are a key");
    let params = CertificateParams::new([NAME.to_owned()]).expect("it is a name");
    let certificate = params.self_signed(&pair).expect("the key can sign");
    (certificate.der().clone(), PrivatePkcs8KeyDer::from(key).into())
}

/// What stands before the 32 octets of an Ed25519 key (RFC 8410 §7).
const PKCS8_ED25519: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
const NAME: &str = "localhost";
