//! Octet for octet what `rpcgen` and libtirpc read and write, for values of every type of `torture.x`: where they are installed.
//!
//! `POSTHASTE_TORTURE_VALUES` says how many values of each type go each way (10 000), `POSTHASTE_SEED` replays a run.

#[path = "../../compiler/tests/random/values.rs"]
#[expect(dead_code, reason = "the tests of the compiler draw whole files, too")]
mod values;

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;

use posthaste_compiler::model::{Definition, Type, TypeId};
use posthaste_foreign::Foreign;
use posthaste_rpc::xdr::{DecodeError, Limits};
use posthaste_torture::{INTERFACES, Interface, stub_limits};

use values::{Random, Value};

#[test]
fn what_rust_writes_is_read_and_written_by_c_as_it_was() {
    let Some(peer) = Peer::installed() else { return };
    let (interface, mut random) = (torture(), Random::of_this_run());
    let model = interface.model();
    let mut sent = Vec::new();
    for (index, (_, ty)) in interface.types().enumerate() {
        for _ in 0..value_count() {
            let Value { octets, .. } = Value::random(&model, &ty, &mut random);
            sent.push((index, recode(interface, index, &octets).unwrap()));
        }
    }

    let returned = peer.echo(&sent);
    assert_same(interface, &sent, &returned);
    println!("{} values of each of {} types from Rust to C and back", value_count(), interface.subjects.len());
}

#[test]
fn what_c_writes_is_read_and_written_by_rust_as_it_was() {
    let Some(peer) = Peer::installed() else { return };
    let (interface, mut random) = (torture(), Random::of_this_run());
    let mut undeclared_count = 0;
    for (index, subject) in interface.subjects.iter().enumerate() {
        let (mut count, mut rounds) = (0, 0..ROUND_COUNT_MAX);
        while count < value_count() && rounds.next().is_some() {
            for (index_made, octets) in peer.make(random.next(), index, value_count() - count) {
                assert_eq!(index_made, index);
                match recode(interface, index, &octets.expect("what is made is not refused")) {
                    Ok(_) => count += 1,
                    // To C an enum is any number at all.
                    Err(DecodeError::UnknownEnum) => undeclared_count += 1,
                    Err(error) => panic!("{}: {error}", subject.name),
                }
            }
        }
        assert_eq!(count, value_count(), "so many values of {} were right", subject.name);
    }
    println!("{} values of each of {} types from C to Rust and back", value_count(), interface.subjects.len());
    println!("{undeclared_count} refused, with an enum that has no such member");
}

#[test]
fn what_is_refused_by_one_is_refused_by_the_other() {
    let Some(peer) = Peer::installed() else { return };
    let (interface, mut random) = (torture(), Random::of_this_run());
    let model = interface.model();
    let mut sent = Vec::new();
    for (index, definition) in model.types.iter().enumerate() {
        // By itself, a typedef in Rust is what it stands for, whose bound is where it is used.
        if matches!(definition.definition, Definition::Alias(_)) {
            continue;
        }
        let ty = Type::Named(TypeId(index as u32));
        for _ in 0..CHANGED_COUNT {
            let Value { mut octets, .. } = Value::random(&model, &ty, &mut random);
            change(&mut random, &mut octets);
            sent.push((index, octets));
        }
    }

    let (mut right_count, mut refused_count) = (0, 0);
    for ((index, octets), (_, returned)) in sent.iter().zip(peer.echo(&sent)) {
        let name = interface.subjects[*index].name;
        match (recode(interface, *index, octets), returned) {
            // Only that C ends a string at a zero.
            (Ok(_), Some(returned)) => {
                assert!(
                    returned == *octets || octets.contains(&0) && returned.len() <= octets.len(),
                    "{name} {octets:?}"
                );
                right_count += 1;
            }
            (Ok(_), None) => panic!("C refuses {octets:?} as {name}"),
            // C knows nothing of the members of an enum, and reads a bool in the midst of numbers as one.
            (Err(error), Some(returned)) if returned == *octets => {
                let is_of_c = matches!(error, DecodeError::UnknownEnum | DecodeError::UnknownBool);
                assert!(is_of_c, "{name} {octets:?}: {error}");
            }
            // It was made right on the way: a bool that was 2, padding that was not zero, a number that was cut off.
            (Err(_), Some(_)) => {}
            (Err(_), None) => refused_count += 1,
        }
    }
    println!("of {} values with changes, {right_count} are right to both, {refused_count} to neither", sent.len());
    assert!(right_count > 0 && refused_count > 0);
}

#[test]
fn floats_that_are_no_numbers_keep_their_payload() {
    let Some(peer) = Peer::installed() else { return };
    let interface = torture();
    let index = interface.subjects.iter().position(|subject| subject.name == "floats").unwrap();
    let floats = [0x7f80_0001_u32, 0xffc1_2345, 0x7f80_0000, 0x8000_0000, 1];
    let doubles = [0x7ff0_0000_0000_0001_u64, 0xfff8_0000_1234_5678, 0xfff0_0000_0000_0000, 1 << 63, 1];
    let octets = |(float, double): (u32, u64)| [&float.to_be_bytes()[..], &double.to_be_bytes()].concat();
    let sent: Vec<_> = floats.into_iter().zip(doubles).map(|pair| (index, octets(pair))).collect();
    for (_, octets) in &sent {
        recode(interface, index, octets).unwrap();
    }
    assert_same(interface, &sent, &peer.echo(&sent));
}

