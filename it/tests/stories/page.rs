// SPDX-License-Identifier: Apache-2.0
//! The page of the daemon: what it shows, and what it lets a browser do.

use it::{Node, Pair, ping, run};

use crate::packages;

#[test]
fn the_page_shows_chains_and_lets_browsers_load_nothing_else() {
    let pair = Pair::new().unwrap();
    let node = Node::start(&pair.right, &packages().policy()).unwrap();
    let limited = "ratelimit:enforcement = \"shadow\"";
    node.apply(&packages().document("right0", &["sanity", limited])).unwrap().success().unwrap();
    let socket = node.socket().to_string_lossy().into_owned();
    let fetch = || run(&format!("curl -s -i --unix-socket {socket} http://l3afd/")).unwrap();
    let first = fetch();
    let (head, page) = first.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(head.contains("content-type: text/html; charset=utf-8"), "{head}");
    assert!(head.contains("content-security-policy: default-src 'none'; style-src 'sha256-"), "{head}");
    assert!(!head.contains("unsafe-inline"), "{head}");
    let shown = [
        "right0/xdp (splice, native)</caption>",
        "<th scope=\"row\">sanity</th><td>l3af/sanity 0.1.0</td>",
        "<td>shadow</td>",
        "<dt>Generation</dt><dd>1</dd>",
        "generation 1: ",
    ];
    for words in shown {
        assert!(page.contains(words), "{words}: {page}");
    }
    // A page that is asked for again has rates.
    node.wait("there are rates", || {
        ping(&pair, 2).unwrap();
        let page = fetch();
        page.contains("Rates are those of the last") && !page.contains("<td>sanity</td><td>0</td>")
    });
    // What somebody else wrote is text.
    let document = packages().document("right0", &["sanity"]).replace("right0", "<b>x");
    let refused = node.apply(&document).unwrap();
    assert!(!refused.ok && !fetch().contains("<b>x"));
}
