//! What is served arrives, over Posthaste and over ONC RPC, and no path leads out of the folder.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use posthaste_files::files::files_v1::{Client, FETCH, LOOKUP, Service};
use posthaste_files::files::{Attributes, ENTRY_COUNT_MAX, Kind, Page, Problem, RANGE_LEN_MAX};
use posthaste_files::{Files, Root};
use posthaste_rpc::stub::Stub;
use posthaste_rpc::xdr::XdrStr;
use posthaste_rpc::{CallError, Caller, NotExecuted, StartCaller};
use posthaste_std::{Config, Pending, Rpc, Server, onc};

#[test]
fn a_file_is_found_listed_read_and_fetched() {
    let folder = Folder::make("found");
    let octets: Vec<u8> = (0..300_000_u32).flat_map(u32::to_be_bytes).collect();
    fs::create_dir(folder.0.join("inner")).unwrap();
    fs::write(folder.0.join("inner/large"), &octets).unwrap();
    fs::write(folder.0.join("small"), "text").unwrap();
    let (_server, client) = serve(&folder.0);
    let client = Client::new(client);
    try_all_but_streams(&client, &octets);
    assert_eq!(fetch(&client, "inner/large"), Ok(octets));
    assert_eq!(fetch(&client, "small").as_deref(), Ok(&b"text"[..]));
    assert_eq!(fetch(&client, "inner"), Err(Problem::NotAFile));
    assert_eq!(fetch(&client, "none"), Err(Problem::NotFound));
}

#[test]
fn the_same_service_answers_in_onc_rpc() {
    let folder = Folder::make("onc");
    let octets: Vec<u8> = (0..50_000_u32).flat_map(u32::to_be_bytes).collect();
    fs::create_dir(folder.0.join("inner")).unwrap();
    fs::write(folder.0.join("inner/large"), &octets).unwrap();
    fs::write(folder.0.join("small"), "text").unwrap();
    let service = onc::Rpc(Service(Files(Root::open(&folder.0).unwrap())));
    let server = onc::Server::serve("127.0.0.1:0", onc::ServerOptions::default(), service).unwrap();
    for transport in [onc::Transport::Udp, onc::Transport::Tcp] {
        let caller = onc::Client::connect(server.local_addr(), transport, onc::ClientConfig::default()).unwrap();
        try_all_but_streams(&Client::new(&caller), &octets);
        let streamed = Stub::new(caller).call(&FETCH, &(XdrStr(b"small"),));
        assert!(matches!(streamed, Err(CallError::NotExecuted(NotExecuted::Unsupported))));
    }
}

#[test]
fn a_folder_of_many_names_is_listed_in_their_order() {
    let folder = Folder::make("many");
    let names: Vec<String> = (0..2 * ENTRY_COUNT_MAX + 7).map(|index| format!("{index:03}")).collect();
    for name in names.iter().rev() {
        fs::write(folder.0.join(name), name).unwrap();
        // What is not served takes no place in a page.
        symlink("001", folder.0.join(format!("{name}.link"))).unwrap();
    }
    let (_server, client) = serve(&folder.0);
    assert_eq!(list(&Client::new(client), ""), names);
}

