//! The rungs of the ladder, each as a configuration of the one protocol.

use clap::ValueEnum;
use posthaste_core::Config;
use posthaste_core::config::{DATAGRAM_LEN_MIN, PathMtuDiscovery};
use posthaste_core::congestion::Algorithm;

/// A rung of the ladder: what is added to the one before, from a datagram and its acknowledgement to many messages under
/// way. All send datagrams of the same length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::bench) enum Rung {
    /// Messages of one datagram, each acknowledged before the next.
    StopAndWait,
    /// Messages of many datagrams, each datagram acknowledged before the next.
    OneFragment,
    /// A constant number of octets under way.
    Fixed,
    /// As many as NewReno allows.
    NewReno,
    /// As many as CUBIC allows.
    Cubic,
    /// As many as BBR allows, and no faster than it says.
    Bbr,
    /// As many as CUBIC allows, of as many messages as there are.
    Asynchronous,
}

impl Rung {
    /// Returns the rungs whose law of congestion control is all that they differ by where each uploads in calls: every one
    /// but those that share it with another.
    pub(in crate::bench) fn laws() -> impl Iterator<Item = Self> {
        let shares = |rung: &Self| matches!(rung, Self::OneFragment | Self::Asynchronous);
        Self::value_variants().iter().copied().filter(move |rung| !shares(rung))
    }

    /// Returns how an upload keeps the window full: octets in a call, and calls in flight.
    pub(in crate::bench) const fn upload(self) -> (usize, usize) {
        if matches!(self, Self::StopAndWait | Self::OneFragment) {
            (ONE_DATAGRAM_LEN, 1)
        } else {
            (MANY_DATAGRAMS_LEN, UPLOAD_COUNT)
        }
    }

    /// Returns the value of `--rung` that names it.
    pub(in crate::bench) const fn name(self) -> &'static str {
        match self {
            Self::StopAndWait => "stop-and-wait",
            Self::OneFragment => "one-fragment",
            Self::Fixed => "fixed",
            Self::NewReno => "new-reno",
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
            Self::Asynchronous => "asynchronous",
        }
    }

    /// Returns what a table calls it.
    pub(in crate::bench) const fn title(self) -> &'static str {
        match self {
            Self::StopAndWait => "stop and wait",
            Self::OneFragment => "one fragment at a time",
            Self::Fixed => "window of 128 KiB",
            Self::NewReno => "window by NewReno",
            Self::Cubic => "window by CUBIC",
            Self::Bbr => "window by BBR",
            Self::Asynchronous => "asynchronous, CUBIC",
        }
    }

    /// Returns how long the messages are, in octets.
    pub(in crate::bench) const fn message_len(self) -> usize {
        match self {
            Self::StopAndWait => ONE_DATAGRAM_LEN,
            Self::OneFragment | Self::Fixed | Self::NewReno | Self::Cubic | Self::Bbr | Self::Asynchronous => {
                MANY_DATAGRAMS_LEN
            }
        }
    }

    /// Returns the kind of work, as the convention has it: whether a message waits for the one before.
    pub(in crate::bench) const fn work(self) -> &'static str {
        match self {
            Self::StopAndWait | Self::OneFragment | Self::Fixed | Self::NewReno | Self::Cubic | Self::Bbr => "send",
            Self::Asynchronous => "bulk",
        }
    }

    /// Returns what both ends are configured with.
    pub(in crate::bench) fn config(self) -> Config {
        let mut config = Config::lan();
        config.path_mtu_discovery = PathMtuDiscovery::Known(DATAGRAM_LEN_MIN);
        config.congestion = match self {
            Self::StopAndWait | Self::OneFragment => Algorithm::StopAndWait,
            Self::Fixed => Algorithm::Fixed { window: FIXED_WINDOW_LEN },
            Self::NewReno => Algorithm::NewReno,
            Self::Cubic | Self::Asynchronous => Algorithm::Cubic,
            Self::Bbr => Algorithm::Bbr,
        };
        config
    }
}

/// Octets in a message that fits into one datagram with its header.
const ONE_DATAGRAM_LEN: usize = 1024;

/// Octets in a message that fills 55 datagrams; our choice.
const MANY_DATAGRAMS_LEN: usize = 64 * 1024;

/// Calls of an upload in flight: 512 KiB, more than a link of 100 Mbit/s holds in 20 ms with its queue. Our choice.
const UPLOAD_COUNT: usize = 8;

/// Octets under way in the constant window: a message with its headers fits, so that the window never holds it up. Our
/// choice.
const FIXED_WINDOW_LEN: u64 = 128 * 1024;
