//! The same work through each adapter, and, with the feature `peers`, through other systems, over real sockets.
//!
//! Both ends share the process here, so that a change shows quickly. How the systems stand to each other, `duel` measures, with a
//! process and a core for each end.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use posthaste_benches::adapters::Adapter;
use posthaste_benches::ends::{Ends, WORKS, Work};
#[cfg(feature = "peers")]
use posthaste_benches::peers::{InProcess, System};
use posthaste_conformance::blocking::{BlockingClient, BlockingServer};
use posthaste_conformance::readiness::{MioClient, MioServer};
use posthaste_conformance::smol_driven::{SmolClient, SmolServer};

fn everyone(criterion: &mut Criterion) {
    for work in WORKS {
        let mut group = criterion.benchmark_group(format!("{} echoes of {} octets under way", work.count, work.len));
        group.throughput(match work.len {
            ..1024 => Throughput::Elements(work.count as u64),
            len => Throughput::Bytes((len * work.count) as u64),
        });
        one(&mut group, "std", work, Adapter::<BlockingClient, BlockingServer>::start());
        one(&mut group, "mio", work, Adapter::<MioClient, MioServer>::start());
        one(&mut group, "smol", work, Adapter::<SmolClient, SmolServer>::start());
        #[cfg(feature = "peers")]
        for system in System::ALL {
            one(&mut group, system.name(), work, InProcess::start(system));
        }
    }
}

fn one(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, work: Work, mut ends: impl Ends) {
    group.bench_function(name, |bencher| bencher.iter(|| ends.echo(work.len, work.count)));
}

criterion_group!(benches, everyone);
criterion_main!(benches);
