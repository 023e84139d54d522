//! A portmapper.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::net::UdpSocket;
use std::process::{Child, Command};

use crate::find;

/// An `rpcbind` that runs, and ends with this. It is for a network of its own: the port of a portmapper is fixed.
#[derive(Debug)]
pub struct Rpcbind(Child);

impl Rpcbind {
    /// Starts it, for everybody to register with, and returns when it answers.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn start() -> Self {
        let program = find("rpcbind").expect("it is here");
        let rpcbind = Self(Command::new(program).args(["-f", "-i"]).spawn().expect("it can be run"));
        // Version 2 of its program, procedure 0, called by nobody in particular (RFC 5531 §9).
        let call = [1_u32, 0, 2, 100_000, 2, 0, 0, 0, 0, 0].map(u32::to_be_bytes).concat();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a network");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("sockets have timeouts");
        // What is sent before it listens is lost.
        let mut attempts = 0..1500;
        let is_answered = attempts.any(|_| {
            socket.send_to(&call, (Ipv4Addr::LOCALHOST, 111)).expect("datagrams can be sent");
            socket.recv(&mut [0; 64]).is_ok()
        });
        assert!(is_answered, "rpcbind does not answer");
        rpcbind
    }
}

impl Drop for Rpcbind {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
