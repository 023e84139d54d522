//! Calls of the built-in service.

use core::time::Duration;

use posthaste_std::{CallError, Request};

use super::{Builtin, CallArgs, TIMEOUT};
use crate::escape::Escaped;
use crate::failure::{Code, Failure};
use crate::interrupts::Interrupts;
use crate::output;
use crate::service::{PROGRAM, Procedure, VERSION};
use crate::value::{Address, TimeSpan};

pub(super) fn call(args: &CallArgs, procedure: &Builtin) -> Result<(), Failure> {
    let server: Address = args.server()?;
    let (procedure, arguments, duration) = match procedure {
        Builtin::Echo { text } => (Procedure::Echo, text.as_bytes().to_vec(), Duration::ZERO),
        Builtin::Sleep { time } => {
            (Procedure::Sleep, posthaste_core::time::nanos(time.0).to_be_bytes().to_vec(), time.0)
        }
    };
    let timeout = args.timeout.map_or(TIMEOUT + duration, |timeout| timeout.0);
    let client = args.connect.connect(&server)?;
    let interrupts = Interrupts::listen(Code::Unknown)?;
    let request = Request { timeout: Some(timeout), ..Request::new(PROGRAM, VERSION, procedure as u32, &arguments) };
    let mut reply = Vec::new();
    let call = client.start(&request).map_err(CallError::Refused)?;
    interrupts.conclude(call, &mut reply)?;
    match procedure {
        Procedure::Sleep => output::print(format_args!("slept {}\n", TimeSpan(duration))),
        Procedure::Echo | Procedure::Stored | Procedure::Length => {
            output::print(format_args!("{}\n", Escaped(&String::from_utf8_lossy(&reply))))
        }
    }
}
