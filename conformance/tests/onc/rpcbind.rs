//! Debian's `rpcbind`, asked and changed by the stubs of an interface file of our own.

use core::net::SocketAddr;

use posthaste_foreign::{Rpcbind, Who, in_a_network_of_its_own};
use posthaste_rpc::xdr::Bounded;
use posthaste_rpc::{AsyncCaller, Caller};
use posthaste_std::onc::{ClientConfig, Transport, portmap};

use self::rpcbind::{Mapping, Registration, Text, pmap_v2, rpcb_v3, rpcb_v4};
use super::BOTH;
use super::drivers::{Client, DRIVERS};

posthaste_rpc::interface!(mod rpcbind);

#[test]
fn rpcbind_is_asked_and_changed_by_stubs_of_all_versions() {
    // It gives up its rights, which only the real root can.
    in_a_network_of_its_own("rpcbind::rpcbind_is_asked_and_changed_by_stubs_of_all_versions", Who::Root, || {
        let _rpcbind = Rpcbind::start();
        for driver in DRIVERS {
            for transport in BOTH {
                let place = &*format!("{} {transport}", driver.name);
                match (driver.connect)(PORTMAPPER, transport, ClientConfig::default()) {
                    Client::Blocking(caller) => {
                        change_v2(&caller, transport, place);
                        change_v3(&caller, transport, place);
                        change_v4(&caller, transport, place);
                        ask_v4(&caller, transport, place);
                    }
                    Client::Awaited(caller) => smol::block_on(async {
                        change_v2_async(&caller, transport, place).await;
                        change_v3_async(&caller, transport, place).await;
                        change_v4_async(&caller, transport, place).await;
                        ask_v4_async(&caller, transport, place).await;
                    }),
                }
            }
        }
    });
}

/// Makes of one text a function for stubs of version 2 that return and one for those that are awaited.
macro_rules! change_mapping {
    ($name:ident, $caller:ident, $client:ident $(, $async:tt, $await:tt)?) => {
        /// Registers a port, finds it, and removes it.
        $($async)? fn $name(caller: &impl $caller, transport: Transport, place: &str) {
            let client = pmap_v2::$client::new(caller);
            client.null()$(.$await)?.unwrap();
            let protocol = if transport == Transport::Udp { 17 } else { 6 };
            let mapping = Mapping { program: PROGRAM, version: 1, protocol, port: 4000 };
            assert_eq!(client.getport(&mapping)$(.$await)?.unwrap(), 0, "{place}");
            assert!(client.set(&mapping)$(.$await)?.unwrap(), "{place}");
            assert_eq!(client.getport(&mapping)$(.$await)?.unwrap(), 4000, "{place}");
            let known = client.dump()$(.$await)?.unwrap();
            assert!(known.iter().any(|item| item.mapping == mapping), "{place}: {known:?}");
            assert!(client.unset(&mapping)$(.$await)?.unwrap(), "{place}");
            assert_eq!(client.getport(&mapping)$(.$await)?.unwrap(), 0, "{place}");
            let known = client.dump()$(.$await)?.unwrap();
            assert!(!known.is_empty() && known.iter().all(|item| item.mapping != mapping), "{place}: {known:?}");
        }
    };
}

/// As [`change_mapping`], for versions 3 and 4.
macro_rules! change_registration {
    ($name:ident, $version:ident, $caller:ident, $client:ident $(, $async:tt, $await:tt)?) => {
        /// Registers an address, finds it, and removes it.
        $($async)? fn $name(caller: &impl $caller, transport: Transport, place: &str) {
            let client = $version::$client::new(caller);
            client.null()$(.$await)?.unwrap();
            assert_ne!(client.gettime()$(.$await)?.unwrap(), 0, "{place}");
            let (registration, wanted) = (registration(transport, "0.0.0.0.15.160"), registration(transport, ""));
            let is_it = |other: &Registration| (other.program, &other.netid, &other.address) == (PROGRAM, &registration.netid, &registration.address);
            assert_eq!(*client.getaddr(&wanted)$(.$await)?.unwrap(), "", "{place}");
            assert!(client.set(&registration)$(.$await)?.unwrap(), "{place}");
            assert_eq!(*client.getaddr(&wanted)$(.$await)?.unwrap(), "127.0.0.1.15.160", "{place}");
            let known = client.dump()$(.$await)?.unwrap();
            assert!(known.iter().any(|item| is_it(&item.registration)), "{place}: {known:?}");
            assert!(client.unset(&wanted)$(.$await)?.unwrap(), "{place}");
            assert_eq!(*client.getaddr(&wanted)$(.$await)?.unwrap(), "", "{place}");
            let known = client.dump()$(.$await)?.unwrap();
            assert!(!known.is_empty() && !known.iter().any(|item| is_it(&item.registration)), "{place}: {known:?}");
        }
    };
}

/// As [`change_mapping`], for what only version 4 has.
macro_rules! ask_more {
    ($name:ident, $caller:ident, $client:ident $(, $async:tt, $await:tt)?) => {
        /// Asks for what is registered of one version, and for all its addresses.
        $($async)? fn $name(caller: &impl $caller, transport: Transport, place: &str) {
            let client = rpcb_v4::$client::new(caller);
            let wanted = registration(transport, "");
            assert!(client.set(&registration(transport, "0.0.0.0.15.160"))$(.$await)?.unwrap(), "{place}");
            assert_eq!(*client.getversaddr(&wanted)$(.$await)?.unwrap(), "127.0.0.1.15.160", "{place}");
            let other = Registration { version: 2, ..wanted.clone() };
            assert_eq!(*client.getversaddr(&other)$(.$await)?.unwrap(), "", "{place}");
            let entries = client.getaddrlist(&wanted)$(.$await)?.unwrap();
            let entry = entries.iter().map(|item| &item.entry).find(|entry| entry.netid == wanted.netid);
            let entry = entry.unwrap_or_else(|| panic!("{place}: {entries:?}"));
            assert_eq!((&entry.family, &entry.protocol), (&text("inet"), &wanted.netid), "{place}");
            assert!(client.unset(&wanted)$(.$await)?.unwrap(), "{place}");
        }
    };
}

change_mapping!(change_v2, Caller, Client);
change_mapping!(change_v2_async, AsyncCaller, AsyncClient, async, await);
change_registration!(change_v3, rpcb_v3, Caller, Client);
change_registration!(change_v3_async, rpcb_v3, AsyncCaller, AsyncClient, async, await);
change_registration!(change_v4, rpcb_v4, Caller, Client);
change_registration!(change_v4_async, rpcb_v4, AsyncCaller, AsyncClient, async, await);
ask_more!(ask_v4, Caller, Client);
ask_more!(ask_v4_async, AsyncCaller, AsyncClient, async, await);

fn registration(transport: Transport, address: &str) -> Registration {
    Registration {
        program: PROGRAM,
        version: 1,
        netid: text(&transport.to_string()),
        address: text(address),
        owner: text(""),
    }
}

fn text(text: &str) -> Text {
    Bounded(text.into())
}

const PORTMAPPER: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), portmap::PORT);
const PROGRAM: u32 = 0x2000_0042;
