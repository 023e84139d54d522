//! Rung 3, large: one message of any size, in bounded memory.
//!
//! A message whose length is known goes in one piece, up to what the other side takes whole. A longer one is a stream: it
//! is written as it is produced and read as it arrives, and whoever is too fast waits.
//!
//! ```text
//! cargo run -p posthaste-examples --example large             16 MiB
//! cargo run -p posthaste-examples --example large -- 4096     4 GiB
//! ```

use std::env;
use std::error::Error;
use std::io::{Read, Write};
use std::thread;
use std::time::Instant;

use posthaste_core::wire::checksum::Crc32c;
use posthaste_std::{Answer, Client, Config, Delivery, Incoming, Server};

fn main() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1) {
        Some(len) => carry(len.parse()?),
        None => carry(16),
    }
}

fn carry(len_mib: usize) -> Result<(), Box<dyn Error>> {
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), nobody_calls)?;
    let client = Client::connect_insecure(server.local_addr(), Config::lan())?;

    // Whole: hundreds of datagrams at the floor of 1200 octets, one message at either end.
    let photo: Vec<u8> = (0..100_000_u32).map(|index| (index % 251) as u8).collect();
    client.send(Delivery::Reliable, &photo)?;
    client.flush()?;
    let mut received = Vec::new();
    server.receive_into(&mut received, None)?;
    assert_eq!(received, photo);
    println!("a message of {} octets, in one piece", received.len());

    // A stream: neither side ever holds all of it.
    let reader = thread::spawn(move || {
        let mut stream = server.accept_stream(None).map_err(|error| error.to_string())?;
        let (mut buffer, mut len, mut crc) = (vec![0; 64 << 10], 0, Crc32c::new());
        loop {
            match stream.read(&mut buffer).map_err(|error| error.to_string())? {
                0 => return Ok::<_, String>((server, len, crc.finish())),
                count => {
                    crc.update(&buffer[..count]);
                    len += count;
                }
            }
        }
    });
    let start = Instant::now();
    let mut stream = client.open_stream(Delivery::Reliable)?;
    let mut crc = Crc32c::new();
    for number in 0..len_mib {
        let piece = vec![number as u8; 1 << 20];
        stream.write_all(&piece)?;
        crc.update(&piece);
    }
    stream.finish()?;
    client.flush()?;
    // The server comes back from its thread: gone too early, it would not have acknowledged the end.
    let (_server, len, received_crc) = reader.join().expect("the reader does not panic")?;
    assert_eq!((len, received_crc), (len_mib << 20, crc.finish()));
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "a message of {len_mib} MiB, as it was produced, in {seconds:.2} s: {:.0} MiB/s",
        len_mib as f64 / seconds
    );
    Ok(())
}

fn nobody_calls(_: &Incoming<'_>, _: &mut Vec<u8>) -> Answer {
    Answer::Error
}

#[test]
fn a_message_longer_than_all_buffers_arrives() {
    carry(8).unwrap();
}
