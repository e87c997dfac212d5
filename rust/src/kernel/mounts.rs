//! Mounts: overlays, binds, tmpfs.

use std::ffi::{CString, OsStr};
use std::fmt::Write as _;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, StatVfsMountFlags, statvfs};
use rustix::io::{Errno, Result};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    UnmountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
    mount_change, mount_remount, move_mount,
};

/// `fsconfig` takes strings up to this length, the final nought not counted.
const MAX_STRING: usize = 255;

/// Mounts an overlay of directories, the topmost of the lower ones first.
///
/// Without an upper directory it is read-only; with one it needs a work directory beside it.
pub fn mount_overlay(
    lower: &[PathBuf],
    upper: Option<(&Path, &Path)>,
    target: &Path,
) -> Result<()> {
    // One `lowerdir+` a layer since Linux 6.7; before that one string for all.
    match overlay(lower, upper, target, false) {
        Err(Errno::INVAL) => overlay(lower, upper, target, true),
        other => other,
    }
}

fn overlay(
    lower: &[PathBuf],
    upper: Option<(&Path, &Path)>,
    target: &Path,
    joined: bool,
) -> Result<()> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", "overlay")?;
    // The directories that stand for themselves have to stay open until the mount exists.
    let lower = lower
        .iter()
        .map(|path| Directory::new(path))
        .collect::<Result<Vec<_>>>()?;
    let upper = match upper {
        Some((upper, work)) => Some((Directory::new(upper)?, Directory::new(work)?)),
        None => None,
    };
    if joined {
        let names: Vec<&[u8]> = lower.iter().map(|layer| layer.name().as_bytes()).collect();
        fsconfig_set_string(&context, "lowerdir", names.join(&b':').as_slice())?;
    } else {
        for layer in &lower {
            fsconfig_set_string(&context, "lowerdir+", layer.name())?;
        }
    }
    let mut attributes = MountAttrFlags::empty();
    if let Some((upper, work)) = &upper {
        fsconfig_set_string(&context, "upperdir", upper.name())?;
        fsconfig_set_string(&context, "workdir", work.name())?;
    } else {
        fsconfig_set_flag(&context, "ro")?;
        attributes = MountAttrFlags::MOUNT_ATTR_RDONLY;
    }
    attach(&context, attributes, target)
}

/// A directory under a name that overlayfs takes as it is.
///
/// A colon separates directories, a backslash escapes, a comma ends the option (on older kernels),
/// and long names are refused: such a directory is opened and goes by its descriptor.
struct Directory {
    name: PathBuf,
    _open: Option<OwnedFd>,
}

impl Directory {
    fn new(path: &Path) -> Result<Self> {
        let bytes = path.as_os_str().as_bytes();
        if bytes.len() <= MAX_STRING && !bytes.iter().any(|byte| b":\\,".contains(byte)) {
            return Ok(Self {
                name: path.into(),
                _open: None,
            });
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = rustix::fs::open(path, flags, Mode::empty())?;
        let mut name = "/proc/self/fd/".to_owned();
        // Writing into a string can't fail.
        let _ = write!(name, "{}", open.as_raw_fd());
        Ok(Self {
            name: name.into(),
            _open: Some(open),
        })
    }

    fn name(&self) -> &OsStr {
        self.name.as_os_str()
    }
}

/// Mounts a tmpfs; without a size it may take half of the memory, as is the kernel's default.
pub fn mount_tmpfs(target: &Path, size: Option<u64>, mode: u32) -> Result<()> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", "tmpfs")?;
    fsconfig_set_string(&context, "mode", format!("{mode:o}"))?;
    if let Some(size) = size {
        fsconfig_set_string(&context, "size", size.to_string())?;
    }
    attach(
        &context,
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV,
        target,
    )
}

fn attach(context: &OwnedFd, attributes: MountAttrFlags, target: &Path) -> Result<()> {
    fsconfig_create(context)?;
    let mount = fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    move_mount(
        mount.as_fd(),
        "",
        CWD,
        target,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
}

/// Shows a file or directory at a second place. Only the topmost mount becomes read-only.
pub fn mount_bind(source: &Path, target: &Path, recursive: bool, read_only: bool) -> Result<()> {
    if recursive {
        rustix::mount::mount_bind_recursive(source, target)?;
    } else {
        rustix::mount::mount_bind(source, target)?;
    }
    if !read_only {
        return Ok(());
    }
    let made_read_only = make_read_only(target);
    if made_read_only.is_err() {
        // Never leave it writable; the first error is the one that tells.
        let _ = rustix::mount::unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
    }
    made_read_only
}

fn make_read_only(target: &Path) -> Result<()> {
    // A remount sets all the flags: those that the mount has must be given again.
    let has = statvfs(target)?.f_flag;
    let mut flags = MountFlags::BIND | MountFlags::RDONLY;
    flags.set(MountFlags::NOSUID, has.contains(StatVfsMountFlags::NOSUID));
    flags.set(MountFlags::NODEV, has.contains(StatVfsMountFlags::NODEV));
    flags.set(MountFlags::NOEXEC, has.contains(StatVfsMountFlags::NOEXEC));
    flags.set(
        MountFlags::NOATIME,
        has.contains(StatVfsMountFlags::NOATIME),
    );
    flags.set(
        MountFlags::NODIRATIME,
        has.contains(StatVfsMountFlags::NODIRATIME),
    );
    flags.set(
        MountFlags::RELATIME,
        has.contains(StatVfsMountFlags::RELATIME),
    );
    mount_remount(target, flags, CString::default().as_c_str())
}

/// Keeps mounts below this one from spreading to other mount namespaces, and theirs out.
pub fn mount_private(target: &Path) -> Result<()> {
    mount_change(
        target,
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
}

/// Takes a mount away; with `detach` also a busy one, as soon as it is not.
pub fn unmount(target: &Path, detach: bool) -> Result<()> {
    let mut flags = UnmountFlags::NOFOLLOW;
    flags.set(UnmountFlags::DETACH, detach);
    rustix::mount::unmount(target, flags)
}
