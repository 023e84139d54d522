//! The built-in service on `posthaste-std`: calls on its workers, files on threads of ours.

use alloc::sync::Arc;
use core::net::SocketAddr;
use std::thread;
use std::time::Instant;

use posthaste_std::wire::Description;
use posthaste_std::{Answer, Config, Execution, Handler, Incoming, Options, Server};

use super::{DRAIN_TIMEOUT, FILE_COUNT_MAX, SILENCE_MAX, WAITING_COUNT_MAX};
use crate::failure::Failure;
use crate::service::{Procedure, Service};
use crate::value::Address;

/// Serves until a signal ends it.
pub(super) fn serve(
    listen: &Address,
    addresses: &[SocketAddr],
    socket_count: usize,
    config: Config,
    service: &Arc<Service>,
) -> Result<(), Failure> {
    let options = Options { socket_count, worker_count: WAITING_COUNT_MAX, ..Options::from(config) };
    let server = Server::serve_insecure(addresses, options, Calls(Arc::clone(service)))
        .map_err(|error| super::cannot_listen(listen, &error))?;
    let interrupts = super::interrupts()?;
    super::announce(server.local_addr())?;
    thread::scope(|scope| {
        let receivers: Vec<_> = (0..FILE_COUNT_MAX)
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
