//! The built-in service on `posthaste-std`: calls on its workers, files on threads of ours.

use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;
use std::thread;
use std::time::Instant;

use posthaste_std::wire::Description;
use posthaste_std::{Answer, Execution, Handler, Incoming, Options, Server};

use crate::failure::Failure;
use crate::service::{Procedure, Service};
use crate::value::Address;

/// Serves until a signal ends it.
pub(super) fn serve(
    listen: &Address,
    addresses: &[SocketAddr],
    options: Options,
    service: &Arc<Service>,
) -> Result<(), Failure> {
    let options = Options { worker_count: WORKER_COUNT, ..options };
    let server = Server::serve_insecure(addresses, options, Calls(Arc::clone(service)))
        .map_err(|error| super::cannot_listen(listen, &error))?;
    let interrupts = super::interrupts()?;
    super::announce(server.local_addr())?;
    thread::scope(|scope| {
        let receivers: Vec<_> = (0..RECEIVER_COUNT)
            .map(|_| {
                scope.spawn(|| {
                    let result = receive(&server, service);
                    // Without receivers, the server is of no use.
                    interrupts.raise();
                    result
                })
            })
            .collect();
        interrupts.wait();
        server.shut_down(DRAIN_TIMEOUT);
        receivers.into_iter().try_for_each(|receiver| receiver.join().expect("a receiver does not panic"))
    })
}

/// Takes one file after the other until the server is closed.
fn receive(server: &Server, service: &Service) -> Result<(), Failure> {
    while let Ok(mut stream) = server.accept_stream(None) {
        stream.set_read_timeout(Some(SILENCE_MAX));
        service.receive(&mut stream)?;
    }
    Ok(())
}

/// The calls of the service, as this runtime wants them.
struct Calls(Arc<Service>);

impl Handler for Calls {
    fn execution(&self, procedure: &Description) -> Execution {
        match Procedure::of(procedure) {
            Ok(procedure) if procedure.may_wait() => Execution::Pool,
            Ok(_) => Execution::Inline,
            Err(why) => Execution::Refuse(why),
        }
    }

    fn handle(&self, call: &Incoming<'_>, reply: &mut Vec<u8>) -> Answer {
        let procedure = Procedure::of(call.procedure()).expect("others were refused");
        let deadline = call.deadline();
        let is_over = || call.is_cancelled() || deadline.is_some_and(|deadline| deadline <= Instant::now());
        self.0.answer(procedure, call.arguments(), &is_over, reply)
    }
}

/// Calls that may wait at a time; our choice.
const WORKER_COUNT: usize = 32;

/// Files that are taken at a time; our choice. More wait in their streams.
const RECEIVER_COUNT: usize = 16;

/// How long the sender of a file may be silent; our choice. One that was killed holds up nobody for longer.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How long calls under way may take when the server ends; our choice.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
