//! Calls by generated stubs, between the two endpoints in memory and elsewhere, and the value that they carry.

use core::cell::RefCell;

use posthaste_rpc::{Answer, Call, CallError, Caller, Dispatch, Exchange, Failure, Request, Target};
use posthaste_xdr::XdrString;

use crate::calls::calls_v1::Server;
use crate::calls::{Mixed, Point, Shape};
use crate::{Handling, Pair};

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
        let answer = |handling: Handling<'_>| {
            let known = Known(Target::from(&handling.incoming().procedure));
            self.server.dispatch(&known, &mut Answering(handling));
        };
        self.pair.borrow_mut().call(request.into(), answer, read);
        Ok(())
    }
}

struct Answering<'a>(Handling<'a>);

impl Exchange for Answering<'_> {
    fn arguments(&self) -> &[u8] {
        self.0.incoming().arguments
    }

    fn answer(&mut self, answer: Answer<'_>) {
        let (answer, body) = answer.to_reply();
        self.0.reply(answer, body);
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
