//! A real redis-server for a test.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::PathBuf,
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

/// How often a server is looked for before a test gives up on it: for ten seconds.
const TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(20);

/// A redis-server of a test's own, on a free port of this machine, in a folder of its own; both are gone when it is
/// dropped.
///
/// ```
/// let mut server = bartizan_testkit::RedisServer::start();
/// assert_eq!(server.command(&["SET", "key", "value"]), "+OK");
/// server.kill();
/// server.restart();
/// assert_eq!(server.command(&["EXISTS", "key"]), ":0", "nothing is written to disk");
/// ```
#[derive(Debug)]
pub struct RedisServer {
    process: Option<Child>,
    port: u16,
    folder: PathBuf,
    arguments: Vec<String>,
}

impl RedisServer {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// When there is no redis-server, or when it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with these arguments too, such as `--maxmemory 2mb`.
    ///
    /// # Panics
    ///
    /// When there is no redis-server, or when it does not start.
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);

        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("bartizan-redis-{}-{count}", process::id()));
        fs::create_dir_all(&folder).expect("a folder for the server's files");
        let mut server = Self {
            process: None,
            port: 0,
            folder,
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        };
        // Between finding a free port and using it another program may take it.
        for _ in 0..10 {
            server.port = free_port();
            if server.launch() {
                return server;
            }
        }
        panic!("redis-server does not start");
    }

    /// Where it is: `redis://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts it again on its port, empty.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill();
        // Another program may have the port for a moment.
        let started = (0..10).any(|_| {
            self.launch() || {
                thread::sleep(PAUSE);
                false
            }
        });
        assert!(started, "redis-server does not start again");
    }

    /// Stops it as it is (SIGSTOP): connections stay open, and nothing is answered.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// What it answers to a command: the first line of it, and of a text the text.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    #[must_use]
    pub fn command(&self, parts: &[&str]) -> String {
        command(self.port, parts).expect("redis-server answers")
    }

    fn signal(&self, signal: &str) {
        let Some(process) = &self.process else { return };
        let sent = Command::new("kill").args([signal, &process.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "a signal can be sent");
    }

    /// Whether it runs and answers.
    fn launch(&mut self) -> bool {
        let spawned = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .arg("--dir")
            .arg(&self.folder)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match spawned {
            Ok(process) => self.process = Some(process),
            Err(error) => {
                panic!("`redis-server` cannot be started ({error}): `cargo xtask test` installs it")
            }
        }
        for _ in 0..TRIES {
            let ended = self.process.as_mut().is_none_or(|process| !matches!(process.try_wait(), Ok(None)));
            if ended {
                return false;
            }
            // Of a cluster, only pings are answered before its slots are dealt out.
            if command(self.port, &["PING"]).is_ok_and(|answer| answer == "+PONG") {
                return true;
            }
            thread::sleep(PAUSE);
        }
        false
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        // What is left is in a folder for what may be lost.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A cluster of three masters.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts one, and waits until each node knows where all slots are.
    ///
    /// # Panics
    ///
    /// When there is no redis-server, or when it does not start.
    #[must_use]
    pub fn start() -> Self {
        const NODES: u32 = 3;
        const SLOTS: u32 = 16_384;

        let nodes: Vec<_> = (0..NODES)
            .map(|_| RedisServer::start_with(&["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]))
            .collect();
        for (index, node) in (0..).zip(&nodes) {
            let slots: Vec<_> =
                (index * SLOTS / NODES..(index + 1) * SLOTS / NODES).map(|slot| slot.to_string()).collect();
            let mut deal = vec!["CLUSTER", "ADDSLOTS"];
            deal.extend(slots.iter().map(String::as_str));
            assert_eq!(node.command(&deal), "+OK");
            assert_eq!(node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]), "+OK");
        }
        for node in &nodes[1..] {
            assert_eq!(nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &node.port().to_string()]), "+OK");
        }
        let cluster = Self { nodes };
        for _ in 0..TRIES {
            let ready = |node: &RedisServer| {
                let info = node.command(&["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            };
            if cluster.nodes.iter().all(ready) {
                return cluster;
            }
            thread::sleep(PAUSE);
        }
        panic!("the cluster does not come up");
    }

    /// Where its nodes are.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::url).collect()
    }

    /// Its nodes.
    pub fn nodes(&mut self) -> &mut [RedisServer] {
        &mut self.nodes
    }
}

/// A master, a replica of it, and a sentinel that makes the replica the master when that is gone.
#[derive(Debug)]
pub struct RedisSentinel {
    /// The master at first.
    pub master: RedisServer,
    /// Its replica.
    pub replica: RedisServer,
    sentinel: RedisServer,
}

impl RedisSentinel {
    /// The name of the group of servers.
    pub const GROUP: &str = "limits";

    /// Starts all three, and waits until the sentinel knows the replica.
    ///
    /// # Panics
    ///
    /// When there is no redis-server, or when it does not start.
    #[must_use]
    pub fn start() -> Self {
        let master = RedisServer::start();
        let port = master.port().to_string();
        let replica =
            RedisServer::start_with(&["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"]);
        let folder = env::temp_dir().join(format!("bartizan-sentinel-{}-{port}", process::id()));
        fs::create_dir_all(&folder).expect("a folder for the sentinel's settings");
        let settings = folder.join("sentinel.conf");
        let group = Self::GROUP;
        let text = format!(
            "sentinel monitor {group} 127.0.0.1 {port} 1\n\
             sentinel down-after-milliseconds {group} 300\n\
             sentinel failover-timeout {group} 2000\n"
        );
        fs::write(&settings, text).expect("the sentinel's settings can be written");
        let sentinel = RedisServer::launch_sentinel(&settings, folder);
        let servers = Self { master, replica, sentinel };
        for _ in 0..TRIES {
            let masters = servers.sentinel.command(&["SENTINEL", "REPLICAS", group]);
            let synced = servers.replica.command(&["INFO", "replication"]).contains("master_link_status:up");
            if masters == "*1" && synced {
                return servers;
            }
            thread::sleep(PAUSE);
        }
        panic!("the sentinel does not find the replica");
    }

    /// Where the sentinel is.
    #[must_use]
    pub fn url(&self) -> String {
        self.sentinel.url()
    }
}

impl RedisServer {
    /// A sentinel, whose settings are a file that it writes to.
    fn launch_sentinel(settings: &std::path::Path, folder: PathBuf) -> Self {
        let port = free_port();
        let process = Command::new("redis-server")
            .arg(settings)
            .args(["--sentinel", "--port", &port.to_string()])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a sentinel can be started");
        let server = Self { process: Some(process), port, folder, arguments: Vec::new() };
        for _ in 0..TRIES {
            if command(port, &["PING"]).is_ok_and(|answer| answer == "+PONG") {
                return server;
            }
            thread::sleep(PAUSE);
        }
        panic!("the sentinel does not start");
    }
}

/// A port that was free a moment ago, and whose cluster port exists.
fn free_port() -> u16 {
    const CLUSTER_PORT_OFFSET: u16 = 10_000;
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("its number").port();
        if port.checked_add(CLUSTER_PORT_OFFSET).is_some() {
            return port;
        }
    }
}

fn command(port: u16, parts: &[&str]) -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut request = format!("*{}\r\n", parts.len());
    for part in parts {
        request.push_str(&format!("${}\r\n{part}\r\n", part.len()));
    }
    stream.write_all(request.as_bytes())?;
    let mut answer = BufReader::new(stream);
    let mut line = String::new();
    answer.read_line(&mut line)?;
    let line = line.trim_end();
    let Some(length) = line.strip_prefix('$').and_then(|length| length.parse::<usize>().ok()) else {
        return Ok(line.to_owned());
    };
    let mut text = vec![0; length];
    io::Read::read_exact(&mut answer, &mut text)?;
    String::from_utf8(text).map_err(io::Error::other)
}
