//! `send` and `serve --store`.

use std::fs;
use std::io::Write;
use std::path::Path;

use nix::sys::signal::Signal;
use posthaste_std::{CallError, Client, Config, Delivery, StreamWriter};

use crate::process::{Directory, Process, check};
use crate::{PROGRAM, STORED};

#[test]
fn files_arrive_as_they_are() {
    let (source, store) = (Directory::new("as-they-are-source"), Directory::new("as-they-are-store"));
    let (mut server, address) = serve(&store);
    for (name, len) in [("empty", 0), ("one", 1), ("more", 5 << 20)] {
        let path = source.file(name, len);
        let (text, _) = check(&["send", path.to_str().unwrap(), &address], 0);
        assert!(text.starts_with(&format!("{name} {len} ")), "{text}");
        assert_same(&path, &store.path().join(name));
        assert_eq!(server.line(), format!("stored {}", text.trim_end()));
    }
    assert_eq!(store.names(), ["empty", "more", "one"]);
}

#[test]
fn the_digest_is_the_known_one() {
    let (source, store) = (Directory::new("digest-source"), Directory::new("digest-store"));
    let (_server, address) = serve(&store);
    let path = source.file("empty", 0);
    let (text, _) = check(&["send", path.to_str().unwrap(), &address], 0);
    // The first of the test vectors of BLAKE3.
    assert_eq!(text, "empty 0 af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262\n");
}

#[test]
fn several_files_go_at_once_and_one_takes_the_place_of_another() {
    let (source, store) = (Directory::new("several-source"), Directory::new("several-store"));
    store.file("b", 7);
    let (_server, address) = serve(&store);
    let paths = [source.file("a", 100_000), source.file("b", 200_000)];
    let (text, _) = check(&["send", paths[0].to_str().unwrap(), paths[1].to_str().unwrap(), &address], 0);
    assert_eq!(text.lines().count(), 2, "{text}");
    assert_same(&paths[0], &store.path().join("a"));
    assert_same(&paths[1], &store.path().join("b"));
}

#[test]
fn a_hidden_name_is_refused_by_the_server() {
    let (source, store) = (Directory::new("hidden-source"), Directory::new("hidden-store"));
    let (_server, address) = serve(&store);
    for len in [10, 5 << 20] {
        let path = source.file(".profile", len);
        let (_, lines) = check(&["send", path.to_str().unwrap(), &address], 1);
        assert!(lines[0].contains("a name does not begin with a dot"), "{lines:?}");
    }
    assert!(store.names().is_empty());
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let (parent, octets) = (Directory::new("elsewhere"), [7; 10]);
    let store = parent.path().join("store");
    fs::create_dir(&store).unwrap();
    let (_server, address) = Process::serve(&[Path::new("--store"), &store]);
    let client = Client::connect_insecure(&address, Config::lan()).unwrap();
    let names = [&b""[..], b"..", b"../a", b"a/b", b"/tmp/a", b"a\\b", b"a\0b", b"a\nb", b"\xff", &[b'a'; 300]];
    for (transfer, name) in names.into_iter().enumerate() {
        let mut stream = begin(&client, transfer as u64, octets.len(), name);
        // The server may have given up the stream already.
        let _ = stream.write_all(&octets).and_then(|()| stream.write_all(blake3::hash(&octets).as_bytes()));
        let _ = stream.finish();
        let reason = reason(&client, transfer as u64);
        assert!(reason.contains("is refused"), "{name:?}: {reason}");
    }
    assert_eq!(parent.names(), ["store"]);
    assert_eq!(fs::read_dir(&store).unwrap().count(), 0);
}

#[test]
fn a_stream_that_is_not_what_it_says_leaves_nothing() {
    let store = Directory::new("not-what-it-says");
    let (_server, address) = serve(&store);
    let client = Client::connect_insecure(&address, Config::lan()).unwrap();
    let octets = [7; 1000];
    let digest = *blake3::hash(&octets).as_bytes();
    for (transfer, parts, expected) in [
        (1, &[&octets[..999]][..], "ended early"),
        (2, &[&octets[..], &digest[..31]], "ended early"),
        (3, &[&octets[..], &digest[..], b"x"], "more than was announced"),
        (4, &[&octets[1..], b"x", &digest[..]], "not what was sent"),
    ] {
        let mut stream = begin(&client, transfer, octets.len(), b"file");
        parts.iter().try_for_each(|part| stream.write_all(part)).unwrap();
        stream.finish().unwrap();
        let reason = reason(&client, transfer);
        assert!(reason.contains(expected), "{transfer}: {reason}");
    }
    assert!(store.names().is_empty());
}

