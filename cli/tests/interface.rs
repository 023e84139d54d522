//! `posthaste call` by an interface file, against servers made of generated stubs, in both protocols.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::Command;

use posthaste_calculator::Calculator;
use posthaste_calculator::calculator::calculator_v1::Service;
use posthaste_std::{Config, Rpc, Server, onc};
use serde_json::{Value, json};

#[test]
fn procedures_are_called_by_name_or_number_in_both_protocols() {
    let servers = Servers::start();
    for (address, options) in servers.all() {
        for (procedure, arguments, reply) in [
            ("CALCULATOR.CALCULATOR_V1.ADD", "[2, -5]", json!(-3)),
            ("CALCULATOR.1.ADD", "[9007199254740992, 1]", json!((1_u64 << 53) + 1)),
            ("0x20000010.1.2", "[7, 2]", json!({ "TRUE": { "whole": 3, "rest": 1 } })),
            ("CALCULATOR.1.DIVIDE", "[7, 0]", json!({ "FALSE": "DIVISION_BY_ZERO" })),
            ("CALCULATOR.1.SUM", "[1, 2, 3]", json!(6)),
            ("CALCULATOR.1.0", "null", json!(null)),
        ] {
            let output = run(&address, CALCULATOR, &[&["--dialect", "xdrpp", procedure, arguments], options].concat());
            assert_eq!((output.status, output.reply()), (0, reply), "{procedure} {options:?}: {}", output.errors);
        }
        let zero = run(&address, CALCULATOR, &[&["--dialect", "xdrpp", "CALCULATOR.1.0"], options].concat());
        assert_eq!((zero.status, &zero.text[..]), (0, "null\n"), "{}", zero.errors);
        let one_way = [&["--dialect", "xdrpp", "CALCULATOR.1.SHOW", r#""a text""#], options].concat();
        let one_way = run(&address, CALCULATOR, &one_way);
        assert_eq!((one_way.status, &one_way.text[..]), (0, ""), "{}", one_way.errors);
    }
}

#[test]
fn a_number_of_several_programs_means_the_one_with_the_version() {
    let servers = Servers::start();
    let source = "typedef hyper longs<10>; program NEWER { version TWO { void F(void) = 3; } = 2; } = 0x20000010;
        program OLDER { version ONE { hyper SUM(longs) = 3; } = 1; } = 0x20000010;";
    let file = interface_file("numbers", source);
    let address = servers.onc.local_addr().to_string();
    let output = run(&address, &file, &["0x20000010.1.3", "[1, 2]", "--onc", "tcp"]);
    assert_eq!((output.status, output.reply()), (0, json!(3)), "{}", output.errors);
}

#[test]
fn a_negative_number_is_an_argument() {
    let servers = Servers::start();
    let file = interface_file("negative", &program("int ADD(hyper) = 1", 1, 0x2000_0010));
    // The calculator expects two of them.
    let output = run(&servers.native.local_addr().to_string(), &file, &["CALCULATOR.1.ADD", "-5"]);
    assert!(output.status == 3 && output.errors.contains("decoded"), "{}", output.errors);
}

#[test]
fn what_the_server_says_decides_the_status() {
    let servers = Servers::start();
    for (address, options) in servers.all() {
        let is_onc = !options.is_empty();
        let overflow = [&["--dialect", "xdrpp", "CALCULATOR.1.ADD", "[9223372036854775807, 1]"], options].concat();
        let overflow = run(&address, CALCULATOR, &overflow);
        // ONC RPC has no errors of applications, and its one word for failures does not say what was done.
        let (status, reason) = if is_onc { (4, "half-way") } else { (1, "the sum is too large") };
        assert!(overflow.status == status && overflow.errors.contains(reason), "{}", overflow.errors);

        for (name, source, status, reason) in [
            ("version", program("void ADD(void) = 1", 7, 0x2000_0010), 3, "versions 1 to 1"),
            ("program", program("void ADD(void) = 1", 1, 0x2000_0011), 3, "does not know the program"),
            ("procedure", program("void ADD(void) = 9", 1, 0x2000_0010), 3, "no such procedure"),
            ("arguments", program("hyper ADD(void) = 1", 1, 0x2000_0010), 3, "decode"),
        ] {
            let file = interface_file(name, &source);
            let path = format!("CALCULATOR.{}.ADD", if name == "version" { 7 } else { 1 });
            let output = run(&address, &file, &[&[path.as_str()], options].concat());
            assert!(output.status == status && output.errors.contains(reason), "{name}: {}", output.errors);
        }

        let file = interface_file("reply", &program("bool SUM(longs) = 3", 1, 0x2000_0010));
        let output = run(&address, &file, &[&["CALCULATOR.1.SUM", "[1, 6]"], options].concat());
        let reason = "executed, but the reply cannot be read: $: ";
        assert!(output.status == 4 && output.errors.contains(reason), "{}", output.errors);
    }
}

#[test]
fn nobody_there_is_unknown_over_udp_and_no_connection_over_tcp() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (address, transport, status, reason) in
        [(silent, "udp", 4, "outcome unknown: the deadline passed"), (gone, "tcp", 5, "cannot connect to")]
    {
        let args = ["--dialect", "xdrpp", "CALCULATOR.1.0", "--timeout", "100ms", "--onc", transport];
        let output = run(&address.to_string(), CALCULATOR, &args);
        assert!(output.status == status && output.errors.contains(reason), "{}", output.errors);
    }
}

#[test]
fn a_name_with_several_addresses_leads_to_the_server() {
    let servers = Servers::start();
    for transport in ["udp", "tcp"] {
        let address = format!("localhost:{}", servers.onc.local_addr().port());
        let args =
            ["--dialect", "xdrpp", "CALCULATOR.1.ADD", "[1, 1]", "--connect-timeout", "500ms", "--onc", transport];
        let output = run(&address, CALCULATOR, &args);
        assert_eq!((output.status, output.reply()), (0, json!(2)), "{}", output.errors);
    }
}

#[test]
fn a_list_needs_no_server() {
    let expected = "\
program CALCULATOR = 0x20000010
  version CALCULATOR_V1 = 1
    hyper ADD(hyper a, hyper b) = 1
    division DIVIDE(int dividend, int divisor) = 2
    hyper SUM(hyper numbers<1000>) = 3
    void SHOW(string text<200>) = 4
";
    for args in [&["--list"][..], &["--list", "127.0.0.1:1"]] {
        let output = posthaste(&[args, &[CALCULATOR, "--dialect", "xdrpp"]].concat());
        assert_eq!((output.status, &output.text[..]), (0, expected), "{}", output.errors);
    }
    let source = "typedef string name<>; struct point { int x; }; namespace shapes { program P { version V {
        point *MOVE(point *at, opaque key[4], opaque data<>, name names<9>, unsigned int n[2]) = 1;
        void NOTHING(void) = 2;
    } = 3; } = 4; }";
    let output = posthaste(&[&interface_file("types", source), "--dialect", "xdrpp", "--list"]);
    let expected = "\
program shapes::P = 0x00000004
  version V = 3
    point *MOVE(point *at, opaque key[4], opaque data<>, name names<9>, unsigned int n[2]) = 1
    void NOTHING(void) = 2
