//! The side that answers.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::cell::Cell;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use core::{fmt, ptr};
use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::panic::catch_unwind;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use posthaste_onc::message::Refusal;
use posthaste_onc::server::{Arrival, Connection, DatagramServer, Incoming, ServerConfig, Service};
use posthaste_udp::{Clock, bind_with_listener, draw_seed};

use super::{DATAGRAM_BUFFER_LEN, STREAM_BUFFER_LEN};

/// A server that answers calls over UDP and TCP, on one port, on threads of its own. When it goes, they end.
///
/// A call is executed by the thread that received it, so a handler that takes long keeps a worker, or its connection, waiting.
pub struct Server {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What a server can be told.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The protocol's limits and timing.
    pub config: ServerConfig,
    /// The threads that answer calls over UDP, at least 1.
    pub worker_count: usize,
    /// The TCP connections, each with a thread of its own; one more is closed at once.
    pub connection_count_max: usize,
}

/// What the threads share.
struct Shared {
    local_addr: SocketAddr,
    clock: Clock,
    options: ServerOptions,
    service: Box<dyn Service + Send + Sync>,
    is_stopped: AtomicBool,
    datagrams: UdpSocket,
    calls: Mutex<DatagramServer>,
    /// The connections that are open, by a number that none had before.
    connections: Mutex<BTreeMap<u64, TcpStream>>,
}

impl Server {
    /// Serves at `address`; port 0 picks one that is free for both. Of several addresses, the first that can be had is taken.
    ///
    /// # Errors
    /// What the operating system says of the last address.
    pub fn serve(
        address: impl ToSocketAddrs,
        options: ServerOptions,
        service: impl Service + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let mut last = io::ErrorKind::NotFound.into();
        let mut bound = None;
        for address in address.to_socket_addrs()? {
            match bind_with_listener(address) {
                Ok(sockets) => {
                    bound = Some(sockets);
                    break;
                }
                Err(error) => last = error,
            }
        }
        let (listener, datagrams) = bound.ok_or(last)?;
        let shared = Arc::new(Shared {
            local_addr: listener.local_addr()?,
            clock: Clock::start(),
            calls: Mutex::new(DatagramServer::new(&options.config, draw_seed()?)),
            options,
            service: Box::new(service),
            is_stopped: AtomicBool::new(false),
            datagrams,
            connections: Mutex::default(),
        });
        // Dropped on the way out, it stops those that have begun.
        let mut server = Self { shared, threads: Vec::new() };
        server.spawn("posthaste-onc-tcp", move |shared| shared.serve_connections(&listener))?;
        for _ in 0..server.shared.worker_count() {
            server.spawn("posthaste-onc-udp", Shared::serve_datagrams)?;
        }
        Ok(server)
    }

    /// Returns the address that the server listens on, with both UDP and TCP.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.local_addr
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce(&Shared) + Send + 'static) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        self.threads.push(thread::Builder::new().name(name.to_owned()).spawn(move || work(&shared))?);
        Ok(())
    }
}

