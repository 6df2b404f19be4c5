// SPDX-License-Identifier: Apache-2.0
//! A client, a balancer, and servers in namespaces of their own, which have the address of the service and answer by themselves.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use it::{Node, Pair, Ran, Side, repository, run, run_in, unique};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, sockopt};

use crate::packages;

/// The addresses of the service.
pub(super) const VIPS: [&str; 2] = ["203.0.113.10", "2001:db8:10::10"];
/// The address of the client of IPv6; that of IPv4 is the pair's.
const CLIENT: &str = "fd13::1";
/// Who waits longer for an answer gets none.
const PATIENCE: Duration = Duration::from_secs(5);

/// All of it. What is on the right of the pair balances.
pub(super) struct Farm {
    pub(super) node: Node,
    pub(super) servers: Vec<Server>,
    pub(super) pair: Pair,
    /// Programs of the stories' own, pinned.
    pins: Vec<String>,
}

impl Farm {
    /// So many servers, with numbers from 1 on.
    pub(super) fn new(count: u8) -> Result<Self> {
        let pair = Pair::new()?;
        let node = Node::start(&pair.right, &packages().policy())?;
        let mut farm = Self { pair, node, servers: Vec::new(), pins: Vec::new() };
        farm.connect_client()?;
        let has_tunnels = has_tunnels(&farm.pair.right);
        let pin = if has_tunnels { None } else { Some(farm.load("decapsulate", "xdp")?) };
        for number in 1..=count {
            let server = Server::new(number, &farm.pair.right, pin.as_deref())?;
            farm.servers.push(server);
        }
        Ok(farm)
    }

    fn connect_client(&self) -> Result<()> {
        let Pair { left, right } = &self.pair;
        for side in [left, right] {
            routing(&side.namespace)?;
        }
        // What a program sends on has its checksums: nobody is asked to compute them any more.
        run_in(&left.namespace, "ethtool -K left0 tx off txvlan off")?;
        let [ipv4, ipv6] = VIPS;
        batch(
            &left.namespace,
            &format!(
                "address add {CLIENT}/64 dev left0 nodad\nroute add {ipv4} via {}\nroute add {ipv6} via fd13::2\n",
                right.address
            ),
        )?;
        batch(&right.namespace, "address add fd13::2/64 dev right0 nodad\n")
    }

    /// Has the client's packets of TCP leave with a tag.
    pub(super) fn tag(&mut self) -> Result<()> {
        let pin = self.load("tag", "classifier")?;
        let namespace = &self.pair.left.namespace;
        run_in(namespace, "tc qdisc add dev left0 clsact")?;
        run_in(namespace, &format!("tc filter add dev left0 egress bpf da object-pinned {pin}")).map(drop)
    }

    /// Has the client hear what a program sends back: a cable needs a program at that end as well.
    pub(super) fn hear(&mut self) -> Result<()> {
        let pin = self.load("decapsulate", "xdp")?;
        run_in(&self.pair.left.namespace, &format!("ip link set dev left0 xdp pinned {pin}")).map(drop)
    }

    /// Compiles and pins a program of the stories.
    fn load(&mut self, name: &str, kind: &str) -> Result<String> {
        let source = format!("it/fixtures/load-balancer/{name}.bpf.c");
        let object = packages().path(&format!("{}.o", unique(name)));
        let flags = "-g -O2 -target bpf -mcpu=v3 -I programs/include -I crates/compile/include";
        let mut clang = Command::new("clang-19");
        clang.args(flags.split(' ')).args(["-c", &source, "-o", &object]).current_dir(repository());
        Ran::from(clang.output()?).success()?;
        let pin = format!("/sys/fs/bpf/{}", unique(&format!("l3af-it-{name}-")));
        run(&format!("bpftool prog load {object} {pin} type {kind}"))?;
        self.pins.push(pin.clone());
        Ok(pin)
    }

    /// HTTP on both addresses, over all servers by IP in IP of IPv4; applied, and ready.
    pub(super) fn balance(&self) -> Result<()> {
        let backends: Vec<String> = self.servers.iter().map(|server| server.backend("")).collect();
        self.apply(&document(&http(), &backends, "")?)
    }

    pub(super) fn apply(&self, document: &str) -> Result<()> {
        self.node.apply(document)?.success().map(drop)
    }

    /// What the counter of an outcome says.
    pub(super) fn outcome(&self, name: &str) -> Result<u64> {
        Ok(self.node.l3af(&["get", "lb", "outcomes", name])?.trim().parse()?)
    }

    /// What is known of the health of a backend.
    pub(super) fn health(&self, number: u8) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(&self.node.l3af(&["get", "lb", "health", &number.to_string()])?)?)
    }

    /// Waits until checks say of a backend what it is.
    pub(super) fn wait(&self, number: u8, up: u32) {
        let is_so = || self.health(number).is_ok_and(|health| health["up"] == up);
        self.node.wait("checks see it", is_so);
        // Tables follow checks.
        let has_slots = || self.health(number).is_ok_and(|health| (health["slots"] != 0) == (up == 1));
        self.node.wait("tables follow", has_slots);
    }

    /// Who answers at each of these ports of the client.
    pub(super) fn ask_all(&self, vip: &'static str, ports: std::ops::Range<u16>) -> Result<Vec<String>> {
        let ask = move || ports.map(|port| Conversation::open(vip, port)?.last()).collect();
        self.pair.left.inside(ask)?
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        for pin in &self.pins {
            drop(fs::remove_file(pin));
        }
    }
}

