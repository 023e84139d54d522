//! A listener and a UDP socket on one port, for protocols that are spoken over both.

use core::net::SocketAddr;
use std::io::{self, ErrorKind};
use std::net::{TcpListener, UdpSocket};

/// Opens a TCP listener and a UDP socket on the port of `address`; port 0 picks one that is free for both. Both block.
///
/// # Errors
/// What the operating system says.
pub fn bind_with_listener(address: SocketAddr) -> io::Result<(TcpListener, UdpSocket)> {
    let mut attempt_count = 1;
    loop {
        let listener = TcpListener::bind(address)?;
        match UdpSocket::bind(listener.local_addr()?) {
            Ok(datagrams) => return Ok((listener, datagrams)),
            // A port that is free for TCP may be taken for UDP, and the next one not.
            Err(error)
                if error.kind() == ErrorKind::AddrInUse && address.port() == 0 && attempt_count < ATTEMPT_COUNT_MAX => {
            }
            Err(error) => return Err(error),
        }
        attempt_count += 1;
    }
}

/// How many free ports are tried; our choice.
const ATTEMPT_COUNT_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_have_the_port_and_nobody_else_gets_it() {
        let (listener, datagrams) = bind_with_listener("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(datagrams.local_addr().unwrap(), address);
        drop(listener);
        // The port is free for TCP, and one that was asked for is not exchanged for another.
        assert_eq!(bind_with_listener(address).unwrap_err().kind(), ErrorKind::AddrInUse);
    }
}
