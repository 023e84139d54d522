//! The socket: opened and tuned once, then driven by its owner's loop.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{OnceLock, PoisonError, RwLock};
use std::thread;

use nix::errno::Errno;
use posthaste_core::wire::Steering;
use quinn_udp::{EcnCodepoint, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, SockRef, Type};

use crate::address::{Family, canonical};
use crate::busy_poll::{BusyPoll, BusyPoller};
use crate::error::may_refuse_segmentation;
use crate::group::{self, Member};
use crate::recv::RecvBatch;
#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::recv_one::{Sleep, recv_one};
use crate::report::{Buffer, Counters, OffReason, Offload, Report, Tally};
use crate::send::SendBatch;
use crate::wait::{self, Interrupt, Wake};

/// What to ask of the operating system. [`Socket::report`] tells what it granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Octets of payload that may wait to be received: 4 MiB by default. The system's limit (`net.core.rmem_max` on
    /// Linux) may cut it down.
    pub recv_buffer_len: usize,
    /// Octets of payload that may wait to be sent: 1 MiB by default, cut down likewise (`net.core.wmem_max`).
    pub send_buffer_len: usize,
    /// Whether this socket has its port for itself.
    pub port_use: PortUse,
    /// Where the owner waits for datagrams.
    pub waiting: Waiting,
    /// How long the owner looks for datagrams before it sleeps; [`Socket::busy_poller`] tells it so.
    pub busy_poll: BusyPoll,
    /// Many datagrams in one send. Off is for measuring.
    pub gso: TryOffload,
    /// Many datagrams in one receive. Off is for measuring.
    pub gro: TryOffload,
    /// Where the port has several sockets, each datagram comes to the one that it names without a detour. Off is for measuring.
    pub steering: TryOffload,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            recv_buffer_len: 4 << 20,
            send_buffer_len: 1 << 20,
            port_use: PortUse::Alone,
            waiting: Waiting::InPoll,
            busy_poll: BusyPoll::WhilePrompt,
            gso: TryOffload::IfSupported,
            gro: TryOffload::IfSupported,
            steering: TryOffload::IfSupported,
        }
    }
}

/// Whether other sockets may have the same port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortUse {
    /// Binding fails if another socket has the port.
    Alone,
    /// Sockets that all say so share the port, and the operating system spreads the peers among them
    /// (`SO_REUSEPORT`).
    Shared,
}

/// Where the owner of the socket waits for datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// In the receive call itself: one system call to sleep and receive. For a thread that has one socket.
    ///
    /// A receive fills one buffer only, and [`Socket::send`] sleeps while the send buffer is full.
    InRecv,
    /// Outside: the socket never blocks (`O_NONBLOCK`). For event loops.
    InPoll,
}

/// Whether an offload is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryOffload {
    /// Used where the operating system has it, until it fails.
    IfSupported,
    /// Not used.
    Never,
}

/// A UDP socket, tuned.
///
/// It may be shared: any thread may send or receive while another does.
#[derive(Debug)]
pub struct Socket {
    io: UdpSocket,
    local_addr: SocketAddr,
    family: Family,
    waiting: Waiting,
    busy_poll: BusyPoll,
    recv_state: UdpSocketState,
    /// The codepoint of what is sent without naming one, if the operating system could be told.
    usual_ecn: Option<EcnCodepoint>,
    /// Renewed after a refusal; see [`Socket::transmit_told`].
    send_state: RwLock<UdpSocketState>,
    gso_off: OnceLock<OffReason>,
    /// The report as of `bind`; what changes since is `gso_off`.
    report: Report,
    /// Whether the last wait was in vain; see [`Socket::recv_timeout`].
    is_idle: AtomicBool,
    tally: Tally,
    /// Its place among the sockets of its port, if there are several.
    member: Option<Member>,
}

impl Socket {
    /// Opens a socket on `addr`; port 0 picks a free one.
    ///
    /// The unspecified IPv6 address takes IPv4 peers too. Fragmentation is forbidden and each datagram's local address
    /// and codepoint told, wherever the operating system can.
    ///
    /// # Errors
    /// What the operating system says: the address is taken, not this host's, or not permitted. A buffer or offload
    /// that is not granted is no error; see [`report`](Self::report).
    pub fn bind(addr: SocketAddr, options: &Options) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        if addr.is_ipv6() && addr.ip().is_unspecified() {
            socket.set_only_v6(false)?;
        }
        if options.port_use == PortUse::Shared {
            socket.set_reuse_port(true)?;
        }
        // A refusal shows in the length that is read back.
        let _ = socket.set_recv_buffer_size(options.recv_buffer_len);
        let _ = socket.set_send_buffer_size(options.send_buffer_len);
        socket.bind(&addr.into())?;

