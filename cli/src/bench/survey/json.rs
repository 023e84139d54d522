//! The figures for programs. Keys are stable, carry their units, and are only ever added to.

use posthaste_udp::{Buffer, Offload};
use serde_json::{Map, Value, json};

use super::circumstances::Build;
use super::plan::INFLIGHT_COUNT;
use super::quantity::Quantity;
use super::{StageResult, Survey};
use crate::bench::baseline::{BULK_LEN, ECHO_LEN};
use crate::bench::driver::Block;
use crate::bench::stats::Estimate;

impl Survey {
    /// Returns all figures as one document.
    pub(super) fn to_json(&self) -> String {
        let circumstances = &self.circumstances;
        let report = &circumstances.report;
        let document = json!({
            "format": FORMAT,
            "posthaste_version": env!("CARGO_PKG_VERSION"),
            "build": match circumstances.build {
                Build::Release => "release",
                Build::Debug => "debug",
            },
            "machine": {
                "system": circumstances.system,
                "architecture": std::env::consts::ARCH,
                "core_count": circumstances.core_count,
                "client_core": circumstances.cores.map(|cores| cores.client),
                "server_core": circumstances.cores.map(|cores| cores.server),
            },
            "socket": {
                "recv_buffer": buffer(report.recv_buffer),
                "send_buffer": buffer(report.send_buffer),
                "gso": offload(report.gso),
                "gro": offload(report.gro),
                "ecn": offload(report.ecn),
            },
            "asked": {
                "block_count": self.block_count,
                "block_s": self.block_len.0.as_secs_f64(),
                "call_octets": ECHO_LEN,
                "inflight_count": INFLIGHT_COUNT,
                "bulk_message_octets": BULK_LEN,
            },
            "doubts": self.doubts(),
            "stages": self.results.iter().map(stage).collect::<Vec<Value>>(),
        });
        format!("{document:#}\n")
    }
}

fn stage(result: &StageResult) -> Value {
    let contestants = result.stage.contestants.iter().enumerate().map(|(index, contestant)| {
        let blocks = &result.blocks[index];
        json!({
            "name": contestant.name,
            "ratio": result.ratio(index).map(estimate),
            "estimates": by_key(result.stage.quantities, |quantity| quantity.of_all(blocks).map(|values| estimate(Estimate::of(&values)))),
            "blocks": blocks.iter().map(|block| self::block(result.stage.quantities, block)).collect::<Vec<Value>>(),
        })
    });
    json!({
        "key": result.stage.key,
        "title": result.stage.title,
        "ratio_of": result.stage.quantities.first().map(|quantity| quantity.key),
        "ratio_to": result.stage.contestants.first().map(|contestant| contestant.name.as_str()),
        "contestants": contestants.collect::<Vec<Value>>(),
    })
}

fn block(quantities: &[Quantity], block: &Block) -> Value {
    by_key(quantities, |quantity| (quantity.of)(block).map(Value::from))
}

/// Collects what `value` knows of each quantity; what it does not know is null.
fn by_key(quantities: &[Quantity], value: impl Fn(&Quantity) -> Option<Value>) -> Value {
    let entry = |quantity: &Quantity| (quantity.key.to_owned(), value(quantity).unwrap_or(Value::Null));
    Value::Object(quantities.iter().map(entry).collect::<Map<String, Value>>())
}

fn estimate(Estimate { low, median, high }: Estimate) -> Value {
    json!({ "low": low, "median": median, "high": high })
}

fn buffer(Buffer { asked_len, granted_len }: Buffer) -> Value {
    json!({ "asked_octets": asked_len, "granted_octets": granted_len })
}

fn offload(offload: Offload) -> Value {
    match offload {
        Offload::On => json!({ "on": true }),
        Offload::Off(_) => json!({ "on": false, "reason": offload.to_string() }),
    }
}

/// Counts changes that a reader could notice other than by keys added.
const FORMAT: u32 = 1;