#[test]
fn a_sender_that_breaks_off_leaves_nothing() {
    let store = Directory::new("breaks-off");
    let (_server, address) = serve(&store);
    let client = Client::connect_insecure(&address, Config::lan()).unwrap();
    let mut stream = begin(&client, 1, 4 << 20, b"file");
    stream.write_all(&vec![7; 3 << 20]).unwrap();
    drop(stream);
    reason(&client, 1);
    assert!(store.names().is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn a_sender_that_is_interrupted_says_so_and_leaves_nothing() {
    let (source, store) = (Directory::new("interrupted-source"), Directory::new("interrupted-store"));
    let (server, address) = serve(&store);
    let (_relay, relay) = Process::relay(&address, "--rate 1mbit");
    let send = Process::start(&["send", source.file("file", 5 << 20).to_str().unwrap(), &relay]);
    send.wait_until_it_handles(Signal::SIGINT);
    send.signal(Signal::SIGINT);
    let (status, _, errors) = send.wait();
    assert_eq!(status.code(), Some(3), "{errors}");
    assert!(errors.starts_with("error: interrupted: 'file' was not sent to its end\nhint: "), "{errors}");

    server.signal(Signal::SIGINT);
    let (status, _, errors) = server.wait();
    assert!(status.success(), "{errors}");
    assert!(store.names().is_empty());
}

#[test]
fn a_receiver_that_is_killed_leaves_no_broken_file() {
    let store = Directory::new("killed");
    let (server, address) = serve(&store);
    let client = Client::connect_insecure(&address, Config::lan()).unwrap();
    let mut stream = begin(&client, 1, 8 << 20, b"file");
    // More than can be under way: some of it has been taken.
    stream.write_all(&vec![7; 7 << 20]).unwrap();
    server.signal(Signal::SIGKILL);
    drop(server.wait());
    assert_eq!(store.names(), [".posthaste-0000000000000001.part"]);
    drop((stream, client));

    let (_server, _) = serve(&store);
    assert!(store.names().is_empty());
}

#[test]
fn a_server_without_a_store_takes_no_files() {
    let source = Directory::new("no-store");
    let (_server, address) = Process::serve::<&str>(&[]);
    let path = source.file("file", 5 << 20);
    let (_, lines) = check(&["send", path.to_str().unwrap(), &address], 1);
    assert!(lines[0].contains("started without --store"), "{lines:?}");
}

#[test]
fn a_store_that_is_no_directory_is_status_6() {
    let directory = Directory::new("no-directory");
    let file = directory.file("file", 0);
    for store in [&file, Path::new("/nowhere/at/all")] {
        let store = store.to_str().unwrap();
        let (_, lines) = check(&["serve", "--listen", "127.0.0.1:0", "--store", store], 6);
        assert!(lines[0].contains("cannot store files in"), "{lines:?}");
    }
}

#[test]
fn what_is_no_readable_file_is_status_6() {
    let directory = Directory::new("unreadable");
    let pipe = directory.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (path, reason) in [
        (directory.path(), "no regular file"),
        (&pipe, "no regular file"),
        (Path::new("/dev/zero"), "no regular file"),
        (&directory.path().join("missing"), "No such file"),
    ] {
        let (_, lines) = check(&["send", path.to_str().unwrap(), "127.0.0.1:9"], 6);
        assert!(lines[0].contains("cannot read") && lines[0].contains(reason), "{lines:?}");
    }
}

#[test]
fn a_file_passes_a_bad_network() {
    passes(
        4 << 20,
        "--loss 5% --delay 10ms --jitter 2ms --reorder 1% --duplicate 1% --corrupt 0.1% --mtu 1500 --seed 1",
    );
}

#[test]
fn a_file_passes_a_network_that_loses_a_third_each_way() {
    passes(256 << 10, "--loss 30% --seed 1");
}

fn passes(len: usize, network: &str) {
    let directory = Directory::new(&format!("passes-{len}"));
    let (source, store) = (directory.path().join("source"), directory.path().join("store"));
    fs::create_dir(&store).unwrap();
    fs::rename(directory.file("file", len), &source).unwrap();
    let (_server, address) = Process::serve(&[Path::new("--store"), &store]);
    let (_relay, relay) = Process::relay(&address, network);
    check(&["send", source.to_str().unwrap(), &relay, "--connect-timeout", "60s"], 0);
    assert_same(&source, &store.join("source"));
}

fn serve(store: &Directory) -> (Process, String) {
    Process::serve(&[Path::new("--store"), store.path()])
}

fn assert_same(one: &Path, other: &Path) {
    assert!(fs::read(one).unwrap() == fs::read(other).unwrap(), "{} differs", other.display());
}

/// Opens the stream of a file, as the service documents it.
fn begin(client: &Client, transfer: u64, file_len: usize, name: &[u8]) -> StreamWriter {
    let mut stream = client.open_stream(Delivery::Reliable).unwrap();
    let name_len = name.len() as u16;
    let header =
        [&transfer.to_be_bytes()[..], &(file_len as u64).to_be_bytes(), &name_len.to_be_bytes(), name].concat();
    stream.write_all(&header).unwrap();
    stream
}

/// Asks why a file was not stored.
fn reason(client: &Client, transfer: u64) -> String {
    match client.call(PROGRAM, 1, STORED, &transfer.to_be_bytes()) {
        Err(CallError::Application(reason)) => String::from_utf8(reason).unwrap(),
        outcome => panic!("{outcome:?}"),
    }
}
