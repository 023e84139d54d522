//! Datagrams of the data epoch: built when they are asked for, so that they carry the newest of everything.

use super::brief::BRIEF_PRIORITY;
use super::runs::FRAGMENT_LEN_MIN;
use super::scope::Scope;
use crate::config::DATAGRAM_LEN_MIN;
use crate::crypto::{self, KeyUpdate, seal_datagram};
use crate::delivery_rate::Snapshot;
use crate::ecn::Ecn;
use crate::memory::{Broken, Sound};
use crate::peer;
use crate::sent::{Content, Fate, InDatagram, SentDatagram, SentFrame};
use crate::storage::{Links, List};
use crate::time::{Instant, nanos};
use crate::wire::{Ack, Epoch, Frame, NoRoom, Retired, Seq, ShortHeader, TruncatedNumber, Writer};

/// A datagram that was built.
pub(super) struct Built {
    pub(super) len: usize,
    pub(super) ecn: Ecn,
}

/// What a datagram says without asking for an acknowledgement.
#[derive(Default)]
struct Quiet {
    /// The largest number that it acknowledges.
    acknowledges: Option<u64>,
    /// The watermark that it announces, or 0.
    low: u64,
    /// Whether that is worth a datagram of its own.
    is_news: bool,
}

/// What came of the attempt to add something to a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// It is in.
    Yes,
    /// It waits for the next datagram, and so does what comes after it.
    Full,
    /// It cannot be sent before something changes: credit, what the peer knows to be retired, or room in the pool of sent frames.
    Blocked,
}

impl From<NoRoom> for Added {
    fn from(_: NoRoom) -> Self {
        Self::Full
    }
}

impl Scope<'_, '_> {
    /// Builds the next datagram of the data epoch, if there is something to send and it may be sent.
    pub(super) fn build_data(&mut self, out: &mut [u8]) -> Result<Option<Built>, Broken> {
        let now = self.now;
        let allowance = self.allowance(out.len());
        let is_ack_due = self.peer.conversation.ack.is_due(now);
        if self.is_asking() && is_ack_due {
            // The first datagram of ours that arrives has to ask for the session (protocol §4.16).
            self.peer.notices |= peer::Notices::RESUME;
        }
        let has_work = allowance > 0 && self.has_work();
        // Before the work: a bulk transfer, which gains the most by longer datagrams, always has some.
        if allowance > 0
            && self.peer.conversation.probes_due == 0
            && !self.peer.is_undecided
            && let Some(probe) = self.build_mtu_probe(out)?
        {
            return Ok(Some(probe));
        }
        if !has_work && (!is_ack_due || self.is_asking()) {
            return Ok(None);
        }
        let tag_len = crypto::tag_len(self.keyring.crypto(), Epoch::Data);
        // A pure acknowledgement is not held back by the window (RFC 9002 §7).
        let limit = if has_work { allowance } else { self.datagram_len_max(out.len()) };
        // What the window has left is not worth a piece of a message; what a probe has is.
        let may_cut = limit == self.datagram_len_max(out.len()) || self.peer.conversation.probes_due > 0;
        let mut writer = Writer::new(&mut out[..limit - tag_len]);
        let Some(number) = self.begin_datagram(&mut writer) else { return Ok(None) };
        if has_work {
            self.make_record_room()?;
        }
        // Without a record nothing can be in flight; acknowledgements still go out.
        let record = self.memory.datagrams.insert(new_record(number, now)).map(|key| key.index());
        let quiet = self.write_quiet(&mut writer, has_work);
        let quiet_len = writer.len();
        if let Some(record) = record
            && has_work
        {
            self.write_work(record, &mut writer, may_cut)?;
        }
        if writer.len() == quiet_len && (!quiet.is_news || self.is_asking()) {
            // A gap in the numbers would look like a loss to both sides.
            self.peer.conversation.return_number(number);
            self.forget_record(record)?;
            return Ok(None);
        }
        let is_eliciting = writer.len() > quiet_len;
        pad(&mut writer, tag_len)?;
        let len = writer.len() + tag_len;
        if !is_eliciting {
            self.forget_record(record)?;
        }
        self.seal(number, &mut out[..len])?;
        let ecn = self.book(record.filter(|_| is_eliciting), &quiet, len)?;
        if let Some(largest) = quiet.acknowledges {
            self.peer.conversation.on_ack_sent(largest);
        }
        Ok(Some(Built { len, ecn }))
    }