";
    assert_eq!((output.status, &output.text[..]), (0, expected), "{}", output.errors);
}

#[test]
fn wrong_usage_is_status_2_and_tells_the_place() {
    let xdrpp = ["--dialect", "xdrpp"];
    for (args, reason) in [
        (&["CALCULATOR.1.ADD", "[1, true]"][..], "$[1]: expected an integer from "),
        (&["CALCULATOR.1.ADD", "[1]"], "$: expected an array of the 2 arguments, found an array of 1"),
        (&["CALCULATOR.1.ADD"], "$: expected an array of the 2 arguments, found null"),
        (&["CALCULATOR.1.SUM", "[1, 2"], "the arguments are no JSON"),
        (&["CALCULATOR.1.SUB", "[1, 2]"], "no such procedure: 'SUB'"),
        (&["CALCULATOR.2.ADD", "[1, 2]"], "no such version: '2'"),
        (&["ABACUS.1.ADD", "[1, 2]"], "no such program: 'ABACUS'"),
        (&["CALCULATOR.ADD"], "three names or numbers are needed"),
        (&[], "<PROGRAM.VERSION.PROCEDURE> is missing"),
        (&["CALCULATOR.1.ADD", "[1, 2]", "--onc", "sctp"], "invalid value 'sctp'"),
    ] {
        let output = run("127.0.0.1:1", CALCULATOR, &[&xdrpp[..], args].concat());
        assert!(output.status == 2 && output.errors.contains(reason), "{args:?}: {}", output.errors);
        assert_eq!(output.errors.lines().count(), 2, "{}", output.errors);
    }
    for (address, file, options, reason) in [
        ("127.0.0.1", CALCULATOR, &[][..], "the port is missing"),
        ("127.0.0.1:9", CALCULATOR, &["--auth-sys", "0:0"], "--onc"),
        ("127.0.0.1:", CALCULATOR, &["--onc", "udp"], "is no port"),
        ("127.0.0.1:9", CALCULATOR, &["--onc", "udp", "--auth-sys", "root"], "UID:GID"),
        ("192.0.2.1:9", CALCULATOR, &["--onc", "udp"], "nothing protects what is said"),
        ("192.0.2.1", CALCULATOR, &["--onc", "udp"], "nothing protects what is said"),
        ("127.0.0.1:9", "calculator", &["--onc", "udp"], "neither a subcommand nor an interface file"),
    ] {
        let output = run(address, file, &[&["--dialect", "xdrpp", "CALCULATOR.1.0"], options].concat());
        assert!(output.status == 2 && output.errors.contains(reason), "{}", output.errors);
    }
    let streams = "interface files { /* @stream */ void copy(void); };";
    let output = run("127.0.0.1:9", &interface_file("streams", streams), &["files.1.copy"]);
    assert!(output.status == 2 && output.errors.contains("streams"), "{}", output.errors);
}

