//! The task that drives while no future is polled.

use alloc::sync::{Arc, Weak};
use core::future::{self, Future};
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Once;
use std::thread;

use async_executor::Executor;
use futures_lite::future::block_on;
use posthaste_core::Instant;

use crate::alarm::Alarm;
use crate::error::BindError;
use crate::node::{Node, grace};
use crate::options::Options;
use crate::state::{DRIVER_DELAY_MAX, State, Turn};
use crate::wheel::Driver;

/// Opens a node, and has a helper look after it.
pub(crate) fn open(addr: SocketAddr, options: Options) -> Result<Arc<Node>, BindError> {
    let node = Node::bind(addr, options)?;
    Helper::spawn(&node);
    Ok(node)
}

/// Opens the nodes of a port with several sockets, and has a helper look after each.
pub(crate) fn open_group(addr: SocketAddr, socket_count: usize, options: Options) -> Result<Vec<Arc<Node>>, BindError> {
    let nodes = Node::bind_group(addr, socket_count, options)?;
    nodes.iter().for_each(Helper::spawn);
    Ok(nodes)
}

/// Acknowledges what arrives, and repeats what got lost, when nobody waits for anything.
///
/// In a row of calls it is woken every one to five milliseconds, because its alarm is only ever set earlier by others. It ends
/// with the last handle of the endpoint.
struct Helper {
    node: Weak<Node>,
    alarm: Alarm,
    /// Since when the future that drives has something to do, as far as the helper saw, and has done nothing.
    called_at: Option<Instant>,
}

impl Helper {
    /// Runs a helper on the one thread that all endpoints of the process share for that.
    ///
    /// An executor of the application would take part in polling the reactor: a caller that sleeps in `block_on` would be woken by
    /// another thread, at each call. This thread only runs its tasks. If it cannot be spawned, deadlines are acted on when the
    /// next future is polled.
    fn spawn(node: &Arc<Node>) {
        static EXECUTOR: Executor<'static> = Executor::new();
        static THREAD: Once = Once::new();
        EXECUTOR.spawn(Self { node: Arc::downgrade(node), alarm: Alarm::new(), called_at: None }).detach();
        THREAD.call_once(|| {
            let thread = thread::Builder::new().name("posthaste-smol".into());
            let _ = thread.spawn(|| block_on(EXECUTOR.run(future::pending::<()>())));
        });
    }

    /// Returns when the future that drives is late: one may be kept without being polled.
    ///
    /// While it drives, the helper looks at intervals, and asks to be told when the bell rings only after a pause.
    fn driver_late_at(&mut self, node: &Node, state: &mut State) -> Option<Instant> {
        let is_called = state.wheel.is_with_somebody_awake() || node.bell().has_rung();
        let has_driven = state.turn_count != state.helper.turn_count;
        self.called_at = self.called_at.filter(|_| is_called && !has_driven);
        if is_called || has_driven {
            self.called_at.get_or_insert(state.now);
        }
        let at = [state.endpoint.poll_timeout(), self.called_at].into_iter().flatten().min();
        at.map(|at| at.saturating_add(DRIVER_DELAY_MAX))
    }
}

impl Future for Helper {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let Some(node) = this.node.upgrade() else { return Poll::Ready(()) };
        let mut state = node.lock();
        loop {
            if state.failure().is_some() {
                return Poll::Ready(());
            }
            let now = node.read_clock(&mut state);
            if state.promise.is_some_and(|promise| promise.until <= now) {
                state.settle(node.socket(), now);
            }
            let idle_until = match state.wheel.driver() {
                Some(Driver::Helper) => None,
                Some(Driver::Waiter(_)) => {
                    let late = this.driver_late_at(&node, &mut state);
                    late.is_none_or(|late| now < late).then_some(late)
                }
                None => {
                    let is_due = state.is_helper_roused_by(now);
                    // Whoever has driven meanwhile is at work on what that brought, and most likely drives again.
                    let is_driven = state.turn_count != state.helper.turn_count;
                    if is_due && is_driven {
                        state.helper.alarm = Some(grace(now, state.endpoint.poll_timeout()));
                    }
                    (!is_due || is_driven).then_some(None)
                }
            };
            state.helper.turn_count = state.turn_count;
            if let Some(late) = idle_until {
                // What it was asked for, if that is still to come.
                let asked = state.helper.alarm.filter(|alarm| now < *alarm);
                let promised = state.promise.map(|promise| promise.until);
                let alarm = [asked, late, promised].into_iter().flatten().min();
                state.helper.alarm = alarm;
                state.helper.waker = Some(cx.waker().clone());
                if alarm.is_none_or(|alarm| now.saturating_add(DRIVER_DELAY_MAX) < alarm) {
                    node.bell().tell(cx.waker());
                    let is_driven = matches!(state.wheel.driver(), Some(Driver::Waiter(_)));
                    if is_driven && node.bell().has_rung() {
                        continue;
                    }
                }
                if this.alarm.poll_until(alarm.and_then(|alarm| node.clock().to_std(alarm)), cx).is_pending() {
                    return Poll::Pending;
                }
                continue;
            }
            state.wheel.give(Some(Driver::Helper));
            if node.turn(&mut state) == Turn::Idle
                && node.poll_sleep(&mut state, cx, Some(&mut this.alarm)).is_pending()
            {
                state.helper.alarm = Some(state.endpoint.poll_timeout().unwrap_or(Instant::from_nanos(u64::MAX)));
                state.helper.waker = Some(cx.waker().clone());
                // For the case that a future takes over.
                node.bell().tell(cx.waker());
                return Poll::Pending;
            }
        }
    }
}
