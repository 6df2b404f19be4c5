// SPDX-License-Identifier: Apache-2.0
//! What the document says: the constants of the instances of one deployment.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::flow::{CHECKPOINTS, Key};
use crate::maps::{Place, RodataConstants, RodataConstantsCollectorTransport};
use crate::record::Sampling;

/// The number for documentation (RFC 5612).
pub(crate) const DOCUMENTATION: u32 = 32473;

/// How messages go to the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// What became of packets (`chainVerdict`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Outcome {
    Unobserved = 0,
    Passed = 1,
    /// They did not go on, and what became of them is not known.
    Left = 2,
    Dropped = 3,
    Redirected = 4,
    Stolen = 5,
}

/// What is known of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// The member in front of it.
    pub(crate) behind: String,
    /// What that does with what it does not let go on.
    pub(crate) ended_as: Outcome,
}

/// What the document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Where messages go. None: nobody is told.
    pub(crate) collector: Option<SocketAddr>,
    pub(crate) transport: Transport,
    pub(crate) domain: u32,
    pub(crate) enterprise: u32,
    pub(crate) active: Duration,
    pub(crate) idle: Duration,
    pub(crate) refresh: Duration,
    /// Over UDP, templates come again after so many messages; 0 is never.
    pub(crate) refresh_messages: u32,
    pub(crate) path_mtu: u16,
    /// How packets are chosen at the hooks of the deployment.
    pub(crate) samplings: Vec<Sampling>,
    /// By direction (0 received, 1 sent), and from the first on.
    checkpoints: [Vec<Option<Checkpoint>>; 2],
    /// How many checkpoints the chains of a direction have.
    counts: [BTreeSet<u8>; 2],
    /// What does not fit together.
    pub(crate) warnings: Vec<String>,
}

impl Settings {
    /// What the instances of a deployment say; there must be one at least. What they must agree in is that of the first.
    pub(crate) fn read(instances: &[(Vec<Place>, RodataConstants)]) -> Option<Self> {
        let (_, first) = instances.first()?;
        let mut settings = Self::of(first);
        for (places, constants) in instances {
            for place in places {
                settings.add(place, constants);
            }
            if !agree(first, constants) {
                let names: Vec<&str> = places.iter().map(|place| place.member.as_str()).collect();
                let warning = format!(
                    "`{}` has other settings of collector, domain or timeouts than `{}`, which count",
                    names.join("`, `"),
                    instances[0].0.first().map_or("", |place| &place.member)
                );
                settings.warnings.push(warning);
            }
        }
        settings.samplings.sort_unstable();
        settings.samplings.dedup();
        if settings.enterprise == DOCUMENTATION {
            let warning = "elements go under the Private Enterprise Number 32473, which is for documentation (RFC 5612): \
                           set `enterprise_number` to your own";
            settings.warnings.push(warning.to_owned());
        }
        Some(settings)
    }

    fn of(constants: &RodataConstants) -> Self {
        let is_set = constants.collector != IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let is_tcp = constants.collector_transport == RodataConstantsCollectorTransport::TCP;
        Self {
            collector: is_set.then(|| SocketAddr::new(constants.collector, constants.collector_port)),
            transport: if is_tcp { Transport::Tcp } else { Transport::Udp },
            domain: constants.observation_domain,
            enterprise: constants.enterprise_number,
            active: Duration::from_secs(constants.active_timeout.into()),
            idle: Duration::from_secs(constants.idle_timeout.into()),
            refresh: Duration::from_secs(constants.template_refresh.into()),
            refresh_messages: constants.template_refresh_messages,
            path_mtu: constants.path_mtu,
            samplings: Vec::new(),
            checkpoints: [vec![None; CHECKPOINTS], vec![None; CHECKPOINTS]],
            counts: [BTreeSet::new(), BTreeSet::new()],
            warnings: Vec::new(),
        }
    }

    /// Adds what one instance is: a checkpoint, or one that counts.
    fn add(&mut self, place: &Place, constants: &RodataConstants) {
        let position = usize::from(constants.position);
        let is_sent = place.hook.as_ref().is_some_and(|hook| hook.ends_with("/tc-egress"));
        if position == 0 {
            self.counts[usize::from(is_sent)].insert(constants.checkpoints);
            self.samplings.push(Sampling::new(constants.sampling_one_in, constants.sampling_random));
            return;
        }
        let behind = String::from_utf8_lossy(constants.behind.bytes()).into_owned();
        let checkpoint = Checkpoint { behind, ended_as: outcome(constants.ended_as.0) };
        let Some(known) = self.checkpoints[usize::from(is_sent)].get_mut(position - 1) else { return };
        match known {
            Some(other) if *other != checkpoint => {
                let warning = format!(
                    "checkpoints at position {position} of this direction are behind `{}` and `{}`: no record names the \
                     member that decides there. Chains that differ need deployments of their own",
                    other.behind, checkpoint.behind
                );
                self.warnings.push(warning);
                *known = Some(Checkpoint { behind: String::new(), ended_as: Outcome::Left });
            }
            _ => *known = Some(checkpoint),
        }
    }

    /// Whether a flow was counted in a chain as these settings have it, and not in one of before or after.
    pub(crate) fn knows(&self, flow: &Key) -> bool {
        self.counts.get(usize::from(flow.direction)).is_some_and(|counts| counts.contains(&flow.checkpoints))
    }

    /// The checkpoint at a position, from 1, of the chains of a direction.
    pub(crate) fn checkpoint(&self, direction: u8, position: u8) -> Option<&Checkpoint> {
        let of_direction = self.checkpoints.get(usize::from(direction))?;
        of_direction.get(usize::from(position).checked_sub(1)?)?.as_ref()
    }

    /// The most bytes of a message: what fits a datagram that is not cut into pieces, or what a length can say.
    pub(crate) fn most_bytes(&self) -> usize {
        /// IPv4 without options, IPv6, UDP.
        const HEADERS: (usize, usize, usize) = (20, 40, 8);
        let mtu = usize::from(self.path_mtu);
        match (self.transport, self.collector.map(|address| address.is_ipv4())) {
            (Transport::Tcp, _) => crate::message::MOST_BYTES,
            (Transport::Udp, Some(true)) => mtu - HEADERS.0 - HEADERS.2,
            (Transport::Udp, _) => mtu - HEADERS.1 - HEADERS.2,
        }
    }
}

fn outcome(number: u8) -> Outcome {
    match number {
        3 => Outcome::Dropped,
        4 => Outcome::Redirected,
        5 => Outcome::Stolen,
        _ => Outcome::Left,
    }
}

/// Whether two instances tell the same collector the same.
fn agree(one: &RodataConstants, other: &RodataConstants) -> bool {
    let all = |constants: &RodataConstants| {
        (
            (constants.collector, constants.collector_port, constants.collector_transport.0),
            (constants.observation_domain, constants.enterprise_number, constants.path_mtu),
            (constants.active_timeout, constants.idle_timeout),
            (constants.template_refresh, constants.template_refresh_messages),
        )
    };
    all(one) == all(other)
}
