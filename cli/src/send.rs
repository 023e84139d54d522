//! `posthaste send`: files to a server, each as one message.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use blake3::{Hash, Hasher};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use posthaste_std::{CallError, Client, Delivery, Request};

use crate::client::ConnectArgs;
use crate::escape::Escaped;
use crate::failure::{Code, Failure};
use crate::interrupts::Interrupts;
use crate::output;
use crate::service::store::CHUNK_LEN;
use crate::service::transfer::Header;
use crate::service::{PROGRAM, Procedure, VERSION};
use crate::value::{Address, Seed, TimeSpan};

/// Send files to a server that was started with --store.
///
/// Each file is read as it goes. It is there, under its own name, when the server has written all of it, read it back from
/// its disk, and found the digest that was sent along; only then is the status 0. Prints name, length and BLAKE3 digest of
/// each file.
#[derive(Args)]
pub(crate) struct SendArgs {
    /// The files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The server
    #[arg(value_name = "ADDR")]
    server: Address,
    /// How long the server may take to read a file back from its disk
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = TimeSpan::parse_nonzero)]
    timeout: TimeSpan,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Sends one file after the other; the first that fails ends it.
pub(crate) fn run(args: &SendArgs) -> Result<(), Failure> {
    // All of them, before the first one goes.
    let sources = args.files.iter().map(|path| Source::open(path)).collect::<Result<Vec<_>, _>>()?;
    let client = args.connect.connect(&args.server)?;
    let interrupts = Interrupts::listen(Code::Unknown)?;
    let sender = Sender { client, interrupts, timeout: args.timeout };
    for source in sources {
        let Stored { name, len, digest } = sender.send(source)?;
        output::print(format_args!("{} {len} {digest}\n", Escaped(&name)))?;
    }
    Ok(())
}

/// A file that is to be sent.
struct Source {
    file: File,
    name: String,
    len: u64,
}

impl Source {
    fn open(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let cannot_read = |error: &io::Error| Failure::local(format_args!("cannot read '{shown}'"), error);
        // Looked at before it is opened: to open a pipe waits for its writer.
        let metadata = path.metadata().map_err(|error| cannot_read(&error))?;
        if !metadata.is_file() {
            return Err(Failure::new(Code::Local, format_args!("cannot read '{shown}': it is no regular file"))
                .hint("put what is to be sent into a file"));
        }
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(Failure::new(Code::Usage, format_args!("the name of '{shown}' is no UTF-8"))
                .hint("give the file another name"));
        };
        let file = File::open(path).map_err(|error| cannot_read(&error))?;
        Ok(Self { file, name: name.to_owned(), len: metadata.len() })
    }
}

/// A file that the server has.
struct Stored {
    name: String,
    len: u64,
    digest: Hash,
}

/// Where files are sent to.
struct Sender {
    client: Client,
    interrupts: Interrupts,
    timeout: TimeSpan,
}

/// Why a stream is not written to its end.
enum Broken {
    /// Our own side failed.
    Here(Failure),
    /// The server gave it up, or is gone.
    There(io::Error),
}

impl Sender {
    fn send(&self, source: Source) -> Result<Stored, Failure> {
        let transfer = Seed::random().0;
        let (name, len) = (source.name.clone(), source.len);
        let digest = match self.write(transfer, source) {
            Ok(digest) => digest,
            Err(Broken::Here(failure)) => return Err(failure),
            Err(Broken::There(error)) => return Err(self.reason(transfer, &name, &error)),
        };
        let reply = self.ask(transfer, self.timeout)?;
        if reply == digest.as_bytes() {
            Ok(Stored { name, len, digest })
        } else {
            Err(Failure::new(Code::Application, format_args!("the server has other octets under the name '{name}'"))
                .hint("send it again"))
        }
    }

    /// Writes the stream of a file and returns the digest of what was written.
    fn write(&self, transfer: u64, source: Source) -> Result<Hash, Broken> {
        let Source { mut file, name, len } = source;
        let bar = progress_bar(&name, len);
        let stream = self.client.open_stream(Delivery::Reliable);
        let mut stream = stream.map_err(|error| Broken::Here(CallError::Refused(error).into()))?;
        stream.write_all(&Header { transfer, file_len: len, name: name.clone() }.encode()).map_err(Broken::There)?;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; CHUNK_LEN];
        let mut left = len;
        while left > 0 {
            if self.interrupts.is_raised() {
                return Err(Broken::Here(interrupted(&name)));
            }
            let chunk_len = usize::try_from(left).map_or(CHUNK_LEN, |left| left.min(CHUNK_LEN));
            let chunk = match file.read(&mut buffer[..chunk_len]) {
                Ok(0) => return Err(Broken::Here(unreadable(&name, &io::ErrorKind::UnexpectedEof.into()))),
                Ok(read_len) => &buffer[..read_len],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Broken::Here(unreadable(&name, &error))),
            };
            hasher.update(chunk);
            stream.write_all(chunk).map_err(Broken::There)?;
            bar.inc(chunk.len() as u64);
            left -= chunk.len() as u64;
        }
        let digest = hasher.finalize();
        stream.write_all(digest.as_bytes()).map_err(Broken::There)?;
        stream.finish().map_err(Broken::There)?;
        bar.finish_and_clear();
        Ok(digest)
    }

    /// Finds out why the server gave up a stream. What it did not get to the end, it does not keep.
    fn reason(&self, transfer: u64, name: &str, error: &io::Error) -> Failure {
        match self.ask(transfer, REASON_TIMEOUT) {
            Err(error @ CallError::Application(_)) => error.into(),
            _ => Failure::new(Code::NotExecuted, format_args!("'{name}' was not sent to its end: {error}"))
                .hint("the server keeps nothing of it: it may be sent again"),
        }
    }

    /// Asks what became of a transfer.
    fn ask(&self, transfer: u64, timeout: TimeSpan) -> Result<Vec<u8>, CallError> {
        let arguments = transfer.to_be_bytes();
        let request = Request {
            timeout: Some(timeout.0),
            ..Request::new(PROGRAM, VERSION, Procedure::Stored as u32, &arguments)
        };
        let mut reply = Vec::new();
        let call = self.client.start(&request).map_err(CallError::Refused)?;
        self.interrupts.conclude(call, &mut reply)?;
        Ok(reply)
    }
}

/// A bar with rate and time left, where somebody looks.
fn progress_bar(name: &str, len: u64) -> ProgressBar {
    // Hidden by itself where standard error is no terminal.
    let bar = ProgressBar::with_draw_target(Some(len), ProgressDrawTarget::stderr());
    let style =
        ProgressStyle::with_template("{prefix} {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left");
    bar.with_style(style.expect("the template is well-formed")).with_prefix(Escaped(name).to_string())
}

fn interrupted(name: &str) -> Failure {
    Failure::new(Code::NotExecuted, format_args!("interrupted: '{name}' was not sent to its end"))
        .hint("the server keeps nothing of it: it may be sent again")
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::local(format_args!("cannot read '{name}'"), error).hint("leave the file alone while it is sent")
}

/// How long a server may take to say why it gave up a stream; our choice.
const REASON_TIMEOUT: TimeSpan = TimeSpan(core::time::Duration::from_secs(5));