#[test]
fn no_path_leads_out_of_the_folder() {
    let folder = Folder::make("hostile");
    let root = folder.0.join("root");
    fs::create_dir_all(root.join("inner")).unwrap();
    fs::create_dir(folder.0.join("root-beside")).unwrap();
    fs::write(folder.0.join("secret"), "secret").unwrap();
    fs::write(folder.0.join("root-beside/secret"), "secret").unwrap();
    fs::write(root.join("file"), "text").unwrap();
    symlink("../secret", root.join("out")).unwrap();
    symlink("..", root.join("up")).unwrap();
    symlink(&folder.0, root.join("absolute")).unwrap();
    symlink("/etc/passwd", root.join("inner/passwd")).unwrap();
    symlink("file", root.join("inside")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    let _socket = UnixListener::bind(root.join("socket")).unwrap();
    let (server, client) = serve(&root);
    let client = Client::new(client);

    let secret = folder.0.join("secret");
    let absolute = secret.to_str().unwrap();
    let deep = ["inner"; 100].join("/../") + "/../../secret";
    let bad = ["..", "../secret", "inner/../../secret", "inner/..", "./file", "inner//", "/", "//", "file/", &deep];
    let odd = ["\0", "file\0", "inner/\0/../../secret", "../root-beside/secret", "/etc/passwd", absolute, "."];
    for path in bad.into_iter().chain(odd) {
        assert_refused(&client, path, Problem::BadPath);
    }
    let links = ["out", "up", "up/secret", "absolute/secret", "inner/passwd", "inside", "loop", "loop/x", "socket"];
    let names = ["..\\secret", "%2e%2e/secret", "file/..secret", "file/x", "...", "~", "C:", "\u{2024}\u{2024}/secret"];
    for path in links.into_iter().chain(names) {
        assert_refused(&client, path, Problem::NotFound);
    }
    assert_refused(&client, &"n".repeat(256), Problem::NotFound);
    assert_refused(&client, &["x"; 512].join("/"), Problem::NotFound);
    assert_eq!(list(&client, ""), ["file", "inner"]);
    assert!(list(&client, "inner").is_empty());

    // Longer than the interface file says: not sent by a stub, and refused by the server if it is.
    let long = client.lookup("x".repeat(1025).as_str());
    assert!(matches!(long, Err(CallError::NotExecuted(NotExecuted::Unencodable(_)))));
    let long = Stub::new(connect(server.local_addr())).call(&LOOKUP, &(XdrStr(&[b'x'; 1025]),));
    assert!(matches!(long, Err(CallError::NotExecuted(NotExecuted::BadArguments))));
}

#[test]
fn a_folder_that_is_changed_for_a_link_meanwhile_leads_nowhere() {
    let folder = Folder::make("race");
    let root = folder.0.join("root");
    fs::create_dir_all(root.join("real")).unwrap();
    fs::create_dir(folder.0.join("outside")).unwrap();
    fs::write(root.join("real/file"), "inside").unwrap();
    fs::write(folder.0.join("outside/file"), "outside").unwrap();
    symlink("../outside", root.join("link")).unwrap();
    let served = Root::open(&root).unwrap();
    let is_done = Arc::new(AtomicBool::new(false));
    let changing = thread::spawn({
        let (is_done, root) = (Arc::clone(&is_done), root.clone());
        move || {
            while !is_done.load(Ordering::Relaxed) {
                fs::rename(root.join("real"), root.join("name")).unwrap();
                fs::rename(root.join("name"), root.join("real")).unwrap();
                fs::rename(root.join("link"), root.join("name")).unwrap();
                fs::rename(root.join("name"), root.join("link")).unwrap();
            }
        }
    });
    for _ in 0..20_000 {
        let Ok((mut file, _)) = served.file(b"name/file") else { continue };
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "inside");
    }
    is_done.store(true, Ordering::Relaxed);
    changing.join().unwrap();
}

#[test]
fn a_pipe_is_not_opened_and_what_may_not_be_read_is_denied() {
    let folder = Folder::make("kinds");
    let mut pipe = Command::new("mkfifo");
    assert!(pipe.arg(folder.0.join("pipe")).status().unwrap().success());
    fs::write(folder.0.join("denied"), "secret").unwrap();
    fs::set_permissions(folder.0.join("denied"), fs::Permissions::from_mode(0o000)).unwrap();
    let (_server, client) = serve(&folder.0);
    let client = Client::new(client);
    assert_refused(&client, "pipe", Problem::NotFound);
    // Nobody is denied anything who is root.
    if File::open(folder.0.join("denied")).is_err() {
        assert_refused(&client, "denied", Problem::Denied);
    }
    assert_eq!(list(&client, ""), ["denied"]);
}

#[test]
fn a_fetch_that_is_given_up_leaves_the_server_to_others() {
    let folder = Folder::make("given-up");
    fs::write(folder.0.join("large"), vec![7; 8 << 20]).unwrap();
    let (_server, client) = serve(&folder.0);
    let client = Client::new(client);
    // More than the server has threads.
    for _ in 0..20 {
        let mut fetch = client.fetch("large").unwrap();
        fetch.take_downward().unwrap().read_exact(&mut [0; 10]).unwrap();
    }
    assert_eq!(fetch(&client, "large").unwrap().len(), 8 << 20);
}

