// SPDX-License-Identifier: Apache-2.0
//! Logging in: by a password, by a token, and never where others can read it.

use wire::{Credentials, RegistryError};

use crate::memory::package;
use crate::server::{Answer, Request, Server};
use crate::{client, client_with, told, wait};

/// The login `anna`, `sesame` for a server.
fn credentials(server: &Server) -> Credentials {
    let host = server.reference("a").repository.host().to_owned();
    Credentials::parse(&format!(r#"{{"auths": {{"{host}": {{"auth": "YW5uYTpzZXNhbWU="}}}}}}"#)).unwrap()
}

/// A server that wants to be shown this before it gives the index of a package.
fn guarded(by: &'static str, challenge: impl Fn(&Request) -> String + Send + Sync + 'static) -> Server {
    let (heap, index) = package();
    Server::start(move |request| {
        let shown = request.headers.get("authorization").map(String::as_str);
        if request.path.starts_with("/token?") {
            let is_anna = shown == Some("Basic YW5uYTpzZXNhbWU=");
            return if is_anna { Answer::ok(r#"{"token": "open"}"#) } else { Answer::status(401) };
        }
        if shown == Some(by) {
            return Answer::ok(heap.0[&index.digest].clone());
        }
        Answer::Whole(401, vec![("WWW-Authenticate", challenge(request))], Vec::new())
    })
}

fn resolve(server: &Server, credentials: Credentials) -> Result<package::Digest, RegistryError> {
    wait(client_with(credentials).resolve(&server.reference("a:1")))
}

#[test]
fn a_password_is_shown_when_the_registry_asks_for_it() {
    let server = guarded("Basic YW5uYTpzZXNhbWU=", |_| "Basic realm=\"here\"".to_owned());
    assert!(resolve(&server, credentials(&server)).is_ok());
    let error = wait(client().resolve(&server.reference("a:1"))).unwrap_err();
    insta::assert_snapshot!(told(&server, &error), @"
    the registry of `HOST/a` asks for a login
    hint: log in with `skopeo login --authfile ~/.docker/config.json HOST`, or name the file with the login in `REGISTRY_AUTH_FILE`
    ");
}

#[test]
fn a_token_is_asked_of_the_token_server_for_what_is_to_be_done() {
    let challenge = |request: &Request| {
        format!("Bearer realm=\"http://{}/token\",service=\"hub\"", request.headers["host"])
    };
    let server = guarded("Bearer open", challenge);
    assert!(resolve(&server, credentials(&server)).is_ok());
    let token = server.asked().into_iter().find(|asked| asked.contains("/token")).unwrap();
    assert_eq!(token, "GET /token?service=hub&scope=repository%3Aa%3Apull");
    let error = resolve(&server, Credentials::default()).unwrap_err();
    assert!(matches!(error, RegistryError::LoginNeeded { .. }), "{error}");
}

#[test]
fn a_login_that_is_refused_is_told_apart_from_one_that_is_missing() {
    let server = guarded("Basic other", |_| "Basic realm=\"here\"".to_owned());
    let error = resolve(&server, credentials(&server)).unwrap_err();
    insta::assert_snapshot!(told(&server, &error), @"
    the registry of `HOST/a` refuses the login it was given
    hint: log in with `skopeo login --authfile ~/.docker/config.json HOST`, or name the file with the login in `REGISTRY_AUTH_FILE`
    ");
}

#[test]
fn a_login_goes_nowhere_without_tls() {
    let challenge = |_: &Request| "Bearer realm=\"http://elsewhere.example.org/token\"".to_owned();
    let server = guarded("nothing", challenge);
    let error = resolve(&server, credentials(&server)).unwrap_err();
    insta::assert_snapshot!(told(&server, &error), @"the registry of `HOST/a` asks for a login in a way that cannot be used: `http://elsewhere.example.org/token` would have the login without TLS");
}
