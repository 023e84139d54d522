//! Once made, a socket and its batches allocate nothing.

use core::time::Duration;

use posthaste_core::ecn::Ecn;
use posthaste_heap as heap;
use posthaste_udp::{Options, RecvBatch, SendBatch, Socket, Waiting};

#[test]
fn nothing_is_allocated_while_datagrams_come_and_go() {
    for waiting in [Waiting::InRecv, Waiting::InPoll] {
        let options = Options { waiting, ..Options::default() };
        let client = Socket::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
        let server = Socket::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
        let mut outgoing = SendBatch::new(1200);
        let mut incoming = RecvBatch::new(4);

        // The thread that runs the tests prints and waits beside this one.
        let ((), allocated) = heap::watch(|| {
            for round in 0..10_000 {
                // Single, joined and unreachable datagrams.
                for _ in 0..round % 3 {
                    outgoing.commit(100, server.local_addr(), None, Ecn::Ect0);
                }
                outgoing.commit(40, server.local_addr(), None, Ecn::Ect0);
                outgoing.commit(100, "127.0.0.1:0".parse().unwrap(), None, Ecn::Ect0);
                client.send(&mut outgoing).unwrap();

                let mut count = 0;
                while count < 1 + round % 3 {
                    count += server.recv_timeout(&mut incoming, Some(Duration::from_secs(10))).unwrap();
                    while incoming.next_datagram().is_some() {}
                }
                assert!(server.recv(&mut incoming).is_err());
            }
        });
        assert_eq!(allocated.count, 0);
    }
}
