//! What annotations make of generated stubs, without a network between client and server.

mod limits {
    include!("../fixtures/limits.rs");
}

use limits::limits_v1::{self, Client, Server, Service};
use limits::{Granted, Part, Wish};
use posthaste_rpc::xdr::{Bounded, DecodeError, EncodeError, to_vec};
use posthaste_rpc::{
    Answer, Call, CallError, Caller, Dispatch, Exchange, Failure, NotExecuted, Procedure, Request, Target,
};

#[test]
fn a_result_that_is_longer_than_its_bound_is_refused_by_the_client() {
    let longest = Client::new(Canned(vec![0; 1024]));
    // One integer is the result: the length is right, and no more is.
    assert!(matches!(longest.bounded(&[]), Err(CallError::BadReply(DecodeError::Trailing))));

    let error = Client::new(Canned(vec![0; 1025])).bounded(&[]).unwrap_err();
    assert!(matches!(error, CallError::BadReply(DecodeError::TooLong)));
    assert_eq!(
        error.to_string(),
        "executed, but the reply cannot be read: more octets than allowed (in an interface file, `@max` says how many)"
    );
}

#[test]
fn arguments_that_are_longer_than_their_bound_are_refused_by_both_sides() {
    let client = Client::new(Direct);
    let refused = client.bounded(&[0; 61]).unwrap_err();
    assert!(matches!(refused, CallError::NotExecuted(NotExecuted::TooLarge { limit: Some(64) })));

    let call = Known(Target { program: limits_v1::PROGRAM, version: 1, procedure: 1 });
    let mut exchange = Answered { arguments: &[0; 68], outcome: Err(CallError::ReplyLost) };
    Service(Limits).dispatch(&call, &mut exchange);
    assert!(matches!(exchange.outcome, Err(CallError::NotExecuted(NotExecuted::TooLarge { limit: Some(64) }))));
}

#[test]
fn what_takes_more_than_four_times_its_octets_is_refused_unless_the_interface_file_allows_it() {
    let client = Client::new(Direct);
    let empties: Vec<Part> = (0..1000).map(|_| Bounded(Vec::new())).collect();
    assert_eq!(*client.roomy(&empties).unwrap(), b"1000");

    let refused = client.sparse(&empties).unwrap_err();
    assert!(matches!(refused, CallError::NotExecuted(NotExecuted::TooLarge { limit: None })));
    // A few octets in each, and it is in proportion.
    let parts: Vec<Part> = (0..1000).map(|_| Bounded(vec![0; 4])).collect();
    assert_eq!(client.sparse(&parts).unwrap(), 1000);

    let procedure = Procedure::<Vec<Part>>::new("", 0, 0, 0);
    let octets = to_vec(&empties).unwrap();
    assert_eq!(procedure.decode_result(&octets), Err(DecodeError::TooMuchMemory));
    assert_eq!(procedure.with_memory_factor(16).decode_result(&octets), Ok(empties));
}

#[test]
fn no_array_is_too_long_that_is_within_its_bounds() {
    let numbers: Vec<i32> = (0..1_500_000).collect();
    let octets = to_vec(&numbers).unwrap();
    assert_eq!(Procedure::<Vec<i32>>::new("", 0, 0, 0).decode_result(&octets), Ok(numbers));
}

#[test]
fn an_undeclared_value_is_kept_where_the_interface_file_is_lenient() {
    let granted = Client::new(Direct).lenient(&[Wish::Undeclared(7), Wish::Good]).unwrap();
    assert_eq!(granted, Granted::Default(Wish::Undeclared(7)));

    // What follows, and what pads.
    let gold = [1, 5, 9].map(u32::to_be_bytes).concat();
    assert_eq!(Client::new(Canned(gold)).lenient(&[]).unwrap(), Granted::Good(5));

    // In a strict procedure, the same type takes nothing of the kind.
    let strict = Procedure::<Wish>::new("", 0, 0, 0);
    assert_eq!(strict.decode_result(&[0, 0, 0, 7]), Err(DecodeError::UnknownEnum));
    assert_eq!(strict.with_lenience().decode_result(&[0, 0, 0, 7]), Ok(Wish::Undeclared(7)));
}

#[test]
fn a_declared_value_is_not_written_as_an_undeclared_one() {
    assert_eq!(to_vec(&Wish::Undeclared(-2)), Err(EncodeError::WrongArm));
    assert_eq!(to_vec(&Wish::Undeclared(2)).unwrap(), to_vec(&2_i32).unwrap());
}

struct Limits;

impl Server for Limits {
    fn bounded(&self, _: &dyn Call, data: &[u8]) -> Result<i32, Failure> {
        Ok(data.len() as i32)
    }

    fn roomy(&self, _: &dyn Call, parts: Vec<Part>) -> Result<Part, Failure> {
        Ok(Bounded(parts.len().to_string().into()))
    }

    fn lenient(&self, _: &dyn Call, wishes: Vec<Wish>) -> Result<Granted, Failure> {
        Ok(Granted::Default(*wishes.first().ok_or("no wish")?))
    }

    fn sparse(&self, _: &dyn Call, parts: Vec<Part>) -> Result<i32, Failure> {
        Ok(parts.len() as i32)
    }
}

/// Calls the server in the place of a network.
struct Direct;

impl Caller for Direct {
    fn call(&self, request: &Request<'_>, read: &mut dyn FnMut(&[u8])) -> Result<(), CallError> {
        let signature = request.signature;
        let target = Target { program: signature.program, version: signature.version, procedure: signature.procedure };
        let mut arguments = vec![0; request.arguments.len()];
        request.arguments.write(&mut arguments);
        let mut exchange = Answered { arguments: &arguments, outcome: Err(CallError::ReplyLost) };
        Service(Limits).dispatch(&Known(target), &mut exchange);
        exchange.outcome.map(|result| read(&result))
    }
}

/// Arguments, and what comes of them.
struct Answered<'a> {
    arguments: &'a [u8],
    outcome: Result<Vec<u8>, CallError>,
}

impl Exchange for Answered<'_> {
    fn arguments(&self) -> &[u8] {
        self.arguments
    }

    fn answer(&mut self, answer: Answer<'_>) {
        self.outcome = match answer {
            Answer::Ok(result) => {
                let mut octets = vec![0; result.len()];
                result.write(&mut octets);
                Ok(octets)
            }
            Answer::NotExecuted(why) => Err(CallError::NotExecuted(why)),
            Answer::Application(_) | Answer::Failed => Err(CallError::ReplyLost),
        };
    }
}

/// Answers every call with the same octets.
struct Canned(Vec<u8>);

impl Caller for Canned {
    fn call(&self, _: &Request<'_>, read: &mut dyn FnMut(&[u8])) -> Result<(), CallError> {
        read(&self.0);
        Ok(())
    }
}

struct Known(Target);

impl Call for Known {
    fn target(&self) -> Target {
        self.0
    }
}
