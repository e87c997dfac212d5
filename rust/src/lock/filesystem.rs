//! Which file systems keep open-file-description locks: the local ones.

/// File systems whose locks are not the local kernel's, by the magic number of `statfs(2)`.
///
/// NFS locks are leases that a partition takes away; SMB, 9p, FUSE and the clustered ones pass them
/// to a server, emulate them with other locks, or keep them to one host.
const REMOTE: [(u32, &str); 12] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "FUSE"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x7375_7245, "Coda"),
    (0x564c, "NCP"),
    (0x7461_636f, "OCFS2"),
    (0x0116_1970, "GFS2"),
];

/// Returns the name of a file system that podcore keeps no locks on, nothing for the others.
pub(super) fn refused(magic: u32) -> Option<&'static str> {
    REMOTE
        .iter()
        .find(|(number, _)| *number == magic)
        .map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::refused;

    #[test]
    fn network_file_systems_are_refused_by_name() {
        assert_eq!(refused(0x6969), Some("NFS"));
        assert_eq!(refused(0xff53_4d42), Some("CIFS"));
        assert_eq!(refused(0x0102_1997), Some("9p"));
        assert_eq!(refused(0x6573_5546), Some("FUSE"));
        assert_eq!(refused(0x00c3_6400), Some("Ceph"));
        assert_eq!(refused(0x5346_414f), Some("AFS"));
    }

    #[test]
    fn local_file_systems_are_not() {
        // ext4, tmpfs, xfs, btrfs, overlay, zfs
        for magic in [
            0xef53,
            0x0102_1994,
            0x5846_5342,
            0x9123_683e,
            0x794c_7630,
            0x2fc1_2fc1,
        ] {
            assert_eq!(refused(magic), None);
        }
    }
}
