// SPDX-License-Identifier: Apache-2.0
//! What the API of l3afd v1 is, for programs and for people, where l3afd v1 has it: at `/swagger`.

use askama::Template;
use axum::Router;
use axum::http::header;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use serde_json::Value;
use utoipa::{OpenApi, ToSchema};
use wire::l3afd::Program;

use super::api::{self, Old};

const STYLE: &str = include_str!("../../templates/page.css");

/// What is said of the programs of one interface.
#[derive(ToSchema)]
#[schema(as = L3afBPFPrograms)]
#[expect(dead_code, reason = "it stands for `wire::l3afd::Entry`, whose parameter no description has")]
pub(super) struct Payload {
    /// The host that it is for.
    host_name: String,
    /// The interface.
    iface: String,
    /// Its address; a label of metrics.
    ipv4_address: String,
    /// Its programs.
    bpf_programs: Option<Lists>,
}

/// The programs of one interface, by direction.
#[derive(ToSchema)]
#[schema(as = BPFPrograms)]
#[expect(dead_code, reason = "it stands for `wire::l3afd::Lists`")]
struct Lists {
    /// Those at XDP.
    xdp_ingress: Option<Vec<Program>>,
    /// Those at TC ingress.
    tc_ingress: Option<Vec<Program>>,
    /// Those at TC egress.
    tc_egress: Option<Vec<Program>>,
    /// Probes of the whole node.
    probes: Option<Vec<Program>>,
}

/// The names of programs of one interface.
#[derive(ToSchema)]
#[schema(as = L3afBPFProgramNames)]
#[expect(dead_code, reason = "it stands for `wire::l3afd::Entry`, whose parameter no description has")]
pub(super) struct Names {
    /// The host that it is for.
    host_name: String,
    /// The interface.
    iface: String,
    /// Its address; a label of metrics.
    ipv4_address: String,
    /// The names.
    bpf_programs: Option<NameLists>,
}

/// The names of programs of one interface, by direction.
#[derive(ToSchema)]
#[schema(as = BPFProgramNames)]
#[expect(dead_code, reason = "it stands for `wire::l3afd::Lists`")]
struct NameLists {
    /// Those at XDP.
    xdp_ingress: Option<Vec<String>>,
    /// Those at TC ingress.
    tc_ingress: Option<Vec<String>>,
    /// Those at TC egress.
    tc_egress: Option<Vec<String>>,
    /// Probes of the whole node.
    probes: Option<Vec<String>>,
}

/// The calls.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "L3AFD APIs",
        version = "1.0",
        description = "The API of l3afd v1, as this daemon serves it"
    ),
    paths(api::update, api::add, api::delete, api::all, api::one, api::restart),
    components(schemas(Program))
)]
struct Description;

pub(super) fn routes() -> Router<Old> {
    Router::new()
        .route("/swagger", get(|| async { Redirect::permanent("/swagger/index.html") }))
        .route("/swagger/", get(|| async { Redirect::permanent("/swagger/index.html") }))
        .route("/swagger/doc.json", get(|| async { axum::Json(Description::openapi()) }))
        .route("/swagger/index.html", get(page))
}

#[derive(Template)]
#[template(path = "swagger.html")]
struct Page {
    style: &'static str,
    calls: Vec<Call>,
    schemas: Vec<Schema>,
}

struct Call {
    method: String,
    path: String,
    what: String,
    body: String,
}

struct Schema {
    name: String,
    what: String,
    /// Name, type and what it is for.
    fields: Vec<[String; 3]>,
}

async fn page() -> Response {
    let description = serde_json::to_value(Description::openapi()).unwrap_or_default();
    let page = Page { style: STYLE, calls: calls(&description), schemas: schemas(&description) };
    let html = page.render().expect("all that the page holds can be written");
    ([(header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'")], Html(html))
        .into_response()
}

fn calls(description: &Value) -> Vec<Call> {
    let paths = description["paths"].as_object().into_iter().flatten();
    let calls = paths.flat_map(|(path, methods)| {
        methods.as_object().into_iter().flatten().map(move |(method, call)| Call {
            method: method.to_uppercase(),
            path: path.clone(),
            what: text(&call["summary"]),
            body: kind(&call["requestBody"]["content"]["application/json"]["schema"]),
        })
    });
    calls.collect()
}

fn schemas(description: &Value) -> Vec<Schema> {
    let schemas = description["components"]["schemas"].as_object().into_iter().flatten();
    let told = schemas.map(|(name, schema)| {
        let fields = schema["properties"].as_object().into_iter().flatten();
        let fields = fields.map(|(name, field)| [name.clone(), kind(field), text(&field["description"])]);
        Schema { name: name.clone(), what: text(&schema["description"]), fields: fields.collect() }
    });
    told.collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A type in words (JSON Schema 2020-12).
fn kind(schema: &Value) -> String {
    if let Some(place) = schema["$ref"].as_str() {
        return place.rsplit('/').next().unwrap_or_default().to_owned();
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let kinds: Vec<String> = choices.iter().map(kind).filter(|kind| kind != "null").collect();
        return kinds.join(" or ");
    }
    let named = schema["type"].as_str().or_else(|| {
        schema["type"].as_array().into_iter().flatten().filter_map(Value::as_str).find(|kind| *kind != "null")
    });
    match named {
        Some("array") => format!("list of {}", kind(&schema["items"])),
        other => other.unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_and_every_field_is_told() {
        let description = serde_json::to_value(Description::openapi()).unwrap();
        let told: Vec<String> = calls(&description)
            .iter()
            .map(|call| format!("{} {} {}", call.method, call.path, call.body).trim_end().to_owned())
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        GET /l3af/configs/{version}
        POST /l3af/configs/{version}/add list of L3afBPFPrograms
        POST /l3af/configs/{version}/delete list of L3afBPFProgramNames
        PUT /l3af/configs/{version}/restart Restart
        POST /l3af/configs/{version}/update list of L3afBPFPrograms
        GET /l3af/configs/{version}/{iface}
        ");
        let schemas = schemas(&description);
        let program = schemas.iter().find(|schema| schema.name == "L3afdProgram").unwrap();
        // As many as a program has in a payload.
        let fields = serde_json::to_value(Program::default()).unwrap();
        assert_eq!(program.fields.len(), fields.as_object().unwrap().len());
        assert!(program.fields.iter().all(|[_, kind, what]| !kind.is_empty() && !what.is_empty()));
        for entry in schemas.iter().flat_map(|schema| &schema.fields) {
            assert!(!entry[1].is_empty(), "{entry:?}");
        }
    }
}
