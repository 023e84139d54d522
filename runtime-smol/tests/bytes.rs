//! Octets that are handed over and taken, and not copied.

use posthaste_smol::{Body, Bytes, CallError, Client, Config, Delivery, Incoming, Message, Request, Server};
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

const LONG: usize = 16_384;
