//! ONC RPC by every adapter, with generated stubs on our side, and on the other what nobody here wrote.
#![cfg(unix)]

mod copies;
mod drivers;
mod rpcbind;
mod rpcgen;

use posthaste_std::onc::Transport;

posthaste_rpc::interface!(mod calc);

const BOTH: [Transport; 2] = [Transport::Udp, Transport::Tcp];
