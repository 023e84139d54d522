//! The work that adapters and other systems are given alike, with both ends in one process.

/// A client, and a server on a thread of its own, with a conversation between them.
pub trait Ends {
    /// Makes `count` calls of `len` octets each way, all of them under way at a time, and waits for all replies.
    ///
    /// # Panics
    /// If one is not answered with as many octets.
    fn echo(&mut self, len: usize, count: usize);
}

/// A kind of work. One in flight tells what a call takes, more of them what a datagram and a system call share, and long ones
/// what an octet takes.
///
/// Messages in one direction are left to two processes: in one, a sender and a receiver that never wait for each other measure
/// whom the system lets run.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Octets each way.
    pub len: usize,
    /// Calls under way at a time.
    pub count: usize,
}

/// What all are given.
pub const WORKS: [Work; 5] = [
    Work { len: 32, count: 1 },
    Work { len: 32, count: 64 },
    Work { len: 32, count: 512 },
    // The longest that each system takes, plain UDP too.
    Work { len: 32 << 10, count: 1 },
    Work { len: 32 << 10, count: 8 },
];
