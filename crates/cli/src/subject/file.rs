// SPDX-License-Identifier: Apache-2.0
//! A file that is no package, and the statement that lies beside it.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use maps::Interface;
use package::{Digest, Format, Image, MAX_LAYER_BYTES, Object, Platform};
use trust::{Authenticode, BadAuthenticode, Found, FoundPlatform, MAX_ENVELOPE_BYTES};

use crate::arguments::Naming;
use crate::failure::{Failure, Outcome};
use crate::output;

/// What the names of archives begin with, on disk: gzip (RFC 1952), zip (APPNOTE 4.3.7).
const ARCHIVES: [&[u8]; 2] = [&[0x1f, 0x8b], b"PK\x03\x04"];

/// A file that was read.
pub(crate) struct File {
    path: PathBuf,
    statement: Option<PathBuf>,
    /// The digest of its bytes.
    pub(crate) digest: Digest,
    /// What it is.
    pub(crate) content: Content,
}

/// What a file is.
pub(crate) enum Content {
    /// An eBPF object, and what it says of its maps.
    Object(Box<Object>, Box<Interface>),
    /// A native driver of Windows, and what the signature in it says.
    Driver(Platform, Result<Option<Authenticode>, BadAuthenticode>),
    /// An archive with objects of this format.
    Archive(Format),
}

impl File {
    /// Reads a file and finds out what it is.
    pub(crate) fn read(path: &Path, naming: &Naming) -> Result<Self, Failure> {
        let bytes = bounded(path, MAX_LAYER_BYTES).map_err(|error| unreadable(path, &error))?;
        let content = Content::of(&bytes, path, naming.format)?;
        let statement = naming.statement.clone();
        Ok(Self { path: path.to_owned(), statement, digest: Digest::of(&bytes), content })
    }

    /// The file under the name that was given.
    pub(crate) fn found(&self, naming: &Naming, platform: Option<&Platform>) -> Result<Found, Failure> {
        let release = naming.release(&self.path)?;
        let entry = FoundPlatform::file(self.platform(platform)?, self.content.format(), self.digest);
        Ok(Found::object(release, entry))
    }

    /// What it is for: what it says, else what was given, else Linux on machines like this.
    fn platform(&self, given: Option<&Platform>) -> Result<Platform, Failure> {
        match (&self.content, given) {
            (Content::Driver(own, _), Some(given)) if own != given => {
                let path = self.path.display();
                Err(Failure::new(format!("`{path}` is a driver for {own}, not for {given}"))
                    .with_hint("a driver says itself what it is for; leave `--platform` out"))
            }
            (Content::Driver(own, _), _) => Ok(own.clone()),
            (Content::Object(..) | Content::Archive(_), Some(given)) => Ok(given.clone()),
            (Content::Object(..) | Content::Archive(_), None) => linux_here(),
        }
    }

    /// Where the statement about it is.
    fn statement_path(&self) -> PathBuf {
        self.statement.clone().unwrap_or_else(|| {
            let mut name = self.path.clone().into_os_string();
            name.push(".l3af.json");
            name.into()
        })
    }

    /// The statement about it, if there is one.
    pub(crate) fn envelopes(&self) -> Result<Vec<Vec<u8>>, Failure> {
        let path = self.statement_path();
        match bounded(&path, MAX_ENVELOPE_BYTES as u64) {
            Ok(envelope) => Ok(vec![envelope]),
            // Beside the file there need not be one; one that was named must be there.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.statement.is_none() => {
                Ok(Vec::new())
            }
            Err(error) => Err(unreadable(&path, &error)),
        }
    }

    /// Writes the statement about it: whole, or not at all.
    pub(crate) fn keep(&self, envelope: &[u8]) -> Outcome {
        output::write_file(&self.statement_path(), envelope)
    }

    /// What a signature for Windows that is in it says.
    pub(crate) fn authenticode(&self) -> Option<String> {
        match &self.content {
            Content::Driver(_, signature) => Some(super::told(signature)),
            Content::Object(..) | Content::Archive(_) => None,
        }
    }
}

impl Content {
    fn of(bytes: &[u8], path: &Path, given: Option<Format>) -> Result<Self, Failure> {
        let path = path.display();
        let format = Format::of(bytes);
        if let (Some(format), Some(given)) = (format, given)
            && format != given
        {
            return Err(Failure::new(format!("`{path}` is of the format `{format}`, not `{given}`"))
                .with_hint("`--format` is for archives; leave it out"));
        }
        match format {
            Some(Format::Elf) => {
                let unread = |error| Failure::new(format!("`{path}` is no eBPF object: {error}"));
                let object = Object::parse(bytes).map_err(unread)?;
                let interface = Object::interface(bytes).map_err(unread)?;
                Ok(Self::Object(Box::new(object), Box::new(interface)))
            }
            Some(Format::Pe) => {
                let image = Image::parse(bytes)
                    .map_err(|error| Failure::new(format!("`{path}` is no driver: {error}")))?;
                if image.is_driver {
                    Ok(Self::Driver(image.platform.clone(), Authenticode::of(&image)))
                } else {
                    Err(Failure::new(format!("`{path}` is no driver: its subsystem is not the native one")))
                }
            }
            None if ARCHIVES.iter().any(|magic| bytes.starts_with(magic)) => {
                Ok(Self::Archive(given.unwrap_or(Format::Elf)))
            }
            None => Err(Failure::new(format!("`{path}` is neither a package nor an object nor an archive"))
                .with_hint(
                    "a package is a folder (OCI layout); an object is ELF for BPF, or a driver of Windows; an archive is \
                     `.tar.gz` or `.zip`",
                )),
        }
    }

    /// The format of what would be loaded.
    pub(crate) fn format(&self) -> Format {
        match self {
            Self::Object(..) => Format::Elf,
            Self::Driver(..) => Format::Pe,
            Self::Archive(format) => *format,
        }
    }
}

/// Linux, on the architecture of this machine.
fn linux_here() -> Result<Platform, Failure> {
    let here = Platform::this_machine().and_then(|here| Platform::new("linux", here.architecture()).ok());
    here.ok_or_else(|| {
        Failure::new("packages know no platform like this machine's").with_hint("name one with `--platform`")
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot read `{}`: {error}", path.display()))
}

/// The bytes of a file that is not larger than it may be.
pub(crate) fn bounded(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::Error::other(format!("it has more than {max} bytes")));
    }
    Ok(bytes)
}
