//! A stub as the protocol compiler makes them, over real sockets.

use std::time::Duration;

use posthaste_rpc::{Call, CallError, Failure, NotExecuted, Unknown};
use posthaste_std::{Client, Config, Inline, Rpc, Server};

mod calc {
    use ::posthaste_rpc::stub::*;

    /// What a division gives.
    #[allow(dead_code)]
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub struct Quotient {
        pub whole: i32,
        pub rest: i32,
    }

    impl Layout for Quotient {
        const LEN_MIN: usize = 8;
        const LEN_IS_FIXED: bool = true;
    }

    impl Encode for Quotient {
        fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
            self.whole.encode(sink)?;
            self.rest.encode(sink)
        }
    }

    impl<'a> Decode<'a> for Quotient {
        fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
            Ok(Self { whole: Decode::decode(decoder)?, rest: Decode::decode(decoder)? })
        }
    }

    /// Version 1 of CALC: client, server, and the procedures by themselves.
    #[allow(dead_code)]
    pub mod calc_v1 {
        use ::posthaste_rpc::stub::*;

        /// The number of the program.
        pub const PROGRAM: u32 = 0x2000_0001;
        /// The number of its version.
        pub const VERSION: u32 = 1;

        /// Procedure 0.
        pub const NULL: Procedure<()> = Procedure::new("null", PROGRAM, VERSION, 0);
        /// Procedure 1.
        pub const ADD: Procedure<i32> = Procedure::new("add", PROGRAM, VERSION, 1);
        /// Procedure 2.
        pub const DIVIDE: Procedure<super::Quotient> = Procedure::new("divide", PROGRAM, VERSION, 2)
            .with_semantics(Semantics::AtLeastOnce)
            .with_timeout(Timeout::After(Duration::from_millis(300)));
        /// Procedure 3.
        pub const GREET: Procedure<Bounded<XdrString, 16>> = Procedure::new("greet", PROGRAM, VERSION, 3);

        /// Makes calls and waits for them.
        #[derive(Clone, Debug)]
        pub struct Client<C> {
            stub: Stub<C>,
        }

        impl<C> Client<C> {
            pub const fn new(caller: C) -> Self {
                Self { stub: Stub::new(caller) }
            }

            #[must_use]
            pub fn with_timeout(self, timeout: Duration) -> Self {
                Self { stub: self.stub.with_timeout(timeout) }
            }
        }

        impl<C: Caller> Client<C> {
            pub fn null(&self) -> Result<(), CallError> {
                self.stub.call(&NULL, &())
            }

            pub fn add(&self, a: i32, b: i32) -> Result<i32, CallError> {
                self.stub.call(&ADD, &(a, b))
            }

            pub fn divide(&self, a: i32, b: i32) -> Result<super::Quotient, CallError> {
                self.stub.call(&DIVIDE, &(a, b))
            }

            pub fn greet<'a>(&self, name: impl Into<XdrStr<'a>>) -> Result<Bounded<XdrString, 16>, CallError> {
                self.stub.call(&GREET, &(Bounded::<XdrStr<'_>, 8>(name.into()),))
            }
        }

        /// What answers calls.
        pub trait Server {
            fn add(&self, call: &dyn Call, a: i32, b: i32) -> Result<i32, Failure>;
            fn divide(&self, call: &dyn Call, a: i32, b: i32) -> Result<super::Quotient, Failure>;
            fn greet(&self, call: &dyn Call, name: XdrStr<'_>) -> Result<Bounded<XdrString, 16>, Failure>;
        }

        /// Hands calls to a [`Server`].
        #[derive(Clone, Debug)]
        pub struct Service<S>(pub S);

        impl<S> Directory for Service<S> {
            fn versions(&self, program: u32) -> Option<(u32, u32)> {
                (program == PROGRAM).then_some((VERSION, VERSION))
            }

            fn procedures(&self, program: u32, version: u32) -> Option<&'static [Signature]> {
                const PROCEDURES: &[Signature] = &[NULL.signature, ADD.signature, DIVIDE.signature, GREET.signature];
                ((program, version) == (PROGRAM, VERSION)).then_some(PROCEDURES)
            }
        }

        impl<S: Server> Dispatch for Service<S> {
            fn dispatch(&self, call: &dyn Call, arguments: &[u8], reply: &mut Vec<u8>) -> Answer {
                match check(self, call) {
                    Ok(1) => answer(&ADD, arguments, reply, |(a, b)| self.0.add(call, a, b)),
                    Ok(2) => answer(&DIVIDE, arguments, reply, |(a, b)| self.0.divide(call, a, b)),
                    Ok(3) => answer(&GREET, arguments, reply, |(Bounded(name),): (Bounded<XdrStr<'_>, 8>,)| {
                        self.0.greet(call, name)
                    }),
                    Ok(_) => answer(&NULL, arguments, reply, |()| Ok(())),
                    Err(answer) => answer,
                }
            }
        }
    }
}

use calc::{Quotient, calc_v1};
use posthaste_rpc::xdr::{Bounded, XdrStr, XdrString};

struct Calculator;

impl calc_v1::Server for Calculator {
    fn add(&self, call: &dyn Call, a: i32, b: i32) -> Result<i32, Failure> {
        assert!(call.time_left().is_some() && !call.is_cancelled());
        a.checked_add(b).ok_or(Failure::from("the sum is too large"))
    }

    fn divide(&self, _: &dyn Call, a: i32, b: i32) -> Result<Quotient, Failure> {
        if b == 0 {
            return Err(Failure::BadArguments);
        }
        Ok(Quotient { whole: a / b, rest: a % b })
    }

    fn greet(&self, _: &dyn Call, name: XdrStr<'_>) -> Result<Bounded<XdrString, 16>, Failure> {
        assert_ne!(name, "panic");
        Ok(Bounded(format!("hello {name}, and more").as_str().into()))
    }
}

#[test]
fn a_stub_calls_a_generated_server() {
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), Rpc(calc_v1::Service(Calculator))).unwrap();
    let client = calc_v1::Client::new(Client::connect_insecure(server.local_addr(), Config::lan()).unwrap());
    client.null().unwrap();
    assert_eq!(client.add(2, 3).unwrap(), 5);
    assert_eq!(client.divide(7, 2).unwrap(), Quotient { whole: 3, rest: 1 });
    let Err(CallError::Application(error)) = client.add(i32::MAX, 1) else { panic!() };
    assert_eq!(error.text(), "the sum is too large");
    assert!(matches!(client.divide(7, 0), Err(CallError::NotExecuted(NotExecuted::BadArguments))));
}

#[test]
fn what_breaks_a_bound_is_not_sent_and_a_result_that_does_is_unknown() {
    let server =
        Server::serve_insecure("127.0.0.1:0", Config::lan(), Inline(Rpc(calc_v1::Service(Calculator)))).unwrap();
    let client = calc_v1::Client::new(Client::connect_insecure(server.local_addr(), Config::lan()).unwrap());
    assert!(matches!(client.greet("somebody long"), Err(CallError::NotExecuted(NotExecuted::Unencodable(_)))));
    let Err(CallError::Unknown(unresolved)) = client.greet("short") else { panic!() };
    assert_eq!(unresolved.why(), Unknown::HandlerFailed);
    assert!(unresolved.resolve(&calc_v1::GREET, Duration::from_secs(1)).is_err());
}
