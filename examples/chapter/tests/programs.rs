//! Server and client as they are, each in a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_client_prints_what_the_functions_of_the_server_return() {
    let mut server = Command::new(env!("CARGO_BIN_EXE_server"));
    let mut server = Ended(server.arg("127.0.0.1:0").stdout(Stdio::piped()).spawn().unwrap());
    let mut address = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let client = Command::new(env!("CARGO_BIN_EXE_client")).arg(address.trim()).output().unwrap();
    let printed = "func1(20) = 40\nfunc2(20, 3) = 23\nfunc1(1) = 2, func2(2, 3) = 5\n";
    assert_eq!(String::from_utf8(client.stdout).unwrap(), printed);
    assert!(client.status.success());
}
