"""System calls that profiles name and an architecture does not have.

A rule for one of them does nothing, but compiling it costs as much as any other: leaving them out
saves a third of what the filter costs at a container's start. An architecture never gains one of
these: they belong to others, or to times before it. As libseccomp resolves them (its pseudo system
calls); a name that it does not know at all is none of these and stays.
"""

_NOT_X86_64 = (
    "_llseek _newselect arm_fadvise64_64 arm_sync_file_range bdflush breakpoint cacheflush "
    "chown32 clock_adjtime64 clock_getres_time64 clock_gettime64 clock_nanosleep_time64 "
    "clock_settime64 fadvise64_64 fchown32 fcntl64 fstat64 fstatat64 fstatfs64 ftruncate64 "
    "futex_time64 getegid32 geteuid32 getgid32 getgroups32 getresgid32 getresuid32 getuid32 ipc "
    "lchown32 lstat64 mmap2 mq_timedreceive_time64 mq_timedsend_time64 nice oldfstat oldlstat "
    "oldolduname oldstat olduname pciconfig_iobase pciconfig_read pciconfig_write ppoll_time64 "
    "pselect6_time64 readdir recv recvmmsg_time64 rt_sigtimedwait_time64 s390_pci_mmio_read "
    "s390_pci_mmio_write s390_runtime_instr sched_rr_get_interval_time64 semtimedop_time64 send "
    "sendfile64 set_tls setfsgid32 setfsuid32 setgid32 setgroups32 setregid32 setresgid32 "
    "setresuid32 setreuid32 setuid32 sgetmask sigaction signal sigpending sigprocmask sigreturn "
    "sigsuspend socketcall ssetmask stat64 statfs64 stime swapcontext sync_file_range2 syscall "
    "timer_gettime64 timer_settime64 timerfd timerfd_gettime64 timerfd_settime64 truncate64 "
    "ugetrlimit umount utimensat_time64 vm86 vm86old waitpid"
)
# Besides those.
_NOT_AARCH64 = (
    "access alarm arch_prctl chmod chown creat dup2 epoll_create epoll_ctl_old epoll_wait "
    "epoll_wait_old eventfd fork futimesat get_thread_area getdents getpgrp inotify_init ioperm "
    "iopl lchown link lstat mkdir mknod modify_ldt open pause pipe poll query_module readlink "
    "rename rmdir select set_thread_area signalfd stat symlink sysfs time unlink uselib ustat "
    "utime utimes vfork"
)

ABSENT = {
    "SCMP_ARCH_X86_64": frozenset(_NOT_X86_64.split()),
    "SCMP_ARCH_AARCH64": frozenset((*_NOT_X86_64.split(), *_NOT_AARCH64.split())),
}


def absent(architectures: list[str]) -> frozenset[str]:
    """Returns the system calls that none of these architectures has.

    Args:
        architectures: libseccomp's names; nothing is known of others than x86-64 and AArch64.
    """
    nothing: frozenset[str] = frozenset()
    found = [ABSENT.get(name, nothing) for name in architectures]
    return frozenset.intersection(*found) if found else nothing
