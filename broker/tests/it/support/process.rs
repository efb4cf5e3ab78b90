//! Child processes with a deadline, and the signals the tests send.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::wait::wait_for;

/// What a command printed, and how it ended.
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `command` to its end with `input` on stdin. Kills it and panics after `limit`.
pub fn finish(command: &mut Command, input: &str, limit: Duration) -> Finished {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.as_bytes().to_vec();
    let writer = thread::spawn(move || std::io::Write::write_all(&mut stdin, &input));
    let stdout = drain(child.stdout.take().expect("piped"));
    let stderr = drain(child.stderr.take().expect("piped"));
    let status = wait_or_kill(&mut child, limit);
    // A program that ends without reading its input is judged by its status, not by the broken pipe.
    let _ = writer.join().expect("the writer does not panic");
    let [stdout, stderr] = [stdout, stderr].map(|reader| reader.join().expect("the reader does not panic"));
    let Some(status) = status else {
        panic!("{command:?} did not end within {limit:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}");
    };
    Finished { status, stdout, stderr }
}

/// Runs `command` and returns its stdout. Panics with all it said if it fails or outlives `limit`.
pub fn succeed(command: &mut Command, input: &str, limit: Duration) -> String {
    let Finished { status, stdout, stderr } = finish(command, input, limit);
    assert!(status.success(), "{command:?}: {status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}");
    stdout
}

/// Sends `signal` to `child`, which has not been waited for yet.
pub fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("the child has not been waited for");
}

/// Waits for the end of `child`; panics with `what` after `limit`.
pub fn wait_for_exit(child: &mut Child, what: &str, limit: Duration) -> ExitStatus {
    wait_for(what, limit, || child.try_wait().expect("the child is ours"))
}

fn wait_or_kill(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("the child is ours") {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().and_then(|()| child.wait()).expect("the child is ours");
    None
}

fn drain(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
