//! Where a value ends: what is cut off, or goes on, is refused as every generated type. `POSTHASTE_SEED` replays a run.

#[path = "../../compiler/tests/random/values.rs"]
#[expect(dead_code, reason = "the tests of the compiler draw whole files, too")]
mod values;

use posthaste_rpc::xdr::{DecodeError, Limits, Strictness};
use posthaste_torture::{INTERFACES, Subject, stub_limits};

use values::{Random, Value};

#[test]
fn what_is_cut_off_anywhere_is_refused() {
    let limits = roomy(Strictness::Strict);
    for_each_value(|subject, octets, _| {
        for len in 0..octets.len() {
            let result = (subject.probe)(&octets[..len], &limits);
            // Memory for a large array is paid for before it is read.
            let is_refused = matches!(result, Err(DecodeError::Truncated | DecodeError::TooMuchMemory));
            assert!(is_refused, "{len} of {} octets as {}: {result:?}", octets.len(), subject.name);
        }
    });
}

#[test]
fn what_goes_on_is_refused_unless_lenient() {
    let (strict, lenient) = (roomy(Strictness::Strict), roomy(Strictness::Lenient));
    for_each_value(|subject, octets, random| {
        let mut longer = octets.to_vec();
        for count in 1..=64 {
            longer.push(if random.one_in(2) { 0 } else { random.next() as u8 });
            let results = [strict, lenient].map(|limits| (subject.probe)(&longer, &limits));
            assert_eq!(results, [Err(DecodeError::Trailing), Ok(())], "{count} octets after {}", subject.name);
        }
    });
}

fn for_each_value(mut check: impl FnMut(&Subject, &[u8], &mut Random)) {
    let mut random = Random::of_this_run();
    for interface in INTERFACES {
        let model = interface.model();
        for (subject, ty) in interface.types() {
            for _ in 0..VALUE_COUNT {
                let Value { octets, .. } = Value::random(&model, &ty, &mut random);
                assert_eq!((subject.probe)(&octets, &roomy(Strictness::Strict)), Ok(()), "{}", subject.name);
                check(subject, &octets, &mut random);
            }
        }
    }
}

/// Returns limits that leave only the octets to refuse: values of chance may be mostly empty vectors, which need `@memory`.
fn roomy(strictness: Strictness) -> Limits {
    Limits { memory_factor: usize::MAX, strictness, ..stub_limits() }
}

/// Of each type.
const VALUE_COUNT: usize = 10;
