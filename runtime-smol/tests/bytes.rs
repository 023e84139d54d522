//! Octets that are handed over and taken, and not copied.

extern crate alloc;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use posthaste_smol::{Answer, Body, Bytes, CallError, Client, Config, Delivery, Incoming, Message, Request, Server};
use smol::future;

#[test]
fn a_message_and_a_request_are_read_in_place_until_they_are_acknowledged() {
    smol::block_on(async {
        let server = Server::bind_insecure("127.0.0.1:0".parse().unwrap(), Config::lan()).unwrap();
        let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
        let octets = Bytes::from(vec![7; 100_000]);
        let body = || Body::Shared(octets.clone());
        let serving = server.serve(1, |call| async move {
            let arguments = call.to_vec();
            call.reply(&arguments).unwrap();
        });
        let asking = async {
            let sent = client.send(Message { delivery: Delivery::Reliable, priority: 1, body: body() }).await.unwrap();
            assert!(!octets.is_unique());
            assert_eq!(server.receive().await.unwrap().to_vec(), octets);
            sent.await.unwrap();

            let reply = client.call(Request { body: body(), ..Request::new(1, 1, 7, &[]) }).await.unwrap();
            assert_eq!(Bytes::from(reply.to_vec()), octets);
            assert!(octets.is_unique());
        };
        future::or(asking, async {
            serving.await;
            unreachable!("the socket works")
        })
        .await;
    });
}

#[test]
fn what_arrives_is_taken_whole_and_where_it_lies_if_it_is_long() {
    smol::block_on(async {
        let server = Server::bind_insecure("127.0.0.1:0".parse().unwrap(), Config::lan()).unwrap();
        let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
        let serving = server.serve(1, |mut call| async move {
            let place = call.with(<[u8]>::as_ptr);
            let arguments = call.take_arguments();
            assert_eq!(arguments.as_ptr() == place, arguments.len() >= LONG);
            assert!(call.with(<[u8]>::is_empty));
            let reply = if call.procedure().procedure == 8 { Incoming::reply_error } else { Incoming::reply };
            reply(call, &arguments).unwrap();
        });
        let asking = async {
            for len in [1, LONG - 1, LONG, 1 << 17] {
                let octets = Bytes::from_iter((0..len).map(|at| at as u8));
                let body = || Body::Shared(octets.clone());
                let request = |procedure| Request { body: body(), ..Request::new(1, 1, procedure, &[]) };

                let message = Message { delivery: Delivery::Reliable, priority: 1, body: body() };
                drop(client.send(message).await.unwrap());
                let received = server.receive().await.unwrap();
                let place = received.with(<[u8]>::as_ptr);
                let message = received.into_bytes();
                assert_eq!((&message, message.as_ptr() == place), (&octets, len >= LONG));

                let reply = client.call(request(7)).await.unwrap();
                let place = reply.with(<[u8]>::as_ptr);
                let reply = reply.into_bytes();
                assert_eq!((&reply, reply.as_ptr() == place), (&octets, len >= LONG));

                let Err(CallError::Application(error)) = client.call(request(8)).await else {
                    panic!("it is an error")
                };
                assert_eq!(error.into_bytes(), octets);
            }
        };
        future::or(asking, async {
            serving.await;
            unreachable!("the socket works")
        })
        .await;
    });
}

#[test]
fn a_reply_is_read_in_place_until_it_is_acknowledged() {
    smol::block_on(async {
        let server = Server::bind_insecure("127.0.0.1:0".parse().unwrap(), Config::lan()).unwrap();
        let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
        let len = (1 << 20).min(client.socket_report().recv_buffer.granted_len);
        let octets = Bytes::from_iter((0..len).map(|at| at as u8));
        let held_count = AtomicUsize::new(0);
        let serving = server.serve(1, |call| {
            let (octets, held_count) = (octets.clone(), &held_count);
            async move {
                let answer = if call.procedure().procedure == 8 { Answer::Error } else { Answer::Ok };
                let is_held = Arc::new(AtomicBool::new(true));
                let held = Held(octets, Arc::clone(&is_held));
                call.answer(answer, Body::Shared(Bytes::from_owner(held))).unwrap();
                // No other future of this thread has received, and acknowledged, anything meanwhile.
                held_count.fetch_add(usize::from(is_held.load(Ordering::Relaxed)), Ordering::Relaxed);
            }
        });
        let asking = async {
            for _ in 0..4 {
                assert_eq!(client.call(Request::new(1, 1, 7, b"call")).await.unwrap().into_bytes(), octets);
                let Err(CallError::Application(error)) = client.call(Request::new(1, 1, 8, b"call")).await else {
                    panic!("it is an error")
                };
                assert_eq!(error.into_bytes(), octets);
            }
            assert_eq!(held_count.load(Ordering::Relaxed), 8);
            while !octets.is_unique() {
                future::yield_now().await;
            }
        };
        future::or(asking, async {
            serving.await;
            unreachable!("the socket works")
        })
        .await;
    });
}

/// Octets that tell when they are let go of.
struct Held(Bytes, Arc<AtomicBool>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.1.store(false, Ordering::Relaxed);
    }
}

const LONG: usize = 16_384;