    /// Seals a datagram, with new keys if the old ones have served long enough.
    pub(super) fn seal(&mut self, number: u64, datagram: &mut [u8]) -> Result<(), Broken> {
        if let Some(keys) = &mut self.peer.conversation.keys
            && keys.begin_seal(self.now, number).map_err(|_| Broken)? == KeyUpdate::Due
        {
            self.update_keys()?;
            // The header was written with the phase before.
            datagram[0] ^= KEY_PHASE_BIT;
        }
        let (crypto, route) = self.keyring.of(self.index)?;
        seal_datagram(crypto, route, Epoch::Data, number, datagram, ShortHeader::NUMBER_OFFSET).map_err(|_| Broken)
    }

    pub(super) fn update_keys(&mut self) -> Result<(), Broken> {
        let (crypto, route) = self.keyring.of(self.index)?;
        crypto.update(route);
        self.counters.key_updates += 1;
        Ok(())
    }

    /// Enters an ack-eliciting datagram into the books, and returns the mark that it goes out with.
    fn book(&mut self, record: Option<u32>, quiet: &Quiet, len: usize) -> Result<Ecn, Broken> {
        let now = self.now;
        let Some(record) = record else { return Ok(Ecn::NotEct) };
        let ecn = match self.config.ecn {
            crate::config::EcnMarking::On => self.peer.conversation.ecn.codepoint(),
            crate::config::EcnMarking::Off => Ecn::NotEct,
        };
        self.peer.conversation.ecn.on_sent(ecn);
        let snapshot = self.path.controller.on_sent(now, len, self.path.in_flight);
        if self.path.in_flight == 0 && self.path.controller.pacing_rate(&self.path.rtt).is_some() {
            // After a pause the controller may have chosen another rate.
            self.path.pacer.update(&self.path.controller, &self.path.rtt);
        }
        self.path.pacer.on_sent(now, len, self.path.in_flight);
        self.path.in_flight += len as u64;
        let has_more = self.has_work();
        let conversation = &mut self.peer.conversation;
        conversation.probes_due = conversation.probes_due.saturating_sub(1);
        conversation.eliciting_count += 1;
        conversation.eliciting_sent_at = now;
        conversation.sent.push_back(&mut self.memory.datagrams, record);
        // Who waited for the pacer was not limited by the application (RFC 9002 §7.8).
        let was_held = core::mem::take(&mut self.path.is_held);
        let is_app_limited = !has_more && !was_held && self.path.controller.allows(self.path.in_flight, len);
        if is_app_limited {
            self.path.controller.on_application_limited(self.path.in_flight);
        }
        let datagram = self.memory.datagrams.at_mut(record).sound()?;
        datagram.len = len as u32;
        datagram.snapshot = snapshot;
        datagram.is_eliciting = true;
        datagram.is_marked = ecn != Ecn::NotEct;
        datagram.is_app_limited = is_app_limited;
        datagram.acknowledges = quiet.acknowledges;
        datagram.low = quiet.low;
        self.path.is_filled |= len + FRAGMENT_LEN_MIN >= self.path.mtu.current();
        self.peer.awaiting_since.get_or_insert(now);
        Ok(ecn)
    }

    /// Takes back a record that nothing was booked on.
    fn forget_record(&mut self, record: Option<u32>) -> Result<(), Broken> {
        let Some(record) = record else { return Ok(()) };
        self.memory.datagrams.vacate(record).sound()
    }

    /// Builds a probe for a larger path MTU, while there is traffic that fills the datagrams of today (RFC 8899).
    fn build_mtu_probe(&mut self, out: &mut [u8]) -> Result<Option<Built>, Broken> {
        let now = self.now;
        let is_wanted = self.path.is_filled
            && self.peer.conversation.eliciting_count > 0
            && matches!(self.config.path_mtu_discovery, crate::config::PathMtuDiscovery::On);
        if !is_wanted {
            return Ok(None);
        }
        let Some(len) = self.path.mtu.poll_probe(now).filter(|len| *len <= out.len()) else { return Ok(None) };
        let tag_len = crypto::tag_len(self.keyring.crypto(), Epoch::Data);
        let Some(record) = self.memory.datagrams.insert(new_record(self.peer.conversation.next_number, now)) else {
            return Ok(None);
        };
        let mut writer = Writer::new(&mut out[..len - tag_len]);
        let number = self.begin_datagram(&mut writer).sound()?;
        Frame::Ping.encode(&mut writer).map_err(|_| Broken)?;
        Frame::Padding { len: writer.room() }.encode(&mut writer).map_err(|_| Broken)?;
        self.seal(number, &mut out[..len])?;
        let ecn = self.book(Some(record.index()), &Quiet::default(), len)?;
        let datagram = self.memory.datagrams.at_mut(record.index()).sound()?;
        datagram.number = number;
        datagram.is_mtu_probe = true;
        self.path.mtu.on_probe_sent(now, len, &self.path.rtt);
        Ok(Some(Built { len, ecn }))
    }

