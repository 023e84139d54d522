//! The limits that each side announces at the start of a conversation (protocol §6.11).

use core::time::Duration;

use super::varint::{VARINT_MAX, len_of};
use super::{DATAGRAM_LEN_MAX, HELLO_LEN_MIN, Malformed, NoRoom, Reader, Writer};

/// The limits that one side announces; what is absent on the wire has its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The longest whole flow that it takes, in octets.
    pub message_len_max: u32,
    /// The first limit of CREDIT, in octets; at least `message_len_max`.
    pub credit: u64,
    /// How many exchanges that the other side began may be open.
    pub exchange_window: u32,
    /// The first limit of each STREAM_CREDIT, in octets; 0 for no streams.
    pub stream_window: u32,
    /// The longest datagram that it takes, in octets.
    pub datagram_len_max: u16,
    /// How long it may hold back an acknowledgement; whole microseconds.
    pub ack_delay_max: Duration,
    /// How long it keeps a conversation in which nothing arrives; whole milliseconds.
    pub idle_timeout: Duration,
    /// How many aliases it keeps.
    pub alias_count_max: u16,
    /// How many ordered channels it keeps.
    pub channel_count_max: u32,
    /// The longest metadata that it takes, in octets.
    pub metadata_len_max: u16,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            message_len_max: 65_536,
            credit: 1 << 20,
            exchange_window: 64,
            stream_window: 0,
            datagram_len_max: 1200,
            ack_delay_max: Duration::from_micros(5000),
            idle_timeout: Duration::from_millis(600_000),
            alias_count_max: 0,
            channel_count_max: 0,
            metadata_len_max: 0,
        }
    }
}

impl Parameters {
    /// The longest items that [`Self::encode`] writes, in octets: ten of id, length and value.
    pub const LEN_MAX: usize = 10 * (1 + 1 + 8);

    /// Reads the items of a PARAMETERS frame, or those inside a cryptographic handshake (protocol §9.2).
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn decode(items: &[u8]) -> Result<Self, Malformed> {
        let mut parameters = Self::default();
        let mut reader = Reader::new(items);
        let mut id_min = 0;
        while !reader.is_empty() {
            let id = reader.varint()?;
            if id < id_min {
                return Err(Malformed::Order);
            }
            id_min = id + 1;
            parameters.set(id, reader.counted()?)?;
        }
        if parameters.credit < u64::from(parameters.message_len_max) {
            return Err(Malformed::Range);
        }
        Ok(parameters)
    }

    /// Writes the items that differ from the default.
    ///
    /// # Errors
    /// [`NoRoom`] if they do not fit; [`Self::LEN_MAX`] octets are always enough.
    pub fn encode(&self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        writer.whole(|writer| {
            for ((id, value), (_, default)) in self.values().into_iter().zip(Self::default().values()) {
                if value != default {
                    writer.varint(id)?;
                    writer.varint(len_of(value) as u64)?;
                    writer.varint(value)?;
                }
            }
            Ok(())
        })
    }

    /// Sets the parameter `id`; an unknown one is ignored.
    fn set(&mut self, id: u64, value: &[u8]) -> Result<(), Malformed> {
        let Some((min, max)) = range(id) else { return Ok(()) };
        let mut reader = Reader::new(value);
        let value = reader.varint_up_to(max)?;
        reader.finish()?;
        if value < min {
            return Err(Malformed::Range);
        }
        // Each range fits the field, so nothing is cut.
        match id {
            1 => self.message_len_max = value as u32,
            2 => self.credit = value,
            3 => self.exchange_window = value as u32,
            4 => self.stream_window = value as u32,
            5 => self.datagram_len_max = value as u16,
            6 => self.ack_delay_max = Duration::from_micros(value),
            7 => self.idle_timeout = Duration::from_millis(value),
            8 => self.alias_count_max = value as u16,
            9 => self.channel_count_max = value as u32,
            _ => self.metadata_len_max = value as u16,
        }
        Ok(())
    }

    fn values(&self) -> [(u64, u64); 10] {
        [
            (1, u64::from(self.message_len_max)),
            (2, self.credit),
            (3, u64::from(self.exchange_window)),
            (4, u64::from(self.stream_window)),
            (5, u64::from(self.datagram_len_max)),
            (6, self.ack_delay_max.as_micros() as u64),
            (7, self.idle_timeout.as_millis() as u64),
            (8, u64::from(self.alias_count_max)),
            (9, u64::from(self.channel_count_max)),
            (10, u64::from(self.metadata_len_max)),
        ]
    }
}

/// Returns the least and the greatest value of the parameter `id`; `None` for an unknown one.
const fn range(id: u64) -> Option<(u64, u64)> {
    Some(match id {
        1 => (HELLO_LEN_MIN as u64, 1 << 30),
        // Its least value is the length of a message, which may be anywhere in the items.
        2 => (4096, VARINT_MAX),
        3 => (16, 65_536),
        4 => (0, 1 << 30),
        5 => (HELLO_LEN_MIN as u64, DATAGRAM_LEN_MAX as u64),
        6 => (0, 1 << 24),
        7 => (1000, 1 << 32),
        8 => (0, super::procedure::ALIAS_COUNT_MAX as u64),
        9 => (0, 65_536),
        10 => (0, super::metadata::METADATA_LEN_MAX as u64),
        _ => return None,
    })
}
