//! The built-in service on `posthaste-smol`: calls and streams as tasks, what waits for a disk or a clock on threads.

use alloc::sync::Arc;
use core::net::SocketAddr;
use core::pin::pin;
use std::io::{self, Read};
use std::time::Instant;

use posthaste_core::endpoint::Answer;
use posthaste_smol::{Config, Incoming, Server, StreamReader};
use smol::Timer;
use smol::future::{block_on, or};
use smol::io::AsyncReadExt;

use super::{DRAIN_TIMEOUT, FILE_COUNT_MAX, SILENCE_MAX, WAITING_COUNT_MAX};
use crate::failure::Failure;
use crate::interrupts::Interrupts;
use crate::service::{Procedure, Service};
use crate::value::Address;

/// Serves until a signal ends it.
pub(super) fn serve(
    listen: &Address,
    addresses: &[SocketAddr],
    socket_count: usize,
    config: &Config,
    service: &Arc<Service>,
) -> Result<(), Failure> {
    let servers = super::bind_first(listen, addresses, |address| {
        Server::bind_group_insecure(address, socket_count, config.clone())
    })?;
    let interrupts = super::interrupts()?;
    super::announce(servers[0].local_addr())?;
    super::serve_each(servers, &interrupts, |server| serve_at(server, interrupts.clone(), service))
}

/// Serves at one socket until a signal ends it.
fn serve_at(server: Server, interrupts: Interrupts, service: &Arc<Service>) -> Result<(), Failure> {
    let mut files = Vec::new();
    let served = smol::block_on(async {
        let calls = server.serve(WAITING_COUNT_MAX, |call| answer(Arc::clone(service), call));
        let mut calls = pin!(calls.admitting(|procedure| Procedure::of(procedure).map(|_| ())));
        let stopped = smol::unblock(move || interrupts.wait());
        let taking = take_files(&server, service, &mut files);
        let stopped = async {
            stopped.await;
            Ok(())
        };
        let answering = async {
            // It ends with the socket.
            let _ = (&mut calls).await;
            Ok(())
        };
        let served = or(stopped, or(answering, taking)).await;
        let answering = async {
            let _ = calls.await;
        };
        or(server.shut_down(DRAIN_TIMEOUT), answering).await;
        served
    });
    // Its streams end with it, and what was taken from them so far is removed.
    drop(server);
    served.and(files.into_iter().try_for_each(block_on))
}

/// A file that is being taken.
type Taking = smol::Task<Result<(), Failure>>;

/// Takes the files of all streams, several at a time, until the server is closed.
///
/// # Errors
/// What failed about an output.
async fn take_files(server: &Server, service: &Arc<Service>, files: &mut Vec<Taking>) -> Result<(), Failure> {
    while let Ok(stream) = server.accept_stream().await {
        let service = Arc::clone(service);
        files.push(smol::unblock(move || service.receive(&mut Blocking(stream))));
        if files.len() == FILE_COUNT_MAX {
            files.remove(0).await?;
        }
    }
    Ok(())
}

/// Answers one call.
async fn answer(service: Arc<Service>, call: Incoming) {
    let procedure = Procedure::of(call.procedure()).expect("others were refused");
    let reply = move || {
        let deadline = call.deadline();
        let is_over = || call.is_cancelled() || deadline.is_some_and(|deadline| deadline <= Instant::now());
        let mut reply = Vec::new();
        let answer = service.answer(procedure, &call.to_vec(), &is_over, &mut reply);
        // What cannot be told has nobody who waits for it.
        let _ = match answer {
            Answer::Ok => call.reply(&reply),
            Answer::Refused(why) => call.refuse(why),
            Answer::Error | Answer::HandlerFailed => call.reply_error(&reply),
        };
    };
    if procedure.may_wait() {
        smol::unblock(reply).await;
    } else {
        reply();
    }
}

/// A stream for a thread that may wait.
struct Blocking(StreamReader);

impl Read for Blocking {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        smol::block_on(or(self.0.read(octets), async {
            Timer::after(SILENCE_MAX).await;
            Err(io::ErrorKind::TimedOut.into())
        }))
    }
}
