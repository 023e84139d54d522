//! Every adapter as client against every adapter as server.

use posthaste_conformance::blocking::{BlockingClient, BlockingServer};
use posthaste_conformance::readiness::{MioClient, MioServer};
use posthaste_conformance::smol_driven::{SmolClient, SmolServer};

macro_rules! pair {
    ($name:ident, $client:ty, $server:ty) => {
        mod $name {
            use super::*;
            pair!($client, $server: calls_of_every_size_are_answered, calls_go_over_ipv6,
                many_calls_in_flight_get_their_own_replies, an_application_error_comes_with_its_octets,
                refusals_name_their_reason, a_deadline_and_a_panic_leave_the_outcome_unknown,
                a_cancelled_call_reaches_its_handler, one_way_calls_are_executed_once,
                messages_arrive_once_and_in_order, messages_wait_for_room, streams_go_both_ways,
                a_call_carries_streams_both_ways, a_handler_that_wants_no_streams_ends_them,
                a_refused_call_ends_its_streams, the_server_calls_its_client,
                a_server_that_stops_leaves_the_outcome_unknown, a_server_that_shuts_down_answers_first, a_flood_of_empty_datagrams_delays_no_call,
                a_large_stream_survives_a_lossy_network);
        }
    };
    ($client:ty, $server:ty: $($scenario:ident),*) => {
        $(
            #[test]
            fn $scenario() {
                posthaste_conformance::scenarios::$scenario::<$client, $server>();
            }
        )*
    };
}

pair!(std_calls_std, BlockingClient, BlockingServer);
pair!(std_calls_mio, BlockingClient, MioServer);
pair!(std_calls_smol, BlockingClient, SmolServer);
pair!(mio_calls_std, MioClient, BlockingServer);
pair!(mio_calls_mio, MioClient, MioServer);
pair!(mio_calls_smol, MioClient, SmolServer);
pair!(smol_calls_std, SmolClient, BlockingServer);
pair!(smol_calls_mio, SmolClient, MioServer);
pair!(smol_calls_smol, SmolClient, SmolServer);
