//! The look at all frames of a datagram before the first is applied (protocol §5).

use super::{Ack, Data, Epoch, Frame, Malformed, Reader, Side, Violation};

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
    let may_send = may_send(carrier.epoch, carrier.sender);
    let (mut seen, mut frame_count) = (0, 0);
    let mut reader = Reader::new(frames);
    while !reader.is_empty() {
        let kind = Frame::check(&mut reader)?;
        let rules = RULES[usize::from(kind)];
        if rules & may_send == 0 {
            return Err(Violation::NotAllowed);
        }
        if rules & seen & IS_ACK != 0 {
            // Each makes the receiver look through all that it has in flight (protocol §6.2).
            return Err(Malformed::AckCount.into());
        }
        seen |= rules;
        frame_count += 1;
        if frame_count > frame_count_max {
            return Err(Malformed::FrameCount.into());
        }
    }
    if frame_count == 0 {
        return Err(Malformed::FrameCount.into());
    }
    Ok(Summary { is_ack_eliciting: seen & IS_ACK_ELICITING != 0, frame_count })
}

/// Tells whether a frame of the type `kind` may be sent by `sender` in `epoch` (the table of protocol §6).
///
/// Whether it is allowed in the state that the conversation is in is for the endpoint to say: a hello without token
/// carries neither RESUME nor exchanges (protocol §4.5), SESSION and RESUME are in the data epoch of protected conversations only
/// (protocol §4.8).
#[inline]
#[must_use]
pub const fn allowed(kind: u8, epoch: Epoch, sender: Side) -> bool {
    RULES[kind as usize] & may_send(epoch, sender) != 0
}

/// Tells whether a frame of the type `kind` asks for an acknowledgement (protocol §5.6).
#[inline]
#[must_use]
pub const fn is_ack_eliciting(kind: u8) -> bool {
    // PADDING, ACK, ACK_ECN, RETIRED, CLOSE.
    !matches!(kind, 0x00 | 0x02 | 0x03 | 0x06 | 0x0e)
}

/// The rules for each type, all of them seen at one look.
///
/// Bits 0 to 5 are [`may_send`], and the others [`IS_ACK`] and [`IS_ACK_ELICITING`].
static RULES: [u8; 256] = {
    let mut rules = [0; 256];
    let mut kind = 0;
    while kind < rules.len() {
        rules[kind] = rules_of(kind as u8);
        kind += 1;
    }
    rules
};

const IS_ACK: u8 = 1 << 6;
const IS_ACK_ELICITING: u8 = 1 << 7;

/// Returns the bit of what `sender` may send in `epoch`.
const fn may_send(epoch: Epoch, sender: Side) -> u8 {
    1 << (2 * epoch as u8 + sender as u8)
}

const fn rules_of(kind: u8) -> u8 {
    let (hello, handshake, data) = epochs(kind);
    let senders = hello as u8 | (handshake as u8) << 2 | (data as u8) << 4;
    let is_ack = if matches!(kind, Ack::KIND | Ack::KIND_ECN) { IS_ACK } else { 0 };
    let is_ack_eliciting = if is_ack_eliciting(kind) { IS_ACK_ELICITING } else { 0 };
    senders | is_ack | is_ack_eliciting
}

/// Who may send a frame: a bit for each side.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Senders {
    Nobody = 0,
    Client = 1 << Side::Client as u8,
    Server = 1 << Side::Server as u8,
    Both = 3,
}

/// Returns who may send a type of frame in the hello, handshake and data epochs.
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
