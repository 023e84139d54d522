//! Calls of peers, from their arrival until their handler has answered.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, Ordering};
use std::panic::catch_unwind;
use std::thread::{self, Thread};

use posthaste_core::IncomingCallId;
use posthaste_core::wire::{Description, NotExecuted};

use crate::desk::Desk;

/// Who runs a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    /// One of the workers, when one is free. If too many calls wait already, the call is refused as busy.
    Pool,
    /// The thread that receives, at once: up to eight calls that arrived together begin together, their handlers run one after the
    /// other, and then all are answered. Nothing else is received meanwhile, and a handler that waits for a peer would wait for
    /// ever: it panics.
    Inline,
    /// Nobody: the caller is told why.
    Refuse(NotExecuted),
}

/// The side of a node that answers calls: which of them wait for whom, and which run.
pub(crate) struct Service {
    execution: Box<dyn Fn(&Description) -> Execution + Send>,
    /// Calls that nobody has looked at. Only datagrams bring any, so the thread that receives looks at all before it sleeps.
    arrived: VecDeque<IncomingCallId>,
    /// Calls for the workers.
    pool: VecDeque<IncomingCallId>,
    pooled_count_max: usize,
    /// For each desk, the call whose handler runs there, and the flag that tells the handler to stop.
    running: Vec<(Option<IncomingCallId>, Arc<AtomicBool>)>,
    /// Desks at which no handler runs.
    desks: Vec<Desk>,
    /// Workers that sleep.
    idle: Vec<Thread>,
}

impl Service {
    /// `execution` says of each call who runs its handler; at most `pooled_count_max` wait for one of `worker_count` workers.
    pub(crate) fn new(
        execution: impl Fn(&Description) -> Execution + Send + 'static,
        pooled_count_max: usize,
        worker_count: usize,
    ) -> Self {
        Self {
            execution: Box::new(execution),
            arrived: VecDeque::with_capacity(ARRIVED_COUNT),
            pool: VecDeque::with_capacity(pooled_count_max.min(1024)),
            pooled_count_max,
            // One more for the thread that receives.
            running: Vec::with_capacity(worker_count + 1),
            desks: Vec::with_capacity(worker_count + 1),
            idle: Vec::with_capacity(worker_count),
        }
    }

    /// Keeps a call for the thread that receives.
    pub(crate) fn add(&mut self, call: IncomingCallId) {
        self.arrived.push_back(call);
    }

    /// Returns how many calls nobody has looked at.
    pub(crate) fn arrived_count(&self) -> usize {
        self.arrived.len()
    }

    /// Takes the next call that nobody has looked at.
    pub(crate) fn next_arrived(&mut self) -> Option<IncomingCallId> {
        self.arrived.pop_front()
    }

    /// Says who runs the handler of a call, and gives it to a worker if that is who.
    pub(crate) fn assign(&mut self, call: IncomingCallId, procedure: &Description) -> Execution {
        // Nobody answers in the place of the thread that receives.
        let execution = catch_unwind(AssertUnwindSafe(|| (self.execution)(procedure)));
        match execution.unwrap_or(Execution::Refuse(NotExecuted::Busy)) {
            Execution::Pool if self.pool.len() == self.pooled_count_max => Execution::Refuse(NotExecuted::Busy),
            Execution::Pool => {
                self.pool.push_back(call);
                if let Some(worker) = self.idle.pop() {
                    worker.unpark();
                }
                Execution::Pool
            }
            Execution::Inline => Execution::Inline,
            Execution::Refuse(why) => Execution::Refuse(why),
        }
    }

    /// Takes the next call for a worker, or notes that the current thread, a worker, will sleep.
    pub(crate) fn next_pooled(&mut self) -> Option<IncomingCallId> {
        let call = self.pool.pop_front();
        if call.is_none() {
            self.idle.push(thread::current());
        }
        call
    }

    /// Notes that the current thread, a worker, is awake.
    pub(crate) fn rise(&mut self) {
        let current = thread::current().id();
        self.idle.retain(|idle| idle.id() != current);
    }

    /// Takes a desk that is free: the one that was used last, so that a lone caller's buffers never have to grow again,
    /// whichever worker answers.
    pub(crate) fn take_desk(&mut self) -> Desk {
        self.desks.pop().unwrap_or_else(|| {
            let desk = Desk::new(self.running.len());
            self.running.push((None, Arc::clone(desk.cancelled())));
            desk
        })
    }

    pub(crate) fn give_back(&mut self, desk: Desk) {
        self.desks.push(desk);
    }

    /// Notes that the handler of a call runs at a desk.
    pub(crate) fn begin(&mut self, call: IncomingCallId, desk: usize) {
        self.running[desk].0 = Some(call);
    }

    /// Notes that no handler runs at a desk.
    pub(crate) fn end(&mut self, desk: usize) {
        self.running[desk].0 = None;
    }

    /// Tells the handler of a call, if it runs, that nobody waits for its answer any more.
    pub(crate) fn cancel(&self, call: IncomingCallId) {
        for (_, cancelled) in self.running.iter().filter(|(running, _)| *running == Some(call)) {
            cancelled.store(true, Ordering::Relaxed);
        }
    }

    /// Wakes the workers, and tells every handler that nobody waits for its answer any more.
    pub(crate) fn close(&mut self) {
        for worker in self.idle.drain(..) {
            worker.unpark();
        }
        for (_, cancelled) in &self.running {
            cancelled.store(true, Ordering::Relaxed);
        }
    }

    /// Says whether no handler runs or will run.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.iter().all(|(running, _)| running.is_none()) && self.pool.is_empty() && self.arrived.is_empty()
    }
}

/// Calls of one datagram that are answered without an allocation; our choice: as many as most often share one.
const ARRIVED_COUNT: usize = 256;
