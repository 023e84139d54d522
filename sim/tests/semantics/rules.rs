//! What is checked: the level of the calls, the limits of the protocol, and at most one rule broken on purpose.

/// How often a call may take effect (docs/semantics.md, "Levels").
///
/// The two other levels, *maybe* and *at-least-once*, keep no state at the server and promise nothing that could break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Sessions and records live in the server's memory; an execution counts from the handler's first step.
    AtMostOnce,
    /// Sessions and records live in a durable store; an execution counts when its effect is committed.
    ExactlyOnce,
}

/// Whether a reply may outlive the conversation that it was made for (S15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplySize {
    FitsCacheSlot,
    ExceedsCacheSlot,
}

/// A rule broken on purpose. The checker has to notice each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Breaks S2: the server looks at the session's number alone.
    CallWithoutIncarnation,
    /// Breaks S13: a refused call leaves no tombstone.
    RefusalWithoutTombstone,
    /// Breaks S14: the server may drop a record that nobody retired.
    RecordEvicted,
    /// Breaks S8: a datagram for an unknown session creates it.
    SessionCreatedOnTheFly,
    /// Breaks S3: the client names its session, so the server cannot know which names were used.
    SessionChosenByClient,
    /// Breaks S21: the effect is committed before its record.
    EffectAndRecordApart,
    /// Breaks S10: a restarted client counts from zero in the session of its former life.
    RestartedClientReusesSession,
    /// Breaks S25: what a stale conversation leaves behind is called not executed.
    StaleMeansNotExecuted,
    /// Breaks S26: what the deadline overtakes is called not executed.
    DeadlineMeansNotExecuted,
    /// Breaks S27: `resolve` answers without closing the number.
    ResolveWithoutTombstone,
    /// Breaks S5: a spent ticket opens another session under the same id.
    TicketAcceptedTwice,
    /// Breaks S31: the client counts its share of the lease from the answer's arrival.
    LeaseCountedFromReceipt,
    /// Breaks S8: what a refused open carried is carried again under another ticket.
    RefusedOpenRepeated,
    /// Breaks S8: a resume of an unknown session gets an empty one, and the calls of the old one go on there.
    ResumedIntoEmptySession,
    /// Breaks S31: a reply counts as the answer to the latest copy of its call.
    LeaseCountedFromLatestCopy,
    /// Breaks S20: a tombstone of an exactly-once call is kept in memory alone.
    TombstoneOutsideStore,
    /// Breaks S17: a late watermark replaces a newer one.
    LateWatermarkObeyed,
    /// Breaks S19: a call does not bring along the watermark that makes room for it.
    CallAheadOfWatermark,
    /// Breaks S6: a restarted client takes a ticket that was meant for its former life.
    TicketOfFormerLife,
}

/// The protocol as it is checked.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub level: Level,
    pub reply_size: ReplySize,
    /// Sequence numbers that a client may use from its low watermark on (S19).
    pub window: u8,
    pub mutant: Option<Mutant>,
}

impl Rules {
    pub const fn of(level: Level) -> Self {
        Self { level, reply_size: ReplySize::FitsCacheSlot, window: 2, mutant: None }
    }

    pub fn breaks(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}

/// Ticks that a session lives at the server after the last datagram it heard there (S30).
pub const LEASE: u8 = 2;

/// Ticks that the client relies on a session after sending what was answered last (S31).
///
/// Protocol: three quarters of the lease. All that matters here is that it is shorter than the lease.
pub const TRUST: u8 = 1;

/// Numbers below the low watermark that a client may keep open (S16).
pub const EXCEPTION_COUNT_MAX: u32 = 1;