/// The document: these services and backends, in TOML, and what else there is to be said.
pub(super) fn document(services: &[String], backends: &[String], rest: &str) -> Result<String> {
    let package = packages().program("load-balancer")?;
    Ok(format!(
        "[[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\n[[chain.member]]\nname = \"lb\"\npackage = \"{package}\"\n\
         [chain.member.config]\ncheck_interval_ms = 100\ncheck_rise = 1\ncheck_fall = 2\n{rest}\n\
         services = [{}]\nbackends = [{}]\n",
        services.join(", "),
        backends.join(", ")
    ))
}

/// Both addresses, HTTP.
pub(super) fn http() -> Vec<String> {
    VIPS.map(|vip| service(vip, 80, "tcp")).to_vec()
}

pub(super) fn service(address: &str, port: u16, protocol: &str) -> String {
    format!(
        "{{ key = {{ address = \"{address}\", port = {port}, protocol = \"{protocol}\" }}, value = {{ pool = 0 }} }}"
    )
}

/// A server with the addresses of the service on its loopback.
pub(super) struct Server {
    pub(super) number: u8,
    pub(super) side: Side,
    runs: Option<Running>,
}

struct Running {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Server {
    fn new(number: u8, balancer: &Side, decapsulates: Option<&str>) -> Result<Self> {
        let side = Side {
            namespace: unique(&format!("l3af-server{number}-")),
            interface: "eth0".to_owned(),
            address: format!("10.214.{number}.2"),
        };
        let mut server = Self { number, side, runs: None };
        let namespace = &server.side.namespace;
        run(&format!("ip netns add {namespace}"))?;
        routing(namespace)?;
        batch(
            &balancer.namespace,
            &format!(
                "link add to{number} type veth peer name eth0 netns {namespace}\nlink set to{number} up\n\
             address add 10.214.{number}.1/24 dev to{number}\naddress add fd14:{number}::1/64 dev to{number} nodad\n"
            ),
        )?;
        let [ipv4, ipv6] = VIPS;
        batch(
            namespace,
            &format!(
                "link set lo up\nlink set eth0 up\naddress add 10.214.{number}.2/24 dev eth0\naddress add fd14:{number}::2/64 dev eth0 nodad\n\
             route add default via 10.214.{number}.1\nroute add default via fd14:{number}::1\n\
             address add {ipv4}/32 dev lo\naddress add {ipv6}/128 dev lo nodad\n"
            ),
        )?;
        match decapsulates {
            Some(pin) => drop(run_in(namespace, &format!("ip link set dev eth0 xdp pinned {pin}"))?),
            None => tunnels(namespace)?,
        }
        server.serve()?;
        Ok(server)
    }

    /// A backend of the document; `rest` is more of its settings, or `address` in place of the one of IPv4.
    pub(super) fn backend(&self, rest: &str) -> String {
        let number = self.number;
        let address = if rest.contains("address") {
            String::new()
        } else {
            format!("address = \"10.214.{number}.2\", ")
        };
        let check = if rest.contains("check") { "" } else { "check = \"http\", check_path = \"/up\", " };
        let value = format!("{address}{check}{rest}");
        format!("{{ key = {number}, value = {{ {} }} }}", value.trim_end_matches([' ', ',']))
    }

    /// Serves HTTP, and tells the time over UDP.
    pub(super) fn serve(&mut self) -> Result<()> {
        let listener = self.side.inside(|| TcpListener::bind("[::]:80"))??;
        let ends = Arc::new(AtomicBool::new(false));
        let name = format!("server {}", self.number);
        let thread = thread::spawn({
            let ends = Arc::clone(&ends);
            move || accept(&listener, &name, &ends)
        });
        self.runs = Some(Running { ends, thread });
        Ok(())
    }

    /// Listens no more, as a server that was killed.
    pub(super) fn kill(&mut self) -> Result<()> {
        let Some(Running { ends, thread }) = self.runs.take() else { return Ok(()) };
        ends.store(true, Ordering::SeqCst);
        self.side.inside(|| TcpStream::connect("127.0.0.1:80")).map(drop)?;
        thread.join().ok().context("the server panicked")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.kill());
        drop(run(&format!("ip netns del {}", self.side.namespace)));
    }
}

fn accept(listener: &TcpListener, name: &str, ends: &AtomicBool) {
    while let Ok((stream, _)) = listener.accept() {
        if ends.load(Ordering::SeqCst) {
            return;
        }
        let name = name.to_owned();
        // A client that goes is no matter.
        thread::spawn(move || drop(answer(&stream, &name)));
    }
}

