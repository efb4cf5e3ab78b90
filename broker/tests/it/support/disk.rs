//! A small file system that can be filled to its last byte.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::{finish, succeed};

const LIMIT: Duration = Duration::from_secs(30);

/// A tmpfs on a directory. Dropped, it is unmounted, and what it held is gone.
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts `megabytes` at `directory`, which is created.
    pub fn mount(directory: &Path, megabytes: u32) -> SmallDisk {
        fs::create_dir_all(directory).expect("a directory to mount on");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "barnabas-it"]).arg(directory);
        succeed(&mut mount, "", LIMIT);
        SmallDisk { at: directory.to_path_buf() }
    }

    /// Takes all the space that is left.
    pub fn fill(&self) {
        let mut filler = File::create(self.filler()).expect("the filler");
        let mut chunk = vec![0; 1 << 20];
        while !chunk.is_empty() {
            match filler.write(&chunk) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => chunk.truncate(chunk.len() / 2),
                Err(error) => panic!("filling {}: {error}", self.at.display()),
            }
        }
    }

    /// Gives the space back.
    pub fn free(&self) {
        fs::remove_file(self.filler()).expect("the filler");
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is being killed may still hold a file.
        finish(Command::new("umount").arg("--lazy").arg(&self.at), "", LIMIT);
    }
}
