//! Namespaces that no process lives in: a thread makes them and ends, bind mounts keep them.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::{CWD, Mode, OFlags, open};
use rustix::io::{Errno, Result};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, mount_bind, move_mount, open_tree};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};
use rustix::system::sethostname;
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

/// A kind of namespace that needs no process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ipc,
    Net,
    Uts,
}

impl Kind {
    /// The kind of that name in `/proc/PID/ns`.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "ipc" => Some(Self::Ipc),
            "net" => Some(Self::Net),
            "uts" => Some(Self::Uts),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ipc => "ipc",
            Self::Net => "net",
            Self::Uts => "uts",
        }
    }

    fn flag(self) -> UnshareFlags {
        match self {
            Self::Ipc => UnshareFlags::NEWIPC,
            Self::Net => UnshareFlags::NEWNET,
            Self::Uts => UnshareFlags::NEWUTS,
        }
    }
}

/// Makes namespaces and mounts each onto a file, which must exist.
///
/// A new network has its loopback up. `hostname` is that of a new UTS namespace; `sysctls` are
/// files of `/proc/sys` that belong to the new ones, and what is written to them. After a failure
/// some of the files may be mounted onto.
pub fn pin(
    pins: &[(Kind, PathBuf)],
    hostname: Option<&[u8]>,
    sysctls: &[(PathBuf, String)],
) -> Result<()> {
    let flags = pins
        .iter()
        .fold(UnshareFlags::empty(), |all, (kind, _)| all | kind.flag());
    aside(|| {
        leave(flags)?;
        if flags.contains(UnshareFlags::NEWNET) {
            loopback_up()?;
        }
        if let (Some(name), true) = (hostname, flags.contains(UnshareFlags::NEWUTS)) {
            sethostname(name)?;
        }
        for (path, value) in sysctls {
            fs::write(path, value)
                .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        }
        for (kind, target) in pins {
            mount_bind(format!("/proc/thread-self/ns/{}", kind.name()), target)?;
        }
        Ok(())
    })
}

/// Shows a directory of another mount namespace, as its processes see it, at a place of this one.
///
/// The last part of `source` may not be a link.
pub fn mount_from(namespace: &Path, source: &Path, target: &Path) -> Result<()> {
    let tree: OwnedFd = aside(|| {
        let other = open(namespace, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        // A thread can change its mount namespace only when it shares root and cwd with no other.
        leave(UnshareFlags::FS)?;
        move_into_link_name_space(other.as_fd(), Some(LinkNameSpaceType::Mount))?;
        open_tree(
            CWD,
            source,
            OpenTreeFlags::OPEN_TREE_CLONE
                | OpenTreeFlags::OPEN_TREE_CLOEXEC
                | OpenTreeFlags::AT_SYMLINK_NOFOLLOW,
        )
    })?;
    move_mount(
        &tree,
        "",
        CWD,
        target,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
}

/// Runs on a thread that ends afterwards: namespaces belong to threads, and pools keep threads.
fn aside<T: Send>(body: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        thread::Builder::new()
            .name("podcore-ns".into())
            .spawn_scoped(scope, body)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::AGAIN))?
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn leave(flags: UnshareFlags) -> Result<()> {
    #[expect(
        deprecated,
        reason = "what made the successor unsafe is the flag FILES, which is not used here"
    )]
    rustix::thread::unshare(flags)
}

/// Brings the loopback of this thread's network up, through rtnetlink: the ioctl needs `unsafe`.
fn loopback_up() -> Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const REQUEST_AND_ACK: u16 = 1 | 4;
    const LOOPBACK_INDEX: i32 = 1; // the first link of every network
    const IFF_UP: u32 = 1;
    const NLMSG_ERROR: u16 = 2;

    let route = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let mut message = Vec::with_capacity(32);
    // struct nlmsghdr: length, type, flags, sequence, port
    message.extend(32_u32.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(REQUEST_AND_ACK.to_ne_bytes());
    message.extend([0; 8]);
    // struct ifinfomsg: family and padding, type, index, flags, which flags change
    message.extend([0; 4]);
    message.extend(LOOPBACK_INDEX.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    send(&route, &message, SendFlags::empty())?;
    let mut answer = [0_u8; 256];
    let (_, length) = recv(&route, &mut answer, RecvFlags::empty())?;
    // struct nlmsghdr, then a negative errno, or nought when all is well
    if length < 20 || answer[4..6] != NLMSG_ERROR.to_ne_bytes() {
        return Err(Errno::PROTO);
    }
    match i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]) {
        0 => Ok(()),
        error => Err(Errno::from_raw_os_error(-error)),
    }
}