#[test]
fn an_interface_file_that_is_wrong_is_status_1_and_one_that_is_not_there_status_6() {
    let wrong = run("127.0.0.1:1", &interface_file("wrong", "struct {"), &["A.1.B"]);
    assert!(wrong.status == 1 && wrong.errors.contains("has 1 error"), "{}", wrong.errors);
    let gone = run("127.0.0.1:1", "gone.x", &["A.1.B"]);
    assert!(gone.status == 6 && gone.errors.contains("cannot read gone.x"), "{}", gone.errors);
}

const CALCULATOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/calculator/calculator.x");

/// The same service in two protocols.
struct Servers {
    native: Server,
    onc: onc::Server,
}

impl Servers {
    fn start() -> Self {
        let native = Server::serve_insecure("127.0.0.1:0", Config::lan(), Rpc(Service(Calculator))).unwrap();
        let service = onc::Rpc(Service(Calculator));
        Self { native, onc: onc::Server::serve("127.0.0.1:0", onc::ServerOptions::default(), service).unwrap() }
    }

    /// Where they are, and the options to call them.
    fn all(&self) -> [(String, &'static [&'static str]); 3] {
        let onc = self.onc.local_addr().to_string();
        [(self.native.local_addr().to_string(), &[]), (onc.clone(), &["--onc", "udp"]), (onc, &["--onc", "tcp"])]
    }
}

fn program(procedure: &str, version: u32, number: u32) -> String {
    format!("typedef hyper longs<10>; program CALCULATOR {{ version V {{ {procedure}; }} = {version}; }} = {number};")
}

fn interface_file(name: &str, source: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.x", std::process::id()));
    fs::write(&path, source).unwrap();
    path.to_str().unwrap().to_owned()
}

struct Output {
    status: i32,
    text: String,
    errors: String,
}

impl Output {
    fn reply(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{}{}", self.text, self.errors))
    }
}

fn run(address: &str, file: &str, args: &[&str]) -> Output {
    posthaste(&[&[address, file], args].concat())
}

fn posthaste(args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_posthaste")).arg("call").args(args).output().unwrap();
    Output {
        status: output.status.code().unwrap(),
        text: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}