    /// Returns how long the next datagram may be: 0 if the window or the pacer holds it back.
    fn allowance(&mut self, out_len: usize) -> usize {
        let full = self.datagram_len_max(out_len);
        if self.peer.conversation.probes_due > 0 {
            // Short, so that a black hole for longer ones does not swallow the probes too (RFC 8899 §4.3).
            return full.min(DATAGRAM_LEN_MIN);
        }
        let is_paced = self.pacing_until().is_some();
        self.path.is_held |= is_paced;
        if self.path.controller.allows(self.path.in_flight, full) {
            if !is_paced {
                return full;
            }
            self.path.pacer.on_held();
            return 0;
        }
        self.path.is_full = true;
        // What is less than a datagram may have to wait for an ack, and what waits for an ack has no late timer to blame.
        self.path.pacer.on_window_full();
        if is_paced || !self.path.has_room() {
            return 0;
        }
        let left = self.path.controller.window().saturating_sub(self.path.in_flight);
        usize::try_from(left).unwrap_or(usize::MAX).min(full)
    }

    /// Returns when the pacer lets the next datagram out, if not at once.
    pub(super) fn pacing_until(&self) -> Option<Instant> {
        self.path.pacer.until(self.now)
    }

    /// Returns the longest datagram that the path carries and the peer takes.
    fn datagram_len_max(&self, out_len: usize) -> usize {
        self.path.mtu.current().min(usize::from(self.peer.parameters.datagram_len_max)).min(out_len)
    }

    /// Says whether something of a priority waits that was never sent.
    fn has_fresh(&self, priority: usize) -> bool {
        let peer = &self.peer;
        let has_briefs = priority == BRIEF_PRIORITY && !peer.briefs.is_empty();
        has_briefs || !peer.queues[priority].is_empty() || !peer.begun[priority].is_empty()
    }

    /// Says whether there is something to send that counts against the window.
    pub(super) fn has_work(&self) -> bool {
        if self.peer.is_undecided {
            let notices = self.peer.notices & peer::Notices::OF_NO_SESSION;
            return notices != 0 || self.peer.conversation.probes_due > 0;
        }
        !self.peer.briefs.is_empty()
            || !self.peer.lost.is_empty()
            || !self.peer.lost_flows.is_empty()
            || self.peer.queues.iter().chain(&self.peer.begun).any(|queue| !queue.is_empty())
            || !self.peer.noticed.is_empty()
            || self.peer.notices & !peer::Notices::ANSWER != 0
            || self.peer.conversation.probes_due > 0
    }

    /// Writes the header of the next datagram, and returns its number; `None` where the peer could not tell it from others
    /// (protocol §3.2.7).
    pub(super) fn begin_datagram(&mut self, writer: &mut Writer<'_>) -> Option<u64> {
        let conversation = &mut self.peer.conversation;
        let number = conversation.take_number(self.random);
        let unacked = conversation.largest_acked.map_or(0, |largest| largest + 1);
        let truncated = TruncatedNumber::new(number, unacked.min(number))?;
        ShortHeader { to: conversation.remote }.encode(conversation.phase(), truncated, writer).ok()?;
        // Below 2^62 for ever: at ten million datagrams a second that is fourteen thousand years.
        (number < 1 << 62).then_some(number)
    }

    /// Writes what asks for no acknowledgement: what has arrived, and which of our exchanges are retired.
    fn write_quiet(&mut self, writer: &mut Writer<'_>, has_work: bool) -> Quiet {
        // Alone, an acknowledgement leaves when it is due: it may be one of acknowledgements (RFC 9000 §13.2.1).
        let is_ack_due = self.peer.conversation.ack.is_due(self.now);
        let acknowledges = self.write_ack(writer);
        let has_retired = !self.peer.is_undecided && self.watermark().0 > self.peer.session.low_sent;
        // An acknowledgement takes it along, so that a peer that hears nothing more keeps no record for us.
        let tells = !self.peer.is_undecided && (has_work || has_retired);
        let low = if tells { self.write_retired(writer) } else { 0 };
        let is_news = (is_ack_due && acknowledges.is_some()) || (has_work && has_retired);
        Quiet { acknowledges, low, is_news }
    }

