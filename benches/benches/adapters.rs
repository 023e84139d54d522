//! The same work through each adapter, with the same options, over real sockets.
//!
//! Client and server share the process here, and the server keeps a record of what it sees: for comparison with plain sockets and
//! with other systems, `posthaste bench` measures two processes.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use posthaste_benches::adapters::Ends;
use posthaste_conformance::blocking::{BlockingClient, BlockingServer};
use posthaste_conformance::readiness::{MioClient, MioServer};
use posthaste_conformance::smol_driven::{SmolClient, SmolServer};
use posthaste_conformance::{Client, Server};

/// A scenario: what it does with the ends of an adapter.
trait Scenario {
    /// Runs once.
    fn run<C: Client, S: Server>(&self, ends: &mut Ends<C, S>);
}

struct Echo;

struct EchoAll(Vec<Vec<u8>>);

struct SendAll(Vec<Vec<u8>>);

impl Scenario for Echo {
    fn run<C: Client, S: Server>(&self, ends: &mut Ends<C, S>) {
        ends.echo(&[7; 32]);
    }
}

impl Scenario for EchoAll {
    fn run<C: Client, S: Server>(&self, ends: &mut Ends<C, S>) {
        ends.echo_all(&self.0);
    }
}

impl Scenario for SendAll {
    fn run<C: Client, S: Server>(&self, ends: &mut Ends<C, S>) {
        ends.send_all(&self.0);
    }
}

fn adapters(criterion: &mut Criterion) {
    every_adapter(criterion, "echo of 32 octets", &Echo, Throughput::Elements(1));
    let calls = EchoAll(vec![vec![7; 32]; 64]);
    every_adapter(criterion, "64 echoes of 32 octets under way", &calls, Throughput::Elements(64));
    // Messages that any receive buffer has room for.
    let messages = SendAll(vec![vec![7; 64 << 10]; 16]);
    every_adapter(criterion, "1 MiB in messages of 64 KiB", &messages, Throughput::Bytes(1 << 20));
}

fn every_adapter(criterion: &mut Criterion, name: &str, scenario: &impl Scenario, throughput: Throughput) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(throughput);
    one_adapter::<BlockingClient, BlockingServer>(&mut group, "std", scenario);
    one_adapter::<MioClient, MioServer>(&mut group, "mio", scenario);
    one_adapter::<SmolClient, SmolServer>(&mut group, "smol", scenario);
}

fn one_adapter<C: Client, S: Server>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, scenario: &impl Scenario) {
    let mut ends = Ends::<C, S>::start();
    group.bench_function(name, |bencher| bencher.iter(|| scenario.run(&mut ends)));
}

criterion_group!(benches, adapters);
criterion_main!(benches);