/// Ends the threads, which finish the calls that they have.
impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop();
        // A handler may hold the last handle, and no thread can wait for itself.
        if self.shared.is_answering_here() {
            return;
        }
        for thread in self.threads.drain(..) {
            // What panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// A worker: answers calls that come as datagrams.
    fn serve_datagrams(&self) {
        let (mut buffer, mut results) = (vec![0; DATAGRAM_BUFFER_LEN], Vec::new());
        loop {
            let received = self.datagrams.recv_from(&mut buffer);
            if self.is_stopped.load(Ordering::Acquire) {
                return;
            }
            // A socket error is that of one datagram.
            let Ok((len, from)) = received else { continue };
            let mut calls = lock(&self.calls);
            let (id, call) = match calls.handle_datagram(self.clock.now(), from, &buffer[..len]) {
                Ok(Arrival::Call(id, call)) => (id, call),
                Ok(Arrival::Answer(reply)) => {
                    let _ = self.datagrams.send_to(reply, from);
                    continue;
                }
                Err(_) => continue,
            };
            drop(calls);
            let outcome = self.answer(&call, &mut results);
            if let Some(reply) = lock(&self.calls).reply(self.clock.now(), id, outcome) {
                let _ = self.datagrams.send_to(reply, from);
            }
        }
    }

    /// Accepts connections, and gives each a thread.
    fn serve_connections(&self, listener: &TcpListener) {
        thread::scope(|scope| {
            for number in 0.. {
                let accepted = listener.accept();
                if self.is_stopped.load(Ordering::Acquire) {
                    return;
                }
                let Ok((socket, from)) = accepted else {
                    // As many files are open as may be: wait until one is closed.
                    thread::sleep(ACCEPT_PAUSE);
                    continue;
                };
                // Whom there is no room or thread for learns it by the end of the connection.
                let Some(entry) = self.enter(number, &socket) else { continue };
                let serve = move || {
                    // How a connection ends makes no difference to the others.
                    let _ = entry.shared.serve_connection(socket, from);
                    drop(entry);
                };
                let _ = thread::Builder::new().name("posthaste-onc-tcp".to_owned()).spawn_scoped(scope, serve);
            }
        });
    }

    /// Answers the calls of a connection, one after the other, until it ends.
    fn serve_connection(&self, mut socket: TcpStream, from: SocketAddr) -> io::Result<()> {
        // A reply is whole when it is written: there is nothing to wait for.
        socket.set_nodelay(true)?;
        let config = &self.options.config;
        let mut connection = Connection::new(config.clone(), from, self.clock.now());
        let (mut buffer, mut results) = (vec![0; STREAM_BUFFER_LEN], Vec::new());
        loop {
            let now = self.clock.now();
            let Some(deadline) = connection.poll_timeout() else { return Ok(()) };
            if deadline <= now {
                return Ok(());
            }
            socket.set_read_timeout(Some(deadline.saturating_since(now)))?;
            let len = match socket.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(len) => len,
                Err(error) if matches!(error.kind(), WouldBlock | TimedOut | Interrupted) => continue,
                Err(error) => return Err(error),
            };
            let mut input = &buffer[..len];
            while let Some(received) =
                connection.handle_octets(self.clock.now(), &mut input).map_err(io::Error::other)?
            {
                let xid = received.xid;
                let outcome = received.call.and_then(|call| self.answer(&call, &mut results));
                connection.reply(self.clock.now(), xid, outcome);
                self.send(&mut socket, &mut connection)?;
            }
        }
    }

    /// Sends all that is to be sent.
    fn send(&self, socket: &mut TcpStream, connection: &mut Connection) -> io::Result<()> {
        while let Some(octets) = connection.poll_transmit() {
            let now = self.clock.now();
            let deadline = connection.poll_timeout().filter(|deadline| *deadline > now);
            let deadline = deadline.ok_or(TimedOut)?;
            socket.set_write_timeout(Some(deadline.saturating_since(now)))?;
            let len = socket.write(octets)?;
            connection.handle_transmitted(now, len);
        }
        Ok(())
    }

    /// Executes a call.
    fn answer<'r>(&self, call: &Incoming<'_>, results: &'r mut Vec<u8>) -> Result<&'r [u8], Refusal> {
        results.clear();
        let before = ANSWERING.replace(ptr::from_ref(self).addr());
        // A handler that panics may have done part of its work, and the server lives on.
        let answered = catch_unwind(AssertUnwindSafe(|| self.service.answer(call, results)));
        ANSWERING.set(before);
        answered.unwrap_or(Err(Refusal::SystemError)).map(|()| &results[..])
    }

    /// Says whether the current thread executes a call of this server.
    fn is_answering_here(&self) -> bool {
        ANSWERING.get() == ptr::from_ref(self).addr()
    }

    /// Notes that a connection is open, unless there are too many.
    fn enter(&self, number: u64, socket: &TcpStream) -> Option<Entry<'_>> {
        let mut connections = lock(&self.connections);
        if self.is_stopped.load(Ordering::Acquire) || connections.len() >= self.options.connection_count_max {
            return None;
        }
        connections.insert(number, socket.try_clone().ok()?);
        Some(Entry { shared: self, number })
    }

    fn worker_count(&self) -> usize {
        self.options.worker_count.max(1)
    }

    /// Tells all threads to end, whatever they wait for.
    fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
        for connection in lock(&self.connections).values() {
            let _ = connection.shutdown(Shutdown::Both);
        }
        // With the scope of an address that is local to a link.
        let mut here = self.local_addr;
        match here.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => here.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => here.set_ip(Ipv6Addr::LOCALHOST.into()),
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
        // Who waits at a socket is woken by what arrives there.
        let _ = TcpStream::connect_timeout(&here, WAKE_TIMEOUT);
        for _ in 0..self.worker_count() {
            let _ = self.datagrams.send_to(&[], here);
        }
    }
}

std::thread_local! {
    /// The server a call of which this thread executes, by its address; zero if none.
    static ANSWERING: Cell<usize> = const { Cell::new(0) };
}

/// A connection that is open, among those that the server counts.
struct Entry<'s> {
    shared: &'s Shared,
    number: u64,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        lock(&self.shared.connections).remove(&self.number);
    }
}

impl Default for ServerOptions {
    /// Four workers, 256 connections.
    fn default() -> Self {
        Self { config: ServerConfig::default(), worker_count: 4, connection_count_max: 256 }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.local_addr()).finish()
    }
}

/// Whatever a thread was doing when it panicked: the state machines are never left half-way by a handler.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long nothing is accepted after that failed; our choice.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long it is tried to wake who accepts: where that takes long, so many knock that he is awake. Our choice.
const WAKE_TIMEOUT: Duration = Duration::from_secs(1);
