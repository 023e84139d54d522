//! An endpoint of the core with a socket and a clock, as an event source.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use mio::event::{self, Source as _};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use posthaste_core::endpoint::Event;
use posthaste_core::{Config, Instant};
use posthaste_udp::{Alarm, BindError, BusyPoller, Clock, Options, RecvBatch, Report, SendBatch, Socket, Waiting};

/// The protocol state of one UDP socket, and the socket: an event source of a [`mio::Poll`].
///
/// A turn of the loop: [`handle_event`](Self::handle_event) for what `Poll` told, [`process`](Self::process),
/// [`poll_event`](Self::poll_event) until `None`, [`transmit`](Self::transmit), and a sleep of at most
/// [`next_timeout`](Self::next_timeout). Commands given outside of a turn are followed by a `transmit` too. In a turn that
/// makes or answers many calls, a [`transmit_slice`](Self::transmit_slice) after each lets the other side begin early.
///
/// What the application does in one go is done at one moment: the clock is read by `process` and `transmit`, and by the first
/// command after `next_timeout`. Timeouts of calls count from there.
pub struct Endpoint {
    pub(crate) core: posthaste_core::Endpoint<'static>,
    socket: Socket,
    clock: Clock,
    /// Calls and replies that were given since the last `transmit`.
    pub(crate) unsent_count: usize,
    /// What the clock showed when it was read last, if the loop has not slept since.
    moment: Option<Instant>,
    incoming: RecvBatch,
    outgoing: SendBatch,
    /// Readiness is told once, when it begins; it lasts until the socket would block.
    is_readable: bool,
    /// Whether the last receive left nothing in the socket: what comes after it is an event.
    is_drained: bool,
    poller: BusyPoller,
    is_send_blocked: bool,
    /// Tells the loop of deadlines, where the operating system has such a thing.
    alarm: Option<Alarm>,
    registration: Option<Registration>,
}

/// Where the endpoint is registered, so that it can ask to be told of room in the send buffer, and only then: a socket that is
/// always asked wakes the loop after each datagram that left.
struct Registration {
    registry: Registry,
    token: Token,
    interests: Interest,
}

impl Endpoint {
    /// Opens a socket on `addr` and an endpoint in plain mode on it: whoever is on the path can read and forge datagrams.
    ///
    /// For loopback and closed networks. What a peer may have under way to us is lowered to the receive buffer that the
    /// operating system grants: [`Config::fit_recv_buffer`].
    ///
    /// # Errors
    /// [`BindError`]: what the system says, or the field of `config` that is out of range.
    pub fn bind_insecure(addr: SocketAddr, config: Config, options: &Options) -> Result<Self, BindError> {
        let (socket, core) = posthaste_udp::bind_insecure(addr, config, &in_poll(options))?;
        Ok(Self::new(socket, core))
    }

    /// Opens `socket_count` sockets on one port of `addr`, 1 to 256, and an endpoint in plain mode on each: a server for as many
    /// threads, of which each has a [`mio::Poll`] of its own.
    ///
    /// A peer stays with one of them, whatever its address. All have to be driven: one that is not leaves its peers without an
    /// answer.
    ///
    /// # Errors
    /// As [`bind_insecure`](Self::bind_insecure).
    pub fn bind_group_insecure(
        addr: SocketAddr,
        socket_count: usize,
        config: &Config,
        options: &Options,
    ) -> Result<Vec<Self>, BindError> {
        let bound = posthaste_udp::bind_group_insecure(addr, socket_count, config, &in_poll(options))?;
        Ok(bound.into_iter().map(|(socket, core)| Self::new(socket, core)).collect())
    }

    fn new(socket: Socket, core: posthaste_core::Endpoint<'static>) -> Self {
        Self {
            outgoing: SendBatch::new(core.config().datagram_len_max),
            core,
            poller: socket.busy_poller(),
            socket,
            clock: Clock::start(),
            incoming: RecvBatch::new(RECV_BUFFER_COUNT.min(RecvBatch::BUFFER_COUNT_MAX)),
            unsent_count: 0,
            moment: None,
            is_readable: false,
            is_drained: false,
            is_send_blocked: false,
            alarm: Alarm::new().ok(),
            registration: None,
        }
    }

