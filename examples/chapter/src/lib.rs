//! What `chapter.x` says, and what its functions do.

posthaste_rpc::interface!(pub mod chapter);

use chapter::Server;
use posthaste_rpc::{Call, Failure};

/// The functions themselves.
pub struct Functions;

impl Server for Functions {
    fn func1(&self, _: &dyn Call, arg1: i32) -> Result<i32, Failure> {
        arg1.checked_mul(2).ok_or("too large to be doubled".into())
    }

    fn func2(&self, _: &dyn Call, arg1: i32, arg2: i32) -> Result<i32, Failure> {
        arg1.checked_add(arg2).ok_or("the sum is too large".into())
    }
}
