//! The look at all frames of a datagram before the first is applied (protocol §5).

use super::{Data, Epoch, Frame, Malformed, Reader, Side, Violation};

/// What carries frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// The epoch of the datagram.
    pub epoch: Epoch,
    /// The side that sent it.
    pub sender: Side,
    /// The length of the whole datagram, in octets.
    pub datagram_len: usize,
}

/// What the frames of a datagram are together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Whether the datagram asks for an acknowledgement (protocol §5.6).
    pub is_ack_eliciting: bool,
    /// How many frames there are, at least 1.
    pub frame_count: usize,
}

/// Checks the form of all frames of an authentic datagram, and that each is allowed where it is (protocol §5.2).
///
/// # Errors
/// The first [`Violation`]. In the hello epoch the datagram is discarded, in the others the conversation is closed
/// with [`Violation::code`].
#[inline]
pub fn check(frames: &[u8], carrier: Carrier) -> Result<Summary, Violation> {
    // Bounds the work that one datagram of one-octet frames causes (protocol §5.1).
    let frame_count_max = carrier.datagram_len.div_ceil(8) + 1;
    let mut summary = Summary { is_ack_eliciting: false, frame_count: 0 };
    let mut has_ack = false;
    let mut reader = Reader::new(frames);
    while let Some(&kind) = reader.rest().first() {
        let frame = Frame::decode(&mut reader)?;
        if !allowed(kind, carrier.epoch, carrier.sender) {
            return Err(Violation::NotAllowed);
        }
        if matches!(frame, Frame::Ack(_)) && core::mem::replace(&mut has_ack, true) {
            // Each makes the receiver look through all that it has in flight (protocol §6.2).
            return Err(Malformed::AckCount.into());
        }
        summary.is_ack_eliciting |= frame.is_ack_eliciting();
        summary.frame_count += 1;
        if summary.frame_count > frame_count_max {
            return Err(Malformed::FrameCount.into());
        }
    }
    if summary.frame_count == 0 { Err(Malformed::FrameCount.into()) } else { Ok(summary) }
}

/// Tells whether a frame of the type `kind` may be sent by `sender` in `epoch` (the table of protocol §6).
///
/// Whether it is allowed in the state that the conversation is in is for the endpoint to say: a hello without token
/// carries neither RESUME nor exchanges (protocol §4.5), SESSION and RESUME are in the data epoch of protected conversations only
/// (protocol §4.8).
#[inline]
#[must_use]
pub const fn allowed(kind: u8, epoch: Epoch, sender: Side) -> bool {
    let (hello, handshake, data) = epochs(kind);
    let senders = match epoch {
        Epoch::Hello => hello,
        Epoch::Handshake => handshake,
        Epoch::Data => data,
    };
    match senders {
        Senders::Nobody => false,
        Senders::Client => matches!(sender, Side::Client),
        Senders::Server => matches!(sender, Side::Server),
        Senders::Both => true,
    }
}

/// Who may send a frame.
#[derive(Clone, Copy)]
enum Senders {
    Nobody,
    Client,
    Server,
    Both,
}

/// Returns who may send a type of frame in the hello, handshake and data epochs.
#[inline]
const fn epochs(kind: u8) -> (Senders, Senders, Senders) {
    use Senders::{Both, Client, Nobody, Server};
    /// The roles MESSAGE, ORDERED and REQUEST are the first three (protocol §4.5).
    const HELLO_DATA_MAX: u8 = Data::KIND_MIN | 0x2f;
    match kind {
        // PADDING, HANDSHAKE, HANDSHAKE_ACK.
        0x00 | 0x14 | 0x15 => (Both, Both, Both),
        // RETIRED, RESUME, CANCEL, REQUEST, MESSAGE, ORDERED. RESUME is the client's in either epoch.
        0x06 | 0x16 | Data::KIND_MIN..=HELLO_DATA_MAX => (Client, Nobody, Both),
        0x13 => (Client, Nobody, Client),
        // CLOSE.
        0x0e => (Nobody, Both, Both),
        // PARAMETERS.
        0x11 => (Both, Nobody, Nobody),
        // SESSION.
        0x12 => (Server, Nobody, Server),
        0x01..=0x05 | 0x07..=0x0d | 0x0f..=0x10 | 0x17..=0x1a | 0x70..=0x7f => (Nobody, Nobody, Both),
        0xb0..=0xff => (Nobody, Nobody, Both),
        0x1b..=0x6f => (Nobody, Nobody, Nobody),
    }
}
