//! Receives from a socket that sleeps when it is received from: with a sleep or without one.

use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, RecvMsg, SockaddrStorage, recvmsg};
use quinn_udp::{EcnCodepoint, RecvMeta};

/// Fills the first of `buffers` with what arrives, and says in the first of `metas` what it is; returns 1.
///
/// `quinn_udp` always sleeps on such a socket, and makes ready for many buffers.
///
/// # Errors
/// [`WouldBlock`](io::ErrorKind::WouldBlock) when nothing came, and whatever else the operating system says.
pub(crate) fn recv_one(
    socket: &impl AsRawFd,
    sleep: Sleep,
    buffers: &mut [IoSliceMut<'_>],
    metas: &mut [RecvMeta],
) -> io::Result<usize> {
    let flags = match sleep {
        Sleep::AsTold => MsgFlags::empty(),
        Sleep::No => MsgFlags::MSG_DONTWAIT,
    };
    let mut control = Control([0; CONTROL_LEN]);
    let received = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut buffers[..1], Some(&mut control.0), flags)?;
    metas[0] = meta(&received).ok_or(io::ErrorKind::InvalidData)?;
    Ok(1)
}

/// Whether to wait for what does not wait yet.
#[derive(Clone, Copy)]
pub(crate) enum Sleep {
    /// For as long as the socket was told.
    AsTold,
    No,
}

/// Returns what is told of a datagram; `None` if it comes from no IP address.
fn meta(received: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<RecvMeta> {
    let mut meta = RecvMeta::default();
    meta.addr = socket_addr(received.address.as_ref()?)?;
    (meta.len, meta.stride) = (received.bytes, received.bytes);
    for told in received.cmsgs().into_iter().flatten() {
        // Of what else the system tells, nothing is asked for.
        if let ControlMessageOwned::UdpGroSegments(len) = told {
            meta.stride = usize::try_from(len).ok()?;
        } else if let ControlMessageOwned::Ipv4Tos(tos) = told {
            meta.ecn = EcnCodepoint::from_bits(tos);
        } else if let ControlMessageOwned::Ipv6TClass(class) = told {
            meta.ecn = EcnCodepoint::from_bits(u8::try_from(class).ok()?);
        } else if let ControlMessageOwned::Ipv4PacketInfo(info) = told {
            meta.dst_ip = Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()).into());
        } else if let ControlMessageOwned::Ipv6PacketInfo(info) = told {
            meta.dst_ip = Some(IpAddr::from(info.ipi6_addr.s6_addr));
        }
    }
    Some(meta)
}

fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|&v4| SocketAddrV4::from(v4).into());
    v4.or_else(|| address.as_sockaddr_in6().map(|&v6| SocketAddrV6::from(v6).into()))
}

/// Room for what the system tells beside a datagram, aligned as its headers are.
#[repr(align(8))]
struct Control([u8; CONTROL_LEN]);

/// More than twice what one datagram brings: local address, codepoint and the length of what was joined, each behind a header.
const CONTROL_LEN: usize = 256;
