// SPDX-License-Identifier: Apache-2.0
//! Keeps other sites from acting for whoever is logged in here: what a browser sends for a page of another site, and would
//! change something, is refused. Programs send none of these headers and are not concerned.

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::answer::{problem, refuse};

/// Refuses what comes from another site.
pub(crate) async fn same_origin(request: Request, next: Next) -> Response {
    if !is_read(request.method()) && is_foreign(request.headers()) {
        let title = "this comes from a page of another site".to_owned();
        let hint = "do it on the pages of the hub itself".to_owned();
        return refuse(&problem(StatusCode::FORBIDDEN, "origin", title, hint));
    }
    next.run(request).await
}

fn is_read(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

/// What browsers say of the page (Fetch metadata; older ones: RFC 6454). Whoever shows a token does not act by a cookie.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if headers.contains_key(header::AUTHORIZATION) {
        return false;
    }
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => !["same-origin", "none"].contains(&site),
        (None, Some(origin)) => origin.split_once("://").map(|(_, host)| host) != text("host"),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_hub_act_for_who_is_logged_in() {
        for (said, foreign) in [
            (&[][..], false),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "same-site"), ("origin", "https://hub.example")], true),
            (&[("origin", "https://hub.example"), ("host", "hub.example")], false),
            (&[("origin", "https://evil.example"), ("host", "hub.example")], true),
            (&[("origin", "null"), ("host", "hub.example")], true),
            (&[("origin", "https://evil.example"), ("authorization", "Bearer a")], false),
        ] {
            let header = |(name, value): &(&'static str, &'static str)| {
                (name.parse().unwrap(), value.parse().unwrap())
            };
            let headers: HeaderMap = said.iter().map(header).collect();
            assert_eq!(is_foreign(&headers), foreign, "{said:?}");
        }
    }
}
