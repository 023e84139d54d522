//! What becomes of arguments on their way out.

use core::fmt::Debug;

use posthaste_heap::watch;
use posthaste_rpc::{CallError, NotExecuted};
use posthaste_std::onc::{ClientConfig, Incoming, Refusal, Server, ServerOptions};

use super::BOTH;
use super::calc::calc_v1;
use super::drivers::{Client, DRIVERS};

#[test]
fn arguments_are_written_into_the_message_itself() {
    let refuse = |_: &Incoming<'_>, _: &mut Vec<u8>| Err(Refusal::NoSuchProcedure);
    let server = Server::serve("127.0.0.1:0", ServerOptions::default(), refuse).unwrap();
    for driver in DRIVERS {
        for transport in BOTH {
            let client = (driver.connect)(server.local_addr(), transport, ClientConfig::default());
            let octets = vec![7; 60_000];
            // Only what this thread allocates.
            let ((), allocated) = watch(|| match &client {
                Client::Blocking(caller) => assert_refused(calc_v1::Client::new(caller).echo(&octets)),
                Client::Awaited(caller) => {
                    assert_refused(smol::block_on(calc_v1::AsyncClient::new(caller).echo(&octets)));
                }
            });
            assert!(allocated.octets >= octets.len(), "it counts: {allocated:?}");
            assert!(allocated.octets < octets.len() * 3 / 2, "{} {transport}: {allocated:?}", driver.name);
        }
    }
}

fn assert_refused<T: Debug, U: Debug>(outcome: Result<T, CallError<U>>) {
    assert!(matches!(outcome, Err(CallError::NotExecuted(NotExecuted::NoSuchProcedure))), "{outcome:?}");
}
