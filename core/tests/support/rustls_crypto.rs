//! TLS 1.3 behind the trait `Crypto`, by the QUIC interface of rustls.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::mem;

use posthaste_core::crypto::{Alert, BadTag, Crypto, Generation, Limits, MASK_LEN, SAMPLE_LEN, TAG_LEN_MAX};
use posthaste_core::wire::{Epoch, Side};
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::quic::{ClientConnection, Connection, KeyChange, Keys, PacketKey, PacketKeySet, Secrets, ServerConnection};
use rustls::quic::{HeaderProtectionKey, Version};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig};
use rustls::{RootCertStore, SignatureScheme};

/// The handshakes and keys of all peers of one endpoint.
pub(crate) struct RustlsCrypto {
    profile: Profile,
    client: ClientConfig,
    server: Arc<ServerConfig>,
    limits: Option<Limits>,
    peers: Vec<Option<Peer>>,
}

/// How one knows the other.
enum Profile {
    /// Both show a certificate of the same authority; a client names the server.
    Certificates,
    /// Both show a bare key (RFC 7250); a client gives the server's.
    RawKeys,
}

impl RustlsCrypto {
    /// Makes an endpoint that shows `chain` and believes what `authority` signed.
    pub(crate) fn with_certificates(
        authority: CertificateDer<'static>,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Self {
        // Post-quantum first: its hello does not fit into one datagram.
        let provider = provider(vec![aws_lc_rs::kx_group::X25519MLKEM768, aws_lc_rs::kx_group::X25519]);
        let mut roots = RootCertStore::empty();
        roots.add(authority).unwrap();
        let roots = Arc::new(roots);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build().unwrap();
        let client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .unwrap();
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .unwrap();
        Self::new(Profile::Certificates, client, server)
    }

    /// Makes an endpoint that shows the bare public half of `key`, and as a server lets in the owners of `clients`.
    pub(crate) fn with_raw_keys(key: &PrivateKeyDer<'static>, clients: Vec<SubjectPublicKeyInfoDer<'static>>) -> Self {
        let provider = provider(vec![aws_lc_rs::kx_group::X25519]);
        let key = aws_lc_rs::sign::any_supported_type(key).unwrap();
        let public = CertificateDer::from(key.public_key().unwrap().to_vec());
        let certified = Arc::new(CertifiedKey::new(vec![public], key));
        let mut client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned::new(vec![])))
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified.clone())));
        client.enable_sni = false;
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(Arc::new(Pinned::new(clients)))
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified)));
        Self::new(Profile::RawKeys, client, server)
    }

    fn new(profile: Profile, mut client: ClientConfig, mut server: ServerConfig) -> Self {
        // A QUIC endpoint of another protocol must never share keys with this one.
        client.alpn_protocols = vec![ALPN.to_vec()];
        server.alpn_protocols = vec![ALPN.to_vec()];
        Self { profile, client, server: Arc::new(server), limits: None, peers: vec![] }
    }

    /// Sets limits below those of the cipher, to make updates happen soon.
    pub(crate) fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Speaks another protocol.
    pub(crate) fn with_alpn(mut self, alpn: &[u8]) -> Self {
        self.client.alpn_protocols = vec![alpn.to_vec()];
        self
    }

    /// Puts keys from elsewhere in the place of those of the handshake epoch.
    pub(crate) fn set_handshake_keys(&mut self, slot: u32, keys: Keys) {
        self.peer_mut(slot).unwrap().handshake_keys = Some(keys);
    }

    fn connect(&self, parameters: &[u8], identity: &[u8]) -> Result<ClientConnection, Alert> {
        let mut config = self.client.clone();
        let name = match self.profile {
            Profile::Certificates => ServerName::try_from(identity).map_err(|_| Alert::BAD_CERTIFICATE)?.to_owned(),
            Profile::RawKeys => {
                let pin = SubjectPublicKeyInfoDer::from(identity.to_vec());
                config.dangerous().set_certificate_verifier(Arc::new(Pinned::new(vec![pin])));
                ServerName::try_from("pinned.invalid").map_err(|_| Alert::INTERNAL_ERROR)?
            }
        };
        ClientConnection::new(Arc::new(config), Version::V1, name, parameters.to_vec())
            .map_err(|_| Alert::INTERNAL_ERROR)
    }

    fn peer(&self, slot: u32) -> Option<&Peer> {
        self.peers.get(slot as usize)?.as_ref()
    }

    fn peer_mut(&mut self, slot: u32) -> Option<&mut Peer> {
        self.peers.get_mut(slot as usize)?.as_mut()
    }

    fn complete_peer(&self, slot: u32) -> Option<&Peer> {
        self.peer(slot).filter(|peer| peer.is_complete())
    }
}

impl Crypto for RustlsCrypto {
    fn is_protected(&self) -> bool {
        true
    }

