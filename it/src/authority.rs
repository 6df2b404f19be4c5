// SPDX-License-Identifier: Apache-2.0
//! An authority that signs certificates for stories, and an issuer that signs tokens.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SanType, date_time_ymd,
};
use tempfile::TempDir;

use crate::{Side, repository, run_in};

/// An authority, with a folder for the certificates that it signs.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// The files of a certificate and its key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
}

impl Authority {
    /// A new authority.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("ca.pem"), issuer.pem())?;
        Ok(Self { issuer, folder })
    }

    /// The file with its own certificate.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Its own certificate (PEM).
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Signs a certificate for names, addresses and URIs that counts until the end of a year.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn sign(&self, name: &str, names: &[&str], until: i32) -> Result<Identity> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        for name in names {
            params.subject_alt_names.push(match (name.parse(), name.contains("://")) {
                (Ok(address), _) => SanType::IpAddress(address),
                (Err(_), true) => SanType::URI((*name).try_into()?),
                (Err(_), false) => SanType::DnsName((*name).try_into()?),
            });
        }
        params.not_after = date_time_ymd(until, 12, 31);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let file = |end: &str| self.folder.path().join(format!("{name}.{end}"));
        let identity = Identity { certificate: file("pem"), key: file("key") };
        fs::write(&identity.certificate, certificate.pem())?;
        fs::write(&identity.key, key.serialize_pem())?;
        Ok(identity)
    }
}

/// An `OpenID` Connect provider in a namespace, at `http://127.0.0.1:9400`. It is killed when it goes out of scope.
#[derive(Debug)]
pub struct Provider {
    child: Child,
    namespace: String,
}

impl Provider {
    /// Where it answers.
    pub const ISSUER: &str = "http://127.0.0.1:9400";

    /// Starts a provider with users, each as JSON with its claims; with keys of its own, which are new ones.
    ///
    /// # Errors
    /// When it does not answer soon.
    pub fn start(side: &Side, users: &[&str]) -> Result<Self> {
        let python = repository().join("target/python/bin/python");
        ensure!(python.exists(), "there is no `target/python`; `cargo xtask python` makes it");
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", side.namespace)).arg(python);
        command.args(["-m", "oidc_provider_mock", "--port", "9400"]);
        for user in users {
            command.args(["--user-claims", user]);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let provider = Self { child, namespace: side.namespace.clone() };
        let begin = Instant::now();
        while run_in(&provider.namespace, &format!("curl -sf -o /dev/null {}/jwks", Self::ISSUER)).is_err() {
            // Where the machine is emulated, Python takes its time.
            if begin.elapsed() > Duration::from_mins(5) {
                bail!("the provider did not come up");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(provider)
    }

    /// Has a user log in with a client, and returns the token that says so.
    ///
    /// # Errors
    /// When the provider refuses.
    pub fn token(&self, user: &str, client: &str) -> Result<String> {
        let query =
            format!("client_id={client}&redirect_uri=http://a.example&response_type=code&scope=openid");
        let place = run_in(
            &self.namespace,
            &format!(
                "curl -s -o /dev/null -w %{{redirect_url}} --data sub={user} {}/oauth2/authorize?{query}",
                Self::ISSUER
            ),
        )?;
        let code =
            place.split(['?', '&']).find_map(|part| part.strip_prefix("code=")).context(place.clone())?;
        let answer = run_in(
            &self.namespace,
            &format!(
                "curl -s --user {client}:secret --data grant_type=authorization_code&code={code}&redirect_uri=http://a.example \
                 {}/oauth2/token",
                Self::ISSUER
            ),
        )?;
        let answer: serde_json::Value = serde_json::from_str(&answer)?;
        Ok(answer["id_token"].as_str().with_context(|| answer.to_string())?.to_owned())
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
