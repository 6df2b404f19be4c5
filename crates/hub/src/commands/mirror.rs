// SPDX-License-Identifier: Apache-2.0
//! `l3af-hub mirror`: what is taken from other hubs, and from folders.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use hub::{
    Config, Deletions, Hub, Mirror as Rule, MirrorPolicy, MirrorResult, MirrorRule, MirrorSource, Pattern,
    RuleName,
};
use jiff::Timestamp;
use wire::hub::Channel;

#[derive(Debug, Subcommand)]
pub(crate) enum Mirror {
    /// Take packages from elsewhere, from now on. A rule of the same name is replaced.
    Set(Box<Set>),
    /// List the rules, and how they go.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Carry out a rule now, and say what came of it.
    Run {
        /// Which.
        name: String,
    },
    /// Take nothing any more by a rule. What it brought stays.
    Remove {
        /// Which.
        name: String,
    },
}

/// A rule.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// What it is called.
    name: RuleName,
    /// Another hub, or any OCI registry: `hub.example.org`.
    #[arg(long, value_name = "HOST", required_unless_present = "folder", conflicts_with = "folder")]
    from: Option<String>,
    /// A folder that `l3af-hub export` wrote, below one of `[mirrors] folders` in the configuration.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Which packages: `l3af/*`.
    #[arg(long, required = true, num_args = 1.., value_name = "PATTERN")]
    packages: Vec<Pattern>,
    /// The trust policy that must hold: a `trust.toml` as nodes have it. It is kept with the rule, as are the keys and roots that it
    /// names.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Which versions of them.
    #[arg(long, default_value = "*", value_name = "RANGE")]
    versions: String,
    /// `stable`, or `candidate` for pre-releases as well.
    #[arg(long, default_value = "stable")]
    channel: Channel,
    /// How often it is looked for what is new.
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    every: u64,
    /// Delete here what was deleted there.
    #[arg(long)]
    follow_deletions: bool,
    /// Do not carry it out until somebody wants it.
    #[arg(long)]
    paused: bool,
}

pub(super) async fn run(command: Mirror, config: Config) -> Result<()> {
    let hub = Hub::open(config, Timestamp::now).await?;
    let text = match command {
        Mirror::Set(set) => {
            let (name, rule) = set.rule()?;
            return Ok(hub.set_mirror(name, rule).await?);
        }
        Mirror::Remove { name } => return Ok(hub.remove_mirror(&name).await?),
        Mirror::List { json } => {
            let rules = hub.mirror_rules().await?;
            if json { serde_json::to_string(&rules)? + "\n" } else { rules.iter().map(listed).collect() }
        }
        Mirror::Run { name } => {
            let ran = hub.run_mirror(&name).await?;
            let counts = ran.releases.iter().map(|(outcome, count)| format!("{count} {outcome}"));
            let counts: Vec<String> = counts.collect();
            let mut text: String = ran.told.iter().map(told).collect();
            writeln!(text, "{}", if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") })?;
            io::stdout().write_all(text.as_bytes()).context("cannot write what came of it")?;
            match ran.problem {
                Some(problem) => bail!("not all of it could be mirrored: {problem}"),
                None => return Ok(()),
            }
        }
    };
    io::stdout().write_all(text.as_bytes()).context("cannot write what there is")
}

impl Set {
    fn rule(self) -> Result<(RuleName, MirrorRule)> {
        let source = match (self.from, self.folder) {
            (Some(host), _) => MirrorSource::Host(host),
            (None, Some(folder)) => MirrorSource::Folder(std::path::absolute(folder)?),
            (None, None) => bail!("say where packages are taken from: `--from` or `--folder`"),
        };
        let policy = MirrorPolicy::from_file(&self.policy);
        let policy =
            policy.with_context(|| format!("cannot read the trust policy `{}`", self.policy.display()))?;
        let deletions = if self.follow_deletions { Deletions::Follow } else { Deletions::Keep };
        let (packages, versions, channel) = (self.packages, self.versions, self.channel);
        let (every_seconds, paused) = (self.every, self.paused);
        let rule =
            MirrorRule { source, packages, versions, channel, every_seconds, policy, deletions, paused };
        Ok((self.name, rule))
    }
}

fn listed(rule: &Rule) -> String {
    let packages: Vec<String> = rule.rule.packages.iter().map(ToString::to_string).collect();
    let counts: Vec<String> =
        rule.releases.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
    let ran = rule.ran.as_deref().unwrap_or("never");
    let mut text = format!(
        "{}: {} from {}; carried out: {ran}; {}\n",
        rule.name,
        packages.join(" "),
        rule.rule.source,
        if counts.is_empty() { "nothing yet".to_owned() } else { counts.join(", ") }
    );
    if let Some(problem) = &rule.problem {
        text.extend(["  ", problem, "\n"]);
    }
    text
}

fn told(result: &MirrorResult) -> String {
    let MirrorResult { publisher, package, version, outcome, problem, .. } = result;
    let why = problem.as_deref().unwrap_or_default();
    format!("{publisher}/{package} {version}: {}: {why}\n", outcome.name())
}
