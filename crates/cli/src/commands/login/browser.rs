// SPDX-License-Identifier: Apache-2.0
//! Somebody lets this program in by a browser of this machine, which brings it a code (RFC 8252, section 7.3).

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use wire::hub::{HubClient, Wish};
use zeroize::Zeroizing;

use super::no_hub;
use crate::failure::Failure;
use crate::output;

/// How long somebody may take.
const PATIENCE: Duration = Duration::from_mins(5);
/// How long a browser may take to say what it wants.
const READING: Duration = Duration::from_secs(5);
/// The longest head of a request.
const MAX_HEAD: usize = 16 * 1024;
/// Where the code is brought.
const PATH: &str = "/callback";

pub(super) async fn token(
    client: &HubClient,
    wish: &Wish,
    browser: &Path,
) -> Result<Zeroizing<String>, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let redirect_uri = format!("http://{}{PATH}", listener.local_addr()?);
    let (state, verifier) = (random(), random());
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    let url = client.authorization(wish, &redirect_uri, &state, &challenge);
    output::note(&format!("open this in a browser of this machine, and let `l3af` in:\n  {url}"));
    open(browser, url.as_str());
    let late = |_elapsed| {
        Failure::new("nobody let it in within five minutes")
            .with_hint("log in again; with `--device`, a browser elsewhere does")
    };
    let code = timeout(PATIENCE, brought(&listener, &state)).await.map_err(late)??;
    client.redeem(&code, &verifier, &redirect_uri).await.map_err(no_hub)
}

/// 256 bits in base64url, which is also what a verifier is to be (RFC 7636, 4.1).
fn random() -> String {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).expect("the kernel gives random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Opens an address, if this machine can; else somebody does who reads it.
fn open(browser: &Path, url: &str) {
    let mut command = Command::new(browser);
    let command = command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Err(error) = command.spawn() {
        output::note(&format!("`{}` opens nothing: {error}", browser.display()));
    }
}

/// The code that a browser brings with this state. What else comes is answered and leads to nothing.
async fn brought(listener: &TcpListener, state: &str) -> Result<String, Failure> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        let Ok(Some(target)) = timeout(READING, target(&mut stream)).await else { continue };
        let (status, text, result) = match read(&target, state) {
            Brought::Code(code) => ("200 OK", "l3af is let in. This page can be closed.", Some(Ok(code))),
            Brought::Refused(why) => {
                ("200 OK", "l3af is not let in. This page can be closed.", Some(Err(why)))
            }
            Brought::Stray => ("404 Not Found", "There is nothing here.", None),
        };
        let length = text.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\nCache-Control: \
             no-store\r\nConnection: close\r\n\r\n{text}"
        );
        // The browser may be gone already; what it brought counts.
        drop(stream.write_all(answer.as_bytes()).await);
        drop(stream.shutdown().await);
        match result {
            Some(Ok(code)) => return Ok(code),
            Some(Err(why)) => return Err(Failure::new(format!("the hub gives no token: {why}"))),
            None => {}
        }
    }
}

/// What a request is about; none where it is none.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut piece = [0; 2048];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        let read = stream.read(&mut piece).await.ok()?;
        if read == 0 || head.len() + read > MAX_HEAD {
            return None;
        }
        head.extend_from_slice(&piece[..read]);
    }
    let head = String::from_utf8(head).ok()?;
    let target = head.strip_prefix("GET ")?.split(' ').next()?;
    Some(target.to_owned())
}

/// What a browser brings.
#[derive(Debug, PartialEq, Eq)]
enum Brought {
    Code(String),
    /// Why there is none.
    Refused(String),
    /// Something else, or of somebody else.
    Stray,
}

fn read(target: &str, state: &str) -> Brought {
    let Some(query) = target.strip_prefix(PATH).and_then(|rest| rest.strip_prefix('?')) else {
        return Brought::Stray;
    };
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .filter(|(_, value)| !value.contains(char::is_control))
        .collect();
    let value = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    if value("state").as_deref() != Some(state) {
        return Brought::Stray;
    }
    match (value("code"), value("error")) {
        (_, Some(error)) => Brought::Refused(value("error_description").unwrap_or(error)),
        (Some(code), None) => Brought::Code(code),
        (None, None) => Brought::Stray,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_taken() {
        assert_eq!(read("/callback?code=a%20b&state=s&iss=x", "s"), Brought::Code("a b".to_owned()));
        let refused = read("/callback?error=access_denied&error_description=somebody+said+no&state=s", "s");
        assert_eq!(refused, Brought::Refused("somebody said no".to_owned()));
        for stray in [
            "/",
            "/callback",
            "/callback?code=a",
            "/callback?code=a&state=t",
            "/callback?state=s",
            "/x?code=a&state=s",
        ] {
            assert_eq!(read(stray, "s"), Brought::Stray, "{stray}");
        }
    }

    #[test]
    fn what_is_made_up_is_a_verifier() {
        assert!(random().len() == 43 && random() != random());
    }
}
