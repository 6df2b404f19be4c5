// SPDX-License-Identifier: Apache-2.0
//! How a delivery says that it comes from this hub: the symmetric signature `v1` of the Standard Webhooks specification (1.0.0),
//! for which there are libraries in many languages.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::fill;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// What secrets begin with.
const PREFIX: &str = "whsec_";
/// How long a secret is; the specification wants 24 to 64 bytes.
const BYTES: usize = 32;

/// Makes a secret, as its holder gets it: `whsec_` and base64.
pub(super) fn new_secret() -> String {
    let mut bytes = [0; BYTES];
    fill(&mut bytes).expect("the kernel has random numbers");
    format!("{PREFIX}{}", BASE64_STANDARD.encode(bytes))
}

/// The value of the header `webhook-signature`.
pub(super) fn signature(secret: &str, id: &str, seconds: i64, body: &str) -> String {
    let encoded = secret.strip_prefix(PREFIX).unwrap_or(secret);
    // Only this module makes secrets.
    let bytes = BASE64_STANDARD.decode(encoded).unwrap_or_default();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
    let tag = hmac::sign(&key, format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", BASE64_STANDARD.encode(tag))
}

#[cfg(test)]
mod tests {
    use super::signature;

    /// The example of the specification's reference implementations.
    #[test]
    fn a_signature_is_that_of_other_implementations() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let signed =
            signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
