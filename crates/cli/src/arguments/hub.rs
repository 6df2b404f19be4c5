// SPDX-License-Identifier: Apache-2.0
//! What is said of hubs on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use package::{KernelVersion, Platform};
use wire::Reference;
use wire::hub::{Channel, Cost, Stars};

use super::{Logins, SigningKeys};

/// Which hub is asked.
#[derive(Debug, Args)]
pub(crate) struct Hub {
    /// The hub: `host[:port]`
    #[arg(long, value_name = "HOST", env = "L3AF_HUB")]
    pub(crate) hub: String,
    #[command(flatten)]
    pub(crate) logins: Logins,
}

/// Log in at a hub: by a browser, unless something else is said; the token is for `l3af` and other clients of registries
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af login hub.example.org
  l3af login hub.example.org --device
  l3af login hub.example.org --ci --publisher acme
  l3af login hub.example.org --user alice
  l3af login hub.example.org --user alice --scope 'repository:acme/*:pull,push' --password-file secret")]
pub(crate) struct Login {
    /// The hub: `host[:port]`
    #[arg(value_name = "HOST", env = "L3AF_HUB")]
    pub(crate) hub: String,
    /// Log in by a password, as this account
    #[arg(long, value_name = "HANDLE", conflicts_with_all = ["device", "ci"])]
    pub(crate) user: Option<String>,
    /// File whose first line is the password; without it, it is asked for
    #[arg(long, value_name = "FILE", requires = "user")]
    pub(crate) password_file: Option<PathBuf>,
    /// Log in by a browser elsewhere: shows a code that is typed there
    #[arg(long, conflicts_with = "ci")]
    pub(crate) device: bool,
    /// Log in as the job of CI that this is, for some minutes, where a rule of a publisher lets it publish
    #[arg(long)]
    pub(crate) ci: bool,
    /// Whose rules are asked with `--ci`; without it, those of all, of which one publisher's may fit
    #[arg(long, value_name = "NAME", requires = "ci")]
    pub(crate) publisher: Option<String>,
    #[command(flatten)]
    pub(crate) job: Job,
    /// What opens an address in a browser
    #[arg(long, value_name = "PROGRAM", env = "BROWSER", default_value = "xdg-open")]
    pub(crate) browser: PathBuf,
    /// What the token is for; may come several times
    #[arg(long, value_name = "SCOPE", default_values = ["repository:*:pull,push", "api:read", "api:write"])]
    pub(crate) scope: Vec<String>,
    /// When the token ends, as `2027-01-31T00:00:00Z`; without it, when it is revoked
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) logins: Logins,
}

/// What a job of CI has that says which one it is.
#[derive(Debug, Args)]
pub(crate) struct Job {
    /// Token of the CI service for this hub, as `id_tokens` of GitLab makes one
    #[arg(
        long = "id-token",
        value_name = "TOKEN",
        env = "L3AF_ID_TOKEN",
        hide_env_values = true,
        hide = true
    )]
    pub(crate) id_token: Option<String>,
    /// Where GitHub Actions gives one
    #[arg(long = "id-token-url", value_name = "URL", env = "ACTIONS_ID_TOKEN_REQUEST_URL", hide = true)]
    pub(crate) url: Option<String>,
    /// What is shown there
    #[arg(
        long = "id-token-url-token",
        value_name = "TOKEN",
        env = "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        hide_env_values = true,
        hide = true
    )]
    pub(crate) token: Option<String>,
}

/// Accept what a hub asks everybody to accept who publishes, or pulls with a login; prints it
#[derive(Debug, Args)]
pub(crate) struct AcceptNotice {
    #[command(flatten)]
    pub(crate) hub: Hub,
}

/// Find packages in a hub; words may have mistakes
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af search rate limit --hub hub.example.org
  l3af search firewall --hook xdp --kernel 5.15 --hub hub.example.org
  l3af search firewall --facets --hub hub.example.org")]
pub(crate) struct Search {
    /// Words; without any, all packages are listed
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) hub: Hub,
    /// Shelf
    #[arg(long, value_name = "NAME")]
    pub(crate) category: Option<String>,
    /// Part of the shelf
    #[arg(long, value_name = "NAME", requires = "category")]
    pub(crate) subcategory: Option<String>,
    /// What its programs attach to, such as `xdp`
    #[arg(long, value_name = "HOOK")]
    pub(crate) hook: Option<String>,
    /// What the kernel calls its programs, such as `sched_cls`
    #[arg(long, value_name = "TYPE")]
    pub(crate) program_type: Option<String>,
    /// What it was built for
    #[arg(long, value_name = "OS/ARCHITECTURE")]
    pub(crate) platform: Option<Platform>,
    /// Kernel that it is to run on
    #[arg(long, value_name = "VERSION")]
    pub(crate) kernel: Option<KernelVersion>,
    /// Licence, as SPDX calls it
    #[arg(long, value_name = "ID")]
    pub(crate) license: Option<String>,
    /// Who publishes it
    #[arg(long, value_name = "NAME")]
    pub(crate) publisher: Option<String>,
    /// Who signed it: the digest of the publisher's first root
    #[arg(long, value_name = "DIGEST")]
    pub(crate) signed_by: Option<String>,
    /// Word that it is tagged with
    #[arg(long, value_name = "WORD")]
    pub(crate) tag: Option<String>,
    /// Whether something is asked for it: `free` or `paid`
    #[arg(long, value_name = "COST")]
    pub(crate) price: Option<Cost>,
    /// How many stars people give it at least, 1 to 5
    #[arg(long, value_name = "STARS")]
    pub(crate) rating: Option<Stars>,
    /// List what there is to choose from in what is found, instead of the packages
    #[arg(long, conflicts_with_all = ["limit", "after"])]
    pub(crate) facets: bool,
    /// How many are listed
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) limit: u32,
    /// Where the page before ended: its `next`
    #[arg(long, value_name = "NEXT")]
    pub(crate) after: Option<String>,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Find the release that fits a range, a kernel and a platform; prints its reference with the digest
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af resolve hub.example.org/l3af/ratelimit --range '^1.2'
  l3af resolve hub.example.org/l3af/ratelimit --kernel 5.15 --channel candidate")]
