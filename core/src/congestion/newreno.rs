//! NewReno: one datagram more a round trip, half the window on congestion (RFC 9002 §7.3).

/// Congestion avoidance of NewReno.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NewReno {
    /// Octets acknowledged since the window last grew.
    acked: u64,
}

impl NewReno {
    /// Returns the window after `len` octets were acknowledged (RFC 9002 §7.3.3).
    pub(super) fn on_acked(&mut self, len: u64, window: u64, datagram_len: u64) -> u64 {
        self.acked = self.acked.saturating_add(len);
        if self.acked < window {
            return window;
        }
        self.acked -= window;
        window.saturating_add(datagram_len)
    }

    /// Returns the slow start threshold after congestion with `in_flight` octets under way (RFC 9002 §7.3.2, RFC 5681 §3.1).
    pub(super) fn on_congestion(&mut self, in_flight: u64) -> u64 {
        self.acked = 0;
        in_flight / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9002 §7.3.3.
    #[test]
    fn a_window_acknowledged_grows_the_window_by_one_datagram() {
        let mut reno = NewReno::default();
        let mut window = 12_000;
        for _ in 0..10 {
            assert_eq!(window, 12_000);
            window = reno.on_acked(1200, window, 1200);
        }
        assert_eq!(window, 13_200);
    }
}
