//! `ping` and `call`, and what they have in common with `send`.

use alloc::sync::Arc;
use std::net::UdpSocket;
use std::sync::Mutex;

use nix::sys::signal::Signal;
use posthaste_std::wire::{self, Description};
use posthaste_std::{Answer, CallError, Client, Config, Execution, Handler, Incoming, NotExecuted, Request, Server};

use crate::process::{Process, check};
use crate::{ECHO, PROGRAM, SLEEP};

#[test]
fn pings_are_answered_and_summed_up() {
    let (_server, address) = Process::serve::<&str>(&[]);
    for (size, shown) in [("0", "0 octets"), ("56", "56 octets"), ("100KiB", "102400 octets")] {
        let (text, _) = check(&["ping", &address, "--count", "3", "--interval", "0", "--size", size], 0);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        for (index, line) in lines[..3].iter().enumerate() {
            assert!(line.starts_with(&format!("{shown} from {address}: seq={} time=", index + 1)), "{text}");
        }
        assert_eq!(lines[3], "3 sent, 3 answered, 0 lost (0.0%)");
        assert!(["min ", ", avg ", ", p50 ", ", p90 ", ", p99 ", ", max "].iter().all(|name| lines[4].contains(name)));
    }
}

#[test]
fn a_ping_that_is_interrupted_sums_up() {
    let (_server, address) = Process::serve::<&str>(&[]);
    let mut ping = Process::start(&["ping", &address, "--interval", "1h"]);
    assert!(ping.line().contains("seq=1"));
    ping.signal(Signal::SIGINT);
    let (status, text, errors) = ping.wait();
    assert!(status.success() && text.starts_with("1 sent, 1 answered, 0 lost (0.0%)\n"), "{text}{errors}");
}

#[test]
fn what_the_network_loses_is_counted_by_ping() {
    let (_server, address) = Process::serve::<&str>(&[]);
    let (_relay, relay) = Process::relay(&address, "--loss 30% --seed 1");
    let args = ["ping", &relay, "--count", "40", "--interval", "0", "--timeout", "100ms", "--connect-timeout", "60s"];
    let (text, _) = check(&args, 0);
    let counts: Vec<u32> = text
        .lines()
        .find_map(|line| line.strip_prefix("40 sent, "))
        .unwrap()
        .split(|character: char| !character.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    let (answered, lost) = (counts[0], counts[1]);
    assert_eq!(answered + lost, 40, "{text}");
    assert!(answered > 0 && lost > 0, "{text}");
    assert_eq!(text.lines().filter(|line| line.contains("time=")).count() as u32, answered, "{text}");
    assert_eq!(text.lines().filter(|line| line.contains("no answer")).count() as u32, lost, "{text}");
}

#[test]
fn an_echo_comes_back_and_cannot_steer_the_terminal() {
    let (_server, address) = Process::serve::<&str>(&[]);
    for (text, shown) in [
        ("hello, world", "hello, world\n"),
        ("", "\n"),
        ("grüße", "grüße\n"),
        ("a\x1b[2J\u{9b}\u{202e}\nb", "a\\u{1b}[2J\\u{9b}\\u{202e}\\nb\n"),
    ] {
        assert_eq!(check(&["call", &address, "echo", text], 0).0, shown);
    }
}

#[test]
fn a_sleep_ends_when_it_should() {
    let (_server, address) = Process::serve::<&str>(&[]);
    assert_eq!(check(&["call", &address, "sleep", "30ms"], 0).0, "slept 30ms\n");
    assert_eq!(check(&["call", &address, "sleep", "0"], 0).0, "slept 0ns\n");
}

#[test]
fn a_call_whose_time_is_up_has_an_unknown_outcome() {
    let gate = Arc::new(Mutex::new(()));
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), Gated(gate.clone())).unwrap();
    let closed = gate.lock().unwrap();
    let address = server.local_addr().to_string();
    for args in
        [["call", &address, "sleep", "1h", "--timeout", "1s"], ["call", "--timeout", "1s", &address, "sleep", "1h"]]
    {
        let (_, lines) = check(&args, 4);
        assert!(lines[0].contains("outcome unknown: the deadline passed"), "{lines:?}");
        assert!(lines[1].contains("may have been executed"), "{lines:?}");
    }
    drop(closed);
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupted_call_is_cancelled_and_tells_what_came_of_it() {
    let (_server, address) = Process::serve::<&str>(&[]);
    let call = Process::start(&["call", &address, "sleep", "1h"]);
    call.wait_until_it_handles(Signal::SIGINT);
    call.signal(Signal::SIGINT);
    let (status, _, errors) = call.wait();
    // Whether the handler's own answer still counts, and whether the call was sent at all, is a matter of time.
    assert!(matches!(status.code(), Some(1 | 3 | 4)), "{status}: {errors}");
    assert!(errors.starts_with("error: "), "{errors}");
}

