//! Faults of the disk, for tests: the n-th operation of a kind on this thread fails, writes of a part of the bytes included.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// What a program does to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Write,
    Truncate,
    Sync,
    Rename,
    Remove,
}

#[derive(Clone, Copy, Debug)]
struct Fault {
    /// `None` is every operation.
    operation: Option<Operation>,
    /// Operations that succeed before the fault.
    after: usize,
    kind: io::ErrorKind,
    /// Whether all operations fail from then on, until [`heal`].
    lasting: bool,
    /// Bytes of a failing write that reach the file.
    written: usize,
}

thread_local! {
    static FAULT: RefCell<Option<Fault>> = const { RefCell::new(None) };
}

/// Lets the operation of this kind behind `after` others of its kind fail once.
pub fn fail_once(operation: Operation, after: usize, kind: io::ErrorKind) {
    set(Fault { operation: Some(operation), after, kind, lasting: false, written: 0 });
}

/// Lets every operation of this kind (or of any) behind `after` others fail until [`heal`]; a failing write leaves
/// `written` of its bytes in the file.
pub fn fail_from(operation: Option<Operation>, after: usize, kind: io::ErrorKind, written: usize) {
    set(Fault { operation, after, kind, lasting: true, written });
}

pub fn heal() {
    FAULT.with_borrow_mut(Option::take);
}

fn set(fault: Fault) {
    FAULT.with_borrow_mut(|slot| *slot = Some(fault));
}

/// The fault that this operation meets.
fn next(operation: Operation) -> Option<Fault> {
    FAULT.with_borrow_mut(|slot| {
        let fault = slot.as_mut().filter(|fault| fault.operation.is_none_or(|kind| kind == operation))?;
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        if fault.lasting { Some(*fault) } else { slot.take() }
    })
}

pub fn check(operation: Operation) -> io::Result<()> {
    next(operation).map_or(Ok(()), |fault| Err(fault.kind.into()))
}

pub fn check_write(file: &File, bytes: &[u8], position: u64) -> io::Result<()> {
    let Some(fault) = next(Operation::Write) else { return Ok(()) };
    file.write_all_at(&bytes[..fault.written.min(bytes.len())], position)?;
    Err(fault.kind.into())
}
