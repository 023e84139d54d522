//! Opens and tunes UDP sockets for every adapter.
