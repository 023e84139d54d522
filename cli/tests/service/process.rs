//! The command as a child process that ends with the test.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A command that runs until it is told to end.
pub(crate) struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    pub(crate) fn start<S: AsRef<OsStr>>(args: &[S]) -> Self {
        let mut child = command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// Starts a server on a free port and returns its address.
    pub(crate) fn serve<S: AsRef<OsStr>>(args: &[S]) -> (Self, String) {
        let fixed = ["serve", "--listen", "127.0.0.1:0"].map(OsStr::new);
        let mut server = Self::start(&[&fixed[..], &args.iter().map(AsRef::as_ref).collect::<Vec<_>>()].concat());
        let address = server.line().strip_prefix("serving ").unwrap().to_owned();
        (server, address)
    }

    /// Starts a relay to a server and returns its address.
    pub(crate) fn relay(to: &str, args: &str) -> (Self, String) {
        let fixed = ["relay", "--listen", "127.0.0.1:0", "--to", to];
        let mut relay = Self::start(&fixed.into_iter().chain(args.split_whitespace()).collect::<Vec<_>>());
        let address = relay.line().strip_prefix("relay ").unwrap().split_once(" -> ").unwrap().0.to_owned();
        (relay, address)
    }

    /// Waits for the next line of output.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the output ended with '{line}'");
        line.trim_end().to_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits until the process does something of its own about a signal (proc(5), `SigCgt`).
    #[cfg(target_os = "linux")]
    pub(crate) fn wait_until_it_handles(&self, signal: Signal) {
        let handles = || {
            let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
            u64::from_str_radix(caught, 16).unwrap() & 1 << (signal as i32 - 1) != 0
        };
        while !handles() {
            std::thread::yield_now();
        }
    }

    /// Waits for the end; returns the status and what was written before it, to standard output and error.
    pub(crate) fn wait(mut self) -> (ExitStatus, String, String) {
        let (mut output, mut errors) = (String::new(), String::new());
        self.stdout.read_to_string(&mut output).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (self.child.wait().unwrap(), output, errors)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory that ends with the test.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the names in the directory, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Writes a file of `len` octets that look random.
    pub(crate) fn file(&self, name: &str, len: usize) -> PathBuf {
        let path = self.0.join(name);
        // A linear congruential generator (Knuth, "The Art of Computer Programming", vol. 2, §3.3.4: MMIX).
        let mut state = len as u64;
        let octets = core::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        });
        fs::write(&path, octets.take(len).collect::<Vec<_>>()).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What stays is in the way of nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn posthaste<S: AsRef<OsStr>>(args: &[S]) -> Output {
    command(args).output().unwrap()
}

/// Runs the command and checks its status, and that a failure is a line of reason and at most one of advice.
pub(crate) fn check<S: AsRef<OsStr>>(args: &[S], status: i32) -> (String, Vec<String>) {
    let output = posthaste(args);
    let (text, lines) = (String::from_utf8(output.stdout.clone()).unwrap(), error_lines(&output));
    assert_eq!(output.status.code(), Some(status), "{text}{lines:?}");
    if status == 0 {
        assert_eq!(lines.len(), 0, "{lines:?}");
    } else {
        assert!(lines[0].starts_with("error: ") && lines.len() <= 2, "{lines:?}");
        assert!(lines.iter().skip(1).all(|line| line.starts_with("hint: ")), "{lines:?}");
    }
    (text, lines)
}

pub(crate) fn command<S: AsRef<OsStr>>(args: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthaste"));
    command.args(args);
    command
}

pub(crate) fn error_lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect()
}