        let io = UdpSocket::from(socket);
        let recv_state = UdpSocketState::new((&io).into())?;
        tune(&io, options.gro)?;
        let usual_ecn = set_usual_ecn(&io, Family::of(addr));
        let mut recv_sleep = Duration::ZERO;
        if options.waiting == Waiting::InRecv {
            io.set_nonblocking(false)?;
            io.set_read_timeout(Some(RECV_SLEEP))?;
            recv_sleep = io.read_timeout()?.unwrap_or(RECV_SLEEP);
        }

        let report = Report {
            recv_buffer: Buffer {
                asked_len: options.recv_buffer_len,
                granted_len: granted_len(SockRef::from(&io).recv_buffer_size()?),
            },
            send_buffer: Buffer {
                asked_len: options.send_buffer_len,
                granted_len: granted_len(SockRef::from(&io).send_buffer_size()?),
            },
            gso: tried(options.gso, recv_state.max_gso_segments() > 1),
            gro: tried(options.gro, recv_state.gro_segments() > 1),
            ecn: Offload::if_supported(tells_ecn(&io, addr)),
            dont_fragment: Offload::if_supported(!recv_state.may_fragment()),
            steering: Offload::Off(OffReason::NotAsked),
            recv_sleep,
        };
        let gso_off = OnceLock::new();
        if let Offload::Off(reason) = report.gso {
            let _ = gso_off.set(reason);
        }
        Ok(Self {
            local_addr: canonical(io.local_addr()?),
            family: Family::of(addr),
            waiting: options.waiting,
            busy_poll: options.busy_poll,
            recv_state,
            usual_ecn,
            send_state: RwLock::new(unbound_state()?),
            gso_off,
            report,
            is_idle: AtomicBool::new(false),
            tally: Tally::default(),
            member: None,
            io,
        })
    }

    /// Opens `count` sockets on one port of `addr`, which nobody else has; port 0 picks a free one.
    ///
    /// A datagram comes to the socket that it names, by its index, as `steering` reads it; one that names none, to any of
    /// them, but always to the same as others of its peer. Where the operating system cannot be taught that
    /// ([`Report::steering`]), what comes to another socket is passed on within the process, when that one is
    /// received from. So all sockets have to be received from, and whoever waits for one waits for its
    /// [`interrupt`](Self::interrupt) too, as [`recv_timeout`](Self::recv_timeout) does.
    ///
    /// The sockets never block: [`Waiting::InPoll`], whatever `options` says, unless there is but one.
    ///
    /// # Errors
    /// As [`bind`](Self::bind), and [`InvalidInput`](io::ErrorKind::InvalidInput) if `count` is 0 or above 256.
    pub fn bind_group(addr: SocketAddr, count: usize, steering: &Steering, options: &Options) -> io::Result<Vec<Self>> {
        if !(1..=SOCKET_COUNT_MAX).contains(&count) {
            let message = format!("a port has 1 to {SOCKET_COUNT_MAX} sockets, not {count}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if count == 1 {
            return Ok(vec![Self::bind(addr, options)?]);
        }
        let shared = Options { port_use: PortUse::Shared, waiting: Waiting::InPoll, ..options.clone() };
        // The first one makes sure that the port is free, and opens it to the others only then.
        let first = Self::bind(addr, &Options { port_use: PortUse::Alone, ..shared.clone() })?;
        SockRef::from(&first.io).set_reuse_port(true)?;
        let mut place = addr;
        place.set_port(first.local_addr.port());
        let mut sockets = vec![first];
        for _ in 1..count {
            sockets.push(Self::bind(place, &shared)?);
        }
        let steered = match options.steering {
            TryOffload::IfSupported => group::steer(&sockets[0].io, steering.program),
            TryOffload::Never => Offload::Off(OffReason::NotAsked),
        };
        for (socket, member) in sockets.iter_mut().zip(Member::group(count, steering)?) {
            socket.report.steering = steered;
            socket.member = Some(member);
        }
        Ok(sockets)
    }

    /// Sends the batch, with one system call a run of equal neighbours, and leaves it empty.
    ///
    /// What the operating system will never take is dropped and counted; where it cannot cut runs apart, the same
    /// datagrams are sent singly from then on.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the send buffer is full: what was not sent stays in the batch.
    /// Any other error is the end of the socket.
    pub fn send(&self, batch: &mut SendBatch) -> io::Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        batch.drain(&self.gso_off, &self.tally, |transmit| self.transmit(transmit))
    }

    /// Receives into `batch`, by one system call, as many datagrams as wait and fit; returns their count. What was not
    /// taken out of the batch before is gone.
    ///
    /// Never sleeps. With [`Waiting::InRecv`] it costs a second system call but on Linux and Android, to look before it receives.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when nothing waits. Any other error is the end of the socket.
    pub fn recv(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        batch.begin(self.member.as_ref());
        if let passed_count @ 1.. = batch.take_passed() {
            return Ok(passed_count);
        }
        let filled = if self.waiting == Waiting::InRecv { self.look(batch) } else { self.fill(batch) };
        match filled? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            datagram_count => Ok(datagram_count),
        }
    }

    /// Receives like [`recv`](Self::recv), but sleeps until a datagram comes, at most `timeout`; without one, until
    /// then. Returns zero if none came: the caller looks at the clock and asks again, since the sleep may end early.
    ///
    /// With [`Waiting::InRecv`], sleeping and receiving are one system call while datagrams follow each other within
    /// the [sleep of a receive call](Report::recv_sleep). After a sleep in vain, and for a shorter timeout, they are
    /// two, as always with [`Waiting::InPoll`], and the timeout is kept as exactly as the kernel's timers do (measured:
    /// 0.1 ms late, or a thousandth of it). Only a timeout of one to two such sleeps may end later, by less than one.
    ///
    /// # Errors
    /// The end of the socket.
    pub fn recv_timeout(&self, batch: &mut RecvBatch, timeout: Option<Duration>) -> io::Result<usize> {
        batch.begin(self.member.as_ref());
        // A receive call has only the timeout that its socket was given, which is rounded to the kernel's tick and
        // costs a system call to change. One fixed short one serves the row of datagrams, where each call counts;
        // who is idle can afford to wait exactly.
        let sleeps_in_recv = self.waiting == Waiting::InRecv
            && !self.is_idle.load(Ordering::Relaxed)
            && timeout.is_none_or(|timeout| timeout >= self.report.recv_sleep);
        if !sleeps_in_recv && self.await_datagram(timeout)? == Wake::NotReady {
            return Ok(0);
        }
        if let passed_count @ 1.. = batch.take_passed() {
            return Ok(passed_count);
        }
        match self.fill(batch) {
            Ok(0) => {
                // The socket is sick. Who asks again at once must not spin.
                thread::sleep(timeout.map_or(SICK_PAUSE, |timeout| timeout.min(SICK_PAUSE)));
                Ok(0)
            }
            Ok(datagram_count) => {
                self.is_idle.store(false, Ordering::Relaxed);
                Ok(datagram_count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.is_idle.store(true, Ordering::Relaxed);
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }

    /// Sleeps until a datagram can be received or `interrupt` is raised, at most `timeout`; without one, until then. It may end
    /// early.
    ///
    /// Takes nothing: for a thread that looks after the socket while no other receives.
    ///
    /// # Errors
    /// The end of the socket.
    pub fn wait(&self, interrupt: &Interrupt, timeout: Option<Duration>) -> io::Result<()> {
        wait::readable_or_raised(self.as_fd(), interrupt, timeout).map(drop)
    }

    /// Returns what is raised when another socket of the port has passed something on to this one, to be waited for beside the
    /// socket; `None` if it has its port for itself.
    ///
    /// Raised by somebody else, it ends the sleep of [`recv_timeout`](Self::recv_timeout). Receiving lowers it.
    #[must_use]
    pub fn interrupt(&self) -> Option<&Interrupt> {
        self.member.as_ref().map(Member::interrupt)
    }

    /// Returns what says to whoever waits whether to look again or to sleep, as the options want it.
    #[must_use]
    pub const fn busy_poller(&self) -> BusyPoller {
        BusyPoller::new(self.busy_poll)
    }

    /// Returns the address that the socket is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Returns what the operating system granted, and which offloads are in use at this moment.
    #[must_use]
    pub fn report(&self) -> Report {
        let gso = self.gso_off.get().map_or(Offload::On, |&reason| Offload::Off(reason));
        Report { gso, ..self.report }
    }

    /// Returns what went through the socket, and what was lost to errors.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.tally.counters()
    }

    /// Hands one run to the operating system; what has nothing to tell it beside its octets, without the detour of a message header
    /// and control messages (measured: 0.2 µs).
    fn transmit(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let destination = self.family.native(transmit.destination);
        if destination.port() == 0 {
            // Whoever claims to come from port 0 would have the state renewed at each answer.
            return Err(Errno::EINVAL.into());
        }
        let is_usual = transmit.segment_size.is_none()
            && transmit.ecn.is_some()
            && transmit.ecn == self.usual_ecn
            && transmit.src_ip.is_none_or(|ip| ip == self.local_addr.ip());
        if is_usual {
            self.io.send_to(transmit.contents, destination).map(drop)
        } else {
            self.transmit_told(&Transmit { destination, ..*transmit })
        }
    }

    /// Hands one run to the operating system, and tells what is to be known of it.
    ///
    /// `quinn_udp` takes a refusal (`EIO`, `EINVAL`) as a sign of a system that does not know codepoints on sending,
    /// tries once more without, and never sets one again on IPv4. If it fails both ways, the codepoint was not at
    /// fault, so a state without that memory takes its place: one offload's failure, or one impossible address, may
    /// not cost another offload.
    fn transmit_told(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let result = {
            let state = self.send_state.read().unwrap_or_else(PoisonError::into_inner);
            state.try_send((&self.io).into(), transmit)
        };
        if result.as_ref().is_err_and(may_refuse_segmentation)
            && let Ok(fresh) = unbound_state()
        {
            *self.send_state.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        result
    }

    fn await_datagram(&self, timeout: Option<Duration>) -> io::Result<Wake> {
        match &self.member {
            None => wait::readable(self.as_fd(), timeout),
            Some(member) => wait::readable_or_raised(self.as_fd(), member.interrupt(), timeout),
        }
    }

    /// Receives without a sleep, though the socket is one that sleeps.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn look(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        self.fill_one(batch, Sleep::No)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn look(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        match self.await_datagram(Some(Duration::ZERO))? {
            Wake::Ready => self.fill(batch),
            Wake::NotReady => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn fill(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        match self.waiting {
            // `recvmmsg` on a blocking socket sleeps until every buffer is filled, and looks for one more than there is on another.
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Waiting::InRecv => self.fill_one(batch, Sleep::AsTold),
            #[cfg(not(any(target_os = "linux", target_os = "android")))]
            Waiting::InRecv => self.fill_many(batch, 1),
            Waiting::InPoll => self.fill_many(batch, RecvBatch::BUFFER_COUNT_MAX),
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn fill_one(&self, batch: &mut RecvBatch, sleep: Sleep) -> io::Result<usize> {
        batch.fill(1, &self.tally, |buffers, metas| recv_one(&self.io, sleep, buffers, metas))
    }

    fn fill_many(&self, batch: &mut RecvBatch, count: usize) -> io::Result<usize> {
        batch.fill(count, &self.tally, |buffers, metas| self.recv_state.recv((&self.io).into(), buffers, metas))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.io.as_raw_fd()
    }
}

/// Undoes what `UdpSocketState::new` switches on too much.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn tune(io: &UdpSocket, gro: TryOffload) -> io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt};

    // With a time stamp, the control messages of joined datagrams exceed the 96 octets that `quinn_udp` 0.6 keeps for
    // them, and the codepoint is cut off.
    setsockopt(io, sockopt::ReceiveTimestampns, &false)?;
    if gro == TryOffload::Never {
        // A kernel that does not know it need not be told.
        let _ = setsockopt(io, sockopt::UdpGroSegment, &false);
    }
    Ok(())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn tune(_io: &UdpSocket, _gro: TryOffload) -> io::Result<()> {
    Ok(())
}

/// Has what is sent without a word about it marked as ECN-capable, as nearly everything is; returns the codepoint if that is so.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_usual_ecn(io: &UdpSocket, family: Family) -> Option<EcnCodepoint> {
    let (socket, codepoint) = (SockRef::from(io), EcnCodepoint::Ect0);
    socket.set_tos_v4(codepoint as u32).ok()?;
    if family == Family::V6 {
        socket.set_tclass_v6(codepoint as u32).ok()?;
    }
    Some(codepoint)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
const fn set_usual_ecn(_io: &UdpSocket, _family: Family) -> Option<EcnCodepoint> {
    None
}

/// Makes the sending side of `quinn_udp`'s state, which knows of no particular socket.
fn unbound_state() -> io::Result<UdpSocketState> {
    let socket = socket2::Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    UdpSocketState::new((&socket).into())
}

fn tried(try_offload: TryOffload, supported: bool) -> Offload {
    match try_offload {
        TryOffload::IfSupported => Offload::if_supported(supported),
        TryOffload::Never => Offload::Off(OffReason::NotAsked),
    }
}

fn tells_ecn(io: &UdpSocket, addr: SocketAddr) -> bool {
    let socket = SockRef::from(io);
    match addr {
        SocketAddr::V4(_) => socket.recv_tos_v4(),
        SocketAddr::V6(_) => socket.recv_tclass_v6(),
    }
    .unwrap_or(false)
}

/// socket(7): Linux doubles what was asked, to make up for what it charges besides the payload.
fn granted_len(read_back_len: usize) -> usize {
    if cfg!(any(target_os = "linux", target_os = "android")) { read_back_len / 2 } else { read_back_len }
}

/// What an octet can tell apart.
const SOCKET_COUNT_MAX: usize = 256;

/// How long a receive call sleeps; our choice. Long enough for the next call in a row of calls, and one tick of the
/// slower of the usual kernels, which round it up (250 Hz).
const RECV_SLEEP: Duration = Duration::from_millis(4);

/// At most a hundred fruitless looks a second at a socket that gives nothing but errors; our choice.
const SICK_PAUSE: Duration = Duration::from_millis(10);
