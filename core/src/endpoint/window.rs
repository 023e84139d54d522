//! The peer's window of exchanges: which of those that we began may be sent.
//!
//! They are let in by seq, whatever their priority, and only what was let in is queued. So the oldest, which alone move the window
//! on, never wait behind one that waits for the window.

use super::scope::Scope;
use crate::exchange::Party;
use crate::lane::Lane;
use crate::memory::{Broken, Sound};
use crate::session::OpenList;

/// What flows from the side that began an exchange.
const OUTGOING: [Lane; 2] = [Lane::Forward, Lane::Upward];

impl Scope<'_, '_> {
    /// Lets in the next exchange that we begin, if the window has room; says whether it has.
    #[inline(always)]
    pub(super) fn admit_next(&mut self) -> Result<bool, Broken> {
        if self.peer.session.next_seq >= self.peer.session.admitted {
            self.admit()?;
        }
        Ok(self.peer.session.next_seq < self.peer.session.admitted)
    }

    /// Says whether an exchange was let in, or needs not be.
    pub(super) fn is_admitted(&self, index: u32) -> Result<bool, Broken> {
        let exchange = self.memory.exchanges.at(index).sound()?;
        let is_ours = exchange.begun_by == Party::Us;
        Ok(!is_ours || exchange.seq.is_none_or(|seq| seq < self.peer.session.admitted))
    }

    /// Lets in those that wait, if the window has moved on.
    pub(super) fn admit_waiting(&mut self) -> Result<(), Broken> {
        if self.peer.session.next_seq > self.peer.session.admitted { self.admit() } else { Ok(()) }
    }

    /// Lets in exchanges by what the window is anew: nothing is let in any more that was not sent.
    pub(super) fn admit_anew(&mut self) -> Result<(), Broken> {
        let mut place = self.peer.session.ours.front();
        while let Some(index) = place {
            place = self.peer.session.ours.next(&self.memory.exchanges, index);
            for lane in OUTGOING {
                let Some(flow) = self.memory.exchanges.at(index).sound()?.flow(lane) else { continue };
                if !self.memory.outgoing.at(flow).sound()?.is_begun() {
                    self.dequeue(flow)?;
                }
            }
        }
        self.peer.session.admitted = self.low();
        self.admit()
    }

    #[inline(never)]
    fn admit(&mut self) -> Result<(), Broken> {
        let window = u64::from(self.peer.parameters.exchange_window);
        let old = self.peer.session.admitted;
        let new = self.watermark().0.saturating_add(window).max(old);
        self.peer.session.admitted = new;
        for seq in old..new.min(self.peer.session.next_seq) {
            let Some(index) = self.memory.find(self.index, Party::Us, seq) else { continue };
            for lane in OUTGOING {
                if let Some(flow) = self.memory.exchanges.at(index).sound()?.flow(lane) {
                    self.queue(flow)?;
                }
            }
        }
        Ok(())
    }

    /// Returns the seq below which all exchanges that we began are retired.
    pub(super) fn low(&self) -> u64 {
        let session = &self.peer.session;
        let first = session.ours.front().and_then(|index| self.memory.exchanges.at(index)).and_then(|it| it.seq);
        first.unwrap_or(session.next_seq)
    }

    /// Returns the seq below which our exchanges are retired but for those listed.
    ///
    /// While the peer's window has room the list is empty; when one long call would close the window, the watermark moves
    /// past it.
    pub(super) fn watermark(&self) -> (u64, OpenList) {
        let session = &self.peer.session;
        let mut open = OpenList::EMPTY;
        let window = u64::from(self.peer.parameters.exchange_window);
        let wanted = session.next_seq.saturating_sub(window / 2);
        for index in session.ours.iter(&self.memory.exchanges) {
            let Some(seq) = self.memory.exchanges.at(index).and_then(|exchange| exchange.seq) else { break };
            if seq >= wanted || !open.push(seq) {
                return (seq, open);
            }
        }
        (session.next_seq, open)
    }
}
