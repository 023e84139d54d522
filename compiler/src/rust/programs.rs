//! Programs: a module for each version, with the client, the servers, and what leads calls to them.

use alloc::collections::BTreeMap;

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use super::docs;
use super::names::{self, Case, Renaming, Scope};
use super::tidy::Text;
use super::types::{Place, Types, boxed_if, open_bound};
use crate::model::{
    Deadline, Definition, Model, Name, Procedure, Program, ProgramForm, Progress, Reply, Semantics, Stream, Strictness,
    Type, Version,
};

/// Writes a module for each version of each program.
///
/// That of an interface without a name of its own, which is called after its file, can be had without the module, too.
pub(super) fn programs(types: &Types<'_>, model: &Model, source: &str, renamings: &mut Vec<Renaming>, text: &mut Text) {
    let file = file_name(source);
    let mut scope = Scope::new(&[]);
    // Beside it, another of the same name would not be found from without.
    scope.reserve(enclosure_name(source));
    let mut counts = BTreeMap::new();
    for version in model.programs.iter().flat_map(|program| &program.versions) {
        *counts.entry(Case::Snake.of(&version.name.text)).or_default() += 1;
    }
    for program in &model.programs {
        for version in &program.versions {
            let name = match program.form {
                ProgramForm::Interface => &program.name,
                ProgramForm::Program => &version.name,
            };
            let module = scope.take_as(Case::Snake, module_name(program, version, &counts), name, renamings);
            write_module(types, program, version, &module, renamings, text);
            if program.form == ProgramForm::Interface && module == file {
                let names = MODULE_TYPES.iter().filter(|name| !types.has(name)).map(|name| names::ident(name));
                text.items(quote!(pub use self::#module::{#(#names),*};));
            }
        }
    }
}

/// Returns the name of an interface file as Rust would write that of a module.
fn file_name(source: &str) -> String {
    Case::Snake.of(source.split('.').next().unwrap_or_default())
}

/// Returns what the module is called in which all others lie.
pub(super) fn enclosure_name(source: &str) -> String {
    file_name(source) + "_x"
}

/// Returns what the module of a version is called: after the version, or, where that says little, after its program too.
fn module_name(program: &Program, version: &Version, counts: &BTreeMap<String, usize>) -> String {
    let name = Case::Snake.of(&version.name.text);
    match program.form {
        ProgramForm::Interface => Case::Snake.of(&program.name.text),
        ProgramForm::Program if counts[&name] > 1 || name.len() <= SHORT_LEN_MAX => {
            format!("{}_{name}", Case::Snake.of(&program.name.text))
        }
        ProgramForm::Program => name,
    }
}

/// A procedure, with its Rust names.
struct Stub<'m> {
    procedure: &'m Procedure,
    method: Ident,
    /// The method that starts the call and returns at once.
    start: Ident,
    constant: Ident,
    arguments: Vec<Ident>,
    result: TokenStream,
}

fn write_module(
    types: &Types<'_>,
    program: &Program,
    version: &Version,
    module: &Ident,
    renamings: &mut Vec<Renaming>,
    text: &mut Text,
) {
    let stubs = stubs(types, version, renamings);
    let about = format!("Version {} of program {} ({}).", version.number, program.name.text, program.number);
    let said = if version.docs.0.is_empty() { &program.docs } else { &version.docs };
    let docs = docs(said, &about);
    text.open(&quote!(#docs pub mod #module));
    text.items(quote!(
        use ::posthaste_rpc::stub::*;
    ));
    constants(program, version, &stubs, text);
    client(types, &stubs, text);
    servers(types, &stubs, text);
    service(types, &stubs, text);
    text.close();
}

fn stubs<'m>(types: &Types<'_>, version: &'m Version, renamings: &mut Vec<Renaming>) -> Vec<Stub<'m>> {
    let mut methods = Scope::new(names::METHODS);
    let mut constants = Scope::new(names::VERSION_CONSTANTS);
    let mut stubs = Vec::new();
    for procedure in &version.procedures {
        let mut scope = Scope::new(match procedure.terms.progress {
            Progress::Silent => names::ARGUMENTS,
            Progress::Reported => names::ARGUMENTS_WITH_PROGRESS,
        });
        let count = procedure.arguments.len();
        let arguments = procedure.arguments.iter().enumerate().map(|(index, argument)| match &argument.name {
            Some(name) => scope.take(Case::Snake, name, renamings),
            None => {
                let text = if count == 1 { "argument".to_owned() } else { format!("argument{}", index + 1) };
                scope.take(Case::Snake, &Name { text, span: argument.span }, renamings)
            }
        });
        let arguments = arguments.collect();
        // The one procedure that every version has: its own name for it is as good as any.
        let method = methods.take(Case::Snake, &procedure.name, renamings);
        let constant = constants.take(Case::Screaming, &procedure.name, renamings);
        let result = types.rust(&procedure.result, Place::Closed, &quote!(super::), None);
        let start = method.clone();
        stubs.push(Stub { procedure, method, start, constant, arguments, result });
    }
    // Once all have the names of their own: these are made up.
    for stub in stubs.iter_mut().filter(|stub| stub.procedure.terms.stream == Stream::No) {
        let name = &stub.procedure.name;
        let wanted = format!("start_{}", Case::Snake.of(&name.text));
        stub.start = methods.take_as(Case::Snake, wanted, name, renamings);
    }
    stubs.sort_by_key(|stub| stub.procedure.number);
    stubs
}

fn constants(program: &Program, version: &Version, stubs: &[Stub<'_>], text: &mut Text) {
    let (program_number, version_number) =
        (Literal::u32_unsuffixed(program.number), Literal::u32_unsuffixed(version.number));
    text.items(quote! {
        /// The number of the program.
        pub const PROGRAM: u32 = #program_number;
        /// The number of its version.
        pub const VERSION: u32 = #version_number;
    });
    if !has_null(stubs) {
        text.items(quote! {
            /// Procedure 0, which does nothing.
            pub const NULL: Procedure<()> = Procedure::new("null", PROGRAM, VERSION, 0);
        });
    }
    for stub in stubs {
        let (name, number) = (&stub.procedure.name.text, Literal::u32_unsuffixed(stub.procedure.number));
        let docs = format!(" Procedure {}, `{name}`.", stub.procedure.number);
        let (constant, result, terms) = (&stub.constant, &stub.result, terms(stub.procedure));
        text.items(quote! {
            #[doc = #docs]
            pub const #constant: Procedure<#result> = Procedure::new(#name, PROGRAM, VERSION, #number) #terms;
        });
    }
}

fn has_null(stubs: &[Stub<'_>]) -> bool {
    stubs.first().is_some_and(|stub| stub.procedure.number == 0)
}

/// Says whether a procedure is the one that does nothing, and so needs no handler.
fn is_null(stub: &Stub<'_>) -> bool {
    let Procedure { number, arguments, result, .. } = stub.procedure;
    *number == 0 && arguments.is_empty() && *result == Type::Void
}

/// Returns what the annotations of a procedure say, as calls on its description.
fn terms(procedure: &Procedure) -> TokenStream {
    let terms = &procedure.terms;
    let mut out = TokenStream::new();
    match terms.semantics {
        Semantics::AtMostOnce => {}
        Semantics::AtLeastOnce => out.extend(quote!(.with_semantics(Semantics::AtLeastOnce))),
        Semantics::Maybe => out.extend(quote!(.with_semantics(Semantics::Maybe))),
        Semantics::ExactlyOnce => out.extend(quote!(.with_semantics(Semantics::ExactlyOnce))),
    }
    match terms.deadline {
        Deadline::Configured => {}
        Deadline::After(timeout) => {
            let timeout = if timeout.subsec_nanos() == 0 {
                let seconds = Literal::u64_unsuffixed(timeout.as_secs());
                quote!(Duration::from_secs(#seconds))
            } else {
                let (seconds, nanos) =
                    (Literal::u64_unsuffixed(timeout.as_secs()), Literal::u32_unsuffixed(timeout.subsec_nanos()));
                quote!(Duration::new(#seconds, #nanos))
            };
            out.extend(quote!(.with_timeout(Timeout::After(#timeout))));
        }
        Deadline::None => out.extend(quote!(.with_timeout(Timeout::Never))),
    }
    if terms.reply == Reply::Oneway {
        out.extend(quote!(.with_one_way()));
    }
    match terms.stream {
        Stream::No => {}
        Stream::Arguments => out.extend(quote!(.with_streams(Streams::Upward))),
        Stream::Result => out.extend(quote!(.with_streams(Streams::Downward))),
        Stream::Both => out.extend(quote!(.with_streams(Streams::Both))),
    }
    if let Some(len_max) = terms.arguments_len_max {
        let len_max = Literal::u32_unsuffixed(len_max);
        out.extend(quote!(.with_arguments_len_max(#len_max)));
    }
    if let Some(len_max) = terms.result_len_max {
        let len_max = Literal::u32_unsuffixed(len_max);
        out.extend(quote!(.with_result_len_max(#len_max)));
    }
    if let Some(factor) = terms.memory_factor {
        let factor = Literal::u32_unsuffixed(factor);
        out.extend(quote!(.with_memory_factor(#factor)));
    }
    if terms.strictness == Strictness::Lenient {
        out.extend(quote!(.with_lenience()));
    }
    out
}

fn method_docs(procedure: &Procedure) -> TokenStream {
    docs(&procedure.docs, &format!("Procedure {}, `{}`.", procedure.number, procedure.name.text))
}

fn client(types: &Types<'_>, stubs: &[Stub<'_>], text: &mut Text) {
    let plain = || stubs.iter().filter(|stub| stub.procedure.terms.stream == Stream::No);
    let blocking = plain().map(|stub| {
        let Method { docs, name, constant, lifetime, parameters, values } = Method::of(types, stub);
        let (result, unwrap) = client_result(types, stub);
        let (docs_more, parameter, called) = match stub.procedure.terms.progress {
            Progress::Silent => (None, None, quote!(call(&#constant, &#values))),
            Progress::Reported => {
                let (docs, parameter) = progress();
                (Some(docs), Some(parameter), quote!(call_with_progress(&#constant, &#values, progress)))
            }
        };
        quote! {
            #docs
            #docs_more
            pub fn #name #lifetime(&self, #(#parameters,)* #parameter) -> Result<#result, CallError> {
                self.stub.#called #unwrap
            }
        }
    });
    let awaited = plain().map(|stub| {
        let Method { docs, name, constant, lifetime, parameters, values } = Method::of(types, stub);
        let (result, unwrap) = client_result(types, stub);
        let (docs_more, parameter, called) = match stub.procedure.terms.progress {
            Progress::Silent => (None, None, quote!(call_async(&#constant, &#values))),
            Progress::Reported => {
                let (docs, parameter) = progress();
                (Some(docs), Some(parameter), quote!(call_async_with_progress(&#constant, &#values, progress)))
            }
        };
        quote! {
            #docs
            #docs_more
            pub async fn #name #lifetime(&self, #(#parameters,)* #parameter) -> Result<#result, AsyncCallError> {
                self.stub.#called.await #unwrap
            }
        }
    });
    let (null_blocking, null_async) = if has_null(stubs) { (None, None) } else { null_methods() };
    let none = TokenStream::new();
    text.items(client_type("Client", "Calls the procedures, and waits for their results."));
    text.block(&none, &quote!(impl<C: Caller> Client<C>), null_blocking.into_iter().chain(blocking));
    text.items(client_type("AsyncClient", "Calls the procedures, for results that are awaited."));
    text.block(&none, &quote!(impl<C: AsyncCaller> AsyncClient<C>), null_async.into_iter().chain(awaited));
    starting(types, stubs, text);
}

/// Returns the methods of both clients for a procedure 0 that the source does not have.
fn null_methods() -> (Option<TokenStream>, Option<TokenStream>) {
    let blocking = quote! {
        /// Calls procedure 0, which does nothing: to see whether the server is there.
        pub fn null(&self) -> Result<(), CallError> {
            self.stub.call(&NULL, &())
        }
    };
    let awaited = quote! {
        /// Calls procedure 0, which does nothing: to see whether the server is there.
        pub async fn null(&self) -> Result<(), AsyncCallError> {
            self.stub.call_async(&NULL, &()).await
        }
    };
    (Some(blocking), Some(awaited))
}

/// Returns the parameter of a method that is shown how far the handler is, and a paragraph about it.
fn progress() -> (TokenStream, TokenStream) {
    let docs = quote! {
        #[doc = ""]
        #[doc = " `progress` is shown how far the handler is, each time that the transport hears of it."]
    };
    (docs, quote!(progress: impl FnMut(u64)))
}

/// What the methods of both clients have in common.
struct Method<'s> {
    docs: TokenStream,
    name: &'s Ident,
    constant: &'s Ident,
    lifetime: Option<TokenStream>,
    parameters: Vec<TokenStream>,
    /// The tuple that is encoded.
    values: TokenStream,
}

impl<'s> Method<'s> {
    fn of(types: &Types<'_>, stub: &'s Stub<'_>) -> Self {
        let (parameters, values) = client_arguments(types, stub);
        Self {
            docs: method_docs(stub.procedure),
            name: &stub.method,
            constant: &stub.constant,
            lifetime: lifetime(types, stub),
            parameters,
            values,
        }
    }
}

/// Writes the methods that start a call and return at once: for each procedure of a client that waits, and for those with streams
/// of one that awaits, where all others are futures anyway.
fn starting(types: &Types<'_>, stubs: &[Stub<'_>], text: &mut Text) {
    let blocking = stubs.iter().map(|stub| {
        let Method { docs, name, constant, lifetime, parameters, values } = Method::of(types, stub);
        let result = &stub.result;
        let (docs, name) = match stub.procedure.terms.stream {
            Stream::No => {
                let docs = format!(" As [`Self::{name}`], but returns at once.");
                (quote!(#[doc = #docs]), &stub.start)
            }
            Stream::Arguments | Stream::Result | Stream::Both => (docs, name),
        };
        quote! {
            #docs
            pub fn #name #lifetime(&self, #(#parameters),*) -> Result<Ongoing<C::Started, #result>, CallError> {
                self.stub.start(&#constant, &#values)
            }
        }
    });
    let mut streaming = stubs.iter().filter(|stub| stub.procedure.terms.stream != Stream::No).peekable();
    let is_streaming = streaming.peek().is_some();
    let awaited = streaming.map(|stub| {
        let Method { docs, name, constant, lifetime, parameters, values } = Method::of(types, stub);
        let result = &stub.result;
        quote! {
            #docs
            pub async fn #name #lifetime(
                &self,
                #(#parameters),*
            ) -> Result<Ongoing<C::Started, #result>, AsyncCallError> {
                self.stub.start_async(&#constant, &#values).await
            }
        }
    });
    let none = TokenStream::new();
    if !stubs.is_empty() {
        text.block(&none, &quote!(impl<C: StartCaller> Client<C>), blocking);
    }
    if is_streaming {
        text.block(&none, &quote!(impl<C: AsyncStartCaller> AsyncClient<C>), awaited);
    }
}

fn client_type(name: &str, docs: &str) -> TokenStream {
    let name = names::ident(name);
    let docs = format!(" {docs}");
    quote! {
        #[doc = #docs]
        #[derive(Clone, Debug)]
        pub struct #name<C> {
            stub: Stub<C>,
        }

        impl<C> #name<C> {
            /// Makes a client of whatever makes calls.
            pub const fn new(caller: C) -> Self {
                Self { stub: Stub::new(caller) }
            }

            /// Makes each call wait this long at most, whatever the interface file says.
            #[must_use]
            pub fn with_timeout(self, timeout: Duration) -> Self {
                Self { stub: self.stub.with_timeout(timeout) }
            }
        }
    }
}

/// Returns what a method needs to say of how long its strings live.
fn lifetime(types: &Types<'_>, stub: &Stub<'_>) -> Option<TokenStream> {
    let mut arguments = stub.procedure.arguments.iter();
    arguments.any(|argument| matches!(types.model.resolve(&argument.ty), Type::String(_))).then(|| quote!(<'a>))
}

/// Returns the parameters of a client's method, and the tuple that is encoded.
fn client_arguments(types: &Types<'_>, stub: &Stub<'_>) -> (Vec<TokenStream>, TokenStream) {
    let path = quote!(super::);
    let (mut parameters, mut values) = (Vec::new(), Vec::new());
    for (argument, name) in stub.procedure.arguments.iter().zip(&stub.arguments) {
        let resolved = types.model.resolve(&argument.ty);
        let max = open_bound(resolved);
        let (parameter, value) = match (resolved, max) {
            (Type::String(_), Some(max)) => {
                (quote!(impl Into<XdrStr<'a>>), quote!(Bounded::<XdrStr<'_>, #max>(#name.into())))
            }
            (Type::String(_), None) => (quote!(impl Into<XdrStr<'a>>), quote!(#name.into())),
            (Type::Opaque(_), Some(max)) => (quote!(&[u8]), quote!(Bounded::<&[u8], #max>(#name))),
            (Type::Opaque(_), None) => (quote!(&[u8]), quote!(#name)),
            (Type::Vector { element, .. }, max) => {
                let element = types.rust(element, Place::Closed, &path, None);
                let value = match max {
                    Some(max) => quote!(Bounded::<&[#element], #max>(#name)),
                    None => quote!(#name),
                };
                (quote!(&[#element]), value)
            }
            (Type::Optional(target), _) if types.memory.item(target).is_none() => {
                let inner = types.rust(target, Place::Closed, &path, None);
                let parameter = if is_copied(types, target) { inner } else { quote!(&#inner) };
                (quote!(Option<#parameter>), quote!(#name))
            }
            (_, _) if is_copied(types, resolved) => {
                (types.rust(&argument.ty, Place::Closed, &path, None), quote!(#name))
            }
            (_, _) => {
                let ty = types.rust(&argument.ty, Place::Closed, &path, None);
                (quote!(&#ty), quote!(#name))
            }
        };
        parameters.push(quote!(#name: #parameter));
        values.push(value);
    }
    (parameters, tuple(values))
}

/// Returns what a client's method returns, and how that is taken out of the result.
fn client_result(types: &Types<'_>, stub: &Stub<'_>) -> (TokenStream, TokenStream) {
    let result = types.rust(&stub.procedure.result, Place::Open, &quote!(super::), None);
    let unwrap =
        if open_bound(&stub.procedure.result).is_some() { quote!(.map(|result| result.0)) } else { TokenStream::new() };
    (result, unwrap)
}

fn servers(types: &Types<'_>, stubs: &[Stub<'_>], text: &mut Text) {
    let functions = |style| {
        stubs.iter().filter(|stub| !is_null(stub)).map(move |stub| {
            let (docs, method) = (method_docs(stub.procedure), &stub.method);
            let types_of_arguments = server_arguments(types, stub).into_iter().map(|argument| argument.parameter);
            let parameters = stub.arguments.iter().zip(types_of_arguments).map(|(name, ty)| quote!(#name: #ty));
            let result = server_result(types, stub);
            let returned = match (stub.procedure.terms.reply, style) {
                (Reply::Expected, Style::Blocking) => quote!(-> Result<#result, Failure>),
                (Reply::Expected, Style::Awaited) => quote!(-> impl Future<Output = Result<#result, Failure>>),
                (Reply::Oneway, Style::Blocking) => TokenStream::new(),
                (Reply::Oneway, Style::Awaited) => quote!(-> impl Future<Output = ()>),
            };
            quote!(#docs fn #method(&self, call: &dyn Call, #(#parameters),*) #returned;)
        })
    };
    let docs = quote!(#[doc = " What the procedures do. [`Service`] makes a server of it."]);
    text.block(&docs, &quote!(pub trait Server), functions(Style::Blocking));
    let docs = quote!(#[doc = " As [`Server`], with results that are awaited."]);
    text.block(&docs, &quote!(pub trait AsyncServer), functions(Style::Awaited));
}

/// An argument as it comes to a handler.
struct Arrival {
    /// What is decoded.
    decoded: TokenStream,
    /// What the handler is given.
    parameter: TokenStream,
    /// Whether that lies within a `Bounded`.
    is_wrapped: bool,
}

fn server_arguments(types: &Types<'_>, stub: &Stub<'_>) -> Vec<Arrival> {
    let path = quote!(super::);
    let arguments = || stub.procedure.arguments.iter().map(|argument| &argument.ty);
    let arrival = |(ty, is_boxed): (&Type, &bool)| {
        let resolved = types.model.resolve(ty);
        let max = open_bound(resolved);
        let parameter = if matches!(resolved, Type::String(_)) {
            quote!(XdrStr<'_>)
        } else if matches!(resolved, Type::Opaque(_)) {
            quote!(&[u8])
        } else if matches!(resolved, Type::Vector { .. }) {
            types.rust(resolved, Place::Open, &path, None)
        } else {
            boxed_if(*is_boxed, types.rust(ty, Place::Closed, &path, None))
        };
        let decoded = match &max {
            Some(max) => quote!(Bounded<#parameter, #max>),
            None => parameter.clone(),
        };
        Arrival { decoded, parameter, is_wrapped: max.is_some() }
    };
    arguments().zip(&types.memory.boxed_arguments(arguments())).map(arrival).collect()
}

fn server_result(types: &Types<'_>, stub: &Stub<'_>) -> TokenStream {
    types.rust(&stub.procedure.result, Place::Open, &quote!(super::), None)
}

fn service(types: &Types<'_>, stubs: &[Stub<'_>], text: &mut Text) {
    let (zero, others) = if has_null(stubs) { (stubs.first(), &stubs[1..]) } else { (None, stubs) };
    let constant_of_zero = zero.map_or_else(|| names::ident("NULL"), |stub| stub.constant.clone());
    let signatures = core::iter::once(&constant_of_zero).chain(others.iter().map(|stub| &stub.constant));
    let arm = |stub: &Stub<'_>, style| {
        let (constant, run) = (&stub.constant, handler(types, stub, style));
        match style {
            Style::Blocking => quote!(answer(&#constant, &run(&#constant, exchange.arguments(), #run), exchange)),
            Style::Awaited => {
                quote!(answer(&#constant, &run_async(&#constant, exchange.arguments(), #run).await, exchange))
            }
        }
    };
    let arms = |style| {
        others.iter().map(move |stub| {
            let (number, run) = (Literal::u32_unsuffixed(stub.procedure.number), arm(stub, style));
            quote!(Ok(#number) => #run)
        })
    };
    // Procedure 0 does nothing, unless the file has it do something.
    let arm_of_zero = |style| match zero.filter(|stub| !is_null(stub)) {
        Some(stub) => arm(stub, style),
        None => {
            quote!(answer(&#constant_of_zero, &run(&#constant_of_zero, exchange.arguments(), |()| Ok(())), exchange))
        }
    };
    let (blocking, blocking_zero) = (arms(Style::Blocking), arm_of_zero(Style::Blocking));
    let (awaited, awaited_zero) = (arms(Style::Awaited), arm_of_zero(Style::Awaited));
    text.items(quote! {
        /// Leads calls to a [`Server`] or an [`AsyncServer`], once their arguments are decoded.
        #[derive(Clone, Copy, Debug)]
        pub struct Service<S>(pub S);

        impl<S> Directory for Service<S> {
            fn versions(&self, program: u32) -> Option<(u32, u32)> {
                (program == PROGRAM).then_some((VERSION, VERSION))
            }

            fn procedures(&self, program: u32, version: u32) -> Option<&'static [Signature]> {
                const PROCEDURES: &[Signature] = &[#(#signatures.signature),*];
                ((program, version) == (PROGRAM, VERSION)).then_some(PROCEDURES)
            }
        }

    });
    text.items(quote! {
        impl<S: Server> Dispatch for Service<S> {
            fn dispatch(&self, call: &dyn Call, exchange: &mut dyn Exchange) {
                match check(self, call) {
                    #(#blocking,)*
                    Ok(_) => #blocking_zero,
                    Err(why) => exchange.answer(Answer::NotExecuted(why)),
                }
            }
        }

    });
    text.items(quote! {
        impl<S: AsyncServer> AsyncDispatch for Service<S> {
            async fn dispatch(&self, call: &dyn Call, exchange: &mut (dyn Exchange + Send + Sync)) {
                match check(self, call) {
                    #(#awaited,)*
                    Ok(_) => #awaited_zero,
                    Err(why) => exchange.answer(Answer::NotExecuted(why)),
                }
            }
        }
    });
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Blocking,
    Awaited,
}

/// Returns the closure that gives decoded arguments to a handler.
fn handler(types: &Types<'_>, stub: &Stub<'_>, style: Style) -> TokenStream {
    let arrivals = server_arguments(types, stub);
    let names = &stub.arguments;
    let patterns = names
        .iter()
        .zip(&arrivals)
        .map(|(name, arrival)| if arrival.is_wrapped { quote!(Bounded(#name)) } else { quote!(#name) });
    let pattern = tuple(patterns.collect());
    let decoded = tuple(arrivals.iter().map(|arrival| arrival.decoded.clone()).collect());
    let method = &stub.method;
    let called = quote!(self.0.#method(call, #(#names),*));
    let is_wrapped = open_bound(&stub.procedure.result);
    let body = match (style, stub.procedure.terms.reply, is_wrapped) {
        (Style::Blocking, Reply::Oneway, _) => quote!({ #called; Ok(()) }),
        (Style::Awaited, Reply::Oneway, _) => quote!(async move { #called.await; Ok(()) }),
        (_, Reply::Expected, None) => called,
        (Style::Blocking, Reply::Expected, Some(max)) => quote!(#called.map(Bounded::<_, #max>)),
        (Style::Awaited, Reply::Expected, Some(max)) => quote!(async move { #called.await.map(Bounded::<_, #max>) }),
    };
    quote!(|#pattern: #decoded| #body)
}

/// Says whether values of a type are handed over by copying them.
fn is_copied(types: &Types<'_>, ty: &Type) -> bool {
    let resolved = types.model.resolve(ty);
    matches!(resolved, Type::Primitive(_) | Type::Void)
        || matches!(resolved, Type::Named(id) if matches!(types.model[*id].definition, Definition::Enum(_)))
}

/// Returns a tuple of any number of things, as tuples of as many as tuples have an encoding for.
fn tuple(mut things: Vec<TokenStream>) -> TokenStream {
    while things.len() > TUPLE_COUNT_MAX {
        things = things.chunks(TUPLE_COUNT_MAX).map(|chunk| quote!((#(#chunk,)*))).collect();
    }
    match things.as_slice() {
        [] => quote!(()),
        [one] => quote!((#one,)),
        several => quote!((#(#several),*)),
    }
}

/// The types of a version.
const MODULE_TYPES: [&str; 5] = ["AsyncClient", "AsyncServer", "Client", "Server", "Service"];

/// The longest name of a version that says too little by itself (`V1`); our choice.
const SHORT_LEN_MAX: usize = 3;

/// The longest tuple that has an encoding.
const TUPLE_COUNT_MAX: usize = 12;
