// SPDX-License-Identifier: Apache-2.0
//! Nodes that run what is released in a hub.

use it::{Node, Pair, Relay};
use serde_json::json;

use super::{Scene, version};
use crate::packages;

#[test]
fn a_node_runs_what_is_released_and_is_told_why_it_does_not_get_what_was_taken_down() {
    let scene = Scene::without_reviewers();
    for number in ["1.0.0", "1.1.0"] {
        assert_eq!(scene.push(&version(number), "steady")["state"], "released");
    }
    let pair = Pair::new().unwrap();
    let _relay = Relay::start(&pair.right, scene.hub.address()).unwrap();
    let repository = scene.hub.reference("l3af");
    let policy = format!("{}[[repository]]\nurl = \"{repository}\"\n", packages().policy());
    let mut node = Node::start(&pair.right, &policy).unwrap();
    let document = |number: &str| {
        let package = scene.hub.reference(&format!("l3af/steady:{number}"));
        format!(
            "[[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\n[[chain.member]]\nname = \"steady\"\npackage = \"oci://{package}\"\n"
        )
    };
    let running = |node: &Node| -> Vec<String> {
        let chains = node.chains().unwrap();
        chains.iter().flat_map(|chain| &chain.members).map(|member| member.version.clone()).collect()
    };
    node.apply(&document("1.0.0")).unwrap().success().unwrap();
    assert_eq!(running(&node), ["1.0.0"]);

    let all =
        json!({ "publisher": "l3af", "name": "steady", "class": "malware", "reason": "it opens a door" });
    let taken = scene.hub.call(&scene.boss, "POST", "/api/v1/takedowns", Some(&all)).unwrap();
    assert_eq!(taken.status, 201, "{}", taken.text());
    let refused = node.apply(&document("1.1.0")).unwrap();
    assert!(
        !refused.ok && refused.stderr.contains("taken down (malware): it opens a door"),
        "{}",
        refused.stderr
    );
    // What runs is the node's own, and what it may run is said by its policy.
    assert_eq!(running(&node), ["1.0.0"]);
    node.restart().unwrap();
    node.wait("it runs again", || running(&node) == ["1.0.0"]);
}
