//! Files as the log uses them: opened on use, kept in a bounded cache, written by position.
//!
//! - At most [`FileCache`]'s capacity of files stay open, whatever the number of partitions; a file that a reader still
//!   holds stays open until it lets go.
//! - Every operation that changes the disk goes through the functions of this file, where tests inject faults.

use super::names::{self, FileKind, TEMPORARY_SUFFIX};
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

#[cfg(test)]
use super::faults::{self, Operation};

/// How many files stay open: a second-chance cache. A hit takes no lock that another file's hit takes.
#[derive(Debug)]
pub struct FileCache {
    capacity: usize,
    clock: Mutex<Clock>,
}

#[derive(Debug, Default)]
struct Clock {
    open: Vec<Weak<Slot>>,
    hand: usize,
}

#[derive(Debug, Default)]
struct Slot {
    file: Mutex<Option<Arc<File>>>,
    used: AtomicBool,
}

impl FileCache {
    /// A cache that keeps `capacity` files open.
    pub fn new(capacity: usize) -> Arc<FileCache> {
        assert!(capacity > 0, "a cache that holds no file");
        Arc::new(FileCache { capacity, clock: Mutex::default() })
    }

    fn opened(&self, slot: &Arc<Slot>) {
        let mut clock = lock(&self.clock);
        if clock.open.len() < self.capacity {
            clock.open.push(Arc::downgrade(slot));
            return;
        }
        let place = clock.evict();
        clock.open[place] = Arc::downgrade(slot);
    }

    /// How many files the cache holds open.
    pub fn open_files(&self) -> usize {
        let is_open = |slot: &Weak<Slot>| slot.upgrade().is_some_and(|slot| lock(&slot.file).is_some());
        lock(&self.clock).open.iter().filter(|slot| is_open(slot)).count()
    }
}

impl Clock {
    /// Closes the first file that was not used since the hand last passed it; gives its place.
    fn evict(&mut self) -> usize {
        loop {
            let place = self.hand;
            self.hand = (self.hand + 1) % self.open.len();
            match self.open[place].upgrade() {
                Some(slot) if slot.used.swap(false, Ordering::Relaxed) => {}
                Some(slot) => {
                    lock(&slot.file).take();
                    return place;
                }
                None => return place,
            }
        }
    }
}

/// A lock that stays usable when a thread panicked with it: the state under our locks is whole at every step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One of a segment's files, open only while it is used.
#[derive(Debug)]
pub struct CachedFile {
    cache: Arc<FileCache>,
    directory: Arc<Path>,
    base_offset: i64,
    kind: FileKind,
    suffix: &'static str,
    slot: OnceLock<Arc<Slot>>,
}

impl CachedFile {
    pub fn new(cache: &Arc<FileCache>, directory: &Arc<Path>, base_offset: i64, kind: FileKind) -> CachedFile {
        CachedFile {
            cache: cache.clone(),
            directory: directory.clone(),
            base_offset,
            kind,
            suffix: "",
            slot: OnceLock::new(),
        }
    }

    pub fn path(&self) -> PathBuf {
        names::segment_file(&self.directory, self.base_offset, self.kind, self.suffix)
    }

    /// The open file. Errors: `NotFound` if nothing was ever written to it.
    pub fn open(&self) -> io::Result<Arc<File>> {
        self.get(false)
    }

    /// The open file, made if it is not there.
    pub fn open_or_create(&self) -> io::Result<Arc<File>> {
        self.get(true)
    }

    fn get(&self, create: bool) -> io::Result<Arc<File>> {
        let slot = self.slot.get_or_init(Arc::default);
        let mut held = lock(&slot.file);
        if let Some(file) = &*held {
            slot.used.store(true, Ordering::Relaxed);
            return Ok(file.clone());
        }
        let file = Arc::new(open(&self.path(), create)?);
        *held = Some(file.clone());
        // The cache's lock comes before a slot's wherever both are held, so this one is let go first.
        drop(held);
        self.cache.opened(slot);
        Ok(file)
    }
}

fn open(path: &Path, create: bool) -> io::Result<File> {
    #[cfg(test)]
    if create {
        faults::check(Operation::Create)?;
    }
    OpenOptions::new().read(true).write(true).create(create).open(path)
}

/// Writes `first` and then `second` at `position`, in one system call if the kernel takes them whole.
/// Errors: those of the system; how much was written is then unknown.
pub fn write_at(file: &File, first: &[u8], second: &[u8], position: u64) -> io::Result<()> {
    #[cfg(test)]
    faults::check_write(file, &[first, second].concat(), position)?;
    let written = retrying(|| rustix::io::pwritev(file, &[IoSlice::new(first), IoSlice::new(second)], position))?;
    if written == first.len() + second.len() {
        return Ok(());
    }
    let rest = first.get(written..).unwrap_or_default();
    file.write_all_at(rest, position + written as u64)?;
    let rest_of_second = &second[written.saturating_sub(first.len())..];
    file.write_all_at(rest_of_second, position + (written.max(first.len())) as u64)
}

