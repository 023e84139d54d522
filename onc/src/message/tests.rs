use alloc::vec;
use alloc::vec::Vec;

use proptest::collection::vec as some;
use proptest::prelude::*;

use super::*;

#[test]
fn a_null_call_is_ten_words() {
    let mut octets = Vec::new();
    let target = Target { program: 100_000, version: 2, procedure: 0 };
    let call = Call { xid: 0x0102_0304, target, credential: Auth::NONE, verifier: Auth::NONE, arguments: &[] };
    call.encode(&mut octets);
    // RFC 5531 §9: xid, CALL, 2, program, version, procedure, AUTH_NONE, 0, AUTH_NONE, 0.
    assert_eq!(words(&octets), [0x0102_0304, 0, 2, 100_000, 2, 0, 0, 0, 0, 0]);
    assert_eq!((call.encoded_len(), Call::decode(&octets)), (40, Ok(call)));
}

#[test]
fn each_reply_has_the_numbers_of_the_standard() {
    for (outcome, expected) in [
        (Ok(&[0, 0, 0, 9][..]), &[7, 1, 0, 0, 0, 0, 9][..]),
        (Err(Refusal::NoSuchProgram), &[7, 1, 0, 0, 0, 1]),
        (Err(Refusal::NoSuchVersion { low: 2, high: 4 }), &[7, 1, 0, 0, 0, 2, 2, 4]),
        (Err(Refusal::NoSuchProcedure), &[7, 1, 0, 0, 0, 3]),
        (Err(Refusal::GarbageArguments), &[7, 1, 0, 0, 0, 4]),
        (Err(Refusal::SystemError), &[7, 1, 0, 0, 0, 5]),
        (Err(Refusal::RpcVersion { low: 2, high: 2 }), &[7, 1, 1, 0, 2, 2]),
        (Err(Refusal::Auth(AuthStatus::BadCredential)), &[7, 1, 1, 1, 1]),
        (Err(Refusal::Auth(AuthStatus::TooWeak)), &[7, 1, 1, 1, 5]),
        (Err(Refusal::Auth(AuthStatus::Other(13))), &[7, 1, 1, 1, 13]),
    ] {
        let mut octets = Vec::new();
        let reply = Reply { xid: 7, outcome };
        reply.encode(&mut octets);
        assert_eq!((words(&octets), Reply::decode(&octets)), (expected.to_vec(), Ok(reply)));
    }
}

#[test]
fn a_reply_with_a_verifier_is_read() {
    let octets = octets(&[7, 1, 0, 6, 4, 0xdead_beef, 0, 9]);
    assert_eq!(Reply::decode(&octets), Ok(Reply { xid: 7, outcome: Ok(&[0, 0, 0, 9]) }));
}

#[test]
fn a_call_of_another_version_of_the_protocol_is_told_apart_whatever_follows() {
    for version in [0, 1, 3, u32::MAX] {
        let mut words = [7, 0, version, 1, 1, 1, 9, 9, 9, 9];
        assert_eq!(Call::decode(&octets(&words)), Err(NoCall::RpcVersion { xid: 7 }));
        assert_eq!(Call::decode(&octets(&words[..9])), Err(NoCall::Malformed), "the refusal could be longer");
        words[1] = 1;
        assert_eq!(Call::decode(&octets(&words)), Err(NoCall::Malformed));
    }
}

#[test]
fn what_is_cut_or_of_the_wrong_kind_is_no_message() {
    let call = octets(&[7, 0, 2, 1, 1, 1, 1, 4, 0, 0, 0]);
    for len in 0..call.len() {
        assert_eq!(Call::decode(&call[..len]), Err(NoCall::Malformed), "{len}");
    }
    let refusal = octets(&[7, 1, 0, 0, 0, 2, 1, 2]);
    for len in 0..refusal.len() {
        assert_eq!(Reply::decode(&refusal[..len]), Err(Malformed), "{len}");
    }
    for words in
        [&[7, 1, 2, 0, 0, 0][..], &[7, 1, 0, 0, 0, 6], &[7, 1, 1, 2, 0], &[7, 0, 0, 0, 0, 0], &[7, 1, 0, 0, 0, 1, 0]]
    {
        assert_eq!(Reply::decode(&octets(words)), Err(Malformed), "{words:?}");
    }
    assert_eq!(Call::decode(&octets(&[7, 1, 2, 1, 1, 1, 0, 0, 0, 0])), Err(NoCall::Malformed));
    let (call, reply) = (octets(&[7, 0, 2, 1, 1, 1, 0, 0, 0, 0, 9]), octets(&[7, 1, 0, 0, 0, 0, 9]));
    for cut in 1..4 {
        assert_eq!(Call::decode(&call[..call.len() - cut]), Err(NoCall::Malformed), "XDR has whole units");
        assert_eq!(Reply::decode(&reply[..reply.len() - cut]), Err(Malformed), "XDR has whole units");
    }
}

