// SPDX-License-Identifier: Apache-2.0
//! Metrics that are sent to a collector, and what is told when it does not take them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

use it::{Node, Pair};

use crate::packages;

/// Takes one request, and answers it with a status.
fn receive(collector: &TcpListener, status: &str) -> (String, serde_json::Value) {
    let (stream, _) = collector.accept().unwrap();
    let mut reader = BufReader::new(&stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line.trim_end().to_lowercase()
    };
    let request = line();
    let head: Vec<String> = std::iter::from_fn(|| Some(line()).filter(|line| !line.is_empty())).collect();
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert!(head.contains(&"content-type: application/json".to_owned()), "{head:?}");
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
    (&stream).write_all(answer.as_bytes()).unwrap();
    (request, serde_json::from_slice(&body).unwrap())
}

#[test]
fn metrics_are_sent_and_trouble_is_told_once() {
    let pair = Pair::new().unwrap();
    let mut node = Node::start(&pair.right, &packages().policy()).unwrap();
    node.apply(&packages().document("right0", &["sanity"])).unwrap().success().unwrap();
    let collector = pair.right.inside(|| TcpListener::bind("127.0.0.1:0")).unwrap().unwrap();
    let port = collector.local_addr().unwrap().port();
    node.settings = format!("[otlp]\nendpoint = \"http://127.0.0.1:{port}\"\nseconds = 1\n");
    node.restart().unwrap();
    let (request, sent) = receive(&collector, "200 OK");
    assert_eq!(request, "post /v1/metrics http/1.1");
    let metrics = sent["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().unwrap().clone();
    let named = |name: &str| metrics.iter().find(|metric| metric["name"] == name).unwrap();
    assert_eq!(named("l3af_generation")["gauge"]["dataPoints"][0]["asInt"], "1");
    let seen = &named("l3af_member_seen_packets")["sum"];
    assert_eq!(seen["dataPoints"][0]["attributes"][2]["value"]["stringValue"], "sanity");

    for _ in 0..3 {
        receive(&collector, "503 Service Unavailable");
    }
    receive(&collector, "200 OK");
    node.wait("the end of the trouble is told", || node.log().contains("metrics are collected again"));
    assert_eq!(node.log().matches("metrics are not collected: ").count(), 1, "{}", node.log());
    assert!(node.log().contains("refuses with 503"), "{}", node.log());
}
