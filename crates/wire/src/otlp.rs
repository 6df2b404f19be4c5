// SPDX-License-Identifier: Apache-2.0
//! Metrics for a collector of `OpenTelemetry`: OTLP 1.x over HTTP, in the JSON encoding of its protobuf messages
//! (`opentelemetry.proto.collector.metrics.v1`), which every collector takes as well as the binary one.

use std::time::Duration;

use reqwest::{Client, StatusCode, Url};
use serde_json::{Value, json};
use thiserror::Error;

/// How long a collector may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whoever collects metrics.
#[derive(Debug, Clone)]
pub struct Collector {
    http: Client,
    url: Url,
}

/// Something that is measured, with all its points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// What it is, in words.
    pub description: String,
    /// Its unit, as UCUM spells it.
    pub unit: &'static str,
    /// Whether it only rises, and is not just a number.
    pub is_sum: bool,
    /// Its values, each with its attributes.
    pub points: Vec<(Vec<(String, String)>, u64)>,
}

/// A text is no endpoint of a collector.
#[derive(Debug, Error)]
pub enum BadEndpoint {
    /// It is no URL.
    #[error("`{given}` is not a URL such as `http://collector:4318`")]
    NoUrl {
        /// What was given.
        given: String,
        /// What is wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It is one of something else.
    #[error("`{given}` is not a URL of HTTP")]
    NotHttp {
        /// What was given.
        given: String,
    },
    /// HTTP cannot be spoken.
    #[error("HTTP cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// A collector did not take what was sent.
#[derive(Debug, Error)]
pub enum Uncollected {
    /// It gave no answer.
    #[error("the collector `{url}` gives no answer: {why}")]
    Silent {
        /// Where it should be.
        url: Url,
        /// What happened.
        why: String,
    },
    /// It refused.
    #[error("the collector `{url}` refuses with {status}")]
    Refused {
        /// Where it is.
        url: Url,
        /// The status of its answer.
        status: StatusCode,
    },
    /// It took a part.
    #[error("the collector `{url}` took all but {points} points: {why}")]
    Partly {
        /// Where it is.
        url: Url,
        /// How many it did not take.
        points: u64,
        /// What it says.
        why: String,
    },
}

impl Collector {
    /// A collector at an endpoint as `OTEL_EXPORTER_OTLP_ENDPOINT` has it: what is sent goes to `v1/metrics` below it. Nothing is sent
    /// yet.
    ///
    /// # Errors
    /// When the endpoint is no URL of HTTP.
    pub fn new(endpoint: &str) -> Result<Self, BadEndpoint> {
        let given = || endpoint.to_owned();
        let read = |text: &str| -> Result<Url, BadEndpoint> {
            text.parse().map_err(|source| BadEndpoint::NoUrl { given: given(), source: Box::new(source) })
        };
        if !["http", "https"].contains(&read(endpoint)?.scheme()) {
            return Err(BadEndpoint::NotHttp { given: given() });
        }
        let url = read(&format!("{}/v1/metrics", endpoint.trim_end_matches('/')))?;
        let http = Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build();
        Ok(Self { http: http.map_err(BadEndpoint::Client)?, url })
    }

    /// Sends what was measured at a time, in nanoseconds since 1970. `resource` says who did.
    ///
    /// # Errors
    /// When the collector does not answer or does not take all of it.
    pub async fn send(
        &self,
        resource: &[(String, String)],
        measured: &[Measured],
        at_ns: u64,
    ) -> Result<(), Uncollected> {
        let url = || self.shown();
        let silent =
            |error: reqwest::Error| Uncollected::Silent { url: url(), why: crate::client::deepest(&error) };
        let request = self.http.post(self.url.clone()).json(&payload(resource, measured, at_ns));
        let response = request.send().await.map_err(silent)?;
        let status = response.status();
        if !status.is_success() {
            return Err(Uncollected::Refused { url: url(), status });
        }
        // What some answer with says nothing more than that they took it.
        let answer: Value = response.json().await.unwrap_or_default();
        let partly = &answer["partialSuccess"];
        // Numbers of 64 bits are texts there.
        let points = &partly["rejectedDataPoints"];
        let points = points.as_u64().or_else(|| points.as_str()?.parse().ok()).unwrap_or_default();
        if points == 0 {
            return Ok(());
        }
        let why = partly["errorMessage"].as_str().unwrap_or_default().to_owned();
        Err(Uncollected::Partly { url: url(), points, why })
    }

    /// Where it is, without what it lets one in with.
    fn shown(&self) -> Url {
        let mut url = self.url.clone();
        // A URL of HTTP can do without either.
        let _done = (url.set_password(None), url.set_username(""));
        url
    }
}

/// `ExportMetricsServiceRequest`.
fn payload(resource: &[(String, String)], measured: &[Measured], at_ns: u64) -> Value {
    let metrics = measured.iter().filter(|measured| !measured.points.is_empty());
    let metrics: Vec<Value> = metrics.map(|measured| metric(measured, at_ns)).collect();
    let scope = json!({ "name": "l3afd", "version": env!("CARGO_PKG_VERSION") });
    json!({ "resourceMetrics": [{
        "resource": { "attributes": attributes(resource) },
        "scopeMetrics": [{ "scope": scope, "metrics": metrics }],
    }] })
}

fn metric(measured: &Measured, at_ns: u64) -> Value {
    /// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
    const CUMULATIVE: u8 = 2;
    let Measured { name, description, unit, is_sum, points } = measured;
    let point = |(labels, value): &(Vec<(String, String)>, u64)| {
        // `asInt` has a sign, and no counter comes near.
        json!({ "attributes": attributes(labels), "timeUnixNano": at_ns.to_string(), "asInt": value.to_string() })
    };
    let points: Vec<Value> = points.iter().map(point).collect();
    let mut metric = json!({ "name": name, "description": description, "unit": unit });
    if *is_sum {
        metric["sum"] =
            json!({ "dataPoints": points, "aggregationTemporality": CUMULATIVE, "isMonotonic": true });
    } else {
        metric["gauge"] = json!({ "dataPoints": points });
    }
    metric
}

fn attributes(pairs: &[(String, String)]) -> Vec<Value> {
    pairs.iter().map(|(key, value)| json!({ "key": key, "value": { "stringValue": value } })).collect()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Text;
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;

    use super::*;

    #[test]
    fn others_read_what_is_sent() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let measured = |name: &str, is_sum, points| Measured {
            name: name.to_owned(),
            description: "Words".to_owned(),
            unit: "By",
            is_sum,
            points,
        };
        let seen = vec![(vec![pair("member", "a\"b")], u64::try_from(i64::MAX).unwrap()), (Vec::new(), 0)];
        let all = [
            measured("seen", true, seen),
            measured("size", false, vec![(Vec::new(), 7)]),
            measured("none", true, Vec::new()),
        ];
        let sent = payload(&[pair("service.name", "l3afd")], &all, 1_893_456_000_000_000_001);
        let read: ExportMetricsServiceRequest = serde_json::from_value(sent).unwrap();
        let resource = &read.resource_metrics[0];
        assert_eq!(resource.resource.as_ref().unwrap().attributes[0].key, "service.name");
        let metrics = &resource.scope_metrics[0].metrics;
        let Some(Data::Sum(sum)) = &metrics[0].data else { panic!("{metrics:?}") };
        assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
        let point = &sum.data_points[0];
        assert_eq!(
            (point.time_unix_nano, point.value),
            (1_893_456_000_000_000_001, Some(Number::AsInt(i64::MAX)))
        );
        let label = point.attributes[0].value.clone().unwrap().value.unwrap();
        assert_eq!(label, Text::StringValue("a\"b".to_owned()));
        let Some(Data::Gauge(gauge)) = &metrics[1].data else { panic!("{metrics:?}") };
        assert_eq!((gauge.data_points[0].value, metrics[1].unit.as_str()), (Some(Number::AsInt(7)), "By"));
        assert_eq!(metrics.len(), 2);
    }

    #[test]
    fn an_endpoint_is_a_url_of_http() {
        let url = |endpoint: &str| Collector::new(endpoint).map(|collector| collector.url.to_string());
        assert_eq!(url("http://collector:4318/").unwrap(), "http://collector:4318/v1/metrics");
        assert_eq!(url("https://example.org/otlp").unwrap(), "https://example.org/otlp/v1/metrics");
        let secret = Collector::new("http://name:secret@collector").unwrap();
        assert_eq!(secret.shown().as_str(), "http://collector/v1/metrics");
        for bad in ["collector:4318", "", "ftp://collector", "http://"] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }
}
