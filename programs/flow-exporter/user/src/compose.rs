// SPDX-License-Identifier: Apache-2.0
//! Which messages there are: announcements, statistics, and flows.

use crate::flow::Told;
use crate::ledger::{Batch, MESSAGE_FLOWS};
use crate::message::{Full, MOST_BYTES, Message};
use crate::record::{Clock, Statistics, own_elements, put_flow, put_sampling, put_statistics, put_type};
use crate::settings::Settings;
use crate::template::Template;

/// What a collector must know before it can read: all templates; and what it should know: how packets are chosen, what our own
/// elements are, and what was counted so far.
pub(crate) fn announcements(settings: &Settings, statistics: &Statistics) -> Vec<Message> {
    let enterprise = settings.enterprise;
    let mut messages = vec![Message::new(settings.most_bytes())];
    let mut add = |put: &dyn Fn(&mut Message) -> Result<(), Full>| {
        let last = messages.last_mut().expect("there is one");
        if put(last).is_err() {
            let mut next = Message::new(settings.most_bytes());
            put(&mut next).expect("each of them fits a message of its own");
            messages.push(next);
        }
    };
    for template in Template::ALL {
        add(&|message| template.announce(enterprise, message));
    }
    for sampling in &settings.samplings {
        add(&|message| put_sampling(*sampling, message));
    }
    for own in own_elements() {
        add(&|message| put_type(own, enterprise, message));
    }
    add(&|message| put_statistics(statistics, settings.domain, message));
    messages
}

/// All templates, and nothing else.
pub(crate) fn templates(enterprise: u32) -> Message {
    let mut message = Message::new(MOST_BYTES);
    for template in Template::ALL {
        template.announce(enterprise, &mut message).expect("they fit the longest message");
    }
    message
}

/// What was counted so far, alone.
pub(crate) fn counts(settings: &Settings, statistics: &Statistics) -> Message {
    let mut message = Message::new(settings.most_bytes());
    put_statistics(statistics, settings.domain, &mut message).expect("it fits");
    message
}

/// As many of these flows as go into one message, and how many records they are.
pub(crate) fn pack(flows: impl Iterator<Item = Told>, settings: &Settings, clock: Clock) -> (Vec<Told>, u32) {
    let mut message = Message::new(settings.most_bytes());
    let mut packed: Vec<Told> = Vec::new();
    for told in flows.take(MESSAGE_FLOWS) {
        let before = message.records();
        // One that is too long by itself, which the least MTU rules out, would go alone.
        if put_flow(&told, 0, (settings, clock), &mut message).is_err() && !packed.is_empty() {
            return (packed, before);
        }
        packed.push(told);
    }
    let records = packed.iter().map(|told| told.fates().len()).sum::<usize>();
    (packed, u32::try_from(records).expect("a message has few flows"))
}

/// The message of flows that were packed.
pub(crate) fn flows(batch: &Batch, settings: &Settings, clock: Clock) -> Message {
    let mut message = Message::new(MOST_BYTES);
    let mut next = batch.first_record;
    for told in &batch.flows {
        put_flow(told, next, (settings, clock), &mut message).expect("64 flows fit the longest message");
        next += u64::try_from(told.fates().len()).expect("a flow has few records");
    }
    message
}