    fn start(&mut self, slot: u32, side: Side, parameters: &[u8], identity: &[u8]) -> Result<(), Alert> {
        let connection = match side {
            Side::Client => self.connect(parameters, identity)?.into(),
            Side::Server => ServerConnection::new(self.server.clone(), Version::V1, parameters.to_vec())
                .map_err(|_| Alert::INTERNAL_ERROR)?
                .into(),
        };
        let mut peer = Peer {
            connection,
            outgoing: VecDeque::new(),
            outgoing_epoch: Epoch::Hello,
            handshake_keys: None,
            data_keys: None,
        };
        peer.collect_outgoing();
        if self.peers.len() <= slot as usize {
            self.peers.resize_with(slot as usize + 1, || None);
        }
        self.peers[slot as usize] = Some(peer);
        Ok(())
    }

    fn read_handshake(&mut self, slot: u32, epoch: Epoch, octets: &[u8]) -> Result<(), Alert> {
        let peer = self.peer_mut(slot).ok_or(Alert::INTERNAL_ERROR)?;
        // rustls is not told the epoch, so this is the place to hold the other side to it.
        if epoch != peer.incoming_epoch() {
            return Err(Alert::UNEXPECTED_MESSAGE);
        }
        if peer.connection.read_hs(octets).is_err() {
            return Err(peer.connection.alert().map_or(Alert::INTERNAL_ERROR, |alert| Alert(alert.into())));
        }
        peer.collect_outgoing();
        Ok(())
    }

    fn write_handshake(&mut self, slot: u32, out: &mut [u8]) -> Result<Option<(Epoch, usize)>, Alert> {
        let peer = self.peer_mut(slot).ok_or(Alert::INTERNAL_ERROR)?;
        let Some((epoch, octets)) = peer.outgoing.front_mut() else { return Ok(None) };
        let (epoch, len) = (*epoch, octets.len().min(out.len()));
        out[..len].copy_from_slice(&octets[..len]);
        octets.drain(..len);
        if octets.is_empty() {
            peer.outgoing.pop_front();
        }
        Ok(Some((epoch, len)))
    }

    fn is_ready(&self, slot: u32, epoch: Epoch) -> bool {
        self.peer(slot).is_some_and(|peer| match epoch {
            Epoch::Hello => true,
            Epoch::Handshake => peer.handshake_keys.is_some(),
            Epoch::Data => peer.is_complete(),
        })
    }

    fn peer_parameters(&self, slot: u32) -> Option<&[u8]> {
        self.complete_peer(slot)?.connection.quic_transport_parameters()
    }

    fn peer_identity(&self, slot: u32) -> Option<&[u8]> {
        self.complete_peer(slot)?.connection.peer_certificates()?.first().map(AsRef::as_ref)
    }

    fn export(&self, slot: u32, label: &[u8], out: &mut [u8]) -> Result<(), Alert> {
        let peer = self.complete_peer(slot).ok_or(Alert::INTERNAL_ERROR)?;
        peer.connection.export_keying_material(out, label, None).map(drop).map_err(|_| Alert::INTERNAL_ERROR)
    }

    fn seal(
        &mut self,
        slot: u32,
        epoch: Epoch,
        number: u64,
        datagram: &mut [u8],
        frames_offset: usize,
    ) -> Result<(), Alert> {
        let key = self.peer(slot).and_then(|peer| peer.seal_key(epoch)).ok_or(Alert::INTERNAL_ERROR)?;
        let (content, tag) = datagram.split_last_chunk_mut::<TAG_LEN_MAX>().ok_or(Alert::INTERNAL_ERROR)?;
        let (header, frames) = content.split_at_mut_checked(frames_offset).ok_or(Alert::INTERNAL_ERROR)?;
        tag.copy_from_slice(key.encrypt_in_place(number, header, frames).map_err(|_| Alert::INTERNAL_ERROR)?.as_ref());
        Ok(())
    }

    fn open(
        &self,
        slot: u32,
        epoch: Epoch,
        generation: Generation,
        number: u64,
        datagram: &mut [u8],
        frames_offset: usize,
    ) -> Result<(), BadTag> {
        let key = self.peer(slot).and_then(|peer| peer.open_key(epoch, generation)).ok_or(BadTag)?;
        let (header, sealed) = datagram.split_at_mut_checked(frames_offset).ok_or(BadTag)?;
        key.decrypt_in_place(number, header, sealed).map(drop).map_err(|_| BadTag)
    }

    fn seal_mask(&self, slot: u32, epoch: Epoch, sample: &[u8; SAMPLE_LEN]) -> [u8; MASK_LEN] {
        let keys = self.peer(slot).and_then(|peer| peer.header_keys(epoch));
        keys.map_or([0; MASK_LEN], |keys| mask(keys.local.header.as_ref(), sample))
    }

    fn open_mask(&self, slot: u32, epoch: Epoch, sample: &[u8; SAMPLE_LEN]) -> [u8; MASK_LEN] {
        let keys = self.peer(slot).and_then(|peer| peer.header_keys(epoch));
        keys.map_or([0; MASK_LEN], |keys| mask(keys.remote.header.as_ref(), sample))
    }

