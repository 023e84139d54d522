//! Executors and tasks that do not as one would expect: that drop a task when they wake it, or keep a future without polling it.

extern crate alloc;

use alloc::sync::Arc;
use alloc::task::Wake;
use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Waker};
use core::time::Duration;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use posthaste_smol::{Body, Client, Config, Delivery, Message, Request, Server};
use smol::channel;
use smol::future::{self, block_on, poll_once};

const PATIENCE: Duration = Duration::from_secs(30);

fn server() -> Server {
    Server::bind_insecure("127.0.0.1:0".parse().unwrap(), Config::lan()).unwrap()
}

fn client(server: &Server) -> Client {
    Client::connect_insecure(server.local_addr(), Config::lan()).unwrap()
}

fn message(octets: &[u8]) -> Message<'_> {
    Message { delivery: Delivery::Reliable, priority: 1, body: Body::Copied(octets) }
}

/// An executor of two threads, which end with the process.
fn two_threads() -> Arc<smol::Executor<'static>> {
    let executor = Arc::new(smol::Executor::new());
    for _ in 0..2 {
        let executor = Arc::clone(&executor);
        thread::spawn(move || block_on(executor.run(future::pending::<()>())));
    }
    executor
}

/// Waits for what a thread does, or fails.
fn within_patience<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || done.send(work()));
    is_done.recv_timeout(PATIENCE).expect("it comes to an end")
}

/// A task that its wakers own, and that goes to a queue when it is woken.
struct Task {
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    queue: SyncSender<Arc<Self>>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let queue = self.queue.clone();
        // Nobody has it any more where the executor is gone.
        let _ = queue.send(self);
    }
}

impl Task {
    fn new(future: impl Future<Output = ()> + Send + 'static) -> (Arc<Self>, Receiver<Arc<Self>>) {
        let (queue, tasks) = mpsc::sync_channel(100);
        (Arc::new(Self { future: Mutex::new(Some(Box::pin(future))), queue }), tasks)
    }

    fn poll(self: Arc<Self>) {
        let mut future = self.future.lock().unwrap();
        let polled = future.as_mut().unwrap().as_mut().poll(&mut Context::from_waker(&Arc::clone(&self).into()));
        assert!(polled.is_pending());
    }
}

#[test]
fn a_task_that_goes_with_its_waker_locks_nobody_out() {
    let server = server();
    let client = Arc::new(client(&server));
    let (go_on, may_go_on) = channel::bounded::<()>(1);
    thread::spawn(move || {
        let answer = |call: posthaste_smol::Incoming| {
            let may_go_on = may_go_on.clone();
            async move {
                let _ = may_go_on.recv().await;
                call.reply(b"reply").unwrap();
            }
        };
        block_on(server.serve(1, answer));
    });
    let caller = Arc::clone(&client);
    let (has_gone, is_gone) = mpsc::channel();
    let (task, tasks) = Task::new(async move {
        let gone = Gone(has_gone);
        let _ = caller.call(Request::new(1, 1, 1, b"")).await;
        drop(gone);
    });
    task.poll();
    // Its executor goes, and with the reply the task does.
    drop(tasks);
    go_on.send_blocking(()).unwrap();
    is_gone.recv_timeout(PATIENCE).unwrap();
    within_patience(move || client.counters());
}

/// Tells when it is dropped.
struct Gone(mpsc::Sender<()>);

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// Tells that it was woken, and panics.
struct Panicking(SyncSender<()>);

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        self.0.send(()).unwrap();
        panic!("a waker of the application");
    }
}

#[test]
fn a_waker_that_panics_does_not_end_the_help_for_others() {
    let (server, other_server) = (server(), server());
    let client = client(&server);
    for server in [&server, &other_server] {
        assert!(block_on(poll_once(server.receive())).is_none());
    }
    let (woken, is_woken) = mpsc::sync_channel(10);
    let waker = Waker::from(Arc::new(Panicking(woken)));
    let mut sent = block_on(client.send(message(b"one"))).unwrap();
    assert!(Pin::new(&mut sent).poll(&mut Context::from_waker(&waker)).is_pending());
    // By the reactor, and by the helper, which comes to hear of the acknowledgement in its place.
    for _ in 0..2 {
        is_woken.recv_timeout(PATIENCE).unwrap();
    }
    let other_client = Client::connect_insecure(other_server.local_addr(), Config::lan()).unwrap();
    block_on(async { other_client.send(message(b"two")).await.unwrap().await.unwrap() });
}

#[test]
fn a_future_that_drives_and_is_kept_stops_nobody() {
    let server = Arc::new(server());
    let client = client(&server);
    let executor = two_threads();
    let (kept, is_kept) = channel::bounded::<()>(1);
    let (end, has_ended) = channel::bounded::<()>(1);
    let keeping = Arc::clone(&server);
    let keeper = executor.spawn(async move {
        let mut receiving = pin!(keeping.receive());
        assert!(poll_once(receiving.as_mut()).await.is_none());
        kept.send(()).await.unwrap();
        let _ = has_ended.recv().await;
    });
    is_kept.recv_blocking().unwrap();
    let serving = Arc::clone(&server);
    executor.spawn(async move { serving.serve(4, async |call| call.reply(b"reply").unwrap()).await }).detach();
    within_patience(move || {
        block_on(async {
            for _ in 0..3 {
                client.call(Request::new(1, 1, 1, b"")).await.unwrap();
            }
        });
    });
    end.send_blocking(()).unwrap();
    block_on(keeper);
}

#[test]
fn all_who_shut_down_are_told() {
    let server = Arc::new(server());
    let client = client(&server);
    let executor = two_threads();
    let (begun, has_begun) = channel::bounded::<()>(1);
    let (go_on, may_go_on) = channel::bounded::<()>(1);
    let serving = Arc::clone(&server);
    let answer = move |call: posthaste_smol::Incoming| {
        let (begun, may_go_on) = (begun.clone(), may_go_on.clone());
        async move {
            begun.send(()).await.unwrap();
            let _ = may_go_on.recv().await;
            call.reply(b"").unwrap();
        }
    };
    executor.spawn(async move { serving.serve(4, answer).await }).detach();
    let calling = executor.spawn(async move { client.call(Request::new(1, 1, 1, b"")).await.map(drop) });
    has_begun.recv_blocking().unwrap();
    let enders: Vec<_> = (0..3)
        .map(|_| {
            let server = Arc::clone(&server);
            executor.spawn(async move { server.shut_down(Duration::MAX).await })
        })
        .collect();
    within_patience(move || {
        go_on.send_blocking(()).unwrap();
        block_on(calling).unwrap();
        for ender in enders {
            block_on(ender);
        }
    });
}

#[test]
fn no_message_is_received_of_a_session_that_is_gone() {
    let server = server();
    block_on(async {
        // From now on what arrives is taken in.
        assert!(poll_once(server.receive()).await.is_none());
        for _ in 0..3 {
            let gone = client(&server);
            gone.send(message(b"old")).await.unwrap().await.unwrap();
        }
        let client = client(&server);
        client.send(message(b"new")).await.unwrap().await.unwrap();
        loop {
            let received = server.receive().await.unwrap().to_vec();
            assert!(received == b"old" || received == b"new", "{received:?}");
            if received == b"new" {
                return;
            }
        }
    });
}
