//! Raw and generated calls over sockets, by the blocking client and server, in one process.

use core::hint::black_box;

use posthaste_benches::calls::calls_v1::{Client, PROGRAM, Service, VERSION};
use posthaste_benches::measure::{timed, turns};
use posthaste_benches::stubs::Calls;
use posthaste_core::endpoint::Request;
use posthaste_std::{Answer, Config, Handler, Incoming, Rpc, Server};

use crate::{octets, value};

/// Has raw and generated calls take turns; as [`turns`].
pub(crate) fn raw_and_generated(work: &str) -> Vec<(f64, f64)> {
    let (procedure, arguments, result) = octets(work);
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), Both { result, rpc: Rpc(Service(Calls)) });
    let server = server.expect("a port is free");
    let client = posthaste_std::Client::connect_insecure(server.local_addr(), Config::lan());
    let client = &client.expect("the server is there");
    let mut reply = Vec::new();
    let raw = timed(move || {
        let request = Request::new(RAW_PROGRAM, VERSION, procedure, &arguments);
        client.call_into(&request, &mut reply).expect("it is answered");
    });
    let (stub, value) = (Client::new(client), value(work));
    let generated = timed(move || match &value {
        None => assert_eq!(stub.add(2, 3).expect("it is answered"), 5),
        Some(value) => drop(black_box(stub.mirror(value).expect("it is answered"))),
    });
    turns(&mut [raw, generated], 100)
}

/// Serves raw and generated calls alike, so that the same threads and sockets carry both.
struct Both {
    result: Vec<u8>,
    rpc: Rpc<Service<Calls>>,
}

impl Handler for Both {
    fn handle(&self, call: &Incoming<'_>, reply: &mut Vec<u8>) -> Answer {
        if call.procedure().program == PROGRAM {
            return self.rpc.handle(call, reply);
        }
        reply.extend_from_slice(&self.result);
        Answer::Ok
    }
}

const RAW_PROGRAM: u32 = PROGRAM + 1;