/// Changes a word or two, and perhaps the length.
fn change(random: &mut Random, octets: &mut Vec<u8>) {
    for _ in 0..1 + random.below(2) {
        let word_count = octets.len() as u64 / 4;
        if word_count == 0 {
            break;
        }
        let at = 4 * random.below(word_count) as usize;
        match random.below(3) {
            0 => octets[at + 3] ^= 1 << random.below(8),
            1 => octets[at..at + 4].copy_from_slice(&(random.below(20) as u32).to_be_bytes()),
            _ => octets[at..at + 4].copy_from_slice(&(random.next() as u32).to_be_bytes()),
        }
    }
    if random.one_in(8) {
        octets.truncate(4 * random.below(octets.len() as u64 / 4 + 1) as usize);
    }
}

/// Decodes octets and encodes what they are, which must be those octets.
fn recode(interface: &Interface, index: usize, octets: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let subject = &interface.subjects[index];
    let limits = stub_limits();
    let written = match (subject.recode)(octets, &limits) {
        // Vectors of mostly empty vectors need `@memory`.
        Err(DecodeError::TooMuchMemory) => (subject.recode)(octets, &Limits { memory_factor: 16, ..limits })?,
        written => written?,
    };
    assert_eq!(written, octets, "{}", subject.name);
    Ok(written)
}

fn assert_same(interface: &Interface, sent: &[(usize, Vec<u8>)], returned: &[(usize, Option<Vec<u8>>)]) {
    assert_eq!(sent.len(), returned.len());
    for ((index, octets), (index_returned, octets_returned)) in sent.iter().zip(returned) {
        assert_eq!(index, index_returned);
        assert_eq!(Some(octets), octets_returned.as_ref(), "{}", interface.subjects[*index].name);
    }
}

fn torture() -> &'static Interface {
    INTERFACES.iter().find(|interface| interface.name == "torture").expect("it is always there")
}

fn value_count() -> usize {
    env::var("POSTHASTE_TORTURE_VALUES").map_or(10_000, |count| count.parse().expect("it is a number"))
}

/// The program of `c/peer.c` with what `rpcgen` makes of `torture.x`.
struct Peer {
    program: PathBuf,
}

impl Peer {
    /// Builds it once, where that can be done, and says so where it cannot.
    fn installed() -> Option<&'static Self> {
        static PEER: OnceLock<Option<Peer>> = OnceLock::new();
        PEER.get_or_init(|| Foreign::Rpcgen.is_here().then(Self::build)).as_ref()
    }

    fn build() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peer");
        // rpcgen writes over nothing.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        fs::copy(here.join("torture.x"), folder.join("torture.x")).unwrap();
        let subjects: String = torture().subjects.iter().map(|it| format!("SUBJECT({})\n", it.name)).collect();
        fs::write(folder.join("subjects.h"), subjects).unwrap();
        run(Command::new("rpcgen").args(["-h", "-o", "torture.h", "torture.x"]).current_dir(&folder));
        run(Command::new("rpcgen").args(["-c", "-o", "torture_xdr.c", "torture.x"]).current_dir(&folder));
        run(Command::new("cc")
            // rpcgen writes `bool` in some places where C has `bool_t`, and variables that nobody uses.
            .args(["-O1", "-w", "-Dbool=bool_t", "-I.", "-I/usr/include/tirpc", "-o", "peer", "torture_xdr.c"])
            .arg(here.join("c/peer.c"))
            .arg("-ltirpc")
            .current_dir(&folder));
        Self { program: folder.join("peer") }
    }

    /// Has values decoded and encoded: what comes back is theirs, in their order.
    fn echo(&self, values: &[(usize, Vec<u8>)]) -> Vec<(usize, Option<Vec<u8>>)> {
        let mut octets = Vec::new();
        for (index, value) in values {
            octets.extend((*index as u32).to_be_bytes());
            octets.extend((value.len() as u32).to_be_bytes());
            octets.extend(value);
        }
        let mut peer = Command::new(&self.program);
        let mut peer =
            peer.arg("echo").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut input = peer.stdin.take().unwrap();
        // The peer writes while it reads.
        let writer = thread::spawn(move || input.write_all(&octets));
        let output = peer.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        frames(&output.stdout)
    }

    /// Has it make `count` values of a type.
    fn make(&self, seed: u64, index: usize, count: usize) -> Vec<(usize, Option<Vec<u8>>)> {
        let mut peer = Command::new(&self.program);
        let output = peer.args(["make", &seed.to_string(), &index.to_string(), &count.to_string()]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        frames(&output.stdout)
    }
}

/// Splits what the peer writes; `None` is what it refused.
fn frames(mut octets: &[u8]) -> Vec<(usize, Option<Vec<u8>>)> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = octets.split_first_chunk::<8>() {
        let [index, len] = [0, 4].map(|at| u32::from_be_bytes(head[at..at + 4].try_into().unwrap()));
        let value = (len != u32::MAX).then(|| rest[..len as usize].to_vec());
        octets = &rest[value.as_ref().map_or(0, Vec::len)..];
        frames.push((index as usize, value));
    }
    assert!(octets.is_empty());
    frames
}

/// Runs a command that has to succeed.
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// How many values with changes are tried of each type.
const CHANGED_COUNT: usize = 400;

/// How often more values are asked for, of a type that has mostly wrong ones.
const ROUND_COUNT_MAX: u32 = 100;
