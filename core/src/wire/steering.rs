//! Which of the sockets of one port a datagram is for.
//!
//! The first octet of a conversation id names a socket, and so does that of a token. Whoever looks at that one octet can bring a
//! datagram, from whatever address it comes, to the endpoint that knows its conversation, its token or its session (protocol §4.18).

/// How the datagrams that arrive at a port are spread among its sockets.
#[derive(Clone, Copy, Debug)]
pub struct Steering {
    /// Returns the socket that a datagram names; `None` if any will do, or if it is too short to name one.
    ///
    /// It looks at the form alone: what it says of octets that are no datagram means nothing.
    pub socket_of: fn(&[u8]) -> Option<u8>,
    /// The same as a program for the packet filter of an operating system ("classic BPF"), which runs on the payload of the UDP
    /// datagram and returns the index of the socket, or 2^32 − 1 if any will do.
    ///
    /// Where it would have to look beyond the end of a datagram, the filter ends it with 0.
    pub program: &'static [Instruction],
}

/// One instruction of a program for a packet filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub code: u16,
    /// How many instructions it skips if its condition holds.
    pub skip_if: u8,
    /// How many instructions it skips otherwise.
    pub skip_else: u8,
    /// What it does it with.
    pub operand: u32,
}

/// The steering of this protocol.
pub const STEERING: Steering = Steering { socket_of, program: &PROGRAM };

fn socket_of(datagram: &[u8]) -> Option<u8> {
    let first = *datagram.first()?;
    let place = match first {
        _ if first & LONG == 0 => SHORT_ID,
        RETRY => LONG_TO,
        VERSIONS => SHORT_ID,
        _ => match first & KIND {
            // A reset bears an id that its receiver did not choose.
            STATELESS => return None,
            CLIENT_HELLO if *datagram.get(TOKEN_LEN)? == 0 => return None,
            CLIENT_HELLO => TOKEN,
            _ => LONG_TO,
        },
    };
    datagram.get(place).copied()
}

const PROGRAM: [Instruction; 16] = [
    load(0),
    jump(ANY_SET, LONG as u32, 0, 11),
    jump(EQUAL, RETRY as u32, 8, 0),
    jump(EQUAL, VERSIONS as u32, 9, 0),
    Instruction { code: AND, skip_if: 0, skip_else: 0, operand: KIND as u32 },
    jump(EQUAL, STATELESS as u32, 9, 0),
    jump(EQUAL, CLIENT_HELLO as u32, 0, 4),
    load(TOKEN_LEN),
    jump(EQUAL, 0, 6, 0),
    load(TOKEN),
    RETURN_LOADED,
    load(LONG_TO),
    RETURN_LOADED,
    load(SHORT_ID),
    RETURN_LOADED,
    RETURN_ANY,
];

const fn load(place: usize) -> Instruction {
    Instruction { code: LOAD_OCTET, skip_if: 0, skip_else: 0, operand: place as u32 }
}

const fn jump(code: u16, operand: u32, skip_if: u8, skip_else: u8) -> Instruction {
    Instruction { code, skip_if, skip_else, operand }
}

const RETURN_LOADED: Instruction = Instruction { code: 0x16, skip_if: 0, skip_else: 0, operand: 0 };
const RETURN_ANY: Instruction = Instruction { code: 0x06, skip_if: 0, skip_else: 0, operand: u32::MAX };

// The codes of McCanne and Jacobson, "The BSD Packet Filter", 1993, as every system has them.
const LOAD_OCTET: u16 = 0x30;
const AND: u16 = 0x54;
const EQUAL: u16 = 0x15;
const ANY_SET: u16 = 0x45;

// First octets (protocol §3).
const LONG: u8 = 0x80;
/// The bits of the epoch and of the sender.
const KIND: u8 = 0x70;
const CLIENT_HELLO: u8 = 0x00;
const STATELESS: u8 = 0x70;
const RETRY: u8 = 0xf0;
const VERSIONS: u8 = 0xf1;