pub(crate) struct Resolve {
    /// Package: `host[:port]/publisher/name`
    pub(crate) package: Reference,
    #[command(flatten)]
    pub(crate) logins: Logins,
    /// Versions, as in `^1.2` [default: all]
    #[arg(long, value_name = "RANGE")]
    pub(crate) range: Option<String>,
    /// `stable`, or `candidate` for pre-releases as well
    #[arg(long, value_name = "CHANNEL", default_value_t)]
    pub(crate) channel: Channel,
    /// Kernel that it is to run on
    #[arg(long, value_name = "VERSION")]
    pub(crate) kernel: Option<KernelVersion>,
    /// Platform that it is to run on
    #[arg(long, value_name = "OS/ARCHITECTURE")]
    pub(crate) platform: Option<Platform>,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Lead nobody to a release any more; who names it still gets it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af yank hub.example.org/l3af/ratelimit:1.2.0 --reason 'drops IPv6 fragments; take 1.2.1'
  l3af yank hub.example.org/l3af/ratelimit:1.2.0 --undo")]
pub(crate) struct Yank {
    /// Release: `host[:port]/publisher/name:version`
    pub(crate) release: Reference,
    #[command(flatten)]
    pub(crate) logins: Logins,
    /// What people should know
    #[arg(long, value_name = "TEXT", required_unless_present = "undo")]
    pub(crate) reason: Option<String>,
    /// Lead people to it again
    #[arg(long, conflicts_with = "reason")]
    pub(crate) undo: bool,
}

/// Say how good a package is, in stars; what you said before is forgotten by that
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af rate hub.example.org/l3af/ratelimit 5
  l3af rate hub.example.org/l3af/ratelimit --undo")]
pub(crate) struct Rate {
    /// Package: `host[:port]/publisher/name`
    pub(crate) package: Reference,
    /// 1, the worst, to 5, the best
    #[arg(required_unless_present = "undo")]
    pub(crate) stars: Option<Stars>,
    #[command(flatten)]
    pub(crate) logins: Logins,
    /// Say nothing of it any more
    #[arg(long, conflicts_with = "stars")]
    pub(crate) undo: bool,
}

/// Review releases in a hub before they are released
#[derive(Debug, Subcommand)]
pub(crate) enum Review {
    /// List what waits for reviewers
    Waiting(Listed),
    /// Show what checks and reviewers found
    Show(Shown),
    /// Approve a release: state that it may be released, with your key
    Approve(Decided),
    /// Reject a release: its bytes are refused under any name from then on
    Reject(Decided),
    /// Ask for changes
    Changes(Decided),
    /// Say something, which decides nothing
    Comment(Comment),
    /// Register the key that you sign decisions with
    Key(AddKey),
    /// List the keys that you sign decisions with
    Keys(Listed),
    /// Take a key back, as when somebody else has it: decisions that it signs are not taken any more
    RemoveKey(RemoveKey),
}

/// Something that a hub lists.
#[derive(Debug, Args)]
pub(crate) struct Listed {
    #[command(flatten)]
    pub(crate) hub: Hub,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What was found.
#[derive(Debug, Args)]
pub(crate) struct Shown {
    /// Release: `host[:port]/publisher/name:version`
    pub(crate) release: Reference,
    #[command(flatten)]
    pub(crate) logins: Logins,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A decision.
#[derive(Debug, Args)]
pub(crate) struct Decided {
    /// Release: `host[:port]/publisher/name:version[@digest]`
    pub(crate) release: Reference,
    #[command(flatten)]
    pub(crate) logins: Logins,
    #[command(flatten)]
    pub(crate) keys: SigningKeys,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: String,
}

/// Words alone.
#[derive(Debug, Args)]
pub(crate) struct Comment {
    /// Release: `host[:port]/publisher/name:version`
    pub(crate) release: Reference,
    #[command(flatten)]
    pub(crate) logins: Logins,
    /// What to say
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: String,
}

/// A key that was registered.
#[derive(Debug, Args)]
pub(crate) struct RemoveKey {
    /// The key, as `l3af review keys` lists it, or how it begins
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) hub: Hub,
}

/// A key.
#[derive(Debug, Args)]
pub(crate) struct AddKey {
    /// File of the public key
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) hub: Hub,
}
