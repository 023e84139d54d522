//! Calls of what an interface file describes, by no stub but the file itself.

use core::fmt::Display;
use core::str::FromStr;

use posthaste_compiler::json;
use posthaste_compiler::model::{self, Model, Name, Program, Terms, Type, Version};
use posthaste_rpc::xdr::{Encode, EncodeError, Layout, Sink, Strictness};
use posthaste_rpc::{Caller, ReplyMode, Request, Semantics, Signature, Streams, Timeout, Values};
use posthaste_std::CallError;
use posthaste_std::onc::portmap;
use serde_json::Value;

use super::{CallArgs, OncTransport, TIMEOUT};
use crate::escape::EscapedJson;
use crate::failure::{Code, Failure};
use crate::interrupts::Interrupts;
use crate::output;

/// The name or number of a program, of its version, and of the version's procedure.
#[derive(Clone)]
pub(super) struct ProcedurePath {
    program: String,
    version: String,
    procedure: String,
}

pub(super) fn call(args: &CallArgs, model: &Model, path: &ProcedurePath) -> Result<(), Failure> {
    let (program, version, procedure) = path.find(model)?;
    let arguments = args.arguments.as_deref().map_or(Ok(Value::Null), serde_json::from_str);
    let arguments =
        arguments.map_err(|error| usage(format_args!("the arguments are no JSON: {error}")).hint(JSON_HINT))?;
    let octets = json::encode_arguments(model, &procedure, &arguments)
        .map_err(|error| usage(format_args!("wrong arguments for {}: {error}", procedure.name.text)).hint(JSON_HINT))?;
    let signature = signature(program, version, &procedure);
    let timeout = args.timeout.map_or(signature.timeout, |timeout| Timeout::After(timeout.0));
    let timeout = if timeout == Timeout::Configured { Timeout::After(TIMEOUT) } else { timeout };
    check(&signature, &octets)?;

    let encoded = Encoded(&octets);
    let arguments = Values::new(&encoded).expect("what is encoded has an encoding");
    let request = Request { signature: &signature, timeout, arguments };
    let mut reply = Vec::new();
    match args.onc {
        Some(transport) => call_onc(args, transport, &request, &mut reply)?,
        None => {
            let client = args.connect.connect(&args.server()?)?;
            let interrupts = Interrupts::listen(Code::Unknown)?;
            let call = client.start(&(&request).into()).map_err(CallError::Refused)?;
            interrupts.conclude(call, &mut reply)?;
        }
    }
    if signature.reply == ReplyMode::Never {
        return Ok(());
    }
    let result = json::decode_result(model, &procedure, &reply).map_err(|error| {
        Failure::new(Code::Unknown, format_args!("executed, but the reply cannot be read: {error}"))
            .hint("compare the interface file with that of the server")
    })?;
    output::print(format_args!("{}\n", EscapedJson(&result)))
}

fn call_onc(
    args: &CallArgs,
    transport: OncTransport,
    request: &Request<'_>,
    reply: &mut Vec<u8>,
) -> Result<(), Failure> {
    let program = portmap::Program { number: request.signature.program, version: request.signature.version };
    let claim = args.auth_sys.clone().unwrap_or_default();
    let client = args.connect.connect_onc(&args.server()?, transport.into(), claim, program)?;
    Ok(Caller::call(&client, request, &mut |octets| reply.extend_from_slice(octets))?)
}

/// Refuses what cannot be called from here, or not with so much.
fn check(signature: &Signature, arguments: &[u8]) -> Result<(), Failure> {
    if signature.streams != Streams::None {
        return Err(usage("the procedure has streams, and a command line has none"));
    }
    if arguments.len() > signature.arguments_len_max as usize {
        let max = signature.arguments_len_max;
        return Err(usage(format_args!("the arguments take {} octets, of at most {max}", arguments.len())));
    }
    Ok(())
}

