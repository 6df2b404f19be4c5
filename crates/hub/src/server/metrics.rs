// SPDX-License-Identifier: Apache-2.0
//! How many requests were answered, how, and how many are being answered, as `OpenMetrics` text (1.0) at `/metrics`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::mirrors::Tally;

/// The upper bounds of the histogram, in milliseconds.
const BOUNDS_MS: [u64; 8] = [1, 5, 10, 50, 100, 500, 1000, 10_000];
/// What requests are counted apart by.
const KINDS: [&str; 2] = ["read", "change"];

/// What is counted.
#[derive(Default)]
pub(super) struct Metrics {
    in_flight: AtomicI64,
    /// By kind, and by the hundreds of the status.
    requests: [[AtomicU64; 5]; 2],
    /// By kind, and by the first bound that is not exceeded.
    durations: [[AtomicU64; BOUNDS_MS.len() + 1]; 2],
    /// By kind, in microseconds.
    spent: [AtomicU64; 2],
    mirrors: Arc<Tally>,
}

/// A request that is being answered.
struct InFlight<'a>(&'a AtomicI64);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts a request, up to the first byte of its answer.
pub(super) async fn counted(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let is_read = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    let (kind, begin) = (usize::from(!is_read), Instant::now());
    metrics.in_flight.fetch_add(1, Ordering::Relaxed);
    let in_flight = InFlight(&metrics.in_flight);
    let response = next.run(request).await;
    drop(in_flight);
    metrics.count(
        kind,
        response.status().as_u16(),
        u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX),
    );
    response
}

/// What was counted so far.
pub(super) async fn metrics(State(metrics): State<Arc<Metrics>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics.text()).into_response()
}

impl Metrics {
    /// With what mirrors count themselves.
    pub(super) fn with(mirrors: Arc<Tally>) -> Self {
        Self { mirrors, ..Self::default() }
    }

    fn count(&self, kind: usize, status: u16, micros: u64) {
        let hundreds = usize::from(status / 100).clamp(1, 5) - 1;
        self.requests[kind][hundreds].fetch_add(1, Ordering::Relaxed);
        let bound = BOUNDS_MS.partition_point(|bound| bound * 1000 < micros);
        self.durations[kind][bound].fetch_add(1, Ordering::Relaxed);
        self.spent[kind].fetch_add(micros, Ordering::Relaxed);
    }

    fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("a text takes whatever is written");
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "# TYPE l3af_hub_requests counter")?;
        writeln!(text, "# HELP l3af_hub_requests Requests that were answered.")?;
        for (kind, counts) in KINDS.iter().zip(&self.requests) {
            for (hundreds, count) in (1..).zip(counts) {
                let count = count.load(Ordering::Relaxed);
                writeln!(text, "l3af_hub_requests_total{{kind=\"{kind}\",status=\"{hundreds}xx\"}} {count}")?;
            }
        }
        writeln!(text, "# TYPE l3af_hub_request_duration_seconds histogram")?;
        writeln!(text, "# UNIT l3af_hub_request_duration_seconds seconds")?;
        writeln!(text, "# HELP l3af_hub_request_duration_seconds Until the answer began.")?;
        for (at, kind) in KINDS.iter().enumerate() {
            self.write_durations(text, at, kind)?;
        }
        writeln!(text, "# TYPE l3af_hub_requests_in_flight gauge")?;
        writeln!(text, "# HELP l3af_hub_requests_in_flight Requests whose answer did not begin yet.")?;
        writeln!(text, "l3af_hub_requests_in_flight {}", self.in_flight.load(Ordering::Relaxed))?;
        self.mirrors.write(text)?;
        writeln!(text, "# EOF")
    }

    fn write_durations(&self, text: &mut String, at: usize, kind: &str) -> std::fmt::Result {
        let name = "l3af_hub_request_duration_seconds";
        let mut sum = 0;
        for (place, count) in self.durations[at].iter().enumerate() {
            sum += count.load(Ordering::Relaxed);
            match BOUNDS_MS.get(place) {
                Some(bound) => {
                    let (seconds, rest) = (bound / 1000, bound % 1000);
                    writeln!(text, "{name}_bucket{{kind=\"{kind}\",le=\"{seconds}.{rest:03}\"}} {sum}")?;
                }
                None => writeln!(text, "{name}_bucket{{kind=\"{kind}\",le=\"+Inf\"}} {sum}")?,
            }
        }
        let spent = self.spent[at].load(Ordering::Relaxed);
        writeln!(text, "{name}_count{{kind=\"{kind}\"}} {sum}")?;
        writeln!(text, "{name}_sum{{kind=\"{kind}\"}} {}.{:06}", spent / 1_000_000, spent % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_told_by_kind_status_and_duration() {
        let metrics = Metrics::default();
        metrics.count(0, 200, 1000);
        metrics.count(0, 404, 1001);
        metrics.count(1, 503, 20_000_000);
        let text = metrics.text();
        for line in [
            "l3af_hub_requests_total{kind=\"read\",status=\"2xx\"} 1",
            "l3af_hub_requests_total{kind=\"change\",status=\"5xx\"} 1",
            "l3af_hub_request_duration_seconds_bucket{kind=\"read\",le=\"0.001\"} 1",
            "l3af_hub_request_duration_seconds_bucket{kind=\"read\",le=\"0.005\"} 2",
            "l3af_hub_request_duration_seconds_bucket{kind=\"change\",le=\"10.000\"} 0",
            "l3af_hub_request_duration_seconds_bucket{kind=\"change\",le=\"+Inf\"} 1",
            "l3af_hub_request_duration_seconds_sum{kind=\"read\"} 0.002001",
            "l3af_hub_request_duration_seconds_sum{kind=\"change\"} 20.000000",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
