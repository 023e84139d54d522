//! Both sides of every adapter against C that `rpcgen` made, with libtirpc: stubs of ours and of theirs, of one interface file.

use core::fmt::Debug;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use posthaste_foreign::Foreign;
use posthaste_rpc::{AsyncCaller, CallError, Caller, NotExecuted};
use posthaste_std::onc::{AuthSys, Claim, ClientConfig, Transport};

use super::BOTH;
use super::calc::{Pair, calc_v1, calc_v2};
use super::drivers::{Client, DRIVERS};

// What the server knows nothing of.
posthaste_rpc::interface!(mod mistaken);

#[test]
fn a_client_of_rpcgen_is_answered_by_every_adapter() {
    let Some(folder) = built() else { return };
    for driver in DRIVERS {
        (driver.serve)(Box::new(move |port| {
            for transport in BOTH {
                let args = [transport.to_string(), port.to_string()];
                let output = Command::new(folder.join("client")).args(args).output().unwrap();
                let lines = String::from_utf8(output.stdout).unwrap();
                // The numbers of `enum clnt_stat`: 0 is success, 8 no such program, 9 another version, 10 no such procedure, 11
                // arguments that could not be decoded.
                let expected = "null 0\nadd 0\nsum 42\necho 0\nsame 1\nprocedure 10\ngarbage 11\nsys 0\nversion 9 1 2\n\
                    program 8\nswap 0\nswapped 2 40\n";
                let errors = String::from_utf8_lossy(&output.stderr);
                assert_eq!(lines, expected, "{} {transport}: {errors}", driver.name);
            }
        }));
    }
}

#[test]
fn a_server_of_rpcgen_answers_every_adapter() {
    let Some(folder) = built() else { return };
    let server = CServer::start(&folder.join("server"));
    let claims = [Claim::NONE, Claim::from(&AuthSys::new(b"here", 1, 2, &[3]).unwrap())];
    for driver in DRIVERS {
        for (transport, port) in BOTH.into_iter().zip(server.ports) {
            for claim in claims.clone() {
                let config = ClientConfig { claim, ..ClientConfig::default() };
                // More than one fragment over TCP.
                let octets = octets(if transport == Transport::Udp { 5000 } else { 300_000 });
                let place = format!("{} {transport}", driver.name);
                match (driver.connect)(([127, 0, 0, 1], port).into(), transport, config) {
                    Client::Blocking(caller) => call(&caller, &octets, &place),
                    Client::Awaited(caller) => smol::block_on(call_async(&caller, &octets, &place)),
                }
            }
        }
    }
}

/// Makes of one text a function for stubs that return and one for stubs that are awaited.
macro_rules! call {
    ($name:ident, $caller:ident, $client:ident $(, $async:tt, $await:tt)?) => {
        /// Calls what the server has, and what it has not.
        $($async)? fn $name(caller: &impl $caller, octets: &[u8], place: &str) {
            let client = calc_v1::$client::new(caller);
            client.null()$(.$await)?.unwrap();
            assert_eq!(client.add(&PAIR)$(.$await)?.unwrap(), 42, "{place}");
            assert!(**client.echo(octets)$(.$await)?.unwrap() == *octets, "{place}");
            let swapped = calc_v2::$client::new(caller).swap(&PAIR)$(.$await)?.unwrap();
            assert_eq!(swapped, Pair { a: 2, b: 40 }, "{place}");

            let client = mistaken::calc_v1::$client::new(caller);
            assert_eq!(refusal(client.not_there()$(.$await)?), NotExecuted::NoSuchProcedure, "{place}");
            // It does not see where a datagram ends, but that nothing is so long.
            assert_eq!(refusal(client.echo(u32::MAX)$(.$await)?), NotExecuted::BadArguments, "{place}");
            let client = mistaken::calc_v7::$client::new(caller);
            let versions = NotExecuted::NoSuchVersion { low: 1, high: 2 };
            assert_eq!(refusal(client.nothing()$(.$await)?), versions, "{place}");
            let client = mistaken::nobody_v1::$client::new(caller);
            assert_eq!(refusal(client.nothing()$(.$await)?), NotExecuted::NoSuchProgram, "{place}");
        }
    };
}

call!(call, Caller, Client);
call!(call_async, AsyncCaller, AsyncClient, async, await);

fn refusal<U: Debug>(outcome: Result<(), CallError<U>>) -> NotExecuted {
    match outcome {
        Err(CallError::NotExecuted(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn octets(len: u32) -> Vec<u8> {
    (0..len).map(|index| b'a' + (index % 23) as u8).collect()
}

/// A server of C, which ends with this.
struct CServer {
    process: Child,
    /// Of UDP and of TCP.
    ports: [u16; 2],
}

impl CServer {
    fn start(program: &Path) -> Self {
        let mut process = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut ports = line.split_whitespace().map(|port| port.parse().unwrap());
        let ports = [ports.next().unwrap(), ports.next().unwrap()];
        Self { process, ports }
    }
}

impl Drop for CServer {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Returns where client and server of C are, built once; `None` where that cannot be done.
fn built() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(build).as_deref()
}

fn build() -> Option<PathBuf> {
    if !Foreign::Rpcgen.is_here() {
        return None;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onc");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rpcgen");
    fs::create_dir_all(&folder).unwrap();
    for file in ["calc.x", "client.c", "server.c"] {
        fs::copy(source.join(file), folder.join(file)).unwrap();
    }
    for (flag, out) in [("-h", "calc.h"), ("-c", "calc_xdr.c"), ("-m", "calc_svc.c"), ("-l", "calc_clnt.c")] {
        // It does not write over a file.
        let _ = fs::remove_file(folder.join(out));
        run(&folder, "rpcgen", &[flag, "-o", out, "calc.x"]);
    }
    let common = ["-w", "-I/usr/include/tirpc", "-o"];
    run(&folder, "cc", &[&common[..], &["server", "server.c", "calc_svc.c", "calc_xdr.c", "-ltirpc"]].concat());
    run(&folder, "cc", &[&common[..], &["client", "client.c", "calc_xdr.c", "-ltirpc"]].concat());
    Some(folder)
}

fn run(folder: &Path, program: &str, args: &[&str]) {
    let output = Command::new(program).current_dir(folder).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

const PAIR: Pair = Pair { a: 40, b: 2 };