fn retrying<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            result => return result.map_err(io::Error::from),
        }
    }
}

pub fn truncate(file: &File, length: u64) -> io::Result<()> {
    #[cfg(test)]
    faults::check(Operation::Truncate)?;
    file.set_len(length)
}

/// Waits until the file's bytes and its length are on the disk.
pub fn sync(file: &File) -> io::Result<()> {
    #[cfg(test)]
    faults::check(Operation::Sync)?;
    file.sync_data()
}

/// Waits until the names in a directory are on the disk.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::check(Operation::Sync)?;
    File::open(path)?.sync_all()
}

pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::check(Operation::Rename)?;
    std::fs::rename(from, to)
}

/// Removes a file; that it is not there is no error.
pub fn remove(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::check(Operation::Remove)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Replaces the file at `path` with `contents`: at every moment, even one at which power is lost, the old or the new
/// file is there whole.
pub fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    write_beside(path, contents, true)?;
    sync_directory(path.parent().expect("a file in a directory"))
}

/// As [`replace`], for files that can be made again: not waiting for the disk. After a loss of power the file may be
/// old, new or empty.
pub fn replace_unsynced(path: &Path, contents: &[u8]) -> io::Result<()> {
    write_beside(path, contents, false)
}

fn write_beside(path: &Path, contents: &[u8], durable: bool) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(TEMPORARY_SUFFIX);
    let temporary = PathBuf::from(temporary);
    let written = write_new(&temporary, contents, durable).and_then(|()| rename(&temporary, path));
    if written.is_err() {
        // The error that matters is the first; a temporary file that stays is removed when the log is opened.
        std::fs::remove_file(&temporary).ok();
    }
    written
}

fn write_new(path: &Path, contents: &[u8], durable: bool) -> io::Result<()> {
    #[cfg(test)]
    faults::check(Operation::Create)?;
    let mut file = File::create(path)?;
    #[cfg(test)]
    faults::check_write(&file, contents, 0)?;
    file.write_all(contents)?;
    if durable { sync(&file) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(cache: &Arc<FileCache>, directory: &Path, count: i64) -> Vec<CachedFile> {
        let directory: Arc<Path> = Arc::from(directory);
        (0..count).map(|base_offset| CachedFile::new(cache, &directory, base_offset, FileKind::Log)).collect()
    }

    #[test]
    fn no_more_files_stay_open_than_the_cache_may_hold() {
        let directory = tempfile::tempdir().unwrap();
        let cache = FileCache::new(3);
        let files = files(&cache, directory.path(), 10);
        for file in &files {
            file.open_or_create().unwrap();
            assert!(cache.open_files() <= 3);
        }
        for (number, file) in files.iter().enumerate() {
            write_at(&file.open().unwrap(), b"number ", number.to_string().as_bytes(), 0).unwrap();
        }
        assert_eq!(std::fs::read(files[9].path()).unwrap(), b"number 9");
        assert_eq!(cache.open_files(), 3);
    }

    #[test]
    fn a_file_in_use_is_kept_before_one_that_was_used_once() {
        let directory = tempfile::tempdir().unwrap();
        let cache = FileCache::new(2);
        let files = files(&cache, directory.path(), 20);
        let hot = files[0].open_or_create().unwrap();
        for file in &files[1..] {
            assert!(Arc::ptr_eq(&hot, &files[0].open().unwrap()), "the hot file was closed");
            file.open_or_create().unwrap();
        }
    }

    #[test]
    fn a_file_that_was_closed_by_the_cache_stays_readable_for_who_holds_it() {
        let directory = tempfile::tempdir().unwrap();
        let cache = FileCache::new(1);
        let files = files(&cache, directory.path(), 2);
        let held = files[0].open_or_create().unwrap();
        write_at(&held, b"a", b"b", 0).unwrap();
        files[1].open_or_create().unwrap();
        std::fs::remove_file(files[0].path()).unwrap();
        let mut bytes = [0; 2];
        held.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"ab");
    }

    #[test]
    fn opening_does_not_make_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(&FileCache::new(1), directory.path(), 1);
        assert_eq!(files[0].open().unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_replacement_that_fails_leaves_the_old_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("checkpoint");
        replace(&path, b"old").unwrap();
        for operation in [Operation::Create, Operation::Write, Operation::Sync, Operation::Rename] {
            faults::fail_once(operation, 0, io::ErrorKind::StorageFull);
            assert!(replace(&path, b"new").is_err(), "{operation:?}");
            assert_eq!(std::fs::read(&path).unwrap(), b"old");
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "a temporary file stayed");
        }
        replace(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }
}
