//! Octets that are handed over and not copied.

use posthaste_smol::{Body, Bytes, Client, Config, Delivery, Message, Request, Server};
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