#[test]
fn a_second_interrupt_ends_a_server_at_once() {
    let (server, address) = Process::serve::<&str>(&[]);
    let client = Client::connect_insecure(&address, Config::lan()).unwrap();
    let nanos = 3_600_000_000_000_u64.to_be_bytes();
    let _sleep = client.start(&Request { timeout: None, ..Request::new(PROGRAM, 1, SLEEP, &nanos) }).unwrap();
    assert_eq!(client.call(PROGRAM, 1, ECHO, b"behind it").unwrap(), b"behind it");
    server.signal(Signal::SIGINT);
    let refused = core::iter::repeat_with(|| client.call(PROGRAM, 1, ECHO, b"")).find_map(Result::err).unwrap();
    assert!(matches!(refused, CallError::NotExecuted(NotExecuted::Refused(wire::NotExecuted::Draining))), "{refused}");
    server.signal(Signal::SIGINT);
    let (status, _, errors) = server.wait();
    assert_eq!((status.code(), &errors[..]), (Some(4), "error: interrupted twice\n"));
}

#[test]
fn a_server_that_is_not_there_is_status_5() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [silent.local_addr().unwrap(), free] {
        let address = address.to_string();
        for args in [&["ping"][..], &["call", "echo", "hello"], &["send", env!("CARGO_MANIFEST_PATH")]] {
            let place = if args[0] == "send" { args.len() } else { 1 };
            let mut args = args.to_vec();
            args.insert(place, &address);
            args.extend(["--connect-timeout", "100ms"]);
            let (_, lines) = check(&args, 5);
            assert!(lines[0].contains(&format!("cannot connect to {address}")), "{lines:?}");
        }
    }
}

#[test]
fn a_host_that_does_not_exist_is_status_5() {
    for args in [&["ping", "host.invalid:1"][..], &["call", "host.invalid:1", "echo", ""]] {
        let (_, lines) = check(args, 5);
        assert!(lines[0].contains("cannot find the host 'host.invalid'"), "{lines:?}");
    }
}

#[test]
fn a_port_that_is_taken_is_status_6() {
    let (_server, address) = Process::serve::<&str>(&[]);
    let (_, lines) = check(&["serve", "--listen", &address], 6);
    assert!(lines[0].contains(&format!("cannot listen on {address}")), "{lines:?}");
}

#[test]
fn what_the_server_says_decides_the_status() {
    for (answer, status, reason) in [
        (Say::Error, 1, "the server answered with an error: no\\u{1b}[2J\\nway"),
        (Say::Refusal, 3, "not executed: the callee does not know the program"),
        (Say::Nothing, 4, "outcome unknown: the handler failed half-way"),
    ] {
        let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), answer).unwrap();
        let (_, lines) = check(&["call", &server.local_addr().to_string(), "echo", "hello"], status);
        assert!(lines[0].contains(reason), "{lines:?}");
    }
}