    pub(super) fn write_ack(&mut self, writer: &mut Writer<'_>) -> Option<u64> {
        let ack = &self.peer.conversation.ack;
        if !ack.has_news() {
            return None;
        }
        let ecn = ack.ecn_counts();
        let ecn = (ecn.ect0 | ecn.ect1 | ecn.ce != 0).then_some(ecn);
        let delay = nanos(ack.ack_delay(self.now)) / 1000;
        Ack::write(delay, ack.window().ranges(), ecn, writer).ok()?;
        ack.window().largest()
    }

    /// Announces which of our exchanges are retired, until the peer is known to have it: datagrams overtake each other, so each
    /// one that may need the room says so itself (semantics S19). Returns the watermark, or 0 if none was written.
    fn write_retired(&mut self, writer: &mut Writer<'_>) -> u64 {
        let (low, open) = self.watermark();
        let is_written = low > self.peer.session.low_acked
            && Retired::write(Seq(low), open.seqs().iter().rev().map(|seq| Seq(*seq)), writer).is_ok();
        if !is_written {
            self.peer.session.low_sent = self.peer.session.low_acked;
            return 0;
        }
        self.peer.session.low_sent = low;
        low
    }

    /// Writes everything that counts against the window; a probe always carries something.
    fn write_work(&mut self, record: u32, writer: &mut Writer<'_>, may_cut: bool) -> Result<(), Broken> {
        if self.is_asking() {
            self.peer.notices |= peer::Notices::RESUME;
        }
        if !self.peer.is_untold || self.peer.notices & peer::Notices::SETTLED != 0 {
            return self.write_news(record, writer, may_cut);
        }
        // Beside news only: alone, it would be sent without end.
        let written = writer.whole(|writer| {
            let is_told = Frame::Session(self.granted_session()).encode(writer).is_ok();
            let len = writer.len();
            self.write_news(record, writer, may_cut).map_err(Err)?;
            if is_told && writer.len() == len { Err(Ok(())) } else { Ok(()) }
        });
        written.or_else(|nothing| nothing)
    }

    fn write_news(&mut self, record: u32, writer: &mut Writer<'_>, may_cut: bool) -> Result<(), Broken> {
        let len = writer.len();
        if self.peer.conversation.probes_due > 0 && !self.memory.has_frame_room() {
            // What cannot be booked goes along, but its acknowledgement would say nothing of what is in flight, and end the back-off.
            self.prepare_probe()?;
        }
        self.write_ready(record, writer, may_cut)?;
        // What is queued may wait for credit that is to come with the very acknowledgement that the probe asks for.
        if writer.len() == len && self.peer.conversation.probes_due > 0 {
            self.prepare_probe()?;
            self.write_ready(record, writer, may_cut)?;
            // What is sent only once is not sent again, and what does not fit may not be cut: a probe may have nothing to carry, and
            // is one all the same.
            if writer.len() == len {
                self.peer.notices |= peer::Notices::PING;
                self.write_peer_notices(record, writer)?;
            }
        }
        Ok(())
    }

    /// Writes what may be sent, most urgent first.
    fn write_ready(&mut self, record: u32, writer: &mut Writer<'_>, may_cut: bool) -> Result<(), Broken> {
        self.write_late_handshake(writer)?;
        self.write_peer_notices(record, writer)?;
        if self.peer.is_undecided {
            return Ok(());
        }
        let mut added = Added::Yes;
        // Each once: what still has something to tell goes behind.
        let mut last = self.peer.noticed.back();
        while let (Added::Yes, Some(_), Some(index)) = (added, last, self.peer.noticed.front()) {
            added = self.write_exchange_notices(record, index, writer)?;
            last.take_if(|last| *last == index);
        }
        if added == Added::Blocked {
            // What was lost is booked already, and once it is acknowledged the others have room.
            added = Added::Yes;
        }
        while let (Added::Yes, Some(flow)) = (added, self.peer.lost_flows.front()) {
            added = self.write_lost_flow(record, flow, writer)?;
        }
        while let (Added::Yes, Some(frame)) = (added, self.peer.lost.front()) {
            added = self.write_lost(record, frame, writer)?;
        }
        if added != Added::Yes {
            return Ok(());
        }
        let mut may_begin = true;
        // What has begun and what has not take turns to go first, so that neither waits for the end of the other.
        let begins_first = self.memory.datagrams.at(record).sound()?.number.is_multiple_of(2);
        for priority in 0..peer::PRIORITY_COUNT {
            if !self.has_fresh(priority) {
                continue;
            }
            for begins in [begins_first, !begins_first] {
                let added = match begins {
                    true if may_begin => self.write_beginnings(record, priority, writer, may_cut)?,
                    true => Added::Yes,
                    false => self.write_begun(record, priority, writer, may_cut)?,
                };
                if added == Added::Full {
                    return Ok(());
                }
                may_begin &= added != Added::Blocked;
            }
        }
        Ok(())
    }

