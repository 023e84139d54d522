//! Calls and messages on a stream of octets, without the stream: a length in four octets, then so many octets.
//!
//! The highest bit of the length says that it is a message, of which the server only counts the octets as they come; an
//! empty one asks for that count.

use alloc::collections::VecDeque;
use std::time::Instant;

use super::Block;

/// The server's end.
pub(super) struct Service {
    buffer: Buffer,
    message_left: usize,
    counted_len: u64,
}

/// The client's end, while it calls.
pub(super) struct Calls {
    buffer: Buffer,
    block: Block,
    request: Vec<u8>,
    in_flight: usize,
    /// When each open call was begun. A stream keeps their order.
    open: VecDeque<Instant>,
}

/// What was read of a stream and not yet understood.
struct Buffer {
    octets: Box<[u8]>,
    filled_len: usize,
}

impl Service {
    /// Begins with a stream.
    pub(super) fn new() -> Self {
        Self { buffer: Buffer::new(), message_left: 0, counted_len: 0 }
    }

    /// Returns where to read to.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.buffer.space()
    }

    /// Answers what came with the `len` octets that were read to [`space`](Self::space).
    pub(super) fn handle(&mut self, len: usize, replies: &mut Vec<u8>) {
        self.buffer.filled_len += len;
        let mut rest = &self.buffer.octets[..self.buffer.filled_len];
        loop {
            let skipped_len = self.message_left.min(rest.len());
            rest = &rest[skipped_len..];
            self.message_left -= skipped_len;
            self.counted_len += skipped_len as u64;
            let Some((head, after)) = rest.split_first_chunk() else { break };
            let head = u32::from_le_bytes(*head);
            let len = (head & !MESSAGE) as usize;
            if head == MESSAGE {
                replies.extend_from_slice(&self.counted_len.to_le_bytes());
                self.counted_len = 0;
                rest = after;
            } else if head & MESSAGE != 0 {
                self.message_left = len;
                rest = after;
            } else if let Some((octets, after)) = after.split_at_checked(len) {
                replies.extend_from_slice(&head.to_le_bytes());
                replies.extend_from_slice(octets);
                rest = after;
            } else {
                break;
            }
        }
        let rest_len = rest.len();
        self.buffer.keep_last(rest_len);
    }
}

impl Calls {
    /// Begins without a call open.
    pub(super) fn new(len: usize, in_flight: usize, block: Block) -> Self {
        let mut request = vec![0x5a; HEAD_LEN + len];
        request[..HEAD_LEN].copy_from_slice(&(len as u32).to_le_bytes());
        Self { buffer: Buffer::new(), block, request, in_flight, open: VecDeque::with_capacity(in_flight) }
    }

    /// Begins as many calls as may begin, and adds them to `requests`. Returns whether any is open.
    pub(super) fn begin(&mut self, requests: &mut Vec<u8>) -> bool {
        let now = Instant::now();
        for _ in 0..self.block.begin(now, self.in_flight - self.open.len()) {
            self.open.push_back(now);
            requests.extend_from_slice(&self.request);
        }
        !self.open.is_empty()
    }

    /// Returns the block, when no call is open.
    pub(super) fn into_block(self) -> Block {
        self.block
    }

    /// Returns where to read to.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.buffer.space()
    }

    /// Ends the calls whose replies came with the `len` octets that were read to [`space`](Self::space).
    pub(super) fn handle(&mut self, len: usize) {
        let now = Instant::now();
        self.buffer.filled_len += len;
        let mut rest = &self.buffer.octets[..self.buffer.filled_len];
        while let Some((head, after)) = rest.split_first_chunk() {
            let Some((_, after)) = after.split_at_checked(u32::from_le_bytes(*head) as usize) else { break };
            rest = after;
            let begun_at = self.open.pop_front().expect("a reply has a call");
            self.block.end(now, begun_at);
        }
        let rest_len = rest.len();
        self.buffer.keep_last(rest_len);
    }
}

/// Returns a message of `len` octets with its length before it; what asks for the count is one without octets.
pub(super) fn message(len: usize) -> Vec<u8> {
    let mut message = vec![0x5a; HEAD_LEN + len];
    message[..HEAD_LEN].copy_from_slice(&(len as u32 | MESSAGE).to_le_bytes());
    message
}

/// Octets of the count that answers an empty message, little-endian.
pub(super) const COUNT_LEN: usize = 8;

impl Buffer {
    fn new() -> Self {
        Self { octets: vec![0; BUFFER_LEN].into(), filled_len: 0 }
    }

    fn space(&mut self) -> &mut [u8] {
        &mut self.octets[self.filled_len..]
    }

    fn keep_last(&mut self, len: usize) {
        self.octets.copy_within(self.filled_len - len..self.filled_len, 0);
        self.filled_len = len;
    }
}

const HEAD_LEN: usize = 4;
const MESSAGE: u32 = 1 << 31;
const BUFFER_LEN: usize = 256 << 10;
