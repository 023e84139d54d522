//! The C code that `rpcgen` makes of `mixed.x`, built and run as a process.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

/// `driver.c`, running.
pub(crate) struct Driver {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Driver {
    /// Starts it, with the octets of the value to work with.
    ///
    /// # Errors
    /// In words: if it cannot be built here, or does not make the same octets.
    pub(crate) fn start(octets: &[u8]) -> Result<Self, String> {
        static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let folder = BUILT.get_or_init(build).as_ref().map_err(Clone::clone)?;
        let file = folder.join(format!("octets-{}", octets.len()));
        fs::write(&file, octets).map_err(|error| error.to_string())?;
        let mut child = Command::new(folder.join("driver"))
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let orders = child.stdin.take().expect("it is a pipe");
        let answers = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let mut driver = Self { child, orders, answers };
        driver.ask("encode", 1).map(|_| driver).map_err(|_| "C writes other octets".into())
    }

    /// Lets it encode or decode so many times, and returns the nanoseconds that took.
    pub(crate) fn run(&mut self, what: &str, count: u64) -> u64 {
        self.ask(what, count).expect("the C code runs as long as we do")
    }

    fn ask(&mut self, what: &str, count: u64) -> io::Result<u64> {
        writeln!(self.orders, "{what} {count}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        answer.trim().parse().map_err(io::Error::other)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds the driver beside cargo's temporary files, and returns the folder.
fn build() -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("xdr");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    for (place, name) in [("interfaces", "mixed.x"), ("benches/xdr", "driver.c")] {
        fs::copy(source.join(place).join(name), folder.join(name)).map_err(|error| error.to_string())?;
    }
    for (made, how) in [("mixed.h", "-h"), ("mixed_xdr.c", "-c")] {
        // It does not write over a file.
        let _ = fs::remove_file(folder.join(made));
        run(&folder, "rpcgen", &["-C", how, "-o", made, "mixed.x"])?;
    }
    let args = ["-O2", "-I/usr/include/tirpc", "-o", "driver", "driver.c", "mixed_xdr.c", "-ltirpc"];
    run(&folder, "cc", &args)?;
    Ok(folder)
}

fn run(folder: &Path, program: &str, args: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(args).current_dir(folder).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}
