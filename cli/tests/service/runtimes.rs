//! The service is the same, whatever drives it.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use posthaste_std::{Client, Config, Request};

use crate::process::{Directory, Process, check};
use crate::{ECHO, LENGTH, PROGRAM, SLEEP};

#[test]
fn calls_are_answered_by_each_runtime() {
    for runtime in RUNTIMES {
        let (server, address) = Process::serve(&["--runtime", runtime]);
        check(&["ping", &address, "--count", "3", "--interval", "0", "--size", "10000"], 0);
        assert_eq!(check(&["call", &address, "echo", "hello"], 0).0, "hello\n", "{runtime}");
        assert_eq!(check(&["call", &address, "sleep", "30ms"], 0).0, "slept 30ms\n", "{runtime}");
        check(&["call", &address, "sleep", "1h", "--timeout", "100ms"], 4);
        let client = Client::connect_insecure(&address, Config::lan()).unwrap();
        let len = client.call(PROGRAM, 1, LENGTH, &[7; 100_000]).unwrap();
        assert_eq!(len, 100_000u64.to_be_bytes(), "{runtime}");
        drop(client);
        server.signal(Signal::SIGINT);
        let (status, _, errors) = server.wait();
        assert!(status.success(), "{runtime}: {errors}");
    }
}

#[test]
fn several_sockets_are_one_server_in_each_runtime() {
    for runtime in RUNTIMES {
        let (source, store) =
            (Directory::new(&format!("sockets-{runtime}-source")), Directory::new(&format!("sockets-{runtime}")));
        let args = ["--runtime", runtime, "--sockets", "3", "--store", store.path().to_str().unwrap()];
        let (server, address) = Process::serve(&args);
        let clients: Vec<_> = (0..24).map(|_| Client::connect_insecure(&address, Config::lan()).unwrap()).collect();
        for (index, client) in clients.iter().enumerate() {
            assert_eq!(client.call(PROGRAM, 1, ECHO, &[index as u8]).unwrap(), [index as u8], "{runtime}");
        }
        for name in ["one", "two", "three"] {
            check(&["send", source.file(name, 100_000).to_str().unwrap(), &address], 0);
        }
        let sleep = clients[0].start(&Request::new(PROGRAM, 1, SLEEP, &300_000_000_u64.to_be_bytes())).unwrap();
        assert_eq!(clients[0].call(PROGRAM, 1, ECHO, b"behind it").unwrap(), b"behind it");
        server.signal(Signal::SIGTERM);
        assert_eq!(sleep.wait().unwrap(), b"", "{runtime}");
        drop(clients);
        let (status, _, errors) = server.wait();
        assert!(status.success(), "{runtime}: {errors}");
        assert_eq!(names(store.path()), ["one", "three", "two"], "{runtime}");
    }
}

#[test]
fn files_are_taken_by_each_runtime() {
    for runtime in RUNTIMES {
        let directory = Directory::new(&format!("runtime-{runtime}"));
        let store = directory.path().join("store");
        fs::create_dir(&store).unwrap();
        let (server, address) = Process::serve(&["--runtime", runtime, "--store", store.to_str().unwrap()]);
        let sources = [("empty", 0), ("one", 1), ("more", 5 << 20)].map(|(name, len)| directory.file(name, len));
        let paths = sources.each_ref().map(|path| path.to_str().unwrap());
        check(&["send", paths[0], paths[1], paths[2], &address], 0);
        for source in &sources {
            let stored = store.join(source.file_name().unwrap());
            assert!(fs::read(source).unwrap() == fs::read(stored).unwrap(), "{runtime}");
        }
        let hidden = directory.file(".profile", 5 << 20);
        let (_, lines) = check(&["send", hidden.to_str().unwrap(), &address], 1);
        assert!(lines[0].contains("does not begin with a dot"), "{runtime}: {lines:?}");
        server.signal(Signal::SIGINT);
        let (status, _, errors) = server.wait();
        assert!(status.success(), "{runtime}: {errors}");
        assert_eq!(names(&store), ["empty", "more", "one"], "{runtime}");
    }
}

#[test]
fn what_is_under_way_is_answered_before_the_end_by_each_runtime() {
    for runtime in RUNTIMES {
        let (server, address) = Process::serve(&["--runtime", runtime]);
        let client = Client::connect_insecure(&address, Config::lan()).unwrap();
        let sleep = client.start(&Request::new(PROGRAM, 1, SLEEP, &300_000_000_u64.to_be_bytes())).unwrap();
        assert_eq!(client.call(PROGRAM, 1, ECHO, b"behind it").unwrap(), b"behind it");
        server.signal(Signal::SIGTERM);
        assert_eq!(sleep.wait().unwrap(), b"", "{runtime}");
        drop(client);
        let (status, _, errors) = server.wait();
        assert!(status.success(), "{runtime}: {errors}");
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const RUNTIMES: [&str; 3] = ["std", "mio", "smol"];