// Places (protocol §3.1 to §3.3).
const SHORT_ID: usize = 1;
const LONG_TO: usize = 1 + 4;
const TOKEN_LEN: usize = 1 + 4 + 8 + 8;
/// Behind a length of one octet: no server needs tokens of 64 octets and more.
const TOKEN: usize = TOKEN_LEN + 1;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::random::Random;
    use crate::wire::{
        CHECKSUM_LEN, ConversationId, Epoch, HELLO_LEN_MIN, LongHeader, Phase, ResetToken, ShortHeader, Side,
        Stateless, TruncatedNumber, Writer, stateless::Versions,
    };

    #[test]
    fn what_belongs_to_a_conversation_goes_to_the_socket_of_its_id() {
        assert_eq!(socket_of(&short(TO)), Some(7));
        assert_eq!(socket_of(&long(Epoch::Handshake, Side::Client, &[])), Some(7));
        assert_eq!(socket_of(&long(Epoch::Handshake, Side::Server, &[])), Some(7));
        assert_eq!(socket_of(&long(Epoch::Hello, Side::Server, &[])), Some(7));
    }

    #[test]
    fn a_hello_goes_to_the_socket_of_its_token_and_without_one_to_any() {
        assert_eq!(socket_of(&long(Epoch::Hello, Side::Client, &[])), None);
        assert_eq!(socket_of(&long(Epoch::Hello, Side::Client, &[3])), Some(3));
        assert_eq!(socket_of(&long(Epoch::Hello, Side::Client, &[4; 63])), Some(4));
    }

    #[test]
    fn answers_without_state_go_to_the_socket_that_asked_where_they_name_it() {
        let versions = Versions::OURS;
        assert_eq!(socket_of(&stateless(&Stateless::Retry { to: TO, answers: 0, token: &[9] })), Some(7));
        assert_eq!(socket_of(&stateless(&Stateless::Version { to: TO, versions })), Some(7));
        assert_eq!(socket_of(&stateless(&Stateless::Reset { id: TO, token: ResetToken([9; 16]) })), None);
    }

    #[test]
    fn the_program_says_of_any_octets_what_the_function_says() {
        let mut random = Random::new([5; 32]);
        for first in 0..=255 {
            for _ in 0..200 {
                let mut octets: [u8; 23] = random.octets();
                octets[0] = first;
                if random.below(4) == 0 {
                    octets[TOKEN_LEN] = 0;
                }
                let steered = run(&PROGRAM, &octets);
                assert_eq!(u8::try_from(steered).ok(), socket_of(&octets), "{octets:?}");
                assert!(steered <= 255 || steered == u32::MAX);
            }
        }
    }

    #[test]
    fn octets_of_any_length_are_looked_at_without_harm() {
        for first in 0..=255 {
            for len in 0..24 {
                let octets = [first; 24];
                let _ = socket_of(&octets[..len]);
                run(&PROGRAM, &octets[..len]);
            }
        }
    }

    /// Runs a program as a packet filter does.
    fn run(program: &[Instruction], octets: &[u8]) -> u32 {
        let mut place = 0;
        let mut loaded = 0;
        loop {
            let Instruction { code, skip_if, skip_else, operand } = program[place];
            place += 1;
            let holds = match code {
                LOAD_OCTET => {
                    let Some(octet) = octets.get(operand as usize) else { return 0 };
                    loaded = u32::from(*octet);
                    continue;
                }
                AND => {
                    loaded &= operand;
                    continue;
                }
                EQUAL => loaded == operand,
                ANY_SET => loaded & operand != 0,
                _ => return if code == RETURN_LOADED.code { loaded } else { operand },
            };
            place += usize::from(if holds { skip_if } else { skip_else });
        }
    }

    fn short(to: ConversationId) -> Vec<u8> {
        let mut octets = [0; 64];
        let mut writer = Writer::new(&mut octets);
        ShortHeader { to }.encode(Phase::Zero, TruncatedNumber::new(0, 0).unwrap(), &mut writer).unwrap();
        octets.to_vec()
    }

    fn long(epoch: Epoch, sender: Side, token: &[u8]) -> Vec<u8> {
        let mut octets = [0; HELLO_LEN_MIN];
        let mut writer = Writer::new(&mut octets[..HELLO_LEN_MIN - CHECKSUM_LEN]);
        let header = LongHeader { epoch, sender, to: TO, from: ConversationId([8; 8]), token };
        header.encode(TruncatedNumber::new(0, 0).unwrap(), &mut writer).unwrap();
        octets.to_vec()
    }

    fn stateless(answer: &Stateless<'_>) -> Vec<u8> {
        let mut octets = [0; 96];
        let len = answer.encode(&mut octets).unwrap();
        octets[..len].to_vec()
    }

    const TO: ConversationId = ConversationId([7, 1, 2, 3, 4, 5, 6, 0]);
}