fn signature(program: &Program, version: &Version, procedure: &model::Procedure) -> Signature {
    let terms = &procedure.terms;
    Signature {
        // Nobody shows it.
        name: "",
        program: program.number,
        version: version.number,
        procedure: procedure.number,
        semantics: match terms.semantics {
            model::Semantics::Maybe => Semantics::Maybe,
            model::Semantics::AtLeastOnce => Semantics::AtLeastOnce,
            model::Semantics::AtMostOnce => Semantics::AtMostOnce,
            model::Semantics::ExactlyOnce => Semantics::ExactlyOnce,
        },
        timeout: match terms.deadline {
            model::Deadline::Configured => Timeout::Configured,
            model::Deadline::After(timeout) => Timeout::After(timeout),
            model::Deadline::None => Timeout::Never,
        },
        reply: match terms.reply {
            model::Reply::Expected => ReplyMode::Expected,
            model::Reply::Oneway => ReplyMode::Never,
        },
        streams: match terms.stream {
            model::Stream::No => Streams::None,
            model::Stream::Arguments => Streams::Upward,
            model::Stream::Result => Streams::Downward,
            model::Stream::Both => Streams::Both,
        },
        arguments_len_max: terms.arguments_len_max.unwrap_or(u32::MAX),
        result_len_max: terms.result_len_max.unwrap_or(u32::MAX),
        memory_factor: terms.memory_factor.unwrap_or(u32::MAX),
        strictness: match terms.strictness {
            model::Strictness::Strict => Strictness::Strict,
            model::Strictness::Lenient => Strictness::Lenient,
        },
    }
}

impl ProcedurePath {
    fn find<'m>(&self, model: &'m Model) -> Result<(&'m Program, &'m Version, model::Procedure), Failure> {
        // Several programs may share a number, and have versions of it each.
        let mut programs = model.programs.iter().filter(|program| is(&self.program, &program.path(), program.number));
        if programs.clone().next().is_none() {
            return Err(unknown("program", &self.program));
        }
        let version_of = |program: &'m Program| {
            let mut versions = program.versions.iter();
            Some((program, versions.find(|version| is(&self.version, &version.name.text, version.number))?))
        };
        let (program, version) = programs.find_map(version_of).ok_or_else(|| unknown("version", &self.version))?;
        let mut procedures = version.procedures.iter();
        let procedure = procedures.find(|procedure| is(&self.procedure, &procedure.name.text, procedure.number));
        match procedure {
            Some(procedure) => Ok((program, version, procedure.clone())),
            None if self.procedure == "0" => Ok((program, version, procedure_zero(version))),
            None => Err(unknown("procedure", &self.procedure)),
        }
    }
}

impl FromStr for ProcedurePath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let mut parts = text.split('.').map(str::to_owned);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(program), Some(version), Some(procedure), None) => Ok(Self { program, version, procedure }),
            _ => Err("three names or numbers are needed, such as CALCULATOR.1.ADD"),
        }
    }
}

/// Says whether a name or number on the command line means something that has these.
fn is(text: &str, name: &str, number: u32) -> bool {
    let digits = text.strip_prefix("0x").map_or((text, 10), |digits| (digits, 16));
    text == name || u32::from_str_radix(digits.0, digits.1) == Ok(number)
}

/// Every version has it, whether its source says so or not (RFC 5531 §12.1).
fn procedure_zero(version: &Version) -> model::Procedure {
    model::Procedure {
        name: Name { text: "procedure 0".to_owned(), span: version.name.span },
        number: 0,
        arguments: Vec::new(),
        result: Type::Void,
        terms: Terms::default(),
        docs: model::Docs::default(),
    }
}

const JSON_HINT: &str = "--list shows what it takes, and --help how that is written in JSON";

fn unknown(what: &str, name: &str) -> Failure {
    usage(format_args!("the interface file has no such {what}: '{name}'")).hint("--list shows what it has")
}

fn usage(what: impl Display) -> Failure {
    Failure::new(Code::Usage, what)
}

/// What is encoded already.
struct Encoded<'a>(&'a [u8]);

impl Layout for Encoded<'_> {
    const LEN_MIN: usize = 0;
    const LEN_IS_FIXED: bool = false;
}

impl Encode for Encoded<'_> {
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        // Whole units, so that no padding follows.
        sink.put_opaque(self.0)
    }
}
