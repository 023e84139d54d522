//! Rung 2, reliable: each message arrives exactly once, though the network loses a third of all datagrams.
//!
//! Stop and wait: one datagram is under way at a time, a copy is kept until it is acknowledged, and a timer with back-off
//! sends it again. `flush` sleeps until then; nothing spins.
//!
//! ```text
//! cargo run -p posthaste-examples --example reliable
//! ```

use std::error::Error;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use posthaste_core::congestion::Algorithm;
use posthaste_std::{Answer, Client, Config, Delivery, Incoming, Server};

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config::lan();
    config.congestion = Algorithm::StopAndWait;

    let server = Server::serve_insecure("127.0.0.1:0", config.clone(), nobody_calls)?;
    let (network, lost_count) = lossy_network(server.local_addr())?;
    let client = Client::connect_insecure(network, config)?;

    let start = Instant::now();
    let receiver = thread::spawn(move || {
        let mut message = Vec::new();
        for number in 0..MESSAGE_COUNT {
            server.receive_into(&mut message, Some(Duration::from_secs(30)))?;
            assert_eq!(message, format!("message {number}").as_bytes(), "neither lost nor repeated");
        }
        // A repetition would come now.
        server.receive_into(&mut message, Some(Duration::from_millis(100))).expect_err("there are no more");
        // The server goes back too: gone too early, it would not have acknowledged the last message.
        Ok::<Server, posthaste_std::ReceiveError>(server)
    });
    for number in 0..MESSAGE_COUNT {
        client.send(Delivery::Reliable, format!("message {number}").as_bytes())?;
        // Sleeps until the message is acknowledged.
        client.flush()?;
    }
    println!(
        "{MESSAGE_COUNT} messages acknowledged in {:.0?}; datagrams lost on the way: {}",
        start.elapsed(),
        lost_count.load(Ordering::Relaxed)
    );
    let _server = receiver.join().expect("the receiver does not panic")?;
    println!("each arrived exactly once");
    Ok(())
}

fn nobody_calls(_: &Incoming<'_>, _: &mut Vec<u8>) -> Answer {
    Answer::Error
}

/// Stands between one client and the server, and loses a third of the datagrams, drawn from a seed. Ends with the program.
fn lossy_network(server: SocketAddr) -> io::Result<(SocketAddr, Arc<AtomicUsize>)> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let address = socket.local_addr()?;
    let lost_count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&lost_count);
    thread::spawn(move || {
        let (mut client, mut datagram) = (None, vec![0; 65_535]);
        let mut chance = 1_u64;
        loop {
            let Ok((len, from)) = socket.recv_from(&mut datagram) else { continue };
            let to = if from == server {
                client
            } else {
                client = Some(from);
                Some(server)
            };
            // Not every third: two probes and their acknowledgement would fall into step, and always lose the latter.
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if (chance >> 33).is_multiple_of(3) {
                counter.fetch_add(1, Ordering::Relaxed);
            } else if let Some(to) = to {
                // What this socket refuses is lost like the rest.
                let _ = socket.send_to(&datagram[..len], to);
            }
        }
    });
    Ok((address, lost_count))
}

const MESSAGE_COUNT: usize = 20;

#[test]
fn every_message_arrives_once_over_a_network_that_loses_a_third() {
    main().unwrap();
}
