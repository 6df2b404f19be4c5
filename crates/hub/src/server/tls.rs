// SPDX-License-Identifier: Apache-2.0
//! The certificate of the hub, which is read again when its files have other content. What cannot be used is told, and what was
//! in force stays.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use door::{BadTls, certificates, private_key};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};

use crate::answer::whole;
use crate::config::TlsConfig;

/// The bytes of a certificate and of its key.
type Files = (Vec<u8>, Vec<u8>);

/// A certificate and its key.
pub(super) struct Identity {
    config: TlsConfig,
    in_force: RwLock<Arc<ServerConfig>>,
    /// What was read last, whether or not it could be used.
    seen: Mutex<Files>,
}

impl Identity {
    pub(super) fn read(config: &TlsConfig) -> Result<Self, BadTls> {
        let files = files(config)?;
        let in_force = RwLock::new(Arc::new(made_of(config, &files)?));
        Ok(Self { config: config.clone(), in_force, seen: Mutex::new(files) })
    }

    /// How connections from now on are made.
    pub(super) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks whether the files have other content.
    pub(super) fn look(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // While a file is being exchanged it may be missing.
        let Ok(found) = files(&self.config) else { return };
        if found == *seen {
            return;
        }
        match made_of(&self.config, &found) {
            Ok(server) => {
                *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(server);
                tracing::info!("the certificate of the hub changed");
            }
            Err(error) => tracing::error!("{}; the certificate of before stays in force", whole(&error)),
        }
        *seen = found;
    }
}

fn files(config: &TlsConfig) -> Result<Files, BadTls> {
    let read =
        |path: &Path| fs::read(path).map_err(|source| BadTls::Unreadable { path: path.to_owned(), source });
    Ok((read(&config.certificate)?, read(&config.key)?))
}

fn made_of(config: &TlsConfig, (certificate, key): &Files) -> Result<ServerConfig, BadTls> {
    let chain = certificates(&config.certificate, certificate)?;
    let key = private_key(&config.key, key)?;
    door::server(chain, key, WebPkiClientVerifier::no_client_auth(), &[&TLS12, &TLS13])
}