#[test]
fn plain_mode_leaves_this_machine_only_if_asked_to() {
    for args in [
        &["serve", "--listen", "0.0.0.0:0"][..],
        &["serve", "--listen", "[::]:0"],
        &["ping", "192.0.2.1:9"],
        &["call", "192.0.2.1:9", "echo", ""],
        &["send", env!("CARGO_MANIFEST_PATH"), "192.0.2.1:9"],
    ] {
        let (_, lines) = check(args, 2);
        assert!(lines[0].contains("nothing protects what is said"), "{lines:?}");
        assert!(lines[1].contains("--insecure"), "{lines:?}");
    }
    let mut server = Process::start(&["serve", "--listen", "0.0.0.0:0", "--insecure"]);
    assert!(server.line().starts_with("serving 0.0.0.0:"));
    server.signal(Signal::SIGINT);
    let (status, _, errors) = server.wait();
    assert!(status.success() && errors.starts_with("warning: plain mode: "), "{errors}");
}

#[test]
fn wrong_usage_is_status_2() {
    for (args, reason) in [
        (&["serve"][..], "--listen <ADDR>"),
        (&["serve", "--listen", "127.0.0.1:0", "--runtime", "tokio"], "invalid value 'tokio'"),
        (&["serve", "--listen", "127.0.0.1:65536"], "'65536' is no port"),
        (&["ping"], "<ADDR>"),
        (&["ping", "127.0.0.1:0"], "no server has port 0"),
        (&["ping", "127.0.0.1"], "the port is missing"),
        (&["ping", "[::1"], "no IPv6 address"),
        (&["ping", "127.0.0.1:1", "--count", "0"], "invalid value '0'"),
        (&["ping", "127.0.0.1:1", "--size", "1025KiB"], "a ping has at most 1MiB octets"),
        (&["ping", "127.0.0.1:1", "--timeout", "0"], "a time above zero is needed"),
        (&["ping", "127.0.0.1:1", "--timeout=-1"], "a time is not negative"),
        (&["call", "127.0.0.1:1"], "subcommand"),
        (&["call", "127.0.0.1:1", "ecko", "a"], "'ecko'"),
        (&["call", "127.0.0.1:1", "echo"], "<TEXT>"),
        (&["call", "127.0.0.1:1", "sleep", "1e9"], "'e9' is no unit"),
        (&["call", "127.0.0.1:1", "sleep", "NaN"], "not a time"),
        (&["call", "127.0.0.1:1", "sleep", "5x"], "'x' is no unit"),
        (&["call", "127.0.0.1:1", "sleep", "1s", "--timeout", "0"], "a time above zero is needed"),
        (&["send"], "<FILE>"),
        (&["send", "127.0.0.1:1"], "<FILE>"),
        (&["send", "file", "127.0.0.1"], "the port is missing"),
    ] {
        let (text, lines) = check(args, 2);
        assert!(lines[0].contains(reason) && lines.len() == 2 && text.is_empty(), "{args:?}: {lines:?}");
    }
}

#[test]
fn both_ways_of_writing_this_machine_lead_to_the_server() {
    let (_server, address) = Process::serve::<&str>(&[]);
    let port = address.rsplit_once(':').unwrap().1;
    let localhost = format!("localhost:{port}");
    check(&["call", &localhost, "--connect-timeout", "1s", "echo", "hello"], 0);
}

/// A server that answers once it gets the lock: whoever calls it learns nothing before its own time is up.
struct Gated(Arc<Mutex<()>>);

impl Handler for Gated {
    fn handle(&self, _: &Incoming<'_>, _: &mut Vec<u8>) -> Answer {
        drop(self.0.lock());
        Answer::Ok
    }
}

/// A server that answers each call in one way.
#[derive(Clone, Copy)]
enum Say {
    Error,
    Refusal,
    Nothing,
}

impl Handler for Say {
    fn execution(&self, _: &Description) -> Execution {
        match self {
            Self::Refusal => Execution::Refuse(wire::NotExecuted::NoSuchProgram),
            Self::Error | Self::Nothing => Execution::Pool,
        }
    }

    fn handle(&self, _: &Incoming<'_>, reply: &mut Vec<u8>) -> Answer {
        match self {
            Self::Error => {
                reply.extend_from_slice(b"no\x1b[2J\nway");
                Answer::Error
            }
            Self::Refusal | Self::Nothing => Answer::HandlerFailed,
        }
    }
}