#[test]
fn the_command_lists_tells_and_prints() {
    let folder = Folder::make("command");
    fs::create_dir(folder.0.join("inner")).unwrap();
    fs::write(folder.0.join("inner/a\x1b[2J"), "").unwrap();
    fs::write(folder.0.join("inner/b"), "the text of b").unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_files-server"));
    let server = server.arg(&folder.0).args(["127.0.0.1:0", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn();
    let mut server = Ended(server.unwrap());
    let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
    let (address, classic) = (lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap());

    assert_eq!(text(&run(&[&address, "cat", "inner/b"])), "the text of b");
    let stat = text(&run(&[&address, "stat", "/inner/b"]));
    assert!(stat.starts_with("-           13 ") && stat.ends_with(" inner/b\n"), "{stat}");
    let listed = text(&run(&[&address, "ls", "inner"]));
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().last()).collect();
    assert_eq!(names, ["a?[2J", "b"]);
    assert!(text(&run(&[&address, "ls"])).starts_with('d'));
    let refused = run(&[&address, "cat", "../etc/passwd"]);
    assert!(!refused.status.success());
    assert!(refused.stdout.is_empty());

    let classic: SocketAddr = classic.parse().unwrap();
    let caller = onc::Client::connect(classic, onc::Transport::Udp, onc::ClientConfig::default()).unwrap();
    assert_eq!(list(&Client::new(caller), ""), ["inner"]);
}

/// `inner/large` has these octets, `small` is "text".
fn try_all_but_streams(client: &Client<impl Caller>, octets: &[u8]) {
    let Attributes { kind, len, modified } = lookup(client, "inner/large").unwrap();
    assert_eq!((kind, len), (Kind::File, octets.len() as u64));
    assert!(modified > 1_000_000_000);
    assert_eq!(lookup(client, "").unwrap().kind, Kind::Folder);
    assert_eq!(lookup(client, "none"), Err(Problem::NotFound));
    assert_eq!(list(client, ""), ["inner", "small"]);
    assert_eq!(Result::from(client.list("small", "").unwrap()), Err::<Page, _>(Problem::NotAFolder));

    let mut copy = Vec::new();
    loop {
        let range = read(client, "inner/large", copy.len() as u64, u32::MAX).unwrap();
        assert!(range.len() <= RANGE_LEN_MAX as usize);
        if range.is_empty() {
            break;
        }
        copy.extend(range);
    }
    assert_eq!(copy, octets);
    assert_eq!(read(client, "small", 1, 2).unwrap(), b"ex");
    assert_eq!(read(client, "small", 3, 0).unwrap(), b"");
    for offset in [4, 5, 1 << 40, i64::MAX as u64, u64::MAX] {
        assert_eq!(read(client, "small", offset, 1).unwrap(), b"");
    }
    assert_eq!(read(client, "inner", 0, 1), Err(Problem::NotAFile));
}

fn assert_refused(client: &Client<impl StartCaller<Started = Pending>>, path: &str, why: Problem) {
    assert_eq!(lookup(client, path), Err(why), "{path:?}");
    assert_eq!(Result::from(client.list(path, "").unwrap()), Err::<Page, _>(why), "{path:?}");
    assert_eq!(read(client, path, 0, 100), Err(why), "{path:?}");
    assert_eq!(fetch(client, path), Err(why), "{path:?}");
}

fn lookup(client: &Client<impl Caller>, path: &str) -> Result<Attributes, Problem> {
    client.lookup(path).unwrap().into()
}

fn read(client: &Client<impl Caller>, path: &str, offset: u64, count: u32) -> Result<Vec<u8>, Problem> {
    client.read(path, offset, count).unwrap().into()
}

/// Lists all names, a page at a time.
fn list(client: &Client<impl Caller>, path: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    loop {
        let after = names.last().cloned().unwrap_or_default();
        let page: Result<Page, Problem> = client.list(path, after.as_str()).unwrap().into();
        let page = page.unwrap();
        names.extend(page.entries.iter().map(|entry| entry.name.to_str().unwrap().to_owned()));
        if page.is_last {
            return names;
        }
    }
}

fn fetch(client: &Client<impl StartCaller<Started = Pending>>, path: &str) -> Result<Vec<u8>, Problem> {
    let mut fetch = client.fetch(path).unwrap();
    let mut octets = Vec::new();
    let read = fetch.take_downward().unwrap().read_to_end(&mut octets);
    let len: Result<u64, Problem> = fetch.wait().unwrap().into();
    assert_eq!(len.is_ok(), read.is_ok());
    assert_eq!(len?, octets.len() as u64);
    Ok(octets)
}

fn serve(folder: &Path) -> (Server, posthaste_std::Client) {
    let service = Rpc(Service(Files(Root::open(folder).unwrap())));
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), service).unwrap();
    let client = connect(server.local_addr());
    (server, client)
}

fn connect(server: SocketAddr) -> posthaste_std::Client {
    posthaste_std::Client::connect_insecure(server, Config::lan()).unwrap()
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_files")).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A folder of a test's own, that goes with it.
struct Folder(PathBuf);

impl Folder {
    fn make(name: &str) -> Self {
        // In a place with a short path, because that of a socket has to be short, too.
        let path = std::env::temp_dir().join(format!("posthaste-files-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left over is the system's to clean up.
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
