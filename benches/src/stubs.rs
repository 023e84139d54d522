//! Calls by generated stubs, between the two endpoints in memory and elsewhere, and the value that they carry.

use core::cell::RefCell;

use posthaste_core::endpoint::{self, Answer};
use posthaste_rpc::{Call, CallError, Caller, Dispatch, Failure, Request, Target};
use posthaste_xdr::XdrString;

use crate::Pair;
use crate::calls::calls_v1::Server;
use crate::calls::{Mixed, Point, Shape};

/// A client of a [`Pair`], whose server answers with what was generated.
pub struct Stubbed<D> {
    pair: RefCell<Pair>,
    server: D,
}

impl<D: Dispatch> Stubbed<D> {
    /// Lets `server` answer the calls of a pair.
    pub const fn new(pair: Pair, server: D) -> Self {
        Self { pair: RefCell::new(pair), server }
    }
}

impl<D: Dispatch> Caller for Stubbed<D> {
    fn call(&self, request: &Request<'_>, read: &mut dyn FnMut(&[u8])) -> Result<(), CallError> {
        let answer = |call: &endpoint::IncomingCall<'_>, reply: &mut Vec<u8>| -> Answer {
            let known = Known(Target::from(&call.procedure));
            self.server.dispatch(&known, call.arguments, reply).into()
        };
        self.pair.borrow_mut().call(request.into(), answer, read);
        Ok(())
    }
}

struct Known(Target);

impl Call for Known {
    fn target(&self) -> Target {
        self.0
    }
}

/// What the procedures do.
#[derive(Clone, Copy, Debug)]
pub struct Calls;

impl Server for Calls {
    fn add(&self, _: &dyn Call, a: i32, b: i32) -> Result<i32, Failure> {
        Ok(a.wrapping_add(b))
    }

    fn mirror(&self, _: &dyn Call, value: Mixed) -> Result<Mixed, Failure> {
        Ok(value)
    }
}

/// Makes a value with a little of everything.
#[must_use]
pub fn mixed(point_count: i32, data_len: usize) -> Mixed {
    let point = |index: i32| Point { x: -index, y: index << 20, time: u64::MAX / 3 };
    Mixed {
        number: -7,
        flags: 0xdead_beef,
        offset: i64::MIN / 5,
        ratio: core::f64::consts::PI,
        weight: -0.5,
        ready: true,
        name: XdrString::from("a name of some length"),
        data: (0..data_len).map(|index| index as u8).collect(),
        digest: [0xa5; 16],
        points: (0..point_count).map(point).collect(),
        outline: Shape::Green(point(3)),
        origin: Some(point(9)),
    }
}
