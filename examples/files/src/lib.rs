//! A folder over UDP: what `files.x` says, and a server that does it.
//!
//! ```sh
//! cargo run -p posthaste-files --bin files-server -- FOLDER 127.0.0.1:4000
//! cargo run -p posthaste-files --bin files -- 127.0.0.1:4000 ls
//! cargo run -p posthaste-files --bin files -- 127.0.0.1:4000 stat src/lib.rs
//! cargo run -p posthaste-files --bin files -- 127.0.0.1:4000 cat src/lib.rs
//! ```
//!
//! Nothing outside of the folder is reached, whatever a path says and whoever changes the folder meanwhile ([`Root`]). A server
//! keeps nothing of its callers but the files that it is sending.
//!
//! The limits: a path has at most 1024 octets, a listing 64 entries a call, a range 32 KiB. A file that grows while it is sent ends
//! where it ended before. Each file that is being sent takes a thread of the server, so a server has more of them than cores, and a
//! reader that reads nothing for the time of a call is given up.
//!
//! The same service answers in ONC RPC, with all but `FETCH`: there are no streams.

posthaste_rpc::interface!(pub mod files);

mod root;
mod service;

pub use root::Root;
pub use service::Files;
