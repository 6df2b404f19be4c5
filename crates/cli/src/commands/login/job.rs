// SPDX-License-Identifier: Apache-2.0
//! A job of CI logs in by the token of its service, and keeps no secret.

use wire::hub::{HubClient, TokenService};
use zeroize::Zeroizing;

use super::wait;
use crate::arguments::hub::Job;
use crate::failure::Failure;

pub(super) fn token(
    client: &HubClient,
    job: &Job,
    publisher: Option<&str>,
) -> Result<Zeroizing<String>, Failure> {
    let audience = client.url();
    let token = match (&job.id_token, &job.url, &job.token) {
        (Some(token), ..) => Zeroizing::new(token.clone()),
        (None, Some(url), Some(token)) => {
            let service = TokenService { url: url.clone(), token: Zeroizing::new(token.clone()) };
            wait(service.token(&audience))?
        }
        (None, ..) => {
            let what = "nothing says which job of CI this is";
            let hint = format!(
                "GitHub Actions: give the job `permissions: id-token: write`; GitLab: `id_tokens: {{ L3AF_ID_TOKEN: {{ aud: {audience} \
                 }} }}`; elsewhere: put a token for `{audience}` into L3AF_ID_TOKEN"
            );
            return Err(Failure::new(what).with_hint(hint));
        }
    };
    wait(client.exchange(&token, publisher))
}
