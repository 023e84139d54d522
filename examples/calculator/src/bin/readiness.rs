//! The calculator in a loop of one's own: a call begins here, and its result comes with an event.

use mio::{Events, Interest, Poll, Token};
use posthaste_calculator::Calculator;
use posthaste_calculator::calculator::calculator_v1::{ADD, DIVIDE, SUM, Service};
use posthaste_mio::{Config, Endpoint, Event, SocketOptions};
use posthaste_rpc::xdr::Bounded;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = SocketOptions::default();
    let mut server = Endpoint::bind_insecure("127.0.0.1:0".parse()?, Config::lan(), &options)?;
    let mut client = Endpoint::bind_insecure("127.0.0.1:0".parse()?, Config::lan(), &options)?;
    let (mut poll, mut ready) = (Poll::new()?, Events::with_capacity(16));
    poll.registry().register(&mut server, Token(0), Interest::READABLE)?;
    poll.registry().register(&mut client, Token(1), Interest::READABLE)?;
    let service = Service(Calculator);

    // All of them are under way at once.
    let peer = client.peer(server.local_addr())?;
    let add = client.call_procedure(peer, &ADD, &(2_i64, 3_i64))?;
    let divide = client.call_procedure(peer, &DIVIDE, &(7, 2))?;
    let sum = client.call_procedure(peer, &SUM, &(Bounded::<&[i64], 1000>(&[1, 2, 3]),))?;
    client.transmit()?;

    let mut open_count = 3;
    while open_count > 0 {
        let timeout = [server.next_timeout(), client.next_timeout()].into_iter().flatten().min();
        poll.poll(&mut ready, timeout)?;
        for event in &ready {
            let endpoint = if event.token() == Token(0) { &mut server } else { &mut client };
            endpoint.handle_event(event);
        }

        server.process()?;
        while let Some(event) = server.poll_event() {
            if let Event::CallReceived { call } = event {
                server.answer(call, &service)?;
            }
        }
        server.transmit()?;

        client.process()?;
        while let Some(event) = client.poll_event() {
            let Event::CallEnded { call, outcome } = event else { continue };
            open_count -= 1;
            if call == add {
                println!("2 + 3 = {}", client.take_result(&ADD, call, outcome)?);
            } else if call == divide {
                println!("7 / 2 = {:?}", client.take_result(&DIVIDE, call, outcome)?);
            } else if call == sum {
                println!("1 + 2 + 3 = {}", client.take_result(&SUM, call, outcome)?);
            }
        }
        client.transmit()?;
    }
    Ok(())
}