    /// Writes flows that begin, in order, until one may not.
    fn write_beginnings(
        &mut self,
        record: u32,
        priority: usize,
        writer: &mut Writer<'_>,
        may_cut: bool,
    ) -> Result<Added, Broken> {
        if priority == BRIEF_PRIORITY && !self.peer.briefs.is_empty() {
            let added = self.write_briefs(record, writer)?;
            if added != Added::Yes {
                return Ok(added);
            }
        }
        while let Some(flow) = self.peer.queues[priority].front() {
            let added = self.write_fresh(record, flow, writer, may_cut)?;
            if added != Added::Yes {
                return Ok(added);
            }
        }
        Ok(Added::Yes)
    }

    /// Writes more of flows that have begun, each once: those that have still more go behind the others.
    fn write_begun(
        &mut self,
        record: u32,
        priority: usize,
        writer: &mut Writer<'_>,
        may_cut: bool,
    ) -> Result<Added, Broken> {
        let mut last = self.peer.begun[priority].back();
        while let (Some(_), Some(flow)) = (last, self.peer.begun[priority].front()) {
            match self.write_fresh(record, flow, writer, may_cut)? {
                Added::Yes => {}
                Added::Full => return Ok(Added::Full),
                Added::Blocked => {
                    // A stream that waits for the session's credit.
                    self.peer.begun[priority].remove(&mut self.memory.outgoing, flow);
                    self.peer.begun[priority].push_back(&mut self.memory.outgoing, flow);
                }
            }
            last.take_if(|last| *last == flow);
        }
        Ok(Added::Yes)
    }

    /// Lets a probe carry what has waited longest for an acknowledgement: nothing else may be sent (RFC 9002 §6.2.4).
    fn prepare_probe(&mut self) -> Result<(), Broken> {
        if self.peer.is_undecided {
            return Ok(());
        }
        let oldest = self.peer.conversation.sent.iter(&self.memory.datagrams).find(|index| {
            self.memory
                .datagrams
                .at(*index)
                .is_some_and(|datagram| datagram.fate == Fate::InFlight && !datagram.is_empty())
        });
        if let Some(index) = oldest {
            self.queue_runs(index)?;
        }
        Ok(())
    }

    /// Books a frame that must arrive, as part of a datagram; there is room for it.
    pub(super) fn add_frame(&mut self, record: u32, content: Content) -> Result<u32, Broken> {
        let mut frame = SentFrame::new(content);
        frame.datagram = record;
        let index = self.memory.frames.insert(frame).sound()?.index();
        self.link_to_datagram(record, index)?;
        Ok(index)
    }

    pub(super) fn link_to_datagram(&mut self, record: u32, frame: u32) -> Result<(), Broken> {
        let datagram = self.memory.datagrams.at_mut(record).sound()?;
        <List<InDatagram>>::push_back(&mut datagram.frames, &mut self.memory.frames, frame);
        Ok(())
    }
}

/// Pads a datagram to the length that it must have: header protection takes its sample behind the longest number
/// (protocol §3.10), and many frames need a datagram of some length (protocol §5.1).
fn pad(writer: &mut Writer<'_>, tag_len: usize) -> Result<(), Broken> {
    let len_min = (8 * writer.frame_count()).saturating_sub(7 + tag_len).max(ShortHeader::NUMBER_OFFSET + 4);
    if writer.len() < len_min {
        Frame::Padding { len: len_min - writer.len() }.encode(writer).map_err(|_| Broken)?;
    }
    Ok(())
}

/// Makes the record of a datagram that is being built.
pub(super) const fn new_record(number: u64, now: Instant) -> SentDatagram {
    SentDatagram {
        number,
        sent_at: now,
        len: 0,
        snapshot: Snapshot::EMPTY,
        fate: Fate::InFlight,
        is_eliciting: false,
        is_marked: false,
        is_mtu_probe: false,
        is_app_limited: false,
        acknowledges: None,
        low: 0,
        frames: List::new(),
        flows: List::new(),
        briefs: List::new(),
        in_flight: Links::UNLINKED,
    }
}

const KEY_PHASE_BIT: u8 = 0x04;
