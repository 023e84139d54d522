//! `posthaste ping`: how long a call takes there and back, and how many get lost.

use core::fmt;
use core::num::NonZeroU64;
use core::time::Duration;
use std::time::Instant;

use clap::Args;
use hdrhistogram::Histogram;
use posthaste_core::wire::NotExecuted as Refusal;
use posthaste_std::{CallError, Client, NotExecuted, Request, Semantics};

use crate::client::ConnectArgs;
use crate::failure::{Code, Failure};
use crate::interrupts::Interrupts;
use crate::output;
use crate::service::{PROGRAM, Procedure, VERSION};
use crate::value::{Address, Size, TimeSpan};

/// Call a server again and again, and tell how long each answer takes.
///
/// Each ping is sent once and never repeated, so that what the network loses is seen. The next one waits for the answer
/// of the one before. Ctrl-C ends it with a summary. Status 0 if there was any answer.
#[derive(Args)]
pub(crate) struct PingArgs {
    /// The server
    #[arg(value_name = "ADDR")]
    server: Address,
    /// Ends after so many [default: goes on]
    #[arg(long, value_name = "COUNT")]
    count: Option<NonZeroU64>,
    /// Octets that go there and back
    #[arg(long, value_name = "OCTETS", default_value = "56")]
    size: Size,
    /// From one ping to the next, at least
    #[arg(long, value_name = "TIME", default_value = "1s")]
    interval: TimeSpan,
    /// How long an answer may take
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = TimeSpan::parse_nonzero)]
    timeout: TimeSpan,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Pings until all are sent, or until a signal.
pub(crate) fn run(args: &PingArgs) -> Result<(), Failure> {
    let payload = args.payload()?;
    let client = args.connect.connect(&args.server)?;
    let interrupts = Interrupts::listen(Code::Unknown)?;
    let mut summary = Summary::new();
    let mut reply = Vec::new();
    while args.count.is_none_or(|count| summary.sent_count < count.get()) && !interrupts.is_raised() {
        let begin = Instant::now();
        let answered = ping(&client, &payload, args.timeout.0, &interrupts, &mut reply);
        let time = begin.elapsed();
        if interrupts.is_raised() && answered.is_err() {
            // Nobody waited for this one to the end: it is neither answered nor lost.
            break;
        }
        summary.sent_count += 1;
        let number = summary.sent_count;
        match answered {
            Ok(()) if reply == payload => {
                summary.answered(time);
                let len = reply.len();
                output::print(format_args!("{len} octets from {}: seq={number} time={}\n", args.server, Millis(time)))?;
            }
            Ok(()) => {
                return Err(Failure::new(Code::Application, "the server answered with other octets than it was sent"));
            }
            Err(error) if is_lost(&error) => {
                output::print(format_args!("no answer from {}: seq={number}: {error}\n", args.server))?;
            }
            Err(error) => return Err(error.into()),
        }
        if args.count.is_none_or(|count| number < count.get()) {
            interrupts.wait_timeout(args.interval.0.saturating_sub(begin.elapsed()));
        }
    }
    output::print(&summary)?;
    if summary.sent_count > 0 && summary.times.is_empty() {
        return Err(
            Failure::new(Code::Connect, format_args!("no answer from {}", args.server)).hint("try a longer --timeout")
        );
    }
    Ok(())
}

impl PingArgs {
    /// Returns octets of which no two neighbours are the same.
    fn payload(&self) -> Result<Vec<u8>, Failure> {
        if self.size.0 > PAYLOAD_LEN_MAX {
            return Err(Failure::new(Code::Usage, format_args!("a ping has at most {} octets", Size(PAYLOAD_LEN_MAX)))
                .hint("give --size less"));
        }
        Ok((0..self.size.0).map(|index| index as u8).collect())
    }
}