/// Answers requests with the name of the server until the client wants no more.
fn answer(mut stream: &TcpStream, name: &str) -> io::Result<()> {
    let mut is_last = false;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        is_last |= line.eq_ignore_ascii_case("connection: close");
        if line.is_empty() {
            let length = name.len();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}")?;
            if is_last {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A connection of HTTP that may go on.
pub(super) struct Conversation {
    stream: BufReader<TcpStream>,
}

impl Conversation {
    /// Connects from the side of the client.
    pub(super) fn begin(client: &Side, vip: &str, port: u16) -> Result<Self> {
        let vip = vip.to_owned();
        client.inside(move || Self::open(&vip, port))?
    }

    /// Connects in the namespace of the thread.
    fn open(vip: &str, port: u16) -> Result<Self> {
        let to: IpAddr = vip.parse()?;
        let (family, any) = match to {
            IpAddr::V4(_) => (AddressFamily::INET, "0.0.0.0"),
            IpAddr::V6(_) => (AddressFamily::INET6, "::"),
        };
        let socket: OwnedFd = rustix::net::socket(family, SocketType::STREAM, None)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(PATIENCE))?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE))?;
        rustix::net::bind(&socket, &SocketAddr::new(any.parse()?, port))?;
        // The connection before it from this port ends with an acknowledgement that may be on its way.
        let (begin, to) = (Instant::now(), SocketAddr::new(to, 80));
        let mut connected = rustix::net::connect(&socket, &to);
        while connected == Err(Errno::ADDRNOTAVAIL) && begin.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(1));
            connected = rustix::net::connect(&socket, &to);
        }
        connected.with_context(|| format!("no connection to {vip} from port {port}"))?;
        Ok(Self { stream: BufReader::new(socket.into()) })
    }

    /// Asks who answers.
    pub(super) fn ask(&mut self) -> Result<String> {
        self.request("keep-alive", 0)
    }

    /// The same, with a question of several segments.
    pub(super) fn ask_at_length(&mut self) -> Result<String> {
        self.request("keep-alive", 5000)
    }

    /// Asks for the last time. The server closes first, so that the port is free again.
    fn last(mut self) -> Result<String> {
        let name = self.request("close", 0)?;
        let mut rest = Vec::new();
        io::Read::read_to_end(&mut self.stream, &mut rest)?;
        ensure!(rest.is_empty(), "there is more: {rest:?}");
        Ok(name)
    }

    fn request(&mut self, connection: &str, more: usize) -> Result<String> {
        let more = "x".repeat(more);
        let request =
            format!("GET / HTTP/1.1\r\nHost: service\r\nConnection: {connection}\r\nMore: {more}\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            ensure!(self.stream.read_line(&mut line)? > 0, "the connection ended");
            match line.trim_end().split_once(": ") {
                Some(("Content-Length", text)) => length = text.parse()?,
                _ if line == "\r\n" => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        io::Read::read_exact(&mut self.stream, &mut body)?;
        Ok(String::from_utf8(body)?)
    }
}

/// A socket of UDP in a namespace. It waits for nothing where it is one of a server.
pub(super) fn udp(side: &Side, address: SocketAddr) -> Result<UdpSocket> {
    let socket = side.inside(move || UdpSocket::bind(address))??;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_nonblocking(!address.ip().is_unspecified())?;
    Ok(socket)
}

/// Forwards, has IPv6, and takes answers from anywhere.
fn routing(namespace: &str) -> Result<()> {
    run_in(
        namespace,
        "sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 \
                       net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
                       net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0",
    )
    .map(drop)
}

/// Whether this kernel has devices for tunnels.
fn has_tunnels(side: &Side) -> bool {
    let name = "tunnel";
    let made = run_in(&side.namespace, &format!("ip link add {name} type ipip local 127.0.0.1"));
    drop(run_in(&side.namespace, &format!("ip link del {name}")));
    made.is_ok()
}

/// Devices for tunnels from anywhere: those that modules bring by themselves, and ports of GUE in front of them.
fn tunnels(namespace: &str) -> Result<()> {
    run("modprobe -a ipip sit ip6_tunnel fou fou6")?;
    run_in(namespace, "ip -6 tunnel change ip6tnl0 mode any")?;
    batch(namespace, "link set tunl0 up\nlink set sit0 up\nlink set ip6tnl0 up\n")?;
    run_in(namespace, "ip fou add port 6080 gue")?;
    run_in(namespace, "ip -6 fou add port 6080 gue")?;
    // What is redirected to a cable needs an end that polls.
    run_in(namespace, "ethtool -K eth0 gro on").map(drop)
}

/// Several commands of `ip`, a line each.
fn batch(namespace: &str, lines: &str) -> Result<()> {
    let mut ip = Command::new("ip")
        .args(["-n", namespace, "-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    ip.stdin.take().context("it has an input")?.write_all(lines.as_bytes())?;
    let ran = Ran::from(ip.wait_with_output()?);
    ran.success().with_context(|| format!("in {namespace}:\n{lines}")).map(drop)
}
