// SPDX-License-Identifier: Apache-2.0
//! What is read of certificates: their names, and until when they count. Whether to believe them is decided elsewhere.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use thiserror::Error;
use x509_cert::Certificate as X509;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::caller::Certificate;

/// Bytes are no certificate.
#[derive(Debug, Error)]
#[error("a certificate cannot be read: {problem}")]
pub(crate) struct BadCertificate {
    problem: String,
}

/// Reads a certificate (RFC 5280).
pub(crate) fn read(der: &[u8]) -> Result<Certificate, BadCertificate> {
    let bad = |problem: String| BadCertificate { problem };
    let certificate = X509::from_der(der).map_err(|error| bad(error.to_string()))?;
    let body = certificate.tbs_certificate();
    let seconds = body.validity().not_after.to_unix_duration().as_secs();
    let expires = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let names = body.get_extension::<SubjectAltName>().map_err(|error| bad(error.to_string()))?;
    let names = names.map(|(_, SubjectAltName(names))| names).unwrap_or_default();
    // A name that acts on a terminal is none.
    let is_plain = |name: &String| !name.contains(char::is_control);
    Ok(Certificate {
        names: names.iter().filter_map(text).filter(is_plain).collect::<BTreeSet<String>>(),
        // The year 9999 says that there is no end (4.1.2.5).
        expires: expires.unwrap_or(Timestamp::MAX),
    })
}

fn text(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(text)
        | GeneralName::UniformResourceIdentifier(text)
        | GeneralName::Rfc822Name(text) => Some(text.to_string()),
        GeneralName::IpAddress(octets) => address(octets.as_bytes()).map(|address| address.to_string()),
        GeneralName::OtherName(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EdiPartyName(_)
        | GeneralName::RegisteredId(_) => None,
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(octets).map(|four| IpAddr::from(Ipv4Addr::from(four)));
    let sixteen = || <[u8; 16]>::try_from(octets).map(|sixteen| IpAddr::from(Ipv6Addr::from(sixteen)));
    four.or_else(|_| sixteen()).ok()
}