    fn update(&mut self, slot: u32) {
        if let Some(keys) = self.peer_mut(slot).and_then(|peer| peer.data_keys.as_mut()) {
            let next = mem::replace(&mut keys.next, keys.secrets.next_packet_keys());
            keys.keys.local.packet = next.local;
            keys.previous = Some(mem::replace(&mut keys.keys.remote.packet, next.remote));
        }
    }

    fn limits(&self, slot: u32) -> Limits {
        let key = self.peer(slot).and_then(|peer| peer.seal_key(Epoch::Data));
        self.limits.unwrap_or(key.map_or(Limits { seals: 0, failed_opens: 0 }, |key| Limits {
            seals: key.confidentiality_limit(),
            failed_opens: key.integrity_limit(),
        }))
    }

    fn forget(&mut self, slot: u32) {
        if let Some(peer) = self.peers.get_mut(slot as usize) {
            *peer = None;
        }
    }
}

/// One handshake and its keys.
struct Peer {
    connection: Connection,
    outgoing: VecDeque<(Epoch, Vec<u8>)>,
    /// The epoch of the octets that rustls writes next.
    outgoing_epoch: Epoch,
    handshake_keys: Option<Keys>,
    data_keys: Option<DataKeys>,
}

struct DataKeys {
    keys: Keys,
    /// What opens the datagrams of before the last update.
    previous: Option<Box<dyn PacketKey>>,
    next: PacketKeySet,
    secrets: Secrets,
}

impl Peer {
    /// Moves what rustls has to say into the queue, and the keys that it makes on the way into their places.
    fn collect_outgoing(&mut self) {
        loop {
            let mut octets = vec![];
            let change = self.connection.write_hs(&mut octets);
            if octets.is_empty() && change.is_none() {
                return;
            }
            // What was written belongs to the epoch before the change.
            if !octets.is_empty() {
                self.outgoing.push_back((self.outgoing_epoch, octets));
            }
            match change {
                Some(KeyChange::Handshake { keys }) => {
                    self.handshake_keys = Some(keys);
                    self.outgoing_epoch = Epoch::Handshake;
                }
                Some(KeyChange::OneRtt { keys, next: mut secrets }) => {
                    let next = secrets.next_packet_keys();
                    self.data_keys = Some(DataKeys { keys, previous: None, next, secrets });
                    self.outgoing_epoch = Epoch::Data;
                }
                None => {}
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.data_keys.is_some() && !self.connection.is_handshaking()
    }

    fn incoming_epoch(&self) -> Epoch {
        if self.is_complete() {
            Epoch::Data
        } else if self.handshake_keys.is_some() {
            Epoch::Handshake
        } else {
            Epoch::Hello
        }
    }

    fn header_keys(&self, epoch: Epoch) -> Option<&Keys> {
        match epoch {
            Epoch::Hello => None,
            Epoch::Handshake => self.handshake_keys.as_ref(),
            Epoch::Data => self.data_keys.as_ref().filter(|_| self.is_complete()).map(|data| &data.keys),
        }
    }

    fn seal_key(&self, epoch: Epoch) -> Option<&dyn PacketKey> {
        Some(self.header_keys(epoch)?.local.packet.as_ref())
    }

    fn open_key(&self, epoch: Epoch, generation: Generation) -> Option<&dyn PacketKey> {
        let current = self.header_keys(epoch)?.remote.packet.as_ref();
        match (epoch, generation) {
            (Epoch::Hello | Epoch::Handshake, _) | (Epoch::Data, Generation::Current) => Some(current),
            (Epoch::Data, Generation::Previous) => self.data_keys.as_ref()?.previous.as_deref(),
            (Epoch::Data, Generation::Next) => Some(self.data_keys.as_ref()?.next.remote.as_ref()),
        }
    }
}

/// Returns the mask, which rustls only applies: to the first octet of a short header with a number of 4 octets, all zero.
fn mask(key: &dyn HeaderProtectionKey, sample: &[u8; SAMPLE_LEN]) -> [u8; MASK_LEN] {
    let (mut first, mut number) = (0b11, [0; 4]);
    key.encrypt_in_place(sample, &mut first, &mut number).expect("the sample has the length of every suite");
    let [a, b, c, d] = number;
    [first ^ 0b11, a, b, c, d]
}

fn provider(groups: Vec<&'static dyn rustls::crypto::SupportedKxGroup>) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { kx_groups: groups, ..aws_lc_rs::default_provider() })
}

/// Believes the owners of the keys it knows, and nobody else.
#[derive(Debug)]
struct Pinned {
    keys: Vec<SubjectPublicKeyInfoDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    fn new(keys: Vec<SubjectPublicKeyInfoDer<'static>>) -> Self {
        Self { keys, algorithms: aws_lc_rs::default_provider().signature_verification_algorithms }
    }

    fn check(&self, key: &CertificateDer<'_>) -> Result<(), Error> {
        let is_known = self.keys.iter().any(|known| known.as_ref() == key.as_ref());
        if is_known { Ok(()) } else { Err(CertificateError::ApplicationVerificationFailure.into()) }
    }

    fn verify(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        key: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(key).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, key, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        key: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(key).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, key, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

const ALPN: &[u8] = b"posthaste/1";
