//! Rung 5, asynchronous: `send` returns at once, each channel keeps its order, `flush` waits for all.
//!
//! A lost fragment holds up the messages behind it on its own channel, and nobody else.
//!
//! ```text
//! cargo run -p posthaste-examples --example asynchronous
//! ```

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use posthaste_std::{Answer, Client, Config, Delivery, Incoming, ReceiveError, Server};

fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), nobody_calls)?;
    let client = Client::connect_insecure(server.local_addr(), Config::lan())?;

    let receiver = thread::spawn(move || {
        let (mut message, mut next) = (Vec::new(), [0_u32; CHANNEL_COUNT as usize]);
        for _ in 0..MESSAGE_COUNT {
            let received = server.receive_into(&mut message, Some(Duration::from_secs(30)))?;
            let channel = received.channel.expect("all are sent in order on a channel") as usize;
            assert_eq!(message, next[channel].to_be_bytes(), "channel {channel} keeps its order");
            next[channel] += 1;
        }
        // The server goes back too: gone too early, it would not have acknowledged the last messages.
        Ok::<_, ReceiveError>((server, next))
    });

    let start = Instant::now();
    for number in 0..MESSAGE_COUNT {
        let channel = u64::from(number % CHANNEL_COUNT);
        client.send(Delivery::Ordered { channel }, &(number / CHANNEL_COUNT).to_be_bytes())?;
    }
    let sent = start.elapsed();
    client.flush()?;
    let flushed = start.elapsed();
    let (_server, counts) = receiver.join().expect("the receiver does not panic")?;
    println!("{MESSAGE_COUNT} sends accepted after {sent:.2?}, all acknowledged after {flushed:.2?}");
    println!("received in order, a channel: {counts:?}");
    Ok(())
}

fn nobody_calls(_: &Incoming<'_>, _: &mut Vec<u8>) -> Answer {
    Answer::Error
}

const MESSAGE_COUNT: u32 = 2000;
const CHANNEL_COUNT: u32 = 4;

#[test]
fn each_channel_keeps_its_order() {
    main().unwrap();
}
