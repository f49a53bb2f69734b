//! A machine of the shop: a process of its own, which can be killed and started again.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

/// How long a shop may take until it is ready.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the kernel counts CPU time in.
const TICKS_PER_SECOND: u64 = 100;

pub struct Machine {
    pub address: SocketAddr,
    config: PathBuf,
    log: PathBuf,
    process: Child,
    /// What the processes before this one have used.
    before: Usage,
}

/// What a process has used. Zero where there is no `/proc`.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    pub cpu: Duration,
    pub peak_kib: u64,
}

impl Machine {
    pub async fn start(config: &Path, log: PathBuf) -> Self {
        let address = free_address();
        let machine = Self {
            process: spawn(config, &log, address),
            address,
            config: config.to_owned(),
            log,
            before: Usage::default(),
        };
        machine.ready().await;
        machine
    }

    /// Kills the process, as a machine that loses its power, and starts another one at the same address.
    pub async fn kill(&mut self) {
        self.before = self.usage();
        self.process.kill().await.expect("it is killed");
        self.process = spawn(&self.config, &self.log, self.address);
        self.ready().await;
    }

    async fn ready(&self) {
        let address = format!("http://{}/health/ready", self.address);
        let begun = Instant::now();
        while !reqwest::get(&address)
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            let log = self.log.display();
            assert!(begun.elapsed() < PATIENCE, "a shop is not ready: see {log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The CPU time of all processes of this machine, and the largest peak of memory.
    pub fn usage(&self) -> Usage {
        let now = self.process.id().map_or_else(Usage::default, Usage::of);
        Usage {
            cpu: self.before.cpu + now.cpu,
            peak_kib: self.before.peak_kib.max(now.peak_kib),
        }
    }

    /// The lines of the log that are warnings or errors.
    pub fn complaints(&self) -> Vec<String> {
        let log = std::fs::read_to_string(&self.log).expect("a log");
        let is_complaint =
            |line: &&str| line.contains(r#""level":"WARN""#) || line.contains(r#""level":"ERROR""#);
        log.lines()
            .filter(is_complaint)
            .map(str::to_owned)
            .collect()
    }
}

impl Usage {
    pub fn of(process: u32) -> Self {
        Self {
            cpu: cpu(process).unwrap_or_default(),
            peak_kib: peak_kib(process).unwrap_or_default(),
        }
    }
}

fn cpu(process: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The program's name, in parentheses, may contain spaces.
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map_while(|field| field.parse::<u64>().ok())
        .sum();
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

fn peak_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().trim_end_matches(" kB").parse().ok()
}

fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

fn spawn(config: &Path, log: &Path, address: SocketAddr) -> Child {
    let log = File::options().append(true).create(true).open(log);
    let mut program = Command::new(env!("CARGO_BIN_EXE_shop"));
    program
        .arg("--config")
        .arg(config)
        .env("SHOP_LISTEN", address.to_string())
        .stderr(Stdio::from(log.expect("a file")))
        .kill_on_drop(true);
    program.spawn().expect("the program")
}
