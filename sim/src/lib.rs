//! A deterministic network for Posthaste endpoints.