fn ping(
    client: &Client,
    payload: &[u8],
    timeout: Duration,
    interrupts: &Interrupts,
    reply: &mut Vec<u8>,
) -> Result<(), CallError> {
    let request = Request {
        semantics: Semantics::Maybe,
        timeout: Some(timeout),
        ..Request::new(PROGRAM, VERSION, Procedure::Echo as u32, payload)
    };
    interrupts.conclude(client.start(&request).map_err(CallError::Refused)?, reply)
}

/// Says whether the next ping may fare better.
fn is_lost(error: &CallError) -> bool {
    match error {
        CallError::Unknown(_) | CallError::ReplyLost => true,
        // The server never saw it, and said so when it was told that nobody waits any more.
        CallError::NotExecuted(NotExecuted::Refused(Refusal::Cancelled | Refusal::DeadlinePassed)) => true,
        CallError::NotExecuted(NotExecuted::NeverSent) => true,
        CallError::NotExecuted(_) | CallError::Application(_) | CallError::Refused(_) => false,
    }
}

/// What came of all pings.
struct Summary {
    sent_count: u64,
    /// In nanoseconds.
    times: Histogram<u64>,
    /// Exact, where the histogram rounds.
    sum: Duration,
    min: Duration,
    max: Duration,
}

impl Summary {
    fn new() -> Self {
        let times = Histogram::new(SIGNIFICANT_DIGITS).expect("a histogram has up to five digits");
        Self { sent_count: 0, times, sum: Duration::ZERO, min: Duration::MAX, max: Duration::ZERO }
    }

    fn answered(&mut self, time: Duration) {
        self.times.record(posthaste_core::time::nanos(time)).expect("the histogram grows as needed");
        self.sum += time;
        self.min = self.min.min(time);
        self.max = self.max.max(time);
    }

    fn percentile(&self, percentile: f64) -> Millis {
        Millis(Duration::from_nanos(self.times.value_at_percentile(percentile)).clamp(self.min, self.max))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sent_count, answered_count) = (self.sent_count, self.times.len());
        let lost_count = sent_count - answered_count;
        let lost_share = 100.0 * lost_count as f64 / sent_count.max(1) as f64;
        writeln!(f, "{sent_count} sent, {answered_count} answered, {lost_count} lost ({lost_share:.1}%)")?;
        if answered_count == 0 {
            return Ok(());
        }
        let average = Duration::from_secs_f64(self.sum.as_secs_f64() / answered_count as f64);
        let [p50, p90, p99] = [50.0, 90.0, 99.0].map(|percentile| self.percentile(percentile));
        let (min, average, max) = (Millis(self.min), Millis(average), Millis(self.max));
        writeln!(f, "min {min}, avg {average}, p50 {p50}, p90 {p90}, p99 {p99}, max {max}")
    }
}

/// Shows a time in milliseconds.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} ms", self.0.as_secs_f64() * 1e3)
    }
}

/// The longest request and reply that the service takes.
const PAYLOAD_LEN_MAX: u64 = 1 << 20;

/// Of each time in the histogram.
const SIGNIFICANT_DIGITS: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_tells_loss_and_times() {
        let mut summary = Summary { sent_count: 4, ..Summary::new() };
        for millis in [1, 2, 6] {
            summary.answered(Duration::from_millis(millis));
        }
        let text = summary.to_string();
        assert!(text.starts_with("4 sent, 3 answered, 1 lost (25.0%)\nmin 1.000 ms, avg 3.000 ms, p50 2.00"), "{text}");
        assert!(text.ends_with("p90 6.000 ms, p99 6.000 ms, max 6.000 ms\n"), "{text}");
    }

    #[test]
    fn a_summary_without_answers_tells_no_times() {
        let summary = Summary { sent_count: 2, ..Summary::new() };
        assert_eq!(summary.to_string(), "2 sent, 0 answered, 2 lost (100.0%)\n");
        assert_eq!(Summary::new().to_string(), "0 sent, 0 answered, 0 lost (0.0%)\n");
    }
}
