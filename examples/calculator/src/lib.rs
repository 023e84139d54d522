//! What `calculator.x` says, and a calculator that does it: for servers whose handlers return, and for those whose are awaited.

posthaste_rpc::interface!(pub mod calculator);

use calculator::{Division, Problem, Quotient, calculator_v1};
use posthaste_rpc::xdr::XdrStr;
use posthaste_rpc::{Call, Failure};

/// It needs to know nothing.
#[derive(Clone, Copy, Debug)]
pub struct Calculator;

impl calculator_v1::Server for Calculator {
    fn add(&self, _: &dyn Call, a: i64, b: i64) -> Result<i64, Failure> {
        a.checked_add(b).ok_or("the sum is too large".into())
    }

    fn divide(&self, _: &dyn Call, dividend: i32, divisor: i32) -> Result<Division, Failure> {
        Ok(match (dividend.checked_div(divisor), dividend.checked_rem(divisor)) {
            (Some(whole), Some(rest)) => Division::True(Quotient { whole, rest }),
            _ if divisor == 0 => Division::False(Problem::DivisionByZero),
            _ => Division::False(Problem::Overflow),
        })
    }

    fn sum(&self, call: &dyn Call, numbers: Vec<i64>) -> Result<i64, Failure> {
        numbers.into_iter().try_fold(0, |sum, number| calculator_v1::Server::add(self, call, sum, number))
    }

    fn show(&self, _: &dyn Call, text: XdrStr<'_>) {
        println!("{text}");
    }
}

/// What is done at once need not be awaited.
impl calculator_v1::AsyncServer for Calculator {
    async fn add(&self, call: &dyn Call, a: i64, b: i64) -> Result<i64, Failure> {
        calculator_v1::Server::add(self, call, a, b)
    }

    async fn divide(&self, call: &dyn Call, dividend: i32, divisor: i32) -> Result<Division, Failure> {
        calculator_v1::Server::divide(self, call, dividend, divisor)
    }

    async fn sum(&self, call: &dyn Call, numbers: Vec<i64>) -> Result<i64, Failure> {
        calculator_v1::Server::sum(self, call, numbers)
    }

    async fn show(&self, call: &dyn Call, text: XdrStr<'_>) {
        calculator_v1::Server::show(self, call, text);
    }
}