#[test]
fn a_credential_has_at_most_400_octets() {
    let with_body = |len: usize| {
        let mut octets = octets(&[7, 0, 2, 1, 1, 1, 1, len as u32]);
        octets.resize(octets.len() + len, 0);
        octets.extend_from_slice(&[0; 8]);
        octets
    };
    assert!(Call::decode(&with_body(400)).is_ok());
    assert_eq!(Call::decode(&with_body(404)), Err(NoCall::Malformed));
}

#[test]
fn a_claim_of_auth_sys_reads_back_at_its_limits() {
    let name = [b'a'; AuthSys::MACHINE_NAME_LEN_MAX];
    let gids = [5; AuthSys::GID_COUNT_MAX];
    let claim = AuthSys::new(&name, 1000, 100, &gids).unwrap().with_stamp(9);
    let body = claim.to_body();
    // 4 + 4 + 256 + 4 + 4 + 4 + 64: within what a credential may have.
    assert_eq!((body.len(), AuthSys::from_body(&body)), (340, Ok(claim)));
    let claimed = Claim::from(&claim);
    assert_eq!(claimed.auth().credential(), Ok(Credential::Sys(claim)));
    assert_eq!((claim.stamp(), claim.uid(), claim.gid(), claim.other_gids()), (9, 1000, 100, &gids[..]));
    assert_eq!(AuthSys::new(&[b'a'; 256], 0, 0, &[]), Err(AuthSysError::MachineNameTooLong));
    assert_eq!(AuthSys::new(b"a", 0, 0, &[0; 17]), Err(AuthSysError::TooManyGids));
}

#[test]
fn a_claim_beyond_its_limits_or_of_an_unknown_flavor_is_refused() {
    let too_many_gids = octets(&[0, 0, 0, 0, 17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]);
    let mut long_name = octets(&[0, 256]);
    long_name.extend_from_slice(&[0; 256 + 12]);
    let trailing = octets(&[0, 0, 0, 0, 0, 0]);
    for body in [&too_many_gids, &long_name, &trailing, &vec![]] {
        let auth = Auth { flavor: Flavor::SYS, body };
        assert_eq!(auth.credential(), Err(AuthStatus::BadCredential));
    }
    for flavor in [2, 3, 6, u32::MAX] {
        let auth = Auth { flavor: Flavor(flavor), body: &[] };
        assert_eq!(auth.credential(), Err(AuthStatus::RejectedCredential));
    }
}

proptest! {
    #[test]
    fn a_call_reads_back_as_it_is_written(
        numbers: [u32; 6],
        body in some(any::<u8>(), 0..=AUTH_BODY_LEN_MAX),
        arguments in some(any::<[u8; 4]>(), 0..20),
    ) {
        let [xid, program, version, procedure, credential, verifier] = numbers;
        let arguments = arguments.as_flattened();
        let call = Call {
            xid,
            target: Target { program, version, procedure },
            credential: Auth { flavor: Flavor(credential), body: &body },
            verifier: Auth { flavor: Flavor(verifier), body: &[] },
            arguments,
        };
        let mut octets = Vec::new();
        call.encode(&mut octets);
        prop_assert_eq!(octets.len(), call.encoded_len());
        prop_assert_eq!(Call::decode(&octets), Ok(call));
    }

    #[test]
    fn octets_of_chance_are_read_without_panic(words in some(prop_oneof![0_u32..8, any::<u32>()], 0..20), cut in 0_usize..4) {
        let octets = octets(&words);
        let octets = &octets[..octets.len().saturating_sub(cut)];
        let _ = (Reply::decode(octets), AuthSys::from_body(octets));
        if let Ok(call) = Call::decode(octets) {
            let _ = call.credential.credential();
        }
    }
}

fn octets(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn words(octets: &[u8]) -> Vec<u32> {
    let (words, rest) = octets.as_chunks::<4>();
    assert!(rest.is_empty());
    words.iter().map(|word| u32::from_be_bytes(*word)).collect()
}
