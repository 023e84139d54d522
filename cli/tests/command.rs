//! The command as a script sees it: output, one line of reason, exit status.
#![cfg(unix)]

use core::time::Duration;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[test]
fn wrong_usage_is_a_line_of_reason_a_line_of_advice_and_status_2() {
    let relay = ["relay", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:9"];
    for (args, reason, hint) in [
        (&[][..], "the subcommand is missing", "--help"),
        (&["rely"], "unrecognized subcommand 'rely'", "'relay'"),
        (&["relay"], "required arguments were not provided: --listen <ADDR> --to <ADDR>", "--help"),
        (&["relay", "--los", "5%"], "unexpected argument '--los'", "'--loss'"),
        (&["relay", "--loss", "1%", "--loss", "1%"], "cannot be used multiple times", "--help"),
        (&["relay", "--loss"], "a value is required for '--loss <SHARE>'", "--help"),
        (&["relay", "--loss", "101%"], "a percentage is at most 100%", "--help"),
        (&["relay", "--delay", "5x"], "'x' is no unit of a time", "--help"),
        (&["relay", "--delay", "NaN"], "not a time, such as 10ms", "--help"),
        (&["relay", "--delay", "1e9"], "'e9' is no unit of a time", "--help"),
        (&["relay", "--delay", "-1"], "unexpected argument '-1'", "--help"),
        (&["relay", "--delay=-1"], "a time is not negative", "--help"),
        (&["relay", "--to", "localhost:65536"], "'65536' is no port", "--help"),
        (&["relay", "--to", ":::"], "an IPv6 address stands in brackets", "--help"),
        (&["relay", "--to", "[::1"], "no IPv6 address in the brackets", "--help"),
        (&["relay", "--to", "a\nb:1"], "is in no host name", "--help"),
        (&["relay", "--to", "a\x1b[2Jb:1"], "\\u{1b}[2J", "--help"),
        (&["relay", "--clients", "0"], "invalid value '0'", "--help"),
        (&[&relay[..], &["--rate", "0bit"]].concat(), "a rate above zero is needed", "--help"),
        (&["relay", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:0"], "no server has port 0", "--to"),
    ] {
        let output = posthaste(args);
        let lines = error_lines(&output);
        assert_eq!((output.status.code(), lines.len()), (Some(2), 2), "{args:?}: {lines:?}");
        assert!(lines[0].starts_with("error: ") && lines[0].contains(reason), "{args:?}: {lines:?}");
        assert!(lines[1].starts_with("hint: ") && lines[1].contains(hint), "{args:?}: {lines:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn an_argument_that_is_not_unicode_is_wrong_usage() {
    let output = posthaste(&[OsStr::new("relay"), OsStr::new("--to"), OsStr::from_bytes(b"\xff:1")]);
    assert_eq!((output.status.code(), error_lines(&output).len()), (Some(2), 2));
}

#[test]
fn help_is_an_answer() {
    let output = posthaste(&["--help"]);
    assert!(output.status.success() && output.stderr.is_empty());
    assert!(String::from_utf8_lossy(&output.stdout).contains("4  outcome unknown"));
}

#[test]
fn a_host_that_does_not_exist_is_status_5() {
    let output = posthaste(&["relay", "--listen", "127.0.0.1:0", "--to", "host.invalid:1"]);
    let lines = error_lines(&output);
    assert_eq!((output.status.code(), lines.len()), (Some(5), 2), "{lines:?}");
    assert!(lines[0].contains("cannot find the host 'host.invalid'"), "{lines:?}");
}

#[test]
fn a_port_that_is_taken_is_status_6() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let output = posthaste(&["relay", "--listen", &taken.local_addr().unwrap().to_string(), "--to", "127.0.0.1:9"]);
    let lines = error_lines(&output);
    assert_eq!((output.status.code(), lines.len()), (Some(6), 2), "{lines:?}");
}

#[test]
fn a_relay_to_itself_is_wrong_usage() {
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for listen in [free.to_string(), format!("0.0.0.0:{}", free.port())] {
        let output = posthaste(&["relay", "--listen", &listen, "--to", &free.to_string()]);
        assert_eq!(output.status.code(), Some(2), "{:?}", error_lines(&output));
    }
}

#[test]
fn a_closed_pipe_ends_the_command_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command(&["--help"]).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((output.status.code(), error_lines(&output).len()), (Some(141), 0));
}

#[test]
fn a_full_disk_is_status_6() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command(&["--help"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(6), "{:?}", error_lines(&output));
}

#[test]
fn a_relay_says_where_it_listens_and_a_signal_ends_it_with_a_table() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let to = server.local_addr().unwrap().to_string();
        let args = ["relay", "--listen", "127.0.0.1:0", "--to", &to, "--duplicate", "100%", "--seed", "7"];
        let mut relay = command(&args).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(relay.stdout.take().unwrap());

        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let (listen, shown_to) = line.trim().strip_prefix("relay ").unwrap().split_once(" -> ").unwrap();
        assert_eq!(shown_to, to);
        client.send_to(b"hello", listen).unwrap();
        let mut buffer = [0; 16];
        for _ in 0..2 {
            let (len, _) = server.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..len], b"hello");
        }

        kill(Pid::from_raw(relay.id().try_into().unwrap()), signal).unwrap();
        let mut table = String::new();
        output.read_to_string(&mut table).unwrap();
        assert!(relay.wait().unwrap().success());
        let rows: Vec<Vec<&str>> = table.lines().map(|row| row.split_whitespace().collect()).collect();
        assert!(rows.contains(&vec!["received", "1", "0"]), "{table}");
        assert!(rows.contains(&vec!["sent", "2", "0"]), "{table}");
        assert!(table.ends_with("seed 7\n"), "{table}");
    }
}

fn posthaste<S: AsRef<OsStr>>(args: &[S]) -> Output {
    command(args).output().unwrap()
}

fn command<S: AsRef<OsStr>>(args: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthaste"));
    command.args(args);
    command
}

fn error_lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect()
}
