//! The side that answers.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::Future;

use crate::call::{Answer, Call, Target};
use crate::outcome::NotExecuted;
use crate::procedure::Signature;

/// What a server knows: one version of a program, or, as a tuple of such, many versions and programs.
pub trait Directory {
    /// Returns the lowest and the highest version that it knows of a program.
    fn versions(&self, program: u32) -> Option<(u32, u32)>;

    /// Returns the procedures of one version of a program, by ascending number; procedure 0 is always among them.
    fn procedures(&self, program: u32, version: u32) -> Option<&'static [Signature]>;

    /// Finds a procedure, or the standard refusal.
    ///
    /// # Errors
    /// [`NotExecuted::NoSuchProgram`], [`NotExecuted::NoSuchVersion`] or [`NotExecuted::NoSuchProcedure`] (RFC 5531 §9).
    fn find(&self, target: Target) -> Result<&'static Signature, NotExecuted> {
        let (low, high) = self.versions(target.program).ok_or(NotExecuted::NoSuchProgram)?;
        let procedures =
            self.procedures(target.program, target.version).ok_or(NotExecuted::NoSuchVersion { low, high })?;
        let found = procedures.binary_search_by_key(&target.procedure, |signature| signature.procedure);
        found.map(|index| &procedures[index]).map_err(|_| NotExecuted::NoSuchProcedure)
    }
}

/// A call that is to be answered: where its arguments lie, and where its reply goes.
pub trait Exchange {
    /// Returns the octets of the arguments.
    fn arguments(&self) -> &[u8];

    /// Ends the call, once. A result is written where the transport keeps it, and nowhere before.
    ///
    /// The caller of one that is never answered learns that the handler failed.
    fn answer(&mut self, answer: Answer<'_>);
}

/// A server whose handlers return with the result.
pub trait Dispatch: Directory {
    /// Decodes the arguments of a call, runs its handler, and answers with what that returned.
    ///
    /// What the directory does not know is refused.
    fn dispatch(&self, call: &dyn Call, exchange: &mut dyn Exchange);
}

/// A server whose handlers are awaited.
pub trait AsyncDispatch: Directory {
    /// As [`Dispatch::dispatch`].
    fn dispatch(&self, call: &dyn Call, exchange: &mut (dyn Exchange + Send + Sync)) -> impl Future<Output = ()>;
}

macro_rules! forward {
    ($($pointer:ty),*) => { $(
        impl<D: Directory + ?Sized> Directory for $pointer {
            fn versions(&self, program: u32) -> Option<(u32, u32)> {
                (**self).versions(program)
            }

            fn procedures(&self, program: u32, version: u32) -> Option<&'static [Signature]> {
                (**self).procedures(program, version)
            }
        }

        impl<D: Dispatch + ?Sized> Dispatch for $pointer {
            fn dispatch(&self, call: &dyn Call, exchange: &mut dyn Exchange) {
                (**self).dispatch(call, exchange);
            }
        }
    )* };
}

forward!(&D, Box<D>, Arc<D>);

impl<D: AsyncDispatch> AsyncDispatch for &D {
    fn dispatch(&self, call: &dyn Call, exchange: &mut (dyn Exchange + Send + Sync)) -> impl Future<Output = ()> {
        (**self).dispatch(call, exchange)
    }
}

impl<D: AsyncDispatch> AsyncDispatch for Arc<D> {
    fn dispatch(&self, call: &dyn Call, exchange: &mut (dyn Exchange + Send + Sync)) -> impl Future<Output = ()> {
        (**self).dispatch(call, exchange)
    }
}

/// Several versions and programs in one server. Where two know the same version of a program, the first one answers.
macro_rules! directory_of_several {
    ($($name:ident $index:tt),+) => {
        impl<$($name: Directory),+> Directory for ($($name,)+) {
            fn versions(&self, program: u32) -> Option<(u32, u32)> {
                let known = [$(self.$index.versions(program)),+];
                known.into_iter().flatten().reduce(|(low, high), other| (low.min(other.0), high.max(other.1)))
            }

            fn procedures(&self, program: u32, version: u32) -> Option<&'static [Signature]> {
                None$(.or_else(|| self.$index.procedures(program, version)))+
            }
        }

        impl<$($name: Dispatch),+> Dispatch for ($($name,)+) {
            fn dispatch(&self, call: &dyn Call, exchange: &mut dyn Exchange) {
                let target = call.target();
                $(if self.$index.procedures(target.program, target.version).is_some() {
                    return self.$index.dispatch(call, exchange);
                })+
                exchange.answer(Answer::NotExecuted(refusal(self, target)));
            }
        }

        impl<$($name: AsyncDispatch),+> AsyncDispatch for ($($name,)+) {
            async fn dispatch(&self, call: &dyn Call, exchange: &mut (dyn Exchange + Send + Sync)) {
                let target = call.target();
                $(if self.$index.procedures(target.program, target.version).is_some() {
                    return self.$index.dispatch(call, exchange).await;
                })+
                exchange.answer(Answer::NotExecuted(refusal(self, target)));
            }
        }
    };
}

directory_of_several!(A 0);
directory_of_several!(A 0, B 1);
directory_of_several!(A 0, B 1, C 2);
directory_of_several!(A 0, B 1, C 2, D 3);
directory_of_several!(A 0, B 1, C 2, D 3, E 4);
directory_of_several!(A 0, B 1, C 2, D 3, E 4, F 5);
directory_of_several!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
directory_of_several!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

/// Returns why a call is turned down that the directory does not know.
pub(crate) fn refusal(directory: &impl Directory, target: Target) -> NotExecuted {
    directory.find(target).err().unwrap_or(NotExecuted::NoSuchProcedure)
}
