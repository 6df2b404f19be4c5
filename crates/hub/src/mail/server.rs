// SPDX-License-Identifier: Apache-2.0
//! The server that takes mail, and letters as it takes them (RFC 5321, RFC 5322).

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use thiserror::Error;

use super::outbox::Due;
use crate::answer::whole;
use crate::config::{Config, MailConfig, MailTls};

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that takes mail.
pub(crate) struct Server {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    /// How the hub is called, and how it is reached.
    name: String,
    url: String,
}

/// The hub cannot send mail as it is configured.
#[derive(Debug, Error)]
pub enum BadMail {
    /// Nobody has such an address.
    #[error("`[mail] from` is no address of mail: `{given}`")]
    From {
        /// What is there.
        given: String,
        /// Why not.
        #[source]
        source: lettre::address::AddressError,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// There is a user without a password, or the other way round.
    #[error("`[mail] user` and `password_file` go together")]
    Half,
    /// A password would be sent for everybody to read.
    #[error("`[mail] user` needs `tls` or `starttls`: a password is not sent in the clear")]
    Clear,
    /// The certificates cannot be used.
    #[error("TLS to the server of mail cannot be used")]
    Tls(#[source] lettre::transport::smtp::Error),
}

/// A letter was not taken.
pub(super) struct Untaken {
    pub(super) problem: String,
    /// Whether it never will be.
    pub(super) for_good: bool,
}

impl Server {
    /// Prepares to send mail; none where the configuration says of none. Nothing is said to the server yet.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub(crate) fn open(config: &Config) -> Result<Option<Self>, BadMail> {
        let Some(mail) = &config.mail else { return Ok(None) };
        let from = mail.from.parse::<Mailbox>();
        let from = from.map_err(|source| BadMail::From { given: mail.from.clone(), source })?;
        let url = config.url();
        let host = url.split_once("://").map_or(url.as_str(), |(_, host)| host);
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host).to_owned();
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&mail.server)
            .port(mail.port())
            .tls(tls(mail)?)
            .hello_name(ClientId::Domain(host))
            .timeout(Some(PATIENCE));
        if let Some(credentials) = credentials(mail)? {
            builder = builder.credentials(credentials);
        }
        let name = config.instance.name.clone();
        Ok(Some(Self { transport: builder.build(), from, name, url }))
    }

    /// Sends a letter.
    pub(super) async fn send(&self, due: &Due) -> Result<(), Untaken> {
        let message = self.message(due).map_err(|problem| Untaken { problem, for_good: true })?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) => Err(Untaken { problem: whole(&error), for_good: error.is_permanent() }),
        }
    }

    fn message(&self, due: &Due) -> Result<Message, String> {
        let to: Mailbox = due.recipient.parse().map_err(|error| format!("no address: {error}"))?;
        let text = due.text.replace("{hub}", &self.url);
        let text = format!(
            "{text}\n-- \n{} {}\nWhat you do not want: PUT /api/v1/account/mail/unwanted\n",
            self.name, self.url
        );
        let domain = self.from.email.domain();
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(format!("[{}] {}", super::outbox::one_line(&self.name), due.subject))
            .message_id(Some(format!("<{}@{domain}>", due.id)))
            // Nobody who is away answers to a program (RFC 3834).
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .header(ContentType::TEXT_PLAIN);
        message.body(text).map_err(|error| whole(&error))
    }
}

fn tls(mail: &MailConfig) -> Result<Tls, BadMail> {
    if mail.tls == MailTls::None {
        return Ok(Tls::None);
    }
    let mut parameters = TlsParameters::builder(mail.server.clone());
    if let Some(path) = &mail.ca_file {
        let read = fs::read(path).map_err(|source| BadMail::Unreadable { path: path.clone(), source })?;
        parameters = parameters.add_root_certificate(Certificate::from_pem(&read).map_err(BadMail::Tls)?);
    }
    let parameters = parameters.build_rustls().map_err(BadMail::Tls)?;
    Ok(if mail.tls == MailTls::Tls { Tls::Wrapper(parameters) } else { Tls::Required(parameters) })
}

fn credentials(mail: &MailConfig) -> Result<Option<Credentials>, BadMail> {
    let (user, path) = match (&mail.user, &mail.password_file) {
        (None, None) => return Ok(None),
        (Some(user), Some(path)) => (user, path),
        (Some(_), None) | (None, Some(_)) => return Err(BadMail::Half),
    };
    if mail.tls == MailTls::None {
        return Err(BadMail::Clear);
    }
    let read = fs::read_to_string(path);
    let password = read.map_err(|source| BadMail::Unreadable { path: path.clone(), source })?;
    Ok(Some(Credentials::new(user.clone(), password.trim().to_owned())))
}