    /// Notes what `Poll` told about this endpoint.
    pub fn handle_event(&mut self, event: &event::Event) {
        // An error of the socket is fetched by receiving, too.
        if event.is_readable() || event.is_error() {
            self.is_readable = true;
            self.is_drained = false;
        }
        self.is_send_blocked &= !event.is_writable();
    }

    /// Takes in what arrived, two datagrams or, while they give the application nothing to do, a few dozen, and acts on deadlines that
    /// have passed.
    ///
    /// Without readiness and before the deadline it costs a reading of the clock. When more waits,
    /// [`next_timeout`](Self::next_timeout) is zero: other endpoints of the loop get their turn, and this one the next.
    ///
    /// # Errors
    /// The end of the socket.
    pub fn process(&mut self) -> io::Result<()> {
        let now = self.read_clock();
        self.receive(now)?;
        if self.core.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.core.handle_timeout(now);
        }
        Ok(())
    }

    /// Returns the next thing that the application is to know; call until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.core.poll_event()
    }

    /// Sends what is ready to be sent. When the send buffer is full, the rest is kept, and `Poll` tells when there is room.
    ///
    /// # Errors
    /// The end of the socket.
    pub fn transmit(&mut self) -> io::Result<()> {
        self.unsent_count = 0;
        if self.is_send_blocked {
            return Ok(());
        }
        let now = self.read_clock();
        match self.socket.send_all(now, &mut self.core, &mut self.outgoing) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.is_send_blocked = true;
                self.wait_for(Interest::READABLE | Interest::WRITABLE)
            }
            Err(error) => Err(error),
            Ok(()) => self.wait_for(Interest::READABLE),
        }
    }

    /// Sends what is ready if enough calls or replies were given since the last time: half of what is under way, 16 to 256. So
    /// the other side has work while the rest is done here, and datagrams are long where much is under way.
    ///
    /// # Errors
    /// The end of the socket.
    pub fn transmit_slice(&mut self) -> io::Result<()> {
        if self.unsent_count < self.core.slice_count() { Ok(()) } else { self.transmit() }
    }

    /// Returns how long the loop may sleep: `None` until `Poll` tells of this endpoint, be it of a datagram or of a deadline; zero if
    /// datagrams wait that [`process`](Self::process) did not take, or something is about to come ([`BusyPoll`](crate::BusyPoll)).
    /// Where there is no timer to tell of a deadline, it is the time until then in whole milliseconds, rounded up; see the crate's
    /// documentation.
    #[must_use]
    pub fn next_timeout(&mut self) -> Option<Duration> {
        let now = self.moment();
        self.moment = None;
        let has_several = self.core.usage().exchanges > 1;
        if self.is_readable || self.poller.looks(now, has_several) {
            return Some(Duration::ZERO);
        }
        let deadline = self.core.poll_timeout()?;
        if now < deadline && self.set_alarm(now, deadline) {
            return None;
        }
        Some(round_up(deadline.saturating_since(now)))
    }

    /// Has the alarm tell `Poll` of the deadline; false if it cannot.
    fn set_alarm(&mut self, now: Instant, deadline: Instant) -> bool {
        self.registration.is_some() && self.alarm.as_mut().is_some_and(|alarm| alarm.set(now, deadline).is_ok())
    }

    /// Returns the time on the clock of this endpoint, which began when it was bound.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Returns the address that the socket is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.socket.local_addr()
    }

    /// Returns what the operating system granted, and what went through the socket.
    #[must_use]
    pub fn socket_report(&self) -> (Report, posthaste_udp::Counters) {
        (self.socket.report(), self.socket.counters())
    }

    /// Returns the moment at which commands happen.
    pub(crate) fn moment(&mut self) -> Instant {
        match self.moment {
            Some(moment) => moment,
            None => self.read_clock(),
        }
    }

    fn read_clock(&mut self) -> Instant {
        let now = self.now();
        self.moment = Some(now);
        now
    }

    /// Hands arrived datagrams to the core until none waits or the turn is over.
    ///
    /// Whatever the socket gives counts, be it empty or rubbish: a flood of it may keep neither timers nor other endpoints
    /// from their turn.
    fn receive(&mut self, now: Instant) -> io::Result<()> {
        let mut datagram_count = 0;
        while self.is_readable {
            while let Some(datagram) = self.incoming.next_datagram() {
                // The core has counted what it rejects.
                let _ = self.core.handle_datagram(now, datagram.arrival(), datagram.payload);
                self.poller.end(now);
                datagram_count += 1;
                let is_enough = datagram_count >= TURN_DATAGRAM_COUNT_MIN && self.core.has_event();
                if is_enough || datagram_count == TURN_DATAGRAM_COUNT_MAX {
                    return Ok(());
                }
            }
            if core::mem::take(&mut self.is_drained) {
                self.is_readable = false;
                break;
            }
            self.is_readable = self.recv()?;
        }
        Ok(())
    }

    /// Receives into the batch, which is empty; false if nothing waits.
    fn recv(&mut self) -> io::Result<bool> {
        match self.socket.recv(&mut self.incoming) {
            Ok(_) => {
                self.is_drained = !self.incoming.is_full();
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns what wakes the loop beside the socket.
    fn fds_beside(&self) -> impl Iterator<Item = RawFd> {
        let interrupt = self.socket.interrupt().map(AsFd::as_fd);
        let alarm = self.alarm.as_ref().map(AsFd::as_fd);
        [interrupt, alarm].into_iter().flatten().map(|fd| fd.as_raw_fd())
    }

    fn wait_for(&mut self, interests: Interest) -> io::Result<()> {
        let Some(registration) = &mut self.registration else { return Ok(()) };
        if registration.interests != interests {
            registration.interests = interests;
            SourceFd(&self.socket.as_raw_fd()).reregister(&registration.registry, registration.token, interests)?;
        }
        Ok(())
    }
}

/// Tells all peers that nobody is here any more; what they have not received is lost.
impl Drop for Endpoint {
    fn drop(&mut self) {
        self.close_all(0);
        // Whoever does not hear it finds out by itself.
        let _ = self.transmit();
    }
}

/// What to be told of is the endpoint's own choice: the interests that the caller names are not looked at.
impl event::Source for Endpoint {
    fn register(&mut self, registry: &Registry, token: Token, _: Interest) -> io::Result<()> {
        let interests = Interest::READABLE;
        let registration = Registration { registry: registry.try_clone()?, token, interests };
        SourceFd(&self.socket.as_raw_fd()).register(registry, token, interests)?;
        for fd in self.fds_beside() {
            SourceFd(&fd).register(registry, token, Interest::READABLE)?;
        }
        self.registration = Some(registration);
        // What was held up by a full send buffer is tried again by the next `transmit`.
        self.is_send_blocked = false;
        Ok(())
    }

    fn reregister(&mut self, registry: &Registry, token: Token, _: Interest) -> io::Result<()> {
        let interests = self.registration.as_ref().map_or(Interest::READABLE, |registration| registration.interests);
        SourceFd(&self.socket.as_raw_fd()).reregister(registry, token, interests)?;
        for fd in self.fds_beside() {
            SourceFd(&fd).reregister(registry, token, Interest::READABLE)?;
        }
        self.registration = Some(Registration { registry: registry.try_clone()?, token, interests });
        Ok(())
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.registration = None;
        self.is_send_blocked = false;
        for fd in self.fds_beside() {
            SourceFd(&fd).deregister(registry)?;
        }
        SourceFd(&self.socket.as_raw_fd()).deregister(registry)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("socket", &self.socket)
            .field("is_readable", &self.is_readable)
            .field("is_send_blocked", &self.is_send_blocked)
            .finish_non_exhaustive()
    }
}

fn in_poll(options: &Options) -> Options {
    Options { waiting: Waiting::InPoll, ..options.clone() }
}

/// Rounds up to whole milliseconds: a sleep that ends before the deadline would be followed by another one, and another.
fn round_up(timeout: Duration) -> Duration {
    let millis = timeout.as_nanos().div_ceil(NANOS_PER_MILLI);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// Datagrams after which a turn ends if there is something for the application to do, so that the other side has work while the rest
/// is looked at. Our choice: measured, with 64 calls in flight a quarter more calls than with all that waits.
const TURN_DATAGRAM_COUNT_MIN: usize = 2;

/// Datagrams after which it ends in any case. Our choice: of a bulk transfer that comes in full buffers, one buffer's datagrams share an
/// acknowledgement.
const TURN_DATAGRAM_COUNT_MAX: usize = 64;

/// Buffers of one receive; our choice: a small turn in one system call.
const RECV_BUFFER_COUNT: usize = 8;

const NANOS_PER_MILLI: u128 = 1_000_000;
