// SPDX-License-Identifier: Apache-2.0
//! l3afd v1 fetches from a hub what was built for its chaining.

use serde_json::json;

use super::{EMPTY, IMAGE, Repository, described, descriptor, digest, registry, some_bytes};

const ARTIFACT: &str = "application/vnd.l3af.l3afd.v1";

#[test]
fn l3afd_gets_what_was_built_for_it_and_else_is_told_why_not() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/ratelimit" };
    let path = |version: &str, platform: &str, artifact: &str| {
        hub.get(&format!("/l3afd/free/ratelimit/{version}/{platform}/{artifact}")).unwrap()
    };
    let is_told = |version: &str, platform: &str, artifact: &str, why: &str| {
        let answer = path(version, platform, artifact);
        assert_eq!(answer.status, 404);
        assert!(answer.text().contains(why), "{}", answer.text());
    };
    is_told("1.0.0", "jammy", "a.tar.gz", "there is no release `1.0.0` of `free/ratelimit`");
    let image = here.image("sha256", 1);
    here.push_manifest("sha256", Some("1.0.0_build"), &image);
    is_told("1.0.0+build", "jammy", "a.tar.gz", "has no variant for the chaining of l3afd");

    here.push_blob("sha256", b"{}");
    for (seed, platform) in [(1, Some("jammy")), (2, Some("windows")), (3, None)] {
        let archive = some_bytes(seed, 5000);
        here.push_blob("sha256", &archive);
        let name = format!("l3af_{}.tar.gz", platform.unwrap_or("any"));
        let mut layer = descriptor("sha256", "application/gzip", &archive);
        layer["annotations"] = json!({ "org.opencontainers.image.title": name });
        let mut variant = json!({
            "schemaVersion": 2, "mediaType": IMAGE, "artifactType": ARTIFACT,
            "config": descriptor("sha256", EMPTY, b"{}"), "layers": [layer], "subject": described("sha256", &image),
        });
        if let Some(platform) = platform {
            variant["annotations"] = json!({ "io.l3af.l3afd.platform": platform });
        }
        here.push_manifest("sha256", None, &variant);
    }
    for (seed, platform, name) in [
        (1, "jammy", "l3af_jammy.tar.gz"),
        (2, "windows", "l3af_windows.tar.gz"),
        (3, "noble", "l3af_any.tar.gz"),
    ] {
        let fetched = path("1.0.0+build", platform, name);
        assert_eq!(
            (fetched.status, digest("sha256", &fetched.body)),
            (200, digest("sha256", &some_bytes(seed, 5000)))
        );
    }
    is_told("1.0.0+build", "windows", "l3af_any.tar.gz", "`l3af_any.tar.gz` for any Linux");
    is_told("1.0.0+build", "noble", "l3af_jammy.tar.gz", "`l3af_jammy.tar.gz` for jammy");
    for wrong in
        ["/l3afd/free/%2e%2e/1/jammy/a", "/l3afd/FREE/x/1/jammy/a", "/l3afd/free/x/%2e%2e/jammy/%2fetc"]
    {
        assert_eq!(hub.get(wrong).unwrap().status, 404, "{wrong}");
    }
}
