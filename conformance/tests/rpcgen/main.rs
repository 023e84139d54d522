//! Both sides of every adapter against C that `rpcgen` made, with libtirpc: programs that nobody here wrote.
//!
//! Where the tools are not installed (Debian: rpcsvc-proto, libtirpc-dev, gcc), the tests say so and pass.
#![cfg(unix)]

mod drivers;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use posthaste_std::onc::{
    AuthSys, Claim, ClientConfig, Credential, Failure, Incoming, Refusal, Request, Target, Transport,
};

use drivers::DRIVERS;

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
                let mut client = (driver.connect)(([127, 0, 0, 1], port).into(), transport, config);
                let mut call = |version, procedure, arguments: &[u8]| {
                    client(&Request::new(Target { program: CALC, version, procedure }, arguments))
                };
                let place = format!("{} {transport}", driver.name);
                assert_eq!(call(1, 0, &[]), Ok(vec![]), "{place}");
                assert_eq!(call(1, ADD, &words(&[40, 2])), Ok(words(&[42])), "{place}");
                assert_eq!(call(2, SWAP, &words(&[40, 2])), Ok(words(&[2, 40])), "{place}");
                // More than one fragment over TCP.
                let text = octets(if transport == Transport::Udp { 5000 } else { 300_000 });
                assert!(call(1, ECHO, &text) == Ok(text), "{place}");

                let refused = |refusal| Err(Failure::Refused(refusal));
                assert_eq!(call(1, 99, &[]), refused(Refusal::NoSuchProcedure), "{place}");
                // It does not see where a datagram ends, but that nothing is so long.
                assert_eq!(call(1, ECHO, &words(&[u32::MAX])), refused(Refusal::GarbageArguments), "{place}");
                assert_eq!(call(7, 0, &[]), refused(Refusal::NoSuchVersion { low: 1, high: 2 }), "{place}");
                let other = Target { program: CALC + 1, version: 1, procedure: 0 };
                assert_eq!(client(&Request::new(other, &[])), refused(Refusal::NoSuchProgram), "{place}");
            }
        }
    }
}

/// What a server of `calc.x` does.
fn calculate(call: &Incoming<'_>, results: &mut Vec<u8>) -> Result<(), Refusal> {
    let Target { program, version, procedure } = call.target;
    if program != CALC {
        return Err(Refusal::NoSuchProgram);
    }
    if let Ok(Credential::Sys(claim)) = call.auth.credential() {
        assert!(!claim.machine_name().is_empty());
    }
    match (version, procedure) {
        (1 | 2, 0) => Ok(()),
        (1, ADD) => {
            let [a, b] = pair(call.arguments)?;
            results.extend(words(&[a.wrapping_add(b)]));
            Ok(())
        }
        (1, ECHO) => {
            results.extend_from_slice(call.arguments);
            Ok(())
        }
        (2, SWAP) => {
            let [a, b] = pair(call.arguments)?;
            results.extend(words(&[b, a]));
            Ok(())
        }
        (1 | 2, _) => Err(Refusal::NoSuchProcedure),
        _ => Err(Refusal::NoSuchVersion { low: 1, high: 2 }),
    }
}

fn pair(arguments: &[u8]) -> Result<[u32; 2], Refusal> {
    let (words, rest) = arguments.as_chunks::<4>();
    match words {
        [a, b] if rest.is_empty() => Ok([a, b].map(|word| u32::from_be_bytes(*word))),
        _ => Err(Refusal::GarbageArguments),
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn octets(len: u32) -> Vec<u8> {
    let mut encoded = words(&[len]);
    encoded.extend((0..len).map(|index| b'a' + (index % 23) as u8));
    encoded.resize(encoded.len().next_multiple_of(4), 0);
    encoded
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
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rpcgen");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rpcgen");
    fs::create_dir_all(&folder).unwrap();
    if Command::new("rpcgen")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .arg("-c")
        .status()
        .is_err()
        || !Path::new("/usr/include/tirpc/rpc/rpc.h").exists()
        || Command::new("cc").arg("--version").stdout(Stdio::null()).status().is_err()
    {
        eprintln!("rpcgen, libtirpc or cc is not installed: NOT CHECKED");
        return None;
    }
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

const BOTH: [Transport; 2] = [Transport::Udp, Transport::Tcp];

// As in calc.x.
const CALC: u32 = 0x2000_0042;
const ADD: u32 = 1;
const ECHO: u32 = 2;
const SWAP: u32 = 1;
